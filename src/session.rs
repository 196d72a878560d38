//! Layer 2: sessions: who is signed in on which browser, cached in moka over the durable store.
//!
//! Three places know a session. The store has every sealed record. The index in memory has a line for every session
//! that is alive, and decides: what is not in it is over. The cache has the sessions in use; evicting one costs a read
//! and never changes an answer, because the index hands out the one instance as long as anybody holds it.

mod binding;
mod ending;
mod hosts;
mod id;
mod index;
mod live;
mod opening;
mod passed;
mod pulse;
mod record;
mod sweep;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use crate::cut::CutReason;
use crate::facts::{Proof, SharedClock, Subject, Tick, UnixTime, UserKey};
use crate::peers::Peers;
use crate::store::{Batch, Keyring, Store, StoreError, Table};
use crate::telemetry::Secret;

pub use ending::Which;
pub use live::{RefreshTicket, Session, StreamGuard};

use ending::Unfinished;
use hosts::Hosts;
use id::Cookies;
use index::{Entry, Index};
use pulse::Pulse;
use record::{Binding, Record};

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

/// Names a session: 256 random bits. No secret: no cookie can be made from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionKey(pub [u8; 32]);

/// SHA-256 of the id in a cookie. Each host has its own id, bound to one session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CookieKey(pub [u8; 32]);

/// The text of a freshly made session cookie; at most 64 bytes, no token in it.
pub type CookieValue = Secret<String>;

/// Why a session operation failed; the caller answers 503 and leaves the cookie alone.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The store cannot read or write.
    #[error("the session store failed")]
    Store(#[from] StoreError),
    /// The crypto library gave no random bytes or could not seal.
    #[error("the crypto library failed")]
    Crypto,
    /// The session ended meanwhile.
    #[error("the session is over")]
    Over,
    /// No more sessions fit.
    #[error("no room for another session")]
    Full,
    /// A refresh brought another person.
    #[error("the provider answered for another user")]
    OtherUser,
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
    /// Step-ups that the sign-in itself already shows.
    pub proofs: Vec<Proof>,
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
pub struct Sessions {
    inner: Arc<Inner>,
}

struct Inner {
    config: Config,
    store: Store,
    keyring: Arc<Keyring>,
    peers: Peers,
    clock: SharedClock,
    cookies: Cookies,
    cache: Cache<CookieKey, Arc<Session>>,
    index: Mutex<Index>,
    hosts: Hosts,
    unfinished: Unfinished,
    /// See [`Sessions::renewals`].
    renewals: AtomicU64,
}

impl Sessions {
    /// Reads all sessions from the store. Blocks; meant for the start. Spawn [`Sessions::run_background`] afterwards.
    ///
    /// # Errors
    /// When the store cannot read.
    pub fn open(
        config: Config,
        store: Store,
        keyring: Arc<Keyring>,
        peers: Peers,
        clock: SharedClock,
    ) -> Result<Self, SessionError> {
        let found = opening::read_all(&config, &store, &keyring, &clock)?;
        if found.unreadable > 0 {
            tracing::warn!(
                records = found.unreadable,
                "session records that do not open with the key ring are ignored"
            );
        }
        // LRU: the default policy of moka refuses newcomers when full, which would be a sign-in loop.
        let cache = Cache::builder().max_capacity(config.capacity).eviction_policy(EvictionPolicy::lru()).build();
        let cookies = Cookies::new(&keyring);
        let (index, unfinished) = (Mutex::new(found.index), Unfinished::of(found.over));
        let inner = Inner {
            config,
            store,
            keyring,
            peers,
            clock,
            cookies,
            cache,
            index,
            hosts: found.hosts,
            unfinished,
            renewals: AtomicU64::new(0),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Checks a cookie's MAC for `host`; `None` for anything not made by this gateway for this host. No look-up.
    #[must_use]
    pub fn verify_cookie(&self, host: &str, value: &[u8]) -> Option<CookieKey> {
        self.inner.cookies.verify(host, value)
    }

    /// Finds the session of a verified cookie in memory.
    #[must_use]
    pub fn lookup(&self, key: &CookieKey) -> Lookup {
        self.inner.cache.get(key).map_or(Lookup::Unknown, Lookup::Found)
    }

    /// Finds it in the store, and keeps it in memory. `None`: no such session, or it is over.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn load(&self, key: &CookieKey) -> Result<Option<Arc<Session>>, SessionError> {
        let Some(sealed) = self.inner.store.read_async(Table::HostBindings, &key.0).await? else {
            return Ok(None);
        };
        let Some(binding) = Binding::open(&self.inner.keyring, key, &sealed) else {
            return Ok(None);
        };
        let Some(session) = self.by_key(&binding.session).await? else {
            return Ok(None);
        };
        self.inner.cache.insert(*key, Arc::clone(&session));
        // The index decides here too: the session may have ended while it was put there, and a cookie that gave way to a
        // newer one (see `binding`) may still have been on disk when it was read above.
        if session.cut.is_raised() || !self.inner.leads(key, &session.key) {
            self.inner.cache.invalidate(key);
            return Ok(None);
        }
        Ok(Some(session))
    }

    /// Begins a session and binds it to `host` (the sign-in host). Durable when it returns.
    ///
    /// A person's oldest session gives way when there are too many. Whoever signs in anew over an old session ends
    /// that one with [`Sessions::end`]. A caller that stops waiting may leave a record no cookie leads to; it expires.
    ///
    /// # Errors
    /// When the store cannot write.
    pub async fn create(&self, new: NewSession, host: &str) -> Result<(Arc<Session>, CookieValue), SessionError> {
        let inner = &self.inner;
        if inner.index().len() >= index::MAX_SESSIONS {
            return Err(SessionError::Full);
        }
        let key = SessionKey(id::random()?);
        let (cookie, value) = inner.cookies.issue(host)?;
        let (wall, now) = (inner.clock.now(), inner.clock.tick());
        let record = Record::new(new, wall, wall.plus(inner.config.absolute));
        let binding = Binding { session: key, host: host.into() };
        let mut batch = Batch::new();
        batch.put(Table::Sessions, &key.0, &record.seal(&inner.keyring, &key)?);
        batch.put(Table::HostBindings, &cookie.0, &binding.seal(&inner.keyring, &cookie)?);
        // On disk before it is in the index: whoever ends it finds it in the index, so its removal comes after.
        inner.store.write(batch).await?;
        let session = inner.admit(key, record, cookie, host, now);
        inner.cache.insert(cookie, Arc::clone(&session));
        self.limit(session.user).await;
        Ok((session, value))
    }

    /// The session with this key, from memory or store.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn by_key(&self, key: &SessionKey) -> Result<Option<Arc<Session>>, SessionError> {
        let live = match self.inner.index().entry(key) {
            Some(entry) => entry.live.upgrade(),
            None => return Ok(None),
        };
        let session = match live {
            Some(session) => Some(session),
            None => self.record(key).await?.and_then(|record| self.inner.instance(key, record)),
        };
        let now = self.inner.clock.tick();
        Ok(session.filter(|session| !session.cut.is_raised() && !session.pulse.is_over(now)))
    }

    /// Everything that lives, newest first; of one person if `user` is given.
    #[must_use]
    pub fn list(&self, user: Option<UserKey>) -> Vec<SessionInfo> {
        let mut lines = Vec::new();
        if let Some(user) = user {
            let mut index = self.inner.index();
            for key in index.of_user(&user) {
                lines.extend(index.entry(&key).map(|entry| self.info(&key, entry)));
            }
        } else {
            self.each(|key, entry| lines.push(self.info(key, entry)));
        }
        lines.sort_by_key(|line| std::cmp::Reverse(line.created));
        lines
    }

    /// Every session with an open stream, which may have no other request for hours.
    #[must_use]
    pub fn streaming(&self) -> Vec<Arc<Session>> {
        let mut found = Vec::new();
        self.each(|_, entry| found.extend(entry.live.upgrade().filter(|session| session.pulse.streams() > 0)));
        found
    }

    /// Everybody who has a session.
    #[must_use]
    pub fn people(&self) -> Vec<UserKey> {
        let mut people = Vec::new();
        self.each(|_, entry| people.push(entry.user));
        people.sort_unstable();
        people.dedup();
        people
    }

    /// Shows everything that lives to `see`, some at a time under one lock.
    fn each(&self, mut see: impl FnMut(&SessionKey, &Entry)) {
        let mut after = None;
        loop {
            let mut last = None;
            for (key, entry) in self.inner.index().after(after, LIST_STEP) {
                last = Some(*key);
                see(key, entry);
            }
            if last.is_none() {
                return;
            }
            after = last;
        }
    }

    /// The full key for the short id of [`SessionInfo::id`].
    #[must_use]
    pub fn find(&self, id: &str) -> Option<SessionKey> {
        if id.len() != 16 || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let start = u64::from_str_radix(id, 16).ok()?.to_be_bytes();
        self.inner.index().beginning_with(start)
    }

    /// How many sessions are alive.
    #[must_use]
    pub fn count(&self) -> usize {
        self.inner.index().len()
    }

    /// The session's refresh token, for silent refresh.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn refresh_token(&self, key: &SessionKey) -> Result<Option<Secret<String>>, SessionError> {
        if self.inner.index().entry(key).is_none() {
            return Ok(None);
        }
        Ok(self.record(key).await?.and_then(|record| record.refresh_token()))
    }

    /// Records the outcome of a silent refresh: who the person is now and the next refresh token. Without a new token
    /// the old one stays good (RFC 6749 section 6).
    ///
    /// # Errors
    /// When the store cannot write, the session is over, or the answer is about somebody else.
    pub async fn refreshed(
        &self,
        session: &Arc<Session>,
        subject: Subject,
        refresh_token: Option<Secret<String>>,
    ) -> Result<(), SessionError> {
        let _turn = session.writing.lock().await;
        let before = session.version();
        session.renew(subject.clone())?;
        if session.version() != before {
            self.inner.renewals.fetch_add(1, Ordering::Release);
        }
        self.inner.index().entry(&session.key).ok_or(SessionError::Over)?.show(&subject);
        let now = self.inner.clock.now();
        self.rewrite(&session.key, |record| {
            record.subject = subject;
            record.refreshed = now;
            if let Some(token) = refresh_token {
                record.set_refresh_token(&token);
            }
        })
        .await
    }

    /// Moves whenever the provider said something new of somebody, such as other groups; one load.
    #[must_use]
    pub fn renewals(&self) -> u64 {
        self.inner.renewals.load(Ordering::Acquire)
    }

    async fn record(&self, key: &SessionKey) -> Result<Option<Record>, SessionError> {
        let sealed = self.inner.store.read_async(Table::Sessions, &key.0).await?;
        Ok(sealed.and_then(|sealed| Record::open(&self.inner.keyring, key, &sealed)))
    }

    /// Changes the record on disk, if it is still there. The caller holds [`Session::writing`]: whoever reads it first
    /// would lose what the other wrote.
    async fn rewrite(&self, key: &SessionKey, change: impl FnOnce(&mut Record) + Send) -> Result<(), SessionError> {
        let mut record = self.record(key).await?.ok_or(SessionError::Over)?;
        change(&mut record);
        let sealed = record.seal(&self.inner.keyring, key)?;
        let mut batch = Batch::new();
        batch.put_if((Table::Sessions, &key.0), Table::Sessions, &key.0, &sealed);
        Ok(self.inner.store.write(batch).await?)
    }

    /// Ends the oldest sessions of a person who has too many.
    async fn limit(&self, user: UserKey) {
        let keys = self.inner.index().of_user(&user);
        let surplus = keys.len().saturating_sub(index::MAX_PER_USER);
        for key in keys.iter().take(surplus) {
            // The new session is good even if the old one's removal is not on disk yet; the background repeats it.
            let _repeated_later = self.end(key, CutReason::Expired).await;
        }
    }

    fn info(&self, key: &SessionKey, entry: &Entry) -> SessionInfo {
        let unused = entry.pulse.unused_for(self.inner.clock.tick());
        SessionInfo {
            id: key.0.iter().take(8).map(|byte| format!("{byte:02x}")).collect(),
            user: entry.user,
            name: entry.name().into(),
            email: entry.email().into(),
            created: entry.created,
            last_used: UnixTime(self.inner.clock.now().0.saturating_sub(unused.as_secs())),
            expires: entry.expires,
            streams: entry.pulse.streams(),
        }
    }
}

impl Inner {
    fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this cookie is one of the session's.
    fn leads(&self, cookie: &CookieKey, session: &SessionKey) -> bool {
        self.index().entry(session).is_some_and(|entry| entry.cookies.iter().any(|(known, _)| known == cookie))
    }

    /// Puts a session that is on disk into the index.
    fn admit(&self, key: SessionKey, record: Record, cookie: CookieKey, host: &str, now: Tick) -> Arc<Session> {
        let Config { absolute, idle, .. } = self.config;
        let pulse = Arc::new(Pulse::new(now, absolute, idle, idle));
        let mut entry = Entry::new(&record, Arc::clone(&pulse));
        let session = Arc::new(Session::new(key, record, pulse, Arc::clone(&self.clock)));
        entry.live = Arc::downgrade(&session);
        entry.push_cookie(cookie, self.hosts.text(host));
        self.index().insert(key, entry, now);
        session
    }

    /// The one instance of a session: the one somebody holds, else a new one. `None` if it ended meanwhile.
    fn instance(&self, key: &SessionKey, record: Record) -> Option<Arc<Session>> {
        let mut index = self.index();
        let entry = index.entry(key)?;
        if let Some(live) = entry.live.upgrade() {
            return Some(live);
        }
        let session = Arc::new(Session::new(*key, record, Arc::clone(&entry.pulse), Arc::clone(&self.clock)));
        entry.live = Arc::downgrade(&session);
        Some(session)
    }
}

/// Sessions listed under one lock.
const LIST_STEP: usize = 1000;

#[cfg(test)]
mod tests;
