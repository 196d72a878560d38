//! A session in memory: one instance per session, so that ending it reaches everybody who holds it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use super::pulse::Pulse;
use super::record::Record;
use super::{SessionError, SessionKey};
use crate::cut::{Cut, CutReason};
use crate::facts::{Passed, SharedClock, Subject, Tick, UnixTime, UserKey};
use crate::telemetry::Secret;

/// One person in one browser.
pub struct Session {
    /// Its key.
    pub key: SessionKey,
    /// Who; never changes within a session.
    pub user: UserKey,
    /// Raised when the session ends; every stream opened under it listens.
    pub cut: Cut,
    subject: RwLock<Arc<Subject>>,
    passed: RwLock<Arc<Passed>>,
    /// Held by whoever rewrites the record.
    pub(super) writing: tokio::sync::Mutex<()>,
    version: AtomicU64,
    pub(super) pulse: Arc<Pulse>,
    clock: SharedClock,
    authenticated: UnixTime,
    created: UnixTime,
    expires: UnixTime,
    sid: Option<Arc<str>>,
    login_hint: Option<Secret<String>>,
    has_refresh_token: bool,
    /// Held by the one task that refreshes.
    refreshing: AtomicBool,
    /// Tick of the last refresh or attempt.
    refreshed: AtomicU64,
    /// Tick of the last refresh that succeeded; the sign-in counts as one.
    vouched: AtomicU64,
}

impl Session {
    pub(super) fn new(key: SessionKey, record: Record, pulse: Arc<Pulse>, clock: SharedClock) -> Self {
        let refreshed = clock.tick().0.saturating_sub(millis(clock.now().since(record.refreshed)));
        let login_hint = record.login_hint();
        let has_refresh_token = record.refresh_token().is_some();
        let passed = RwLock::new(Arc::new(record.passed()));
        Self {
            key,
            user: record.subject.user,
            cut: Cut::new(),
            version: AtomicU64::new(0),
            pulse,
            clock,
            authenticated: record.authenticated,
            created: record.created,
            expires: record.expires,
            sid: record.sid.map(Arc::from),
            login_hint,
            has_refresh_token,
            subject: RwLock::new(Arc::new(record.subject)),
            passed,
            writing: tokio::sync::Mutex::new(()),
            refreshing: AtomicBool::new(false),
            refreshed: AtomicU64::new(refreshed),
            vouched: AtomicU64::new(refreshed),
        }
    }

    /// Who this is, as last told by the identity provider.
    #[must_use]
    pub fn subject(&self) -> Arc<Subject> {
        Arc::clone(&self.subject.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The step-ups and warnings it has passed.
    #[must_use]
    pub fn passed(&self) -> Arc<Passed> {
        Arc::clone(&self.passed.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Moves whenever [`Session::subject`] or [`Session::passed`] changes; one load.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// When the person proved who they are.
    #[must_use]
    pub const fn authenticated(&self) -> UnixTime {
        self.authenticated
    }

    /// When the session began.
    #[must_use]
    pub const fn created(&self) -> UnixTime {
        self.created
    }

    /// When it ends at the latest, for display; the deadline itself is kept in monotonic time.
    #[must_use]
    pub const fn expires(&self) -> UnixTime {
        self.expires
    }

    /// The provider's session id.
    #[must_use]
    pub const fn sid(&self) -> Option<&Arc<str>> {
        self.sid.as_ref()
    }

    /// Opaque hint for signing out at the provider.
    #[must_use]
    pub const fn login_hint(&self) -> Option<&Secret<String>> {
        self.login_hint.as_ref()
    }

    /// Whether the session may be used at `now`; marks it used if so. No lock, no allocation.
    ///
    /// # Errors
    /// The reason why it is over.
    pub fn touch(&self, now: Tick) -> Result<(), CutReason> {
        if let Some(reason) = self.cut.reason() {
            return Err(reason);
        }
        if self.pulse.is_over(now) {
            // The first reason stays: somebody may have ended it between the two checks.
            self.cut.raise(CutReason::Expired);
            return Err(self.cut.reason().unwrap_or(CutReason::Expired));
        }
        self.pulse.beat(now);
        Ok(())
    }

    /// Counts an open stream, which keeps the session from being idle, until the guard drops.
    #[must_use]
    pub fn hold(self: &Arc<Self>) -> StreamGuard {
        self.pulse.stream_began(self.clock.tick());
        StreamGuard { session: Arc::clone(self) }
    }

    /// Whether a silent refresh is possible and the last one (or attempt) is `every` ago.
    #[must_use]
    pub fn is_refresh_due(&self, every: Duration, now: Tick) -> bool {
        self.has_refresh_token
            && !self.cut.is_raised()
            && now.since(Tick(self.refreshed.load(Ordering::Relaxed))) >= every
    }

    /// How long ago the provider last vouched for this person.
    #[must_use]
    pub fn silent_for(&self, now: Tick) -> Duration {
        now.since(Tick(self.vouched.load(Ordering::Relaxed)))
    }

    /// The right to refresh now, if it is due and nobody else is at it. The attempt counts even if it fails, so a
    /// provider that is down is asked once per `every`, not once per request.
    #[must_use]
    pub fn begin_refresh(self: &Arc<Self>, every: Duration, now: Tick) -> Option<RefreshTicket> {
        if !self.is_refresh_due(every, now)
            || self.refreshing.compare_exchange(false, true, Ordering::AcqRel, Ordering::Relaxed).is_err()
        {
            return None;
        }
        let ticket = RefreshTicket { session: Arc::clone(self) };
        // Somebody may have finished a refresh between the two checks.
        self.is_refresh_due(every, now).then(|| {
            self.refreshed.store(now.0, Ordering::Relaxed);
            ticket
        })
    }

    /// Makes every connection look at this session again.
    pub(super) fn move_on(&self) {
        self.version.fetch_add(1, Ordering::Release);
    }

    /// Takes over what it has passed by now.
    pub(super) fn pass(&self, passed: Passed) {
        *self.passed.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(passed);
        // After the value, as below.
        self.move_on();
    }

    /// Takes over what the provider says now.
    pub(super) fn renew(&self, subject: Subject) -> Result<(), SessionError> {
        if subject.user != self.user {
            return Err(SessionError::OtherUser);
        }
        let now = self.clock.tick().0;
        self.refreshed.store(now, Ordering::Relaxed);
        self.vouched.store(now, Ordering::Relaxed);
        let mut current = self.subject.write().unwrap_or_else(PoisonError::into_inner);
        if **current != subject {
            *current = Arc::new(subject);
            // After the value: whoever sees the new version reads the new subject.
            self.version.fetch_add(1, Ordering::Release);
        }
        Ok(())
    }
}

/// See [`Session::hold`].
pub struct StreamGuard {
    session: Arc<Session>,
}

impl Drop for StreamGuard {
    fn drop(&mut self) {
        self.session.pulse.stream_ended(self.session.clock.tick());
    }
}

/// See [`Session::begin_refresh`]. Dropping it lets the next refresh begin.
pub struct RefreshTicket {
    session: Arc<Session>,
}

impl RefreshTicket {
    /// The session to refresh.
    #[must_use]
    pub const fn session(&self) -> &Arc<Session> {
        &self.session
    }
}

impl Drop for RefreshTicket {
    fn drop(&mut self) {
        self.session.refreshing.store(false, Ordering::Release);
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
