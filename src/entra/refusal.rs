//! Entra's errors: from lenient JSON or a redirect's parameters to a closed class.
//!
//! The class follows `error` and `suberror`; Microsoft's numbers only sharpen it. Descriptions are read for the
//! number alone and dropped, because they can hold user names.
//! Source: <https://learn.microsoft.com/entra/identity-platform/reference-error-codes>.

use std::fmt;

use serde_json::Value;

use super::error::{EntraError, Misconfiguration, UnreachableCause, worded};
use crate::facts::Guid;

/// Entra's "no", without anything that could identify a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What to do about it.
    pub class: RefusalClass,
    /// The OAuth error word, e.g. `invalid_grant`; made of `[a-z_]` only.
    pub error: String,
    /// Microsoft's finer word.
    pub suberror: Option<String>,
    /// Microsoft's number that decided the class, else the first one.
    pub aadsts: Option<u32>,
    /// Claims challenge: JSON to send unchanged with the next authorization request.
    pub claims: Option<String>,
    /// Microsoft's id of this exchange, for a support case.
    pub trace_id: Option<Guid>,
    /// Microsoft's id of the whole conversation.
    pub correlation_id: Option<Guid>,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}", self.class.word(), self.error)?;
        if let Some(code) = self.aadsts {
            write!(f, ", AADSTS{code}")?;
        }
        f.write_str(")")
    }
}

worded! {
    /// What a refusal means for the person. Ordered: of several numbers in one answer, the greatest class counts.
    RefusalClass {
        /// Nothing more is known.
        Other = "refused",
        /// `invalid_grant` without a known number: this grant is of no use any more.
        GrantRefused = "grant_refused",
        /// The grant ran out; signing in again helps.
        GrantExpired = "grant_expired",
        /// Interactive sign-in is needed, with `claims` if there are any.
        InteractionNeeded = "interaction_needed",
        /// The person's device does not satisfy the company.
        DeviceNeeded = "device_needed",
        /// The person left the sign-in.
        Cancelled = "cancelled",
        /// The account does not belong to the tenant.
        WrongAccount = "wrong_account",
        /// Nobody consented to the permissions yet.
        ConsentMissing = "consent_missing",
        /// The person declined to consent.
        ConsentDeclined = "consent_declined",
        /// The person is not assigned to the application.
        NotAssigned = "not_assigned",
        /// The client asks in a loop; stop and back off.
        Looping = "looping",
        /// The code was redeemed before: a replay or an injected code.
        CodeReused = "code_reused",
        /// The code belongs to another verifier: an injected code.
        PkceMismatch = "pkce_mismatch",
        /// Conditional Access says no.
        BlockedByPolicy = "blocked_by_policy",
        /// The grant was revoked: a password change, or an administrator.
        GrantRevoked = "grant_revoked",
        /// Entra suspects the account or where it comes from.
        RiskSignal = "risk_signal",
        /// The account is disabled.
        AccountDisabled = "account_disabled",
    }
}

impl RefusalClass {
    /// Whether everything the person has open must end now.
    #[must_use]
    pub const fn ends_sessions(self) -> bool {
        matches!(self, Self::AccountDisabled | Self::GrantRevoked | Self::RiskSignal | Self::BlockedByPolicy)
    }

    /// Whether going through the sign-in again can help.
    #[must_use]
    pub const fn sign_in_helps(self) -> bool {
        matches!(
            self,
            Self::GrantRefused
                | Self::GrantExpired
                | Self::GrantRevoked
                | Self::InteractionNeeded
                | Self::CodeReused
                | Self::PkceMismatch
                | Self::Cancelled
        )
    }
}

/// The error that came back to the redirect address instead of a code.
#[derive(Debug, Clone, Copy)]
pub struct AuthorizeError<'a> {
    /// `error`.
    pub error: &'a str,
    /// `error_description`; some cancellations have none.
    pub description: Option<&'a str>,
    /// `error_subcode`, e.g. `cancel`.
    pub subcode: Option<&'a str>,
}

impl AuthorizeError<'_> {
    /// Sorts the parameters, which anybody can forge, into the same closed classes. Use the outcome to choose a
    /// page; never end a session by it.
    #[must_use]
    pub fn classify(&self) -> EntraError {
        let cancelled = self.subcode == Some("cancel");
        let parts = Parts {
            error: word(self.error).unwrap_or_default(),
            codes: self.description.and_then(code_in).into_iter().collect(),
            ..Parts::default()
        };
        if cancelled || (parts.error == "access_denied" && parts.codes.is_empty()) {
            return parts.refused(RefusalClass::Cancelled, None);
        }
        parts.classify()
    }
}

/// Sorts the error body of the token endpoint. `None` when the body is no OAuth error at all.
pub(super) fn classify_body(body: &[u8]) -> Option<EntraError> {
    let Value::Object(body) = serde_json::from_slice(body).ok()? else { return None };
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    let mut codes = codes(body.get("error_codes"));
    if codes.is_empty() {
        codes.extend(text("error_description").and_then(code_in));
    }
    let parts = Parts {
        error: word(text("error")?)?,
        suberror: text("suberror").and_then(word),
        codes,
        claims: text("claims").and_then(claims),
        trace_id: text("trace_id").and_then(|id| id.parse().ok()),
        correlation_id: text("correlation_id").and_then(|id| id.parse().ok()),
    };
    Some(parts.classify())
}

#[derive(Default)]
struct Parts {
    error: String,
    suberror: Option<String>,
    codes: Vec<u32>,
    claims: Option<String>,
    trace_id: Option<Guid>,
    correlation_id: Option<Guid>,
}

impl Parts {
    fn classify(self) -> EntraError {
        let known = self.codes.iter().filter_map(|code| Some((meaning(*code)?, *code))).max();
        match known {
            Some((Meaning::Refused(class), code)) => self.refused(class, Some(code)),
            Some((Meaning::Misconfigured(what), code)) => self.misconfigured(what, Some(code)),
            Some((Meaning::Throttled, _)) => EntraError::unreachable(UnreachableCause::Throttled),
            None => self.classify_by_word(),
        }
    }

    fn classify_by_word(self) -> EntraError {
        let first = self.codes.first().copied();
        let by_suberror = match self.suberror.as_deref() {
            Some("basic_action" | "user_password_expired") => Some(RefusalClass::InteractionNeeded),
            Some("message_only" | "protection_policy_required") => Some(RefusalClass::BlockedByPolicy),
            Some("additional_action" | "device_authentication_failed") => Some(RefusalClass::DeviceNeeded),
            Some("consent_required") => Some(RefusalClass::ConsentMissing),
            Some("bad_token" | "token_expired") => Some(RefusalClass::GrantExpired),
            _ => None,
        };
        if let Some(class) = by_suberror {
            return self.refused(class, first);
        }
        match self.error.as_str() {
            "invalid_grant" => self.refused(RefusalClass::GrantRefused, first),
            "interaction_required" | "login_required" => self.refused(RefusalClass::InteractionNeeded, first),
            "consent_required" => self.refused(RefusalClass::ConsentMissing, first),
            "invalid_client" => self.misconfigured(Misconfiguration::Credential, first),
            "unauthorized_client" => self.misconfigured(Misconfiguration::Application, first),
            "invalid_scope" | "invalid_resource" => self.misconfigured(Misconfiguration::Scope, first),
            "invalid_request" | "unsupported_grant_type" | "unsupported_response_type" | "unsupported_response" => {
                self.misconfigured(Misconfiguration::Request, first)
            }
            "temporarily_unavailable" => EntraError::unreachable(UnreachableCause::Throttled),
            "server_error" => EntraError::unreachable(UnreachableCause::ServerError),
            _ => self.refused(RefusalClass::Other, first),
        }
    }

    fn refused(self, class: RefusalClass, aadsts: Option<u32>) -> EntraError {
        EntraError::Refused(Box::new(Refusal {
            class,
            aadsts: aadsts.or_else(|| self.codes.first().copied()),
            error: self.error,
            suberror: self.suberror,
            claims: self.claims,
            trace_id: self.trace_id,
            correlation_id: self.correlation_id,
        }))
    }

    fn misconfigured(self, what: Misconfiguration, aadsts: Option<u32>) -> EntraError {
        let mut detail = format!("the provider answered {}", self.error);
        if let Some(trace) = self.trace_id {
            detail.push_str(&format!(", trace id {trace}"));
        }
        EntraError::Misconfigured { what, detail, aadsts }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Meaning {
    Throttled,
    Misconfigured(Misconfiguration),
    Refused(RefusalClass),
}

/// Microsoft's numbers that matter to a relying party.
fn meaning(code: u32) -> Option<Meaning> {
    use Misconfiguration as Wrong;
    use RefusalClass as Class;
    let class = match code {
        50057 => Class::AccountDisabled,
        50173 | 50132 | 50133 => Class::GrantRevoked,
        70008 | 700_082 | 70043 => Class::GrantExpired,
        50053 | 50131 | 50135 | 53011 | 530_034 => Class::RiskSignal,
        53003 | 530_032 | 530_035 | 53004 | 53010 => Class::BlockedByPolicy,
        50055 | 50144 | 50058 | 160_021 | 50072 | 50074 | 50076 | 50078 | 50079 | 50158 => Class::InteractionNeeded,
        50097 | 53000 | 53001 => Class::DeviceNeeded,
        50020 | 16000 | 50034 | 51004 => Class::WrongAccount,
        50105 => Class::NotAssigned,
        50196 => Class::Looping,
        54005 => Class::CodeReused,
        501_481 | 501_491 | 50147 => Class::PkceMismatch,
        65001 | 90094 | 90095 => Class::ConsentMissing,
        65004 => Class::ConsentDeclined,
        90055 | 90033 | 90006 | 90024 => return Some(Meaning::Throttled),
        90002 | 90038 | 900_382 | 900_432 | 50194 | 700_005 => return Some(Meaning::Misconfigured(Wrong::Tenant)),
        700_016 | 7_000_112 => return Some(Meaning::Misconfigured(Wrong::Application)),
        7_000_215 | 7_000_222 | 7_000_218 | 700_027 | 700_025 | 700_229 | 70021 | 50012 | 50048 => {
            return Some(Meaning::Misconfigured(Wrong::Credential));
        }
        50011 => return Some(Meaning::Misconfigured(Wrong::RedirectUri)),
        70011 | 500_011 | 650_056 | 650_057 => return Some(Meaning::Misconfigured(Wrong::Scope)),
        700_054 => return Some(Meaning::Misconfigured(Wrong::Request)),
        _ => return None,
    };
    Some(Meaning::Refused(class))
}

/// Numbers, numbers as strings, one bare number or string: all have been seen.
fn codes(value: Option<&Value>) -> Vec<u32> {
    let one = |value: &Value| match value {
        Value::Number(number) => number.as_u64().and_then(|n| u32::try_from(n).ok()),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    match value {
        Some(Value::Array(list)) => list.iter().take(MAX_CODES).filter_map(one).collect(),
        Some(value) => one(value).into_iter().collect(),
        None => Vec::new(),
    }
}

/// The number in `AADSTS50105: The signed in user …`.
fn code_in(description: &str) -> Option<u32> {
    let (_, rest) = description.split_once("AADSTS")?;
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest.get(..end)?.parse().ok()
}

/// A protocol word; anything else could smuggle text into logs and pages.
fn word(text: &str) -> Option<String> {
    let fits = !text.is_empty() && text.len() <= 64 && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    fits.then(|| text.to_owned())
}

/// A claims challenge: a JSON object in a string, passed on unchanged.
fn claims(text: &str) -> Option<String> {
    if text.len() > MAX_CLAIMS_CHALLENGE {
        return None;
    }
    serde_json::from_str::<Value>(text).ok()?.is_object().then(|| text.to_owned())
}

const MAX_CODES: usize = 16;
const MAX_CLAIMS_CHALLENGE: usize = 4096;

#[cfg(test)]
mod tests;
