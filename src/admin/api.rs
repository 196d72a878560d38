//! The routes of the admin listener. Exact paths; whatever is not listed is 404.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Extension, Json, Router};
use serde::{Deserialize, Serialize};

use super::guard::{Ends, Guard, Refusal};
use super::{Condition, Services, SessionControl};
use crate::audit::{AdminAction, EndedBy, Event, SessionId};
use crate::cut::CutReason;
use crate::facts::UserKey;
use crate::session::SessionInfo;
use crate::telemetry::metrics::CONTENT_TYPE as METRICS_TYPE;

pub(super) fn router<S: SessionControl>(guard: Guard, services: Services<S>) -> Router {
    let guarded = Arc::new((guard, services.clone()));
    Router::new()
        .route("/live", get(|| async { Json(Live { live: true }) }))
        .route("/ready", get(ready::<S>))
        .route("/metrics", get(metrics::<S>))
        .route("/api/v1/version", get(version))
        .route("/api/v1/sessions", get(sessions::<S>))
        .route("/api/v1/sessions/{id}", delete(end_session::<S>))
        .route("/api/v1/users/{user}/sessions", delete(end_user::<S>))
        .route("/api/v1/reload", post(reload::<S>))
        .merge(super::actions::routes())
        .fallback(|| async { error(StatusCode::NOT_FOUND, "not_found") })
        .method_not_allowed_fallback(|| async { error(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed") })
        .with_state(services)
        .layer(middleware::from_fn_with_state(guarded, check::<S>))
}

/// One session in the answer of `GET /api/v1/sessions`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionLine {
    /// Short id, as used to end it.
    pub id: String,
    /// `tid:oid`.
    pub user: String,
    /// Display name.
    pub name: String,
    /// For display.
    pub email: String,
    /// When it began, in seconds since 1970.
    pub created: u64,
    /// Last use, likewise.
    pub last_used: u64,
    /// When it ends at the latest, likewise.
    pub expires: u64,
    /// Open streams now.
    pub streams: u32,
}

/// The answer of `GET /api/v1/sessions`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionList {
    /// The time at the gateway, in seconds since 1970.
    pub now: u64,
    /// Newest first.
    pub sessions: Vec<SessionLine>,
}

/// The answer when sessions were ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// How many.
    pub ended: u64,
}

async fn check<S: SessionControl>(
    State(guarded): State<Arc<(Guard, Services<S>)>>,
    Extension(ends): Extension<Ends>,
    request: Request,
    next: Next,
) -> Response {
    let (guard, services) = &*guarded;
    let checked = guard.check(&request, ends);
    let mut response = match checked {
        Ok(()) => next.run(request).await,
        Err(refusal) => {
            services.metrics.control.admin_requests_refused.up();
            refused(refusal)
        }
    };
    if checked.is_ok() {
        services.metrics.control.admin_requests.up();
    }
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"),
    );
    response
}

fn refused(refusal: Refusal) -> Response {
    let mut response = error(refusal.status(), refusal.word());
    if refusal == Refusal::Token {
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

async fn version() -> Json<Version> {
    Json(Version { name: env!("CARGO_PKG_NAME"), version: env!("CARGO_PKG_VERSION") })
}

async fn sessions<S: SessionControl>(
    State(services): State<Services<S>>,
    filter: Result<Query<Filter>, QueryRejection>,
) -> Response {
    let Ok(Query(filter)) = filter else { return error(StatusCode::BAD_REQUEST, "bad_query") };
    let Ok(user) = filter.user.map(|user| user.parse::<UserKey>()).transpose() else {
        return error(StatusCode::BAD_REQUEST, "bad_user");
    };
    let sessions = services.sessions.list(user).into_iter().map(line).collect();
    Json(SessionList { now: services.clock.now().0, sessions }).into_response()
}

async fn end_session<S: SessionControl>(
    State(services): State<Services<S>>,
    Extension(ends): Extension<Ends>,
    Path(id): Path<String>,
) -> Response {
    let audit = Change { services: &services, ends, action: "session_end", target: &id };
    let Some(key) = services.sessions.find(&id) else {
        audit.record("not_found", 0);
        return error(StatusCode::NOT_FOUND, "no_such_session");
    };
    let known = services.sessions.list(None).into_iter().find(|info| info.id == id);
    match services.sessions.end(&key, CutReason::Revoked).await {
        Ok(true) => {
            audit.record("done", 1);
            known.iter().for_each(|info| audit.session_ended(info));
            Json(Ended { ended: 1 }).into_response()
        }
        Ok(false) => {
            audit.record("not_found", 0);
            error(StatusCode::NOT_FOUND, "no_such_session")
        }
        Err(problem) => audit.failed(&problem),
    }
}

async fn end_user<S: SessionControl>(
    State(services): State<Services<S>>,
    Extension(ends): Extension<Ends>,
    Path(user): Path<String>,
) -> Response {
    let Ok(key) = user.parse::<UserKey>() else { return error(StatusCode::BAD_REQUEST, "bad_user") };
    let audit = Change { services: &services, ends, action: "user_sessions_end", target: &user };
    let known = services.sessions.list(Some(key));
    match services.sessions.end_user(key, CutReason::Revoked).await {
        Ok(count) => {
            let ended = u64::try_from(count).unwrap_or(u64::MAX);
            audit.record("done", ended);
            known.iter().for_each(|info| audit.session_ended(info));
            Json(Ended { ended }).into_response()
        }
        Err(problem) => audit.failed(&problem),
    }
}

async fn reload<S: SessionControl>(State(services): State<Services<S>>, Extension(ends): Extension<Ends>) -> Response {
    let audit = Change { services: &services, ends, action: "reload", target: "configuration" };
    match (services.reload)().await {
        Ok(generation) => {
            audit.record("done", 1);
            Json(Reloaded { generation }).into_response()
        }
        Err(problem) => {
            audit.record("refused", 0);
            let answer = Problem { error: "configuration_refused", message: Some(problem) };
            (StatusCode::UNPROCESSABLE_ENTITY, Json(answer)).into_response()
        }
    }
}

/// Records one change in the audit log.
pub(super) struct Change<'a, S> {
    pub(super) services: &'a Services<S>,
    pub(super) ends: Ends,
    pub(super) action: &'static str,
    pub(super) target: &'a str,
}

impl<S> Change<'_, S> {
    pub(super) fn record(&self, outcome: &'static str, count: u64) {
        self.services.audit.record(Event::AdminAction(Box::new(AdminAction {
            client: self.ends.peer.ip(),
            action: self.action,
            target: self.target.into(),
            outcome,
            count,
        })));
    }

    fn session_ended(&self, info: &SessionInfo) {
        self.services.metrics.control.session_ended(CutReason::Revoked);
        let session = SessionId(u64::from_str_radix(&info.id, 16).unwrap_or_default());
        let (user, reason, by) = (info.user, CutReason::Revoked, EndedBy::Admin);
        self.services.audit.record(Event::SessionEnded { user, session, reason, by });
    }

    pub(super) fn failed(&self, problem: &str) -> Response {
        tracing::error!(problem, action = self.action, "an admin action failed");
        self.record("failed", 0);
        error(StatusCode::SERVICE_UNAVAILABLE, "store_unavailable")
    }
}

fn line(info: SessionInfo) -> SessionLine {
    SessionLine {
        id: info.id,
        user: info.user.to_string(),
        name: info.name.to_string(),
        email: info.email.to_string(),
        created: info.created.0,
        last_used: info.last_used.0,
        expires: info.expires.0,
        streams: info.streams,
    }
}

pub(super) fn error(status: StatusCode, word: &'static str) -> Response {
    (status, Json(Problem { error: word, message: None })).into_response()
}

pub(super) fn problem(status: StatusCode, word: &'static str, message: String) -> Response {
    (status, Json(Problem { error: word, message: Some(message) })).into_response()
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

#[derive(Serialize)]
struct Version {
    name: &'static str,
    version: &'static str,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Filter {
    user: Option<String>,
}

#[derive(Serialize)]
struct Reloaded {
    generation: u64,
}

#[derive(Serialize)]
struct Problem {
    error: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}
