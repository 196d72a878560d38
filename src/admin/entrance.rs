//! Browsers on this machine whose person typed the bearer token in: a few short sessions, in memory only.
//!
//! For the first start, before anybody can sign in through Entra. The cookie is `SameSite=Strict`; cookies do not tell
//! ports apart, so its name holds the port, and every change also needs our own `Origin`.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderValue};

use crate::facts::{SharedClock, Tick};
use crate::sign_in::cookie::{self, Found};

/// The local sessions. They end with the process.
pub(super) struct Entrance {
    clock: SharedClock,
    /// Oldest first.
    open: Mutex<Vec<Open>>,
}

struct Open {
    /// Of the cookie's value: what is kept opens nothing.
    hash: [u8; 32],
    ends: Tick,
}

impl Entrance {
    pub(super) const fn new(clock: SharedClock) -> Self {
        Self { clock, open: Mutex::new(Vec::new()) }
    }

    /// Begins a session; the oldest gives way when there are too many. `None` if the system gives no randomness.
    pub(super) fn open(&self, port: u16) -> Option<HeaderValue> {
        let value = random()?;
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.len() >= MOST {
            open.remove(0);
        }
        open.push(Open { hash: hash(value.as_bytes()), ends: self.clock.tick().plus(LIFETIME) });
        let name = name(port);
        let age = LIFETIME.as_secs();
        let cookie = format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={age}");
        let mut cookie = HeaderValue::try_from(cookie).ok()?;
        cookie.set_sensitive(true);
        Some(cookie)
    }

    /// Whether these headers carry the cookie of a session that is open.
    pub(super) fn knows(&self, headers: &HeaderMap, port: u16) -> bool {
        let Found::One(value) = cookie::find(headers, &name(port)) else { return false };
        let (hash, now) = (hash(value), self.clock.tick());
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.iter().any(|one| one.hash == hash && now < one.ends)
    }

    /// Ends the session of these headers; the cookie that makes the browser forget it.
    pub(super) fn close(&self, headers: &HeaderMap, port: u16) -> Option<HeaderValue> {
        if let Found::One(value) = cookie::find(headers, &name(port)) {
            let hash = hash(value);
            self.open.lock().unwrap_or_else(PoisonError::into_inner).retain(|one| one.hash != hash);
        }
        HeaderValue::try_from(format!("{}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0", name(port))).ok()
    }
}

/// 128 random bits as text; `None` if the system gives no randomness.
pub(super) fn random() -> Option<String> {
    let mut bytes = [0; 16];
    SystemRandom::new().fill(&mut bytes).ok()?;
    Some(URL_SAFE_NO_PAD.encode(bytes))
}

/// SHA-256.
pub(super) fn hash(value: &[u8]) -> [u8; 32] {
    digest(&SHA256, value).as_ref().try_into().unwrap_or_default()
}

fn name(port: u16) -> String {
    format!("portcullis-admin-{port}")
}

const MOST: usize = 16;
const LIFETIME: Duration = Duration::from_secs(3600);
