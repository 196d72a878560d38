//! One tenant: how it stands, the switch for its data, and reading it now.

use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post, put};
use axum::{Extension, Json};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Route;
use super::consent;
use super::iam::{self, Tenant};
use crate::admin::change::Change;
use crate::admin::guard::Ends;
use crate::admin::problem::Problem;
use crate::admin::sources::NotDone;
use crate::admin::who::Admin;
use crate::admin::{Services, SessionControl};
use crate::directory::TenantStatus;
use crate::facts::TenantId;

pub(super) fn routes<S: SessionControl>() -> Vec<Route<S>> {
    let missing: &[_] = &[(400, "bad_tenant"), (404, "no_such_tenant")];
    let asked: &[_] = &[(400, "bad_tenant"), (404, "no_such_tenant"), (409, "refused"), (502, "provider_failed")];
    vec![
        Route::new::<TenantList>("get", "/api/v1/tenants", "Every tenant.", get(tenants::<S>)),
        Route::new::<Tenant>("get", "/api/v1/tenants/{id}", "One tenant.", get(tenant::<S>)).may_say(missing),
        Route::new::<consent::Begun>(
            "post",
            "/api/v1/tenants/{id}/consent",
            "Begins to grant a permission: the address to open in a new tab. It is proven afterwards by what the provider \
             really gives, never by coming back.",
            post(consent::begin::<S>),
        )
        .takes::<consent::Wanted>()
        .may_say(CONSENT),
        Route::new::<Tenant>(
            "put",
            "/api/v1/tenants/{id}/data-upload",
            "Turns the upload of the tenant's data on or off. Turning it on needs a granted permission first.",
            put(data_upload::<S>),
        )
        .takes::<Switch>()
        .may_say(UPLOAD),
        Route::new::<Tenant>("post", "/api/v1/tenants/{id}/check", "Looks at what is really granted, now.", post(check::<S>))
            .may_say(asked),
        Route::new::<Tenant>("post", "/api/v1/tenants/{id}/sync", "Begins to read the tenant now.", post(sync::<S>))
            .may_say(asked),
    ]
}

/// The answer of `GET /api/v1/tenants`.
#[derive(Serialize, JsonSchema)]
struct TenantList {
    /// In the order of the configuration.
    tenants: Vec<Tenant>,
}

/// The switch for a tenant's data.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Switch {
    /// Whether the gateway may take it.
    on: bool,
}

async fn tenants<S: SessionControl>(State(services): State<Services<S>>) -> Json<TenantList> {
    Json(TenantList { tenants: iam::iam_now(&services).tenants })
}

async fn tenant<S: SessionControl>(
    State(services): State<Services<S>>,
    Path(id): Path<String>,
) -> Result<Json<Tenant>, Problem> {
    shown(&services, tenant_id(&id)?).map(Json)
}

async fn data_upload<S: SessionControl>(
    State(services): State<Services<S>>,
    Extension(ends): Extension<Ends>,
    Extension(by): Extension<Admin>,
    Path(id): Path<String>,
    body: Result<Json<Switch>, JsonRejection>,
) -> Result<Json<Tenant>, Problem> {
    let Json(Switch { on }) = body.map_err(|error| bad_body(&error))?;
    let tenant = tenant_id(&id)?;
    let action = if on { "data_upload_on" } else { "data_upload_off" };
    let change = Change { services: &services, ends, by: &by, action, target: &id };
    match services.tenants.set_upload(tenant, on).await {
        Err(NotDone::Refused(reason)) if on => {
            change.record("refused", 0);
            let fix = format!("POST /api/v1/tenants/{id}/consent {{\"gate\":\"risk\"}}, then turn it on");
            return Err(Problem::conflict("consent_required").says(reason).fix(fix));
        }
        outcome => done(&change, outcome)?,
    }
    shown(&services, tenant).map(Json)
}

async fn check<S: SessionControl>(
    State(services): State<Services<S>>,
    Extension(ends): Extension<Ends>,
    Extension(by): Extension<Admin>,
    Path(id): Path<String>,
) -> Result<Json<Tenant>, Problem> {
    let tenant = tenant_id(&id)?;
    let change = Change { services: &services, ends, by: &by, action: "tenant_check", target: &id };
    done(&change, services.tenants.check(tenant).await)?;
    shown(&services, tenant).map(Json)
}

async fn sync<S: SessionControl>(
    State(services): State<Services<S>>,
    Extension(ends): Extension<Ends>,
    Extension(by): Extension<Admin>,
    Path(id): Path<String>,
) -> Result<Json<Tenant>, Problem> {
    let tenant = tenant_id(&id)?;
    let change = Change { services: &services, ends, by: &by, action: "tenant_sync", target: &id };
    done(&change, services.tenants.sync_now(tenant))?;
    shown(&services, tenant).map(Json)
}

/// Writes down how it ended, and says so.
pub(super) fn done<S, T>(change: &Change<'_, S>, outcome: Result<T, NotDone>) -> Result<T, Problem> {
    match outcome {
        Ok(value) => {
            change.record("done", 1);
            Ok(value)
        }
        Err(NotDone::UnknownTenant) => {
            change.record("not_found", 0);
            Err(no_such_tenant())
        }
        Err(NotDone::Refused(reason)) => {
            change.record("refused", 0);
            Err(Problem::conflict("refused").says(reason).fix("GET /api/v1/iam says what is missing and what mends it"))
        }
        Err(NotDone::Failed(reason)) => {
            change.record("failed", 0);
            let failed = Problem::new(StatusCode::BAD_GATEWAY, "provider_failed").says(reason);
            Err(failed.fix("repeat it in a moment; portcullis doctor looks at the way to the provider"))
        }
    }
}

/// Reads a tenant id.
pub(super) fn tenant_id(text: &str) -> Result<TenantId, Problem> {
    text.parse().map_err(|_| Problem::bad("bad_tenant").fix("name a tenant by its id, a GUID"))
}

/// A body that is not what the route takes.
pub(super) fn bad_body(error: &JsonRejection) -> Problem {
    Problem::bad("bad_body").says(error.body_text()).fix("GET /api/v1/openapi.json describes the body")
}

fn status<S>(services: &Services<S>, tenant: TenantId) -> Result<TenantStatus, Problem> {
    services.tenants.status().into_iter().find(|status| status.tenant == tenant).ok_or_else(no_such_tenant)
}

fn shown<S>(services: &Services<S>, tenant: TenantId) -> Result<Tenant, Problem> {
    let view = (services.look)();
    match status(services, tenant) {
        Ok(status) => Ok(iam::tenant(&status, &view)),
        Err(_) if view.provider.tenants.contains(&tenant) => Ok(iam::unread(tenant, &view)),
        Err(problem) => Err(problem),
    }
}

fn no_such_tenant() -> Problem {
    Problem::missing("no_such_tenant").fix("GET /api/v1/tenants lists those the gateway reads")
}

/// What beginning a consent may be refused with.
const CONSENT: &[(u16, &str)] = &[
    (400, "bad_body"),
    (400, "bad_tenant"),
    (400, "bad_host"),
    (404, "no_such_tenant"),
    (409, "refused"),
    (502, "provider_failed"),
    (503, "busy"),
];

/// What the switch may be refused with.
const UPLOAD: &[(u16, &str)] = &[
    (400, "bad_body"),
    (400, "bad_tenant"),
    (404, "no_such_tenant"),
    (409, "consent_required"),
    (409, "refused"),
    (502, "provider_failed"),
];
