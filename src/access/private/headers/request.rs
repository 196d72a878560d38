//! Request headers on their way to the upstream.

use http::header::{AUTHORIZATION, CONNECTION, CONTENT_LENGTH, EXPECT, HOST, TE, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::forwarded::X_FORWARDED_FOR;
use super::names::{Class, is_protected, is_singleton, request_class};
use super::{HeaderFault, HeaderRules, cookies};

const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// What the app lets pass beyond the ordinary.
#[derive(Debug, Clone, Copy)]
pub(in crate::access::private) struct Passing {
    /// `Authorization` passes.
    pub(in crate::access::private) authorization: bool,
}

/// What was found while stripping.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::access::private) struct Found {
    /// The client accepts trailers (`TE: trailers`), which gRPC asks of every hop.
    pub(in crate::access::private) te_trailers: bool,
}

/// Takes out everything that must not reach an upstream from a client.
pub(in crate::access::private) fn strip(
    headers: &mut HeaderMap,
    rules: &HeaderRules,
    passing: Passing,
) -> Result<Found, HeaderFault> {
    let mut found = Found::default();
    let mut gone = Gone::default();
    let mut cookie = false;
    let mut before: Option<&HeaderName> = None;
    for (name, value) in &*headers {
        // The map yields the values of one name one after the other, and the very same name each time.
        let again = before.is_some_and(|before| std::ptr::eq(before, name));
        if again && is_singleton(name.as_str()) {
            return Err(HeaderFault::Duplicate);
        }
        before = Some(name);
        match request_class(name.as_str()) {
            Class::Pass if rules.is_identity(name) => gone.others.push(name.clone()),
            Class::Pass => {}
            Class::Drop => gone.others.push(name.clone()),
            Class::Connection => {
                gone.connection = true;
                nominations(value, rules, &mut gone.others)?;
            }
            Class::Cookie => cookie = true,
            Class::Authorization => gone.authorization = !passing.authorization,
            Class::Te => {
                gone.te = true;
                found.te_trailers |= has_token(value, "trailers");
            }
            Class::Expect if value.as_bytes().eq_ignore_ascii_case(b"100-continue") => gone.expect = true,
            Class::Expect => return Err(HeaderFault::Expectation),
        }
    }
    gone.remove(headers);
    if cookie {
        cookies::strip_request(headers, &rules.cookie_prefix);
    }
    Ok(found)
}

/// What to take out, collected first because the map cannot change while it is read. The usual ones need no memory.
#[derive(Default)]
struct Gone {
    connection: bool,
    authorization: bool,
    te: bool,
    expect: bool,
    others: Vec<HeaderName>,
}

impl Gone {
    fn remove(self, headers: &mut HeaderMap) {
        for (gone, name) in
            [(self.connection, CONNECTION), (self.authorization, AUTHORIZATION), (self.te, TE), (self.expect, EXPECT)]
        {
            if gone {
                headers.remove(name);
            }
        }
        for name in self.others {
            headers.remove(name);
        }
    }
}

/// Reads what a `Connection` line nominates as hop-by-hop (RFC 9110 section 7.6.1).
fn nominations(value: &HeaderValue, rules: &HeaderRules, gone: &mut Vec<HeaderName>) -> Result<(), HeaderFault> {
    for token in value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
        if token.is_empty() || token.eq_ignore_ascii_case(b"keep-alive") || token.eq_ignore_ascii_case(b"close") {
            continue;
        }
        // What is no header name nominates nothing.
        let Ok(name) = HeaderName::from_bytes(token) else { continue };
        if is_protected(&name) || rules.is_identity(&name) {
            return Err(HeaderFault::Nomination);
        }
        gone.push(name);
    }
    Ok(())
}

/// Whether a comma-separated list holds `token`.
pub(in crate::access::private) fn has_token(value: &HeaderValue, token: &str) -> bool {
    value.as_bytes().split(|byte| *byte == b',').any(|part| part.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
}

/// What is set on the stripped request.
pub(in crate::access::private) struct Added<'a> {
    /// The host asked for (`Host` or `:authority`) in its one spelling, for `X-Forwarded-Host`.
    pub(in crate::access::private) public_host: HeaderValue,
    /// `Host` sent upstream.
    pub(in crate::access::private) upstream_host: HeaderValue,
    /// `X-Forwarded-For`.
    pub(in crate::access::private) forwarded_for: HeaderValue,
    /// The person's headers; empty when nobody is signed in.
    pub(in crate::access::private) identity: &'a [(HeaderName, HeaderValue)],
    /// The signed assertion.
    pub(in crate::access::private) assertion: Option<&'a HeaderValue>,
    /// The app's own.
    pub(in crate::access::private) configured: &'a [(HeaderName, HeaderValue)],
}

/// Sets our headers. `insert` replaces, so nothing of the client's could stay even if stripping had missed it.
pub(in crate::access::private) fn add(headers: &mut HeaderMap, rules: &HeaderRules, added: Added<'_>) {
    headers.reserve(5 + added.identity.len() + added.configured.len());
    headers.insert(HOST, added.upstream_host);
    headers.insert(X_FORWARDED_FOR, added.forwarded_for);
    headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static("https"));
    headers.insert(X_FORWARDED_HOST, added.public_host);
    for (name, value) in added.configured {
        headers.insert(name, value.clone());
    }
    for (name, value) in added.identity {
        headers.insert(name, value.clone());
    }
    if let Some(assertion) = added.assertion {
        headers.insert(&rules.assertion, assertion.clone());
    }
}

/// Frames the body for an HTTP/1.1 upstream: hyper would send a `GET` body of unknown length as no body at all.
pub(in crate::access::private) fn frame_http1(headers: &mut HeaderMap, ended: bool, exact: Option<u64>) {
    if !ended && exact.is_none() && !headers.contains_key(CONTENT_LENGTH) {
        headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
}
