//! Proof that the gate said yes. Its constructor is the gate's own, so nobody else can make one.

use std::sync::Arc;

use http::HeaderValue;

use crate::cut::Cut;
use crate::facts::Subject;
use crate::policy::Decision;
use crate::session::Session;

/// A yes to one request. Forwarding takes it by value; there is no other way to reach a destination.
pub struct Permit {
    decision: Decision,
    person: Option<Person>,
    cut: Cut,
}

/// The person a permit speaks for.
#[derive(Clone)]
pub struct Person {
    /// The session.
    pub session: Arc<Session>,
    /// Who, at the version the decision was made on.
    pub subject: Arc<Subject>,
    /// The identity headers for the upstream, ready made.
    pub headers: Arc<[(http::HeaderName, HeaderValue)]>,
}

impl Permit {
    pub(super) fn new(decision: Decision, person: Option<Person>, cut: Cut) -> Self {
        Self { decision, person, cut }
    }

    /// What was decided.
    #[must_use]
    pub const fn decision(&self) -> &Decision {
        &self.decision
    }

    /// For whom; `None` when a rule allows anyone.
    #[must_use]
    pub const fn person(&self) -> Option<&Person> {
        self.person.as_ref()
    }

    /// Raised when this yes is taken back.
    #[must_use]
    pub const fn cut(&self) -> &Cut {
        &self.cut
    }

    /// A yes for nobody in particular, for unit tests of what comes after the gate.
    #[cfg(test)]
    pub(in crate::access) fn for_tests(cut: Cut) -> Self {
        use crate::policy::{Reason, Step, Verdict};
        let decision =
            Decision { verdict: Verdict::Allow, reason: Reason::RuleAllowsAnyone, step: Step::AccessRules, rule: None };
        Self::new(decision, None, cut)
    }
}
