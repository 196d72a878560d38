//! The simulator's own clock: machine time plus a skew that tests and the control API set.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// A moment in microseconds since 1970, fine enough that "issued before it was revoked" has an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment(pub(super) u64);

impl Moment {
    /// Whole seconds since 1970, as tokens carry them.
    pub(super) const fn seconds(self) -> u64 {
        self.0 / 1_000_000
    }

    /// Seconds since `earlier`; zero when that lies ahead.
    pub(super) const fn seconds_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0) / 1_000_000
    }

    /// `2026-09-14 10:33:19Z`, the form of error bodies (reference section 10.1).
    pub(super) fn spaced(self) -> String {
        let (y, mo, d, h, mi, s) = self.civil();
        format!("{y:04}-{mo:02}-{d:02} {h:02}:{mi:02}:{s:02}Z")
    }

    /// `2026-08-30T06:11:05.0000000Z`, the form inside descriptions (reference section 10.1).
    pub(super) fn ticks(self) -> String {
        let (y, mo, d, h, mi, s) = self.civil();
        format!("{y:04}-{mo:02}-{d:02}T{h:02}:{mi:02}:{s:02}.{:07}Z", (self.0 % 1_000_000) * 10)
    }

    /// Howard Hinnant's days-to-civil, for dates after 1970.
    fn civil(self) -> (u64, u64, u64, u64, u64, u64) {
        let seconds = self.seconds();
        let of_day = seconds % 86_400;
        let z = seconds / 86_400 + 719_468;
        let (era, doe) = (z / 146_097, z % 146_097);
        let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
        let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
        let mp = (5 * doy + 2) / 153;
        let month = if mp < 10 { mp + 3 } else { mp - 9 };
        let year = yoe + era * 400 + u64::from(month <= 2);
        (year, month, doy - (153 * mp + 2) / 5 + 1, of_day / 3_600, of_day % 3_600 / 60, of_day % 60)
    }
}

/// Machine time plus a skew.
#[derive(Debug, Default)]
pub(super) struct SkewedClock {
    skew_seconds: AtomicI64,
}

impl SkewedClock {
    /// A clock that is `seconds` ahead (or, negative, behind).
    pub(super) fn ahead(seconds: i64) -> Self {
        Self { skew_seconds: AtomicI64::new(seconds) }
    }

    /// Sets how far ahead the clock is.
    pub(super) fn skew(&self, seconds: i64) {
        self.skew_seconds.store(seconds, Ordering::SeqCst);
    }

    /// What the simulator takes for now.
    #[expect(clippy::disallowed_methods, reason = "the simulator imports nothing of the gateway; this is its clock")]
    pub(super) fn now(&self) -> Moment {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let micros = i64::try_from(since.as_micros()).unwrap_or(i64::MAX);
        let skew = self.skew_seconds.load(Ordering::SeqCst).saturating_mul(1_000_000);
        Moment(u64::try_from(micros.saturating_add(skew)).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::Moment;

    /// Reference section 10.1: `timestamp` has a space, dates inside descriptions seven decimals.
    #[test]
    fn moments_are_written_as_microsoft_writes_them() {
        let moment = Moment(1_789_381_999_529_000);
        assert_eq!(moment.spaced(), "2026-09-14 10:33:19Z");
        assert_eq!(moment.ticks(), "2026-09-14T10:33:19.5290000Z");
        assert_eq!(Moment(951_782_400_000_000).spaced(), "2000-02-29 00:00:00Z");
    }
}
