//! The cookie that ties a browser to its session at the provider.

use axum::response::Response;
use http::{HeaderMap, HeaderValue, header};

/// The session handle a request carries.
pub(super) fn read(headers: &HeaderMap) -> Option<String> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .find_map(|pair| pair.trim().strip_prefix(NAME)?.strip_prefix('='))
        .map(str::to_owned)
}

/// Sets the cookie. `Lax`, because a browser takes `None` only over TLS.
pub(super) fn set(response: &mut Response, handle: &str) {
    put(response, &format!("{NAME}={handle}; Path=/; HttpOnly; SameSite=Lax"));
}

/// Takes the cookie away.
pub(super) fn clear(response: &mut Response) {
    put(response, &format!("{NAME}=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0"));
}

fn put(response: &mut Response, cookie: &str) {
    if let Ok(value) = HeaderValue::from_str(cookie) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
}

/// Entra's own name for it.
const NAME: &str = "ESTSAUTH";
