//! What somebody gets on an app host who has to sign in, or to step up, first.

use http::header::{
    ACCEPT, ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_TYPE, ORIGIN, UPGRADE, VARY,
    WWW_AUTHENTICATE,
};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};

use super::cookie::SameSite;
use super::seal::{self, Return};
use super::{PREFIX, SignIn, SignInError, Visit, browser, reply, step_up};
use crate::edge::Body;
use crate::facts::AuthContext;
use crate::pages::{Audience, KeptPost, KeptWhile, Page};
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

/// Whether a browser goes to a page: it shows the answer, and may be sent elsewhere because nothing but the address
/// is in the request.
fn is_navigation(method: &Method, headers: &HeaderMap) -> bool {
    matches!(*method, Method::GET | Method::HEAD) && is_shown(headers)
}

/// Whether a browser shows the answer as a page, be it to a link or to a form: the request says it navigates, or, from
/// browsers that do not say, asks for HTML (Fetch Metadata, <https://www.w3.org/TR/fetch-metadata/>).
#[must_use]
pub fn is_shown(headers: &HeaderMap) -> bool {
    if headers.contains_key(UPGRADE) {
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

/// The answer: to sign in, or to step up to `wanted`. Allocates nothing that outlives it: where to go back to is sealed
/// into the address.
pub(super) fn challenge(sign_in: &SignIn, asker: &Asker<'_>, wanted: Option<AuthContext>) -> Response<Body> {
    let kind = Unauthenticated::of(asker.method, asker.headers, asker.host);
    let form = matches!(kind, Unauthenticated::Form).then_some(asker.form).flatten();
    match kind {
        Unauthenticated::Navigation => navigate(sign_in, asker, None, wanted),
        Unauthenticated::Form if form.is_some() => navigate(sign_in, asker, form, wanted),
        Unauthenticated::Form | Unauthenticated::Program => Some(match wanted {
            Some(context) => step_up::program(sign_in, asker, context),
            None => program(sign_in, asker),
        }),
    }
    .unwrap_or_else(|| {
        // Only the system's randomness or the keyring can have failed.
        to_body(sign_in, &Page::StoreDown, asker)
    })
}

/// Sends the browser to the sign-in host; `None` if randomness or the keyring fails.
pub(super) fn navigate(
    sign_in: &SignIn,
    asker: &Asker<'_>,
    form: Option<&[u8]>,
    wanted: Option<AuthContext>,
) -> Option<Response<Body>> {
    let parts = &sign_in.parts;
    let now = sign_in.now();
    let browser = browser::known_or_new(&parts.keyring, asker.headers, asker.host, now)?;
    let circles =
        wanted.map_or_else(|| browser.is_looping(now), |context| browser.is_stepping_in_circles(context, now));
    if circles {
        let retry = format!("{}{}", sign_in.config().origin_of(asker.host), "/");
        return Some(to_body(sign_in, &Page::TooManyAttempts { retry: &retry }, asker));
    }
    let path = own_path(asker.path_and_query).unwrap_or("/");
    let back = Return {
        host: asker.host.to_owned(),
        path: path.to_owned(),
        browser: seal::fingerprint(&browser.id),
        form: match form {
            Some(_) => Some(seal::random::<12>()?),
            None => None,
        },
        rounds: wanted.map_or_else(|| browser.rounds(now), |context| browser.step_rounds(context, now)),
        context: wanted.map(|context| context.0),
        made: now,
    };
    let sealed = seal::seal(&parts.keyring, b"", &back)?;
    let to = format!("{}{PREFIX}sign-in?to={sealed}", sign_in.config().origin());
    let cookie = browser::set(&parts.keyring, &browser, asker.host, SameSite::Lax)?;
    let (Some(form), Some(key)) = (form, &back.form) else { return Some(reply::redirect(&to, vec![cookie])) };
    let why = if wanted.is_some() { KeptWhile::SteppingUp } else { KeptWhile::SigningIn };
    let mut response = keep(sign_in, asker, (form, key), &to, why);
    response.headers_mut().append(http::header::SET_COOKIE, cookie);
    Some(response)
}

/// The page that keeps a form in the browser under its key and goes on to `next`.
pub(super) fn keep(
    sign_in: &SignIn,
    asker: &Asker<'_>,
    (form, key): (&[u8], &str),
    next: &str,
    why: KeptWhile,
) -> Response<Body> {
    let fields: Vec<(String, String)> = url::form_urlencoded::parse(form).into_owned().collect();
    let kept = KeptPost { key, action: asker.path_and_query, fields: &fields, login_url: next, why };
    to_body(sign_in, &Page::PreservePost(kept), asker)
}

/// 401 as RFC 9110 15.5.2 wants it, with what a script needs to send its person to the sign-in.
fn program(sign_in: &SignIn, asker: &Asker<'_>) -> Response<Body> {
    let login_url = login_url(sign_in, asker);
    let body = serde_json::json!({
        "error": "sign_in_required",
        "message": "Sign in, then repeat the request.",
        "login_url": login_url,
        "request_id": asker.request_id.to_string(),
    });
    let mut response = reply::json(StatusCode::UNAUTHORIZED, &body);
    response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Portcullis"));
    allow_origin(&mut response, asker.headers, asker.cors_origins);
    response
}

/// Where a script sends its person: to [`begin`] on the app's own host, so that the way back ends on the page the
/// script belongs to. A page of another origin is not followed back to; then it is the app's front page.
fn login_url(sign_in: &SignIn, asker: &Asker<'_>) -> String {
    let origin = sign_in.config().origin_of(asker.host);
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("back", page_of(sign_in, asker));
    format!("{origin}{PREFIX}sign-in?{}", query.finish())
}

/// The page of this host that a script belongs to, as far as the request tells.
pub(super) fn page_of<'a>(sign_in: &SignIn, asker: &Asker<'a>) -> &'a str {
    let origin = sign_in.config().origin_of(asker.host);
    text(asker.headers, "referer").and_then(|page| page.strip_prefix(&origin)).and_then(own_path).unwrap_or("/")
}

/// `GET /.portcullis/sign-in?back=<path>` on an app host: the same as going to that path without a session.
pub(super) async fn begin(sign_in: &SignIn, visit: &Visit) -> Result<Response<Body>, SignInError> {
    if visit.method != Method::GET {
        return Err(SignInError::WrongMethod);
    }
    let back = visit.parameter("back")?.unwrap_or_default();
    let back = own_path(&back).unwrap_or("/");
    if sign_in.session_of(visit).await?.is_some() {
        return Ok(reply::redirect(back, Vec::new()));
    }
    navigate(sign_in, &asker_of(visit, back), None, None).ok_or(SignInError::Internal)
}

/// The same as going to `back` without anything but a link.
pub(super) fn asker_of<'a>(visit: &'a Visit, back: &'a str) -> Asker<'a> {
    Asker {
        host: &visit.host,
        path_and_query: back,
        method: &visit.method,
        headers: &visit.headers,
        cors_origins: &[],
        form: None,
        request_id: visit.request_id,
    }
}

/// Path and query, if a browser would look for it on the same host and the gateway's own pages are not meant: what
/// ends up in `Location` must not be another origin in any reading (`//x`, `/\\x`, control characters).
pub(super) fn own_path(text: &str) -> Option<&str> {
    let plain =
        text.len() <= MAX_PATH && text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'\\' | b'#'));
    let own = text.starts_with('/') && !text.starts_with("//");
    let reserved = text.get(1..PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(".portcullis/"));
    (plain && own && !reserved).then_some(text)
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

pub(super) fn to_body(sign_in: &SignIn, page: &Page<'_>, asker: &Asker<'_>) -> Response<Body> {
    sign_in.parts.pages.respond(page, Audience::Browser, &asker.request_id.to_string()).map(Body::Full)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_the_same_host_are_gone_back_to() {
        for path in ["/", "/a?b=c&d=//e", "/%5cevil.test", "/.portcullisx"] {
            assert_eq!(own_path(path), Some(path));
        }
        let long = format!("/{}", "a".repeat(MAX_PATH));
        for path in [
            "",
            "a",
            "//evil.test",
            "///evil.test",
            "/\\evil.test",
            "/\t/evil.test",
            "https://evil.test",
            "https:evil.test",
            "javascript:alert(1)",
            "/a\r\nSet-Cookie: x",
            "/a b",
            "/ä",
            "/.portcullis/sign-in",
            "/.PORTCULLIS/enter",
            &long,
        ] {
            assert_eq!(own_path(path), None, "{path:?}");
        }
    }
}
