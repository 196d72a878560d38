//! From the sign-in host to an app host: a one-time code is exchanged for that host's own cookie.

use std::sync::Arc;

use http::{Method, Response};

use super::cookie::{self, SameSite};
use super::seal::{self, CODE_LIFETIME, Code, Return};
use super::{PREFIX, SignIn, SignInError, Visit, browser, reply};
use crate::edge::Body;
use crate::pages::Page;
use crate::session::{Session, SessionKey};

/// Sends a signed-in browser where it wanted to go, or to the portal.
pub(super) fn send(
    sign_in: &SignIn,
    session: &Arc<Session>,
    back: Option<Return>,
) -> Result<Response<Body>, SignInError> {
    let parts = &sign_in.parts;
    let Some(back) = back.filter(|back| back.host != parts.config.host) else {
        return Ok(reply::redirect(&format!("{}/", parts.config.origin()), Vec::new()));
    };
    let origin = parts.config.origin_of(&back.host);
    let host = back.host.clone();
    let code = Code {
        id: seal::random::<16>().ok_or(SignInError::Internal)?,
        session: hex(&session.key.0),
        back,
        made: sign_in.now(),
    };
    let code = seal::seal(&parts.keyring, host.as_bytes(), &code).ok_or(SignInError::Internal)?;
    Ok(reply::redirect(&format!("{origin}{PREFIX}enter?code={code}"), Vec::new()))
}

/// `GET /.portcullis/enter?code=` on an app host.
pub(super) async fn enter(sign_in: &SignIn, visit: &Visit) -> Result<Response<Body>, SignInError> {
    if visit.method != Method::GET {
        return Err(SignInError::WrongMethod);
    }
    let parts = &sign_in.parts;
    let now = sign_in.now();
    let code: Option<Code> =
        visit.parameter("code")?.and_then(|text| seal::open(&parts.keyring, visit.host.as_bytes(), &text, now));
    let browser = browser::known(&parts.keyring, &visit.headers, &visit.host, now);
    let usable = match (&code, &browser) {
        (Some(code), Some(browser)) => {
            // Claimed first: a code that was shown to another browser is spent, or whoever made that browser follow a
            // sign-in address of their own could still use what it was given.
            parts.peers.claim(code.id.as_bytes(), CODE_LIFETIME).await
                && code.back.browser == seal::fingerprint(&browser.id)
        }
        (Some(code), None) => {
            parts.peers.claim(code.id.as_bytes(), CODE_LIFETIME).await;
            return Err(SignInError::CookiesBlocked);
        }
        (None, _) => false,
    };
    let (Some(code), Some(mut browser), true) = (code, browser, usable) else {
        // Back button or a second click: a browser that is in stays in.
        return match sign_in.session_of(visit).await? {
            Some(_) => Ok(reply::redirect("/", Vec::new())),
            None => Err(SignInError::StaleAttempt),
        };
    };
    let key = unhex(&code.session).map(SessionKey).ok_or(SignInError::Malformed)?;
    let session = parts.sessions.by_key(&key).await?.ok_or(SignInError::StaleAttempt)?;
    let value = match code.back.wants() {
        // What the session gained must not be gained by whoever else had this host's cookie (threats SE-05).
        Some(context) => {
            browser.step(context, code.back.rounds, now);
            parts.sessions.renew_host(&session, &visit.host).await?
        }
        None => {
            browser.enter(code.back.rounds, now);
            parts.sessions.bind_host(&session, &visit.host).await?
        }
    };
    let cookies = vec![
        cookie::set(cookie::SESSION, value.expose(), SameSite::Lax).ok_or(SignInError::Internal)?,
        browser::set(&parts.keyring, &browser, &visit.host, SameSite::Lax).ok_or(SignInError::Internal)?,
    ];
    let to = match code.back.form {
        Some(key) => format!("{PREFIX}resume?key={key}"),
        None => code.back.path,
    };
    Ok(reply::redirect(&to, cookies))
}

/// `GET /.portcullis/resume?key=`: the page that sends a held-back form again.
pub(super) fn resume(sign_in: &SignIn, visit: &Visit) -> Result<Response<Body>, SignInError> {
    let key = visit.parameter("key")?.ok_or(SignInError::Malformed)?;
    let plain = key.len() <= 64 && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    if !plain {
        return Err(SignInError::Malformed);
    }
    Ok(reply::page(sign_in, &Page::ResumePost { key: &key, fallback: "/" }, visit, Vec::new()))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0u8; 32];
    if text.len() != 64 {
        return None;
    }
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(at * 2..at * 2 + 2)?, 16).ok()?;
    }
    Some(bytes)
}
