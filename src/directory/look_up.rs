//! What an administrator looks up: people, groups, members, who is at risk, and how many there are.

use super::Directory;
use super::object::{Kind, Object};
use super::snapshot::Snapshot;
use crate::facts::{Account, AccountRisk, Guid, Hold, ObjectId, TenantId, UnixTime, UserKey};

/// One person for an administrator's eyes. Nothing here but the key decides anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonInfo {
    /// The identity.
    pub user: UserKey,
    /// Display name; empty when not told.
    pub name: String,
    /// User principal name; empty when not told.
    pub upn: String,
    /// E-mail; empty when not told.
    pub mail: String,
    /// Whether the account may sign in; `None` when not told.
    pub enabled: Option<bool>,
    /// Whether the account is a guest's; `None` when not told.
    pub guest: Option<bool>,
    /// How the account stands.
    pub account: Account,
    /// Its risk, if the provider lists it.
    pub risk: Option<AccountRisk>,
    /// What an administrator blocked by hand.
    pub hold: Hold,
    /// Until when its requests are logged in full; zero for never.
    pub watched_until: UnixTime,
}

/// How much of everything is known of one tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Users, guests included.
    pub users: u64,
    /// Guests among them.
    pub guests: u64,
    /// Users that may not sign in.
    pub disabled: u64,
    /// Groups.
    pub groups: u64,
    /// Direct memberships.
    pub memberships: u64,
    /// Accounts that the provider lists as risky, whatever has become of it.
    pub risky: u64,
    /// Users and groups that are gone and still remembered.
    pub gone: u64,
}

impl Directory {
    /// One person; `None` when nothing is known of them, neither by the directory nor by risk nor by hand.
    #[must_use]
    pub fn person(&self, user: UserKey) -> Option<PersonInfo> {
        self.look(user.tenant, |snapshot| snapshot.person(user))?
    }

    /// People whose name, a word of it, user principal name or mail begins with `text`, whatever the case; at most
    /// `limit`, and never more than 1,000. Looks at everybody, so not for the request path.
    #[must_use]
    pub fn search(&self, tenant: TenantId, text: &str, limit: usize) -> Vec<PersonInfo> {
        let found = self.find(tenant, Kind::User, text, limit);
        found.into_iter().filter_map(|object| self.person(UserKey { tenant, object })).collect()
    }

    /// The display name of a group that is there.
    #[must_use]
    pub fn group_name(&self, tenant: TenantId, group: ObjectId) -> Option<String> {
        self.look(tenant, |snapshot| {
            let object = snapshot.object(snapshot.find(group)?)?;
            object.is_living(Kind::Group).then(|| object.name().to_owned())
        })?
    }

    /// Groups whose name, or a word of it, begins with `text`; bounds as in [`Directory::search`].
    #[must_use]
    pub fn groups(&self, tenant: TenantId, text: &str, limit: usize) -> Vec<(ObjectId, String)> {
        let found = self.find(tenant, Kind::Group, text, limit);
        found.into_iter().filter_map(|group| Some((group, self.group_name(tenant, group)?))).collect()
    }

    /// Users who are in `group`, directly or through other groups, sorted; at most `limit` and never more than 100,000.
    #[must_use]
    pub fn members(&self, tenant: TenantId, group: ObjectId, limit: usize) -> Vec<UserKey> {
        let members = self.look(tenant, |snapshot| snapshot.members_of(group, limit.min(MOST_MEMBERS)));
        let members = members.unwrap_or_default().into_iter();
        members.map(|object| UserKey { tenant, object }).collect()
    }

    /// Everybody whom the provider lists as risky, whatever has become of it, sorted.
    #[must_use]
    pub fn risky(&self, tenant: TenantId) -> Vec<(UserKey, AccountRisk)> {
        let mut all = self.look(tenant, |snapshot| snapshot.risks.all().collect::<Vec<_>>()).unwrap_or_default();
        all.sort_unstable_by_key(|(object, _)| *object);
        all.into_iter().map(|(object, risk)| (UserKey { tenant, object }, risk)).collect()
    }

    /// How much is known. Looks at everybody.
    #[must_use]
    pub fn counts(&self, tenant: TenantId) -> Counts {
        let mut counts = Counts::default();
        self.in_stretches(tenant, |object| counts.count(object));
        let rest = self.look(tenant, |snapshot| (snapshot.membership.len(), snapshot.risks.len()));
        let (memberships, risky) = rest.unwrap_or_default();
        counts.memberships = u64::try_from(memberships).unwrap_or(u64::MAX);
        counts.risky = u64::try_from(risky).unwrap_or(u64::MAX);
        counts
    }

    /// Whether users and groups have both been read in full, so that groups come from the directory.
    #[must_use]
    pub fn is_read(&self, tenant: TenantId) -> bool {
        self.look(tenant, Snapshot::is_read).unwrap_or(false)
    }

    fn find(&self, tenant: TenantId, kind: Kind, text: &str, limit: usize) -> Vec<ObjectId> {
        let (wanted, limit) = (lowered(text.trim()), limit.min(MOST_FOUND));
        let mut found = Vec::new();
        self.in_stretches(tenant, |object| {
            if found.len() < limit && object.is_living(kind) && matches(object, &wanted) {
                found.push(object.object_id());
            }
        });
        found
    }

    /// Shows every object to `each`, letting the lock go now and then so that neither writer nor requests wait long.
    fn in_stretches(&self, tenant: TenantId, mut each: impl FnMut(&Object)) {
        for from in (0..).step_by(STRETCH) {
            let more = self.look(tenant, |snapshot| {
                let stretch = snapshot.objects.get(from..).unwrap_or_default();
                stretch.iter().take(STRETCH).for_each(&mut each);
                stretch.len() > STRETCH
            });
            if more != Some(true) {
                return;
            }
        }
    }
}

impl Counts {
    fn count(&mut self, object: &Object) {
        if object.is_living(Kind::User) {
            self.users += 1;
            self.guests += u64::from(object.guest() == Some(true));
            self.disabled += u64::from(object.enabled() == Some(false));
        } else if object.is_living(Kind::Group) {
            self.groups += 1;
        } else {
            self.gone += u64::from(matches!(object.kind, Kind::User | Kind::Group));
        }
    }
}

impl Snapshot {
    fn person(&self, user: UserKey) -> Option<PersonInfo> {
        let known = self.find(user.object).and_then(|number| self.object(number));
        let known = known.filter(|object| object.kind == Kind::User);
        let (risk, mark) = (self.risks.get(user.object), self.marks.get(&user.object));
        if known.is_none() && risk.is_none() && mark.is_none() {
            return None;
        }
        let [name, upn, mail] = known.map(Object::texts).unwrap_or_default().map(str::to_owned);
        let mark = mark.copied().unwrap_or_default();
        Some(PersonInfo {
            user,
            name,
            upn,
            mail,
            enabled: known.and_then(Object::enabled),
            guest: known.and_then(Object::guest),
            account: self.account(known, user.object),
            risk,
            hold: mark.hold,
            watched_until: mark.watched_until,
        })
    }

    fn members_of(&self, group: ObjectId, limit: usize) -> Vec<ObjectId> {
        let Some(top) = self.find(group) else { return Vec::new() };
        let living = |number: u32, kind| self.object(number).is_some_and(|object| object.is_living(kind));
        let (mut seen, mut queue, mut people) = (std::collections::HashSet::from([top]), vec![top], Vec::new());
        while let Some(number) = queue.pop() {
            if people.len() >= limit {
                break;
            }
            if living(number, Kind::User) {
                people.extend(self.id(number));
            } else if living(number, Kind::Group) {
                let members = self.membership.members(number).map_or(&[][..], |members| members.list());
                queue.extend(members.iter().filter(|member| seen.insert(**member)));
            }
        }
        people.sort_unstable();
        people
    }
}

impl Object {
    pub(super) const fn object_id(&self) -> ObjectId {
        ObjectId(Guid::from_u128(self.id))
    }

    fn name(&self) -> &str {
        let [name, ..] = self.texts();
        name
    }
}

fn matches(object: &Object, wanted: &str) -> bool {
    let [name, upn, mail] = object.texts();
    // A word of a name, and the name itself, which may be asked for with its spaces.
    name.split(' ').chain([name, upn, mail]).any(|text| begins(text, wanted))
}

/// Whether `text` begins with `wanted`, which is in lower case already.
fn begins(text: &str, wanted: &str) -> bool {
    let mut letters = text.chars().flat_map(char::to_lowercase);
    wanted.chars().all(|letter| letters.next() == Some(letter))
}

fn lowered(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).collect()
}

const MOST_FOUND: usize = 1_000;
const MOST_MEMBERS: usize = 100_000;
/// Objects looked at before the lock is let go.
const STRETCH: usize = 16_384;
