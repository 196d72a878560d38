//! Layer 1: rules in, decision out. Pure: no async, no I/O, no clock; the same facts always give the same decision.

mod verdict;

pub use verdict::{Decision, Reason, Step, Verdict};

use crate::facts::{AppId, Facts, ObjectId, UserKey};
use std::sync::Arc;

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

/// A compiled set of rules: one generation, immutable.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    version: u64,
}

impl Policy {
    /// Compiles rules, in order, into per-app indexes. `version` names this generation in logs.
    #[must_use]
    pub fn new(_rules: Vec<Rule>, version: u64) -> Self {
        Self { version }
    }

    /// The generation this policy was built for.
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// Decides one request. Allocates nothing.
    #[must_use]
    pub fn decide(&self, _facts: &Facts<'_>) -> Decision {
        unimplemented!()
    }
}
