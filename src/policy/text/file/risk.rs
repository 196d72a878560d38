//! Risk rules, and what holds for risk everywhere, as they are written.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::document::At;
use crate::facts::{RiskLevel, RiskState};
use crate::policy::{AutoAction, OnDoubt, Plane, Verdict};

use super::{List, yes};

/// What holds for risk everywhere. A doubt only counts for apps that a risk rule concerns or that have a `max_risk_age`;
/// it is added to what the rules say of the last known risk, and the stricter of both holds.
///
/// `last_known` goes by the last known risk and `low` assumes at least a low one; both mark every request in the decision
/// log. Left out, every `on_...` is `challenge` when there is a `context`, else `block`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::policy::text) struct Risk {
    /// Oldest risk accepted: the time since the provider last confirmed what is known.
    pub(in crate::policy::text) max_age: At<String>,
    /// When it is older.
    pub(in crate::policy::text) on_stale: Option<At<DoubtWord>>,
    /// When the provider hides the level or uses a word that this gateway does not know.
    pub(in crate::policy::text) on_unknown: Option<At<BlindWord>>,
    /// Before the first reading.
    pub(in crate::policy::text) on_never_synced: Option<At<BlindWord>>,
    /// When the permission is missing or has been taken away.
    pub(in crate::policy::text) on_no_permission: Option<At<DoubtWord>>,
    /// When the tenant has no licence for it (Entra ID P2).
    pub(in crate::policy::text) on_no_licence: Option<At<DoubtWord>>,
    /// When the tenant's cloud has no such interface (China).
    pub(in crate::policy::text) on_not_in_cloud: Option<At<DoubtWord>>,
    /// When data upload is off.
    pub(in crate::policy::text) on_upload_off: Option<At<DoubtWord>>,
    /// When this gateway reads no risk for the tenant.
    pub(in crate::policy::text) on_not_configured: Option<At<BlindWord>>,
    /// Authentication context, `c1` to `c99`, that a challenge in doubt asks for.
    pub(in crate::policy::text) context: Option<At<String>>,
    /// How long its step-up counts. Left out: as under `[lifetimes]`.
    pub(in crate::policy::text) lifetime: Option<At<String>>,
    /// People whose risk is never asked about, each written `tenant id:object id`; meant for emergencies.
    pub(in crate::policy::text) exempt_users: List,
    /// Groups whose members' risk is never asked about, by object id.
    pub(in crate::policy::text) exempt_groups: List,
}

impl Default for Risk {
    fn default() -> Self {
        Self {
            max_age: "24h".to_owned().into(),
            on_stale: None,
            on_unknown: None,
            on_never_synced: None,
            on_no_permission: None,
            on_no_licence: None,
            on_not_in_cloud: None,
            on_upload_off: None,
            on_not_configured: None,
            context: None,
            lifetime: None,
            exempt_users: None,
            exempt_groups: None,
        }
    }
}

/// One rule on the risk of accounts. At least one of `levels`, `min_level`, `states` and `detections` says which.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::policy::text) struct RiskEntry {
    /// Unique name, also among the access rules; appears in logs, metrics and `explain`.
    pub(in crate::policy::text) name: At<String>,
    /// `false` switches the rule off.
    #[serde(default = "yes")]
    pub(in crate::policy::text) enabled: bool,
    /// Levels, of which any is meant; not together with `min_level`.
    pub(in crate::policy::text) levels: Option<At<Vec<At<LevelWord>>>>,
    /// This level and those above it.
    pub(in crate::policy::text) min_level: Option<At<Level>>,
    /// States, of which any is meant. Left out: a risk that is dismissed, remediated or confirmed safe counts as none.
    pub(in crate::policy::text) states: Option<At<Vec<At<StateWord>>>>,
    /// Detections in the provider's words, such as `leakedCredentials`, of which any is meant.
    pub(in crate::policy::text) detections: List,
    /// The risk last changed longer ago than this.
    pub(in crate::policy::text) older_than: Option<At<String>>,
    /// The risk last changed less long ago than this.
    pub(in crate::policy::text) newer_than: Option<At<String>>,
    /// People in general. Left out, without `users` and `groups`: everybody with an account.
    pub(in crate::policy::text) who: Option<At<Accounts>>,
    /// People by identity, each written `tenant id:object id`.
    pub(in crate::policy::text) users: List,
    /// Groups by object id. A member of any of them, or any of `users`, is meant.
    pub(in crate::policy::text) groups: List,
    /// People the rule is not about.
    pub(in crate::policy::text) except_users: List,
    /// Groups whose members the rule is not about.
    pub(in crate::policy::text) except_groups: List,
    /// Names of the apps the rule is about. Left out: every app.
    pub(in crate::policy::text) apps: List,
    /// Private apps or the internet. Left out: both.
    pub(in crate::policy::text) plane: Option<At<PlaneWord>>,
    /// Places of which the request comes from any. Left out: from anywhere.
    pub(in crate::policy::text) places: List,
    /// Places of which it comes from none.
    pub(in crate::policy::text) not_places: List,
    /// Schedules of which any holds. Left out: always.
    pub(in crate::policy::text) schedules: List,
    /// Schedules of which none holds.
    pub(in crate::policy::text) not_schedules: List,
    /// What happens when the rule matches. Of several rules that match the strictest holds.
    pub(in crate::policy::text) verdict: At<RiskWord>,
    /// Authentication context, `c1` to `c99`, that a challenge asks for.
    pub(in crate::policy::text) context: Option<At<String>>,
    /// How long the step-up of a challenge counts. Left out: as under `[lifetimes]`.
    pub(in crate::policy::text) lifetime: Option<At<String>>,
    /// What is done to the account when the rule begins to match, outside of any request.
    pub(in crate::policy::text) actions: Option<At<Vec<At<ActionWord>>>>,
}

/// People in general.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::policy::text) enum Accounts {
    /// Everybody with an account; nobody else has a risk.
    SignedIn,
}

/// A verdict of a risk rule as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::policy::text) enum RiskWord {
    /// Let the request through and write it down whatever the decision log leaves out.
    Monitor,
    /// Show a page first from which the person may go on; then not again for 24 hours.
    Warn,
    /// Ask for a stronger sign-in first.
    Challenge,
    /// Refuse it.
    Block,
}

impl From<RiskWord> for Verdict {
    fn from(word: RiskWord) -> Self {
        match word {
            RiskWord::Monitor => Self::Monitor,
            RiskWord::Warn => Self::Warn,
            RiskWord::Challenge => Self::Challenge,
            RiskWord::Block => Self::Block,
        }
    }
}

/// A level of risk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::policy::text) enum LevelWord {
    /// None, or one that the provider has closed.
    None,
    /// Low.
    Low,
    /// Medium.
    Medium,
    /// High.
    High,
    /// The provider does not show it to this tenant.
    Hidden,
    /// Not told, or in a word that this gateway does not know.
    Unknown,
}

impl From<LevelWord> for RiskLevel {
    fn from(word: LevelWord) -> Self {
        match word {
            LevelWord::None => Self::None,
            LevelWord::Low => Self::Low,
            LevelWord::Medium => Self::Medium,
            LevelWord::High => Self::High,
            LevelWord::Hidden => Self::Hidden,
            LevelWord::Unknown => Self::Unknown,
        }
    }
}

/// A level of risk with an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::policy::text) enum Level {
    /// Low, medium or high.
    Low,
    /// Medium or high.
    Medium,
    /// High.
    High,
}

/// A state of risk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::policy::text) enum StateWord {
    /// There was never any.
    None,
    /// An administrator said that the account is safe.
    ConfirmedSafe,
    /// The person mended it.
    Remediated,
    /// It was set aside.
    Dismissed,
    /// It stands.
    AtRisk,
    /// An administrator said that somebody else has the account.
    ConfirmedCompromised,
    /// Not told, or in a word that this gateway does not know.
    Unknown,
}

impl From<StateWord> for RiskState {
    fn from(word: StateWord) -> Self {
        match word {
            StateWord::None => Self::None,
            StateWord::ConfirmedSafe => Self::ConfirmedSafe,
            StateWord::Remediated => Self::Remediated,
            StateWord::Dismissed => Self::Dismissed,
            StateWord::AtRisk => Self::AtRisk,
            StateWord::ConfirmedCompromised => Self::ConfirmedCompromised,
            StateWord::Unknown => Self::Unknown,
        }
    }
}

/// A kind of destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::policy::text) enum PlaneWord {
    /// Private apps.
    Private,
    /// The internet.
    Internet,
}

impl From<PlaneWord> for Plane {
    fn from(word: PlaneWord) -> Self {
        match word {
            PlaneWord::Private => Self::Private,
            PlaneWord::Internet => Self::Internet,
        }
    }
}

/// Something done to an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::policy::text) enum ActionWord {
    /// End every session, here and at the provider.
    SignOut,
    /// Disable the account.
    Disable,
    /// Make the person choose a new password.
    ForcePasswordReset,
    /// Tell the provider that somebody else has the account.
    ConfirmCompromised,
    /// Log everything the person does for a day.
    WatchSignIn,
    /// Block private apps.
    BlockPrivate,
    /// Block the internet.
    BlockInternet,
}

impl From<ActionWord> for AutoAction {
    fn from(word: ActionWord) -> Self {
        match word {
            ActionWord::SignOut => Self::SignOut,
            ActionWord::Disable => Self::Disable,
            ActionWord::ForcePasswordReset => Self::ForcePasswordReset,
            ActionWord::ConfirmCompromised => Self::ConfirmCompromised,
            ActionWord::WatchSignIn => Self::WatchSignIn,
            ActionWord::BlockPrivate => Self::BlockPrivate,
            ActionWord::BlockInternet => Self::BlockInternet,
        }
    }
}

/// What happens in doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::policy::text) enum DoubtWord {
    /// Go by the last known risk.
    LastKnown,
    /// Assume at least a low risk.
    Low,
    /// Ask for a stronger sign-in.
    Challenge,
    /// Refuse.
    Block,
}

impl From<DoubtWord> for OnDoubt {
    fn from(word: DoubtWord) -> Self {
        match word {
            DoubtWord::LastKnown => Self::LastKnown,
            DoubtWord::Low => Self::Low,
            DoubtWord::Challenge => Self::Challenge,
            DoubtWord::Block => Self::Block,
        }
    }
}

/// What happens where nothing is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::policy::text) enum BlindWord {
    /// Assume at least a low risk.
    Low,
    /// Ask for a stronger sign-in.
    Challenge,
    /// Refuse.
    Block,
}

impl From<BlindWord> for OnDoubt {
    fn from(word: BlindWord) -> Self {
        match word {
            BlindWord::Low => Self::Low,
            BlindWord::Challenge => Self::Challenge,
            BlindWord::Block => Self::Block,
        }
    }
}
