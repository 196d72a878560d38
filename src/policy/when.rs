//! The conditions on time and place, which access rules and risk rules share.

use std::net::IpAddr;
use std::sync::Arc;

use crate::facts::UnixTime;

use super::{Condition, Place, Schedule};

/// When and from where a rule applies. Empty lists mean "always" and "everywhere".
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct When {
    /// Within any of these.
    pub schedules: Vec<Arc<Schedule>>,
    /// Within none of these.
    pub not_schedules: Vec<Arc<Schedule>>,
    /// From any of these.
    pub places: Vec<Arc<Place>>,
    /// From none of these.
    pub not_places: Vec<Arc<Place>>,
}

impl When {
    /// The first condition that does not hold.
    #[inline]
    pub(super) fn missed(&self, client: IpAddr, now: UnixTime) -> Option<Condition> {
        let from = |places: &[Arc<Place>]| places.iter().any(|place| place.contains(client));
        if (!self.places.is_empty() && !from(&self.places)) || from(&self.not_places) {
            return Some(Condition::Place);
        }
        (!self.on_time(now)).then_some(Condition::Schedule)
    }

    /// The schedules alone, for what happens outside of requests.
    pub(super) fn on_time(&self, now: UnixTime) -> bool {
        let within = |schedules: &[Arc<Schedule>]| schedules.iter().any(|schedule| schedule.holds(now));
        (self.schedules.is_empty() || within(&self.schedules)) && !within(&self.not_schedules)
    }

    /// Whether the answer may change with the clock alone.
    pub(super) const fn depends_on_time(&self) -> bool {
        !self.schedules.is_empty() || !self.not_schedules.is_empty()
    }
}
