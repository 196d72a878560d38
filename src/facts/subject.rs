//! Who asks: the person behind a session.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{ObjectId, ParseGuidError, TenantId};

/// The only key of a person: tenant and object id. Both are immutable and never reused, unlike e-mail and UPN.
///
/// Source: <https://learn.microsoft.com/entra/identity-platform/migrate-off-email-claim-authorization>.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct UserKey {
    /// Tenant the person signed in to.
    pub tenant: TenantId,
    /// The person's object id in that tenant.
    pub object: ObjectId,
}

impl fmt::Display for UserKey {
    /// `tid:oid`, the form used in rules, logs and the command line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.tenant, self.object)
    }
}

impl FromStr for UserKey {
    type Err = ParseGuidError;

    fn from_str(text: &str) -> Result<Self, ParseGuidError> {
        let (tenant, object) = text.split_once(':').ok_or(ParseGuidError)?;
        Ok(Self { tenant: tenant.parse()?, object: object.parse()? })
    }
}

/// The groups a person is in, or the fact that this is not known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", content = "groups", rename_all = "snake_case")]
pub enum Groups {
    /// The complete list, sorted.
    Known(Arc<[ObjectId]>),
    /// The token said "too many to list" (overage) and the directory has not answered. Never read as "no groups":
    /// an allow rule on a group does not match, a block rule on a group does.
    Unknown,
}

impl Groups {
    /// A known list; sorts and removes duplicates.
    #[must_use]
    pub fn known(mut groups: Vec<ObjectId>) -> Self {
        groups.sort_unstable();
        groups.dedup();
        Self::Known(groups.into())
    }

    /// Whether `group` is in the list; `None` when the list is not known.
    #[must_use]
    pub fn contains(&self, group: ObjectId) -> Option<bool> {
        match self {
            Self::Known(list) => Some(list.binary_search(&group).is_ok()),
            Self::Unknown => None,
        }
    }
}

/// A person, as far as the token told. Only [`UserKey`] and groups may decide anything; the rest is for display.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// The identity.
    pub user: UserKey,
    /// Display name (`name` claim).
    pub name: Arc<str>,
    /// E-mail or `preferred_username`; mutable, possibly unverified, never a key.
    pub email: Arc<str>,
    /// Group membership.
    pub groups: Groups,
}

impl Subject {
    /// Somebody of whom nothing but the key is known, as no session stands for them.
    #[must_use]
    pub fn of_key(user: UserKey) -> Self {
        Self { user, name: "".into(), email: "".into(), groups: Groups::Unknown }
    }
}
