//! First match wins: the one walk over the rules that deciding and explaining share.
//!
//! With somebody signed in the walk is simple. While nobody is, a rule about people would match some visitors and not
//! others, so the walk keeps in mind which verdicts such rules would have given, and only answers for a stranger what
//! it would answer for everybody who is not named:
//!
//! - A rule for anyone that says *allow* holds for a stranger if every earlier rule about people says *allow* too. If
//!   one says *block*, letting the stranger in would let a blocked person in by leaving the cookie at home.
//! - A rule for anyone that says *block* holds for a stranger if every earlier rule about people says *block* too. If
//!   one says *allow*, the stranger may be somebody who is let in, and is asked to sign in.
//! - At the end of the rules a stranger is always asked to sign in, also where nobody could ever be let in: the
//!   difference would tell strangers which places have rules.

use std::sync::Arc;

use crate::facts::Facts;

use super::rule::Finding;
use super::{Decision, Reason, Rule, Step, Verdict, Who};

/// Decides over `rules`, in order, and shows `note` each rule that was looked at with what was found.
#[inline]
pub(super) fn walk(rules: &[Arc<Rule>], facts: &Facts<'_>, mut note: impl FnMut(&Rule, Finding)) -> Decision {
    let mut earlier = Earlier::default();
    for rule in rules {
        let finding = rule.examine(facts);
        note(rule, finding);
        match finding {
            Finding::Misses(_) => {}
            Finding::DependsOnPerson => earlier.remember(rule.verdict),
            // Only a rule for anyone matches a stranger; for somebody signed in `earlier` is empty.
            Finding::Matches if earlier.contradicts(rule.verdict) => return sign_in_required(Step::AccessRules),
            Finding::Matches => return settled(rule, reason(rule)),
            Finding::MatchesForUnknownGroups => return settled(rule, Reason::GroupsUnknown),
        }
    }
    if facts.subject.is_none() {
        return sign_in_required(Step::Default);
    }
    Decision { verdict: Verdict::Block, reason: Reason::NoRuleMatched, step: Step::Default, rule: None, needs: None }
}

/// The verdicts that rules about people would have given to some stranger.
#[derive(Debug, Default)]
struct Earlier {
    allow: bool,
    block: bool,
}

impl Earlier {
    const fn remember(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Allow | Verdict::Monitor | Verdict::Warn | Verdict::Challenge => self.allow = true,
            Verdict::Block => self.block = true,
        }
    }

    const fn contradicts(&self, verdict: Verdict) -> bool {
        match verdict {
            Verdict::Allow | Verdict::Monitor | Verdict::Warn | Verdict::Challenge => self.block,
            Verdict::Block => self.allow,
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

fn settled(rule: &Rule, reason: Reason) -> Decision {
    Decision { verdict: rule.verdict, reason, step: Step::AccessRules, rule: Some(Arc::clone(&rule.name)), needs: None }
}

const fn sign_in_required(step: Step) -> Decision {
    Decision { verdict: Verdict::Block, reason: Reason::SignInRequired, step, rule: None, needs: None }
}
