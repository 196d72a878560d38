//! The first stop on the sign-in host: either the browser is known and goes straight back, or it goes to the provider.

use http::{Method, Response};

use super::cookie::SameSite;
use super::seal::{self, Attempt, Return};
use super::{SignIn, SignInError, Visit, browser, enter, reply, step_up};
use crate::edge::Body;
use crate::entra::AuthorizeRequest;
use crate::session::Session;

/// `GET /.portcullis/sign-in?to=<sealed return>[&prompt=select_account]`.
pub(super) async fn login(sign_in: &SignIn, visit: &Visit) -> Result<Response<Body>, SignInError> {
    if visit.method != Method::GET {
        return Err(SignInError::WrongMethod);
    }
    let now = sign_in.now();
    let back = match visit.parameter("to")? {
        // A stale or foreign address loses where to go back to, not the sign-in.
        Some(text) => seal::open::<Return>(&sign_in.parts.keyring, b"", &text, now),
        None => None,
    };
    let wants_other_account = visit.parameter("prompt")?.as_deref() == Some("select_account");
    if !wants_other_account && let Some(session) = sign_in.session_of(visit).await? {
        return match &back {
            Some(wanted) if !step_up::is_done(&session, wanted) => {
                to_provider(sign_in, visit, back, None, Some(&session)).await
            }
            _ => enter::send(sign_in, &session, back),
        };
    }
    to_provider(sign_in, visit, back, wants_other_account.then_some("select_account"), None).await
}

/// Sends the browser to the provider with a fresh attempt bound to it: to sign in, or, with the session it has, to step
/// up. A sign-in on the way to a step-up asks for both at once.
pub(super) async fn to_provider(
    sign_in: &SignIn,
    visit: &Visit,
    back: Option<Return>,
    prompt: Option<&str>,
    session: Option<&Session>,
) -> Result<Response<Body>, SignInError> {
    let parts = &sign_in.parts;
    // The gateway itself must reach the provider to redeem the code, so a person who is sent to a provider that it
    // cannot reach would sign in for nothing, or see their browser's own error page.
    parts.provider.answers().await?;
    let now = sign_in.now();
    let mut browser =
        browser::known_or_new(&parts.keyring, &visit.headers, &visit.host, now).ok_or(SignInError::Internal)?;
    if let Some(session) = session {
        // The answer comes back without the session cookie; this one must say whose it is.
        browser.session = Some(enter::hex(&session.key.0));
    }
    let attempt = Attempt {
        id: seal::random::<16>().ok_or(SignInError::Internal)?,
        nonce: seal::random::<16>().ok_or(SignInError::Internal)?,
        verifier: seal::random::<32>().ok_or(SignInError::Internal)?,
        session: session.map(|session| enter::hex(&session.key.0)),
        back,
        other_account: prompt.is_some(),
        rounds: browser.rounds(now),
        made: now,
    };
    // Bound to the browser by its context: in any other browser the state does not even open.
    let state = seal::seal(&parts.keyring, browser.id.as_bytes(), &attempt).ok_or(SignInError::Internal)?;
    let hint = session.and_then(step_up::hint);
    let request = AuthorizeRequest {
        state: &state,
        nonce: &attempt.nonce,
        verifier: &attempt.verifier,
        prompt,
        login_hint: hint.as_deref(),
    };
    let claims = attempt.back.as_ref().and_then(Return::wants).map(step_up::claims);
    let to = parts.provider.authorize_url_with_claims(request, claims.as_deref()).await?;
    // The provider may post the answer from its own site; only `SameSite=None` cookies travel with that.
    let cookie = browser::set(&parts.keyring, &browser, &visit.host, SameSite::None).ok_or(SignInError::Internal)?;
    Ok(reply::redirect(to.as_str(), vec![cookie]))
}
