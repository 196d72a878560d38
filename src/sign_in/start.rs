//! What somebody without a session gets on an app host.

use http::header::{
    ACCEPT, ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_TYPE, ORIGIN, UPGRADE, VARY,
    WWW_AUTHENTICATE,
};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};

use super::cookie::SameSite;
use super::seal::{self, Return};
use super::{PREFIX, SignIn, SignInError, Visit, browser, reply};
use crate::edge::Body;
use crate::pages::{Audience, KeptPost, Page};
use crate::telemetry::RequestId;

/// Longest path with query that is remembered through a sign-in; a longer one comes back to the app's front page.
const MAX_PATH: usize = 1500;

/// Somebody without a session, asking for something on an app host.
#[derive(Debug)]
pub struct Asker<'a> {
    /// The app's host, without port.
    pub host: &'a str,
    /// Path and query.
    pub path_and_query: &'a str,
    /// Method.
    pub method: &'a Method,
    /// Headers.
    pub headers: &'a HeaderMap,
    /// Origins whose scripts may call the app.
    pub cors_origins: &'a [String],
    /// The body, if it is a form small enough to be sent again after the sign-in.
    pub form: Option<&'a [u8]>,
    /// For pages and logs.
    pub request_id: RequestId,
}

/// Which kind of answer fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unauthenticated {
    /// A person navigates: redirect.
    Navigation,
    /// A person submits a form on the app's own page: hold it, then redirect.
    Form,
    /// A script or program: 401 with the address to sign in at.
    Program,
}

impl Unauthenticated {
    /// Looks at the request only; nothing is read from the body.
    #[must_use]
    pub fn of(method: &Method, headers: &HeaderMap, host: &str) -> Self {
        if is_navigation(method, headers) {
            return Self::Navigation;
        }
        if *method == Method::POST && is_own_form(headers, host) { Self::Form } else { Self::Program }
    }
}

/// Whether a browser shows the answer as a page: a GET that says it navigates, or, from browsers that do not say, one
/// that asks for HTML first (Fetch Metadata, <https://www.w3.org/TR/fetch-metadata/>).
pub fn is_navigation(method: &Method, headers: &HeaderMap) -> bool {
    if !matches!(*method, Method::GET | Method::HEAD) || headers.contains_key(UPGRADE) {
        return false;
    }
    match text(headers, "sec-fetch-mode") {
        Some(mode) => mode == "navigate",
        None => {
            let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
            accept.contains("text/html") && text(headers, "x-requested-with").is_none()
        }
    }
}

/// A form post that comes from the app's own page. One from elsewhere must not be kept: replaying it after the sign-in
/// would hand a cross-site request the cookie that `SameSite` withheld.
fn is_own_form(headers: &HeaderMap, host: &str) -> bool {
    let is_form = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|kind| kind.split(';').next().unwrap_or_default().trim() == "application/x-www-form-urlencoded");
    let navigates = text(headers, "sec-fetch-mode").is_none_or(|mode| mode == "navigate");
    let same_origin = match (text(headers, "sec-fetch-site"), headers.get(ORIGIN).and_then(|value| value.to_str().ok()))
    {
        (Some(site), _) => site == "same-origin",
        (None, Some(origin)) => origin
            .strip_prefix("https://")
            .and_then(|rest| rest.split(':').next())
            .is_some_and(|name| name.eq_ignore_ascii_case(host)),
        (None, None) => false,
    };
    is_form && navigates && same_origin
}

/// The answer. Allocates nothing that outlives it: where to go back to is sealed into the address.
pub(super) fn challenge(sign_in: &SignIn, asker: &Asker<'_>) -> Response<Body> {
    let kind = Unauthenticated::of(asker.method, asker.headers, asker.host);
    let form = matches!(kind, Unauthenticated::Form).then_some(asker.form).flatten();
    match kind {
        Unauthenticated::Navigation => navigate(sign_in, asker, None),
        Unauthenticated::Form if form.is_some() => navigate(sign_in, asker, form),
        Unauthenticated::Form | Unauthenticated::Program => program(sign_in, asker),
    }
    .unwrap_or_else(|| {
        // Only the system's randomness or the keyring can have failed.
        to_body(sign_in, &Page::StoreDown, asker)
    })
}

fn navigate(sign_in: &SignIn, asker: &Asker<'_>, form: Option<&[u8]>) -> Option<Response<Body>> {
    let parts = &sign_in.parts;
    let now = sign_in.now();
    let browser = browser::known_or_new(&parts.keyring, asker.headers, asker.host, now)?;
    if browser.is_looping(now) {
        let retry = format!("{}{}", sign_in.config().origin_of(asker.host), "/");
        return Some(to_body(sign_in, &Page::TooManyAttempts { retry: &retry }, asker));
    }
    let path = if asker.path_and_query.len() <= MAX_PATH { asker.path_and_query } else { "/" };
    let back = Return {
        host: asker.host.to_owned(),
        path: path.to_owned(),
        browser: seal::fingerprint(&browser.id),
        form: match form {
            Some(_) => Some(seal::random::<12>()?),
            None => None,
        },
        made: now,
    };
    let to = address(sign_in, &back)?;
    let cookie = browser::set(&parts.keyring, &browser, asker.host, SameSite::Lax)?;
    let (Some(form), Some(key)) = (form, &back.form) else { return Some(reply::redirect(&to, vec![cookie])) };
    let fields: Vec<(String, String)> = url::form_urlencoded::parse(form).into_owned().collect();
    let page = Page::PreservePost(KeptPost { key, action: asker.path_and_query, fields: &fields, login_url: &to });
    let mut response = to_body(sign_in, &page, asker);
    response.headers_mut().append(http::header::SET_COOKIE, cookie);
    Some(response)
}

/// `GET /.portcullis/sign-in?back=/path` on an app host: where a script sends its person. Comes back to `back`, which
/// can only be a path on this very host.
pub(super) async fn from_script(sign_in: &SignIn, visit: &Visit) -> Result<Response<Body>, SignInError> {
    if visit.method != Method::GET {
        return Err(SignInError::WrongMethod);
    }
    let back = visit.parameter("back")?.filter(|back| is_local_path(back)).unwrap_or_else(|| "/".to_owned());
    if sign_in.session_of(visit).await?.is_some() {
        return Ok(reply::redirect(&back, Vec::new()));
    }
    let asker = Asker {
        host: &visit.host,
        path_and_query: &back,
        method: &visit.method,
        headers: &visit.headers,
        cors_origins: &[],
        form: None,
        request_id: visit.request_id,
    };
    navigate(sign_in, &asker, None).ok_or(SignInError::Internal)
}

/// Whether a browser takes `text` as a path on the host it is at, and nothing else: `//host`, `/\host` and control
/// characters lead elsewhere.
fn is_local_path(text: &str) -> bool {
    text.starts_with('/')
        && !text.starts_with("//")
        && text.bytes().all(|byte| matches!(byte, b'!'..=b'~') && !matches!(byte, b'\\' | b'"' | b'<' | b'>'))
}

/// 401 as RFC 9110 15.5.2 wants it, with what a script needs to send its person to the sign-in.
fn program(sign_in: &SignIn, asker: &Asker<'_>) -> Option<Response<Body>> {
    // On the app's own host, so that `?back=` can bring the person back to where the script runs.
    let login_url = format!("{}{PREFIX}sign-in", sign_in.config().origin_of(asker.host));
    let body = serde_json::json!({
        "error": "sign_in_required",
        "message": "Sign in, then repeat the request.",
        "login_url": login_url,
        "request_id": asker.request_id.to_string(),
    });
    let mut response = reply::json(StatusCode::UNAUTHORIZED, &body);
    response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Portcullis"));
    allow_origin(&mut response, asker.headers, asker.cors_origins);
    Some(response)
}

/// CORS headers for an answer of the gateway's own, for configured origins only (Fetch standard, 3.3).
pub fn allow_origin(response: &mut Response<Body>, request: &HeaderMap, allowed: &[String]) {
    let Some(origin) = request.get(ORIGIN) else { return };
    let headers = response.headers_mut();
    headers.append(VARY, HeaderValue::from_static("Origin"));
    if allowed.iter().any(|known| known.as_bytes() == origin.as_bytes()) {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    }
}

/// The address on the sign-in host that begins a sign-in.
fn address(sign_in: &SignIn, back: &Return) -> Option<String> {
    let sealed = seal::seal(&sign_in.parts.keyring, b"", back)?;
    Some(format!("{}{PREFIX}sign-in?to={sealed}", sign_in.config().origin()))
}

fn to_body(sign_in: &SignIn, page: &Page<'_>, asker: &Asker<'_>) -> Response<Body> {
    sign_in.parts.pages.respond(page, Audience::Browser, &asker.request_id.to_string()).map(Body::Full)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_path_on_this_host_is_a_way_back() {
        for good in ["/", "/a/b?c=d", "/a%20b", "/a//b"] {
            assert!(is_local_path(good), "{good}");
        }
        for bad in
            ["", "a", "//evil.test", "/\\evil.test", "https://evil.test", "/a\rb", "/a b", "javascript:alert(1)", "/é"]
        {
            assert!(!is_local_path(bad), "{bad}");
        }
    }
}
