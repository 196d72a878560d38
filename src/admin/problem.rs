//! How the admin API says no: problem details (RFC 9457) with a word for programs, a sentence, and what mends it.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;

/// The body of every answer that is not a success.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(super) struct Problem {
    /// A word from a closed list; stays as it is.
    pub(super) error: &'static str,
    /// The status, again.
    pub(super) status: u16,
    /// What is wrong, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) message: Option<String>,
    /// What mends it: a command, an address, or what to send instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) fix: Option<String>,
}

impl Problem {
    /// A problem that its word says all about.
    pub(super) const fn new(status: StatusCode, word: &'static str) -> Self {
        Self { error: word, status: status.as_u16(), message: None, fix: None }
    }

    pub(super) fn says(self, message: impl Into<String>) -> Self {
        Self { message: Some(message.into()), ..self }
    }

    pub(super) fn fix(self, fix: impl Into<String>) -> Self {
        Self { fix: Some(fix.into()), ..self }
    }

    /// 400.
    pub(super) const fn bad(word: &'static str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, word)
    }

    /// 504: no answer within the listener's deadline.
    pub(super) const fn timed_out() -> Self {
        Self { error: TIMED_OUT.1, status: TIMED_OUT.0, message: None, fix: None }
    }

    /// 404.
    pub(super) const fn missing(word: &'static str) -> Self {
        Self::new(StatusCode::NOT_FOUND, word)
    }

    /// 409.
    pub(super) const fn conflict(word: &'static str) -> Self {
        Self::new(StatusCode::CONFLICT, word)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(self)).into_response();
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        response
    }
}

/// What every route may say when it takes too long.
pub(super) const TIMED_OUT: (u16, &str) = (504, "timeout");
