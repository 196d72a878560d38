//! Layer 2: sessions: who is signed in on which browser, cached in moka over the durable store.

use std::sync::Arc;
use std::time::Duration;

use crate::cut::{Cut, CutReason};
use crate::facts::{Subject, TenantId, Tick, UnixTime, UserKey};
use crate::telemetry::Secret;

/// Lifetimes and capacity.
#[derive(Debug, Clone)]
pub struct Config {
    /// From sign-in to the end, whatever happens.
    pub absolute: Duration,
    /// Without a request or an open stream.
    pub idle: Duration,
    /// Sessions (and host bindings) kept in memory; the store holds all.
    pub capacity: u64,
}

/// SHA-256 of a session's id; all the store ever sees of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionKey(pub [u8; 32]);

/// SHA-256 of the id in a cookie. Each host has its own id, bound to one session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CookieKey(pub [u8; 32]);

/// The text of a freshly made session cookie; at most 64 bytes, no token in it.
pub type CookieValue = Secret<String>;

/// The session store failed; the caller answers 503 and leaves the cookie alone.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// Skeleton.
    #[error("skeleton")]
    Skeleton,
}

/// One person in one browser.
pub struct Session {
    /// Its key.
    pub key: SessionKey,
    /// Who; never changes within a session.
    pub user: UserKey,
    /// Raised when the session ends; every stream opened under it listens.
    pub cut: Cut,
}

impl Session {
    /// Who this is, as last told by the identity provider.
    #[must_use]
    pub fn subject(&self) -> Arc<Subject> {
        unimplemented!()
    }

    /// Moves whenever [`Session::subject`] changes; one relaxed load.
    #[must_use]
    pub fn version(&self) -> u64 {
        unimplemented!()
    }

    /// Whether the session may be used at `now`; marks it used if so. No lock, no allocation.
    ///
    /// # Errors
    /// The reason why it is over.
    pub fn touch(&self, _now: Tick) -> Result<(), CutReason> {
        unimplemented!()
    }

    /// Counts an open stream, which keeps the session from being idle, until the guard drops.
    #[must_use]
    pub fn hold(self: &Arc<Self>) -> StreamGuard {
        unimplemented!()
    }
}

/// See [`Session::hold`].
pub struct StreamGuard {
    _session: Arc<Session>,
}

/// What a sign-in brings.
#[derive(Debug, Clone)]
pub struct NewSession {
    /// Who.
    pub subject: Subject,
    /// The provider's session id (`sid` claim), for front-channel logout.
    pub sid: Option<String>,
    /// Opaque hint for signing out at the provider (`login_hint` claim).
    pub login_hint: Option<Secret<String>>,
    /// When the person proved who they are: `auth_time`, else the moment of the callback.
    pub authenticated: UnixTime,
    /// For silent refresh; sealed at rest.
    pub refresh_token: Option<Secret<String>>,
}

/// One line of `portcullis session ls`; holds no secret.
#[derive(Debug, Clone, serde::Serialize)]
pub struct SessionInfo {
    /// First 16 hex digits of the session key; enough to name it, useless to use it.
    pub id: String,
    /// Who.
    pub user: UserKey,
    /// Display name.
    pub name: Arc<str>,
    /// For display.
    pub email: Arc<str>,
    /// When it began.
    pub created: UnixTime,
    /// Last use, within the store's write interval.
    pub last_used: UnixTime,
    /// When it ends at the latest.
    pub expires: UnixTime,
    /// Open streams now.
    pub streams: u32,
}

/// The outcome of a look-up that touches memory only.
pub enum Lookup {
    /// In memory.
    Found(Arc<Session>),
    /// Not in memory; ask [`Sessions::load`].
    Unknown,
}

/// All sessions. Cheap to clone.
#[derive(Clone)]
pub struct Sessions {}

impl Sessions {
    /// Checks a cookie's MAC for `host`; `None` for anything not made by this gateway for this host. No look-up.
    #[must_use]
    pub fn verify_cookie(&self, _host: &str, _value: &[u8]) -> Option<CookieKey> {
        unimplemented!()
    }

    /// Finds the session of a verified cookie in memory.
    #[must_use]
    pub fn lookup(&self, _key: &CookieKey) -> Lookup {
        unimplemented!()
    }

    /// Finds it in the store, and keeps it in memory. `None`: no such session, or it is over.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn load(&self, _key: &CookieKey) -> Result<Option<Arc<Session>>, SessionError> {
        unimplemented!()
    }

    /// Begins a session and binds it to `host` (the sign-in host). Durable when it returns.
    ///
    /// # Errors
    /// When the store cannot write.
    pub async fn create(&self, _new: NewSession, _host: &str) -> Result<(Arc<Session>, CookieValue), SessionError> {
        unimplemented!()
    }

    /// Binds another host to the session and returns that host's cookie. Durable when it returns.
    ///
    /// # Errors
    /// When the store cannot write, or the session is over.
    pub async fn bind_host(&self, _session: &Arc<Session>, _host: &str) -> Result<CookieValue, SessionError> {
        unimplemented!()
    }

    /// The session with this key, from memory or store.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn by_key(&self, _key: &SessionKey) -> Result<Option<Arc<Session>>, SessionError> {
        unimplemented!()
    }

    /// Ends one session: removed durably, then its cut is raised. `false` if there was none.
    ///
    /// # Errors
    /// When the store cannot write; the cut is raised all the same.
    pub async fn end(&self, _key: &SessionKey, _reason: CutReason) -> Result<bool, SessionError> {
        unimplemented!()
    }

    /// Ends all sessions of a person; how many there were.
    ///
    /// # Errors
    /// As [`Sessions::end`].
    pub async fn end_user(&self, _user: UserKey, _reason: CutReason) -> Result<usize, SessionError> {
        unimplemented!()
    }

    /// Ends sessions by the provider's session id (front-channel logout), in one tenant or any.
    ///
    /// # Errors
    /// As [`Sessions::end`].
    pub async fn end_sid(
        &self,
        _tenant: Option<TenantId>,
        _sid: &str,
        _reason: CutReason,
    ) -> Result<usize, SessionError> {
        unimplemented!()
    }

    /// Everything that lives, newest first; of one person if `user` is given.
    #[must_use]
    pub fn list(&self, _user: Option<UserKey>) -> Vec<SessionInfo> {
        unimplemented!()
    }

    /// The full key for the short id of [`SessionInfo::id`].
    #[must_use]
    pub fn find(&self, _id: &str) -> Option<SessionKey> {
        unimplemented!()
    }

    /// The sealed refresh token and when it was last used, for silent refresh.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn refresh_token(&self, _key: &SessionKey) -> Result<Option<Secret<String>>, SessionError> {
        unimplemented!()
    }

    /// Records the outcome of a silent refresh: who the person is now and the next refresh token.
    ///
    /// # Errors
    /// When the store cannot write.
    pub async fn refreshed(
        &self,
        _session: &Arc<Session>,
        _subject: Subject,
        _refresh_token: Option<Secret<String>>,
    ) -> Result<(), SessionError> {
        unimplemented!()
    }
}
