//! How fast Graph may be asked: a slot per second for risk, and waiting longer after each "not so fast".

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::facts::{SharedClock, Tick};

/// When the next call may start. A plain value: no clock, no sleep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    free: Tick,
}

impl Default for Pace {
    fn default() -> Self {
        Self { free: Tick(0) }
    }
}

impl Pace {
    /// The moment of the next call that may start at `now` or later.
    #[must_use]
    pub fn next_allowed(&self, now: Tick) -> Tick {
        self.free.max(now)
    }

    /// Takes that slot, if it begins within `patience`; else takes nothing and tells how long it would be.
    ///
    /// # Errors
    /// The wait that was too long.
    pub fn take(&mut self, now: Tick, patience: Duration) -> Result<Duration, Duration> {
        let slot = self.next_allowed(now);
        let wait = slot.since(now);
        if wait > patience {
            return Err(wait);
        }
        self.free = slot.plus(RISK_INTERVAL);
        Ok(wait)
    }

    /// Nobody may call for `span` from `now` on.
    pub fn hold(&mut self, now: Tick, span: Duration) {
        self.free = self.free.max(now.plus(span));
    }
}

/// [`Pace`] for everybody who asks about one tenant.
pub(super) struct Gate {
    clock: SharedClock,
    pace: Mutex<Pace>,
}

impl Gate {
    pub(super) fn new(clock: SharedClock) -> Self {
        Self { clock, pace: Mutex::default() }
    }

    /// Returns when the caller's turn has come; `Err` at once when that would take longer than `patience`.
    pub(super) async fn pass(&self, patience: Duration) -> Result<(), Duration> {
        let now = self.clock.tick();
        let mut left = self.locked().take(now, patience)?;
        let due = now.plus(left);
        // In parts, because a clock in tests is moved by hand.
        while !left.is_zero() && self.clock.tick() < due {
            let part = left.min(PART);
            tokio::time::sleep(part).await;
            left -= part;
        }
        Ok(())
    }

    pub(super) fn hold(&self, span: Duration) {
        let now = self.clock.tick();
        self.locked().hold(now, span);
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long to wait before trying again, and whether to try at all: twice as long each time, at most an hour, with
/// jitter so that several gateways do not return together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    failures: u32,
    budget: u32,
}

impl Backoff {
    /// At most `budget` further tries.
    #[must_use]
    pub const fn new(budget: u32) -> Self {
        Self { failures: 0, budget }
    }

    /// The wait before the next try; `None` when the budget is spent. What Graph asked for (`asked`) is obeyed, up to
    /// an hour, which is also MSAL's cap.
    pub fn next(&mut self, asked: Option<Duration>) -> Option<Duration> {
        if self.failures >= self.budget {
            return None;
        }
        self.failures += 1;
        let base = asked.unwrap_or_else(|| FIRST_WAIT * (1 << (self.failures - 1).min(12)));
        let base = base.min(LONGEST_WAIT);
        Some(base + jitter(base / 4))
    }
}

/// A random part of `span`; nothing when the machine has no randomness.
pub(super) fn jitter(span: Duration) -> Duration {
    let mut bytes = [0u8; 2];
    match aws_lc_rs::rand::fill(&mut bytes) {
        Ok(()) => span * u32::from(u16::from_be_bytes(bytes)) / u32::from(u16::MAX),
        Err(_) => Duration::ZERO,
    }
}

/// One request per second and tenant, over all risk calls: <https://learn.microsoft.com/graph/throttling-limits>.
const RISK_INTERVAL: Duration = Duration::from_secs(1);
const PART: Duration = Duration::from_millis(50);
const FIRST_WAIT: Duration = Duration::from_secs(2);
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::facts::{Clock as _, ManualClock, UnixTime};

    #[test]
    fn risk_slots_are_a_second_apart_and_an_impatient_caller_takes_none() {
        let (mut pace, clock) = (Pace::default(), ManualClock::at(UnixTime(0)));
        let second = Duration::from_secs(1);
        assert_eq!(pace.take(clock.tick(), Duration::ZERO), Ok(Duration::ZERO));
        assert_eq!(pace.take(clock.tick(), Duration::ZERO), Err(second));
        assert_eq!(pace.take(clock.tick(), second), Ok(second));
        assert_eq!(pace.next_allowed(clock.tick()), Tick(2000));
        clock.advance(second * 5);
        assert_eq!(pace.next_allowed(clock.tick()), Tick(5000));
        pace.hold(clock.tick(), second * 10);
        assert_eq!(pace.take(clock.tick(), second), Err(second * 10));
    }

    #[tokio::test(start_paused = true)]
    async fn risk_callers_pass_one_per_second() {
        let gate = Gate::new(Arc::new(ManualClock::at(UnixTime(0))));
        let began = tokio::time::Instant::now();
        let patience = Duration::from_secs(60);
        let (a, b, c) = tokio::join!(gate.pass(patience), gate.pass(patience), gate.pass(patience));
        assert!(a.is_ok() && b.is_ok() && c.is_ok());
        assert!(began.elapsed() >= Duration::from_secs(2));
    }

    #[test]
    fn risk_backoff_doubles_obeys_and_ends() {
        let mut backoff = Backoff::new(3);
        let within = |wait: Option<Duration>, seconds: u64| {
            let base = Duration::from_secs(seconds);
            wait.is_some_and(|wait| wait >= base && wait <= base + base / 4)
        };
        assert!(within(backoff.next(None), 2));
        assert!(within(backoff.next(None), 4));
        assert!(within(backoff.next(Some(Duration::from_secs(99_999))), 3600));
        assert_eq!(backoff.next(None), None);
    }
}
