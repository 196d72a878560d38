//! Every session that is not over, in memory: who it belongs to, which cookies lead to it, when to look at it next.
//!
//! Being in the index is what it means to be alive: whoever is taken out of it is ended, whatever the store still
//! says. Bounded by [`MAX_SESSIONS`] and [`MAX_PER_USER`]; `benches/fleet.rs` measures what a session takes.
//!
//! A million lines are held, so a line is one block with its texts in a second, and the ways to it by person, by the
//! provider's session id and by time hold the first eight bytes of keys and hashes. Both may be shared by several
//! sessions: whoever comes that way compares the line itself.

use std::collections::hash_map::RandomState;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::BuildHasher;
use std::sync::{Arc, Weak};

use super::live::Session;
use super::pulse::Pulse;
use super::record::Record;
use super::{CookieKey, SessionKey};
use crate::facts::{Subject, TenantId, Tick, UnixTime, UserKey};

#[derive(Default)]
pub(super) struct Index {
    entries: BTreeMap<SessionKey, Box<Entry>>,
    /// Hash of the person, start of the key.
    users: BTreeSet<(u64, u64)>,
    /// Hash of the provider's session id, start of the key.
    sids: BTreeSet<(u64, u64)>,
    /// The second in which to look at sessions next, and the starts of their keys. Those of sessions that are gone are
    /// skipped when their time comes.
    due: BTreeMap<u64, Vec<u64>>,
    hashes: RandomState,
    /// How many were ever put in.
    number: u64,
}

pub(super) struct Entry {
    pub(super) user: UserKey,
    texts: Texts,
    pub(super) created: UnixTime,
    /// When the person proved who they are.
    pub(super) authenticated: UnixTime,
    pub(super) expires: UnixTime,
    pub(super) pulse: Arc<Pulse>,
    /// The one instance, while anybody holds it.
    pub(super) live: Weak<Session>,
    /// Oldest first. The text of a host is shared.
    pub(super) cookies: Vec<(CookieKey, Arc<str>)>,
    /// Tells sessions of one second apart: which was put in first.
    number: u64,
}

/// Name, address and the provider's session id in one block.
struct Texts {
    all: Box<str>,
    name: u32,
    email: u32,
}

impl Texts {
    fn new(name: &str, email: &str, sid: &str) -> Self {
        let length = |text: &str| u32::try_from(text.len()).unwrap_or(u32::MAX);
        Self { all: [name, email, sid].concat().into(), name: length(name), email: length(email) }
    }

    /// Name, address, id.
    fn parts(&self) -> (&str, &str, &str) {
        let at = |length: u32| usize::try_from(length).unwrap_or(usize::MAX);
        let (name, rest) = self.all.split_at_checked(at(self.name)).unwrap_or((&self.all, ""));
        let (email, sid) = rest.split_at_checked(at(self.email)).unwrap_or((rest, ""));
        (name, email, sid)
    }
}

impl Entry {
    pub(super) fn new(record: &Record, pulse: Arc<Pulse>) -> Self {
        let Subject { user, name, email, .. } = &record.subject;
        Self {
            user: *user,
            texts: Texts::new(name, email, record.sid.as_deref().unwrap_or_default()),
            created: record.created,
            authenticated: record.authenticated,
            expires: record.expires,
            pulse,
            live: Weak::new(),
            cookies: Vec::new(),
            number: 0,
        }
    }

    pub(super) fn name(&self) -> &str {
        self.texts.parts().0
    }

    pub(super) fn email(&self) -> &str {
        self.texts.parts().1
    }

    /// Empty where the provider named none.
    fn sid(&self) -> &str {
        self.texts.parts().2
    }

    pub(super) fn show(&mut self, subject: &Subject) {
        if (self.name(), self.email()) != (&*subject.name, &*subject.email) {
            self.texts = Texts::new(&subject.name, &subject.email, self.sid());
        }
    }

    /// The first takes no more room than it needs: most sessions have one.
    pub(super) fn push_cookie(&mut self, cookie: CookieKey, host: Arc<str>) {
        if self.cookies.is_empty() {
            self.cookies.reserve_exact(1);
        }
        self.cookies.push((cookie, host));
    }

    /// Adds a host's cookie; returns those that make room for it.
    ///
    /// A host keeps `most`: usually a few, because two tabs may sign in at once and the browser keeps either cookie.
    pub(super) fn add_cookie(&mut self, cookie: CookieKey, host: &Arc<str>, most: usize) -> Vec<CookieKey> {
        self.push_cookie(cookie, Arc::clone(host));
        let of_host = self.cookies.iter().filter(|(_, other)| other == host).count();
        let mut surplus_of_host = of_host.saturating_sub(most);
        let mut surplus = self.cookies.len().saturating_sub(MAX_COOKIES).max(surplus_of_host);
        let mut dropped = Vec::new();
        self.cookies.retain(|(key, other)| {
            let goes = if other == host { surplus_of_host > 0 } else { surplus > surplus_of_host };
            if goes {
                surplus_of_host = surplus_of_host.saturating_sub(usize::from(other == host));
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
    /// Everything at once, which packs it closest. Keys may be in any order and no two the same.
    pub(super) fn of(entries: Vec<(SessionKey, Box<Entry>)>, now: Tick) -> Self {
        let mut index = Self::default();
        let (mut users, mut sids) = (Vec::with_capacity(entries.len()), Vec::with_capacity(entries.len()));
        let numbered = entries.into_iter().map(|(key, mut entry)| {
            entry.number = index.number;
            index.number += 1;
            users.push((index.hashes.hash_one(entry.user), start(&key)));
            if !entry.sid().is_empty() {
                sids.push((index.hashes.hash_one(entry.sid()), start(&key)));
            }
            index.due.entry(second(entry.pulse.due(now))).or_default().push(start(&key));
            (key, entry)
        });
        index.entries = numbered.collect();
        index.users = users.into_iter().collect();
        index.sids = sids.into_iter().collect();
        index
    }

    pub(super) fn insert(&mut self, key: SessionKey, mut entry: Entry, now: Tick) {
        entry.number = self.number;
        self.number += 1;
        self.users.insert((self.hashes.hash_one(entry.user), start(&key)));
        if !entry.sid().is_empty() {
            self.sids.insert((self.hashes.hash_one(entry.sid()), start(&key)));
        }
        self.due.entry(second(entry.pulse.due(now))).or_default().push(start(&key));
        self.entries.insert(key, Box::new(entry));
    }

    pub(super) fn remove(&mut self, key: &SessionKey) -> Option<Box<Entry>> {
        let entry = self.entries.remove(key)?;
        // Another one may lead the same way: the same person or id, and a key that begins alike.
        let shared = |same: &dyn Fn(&Entry) -> bool| self.with_start(start(key)).any(|(_, other)| same(other));
        let (user, sid) = (self.hashes.hash_one(entry.user), self.hashes.hash_one(entry.sid()));
        let keeps_user = shared(&|other| self.hashes.hash_one(other.user) == user);
        let keeps_sid = shared(&|other| self.hashes.hash_one(other.sid()) == sid);
        if !keeps_user {
            self.users.remove(&(user, start(key)));
        }
        if !keeps_sid {
            self.sids.remove(&(sid, start(key)));
        }
        Some(entry)
    }

    pub(super) fn entry(&mut self, key: &SessionKey) -> Option<&mut Entry> {
        self.entries.get_mut(key).map(Box::as_mut)
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Oldest first.
    pub(super) fn of_user(&self, user: &UserKey) -> Vec<SessionKey> {
        let mut found = self.led_to(&self.users, self.hashes.hash_one(user), |entry| entry.user == *user);
        found.sort_unstable_by_key(|(_, entry)| (entry.created, entry.number));
        found.into_iter().map(|(key, _)| key).collect()
    }

    pub(super) fn of_sid(&self, tenant: Option<TenantId>, sid: &str) -> Vec<SessionKey> {
        let fits = |entry: &Entry| {
            !sid.is_empty() && entry.sid() == sid && tenant.is_none_or(|tenant| entry.user.tenant == tenant)
        };
        self.led_to(&self.sids, self.hashes.hash_one(sid), fits).into_iter().map(|(key, _)| key).collect()
    }

    /// The sessions to which `way` leads from `hash` and that fit.
    fn led_to(
        &self,
        way: &BTreeSet<(u64, u64)>,
        hash: u64,
        fits: impl Fn(&Entry) -> bool,
    ) -> Vec<(SessionKey, &Entry)> {
        let starts = way.range((hash, 0)..=(hash, u64::MAX)).map(|(_, start)| *start);
        starts.flat_map(|start| self.with_start(start)).filter(|(_, entry)| fits(entry)).collect()
    }

    /// The sessions whose keys begin so: one, but for a chance of one in billions.
    fn with_start(&self, start: u64) -> impl Iterator<Item = (SessionKey, &Entry)> {
        let start = start.to_be_bytes();
        let mut first = [0; 32];
        first.iter_mut().zip(start).for_each(|(to, from)| *to = from);
        let from = self.entries.range(SessionKey(first)..);
        from.map(|(key, entry)| (*key, &**entry)).take_while(move |(key, _)| key.0.starts_with(&start))
    }

    /// The only session whose key begins with `start`.
    pub(super) fn beginning_with(&self, start: [u8; 8]) -> Option<SessionKey> {
        let mut found = self.with_start(u64::from_be_bytes(start)).map(|(key, _)| key);
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
        let from = self.entries.range_mut((after.map_or(Unbounded, Excluded), Unbounded));
        from.map(|(key, entry)| (key, entry.as_mut())).take(limit)
    }

    /// The sessions that are over at `now`. Those that were used meanwhile are looked at again when it is their time.
    pub(super) fn take_due(&mut self, now: Tick) -> Vec<SessionKey> {
        let later = self.due.split_off(&second(now).saturating_add(1));
        let reached = std::mem::replace(&mut self.due, later);
        let (mut over, mut again) = (Vec::new(), Vec::new());
        for start in reached.into_values().flatten() {
            for (key, entry) in self.with_start(start) {
                if entry.pulse.is_over(now) {
                    over.push(key);
                } else {
                    // At least a tick later, or a session could come up for ever in one sweep.
                    again.push((entry.pulse.due(now).max(Tick(now.0.saturating_add(1))), start));
                }
            }
        }
        for (due, start) in again {
            self.due.entry(second(due)).or_default().push(start);
        }
        over
    }
}

/// The first eight bytes of a key.
fn start(key: &SessionKey) -> u64 {
    key.0.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

/// The whole second in which a moment lies: sessions are looked at once a second anyway.
const fn second(at: Tick) -> u64 {
    at.0 / 1000
}

/// Sessions one gateway keeps. Only people who signed in count, each at most [`MAX_PER_USER`] times.
pub(super) const MAX_SESSIONS: usize = 1_000_000;
/// Sessions of one person; the oldest ends when one more begins.
pub(super) const MAX_PER_USER: usize = 100;
/// Hosts' cookies of one session.
const MAX_COOKIES: usize = 512;
/// Cookies of one host of one session.
pub(super) const MAX_COOKIES_PER_HOST: usize = 4;
