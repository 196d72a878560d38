//! The part of the control API for what Graph answers from: risk, groups, permissions, faults, quotas, large tenants.

use std::sync::Arc;

use axum::extract::{Path, State as Shared};
use axum::routing::{delete, post, put};
use axum::{Json, Router};
use serde::Deserialize;

use super::{Answer, done, once};
use crate::simulator::SimulatorError;
use crate::simulator::graph::GraphFault;
use crate::simulator::state::State;
use crate::simulator::world::{Crowd, Group, RiskLevel, RiskStep, ServicePrincipal, Tenant, World};

/// The routes, without the check who calls.
pub(super) fn routes(state: &Arc<State>) -> Router {
    Router::new()
        .route("/sim/v1/people/{who}/risk", put(set_risk))
        .route("/sim/v1/script", post(script))
        .route("/sim/v1/people/{who}/account", delete(delete_person))
        .route("/sim/v1/groups", post(add_group))
        .route("/sim/v1/groups/{group}", delete(delete_group))
        .route("/sim/v1/groups/{group}/members/{who}", put(add_member).delete(remove_member))
        .route("/sim/v1/groups/{group}/groups/{inner}", put(add_inner).delete(remove_inner))
        .route("/sim/v1/apps/{app}/principals/{tenant}", put(set_principal).delete(delete_principal))
        .route("/sim/v1/apps/{app}/principals/{tenant}/roles/{role}", put(grant).delete(take_back))
        .route("/sim/v1/graph/faults", post(order).delete(clear))
        .route("/sim/v1/graph/settings", put(settings))
        .route("/sim/v1/tenants/{tenant}", put(set_tenant))
        .with_state(Arc::clone(state))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RiskChange {
    level: RiskLevel,
    /// How far ahead; a risk that surfaces late.
    #[serde(default)]
    after_seconds: u64,
    /// The detections behind it.
    events: Option<Vec<String>>,
}

async fn set_risk(
    Shared(state): Shared<Arc<State>>,
    Path(who): Path<String>,
    Json(change): Json<RiskChange>,
) -> Answer {
    push_risk(&state, &who, change.level, change.after_seconds, change.events)?;
    done()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    at_seconds: u64,
    who: String,
    risk: RiskLevel,
}

/// "At t+5s alice becomes high": every line or, when somebody is unknown, none.
async fn script(Shared(state): Shared<Arc<State>>, Json(lines): Json<Vec<Line>>) -> Answer {
    for line in &lines {
        if state.world().find_mut(&line.who).is_none() {
            return Err(SimulatorError::UnknownPerson(line.who.clone()).into());
        }
    }
    for line in lines {
        push_risk(&state, &line.who, line.risk, line.at_seconds, None)?;
    }
    done()
}

fn push_risk(
    state: &State,
    who: &str,
    level: RiskLevel,
    after_seconds: u64,
    events: Option<Vec<String>>,
) -> Result<(), SimulatorError> {
    let at = state.now().0.saturating_add(after_seconds.saturating_mul(1_000_000));
    let mut world = state.world();
    let person = world.find_mut(who).ok_or_else(|| SimulatorError::UnknownPerson(who.to_owned()))?;
    let mut step = RiskStep::detected(at, level);
    super::set(&mut step.events, events);
    person.risk.push(step);
    Ok(())
}

/// For good; `PATCH` with `deleted` is the restorable way.
async fn delete_person(Shared(state): Shared<Arc<State>>, Path(who): Path<String>) -> Answer {
    let mut world = state.world();
    let oid = world.find_mut(&who).map(|person| person.oid.clone()).ok_or(SimulatorError::UnknownPerson(who))?;
    for tenant in &mut world.tenants {
        tenant.people.retain(|person| person.oid != oid);
    }
    done()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewGroup {
    tenant: String,
    id: String,
    name: String,
}

async fn add_group(Shared(state): Shared<Arc<State>>, Json(new): Json<NewGroup>) -> Answer {
    let mut world = state.world();
    let tenant = world.tenant_mut(&new.tenant).ok_or(SimulatorError::UnknownTenant(new.tenant))?;
    if tenant.groups.len() >= MAX_GROUPS || tenant.has_group(&new.id) {
        return Err(SimulatorError::Registration("the tenant is full or the object id is taken".to_owned()).into());
    }
    tenant.groups.push(Group { id: new.id, name: new.name });
    done()
}

async fn delete_group(Shared(state): Shared<Arc<State>>, Path(group): Path<String>) -> Answer {
    let mut world = state.world();
    let tenant = tenant_of(&mut world, &group)?;
    tenant.groups.retain(|known| known.id != group);
    tenant.nesting.remove(&group);
    tenant.nesting.values_mut().for_each(|outer| outer.retain(|known| *known != group));
    tenant.people.iter_mut().for_each(|person| person.groups.retain(|known| *known != group));
    done()
}

async fn add_member(Shared(state): Shared<Arc<State>>, Path((group, who)): Path<(String, String)>) -> Answer {
    let mut world = state.world();
    tenant_of(&mut world, &group)?;
    let person = world.find_mut(&who).ok_or(SimulatorError::UnknownPerson(who))?;
    if !person.groups.contains(&group) {
        person.groups.push(group);
    }
    done()
}

async fn remove_member(Shared(state): Shared<Arc<State>>, Path((group, who)): Path<(String, String)>) -> Answer {
    let mut world = state.world();
    let person = world.find_mut(&who).ok_or(SimulatorError::UnknownPerson(who))?;
    person.groups.retain(|known| *known != group);
    done()
}

async fn add_inner(Shared(state): Shared<Arc<State>>, Path((group, inner)): Path<(String, String)>) -> Answer {
    let mut world = state.world();
    let tenant = tenant_of(&mut world, &group)?;
    let outer = tenant.nesting.entry(inner).or_default();
    if !outer.contains(&group) {
        outer.push(group);
    }
    done()
}

async fn remove_inner(Shared(state): Shared<Arc<State>>, Path((group, inner)): Path<(String, String)>) -> Answer {
    let mut world = state.world();
    let tenant = tenant_of(&mut world, &group)?;
    if let Some(outer) = tenant.nesting.get_mut(&inner) {
        outer.retain(|known| *known != group);
    }
    done()
}

fn tenant_of<'w>(world: &'w mut World, group: &str) -> Result<&'w mut Tenant, SimulatorError> {
    let found = world.tenants.iter_mut().find(|tenant| tenant.has_group(group));
    found.ok_or_else(|| SimulatorError::Registration(format!("there is no group {group}")))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PrincipalChange {
    disabled: Option<bool>,
    consented: Option<bool>,
    roles: Option<Vec<String>>,
}

async fn set_principal(
    Shared(state): Shared<Arc<State>>,
    Path((app, tenant)): Path<(String, String)>,
    Json(change): Json<PrincipalChange>,
) -> Answer {
    with_principal(&state, &app, &tenant, |principal| {
        super::set(&mut principal.disabled, change.disabled);
        super::set(&mut principal.consented, change.consented);
        super::set(&mut principal.roles, change.roles);
    })
}

async fn delete_principal(Shared(state): Shared<Arc<State>>, Path((app, tenant)): Path<(String, String)>) -> Answer {
    let mut world = state.world();
    let known = world.app_mut(&app).ok_or(SimulatorError::UnknownApp(app))?;
    known.principals.remove(&tenant).ok_or(SimulatorError::UnknownTenant(tenant))?;
    done()
}

async fn grant(Shared(state): Shared<Arc<State>>, Path((app, tenant, role)): Path<(String, String, String)>) -> Answer {
    with_principal(&state, &app, &tenant, |principal| {
        if !principal.roles.contains(&role) {
            principal.roles.push(role);
        }
    })
}

async fn take_back(
    Shared(state): Shared<Arc<State>>,
    Path((app, tenant, role)): Path<(String, String, String)>,
) -> Answer {
    with_principal(&state, &app, &tenant, |principal| principal.roles.retain(|known| *known != role))
}

fn with_principal(state: &State, app: &str, tenant: &str, change: impl FnOnce(&mut ServicePrincipal)) -> Answer {
    let mut world = state.world();
    let known = world.app_mut(app).ok_or_else(|| SimulatorError::UnknownApp(app.to_owned()))?;
    let principal = known.principals.get_mut(tenant);
    change(principal.ok_or_else(|| SimulatorError::UnknownTenant(tenant.to_owned()))?);
    done()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    fault: GraphFault,
    #[serde(default = "once")]
    times: u32,
    /// Only calls that change something count.
    #[serde(default)]
    changes: bool,
}

async fn order(Shared(state): Shared<Arc<State>>, Json(order): Json<Order>) -> Answer {
    state.graph().order(order.fault, order.times, order.changes);
    done()
}

async fn clear(Shared(state): Shared<Arc<State>>) -> Answer {
    state.graph().clear_faults();
    done()
}

/// How Graph behaves; what is not said stays.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// In how many of sixty seconds other apps use up the risk quota.
    neighbour: Option<u64>,
    /// Whether the risk quota is enforced.
    limits_risk: Option<bool>,
    /// The largest page; 0 for Graph's own sizes.
    page_size: Option<usize>,
    /// How many empty pages come before the next synchronisations.
    empty_pages: Option<u32>,
    /// How many delta links meet a reset of the service (410 with a `Location`).
    resets: Option<u32>,
    /// How long an administrator's risk action takes to show.
    processing_seconds: Option<u64>,
}

async fn settings(Shared(state): Shared<Arc<State>>, Json(change): Json<Settings>) -> Answer {
    let mut graph = state.graph();
    super::set(&mut graph.neighbour, change.neighbour);
    super::set(&mut graph.limits_risk, change.limits_risk);
    super::set(&mut graph.page_size, change.page_size.map(|size| (size > 0).then_some(size)));
    super::set(&mut graph.empty_pages, change.empty_pages);
    super::set(&mut graph.resets, change.resets);
    super::set(&mut graph.processing_seconds, change.processing_seconds.map(|seconds| seconds.min(3_600)));
    done()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TenantChange {
    premium: Option<bool>,
    china: Option<bool>,
    crowd: Option<CrowdSize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CrowdSize {
    users: u32,
    groups: u32,
    risky: u32,
}

async fn set_tenant(
    Shared(state): Shared<Arc<State>>,
    Path(tenant): Path<String>,
    Json(change): Json<TenantChange>,
) -> Answer {
    let mut world = state.world();
    let tenant = world.tenant_mut(&tenant).ok_or(SimulatorError::UnknownTenant(tenant))?;
    super::set(&mut tenant.premium, change.premium);
    super::set(&mut tenant.china, change.china);
    if let Some(size) = change.crowd {
        let domain = tenant.domains.first().cloned().unwrap_or_default();
        tenant.crowd = Crowd::new(size.users, size.groups, size.risky, &domain);
    }
    done()
}

/// Enough for any demo; a crowd is the way to more.
const MAX_GROUPS: usize = 10_000;
