//! The console: "Identity and access" and the people at risk, rendered here and kept fresh by one small script.
//!
//! It is reached on the admin listener by whoever knows the token, and through the gateway at its own host by the members
//! of a few groups. Reading works without scripts; every change is a request to the admin API.

mod app;
mod page;
mod template;

use std::sync::Arc;

use axum::extract::{Form, Query, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use serde::Deserialize;

use super::SessionControl;
use super::api::Site;
use super::change::Change;
use super::guard::{Ends, host_name};
use super::v1::{finish_consent, iam_now, risky_now, verdicts};
use super::who::Admin;
use crate::access::Proven;
use crate::facts::{ObjectId, TenantId};

/// Where administrators get at the admin interface through the gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Console {
    /// Host name, lower case, no port.
    pub host: String,
    /// The port browsers use.
    pub port: u16,
    /// Groups whose members are administrators, with the tenant each belongs to.
    pub groups: Vec<(TenantId, ObjectId)>,
    /// The header the gateway's assertion comes in.
    pub header: HeaderName,
    /// The audience of that assertion; no app may have it.
    pub audience: String,
}

impl Console {
    /// The name of the app that leads here, for rules, logs and metrics.
    pub const APP: &'static str = "portcullis-console";

    /// The audience of the console at `host`.
    #[must_use]
    pub fn audience_of(host: &str) -> String {
        format!("urn:portcullis:console:{host}")
    }

    /// Scheme, host and port as browsers write them.
    #[must_use]
    pub fn origin(&self) -> String {
        if self.port == 443 { format!("https://{}", self.host) } else { format!("https://{}:{}", self.host, self.port) }
    }

    /// Whether a `Host` of this value means the console.
    pub(super) fn is_called(&self, host: &str) -> bool {
        self.host.eq_ignore_ascii_case(host_name(host))
    }

    /// Whether this person is an administrator. When the assertion does not list every group, the gate's yes for this
    /// app, which asks for the same groups, stands for them; the tenant has to fit all the same.
    pub(super) fn admits(&self, proven: &Proven) -> bool {
        let tenant = proven.user.tenant;
        self.groups.iter().filter(|(of, _)| *of == tenant).any(|(_, group)| match &proven.groups {
            Some(groups) => groups.contains(group),
            None => true,
        })
    }
}

/// Takes the bearer token from a form.
pub(super) const SIGN_IN: &str = "/sign-in";
/// Where the provider sends an administrator back to after a consent; to be registered as a redirect address.
pub const CALLBACK: &str = "/consent/callback";
const DONE: &str = "/consent/done";
const SCRIPT: &str = "/assets/console.js";
const STYLE: &str = "/assets/console.css";

/// Whether a browser may be led here by a link from elsewhere.
pub(super) fn is_page(path: &str) -> bool {
    matches!(path, "/" | "/people" | CALLBACK | DONE)
}

/// Whether this shows nothing of the gateway, and so needs no proof.
pub(super) fn is_open(path: &str) -> bool {
    matches!(path, CALLBACK | SCRIPT | STYLE)
}

pub(super) fn router<S: SessionControl>() -> Router<Arc<Site<S>>> {
    Router::new()
        .route("/", get(overview::<S>))
        .route("/parts/overview", get(overview_part::<S>))
        .route("/people", get(people::<S>))
        .route("/parts/people", get(people_part::<S>))
        .route(SIGN_IN, post(sign_in::<S>))
        .route("/sign-out", post(sign_out::<S>))
        .route(CALLBACK, get(callback))
        .route(DONE, get(consented::<S>))
        .route(SCRIPT, get(|| async { asset("text/javascript; charset=utf-8", page::SCRIPT) }))
        .route(STYLE, get(|| async { asset("text/css; charset=utf-8", page::STYLE) }))
}

async fn overview<S: SessionControl>(State(site): State<Arc<Site<S>>>, Extension(by): Extension<Admin>) -> Response {
    let part = page::overview(&iam_now(&site.services));
    html(StatusCode::OK, page::framed("Identity and access", &by, "/", "/parts/overview", &part))
}

async fn overview_part<S: SessionControl>(State(site): State<Arc<Site<S>>>) -> Response {
    html(StatusCode::OK, page::overview(&iam_now(&site.services)))
}

async fn people<S: SessionControl>(State(site): State<Arc<Site<S>>>, Extension(by): Extension<Admin>) -> Response {
    html(StatusCode::OK, page::framed("People at risk", &by, "/people", "/parts/people", &at_risk(&site)))
}

async fn people_part<S: SessionControl>(State(site): State<Arc<Site<S>>>) -> Response {
    html(StatusCode::OK, at_risk(&site))
}

fn at_risk<S: SessionControl>(site: &Site<S>) -> String {
    let (services, view) = (&site.services, (site.services.look)());
    let people = risky_now(services, None);
    let shown = people.into_iter().take(SHOWN).map(|line| {
        let verdicts = verdicts(services, &line.user, &view);
        (line, verdicts)
    });
    page::people(&iam_now(services), &shown.collect::<Vec<_>>())
}

#[derive(Deserialize)]
struct TokenForm {
    #[serde(default)]
    token: String,
}

/// The first start: whoever can read the token file may come in with a browser on this machine.
async fn sign_in<S: SessionControl>(
    State(site): State<Arc<Site<S>>>,
    Extension(ends): Extension<Ends>,
    Form(form): Form<TokenForm>,
) -> Response {
    let change = Change { services: &site.services, ends, by: &Admin::Local, action: "console_sign_in", target: "" };
    // The form carries the token over plain HTTP, so it does so on this machine only.
    if !ends.local.ip().is_loopback() || !site.guard.accepts(form.token.trim().as_bytes()) {
        change.record("refused", 0);
        return ask_for_token(ends, true);
    }
    let Some(cookie) = site.entrance.open(ends.local.port()) else {
        change.record("failed", 0);
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    change.record("done", 1);
    let headers = [(header::SET_COOKIE, cookie), (header::LOCATION, HeaderValue::from_static("/"))];
    (StatusCode::SEE_OTHER, headers).into_response()
}

async fn sign_out<S: SessionControl>(
    State(site): State<Arc<Site<S>>>,
    Extension(ends): Extension<Ends>,
    headers: HeaderMap,
) -> Response {
    let cookie = site.entrance.close(&headers, ends.local.port());
    let cookie = cookie.map(|cookie| [(header::SET_COOKIE, cookie)]);
    (StatusCode::OK, cookie.map(IntoResponse::into_response).unwrap_or_default()).into_response()
}

/// The page for a browser that has proven nothing yet.
pub(super) fn ask_for_token(ends: Ends, refused: bool) -> Response {
    let mut response = html(StatusCode::UNAUTHORIZED, page::sign_in(ends.local.ip().is_loopback(), refused));
    // A scheme no browser knows: it shows the page, and no dialogue of its own.
    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    response
}

#[derive(Deserialize)]
struct Back {
    #[serde(default)]
    state: String,
    error: Option<String>,
}

/// Back from the provider's site, which does not send our strict cookie along: goes on to the same thing from a page of
/// our own, which does. Proves nothing and keeps nothing.
async fn callback(Query(back): Query<Back>) -> Response {
    let mut next = url::form_urlencoded::Serializer::new(String::new());
    next.append_pair("state", &cut(&back.state));
    if let Some(error) = &back.error {
        next.append_pair("error", &cut(error));
    }
    html(StatusCode::OK, page::going_on(&format!("{DONE}?{}", next.finish())))
}

async fn consented<S: SessionControl>(
    State(site): State<Arc<Site<S>>>,
    Extension(ends): Extension<Ends>,
    Extension(by): Extension<Admin>,
    Query(back): Query<Back>,
) -> Response {
    let outcome = finish_consent(&site, (ends, &by), &back.state, back.error.as_deref()).await;
    let (status, body) = page::consented(&outcome);
    html(status, body)
}

/// Words of the provider, at a length that an address can carry.
fn cut(text: &str) -> String {
    text.chars().take(200).collect()
}

fn html(status: StatusCode, body: String) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
    ];
    (status, headers, body).into_response()
}

fn asset(kind: &'static str, body: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    (headers, body).into_response()
}

/// Our own script and style sheet and requests to ourselves, nothing inline. The icon is an empty `data:`.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; \
                      form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// People shown on the page; the API lists more.
const SHOWN: usize = 100;
