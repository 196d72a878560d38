//! Account actions over the admin API: order, approve, call off, take back, and how the brakes stand.

use std::sync::Arc;

use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use serde::Deserialize;

use super::api::{Change, error, problem};
use super::guard::Ends;
use super::task_line::{BrakesLine, OrderBody, PreviewList, Released, TaskLine, TaskList};
use super::{Services, SessionControl};
use crate::facts::UserKey;
use crate::risk_control::{ActionKind, Actions, Filter, Order, Refused, Task, TaskId, TaskState};

pub(super) fn routes<S: SessionControl>() -> Router<Services<S>> {
    Router::new()
        .route("/api/v1/users/{user}/actions", post(order::<S>))
        .route("/api/v1/actions", get(list::<S>))
        .route("/api/v1/actions/brakes", get(brakes::<S>))
        .route("/api/v1/actions/preview", get(preview::<S>))
        .route("/api/v1/actions/release", post(release::<S>))
        .route("/api/v1/actions/{id}", get(show::<S>))
        .route("/api/v1/actions/{id}/approve", post(approve::<S>))
        .route("/api/v1/actions/{id}/cancel", post(cancel::<S>))
        .route("/api/v1/actions/{id}/undo", post(undo::<S>))
}

/// Which tasks are listed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    user: Option<String>,
    state: Option<String>,
    limit: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PreviewQuery {
    rule: Option<String>,
}

async fn order<S: SessionControl>(
    State(services): State<Services<S>>,
    Extension(ends): Extension<Ends>,
    Path(user): Path<String>,
    body: Result<Json<OrderBody>, JsonRejection>,
) -> Response {
    let Ok(key) = user.parse::<UserKey>() else { return error(StatusCode::BAD_REQUEST, "bad_user") };
    let Ok(Json(body)) = body else { return error(StatusCode::BAD_REQUEST, "bad_body") };
    let Some(kind) = ActionKind::parse(&body.action) else { return error(StatusCode::BAD_REQUEST, "bad_action") };
    let too_long = |text: &Option<String>, most: usize| text.as_ref().is_some_and(|text| text.len() > most);
    if too_long(&body.note, LONGEST_NOTE) || too_long(&body.key, LONGEST_KEY) {
        return error(StatusCode::BAD_REQUEST, "too_long");
    }
    let mut order = Order::of_person(kind, key, caller());
    order.note = body.note.map(Arc::from);
    // Apart from the keys of rules.
    order.key = body.key.map(|key| format!("person/{key}").into());
    let audit = Change { services: &services, ends, action: kind.word(), target: &user };
    answer(&audit, services.actions.submit(order).await)
}

async fn list<S: SessionControl>(
    State(services): State<Services<S>>,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Response {
    let Ok(Query(query)) = query else { return error(StatusCode::BAD_REQUEST, "bad_query") };
    let Ok(user) = query.user.map(|user| user.parse::<UserKey>()).transpose() else {
        return error(StatusCode::BAD_REQUEST, "bad_user");
    };
    if query.state.as_ref().is_some_and(|state| !TaskState::WORDS.contains(&state.as_str())) {
        return error(StatusCode::BAD_REQUEST, "bad_state");
    }
    let filter = Filter { user, state: query.state, limit: query.limit.unwrap_or(MOST).min(MOST) };
    let tasks = services.actions.list(&filter).await.into_iter().map(TaskLine::from).collect();
    Json(TaskList { now: services.clock.now().0, tasks }).into_response()
}

async fn show<S: SessionControl>(State(services): State<Services<S>>, Path(id): Path<String>) -> Response {
    let Ok(id) = id.parse::<TaskId>() else { return error(StatusCode::NOT_FOUND, "no_such_task") };
    match services.actions.get(id).await {
        Some(task) => Json(TaskLine::from(task)).into_response(),
        None => error(StatusCode::NOT_FOUND, "no_such_task"),
    }
}

async fn approve<S: SessionControl>(
    State(services): State<Services<S>>,
    Extension(ends): Extension<Ends>,
    Path(id): Path<String>,
) -> Response {
    change(&services, ends, "action_approve", &id, async |actions, id| actions.approve(id, &caller()).await).await
}

async fn cancel<S: SessionControl>(
    State(services): State<Services<S>>,
    Extension(ends): Extension<Ends>,
    Path(id): Path<String>,
) -> Response {
    change(&services, ends, "action_cancel", &id, async |actions, id| actions.cancel(id, &caller()).await).await
}

async fn undo<S: SessionControl>(
    State(services): State<Services<S>>,
    Extension(ends): Extension<Ends>,
    Path(id): Path<String>,
) -> Response {
    change(&services, ends, "action_undo", &id, async |actions, id| actions.undo(id, &caller()).await).await
}

async fn change<S: SessionControl>(
    services: &Services<S>,
    ends: Ends,
    action: &'static str,
    id: &str,
    what: impl AsyncFnOnce(&Actions, TaskId) -> Result<Task, Refused>,
) -> Response {
    let Ok(task) = id.parse::<TaskId>() else { return error(StatusCode::NOT_FOUND, "no_such_task") };
    let audit = Change { services, ends, action, target: id };
    answer(&audit, what(&services.actions, task).await)
}

async fn brakes<S: SessionControl>(State(services): State<Services<S>>) -> Response {
    Json(BrakesLine::from(services.actions.brakes().await)).into_response()
}

async fn preview<S: SessionControl>(
    State(services): State<Services<S>>,
    query: Result<Query<PreviewQuery>, QueryRejection>,
) -> Response {
    let Ok(Query(query)) = query else { return error(StatusCode::BAD_REQUEST, "bad_query") };
    Json(PreviewList::from(services.actions.preview(query.rule.as_deref()).await)).into_response()
}

async fn release<S: SessionControl>(State(services): State<Services<S>>, Extension(ends): Extension<Ends>) -> Response {
    let audit = Change { services: &services, ends, action: "actions_release", target: "actions" };
    match services.actions.release(&caller()).await {
        Ok(released) => {
            audit.record("done", u64::from(released));
            Json(Released { released }).into_response()
        }
        Err(refused) => audit.failed(&refused.to_string()),
    }
}

fn answer<S>(audit: &Change<'_, S>, outcome: Result<Task, Refused>) -> Response {
    match outcome {
        Ok(task) => {
            audit.record("done", 1);
            Json(TaskLine::from(task)).into_response()
        }
        Err(Refused::Store(error)) => audit.failed(&error.to_string()),
        Err(refused) => {
            audit.record("refused", 0);
            let (status, word) = word(&refused);
            problem(status, word, refused.to_string())
        }
    }
}

/// How a refusal is said.
const fn word(refused: &Refused) -> (StatusCode, &'static str) {
    match refused {
        Refused::UnknownTenant => (StatusCode::NOT_FOUND, "unknown_tenant"),
        Refused::UnknownTask => (StatusCode::NOT_FOUND, "no_such_task"),
        Refused::KeyReused(_) => (StatusCode::CONFLICT, "key_reused"),
        Refused::SamePerson => (StatusCode::CONFLICT, "same_person"),
        Refused::WrongState(_) => (StatusCode::CONFLICT, "wrong_state"),
        Refused::UnderWay => (StatusCode::CONFLICT, "under_way"),
        Refused::CannotBeUndone(_) => (StatusCode::CONFLICT, "cannot_be_undone"),
        Refused::AlreadyUndone(_) => (StatusCode::CONFLICT, "already_undone"),
        Refused::Braked(_) => (StatusCode::CONFLICT, "braked"),
        Refused::Full => (StatusCode::SERVICE_UNAVAILABLE, "too_many_tasks"),
        Refused::Store(_) => (StatusCode::SERVICE_UNAVAILABLE, "store_unavailable"),
    }
}

/// Whoever knows the token.
fn caller() -> Arc<str> {
    "local".into()
}

/// Tasks in one answer.
const MOST: usize = 1_000;
const LONGEST_NOTE: usize = 1_000;
const LONGEST_KEY: usize = 200;
