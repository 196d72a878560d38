//! When a rule applies: weekly windows on the wall clock of a time zone.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::facts::UnixTime;

/// Minutes of a day.
const DAY: u16 = 24 * 60;

/// A weekly window, as the clock on the wall of its time zone shows it: on the day the clocks are put back the hour that
/// comes twice counts both times, and the hour that is left out in spring never comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// Unique name.
    pub name: Arc<str>,
    /// Monday first.
    days: [bool; 7],
    /// Minutes since midnight.
    from: u16,
    /// The first minute after the window; at or before `from` it is on the next day.
    to: u16,
    zone: TimeZone,
}

impl Schedule {
    /// A window from minute `from` up to, but without, minute `to`, on `days` (Monday first). When `to` is not later than
    /// `from` the window goes over midnight and belongs to the day on which it begins; 0 to 0 is the whole day.
    #[must_use]
    pub fn new(name: &str, days: [bool; 7], (from, to): (u16, u16), zone: TimeZone) -> Self {
        Self { name: name.into(), days, from: from.min(DAY), to: to.min(DAY), zone }
    }

    /// Whether `now` is within the window.
    #[must_use]
    pub fn holds(&self, now: UnixTime) -> bool {
        // Beyond the calendar's end nothing is scheduled.
        let Some(moment) = i64::try_from(now.0).ok().and_then(|seconds| Timestamp::from_second(seconds).ok()) else {
            return false;
        };
        let local = self.zone.to_datetime(moment);
        let minute = u16::try_from(i32::from(local.hour()) * 60 + i32::from(local.minute())).unwrap_or(0);
        let today = usize::try_from(local.date().weekday().to_monday_zero_offset()).unwrap_or(0);
        let on = |day: usize| self.days.get(day % 7).copied().unwrap_or(false);
        if self.from < self.to {
            return on(today) && (self.from..self.to).contains(&minute);
        }
        (on(today) && minute >= self.from) || (on(today + 6) && minute < self.to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WEEKDAYS: [bool; 7] = [true, true, true, true, true, false, false];

    fn at(text: &str) -> UnixTime {
        UnixTime(u64::try_from(text.parse::<Timestamp>().unwrap().as_second()).unwrap())
    }

    fn schedule(days: [bool; 7], from: u16, to: u16, zone: &str) -> Schedule {
        Schedule::new("x", days, (from * 60, to * 60), TimeZone::get(zone).unwrap())
    }

    fn check(schedule: &Schedule, rows: &[(&str, bool)]) {
        for (moment, expected) in rows {
            assert_eq!(schedule.holds(at(moment)), *expected, "{moment} {schedule:?}");
        }
    }

    #[test]
    fn office_hours_follow_the_zone_and_its_summer_time() {
        // 2026-11-27 is a Friday; Berlin is UTC+1 in winter, UTC+2 in summer.
        check(
            &schedule(WEEKDAYS, 9, 17, "Europe/Berlin"),
            &[
                ("2026-11-27T07:59:59Z", false),
                ("2026-11-27T08:00:00Z", true),
                ("2026-11-27T15:59:59Z", true),
                ("2026-11-27T16:00:00Z", false),
                ("2026-11-28T10:00:00Z", false),
                ("2026-07-01T06:59:59Z", false),
                ("2026-07-01T07:00:00Z", true),
                ("2026-07-01T15:00:00Z", false),
            ],
        );
    }

    #[test]
    fn a_window_over_midnight_belongs_to_the_day_it_begins_on() {
        // Friday night counts, the night before Monday does not.
        check(
            &schedule(WEEKDAYS, 22, 6, "UTC"),
            &[
                ("2026-11-27T21:59:59Z", false),
                ("2026-11-27T22:00:00Z", true),
                ("2026-11-28T05:59:59Z", true),
                ("2026-11-28T06:00:00Z", false),
                ("2026-11-28T23:00:00Z", false),
                ("2026-11-30T05:00:00Z", false),
                ("2026-11-30T22:00:00Z", true),
                ("2026-12-01T05:00:00Z", true),
            ],
        );
        let sunday = [false, false, false, false, false, false, true];
        check(&schedule(sunday, 23, 1, "UTC"), &[("2026-11-30T00:30:00Z", true), ("2026-11-29T00:30:00Z", false)]);
    }

    #[test]
    fn the_clocks_going_forward_and_back_are_counted_by_the_wall() {
        let all = [true; 7];
        // 2026-03-29 at 02:00 Berlin goes to 03:00; 2026-10-25 at 03:00 it goes back to 02:00.
        check(
            &schedule(all, 2, 3, "Europe/Berlin"),
            &[
                ("2026-03-29T00:59:59Z", false),
                ("2026-03-29T01:00:00Z", false),
                ("2026-10-24T23:59:59Z", false),
                ("2026-10-25T00:00:00Z", true),
                ("2026-10-25T01:30:00Z", true),
                ("2026-10-25T02:00:00Z", false),
            ],
        );
        check(
            &schedule(all, 22, 3, "Europe/Berlin"),
            &[("2026-03-29T00:59:59Z", true), ("2026-03-29T01:00:00Z", false), ("2026-10-25T01:59:59Z", true)],
        );
        // The other hemisphere, and half an hour: Lord Howe Island goes from +10:30 to +11 on 2026-10-04 at 02:00.
        check(
            &schedule(all, 9, 10, "Australia/Lord_Howe"),
            &[("2026-10-02T22:30:00Z", true), ("2026-10-04T22:00:00Z", true), ("2026-10-04T23:00:00Z", false)],
        );
    }

    #[test]
    fn whole_days_and_the_ends_of_time() {
        let saturday = [false, false, false, false, false, true, false];
        check(
            &schedule(saturday, 0, 24, "UTC"),
            &[
                ("2026-11-27T23:59:59Z", false),
                ("2026-11-28T00:00:00Z", true),
                ("2026-11-28T23:59:59Z", true),
                ("2026-11-29T00:00:00Z", false),
            ],
        );
        check(&schedule(saturday, 0, 0, "UTC"), &[("2026-11-28T12:00:00Z", true), ("2026-11-29T00:00:00Z", false)]);
        assert!(!schedule([true; 7], 0, 24, "UTC").holds(UnixTime(u64::MAX)));
        assert!(schedule([true; 7], 0, 24, "UTC").holds(UnixTime(0)));
    }
}
