//! The lifetime of one session: when it ends at the latest, when it would be idle, how many streams hold it.
//!
//! All in monotonic ticks, so that no step of the wall clock prolongs a session. It outlives the eviction of the
//! session from memory: the index keeps it, and a session that is loaded again gets the same one.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use crate::facts::Tick;

pub(super) struct Pulse {
    deadline: Tick,
    idle: Duration,
    /// Tick from which the session counts as idle; moves ahead with use.
    idle_from: AtomicU64,
    /// The value of `idle_from` that is on disk.
    saved: AtomicU64,
    streams: AtomicU32,
}

impl Pulse {
    /// `left`: of the absolute lifetime; `idle_left`: until idle, if nothing happens.
    pub(super) fn new(now: Tick, left: Duration, idle: Duration, idle_left: Duration) -> Self {
        let idle_from = now.plus(idle_left).0;
        Self {
            deadline: now.plus(left),
            idle,
            idle_from: AtomicU64::new(idle_from),
            saved: AtomicU64::new(idle_from),
            streams: AtomicU32::new(0),
        }
    }

    /// Whether the session is past its absolute or idle lifetime.
    pub(super) fn is_over(&self, now: Tick) -> bool {
        now >= self.deadline || (self.streams() == 0 && now.0 >= self.idle_from.load(Ordering::Relaxed))
    }

    /// Notes a use. Writes only when a second has passed, so that busy sessions do not bounce between cores.
    pub(super) fn beat(&self, now: Tick) {
        let next = now.plus(self.idle).0;
        if next >= self.idle_from.load(Ordering::Relaxed).saturating_add(STEP_MS) {
            self.idle_from.store(next, Ordering::Relaxed);
        }
    }

    pub(super) fn stream_began(&self, now: Tick) {
        self.streams.fetch_add(1, Ordering::Relaxed);
        self.idle_from.fetch_max(now.plus(self.idle).0, Ordering::Relaxed);
    }

    pub(super) fn stream_ended(&self, now: Tick) {
        // The use counts before the hold goes, or a sweep between the two would find an idle session.
        self.idle_from.fetch_max(now.plus(self.idle).0, Ordering::Release);
        self.streams.fetch_sub(1, Ordering::Release);
    }

    pub(super) fn streams(&self) -> u32 {
        self.streams.load(Ordering::Acquire)
    }

    /// The first tick at which the session could be over, as things stand.
    pub(super) fn due(&self, now: Tick) -> Tick {
        let idle_from =
            if self.streams() > 0 { now.plus(self.idle) } else { Tick(self.idle_from.load(Ordering::Relaxed)) };
        self.deadline.min(idle_from)
    }

    /// What is left of the absolute lifetime.
    pub(super) fn left(&self, now: Tick) -> Duration {
        self.deadline.since(now)
    }

    /// How long ago it was last used.
    pub(super) fn unused_for(&self, now: Tick) -> Duration {
        if self.streams() > 0 {
            return Duration::ZERO;
        }
        now.plus(self.idle).since(Tick(self.idle_from.load(Ordering::Relaxed)))
    }

    /// Whether its last use is not on disk yet; [`Pulse::mark_saved`] takes the answer once it is.
    pub(super) fn unsaved(&self, now: Tick) -> Option<u64> {
        if self.streams() > 0 {
            self.idle_from.fetch_max(now.plus(self.idle).0, Ordering::Relaxed);
        }
        let idle_from = self.idle_from.load(Ordering::Relaxed);
        (idle_from > self.saved.load(Ordering::Relaxed)).then_some(idle_from)
    }

    /// What is on disk is no good, although nothing happened since.
    pub(super) fn mark_unsaved(&self) {
        self.saved.store(0, Ordering::Relaxed);
    }

    pub(super) fn mark_saved(&self, idle_from: u64) {
        self.saved.fetch_max(idle_from, Ordering::Relaxed);
    }
}

/// How much later a use must be than the last noted one to be noted.
const STEP_MS: u64 = 1000;
