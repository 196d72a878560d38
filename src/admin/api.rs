//! The routes of the admin listener. Exact paths; whatever is not listed is 404.

use std::sync::Arc;

use axum::extract::{FromRef, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Json, Router};
use serde::Serialize;

use super::console::{self, Console};
use super::entrance::Entrance;
use super::guard::{Ends, Guard, Refusal};
use super::problem::Problem;
use super::v1::{self, Consents};
use super::who::Admin;
use super::{Condition, Config, Prove, Services, SessionControl};
use crate::telemetry::metrics::CONTENT_TYPE as METRICS_TYPE;

/// Everything the routes share.
pub(super) struct Site<S> {
    pub(super) services: Services<S>,
    pub(super) guard: Guard,
    pub(super) entrance: Arc<Entrance>,
    pub(super) consents: Consents,
}

impl<S: Clone> FromRef<Arc<Site<S>>> for Services<S> {
    fn from_ref(site: &Arc<Site<S>>) -> Self {
        site.services.clone()
    }
}

pub(super) fn router<S: SessionControl>(config: &Config, services: Services<S>) -> Router {
    let entrance = Arc::new(Entrance::new(Arc::clone(&services.clock)));
    let look = Arc::clone(&services.look);
    let guard = Guard::new(
        (config.token.clone(), &config.hosts),
        Arc::clone(&entrance),
        Box::new(move || look().console),
        prove(&services),
    );
    let consents = Consents::new(Arc::clone(&services.clock));
    let site = Arc::new(Site { services, guard, entrance, consents });
    Router::new()
        .route("/live", get(|| async { Json(Live { live: true }) }))
        .route("/ready", get(ready::<S>))
        .route("/metrics", get(metrics::<S>))
        .merge(v1::router())
        .merge(console::router())
        .fallback(|| async { Problem::missing("not_found") })
        .method_not_allowed_fallback(|| async { Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed") })
        .with_state(Arc::clone(&site))
        .layer(middleware::from_fn_with_state(site, check::<S>))
}

/// An assertion counts if it is ours and for the console, its session still lives, and it names a member of a group of
/// administrators. The gate has asked the same a moment ago; a rule that lets too many in must not be enough.
fn prove<S: SessionControl>(services: &Services<S>) -> Prove {
    let (assertions, sessions) = (services.assertions.clone(), services.sessions.clone());
    let clock = Arc::clone(&services.clock);
    Box::new(move |console: &Console, token: &str| {
        let proven = assertions.as_ref()?.verify(token, &console.audience, clock.now())?;
        let lives = sessions.find(&proven.session).is_some();
        (lives && console.admits(&proven)).then(|| Admin::Person { user: proven.user, name: proven.name.into() })
    })
}

async fn check<S: SessionControl>(
    State(site): State<Arc<Site<S>>>,
    Extension(ends): Extension<Ends>,
    mut request: Request,
    next: Next,
) -> Response {
    let counters = &site.services.metrics.control;
    let page = console::is_page(request.uri().path());
    let mut response = match site.guard.check(&request, ends) {
        Ok(admin) => {
            counters.admin_requests.up();
            if let Some(admin) = admin {
                request.extensions_mut().insert(admin);
            }
            next.run(request).await
        }
        Err(refusal) => {
            counters.admin_requests_refused.up();
            if page && refusal == Refusal::Token { console::ask_for_token(ends, false) } else { refused(refusal) }
        }
    };
    let headers = response.headers_mut();
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    // Not `no-referrer`: browsers then send `Origin: null` with the sign-in form (Fetch, "append a request Origin header").
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers
        .entry(header::CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"));
    response
}

fn refused(refusal: Refusal) -> Response {
    let mut response = Problem::new(refusal.status(), refusal.word()).fix(refusal.fix()).into_response();
    if refusal.status() == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

async fn ready<S: SessionControl>(State(services): State<Services<S>>) -> Response {
    let missing: Vec<_> = services.readiness.missing().into_iter().map(Condition::word).collect();
    let status = if missing.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Ready { ready: missing.is_empty(), missing })).into_response()
}

async fn metrics<S: SessionControl>(State(services): State<Services<S>>) -> Response {
    ([(header::CONTENT_TYPE, METRICS_TYPE)], services.metrics.encode()).into_response()
}

#[derive(Serialize)]
struct Live {
    live: bool,
}

#[derive(Serialize)]
struct Ready {
    ready: bool,
    missing: Vec<&'static str>,
}
