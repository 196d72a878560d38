//! People, groups and who is in which (reference sections 5.2 and 7.4).

use serde_json::{Value, json};

use super::Ask;
use super::answer::{Answer, Trouble};
use super::query::{Page, project, walk};
use crate::simulator::state::State;
use crate::simulator::time::Moment;
use crate::simulator::world::{Group, Person, Tenant, group_id};

/// `GET /users`
pub(super) fn users(state: &State, ask: &Ask) -> Result<Answer, Trouble> {
    ask.caller.need(READ_USERS)?;
    let page = Page::open(state, ask, 100, 999)?;
    let select = page.query.selected(USUAL_USER, KNOWN_USER, "microsoft.graph.user")?;
    if let Some(filter) = &page.query.filter {
        filter.only(KNOWN_USER)?;
    }
    let (found, next) = {
        let world = state.world();
        let tenant = world.tenant(&ask.caller.tid).ok_or_else(Trouble::denied)?;
        walk(page.at, count_users(tenant), page.size, |place| {
            let object = user_value(&user_at(tenant, place).filter(|person| !person.deleted)?);
            let is_meant = page.query.filter.as_ref().is_none_or(|filter| filter.holds(&object));
            is_meant.then(|| project(&object, &select))
        })
    };
    Ok(page.answer(state, ask, "users", found, next))
}

/// `GET /users/{id}`
pub(super) fn user(state: &State, ask: &Ask, id: &str) -> Result<Answer, Trouble> {
    ask.caller.need(READ_USERS)?;
    ask.query.only_known()?;
    let select = ask.query.selected(USUAL_USER, KNOWN_USER, "microsoft.graph.user")?;
    let mut object = project(&user_value(&person(state, ask, id)?), &select);
    let context = format!("{}/v1.0/$metadata#users/$entity", state.base);
    crate::simulator::json::put(&mut object, "@odata.context", context);
    Ok(Answer::json(object))
}

/// `GET /groups`
pub(super) fn groups(state: &State, ask: &Ask) -> Result<Answer, Trouble> {
    ask.caller.need(READ_GROUPS)?;
    let page = Page::open(state, ask, 100, 999)?;
    let select = page.query.selected(USUAL_GROUP, USUAL_GROUP, "microsoft.graph.group")?;
    if let Some(filter) = &page.query.filter {
        filter.only(USUAL_GROUP)?;
    }
    let (found, next) = {
        let world = state.world();
        let tenant = world.tenant(&ask.caller.tid).ok_or_else(Trouble::denied)?;
        walk(page.at, count_groups(tenant), page.size, |place| {
            let object = group_value(&group_at(tenant, place)?);
            let is_meant = page.query.filter.as_ref().is_none_or(|filter| filter.holds(&object));
            is_meant.then(|| project(&object, &select))
        })
    };
    Ok(page.answer(state, ask, "groups", found, next))
}

/// `GET /groups/{id}`
pub(super) fn group(state: &State, ask: &Ask, id: &str) -> Result<Answer, Trouble> {
    ask.caller.need(READ_GROUPS)?;
    let world = state.world();
    let tenant = world.tenant(&ask.caller.tid).ok_or_else(Trouble::denied)?;
    let mut object = group_value(&find_group(tenant, id).ok_or_else(|| Trouble::missing(id))?);
    let context = format!("{}/v1.0/$metadata#groups/$entity", state.base);
    crate::simulator::json::put(&mut object, "@odata.context", context);
    Ok(Answer::json(object))
}

/// `GET /users/{id}/transitiveMemberOf`: direct groups and the groups those are in.
pub(super) fn memberships(state: &State, ask: &Ask, id: &str) -> Result<Answer, Trouble> {
    ask.caller.need(READ_USERS)?;
    let person = person(state, ask, id)?;
    let page = Page::open(state, ask, 100, 999)?;
    let (found, next) = {
        let world = state.world();
        let tenant = world.tenant(&ask.caller.tid).ok_or_else(Trouble::denied)?;
        let ids = tenant.transitive_groups(&person);
        walk(page.at, as_u64(ids.len()), page.size, |place| {
            let id = ids.get(usize::try_from(place).ok()?)?;
            let mut object = group_value(&find_group(tenant, id)?);
            crate::simulator::json::put(&mut object, "@odata.type", "#microsoft.graph.group");
            Some(object)
        })
    };
    Ok(page.answer(state, ask, "directoryObjects", found, next))
}

/// `POST /users/{id}/checkMemberGroups`: which of at most 20 groups the person is in, transitively.
pub(super) fn check_groups(state: &State, ask: &Ask, id: &str) -> Result<Answer, Trouble> {
    need_memberships(ask)?;
    let asked = ask.body.as_ref().and_then(|body| body.get("groupIds")).and_then(Value::as_array);
    let asked: Vec<&str> = asked.into_iter().flatten().filter_map(Value::as_str).collect();
    if asked.is_empty() || asked.len() > MAX_CHECKED {
        return Err(Trouble::bad(format!("The number of group ids must be between 1 and {MAX_CHECKED}.")));
    }
    let groups = transitive(state, ask, id)?;
    let within: Vec<&str> = asked.into_iter().filter(|id| groups.iter().any(|g| g.eq_ignore_ascii_case(id))).collect();
    Ok(strings(state, json!(within)))
}

/// `POST /users/{id}/getMemberGroups` and `getMemberObjects`
pub(super) fn member_groups(state: &State, ask: &Ask, id: &str) -> Result<Answer, Trouble> {
    need_memberships(ask)?;
    Ok(strings(state, json!(transitive(state, ask, id)?)))
}

/// Reference section 5.2: `User.Read.All` and `GroupMember.Read.All` together.
fn need_memberships(ask: &Ask) -> Result<(), Trouble> {
    ask.caller.need(READ_USERS)?;
    ask.caller.need(READ_GROUPS)
}

fn transitive(state: &State, ask: &Ask, id: &str) -> Result<Vec<String>, Trouble> {
    let person = person(state, ask, id)?;
    let world = state.world();
    Ok(world.tenant(&ask.caller.tid).map(|tenant| tenant.transitive_groups(&person)).unwrap_or_default())
}

fn strings(state: &State, value: Value) -> Answer {
    let context = format!("{}/v1.0/$metadata#Collection(Edm.String)", state.base);
    Answer::json(json!({"@odata.context": context, "value": value}))
}

/// The living account of the caller's tenant, or 404.
pub(super) fn person(state: &State, ask: &Ask, id: &str) -> Result<Person, Trouble> {
    let world = state.world();
    world.tenant(&ask.caller.tid).and_then(|tenant| tenant.account(id)).ok_or_else(|| Trouble::missing(id))
}

/// How many places [`user_at`] has.
pub(super) fn count_users(tenant: &Tenant) -> u64 {
    as_u64(tenant.people.len()) + u64::from(tenant.crowd.users())
}

/// The account at a place: the stored ones, deleted ones included, then the crowd.
pub(super) fn user_at(tenant: &Tenant, place: u64) -> Option<Person> {
    match place.checked_sub(as_u64(tenant.people.len())) {
        None => tenant.people.get(usize::try_from(place).ok()?).cloned(),
        Some(number) => tenant.crowd.person(u32::try_from(number).ok()?),
    }
}

/// How many places [`group_at`] has.
pub(super) fn count_groups(tenant: &Tenant) -> u64 {
    as_u64(tenant.groups.len()) + u64::from(tenant.crowd.groups())
}

/// The group at a place: the stored ones, then the crowd's.
pub(super) fn group_at(tenant: &Tenant, place: u64) -> Option<Group> {
    match place.checked_sub(as_u64(tenant.groups.len())) {
        None => tenant.groups.get(usize::try_from(place).ok()?).cloned(),
        Some(number) => tenant.crowd.group(u32::try_from(number).ok()?),
    }
}

fn find_group(tenant: &Tenant, id: &str) -> Option<Group> {
    let stored = tenant.groups.iter().find(|group| group.id.eq_ignore_ascii_case(id)).cloned();
    stored.or_else(|| tenant.crowd.group(tenant.crowd.group_number(id)?))
}

/// The direct members of a group: stored people, groups inside it, then the crowd.
pub(super) fn members(tenant: &Tenant, group: &str) -> Vec<(&'static str, String)> {
    let is_in = |person: &&Person| !person.deleted && person.groups.iter().any(|g| g == group);
    let people = tenant.people.iter().filter(is_in).map(|person| (USER_TYPE, person.oid.clone()));
    let inner = tenant.nesting.iter().filter(|(_, outer)| outer.iter().any(|g| g == group));
    let inner = inner.map(|(id, _)| (GROUP_TYPE, id.clone()));
    let crowd = tenant.crowd.group_number(group).filter(|number| group_id(*number) == group);
    let crowd = crowd.into_iter().flat_map(|number| tenant.crowd.members(number)).map(|id| (USER_TYPE, id));
    people.chain(inner).chain(crowd).collect()
}

/// Every property of a user this Graph knows.
pub(super) fn user_value(person: &Person) -> Value {
    json!({
        "id": person.oid, "displayName": person.name, "userPrincipalName": person.upn, "mail": person.email,
        "accountEnabled": person.enabled, "userType": if person.guest_of.is_some() { "Guest" } else { "Member" },
        "signInSessionsValidFromDateTime": Moment(person.sessions_valid_from).zoned(),
    })
}

/// Every property of a group this Graph knows.
pub(super) fn group_value(group: &Group) -> Value {
    json!({"id": group.id, "displayName": group.name, "securityEnabled": true, "mailEnabled": false})
}

fn as_u64(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

/// Any of these may read people (reference sections 2.1 and 5.1).
pub(super) const READ_USERS: &[&str] = &["User.Read.All", "User.ReadWrite.All", "Directory.Read.All"];
/// Any of these may read groups and their members.
pub(super) const READ_GROUPS: &[&str] = &["GroupMember.Read.All", "Group.Read.All", "Directory.Read.All"];
/// What comes without `$select`; the other properties only on `$select` (reference section 7.4).
pub(super) const USUAL_USER: &[&str] = &["id", "displayName", "userPrincipalName", "mail"];
/// What can be selected.
pub(super) const KNOWN_USER: &[&str] = &[
    "id",
    "displayName",
    "userPrincipalName",
    "mail",
    "accountEnabled",
    "userType",
    "signInSessionsValidFromDateTime",
];
const USUAL_GROUP: &[&str] = &["id", "displayName", "securityEnabled", "mailEnabled"];
const USER_TYPE: &str = "#microsoft.graph.user";
const GROUP_TYPE: &str = "#microsoft.graph.group";
/// Reference section 5.2.
const MAX_CHECKED: usize = 20;
