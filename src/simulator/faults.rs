//! What the simulator does wrong on purpose, and how often it was asked.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A place that can be slow, fail and be counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Endpoint {
    /// `/.well-known/openid-configuration`
    Discovery,
    /// `/discovery/v2.0/keys`
    Keys,
    /// `/oauth2/v2.0/authorize`
    Authorize,
    /// Where the sign-in page posts to.
    Login,
    /// `/oauth2/v2.0/token`
    Token,
    /// `/oauth2/v2.0/logout`
    Logout,
    /// `/v2.0/adminconsent`
    Consent,
}

/// An ordered failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// This HTTP status with an empty body.
    Status(u16),
    /// This AADSTS number in the form the endpoint reports failures in.
    Aadsts(u32),
    /// The connection is closed without an answer.
    Disconnect,
}

/// A wrong ID token or token response, for the tests of a relying party.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hostile {
    /// `iss` of somebody else.
    WrongIssuer,
    /// `iss` of another tenant while `tid` stays.
    OtherTenantIssuer,
    /// `tid` of another tenant while `iss` stays.
    OtherTenantId,
    /// Both `iss` and `tid` of another tenant, correctly signed: consistent, but not a tenant one trusts.
    ForeignTenant,
    /// `aud` of another app.
    WrongAudience,
    /// `aud` as an array with a second app.
    ExtraAudience,
    /// Another nonce.
    WrongNonce,
    /// No `nonce`.
    MissingNonce,
    /// One bit of the signature flipped.
    BadSignature,
    /// `alg: none`, no signature.
    AlgNone,
    /// HS256 with the public key's modulus as the secret.
    HmacWithPublicKey,
    /// A `kid` that is not published, properly signed by a published key.
    UnknownKid,
    /// No `kid`.
    MissingKid,
    /// Expired an hour ago.
    Expired,
    /// Valid from an hour ahead.
    NotYetValid,
    /// No `sub`.
    MissingSub,
    /// No `oid`.
    MissingOid,
    /// No `tid`.
    MissingTid,
    /// No `iat`.
    MissingIat,
    /// No `exp`.
    MissingExp,
    /// No `ver`.
    MissingVer,
    /// No `aud`.
    MissingAud,
    /// No `acrs`, though it was asked for and satisfied.
    MissingAcrs,
    /// `ver` is `1.0`, with the v1 issuer.
    VersionOne,
    /// `tid` is no GUID, and `iss` follows it.
    TenantNotGuid,
    /// Signed by the published key whose `issuer` is pinned to personal accounts.
    KeyOfOtherIssuer,
    /// A megabyte of padding in a claim.
    Megabyte,
    /// `sub` and `oid` twice, first another person's.
    DuplicateMembers,
    /// `oid`, `tid` and `name` as arrays, `groups` as text.
    WrongTypes,
    /// The response has no `id_token`.
    NoIdToken,
    /// 200 with an HTML page.
    Html,
    /// 302 to somewhere else.
    Redirect,
    /// Fifty megabytes of body.
    HugeBody,
    /// One byte a second.
    SlowDrip,
    /// The JSON stops halfway, the response is complete.
    CutJson,
}

impl Hostile {
    /// Whether it is the response rather than the ID token that is wrong.
    pub(super) const fn is_response(self) -> bool {
        matches!(self, Self::NoIdToken | Self::Html | Self::Redirect | Self::HugeBody | Self::SlowDrip | Self::CutJson)
    }
}

/// The ordered faults and the counters.
#[derive(Debug, Default)]
pub(super) struct Faults {
    delays: BTreeMap<Endpoint, Duration>,
    failures: BTreeMap<Endpoint, (Fault, u32)>,
    hostile: VecDeque<(Hostile, u32)>,
    counters: BTreeMap<String, u64>,
}

impl Faults {
    /// Makes every answer of `endpoint` late; zero ends it.
    pub(super) fn delay(&mut self, endpoint: Endpoint, by: Duration) {
        self.delays.insert(endpoint, by.min(MAX_DELAY));
    }

    /// How late `endpoint` answers.
    pub(super) fn delay_of(&self, endpoint: Endpoint) -> Duration {
        self.delays.get(&endpoint).copied().unwrap_or_default()
    }

    /// Makes the next `times` calls of `endpoint` fail.
    pub(super) fn fail(&mut self, endpoint: Endpoint, fault: Fault, times: u32) {
        self.failures.insert(endpoint, (fault, times));
    }

    /// The fault of this call, used up by asking.
    pub(super) fn next_failure(&mut self, endpoint: Endpoint) -> Option<Fault> {
        let (fault, left) = self.failures.get_mut(&endpoint)?;
        *left = left.checked_sub(1)?;
        Some(*fault)
    }

    /// Makes the next `times` tokens hostile, after those already ordered.
    pub(super) fn order_hostile(&mut self, mode: Hostile, times: u32) {
        if times > 0 && self.hostile.len() < MAX_ORDERS {
            self.hostile.push_back((mode, times));
        }
    }

    /// The mode of this token response, used up by asking.
    pub(super) fn next_hostile(&mut self) -> Option<Hostile> {
        let (mode, left) = self.hostile.front_mut()?;
        let mode = *mode;
        *left -= 1;
        if *left == 0 {
            self.hostile.pop_front();
        }
        Some(mode)
    }

    /// Ends every delay, failure and hostile mode.
    pub(super) fn clear(&mut self) {
        self.delays.clear();
        self.failures.clear();
        self.hostile.clear();
    }

    /// Counts one call.
    pub(super) fn count(&mut self, name: &str) {
        if let Some(n) = self.counters.get_mut(name) {
            *n += 1;
        } else {
            self.counters.insert(name.to_owned(), 1);
        }
    }

    /// The counters by name.
    pub(super) fn counters(&self) -> BTreeMap<String, u64> {
        self.counters.clone()
    }

    /// Sets all counters to nothing.
    pub(super) fn reset_counters(&mut self) {
        self.counters.clear();
    }
}

impl Endpoint {
    /// The name in counters and in the control API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Discovery => "discovery",
            Self::Keys => "keys",
            Self::Authorize => "authorize",
            Self::Login => "login",
            Self::Token => "token",
            Self::Logout => "logout",
            Self::Consent => "consent",
        }
    }

    /// The endpoint with this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        [Self::Discovery, Self::Keys, Self::Authorize, Self::Login, Self::Token, Self::Logout, Self::Consent]
            .into_iter()
            .find(|e| e.name() == name)
    }
}

const MAX_ORDERS: usize = 256;
const MAX_DELAY: Duration = Duration::from_secs(600);
