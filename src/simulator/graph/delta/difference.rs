//! What a tenant's directory looked like, and what is different now.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::super::directory;
use super::super::query::project;
use crate::simulator::json::put;
use crate::simulator::world::{Person, Tenant, group_id};

/// The stored people and groups at a moment, and who had left the crowd.
#[derive(Debug, PartialEq)]
pub(in crate::simulator::graph) struct Snapshot {
    people: BTreeMap<String, Value>,
    /// Ids of soft-deleted people.
    soft: BTreeSet<String>,
    groups: BTreeMap<String, GroupThen>,
    taken: BTreeSet<u32>,
}

#[derive(Debug, PartialEq)]
struct GroupThen {
    value: Value,
    members: BTreeMap<String, &'static str>,
}

impl Snapshot {
    /// The tenant as it is now.
    pub(in crate::simulator::graph) fn of(tenant: &Tenant) -> Self {
        let living = tenant.people.iter().filter(|person| !person.deleted);
        let deleted = tenant.people.iter().filter(|person| person.deleted);
        let mut groups: BTreeMap<String, GroupThen> = tenant
            .groups
            .iter()
            .map(|group| {
                let then = GroupThen { value: directory::group_value(group), members: BTreeMap::new() };
                (group.id.clone(), then)
            })
            .collect();
        let inner = tenant.nesting.iter().flat_map(|(id, outer)| outer.iter().map(move |o| (o, id, GROUP)));
        let people = living.clone().flat_map(|p: &Person| p.groups.iter().map(move |group| (group, &p.oid, USER)));
        for (group, id, kind) in people.chain(inner) {
            // Groups of the crowd are computed; only those with stored members need a place of their own.
            let known = tenant.crowd.group_number(group).and_then(|number| tenant.crowd.group(number));
            if let Some(known) = known {
                groups
                    .entry(group.clone())
                    .or_insert_with(|| GroupThen { value: directory::group_value(&known), members: BTreeMap::new() });
            }
            if let Some(then) = groups.get_mut(group) {
                then.members.insert(id.clone(), kind);
            }
        }
        Self {
            people: living.map(|person| (person.oid.clone(), directory::user_value(person))).collect(),
            soft: deleted.map(|person| person.oid.clone()).collect(),
            groups,
            taken: tenant.crowd.taken().clone(),
        }
    }

    /// The members of a group then; those who have left the crowd since were members of their group.
    fn members(&self, tenant: &Tenant, group: &str) -> BTreeMap<String, &'static str> {
        let mut members = self.groups.get(group).map(|then| then.members.clone()).unwrap_or_default();
        for number in tenant.crowd.taken().difference(&self.taken) {
            if tenant.crowd.group_of(*number).map(group_id).as_deref() == Some(group) {
                members.insert(crate::simulator::world::user_id(*number), USER);
            }
        }
        members
    }
}

/// New, changed and removed people, of the selected properties only.
pub(super) fn users(then: &Snapshot, now: &Snapshot, tenant: &Tenant, select: &[String], minimal: bool) -> Vec<Value> {
    let mut found = Vec::new();
    for (id, object) in &now.people {
        let object = project(object, select);
        let old = then.people.get(id).map(|old| project(old, select));
        if old.as_ref() != Some(&object) {
            found.push(if minimal { only_changed(old.as_ref(), object) } else { object });
        }
    }
    // Whoever left the crowd and was deleted is known by the number alone.
    let left = tenant.crowd.taken().difference(&then.taken).map(|n| crate::simulator::world::user_id(*n));
    let gone: BTreeSet<String> = then.people.keys().chain(&then.soft).cloned().chain(left).collect();
    for id in gone.iter().filter(|id| !now.people.contains_key(*id)) {
        // Soft-deleted is "changed", for good is "deleted" (reference section 5.1).
        let reason = if now.soft.contains(id) { "changed" } else { "deleted" };
        if !(now.soft.contains(id) && then.soft.contains(id)) {
            found.push(json!({"id": id, "@removed": {"reason": reason}}));
        }
    }
    found
}

/// New, changed and removed groups, with the difference of their members if those are selected.
pub(super) fn groups(then: &Snapshot, now: &Snapshot, tenant: &Tenant, select: &[String], minimal: bool) -> Vec<Value> {
    let mut found = Vec::new();
    let wants_members = select.iter().any(|name| name == "members");
    let ids: BTreeSet<&String> = then.groups.keys().chain(now.groups.keys()).collect();
    let crowd: Vec<String> = tenant
        .crowd
        .taken()
        .difference(&then.taken)
        .filter_map(|number| tenant.crowd.group_of(*number).map(group_id))
        .collect();
    for id in ids.into_iter().chain(&crowd).collect::<BTreeSet<_>>() {
        let is_of_crowd = tenant.crowd.group_number(id).and_then(|number| tenant.crowd.group(number));
        let value =
            now.groups.get(id).map(|g| g.value.clone()).or_else(|| is_of_crowd.as_ref().map(directory::group_value));
        let Some(value) = value else {
            found.push(json!({"id": id, "@removed": {"reason": "deleted"}}));
            continue;
        };
        let object = project(&value, select);
        let old = then.groups.get(id).map(|g| project(&g.value, select));
        let old = old.or_else(|| is_of_crowd.as_ref().map(|_| object.clone()));
        let moved = if wants_members { moved(&then.members(tenant, id), &now.members(tenant, id)) } else { Vec::new() };
        if old.as_ref() == Some(&object) && moved.is_empty() {
            continue;
        }
        let mut object = if minimal { only_changed(old.as_ref(), object) } else { object };
        if !moved.is_empty() {
            put(&mut object, "members@delta", moved);
        }
        found.push(object);
    }
    found
}

fn moved(then: &BTreeMap<String, &'static str>, now: &BTreeMap<String, &'static str>) -> Vec<Value> {
    let came = now.iter().filter(|(id, _)| !then.contains_key(*id));
    let came = came.map(|(id, kind)| json!({"@odata.type": kind, "id": id}));
    let went = then.iter().filter(|(id, _)| !now.contains_key(*id));
    let went = went.map(|(id, kind)| json!({"@odata.type": kind, "id": id, "@removed": {"reason": "deleted"}}));
    came.chain(went).collect()
}

/// `Prefer: return=minimal`: the id and what is different.
fn only_changed(old: Option<&Value>, new: Value) -> Value {
    let (Some(old), Value::Object(members)) = (old, &new) else { return new };
    let changed = members.iter().filter(|(name, value)| *name == "id" || old.get(name.as_str()) != Some(value));
    Value::Object(changed.map(|(name, value)| (name.clone(), value.clone())).collect::<Map<_, _>>())
}

const USER: &str = "#microsoft.graph.user";
const GROUP: &str = "#microsoft.graph.group";
