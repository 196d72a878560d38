//! What a piece of an update makes of a snapshot: worked out beside it, written to the store, and only then made
//! visible. A plan that is dropped has changed nothing.

use std::collections::{BTreeMap, HashMap};

use super::SyncKind;
use super::index::at;
use super::membership::{Members, Turn};
use super::object::{Gone, Kind, Object};
use super::reading::Reading;
use super::risks::{Entry, RiskPlan};
use super::rows::{Rows, members_key, object_key, person_key, reading_key};
use super::snapshot::Snapshot;
use super::update::{Piece, Step};
use crate::entra::graph::{Group, GroupChange, Removal, UserChange};
use crate::facts::{ObjectId, TenantId, UnixTime};
use crate::store::Table;

/// See the module.
#[derive(Debug)]
pub(super) struct Plan {
    tenant: TenantId,
    now: UnixTime,
    /// New values by number; only those that differ.
    pub(super) objects: HashMap<u32, Object>,
    /// Numbers of ids that are new.
    fresh: HashMap<u128, u32>,
    /// How many numbers there are afterwards.
    numbers: usize,
    vacant_left: usize,
    asked: HashMap<u32, BTreeMap<u32, bool>>,
    /// What becomes of groups, now.
    pub(super) turns: Vec<Turn>,
    /// What becomes of groups when the full reading under way ends.
    next: Vec<Turn>,
    /// Members of a full reading that is over, kept until nobody waits for the snapshot: letting go of them takes long.
    past: HashMap<u32, Members>,
    users: (Reading, Reading),
    groups: (Reading, Reading),
    /// Whether what came belongs to a full reading: of users, of groups.
    in_full: (bool, bool),
    groups_begin: bool,
    pub(super) risks: Option<RiskPlan>,
    /// Written before it is visible.
    pub(super) rows: Rows,
    /// Written after: rows that mean nothing any more.
    pub(super) later: Rows,
}

impl Plan {
    pub(super) fn of(snapshot: &Snapshot, tenant: TenantId, piece: Piece, now: UnixTime) -> Self {
        let users = stepped(&snapshot.users, &piece.users_step);
        let groups = stepped(&snapshot.groups, &piece.groups_step);
        let mut plan = Self {
            in_full: (users.0.running && piece.users_step.is_page, groups.0.running && piece.groups_step.is_page),
            tenant,
            now,
            objects: HashMap::new(),
            fresh: HashMap::new(),
            numbers: snapshot.objects.len(),
            vacant_left: snapshot.vacant.len(),
            asked: HashMap::new(),
            turns: Vec::new(),
            next: Vec::new(),
            past: HashMap::new(),
            users,
            groups,
            groups_begin: piece.groups_step.begins,
            risks: piece.risk.as_ref().map(|risk| snapshot.risks.plan(risk)),
            rows: Rows::default(),
            later: Rows::default(),
        };
        for change in &piece.users {
            plan.user(snapshot, change);
        }
        for change in &piece.groups {
            plan.group(snapshot, change);
        }
        plan.turn_groups(snapshot);
        plan.end_readings(snapshot);
        plan.objects.retain(|number, object| snapshot.object(*number) != Some(object));
        plan.write_rows(snapshot);
        plan
    }

    fn user(&mut self, snapshot: &Snapshot, change: &UserChange) {
        let mark = self.users.0.mark();
        let (full, _) = self.in_full;
        match change {
            UserChange::Seen(user) => {
                let number = self.number(snapshot, user.id);
                let object = self.object(snapshot, number);
                // An id is never given out twice, so outside of a full reading this is an old page come again.
                if object.gone != Gone::ForGood || full {
                    object.take_user(user);
                    object.mark = mark;
                }
            }
            UserChange::Removed(id, how) => {
                let (number, now) = (self.number(snapshot, *id), self.now);
                let object = self.object(snapshot, number);
                if matches!(object.kind, Kind::Named | Kind::User) {
                    object.kind = Kind::User;
                    object.leave(*how, now);
                }
            }
        }
    }

    fn group(&mut self, snapshot: &Snapshot, change: &GroupChange) {
        let (mark, (_, full)) = (self.groups.0.mark(), self.in_full);
        match change {
            GroupChange::Seen(group) => {
                let number = self.number(snapshot, group.id);
                let object = self.object(snapshot, number);
                if object.gone == Gone::ForGood && !full {
                    return;
                }
                object.take_group(group.name.as_deref());
                object.mark = mark;
                self.members(snapshot, number, group);
            }
            GroupChange::Removed(id, how) => {
                let now = self.now;
                let known = self.known(snapshot, *id);
                // Its members stay with it, unseen, in case it is restored.
                if let Some(object) = known.map(|number| self.object(snapshot, number))
                    && object.kind == Kind::Group
                {
                    object.leave(*how, now);
                }
            }
        }
    }

    fn members(&mut self, snapshot: &Snapshot, group: u32, change: &Group) {
        let all = change.added.iter().map(|member| (member, true));
        for (member, there) in all.chain(change.removed.iter().map(|member| (member, false))) {
            let number = if there {
                self.number(snapshot, member.id)
            } else {
                let Some(number) = self.known(snapshot, member.id) else { continue };
                number
            };
            self.asked.entry(group).or_default().insert(number, there);
        }
    }

    /// Works out new members: of the full reading under way, for when it ends, and of the groups as they are unless a
    /// page of that reading told it.
    fn turn_groups(&mut self, snapshot: &Snapshot) {
        let (_, full) = self.in_full;
        for (group, asked) in std::mem::take(&mut self.asked) {
            if self.groups.0.running {
                let known = snapshot.next.get(&group).filter(|_| !self.groups_begin);
                let turn = self.turned(known, self.groups.0.last, group, &asked);
                self.next.push(turn);
            }
            if !full {
                let turn = self.turned(snapshot.membership.members(group), self.groups.0.complete, group, &asked);
                self.turns.push(turn);
            }
        }
        if self.groups_begin {
            self.drop_rows(&snapshot.next, snapshot.groups.last);
        }
    }

    fn turned(&mut self, known: Option<&Members>, reading: u32, group: u32, asked: &BTreeMap<u32, bool>) -> Turn {
        let nobody = Members::default();
        let (turn, rows) = known.unwrap_or(&nobody).turned(group, asked);
        for (start, row) in rows {
            self.rows.set(Table::DirectoryMembers, members_key(self.tenant, reading, group, start), row);
        }
        turn
    }

    /// At the end of a full reading, whoever did not come in it goes, and its members become the members.
    fn end_readings(&mut self, snapshot: &Snapshot) {
        let users_end = self.users.1.complete != snapshot.users.complete;
        let groups_end = self.groups.1.complete != snapshot.groups.complete;
        if users_end {
            self.leave_unseen(snapshot, Kind::User, self.users.1.complete);
        }
        if !groups_end {
            return;
        }
        self.leave_unseen(snapshot, Kind::Group, self.groups.1.complete);
        let mut all: HashMap<u32, Members> =
            std::mem::take(&mut self.next).into_iter().map(|turn| (turn.group, turn.members)).collect();
        if !self.groups_begin {
            for (group, members) in &snapshot.next {
                all.entry(*group).or_insert_with(|| members.clone());
            }
        }
        for group in snapshot.membership.all().keys() {
            all.entry(*group).or_default();
        }
        let nobody = Members::default();
        for (group, members) in all {
            let now = snapshot.membership.members(group).unwrap_or(&nobody);
            self.turns.push(now.replaced(group, members));
        }
        self.drop_rows(snapshot.membership.all(), snapshot.groups.complete);
    }

    fn leave_unseen(&mut self, snapshot: &Snapshot, kind: Kind, complete: u32) {
        for (number, known) in (0..).zip(&snapshot.objects) {
            if known.kind == kind
                && known.gone == Gone::No
                && known.mark < complete
                && !self.objects.contains_key(&number)
            {
                let now = self.now;
                self.object(snapshot, number).leave(Removal::Changed, now);
            }
        }
    }

    fn drop_rows(&mut self, of: &HashMap<u32, Members>, reading: u32) {
        for (group, members) in of {
            for start in members.starts() {
                self.later.delete(Table::DirectoryMembers, members_key(self.tenant, reading, *group, start));
            }
        }
    }

    fn write_rows(&mut self, snapshot: &Snapshot) {
        for (number, object) in &self.objects {
            let rows = if self.end_tells(snapshot.object(*number), object) { &mut self.later } else { &mut self.rows };
            rows.put(Table::DirectoryObjects, object_key(self.tenant, *number), object.row());
        }
        let readings =
            [(SyncKind::Users, &self.users.1, &snapshot.users), (SyncKind::Groups, &self.groups.1, &snapshot.groups)];
        for (kind, after, before) in readings {
            if after != before {
                self.rows.put(Table::DirectoryRounds, reading_key(self.tenant, kind), after.row());
            }
        }
        for (object, entry) in self.risks.iter().flat_map(|risks| &risks.entries) {
            let key = person_key(self.tenant, *object);
            let known = snapshot.risks.entry(*object);
            match (entry, known) {
                (Some(entry), Some(known)) if entry.says_the_same(known) => {}
                (Some(entry), _) => self.rows.put(Table::Risk, key, entry.row()),
                (None, Some(_)) => self.rows.delete(Table::Risk, key),
                (None, None) => {}
            }
        }
    }

    /// Whether the end of a full reading alone tells, from the row as it is, that an object has gone. Those may be very
    /// many, and their rows can wait.
    fn end_tells(&self, before: Option<&Object>, after: &Object) -> bool {
        let complete = match after.kind {
            Kind::User => self.users.1.complete,
            Kind::Group => self.groups.1.complete,
            Kind::Named | Kind::Vacant => return false,
        };
        let stood = before.is_some_and(|before| before.is_living(after.kind) && before.mark == after.mark);
        stood && after.gone == Gone::Restorable && after.mark < complete
    }

    /// Whose risk changed.
    pub(super) fn risk_changes<'a>(&'a self, snapshot: &'a Snapshot) -> impl Iterator<Item = ObjectId> + 'a {
        let entries = self.risks.iter().flat_map(|risks| &risks.entries);
        let differs = |object: ObjectId, entry: Option<&Entry>| match (entry, snapshot.risks.entry(object)) {
            (Some(entry), Some(known)) => !entry.shows_the_same(known),
            (Some(one), None) | (None, Some(one)) => one.is_listed(),
            (None, None) => false,
        };
        entries.filter(move |(object, entry)| differs(**object, entry.as_ref())).map(|(object, _)| *object)
    }

    /// Whether it is read in full afterwards.
    pub(super) const fn is_read(&self) -> bool {
        self.users.1.complete > 0 && self.groups.1.complete > 0
    }

    fn known(&self, snapshot: &Snapshot, id: ObjectId) -> Option<u32> {
        snapshot.find(id).or_else(|| self.fresh.get(&id.0.as_u128()).copied())
    }

    fn number(&mut self, snapshot: &Snapshot, id: ObjectId) -> u32 {
        if let Some(number) = self.known(snapshot, id) {
            return number;
        }
        let vacant = self.vacant_left.checked_sub(1).and_then(|place| snapshot.vacant.get(place));
        let number = if let Some(vacant) = vacant {
            self.vacant_left -= 1;
            *vacant
        } else {
            self.numbers += 1;
            // Four thousand million objects do not fit the memory either.
            u32::try_from(self.numbers - 1).unwrap_or(u32::MAX)
        };
        self.fresh.insert(id.0.as_u128(), number);
        self.objects.insert(number, Object::named(id.0.as_u128()));
        number
    }

    fn object(&mut self, snapshot: &Snapshot, number: u32) -> &mut Object {
        self.objects.entry(number).or_insert_with(|| snapshot.object(number).cloned().unwrap_or_default())
    }
}

fn stepped(reading: &Reading, step: &Step) -> (Reading, Reading) {
    let during = if step.begins { reading.begun() } else { reading.clone() };
    let after = step.then.as_ref().map_or_else(|| during.clone(), |round| during.after(round));
    (during, after)
}

impl Snapshot {
    /// Makes the objects of `plan` visible.
    pub(super) fn take_objects(&mut self, plan: &mut Plan) {
        if plan.numbers > self.objects.len() {
            self.objects.resize_with(plan.numbers, Object::default);
        }
        for (number, object) in plan.objects.drain() {
            if let Some(place) = self.objects.get_mut(at(number)) {
                *place = object;
            }
        }
        for (_, number) in plan.fresh.drain() {
            self.index.add(number, &self.objects);
        }
        self.vacant.truncate(plan.vacant_left);
    }

    /// Makes the rest of `plan` visible, its turns having been taken.
    pub(super) fn take_rest(&mut self, plan: &mut Plan) {
        let ended = plan.groups.1.complete != self.groups.complete;
        if plan.groups_begin || ended {
            plan.past = std::mem::take(&mut self.next);
        }
        for turn in plan.next.drain(..) {
            self.next.insert(turn.group, turn.members);
        }
        self.users = plan.users.1.clone();
        self.groups = plan.groups.1.clone();
        if let Some(risks) = plan.risks.take() {
            self.risks.take(risks);
        }
    }
}
