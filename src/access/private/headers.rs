//! What headers may pass, in both directions: strip first, add second.
//!
//! A header name that is not made of letters, digits and hyphens is dropped, whatever it is: `X_Auth_User` and
//! `X.Auth.User` are read as `X-Auth-User` by some servers, and no app needs such names. Names arrive in lower case
//! (the `http` crate folds them), so after that a plain comparison sees every alias.

mod cookies;
mod forwarded;
mod names;
mod request;
mod response;

pub use forwarded::{ClientHeaders, client_address};
pub(super) use request::{Added, Passing, add, frame_http1, has_token, strip};
pub(super) use response::clean;

use http::header::STRICT_TRANSPORT_SECURITY;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::config::IdentityHeaders;

/// The request's headers contradict each other or try to take ours away. Closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum HeaderFault {
    /// A header that may come once came twice.
    #[error("a header that may come once came twice")]
    Duplicate,
    /// `Connection` names a header that must reach the upstream or is the gateway's own.
    #[error("the Connection header names a protected header")]
    Nomination,
    /// A listed load balancer sent an `X-Forwarded-For` that is not a list of addresses.
    #[error("the forwarded address chain cannot be read")]
    ForwardedChain,
    /// The `Expect` header asks for something other than `100-continue`.
    #[error("the expectation cannot be met")]
    Expectation,
}

/// The names that belong to the gateway, ready for comparing. Made once per configuration generation.
#[derive(Debug, Clone)]
pub struct HeaderRules {
    identity: Vec<HeaderName>,
    /// Bit `n` set: some identity header has `n` bytes. Spares nearly every comparison.
    identity_lengths: u64,
    /// Our cookies' names begin with this.
    cookie_prefix: Box<str>,
    assertion: HeaderName,
    /// `Strict-Transport-Security` of every response; the upstream's is replaced.
    hsts: Option<HeaderValue>,
}

impl HeaderRules {
    /// Rules for the configured identity headers; the default names are protected as well.
    #[must_use]
    pub fn new(names: &IdentityHeaders, cookie_prefix: &str) -> Self {
        let mut identity = Vec::with_capacity(12);
        for names in [names, &IdentityHeaders::default()] {
            for name in [&names.subject, &names.tenant, &names.name, &names.email, &names.groups, &names.assertion] {
                if !identity.contains(name) {
                    identity.push(name.clone());
                }
            }
        }
        let identity_lengths = identity.iter().fold(0, |bits, name| bits | length_bit(name.as_str()));
        Self {
            identity,
            identity_lengths,
            cookie_prefix: cookie_prefix.into(),
            assertion: names.assertion.clone(),
            hsts: Some(HeaderValue::from_static("max-age=31536000")),
        }
    }

    /// Replaces the `Strict-Transport-Security` value; `None` sends none (and still removes the upstream's).
    #[must_use]
    pub fn with_hsts(mut self, value: Option<HeaderValue>) -> Self {
        self.hsts = value;
        self
    }

    /// Says that this host is reached by https only (RFC 6797), if configured.
    pub fn add_hsts(&self, headers: &mut HeaderMap) {
        if let Some(hsts) = &self.hsts {
            headers.insert(STRICT_TRANSPORT_SECURITY, hsts.clone());
        }
    }

    fn is_identity(&self, name: &HeaderName) -> bool {
        self.identity_lengths & length_bit(name.as_str()) != 0 && self.identity.contains(name)
    }
}

fn length_bit(name: &str) -> u64 {
    1 << (name.len() % 64)
}

#[cfg(test)]
mod tests;
