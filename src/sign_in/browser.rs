//! The browser cookie: what binds an attempt to the browser that made it, and stops a loop that gets nowhere.

use std::time::Duration;

use http::{HeaderMap, HeaderValue};

use super::cookie::{self, SameSite};
use super::seal::{self, Browser};
use crate::facts::UnixTime;
use crate::store::Keyring;

/// Entering an app this often within [`QUIET`] without a session that sticks is a loop.
const LOOP_ENTRIES: u32 = 4;

/// After this much time without entering, the count starts again.
const QUIET: Duration = Duration::from_secs(20);

/// The browser as its cookie says; `None` without a believable cookie.
pub(super) fn known(keyring: &Keyring, headers: &HeaderMap, host: &str, now: UnixTime) -> Option<Browser> {
    let value = cookie::find(headers, cookie::BROWSER).one()?;
    seal::open(keyring, host.as_bytes(), std::str::from_utf8(value).ok()?, now)
}

/// The browser as its cookie says, or a new one.
pub(super) fn known_or_new(keyring: &Keyring, headers: &HeaderMap, host: &str, now: UnixTime) -> Option<Browser> {
    if let Some(browser) = known(keyring, headers, host, now) {
        return Some(browser);
    }
    Some(Browser { id: seal::random::<16>()?, entries: 0, entered: UnixTime(0), session: None, made: now })
}

/// The `Set-Cookie` line for a browser.
pub(super) fn set(keyring: &Keyring, browser: &Browser, host: &str, same_site: SameSite) -> Option<HeaderValue> {
    cookie::set(cookie::BROWSER, &seal::seal(keyring, host.as_bytes(), browser)?, same_site)
}

impl Browser {
    /// Whether this browser keeps coming back: its session cookie does not stick.
    pub(super) fn is_looping(&self, now: UnixTime) -> bool {
        self.entries >= LOOP_ENTRIES && now.since(self.entered) < QUIET
    }

    /// Counts one more entry.
    pub(super) fn enter(&mut self, now: UnixTime) {
        self.entries = if now.since(self.entered) < QUIET { self.entries.saturating_add(1) } else { 1 };
        self.entered = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quick_returns_are_a_loop_and_slow_ones_are_not() {
        let mut browser =
            Browser { id: String::new(), entries: 0, entered: UnixTime(0), session: None, made: UnixTime(1000) };
        for _ in 0..4 {
            assert!(!browser.is_looping(UnixTime(1000)));
            browser.enter(UnixTime(1000));
        }
        assert!(browser.is_looping(UnixTime(1005)));
        assert!(!browser.is_looping(UnixTime(1020)));
        browser.enter(UnixTime(1020));
        assert_eq!(browser.entries, 1);
    }
}
