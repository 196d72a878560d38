//! Ending sessions: at once in memory, then durably, then told to the other gateways.
//!
//! The order is deliberate. The index entry goes and the cut is raised first, so a session is refused from that
//! instant even if the disk is slow or full. The call returns when the end is on disk; if it cannot be written, it
//! says so, and the background task repeats it until it is.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{CookieKey, SessionError, SessionKey, Sessions};
use crate::cut::CutReason;
use crate::facts::{TenantId, UnixTime, UserKey};
use crate::peers::Announcement;
use crate::store::{Batch, Table};

impl Sessions {
    /// Ends one session: its cut is raised at once, then it is removed durably. `false` if there was none.
    ///
    /// # Errors
    /// When the store cannot write; the session is ended in this process all the same, and the removal is repeated.
    pub async fn end(&self, key: &SessionKey, reason: CutReason) -> Result<bool, SessionError> {
        self.inner.peers.announce(Announcement::SessionEnded { session: key.0, reason: reason.word() });
        let ended = self.end_here(&[*key], reason).await?;
        Ok(ended > 0)
    }

    /// Ends all sessions of a person; how many there were.
    ///
    /// # Errors
    /// As [`Sessions::end`].
    pub async fn end_user(&self, user: UserKey, reason: CutReason) -> Result<usize, SessionError> {
        self.inner.peers.announce(Announcement::UserEnded { user, reason: reason.word() });
        let keys = self.inner.index().of_user(&user);
        self.end_here(&keys, reason).await
    }

    /// Ends some of a person's sessions. Returns which had been alive, also when the removal is not on disk yet.
    ///
    /// # Errors
    /// The second part is as of [`Sessions::end`].
    pub async fn end_some(
        &self,
        user: UserKey,
        which: Which,
        reason: CutReason,
    ) -> (Vec<SessionKey>, Result<(), SessionError>) {
        let mut keys = {
            let mut index = self.inner.index();
            let mut keys = index.of_user(&user);
            keys.retain(|key| index.entry(key).is_some_and(|entry| which.takes(entry.created, entry.authenticated)));
            keys
        };
        keys.iter().for_each(|key| {
            self.inner.peers.announce(Announcement::SessionEnded { session: key.0, reason: reason.word() });
        });
        keys.retain(|key| self.take(key, reason));
        let settled = self.settle(Some(&keys)).await;
        (keys, settled)
    }

    /// Ends sessions by the provider's session id (front-channel logout), in one tenant or any.
    ///
    /// # Errors
    /// As [`Sessions::end`].
    pub async fn end_sid(&self, tenant: Option<TenantId>, sid: &str, reason: CutReason) -> Result<usize, SessionError> {
        let announcement = Announcement::SidEnded { tenant, sid: sid.to_owned(), reason: reason.word() };
        self.inner.peers.announce(announcement);
        let keys = self.inner.index().of_sid(tenant, sid);
        self.end_here(&keys, reason).await
    }

    /// Ends, in memory and at once, every session of whoever `goes`: nobody is let in with one from here on. Returns what
    /// has ended; call [`Sessions::finish_endings`] to make it durable.
    pub fn drop_where(&self, goes: impl Fn(&UserKey) -> bool, reason: CutReason) -> Vec<(SessionKey, UserKey)> {
        let mut gone = Vec::new();
        self.each(|key, entry| gone.extend(goes(&entry.user).then_some((*key, entry.user))));
        gone.retain(|(key, _)| self.take(key, reason));
        for (key, _) in &gone {
            self.inner.peers.announce(Announcement::SessionEnded { session: key.0, reason: reason.word() });
        }
        gone
    }

    /// Makes durable what has ended in memory.
    ///
    /// # Errors
    /// When the store cannot write; the background repeats it.
    pub async fn finish_endings(&self) -> Result<(), SessionError> {
        self.settle(None).await
    }

    /// Does what another gateway announced.
    pub(super) async fn obey(&self, announcement: Announcement) -> Result<usize, SessionError> {
        let (keys, word) = match announcement {
            Announcement::SessionEnded { session, reason } => (vec![SessionKey(session)], reason),
            Announcement::UserEnded { user, reason } => (self.inner.index().of_user(&user), reason),
            Announcement::SidEnded { tenant, sid, reason } => (self.inner.index().of_sid(tenant, &sid), reason),
        };
        // A word of a newer version still ends the session.
        let reason = CutReason::ALL.into_iter().find(|reason| reason.word() == word).unwrap_or(CutReason::Revoked);
        self.end_here(&keys, reason).await
    }

    pub(super) async fn end_here(&self, keys: &[SessionKey], reason: CutReason) -> Result<usize, SessionError> {
        let ended = keys.iter().filter(|key| self.take(key, reason)).count();
        self.settle(Some(keys)).await?;
        Ok(ended)
    }

    /// Removes durably what has ended: the given sessions and earlier failures, or everything that is open.
    pub(super) async fn settle(&self, keys: Option<&[SessionKey]>) -> Result<(), SessionError> {
        loop {
            let (batch, taken) = self.inner.unfinished.batch(keys);
            if taken.is_empty() {
                return Ok(());
            }
            let written = self.inner.store.write(batch).await;
            self.inner.unfinished.done(&taken, written.is_ok());
            written?;
        }
    }

    /// Ends the session in memory. From here on nobody finds it, and everybody who holds it is told.
    fn take(&self, key: &SessionKey, reason: CutReason) -> bool {
        let (live, cookies) = {
            let mut index = self.inner.index();
            let Some(entry) = index.remove(key) else {
                return false;
            };
            let cookies: Vec<CookieKey> = entry.cookies.iter().map(|(cookie, _)| *cookie).collect();
            // Noted before the lock goes, so that a caller who finds no session also finds what is left to do.
            self.inner.unfinished.add(*key, cookies.clone());
            (entry.live.upgrade(), cookies)
        };
        if let Some(session) = live {
            session.cut.raise(reason);
        }
        cookies.iter().for_each(|cookie| self.inner.cache.invalidate(cookie));
        true
    }
}

/// Which of a person's sessions end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// All of them.
    All,
    /// Those that had begun by then. Whoever comes back later may stay.
    BegunBy(UnixTime),
    /// Those of a sign-in before this moment, which no longer counts (`signInSessionsValidFromDateTime`).
    SignedInBefore(UnixTime),
}

impl Which {
    fn takes(self, created: UnixTime, authenticated: UnixTime) -> bool {
        match self {
            Self::All => true,
            Self::BegunBy(moment) => created <= moment,
            Self::SignedInBefore(moment) => authenticated < moment,
        }
    }
}

/// Sessions that have ended in memory but perhaps not on disk. Also holds what a caller left who stopped waiting.
#[derive(Default)]
pub(super) struct Unfinished {
    sessions: Mutex<HashMap<SessionKey, Leftover>>,
}

struct Leftover {
    cookies: Vec<CookieKey>,
    failed: bool,
}

impl Unfinished {
    pub(super) fn of(over: HashMap<SessionKey, Vec<CookieKey>>) -> Self {
        let leftovers = over.into_iter().map(|(key, cookies)| (key, Leftover { cookies, failed: false }));
        Self { sessions: Mutex::new(leftovers.collect()) }
    }

    fn add(&self, key: SessionKey, cookies: Vec<CookieKey>) {
        self.lock().insert(key, Leftover { cookies, failed: false });
    }

    fn batch(&self, keys: Option<&[SessionKey]>) -> (Batch, Vec<SessionKey>) {
        let sessions = self.lock();
        let (mut batch, mut taken) = (Batch::new(), Vec::new());
        let mut take = |key: &SessionKey, leftover: &Leftover| {
            batch.delete(Table::Sessions, &key.0);
            batch.delete(Table::LastUse, &key.0);
            leftover.cookies.iter().for_each(|cookie| batch.delete(Table::HostBindings, &cookie.0));
            taken.push(*key);
        };
        match keys {
            None => sessions.iter().take(PER_BATCH).for_each(|(key, leftover)| take(key, leftover)),
            Some(keys) => {
                // An earlier failure may be the very session the caller asks about; it no longer shows in the index.
                let failed = sessions.iter().filter(|(_, leftover)| leftover.failed);
                let own = keys.iter().filter_map(|key| sessions.get_key_value(key));
                own.chain(failed).take(PER_BATCH).for_each(|(key, leftover)| take(key, leftover));
            }
        }
        (batch, taken)
    }

    fn done(&self, keys: &[SessionKey], written: bool) {
        let mut sessions = self.lock();
        for key in keys {
            if written {
                sessions.remove(key);
            } else if let Some(leftover) = sessions.get_mut(key) {
                leftover.failed = true;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SessionKey, Leftover>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const PER_BATCH: usize = 1000;
