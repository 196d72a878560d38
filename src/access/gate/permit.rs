//! Proof that the gate said yes. Its constructor is the gate's own, so nobody else can make one.

use std::sync::Arc;

use super::Person;
use super::open::Entry;
use crate::cut::Cut;
use crate::policy::Decision;

/// A yes to one request. Forwarding takes it by value; there is no other way to reach a destination.
pub struct Permit {
    decision: Decision,
    person: Option<Arc<Person>>,
    cut: Cut,
    path: Arc<str>,
    /// Where it can be found to be taken back; the place comes free when the permit goes.
    _entry: Option<Entry>,
}

impl Permit {
    pub(super) const fn new(
        decision: Decision,
        person: Option<Arc<Person>>,
        cut: Cut,
        path: Arc<str>,
        entry: Option<Entry>,
    ) -> Self {
        Self { decision, person, cut, path, _entry: entry }
    }

    /// What was decided.
    #[must_use]
    pub const fn decision(&self) -> &Decision {
        &self.decision
    }

    /// For whom; `None` when a rule allows anyone.
    #[must_use]
    pub fn person(&self) -> Option<&Person> {
        self.person.as_deref()
    }

    /// The canonical path it was given for.
    #[must_use]
    pub const fn path(&self) -> &Arc<str> {
        &self.path
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
        let decision = Decision {
            verdict: Verdict::Allow,
            reason: Reason::RuleAllowsAnyone,
            step: Step::AccessRules,
            rule: None,
            needs: None,
        };
        Self::new(decision, None, cut, "/".into(), None)
    }
}
