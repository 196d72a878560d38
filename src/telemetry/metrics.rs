//! Every metric, declared in one list.
//!
//! The data path writes only to its own worker's counters ([`WorkerMetrics`]): plain relaxed stores by a single
//! writer, summed when somebody scrapes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A counter with one writing thread. Adding is a load and a store, no locked instruction.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// Adds one. Call it from the owning worker's thread only; another thread's addition could be lost.
    pub fn up(&self) {
        self.add(1);
    }

    /// Adds `n`; same rule as [`Count::up`].
    pub fn add(&self, n: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
    }

    /// Subtracts one, for gauges; same rule as [`Count::up`].
    pub fn down(&self) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_sub(1), Ordering::Relaxed);
    }

    /// The current value, from any thread.
    #[must_use]
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What one data-plane worker counts.
#[derive(Debug, Default)]
pub struct WorkerMetrics {
    /// Connections accepted.
    pub connections: Count,
    /// Connections open now.
    pub connections_open: Count,
    /// TLS handshakes that failed or timed out.
    pub handshakes_failed: Count,
    /// Requests, by class of the status sent: index 1 to 5 for 1xx to 5xx, 0 for none sent.
    pub responses: [Count; 6],
}

/// All metrics of the process.
#[derive(Debug, Default)]
pub struct Metrics {
    workers: Vec<Arc<WorkerMetrics>>,
}

impl Metrics {
    /// Metrics for `workers` data-plane workers.
    #[must_use]
    pub fn new(workers: usize) -> Arc<Self> {
        Arc::new(Self { workers: (0..workers).map(|_| Arc::default()).collect() })
    }

    /// The counters of worker `index`; `None` beyond the number given to [`Metrics::new`].
    #[must_use]
    pub fn worker(&self, index: usize) -> Option<Arc<WorkerMetrics>> {
        self.workers.get(index).cloned()
    }
}
