//! Where refusals and failures become responses: one match each; only what asks for something is in `ask.rs`.

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, ALLOW, CACHE_CONTROL, CONTENT_TYPE, ORIGIN,
};
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode};

use super::private::Assertions;
use super::refusal::Refusal;
use super::served::Served;
use super::{AccessError, App, Local};
use crate::edge::Body;
use crate::pages::{AtRisk, Audience, BadRequestWord, Blocked, Page, SignedInAs};
use crate::policy::Reason;
use crate::sign_in::{PREFIX, allow_origin, is_shown};

/// Who reads the answer to a request.
pub(super) fn audience(parts: &Parts) -> Audience {
    if is_shown(&parts.headers) { Audience::Browser } else { Audience::Api }
}

/// A refusal as a response. What the person can turn into a yes is answered in `access/ask.rs`.
pub(super) fn refuse(
    local: &Local,
    audience: Audience,
    app: Option<&App>,
    refusal: &Refusal,
    served: &Served,
) -> Response<Body> {
    if !matches!(refusal, Refusal::Decided { .. }) {
        served.turned_away(refusal);
    }
    let sign_in = local.world.sign_in.config().origin();
    let (login_url, sign_out) = (format!("{sign_in}{PREFIX}sign-in"), format!("{sign_in}{PREFIX}sign-out"));
    let sign_in_again = format!("{login_url}?prompt=select_account");
    let page = match refusal {
        Refusal::Decided { decision, person } => {
            let app = app.map_or("", |app| &app.name);
            let person = person.as_ref();
            let person = person.map(|person| SignedInAs { name: &person.subject.name, email: &person.subject.email });
            match decision.reason {
                Reason::SignInRequired | Reason::SignInRevoked => Page::SignInRequired { login_url: &login_url },
                Reason::RiskRule => {
                    Page::AtRisk(AtRisk { reason: decision.reason, app, person, sign_in: &sign_in_again })
                }
                reason => Page::Blocked(Blocked { reason, app, person, sign_out: Some(&sign_out) }),
            }
        }
        Refusal::StoreDown | Refusal::NoAssertion => Page::StoreDown,
        Refusal::BadAuthority | Refusal::BadHeader => Page::BadRequest { word: BadRequestWord::new(refusal.word()) },
        Refusal::BadPath(fault) => Page::BadRequest { word: BadRequestWord::new(fault.word()) },
        Refusal::Misdirected => Page::Misdirected,
        Refusal::NoSuchApp => Page::NotFound,
        Refusal::MethodNotAllowed => Page::MethodNotAllowed,
        Refusal::BodyTooLarge => Page::PayloadTooLarge,
    };
    let mut response = local.world.pages.respond(&page, audience, &served.id().to_string()).map(Body::Full);
    if let (Refusal::MethodNotAllowed, Some(app)) = (refusal, app)
        && let Ok(allow) = HeaderValue::from_str(&methods(app))
    {
        response.headers_mut().insert(ALLOW, allow);
    }
    response
}

/// A permitted request that could not be carried out.
pub(super) fn fail(
    local: &Local,
    audience: Audience,
    app: &App,
    error: &AccessError,
    served: &Served,
) -> Response<Body> {
    served.failed(error);
    tracing::info!(request_id = %served.id(), app = &*app.name, error = %error, "a permitted request was not carried out");
    let app = &*app.name;
    let bad = |word| Page::BadRequest { word: BadRequestWord::new(word) };
    let (page, status) = match error {
        AccessError::UpstreamUnreachable | AccessError::UpstreamBroken => (Page::UpstreamDown { app }, None),
        AccessError::UpstreamTimeout => (Page::UpstreamTimeout { app }, None),
        AccessError::UpstreamBusy => (Page::Busy, None),
        AccessError::BodyTooLarge => (Page::PayloadTooLarge, None),
        AccessError::BodyBroken => (bad("body_broken"), None),
        AccessError::BodyStalled => (bad("body_stalled"), Some(StatusCode::REQUEST_TIMEOUT)),
        AccessError::Headers(_) => (bad("bad_header"), None),
        AccessError::NotRelayed => (bad("not_relayed"), None),
        AccessError::Expectation => (bad("expectation"), Some(StatusCode::EXPECTATION_FAILED)),
        AccessError::WebSocketVersion => (bad("websocket_version"), Some(StatusCode::UPGRADE_REQUIRED)),
        AccessError::WebSocketOrigin => (bad("websocket_origin"), Some(StatusCode::FORBIDDEN)),
        AccessError::Cut(_) => (bad("cut"), Some(StatusCode::FORBIDDEN)),
    };
    let mut response = local.world.pages.respond(&page, audience, &served.id().to_string()).map(Body::Full);
    if let Some(status) = status {
        *response.status_mut() = status;
    }
    if matches!(error, AccessError::WebSocketVersion) {
        // RFC 6455 4.4: say which version would do.
        response.headers_mut().insert(http::header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    }
    response
}

/// `OPTIONS *` asks about the server itself (RFC 9110 9.3.7); nothing behind it is involved.
pub(super) fn options() -> Response<Body> {
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// A CORS preflight from a configured origin. It never carries a cookie, so it is answered here and not by the app;
/// from any other origin it is a request without a session like every other.
pub(super) fn is_preflight(parts: &Parts, app: &App) -> bool {
    parts.method == Method::OPTIONS
        && parts.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
        && parts
            .headers
            .get(ORIGIN)
            .is_some_and(|origin| app.config.cors_origins.iter().any(|known| known.as_bytes() == origin.as_bytes()))
}

/// See [`is_preflight`].
pub(super) fn preflight(parts: &Parts, app: &App) -> Response<Body> {
    let mut response = options();
    allow_origin(&mut response, &parts.headers, &app.config.cors_origins);
    let headers = response.headers_mut();
    if let Ok(methods) = HeaderValue::from_str(&methods(app)) {
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, methods);
    }
    if let Some(wanted) = parts.headers.get(ACCESS_CONTROL_REQUEST_HEADERS) {
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
    }
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    response
}

/// The public keys of the assertion (RFC 7517), for the apps.
pub(super) fn jwks(assertions: &Assertions) -> Response<Body> {
    let mut response = Response::new(Body::full(assertions.jwks_json()));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/jwk-set+json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
    response
}

fn methods(app: &App) -> String {
    app.config.methods.iter().map(Method::as_str).collect::<Vec<_>>().join(", ")
}
