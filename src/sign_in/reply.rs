//! Building the answers of the gateway's own endpoints.

use http::header::{CACHE_CONTROL, LOCATION, ORIGIN, REFERRER_POLICY, SET_COOKIE};
use http::{HeaderValue, Response, StatusCode};

use super::{SignIn, Visit};
use crate::edge::Body;
use crate::pages::Page;

/// A redirect that changes the method to GET and is never cached. `to` was built by us, never taken from a request.
pub(super) fn redirect(to: &str, cookies: Vec<HeaderValue>) -> Response<Body> {
    let mut response = Response::new(Body::Empty);
    match HeaderValue::from_str(to) {
        Ok(location) => {
            *response.status_mut() = StatusCode::SEE_OTHER;
            response.headers_mut().insert(LOCATION, location);
        }
        Err(_) => *response.status_mut() = StatusCode::BAD_REQUEST,
    }
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // The address may carry a sealed value; it must not travel on in a Referer.
    response.headers_mut().insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    with_cookies(response, cookies)
}

/// A page or its JSON twin, whichever the asker can read.
pub(super) fn page(sign_in: &SignIn, page: &Page<'_>, visit: &Visit, cookies: Vec<HeaderValue>) -> Response<Body> {
    let id = visit.request_id.to_string();
    with_cookies(sign_in.parts.pages.respond(page, visit.audience(), &id).map(Body::Full), cookies)
}

/// A JSON body.
pub(super) fn json(status: StatusCode, value: &serde_json::Value) -> Response<Body> {
    let mut response = Response::new(Body::full(value.to_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(http::header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// Whether a form was sent from a page of the host it was sent to, as far as the browser tells.
pub(super) fn is_own_origin(sign_in: &SignIn, visit: &Visit) -> bool {
    match visit.headers.get(ORIGIN) {
        // A page with `Referrer-Policy: no-referrer` posts with `Origin: null`; then the browser's own word counts.
        Some(origin) if origin.as_bytes() != b"null" => {
            origin.as_bytes() == sign_in.config().origin_of(&visit.host).as_bytes()
        }
        // `none` is the person's own doing, such as a reload.
        _ => visit.headers.get("sec-fetch-site").is_none_or(|site| matches!(site.as_bytes(), b"same-origin" | b"none")),
    }
}

fn with_cookies(mut response: Response<Body>, cookies: Vec<HeaderValue>) -> Response<Body> {
    for cookie in cookies {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    response
}
