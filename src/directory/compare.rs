//! Whose standing a plan changes: everybody it may concern is looked at before and after, and only who differs is told.

use std::collections::HashSet;

use super::Affected;
use super::object::Kind;
use super::plan::Plan;
use super::snapshot::{Shown, Snapshot};
use crate::facts::{ObjectId, TenantId, UserKey};

/// How those whom a plan may concern stood before it.
#[derive(Debug)]
pub(super) enum Before {
    /// Too many to compare.
    Everybody,
    /// These.
    People {
        /// Whom the directory's part concerns.
        directory: Vec<(ObjectId, Shown)>,
        /// Whose risk changes.
        risk: Vec<ObjectId>,
    },
}

impl Before {
    pub(super) fn of(snapshot: &Snapshot, plan: &Plan) -> Self {
        if snapshot.is_read() != plan.is_read() {
            return Self::Everybody;
        }
        let risk: Vec<ObjectId> = plan.risk_changes(snapshot).take(MOST_PEOPLE + 1).collect();
        let Some(numbers) = concerned(snapshot, plan) else { return Self::Everybody };
        if numbers.len() + risk.len() > MOST_PEOPLE {
            return Self::Everybody;
        }
        let shown = |number: u32| {
            let planned = plan.objects.get(&number).map(|object| object.object_id());
            let object = planned.or_else(|| snapshot.id(number))?;
            Some((object, snapshot.shown(Some(number), object)))
        };
        Self::People { directory: numbers.into_iter().filter_map(shown).collect(), risk }
    }

    /// Who stands differently in `snapshot`, now that the plan has been taken.
    pub(super) fn changed(self, snapshot: &Snapshot, tenant: TenantId) -> Affected {
        let Self::People { directory, risk } = self else { return Affected::Everybody(tenant) };
        let differs = |(object, before): &(ObjectId, Shown)| snapshot.shown(snapshot.find(*object), *object) != *before;
        let people = directory.into_iter().filter(differs).map(|(object, _)| object).chain(risk);
        Affected::of(people.map(|object| UserKey { tenant, object }).collect())
    }
}

/// Numbers of everybody whose account or groups may change; `None` when there are too many.
///
/// A person's groups change only if there is a way up through something that changes. Below the lowest such place the
/// way is as it was, so it is enough to walk down through the memberships from before.
fn concerned(snapshot: &Snapshot, plan: &Plan) -> Option<HashSet<u32>> {
    let mut found = HashSet::new();
    let mut tops = Vec::new();
    for (number, after) in &plan.objects {
        let before = snapshot.object(*number);
        let is = |kind: Kind| after.kind == kind || before.is_some_and(|before| before.kind == kind);
        if is(Kind::User) {
            found.insert(*number);
        }
        if is(Kind::Group) && after.is_living(Kind::Group) != before.is_some_and(|before| before.is_living(Kind::Group))
        {
            tops.push(*number);
        }
    }
    if snapshot.is_read() {
        let members = plan.turns.iter().flat_map(|turn| turn.added.iter().chain(&turn.removed));
        for top in members.copied().chain(tops) {
            // Who was found as a user above has nobody below.
            if !snapshot.membership.below(top, &mut found, MOST_PEOPLE) {
                return None;
            }
        }
    }
    (found.len() <= MOST_PEOPLE).then_some(found)
}

/// More are not told one by one.
const MOST_PEOPLE: usize = 10_000;
