//! What the identity provider thinks of an account: level and state of its risk, and how old that knowledge is.
//!
//! The words are our own; how a provider spells them is known to `entra` alone.

use super::UnixTime;

/// How likely it is that somebody else uses the account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RiskLevel {
    /// The provider says that there is none.
    None,
    /// Low.
    Low,
    /// Medium.
    Medium,
    /// High.
    High,
    /// The provider has an opinion and does not show it to this tenant, for want of a licence. Never read as none.
    Hidden,
    /// Not told, or told in a word that this gateway does not know. Never read as none.
    Unknown,
}

impl RiskLevel {
    /// The word in logs and metrics.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Hidden => "hidden",
            Self::Unknown => "unknown",
        }
    }

    /// Whether the level says anything at all about the account.
    #[must_use]
    pub const fn is_known(self) -> bool {
        matches!(self, Self::None | Self::Low | Self::Medium | Self::High)
    }
}

/// What has become of the risk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RiskState {
    /// There was never any.
    None,
    /// An administrator said that the account is safe.
    ConfirmedSafe,
    /// The person mended it, for instance with a new password.
    Remediated,
    /// An administrator or the provider set it aside.
    Dismissed,
    /// It stands.
    AtRisk,
    /// An administrator said that somebody else has the account.
    ConfirmedCompromised,
    /// Not told, or told in a word that this gateway does not know. Never read as none.
    Unknown,
}

impl RiskState {
    /// The word in logs and metrics.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::ConfirmedSafe => "confirmed_safe",
            Self::Remediated => "remediated",
            Self::Dismissed => "dismissed",
            Self::AtRisk => "at_risk",
            Self::ConfirmedCompromised => "confirmed_compromised",
            Self::Unknown => "unknown",
        }
    }
}

/// One look at an account's risk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RiskReading {
    /// How high.
    pub level: RiskLevel,
    /// What has become of it.
    pub state: RiskState,
    /// When the provider last changed its mind, by the provider's clock; zero if it did not say.
    pub updated: UnixTime,
    /// When this gateway got the answer, by its own clock.
    pub read: UnixTime,
    /// The account has been deleted.
    pub deleted: bool,
    /// The provider is still working on a change, so the reading is about to be replaced.
    pub processing: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hidden_or_unknown_risk_level_is_not_known_and_none_is() {
        assert!(!RiskLevel::Hidden.is_known() && !RiskLevel::Unknown.is_known());
        for level in [RiskLevel::None, RiskLevel::Low, RiskLevel::Medium, RiskLevel::High] {
            assert!(level.is_known(), "{}", level.word());
        }
    }
}
