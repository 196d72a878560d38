//! What happened to account actions. Few and far between, so a locked table will do.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::Tally;

/// Counts account actions. All words are from closed lists, hence so is the number of series.
#[derive(Debug, Default)]
pub struct ActionMetrics {
    turned: Mutex<BTreeMap<(&'static str, &'static str), u64>>,
    braked: Mutex<BTreeMap<&'static str, u64>>,
    /// 1 while everything automatic is stopped.
    pub stopped: Tally,
}

impl ActionMetrics {
    /// A task of this kind came to this state; `reason` tells why if it is held or failed.
    pub fn turned(&self, action: &'static str, state: &'static str, reason: Option<&'static str>) {
        *self.turned.lock().unwrap_or_else(PoisonError::into_inner).entry((action, state)).or_default() += 1;
        if let (true, Some(reason)) = (matches!(state, "held" | "proposed"), reason) {
            self.braked(reason);
        }
    }

    /// This brake held something.
    pub fn braked(&self, brake: &'static str) {
        *self.braked.lock().unwrap_or_else(PoisonError::into_inner).entry(brake).or_default() += 1;
    }

    /// Action, state and how often a task came to it.
    pub(super) fn states(&self) -> Vec<([&'static str; 2], u64)> {
        let turned = self.turned.lock().unwrap_or_else(PoisonError::into_inner);
        turned.iter().map(|((action, state), count)| ([*action, *state], *count)).collect()
    }

    /// Brake and how often it held something.
    pub(super) fn brakes(&self) -> Vec<(&'static str, u64)> {
        let braked = self.braked.lock().unwrap_or_else(PoisonError::into_inner);
        braked.iter().map(|(brake, count)| (*brake, *count)).collect()
    }
}
