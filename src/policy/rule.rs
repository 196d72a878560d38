//! One access rule and the test whether a request meets its conditions.

use std::sync::Arc;

use crate::facts::{AppId, Destination, Facts, ObjectId, UserKey};

use super::people::{self, Membership};
use super::{Verdict, path};

/// One private access rule, resolved against the configuration's apps. All given conditions must hold; an empty
/// list means "any".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Unique name; appears in logs, metrics and `explain`.
    pub name: Arc<str>,
    /// Apps the rule is about; empty means every app.
    pub apps: Vec<AppId>,
    /// Methods, upper case; empty means any.
    pub methods: Vec<http::Method>,
    /// Path prefixes on whole segments (`/admin` covers `/admin` and `/admin/x`, not `/administrator`); empty means any.
    pub paths: Vec<Box<str>>,
    /// People the rule is about.
    pub who: Who,
    /// What happens when the rule matches.
    pub verdict: Verdict,
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

/// A condition of a rule, named when it is the first that a request does not meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Condition {
    /// The rule is about other apps.
    App,
    /// The rule is about other methods.
    Method,
    /// The rule is about other paths.
    Path,
    /// The rule is about other people.
    Person,
    /// The rule allows members of a group, and the person's groups are not known.
    UnknownGroups,
}

impl Condition {
    /// The word in `explain`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::App => "app",
            Self::Method => "method",
            Self::Path => "path",
            Self::Person => "person",
            Self::UnknownGroups => "unknown_groups",
        }
    }
}

/// What one rule says about one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finding {
    /// Every condition holds.
    Matches,
    /// A block rule is taken to match because the person's groups are not known.
    MatchesForUnknownGroups,
    /// Everything but the person matches, and nobody is signed in.
    DependsOnPerson,
    /// This condition, the first in the order of [`Condition`], does not hold.
    Misses(Condition),
}

impl Rule {
    /// Whether the rule may say something about `app`.
    pub(super) fn concerns(&self, app: AppId) -> bool {
        self.apps.is_empty() || self.apps.contains(&app)
    }

    /// Holds the rule's conditions against `facts`, the cheapest first.
    pub(super) fn examine(&self, facts: &Facts<'_>) -> Finding {
        let Destination::App { app, method, path, .. } = facts.destination;
        if !self.concerns(app) {
            return Finding::Misses(Condition::App);
        }
        if !self.methods.is_empty() && !self.methods.contains(method) {
            return Finding::Misses(Condition::Method);
        }
        if !self.paths.is_empty() && !self.paths.iter().any(|prefix| path::covers(prefix, path, self.verdict)) {
            return Finding::Misses(Condition::Path);
        }
        match (people::membership(&self.who, facts), self.verdict) {
            (Membership::Is, _) => Finding::Matches,
            (Membership::IsNot, _) => Finding::Misses(Condition::Person),
            (Membership::NobodySignedIn, _) => Finding::DependsOnPerson,
            (Membership::GroupsUnknown, Verdict::Block) => Finding::MatchesForUnknownGroups,
            (Membership::GroupsUnknown, _) => Finding::Misses(Condition::UnknownGroups),
        }
    }
}
