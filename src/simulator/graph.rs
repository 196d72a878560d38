//! Microsoft Graph v1.0 at the simulator's own address: directory, risk, account actions, batches.
//!
//! The Graph root is the simulator's base address; a token's audience may also be Graph's real name. Calls are answered
//! by plain functions from [`Ask`] to [`Answer`], so that `$batch` can ask the same ones (reference section 5.3).

mod actions;
mod answer;
mod batch;
mod bearer;
mod books;
mod conditional_access;
mod delta;
mod directory;
mod faults;
mod filter;
mod principals;
mod query;
mod risk;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State as Shared};
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;
use http::{HeaderMap, Method, StatusCode};
use serde_json::Value;

use super::oidc::Disconnect;
use super::state::State;
use answer::{Answer, Trouble};
use bearer::Caller;
use query::Query;

pub(super) use books::Books;
pub use faults::GraphFault;

/// The routes under `/v1.0/`.
pub(super) fn routes(state: &Arc<State>) -> Router {
    Router::new().route("/v1.0/{*path}", any(serve)).with_state(Arc::clone(state))
}

/// One call, taken apart.
#[derive(Debug)]
struct Ask {
    method: Method,
    /// The path after `/v1.0/`, decoded.
    path: String,
    query: Query,
    headers: HeaderMap,
    body: Option<Value>,
    caller: Caller,
}

impl Ask {
    /// Whether a `Prefer` header asks for this (RFC 7240).
    fn prefers(&self, what: &str) -> bool {
        let lines = self.headers.get_all("prefer").into_iter().filter_map(|v| v.to_str().ok());
        lines.flat_map(|line| line.split(',')).any(|one| one.trim().eq_ignore_ascii_case(what))
    }
}

async fn serve(Shared(state): Shared<Arc<State>>, Path(path): Path<String>, request: Request<Body>) -> Response {
    let fault = {
        let change = request.method() != Method::GET;
        state.faults().count("graph");
        if change {
            state.faults().count("graph_changes");
        }
        if path.starts_with("identityProtection") {
            state.faults().count("graph_risk");
        }
        state.graph().next_fault(change)
    };
    let client_request_id = request.headers().get("client-request-id").cloned();
    if let Some(GraphFault::Slow(milliseconds)) = fault {
        tokio::time::sleep(std::time::Duration::from_millis(milliseconds.min(600_000))).await;
    }
    if fault == Some(GraphFault::Disconnect) {
        let mut response = StatusCode::INTERNAL_SERVER_ERROR.into_response();
        response.extensions_mut().insert(Disconnect);
        return response;
    }
    let answer = match faults::instead(&state, fault) {
        Some(trouble) => trouble.into(),
        None => match read(&state, path, request).await {
            Ok(ask) if ask.path == "$batch" => batch::answer(&state, &ask),
            Ok(ask) => dispatch(&state, &ask),
            Err(trouble) => trouble.into(),
        },
    };
    faults::spoil(fault, answer).into_response(state.now(), client_request_id)
}

async fn read(state: &State, path: String, request: Request<Body>) -> Result<Ask, Trouble> {
    let caller = bearer::check(state, request.headers())?;
    let query = Query::parse(request.uri().query().unwrap_or_default())?;
    let (parts, body) = request.into_parts();
    let bytes = tokio::time::timeout(BODY_DEADLINE, axum::body::to_bytes(body, MAX_BODY)).await;
    let bytes =
        bytes.ok().and_then(Result::ok).ok_or_else(|| Trouble::bad("The body is too large or did not arrive."))?;
    let body = if bytes.is_empty() {
        None
    } else {
        Some(serde_json::from_slice(&bytes).map_err(|_| Trouble::bad("Unable to read JSON request payload."))?)
    };
    Ok(Ask { method: parts.method, path, query, headers: parts.headers, body, caller })
}

/// Finds the answer to one call. A link that was handed out is opened first: it stands for the query it was made from.
fn dispatch(state: &State, ask: &Ask) -> Answer {
    let segments: Vec<&str> = ask.path.split('/').filter(|segment| !segment.is_empty()).collect();
    let answer = match (ask.method.as_str(), segments.as_slice()) {
        ("GET", ["users"]) => directory::users(state, ask),
        ("GET", ["users", "delta" | "delta()" | "microsoft.graph.delta()"]) => delta::users(state, ask),
        ("GET", ["users", id]) => directory::user(state, ask, id),
        ("PATCH", ["users", id]) => actions::change(state, ask, id),
        ("POST", ["users", id, "revokeSignInSessions"]) => actions::revoke(state, ask, id),
        ("GET", ["users", id, "transitiveMemberOf"]) => directory::memberships(state, ask, id),
        ("GET", ["users", id, "transitiveMemberOf", "microsoft.graph.group"]) => directory::memberships(state, ask, id),
        ("POST", ["users", id, "checkMemberGroups"]) => directory::check_groups(state, ask, id),
        ("POST", ["users", id, "getMemberGroups" | "getMemberObjects"]) => directory::member_groups(state, ask, id),
        ("GET", ["groups"]) => directory::groups(state, ask),
        ("GET", ["groups", "delta" | "delta()" | "microsoft.graph.delta()"]) => delta::groups(state, ask),
        ("GET", ["groups", id]) => directory::group(state, ask, id),
        (_, ["identityProtection", rest @ ..]) => risk::dispatch(state, ask, rest),
        ("GET", ["identity", "conditionalAccess", "authenticationContextClassReferences"]) => {
            conditional_access::contexts(state, ask)
        }
        ("GET", ["identity", "conditionalAccess", "policies"]) => conditional_access::policies(state, ask),
        ("GET", ["servicePrincipals", id, "appRoleAssignments"]) => principals::assignments(state, ask, id),
        ("GET", ["servicePrincipals", id]) => principals::one(state, ask, id),
        ("GET", [id]) if id.starts_with("servicePrincipals(") => principals::one(state, ask, id),
        ("GET", [id, "appRoleAssignments"]) if id.starts_with("servicePrincipals(") => {
            principals::assignments(state, ask, id)
        }
        _ => Err(Trouble::no_segment(&ask.path)),
    };
    answer.unwrap_or_else(Answer::from)
}

const MAX_BODY: usize = 4 * 1024 * 1024;
const BODY_DEADLINE: std::time::Duration = std::time::Duration::from_secs(10);
