//! People and groups as the directory knows them, in the shape the API shows.

use schemars::JsonSchema;
use serde::Serialize;

use crate::directory::Directory;
use crate::facts::{Account, AccountRisk, Groups, Standing, Subject, TenantId, UserKey};

/// A person as the directory knows them.
pub(super) struct Known {
    pub(super) user: UserKey,
    pub(super) name: String,
    pub(super) upn: String,
    pub(super) account: Account,
    pub(super) risk: Option<AccountRisk>,
}

/// A group.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(super) struct GroupLine {
    /// `tid:gid`, as in rules and `admin.groups`.
    pub(super) group: String,
    /// Display name.
    pub(super) name: String,
}

/// The person with this key, if the directory knows them.
pub(super) fn person(_directory: &Directory, _user: UserKey) -> Option<Known> {
    None
}

/// People whose name or address begins with `text`.
pub(super) fn search(_directory: &Directory, _tenant: TenantId, _text: &str, _limit: usize) -> Vec<Known> {
    Vec::new()
}

/// Groups whose name begins with `text`.
pub(super) fn groups(_directory: &Directory, _tenant: TenantId, _text: &str, _limit: usize) -> Vec<GroupLine> {
    Vec::new()
}

/// Everybody the provider holds a risk against.
pub(super) fn risky(_directory: &Directory, _tenant: TenantId) -> Vec<Known> {
    Vec::new()
}

/// How a person stands whom no session stands for: the directory alone tells.
pub(super) fn standing(directory: &Directory, user: UserKey) -> (Subject, Standing) {
    let subject = Subject { user, name: "".into(), email: "".into(), groups: Groups::Unknown };
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
