//! The discovery document and the key document (reference sections 1.2 and 1.3).

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, State as Shared};
use axum::response::{IntoResponse as _, Response};
use http::{StatusCode, header};
use serde_json::{Value, json};

use super::Call;
use crate::simulator::keys::KeyDocument;
use crate::simulator::state::State;
use crate::simulator::world::{Authority, CONSUMERS};

/// `GET /{tenant}/v2.0/.well-known/openid-configuration`
pub(super) async fn configuration(
    Shared(state): Shared<Arc<State>>,
    Path(tenant): Path<String>,
    Extension(call): Extension<Call>,
) -> Response {
    let authority = match call.ordered.clone().map_or_else(|| state.authority(&tenant), Err) {
        Ok(authority) => authority,
        Err(failure) => return failure.reply(&call.trace, &state.base),
    };
    let region = match &authority {
        Authority::Tenant(id) => state.world().tenant(id).map(|t| t.region.clone()),
        _ => None,
    };
    axum::Json(document(&state.base, &authority, region.as_deref())).into_response()
}

/// `GET /{tenant}/discovery/v2.0/keys`
pub(super) async fn keys(
    Shared(state): Shared<Arc<State>>,
    Path(tenant): Path<String>,
    Extension(call): Extension<Call>,
) -> Response {
    if let Err(failure) = call.ordered.clone().map_or_else(|| state.authority(&tenant), Err) {
        return failure.reply(&call.trace, &state.base);
    }
    let (mode, document) = {
        let keys = state.keys();
        (keys.mode(), keys.document())
    };
    if mode == KeyDocument::Unavailable {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    ([(header::CONTENT_TYPE, "application/json; charset=utf-8")], document).into_response()
}

/// The issuer of a tenant's tokens.
pub(super) fn issuer(base: &str, tid: &str) -> String {
    format!("{base}/{tid}/v2.0")
}

/// The field set of the fixture in section 1.2, no more. Hosts inside are the simulator's own, so that nobody who
/// follows one leaves the machine.
fn document(base: &str, authority: &Authority, region: Option<&str>) -> Value {
    let (segment, issuer_id) = match authority {
        Authority::Tenant(id) => (id.as_str(), id.as_str()),
        // The literal template, braces included (section 1.2).
        Authority::Common => ("common", "{tenantid}"),
        Authority::Organizations => ("organizations", "{tenantid}"),
        Authority::Consumers => ("consumers", CONSUMERS),
    };
    let host = base.split_once("://").map_or(base, |(_, host)| host);
    json!({
        "token_endpoint": format!("{base}/{segment}/oauth2/v2.0/token"),
        "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
        "jwks_uri": format!("{base}/{segment}/discovery/v2.0/keys"),
        "response_modes_supported": ["query", "fragment", "form_post"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
        "scopes_supported": ["openid", "profile", "email", "offline_access"],
        "issuer": issuer(base, issuer_id),
        "request_uri_parameter_supported": false,
        "userinfo_endpoint": format!("{base}/oidc/userinfo"),
        "authorization_endpoint": format!("{base}/{segment}/oauth2/v2.0/authorize"),
        "device_authorization_endpoint": format!("{base}/{segment}/oauth2/v2.0/devicecode"),
        "http_logout_supported": true,
        "frontchannel_logout_supported": true,
        "end_session_endpoint": format!("{base}/{segment}/oauth2/v2.0/logout"),
        "claims_supported": [
            "sub", "iss", "cloud_instance_name", "cloud_instance_host_name", "cloud_graph_host_name", "msgraph_host",
            "aud", "exp", "iat", "auth_time", "acr", "nonce", "preferred_username", "name", "tid", "ver", "at_hash",
            "c_hash", "email"
        ],
        "kerberos_endpoint": format!("{base}/{segment}/kerberos"),
        "tenant_region_scope": region,
        "cloud_instance_name": "microsoftonline.com",
        "cloud_graph_host_name": "graph.windows.net",
        "msgraph_host": host,
        "rbac_url": "https://pas.windows.net",
    })
}
