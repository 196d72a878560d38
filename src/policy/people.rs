//! The condition on people: is the one who asks among those a rule is about?

use crate::facts::Facts;

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

/// Whether the one who asks is among `who`. Only the key and the groups count; names and e-mail addresses never do.
pub(super) fn membership(who: &Who, facts: &Facts<'_>) -> Membership {
    let subject = match (who, facts.subject) {
        (Who::Anyone, _) => return Membership::Is,
        (Who::SignedIn | Who::Listed { .. }, None) => return Membership::NobodySignedIn,
        (Who::SignedIn | Who::Listed { .. }, Some(subject)) => subject,
    };
    let Who::Listed { users, groups } = who else { return Membership::Is };
    if users.contains(&subject.user) {
        return Membership::Is;
    }
    for group in groups {
        match facts.standing.groups.contains(*group) {
            Some(true) => return Membership::Is,
            Some(false) => {}
            None => return Membership::GroupsUnknown,
        }
    }
    Membership::IsNot
}
