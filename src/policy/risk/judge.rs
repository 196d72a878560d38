//! Step 3: what the risk rules and the doubts ask of one request.

use std::sync::Arc;

use crate::facts::{Destination, Facts, Subject};
use crate::policy::ask::{Ask, Asks};
use crate::policy::rule::Finding;
use crate::policy::walk::Notes;
use crate::policy::{Reason, Step, StepUp, Verdict};

use super::{AppRisk, Doubt, Levels, OnDoubt, RiskRule, RiskSettings, View};

/// What risk control knows of the app that is asked for.
#[derive(Clone, Copy)]
pub(in crate::policy) struct Scope<'p> {
    pub(in crate::policy) rules: &'p [Arc<RiskRule>],
    /// The same by level; without it all are read.
    pub(in crate::policy) levels: Option<&'p Levels>,
    pub(in crate::policy) settings: &'p RiskSettings,
    pub(in crate::policy) app: AppRisk,
}

/// Collects what is asked for. The caller has made sure that risk matters for the app.
pub(in crate::policy) fn judge<'p>(
    scope: Scope<'p>,
    subject: &Subject,
    facts: &Facts<'_>,
    notes: &mut impl Notes,
) -> Asks<'p> {
    let mut asks = Asks::default();
    if scope.settings.exempt.contains(subject.user, &facts.standing.groups) {
        notes.exempt();
        return asks;
    }
    let known = View::of(facts.standing);
    let doubts = scope.settings.doubts(&scope.app, &known, facts);
    let low = doubts.iter().flatten().any(|(_, outcome)| *outcome == OnDoubt::Low);
    // Where a level is assumed besides the known one, either may be what a rule is about.
    let levels = scope.levels.filter(|_| !low);
    let rules = levels.map_or(scope.rules, |levels| levels.of(&known));
    for rule in rules {
        let mut finding = examine(rule, subject, facts, &known);
        if low && matches!(finding, Finding::Misses(_)) {
            // What is assumed comes on top of what is known: a doubt lifts nothing.
            finding = examine(rule, subject, facts, &known.at_least_low());
        }
        if !matches!(finding, Finding::Matches | Finding::MatchesForUnknownGroups) {
            notes.risk(rule, finding, None);
            continue;
        }
        let ask = Ask {
            verdict: rule.verdict,
            reason: Reason::RiskRule,
            step: Step::RiskControl,
            rule: Some(&rule.name),
            step_up: rule.step_up,
        };
        let left = asks.add(ask, known.reading, facts);
        notes.risk(rule, finding, Some(left));
        if left == Verdict::Block && !notes.wants_all() {
            // The first block is the answer, whatever else there is.
            return asks;
        }
    }
    for (doubt, outcome) in doubts.into_iter().flatten() {
        let ask = in_doubt(doubt, outcome, scope.settings.step_up);
        notes.doubt(doubt, outcome, asks.add(ask, known.reading, facts));
    }
    asks
}

fn examine(rule: &RiskRule, subject: &Subject, facts: &Facts<'_>, view: &View<'_>) -> Finding {
    let Destination::App { app, .. } = facts.destination;
    if let Some(condition) = rule.missed_app(app) {
        return Finding::Misses(condition);
    }
    match rule.examine(subject.user, &facts.standing.groups, view, facts.now) {
        missed @ (Finding::Misses(_) | Finding::DependsOnPerson) => missed,
        found => rule.when.missed(facts.client, facts.now).map_or(found, Finding::Misses),
    }
}

const fn in_doubt<'p>(doubt: Doubt, outcome: OnDoubt, step_up: Option<StepUp>) -> Ask<'p> {
    Ask { verdict: outcome.verdict(), reason: doubt.reason(), step: Step::RiskControl, rule: None, step_up }
}
