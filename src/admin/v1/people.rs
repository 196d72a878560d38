//! People and groups as the directory knows them, in the shape the API shows.

use schemars::JsonSchema;
use serde::Serialize;

use crate::directory::{Directory, PersonInfo};
use crate::facts::{Account, Standing, Subject, TenantId, UserKey};

/// A group.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(super) struct GroupLine {
    /// `tid:gid`, as in rules and `admin.groups`.
    pub(super) group: String,
    /// Display name.
    pub(super) name: String,
}

/// Groups whose name begins with `text`.
pub(super) fn groups(directory: &Directory, tenant: TenantId, text: &str, limit: usize) -> Vec<GroupLine> {
    let line = |(group, name)| GroupLine { group: format!("{tenant}:{group}"), name };
    directory.groups(tenant, text, limit).into_iter().map(line).collect()
}

/// Everybody the provider holds a risk against.
pub(super) fn risky(directory: &Directory, tenant: TenantId) -> Vec<PersonInfo> {
    let at_risk = directory.risky(tenant).into_iter().filter(|(_, risk)| risk.is_open());
    at_risk.filter_map(|(user, _)| directory.person(user)).collect()
}

/// How a person stands whom no session stands for: the directory alone tells.
pub(super) fn standing(directory: &Directory, user: UserKey) -> (Subject, Standing) {
    let subject = Subject::of_key(user);
    let standing = directory.standing(&subject);
    (subject, standing)
}

/// The word for an account.
pub(super) const fn account_word(account: Account) -> &'static str {
    match account {
        Account::Unknown => "unknown",
        Account::Enabled => "enabled",
        Account::Disabled => "disabled",
        Account::Deleted => "deleted",
    }
}
