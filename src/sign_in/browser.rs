//! The browser cookie: what binds an attempt to the browser that made it, and stops a loop that gets nowhere.

use std::time::Duration;

use http::{HeaderMap, HeaderValue};

use super::cookie::{self, SameSite};
use super::seal::{self, Browser, Steps};
use super::{SignIn, Visit};
use crate::facts::{AuthContext, UnixTime};
use crate::store::Keyring;

/// Coming back this often in a row, each time with less than [`QUIET`] in between, is a loop: the session does not
/// stick, and one more redirect would end the same way.
const LOOP_ROUNDS: u32 = 2;

/// After this much time without entering, the count starts again.
const QUIET: Duration = Duration::from_secs(60);

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
    Some(Browser {
        id: seal::random::<16>()?,
        entries: 0,
        entered: UnixTime(0),
        steps: Vec::new(),
        session: None,
        made: now,
    })
}

/// The `Set-Cookie` line for a browser that signs out here; `None` if it is not known.
pub(super) fn anew(sign_in: &SignIn, visit: &Visit, same_site: SameSite) -> Option<HeaderValue> {
    let keyring = &sign_in.parts.keyring;
    let mut browser = known(keyring, &visit.headers, &visit.host, sign_in.now())?;
    browser.start_anew();
    set(keyring, &browser, &visit.host, same_site)
}

/// The `Set-Cookie` line for a browser.
pub(super) fn set(keyring: &Keyring, browser: &Browser, host: &str, same_site: SameSite) -> Option<HeaderValue> {
    cookie::set(cookie::BROWSER, &seal::seal(keyring, host.as_bytes(), browser)?, same_site)
}

impl Browser {
    /// Whether this browser keeps coming back: its session cookie does not stick.
    pub(super) fn is_looping(&self, now: UnixTime) -> bool {
        self.rounds(now) >= LOOP_ROUNDS
    }

    /// How many rounds in a row lie behind this browser; what is sent away now is remembered with it.
    pub(super) const fn rounds(&self, now: UnixTime) -> u32 {
        if now.since(self.entered).as_secs() < QUIET.as_secs() { self.entries } else { 0 }
    }

    /// Counts an entry of somebody who was sent away after `rounds` rounds. In a loop each round begins after the one
    /// before has ended. Parallel tabs were all sent away before the first of them came back, so they are one round.
    pub(super) fn enter(&mut self, rounds: u32, now: UnixTime) {
        let before = self.rounds(now);
        self.entries = if before == 0 { 1 } else { before.max(rounds.saturating_add(1)) };
        self.entered = now;
    }

    /// Whether this browser keeps coming back from the same step-up without it being enough.
    pub(super) fn is_stepping_in_circles(&self, context: AuthContext, now: UnixTime) -> bool {
        self.step_rounds(context, now) >= LOOP_ROUNDS
    }

    /// How many rounds in a row of this step-up lie behind this browser. Too many different ones in a minute count as
    /// a circle too.
    pub(super) fn step_rounds(&self, context: AuthContext, now: UnixTime) -> u32 {
        let mut recent = self.steps.iter().filter(|steps| now.since(steps.at) < QUIET);
        let others = recent.clone().filter(|steps| steps.context != context.0).count();
        if others >= MAX_CONTEXTS {
            return LOOP_ROUNDS;
        }
        recent.find(|steps| steps.context == context.0).map_or(0, |steps| steps.rounds)
    }

    /// Counts a step-up that came back, as [`Browser::enter`] counts sign-ins.
    pub(super) fn step(&mut self, context: AuthContext, rounds: u32, now: UnixTime) {
        let before = self.step_rounds(context, now);
        let rounds = if before == 0 { 1 } else { before.max(rounds.saturating_add(1)) };
        self.steps.retain(|steps| steps.context != context.0 && now.since(steps.at) < QUIET);
        self.steps.push(Steps { context: context.0, rounds, at: now });
    }

    /// Forgets the rounds: somebody who signs out and comes again is no loop.
    pub(super) fn start_anew(&mut self) {
        self.entries = 0;
        self.steps.clear();
    }
}

/// Different step-ups within a minute that are still believed to lead somewhere; also bounds the cookie.
const MAX_CONTEXTS: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn newcomer() -> Browser {
        Browser {
            id: String::new(),
            entries: 0,
            entered: UnixTime(0),
            steps: Vec::new(),
            session: None,
            made: UnixTime(1000),
        }
    }

    #[test]
    fn third_redirect_within_a_minute_is_a_loop_and_slow_returns_are_not() {
        let mut browser = newcomer();
        for _ in 0..2 {
            assert!(!browser.is_looping(UnixTime(1000)));
            browser.enter(browser.rounds(UnixTime(1000)), UnixTime(1000));
        }
        assert!(browser.is_looping(UnixTime(1000)));
        assert!(browser.is_looping(UnixTime(1059)));
        assert!(!browser.is_looping(UnixTime(1060)));
        browser.enter(browser.rounds(UnixTime(1060)), UnixTime(1060));
        assert_eq!(browser.entries, 1);
    }

    #[test]
    fn third_round_of_one_step_up_within_a_minute_is_a_circle_and_another_context_is_not() {
        let (c1, c2) = (AuthContext(1), AuthContext(2));
        let mut browser = newcomer();
        // Two tabs that left together are one round.
        for second in [1000, 1005] {
            browser.step(c1, 0, UnixTime(second));
            assert!(!browser.is_stepping_in_circles(c1, UnixTime(second)));
        }
        browser.step(c1, browser.step_rounds(c1, UnixTime(1010)), UnixTime(1010));
        assert!(browser.is_stepping_in_circles(c1, UnixTime(1069)));
        assert!(!browser.is_stepping_in_circles(c1, UnixTime(1070)));
        assert!(!browser.is_stepping_in_circles(c2, UnixTime(1010)) && !browser.is_looping(UnixTime(1010)));
        for context in 10..18 {
            browser.step(AuthContext(context), 0, UnixTime(1010));
        }
        assert!(browser.is_stepping_in_circles(AuthContext(99), UnixTime(1010)), "eight others in a minute");
        let mut anew = browser.clone();
        anew.start_anew();
        assert!(!anew.is_stepping_in_circles(c1, UnixTime(1010)), "whoever signed out begins anew");
        browser.step(c2, 0, UnixTime(1100));
        assert_eq!(browser.steps.len(), 1, "what is over is forgotten");
    }

    #[test]
    fn tabs_that_were_sent_away_together_are_one_round_whenever_they_come_back() {
        let mut browser = newcomer();
        let rounds = browser.rounds(UnixTime(1000));
        for second in 1000..1005 {
            browser.enter(rounds, UnixTime(second));
        }
        assert!(!browser.is_looping(UnixTime(1005)));
        browser.enter(browser.rounds(UnixTime(1005)), UnixTime(1005));
        assert!(browser.is_looping(UnixTime(1005)));
        browser.start_anew();
        assert!(!browser.is_looping(UnixTime(1005)));
    }
}
