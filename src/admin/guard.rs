//! Who may ask the admin interface at all: checks that come before any route.
//!
//! A browser on this machine can be made to send requests here by any web page, directly or by pointing a name at a
//! loopback address (Caddy CVE-2026-27589, Tailscale CVE-2022-41924). So: a known `Host`, no foreign `Origin`, JSON
//! bodies only, and a proof of who asks for all but a few exact paths.
//!
//! Three proofs count, each in its place: the bearer token; on a local name the cookie of somebody who typed the token in;
//! on the console's name the gateway's own signed assertion, because that name leads here through the gateway only. A
//! browser sends the last two along by itself, so a change needs our own `Origin` and JSON as well.

use std::net::{IpAddr, SocketAddr};

use std::sync::Arc;

use http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST, ORIGIN, TRANSFER_ENCODING};
use http::{HeaderMap, Method, Request, StatusCode};

use super::console::{self, Console};
use super::entrance::Entrance;
use super::who::Admin;
use super::{Prove, token};
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
    /// Not proven to be an administrator who came through the gateway.
    Assertion,
}

impl Refusal {
    /// Every one.
    pub(super) const ALL: [Self; 6] =
        [Self::Target, Self::Host, Self::Origin, Self::ContentType, Self::Token, Self::Assertion];

    pub(super) const fn status(self) -> StatusCode {
        match self {
            Self::Target => StatusCode::BAD_REQUEST,
            Self::Host => StatusCode::MISDIRECTED_REQUEST,
            Self::Origin => StatusCode::FORBIDDEN,
            Self::ContentType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Token | Self::Assertion => StatusCode::UNAUTHORIZED,
        }
    }

    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Target => "absolute_target",
            Self::Host => "unknown_host",
            Self::Origin => "foreign_origin",
            Self::ContentType => "json_required",
            Self::Token => "token_required",
            Self::Assertion => "administrator_required",
        }
    }

    /// What whoever asks can do about it.
    pub(super) const fn fix(self) -> &'static str {
        match self {
            Self::Target => "send the path alone; this is no proxy",
            Self::Host => "use localhost, the listener's own address or the console's host name",
            Self::Origin => "send it from the console's own page, or without a browser and with the bearer token",
            Self::ContentType => "send JSON with the header content-type: application/json",
            Self::Token => "send the token of the file admin-token as authorization: Bearer, or sign in at /",
            Self::Assertion => "open the console through the gateway, as a member of a group in admin.groups",
        }
    }
}

/// The rules, made once.
pub(super) struct Guard {
    token: Secret<String>,
    hosts: Vec<String>,
    entrance: Arc<Entrance>,
    console: Box<dyn Fn() -> Option<Arc<Console>> + Send + Sync>,
    prove: Prove,
}

impl Guard {
    pub(super) fn new(
        (token, hosts): (Secret<String>, &[String]),
        entrance: Arc<Entrance>,
        console: Box<dyn Fn() -> Option<Arc<Console>> + Send + Sync>,
        prove: Prove,
    ) -> Self {
        let hosts = hosts.iter().map(|host| host.to_ascii_lowercase()).collect();
        Self { token, hosts, entrance, console, prove }
    }

    /// Who asks; `None` where it does not matter.
    pub(super) fn check<B>(&self, request: &Request<B>, ends: Ends) -> Result<Option<Admin>, Refusal> {
        if request.uri().scheme().is_some() || request.uri().authority().is_some() {
            return Err(Refusal::Target);
        }
        let headers = request.headers();
        let host = only(headers, HOST).ok_or(Refusal::Host)?;
        let console = self.console_of(host);
        if console.is_none() && !self.knows_host(host, ends.local) {
            return Err(Refusal::Host);
        }
        let scheme = if console.is_some() { "https://" } else { "http://" };
        let path = request.uri().path();
        // Following a link to a page, or coming back from the provider, changes nothing and is not readable elsewhere.
        if !(console::is_page(path) && is_navigation(request)) {
            check_origin(headers, scheme, host)?;
        }
        let form = console.is_none() && path == console::SIGN_IN && request.method() == Method::POST;
        if form {
            // Nothing to prove yet, but only our own page may bring somebody in.
            return if is_own_form(headers) { Ok(None) } else { Err(Refusal::Origin) };
        }
        // Everything needs a proof unless it is exactly one of these, so that a new route is closed by default.
        let admin = if matches!(path, "/live" | "/ready" | "/metrics") || console::is_open(path) {
            None
        } else {
            Some(match &console {
                Some(console) => self.through_the_gateway(console, headers)?,
                None => self.local(headers, ends)?,
            })
        };
        let ambient = admin.as_ref().is_some_and(Admin::is_ambient);
        if ambient && !matches!(*request.method(), Method::GET | Method::HEAD) {
            if !headers.contains_key(ORIGIN) {
                return Err(Refusal::Origin);
            }
            if !is_json(headers) {
                return Err(Refusal::ContentType);
            }
        }
        check_body(headers)?;
        Ok(admin)
    }

    /// The console, if it is called by this name.
    fn console_of(&self, host: &str) -> Option<Arc<Console>> {
        (self.console)().filter(|console| console.is_called(host))
    }

    fn through_the_gateway(&self, console: &Console, headers: &HeaderMap) -> Result<Admin, Refusal> {
        let assertion = only(headers, console.header.clone()).ok_or(Refusal::Assertion)?;
        (self.prove)(console, assertion).ok_or(Refusal::Assertion)
    }

    fn local(&self, headers: &HeaderMap, ends: Ends) -> Result<Admin, Refusal> {
        if headers.contains_key(AUTHORIZATION) {
            return if self.has_token(headers) { Ok(Admin::Token) } else { Err(Refusal::Token) };
        }
        if self.entrance.knows(headers, ends.local.port()) { Ok(Admin::Local) } else { Err(Refusal::Token) }
    }

    /// Whether this text is the token.
    pub(super) fn accepts(&self, given: &[u8]) -> bool {
        token::matches(&self.token, given)
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
fn check_origin(headers: &HeaderMap, scheme: &str, host: &str) -> Result<(), Refusal> {
    let site = headers.get("sec-fetch-site").map(|value| value.as_bytes());
    if matches!(site, Some(b"cross-site" | b"same-site")) {
        return Err(Refusal::Origin);
    }
    if !headers.contains_key(ORIGIN) {
        return Ok(());
    }
    let origin = only(headers, ORIGIN).and_then(|origin| origin.strip_prefix(scheme));
    if origin.is_some_and(|origin| origin.eq_ignore_ascii_case(host)) { Ok(()) } else { Err(Refusal::Origin) }
}

/// Forms of other sites can send bodies without asking first, but not as JSON.
fn check_body(headers: &HeaderMap) -> Result<(), Refusal> {
    let empty = headers.get(CONTENT_LENGTH).is_none_or(|length| length.as_bytes() == b"0");
    let typed = headers.contains_key(CONTENT_TYPE);
    if empty && !headers.contains_key(TRANSFER_ENCODING) && !typed {
        return Ok(());
    }
    if is_json(headers) { Ok(()) } else { Err(Refusal::ContentType) }
}

fn is_json(headers: &HeaderMap) -> bool {
    has_type(headers, "application/json")
}

fn has_type(headers: &HeaderMap, expected: &str) -> bool {
    let kind = only(headers, CONTENT_TYPE).unwrap_or_default();
    kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(expected)
}

/// A form that says where it comes from; its origin has been compared by then.
fn is_own_form(headers: &HeaderMap) -> bool {
    headers.contains_key(ORIGIN) && has_type(headers, "application/x-www-form-urlencoded")
}

/// A browser that opens a page in a tab (Fetch Metadata, <https://www.w3.org/TR/fetch-metadata/>).
fn is_navigation<B>(request: &Request<B>) -> bool {
    let is = |name: &str, word: &str| only_named(request.headers(), name) == Some(word);
    *request.method() == Method::GET
        && !request.headers().contains_key(ORIGIN)
        && is("sec-fetch-mode", "navigate")
        && is("sec-fetch-dest", "document")
}

fn only_named<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
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
pub(super) fn host_name(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) && !name.ends_with(':') => name,
        _ => host,
    }
}
