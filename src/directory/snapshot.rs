//! One tenant's people as they were last read.

use std::collections::HashMap;

use super::{Affected, Update};
use crate::facts::{AccountRisk, Hold, ObjectId, Standing, Subject, TenantId, UnixTime, UserKey};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Snapshot {
    risk: HashMap<ObjectId, AccountRisk>,
    holds: HashMap<ObjectId, Hold>,
    watched: HashMap<ObjectId, UnixTime>,
}

impl Snapshot {
    pub(super) fn standing(&self, subject: &Subject) -> Standing {
        let object = subject.user.object;
        Standing {
            risk: self.risk.get(&object).cloned(),
            hold: self.holds.get(&object).copied().unwrap_or_default(),
            watched_until: self.watched.get(&object).copied().unwrap_or(UnixTime(0)),
            ..Standing::of_token(subject)
        }
    }

    pub(super) fn apply(&mut self, tenant: TenantId, update: Update) -> Affected {
        let Some(risk) = update.risk else { return Affected::Nobody };
        let mut people = Vec::new();
        for (object, reading) in risk.readings {
            self.risk.insert(object, AccountRisk { reading, detections: [].into() });
            people.push(UserKey { tenant, object });
        }
        Affected::People(people)
    }

    pub(super) fn set_watched(&mut self, object: ObjectId, until: UnixTime) {
        self.watched.insert(object, until);
    }

    pub(super) fn at_risk(&self, tenant: TenantId) -> Vec<UserKey> {
        let open = self.risk.iter().filter(|(_, risk)| risk.is_open());
        open.map(|(object, _)| UserKey { tenant, object: *object }).collect()
    }

    pub(super) fn counts(&self) -> super::Counts {
        super::Counts { risky: u64::try_from(self.risk.len()).unwrap_or(u64::MAX), ..super::Counts::default() }
    }

    pub(super) fn set_hold(&mut self, object: ObjectId, hold: Hold) {
        self.holds.insert(object, hold);
    }
}
