//! The first stop on the sign-in host: either the browser is known and goes straight back, or it goes to the provider.

use http::{Method, Response};

use super::cookie::SameSite;
use super::seal::{self, Attempt, Return};
use super::{SignIn, SignInError, Visit, browser, enter, reply};
use crate::edge::Body;
use crate::entra::AuthorizeRequest;

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
        return enter::send(sign_in, &session, back);
    }
    to_provider(sign_in, visit, back, wants_other_account.then_some("select_account")).await
}

/// Sends the browser to the provider with a fresh attempt bound to it.
pub(super) async fn to_provider(
    sign_in: &SignIn,
    visit: &Visit,
    back: Option<Return>,
    prompt: Option<&str>,
) -> Result<Response<Body>, SignInError> {
    let parts = &sign_in.parts;
    // The gateway itself must reach the provider to redeem the code, so a person who is sent to a provider that it
    // cannot reach would sign in for nothing, or see their browser's own error page.
    parts.provider.answers().await?;
    let now = sign_in.now();
    let browser =
        browser::known_or_new(&parts.keyring, &visit.headers, &visit.host, now).ok_or(SignInError::Internal)?;
    let attempt = Attempt {
        id: seal::random::<16>().ok_or(SignInError::Internal)?,
        nonce: seal::random::<16>().ok_or(SignInError::Internal)?,
        verifier: seal::random::<32>().ok_or(SignInError::Internal)?,
        back,
        other_account: prompt.is_some(),
        rounds: browser.rounds(now),
        made: now,
    };
    // Bound to the browser by its context: in any other browser the state does not even open.
    let state = seal::seal(&parts.keyring, browser.id.as_bytes(), &attempt).ok_or(SignInError::Internal)?;
    let request = AuthorizeRequest {
        state: &state,
        nonce: &attempt.nonce,
        verifier: &attempt.verifier,
        prompt,
        login_hint: None,
    };
    let to = parts.provider.authorize_url(request).await?;
    // The provider may post the answer from its own site; only `SameSite=None` cookies travel with that.
    let cookie = browser::set(&parts.keyring, &browser, &visit.host, SameSite::None).ok_or(SignInError::Internal)?;
    Ok(reply::redirect(to.as_str(), vec![cookie]))
}
