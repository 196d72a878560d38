//! Reading all sessions at the start: what is alive goes into the index, what is over is marked for deletion.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::hosts::Hosts;
use super::index::{Entry, Index};
use super::pulse::Pulse;
use super::record::{Binding, LastUse, Record};
use super::{Config, CookieKey, SessionError, SessionKey};
use crate::facts::{SharedClock, UnixTime};
use crate::store::{Keyring, Store, Table};

/// What the store holds.
pub(super) struct Found {
    pub(super) index: Index,
    pub(super) hosts: Hosts,
    /// Sessions that are over, with their cookies.
    pub(super) over: HashMap<SessionKey, Vec<CookieKey>>,
    /// Records that do not open: edited, moved, or sealed with a key that is gone. They are no sessions, and stay
    /// where they are in case only the key file was mixed up.
    pub(super) unreadable: usize,
}

pub(super) fn read_all(
    config: &Config,
    store: &Store,
    keyring: &Keyring,
    clock: &SharedClock,
) -> Result<Found, SessionError> {
    let mut last_uses = HashMap::new();
    store.scan(Table::LastUse, |key, sealed| {
        if let Some(key) = session_key(key)
            && let Some(last_use) = LastUse::open(keyring, &key, sealed)
        {
            last_uses.insert(key, last_use);
        }
    })?;
    let (index, hosts) = (Index::default(), Hosts::default());
    let mut found = Found { index, hosts, over: HashMap::new(), unreadable: 0 };
    let mut unreadable = HashSet::new();
    let mut alive = Vec::new();
    store.scan(Table::Sessions, |bytes, sealed| {
        let Some(key) = session_key(bytes) else {
            found.unreadable += 1;
            return;
        };
        let Some(record) = Record::open(keyring, &key, sealed) else {
            unreadable.insert(key);
            return;
        };
        match pulse(config, clock, &record, last_uses.remove(&key)) {
            Some(pulse) => alive.push((key, Box::new(Entry::new(&record, Arc::new(pulse))))),
            None => drop(found.over.insert(key, Vec::new())),
        }
    })?;
    // Last uses whose session is gone.
    found.over.extend(last_uses.into_keys().filter(|key| !unreadable.contains(key)).map(|key| (key, Vec::new())));
    found.index = Index::of(alive, clock.tick());
    found.unreadable += unreadable.len();

    store.scan(Table::HostBindings, |bytes, sealed| {
        let Some((cookie, binding)) =
            cookie_key(bytes).and_then(|cookie| Some((cookie, Binding::open(keyring, &cookie, sealed)?)))
        else {
            found.unreadable += 1;
            return;
        };
        match found.index.entry(&binding.session) {
            Some(entry) => entry.push_cookie(cookie, found.hosts.text(&binding.host)),
            None if unreadable.contains(&binding.session) => {}
            None => found.over.entry(binding.session).or_default().push(cookie),
        }
    })?;
    Ok(found)
}

/// `None` when the session is over.
fn pulse(config: &Config, clock: &SharedClock, record: &Record, last_use: Option<LastUse>) -> Option<Pulse> {
    let now = clock.now();
    let used: UnixTime = last_use.map_or(record.created, |last_use| last_use.at);
    // A wall clock that went back makes the first figure too large; the other two are not of the wall clock.
    let left = record
        .expires
        .since(now)
        .min(config.absolute)
        .min(last_use.map_or(Duration::MAX, |last_use| Duration::from_secs(last_use.left_secs)));
    let idle_left = config.idle.saturating_sub(now.since(used));
    if left.is_zero() || idle_left.is_zero() {
        return None;
    }
    let pulse = Pulse::new(clock.tick(), left, config.idle, idle_left);
    if record.created > now || used > now {
        // Written under a clock that was ahead. Written again under this one, or every restart would begin anew.
        pulse.mark_unsaved();
    }
    Some(pulse)
}

fn session_key(bytes: &[u8]) -> Option<SessionKey> {
    bytes.try_into().ok().map(SessionKey)
}

fn cookie_key(bytes: &[u8]) -> Option<CookieKey> {
    bytes.try_into().ok().map(CookieKey)
}
