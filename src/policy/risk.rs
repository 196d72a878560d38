//! Risk control: rules on the account's risk, and what happens where the risk cannot be known.
//!
//! - Every rule that matches counts, not only the first: block over challenge over warn over monitor. A challenge and a
//!   warning that the session has passed become "monitor".
//! - Risk matters for an app when an enabled rule concerns it or the app has a `max_risk_age`. Only there does it count
//!   that risk is not known: see [`Doubt`] for the ways and [`OnDoubt`] for the outcomes. A doubt is added to what the
//!   rules say of the last known risk and never takes anything back: somebody blocked stays blocked while the provider
//!   is away. No doubt passes in silence; the mildest outcome is "monitor" with its own reason.
//! - A risk that the provider has closed (dismissed, remediated, confirmed safe) counts as none, unless a rule asks for
//!   states.
//! - Groups that are not known: a rule on groups matches, because every verdict here only asks for more; an exception
//!   on groups does not hold.
//! - Risk is a fact about an account. Nobody signed in has none, and it is never guessed: what an access rule opens for
//!   anyone is open to a person at risk who has not signed in, as it is to the rest of the world.

mod doubt;
mod judge;
mod levels;
mod view;

pub use doubt::{Doubt, OnDoubt, RiskSettings};
pub(super) use judge::{Scope, judge};
pub(super) use levels::Levels;
pub(super) use view::View;

use std::sync::Arc;
use std::time::Duration;

use crate::facts::{AppId, Groups, RiskLevel, RiskState, UnixTime, UserKey};

use super::people::{self, Membership, People};
use super::rule::Finding;
use super::{Condition, StepUp, Verdict, When, Who};

/// A rule on the risk of accounts. All given conditions must hold; an empty list means "any".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RiskRule {
    /// Unique name, also among the access rules; appears in logs, metrics and `explain`.
    pub name: Arc<str>,
    /// A rule that is switched off matches nothing.
    pub enabled: bool,
    /// Which risk.
    pub risk: RiskIs,
    /// People the rule is about; [`Who::Anyone`] means the same as [`Who::SignedIn`].
    pub who: Who,
    /// People it is not about.
    pub except: People,
    /// Apps the rule is about; empty means every app.
    pub apps: Vec<AppId>,
    /// Kind of destination; `None` means both.
    pub plane: Option<Plane>,
    /// When and from where.
    pub when: When,
    /// What happens when the rule matches; never [`Verdict::Allow`].
    pub verdict: Verdict,
    /// The step-up that a challenge asks for. A challenge without one cannot be passed, so it blocks.
    pub step_up: Option<StepUp>,
    /// What is done to the account when the rule begins to match, whether or not it asks for anything.
    pub actions: Vec<AutoAction>,
}

/// The conditions of a rule on the risk itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RiskIs {
    /// Any of these levels.
    pub levels: Vec<RiskLevel>,
    /// Any of these states. Without any, a risk that the provider has closed counts as none.
    pub states: Vec<RiskState>,
    /// Any of these detections, in the provider's words, compared without regard to case.
    pub detections: Vec<Box<str>>,
    /// The provider last changed its mind longer ago than this. An unknown age counts as such.
    pub older_than: Option<Duration>,
    /// The provider last changed its mind less long ago than this. An unknown age counts as such.
    pub newer_than: Option<Duration>,
}

/// A kind of destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Plane {
    /// Private apps.
    Private,
    /// The internet.
    Internet,
}

/// What a rule has done to an account, outside of any request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AutoAction {
    /// End every session, here and at the provider.
    SignOut,
    /// Disable the account.
    Disable,
    /// Make the person choose a new password.
    ForcePasswordReset,
    /// Tell the provider that somebody else has the account.
    ConfirmCompromised,
    /// Log everything the person does for a day.
    WatchSignIn,
    /// Block private apps.
    BlockPrivate,
    /// Block the internet.
    BlockInternet,
}

impl AutoAction {
    /// Every action.
    pub const ALL: [Self; 7] = [
        Self::SignOut,
        Self::Disable,
        Self::ForcePasswordReset,
        Self::ConfirmCompromised,
        Self::WatchSignIn,
        Self::BlockPrivate,
        Self::BlockInternet,
    ];

    /// The word in rules and logs.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::SignOut => "sign_out",
            Self::Disable => "disable",
            Self::ForcePasswordReset => "force_password_reset",
            Self::ConfirmCompromised => "confirm_compromised",
            Self::WatchSignIn => "watch_sign_in",
            Self::BlockPrivate => "block_private",
            Self::BlockInternet => "block_internet",
        }
    }
}

/// What one app says about risk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AppRisk {
    /// Oldest risk that the app accepts; `None` for what is configured for all.
    pub max_age: Option<Duration>,
    /// What happens when it is older; `None` for what is configured for all.
    pub on_stale: Option<OnDoubt>,
}

/// Everything configured about risk.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RiskControl {
    /// The rules, in order.
    pub rules: Vec<RiskRule>,
    /// What holds for all.
    pub settings: RiskSettings,
    /// What the apps say, by [`AppId`]; apps beyond the list say nothing.
    pub apps: Vec<AppRisk>,
}

impl RiskControl {
    /// Whether risk decides anything anywhere, so that a gateway that reads none is configured wrongly.
    #[must_use]
    pub fn is_used(&self) -> bool {
        self.rules.iter().any(|rule| rule.enabled) || self.apps.iter().any(|app| app.max_age.is_some())
    }
}

impl RiskRule {
    /// Whether the rule may say something about requests to `app`.
    pub(super) fn concerns(&self, app: AppId) -> bool {
        self.enabled && self.plane != Some(Plane::Internet) && (self.apps.is_empty() || self.apps.contains(&app))
    }

    /// Holds the conditions on the destination against a request to `app`.
    pub(super) fn missed_app(&self, app: AppId) -> Option<Condition> {
        match self {
            Self { enabled: false, .. } => Some(Condition::Enabled),
            Self { plane: Some(Plane::Internet), .. } => Some(Condition::Plane),
            rule => (!rule.concerns(app)).then_some(Condition::App),
        }
    }

    /// Holds the conditions on the account and its risk against what is known, the cheapest first.
    pub(super) fn examine(&self, user: UserKey, groups: &Groups, view: &View<'_>, now: UnixTime) -> Finding {
        let risk = if self.risk.states.is_empty() { view.without_closed() } else { *view };
        if let Some(condition) = self.risk.missed(&risk, now) {
            return Finding::Misses(condition);
        }
        if self.except.contains(user, groups) {
            return Finding::Misses(Condition::Exception);
        }
        match people::membership(&self.who, Some((user, groups))) {
            Membership::Is => Finding::Matches,
            Membership::GroupsUnknown => Finding::MatchesForUnknownGroups,
            Membership::IsNot | Membership::NobodySignedIn => Finding::Misses(Condition::Person),
        }
    }

    /// Whether the answer may change with the clock alone.
    pub(super) fn depends_on_time(&self) -> bool {
        let ages = self.risk.older_than.is_some() || self.risk.newer_than.is_some();
        ages || self.when.depends_on_time() || matches!(self.verdict, Verdict::Challenge | Verdict::Warn)
    }
}

impl RiskIs {
    /// Whether somebody without any risk can be meant.
    pub(super) fn may_be_none(&self) -> bool {
        let level = self.may_be_at(RiskLevel::None);
        let state = self.states.is_empty() || self.states.contains(&RiskState::None);
        level && state && self.detections.is_empty()
    }

    /// Whether an account at this level can be meant.
    fn may_be_at(&self, level: RiskLevel) -> bool {
        self.levels.is_empty() || self.levels.contains(&level)
    }

    fn missed(&self, view: &View<'_>, now: UnixTime) -> Option<Condition> {
        if !self.may_be_at(view.level) {
            return Some(Condition::RiskLevel);
        }
        if !self.states.is_empty() && !self.states.contains(&view.state) {
            return Some(Condition::RiskState);
        }
        let seen = |wanted: &str| view.detections.iter().any(|found| found.eq_ignore_ascii_case(wanted));
        if !self.detections.is_empty() && !self.detections.iter().any(|wanted| seen(wanted)) {
            return Some(Condition::Detection);
        }
        let age = view.updated().map(|at| now.since(at));
        let too_young = matches!((self.older_than, age), (Some(least), Some(age)) if age <= least);
        let too_old = matches!((self.newer_than, age), (Some(most), Some(age)) if age >= most);
        (too_young || too_old).then_some(Condition::RiskAge)
    }
}
