//! Every session that is not over, in memory: who it belongs to, which cookies lead to it, when to look at it next.
//!
//! Being in the index is what it means to be alive: whoever is taken out of it is ended, whatever the store still
//! says. About 1 KiB per session, bounded by [`MAX_SESSIONS`] and [`MAX_PER_USER`].

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Weak};

use super::live::Session;
use super::pulse::Pulse;
use super::{CookieKey, SessionKey};
use crate::facts::{Subject, Tick, UnixTime, UserKey};

#[derive(Default)]
pub(super) struct Index {
    entries: BTreeMap<SessionKey, Entry>,
    users: HashMap<UserKey, Vec<SessionKey>>,
    sids: HashMap<Arc<str>, Vec<SessionKey>>,
    /// When to look at which session next; lines of sessions that are gone are skipped when their time comes.
    due: BTreeSet<(Tick, SessionKey)>,
}

pub(super) struct Entry {
    pub(super) user: UserKey,
    pub(super) name: Arc<str>,
    pub(super) email: Arc<str>,
    pub(super) sid: Option<Arc<str>>,
    pub(super) created: UnixTime,
    /// When the person proved who they are.
    pub(super) authenticated: UnixTime,
    pub(super) expires: UnixTime,
    pub(super) pulse: Arc<Pulse>,
    /// The one instance, while anybody holds it.
    pub(super) live: Weak<Session>,
    /// Oldest first.
    pub(super) cookies: Vec<(CookieKey, Box<str>)>,
}

impl Entry {
    pub(super) fn show(&mut self, subject: &Subject) {
        self.name = Arc::clone(&subject.name);
        self.email = Arc::clone(&subject.email);
    }

    /// Adds a host's cookie; returns those that make room for it.
    ///
    /// A host keeps `most`: usually a few, because two tabs may sign in at once and the browser keeps either cookie.
    pub(super) fn add_cookie(&mut self, cookie: CookieKey, host: &str, most: usize) -> Vec<CookieKey> {
        self.cookies.push((cookie, host.into()));
        let of_host = self.cookies.iter().filter(|(_, other)| **other == *host).count();
        let mut surplus_of_host = of_host.saturating_sub(most);
        let mut surplus = self.cookies.len().saturating_sub(MAX_COOKIES).max(surplus_of_host);
        let mut dropped = Vec::new();
        self.cookies.retain(|(key, other)| {
            let goes = if **other == *host { surplus_of_host > 0 } else { surplus > surplus_of_host };
            if goes {
                surplus_of_host = surplus_of_host.saturating_sub(usize::from(**other == *host));
                surplus = surplus.saturating_sub(1);
                dropped.push(*key);
            }
            !goes
        });
        dropped
    }

    /// Takes out every cookie of a host.
    pub(super) fn drop_cookies(&mut self, host: &str) -> Vec<CookieKey> {
        self.cookies.extract_if(.., |(_, of)| **of == *host).map(|(cookie, _)| cookie).collect()
    }
}

impl Index {
    pub(super) fn insert(&mut self, key: SessionKey, entry: Entry, now: Tick) {
        self.users.entry(entry.user).or_insert_with(|| Vec::with_capacity(1)).push(key);
        if let Some(sid) = &entry.sid {
            self.sids.entry(Arc::clone(sid)).or_insert_with(|| Vec::with_capacity(1)).push(key);
        }
        self.due.insert((entry.pulse.due(now), key));
        self.entries.insert(key, entry);
    }

    pub(super) fn remove(&mut self, key: &SessionKey) -> Option<Entry> {
        let entry = self.entries.remove(key)?;
        drop_from(&mut self.users, &entry.user, key);
        if let Some(sid) = &entry.sid {
            drop_from(&mut self.sids, sid, key);
        }
        Some(entry)
    }

    pub(super) fn entry(&mut self, key: &SessionKey) -> Option<&mut Entry> {
        self.entries.get_mut(key)
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Oldest first.
    pub(super) fn of_user(&self, user: &UserKey) -> Vec<SessionKey> {
        self.users.get(user).cloned().unwrap_or_default()
    }

    pub(super) fn people(&self) -> Vec<UserKey> {
        self.users.keys().copied().collect()
    }

    pub(super) fn of_sid(&self, tenant: Option<crate::facts::TenantId>, sid: &str) -> Vec<SessionKey> {
        let keys = self.sids.get(sid).map(Vec::as_slice).unwrap_or_default();
        let in_tenant = |key: &&SessionKey| {
            tenant.is_none_or(|tenant| self.entries.get(key).is_some_and(|entry| entry.user.tenant == tenant))
        };
        keys.iter().filter(in_tenant).copied().collect()
    }

    /// The only session whose key begins with `start`.
    pub(super) fn beginning_with(&self, start: [u8; 8]) -> Option<SessionKey> {
        let mut first = [0; 32];
        first.iter_mut().zip(start).for_each(|(to, from)| *to = from);
        let mut found =
            self.entries.range(SessionKey(first)..).map(|(key, _)| *key).take_while(|key| key.0.starts_with(&start));
        let key = found.next()?;
        found.next().is_none().then_some(key)
    }

    /// Up to `limit` entries after `after`, in key order: callers walk in steps, so that nobody waits long.
    pub(super) fn after(
        &mut self,
        after: Option<SessionKey>,
        limit: usize,
    ) -> impl Iterator<Item = (&SessionKey, &mut Entry)> {
        use std::ops::Bound::{Excluded, Unbounded};
        self.entries.range_mut((after.map_or(Unbounded, Excluded), Unbounded)).take(limit)
    }

    /// The sessions that are over at `now`. Those that were used meanwhile are looked at again when it is their time.
    pub(super) fn take_due(&mut self, now: Tick) -> Vec<SessionKey> {
        let later = self.due.split_off(&(Tick(now.0.saturating_add(1)), SessionKey([0; 32])));
        let reached = std::mem::replace(&mut self.due, later);
        let mut over = Vec::new();
        for (_, key) in reached {
            match self.entries.get(&key) {
                Some(entry) if entry.pulse.is_over(now) => over.push(key),
                Some(entry) => {
                    // At least a tick later, or a session could come up for ever in one sweep.
                    let due = entry.pulse.due(now).max(Tick(now.0.saturating_add(1)));
                    self.due.insert((due, key));
                }
                None => {}
            }
        }
        over
    }
}

fn drop_from<K: std::hash::Hash + Eq>(map: &mut HashMap<K, Vec<SessionKey>>, of: &K, key: &SessionKey) {
    if let Some(keys) = map.get_mut(of) {
        keys.retain(|other| other != key);
        if keys.is_empty() {
            map.remove(of);
        }
    }
}

/// Sessions one gateway keeps. Only people who signed in count, each at most [`MAX_PER_USER`] times.
pub(super) const MAX_SESSIONS: usize = 1_000_000;
/// Sessions of one person; the oldest ends when one more begins.
pub(super) const MAX_PER_USER: usize = 100;
/// Hosts' cookies of one session.
const MAX_COOKIES: usize = 512;
/// Cookies of one host of one session.
pub(super) const MAX_COOKIES_PER_HOST: usize = 4;
