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

    /// `2026-08-30T06:11:05Z`, the form of dates in Graph's objects (reference section 5.3).
    pub(super) fn zoned(self) -> String {
        format!("{}Z", self.unzoned())
    }

    /// `2026-09-14T10:31:06`, the form of Graph's `innerError` (reference section 10.2).
    pub(super) fn unzoned(self) -> String {
        let (y, mo, d, h, mi, s) = self.civil();
        format!("{y:04}-{mo:02}-{d:02}T{h:02}:{mi:02}:{s:02}")
    }

    /// Reads `2026-09-14T10:22:31.5540129Z`, with or without the fraction; a date alone is midnight.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (date, time) = text.split_once('T').unwrap_or((text, "00:00:00Z"));
        let mut date = date.split('-').map(str::parse::<u64>);
        let (year, month, day) = (date.next()?.ok()?, date.next()?.ok()?, date.next()?.ok()?);
        let (time, fraction) =
            time.strip_suffix('Z')?.split_once('.').map_or((time.strip_suffix('Z')?, ""), |parts| parts);
        let mut time = time.split(':').map(str::parse::<u64>);
        let (hour, minute, second) = (time.next()?.ok()?, time.next()?.ok()?, time.next()?.ok()?);
        if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
            return None;
        }
        if hour > 23 || minute > 59 || second > 60 || fraction.len() > 12 {
            return None;
        }
        let micros: u64 = format!("{fraction:0<6}").get(..6)?.parse().ok()?;
        // Howard Hinnant's civil-to-days, for dates after 1970.
        let year = if month <= 2 { year - 1 } else { year };
        let (era, yoe) = (year / 400, year % 400);
        let doy = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
        let days = (era * 146_097 + yoe * 365 + yoe / 4 - yoe / 100 + doy).checked_sub(719_468)?;
        Some(Self((days * 86_400 + hour * 3_600 + minute * 60 + second) * 1_000_000 + micros))
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
        assert_eq!(moment.unzoned(), "2026-09-14T10:33:19");
        assert_eq!(Moment::parse("2026-09-14T10:33:19.5290000Z"), Some(moment));
        assert_eq!(Moment::parse("2000-02-29").map(Moment::zoned).as_deref(), Some("2000-02-29T00:00:00Z"));
        assert_eq!(Moment::parse("yesterday"), None);
        assert_eq!(Moment(951_782_400_000_000).spaced(), "2000-02-29 00:00:00Z");
    }
}
