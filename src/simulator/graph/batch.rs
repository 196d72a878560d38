//! `$batch`: up to twenty calls in one, each answered and throttled by itself (reference section 5.3).

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::{Map, Value, json};

use super::answer::{Answer, Trouble};
use super::query::Query;
use super::{Ask, dispatch};
use crate::simulator::json::put;
use crate::simulator::random;
use crate::simulator::state::State;

/// `POST /$batch`
pub(super) fn answer(state: &State, ask: &Ask) -> Answer {
    all(state, ask).unwrap_or_else(Answer::from)
}

fn all(state: &State, ask: &Ask) -> Result<Answer, Trouble> {
    if ask.method != Method::POST {
        return Err(Trouble::no_segment(&ask.path));
    }
    let requests = ask.body.as_ref().and_then(|body| body.get("requests")).and_then(Value::as_array);
    let requests = requests.filter(|requests| !requests.is_empty());
    let requests = requests.ok_or_else(|| Trouble::bad("The property 'requests' is missing or empty."))?;
    if requests.len() > MAX_REQUESTS {
        return Err(Trouble::bad(format!(
            "Number of batch request steps exceeds the maximum value of {MAX_REQUESTS}."
        )));
    }
    let mut statuses: BTreeMap<&str, u16> = BTreeMap::new();
    for request in requests {
        let id = request.get("id").and_then(Value::as_str).filter(|id| !id.is_empty());
        let id = id.ok_or_else(|| Trouble::bad("A request of the batch has no id."))?;
        if statuses.insert(id, 0).is_some() {
            return Err(Trouble::bad(format!("Request Id {id} has to be unique in a batch.")));
        }
    }
    let mut responses = Vec::new();
    for request in requests {
        let id = request.get("id").and_then(Value::as_str).unwrap_or_default();
        let wanted = request.get("dependsOn").and_then(Value::as_array);
        let mut wanted = wanted.into_iter().flatten().filter_map(Value::as_str);
        let answer = if wanted.all(|other| statuses.get(other).is_some_and(|status| (200..300).contains(status))) {
            one(state, ask, request).unwrap_or_else(Answer::from)
        } else {
            Trouble::new(http::StatusCode::FAILED_DEPENDENCY, "FailedDependency", "A request it depends on failed.")
                .into()
        };
        statuses.insert(id, answer.status.as_u16());
        responses.push(response(state, id, &answer));
    }
    Ok(Answer::json(json!({ "responses": responses })))
}

fn one(state: &State, ask: &Ask, request: &Value) -> Result<Answer, Trouble> {
    let text = |name: &str| request.get(name).and_then(Value::as_str);
    let method = text("method").and_then(|m| Method::from_bytes(m.to_ascii_uppercase().as_bytes()).ok());
    let method = method.ok_or_else(|| Trouble::bad("A request of the batch has no method."))?;
    let url = text("url").ok_or_else(|| Trouble::bad("A request of the batch has no url."))?;
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    let mut headers = HeaderMap::new();
    for (name, value) in request.get("headers").and_then(Value::as_object).into_iter().flatten() {
        let name = HeaderName::from_bytes(name.as_bytes());
        let value = value.as_str().map(HeaderValue::from_str);
        if let (Ok(name), Some(Ok(value))) = (name, value) {
            headers.append(name, value);
        }
    }
    let inner = Ask {
        method,
        path: path.trim_start_matches('/').to_owned(),
        query: Query::parse(query)?,
        headers,
        body: request.get("body").cloned(),
        caller: ask.caller.clone(),
    };
    // An inner `$batch` is no path of `dispatch`, so batches do not nest.
    Ok(dispatch(state, &inner))
}

fn response(state: &State, id: &str, answer: &Answer) -> Value {
    let request_id = random::guid();
    let mut headers = Map::new();
    for (name, value) in &answer.headers {
        headers.insert(name.as_str().to_owned(), json!(value));
    }
    let mut response = json!({"id": id, "status": answer.status.as_u16()});
    if let Some(body) = answer.value(state.now(), &request_id, &request_id) {
        headers.insert("Content-Type".to_owned(), json!("application/json"));
        put(&mut response, "body", body);
    }
    put(&mut response, "headers", headers);
    response
}

/// Reference section 5.3.
const MAX_REQUESTS: usize = 20;
