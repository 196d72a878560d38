//! Discovery documents and signing keys, one set per tenant: fetched once for everybody who waits, refreshed every
//! hour, never replaced by something worse, never used longer than a day.
//!
//! The rhythm is Microsoft's: <https://learn.microsoft.com/entra/identity-platform/signing-key-rollover>.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use tokio::sync::Mutex;
use url::Url;

use super::discovery::{Authority, Discovery, Realm};
use super::error::{BadAnswer, BadToken, EntraError};
use super::http::HttpClient;
use super::keys::{KeySet, SigningKey};
use super::refusal;
use crate::facts::{SharedClock, Tick};

/// What is known about one realm.
pub(super) struct RealmCache {
    realm: Realm,
    authority: Authority,
    http: HttpClient,
    clock: SharedClock,
    known: RwLock<Option<Arc<Known>>>,
    /// Held during a fetch, so that everybody who needs it waits for the same one.
    flight: Mutex<Attempts>,
}

/// One fetched and checked generation.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) discovery: Discovery,
    keys: KeySet,
    fetched: Tick,
}

#[derive(Default)]
struct Attempts {
    /// The last fetch that failed, and how.
    failed: Option<(Tick, EntraError)>,
    /// The last fetch made because of an unknown key.
    for_key: Option<Tick>,
}

impl RealmCache {
    pub(super) fn new(realm: Realm, authority: Authority, http: HttpClient, clock: SharedClock) -> Self {
        Self { realm, authority, http, clock, known: RwLock::default(), flight: Mutex::default() }
    }

    /// The current generation; fetches when there is none or it is due. While somebody else renews it, the last good
    /// one serves, so that a slow provider delays one caller and not all.
    pub(super) async fn current(&self) -> Result<Arc<Known>, EntraError> {
        let known = self.peek().filter(|known| self.age(known) < MAX_AGE);
        if let Some(known) = known.as_ref().filter(|known| self.age(known) < REFRESH_EVERY) {
            return Ok(Arc::clone(known));
        }
        let mut attempts = match (self.flight.try_lock(), known) {
            (Ok(attempts), _) => attempts,
            (Err(_), Some(usable)) => return Ok(usable),
            (Err(_), None) => self.flight.lock().await,
        };
        self.refresh_if_older_than(REFRESH_EVERY, &mut attempts).await
    }

    /// The generation that holds `kid` and the key itself. An unknown `kid` causes one fetch, at most every
    /// [`KEY_REFETCH_GAP`], so that strange tokens cannot make this gateway flood the provider.
    pub(super) async fn with_key(&self, kid: &str) -> Result<(Arc<Known>, SigningKey), EntraError> {
        let known = self.current().await?;
        if let Some(key) = known.keys.key(kid) {
            let key = key.clone();
            return Ok((known, key));
        }
        let mut attempts = self.flight.lock().await;
        let known = match self.peek() {
            // Somebody fetched while this task waited.
            Some(newer) if !Arc::ptr_eq(&newer, &known) => newer,
            _ => self.refetch_for_key(known, &mut attempts).await,
        };
        let key = known.keys.key(kid).cloned().ok_or(EntraError::BadToken(BadToken::UnknownKey))?;
        Ok((known, key))
    }

    /// Fetches ahead of time, for the background task.
    pub(super) async fn refresh_early(&self) -> Result<(), EntraError> {
        let mut attempts = self.flight.lock().await;
        self.refresh_if_older_than(REFRESH_EARLY, &mut attempts).await.map(|_| ())
    }

    /// What is known without asking anybody; also what is too old.
    pub(super) fn peek(&self) -> Option<Arc<Known>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Fetches now, without touching what is known; for `doctor`.
    pub(super) async fn try_fetch(&self) -> Result<Known, EntraError> {
        self.fetch().await
    }

    /// Asks for the discovery document and looks only at whether somebody is there to answer. A strange answer is for
    /// [`Self::current`] to judge, which keeps the last good one.
    pub(super) async fn ask(&self) -> Result<(), EntraError> {
        self.http.knock(&self.authority.discovery_url(self.realm)?).await
    }

    pub(super) const fn realm(&self) -> Realm {
        self.realm
    }

    async fn refresh_if_older_than(&self, age: Duration, attempts: &mut Attempts) -> Result<Arc<Known>, EntraError> {
        let known = self.peek();
        if let Some(known) = known.as_ref().filter(|known| self.age(known) < age) {
            return Ok(Arc::clone(known));
        }
        let usable = known.filter(|known| self.age(known) < MAX_AGE);
        let gap = if usable.is_some() { RETRY_GAP } else { COLD_RETRY_GAP };
        if let Some((at, error)) = &attempts.failed
            && self.clock.tick().since(*at) < gap
        {
            return usable.ok_or_else(|| error.clone());
        }
        match self.fetch_and_keep(attempts).await {
            Ok(fresh) => Ok(fresh),
            Err(error) => usable.ok_or(error),
        }
    }

    async fn refetch_for_key(&self, known: Arc<Known>, attempts: &mut Attempts) -> Arc<Known> {
        let now = self.clock.tick();
        if attempts.for_key.is_some_and(|last| now.since(last) < KEY_REFETCH_GAP) {
            return known;
        }
        attempts.for_key = Some(now);
        self.fetch_and_keep(attempts).await.unwrap_or(known)
    }

    async fn fetch_and_keep(&self, attempts: &mut Attempts) -> Result<Arc<Known>, EntraError> {
        match self.fetch().await {
            Ok(known) => {
                tracing::debug!(realm = ?self.realm, keys = known.keys.len(), "read discovery and signing keys");
                let known = Arc::new(known);
                *self.known.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&known));
                attempts.failed = None;
                Ok(known)
            }
            Err(error) => {
                let (reason, error_text) = (error.fault().word(), error.details());
                tracing::warn!(realm = ?self.realm, reason, error = error_text, "cannot read discovery and keys");
                attempts.failed = Some((self.clock.tick(), error.clone()));
                Err(error)
            }
        }
    }

    async fn fetch(&self) -> Result<Known, EntraError> {
        let fetched = self.clock.tick();
        let url = self.authority.discovery_url(self.realm)?;
        let discovery = Discovery::parse(&self.read(&url).await?, self.realm, &self.authority)?;
        let keys = match self.realm {
            Realm::Tenant(_) => KeySet::parse(&self.read(&discovery.jwks_uri).await?, &discovery)?,
            // No token is ever believed by keys that speak for every tenant.
            Realm::Organizations => KeySet::default(),
        };
        Ok(Known { discovery, keys, fetched })
    }

    /// Entra tells an unknown tenant by an OAuth error where the document should be.
    async fn read(&self, url: &Url) -> Result<Bytes, EntraError> {
        let answer = self.http.document(url).await?;
        if answer.status == StatusCode::OK {
            return Ok(answer.body);
        }
        Err(refusal::classify_body(&answer.body).unwrap_or(EntraError::BadAnswer(BadAnswer::Status)))
    }

    fn age(&self, known: &Known) -> Duration {
        self.clock.tick().since(known.fetched)
    }
}

impl Known {
    pub(super) fn key_count(&self) -> usize {
        self.keys.len()
    }
}

/// When a generation is due.
pub(super) const REFRESH_EVERY: Duration = Duration::from_secs(3600);
/// When the background task renews it, so that no sign-in has to wait for that.
const REFRESH_EARLY: Duration = Duration::from_secs(3300);
/// After this the last good generation is not believed any more.
const MAX_AGE: Duration = Duration::from_secs(24 * 3600);
/// Least time between two fetches for unknown keys.
const KEY_REFETCH_GAP: Duration = Duration::from_secs(300);
/// Least time between failing fetches while an older generation serves.
const RETRY_GAP: Duration = Duration::from_secs(60);
/// The same while there is nothing to serve with.
const COLD_RETRY_GAP: Duration = Duration::from_secs(2);
