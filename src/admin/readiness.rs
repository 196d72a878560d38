//! Whether this gateway should be sent traffic, and if not, why.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What must hold for the gateway to be ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Condition {
    /// The listeners accept connections.
    Listening,
    /// The identity provider's keys are known, so that people can sign in.
    ProviderKeys,
    /// The durable store answers.
    Store,
    /// No shutdown has begun.
    NotDraining,
}

impl Condition {
    /// Every condition.
    pub const ALL: [Self; 4] = [Self::Listening, Self::ProviderKeys, Self::Store, Self::NotDraining];

    /// The word in the answer of `/ready`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Listening => "listening",
            Self::ProviderKeys => "provider_keys",
            Self::Store => "store",
            Self::NotDraining => "not_draining",
        }
    }
}

/// A handle to the conditions; clones see the same ones.
#[derive(Debug, Clone)]
pub struct Readiness {
    holds: Arc<[AtomicBool; Condition::ALL.len()]>,
}

impl Readiness {
    /// As at the start: only [`Condition::NotDraining`] holds.
    #[must_use]
    pub fn new() -> Self {
        Self { holds: Arc::new(Condition::ALL.map(|c| AtomicBool::new(c == Condition::NotDraining))) }
    }

    /// Says whether a condition holds now.
    pub fn set(&self, condition: Condition, holds: bool) {
        if let Some(flag) = Condition::ALL.iter().position(|c| *c == condition).and_then(|at| self.holds.get(at)) {
            flag.store(holds, Ordering::Release);
        }
    }

    /// The conditions that do not hold; empty means ready.
    #[must_use]
    pub fn missing(&self) -> Vec<Condition> {
        let holds = self.holds.iter().map(|flag| flag.load(Ordering::Acquire));
        Condition::ALL.into_iter().zip(holds).filter(|(_, holds)| !holds).map(|(condition, _)| condition).collect()
    }
}

impl Default for Readiness {
    fn default() -> Self {
        Self::new()
    }
}
