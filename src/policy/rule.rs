//! One access rule and the test whether a request meets its conditions.

use std::sync::Arc;

use crate::facts::{AppId, Destination, Facts, ObjectId, UserKey};

use super::people::{self, Membership};
use super::{StepUp, Verdict, When, path};

/// One private access rule, resolved against the configuration's apps. All given conditions must hold; an empty
/// list means "any".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Unique name; appears in logs, metrics and `explain`.
    pub name: Arc<str>,
    /// A rule that is switched off matches nothing.
    pub enabled: bool,
    /// Apps the rule is about; empty means every app.
    pub apps: Vec<AppId>,
    /// Methods, upper case; empty means any.
    pub methods: Vec<http::Method>,
    /// Path prefixes on whole segments (`/admin` covers `/admin` and `/admin/x`, not `/administrator`); empty means any.
    pub paths: Vec<Box<str>>,
    /// People the rule is about.
    pub who: Who,
    /// When and from where.
    pub when: When,
    /// What happens when the rule matches.
    pub verdict: Verdict,
    /// The step-up that a challenge asks for. A challenge without one cannot be passed, so it blocks.
    pub step_up: Option<StepUp>,
}

/// Whom a rule is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    /// Everybody, signed in or not. Only sensible with narrow paths.
    Anyone,
    /// Everybody who is signed in.
    SignedIn,
    /// Any of these people or members of any of these groups.
    Listed {
        /// People by key.
        users: Vec<UserKey>,
        /// Groups by object id.
        groups: Vec<ObjectId>,
    },
}

impl Who {
    /// Puts the lists in the order that searching expects.
    pub(super) fn sort(&mut self) {
        if let Self::Listed { users, groups } = self {
            users.sort_unstable();
            groups.sort_unstable();
        }
    }
}

/// A condition of a rule, named when it is the first that a request does not meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Condition {
    /// The rule is switched off.
    Enabled,
    /// The rule is about another kind of destination: the internet.
    Plane,
    /// The rule is about other apps.
    App,
    /// The rule is about other methods.
    Method,
    /// The rule is about other paths.
    Path,
    /// The rule is about other people.
    Person,
    /// The rule lets in members of a group, and the person's groups are not known.
    UnknownGroups,
    /// The person is among those the rule leaves out.
    Exception,
    /// The rule is about other levels of risk.
    RiskLevel,
    /// The rule is about other states of risk.
    RiskState,
    /// The rule is about other detections.
    Detection,
    /// The risk is older or newer than the rule says.
    RiskAge,
    /// The request comes from elsewhere.
    Place,
    /// It is another time.
    Schedule,
}

impl Condition {
    /// The word in `explain`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Plane => "plane",
            Self::App => "app",
            Self::Method => "method",
            Self::Path => "path",
            Self::Person => "person",
            Self::UnknownGroups => "unknown_groups",
            Self::Exception => "exception",
            Self::RiskLevel => "risk_level",
            Self::RiskState => "risk_state",
            Self::Detection => "detection",
            Self::RiskAge => "risk_age",
            Self::Place => "place",
            Self::Schedule => "schedule",
        }
    }
}

/// What one rule says about one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finding {
    /// Every condition holds.
    Matches,
    /// A rule that does not simply let in is taken to match because the person's groups are not known.
    MatchesForUnknownGroups,
    /// Everything but the person matches, and nobody is signed in.
    DependsOnPerson,
    /// This condition, the first looked at, does not hold.
    Misses(Condition),
}

impl Rule {
    /// A rule without conditions but the people it is about.
    #[must_use]
    pub fn new(name: &str, who: Who, verdict: Verdict) -> Self {
        Self {
            name: name.into(),
            enabled: true,
            apps: Vec::new(),
            methods: Vec::new(),
            paths: Vec::new(),
            who,
            when: When::default(),
            verdict,
            step_up: None,
        }
    }

    /// Whether the rule may say something about `app`.
    pub(super) fn concerns(&self, app: AppId) -> bool {
        self.apps.is_empty() || self.apps.contains(&app)
    }

    /// Holds the rule's conditions against `facts`, the cheapest first.
    #[inline]
    pub(super) fn examine(&self, facts: &Facts<'_>) -> Finding {
        let Destination::App { app, method, path, .. } = facts.destination;
        if !self.enabled {
            return Finding::Misses(Condition::Enabled);
        }
        if !self.concerns(app) {
            return Finding::Misses(Condition::App);
        }
        if !self.methods.is_empty() && !self.methods.contains(method) {
            return Finding::Misses(Condition::Method);
        }
        if !self.paths.is_empty() && !self.paths.iter().any(|prefix| path::covers(prefix, path, self.verdict)) {
            return Finding::Misses(Condition::Path);
        }
        let person = facts.subject.map(|subject| (subject.user, &facts.standing.groups));
        let finding = match (people::membership(&self.who, person), self.verdict) {
            (Membership::Is, _) => Finding::Matches,
            (Membership::IsNot, _) => return Finding::Misses(Condition::Person),
            (Membership::NobodySignedIn, _) => Finding::DependsOnPerson,
            (Membership::GroupsUnknown, Verdict::Allow | Verdict::Monitor) => {
                return Finding::Misses(Condition::UnknownGroups);
            }
            (Membership::GroupsUnknown, Verdict::Warn | Verdict::Challenge | Verdict::Block) => {
                Finding::MatchesForUnknownGroups
            }
        };
        self.when.missed(facts.client, facts.now).map_or(finding, Finding::Misses)
    }
}
