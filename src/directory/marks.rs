//! What administrators said about single people: holds, and whose requests are logged in full.

use std::collections::HashMap;

use crate::facts::{Hold, ObjectId, UnixTime};

/// One person's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Mark {
    pub(super) hold: Hold,
    pub(super) watched_until: UnixTime,
}

/// One tenant's; only people about whom something was said.
pub(super) type Marks = HashMap<ObjectId, Mark>;

impl Mark {
    /// Its row in the store; `None` when nothing is left to say.
    pub(super) fn row(&self) -> Option<Vec<u8>> {
        if *self == Self::default() {
            return None;
        }
        let mut row = vec![u8::from(self.hold.private) | u8::from(self.hold.internet) << 1];
        row.extend_from_slice(&self.watched_until.0.to_le_bytes());
        Some(row)
    }

    /// Reads a row; `None` when it is not one.
    pub(super) fn of_row(row: &[u8]) -> Option<Self> {
        let (flags, rest) = row.split_first()?;
        let (watched, _) = rest.split_first_chunk()?;
        let hold = Hold { private: flags & 1 != 0, internet: flags & 2 != 0 };
        Some(Self { hold, watched_until: UnixTime(u64::from_le_bytes(*watched)) })
    }
}
