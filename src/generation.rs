//! A value that is swapped whole: readers keep their `Arc` and look again only when the generation moved.
//!
//! A read on the request path is one atomic load. `arc-swap` is not used on the decision path: its 2026 releases
//! fixed a use after free and a type confusion in `load` (its issues 214 and 210), and a wrong policy snapshot would
//! be an authorisation bypass.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// The cell that holds the current generation of a value.
#[derive(Debug)]
pub struct Generation<T> {
    number: AtomicU64,
    value: RwLock<Arc<T>>,
}

impl<T> Generation<T> {
    /// A cell holding generation 1.
    #[must_use]
    pub fn new(value: T) -> Self {
        Self { number: AtomicU64::new(1), value: RwLock::new(Arc::new(value)) }
    }

    /// The number of the current generation; grows by one with each swap.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number.load(Ordering::Acquire)
    }

    /// The current value with its number.
    #[must_use]
    pub fn current(&self) -> Held<T> {
        let guard = self.value.read().unwrap_or_else(PoisonError::into_inner);
        // Read under the lock, so that number and value belong together.
        Held { number: self.number.load(Ordering::Acquire), value: Arc::clone(&guard) }
    }

    /// Puts a new generation in place and returns its number. Whoever holds an older one keeps it until it looks again.
    pub fn swap(&self, value: T) -> u64 {
        let mut guard = self.value.write().unwrap_or_else(PoisonError::into_inner);
        *guard = Arc::new(value);
        self.number.fetch_add(1, Ordering::AcqRel) + 1
    }

    /// Brings `held` up to date if the generation moved; says whether it did.
    pub fn refresh(&self, held: &mut Held<T>) -> bool {
        if held.number == self.number() {
            return false;
        }
        *held = self.current();
        true
    }
}

/// A reader's own handle to one generation.
#[derive(Debug)]
pub struct Held<T> {
    number: u64,
    value: Arc<T>,
}

impl<T> Clone for Held<T> {
    fn clone(&self) -> Self {
        Self { number: self.number, value: Arc::clone(&self.value) }
    }
}

impl<T> Held<T> {
    /// Which generation this is.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// The value, shared.
    #[must_use]
    pub const fn value(&self) -> &Arc<T> {
        &self.value
    }
}

impl<T> std::ops::Deref for Held<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_holder_sees_the_old_value_until_it_refreshes() {
        let cell = Generation::new(1);
        let mut held = cell.current();
        assert!(!cell.refresh(&mut held));
        assert_eq!(cell.swap(2), 2);
        assert_eq!(*held, 1);
        assert!(cell.refresh(&mut held));
        assert_eq!((*held, held.number()), (2, 2));
    }
}
