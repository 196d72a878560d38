//! `/logout`: ends the browser session and tells the apps of that session (reference section 1.7).

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, Request, State as Shared};
use axum::response::Response;

use super::{Call, discovery, page, session_cookie};
use crate::simulator::params::Params;
use crate::simulator::state::{Session, State};

/// `GET` and `POST /{tenant}/oauth2/v2.0/logout`
pub(super) async fn logout(
    Shared(state): Shared<Arc<State>>,
    Path(tenant): Path<String>,
    Extension(call): Extension<Call>,
    request: Request<Body>,
) -> Response {
    let cookie = session_cookie::read(request.headers());
    let params = match (call.ordered.clone(), Params::of(request).await) {
        (None, Ok(params)) => params,
        (Some(failure), _) | (_, Err(failure)) => return page::failure(&failure, &call.trace),
    };
    if let Err(failure) = state.authority(&tenant) {
        return page::failure(&failure, &call.trace);
    }
    let session = cookie.and_then(|cookie| state.books().sessions.take(&cookie));
    let frames = session.as_ref().map(|session| frames(&state, session)).unwrap_or_default();
    let next = params.look("post_logout_redirect_uri").filter(|uri| is_registered(&state, session.as_ref(), uri));
    let mut response = page::signed_out(&frames, next);
    session_cookie::clear(&mut response);
    response
}

/// The front-channel address of every app of the session, with `sid` and, if switched on, `iss`.
fn frames(state: &State, session: &Session) -> Vec<String> {
    let world = state.world();
    let addresses = session.apps.iter().filter_map(|id| world.app(id)?.logout_url.as_deref());
    let with_sid = addresses.filter_map(|address| {
        let mut url = url::Url::parse(address).ok()?;
        if State::is_on(&state.frontchannel_iss) {
            url.query_pairs_mut().append_pair("iss", &discovery::issuer(&state.base, &session.tid));
        }
        url.query_pairs_mut().append_pair("sid", &session.sid);
        Some(url.to_string())
    });
    with_sid.collect()
}

/// `post_logout_redirect_uri` must be a redirect address of an app of the session; without one, of any app.
fn is_registered(state: &State, session: Option<&Session>, uri: &str) -> bool {
    let world = state.world();
    let concerns = |id: &String| session.is_none_or(|s| s.apps.is_empty() || s.apps.contains(id));
    world.apps.iter().any(|app| concerns(&app.client_id) && app.redirect_uris.iter().any(|r| r == uri))
}
