//! Claims of a gateway on its own: first come, first served, remembered for the time asked.
//!
//! A plain table under one lock, not a cache: a cache may forget a claim to make room, and moka's `or_insert` may call
//! two racers fresh (<https://github.com/moka-rs/moka/issues/545>). Either would let a single-use code be used again.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use tokio::time::Instant;

/// Cheap to clone; clones share the table.
#[derive(Clone)]
pub(super) struct Claims {
    table: Arc<Mutex<Table>>,
    limit: usize,
}

/// Times are monotonic: a step of the wall clock frees no claim.
#[derive(Default)]
struct Table {
    until: HashMap<[u8; 32], Instant>,
    by_end: BTreeSet<(Instant, [u8; 32])>,
}

impl Claims {
    pub(super) fn new(limit: usize) -> Self {
        Self { table: Arc::default(), limit }
    }

    pub(super) fn claim(&self, key: &[u8], ttl: Duration) -> bool {
        let name = name_of(key);
        let now = Instant::now();
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        table.forget_ended(now);
        if table.until.contains_key(&name) || table.until.len() >= self.limit {
            return false;
        }
        // Longer than a claim can sensibly last; keeps the sum from overflowing.
        let until = now + ttl.min(LONGEST);
        table.until.insert(name, until);
        table.by_end.insert((until, name));
        true
    }

    pub(super) fn release(&self, key: &[u8]) {
        let name = name_of(key);
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(until) = table.until.remove(&name) {
            table.by_end.remove(&(until, name));
        }
    }
}

impl Table {
    fn forget_ended(&mut self, now: Instant) {
        while let Some((until, name)) = self.by_end.first().copied().filter(|(until, _)| *until <= now) {
            self.by_end.remove(&(until, name));
            self.until.remove(&name);
        }
    }
}

/// Hashed, so that no key takes more room than another.
fn name_of(key: &[u8]) -> [u8; 32] {
    let mut name = [0; 32];
    name.iter_mut().zip(digest(&SHA256, key).as_ref()).for_each(|(to, from)| *to = *from);
    name
}

const LONGEST: Duration = Duration::from_secs(30 * 24 * 3600);
