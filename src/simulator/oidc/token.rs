//! `/token`: codes, refresh tokens and client credentials (reference sections 1.5 and 3).

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, Request, State as Shared};
use axum::response::Response;
use http::{HeaderMap, Method};

use super::token_response::{self, Issue};
use super::{Call, client_auth, flow, tokens};
use crate::simulator::aadsts::Failure;
use crate::simulator::jwt;
use crate::simulator::params::Params;
use crate::simulator::random;
use crate::simulator::state::{Challenge, Code, Grant, Refresh, State};
use crate::simulator::time::Moment;
use crate::simulator::world::{App, Authority};

/// `POST /{tenant}/oauth2/v2.0/token`
pub(super) async fn token(
    Shared(state): Shared<Arc<State>>,
    Path(tenant): Path<String>,
    Extension(call): Extension<Call>,
    request: Request<Body>,
) -> Response {
    let headers = request.headers().clone();
    let outcome = if let Some(failure) = call.ordered.clone() {
        Err(failure)
    } else if request.method() == Method::POST {
        match Params::of(request).await {
            Ok(params) => issue(&state, &tenant, &headers, &params).await,
            Err(failure) => Err(failure),
        }
    } else {
        Err(Failure::new(900_561, "The endpoint only accepts POST requests. Received a GET request."))
    };
    match outcome {
        Ok(issue) => token_response::respond(&state, &issue),
        Err(failure) => failure.reply(&call.trace, &state.base),
    }
}

async fn issue(state: &State, tenant: &str, headers: &HeaderMap, params: &Params) -> Result<Issue, Failure> {
    let path = state.authority(tenant)?;
    let grant_type = params.need("grant_type")?;
    if !matches!(grant_type, "authorization_code" | "refresh_token" | "client_credentials") {
        return Err(Failure::new(70003, format!("The app requested an unsupported grant type '{grant_type}'.")));
    }
    state.faults().count(&format!("token.{grant_type}"));
    if grant_type == "client_credentials" && !matches!(path, Authority::Tenant(_)) {
        return Err(over_common());
    }
    let client = client_auth::authenticate(state, &path, tenant, headers, params).await?;
    match (grant_type, &path) {
        ("authorization_code", _) => redeem(state, &path, &client.app, params),
        ("refresh_token", _) => refresh(state, &client.app, params),
        (_, Authority::Tenant(tid)) => app_only(state, tid, &client, params),
        _ => Err(over_common()),
    }
}

/// A code works once, for ten minutes, at the tenant path, client and redirect address it was made for.
fn redeem(state: &State, path: &Authority, app: &App, params: &Params) -> Result<Issue, Failure> {
    let handle = params.need("code")?;
    let redirect_uri = params.need("redirect_uri")?;
    let mut books = state.books();
    let code = books.codes.look_mut(handle).ok_or_else(|| bad_grant("The code is malformed or invalid."))?;
    let now = state.now();
    check_code(code, path, app, redirect_uri, now)?;
    check_verifier(code.challenge.as_ref(), params.look("code_verifier"))?;
    code.redeemed = true;
    let grant = code.grant.clone();
    drop(books);
    check_account(state, app, &grant)?;
    let has_refresh = grant.scopes.iter().any(|s| s == "offline_access");
    let refresh_token = has_refresh.then(|| hand_out_refresh(state, &grant, now));
    Ok(issued(state, narrowed(grant, params)?, now, refresh_token))
}

fn check_code(code: &Code, path: &Authority, app: &App, redirect_uri: &str, now: Moment) -> Result<(), Failure> {
    if code.grant.client_id != app.client_id {
        return Err(bad_grant("The code was issued to another client."));
    }
    if code.redeemed {
        return Err(Failure::new(
            54005,
            "OAuth2 Authorization code was already redeemed, please retry with a new valid \
            code or use an existing refresh token.",
        ));
    }
    if now.seconds_since(code.grant.issued_at) > CODE_SECONDS {
        return Err(Failure::new(
            70008,
            "The provided authorization code or refresh token has expired due to \
            inactivity. Send a new interactive authorization request for this user and resource.",
        ));
    }
    if code.path != *path {
        return Err(Failure::new(
            700_005,
            "The provided Authorization Code is intended to use against other tenant, \
            thus rejected. OAuth2 Authorization Code must be redeemed against same tenant it was acquired for.",
        ));
    }
    if code.redirect_uri != redirect_uri {
        return Err(Failure::new(
            500_112,
            format!(
                "The reply address '{redirect_uri}' does not match the reply address '{}' provided when requesting \
                 Authorization code.",
                code.redirect_uri
            ),
        ));
    }
    Ok(())
}

/// RFC 7636 section 4.6; a verifier nobody asked for is refused too (RFC 9700 section 2.1.1).
fn check_verifier(challenge: Option<&(Challenge, String)>, verifier: Option<&str>) -> Result<(), Failure> {
    let matches = match (challenge, verifier) {
        (None, None) => true,
        (Some((Challenge::Plain, challenge)), Some(verifier)) => challenge == verifier,
        (Some((Challenge::S256, challenge)), Some(verifier)) => {
            *challenge == jwt::thumbprint_sha256(verifier.as_bytes())
        }
        (Some(_), None) | (None, Some(_)) => false,
    };
    if matches {
        return Ok(());
    }
    Err(Failure::new(
        501_481,
        "The Code_Verifier does not match the code_challenge supplied in the authorization request.",
    ))
}

/// Every use hands out a new token and leaves the old one alive (reference section 1.5).
fn refresh(state: &State, app: &App, params: &Params) -> Result<Issue, Failure> {
    let handle = params.need("refresh_token")?;
    let now = state.now();
    let grant = {
        let mut books = state.books();
        let known = books.refresh.look_mut(handle).filter(|r| r.grant.client_id == app.client_id);
        let known = known.ok_or_else(|| bad_grant("The refresh token is malformed or invalid."))?;
        if now.seconds_since(known.last_used) > REFRESH_SECONDS {
            return Err(Failure::new(700_082, "The refresh token has expired due to inactivity."));
        }
        known.last_used = now;
        known.grant.clone()
    };
    check_account(state, app, &grant)?;
    let narrowed = narrowed(grant.clone(), params)?;
    let refresh_token = Some(hand_out_refresh(state, &grant, now));
    Ok(issued(state, narrowed, now, refresh_token))
}

/// Disable, delete, revoke, policy: what a refresh or redemption finds out (reference sections 1.5 and 1.8).
fn check_account(state: &State, app: &App, grant: &Grant) -> Result<(), Failure> {
    let world = state.world();
    let Some(person) = world.person(&grant.tid, &grant.oid) else {
        return Err(as_grant_failure(Failure::new(50034, "The user account does not exist in the directory.")));
    };
    if grant.issued_at.0 <= person.sessions_valid_from {
        return Err(Failure::new(
            50173,
            format!(
                "The provided grant has expired due to it being revoked, a fresh auth token is needed. The user might \
                 have changed or reset their password. The grant was issued on '{}' and the TokensValidFrom date \
                 (before which tokens are not valid) for this user is '{}'.",
                grant.issued_at.ticks(),
                Moment(person.sessions_valid_from).ticks()
            ),
        ));
    }
    flow::may_use(app, &grant.tid, person).map_err(as_grant_failure)?;
    if person.requires_mfa && !grant.mfa {
        return Err(Failure::mfa_needed());
    }
    Ok(())
}

/// At `/token` a person who may not use the app is an invalid grant.
fn as_grant_failure(mut failure: Failure) -> Failure {
    if failure.error == "interaction_required" {
        failure.error = "invalid_grant";
    }
    failure
}

/// An optional `scope` may ask for less, not for more.
fn narrowed(mut grant: Grant, params: &Params) -> Result<Grant, Failure> {
    let Some(asked) = params.look("scope") else { return Ok(grant) };
    let asked: Vec<String> = asked.split_ascii_whitespace().map(str::to_owned).collect();
    if let Some(more) = asked.iter().find(|s| !grant.scopes.contains(s)) {
        return Err(Failure::new(
            65001,
            format!("The user or administrator has not consented to use the application with scope '{more}'."),
        ));
    }
    grant.scopes = asked;
    Ok(grant)
}

/// A refresh token for everything that was granted. It carries no nonce: it answers no authorization request.
fn hand_out_refresh(state: &State, grant: &Grant, now: Moment) -> String {
    let handle = format!("1.AXYA{}", random::opaque::<64>());
    let grant = Grant { issued_at: now, nonce: None, ..grant.clone() };
    state.books().refresh.put(handle.clone(), Refresh { grant, last_used: now });
    handle
}

fn issued(state: &State, grant: Grant, now: Moment, refresh_token: Option<String>) -> Issue {
    let expires_in = random::between(3_600, 5_400);
    Issue {
        access_token: tokens::access_token(state, &grant, now, expires_in),
        expires_in,
        refresh_token,
        with_id_token: grant.scopes.iter().any(|s| s == "openid"),
        grant: Some(grant),
        now,
    }
}

/// Reference section 3.
fn app_only(state: &State, tid: &str, client: &client_auth::Client, params: &Params) -> Result<Issue, Failure> {
    let scope = params.need("scope")?;
    let bad_scope = || {
        Failure::new(
            70011,
            format!(
                "The provided request must include a 'scope' input parameter. The provided value for the input \
                 parameter 'scope' is not valid. The scope {scope} is not valid: client credential flows must have \
                 exactly one scope value with /.default suffixed to the resource identifier."
            ),
        )
    };
    let resource =
        scope.strip_suffix("/.default").filter(|r| !r.is_empty() && !r.contains(' ')).ok_or_else(bad_scope)?;
    let app = &client.app;
    let principal = app.principals.get(tid).ok_or_else(|| {
        Failure::new(
            700_016,
            format!("Application with identifier '{}' was not found in the directory '{tid}'.", app.client_id),
        )
    })?;
    if principal.disabled {
        return Err(Failure::new(7_000_112, format!("Application '{}'({}) is disabled.", app.client_id, app.name)));
    }
    if !is_resource(state, resource) {
        return Err(Failure::new(
            500_011,
            format!("The resource principal named {resource} was not found in the tenant named {tid}."),
        ));
    }
    let now = state.now();
    let expires_in = random::between(3_600, 5_400) - 1;
    let access_token = tokens::app_token(state, tid, client, resource, now, expires_in);
    Ok(Issue { access_token, expires_in, refresh_token: None, with_id_token: false, grant: None, now })
}

fn over_common() -> Failure {
    Failure::new(
        9_001_023,
        "The grant type is not supported over the /common or /consumers endpoints. Please use the tenant-specific \
         endpoint.",
    )
}

/// Graph under its real name or at the simulator's own address, or an app of this world.
fn is_resource(state: &State, resource: &str) -> bool {
    resource == GRAPH
        || resource == state.base
        || state.world().app(resource.strip_prefix("api://").unwrap_or(resource)).is_some()
}

fn bad_grant(text: &str) -> Failure {
    Failure::new(70000, format!("Provided grant is invalid or malformed. {text}"))
}

/// Graph's own name.
pub(in crate::simulator) const GRAPH: &str = "https://graph.microsoft.com";
/// Reference section 1.4: about ten minutes.
const CODE_SECONDS: u64 = 600;
/// Reference section 1.5: 90 days without use.
const REFRESH_SECONDS: u64 = 90 * 24 * 3600;
