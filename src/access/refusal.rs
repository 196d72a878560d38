//! The closed list of why a request is not forwarded.

use std::sync::Arc;

use super::gate::Person;
use super::private::PathFault;
use crate::policy::Decision;

/// Why a request got no [`super::Permit`], or was answered by the gateway itself. Becomes a response in
/// `access/respond.rs` and nowhere else.
pub(super) enum Refusal {
    /// The rules do not say yes: block, or ask for a sign-in, a stronger one or a warning first (`access/ask.rs`).
    Decided {
        /// What was decided.
        decision: Decision,
        /// For whom, if anybody is signed in.
        person: Option<Arc<Person>>,
    },
    /// The session store cannot say who this is; the cookie is left alone.
    StoreDown,
    /// The authority is missing, doubled or malformed.
    BadAuthority,
    /// The TLS server name and the request's host differ (RFC 9110 15.5.20).
    Misdirected,
    /// No app at this address.
    NoSuchApp,
    /// The path is not in its canonical form.
    BadPath(PathFault),
    /// The method is not relayed.
    MethodNotAllowed,
    /// A header is doubled, or nominated away, or claims to be what only the gateway says.
    BadHeader,
    /// The body for one of the gateway's own endpoints is too large or broke off.
    BodyTooLarge,
    /// The signed assertion for the app could not be made, and without it the app would not know who asks.
    NoAssertion,
}

/// Every word of [`Refusal::word`] that is counted as a refusal; those of the gate are counted as decisions.
pub const REFUSAL_WORDS: &[&str] = &[
    "store_down",
    "bad_authority",
    "misdirected",
    "no_such_app",
    "bad_path",
    "method_not_allowed",
    "bad_header",
    "body_too_large",
    "no_assertion",
];

impl Refusal {
    /// The word in logs and metrics.
    pub(super) const fn word(&self) -> &'static str {
        match self {
            Self::Decided { decision, .. } => decision.reason.word(),
            Self::StoreDown => "store_down",
            Self::BadAuthority => "bad_authority",
            Self::Misdirected => "misdirected",
            Self::NoSuchApp => "no_such_app",
            Self::BadPath(_) => "bad_path",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::BadHeader => "bad_header",
            Self::BodyTooLarge => "body_too_large",
            Self::NoAssertion => "no_assertion",
        }
    }
}
