//! Claims of a gateway on its own: first come, first served, remembered for the time asked.

use std::time::{Duration, Instant};

use aws_lc_rs::digest::{SHA256, digest};
use moka::Expiry;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

/// Cheap to clone; clones share the table.
#[derive(Clone)]
pub(super) struct Claims {
    table: Cache<[u8; 32], Duration>,
    limit: u64,
}

impl Claims {
    pub(super) fn new(limit: u64) -> Self {
        // The table's own bound lies above ours, so it never evicts: moka counts with a delay of a few hundred.
        let table = Cache::builder()
            .max_capacity(limit.saturating_add(SLACK))
            .eviction_policy(EvictionPolicy::lru())
            .expire_after(AsAsked)
            .build();
        Self { table, limit }
    }

    pub(super) fn claim(&self, key: &[u8], ttl: Duration) -> bool {
        if self.table.entry_count() >= self.limit {
            self.table.run_pending_tasks();
            if self.table.entry_count() >= self.limit {
                return false;
            }
        }
        // Hashed, so that no key takes more room than another.
        let mut name = [0; 32];
        name.iter_mut().zip(digest(&SHA256, key).as_ref()).for_each(|(to, from)| *to = *from);
        self.table.entry(name).or_insert(ttl).is_fresh()
    }
}

/// Every claim lasts as long as it asked, on moka's monotonic clock: a step of the wall clock frees nothing.
struct AsAsked;

impl Expiry<[u8; 32], Duration> for AsAsked {
    fn expire_after_create(&self, _key: &[u8; 32], ttl: &Duration, _created: Instant) -> Option<Duration> {
        Some(*ttl)
    }
}

const SLACK: u64 = 8192;
