//! Changes of users, groups and memberships.
//!
//! Source: <https://learn.microsoft.com/graph/delta-query-overview>, <https://learn.microsoft.com/graph/api/user-delta>,
//! <https://learn.microsoft.com/graph/delta-query-groups>. The same object may come several times and in any order.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::risk::time;
use super::{Capability, Graph, GraphError, Link, Next, Page, page};
use crate::facts::{ObjectId, UnixTime};

/// A user as far as this page tells. `None` is "not told here", and also "empty".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Object id.
    pub id: ObjectId,
    /// Display name.
    pub name: Option<String>,
    /// User principal name; mutable, never a key.
    pub upn: Option<String>,
    /// E-mail; mutable, never a key.
    pub mail: Option<String>,
    /// Whether the account may sign in.
    pub enabled: Option<bool>,
    /// Whether the account is a guest's.
    pub guest: Option<bool>,
    /// Sign-ins before this moment no longer count.
    pub sign_in_sessions_valid_from: Option<UnixTime>,
}

/// How an object went away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// Deleted, but it can be restored.
    Changed,
    /// Gone for good.
    Deleted,
}

/// What happened to a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UserChange {
    /// New or changed, or seen for the first time.
    Seen(User),
    /// Went away.
    Removed(ObjectId, Removal),
}

/// What a member of a group is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberKind {
    /// A user.
    User,
    /// A group, whose members are members too.
    Group,
    /// Something else, or not told.
    Other,
}

/// A member of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// Object id.
    pub id: ObjectId,
    /// What it is.
    pub kind: MemberKind,
}

/// A group as far as this page tells. Large groups come in parts, over several pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Object id.
    pub id: ObjectId,
    /// Display name, if it is told here.
    pub name: Option<String>,
    /// Members that came.
    pub added: Vec<Member>,
    /// Members that went.
    pub removed: Vec<Member>,
}

/// What happened to a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupChange {
    /// New or changed, or seen for the first time.
    Seen(Group),
    /// Went away.
    Removed(ObjectId, Removal),
}

impl Graph {
    /// A link that was stored, checked like one that Graph sends.
    ///
    /// # Errors
    /// [`GraphError::ForeignLink`], [`GraphError::Malformed`].
    pub fn link(&self, stored: &str) -> Result<Link, GraphError> {
        Link::read(&self.root, stored)
    }

    /// A page of changes of users: from `link`, or all users from the start.
    ///
    /// # Errors
    /// See [`GraphError`]; [`GraphError::Resync`] means to start anew without a link.
    pub async fn users_delta(&self, link: Option<&Link>) -> Result<Page<UserChange>, GraphError> {
        let body = self.delta(link, USERS).await?;
        going_on(page::read(&self.root, &body, |text| Some(serde_json::from_str::<RawUser>(text).ok()?.read()))?)
    }

    /// A page of changes of groups and their members: from `link`, or all groups from the start.
    ///
    /// # Errors
    /// See [`GraphError`]; [`GraphError::Resync`] means to start anew without a link.
    pub async fn groups_delta(&self, link: Option<&Link>) -> Result<Page<GroupChange>, GraphError> {
        let body = self.delta(link, GROUPS).await?;
        going_on(page::read(&self.root, &body, |text| Some(serde_json::from_str::<RawGroup<'_>>(text).ok()?.read()))?)
    }

    async fn delta(&self, link: Option<&Link>, first: &str) -> Result<bytes::Bytes, GraphError> {
        let first = self.at(first)?;
        let url = link.map_or(&first, |link| &link.0);
        Ok(self.get(url, Capability::ReadDirectory).await?.body)
    }
}

/// A delta page without any link would end the following of changes silently.
fn going_on<T>(page: Page<T>) -> Result<Page<T>, GraphError> {
    if page.next == Next::End { Err(GraphError::Malformed) } else { Ok(page) }
}

#[derive(Deserialize)]
struct Removed {
    reason: Option<String>,
}

impl Removed {
    /// Without a known reason the object is taken to be restorable, which forgets nothing for good.
    fn how(&self) -> Removal {
        if self.reason.as_deref() == Some("deleted") { Removal::Deleted } else { Removal::Changed }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawUser {
    id: ObjectId,
    #[serde(rename = "@removed")]
    removed: Option<Removed>,
    display_name: Option<String>,
    user_principal_name: Option<String>,
    mail: Option<String>,
    account_enabled: Option<bool>,
    user_type: Option<String>,
    sign_in_sessions_valid_from_date_time: Option<String>,
}

impl RawUser {
    /// A moment that cannot be read counts as broken: who misses it would let old sign-ins go on.
    fn read(self) -> (UserChange, usize) {
        if let Some(removed) = &self.removed {
            return (UserChange::Removed(self.id, removed.how()), 0);
        }
        let moment = self.sign_in_sessions_valid_from_date_time.as_deref();
        let valid_from = moment.and_then(time);
        let broken = usize::from(moment.is_some() && valid_from.is_none());
        let user = User {
            id: self.id,
            name: self.display_name,
            upn: self.user_principal_name,
            mail: self.mail,
            enabled: self.account_enabled,
            guest: match self.user_type.as_deref() {
                Some("Guest") => Some(true),
                Some("Member") => Some(false),
                _ => None,
            },
            sign_in_sessions_valid_from: valid_from,
        };
        (UserChange::Seen(user), broken)
    }
}

#[derive(Deserialize)]
struct RawGroup<'a> {
    id: ObjectId,
    #[serde(rename = "@removed")]
    removed: Option<Removed>,
    #[serde(rename = "displayName")]
    name: Option<String>,
    #[serde(borrow, default, rename = "members@delta")]
    members: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct RawMember {
    id: ObjectId,
    #[serde(rename = "@odata.type")]
    kind: Option<String>,
    #[serde(rename = "@removed")]
    removed: Option<Removed>,
}

impl RawGroup<'_> {
    fn read(self) -> (GroupChange, usize) {
        if let Some(removed) = &self.removed {
            return (GroupChange::Removed(self.id, removed.how()), 0);
        }
        let mut group = Group { id: self.id, name: self.name, added: Vec::new(), removed: Vec::new() };
        let mut broken = 0;
        for raw in self.members {
            let Ok(member) = serde_json::from_str::<RawMember>(raw.get()) else {
                broken += 1;
                continue;
            };
            let kind = match member.kind.as_deref() {
                Some("#microsoft.graph.user") => MemberKind::User,
                Some("#microsoft.graph.group") => MemberKind::Group,
                _ => MemberKind::Other,
            };
            let list = if member.removed.is_some() { &mut group.removed } else { &mut group.added };
            list.push(Member { id: member.id, kind });
        }
        (GroupChange::Seen(group), broken)
    }
}

const USERS: &str = "users/delta?$select=id,displayName,userPrincipalName,mail,accountEnabled,userType,\
signInSessionsValidFromDateTime";
const GROUPS: &str = "groups/delta?$select=displayName,members";
