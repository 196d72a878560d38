//! The page a person sees on the sign-in host: who they are, which apps there are, and the way out.

use std::time::Duration;

use http::{Method, Response, StatusCode};

use super::{SignIn, SignInError, Visit, browser, login, logout, reply};
use crate::edge::Body;
use crate::pages::{AppLink, Page, Portal, SignedInAs};

/// `GET /` on the sign-in host.
pub(super) async fn portal(sign_in: &SignIn, visit: &Visit) -> Result<Response<Body>, SignInError> {
    if !matches!(visit.method, Method::GET | Method::HEAD) {
        return Err(SignInError::WrongMethod);
    }
    let Some(session) = sign_in.session_of(visit).await? else {
        let now = sign_in.now();
        let browser = browser::known(&sign_in.parts.keyring, &visit.headers, &visit.host, now);
        if browser.is_some_and(|browser| browser.is_looping(now)) {
            let retry = format!("{}/", sign_in.config().origin());
            return Ok(reply::page(sign_in, &Page::TooManyAttempts { retry: &retry }, visit, Vec::new()));
        }
        return login::to_provider(sign_in, visit, None, None, None).await;
    };
    let subject = session.subject();
    let apps: Vec<AppLink<'_>> =
        sign_in.config().apps.iter().map(|app| AppLink { name: &app.name, url: &app.url }).collect();
    let csrf = logout::csrf_token(sign_in, &session);
    let left = session.expires().since(sign_in.now());
    let page = Page::Portal(Portal {
        person: SignedInAs { name: &subject.name, email: &subject.email },
        apps: &apps,
        session: &ends_in(left),
        sign_out: logout::SIGN_OUT,
        csrf: &csrf,
    });
    Ok(reply::page(sign_in, &page, visit, Vec::new()))
}

/// `GET /.portcullis/me`: who the gateway takes the browser for. No token, no cookie, no group in it.
pub(super) async fn me(sign_in: &SignIn, visit: &Visit) -> Result<Response<Body>, SignInError> {
    if visit.method != Method::GET {
        return Err(SignInError::WrongMethod);
    }
    Ok(match sign_in.session_of(visit).await? {
        Some(session) => {
            let subject = session.subject();
            let body = serde_json::json!({
                "user": subject.user.to_string(),
                "name": &*subject.name,
                "email": &*subject.email,
            });
            reply::json(StatusCode::OK, &body)
        }
        None => reply::json(StatusCode::UNAUTHORIZED, &serde_json::json!({ "error": "sign_in_required" })),
    })
}

fn ends_in(left: Duration) -> String {
    let minutes = left.as_secs() / 60;
    match minutes {
        0 => "Your session ends in less than a minute.".to_owned(),
        1..60 => format!("Your session ends in {minutes} min."),
        _ => format!("Your session ends in {} h {} min.", minutes / 60, minutes % 60),
    }
}
