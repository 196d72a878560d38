//! The ways in which an account's risk is not known, and what is configured for each.

use std::time::Duration;

use crate::facts::{Facts, RiskSource, UnixTime};
use crate::policy::ask::LEEWAY;
use crate::policy::people::People;
use crate::policy::{Reason, StepUp, Verdict};

use super::{AppRisk, View};

/// A way in which risk is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Doubt {
    /// The source does not answer, for this reason.
    Unavailable(RiskSource),
    /// The provider hides the level, or uses a word that this gateway does not know.
    Unknown,
    /// What is known is older than the app accepts.
    TooOld,
}

impl Doubt {
    /// The reason of the decision that follows.
    #[must_use]
    pub const fn reason(self) -> Reason {
        match self {
            Self::Unavailable(_) => Reason::RiskUnavailable,
            Self::Unknown => Reason::RiskUnknown,
            Self::TooOld => Reason::RiskTooOld,
        }
    }

    /// The word in `explain`: what exactly is not known.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Unavailable(source) => source.word(),
            Self::Unknown => "unknown",
            Self::TooOld => "too_old",
        }
    }
}

/// What happens in doubt, the mildest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum OnDoubt {
    /// The rules judge by what was last known; every request is marked in the decision log.
    LastKnown,
    /// As if the account's level were low, unless it is known to be worse; every request is marked in the decision log.
    Low,
    /// A step-up is asked for. Without one configured, this blocks.
    Challenge,
    /// Refused.
    Block,
}

impl OnDoubt {
    /// Every outcome.
    pub const ALL: [Self; 4] = [Self::LastKnown, Self::Low, Self::Challenge, Self::Block];

    /// The word in the configuration and in `explain`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::LastKnown => "last_known",
            Self::Low => "low",
            Self::Challenge => "challenge",
            Self::Block => "block",
        }
    }

    /// What is asked for besides what the rules say.
    pub(in crate::policy) const fn verdict(self) -> Verdict {
        match self {
            Self::LastKnown | Self::Low => Verdict::Monitor,
            Self::Challenge => Verdict::Challenge,
            Self::Block => Verdict::Block,
        }
    }
}

/// What holds for risk everywhere. The default blocks in every doubt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RiskSettings {
    /// Oldest risk accepted, counted from [`crate::facts::RiskFeed::confirmed`]; `None` for any age.
    pub max_age: Option<Duration>,
    /// When it is older.
    pub on_stale: OnDoubt,
    /// When the level is hidden or unknown.
    pub on_unknown: OnDoubt,
    /// Nothing has been read yet.
    pub on_never_synced: OnDoubt,
    /// The permission is missing.
    pub on_no_permission: OnDoubt,
    /// The licence is missing.
    pub on_no_licence: OnDoubt,
    /// The cloud has no such interface.
    pub on_not_in_cloud: OnDoubt,
    /// Data upload is off.
    pub on_upload_off: OnDoubt,
    /// This gateway reads no risk for the tenant.
    pub on_not_configured: OnDoubt,
    /// The step-up that a challenge in doubt asks for.
    pub step_up: Option<StepUp>,
    /// People whose risk is never asked about, such as the accounts kept for emergencies.
    pub exempt: People,
}

impl Default for RiskSettings {
    fn default() -> Self {
        Self::with(OnDoubt::Block)
    }
}

impl RiskSettings {
    /// The same outcome for every doubt.
    #[must_use]
    pub const fn with(outcome: OnDoubt) -> Self {
        Self {
            max_age: None,
            on_stale: outcome,
            on_unknown: outcome,
            on_never_synced: outcome,
            on_no_permission: outcome,
            on_no_licence: outcome,
            on_not_in_cloud: outcome,
            on_upload_off: outcome,
            on_not_configured: outcome,
            step_up: None,
            exempt: People { users: Vec::new(), groups: Vec::new() },
        }
    }

    /// What is configured for a source that does not answer; `None` while it does.
    #[must_use]
    pub const fn on_source(&self, source: RiskSource) -> Option<OnDoubt> {
        match source {
            RiskSource::Answers => None,
            RiskSource::NeverSynced => Some(self.on_never_synced),
            RiskSource::NoPermission => Some(self.on_no_permission),
            RiskSource::NoLicence => Some(self.on_no_licence),
            RiskSource::NotInCloud => Some(self.on_not_in_cloud),
            RiskSource::UploadOff => Some(self.on_upload_off),
            RiskSource::NotConfigured => Some(self.on_not_configured),
        }
    }

    /// Everything that is not known about the risk of the one who asks, with the outcome of each.
    #[inline]
    pub(in crate::policy) fn doubts(
        &self,
        app: &AppRisk,
        view: &View<'_>,
        facts: &Facts<'_>,
    ) -> [Option<(Doubt, OnDoubt)>; 3] {
        let source = facts.feed.source;
        let unavailable = self.on_source(source).map(|outcome| (Doubt::Unavailable(source), outcome));
        let unknown = view.is_unknown().then_some((Doubt::Unknown, self.on_unknown));
        let stale = self.is_stale(app.max_age, facts.feed, facts.now);
        let stale = stale.then_some((Doubt::TooOld, app.on_stale.unwrap_or(self.on_stale)));
        [unavailable, unknown, stale]
    }

    /// Whether what is known is older than `max_age`, or than what holds for all. Where nothing has ever been read, the
    /// state of the source says why.
    pub(in crate::policy) fn is_stale(
        &self,
        max_age: Option<Duration>,
        feed: crate::facts::RiskFeed,
        now: UnixTime,
    ) -> bool {
        let Some(most) = max_age.or(self.max_age) else { return false };
        if feed.confirmed.0 == 0 {
            return feed.source == RiskSource::Answers;
        }
        // A moment ahead of a clock that was put back proves nothing.
        now.since(feed.confirmed) > most || feed.confirmed > now.plus(LEEWAY)
    }
}
