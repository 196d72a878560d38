//! Rules held against an account outside of any request: actions that begin on their own, and who would be hit now.

use std::sync::Arc;

use crate::facts::{RiskFeed, RiskSource, Standing, UnixTime, UserKey};

use super::risk::View;
use super::rule::Finding;
use super::{Policy, RiskRule};

/// What is known of one account when nobody asks for anything.
#[derive(Debug, Clone, Copy)]
pub struct AccountFacts<'a> {
    /// Whose.
    pub user: UserKey,
    /// How it stands.
    pub standing: &'a Standing,
    /// Where its risk comes from.
    pub feed: RiskFeed,
    /// When.
    pub now: UnixTime,
}

impl Policy {
    /// The rules with actions that match this account now, in order.
    ///
    /// Stricter than what requests are judged by, because an action is hard to take back: only a source that answers
    /// counts, only a risk that is not too old, never a level that is merely assumed, and groups that are not known
    /// match nothing. Who is exempt is left alone.
    pub fn automatic<'p>(&'p self, account: &AccountFacts<'p>) -> impl Iterator<Item = &'p Arc<RiskRule>> {
        let account = *account;
        let settings = &self.risk.settings;
        let fresh = account.feed.source == RiskSource::Answers && !settings.is_stale(None, account.feed, account.now);
        self.risk_rules.iter().filter(move |rule| {
            fresh && !rule.actions.is_empty() && self.hits(rule, &account) == Some(Finding::Matches)
        })
    }

    /// Whether `rule`, one of this policy's or a draft, would hit this account now, wherever its requests come from and
    /// go to. Groups that are not known count as they do for requests.
    #[must_use]
    pub fn concerned(&self, rule: &RiskRule, account: &AccountFacts<'_>) -> bool {
        matches!(self.hits(rule, account), Some(Finding::Matches | Finding::MatchesForUnknownGroups))
    }

    /// `None` for a rule that is switched off, the wrong time, and people who are exempt.
    fn hits(&self, rule: &RiskRule, account: &AccountFacts<'_>) -> Option<Finding> {
        let AccountFacts { user, standing, now, .. } = *account;
        let exempt = self.risk.settings.exempt.contains(user, &standing.groups);
        let applies = rule.enabled && !exempt && rule.when.on_time(now);
        applies.then(|| rule.examine(user, &standing.groups, &View::of(standing), now))
    }
}
