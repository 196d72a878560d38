//! The answer of `/token`, right or in a wrong form.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use http::{StatusCode, header};
use http_body::Frame;
use serde_json::{Value, json};
use tokio::time::{Interval, MissedTickBehavior};

use super::tokens;
use crate::simulator::faults::Hostile;
use crate::simulator::json::put;
use crate::simulator::state::{Grant, State};
use crate::simulator::time::Moment;

/// What a request earned.
pub(super) struct Issue {
    pub(super) access_token: String,
    pub(super) expires_in: u64,
    pub(super) refresh_token: Option<String>,
    pub(super) with_id_token: bool,
    /// `None` for an app-only token.
    pub(super) grant: Option<Grant>,
    pub(super) now: Moment,
}

/// Writes the response; an ordered hostile mode is used up here.
pub(super) fn respond(state: &State, issue: &Issue) -> Response {
    let mode = state.faults().next_hostile();
    let body = body(state, issue, mode);
    match mode {
        Some(Hostile::Html) => {
            ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], "<html><body>Sign in</body></html>").into_response()
        }
        Some(Hostile::Redirect) => {
            (StatusCode::FOUND, [(header::LOCATION, format!("{}/elsewhere", state.base))]).into_response()
        }
        Some(Hostile::HugeBody) => stream(Filler::new(b" ".repeat(64 * 1024).into(), 800, None)),
        Some(Hostile::SlowDrip) => stream(Filler::new(Bytes::from_static(b" "), 3_600, Some(Duration::from_secs(1)))),
        Some(Hostile::CutJson) => {
            let text = body.to_string();
            let half = text.get(..text.len() / 2).unwrap_or_default().to_owned();
            ([(header::CONTENT_TYPE, JSON)], half).into_response()
        }
        _ => ([(header::CONTENT_TYPE, JSON)], body.to_string()).into_response(),
    }
}

fn body(state: &State, issue: &Issue, mode: Option<Hostile>) -> Value {
    let mut body = json!({
        "token_type": "Bearer",
        "expires_in": issue.expires_in,
        "ext_expires_in": issue.expires_in,
        "access_token": issue.access_token,
    });
    let Some(grant) = &issue.grant else { return body };
    let scopes: Vec<&str> = grant.scopes.iter().map(String::as_str).filter(|s| *s != "offline_access").collect();
    put(&mut body, "scope", scopes.join(" "));
    if let Some(refresh_token) = &issue.refresh_token {
        put(&mut body, "refresh_token", refresh_token.clone());
    }
    if issue.with_id_token && mode != Some(Hostile::NoIdToken) {
        let mode = mode.filter(|m| !m.is_response());
        put(&mut body, "id_token", tokens::id_token(state, grant, issue.now, mode));
    }
    body
}

fn stream(filler: Filler) -> Response {
    ([(header::CONTENT_TYPE, JSON)], Body::new(filler)).into_response()
}

/// The same chunk again and again, at once or one per interval.
struct Filler {
    chunk: Bytes,
    left: u32,
    interval: Option<Interval>,
}

impl Filler {
    fn new(chunk: Bytes, left: u32, every: Option<Duration>) -> Self {
        let interval = every.map(|every| {
            let mut interval = tokio::time::interval(every);
            interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
            interval
        });
        Self { chunk, left, interval }
    }
}

impl http_body::Body for Filler {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if let Some(interval) = &mut self.interval
            && interval.poll_tick(context).is_pending()
        {
            return Poll::Pending;
        }
        let Some(left) = self.left.checked_sub(1) else { return Poll::Ready(None) };
        self.left = left;
        Poll::Ready(Some(Ok(Frame::data(self.chunk.clone()))))
    }
}

const JSON: &str = "application/json; charset=utf-8";
