//! The query options of OData that Graph's pages name, and the links that continue an answer.

use serde_json::{Map, Value, json};

use super::Ask;
use super::answer::{Answer, Trouble};
use super::books::Link;
use super::filter::Filter;
use crate::simulator::state::State;

/// Options by name, each at most once.
#[derive(Debug, Clone, Default)]
pub(super) struct Query {
    pub(super) select: Option<Vec<String>>,
    pub(super) top: Option<usize>,
    pub(super) filter: Option<Filter>,
    pub(super) skip_token: Option<String>,
    pub(super) delta_token: Option<String>,
    /// `$expand`, `$orderby`, `$search`, `$skip`: named, so that each path can refuse them.
    pub(super) others: Vec<String>,
}

impl Query {
    /// Reads a query string.
    pub(super) fn parse(text: &str) -> Result<Self, Trouble> {
        let mut query = Self::default();
        for (name, value) in url::form_urlencoded::parse(text.as_bytes()) {
            match name.as_ref() {
                "$select" => query.select = Some(value.split(',').map(|name| name.trim().to_owned()).collect()),
                "$top" => {
                    let top = value.parse().ok().filter(|top| *top > 0);
                    query.top = Some(top.ok_or_else(|| Trouble::bad("Invalid page size specified."))?);
                }
                "$filter" => query.filter = Some(Filter::parse(&value)?),
                "$skiptoken" => query.skip_token = Some(value.into_owned()),
                "$deltatoken" => query.delta_token = Some(value.into_owned()),
                "$count" => {}
                other => query.others.push(other.to_owned()),
            }
        }
        Ok(query)
    }

    /// Refuses the options a path does not know.
    pub(super) fn only_known(&self) -> Result<(), Trouble> {
        match self.others.iter().find(|name| name.starts_with('$')) {
            Some(name) => Err(Trouble::bad(format!("The query option '{name}' is not supported."))),
            None => Ok(()),
        }
    }

    /// The selected properties, or `usual`; one that is not among `known` is refused.
    pub(super) fn selected(&self, usual: &[&str], known: &[&str], kind: &str) -> Result<Vec<String>, Trouble> {
        let Some(select) = &self.select else { return Ok(usual.iter().map(|name| (*name).to_owned()).collect()) };
        if let Some(name) = select.iter().find(|name| !known.contains(&name.as_str())) {
            return Err(Trouble::bad(format!("Could not find a property named '{name}' on type '{kind}'.")));
        }
        Ok(select.clone())
    }
}

/// `object` with only these members, and `id` always.
pub(super) fn project(object: &Value, select: &[String]) -> Value {
    let members = object.as_object().into_iter().flatten();
    let kept = members.filter(|(name, _)| *name == "id" || name.starts_with('@') || select.contains(name));
    Value::Object(kept.map(|(name, value)| (name.clone(), value.clone())).collect::<Map<_, _>>())
}

/// A page being filled: what is asked for, and where to go on.
pub(super) struct Page {
    pub(super) query: Query,
    pub(super) at: u64,
    pub(super) size: usize,
}

impl Page {
    /// Opens the call's link, or starts at the beginning. `usual` and `most` are the page sizes of this path.
    pub(super) fn open(state: &State, ask: &Ask, usual: usize, most: usize) -> Result<Self, Trouble> {
        ask.query.only_known()?;
        let (query, at) = match &ask.query.skip_token {
            None => (ask.query.clone(), 0),
            Some(token) => match state.graph().link(&ask.caller.tid, &ask.path, token) {
                Some(Link::Page { query, at }) => (query, at),
                _ => return Err(Trouble::bad("Invalid skip token.")),
            },
        };
        let size = query.top.unwrap_or(usual);
        if size > most {
            return Err(Trouble::bad(format!("Invalid page size specified: '{size}'. Must be between 1 and {most}.")));
        }
        Ok(Self { query, at, size: state.graph().page_size.map_or(size, |cap| size.min(cap.max(1))) })
    }

    /// The collection answer; `next` is where the following page starts.
    pub(super) fn answer(
        self,
        state: &State,
        ask: &Ask,
        context: &str,
        value: Vec<Value>,
        next: Option<u64>,
    ) -> Answer {
        let mut body = json!({"@odata.context": format!("{}/v1.0/$metadata#{context}", state.base)});
        if let Some(at) = next {
            let token = state.graph().hand_out(&ask.caller.tid, &ask.path, Link::Page { query: self.query, at });
            let link = format!("{}/v1.0/{}?$skiptoken={token}", state.base, ask.path);
            crate::simulator::json::put(&mut body, "@odata.nextLink", link);
        }
        crate::simulator::json::put(&mut body, "value", value);
        Answer::json(body)
    }
}

/// Walks `count` places from `at`, keeping what `item` gives until `size` are found. Returns them and where to go on.
pub(super) fn walk(
    at: u64,
    count: u64,
    size: usize,
    mut item: impl FnMut(u64) -> Option<Value>,
) -> (Vec<Value>, Option<u64>) {
    let mut found = Vec::new();
    let mut place = at;
    while place < count && found.len() < size {
        found.extend(item(place));
        place += 1;
    }
    (found, (place < count).then_some(place))
}
