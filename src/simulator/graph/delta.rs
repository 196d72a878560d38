//! Changes of users and groups since a link was handed out (reference section 5.1).
//!
//! No change is written down when it happens, so none can be forgotten: a link keeps what the stored people and groups
//! looked like, and the answer is the difference. The crowd never changes; whoever does has left it first.

mod difference;

use std::sync::Arc;

use http::StatusCode;
use serde_json::{Value, json};

use super::Ask;
use super::answer::{Answer, Trouble};
use super::books::Link;
use super::directory::{self, KNOWN_USER, READ_GROUPS, READ_USERS, USUAL_USER};
use super::faults;
use super::query::{project, walk};
use crate::simulator::json::put;
use crate::simulator::state::State;
use crate::simulator::world::Tenant;

pub(super) use difference::Snapshot;

/// What a synchronisation follows.
#[derive(Debug, Clone)]
pub(super) struct Track {
    kind: Kind,
    select: Vec<String>,
    ids: Option<Vec<String>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Users,
    Groups,
}

/// `GET /users/delta`
pub(super) fn users(state: &State, ask: &Ask) -> Result<Answer, Trouble> {
    ask.caller.need(READ_USERS)?;
    let select = ask.query.selected(USUAL_USER, KNOWN_USER, "microsoft.graph.user")?;
    serve(state, ask, Kind::Users, select)
}

/// `GET /groups/delta`
pub(super) fn groups(state: &State, ask: &Ask) -> Result<Answer, Trouble> {
    ask.caller.need(READ_GROUPS)?;
    let known = ["id", "displayName", "securityEnabled", "mailEnabled", "members"];
    let select = ask.query.selected(&known[..4], &known, "microsoft.graph.group")?;
    serve(state, ask, Kind::Groups, select)
}

fn serve(state: &State, ask: &Ask, kind: Kind, select: Vec<String>) -> Result<Answer, Trouble> {
    ask.query.only_known()?;
    if ask.query.top.is_some() {
        return Err(Trouble::bad("The query option '$top' is not supported."));
    }
    if let Some(token) = &ask.query.skip_token {
        // Taken out of the lock first: the answer writes a link down itself.
        let link = state.graph().link(&ask.caller.tid, &ask.path, token);
        return match link {
            Some(Link::First { track, since, at, member }) => first(state, ask, track, since, at, member),
            Some(Link::Rest { track, since, items, at }) => Ok(rest(state, ask, track, since, items, at)),
            _ => Err(expired()),
        };
    }
    let now = state.now();
    match ask.query.delta_token.as_deref() {
        None | Some("") => {
            let track = Track { kind, select, ids: ids(ask)? };
            first(state, ask, track, snapshot(state, ask)?, 0, 0)
        }
        Some("latest") => {
            let track = Track { kind, select, ids: ids(ask)? };
            let since = snapshot(state, ask)?;
            Ok(last(state, ask, track, since, Vec::new()))
        }
        Some(token) => {
            if state.graph().take_reset() {
                return Err(faults::gone(state, &ask.path));
            }
            let link = state.graph().link(&ask.caller.tid, &ask.path, token);
            let Some(Link::Delta { track, since, issued }) = link else { return Err(expired()) };
            if now.seconds_since(issued) > TOKEN_SECONDS {
                return Err(expired());
            }
            changes(state, ask, track, &since)
        }
    }
}

/// The ids of the filter; no other filter is taken, nor more than 50 ids.
fn ids(ask: &Ask) -> Result<Option<Vec<String>>, Trouble> {
    let Some(filter) = &ask.query.filter else { return Ok(None) };
    let ids = filter.ids().filter(|ids| ids.len() <= MAX_IDS);
    ids.map(Some).ok_or_else(|| Trouble::bad("Only up to 50 ids can be filtered for."))
}

fn snapshot(state: &State, ask: &Ask) -> Result<Arc<Snapshot>, Trouble> {
    let fresh = {
        let world = state.world();
        Snapshot::of(world.tenant(&ask.caller.tid).ok_or_else(Trouble::denied)?)
    };
    Ok(state.graph().share(&ask.caller.tid, fresh))
}

/// A page of everything there is. Large groups repeat, each time with a further part of their members.
fn first(
    state: &State,
    ask: &Ask,
    track: Track,
    since: Arc<Snapshot>,
    at: u64,
    member: usize,
) -> Result<Answer, Trouble> {
    if state.graph().take_empty_page() {
        return Ok(more(state, ask, &track.clone(), Vec::new(), Link::First { track, since, at, member }));
    }
    let size = state.graph().page_size.unwrap_or(PAGE).max(1);
    let (items, next) = {
        let world = state.world();
        let tenant = world.tenant(&ask.caller.tid).ok_or_else(Trouble::denied)?;
        match track.kind {
            Kind::Users => {
                let (items, next) = walk(at, directory::count_users(tenant), size, |place| {
                    let person = directory::user_at(tenant, place).filter(|person| !person.deleted)?;
                    track.follows(&person.oid).then(|| project(&directory::user_value(&person), &track.select))
                });
                (items, next.map(|at| (at, 0)))
            }
            Kind::Groups => group_page(tenant, &track, at, member, size),
        }
    };
    match next {
        Some((at, member)) => {
            let link = Link::First { track: track.clone(), since, at, member };
            Ok(more(state, ask, &track, items, link))
        }
        None => Ok(last(state, ask, track, since, items)),
    }
}

/// Groups with their members, no more than [`MEMBERS`] of them on a page.
fn group_page(
    tenant: &Tenant,
    track: &Track,
    at: u64,
    member: usize,
    size: usize,
) -> (Vec<Value>, Option<(u64, usize)>) {
    let wants_members = track.select.iter().any(|name| name == "members");
    let (mut items, mut place, mut from, mut room) = (Vec::new(), at, member, MEMBERS);
    let count = directory::count_groups(tenant);
    while place < count && items.len() < size && room > 0 {
        let group = directory::group_at(tenant, place).filter(|group| track.follows(&group.id));
        if let Some(group) = group {
            let mut object = project(&directory::group_value(&group), &track.select);
            if wants_members {
                let members = directory::members(tenant, &group.id);
                let part: Vec<Value> = members.iter().skip(from).take(room).map(member_value).collect();
                let until = from + part.len();
                room -= part.len();
                if !part.is_empty() {
                    put(&mut object, "members@delta", part);
                }
                items.push(object);
                if until < members.len() {
                    return (items, Some((place, until)));
                }
            } else {
                items.push(object);
            }
        }
        (place, from) = (place + 1, 0);
    }
    (items, (place < count).then_some((place, 0)))
}

fn member_value((kind, id): &(&'static str, String)) -> Value {
    json!({"@odata.type": kind, "id": id})
}

/// What is different from `since`, page by page.
fn changes(state: &State, ask: &Ask, track: Track, since: &Snapshot) -> Result<Answer, Trouble> {
    let now = snapshot(state, ask)?;
    let is_minimal = ask.prefers("return=minimal");
    let items = {
        let world = state.world();
        let tenant = world.tenant(&ask.caller.tid).ok_or_else(Trouble::denied)?;
        match track.kind {
            Kind::Users => difference::users(since, &now, tenant, &track.select, is_minimal),
            Kind::Groups => difference::groups(since, &now, tenant, &track.select, is_minimal),
        }
    };
    let followed = items.into_iter().filter(|item| item["id"].as_str().is_some_and(|id| track.follows(id)));
    let items: Arc<Vec<Value>> = Arc::new(followed.collect());
    Ok(rest(state, ask, track, now, items, 0))
}

fn rest(state: &State, ask: &Ask, track: Track, since: Arc<Snapshot>, items: Arc<Vec<Value>>, at: usize) -> Answer {
    if state.graph().take_empty_page() {
        return more(state, ask, &track.clone(), Vec::new(), Link::Rest { track, since, items, at });
    }
    let size = state.graph().page_size.unwrap_or(PAGE).max(1);
    let page: Vec<Value> = items.iter().skip(at).take(size).cloned().collect();
    let until = at + page.len();
    if until < items.len() {
        return more(state, ask, &track.clone(), page, Link::Rest { track, since, items, at: until });
    }
    last(state, ask, track, since, page)
}

fn more(state: &State, ask: &Ask, track: &Track, items: Vec<Value>, link: Link) -> Answer {
    let token = state.graph().hand_out(&ask.caller.tid, &ask.path, link);
    let next = format!("{}/v1.0/{}?$skiptoken={token}", state.base, ask.path);
    collection(state, track, "@odata.nextLink", next, items)
}

fn last(state: &State, ask: &Ask, track: Track, since: Arc<Snapshot>, items: Vec<Value>) -> Answer {
    let link = Link::Delta { track: track.clone(), since, issued: state.now() };
    let token = state.graph().hand_out(&ask.caller.tid, &ask.path, link);
    let next = format!("{}/v1.0/{}?$deltatoken={token}", state.base, ask.path);
    collection(state, &track, "@odata.deltaLink", next, items)
}

fn collection(state: &State, track: &Track, link: &str, address: String, items: Vec<Value>) -> Answer {
    let kind = if track.kind == Kind::Users { "users" } else { "groups" };
    let context = format!("{}/v1.0/$metadata#{kind}({})", state.base, track.select.join(","));
    let mut body = json!({"@odata.context": context, "value": items});
    put(&mut body, link, address);
    Answer::json(body)
}

impl Track {
    fn follows(&self, id: &str) -> bool {
        self.ids.as_ref().is_none_or(|ids| ids.iter().any(|one| one.eq_ignore_ascii_case(id)))
    }
}

/// Reference section 5.1, reset case 1. The exact body for the directory is unverified (section 13, line 11).
fn expired() -> Trouble {
    Trouble::new(
        StatusCode::GONE,
        "syncStateNotFound",
        "The sync state generation is not found; resynchronization is required.",
    )
}

/// Reference section 5.1: seven days for directory objects.
const TOKEN_SECONDS: u64 = 7 * 24 * 3600;
const MAX_IDS: usize = 50;
const PAGE: usize = 200;
const MEMBERS: usize = 2_000;
