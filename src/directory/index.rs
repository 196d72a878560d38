//! From an object's id to its number: an open table of numbers that looks the ids up where they are kept anyway, so a
//! million of them cost 8 MiB instead of 70.

use super::object::Object;

/// Numbers by id; see the module. Nothing is ever taken out: a number is given up only when everything is read anew.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// A power of two of places, or none.
    places: Vec<u32>,
    used: usize,
}

impl Index {
    /// With room for `count` numbers.
    pub(super) fn with_room(count: usize) -> Self {
        let places = count.saturating_mul(4).div_ceil(3).max(64).next_power_of_two();
        Self { places: vec![FREE; places], used: 0 }
    }

    /// The number of `id`, an id of one of `objects`.
    pub(super) fn find(&self, id: u128, objects: &[Object]) -> Option<u32> {
        let mut place = self.first(id);
        loop {
            let number = *self.places.get(place)?;
            if number == FREE {
                return None;
            }
            if objects.get(at(number)).is_some_and(|object| object.id == id) {
                return Some(number);
            }
            place = self.after(place);
        }
    }

    /// Remembers `number`, whose object is in `objects` already and was not known here.
    pub(super) fn add(&mut self, number: u32, objects: &[Object]) {
        if (self.used + 1).saturating_mul(4) > self.places.len().saturating_mul(3) {
            let mut larger = Self::with_room((self.used + 1).saturating_mul(2));
            for number in self.places.drain(..).filter(|number| *number != FREE) {
                larger.put(number, objects);
            }
            *self = larger;
        }
        self.put(number, objects);
    }

    fn put(&mut self, number: u32, objects: &[Object]) {
        let Some(object) = objects.get(at(number)) else { return };
        let mut place = self.first(object.id);
        // There is always a free place: at most three in four are taken.
        while self.places.get(place).is_some_and(|taken| *taken != FREE) {
            place = self.after(place);
        }
        if let Some(free) = self.places.get_mut(place) {
            *free = number;
            self.used += 1;
        }
    }

    /// Ids come from the provider's random numbers, not from a stranger, so a plain mix will do.
    fn first(&self, id: u128) -> usize {
        let halves = u64::try_from((id >> 64) ^ (id & u128::from(u64::MAX))).unwrap_or(0);
        let mixed = halves.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        usize::try_from(mixed >> 20).unwrap_or(0) & self.places.len().wrapping_sub(1)
    }

    const fn after(&self, place: usize) -> usize {
        (place + 1) & self.places.len().wrapping_sub(1)
    }
}

/// A number as a place in a list.
pub(super) fn at(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

const FREE: u32 = u32::MAX;
