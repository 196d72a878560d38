//! Why a request is decided as it is: every step and every rule in order with what became of it.

use std::sync::Arc;

use crate::facts::Facts;

use super::risk::{Doubt, OnDoubt, RiskRule, Scope};
use super::rule::Finding;
use super::walk::{Notes, walk};
use super::{Condition, Decision, Reason, Rule, Step, Verdict};

/// A decision and the way to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// The same decision that [`crate::policy::Policy::decide`] gives.
    pub decision: Decision,
    /// Whether risk control looked at the person, or why not.
    pub risk: RiskLook,
    /// Every risk rule, in order.
    pub risk_trail: Vec<Considered>,
    /// What is not known about the risk, and what follows.
    pub doubts: Vec<Doubted>,
    /// Every access rule, in order.
    pub trail: Vec<Considered>,
}

/// Whether risk control looked at a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RiskLook {
    /// It did.
    Taken,
    /// The account step had settled the decision.
    NotReached,
    /// No risk rule concerns the app, and the app has no `max_risk_age`.
    NotUsed,
    /// Nobody is signed in.
    Nobody,
    /// The person is exempt.
    Exempt,
}

impl RiskLook {
    /// The word in `explain`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::NotReached => "not_reached",
            Self::NotUsed => "not_used",
            Self::Nobody => "nobody",
            Self::Exempt => "exempt",
        }
    }
}

/// One rule and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Considered {
    /// The rule's name.
    pub rule: Arc<str>,
    /// What the rule would do.
    pub verdict: Verdict,
    /// Whether it did.
    pub outcome: Outcome,
}

/// Something that is not known about the risk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Doubted {
    /// What.
    pub doubt: Doubt,
    /// What is configured for it.
    pub configured: OnDoubt,
    /// What is left of that after what the session has passed.
    pub left: Verdict,
}

/// What became of one rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It matched and settled the decision.
    Decides,
    /// It matched; a stricter one, or one before it, settled the decision.
    Counts,
    /// It matched, and the session has passed what it asks for.
    Passed,
    /// It matched for everybody, but an earlier rule about people says otherwise, so the stranger has to sign in.
    Overshadowed,
    /// It matches some people, and nobody is signed in.
    DependsOnPerson,
    /// This condition was the first that did not hold.
    Misses(Condition),
    /// The decision had been settled before.
    NotReached,
}

/// Decides over all rules and keeps the trail. `risk` is what risk control would use if it matters for the app.
pub(super) fn explain(risk: Scope<'_>, matters: bool, rules: &[Arc<Rule>], facts: &Facts<'_>) -> Explanation {
    let mut trail = Trail::default();
    let decision = walk(matters.then_some(risk), rules.iter(), facts, &mut trail);
    let look = match (facts.subject, decision.step) {
        (None, _) => RiskLook::Nobody,
        (Some(_), Step::Account) => RiskLook::NotReached,
        (Some(_), _) if !matters => RiskLook::NotUsed,
        (Some(_), _) if trail.exempt => RiskLook::Exempt,
        (Some(_), _) => RiskLook::Taken,
    };
    if decision.reason == Reason::SignInRequired
        && let Some(last) = trail.access.last_mut()
        && last.outcome == Outcome::Counts
    {
        last.outcome = Outcome::Overshadowed;
    }
    let not_reached = |name: &Arc<str>, verdict| considered(name, verdict, Outcome::NotReached);
    let reached = trail.access.len();
    trail.access.extend(rules.iter().skip(reached).map(|rule| not_reached(&rule.name, rule.verdict)));
    let reached = trail.risk.len();
    trail.risk.extend(risk.rules.iter().skip(reached).map(|rule| not_reached(&rule.name, rule.verdict)));
    for considered in trail.access.iter_mut().chain(&mut trail.risk) {
        let settled = decision.rule.as_ref() == Some(&considered.rule);
        if settled && matches!(considered.outcome, Outcome::Counts) {
            considered.outcome = Outcome::Decides;
        }
    }
    Explanation { decision, risk: look, risk_trail: trail.risk, doubts: trail.doubts, trail: trail.access }
}

#[derive(Default)]
struct Trail {
    exempt: bool,
    risk: Vec<Considered>,
    doubts: Vec<Doubted>,
    access: Vec<Considered>,
}

impl Notes for Trail {
    fn wants_all(&self) -> bool {
        true
    }

    fn exempt(&mut self) {
        self.exempt = true;
    }

    fn risk(&mut self, rule: &RiskRule, finding: Finding, left: Option<Verdict>) {
        self.risk.push(considered(&rule.name, rule.verdict, outcome(finding, rule.verdict, left)));
    }

    fn doubt(&mut self, doubt: Doubt, configured: OnDoubt, left: Verdict) {
        self.doubts.push(Doubted { doubt, configured, left });
    }

    fn access(&mut self, rule: &Rule, finding: Finding, left: Option<Verdict>) {
        self.access.push(considered(&rule.name, rule.verdict, outcome(finding, rule.verdict, left)));
    }
}

fn outcome(finding: Finding, verdict: Verdict, left: Option<Verdict>) -> Outcome {
    match finding {
        Finding::DependsOnPerson => Outcome::DependsOnPerson,
        Finding::Misses(condition) => Outcome::Misses(condition),
        Finding::Matches | Finding::MatchesForUnknownGroups => match left {
            Some(Verdict::Monitor) if verdict != Verdict::Monitor => Outcome::Passed,
            _ => Outcome::Counts,
        },
    }
}

fn considered(rule: &Arc<str>, verdict: Verdict, outcome: Outcome) -> Considered {
    Considered { rule: Arc::clone(rule), verdict, outcome }
}
