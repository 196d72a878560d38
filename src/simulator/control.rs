//! The control API under `/sim/v1/`: the levers as JSON, for loopback callers that are not a browser page.

mod graph;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, Request, State as Shared};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, patch, post, put};
use axum::{Extension, Json, Router};
use http::{StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};

use super::SimulatorError;
use super::faults::{Endpoint, Fault, Hostile};
use super::keys::KeyDocument;
use super::levers::{Levers, WorldHandle};
use super::state::State;
use super::world::{ContextPolicy, Person, Tenant};

/// The routes of the control API.
pub(super) fn routes(state: &Arc<State>) -> Router {
    let control = Control { world: WorldHandle::new(Arc::clone(state)), levers: Levers::new(Arc::clone(state)) };
    Router::new()
        .route("/sim/v1/people", get(people).post(add_person))
        .route("/sim/v1/people/{who}", patch(change_person).get(person))
        .route("/sim/v1/people/{who}/revoke", post(revoke))
        .route("/sim/v1/contexts/{tenant}/{context}", put(set_context))
        .route("/sim/v1/keys", get(keys).put(serve_keys))
        .route("/sim/v1/keys/rotate", post(rotate))
        .route("/sim/v1/keys/{kid}", axum::routing::delete(remove_key))
        .route("/sim/v1/faults", axum::routing::delete(clear))
        .route("/sim/v1/faults/{endpoint}", put(set_fault))
        .route("/sim/v1/hostile", post(hostile))
        .route("/sim/v1/clock", put(clock))
        .route("/sim/v1/switches", put(switches))
        .route("/sim/v1/counters", get(counters).delete(reset))
        .with_state(control)
        .merge(graph::routes(state))
        .route_layer(middleware::from_fn(only_loopback))
}

#[derive(Clone)]
struct Control {
    world: WorldHandle,
    levers: Levers,
}

type Answer = Result<Json<Value>, Trouble>;

/// A web page of another origin must not move levers through somebody's browser, nor may another machine.
async fn only_loopback(Extension(peer): Extension<SocketAddr>, request: Request<Body>, next: Next) -> Response {
    if !peer.ip().to_canonical().is_loopback() || request.headers().contains_key(header::ORIGIN) {
        return StatusCode::FORBIDDEN.into_response();
    }
    next.run(request).await
}

async fn people(Shared(control): Shared<Control>) -> Json<Value> {
    let world = control.world.snapshot();
    let all = world.tenants.iter().flat_map(|t| t.people.iter().map(move |p| describe(t, p)));
    Json(json!({ "people": all.collect::<Vec<_>>() }))
}

async fn person(Shared(control): Shared<Control>, Path(who): Path<String>) -> Answer {
    let world = control.world.snapshot();
    world.find(&who).map(|(t, p)| Json(describe(t, p))).ok_or(Trouble(SimulatorError::UnknownPerson(who)))
}

fn describe(tenant: &Tenant, person: &Person) -> Value {
    json!({
        "tenant": tenant.id, "oid": person.oid, "upn": person.upn, "name": person.name, "email": person.email,
        "email_verified": person.email_verified, "enabled": person.enabled, "deleted": person.deleted,
        "guest_of": person.guest_of, "groups": person.groups, "requires_mfa": person.requires_mfa,
        "blocked_by_policy": person.blocked_by_policy, "directory_roles": person.directory_roles,
        "must_change_password": person.must_change_password, "sessions_valid_from": person.sessions_valid_from,
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewPerson {
    tenant: String,
    oid: String,
    upn: String,
    name: String,
}

async fn add_person(Shared(control): Shared<Control>, Json(new): Json<NewPerson>) -> Answer {
    control.world.change(|world| {
        let tenant = world.tenant_mut(&new.tenant).ok_or_else(|| SimulatorError::UnknownTenant(new.tenant.clone()))?;
        if tenant.people.len() >= MAX_PEOPLE {
            return Err(SimulatorError::Registration("the tenant is full".to_owned()));
        }
        if tenant.people.iter().any(|p| p.oid == new.oid) {
            return Err(SimulatorError::Registration("the object id is taken".to_owned()));
        }
        tenant.people.push(Person::new(&new.oid, &new.upn, &new.name));
        Ok(())
    })?;
    done()
}

/// What a `PATCH` may say; what it does not say stays.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PersonChange {
    upn: Option<String>,
    name: Option<String>,
    email: Option<String>,
    email_verified: Option<bool>,
    password: Option<String>,
    enabled: Option<bool>,
    deleted: Option<bool>,
    groups: Option<Vec<String>>,
    requires_mfa: Option<bool>,
    fails_mfa: Option<bool>,
    blocked_by_policy: Option<bool>,
    guest_of: Option<String>,
    directory_roles: Option<Vec<String>>,
    /// Takes away (false) or gives back (true) the assignment to `app`.
    assigned: Option<Assignment>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Assignment {
    app: String,
    to: bool,
}

async fn change_person(
    Shared(control): Shared<Control>,
    Path(who): Path<String>,
    Json(change): Json<PersonChange>,
) -> Answer {
    // By oid from here on: the change may give the account another name.
    let oid = control.world.person(&who).map(|p| p.oid).ok_or(SimulatorError::UnknownPerson(who))?;
    if let Some(assigned) = &change.assigned {
        control.world.set_assigned(&oid, &assigned.app, assigned.to)?;
    }
    if let Some(password) = &change.password {
        control.world.set_password(&oid, password)?;
    }
    control.world.change_person(&oid, |p| {
        set(&mut p.upn, change.upn);
        set(&mut p.name, change.name);
        set(&mut p.email, change.email.map(Some));
        set(&mut p.email_verified, change.email_verified);
        set(&mut p.enabled, change.enabled);
        set(&mut p.deleted, change.deleted);
        set(&mut p.groups, change.groups);
        set(&mut p.requires_mfa, change.requires_mfa);
        set(&mut p.fails_mfa, change.fails_mfa);
        set(&mut p.blocked_by_policy, change.blocked_by_policy);
        set(&mut p.guest_of, change.guest_of.map(Some));
        set(&mut p.directory_roles, change.directory_roles);
    })?;
    done()
}

fn set<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

async fn revoke(Shared(control): Shared<Control>, Path(who): Path<String>) -> Answer {
    control.world.revoke_sessions(&who)?;
    done()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ContextChange {
    policy: PolicyName,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum PolicyName {
    Absent,
    ReportOnly,
    Mfa,
    Blocked,
}

async fn set_context(
    Shared(control): Shared<Control>,
    Path((tenant, context)): Path<(String, String)>,
    Json(change): Json<ContextChange>,
) -> Answer {
    let policy = match change.policy {
        PolicyName::Absent => ContextPolicy::Absent,
        PolicyName::ReportOnly => ContextPolicy::ReportOnly,
        PolicyName::Mfa => ContextPolicy::Mfa,
        PolicyName::Blocked => ContextPolicy::Blocked,
    };
    control.world.set_context_policy(&tenant, &context, policy)?;
    done()
}

async fn keys(Shared(control): Shared<Control>) -> Json<Value> {
    Json(json!({ "kids": control.levers.key_ids() }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyMode {
    serve: KeyDocument,
}

async fn serve_keys(Shared(control): Shared<Control>, Json(mode): Json<KeyMode>) -> Answer {
    control.levers.serve_keys(mode.serve);
    done()
}

async fn rotate(Shared(control): Shared<Control>) -> Answer {
    Ok(Json(json!({ "kid": control.levers.rotate_keys().await? })))
}

async fn remove_key(Shared(control): Shared<Control>, Path(kid): Path<String>) -> StatusCode {
    if control.levers.remove_key(&kid) { StatusCode::NO_CONTENT } else { StatusCode::NOT_FOUND }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FaultChange {
    delay_ms: Option<u64>,
    fail: Option<Fault>,
    #[serde(default = "once")]
    times: u32,
}

const fn once() -> u32 {
    1
}

async fn set_fault(
    Shared(control): Shared<Control>,
    Path(endpoint): Path<String>,
    Json(change): Json<FaultChange>,
) -> Response {
    let Some(endpoint) = Endpoint::named(&endpoint) else { return StatusCode::NOT_FOUND.into_response() };
    if let Some(delay) = change.delay_ms {
        control.levers.delay(endpoint, Duration::from_millis(delay));
    }
    if let Some(fault) = change.fail {
        control.levers.fail(endpoint, fault, change.times);
    }
    Json(json!({"ok": true})).into_response()
}

async fn clear(Shared(control): Shared<Control>) -> Answer {
    control.levers.clear_faults();
    done()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HostileOrder {
    mode: Hostile,
    #[serde(default = "once")]
    times: u32,
}

async fn hostile(Shared(control): Shared<Control>, Json(order): Json<HostileOrder>) -> Answer {
    control.levers.hostile(order.mode, order.times);
    done()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClockChange {
    skew_seconds: i64,
}

async fn clock(Shared(control): Shared<Control>, Json(change): Json<ClockChange>) -> Answer {
    control.levers.skew_clock(change.skew_seconds);
    done()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Switches {
    iss_parameter: Option<bool>,
    frontchannel_iss: Option<bool>,
}

async fn switches(Shared(control): Shared<Control>, Json(switches): Json<Switches>) -> Answer {
    if let Some(on) = switches.iss_parameter {
        control.levers.send_iss_parameter(on);
    }
    if let Some(on) = switches.frontchannel_iss {
        control.levers.send_frontchannel_iss(on);
    }
    done()
}

async fn counters(Shared(control): Shared<Control>) -> Json<Value> {
    Json(json!(control.levers.counters()))
}

async fn reset(Shared(control): Shared<Control>) -> Answer {
    control.levers.reset_counters();
    done()
}

fn done() -> Answer {
    Ok(Json(json!({"ok": true})))
}

/// A lever that did not move.
struct Trouble(SimulatorError);

impl From<SimulatorError> for Trouble {
    fn from(error: SimulatorError) -> Self {
        Self(error)
    }
}

impl axum::response::IntoResponse for Trouble {
    fn into_response(self) -> Response {
        let status = match self.0 {
            SimulatorError::UnknownPerson(_) | SimulatorError::UnknownApp(_) | SimulatorError::UnknownTenant(_) => {
                StatusCode::NOT_FOUND
            }
            SimulatorError::Registration(_) => StatusCode::CONFLICT,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        (status, Json(json!({"error": self.0.to_string()}))).into_response()
    }
}

/// Enough for any demo, too little to fill memory.
const MAX_PEOPLE: usize = 10_000;
