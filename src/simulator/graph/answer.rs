//! What Graph answers, and its error shape (reference section 10.2).

use axum::response::{IntoResponse as _, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use crate::simulator::random;
use crate::simulator::time::Moment;

/// An answer, before its ids and date are on it.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: Vec<(HeaderName, String)>,
    pub(super) body: Body,
}

/// The body of an answer.
#[derive(Debug)]
pub(super) enum Body {
    /// Nothing (204).
    Empty,
    /// An object.
    Json(Value),
    /// An error; ids and date are put in when it is sent.
    Error(Trouble),
    /// Bytes that are wrong on purpose.
    Text(String),
}

impl Answer {
    /// 200 with an object.
    pub(super) const fn json(body: Value) -> Self {
        Self { status: StatusCode::OK, headers: Vec::new(), body: Body::Json(body) }
    }

    /// 204.
    pub(super) const fn empty() -> Self {
        Self { status: StatusCode::NO_CONTENT, headers: Vec::new(), body: Body::Empty }
    }

    /// The body as JSON, its error filled in; `None` for an empty one.
    pub(super) fn value(&self, now: Moment, request_id: &str, client_request_id: &str) -> Option<Value> {
        match &self.body {
            Body::Empty => None,
            Body::Json(value) => Some(value.clone()),
            Body::Error(trouble) => Some(trouble.body(now, request_id, client_request_id)),
            Body::Text(text) => Some(json!(text)),
        }
    }

    /// The HTTP response, with `request-id` and `client-request-id` as Graph sends them.
    pub(super) fn into_response(self, now: Moment, client_request_id: Option<HeaderValue>) -> Response {
        let request_id = random::guid();
        let client = client_request_id.as_ref().and_then(|v| v.to_str().ok()).unwrap_or(&request_id).to_owned();
        let body = match &self.body {
            Body::Text(text) => Some(text.clone()),
            _ => self.value(now, &request_id, &client).map(|value| value.to_string()),
        };
        let mut response = match body {
            Some(body) => (self.status, [(header::CONTENT_TYPE, JSON)], body).into_response(),
            None => self.status.into_response(),
        };
        let ids = [(HeaderName::from_static("request-id"), request_id)];
        let client_id = [(HeaderName::from_static("client-request-id"), client)];
        for (name, value) in self.headers.into_iter().chain(ids).chain(client_id) {
            if let Ok(value) = HeaderValue::from_str(&value) {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }
}

/// A refusal: status, code and text.
#[derive(Debug, Clone)]
pub(super) struct Trouble {
    pub(super) status: StatusCode,
    code: &'static str,
    message: String,
    headers: Vec<(HeaderName, String)>,
}

impl Trouble {
    /// A refusal of one's own wording.
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), headers: Vec::new() }
    }

    /// The same with a header.
    pub(super) fn with(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// 400 `Request_BadRequest`.
    pub(super) fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "Request_BadRequest", message)
    }

    /// 401 `InvalidAuthenticationToken` (the code is unverified, reference section 13, line 14).
    pub(super) fn token(message: &str) -> Self {
        let challenge = "Bearer realm=\"\", error=\"invalid_token\"";
        Self::new(StatusCode::UNAUTHORIZED, "InvalidAuthenticationToken", message)
            .with(header::WWW_AUTHENTICATE, challenge)
    }

    /// 403 `Authorization_RequestDenied`.
    pub(super) fn denied() -> Self {
        Self::new(StatusCode::FORBIDDEN, "Authorization_RequestDenied", DENIED)
    }

    /// 404 `Request_ResourceNotFound`.
    pub(super) fn missing(id: &str) -> Self {
        let message =
            format!("Resource '{id}' does not exist or one of its queried reference-property objects are not present.");
        Self::new(StatusCode::NOT_FOUND, "Request_ResourceNotFound", message)
    }

    /// A path Graph does not have.
    pub(super) fn no_segment(path: &str) -> Self {
        let segment = path.rsplit('/').next().unwrap_or_default();
        Self::bad(format!("Resource not found for the segment '{segment}'."))
    }

    /// 429 (reference section 10.2), with `Retry-After` only where it is given.
    pub(super) fn throttled(retry_after: Option<u64>) -> Self {
        let trouble = Self::new(StatusCode::TOO_MANY_REQUESTS, "TooManyRequests", "Please retry again later.");
        match retry_after {
            Some(seconds) => trouble.with(header::RETRY_AFTER, seconds.to_string()),
            None => trouble,
        }
    }

    fn body(&self, now: Moment, request_id: &str, client_request_id: &str) -> Value {
        let mut inner = json!({
            "date": now.unzoned(), "request-id": request_id, "client-request-id": client_request_id,
        });
        if self.status == StatusCode::TOO_MANY_REQUESTS {
            for (name, value) in [("code", "429"), ("message", "Please retry after"), ("status", "429")] {
                crate::simulator::json::put(&mut inner, name, value);
            }
        }
        json!({"error": {"code": self.code, "message": self.message, "innerError": inner}})
    }
}

impl From<Trouble> for Answer {
    fn from(mut trouble: Trouble) -> Self {
        let headers = std::mem::take(&mut trouble.headers);
        Self { status: trouble.status, headers, body: Body::Error(trouble) }
    }
}

const DENIED: &str = "Insufficient privileges to complete the operation.";
const JSON: &str = "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8";
