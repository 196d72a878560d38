//! What Graph does wrong on purpose (reference section 11, lines 11 and 12).

use http::{StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::answer::{Answer, Body, Trouble};
use crate::simulator::json::put;
use crate::simulator::state::State;

/// An ordered failure of a Graph call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GraphFault {
    /// 429 with this `Retry-After`, as the directory sends it.
    Throttled(u64),
    /// 429 without `Retry-After`, as Identity Protection sends it.
    ThrottledWithoutRetryAfter,
    /// 403 `Authorization_RequestDenied`.
    Forbidden,
    /// 500.
    ServerError,
    /// 503 `serviceNotAvailable`.
    Unavailable,
    /// 410 with a `Location` that has an empty `$deltatoken`: full synchronisation.
    Gone,
    /// 200 with something that is not JSON.
    MalformedJson,
    /// The right answer, cut in the middle.
    Truncated,
    /// The right answer, this many milliseconds late.
    Slow(u64),
    /// The connection is closed without an answer.
    Disconnect,
    /// A page whose risk levels are a value nobody knows.
    UnknownEnum,
    /// A page with one more item, which nobody can read.
    BrokenItem,
}

/// The refusal that comes instead of an answer.
pub(super) fn instead(state: &State, fault: Option<GraphFault>) -> Option<Trouble> {
    Some(match fault? {
        GraphFault::Throttled(seconds) => Trouble::throttled(Some(seconds)),
        GraphFault::ThrottledWithoutRetryAfter => Trouble::throttled(None),
        GraphFault::Forbidden => Trouble::denied(),
        GraphFault::ServerError => {
            Trouble::new(StatusCode::INTERNAL_SERVER_ERROR, "generalException", "General exception while processing.")
        }
        GraphFault::Unavailable => {
            Trouble::new(StatusCode::SERVICE_UNAVAILABLE, "serviceNotAvailable", "The service is unavailable.")
        }
        GraphFault::Gone => gone(state, "users/delta"),
        _ => return None,
    })
}

/// The service's own reset (reference section 5.1).
pub(super) fn gone(state: &State, path: &str) -> Trouble {
    Trouble::new(StatusCode::GONE, "resyncRequired", "Resync required.")
        .with(header::LOCATION, format!("{}/v1.0/{path}?$deltatoken=", state.base))
}

/// Makes a right answer wrong.
pub(super) fn spoil(fault: Option<GraphFault>, mut answer: Answer) -> Answer {
    let Body::Json(body) = &mut answer.body else { return answer };
    match fault {
        Some(GraphFault::MalformedJson) => answer.body = Body::Text("<html>{\"value\":[".to_owned()),
        Some(GraphFault::Truncated) => {
            let text = body.to_string();
            let half = (0..=text.len() / 2).rev().find_map(|at| text.get(..at)).unwrap_or_default().to_owned();
            answer.body = Body::Text(half);
        }
        Some(GraphFault::UnknownEnum) => unknown(body),
        Some(GraphFault::BrokenItem) => {
            if let Some(items) = body.get_mut("value").and_then(Value::as_array_mut) {
                items.push(serde_json::json!({"id": 7}));
            }
        }
        _ => {}
    }
    answer
}

fn unknown(body: &mut Value) {
    if body.get("riskLevel").is_some() {
        put(body, "riskLevel", "extreme");
    }
    let items = body.get_mut("value").and_then(Value::as_array_mut);
    for item in items.into_iter().flatten() {
        put(item, "riskLevel", "extreme");
    }
}
