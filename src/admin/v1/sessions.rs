//! Sessions: listed, and ended one by one or all of a person. And the reload, which ends some as well.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::routing::{delete, get, post};
use axum::{Extension, Json};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Route;
use crate::admin::change::Change;
use crate::admin::guard::Ends;
use crate::admin::problem::Problem;
use crate::admin::who::Admin;
use crate::admin::{Services, SessionControl};
use crate::cut::CutReason;
use crate::facts::UserKey;
use crate::session::SessionInfo;

pub(super) fn routes<S: SessionControl>() -> Vec<Route<S>> {
    let missing: &[_] = &[(404, "no_such_session"), (503, "store_unavailable")];
    vec![
        Route::new::<SessionList>("get", "/api/v1/sessions", "Live sessions, newest first.", get(sessions::<S>))
            .with_query(&[("user", "only of this person, tenant id:object id"), ("limit", "at most so many")])
            .may_say(&[(400, "bad_query"), (400, "bad_user")]),
        Route::new::<Ended>("delete", "/api/v1/sessions/{id}", "Ends one session.", delete(end_session::<S>))
            .may_say(missing),
        Route::new::<Ended>(
            "delete",
            "/api/v1/users/{user}/sessions",
            "Ends every session of a person.",
            delete(end_user::<S>),
        )
        .may_say(&[(400, "bad_user"), (503, "store_unavailable")]),
        Route::new::<Reloaded>(
            "post",
            "/api/v1/reload",
            "Reads the configuration again; all of it or nothing. Ends the sessions of tenants and providers that are gone.",
            post(reload::<S>),
        )
        .may_say(&[(422, "configuration_refused")]),
    ]
}

/// One session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SessionList {
    /// The time at the gateway, in seconds since 1970.
    pub now: u64,
    /// Newest first.
    pub sessions: Vec<SessionLine>,
}

/// The answer when sessions were ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Ended {
    /// How many.
    pub ended: u64,
}

#[derive(Serialize, JsonSchema)]
struct Reloaded {
    /// The generation that runs now.
    generation: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Filter {
    user: Option<String>,
    limit: Option<usize>,
}

async fn sessions<S: SessionControl>(
    State(services): State<Services<S>>,
    filter: Result<Query<Filter>, QueryRejection>,
) -> Result<Json<SessionList>, Problem> {
    let Query(filter) = filter.map_err(|_| Problem::bad("bad_query").fix("send ?user= and ?limit= only"))?;
    let user = filter.user.map(|user| user_key(&user)).transpose()?;
    let most = filter.limit.unwrap_or(MOST).min(MOST);
    let sessions = services.sessions.list(user).into_iter().take(most).map(line).collect();
    Ok(Json(SessionList { now: services.clock.now().0, sessions }))
}

async fn end_session<S: SessionControl>(
    State(services): State<Services<S>>,
    Extension(ends): Extension<Ends>,
    Extension(by): Extension<Admin>,
    Path(id): Path<String>,
) -> Result<Json<Ended>, Problem> {
    let change = Change { services: &services, ends, by: &by, action: "session_end", target: &id };
    let gone = || {
        change.record("not_found", 0);
        Problem::missing("no_such_session").fix("GET /api/v1/sessions lists those that live")
    };
    let key = services.sessions.find(&id).ok_or_else(gone)?;
    let known = services.sessions.list(None).into_iter().find(|info| info.id == id);
    match services.sessions.end(&key, CutReason::Revoked).await {
        Ok(true) => {
            change.record("done", 1);
            known.iter().for_each(|info| change.session_ended(info));
            Ok(Json(Ended { ended: 1 }))
        }
        Ok(false) => Err(gone()),
        Err(problem) => Err(change.failed(&problem)),
    }
}

async fn end_user<S: SessionControl>(
    State(services): State<Services<S>>,
    Extension(ends): Extension<Ends>,
    Extension(by): Extension<Admin>,
    Path(user): Path<String>,
) -> Result<Json<Ended>, Problem> {
    let key = user_key(&user)?;
    let change = Change { services: &services, ends, by: &by, action: "user_sessions_end", target: &user };
    let known = services.sessions.list(Some(key));
    match services.sessions.end_user(key, CutReason::Revoked).await {
        Ok(count) => {
            let ended = u64::try_from(count).unwrap_or(u64::MAX);
            change.record("done", ended);
            known.iter().for_each(|info| change.session_ended(info));
            Ok(Json(Ended { ended }))
        }
        Err(problem) => Err(change.failed(&problem)),
    }
}

async fn reload<S: SessionControl>(
    State(services): State<Services<S>>,
    Extension(ends): Extension<Ends>,
    Extension(by): Extension<Admin>,
) -> Result<Json<Reloaded>, Problem> {
    let change = Change { services: &services, ends, by: &by, action: "reload", target: "configuration" };
    match (services.reload)().await {
        Ok(generation) => {
            change.record("done", 1);
            Ok(Json(Reloaded { generation }))
        }
        Err(problem) => {
            change.record("refused", 0);
            let refused = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "configuration_refused").says(problem);
            Err(refused
                .fix("mend the file, try it with portcullis check, then reload again; what ran before still runs"))
        }
    }
}

/// Reads `tid:oid`.
pub(super) fn user_key(text: &str) -> Result<UserKey, Problem> {
    text.parse().map_err(|_| Problem::bad("bad_user").fix("name a person as tenant id:object id"))
}

/// A session as shown.
pub(super) fn line(info: SessionInfo) -> SessionLine {
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

/// Sessions listed at most.
const MOST: usize = 10_000;
