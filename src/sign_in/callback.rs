//! The provider's answer: a code becomes a session, exactly once, in the browser that asked.

use std::sync::Arc;

use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Response};

use super::cookie::{self, SameSite};
use super::seal::{self, ATTEMPT_LIFETIME, Attempt, Browser};
use super::{SignIn, SignInError, Visit, browser, enter, single, step_up};
use crate::cut::CutReason;
use crate::edge::Body;
use crate::entra::{AuthorizeError, EntraError, SignedIn};
use crate::session::{CookieValue, NewSession, Session, SessionKey};
use crate::telemetry::Secret;
use crate::telemetry::metrics::SignInOutcome;

/// What the provider sent back.
pub(super) struct Answer {
    state: Option<String>,
    code: Option<Secret<String>>,
    issuer: Option<String>,
    pub(super) error: Option<EntraError>,
}

/// `GET` (response mode `query`) or `POST` (`form_post`) on the registered redirect address.
pub(super) async fn callback(sign_in: &SignIn, visit: &Visit) -> Result<Response<Body>, SignInError> {
    let answer = read(visit)?;
    let browser = browser::known(&sign_in.parts.keyring, &visit.headers, &visit.host, sign_in.now());
    let signed_in_already = match sign_in.session_of(visit).await? {
        Some(session) => Some(session),
        None => of_browser(sign_in, browser.as_ref()).await?,
    };
    let (Some(attempt), Some(browser)) = (attempt(sign_in, browser.as_ref(), answer.state.as_deref()), browser) else {
        // A stale tab or the back button: whoever is signed in stays so and goes on.
        return match signed_in_already {
            Some(session) => enter::send(sign_in, &session, None),
            None if cookie::find(&visit.headers, cookie::BROWSER) == cookie::Found::Absent => {
                Err(SignInError::CookiesBlocked)
            }
            None => Err(SignInError::StaleAttempt),
        };
    };
    if attempt.session.is_some() {
        return step_up::finish(sign_in, visit, answer, attempt, browser).await;
    }
    // A parallel tab was faster: its session is newer than this attempt and wins; the code stays unused.
    if let Some(session) = &signed_in_already
        && session.created() >= attempt.made
        && !attempt.other_account
        && answer.error.is_none()
    {
        if attempt.back.is_some() {
            return enter::send(sign_in, session, attempt.back);
        }
        // A posted answer does not tell whether the browser still has the session cookie. The portal sends a browser
        // without it here again, so it gets the cookie anew.
        let value = sign_in.parts.sessions.bind_host(session, &sign_in.parts.config.host).await?;
        return arrive(sign_in, visit, session, &value, attempt, browser);
    }
    if let Some(error) = answer.error {
        return Err(SignInError::Provider(error));
    }
    let signed_in = redeem(sign_in, answer, &attempt).await?;
    begin(sign_in, visit, signed_in, signed_in_already, attempt, browser).await
}

/// Turns a good answer into what the provider vouches for, once.
pub(super) async fn redeem(sign_in: &SignIn, answer: Answer, attempt: &Attempt) -> Result<SignedIn, SignInError> {
    if let Some(issuer) = &answer.issuer
        && sign_in.parts.provider.expects_issuer(issuer).is_none()
    {
        // RFC 9207: an answer that names another issuer belongs to another sign-in.
        return Err(SignInError::StaleAttempt);
    }
    let code = answer.code.ok_or(SignInError::Malformed)?;
    if !sign_in.parts.peers.claim(attempt.id.as_bytes(), ATTEMPT_LIFETIME).await {
        // The same answer a second time (back button, double click): the code must not be sent again.
        return Err(SignInError::UsedAttempt);
    }
    let redeemed = sign_in.parts.provider.redeem(&code, &attempt.verifier, &attempt.nonce).await;
    if redeemed.is_err() {
        // Anybody can bring made-up codes; only a good one may be remembered beyond its request. No session came of
        // this answer, so whoever sends it again is told the same again.
        sign_in.parts.peers.release(attempt.id.as_bytes()).await;
    }
    Ok(redeemed?)
}

async fn begin(
    sign_in: &SignIn,
    visit: &Visit,
    signed_in: SignedIn,
    previous: Option<Arc<Session>>,
    attempt: Attempt,
    browser: Browser,
) -> Result<Response<Body>, SignInError> {
    let parts = &sign_in.parts;
    let new = NewSession {
        subject: signed_in.subject,
        sid: signed_in.sid,
        login_hint: signed_in.login_hint,
        authenticated: signed_in.auth_time.unwrap_or_else(|| sign_in.now()),
        refresh_token: signed_in.refresh_token,
        proofs: step_up::proofs(&signed_in.acrs, sign_in.now()),
    };
    let (session, cookie_value) = parts.sessions.create(new, &parts.config.host).await?;
    if let Some(previous) = previous {
        // A new sign-in in the same browser replaces what was there, whoever it was.
        parts.sessions.end(&previous.key, CutReason::SignedOut).await?;
    }
    sign_in.ended(visit, SignInOutcome::SignedIn, Some(&session));
    arrive(sign_in, visit, &session, &cookie_value, attempt, browser)
}

/// Lets the browser go on with `session` and the sign-in host's cookie for it.
pub(super) fn arrive(
    sign_in: &SignIn,
    visit: &Visit,
    session: &Arc<Session>,
    value: &CookieValue,
    attempt: Attempt,
    mut browser: Browser,
) -> Result<Response<Body>, SignInError> {
    browser.session = Some(enter::hex(&session.key.0));
    if attempt.back.is_none() {
        // Goes to the portal, which would send a browser that drops the session cookie round again.
        browser.enter(attempt.rounds, sign_in.now());
    }
    let cookies = [
        cookie::set(cookie::SESSION, value.expose(), SameSite::Lax),
        browser::set(&sign_in.parts.keyring, &browser, &visit.host, SameSite::None),
    ];
    let mut response = enter::send(sign_in, session, attempt.back)?;
    for cookie in cookies {
        response.headers_mut().append(http::header::SET_COOKIE, cookie.ok_or(SignInError::Internal)?);
    }
    Ok(response)
}

/// The attempt inside `state`, if it was made by this gateway for this browser and is not too old.
fn attempt(sign_in: &SignIn, browser: Option<&Browser>, state: Option<&str>) -> Option<Attempt> {
    seal::open(&sign_in.parts.keyring, browser?.id.as_bytes(), state?, sign_in.now())
}

/// The living session that this browser's cookie speaks of. Only ever used to go on with or to end that session, never
/// to show anything of it: a cross-site post carries this cookie.
pub(super) async fn of_browser(
    sign_in: &SignIn,
    browser: Option<&Browser>,
) -> Result<Option<Arc<Session>>, SignInError> {
    let key = browser.and_then(|browser| browser.session.as_deref()).and_then(enter::unhex).map(SessionKey);
    let Some(key) = key else { return Ok(None) };
    let session = sign_in.parts.sessions.by_key(&key).await?;
    Ok(session.filter(|session| session.touch(sign_in.parts.clock.tick()).is_ok()))
}

fn read(visit: &Visit) -> Result<Answer, SignInError> {
    let form: &[u8] = match visit.method {
        Method::GET => visit.query.as_bytes(),
        Method::POST if is_form(visit.headers.get(CONTENT_TYPE)) => &visit.body,
        Method::POST => return Err(SignInError::Malformed),
        _ => return Err(SignInError::WrongMethod),
    };
    let error = match single(form, "error")? {
        Some(error) => {
            let description = single(form, "error_description")?;
            let subcode = single(form, "error_subcode")?;
            let answer =
                AuthorizeError { error: &error, description: description.as_deref(), subcode: subcode.as_deref() };
            Some(answer.classify())
        }
        None => None,
    };
    Ok(Answer {
        state: single(form, "state")?,
        code: single(form, "code")?.map(Secret::new),
        issuer: single(form, "iss")?,
        error,
    })
}

fn is_form(kind: Option<&HeaderValue>) -> bool {
    kind.and_then(|value| value.to_str().ok())
        .is_some_and(|kind| kind.split(';').next().unwrap_or_default().trim() == "application/x-www-form-urlencoded")
}
