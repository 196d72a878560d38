//! An explanation for people and for programs.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{Arguments, Place};
use crate::policy::{Considered, Doubted, Explanation, Outcome, RiskLook};

pub(super) fn in_words(
    arguments: &Arguments,
    place: &Place<'_>,
    explanation: &Explanation,
    note: Option<&str>,
) -> String {
    let mut text = format!("{} https://{}{} (app {})\n", arguments.method, place.app.host, place.path, place.app.name);
    let _ = writeln!(text, "by {}\n", who(arguments));
    if let Some(note) = note {
        let _ = writeln!(text, "note: {note}\n");
    }
    let says_nothing = matches!(explanation.risk, RiskLook::NotUsed | RiskLook::Nobody);
    let has_risk = !(explanation.risk_trail.is_empty() && says_nothing);
    if has_risk {
        let _ = writeln!(text, "risk control: {}", look(explanation.risk));
        table(&mut text, &explanation.risk_trail);
        explanation.doubts.iter().for_each(|doubt| doubted(&mut text, explanation, doubt));
        text.push_str("\naccess rules\n");
    }
    table(&mut text, &explanation.trail);
    let decision = &explanation.decision;
    let (verdict, reason, step) = (decision.verdict.word(), decision.reason.word(), decision.step.word());
    let _ = write!(text, "\n{verdict}: {reason} (step {step}");
    if let Some(rule) = &decision.rule {
        let _ = write!(text, ", rule \"{rule}\"");
    }
    if let Some(context) = decision.needs {
        let _ = write!(text, ", needs {context}");
    }
    text.push_str(")\n");
    text
}

fn who(arguments: &Arguments) -> String {
    match arguments.user {
        None => "nobody signed in".to_owned(),
        Some(user) if arguments.groups_unknown => format!("{user}, groups not known"),
        Some(user) => {
            let number = arguments.group.len();
            format!("{user}, in {number} group{}", if number == 1 { "" } else { "s" })
        }
    }
}

/// Writing to a string cannot fail, here and above.
fn table(text: &mut String, trail: &[Considered]) {
    if trail.is_empty() {
        return;
    }
    let width = trail.iter().map(|considered| considered.rule.len()).max().unwrap_or(0).max(4);
    let verdicts = trail.iter().map(|considered| considered.verdict.word().len()).max().unwrap_or(0).max(7);
    let _ = writeln!(text, "      #  {:width$}  {:verdicts$}  outcome", "rule", "verdict");
    for (number, considered) in (1..).zip(trail) {
        let mark = if considered.outcome == Outcome::Decides { '>' } else { ' ' };
        let (rule, verdict, outcome) = (&considered.rule, considered.verdict.word(), outcome(considered.outcome));
        let _ = writeln!(text, "  {mark} {number:>3}  {rule:width$}  {verdict:verdicts$}  {outcome}");
    }
}

fn doubted(text: &mut String, explanation: &Explanation, doubt: &Doubted) {
    let decides = explanation.decision.rule.is_none() && explanation.decision.reason == doubt.doubt.reason();
    let mark = if decides { '>' } else { ' ' };
    let (what, configured, left) = (doubt.doubt.word(), doubt.configured.word(), doubt.left.word());
    let _ = writeln!(text, "  {mark}   ?  the risk is not known ({what}): {configured} is configured, so {left}");
}

const fn look(look: RiskLook) -> &'static str {
    match look {
        RiskLook::Taken => "every rule that matches counts",
        RiskLook::NotReached => "not reached, the account's standing decides",
        RiskLook::NotUsed => "not used, no rule concerns this app and it has no max_risk_age",
        RiskLook::Nobody => "nobody is signed in, and only accounts have a risk",
        RiskLook::Exempt => "the person is exempt",
    }
}

fn outcome(outcome: Outcome) -> String {
    match outcome {
        Outcome::Decides => "matches and decides".to_owned(),
        Outcome::Counts => "matches, something stricter or earlier decides".to_owned(),
        Outcome::Passed => "matches, and what it asks for is passed".to_owned(),
        Outcome::Overshadowed => "matches, but an earlier rule may say otherwise once it is known who asks".to_owned(),
        Outcome::DependsOnPerson => "depends on who asks".to_owned(),
        Outcome::Misses(condition) => format!("does not match: {}", condition.word()),
        Outcome::NotReached => "not reached".to_owned(),
    }
}

pub(super) fn in_json(
    arguments: &Arguments,
    place: &Place<'_>,
    explanation: &Explanation,
    note: Option<&str>,
) -> Value {
    let decision = &explanation.decision;
    let doubt = |doubt: &Doubted| json!({ "doubt": doubt.doubt.word(), "configured": doubt.configured.word(), "verdict": doubt.left.word() });
    json!({
        "request": {
            "app": place.app.name,
            "method": arguments.method.as_str(),
            "host": place.app.host,
            "path": place.path,
            "user": arguments.user.map(|user| user.to_string()),
        },
        "note": note,
        "decision": {
            "verdict": decision.verdict.word(),
            "reason": decision.reason.word(),
            "step": decision.step.word(),
            "rule": decision.rule,
            "needs": decision.needs.map(|context| context.to_string()),
        },
        "risk": {
            "look": explanation.risk.word(),
            "trail": explanation.risk_trail.iter().map(entry).collect::<Vec<_>>(),
            "doubts": explanation.doubts.iter().map(doubt).collect::<Vec<_>>(),
        },
        "trail": explanation.trail.iter().map(entry).collect::<Vec<_>>(),
    })
}

fn entry(considered: &Considered) -> Value {
    let (word, condition) = match considered.outcome {
        Outcome::Decides => ("decides", None),
        Outcome::Counts => ("counts", None),
        Outcome::Passed => ("passed", None),
        Outcome::Overshadowed => ("overshadowed", None),
        Outcome::DependsOnPerson => ("depends_on_person", None),
        Outcome::Misses(condition) => ("misses", Some(condition.word())),
        Outcome::NotReached => ("not_reached", None),
    };
    json!({
        "rule": considered.rule,
        "verdict": considered.verdict.word(),
        "outcome": word,
        "condition": condition,
    })
}
