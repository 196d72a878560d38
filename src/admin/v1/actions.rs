//! Account actions over the admin API: order, approve, call off, take back, and how the brakes stand.

use std::sync::Arc;

use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Extension, Json};
use serde::Deserialize;

use super::Route;
use super::sessions::user_key;
use super::tenants::bad_body;
use super::users::bad_query;
use crate::admin::change::Change;
use crate::admin::guard::Ends;
use crate::admin::problem::Problem;
use crate::admin::task_line::{BrakesLine, OrderBody, PreviewList, Released, TaskLine, TaskList};
use crate::admin::who::Admin;
use crate::admin::{Services, SessionControl};
use crate::risk_control::{ActionKind, Actions, Filter, Order, Refused, Task, TaskId, TaskState};

pub(super) fn routes<S: SessionControl>() -> Vec<Route<S>> {
    let one: &[_] = &[(404, "no_such_task"), (409, "wrong_state"), (409, "under_way"), (503, "store_unavailable")];
    vec![
        Route::new::<TaskLine>(
            "post",
            "/api/v1/users/{user}/actions",
            "Orders an action on an account.",
            post(order::<S>),
        )
        .takes::<OrderBody>()
        .may_say(ORDER),
        Route::new::<TaskList>("get", "/api/v1/actions", "Actions on accounts, newest first.", get(list::<S>))
            .with_query(&[
                ("user", "only on this person, tenant id:object id"),
                ("state", "only in this state"),
                ("limit", "at most so many"),
            ])
            .may_say(&[(400, "bad_query"), (400, "bad_user"), (400, "bad_state")]),
        Route::new::<BrakesLine>("get", "/api/v1/actions/brakes", "How the brakes stand.", get(brakes::<S>)),
        Route::new::<PreviewList>("get", "/api/v1/actions/preview", "What rules would do now.", get(preview::<S>))
            .with_query(&[("rule", "only this rule")])
            .may_say(&[(400, "bad_query")]),
        Route::new::<Released>("post", "/api/v1/actions/release", "Ends a stop of the brakes.", post(release::<S>))
            .may_say(&[(503, "store_unavailable")]),
        Route::new::<TaskLine>("get", "/api/v1/actions/{id}", "One action.", get(show::<S>))
            .may_say(&[(404, "no_such_task")]),
        Route::new::<TaskLine>(
            "post",
            "/api/v1/actions/{id}/approve",
            "Approves an action that waits for a second person.",
            post(approve::<S>),
        )
        .may_say(APPROVE),
        Route::new::<TaskLine>("post", "/api/v1/actions/{id}/cancel", "Calls an action off.", post(cancel::<S>))
            .may_say(one),
        Route::new::<TaskLine>("post", "/api/v1/actions/{id}/undo", "Takes an action back.", post(undo::<S>))
            .may_say(one),
    ]
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
    Extension(by): Extension<Admin>,
    Path(user): Path<String>,
    body: Result<Json<OrderBody>, JsonRejection>,
) -> Result<Json<TaskLine>, Problem> {
    let key = user_key(&user)?;
    let Json(body) = body.map_err(|error| bad_body(&error))?;
    let kind = ActionKind::parse(&body.action).ok_or_else(|| Problem::bad("bad_action"))?;
    let too_long = |text: &Option<String>, most: usize| text.as_ref().is_some_and(|text| text.len() > most);
    if too_long(&body.note, LONGEST_NOTE) || too_long(&body.key, LONGEST_KEY) {
        return Err(Problem::bad("too_long"));
    }
    let mut order = Order::of_person(kind, key, caller(&by));
    order.note = body.note.map(Arc::from);
    // Apart from the keys of rules.
    order.key = body.key.map(|key| format!("person/{key}").into());
    let audit = Change { services: &services, ends, by: &by, action: kind.word(), target: &user };
    answer(&audit, services.actions.submit(order).await)
}

async fn list<S: SessionControl>(
    State(services): State<Services<S>>,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Result<Json<TaskList>, Problem> {
    let Query(query) = query.map_err(|_| bad_query())?;
    let user = query.user.as_deref().map(user_key).transpose()?;
    if query.state.as_ref().is_some_and(|state| !TaskState::WORDS.contains(&state.as_str())) {
        return Err(Problem::bad("bad_state"));
    }
    let filter = Filter { user, state: query.state, limit: query.limit.unwrap_or(MOST).min(MOST) };
    let tasks = services.actions.list(&filter).await.into_iter().map(TaskLine::from).collect();
    Ok(Json(TaskList { now: services.clock.now().0, tasks }))
}

async fn show<S: SessionControl>(
    State(services): State<Services<S>>,
    Path(id): Path<String>,
) -> Result<Json<TaskLine>, Problem> {
    let task = services.actions.get(task_id(&id)?).await.ok_or_else(no_such_task)?;
    Ok(Json(TaskLine::from(task)))
}

async fn approve<S: SessionControl>(
    State(services): State<Services<S>>,
    Extension(ends): Extension<Ends>,
    Extension(by): Extension<Admin>,
    Path(id): Path<String>,
) -> Result<Json<TaskLine>, Problem> {
    change(&services, (ends, &by), "action_approve", &id, async |actions, id| actions.approve(id, &caller(&by)).await)
        .await
}

async fn cancel<S: SessionControl>(
    State(services): State<Services<S>>,
    Extension(ends): Extension<Ends>,
    Extension(by): Extension<Admin>,
    Path(id): Path<String>,
) -> Result<Json<TaskLine>, Problem> {
    change(&services, (ends, &by), "action_cancel", &id, async |actions, id| actions.cancel(id, &caller(&by)).await)
        .await
}

async fn undo<S: SessionControl>(
    State(services): State<Services<S>>,
    Extension(ends): Extension<Ends>,
    Extension(by): Extension<Admin>,
    Path(id): Path<String>,
) -> Result<Json<TaskLine>, Problem> {
    change(&services, (ends, &by), "action_undo", &id, async |actions, id| actions.undo(id, &caller(&by)).await).await
}

async fn change<S: SessionControl>(
    services: &Services<S>,
    (ends, by): (Ends, &Admin),
    action: &'static str,
    id: &str,
    what: impl AsyncFnOnce(&Actions, TaskId) -> Result<Task, Refused>,
) -> Result<Json<TaskLine>, Problem> {
    let task = task_id(id)?;
    let audit = Change { services, ends, by, action, target: id };
    answer(&audit, what(&services.actions, task).await)
}

async fn brakes<S: SessionControl>(State(services): State<Services<S>>) -> Json<BrakesLine> {
    Json(BrakesLine::from(services.actions.brakes().await))
}

async fn preview<S: SessionControl>(
    State(services): State<Services<S>>,
    query: Result<Query<PreviewQuery>, QueryRejection>,
) -> Result<Json<PreviewList>, Problem> {
    let Query(query) = query.map_err(|_| bad_query())?;
    Ok(Json(PreviewList::from(services.actions.preview(query.rule.as_deref()).await)))
}

async fn release<S: SessionControl>(
    State(services): State<Services<S>>,
    Extension(ends): Extension<Ends>,
    Extension(by): Extension<Admin>,
) -> Result<Json<Released>, Problem> {
    let audit = Change { services: &services, ends, by: &by, action: "actions_release", target: "actions" };
    match services.actions.release(&caller(&by)).await {
        Ok(released) => {
            audit.record("done", u64::from(released));
            Ok(Json(Released { released }))
        }
        Err(refused) => Err(audit.failed(&refused.to_string())),
    }
}

fn answer<S>(audit: &Change<'_, S>, outcome: Result<Task, Refused>) -> Result<Json<TaskLine>, Problem> {
    match outcome {
        Ok(task) => {
            audit.record("done", 1);
            Ok(Json(TaskLine::from(task)))
        }
        Err(Refused::Store(error)) => Err(audit.failed(&error.to_string())),
        Err(refused) => {
            audit.record("refused", 0);
            let (status, word) = word(&refused);
            Err(Problem::new(status, word).says(refused.to_string()))
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
        Refused::OutOfDate => (StatusCode::CONFLICT, "out_of_date"),
        Refused::WrongState(_) => (StatusCode::CONFLICT, "wrong_state"),
        Refused::UnderWay => (StatusCode::CONFLICT, "under_way"),
        Refused::CannotBeUndone(_) => (StatusCode::CONFLICT, "cannot_be_undone"),
        Refused::AlreadyUndone(_) => (StatusCode::CONFLICT, "already_undone"),
        Refused::Braked(_) => (StatusCode::CONFLICT, "braked"),
        Refused::Full => (StatusCode::SERVICE_UNAVAILABLE, "too_many_tasks"),
        Refused::Store(_) => (StatusCode::SERVICE_UNAVAILABLE, "store_unavailable"),
    }
}

/// As tasks name a person: two who are not the same approve for each other.
fn caller(by: &Admin) -> Arc<str> {
    by.to_string().into()
}

fn task_id(text: &str) -> Result<TaskId, Problem> {
    text.parse().map_err(|_| no_such_task())
}

fn no_such_task() -> Problem {
    Problem::missing("no_such_task").fix("GET /api/v1/actions lists them")
}

/// What approving may be refused with.
const APPROVE: &[(u16, &str)] = &[
    (404, "no_such_task"),
    (409, "wrong_state"),
    (409, "same_person"),
    (409, "out_of_date"),
    (409, "braked"),
    (503, "too_many_tasks"),
    (503, "store_unavailable"),
];

/// What ordering may be refused with.
const ORDER: &[(u16, &str)] = &[
    (400, "bad_user"),
    (400, "bad_body"),
    (400, "bad_action"),
    (400, "too_long"),
    (404, "unknown_tenant"),
    (409, "key_reused"),
    (409, "braked"),
    (503, "too_many_tasks"),
    (503, "store_unavailable"),
];

/// Tasks in one answer.
const MOST: usize = 1_000;
const LONGEST_NOTE: usize = 1_000;
const LONGEST_KEY: usize = 200;
