//! The condition on people: is the one who asks among those a rule is about?

use crate::facts::{Groups, ObjectId, UserKey};

use super::Who;

/// The answer, with the two ways of not knowing kept apart from "no".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Membership {
    /// The rule is about this person.
    Is,
    /// The rule is about others.
    IsNot,
    /// It hangs on a group, and this person's groups are not known.
    GroupsUnknown,
    /// It hangs on the person, and nobody is signed in.
    NobodySignedIn,
}

/// Some people, by key and by group.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct People {
    /// People by key.
    pub users: Vec<UserKey>,
    /// Groups by object id.
    pub groups: Vec<ObjectId>,
}

/// Whether the one who asks is among `who`. Only the key and the groups count; names and e-mail addresses never do.
#[inline]
pub(super) fn membership(who: &Who, person: Option<(UserKey, &Groups)>) -> Membership {
    match (who, person) {
        (Who::Anyone, _) | (Who::SignedIn, Some(_)) => Membership::Is,
        (Who::SignedIn | Who::Listed { .. }, None) => Membership::NobodySignedIn,
        (Who::Listed { users, groups }, Some((user, known))) => among(users, groups, user, known),
    }
}

/// Whether `user` with the groups `known` is among `users` or in one of `groups`. Both lists are sorted.
#[inline]
pub(super) fn among(users: &[UserKey], groups: &[ObjectId], user: UserKey, known: &Groups) -> Membership {
    if users.binary_search(&user).is_ok() {
        return Membership::Is;
    }
    let Groups::Known(known) = known else {
        return if groups.is_empty() { Membership::IsNot } else { Membership::GroupsUnknown };
    };
    // The shorter list is walked, the longer one searched.
    let (few, many) = if groups.len() <= known.len() { (groups, &**known) } else { (&**known, groups) };
    if few.iter().any(|group| many.binary_search(group).is_ok()) { Membership::Is } else { Membership::IsNot }
}

impl People {
    /// Puts both lists in the order that searching expects.
    pub(super) fn sort(&mut self) {
        self.users.sort_unstable();
        self.groups.sort_unstable();
    }

    /// Whether `user` is known to be among them; unknown groups are nobody's excuse.
    #[inline]
    pub(super) fn contains(&self, user: UserKey, known: &Groups) -> bool {
        among(&self.users, &self.groups, user, known) == Membership::Is
    }
}
