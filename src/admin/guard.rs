//! Who may ask the admin interface at all: checks that come before any route.
//!
//! A browser on this machine can be made to send requests here by any web page, directly or by pointing a name at a
//! loopback address (Caddy CVE-2026-27589, Tailscale CVE-2022-41924). So: a known `Host`, no foreign `Origin`, JSON
//! bodies only, and the token for all but three exact paths.

use std::net::{IpAddr, SocketAddr};

use http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST, ORIGIN, TRANSFER_ENCODING};
use http::{HeaderMap, Request, StatusCode};

use super::token;
use crate::telemetry::Secret;

/// The two ends of the connection a request came in on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ends {
    pub(super) peer: SocketAddr,
    pub(super) local: SocketAddr,
}

/// Why a request is refused before any route is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Absolute-form target: this is no proxy.
    Target,
    /// No, several or an unknown `Host`.
    Host,
    /// Sent by a page of another origin.
    Origin,
    /// A body that is not JSON.
    ContentType,
    /// No or a wrong token.
    Token,
}

impl Refusal {
    pub(super) const fn status(self) -> StatusCode {
        match self {
            Self::Target => StatusCode::BAD_REQUEST,
            Self::Host => StatusCode::MISDIRECTED_REQUEST,
            Self::Origin => StatusCode::FORBIDDEN,
            Self::ContentType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Token => StatusCode::UNAUTHORIZED,
        }
    }

    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Target => "absolute_target",
            Self::Host => "unknown_host",
            Self::Origin => "foreign_origin",
            Self::ContentType => "json_required",
            Self::Token => "token_required",
        }
    }
}

/// The rules, made once.
#[derive(Debug, Clone)]
pub(super) struct Guard {
    token: Secret<String>,
    hosts: Vec<String>,
}

impl Guard {
    pub(super) fn new(token: Secret<String>, hosts: &[String]) -> Self {
        Self { token, hosts: hosts.iter().map(|host| host.to_ascii_lowercase()).collect() }
    }

    pub(super) fn check<B>(&self, request: &Request<B>, ends: Ends) -> Result<(), Refusal> {
        if request.uri().scheme().is_some() || request.uri().authority().is_some() {
            return Err(Refusal::Target);
        }
        let headers = request.headers();
        let host = only(headers, HOST).filter(|host| self.knows_host(host, ends.local)).ok_or(Refusal::Host)?;
        check_origin(headers, host)?;
        check_body(headers)?;
        // Everything needs the token unless it is exactly one of these, so that a new route is closed by default.
        let open = matches!(request.uri().path(), "/live" | "/ready" | "/metrics");
        if open || self.has_token(headers) { Ok(()) } else { Err(Refusal::Token) }
    }

    /// `localhost`, a loopback address, the very address the connection came in on, or a configured name.
    fn knows_host(&self, host: &str, local: SocketAddr) -> bool {
        let name = host_name(host).to_ascii_lowercase();
        let bracketed = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let literal = match bracketed {
            Some(address) => address.parse().map(IpAddr::V6),
            None => name.parse().map(IpAddr::V4),
        };
        match literal {
            Ok(address) => address.is_loopback() || address == local.ip(),
            Err(_) => name == "localhost" || self.hosts.contains(&name),
        }
    }

    fn has_token(&self, headers: &HeaderMap) -> bool {
        let given = only(headers, AUTHORIZATION).unwrap_or_default();
        let (scheme, given) = given.split_once(' ').unwrap_or_default();
        scheme.eq_ignore_ascii_case("bearer") && token::matches(&self.token, given.as_bytes())
    }
}

/// A browser names the origin of the page that sends a request; only our own is accepted, and there is no CORS.
fn check_origin(headers: &HeaderMap, host: &str) -> Result<(), Refusal> {
    let site = headers.get("sec-fetch-site").map(|value| value.as_bytes());
    if matches!(site, Some(b"cross-site" | b"same-site")) {
        return Err(Refusal::Origin);
    }
    if !headers.contains_key(ORIGIN) {
        return Ok(());
    }
    let origin = only(headers, ORIGIN).and_then(|origin| origin.strip_prefix("http://"));
    if origin.is_some_and(|origin| origin.eq_ignore_ascii_case(host)) { Ok(()) } else { Err(Refusal::Origin) }
}

/// Forms of other sites can send bodies without asking first, but not as JSON.
fn check_body(headers: &HeaderMap) -> Result<(), Refusal> {
    let empty = headers.get(CONTENT_LENGTH).is_none_or(|length| length.as_bytes() == b"0");
    let typed = headers.contains_key(CONTENT_TYPE);
    if empty && !headers.contains_key(TRANSFER_ENCODING) && !typed {
        return Ok(());
    }
    let kind = only(headers, CONTENT_TYPE).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if kind.eq_ignore_ascii_case("application/json") { Ok(()) } else { Err(Refusal::ContentType) }
}

/// The value of a header that stands exactly once.
fn only(headers: &HeaderMap, name: http::HeaderName) -> Option<&str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    if values.next().is_some() {
        return None;
    }
    value.to_str().ok()
}

/// A `Host` value without its port.
fn host_name(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) && !name.ends_with(':') => name,
        _ => host,
    }
}
