//! The OpenID Connect endpoints of Entra ID v2.0, one file each.

mod answer;
mod authorize;
mod client_auth;
mod consent;
mod discovery;
mod flow;
mod logout;
mod page;
mod request;
mod session_cookie;
mod token;
mod token_response;
mod tokens;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State as Shared};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodRouter, any, get};
use http::StatusCode;

use super::aadsts::{Failure, Trace};
use super::faults::{Endpoint, Fault};
use super::state::State;

pub(super) use flow::Flow;
pub(super) use token::GRAPH;

/// The routes under `/{tenant}/`.
pub(super) fn routes(state: &Arc<State>) -> Router {
    let place = |endpoint: Endpoint, route: MethodRouter<Arc<State>>| {
        route.layer(middleware::from_fn_with_state((Arc::clone(state), endpoint), gate))
    };
    Router::new()
        .route(
            "/{tenant}/v2.0/.well-known/openid-configuration",
            place(Endpoint::Discovery, get(discovery::configuration)),
        )
        .route("/{tenant}/discovery/v2.0/keys", place(Endpoint::Keys, get(discovery::keys)))
        .route(
            "/{tenant}/oauth2/v2.0/authorize",
            place(Endpoint::Authorize, get(authorize::authorize).post(authorize::authorize)),
        )
        .route("/{tenant}/login", place(Endpoint::Login, any(authorize::login)))
        .route("/{tenant}/oauth2/v2.0/token", place(Endpoint::Token, any(token::token)))
        .route("/{tenant}/oauth2/v2.0/logout", place(Endpoint::Logout, get(logout::logout).post(logout::logout)))
        .route(
            "/{tenant}/v2.0/adminconsent",
            place(Endpoint::Consent, get(consent::admin_consent).post(consent::admin_consent)),
        )
        .route("/error", get(page::explain))
        .with_state(Arc::clone(state))
}

/// What every handler gets to know of its request besides the parameters.
#[derive(Debug, Clone)]
struct Call {
    trace: Trace,
    /// The failure ordered for this call.
    ordered: Option<Failure>,
}

/// A response that stands for closing the connection without one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Disconnect;

/// Counts the call, then lets the ordered delay and fault happen.
async fn gate(
    Shared((state, endpoint)): Shared<(Arc<State>, Endpoint)>,
    mut request: Request<Body>,
    next: Next,
) -> Response {
    let (delay, fault) = {
        let mut faults = state.faults();
        faults.count(endpoint.name());
        (faults.delay_of(endpoint), faults.next_failure(endpoint))
    };
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    let trace = Trace::of(request.headers(), state.now());
    let ordered = match fault {
        Some(Fault::Disconnect) => {
            let mut response = StatusCode::INTERNAL_SERVER_ERROR.into_response();
            response.extensions_mut().insert(Disconnect);
            return response;
        }
        Some(Fault::Status(status)) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let mut response = status.into_response();
            trace.stamp(&mut response);
            return response;
        }
        Some(Fault::Aadsts(code)) => Some(Failure::ordered(code)),
        None => None,
    };
    request.extensions_mut().insert(Call { trace: trace.clone(), ordered });
    let mut response = next.run(request).await;
    trace.stamp(&mut response);
    response
}
