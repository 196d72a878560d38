//! Durations in fixed buckets, written by one thread without a lock (prometheus-client's own histogram takes a mutex).

use std::time::Duration;

use super::count::Count;

/// A histogram of durations with one writing thread.
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: [Count; BOUNDS_MICROS.len() + 1],
    micros: Count,
}

impl Histogram {
    /// Adds one observation. Call it from the owning worker's thread only.
    pub fn observe(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let at = BOUNDS_MICROS.iter().position(|bound| micros <= *bound).unwrap_or(BOUNDS_MICROS.len());
        if let Some(bucket) = self.buckets.get(at) {
            bucket.up();
        }
        self.micros.add(micros);
    }

    /// Adds this histogram's numbers to a sum.
    pub(super) fn add_to(&self, sum: &mut Sum) {
        for (total, bucket) in sum.buckets.iter_mut().zip(&self.buckets) {
            *total = total.wrapping_add(bucket.value());
        }
        sum.micros = sum.micros.wrapping_add(self.micros.value());
    }
}

/// The sum of the same histogram over all workers.
#[derive(Debug, Default)]
pub(super) struct Sum {
    buckets: [u64; BOUNDS_MICROS.len() + 1],
    micros: u64,
}

impl Sum {
    pub(super) fn count(&self) -> u64 {
        self.buckets.iter().fold(0, |sum, n| sum.wrapping_add(*n))
    }

    pub(super) fn seconds(&self) -> f64 {
        seconds(self.micros)
    }

    /// Upper bound in seconds and the number in that bucket alone.
    pub(super) fn buckets(&self) -> Vec<(f64, u64)> {
        let bounds = BOUNDS_MICROS.iter().map(|micros| seconds(*micros)).chain([f64::INFINITY]);
        bounds.zip(self.buckets).collect()
    }
}

fn seconds(micros: u64) -> f64 {
    Duration::from_micros(micros).as_secs_f64()
}

/// From half a millisecond (a cached answer on the same machine) to ten seconds.
pub(super) const BOUNDS_MICROS: [u64; 14] = [
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000,
    10_000_000,
];
