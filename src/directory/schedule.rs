//! When a job reads next: on a fixed grid, so that a cycle that failed or took long does not move those after it.

use std::time::Duration;

use crate::facts::Tick;

/// The grid of one job: a first time, then one slot each interval. A plain value: no clock, no sleep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Schedule {
    first: Tick,
    every: Duration,
}

/// How the last cycle went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Last {
    /// There was none.
    Never,
    /// Well.
    Done,
    /// It failed, for the `times`-th time in a row; `asked` is what the other side wants us to wait.
    Failed {
        /// How often, at least once.
        times: u32,
        /// The wait asked for.
        asked: Option<Duration>,
    },
}

impl Last {
    /// The same after one more failure.
    pub(super) const fn failed(self, asked: Option<Duration>) -> Self {
        match self {
            Self::Failed { times, .. } => Self::Failed { times: times.saturating_add(1), asked },
            Self::Never | Self::Done => Self::Failed { times: 1, asked },
        }
    }
}

impl Schedule {
    /// A grid that begins `first` after `origin`.
    pub(super) fn new(origin: Tick, first: Duration, every: Duration) -> Self {
        Self { first: origin.plus(first), every: every.max(Duration::from_secs(1)) }
    }

    /// The first slot after `now`.
    pub(super) fn slot_after(&self, now: Tick) -> Tick {
        if now < self.first {
            return self.first;
        }
        let past = now.since(self.first).as_millis();
        let every = self.every.as_millis();
        let slots = u64::try_from((past / every + 1) * every).unwrap_or(u64::MAX);
        self.first.plus(Duration::from_millis(slots))
    }

    /// When to begin the next cycle. After a failure that is earlier than the next slot where slots are far apart, and
    /// later where they are close; `noise` spreads gateways that failed together.
    pub(super) fn next(&self, last: Last, now: Tick, noise: u8) -> Tick {
        match last {
            Last::Never => self.first.max(now),
            Last::Done => self.slot_after(now),
            Last::Failed { times, asked } => {
                let longest = (self.every / 8).clamp(SHORT_RETRY, LONG_RETRY);
                let doubled = FIRST_RETRY * 2u32.saturating_pow(times.saturating_sub(1).min(16));
                let wait = doubled.min(longest);
                let retry = now.plus(wait + wait / 4 * u32::from(noise) / 255);
                // A slot is a good time to try unless slots come faster than a failing side should be asked.
                let retry = if self.every > longest { retry.min(self.slot_after(now)) } else { retry };
                retry.max(now.plus(asked.unwrap_or_default().min(LONGEST_ASKED)))
            }
        }
    }
}

const FIRST_RETRY: Duration = Duration::from_secs(1);
/// The longest wait between tries of a job that reads every few seconds.
const SHORT_RETRY: Duration = Duration::from_secs(60);
/// The longest wait between tries of a job that reads every few hours.
const LONG_RETRY: Duration = Duration::from_secs(3600);
/// What the other side asks for is obeyed up to this.
pub(super) const LONGEST_ASKED: Duration = Duration::from_secs(600);

#[cfg(test)]
mod tests {
    use super::super::Rhythm;
    use super::*;
    use crate::facts::{Clock as _, ManualClock, UnixTime};

    const MINUTE: Duration = Duration::from_secs(60);
    const HOUR: Duration = Duration::from_secs(3600);

    fn ztsa() -> (Schedule, ManualClock) {
        let clock = ManualClock::at(UnixTime(1_790_000_000));
        (Schedule::new(clock.tick(), Rhythm::ZTSA.first, Rhythm::ZTSA.people), clock)
    }

    fn at(minutes: u64) -> Tick {
        Tick(minutes * 60_000)
    }

    #[test]
    fn ztsa_begins_at_ten_minutes_and_goes_on_every_eight_hours() {
        let (schedule, clock) = ztsa();
        assert_eq!(schedule.next(Last::Never, clock.tick(), 0), at(10));
        clock.advance(MINUTE * 10);
        assert_eq!(schedule.next(Last::Never, clock.tick(), 0), at(10), "due now");
        // The first reading takes an hour; the grid does not care.
        clock.advance(HOUR);
        for round in 1..4 {
            let next = schedule.next(Last::Done, clock.tick(), 255);
            assert_eq!(next, at(10 + round * 480));
            clock.advance(next.since(clock.tick()) + MINUTE);
        }
    }

    #[test]
    fn ztsa_retries_a_failed_cycle_within_it_and_keeps_the_next_slot() {
        let (schedule, clock) = ztsa();
        clock.advance(MINUTE * 10);
        let (mut last, mut tries) = (Last::Done, 0u32);
        loop {
            last = last.failed(None);
            tries += 1;
            let next = schedule.next(last, clock.tick(), 128);
            assert!(next > clock.tick(), "no busy loop");
            assert!(next <= at(490), "never past the slot, so never 16 hours");
            clock.advance(next.since(clock.tick()));
            if next == at(490) {
                break;
            }
        }
        assert!((12..40).contains(&tries), "a budget of tries: {tries}");
        assert_eq!(schedule.next(Last::Done, clock.tick(), 0), at(970), "the cycle after it is where it was");
    }

    #[test]
    fn the_fast_rhythm_begins_at_once_and_backs_off_to_a_minute() {
        let clock = ManualClock::at(UnixTime(0));
        let schedule = Schedule::new(clock.tick(), Rhythm::FAST.first, Rhythm::FAST.people);
        assert_eq!(schedule.next(Last::Never, clock.tick(), 0), Tick(0));
        assert_eq!(schedule.next(Last::Done, Tick(100), 0), Tick(15_000));
        assert_eq!(schedule.next(Last::Done, Tick(31_000), 0), Tick(45_000), "back on the grid after a long reading");
        let mut last = Last::Done;
        let waits: Vec<u64> = (0..9)
            .map(|_| {
                last = last.failed(None);
                schedule.next(last, Tick(0), 0).0 / 1000
            })
            .collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(schedule.next(last, Tick(0), 255), Tick(75_000), "spread by a quarter at most");
    }

    #[test]
    fn a_wait_that_was_asked_for_is_obeyed_but_not_for_ever() {
        let (schedule, _) = ztsa();
        let asked = |seconds| Last::Failed { times: 1, asked: Some(Duration::from_secs(seconds)) };
        assert_eq!(schedule.next(asked(5), at(11), 0), at(11).plus(Duration::from_secs(5)));
        assert_eq!(schedule.next(asked(99_999_999), at(11), 0), at(11).plus(LONGEST_ASKED));
    }
}
