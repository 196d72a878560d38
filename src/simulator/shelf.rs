//! A map with a cap: the oldest entry makes room for the newest, so no caller can grow the simulator without end.

use std::collections::{HashMap, VecDeque};

/// Entries by opaque key, at most `cap` of them.
#[derive(Debug)]
pub(super) struct Shelf<V> {
    cap: usize,
    entries: HashMap<String, V>,
    order: VecDeque<String>,
}

impl<V> Shelf<V> {
    /// An empty shelf for `cap` entries.
    pub(super) fn new(cap: usize) -> Self {
        Self { cap, entries: HashMap::new(), order: VecDeque::new() }
    }

    /// Puts an entry down under a key that was not used before.
    pub(super) fn put(&mut self, key: String, value: V) {
        while self.order.len() >= self.cap {
            let Some(oldest) = self.order.pop_front() else { break };
            self.entries.remove(&oldest);
        }
        self.order.push_back(key.clone());
        self.entries.insert(key, value);
    }

    /// The entry under `key`.
    pub(super) fn look(&self, key: &str) -> Option<&V> {
        self.entries.get(key)
    }

    /// The entry under `key`, to change it.
    pub(super) fn look_mut(&mut self, key: &str) -> Option<&mut V> {
        self.entries.get_mut(key)
    }

    /// Takes the entry away. Costs a walk over the keys, which is fine for sign-outs.
    pub(super) fn take(&mut self, key: &str) -> Option<V> {
        let value = self.entries.remove(key)?;
        self.order.retain(|k| k != key);
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::Shelf;

    #[test]
    fn the_oldest_entry_makes_room() {
        let mut shelf = Shelf::new(2);
        for n in 0..3 {
            shelf.put(n.to_string(), n);
        }
        assert_eq!((shelf.look("0"), shelf.look("1"), shelf.look("2")), (None, Some(&1), Some(&2)));
        assert_eq!(shelf.take("1"), Some(1));
        assert_eq!(shelf.take("1"), None);
    }
}
