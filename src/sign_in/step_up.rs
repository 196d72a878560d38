//! Step-up: the same person proves more to the provider, and the session remembers what and when.
//!
//! The way is that of a sign-in (app host, sign-in host, provider, callback, app host) with an auth context asked for in
//! `claims`. What counts is the context in the `acrs` of the returned token and the person it is about, never what was
//! asked. Source: <https://learn.microsoft.com/entra/identity-platform/developer-guide-conditional-access-authentication-context>.

use std::sync::Arc;

use http::header::WWW_AUTHENTICATE;
use http::{HeaderValue, Method, Response, StatusCode};

use super::callback::{self, Answer};
use super::seal::{Attempt, Browser, Return};
use super::start::{self, Asker};
use super::{PREFIX, SignIn, SignInError, Visit, reply};
use crate::edge::Body;
use crate::entra::{EntraError, RefusalClass};
use crate::facts::{AuthContext, Proof, UnixTime};
use crate::pages::StepUpProblem;
use crate::session::Session;
use crate::telemetry::Secret;
use crate::telemetry::metrics::SignInOutcome;

/// Contexts that one token may show; Entra knows as many.
const MAX_PROOFS: usize = 99;

/// The `claims` parameter that asks for a context (OpenID Connect Core 1.0 section 5.5, as Microsoft's sample sends it).
pub(super) fn claims(context: AuthContext) -> String {
    format!(r#"{{"id_token":{{"acrs":{{"essential":true,"value":"{context}"}}}}}}"#)
}

/// Tells the provider who is meant: its own opaque hint, else the address it gave.
pub(super) fn hint(session: &Session) -> Option<String> {
    let given = session.login_hint().map(|hint| hint.expose().clone());
    given.or_else(|| Some(session.subject().email.to_string()).filter(|email| !email.is_empty()))
}

/// The contexts that a token shows, proven now. Values that are no context (`p1`) are left out.
pub(super) fn proofs(acrs: &[String], now: UnixTime) -> Vec<Proof> {
    let contexts = acrs.iter().filter_map(|value| AuthContext::parse(value));
    contexts.take(MAX_PROOFS).map(|context| Proof { context, at: now }).collect()
}

/// Whether `session` has nothing more to do for `wanted`: no step-up is asked for, or a parallel tab has passed it since.
pub(super) fn is_done(session: &Session, wanted: &Return) -> bool {
    wanted.wants().is_none_or(|context| {
        session.passed().proofs.iter().any(|proof| proof.context == context && proof.at >= wanted.made)
    })
}

/// 401 for a script, with what is needed (RFC 9470 section 3) and the address to open for it.
pub(super) fn program(sign_in: &SignIn, asker: &Asker<'_>, context: AuthContext) -> Response<Body> {
    let origin = sign_in.config().origin_of(asker.host);
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("context", &context.to_string()).append_pair("back", start::page_of(sign_in, asker));
    let body = serde_json::json!({
        "error": "step_up_required",
        "message": "Your organisation asks for a stronger sign-in. Do it, then repeat the request.",
        "acr_values": context.to_string(),
        "login_url": format!("{origin}{PREFIX}step-up?{}", query.finish()),
        "request_id": asker.request_id.to_string(),
    });
    let mut response = reply::json(StatusCode::UNAUTHORIZED, &body);
    let challenge = format!(
        "Bearer error=\"insufficient_user_authentication\", \
         error_description=\"A stronger sign-in is required\", acr_values=\"{context}\""
    );
    // Made of our own words and a number; should it fail all the same, the scheme alone is a valid answer.
    let challenge = HeaderValue::from_str(&challenge).unwrap_or(HeaderValue::from_static("Bearer"));
    response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    start::allow_origin(&mut response, asker.headers, asker.cors_origins);
    response
}

/// `GET /.portcullis/step-up?context=c1&back=<path>` on an app host: where a script sends its person.
pub(super) async fn begin(sign_in: &SignIn, visit: &Visit) -> Result<Response<Body>, SignInError> {
    if visit.method != Method::GET {
        return Err(SignInError::WrongMethod);
    }
    let context = visit.parameter("context")?.as_deref().and_then(AuthContext::parse).ok_or(SignInError::Malformed)?;
    let back = visit.parameter("back")?.unwrap_or_default();
    let back = start::own_path(&back).unwrap_or("/");
    // Without a session here the sign-in host asks for both at once.
    start::navigate(sign_in, &start::asker_of(visit, back), None, Some(context)).ok_or(SignInError::Internal)
}

/// The provider's answer to a step-up. Whatever goes wrong leaves the session as it was, and ends on a page.
pub(super) async fn finish(
    sign_in: &SignIn,
    visit: &Visit,
    answer: Answer,
    attempt: Attempt,
    browser: Browser,
) -> Result<Response<Body>, SignInError> {
    let session = stepping(sign_in, &attempt, &browser).await?;
    let Some((back, wanted)) = attempt.back.clone().and_then(|back| back.wants().map(|context| (back, context))) else {
        return Err(SignInError::StaleAttempt);
    };
    match proven(sign_in, answer, &attempt, &session, wanted).await {
        Ok(()) => {}
        Err(Failure::Known(problem)) => {
            sign_in.ended(visit, SignInOutcome::NotConfirmed, Some(&session));
            let again = format!("{}{}", sign_in.config().origin_of(&back.host), back.path);
            return Err(SignInError::StepUp { problem, again });
        }
        Err(Failure::Other(error)) => return Err(error),
    }
    sign_in.ended(visit, SignInOutcome::SteppedUp, Some(&session));
    // A fresh id for what the session is from now on (threats SE-05); the app host gets its own on entering.
    let value = sign_in.parts.sessions.renew_host(&session, &sign_in.parts.config.host).await?;
    callback::arrive(sign_in, visit, &session, &value, attempt, browser)
}

/// The session that left to step up, if it lives and is still this browser's.
async fn stepping(sign_in: &SignIn, attempt: &Attempt, browser: &Browser) -> Result<Arc<Session>, SignInError> {
    if attempt.session != browser.session {
        return Err(SignInError::StaleAttempt);
    }
    callback::of_browser(sign_in, Some(browser)).await?.ok_or(SignInError::StaleAttempt)
}

/// Why a step-up came to nothing: with a page of its own, or as any sign-in can fail.
enum Failure {
    Known(StepUpProblem),
    Other(SignInError),
}

impl<E: Into<SignInError>> From<E> for Failure {
    fn from(error: E) -> Self {
        match error.into() {
            SignInError::Provider(EntraError::Refused(refusal)) | SignInError::Entra(EntraError::Refused(refusal)) => {
                Self::Known(match refusal.class {
                    RefusalClass::Cancelled => StepUpProblem::Cancelled,
                    _ => StepUpProblem::Refused,
                })
            }
            other => Self::Other(other),
        }
    }
}

async fn proven(
    sign_in: &SignIn,
    mut answer: Answer,
    attempt: &Attempt,
    session: &Arc<Session>,
    wanted: AuthContext,
) -> Result<(), Failure> {
    if let Some(error) = answer.error.take() {
        return Err(SignInError::Provider(error).into());
    }
    let signed_in = callback::redeem(sign_in, answer, attempt).await?;
    if signed_in.subject.user != session.user {
        return Err(Failure::Known(StepUpProblem::OtherPerson));
    }
    let proofs = proofs(&signed_in.acrs, sign_in.now());
    if !proofs.iter().any(|proof| proof.context == wanted) {
        return Err(Failure::Known(StepUpProblem::NotConfirmed));
    }
    let sessions = &sign_in.parts.sessions;
    // Before the proof counts: between now and the browser's return, somebody else's cookie of that host must not have it.
    if let Some(back) = &attempt.back {
        sessions.forget_host(session, &back.host).await.map_err(SignInError::from)?;
    }
    // The newer refresh token carries the stronger sign-in; the older one might be refused for the lack of it.
    let token: Option<Secret<String>> = signed_in.refresh_token;
    sessions.refreshed(session, signed_in.subject, token).await.map_err(SignInError::from)?;
    Ok(sessions.proved(session, &proofs).await.map_err(SignInError::from)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asks_for_the_context_as_microsofts_sample_does() {
        assert_eq!(claims(AuthContext(25)), r#"{"id_token":{"acrs":{"essential":true,"value":"c25"}}}"#);
    }

    #[test]
    fn only_contexts_of_the_token_are_proofs() {
        let acrs: Vec<String> = ["p1", "c1", "C2", "c01", "c100", "c7"].map(str::to_owned).into();
        let found = proofs(&acrs, UnixTime(5));
        let proof = |context| Proof { context: AuthContext(context), at: UnixTime(5) };
        assert_eq!(found, [proof(1), proof(7)]);
        assert_eq!(proofs(&vec!["c1".to_owned(); 1000], UnixTime(5)).len(), MAX_PROOFS);
    }
}
