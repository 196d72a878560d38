//! One tenant's people as they were last read: what everything about one person amounts to.
//!
//! Objects have numbers, handed out as they are met and the same in the store, so that a membership is four bytes.

use std::collections::HashMap;

use super::index::{Index, at};
use super::marks::{Mark, Marks};
use super::membership::{Members, Membership};
use super::object::{Kind, Object};
use super::reading::Reading;
use super::risks::Risks;
use crate::facts::{Account, Groups, Guid, ObjectId, Standing, Subject};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Snapshot {
    pub(super) objects: Vec<Object>,
    pub(super) index: Index,
    pub(super) membership: Membership,
    /// Members as the full reading under way tells them. They count when it ends; until then the old ones do.
    pub(super) next: HashMap<u32, Members>,
    pub(super) users: Reading,
    pub(super) groups: Reading,
    pub(super) risks: Risks,
    pub(super) marks: Marks,
    /// Numbers that are free, as found at the start.
    pub(super) vacant: Vec<u32>,
}

/// What of a standing the directory decides; two of them are compared to tell whom a change concerns.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Shown {
    account: Account,
    valid_from: Option<crate::facts::UnixTime>,
    /// Numbers of groups, sorted; `None`: not known here.
    groups: Option<Vec<u32>>,
}

impl Snapshot {
    /// Everything about the account behind `subject`.
    ///
    /// Once users and groups have both been read in full, groups come from here alone. Whoever is not here then has
    /// groups that are not known, whatever the token says: an allow rule on a group does not hold and a block rule does.
    /// Somebody created a minute ago waits for the next update; the other choice would let a token that was issued
    /// before somebody was removed vouch for groups until it runs out.
    pub(super) fn standing(&self, subject: &Subject) -> Standing {
        let object = subject.user.object;
        let number = self.find(object);
        let shown = self.shown(number, object);
        let groups = match (self.is_read(), shown.groups) {
            (false, _) => subject.groups.clone(),
            (true, Some(numbers)) => Groups::known(self.ids(&numbers)),
            (true, None) => Groups::Unknown,
        };
        let Mark { hold, watched_until } = self.marks.get(&object).copied().unwrap_or_default();
        Standing {
            groups,
            account: shown.account,
            valid_from: shown.valid_from,
            risk: self.risks.get(object),
            hold,
            watched_until,
        }
    }

    /// Whether users and groups have both been read in full, so that what is not here is not there.
    pub(super) const fn is_read(&self) -> bool {
        self.users.complete > 0 && self.groups.complete > 0
    }

    pub(super) fn find(&self, object: ObjectId) -> Option<u32> {
        self.index.find(object.0.as_u128(), &self.objects)
    }

    pub(super) fn object(&self, number: u32) -> Option<&Object> {
        self.objects.get(at(number))
    }

    /// See [`Shown`]. `object` is the id, which the list of risky accounts knows it by.
    pub(super) fn shown(&self, number: Option<u32>, object: ObjectId) -> Shown {
        let known = number.and_then(|number| self.object(number));
        let living = known.is_some_and(|known| known.is_living(Kind::User));
        let groups = number.filter(|_| living && self.is_read()).map(|number| {
            let mut groups = self.above(number);
            groups.sort_unstable();
            groups
        });
        Shown { account: self.account(known, object), valid_from: known.and_then(Object::valid_from), groups }
    }

    /// How an account stands. The list of risky accounts lags behind a restored account, so it is believed only where
    /// nobody else speaks.
    pub(super) fn account(&self, known: Option<&Object>, object: ObjectId) -> Account {
        match known.map_or(Account::Unknown, Object::account) {
            Account::Unknown if self.risks.says_deleted(object) => Account::Deleted,
            account => account,
        }
    }

    /// Numbers of all groups that `number` is in.
    pub(super) fn above(&self, number: u32) -> Vec<u32> {
        self.membership.above(number, |group| self.object(group).is_some_and(|group| group.is_living(Kind::Group)))
    }

    pub(super) fn id(&self, number: u32) -> Option<ObjectId> {
        self.object(number).map(|object| ObjectId(Guid::from_u128(object.id)))
    }

    fn ids(&self, numbers: &[u32]) -> Vec<ObjectId> {
        numbers.iter().filter_map(|number| self.id(*number)).collect()
    }
}
