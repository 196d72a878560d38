//! The brakes on what the gateway does by itself. Pure: what is known goes in, and what holds it comes out.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Settings;
use super::ledger::Ledger;
use super::order::{ActionKind, By, Cause, Order};
use super::task::TaskState;
use crate::facts::{Account, Groups, Standing, TenantId, UnixTime};

/// What keeps the gateway from doing something by itself, in the order in which they are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Brake {
    /// Automatic actions are only written down.
    DryRun,
    /// The person is among those who are never touched.
    BreakGlass,
    /// Whether the person is among them cannot be told, since their groups are not known.
    GroupsUnknown,
    /// A person has decided otherwise, and the risk has not changed since.
    Manual,
    /// It is so already, and not by this gateway: taking it back would undo somebody else's work.
    AlreadySo,
    /// The same was done to the same person a short while ago.
    CoolDown,
    /// Too much was done within the hour. This stops every automatic action.
    Quota,
    /// Everything automatic is stopped until a person releases it.
    Stopped,
}

impl Brake {
    /// Every brake, for closed lists such as metrics.
    pub const ALL: [Self; 8] = [
        Self::DryRun,
        Self::BreakGlass,
        Self::GroupsUnknown,
        Self::Manual,
        Self::AlreadySo,
        Self::CoolDown,
        Self::Quota,
        Self::Stopped,
    ];

    /// The word in logs, metrics and the admin API.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::DryRun => "dry_run",
            Self::BreakGlass => "break_glass",
            Self::GroupsUnknown => "groups_unknown",
            Self::Manual => "manual",
            Self::AlreadySo => "already_so",
            Self::CoolDown => "cool_down",
            Self::Quota => "quota",
            Self::Stopped => "stopped",
        }
    }
}

/// Which orders need a second person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Approval {
    /// None.
    #[default]
    None,
    /// Those of rules.
    Automatic,
    /// All; a person's own needs another person.
    All,
}

impl Approval {
    /// Whether an order by `by` has to wait for a person.
    #[must_use]
    pub const fn concerns(self, by: &By) -> bool {
        match self {
            Self::None => false,
            Self::Automatic => by.is_automatic(),
            Self::All => true,
        }
    }
}

/// What is known when the brakes are asked.
pub(super) struct Scene<'a> {
    pub(super) settings: &'a Settings,
    pub(super) ledger: &'a Ledger,
    pub(super) standing: &'a Standing,
    pub(super) now: UnixTime,
}

impl Scene<'_> {
    /// The first brake that holds an automatic order; none for one of a person.
    pub(super) fn first(&self, order: &Order) -> Option<Brake> {
        if !order.by.is_automatic() {
            return None;
        }
        if self.settings.dry_run {
            return Some(Brake::DryRun);
        }
        self.lasting(order).or_else(|| self.passing(order))
    }

    /// The brakes that hold whoever lets the order go: they are about the person it concerns.
    pub(super) fn lasting(&self, order: &Order) -> Option<Brake> {
        self.break_glass(order).or_else(|| self.manual(order)).or_else(|| self.already(order))
    }

    /// The brakes that are about how much is done.
    pub(super) fn passing(&self, order: &Order) -> Option<Brake> {
        if self.cools_down(order) {
            return Some(Brake::CoolDown);
        }
        if self.ledger.stop().is_some() {
            return Some(Brake::Stopped);
        }
        let used = self.ledger.used(order.user.tenant, order.kind, self.now);
        (used >= self.settings.quota_per_hour).then_some(Brake::Quota)
    }

    fn break_glass(&self, order: &Order) -> Option<Brake> {
        let exempt = &self.settings.exempt;
        if exempt.users.contains(&order.user) {
            return Some(Brake::BreakGlass);
        }
        if exempt.groups.is_empty() {
            return None;
        }
        match &self.standing.groups {
            Groups::Known(groups) => {
                groups.iter().any(|group| exempt.groups.contains(group)).then_some(Brake::BreakGlass)
            }
            Groups::Unknown => Some(Brake::GroupsUnknown),
        }
    }

    fn manual(&self, order: &Order) -> Option<Brake> {
        let cause = self.standing.risk.as_ref().map(Cause::of);
        let by_hand = || {
            let in_force =
                |state: &TaskState| !matches!(state, TaskState::Unsuccessful { .. } | TaskState::Cancelled { .. });
            self.ledger.of_user(order.user).filter(move |task| task.is_by_hand() && in_force(&task.state))
        };
        if let Some(task) = order.undoes {
            // Somebody has looked at the same thing since: it is theirs now.
            let meanwhile = by_hand().any(|other| other.id > task && other.order.kind.meets(order.kind));
            return meanwhile.then_some(Brake::Manual);
        }
        let spared = by_hand().any(|task| task.order.kind.is_lenient() && task.cause.is_some() && task.cause == cause);
        let newest = by_hand().filter(|task| task.order.kind.meets(order.kind)).last();
        let done_by_hand = order.kind.is_undone() && newest.is_some_and(|task| !task.order.kind.is_lenient());
        (spared || done_by_hand).then_some(Brake::Manual)
    }

    fn already(&self, order: &Order) -> Option<Brake> {
        let hold = self.standing.hold;
        let already = match order.kind {
            ActionKind::Disable => self.standing.account == Account::Disabled,
            ActionKind::Block(reach) => (hold.private || !reach.private()) && (hold.internet || !reach.internet()),
            _ => false,
        };
        already.then_some(Brake::AlreadySo)
    }

    fn cools_down(&self, order: &Order) -> bool {
        self.ledger.of_user(order.user).any(|task| {
            task.order.kind == order.kind
                && task.order.by.is_automatic()
                && task.started.is_some_and(|started| self.now.since(started) < self.settings.cool_down)
        })
    }
}

/// Who is never touched by a rule.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Exempt {
    /// These people.
    pub users: BTreeSet<crate::facts::UserKey>,
    /// Members of these groups.
    pub groups: BTreeSet<crate::facts::ObjectId>,
}

/// Everything automatic is stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    /// Since when.
    pub since: UnixTime,
    /// Whose quota was used up; none when the record of it could not be read.
    pub tenant: Option<TenantId>,
    /// With which action.
    pub kind: Option<ActionKind>,
}

/// How the brakes stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrakeState {
    /// Automatic actions are only written down.
    pub dry_run: bool,
    /// Set while everything automatic is stopped.
    pub stopped: Option<Stop>,
    /// What one tenant may use of one kind within an hour.
    pub quota: u32,
    /// What was used of it.
    pub used: Vec<(TenantId, ActionKind, u32)>,
}

/// The span a quota is for.
pub(super) const QUOTA_SPAN: Duration = Duration::from_secs(3600);
