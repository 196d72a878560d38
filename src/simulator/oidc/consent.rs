//! The admin consent endpoint (reference section 2). Whoever opens the page counts as an administrator; a relying party
//! must not take the answer for proof either.

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, Request, State as Shared};
use axum::response::Response;

use super::answer::{Mode, Target};
use super::request::{Refusal, redirect_uri};
use super::{Call, page};
use crate::simulator::aadsts::{Failure, error_uri};
use crate::simulator::params::{Params, malformed};
use crate::simulator::random;
use crate::simulator::state::State;
use crate::simulator::world::{Authority, ServicePrincipal};

/// `GET /{tenant}/v2.0/adminconsent`, and the `POST` of its own page.
pub(super) async fn admin_consent(
    Shared(state): Shared<Arc<State>>,
    Path(segment): Path<String>,
    Extension(call): Extension<Call>,
    request: Request<Body>,
) -> Response {
    let outcome = match (call.ordered.clone(), Params::of(request).await) {
        (None, Ok(params)) => answer(&state, &segment, &call, &params),
        (Some(failure), _) | (_, Err(failure)) => Err(failure),
    };
    outcome.unwrap_or_else(|failure| page::failure(&failure, &call.trace))
}

fn answer(state: &State, segment: &str, call: &Call, params: &Params) -> Result<Response, Failure> {
    let tid = match state.authority(segment)? {
        Authority::Tenant(tid) => tid,
        // An administrator of the app's own tenant is who opens it here.
        Authority::Organizations => home_tenant(state, params)?,
        // Reference section 2: not `common`; the text names a parameter that has nothing to do with it.
        Authority::Common | Authority::Consumers => {
            return Err(malformed("The request body must contain the following parameter: 'response_type'."));
        }
    };
    let scope = params.need("scope")?;
    let (client_id, name, redirect_uri) = {
        let world = state.world();
        let client_id = params.need("client_id")?;
        let app = world.app(client_id).filter(|app| app.multi_tenant || app.home_tenant == tid).ok_or_else(|| {
            Failure::new(700_016, format!("Application with identifier '{client_id}' was not found in the directory."))
        })?;
        let address = redirect_uri(app, params.need("redirect_uri")?).map_err(|refusal| match refusal {
            Refusal::Page(failure) => failure,
            Refusal::Redirect(target) => target.1,
        })?;
        (app.client_id.clone(), app.name.clone(), address)
    };
    let target = Target { redirect_uri, mode: Mode::Query, state: params.own("state") };
    match params.look("answer") {
        None => Ok(page::admin_consent(segment, &name, params)),
        Some("accept") => {
            consent(state, &client_id, &tid, scope);
            Ok(target.send(vec![("admin_consent", "True".to_owned()), ("tenant", tid), ("scope", scope.to_owned())]))
        }
        // Seen in 2023: `admin_consent=True` although it failed, and no `tenant` (reference section 2).
        Some(_) => {
            let failure = Failure::new(65004, "User declined to consent to access the app.");
            Ok(target.send(vec![
                ("error", failure.error.to_owned()),
                ("error_description", failure.description(&call.trace)),
                ("error_uri", error_uri(&state.base, failure.code)),
                ("admin_consent", "True".to_owned()),
            ]))
        }
    }
}

fn home_tenant(state: &State, params: &Params) -> Result<String, Failure> {
    let client_id = params.need("client_id")?;
    let home = state.world().app(client_id).map(|app| app.home_tenant.clone());
    home.ok_or_else(|| Failure::new(700_016, format!("Application with identifier '{client_id}' was not found.")))
}

/// Application permissions come with `/.default` only: those of the registration, which are the home tenant's here.
fn consent(state: &State, client_id: &str, tid: &str, scope: &str) {
    let mut world = state.world();
    let Some(app) = world.app_mut(client_id) else { return };
    let registered = app.principals.get(&app.home_tenant).map(|home| home.roles.clone()).unwrap_or_default();
    let fresh = || ServicePrincipal { object_id: random::guid(), ..ServicePrincipal::default() };
    let principal = app.principals.entry(tid.to_owned()).or_insert_with(fresh);
    principal.consented = true;
    if scope.ends_with("/.default") {
        principal.roles = registered;
    }
}
