//! A large tenant, for the benches that need one: a million people with names and addresses, fifty thousand groups.

use std::time::Instant;

use portcullis::directory::{Affected, Directory, RiskUpdate, Round, Update};
use portcullis::entra::graph::{Group, GroupChange, Member, MemberKind, User, UserChange};
use portcullis::facts::{
    Groups, Guid, ObjectId, RiskLevel, RiskReading, RiskState, Subject, TenantId, UnixTime, UserKey,
};

/// The tenant.
pub(crate) const TENANT: TenantId = TenantId(Guid::from_u128(1));
/// Groups in it.
pub(crate) const GROUPS: u64 = 50_000;
/// Accounts at risk.
pub(crate) const RISKY: u64 = 50_000;
/// Groups that a person is in directly; every tenth group is in another one.
pub(crate) const MEMBERSHIPS: u64 = 5;
/// Graph's largest page.
const PAGE: u64 = 999;

/// Ids as random as real ones.
fn id(number: u64) -> ObjectId {
    let mix =
        |number: u64| number.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    ObjectId(Guid::from_u128(u128::from(mix(number)) << 64 | u128::from(mix(number ^ 0xabcd))))
}

/// A person's id.
pub(crate) fn user_id(number: u64) -> ObjectId {
    id(number)
}

/// A group's id.
pub(crate) fn group_id(number: u64) -> ObjectId {
    id(1 << 40 | number)
}

/// A person as Graph shows them.
pub(crate) fn user(number: u64, enabled: bool) -> UserChange {
    UserChange::Seen(User {
        id: user_id(number),
        name: Some(format!("Person Number {number}")),
        upn: Some(format!("person.number.{number}@contoso.example")),
        mail: Some(format!("person.number.{number}@contoso.example")),
        enabled: Some(enabled),
        guest: Some(number.is_multiple_of(20)),
        sign_in_sessions_valid_from: Some(UnixTime(1_700_000_000 + number)),
    })
}

/// The groups of one page: members are spread so that each person is in [`MEMBERSHIPS`] groups.
fn group(number: u64, users: u64) -> GroupChange {
    let each = users * MEMBERSHIPS / GROUPS;
    let person = |place: u64| Member {
        id: user_id((number * each + place).wrapping_mul(7_919) % users),
        kind: MemberKind::User,
    };
    let mut added: Vec<Member> = (0..each).map(person).collect();
    if number % 10 == 1 {
        added.push(Member { id: group_id(number - 1), kind: MemberKind::Group });
    }
    GroupChange::Seen(Group { id: group_id(number), name: Some(format!("Team {number}")), added, removed: Vec::new() })
}

/// Where a reading stands after a page.
pub(crate) fn round(place: u64, last: bool) -> Option<Round> {
    let next = format!("https://graph.microsoft.com/v1.0/delta?$skiptoken={place}");
    Some(match (place, last) {
        (_, true) => Round::Ends { delta: next, was_full: place == 0 },
        (0, false) => Round::FullBegins { next },
        (_, false) => Round::GoesOn { next },
    })
}

fn risk(number: u64, read: u64) -> (ObjectId, RiskReading) {
    let reading = RiskReading {
        level: RiskLevel::Medium,
        state: RiskState::AtRisk,
        updated: UnixTime(1_800_000_000),
        read: UnixTime(read),
        deleted: false,
        processing: false,
    };
    (user_id(number * 3), reading)
}

/// A full reading of users and groups, page by page.
pub(crate) async fn read_everything(directory: &Directory, users: u64) {
    let mut slowest = 0.0_f64;
    for (place, from) in (0..users).step_by(999).enumerate() {
        let to = (from + PAGE).min(users);
        let users_round = round(u64::try_from(place).unwrap(), to == users);
        let page = (from..to).map(|number| user(number, true)).collect();
        let before = Instant::now();
        directory.apply(TENANT, Update { users: page, users_round, ..Update::default() }).await.unwrap();
        slowest = slowest.max(before.elapsed().as_secs_f64());
    }
    println!("  slowest page of users: {slowest:.3} s; resident {} MiB", resident());
    for (place, from) in (0..GROUPS).step_by(100).enumerate() {
        let to = from + 100;
        let groups = (from..to).map(|number| group(number, users)).collect();
        let groups_round = round(u64::try_from(place).unwrap(), to == GROUPS);
        let before = Instant::now();
        directory.apply(TENANT, Update { groups, groups_round, ..Update::default() }).await.unwrap();
        if to == GROUPS {
            println!(
                "  last page of groups, with which all memberships begin to count: {:.3} s",
                before.elapsed().as_secs_f64()
            );
        }
    }
}

/// The whole list of risky accounts.
pub(crate) async fn list_risk(directory: &Directory, read: u64) -> Affected {
    let mut affected = Affected::Nobody;
    for from in (0..RISKY).step_by(500) {
        let update = RiskUpdate {
            readings: (from..from + 500).map(|number| risk(number, read)).collect(),
            full_begins: from == 0,
            full_ends: from + 500 == RISKY,
            ..RiskUpdate::default()
        };
        let one = directory.apply(TENANT, Update { risk: Some(update), ..Update::default() }).await.unwrap();
        affected = affected.and(one);
    }
    affected
}

/// Somebody who asks.
pub(crate) fn subject(number: u64) -> Subject {
    Subject {
        user: UserKey { tenant: TENANT, object: user_id(number) },
        name: "Somebody".into(),
        email: "somebody@contoso.example".into(),
        groups: Groups::Unknown,
    }
}

/// Resident memory of this process, in MiB.
pub(crate) fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

/// Does it once and prints how long it took.
pub(crate) fn timed<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let before = Instant::now();
    let value = work();
    println!("{what}: {:.3} s; resident {} MiB", before.elapsed().as_secs_f64(), resident());
    value
}
