//! Places and schedules as they are written.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::document::At;

/// Networks with a name, to be used in `places` and `not_places`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::policy::text) struct Place {
    /// Unique name.
    pub(in crate::policy::text) name: At<String>,
    /// Networks or single addresses, IPv4 or IPv6: `192.0.2.0/24`, `2001:db8::/32`.
    pub(in crate::policy::text) networks: At<Vec<At<String>>>,
}

/// A weekly window with a name, to be used in `schedules` and `not_schedules`. It follows the clock on the wall of its
/// time zone, summer time included.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::policy::text) struct Schedule {
    /// Unique name.
    pub(in crate::policy::text) name: At<String>,
    /// Days on which the window begins. Left out: every day.
    pub(in crate::policy::text) days: Option<At<Vec<At<DayWord>>>>,
    /// When it begins, `HH:MM`.
    #[serde(default = "midnight")]
    pub(in crate::policy::text) from: At<String>,
    /// When it ends, `HH:MM`; earlier than `from` is on the next day.
    #[serde(default = "end_of_day")]
    pub(in crate::policy::text) to: At<String>,
    /// IANA name such as `Europe/Berlin`, or `UTC`.
    pub(in crate::policy::text) time_zone: At<String>,
}

fn midnight() -> At<String> {
    "00:00".to_owned().into()
}

fn end_of_day() -> At<String> {
    "24:00".to_owned().into()
}

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::policy::text) enum DayWord {
    /// Monday.
    Mon,
    /// Tuesday.
    Tue,
    /// Wednesday.
    Wed,
    /// Thursday.
    Thu,
    /// Friday.
    Fri,
    /// Saturday.
    Sat,
    /// Sunday.
    Sun,
}
