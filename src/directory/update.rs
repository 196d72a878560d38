//! What a sync job found, and whom it concerns.

use crate::entra::graph::{GroupChange, UserChange};
use crate::facts::{ObjectId, RiskReading, TenantId, UserKey};

/// One step of a sync job; applied whole, together with the link it goes on from.
#[derive(Debug, Default)]
pub struct Update {
    /// What happened to users.
    pub users: Vec<UserChange>,
    /// What happened to groups and memberships.
    pub groups: Vec<GroupChange>,
    /// What is known of risk.
    pub risk: Option<RiskUpdate>,
    /// Where the reading of users stands after this step.
    pub users_round: Option<Round>,
    /// Where the reading of groups stands after this step.
    pub groups_round: Option<Round>,
}

/// Where a reading by delta stands after a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Round {
    /// The first page of a full reading: what does not come until it ends is gone.
    FullBegins {
        /// Where it goes on.
        next: String,
    },
    /// A further page.
    GoesOn {
        /// Where it goes on.
        next: String,
    },
    /// The last page. After a full reading, whoever did not come in it is removed.
    Ends {
        /// Where to ask for what changes from now on.
        delta: String,
        /// Whether this page is also the first of a full reading.
        was_full: bool,
    },
}

/// What was read about risk.
#[derive(Debug, Default)]
pub struct RiskUpdate {
    /// Readings, newest last.
    pub readings: Vec<(ObjectId, RiskReading)>,
    /// Words for what the provider saw, per account, to be added.
    pub detections: Vec<(ObjectId, String)>,
    /// Whether this is the last part of a full list that began with `full_begins`: who was not in it has no risk.
    pub full_ends: bool,
    /// Whether this is the first part of a full list.
    pub full_begins: bool,
}

/// Whose standing changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Affected {
    /// Nobody's.
    Nobody,
    /// These people's.
    People(Vec<UserKey>),
    /// Perhaps everybody's in this tenant.
    Everybody(TenantId),
}
