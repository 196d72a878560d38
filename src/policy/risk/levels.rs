//! The risk rules of an app, found by the account's level: a decision reads those that can match, not all there are.
//!
//! What is left out misses by its level (or, for an account without risk, by any condition on the risk itself); what is
//! read is still examined in full.

use std::sync::Arc;

use crate::facts::RiskLevel;

use super::{RiskRule, View};

type Rules = Box<[Arc<RiskRule>]>;

/// The rules in order: all, and those that can match at each level.
#[derive(Debug, Default)]
pub(in crate::policy) struct Levels {
    all: Rules,
    /// For accounts that the provider lists no risk of, which is nearly everybody.
    unlisted: Rules,
    /// For accounts whose risk the provider has closed.
    closed: Rules,
    none: Rules,
    low: Rules,
    medium: Rules,
    high: Rules,
    hidden: Rules,
    unknown: Rules,
}

impl Levels {
    pub(in crate::policy) fn new(all: Rules) -> Self {
        let those = |fits: &dyn Fn(&RiskRule) -> bool| all.iter().filter(|rule| fits(rule)).cloned().collect();
        let at = |level| those(&|rule| rule.risk.may_be_at(level));
        Self {
            unlisted: those(&|rule| rule.risk.may_be_none()),
            // Rules without states take a closed risk for none; the others look at what it was.
            closed: those(&|rule| !rule.risk.states.is_empty() || rule.risk.may_be_at(RiskLevel::None)),
            none: at(RiskLevel::None),
            low: at(RiskLevel::Low),
            medium: at(RiskLevel::Medium),
            high: at(RiskLevel::High),
            hidden: at(RiskLevel::Hidden),
            unknown: at(RiskLevel::Unknown),
            all,
        }
    }

    /// Every rule.
    pub(in crate::policy) const fn all(&self) -> &Rules {
        &self.all
    }

    /// Those that can match what is known.
    #[inline]
    pub(super) const fn of(&self, view: &View<'_>) -> &Rules {
        if view.reading.is_none() {
            return &self.unlisted;
        }
        if view.is_closed {
            return &self.closed;
        }
        match view.level {
            RiskLevel::None => &self.none,
            RiskLevel::Low => &self.low,
            RiskLevel::Medium => &self.medium,
            RiskLevel::High => &self.high,
            RiskLevel::Hidden => &self.hidden,
            RiskLevel::Unknown => &self.unknown,
        }
    }
}
