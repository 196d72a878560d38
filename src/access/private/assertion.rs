//! The signed assertion: proof for an app that the gateway let this person through, for this app, just now.
//!
//! A JWT (RFC 7519) signed with ES256 (RFC 7518 section 3.4) by keys used for nothing else. Apps verify it with the
//! key set at `/.portcullis/jwks.json` and must check `aud`; it says nothing about the path, so it is reused for half of its
//! short life instead of being signed per request.

use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderValue;
use serde::Serialize;

mod keys;
mod verify;

pub use verify::Proven;

use super::routes::App;
use crate::facts::{Groups, ObjectId, Subject, TenantId, UnixTime};
use crate::session::SessionKey;
use keys::Ring;

/// Where the signing keys survive a restart; the store seals what it is given.
pub trait SecretStore: Send + Sync {
    /// What was saved under `name`; `None` if nothing was.
    ///
    /// # Errors
    /// When the store cannot answer or cannot open what it holds.
    fn load(&self, name: &str) -> Result<Option<Vec<u8>>, StoreFailure>;

    /// Saves durably, replacing what was there.
    ///
    /// # Errors
    /// When the store cannot write.
    fn save(&self, name: &str, secret: &[u8]) -> Result<(), StoreFailure>;
}

/// Whatever went wrong in a [`SecretStore`].
pub type StoreFailure = Box<dyn std::error::Error + Send + Sync>;

/// No assertion can be made. The request must not be forwarded without one.
#[derive(Debug, thiserror::Error)]
pub enum AssertionError {
    /// The keys could not be loaded or saved.
    #[error("the assertion keys could not be loaded or saved")]
    Store(#[source] StoreFailure),
    /// What is stored is not a set of keys.
    #[error("the stored assertion keys cannot be read")]
    Stored,
    /// The crypto library refused.
    #[error("the assertion could not be signed")]
    Crypto,
}

/// Signs assertions and publishes the keys. Cheap to clone.
#[derive(Clone)]
pub struct Assertions {
    shared: Arc<Shared>,
}

struct Shared {
    issuer: String,
    rotation: Duration,
    store: Box<dyn SecretStore>,
    ring: RwLock<Arc<Ring>>,
}

/// How long an assertion is good for.
const LIFETIME: Duration = Duration::from_secs(60);
/// How long one is reused.
const REUSE: Duration = Duration::from_secs(30);
/// Apps for which a person's assertion is kept; one page may use several apps of one host in turn.
const APPS: usize = 4;
/// Groups listed at most; a longer list is left out and said to be, so that no header grows beyond what servers take.
const MOST_GROUPS: usize = 100;
/// Name of the keys in the store.
const STORED_AS: &str = "assertion-keys";

impl Assertions {
    /// Loads the keys, or makes and saves them on first start. `issuer` is the gateway's own origin.
    ///
    /// # Errors
    /// When the store fails or holds something else.
    pub fn open(
        store: Box<dyn SecretStore>,
        issuer: String,
        rotation: Duration,
        now: UnixTime,
    ) -> Result<Self, AssertionError> {
        let ring = match store.load(STORED_AS).map_err(AssertionError::Store)? {
            Some(bytes) => Ring::read(&bytes)?,
            None => {
                let ring = Ring::fresh(now)?;
                store.save(STORED_AS, &ring.write()?).map_err(AssertionError::Store)?;
                ring
            }
        };
        let shared = Shared { issuer, rotation, store, ring: RwLock::new(Arc::new(ring)) };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Brings the next key into use when the current one is old enough; call it every few minutes. The next key has
    /// been in the key set for a whole interval by then, so apps that cache the set know it; the previous one stays
    /// in the set for one more. Saved before it is used.
    ///
    /// # Errors
    /// When the store fails; the keys in use stay.
    pub fn rotate_if_due(&self, now: UnixTime) -> Result<bool, AssertionError> {
        let ring = self.ring();
        if now.since(ring.rotated()) < self.shared.rotation {
            return Ok(false);
        }
        let next = ring.rotated_at(now)?;
        self.shared.store.save(STORED_AS, &next.write()?).map_err(AssertionError::Store)?;
        *self.shared.ring.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(next);
        Ok(true)
    }

    /// The key set (RFC 7517): next, current and previous key.
    #[must_use]
    pub fn jwks_json(&self) -> String {
        self.ring().jwks_json()
    }

    /// A fresh assertion about `subject` for `app`. Costs a signature; see [`CachedAssertion`].
    ///
    /// # Errors
    /// When the crypto library refuses.
    pub fn sign(
        &self,
        subject: &Subject,
        session: &SessionKey,
        app: &App,
        now: UnixTime,
    ) -> Result<HeaderValue, AssertionError> {
        let mut id = [0; 16];
        SystemRandom::new().fill(&mut id).map_err(|_| AssertionError::Crypto)?;
        let groups = match &subject.groups {
            Groups::Known(list) if list.len() <= MOST_GROUPS => Some(&**list),
            Groups::Known(_) | Groups::Unknown => None,
        };
        let claims = Claims {
            iss: &self.shared.issuer,
            aud: &app.config.audience,
            sub: subject.user.to_string(),
            tid: subject.user.tenant,
            oid: subject.user.object,
            name: &subject.name,
            email: &subject.email,
            groups_complete: groups.is_some(),
            groups,
            iat: now,
            exp: now.plus(LIFETIME),
            jti: URL_SAFE_NO_PAD.encode(id),
            sid: short_id(session),
        };
        let claims = serde_json::to_vec(&claims).map_err(|_| AssertionError::Crypto)?;
        let token = self.ring().sign(&claims)?;
        let mut value = HeaderValue::try_from(token).map_err(|_| AssertionError::Crypto)?;
        value.set_sensitive(true);
        Ok(value)
    }

    fn ring(&self) -> Arc<Ring> {
        Arc::clone(&self.shared.ring.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The last assertions made for a person, one for each of a few apps; spares nearly every signature. Keyed by
/// everything that went into them.
#[derive(Default)]
pub struct CachedAssertion {
    /// Oldest first.
    last: Mutex<Vec<Entry>>,
}

struct Entry {
    session: SessionKey,
    version: u64,
    /// The app's name of this configuration generation; its address stands for the app.
    app: Arc<str>,
    made: UnixTime,
    value: HeaderValue,
}

/// For whom and what an assertion is wanted.
#[derive(Clone, Copy)]
pub struct Asserted<'a> {
    /// Who.
    pub subject: &'a Subject,
    /// Their session.
    pub session: &'a SessionKey,
    /// [`crate::session::Session::version`] at the time `subject` was read.
    pub version: u64,
    /// Which app.
    pub app: &'a App,
}

impl CachedAssertion {
    /// The assertion made before, if it fits and is young enough, else a fresh one.
    ///
    /// # Errors
    /// As [`Assertions::sign`].
    pub fn header(
        &self,
        assertions: &Assertions,
        wanted: Asserted<'_>,
        now: UnixTime,
    ) -> Result<HeaderValue, AssertionError> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = last.iter().find(|entry| entry.serves(wanted, now)) {
            return Ok(entry.value.clone());
        }
        let value = assertions.sign(wanted.subject, wanted.session, wanted.app, now)?;
        last.retain(|entry| !Arc::ptr_eq(&entry.app, &wanted.app.name));
        if last.len() >= APPS {
            last.remove(0);
        }
        last.push(Entry {
            session: *wanted.session,
            version: wanted.version,
            app: Arc::clone(&wanted.app.name),
            made: now,
            value: value.clone(),
        });
        Ok(value)
    }
}

impl Entry {
    fn serves(&self, wanted: Asserted<'_>, now: UnixTime) -> bool {
        // A wall clock that was set back makes `made` lie in the future: sign anew.
        self.version == wanted.version
            && Arc::ptr_eq(&self.app, &wanted.app.name)
            && self.session == *wanted.session
            && now >= self.made
            && now.since(self.made) < REUSE
    }
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: String,
    tid: TenantId,
    oid: ObjectId,
    name: &'a str,
    email: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    groups: Option<&'a [ObjectId]>,
    /// Whether `groups` is the whole truth; an absent list is never "no groups".
    groups_complete: bool,
    iat: UnixTime,
    exp: UnixTime,
    jti: String,
    sid: String,
}

/// The first 16 hex digits of the session key: names the session in logs, opens nothing.
fn short_id(session: &SessionKey) -> String {
    session.0.iter().take(8).fold(String::with_capacity(16), |mut text, byte| {
        for digit in [byte >> 4, byte & 0xf] {
            text.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
        }
        text
    })
}

#[cfg(test)]
mod tests;
