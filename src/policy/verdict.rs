//! What a decision says: a verdict, the step that gave it, and a reason from a closed list.

use std::sync::Arc;

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Forward it.
    Allow,
    /// Refuse it.
    Block,
}

impl Verdict {
    /// The word in rules, logs and metrics.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Block => "block",
        }
    }
}

/// Why. The same word stands in the log line, the metric label, the page, `explain` and the tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// An access rule allowed it.
    RuleAllows,
    /// An access rule allowed it for everybody, signed in or not.
    RuleAllowsAnyone,
    /// An access rule blocked it.
    RuleBlocks,
    /// A block rule names a group and the person's groups are not known, so the rule is taken to match.
    GroupsUnknown,
    /// No rule matched; the default for private apps is to block.
    NoRuleMatched,
    /// Nobody is signed in and no rule allows anyone.
    SignInRequired,
}

impl Reason {
    /// Every reason, for closed lists such as metrics.
    pub const ALL: [Self; 6] = [
        Self::RuleAllows,
        Self::RuleAllowsAnyone,
        Self::RuleBlocks,
        Self::GroupsUnknown,
        Self::NoRuleMatched,
        Self::SignInRequired,
    ];

    /// The word in logs, metrics and pages.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::RuleAllows => "rule_allows",
            Self::RuleAllowsAnyone => "rule_allows_anyone",
            Self::RuleBlocks => "rule_blocks",
            Self::GroupsUnknown => "groups_unknown",
            Self::NoRuleMatched => "no_rule_matched",
            Self::SignInRequired => "sign_in_required",
        }
    }

    /// One sentence for the person on the block page; says nothing about how the rules are written.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::RuleAllows | Self::RuleAllowsAnyone => "Access is allowed.",
            Self::RuleBlocks => "Your organisation's rules do not let your account open this.",
            Self::GroupsUnknown => "Your group membership could not be confirmed, and access depends on it.",
            Self::NoRuleMatched => "No rule gives your account access to this.",
            Self::SignInRequired => "You need to sign in first.",
        }
    }
}

/// The step of the precedence (design: "Precedence of a decision") that settled it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// 6: access rules, first match.
    AccessRules,
    /// 7: the default.
    Default,
}

impl Step {
    /// The word in logs and `explain`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::AccessRules => "access_rules",
            Self::Default => "default",
        }
    }
}

/// The outcome of [`crate::policy::Policy::decide`]. Making one allocates nothing: the rule's name is shared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// What happens.
    pub verdict: Verdict,
    /// Why.
    pub reason: Reason,
    /// Which step settled it.
    pub step: Step,
    /// The rule that settled it, if one did.
    pub rule: Option<Arc<str>>,
}
