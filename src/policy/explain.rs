//! Why a request is decided as it is: every rule in order with what became of it.

use std::sync::Arc;

use crate::facts::Facts;

use super::rule::Finding;
use super::walk::walk;
use super::{Condition, Decision, Reason, Rule, Verdict};

/// A decision and the way to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// The same decision that [`crate::policy::Policy::decide`] gives.
    pub decision: Decision,
    /// Every rule, in order.
    pub trail: Vec<Considered>,
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

/// What became of one rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It matched and settled the decision.
    Decides,
    /// It matched for everybody, but an earlier rule about people says otherwise, so the stranger has to sign in.
    Overshadowed,
    /// It matches some people, and nobody is signed in.
    DependsOnPerson,
    /// This condition was the first that did not hold.
    Misses(Condition),
    /// An earlier rule had settled the decision.
    NotReached,
}

/// Decides over `rules` and keeps the trail.
pub(super) fn explain(rules: &[Arc<Rule>], facts: &Facts<'_>) -> Explanation {
    let mut trail = Vec::with_capacity(rules.len());
    let decision = walk(rules, facts, |rule, finding| {
        let outcome = match finding {
            Finding::Matches | Finding::MatchesForUnknownGroups => Outcome::Decides,
            Finding::DependsOnPerson => Outcome::DependsOnPerson,
            Finding::Misses(condition) => Outcome::Misses(condition),
        };
        trail.push(considered(rule, outcome));
    });
    if let Some(last) = trail.last_mut()
        && last.outcome == Outcome::Decides
        && decision.reason == Reason::SignInRequired
    {
        last.outcome = Outcome::Overshadowed;
    }
    let reached = trail.len();
    trail.extend(rules.iter().skip(reached).map(|rule| considered(rule, Outcome::NotReached)));
    Explanation { decision, trail }
}

fn considered(rule: &Rule, outcome: Outcome) -> Considered {
    Considered { rule: Arc::clone(&rule.name), verdict: rule.verdict, outcome }
}
