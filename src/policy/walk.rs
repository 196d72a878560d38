//! The one way through all steps that deciding and explaining share.
//!
//! 1. **Account.** Blocked by hand, disabled, deleted, or signed in before the provider's "sign in again": that is the
//!    end. Nobody signed in has no account; the step says nothing.
//! 2. **Risk** (module `risk`). A block is the end. Anything milder is kept.
//! 3. **Access rules**, first match; without one the request is blocked. A block is the end: nobody is challenged for
//!    what stays closed anyway. Otherwise the strictest of what risk and the access rule ask for is the answer.
//!
//! With somebody signed in the walk over the access rules is simple, but for one thing: a rule that warns or challenges
//! members of a group, when the person's groups are not known. It neither lets in (the person may be no member) nor is
//! passed by (the person may be one): its question is kept and the walk goes on to what lets in or blocks.
//!
//! While nobody is signed in, a rule about people would match some visitors and not others, so the walk keeps in mind
//! what such rules would have said, and only answers for a stranger what it would answer for everybody who is not named:
//!
//! - A rule for anyone that lets in (*allow*, *monitor*) holds for a stranger if every earlier rule about people lets in
//!   too. If one says *block* or asks for something, letting the stranger in would open a way around it: leaving the
//!   cookie at home.
//! - A rule for anyone that says *block* holds for a stranger if every earlier rule about people says *block* too.
//!   Otherwise the stranger may be somebody who is let in, and is asked to sign in.
//! - A rule for anyone that warns or challenges asks a stranger to sign in: what is passed is kept with the session.
//! - At the end of the rules a stranger is always asked to sign in, also where nobody could ever be let in: the
//!   difference would tell strangers which places have rules.

use std::sync::Arc;

use crate::facts::{Account, Facts};

use super::ask::{Ask, Asks};
use super::risk::{self, Doubt, OnDoubt, RiskRule};
use super::rule::Finding;
use super::{Decision, Reason, Rule, Step, Verdict, Who};

/// Who wants to hear what was found on the way. Deciding does not.
pub(super) trait Notes {
    /// Whether the risk rules after the first block are to be heard as well.
    fn wants_all(&self) -> bool {
        false
    }
    /// The person is exempt from risk control.
    fn exempt(&mut self) {}
    /// What a risk rule found and, if it matched, what is left of its verdict.
    fn risk(&mut self, _: &RiskRule, _: Finding, _: Option<Verdict>) {}
    /// A doubt, its outcome, and what is left of that.
    fn doubt(&mut self, _: Doubt, _: OnDoubt, _: Verdict) {}
    /// What an access rule found and, if it matched, what is left of its verdict.
    fn access(&mut self, _: &Rule, _: Finding, _: Option<Verdict>) {}
}

impl Notes for () {}

/// Decides. `risk` is `None` where risk does not matter; `rules` are the access rules that may concern the app, in order.
#[inline]
pub(super) fn walk<'p>(
    risk: Option<risk::Scope<'p>>,
    rules: impl Iterator<Item = &'p Arc<Rule>>,
    facts: &Facts<'_>,
    notes: &mut impl Notes,
) -> Decision {
    let mut asks = match (facts.subject, risk) {
        (None, _) => Asks::default(),
        (Some(_), _) if let Some(reason) = account(facts) => return block(reason, Step::Account),
        (Some(_), None) => Asks::default(),
        (Some(subject), Some(scope)) => risk::judge(scope, subject, facts, notes),
    };
    if let Some(refusal) = asks.refusal() {
        return refusal;
    }
    if facts.subject.is_some() { for_person(&mut asks, rules, facts, notes) } else { for_stranger(rules, facts, notes) }
}

/// What the directory and the administrators say against the account.
const fn account(facts: &Facts<'_>) -> Option<Reason> {
    if facts.standing.hold.private {
        return Some(Reason::Held);
    }
    match facts.standing.account {
        Account::Disabled => return Some(Reason::AccountDisabled),
        Account::Deleted => return Some(Reason::AccountDeleted),
        Account::Enabled | Account::Unknown => {}
    }
    match facts.standing.valid_from {
        Some(since) if since.0 > facts.authenticated.0 => Some(Reason::SignInRevoked),
        _ => None,
    }
}

/// The access rules for somebody who is signed in. `asks` holds what risk asks for.
#[inline]
fn for_person<'p>(
    asks: &mut Asks<'p>,
    rules: impl Iterator<Item = &'p Arc<Rule>>,
    facts: &Facts<'_>,
    notes: &mut impl Notes,
) -> Decision {
    for rule in rules {
        let finding = rule.examine(facts);
        let (reason, is_last) = match finding {
            Finding::Matches => (reason(rule), true),
            Finding::MatchesForUnknownGroups => (Reason::GroupsUnknown, rule.verdict == Verdict::Block),
            Finding::Misses(_) | Finding::DependsOnPerson => {
                notes.access(rule, finding, None);
                continue;
            }
        };
        let ask = ask(rule, reason);
        let left = asks.add(ask, None, facts);
        notes.access(rule, finding, Some(left));
        match left {
            Verdict::Block => return ask.decision(Verdict::Block),
            Verdict::Allow => return asks.strictest().unwrap_or_else(|| ask.decision(Verdict::Allow)),
            Verdict::Monitor | Verdict::Warn | Verdict::Challenge if is_last => {
                return asks.strictest().unwrap_or_else(|| ask.decision(left));
            }
            Verdict::Monitor | Verdict::Warn | Verdict::Challenge => {}
        }
    }
    block(Reason::NoRuleMatched, Step::Default)
}

/// The access rules for nobody in particular.
fn for_stranger<'p>(rules: impl Iterator<Item = &'p Arc<Rule>>, facts: &Facts<'_>, notes: &mut impl Notes) -> Decision {
    let mut earlier = Earlier::default();
    for rule in rules {
        let finding = rule.examine(facts);
        match finding {
            Finding::Misses(_) => notes.access(rule, finding, None),
            Finding::DependsOnPerson => {
                notes.access(rule, finding, None);
                earlier.remember(rule.verdict);
            }
            Finding::Matches | Finding::MatchesForUnknownGroups => {
                notes.access(rule, finding, Some(rule.verdict));
                if earlier.contradicts(rule.verdict) {
                    return block(Reason::SignInRequired, Step::AccessRules);
                }
                return ask(rule, reason(rule)).decision(rule.verdict);
            }
        }
    }
    block(Reason::SignInRequired, Step::Default)
}

/// The verdicts that rules about people would have given to some stranger.
#[derive(Debug, Default)]
struct Earlier {
    lets_in: bool,
    asks: bool,
    blocks: bool,
}

impl Earlier {
    const fn remember(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Allow | Verdict::Monitor => self.lets_in = true,
            Verdict::Warn | Verdict::Challenge => self.asks = true,
            Verdict::Block => self.blocks = true,
        }
    }

    /// Whether a rule for anyone with this verdict cannot be answered before it is known who asks.
    const fn contradicts(&self, verdict: Verdict) -> bool {
        match verdict {
            Verdict::Allow | Verdict::Monitor => self.blocks || self.asks,
            Verdict::Warn | Verdict::Challenge => true,
            Verdict::Block => self.lets_in || self.asks,
        }
    }
}

const fn reason(rule: &Rule) -> Reason {
    match (rule.verdict, &rule.who) {
        (Verdict::Allow, Who::Anyone) => Reason::RuleAllowsAnyone,
        (Verdict::Allow, Who::SignedIn | Who::Listed { .. }) => Reason::RuleAllows,
        (Verdict::Monitor | Verdict::Warn | Verdict::Challenge, _) => Reason::RuleAsks,
        (Verdict::Block, _) => Reason::RuleBlocks,
    }
}

fn ask(rule: &Rule, reason: Reason) -> Ask<'_> {
    Ask { verdict: rule.verdict, reason, step: Step::AccessRules, rule: Some(&rule.name), step_up: rule.step_up }
}

const fn block(reason: Reason, step: Step) -> Decision {
    Decision { verdict: Verdict::Block, reason, step, rule: None, needs: None }
}
