//! Granting a permission: an administrator of the tenant consents at the provider, in a tab of its own.
//!
//! What comes back proves nothing: anybody can forge that redirect, and `admin_consent=True` stands in failures too
//! (<https://learn.microsoft.com/entra/identity-platform/v2-admin-consent>). The state only tells which administrator
//! began it; then the gateway looks for itself.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::{Extension, Json};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

use super::tenants::{bad_body, done, tenant_id};
use crate::admin::SessionControl;
use crate::admin::api::Site;
use crate::admin::change::Change;
use crate::admin::console::CALLBACK;
use crate::admin::entrance::{hash, random};
use crate::admin::guard::Ends;
use crate::admin::problem::Problem;
use crate::admin::who::Admin;
use crate::directory::{Gate, GateStatus, TenantStatus};
use crate::facts::{SharedClock, TenantId, Tick};

/// Consents that were begun and did not come back yet.
pub(in crate::admin) struct Consents {
    clock: SharedClock,
    /// Oldest first.
    begun: Mutex<Vec<Pending>>,
}

struct Pending {
    /// Of the state: what is kept opens nothing.
    hash: [u8; 32],
    by: String,
    tenant: TenantId,
    gate: Gate,
    ends: Tick,
}

impl Consents {
    pub(in crate::admin) const fn new(clock: SharedClock) -> Self {
        Self { clock, begun: Mutex::new(Vec::new()) }
    }

    /// A new state. An administrator's own oldest gives way when they have too many; others' never do. `None` when there
    /// is no room, or no randomness.
    fn begin(&self, by: &Admin, tenant: TenantId, gate: Gate) -> Option<String> {
        let (state, by, now) = (random()?, by.to_string(), self.clock.tick());
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        begun.retain(|pending| now < pending.ends);
        if begun.iter().filter(|pending| pending.by == by).count() >= MOST_EACH
            && let Some(oldest) = begun.iter().position(|pending| pending.by == by)
        {
            begun.remove(oldest);
        }
        if begun.len() >= MOST {
            return None;
        }
        begun.push(Pending { hash: hash(state.as_bytes()), by, tenant, gate, ends: now.plus(LIFETIME) });
        Some(state)
    }

    /// What `by` began with this state; only once, only for them, only in time.
    fn take(&self, state: &str, by: &Admin) -> Option<(TenantId, Gate)> {
        let (hash, by, now) = (hash(state.as_bytes()), by.to_string(), self.clock.tick());
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        let at = begun.iter().position(|pending| pending.hash == hash && pending.by == by && now < pending.ends)?;
        let pending = begun.remove(at);
        Some((pending.tenant, pending.gate))
    }
}

/// Which permission is to be granted.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// Which.
    gate: Grantable,
}

/// The permissions that somebody consents to at the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Grantable {
    /// Users and groups, and actions on accounts.
    Directory,
    /// The risk of accounts.
    Risk,
}

/// The answer when granting begins.
#[derive(Serialize, JsonSchema)]
pub(super) struct Begun {
    /// To be opened in a new tab, within ten minutes.
    url: String,
}

pub(super) async fn begin<S: SessionControl>(
    State(site): State<Arc<Site<S>>>,
    Extension(ends): Extension<Ends>,
    Extension(by): Extension<Admin>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Result<Json<Wanted>, JsonRejection>,
) -> Result<Json<Begun>, Problem> {
    let Json(Wanted { gate }) = body.map_err(|error| bad_body(&error))?;
    let gate = match gate {
        Grantable::Directory => Gate::Directory,
        Grantable::Risk => Gate::Risk,
    };
    let tenant = tenant_id(&id)?;
    let action = if gate == Gate::Risk { "consent_risk_begin" } else { "consent_directory_begin" };
    let change = Change { services: &site.services, ends, by: &by, action, target: &id };
    let redirect = callback_address(&site, &headers).ok_or_else(|| Problem::bad("bad_host"))?;
    let state = site.consents.begin(&by, tenant, gate).ok_or_else(|| {
        let busy = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy").says("too many consents are under way");
        busy.fix("finish one of them, or wait ten minutes")
    })?;
    let url = done(&change, site.services.tenants.consent_url(tenant, gate, state, redirect).await)?;
    Ok(Json(Begun { url: url.into() }))
}

/// Where the provider sends the browser back to: the place it came from, which the guard has checked.
fn callback_address<S>(site: &Site<S>, headers: &HeaderMap) -> Option<Url> {
    let host = headers.get(header::HOST)?.to_str().ok()?;
    let console = (site.services.look)().console.filter(|console| console.is_called(host));
    let origin = console.map_or_else(|| format!("http://{host}"), |console| console.origin());
    Url::parse(&format!("{origin}{CALLBACK}")).ok()
}

/// What became of a consent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::admin) enum Outcome {
    /// This state was not begun by this administrator, is too old, or has been used.
    Foreign,
    /// The provider said no; its word for it.
    Declined(Gate, String),
    /// The gateway could not look.
    NotChecked(Gate, String),
    /// What is really there now.
    Checked(Gate, TenantId, GateStatus),
}

/// Ends a consent: uses the state up, then looks at what is really granted. Whatever else came along is not believed.
pub(in crate::admin) async fn finish<S: SessionControl>(
    site: &Site<S>,
    (ends, by): (Ends, &Admin),
    state: &str,
    error: Option<&str>,
) -> Outcome {
    let Some((tenant, gate)) = site.consents.take(state, by) else {
        let change = Change { services: &site.services, ends, by, action: "consent_end", target: "" };
        change.record("refused", 0);
        return Outcome::Foreign;
    };
    let target = format!("{tenant} {}", gate.word());
    let change = Change { services: &site.services, ends, by, action: "consent_end", target: &target };
    if let Some(error) = error {
        change.record("declined", 0);
        return Outcome::Declined(gate, error.to_owned());
    }
    match site.services.tenants.check(tenant).await {
        Ok(status) => {
            let how = of(&status, gate);
            change.record(if how == GateStatus::Granted { "granted" } else { "not_granted" }, 1);
            Outcome::Checked(gate, tenant, how)
        }
        Err(why) => {
            change.record("failed", 0);
            Outcome::NotChecked(gate, why.to_string())
        }
    }
}

fn of(status: &TenantStatus, gate: Gate) -> GateStatus {
    let found = status.gates.iter().find(|(one, _)| *one == gate);
    found.map_or(GateStatus::NeverGranted, |(_, how)| how.clone())
}

const LIFETIME: Duration = Duration::from_secs(600);
const MOST_EACH: usize = 8;
const MOST: usize = 64;
