//! How far the reading of users or groups is, and which full reading is the one that counts.
//!
//! Full readings are numbered. Everything that is seen carries the number of the reading that saw it last, so the end
//! of one is a single number that moves: who carries a smaller one is gone. A reading that is broken off never ends,
//! and the one begun in its place has a number of its own, so it removes nobody by accident.

use super::{Round, SyncKind};

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Reading {
    /// The full reading that ended last; zero for none.
    pub(super) complete: u32,
    /// The full reading that began last.
    pub(super) last: u32,
    /// Whether `last` is under way.
    pub(super) running: bool,
    position: Position,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
enum Position {
    /// No link: begin anew.
    #[default]
    None,
    /// In the middle of a round.
    Next(String),
    /// Between two rounds.
    Delta(String),
}

impl Reading {
    /// The number for what is seen now.
    pub(super) const fn mark(&self) -> u32 {
        if self.running { self.last } else { self.complete }
    }

    /// How it stands once a full reading has begun, whatever became of the one before. It has no link yet: after a
    /// crash it begins anew.
    pub(super) fn begun(&self) -> Self {
        Self { last: self.last.saturating_add(1), running: true, position: Position::None, ..self.clone() }
    }

    /// How it stands once `round`, whose beginning has been taken already, is taken.
    pub(super) fn after(&self, round: &Round) -> Self {
        let mut after = self.clone();
        match round {
            Round::FullBegins { next } | Round::GoesOn { next } => after.position = Position::Next(next.clone()),
            Round::Ends { delta, .. } => {
                if after.running {
                    after.complete = after.last;
                    after.running = false;
                }
                after.position = Position::Delta(delta.clone());
            }
        }
        after
    }

    /// Where to go on, as the round of the last page that was applied.
    pub(super) fn round(&self) -> Option<Round> {
        match &self.position {
            Position::None => None,
            Position::Next(next) if self.running => Some(Round::FullBegins { next: next.clone() }),
            Position::Next(next) => Some(Round::GoesOn { next: next.clone() }),
            Position::Delta(delta) => Some(Round::Ends { delta: delta.clone(), was_full: false }),
        }
    }

    /// Its row in the store.
    pub(super) fn row(&self) -> Vec<u8> {
        let (code, link) = match &self.position {
            Position::None => (0, ""),
            Position::Next(next) => (1, next.as_str()),
            Position::Delta(delta) => (2, delta.as_str()),
        };
        let mut row = vec![u8::from(self.running), code];
        row.extend_from_slice(&self.complete.to_le_bytes());
        row.extend_from_slice(&self.last.to_le_bytes());
        row.extend_from_slice(link.as_bytes());
        row
    }

    /// Reads a row; `None` when it is not one.
    pub(super) fn of_row(row: &[u8]) -> Option<Self> {
        let ([running, code], rest) = row.split_first_chunk::<2>()?;
        let (complete, rest) = rest.split_first_chunk()?;
        let (last, link) = rest.split_first_chunk()?;
        let link = std::str::from_utf8(link).ok()?.to_owned();
        let position = match code {
            0 => Position::None,
            1 => Position::Next(link),
            2 => Position::Delta(link),
            _ => return None,
        };
        Some(Self {
            complete: u32::from_le_bytes(*complete),
            last: u32::from_le_bytes(*last),
            running: *running == 1,
            position,
        })
    }
}

/// The last byte of its key in the store.
pub(super) const fn code(kind: SyncKind) -> u8 {
    match kind {
        SyncKind::Users => 1,
        SyncKind::Groups => 2,
        SyncKind::Risk => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_survives_the_store_with_its_link() {
        let mut reading = Reading::default();
        assert_eq!(reading.round(), None);
        for round in [
            Round::FullBegins { next: "a".to_owned() },
            Round::FullBegins { next: "b".to_owned() },
            Round::Ends { delta: "c".to_owned(), was_full: false },
            Round::GoesOn { next: "d".to_owned() },
        ] {
            if matches!(round, Round::FullBegins { .. }) {
                reading = reading.begun();
                assert_eq!(reading.round(), None, "nothing to go on from until the page is in whole");
            }
            reading = reading.after(&round);
            assert_eq!(reading.round(), Some(round));
            assert_eq!(Reading::of_row(&reading.row()), Some(reading.clone()));
        }
        assert_eq!((reading.complete, reading.last, reading.running), (2, 2, false));
        assert_eq!(Reading::of_row(&reading.row()[..9]), None);
    }
}
