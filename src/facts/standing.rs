//! How a person stands: what the directory, the identity provider and the administrators say about the account.

use std::sync::Arc;

use super::{Groups, RiskLevel, RiskReading, RiskState, Subject, UnixTime};

/// Everything known about an account that may decide, gathered once and shared until something changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Groups, nested ones included. From the directory when there is one that has been read, else from the token.
    pub groups: Groups,
    /// Whether the account may sign in.
    pub account: Account,
    /// A sign-in before this moment no longer counts (`signInSessionsValidFromDateTime`).
    pub valid_from: Option<UnixTime>,
    /// The account's risk; `None` when the provider does not list it, which means none as of the last full look.
    pub risk: Option<AccountRisk>,
    /// What an administrator blocked by hand.
    pub hold: Hold,
    /// Every request is logged in full until this moment; zero for never.
    pub watched_until: UnixTime,
}

impl Standing {
    /// What the token alone tells, for a gateway without a directory.
    #[must_use]
    pub fn of_token(subject: &Subject) -> Self {
        Self { groups: subject.groups.clone(), ..Self::unknown() }
    }

    /// An account nobody has said anything about; also stands in for a stranger.
    #[must_use]
    pub const fn unknown() -> Self {
        Self {
            groups: Groups::Unknown,
            account: Account::Unknown,
            valid_from: None,
            risk: None,
            hold: Hold { private: false, internet: false },
            watched_until: UnixTime(0),
        }
    }
}

/// Whether an account may sign in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Account {
    /// The directory does not know it, or there is no directory.
    Unknown,
    /// Yes.
    Enabled,
    /// No.
    Disabled,
    /// It was there and is gone.
    Deleted,
}

/// What an administrator blocked by hand, for one person. Beats every rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Hold {
    /// Private apps.
    pub private: bool,
    /// The internet.
    pub internet: bool,
}

/// One account's risk with the detections behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountRisk {
    /// Level, state and when.
    pub reading: RiskReading,
    /// The provider's words for what it saw (`riskEventType`), sorted, without repeats.
    pub detections: Arc<[Arc<str>]>,
}

impl AccountRisk {
    /// Whether the provider still holds it against the account: neither dismissed, remediated nor confirmed safe.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        !matches!(self.reading.state, RiskState::ConfirmedSafe | RiskState::Remediated | RiskState::Dismissed)
            && !matches!(self.reading.level, RiskLevel::None)
    }
}

/// Where risk comes from, for one tenant, and since when what is known holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RiskFeed {
    /// Whether the source answers; if not, why.
    pub source: RiskSource,
    /// When the gateway last heard that what it knows still holds; zero for never. The age of every account's risk
    /// counts from here.
    pub confirmed: UnixTime,
}

impl RiskFeed {
    /// No source at all.
    pub const NONE: Self = Self { source: RiskSource::NotConfigured, confirmed: UnixTime(0) };
}

/// Whether a tenant's risk can be known. Every state but the first is answered as configured, never as "no risk".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum RiskSource {
    /// The source answers, or did so lately; [`RiskFeed::confirmed`] tells when.
    Answers = 1,
    /// No full look has succeeded yet.
    NeverSynced = 2,
    /// The permission was never granted, or has been taken away.
    NoPermission = 3,
    /// The tenant has no licence for it (Entra ID P2).
    NoLicence = 4,
    /// This cloud has no such interface (China).
    NotInCloud = 5,
    /// An administrator turned data upload off.
    UploadOff = 6,
    /// This gateway reads no risk for this tenant.
    NotConfigured = 7,
}

impl RiskSource {
    /// Every state, for closed lists such as metrics.
    pub const ALL: [Self; 7] = [
        Self::Answers,
        Self::NeverSynced,
        Self::NoPermission,
        Self::NoLicence,
        Self::NotInCloud,
        Self::UploadOff,
        Self::NotConfigured,
    ];

    /// The word in logs, metrics, configuration and the admin API.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Answers => "answers",
            Self::NeverSynced => "never_synced",
            Self::NoPermission => "no_permission",
            Self::NoLicence => "no_licence",
            Self::NotInCloud => "not_in_cloud",
            Self::UploadOff => "upload_off",
            Self::NotConfigured => "not_configured",
        }
    }

    /// The state with this code; anything else is "never synced", which nobody takes for good news.
    #[must_use]
    pub fn from_code(code: u8) -> Self {
        Self::ALL.into_iter().find(|source| *source as u8 == code).unwrap_or(Self::NeverSynced)
    }
}

/// An authentication context of the tenant's Conditional Access, `c1` to `c99`.
///
/// Source: <https://learn.microsoft.com/entra/identity-platform/developer-guide-conditional-access-authentication-context>.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AuthContext(pub u8);

impl AuthContext {
    /// Reads `c1` to `c99`, as it stands in `acrs`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let number = text.strip_prefix('c')?;
        let plain = number.bytes().all(|byte| byte.is_ascii_digit()) && !number.starts_with('0');
        number.parse().ok().filter(|number| plain && (1..=99).contains(number)).map(Self)
    }
}

impl std::fmt::Display for AuthContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "c{}", self.0)
    }
}

/// A step-up that a session has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proof {
    /// Which context the provider vouched for.
    pub context: AuthContext,
    /// When.
    pub at: UnixTime,
}

/// A warning that the person has read and gone on from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledged {
    /// The rule that warned.
    pub rule: Arc<str>,
    /// When.
    pub at: UnixTime,
}

/// What one session has passed besides the sign-in itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Passed {
    /// Step-ups, the newest of each context.
    pub proofs: Vec<Proof>,
    /// Warnings gone on from, the newest of each rule.
    pub acknowledged: Vec<Acknowledged>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auth_contexts_are_c1_to_c99_and_nothing_else() {
        for (text, number) in [("c1", 1), ("c25", 25), ("c99", 99)] {
            assert_eq!(AuthContext::parse(text), Some(AuthContext(number)), "{text}");
            assert_eq!(AuthContext(number).to_string(), text);
        }
        for text in ["", "c", "c0", "c01", "c100", "C1", "p1", "c1 ", "c+1", "1"] {
            assert_eq!(AuthContext::parse(text), None, "{text}");
        }
    }

    #[test]
    fn an_unknown_code_of_a_risk_source_is_no_good_news() {
        for source in RiskSource::ALL {
            assert_eq!(RiskSource::from_code(source as u8), source);
        }
        assert_eq!(RiskSource::from_code(0), RiskSource::NeverSynced);
    }
}
