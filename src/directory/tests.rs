//! What the directory promises, on small worlds; `model` is the same told naively.

mod affected;
mod crash;
mod feed;
mod model;
mod property;
mod readings;
mod risk;
mod tenants;

use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::entra::graph::{Group, GroupChange, Member, MemberKind, Removal, User, UserChange};
use crate::facts::{Account, Clock, Groups, Guid, ManualClock, ObjectId, RiskLevel, RiskReading, RiskState};

pub(super) const CONTOSO: TenantId = TenantId(Guid::from_u128(0xc0));
pub(super) const FABRIKAM: TenantId = TenantId(Guid::from_u128(0xfa));

pub(super) fn id(number: u128) -> ObjectId {
    ObjectId(Guid::from_u128(number))
}

/// The group in what a token of these tests says; no directory knows it.
pub(super) const TOKEN_GROUP: u128 = 999;

/// Somebody who signed in to Contoso.
pub(super) fn subject(object: u128) -> Subject {
    subject_of(CONTOSO, object)
}

pub(super) fn subject_of(tenant: TenantId, object: u128) -> Subject {
    Subject {
        user: UserKey { tenant, object: id(object) },
        name: "Somebody".into(),
        email: "somebody@contoso.example".into(),
        groups: Groups::known(vec![id(TOKEN_GROUP)]),
    }
}

pub(super) fn key(object: u128) -> UserKey {
    UserKey { tenant: CONTOSO, object: id(object) }
}

/// A directory in a folder of its own that can be closed and opened again.
pub(super) struct World {
    dir: TempDir,
    pub(super) clock: Arc<ManualClock>,
    directory: Option<Directory>,
}

impl World {
    pub(super) fn new() -> Self {
        let mut world = Self {
            dir: tempfile::tempdir().unwrap(),
            clock: Arc::new(ManualClock::at(UnixTime(1_800_000_000))),
            directory: None,
        };
        world.restart();
        world
    }

    pub(super) fn restart(&mut self) {
        self.directory = None;
        let store = Store::open(self.dir.path()).unwrap();
        self.directory = Some(Directory::open(&[CONTOSO, FABRIKAM], store, Arc::clone(&self.clock) as _).unwrap());
    }

    /// Restarts once nothing that was spawned holds the directory any more.
    pub(super) async fn restart_when_alone(&mut self) {
        // What was spawned has not begun yet; it does now.
        tokio::task::yield_now().await;
        while self.directory.as_ref().is_some_and(|directory| Arc::strong_count(&directory.inner) > 1) {
            tokio::task::yield_now().await;
        }
        self.restart();
    }

    pub(super) fn rows(&self, table: Table) -> usize {
        let mut rows = 0;
        self.store().scan(table, |_, _| rows += 1).unwrap();
        rows
    }

    pub(super) fn store(&self) -> &Store {
        self.inner.store.as_ref().unwrap()
    }

    pub(super) async fn apply(&self, update: Update) -> Affected {
        self.clock.advance(Duration::from_secs(1));
        Directory::apply(self, CONTOSO, update).await.unwrap()
    }

    pub(super) fn account(&self, object: u128) -> Account {
        self.standing(&subject(object)).account
    }

    pub(super) fn groups_of(&self, object: u128) -> Option<Vec<u128>> {
        match self.standing(&subject(object)).groups {
            Groups::Known(groups) => Some(groups.iter().map(|group| group.0.as_u128()).collect()),
            Groups::Unknown => None,
        }
    }
}

impl std::ops::Deref for World {
    type Target = Directory;

    fn deref(&self) -> &Directory {
        self.directory.as_ref().unwrap()
    }
}

/// A user who may sign in.
pub(super) fn user(object: u128) -> User {
    User {
        id: id(object),
        name: Some(format!("Person {object}")),
        upn: Some(format!("person{object}@contoso.example")),
        mail: None,
        enabled: Some(true),
        guest: Some(false),
        sign_in_sessions_valid_from: None,
    }
}

pub(super) fn seen(object: u128) -> UserChange {
    UserChange::Seen(user(object))
}

pub(super) fn group(object: u128, added: &[u128], removed: &[u128]) -> GroupChange {
    let members =
        |list: &[u128]| list.iter().map(|member| Member { id: id(*member), kind: MemberKind::Other }).collect();
    let name = Some(format!("Group {object}"));
    GroupChange::Seen(Group { id: id(object), name, added: members(added), removed: members(removed) })
}

/// A full reading in one page.
pub(super) fn whole(users: Vec<UserChange>, groups: Vec<GroupChange>) -> Update {
    let round = || Some(Round::Ends { delta: "https://graph.example/delta".to_owned(), was_full: true });
    Update { users, groups, users_round: round(), groups_round: round(), ..Update::default() }
}

pub(super) fn users(users: Vec<UserChange>) -> Update {
    Update { users, ..Update::default() }
}

pub(super) fn groups(groups: Vec<GroupChange>) -> Update {
    Update { groups, ..Update::default() }
}

pub(super) fn begins() -> Option<Round> {
    Some(Round::FullBegins { next: "https://graph.example/first".to_owned() })
}

pub(super) fn goes_on() -> Option<Round> {
    Some(Round::GoesOn { next: "https://graph.example/next".to_owned() })
}

pub(super) fn ends() -> Option<Round> {
    Some(Round::Ends { delta: "https://graph.example/delta".to_owned(), was_full: false })
}

pub(super) fn reading(level: RiskLevel, state: RiskState, updated: u64, read: u64) -> RiskReading {
    RiskReading { level, state, updated: UnixTime(updated), read: UnixTime(read), deleted: false, processing: false }
}
