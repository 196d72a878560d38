//! Failures with Microsoft's numbers, and the JSON body they travel in (reference sections 1.8 and 10.1).

use axum::response::{IntoResponse as _, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::json;

use super::json;
use super::random;
use super::time::Moment;

/// One failure. Its number decides `error`, `suberror` and the HTTP status.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    /// The AADSTS number.
    pub(super) code: u32,
    /// The OAuth `error`.
    pub(super) error: &'static str,
    /// The `suberror`, where one was seen.
    pub(super) suberror: Option<&'static str>,
    /// The text after `AADSTS…: `.
    pub(super) text: String,
    /// The `claims` to send back to `/authorize`, a JSON text.
    pub(super) claims: Option<String>,
}

impl Failure {
    /// The failure with this number and text.
    pub(super) fn new(code: u32, text: impl Into<String>) -> Self {
        let (error, suberror) = kind(code);
        Self { code, error, suberror, text: text.into(), claims: None }
    }

    /// A failure somebody ordered by number only.
    pub(super) fn ordered(code: u32) -> Self {
        let text = match code {
            50057 => "The user account is disabled.",
            50076 => MFA_TEXT,
            50173 => "The provided grant has expired due to it being revoked, a fresh auth token is needed.",
            53003 => BLOCKED_TEXT,
            65001 => "The user or administrator has not consented to use the application.",
            _ => "The simulator was told to fail.",
        };
        let mut failure = Self::new(code, text);
        failure.claims = (code == 50076).then(capolids);
        failure
    }

    /// A required parameter is missing (900144).
    pub(super) fn missing(parameter: &str) -> Self {
        Self::new(900_144, format!("The request body must contain the following parameter: '{parameter}'."))
    }

    /// A second factor is needed (50076), with the `claims` that ask for it.
    pub(super) fn mfa_needed() -> Self {
        let mut failure = Self::new(50076, MFA_TEXT);
        failure.claims = Some(capolids());
        failure
    }

    /// Conditional Access says no (53003).
    pub(super) fn blocked() -> Self {
        Self::new(53003, BLOCKED_TEXT)
    }

    /// The same failure as `/authorize` reports it when nobody may be asked: something interactive is required.
    pub(super) fn silent(mut self) -> Self {
        if self.error == "invalid_grant" {
            self.error = "interaction_required";
        }
        self
    }

    /// The HTTP status of the JSON body.
    pub(super) fn status(&self) -> StatusCode {
        match self.error {
            // Reference section 13, line 5: 400 or 401 is unverified for `invalid_client`; RFC 6749 section 5.2 says 401.
            "invalid_client" => StatusCode::UNAUTHORIZED,
            "temporarily_unavailable" => StatusCode::SERVICE_UNAVAILABLE,
            "server_error" => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    /// `AADSTS50011: …` with the trailer.
    pub(super) fn description(&self, trace: &Trace) -> String {
        format!(
            "AADSTS{}: {}\r\nTrace ID: {}\r\nCorrelation ID: {}\r\nTimestamp: {}",
            self.code, self.text, trace.id, trace.correlation, trace.at
        )
    }

    /// The response of a JSON endpoint.
    pub(super) fn reply(&self, trace: &Trace, base: &str) -> Response {
        let mut body = json!({
            "error": self.error,
            "error_description": self.description(trace),
            "error_codes": [self.code],
            "timestamp": trace.at,
            "trace_id": trace.id,
            "correlation_id": trace.correlation,
            "error_uri": error_uri(base, self.code),
        });
        if let Some(suberror) = self.suberror {
            json::put(&mut body, "suberror", suberror);
        }
        if let Some(claims) = &self.claims {
            json::put(&mut body, "claims", claims.clone());
        }
        let mut response = (self.status(), axum::Json(body)).into_response();
        trace.stamp(&mut response);
        response
    }
}

/// The ids of one request, as they appear in bodies, pages and headers.
#[derive(Debug, Clone)]
pub(super) struct Trace {
    /// `trace_id` and `x-ms-request-id`.
    pub(super) id: String,
    /// `correlation_id`: the caller's `client-request-id`, or a fresh one.
    pub(super) correlation: String,
    /// The time in the form of error bodies.
    pub(super) at: String,
}

impl Trace {
    /// The ids for a request that came with these headers.
    pub(super) fn of(headers: &http::HeaderMap, now: Moment) -> Self {
        let correlation = headers.get("client-request-id").and_then(|v| v.to_str().ok());
        Self {
            id: random::guid(),
            correlation: correlation.filter(|id| random::is_guid(id)).map_or_else(random::guid, str::to_owned),
            at: now.spaced(),
        }
    }

    /// Writes the headers of section 1.4's trace on a response.
    pub(super) fn stamp(&self, response: &mut Response) {
        let headers = response.headers_mut();
        if let Ok(id) = HeaderValue::from_str(&self.id) {
            headers.entry("x-ms-request-id").or_insert(id);
        }
        headers.insert("x-ms-ests-server", HeaderValue::from_static("2.1.20000.1 - SIM ProdSlices"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store, no-cache"));
        headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    }
}

/// Where a number is explained.
pub(super) fn error_uri(base: &str, code: u32) -> String {
    format!("{base}/error?code={code}")
}

/// `error` and `suberror` by number: reference section 1.8, else `invalid_request`.
const fn kind(code: u32) -> (&'static str, Option<&'static str>) {
    match code {
        50058 | 160_021 => ("login_required", None),
        16000 | 50034 | 50105 | 50158 | 51004 | 53000 | 53001 | 50097 => ("interaction_required", None),
        65004 | 50020 => ("access_denied", None),
        50055 | 50144 => ("invalid_grant", Some("user_password_expired")),
        50072 | 50074 | 50076 | 50078 | 50079 => ("invalid_grant", Some("basic_action")),
        53003 => ("invalid_grant", Some("message_only")),
        65001 => ("invalid_grant", Some("consent_required")),
        700_082 => ("invalid_grant", Some("bad_token")),
        50057 | 50132 | 50133 | 50126 | 50173 | 50196 | 54005 | 70000 | 70008 | 70043 | 501_481 | 500_112 | 700_005 => {
            ("invalid_grant", None)
        }
        70011 => ("invalid_scope", None),
        500_011 => ("invalid_resource", None),
        700_054 => ("unsupported_response", None),
        70005 => ("unsupported_response_type", None),
        70003 => ("unsupported_grant_type", None),
        700_016 | 7_000_112 | 50194 => ("unauthorized_client", None),
        50012 | 50048 | 70021 | 700_025 | 700_027 | 7_000_215 | 7_000_218 | 7_000_222 | 700_023 | 700_024 => {
            ("invalid_client", None)
        }
        90006 | 90024 | 90033 | 90055 => ("temporarily_unavailable", None),
        _ => ("invalid_request", None),
    }
}

/// The `claims` of a 50076 answer (reference section 1.8, last lines).
fn capolids() -> String {
    json!({"access_token": {"capolids": {"essential": true, "values": [POLICY_ID]}}}).to_string()
}

const POLICY_ID: &str = "2e6d9b41-7c05-4f8a-b3d2-61e0a59c4f78";
const MFA_TEXT: &str = "Due to a configuration change made by your administrator, or because you moved to a new \
    location, you must use multi-factor authentication to access the resource.";
const BLOCKED_TEXT: &str = "Access has been blocked by Conditional Access policies. The access policy does not allow \
    token issuance.";
