//! What a decision says: a verdict, the step that gave it, and a reason from a closed list.

use std::sync::Arc;

use crate::facts::AuthContext;

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Forward it.
    Allow,
    /// Forward it, and write it down whatever the log leaves out.
    Monitor,
    /// Show a page first that the person may go on from.
    Warn,
    /// Ask for a stronger sign-in first.
    Challenge,
    /// Refuse it.
    Block,
}

impl Verdict {
    /// Every verdict, the mildest first.
    pub const ALL: [Self; 5] = [Self::Allow, Self::Monitor, Self::Warn, Self::Challenge, Self::Block];

    /// Whether the request is forwarded.
    #[must_use]
    pub const fn forwards(self) -> bool {
        matches!(self, Self::Allow | Self::Monitor)
    }

    /// The word in rules, logs and metrics.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Monitor => "monitor",
            Self::Warn => "warn",
            Self::Challenge => "challenge",
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
    /// A rule that does not let in names a group and the person's groups are not known, so it is taken to match.
    GroupsUnknown,
    /// No rule matched; the default for private apps is to block.
    NoRuleMatched,
    /// Nobody is signed in and no rule allows anyone.
    SignInRequired,
    /// An access rule asks for a warning, a stronger sign-in or a note first.
    RuleAsks,
    /// The directory says that the account may not sign in.
    AccountDisabled,
    /// The account is gone from the directory.
    AccountDeleted,
    /// The sign-in is older than the moment since which the provider accepts sign-ins.
    SignInRevoked,
    /// An administrator blocked the person by hand.
    Held,
    /// A risk rule decided.
    RiskRule,
    /// What is known of the account's risk is older than the app accepts.
    RiskTooOld,
    /// The provider hides the level, or calls it by a word this gateway does not know.
    RiskUnknown,
    /// The risk cannot be known: nothing was read yet, or the permission, the licence or the cloud does not give it.
    RiskUnavailable,
}

impl Reason {
    /// Every reason, for closed lists such as metrics.
    pub const ALL: [Self; 15] = [
        Self::RuleAllows,
        Self::RuleAllowsAnyone,
        Self::RuleBlocks,
        Self::GroupsUnknown,
        Self::NoRuleMatched,
        Self::SignInRequired,
        Self::RuleAsks,
        Self::AccountDisabled,
        Self::AccountDeleted,
        Self::SignInRevoked,
        Self::Held,
        Self::RiskRule,
        Self::RiskTooOld,
        Self::RiskUnknown,
        Self::RiskUnavailable,
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
            Self::RuleAsks => "rule_asks",
            Self::AccountDisabled => "account_disabled",
            Self::AccountDeleted => "account_deleted",
            Self::SignInRevoked => "sign_in_revoked",
            Self::Held => "held",
            Self::RiskRule => "risk_rule",
            Self::RiskTooOld => "risk_too_old",
            Self::RiskUnknown => "risk_unknown",
            Self::RiskUnavailable => "risk_unavailable",
        }
    }

    /// Whether a decision with this reason can have this verdict.
    #[must_use]
    pub const fn may_give(self, verdict: Verdict) -> bool {
        match self {
            Self::RuleAllows | Self::RuleAllowsAnyone => matches!(verdict, Verdict::Allow),
            // A challenge that nothing can satisfy blocks, and one of a group whose membership is not known is kept.
            Self::RuleAsks
            | Self::GroupsUnknown
            | Self::RiskRule
            | Self::RiskTooOld
            | Self::RiskUnknown
            | Self::RiskUnavailable => !matches!(verdict, Verdict::Allow),
            _ => matches!(verdict, Verdict::Block),
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
            Self::RuleAsks => "Your organisation asks for more before this opens.",
            Self::AccountDisabled | Self::AccountDeleted => "Your account is not active.",
            Self::SignInRevoked => "Your sign-in was ended. Sign in again.",
            Self::Held => "An administrator has blocked your account here.",
            Self::RiskRule => "Your account may be at risk, so your organisation protects it.",
            Self::RiskTooOld | Self::RiskUnknown | Self::RiskUnavailable => {
                "It could not be confirmed that your account is safe, and access depends on it."
            }
        }
    }
}

/// The step of the precedence (design: "Precedence of a decision") that settled it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// 2: what an administrator or the directory says about the account.
    Account,
    /// 3: risk rules, and what is configured for risk that is not known.
    RiskControl,
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
            Self::Account => "account",
            Self::RiskControl => "risk_control",
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
    /// The step-up that would turn a challenge into a yes.
    pub needs: Option<AuthContext>,
}
