//! Signing out: here, at the provider, and when the provider says so.

use http::{Method, Response};
use url::Url;

use super::cookie::SameSite;
use super::{PREFIX, SignIn, SignInError, Visit, browser, cookie, reply, single};
use crate::audit::{Event, SessionId, Who};
use crate::cut::CutReason;
use crate::edge::Body;
use crate::facts::TenantId;
use crate::pages::{Page, SignedInAs};
use crate::session::Session;

/// Where the sign-out form goes.
pub(super) const SIGN_OUT: &str = "/.portcullis/sign-out";

/// Longest `sid` that is looked up; Entra's is a GUID.
const MAX_SID: usize = 256;

/// `GET` asks, `POST` does. Only a form of our own page may post: signing somebody out from elsewhere is refused.
pub(super) async fn sign_out(sign_in: &SignIn, visit: &Visit) -> Result<Response<Body>, SignInError> {
    let session = sign_in.session_of(visit).await?;
    match visit.method {
        Method::GET => Ok(match session {
            Some(session) => {
                let token = csrf_token(sign_in, &session);
                let subject = session.subject();
                let page = Page::SignOutConfirm {
                    action: SIGN_OUT,
                    csrf: &token,
                    person: Some(SignedInAs { name: &subject.name, email: &subject.email }),
                };
                reply::page(sign_in, &page, visit, Vec::new())
            }
            None => signed_out(sign_in, visit),
        }),
        Method::POST => match session {
            Some(session) => end(sign_in, visit, &session).await,
            None => Ok(signed_out(sign_in, visit)),
        },
        _ => Err(SignInError::WrongMethod),
    }
}

async fn end(sign_in: &SignIn, visit: &Visit, session: &Session) -> Result<Response<Body>, SignInError> {
    let token = single(&visit.body, "csrf")?.unwrap_or_default();
    let expected = csrf_token(sign_in, session);
    // An empty token means the key ring failed; then nothing matches.
    let same = !expected.is_empty()
        && aws_lc_rs::constant_time::verify_slices_are_equal(token.as_bytes(), expected.as_bytes()).is_ok();
    if !same || !reply::is_own_origin(sign_in, visit) {
        return Err(SignInError::ForeignForm);
    }
    let parts = &sign_in.parts;
    let hint = session.login_hint().cloned();
    parts.sessions.end(&session.key, CutReason::SignedOut).await?;
    sign_in.record(Event::SignOut {
        request: Some(visit.request_id),
        client: Some(visit.client),
        who: Who {
            user: session.user,
            name: session.subject().name.clone(),
            session: Some(SessionId::of(&session.key.0)),
        },
    });
    let here = format!("{}{PREFIX}signed-out", parts.config.origin());
    let to = match Url::parse(&here) {
        Ok(back) => parts.provider.end_session_url(&back, hint.as_ref()).await.map(String::from),
        Err(_) => None,
    };
    let anew = browser::anew(sign_in, visit, SameSite::None);
    let cookies = cookie::clear(cookie::SESSION).into_iter().chain(anew).collect();
    Ok(reply::redirect(to.as_deref().unwrap_or(&here), cookies))
}

/// Where the provider sends the browser afterwards.
pub(super) fn signed_out(sign_in: &SignIn, visit: &Visit) -> Response<Body> {
    let again = format!("{}/", sign_in.config().origin());
    let cookies = cookie::clear(cookie::SESSION).into_iter().collect();
    reply::page(sign_in, &Page::SignedOut { sign_in: Some(&again) }, visit, cookies)
}

/// Front-channel logout: Entra loads this in a hidden frame, by GET, with `sid` and perhaps `iss`. Cookies may not
/// arrive, so the session is found by `sid` alone; the answer is the same whether there was one or not.
///
/// Source: <https://learn.microsoft.com/entra/identity-platform/v2-protocols-oidc#single-sign-out>.
pub(super) async fn front_channel(sign_in: &SignIn, visit: &Visit) -> Result<Response<Body>, SignInError> {
    if visit.method != Method::GET {
        return Err(SignInError::WrongMethod);
    }
    let sid = visit.parameter("sid")?.filter(|sid| !sid.is_empty() && sid.len() <= MAX_SID);
    let tenant: Result<Option<TenantId>, ()> = match visit.parameter("iss")? {
        Some(issuer) => sign_in.parts.provider.expects_issuer(&issuer).map(Some).ok_or(()),
        None => Ok(None),
    };
    if let (Some(sid), Ok(tenant)) = (sid, tenant) {
        let ended = sign_in.parts.sessions.end_sid(tenant, &sid, CutReason::SignedOut).await?;
        tracing::info!(request_id = %visit.request_id, ended, "front-channel sign-out");
    }
    Ok(reply::page(sign_in, &Page::FrontChannelDone, visit, Vec::new()))
}

/// Proves that a form came from a page shown to this very session.
pub(super) fn csrf_token(sign_in: &SignIn, session: &Session) -> String {
    use base64::Engine;
    let mac = sign_in.parts.keyring.mac("sign-out form", &[&session.key.0]);
    mac.map_or_else(String::new, |(_, tag)| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(tag))
}
