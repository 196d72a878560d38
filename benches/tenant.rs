//! A large tenant, for the benches that need one: a million people with names and addresses, fifty thousand groups.

use std::path::{Path, PathBuf};
use std::time::Instant;

use portcullis::directory::{Affected, Directory, RiskUpdate, Round, Update};
use portcullis::entra::graph::{Group, GroupChange, Member, MemberKind, User, UserChange};
use portcullis::facts::{
    Groups, Guid, ObjectId, RiskLevel, RiskReading, RiskState, Subject, TenantId, UnixTime, UserKey,
};

/// As the program itself.
#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// The tenant.
pub(crate) const TENANT: TenantId = TenantId(Guid::from_u128(1));
/// Groups in it.
pub(crate) const GROUPS: u64 = 50_000;
/// Accounts at risk.
pub(crate) const RISKY: u64 = 50_000;
/// Groups that a person is in directly; every tenth group is in another one.
pub(crate) const MEMBERSHIPS: u64 = 5;
/// Graph's largest page.
const PAGE: usize = 999;
/// Groups of a page, whose members come with them.
const PAGE_OF_GROUPS: usize = 100;
/// Risky accounts of a page.
const PAGE_OF_RISK: usize = 500;
/// Tells a second process where the first one left its state.
const STATE: &str = "PORTCULLIS_BENCH_STATE";

/// How many there are of what an environment variable makes fewer.
pub(crate) fn number(variable: &str) -> u64 {
    std::env::var(variable).ok().map_or(1_000_000, |text| text.parse().unwrap())
}

/// Where the first process left its state; `None` in the first.
pub(crate) fn left_state() -> Option<PathBuf> {
    std::env::var_os(STATE).map(PathBuf::from)
}

/// Runs this program once more on what is in `dir`, so that its memory is that of a start alone.
pub(crate) fn start_apart(dir: &Path) {
    let file = std::fs::metadata(dir.join("portcullis.redb")).unwrap().len() / (1024 * 1024);
    println!("the store's file: {file} MiB; a start in a process of its own:");
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    assert!(child.env(STATE, dir).status().unwrap().success());
}

/// `all` in runs of at most `each`.
pub(crate) fn runs(all: u64, each: usize) -> impl Iterator<Item = std::ops::Range<u64>> {
    (0..all).step_by(each).map(move |from| from..(from + u64::try_from(each).unwrap()).min(all))
}

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

/// A group as Graph shows it: members are spread so that each person is in [`MEMBERSHIPS`] groups.
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
    for (place, page) in (0..).zip(runs(users, PAGE)) {
        let users_round = round(place, page.end == users);
        let page = page.map(|number| user(number, true)).collect();
        let before = Instant::now();
        directory.apply(TENANT, Update { users: page, users_round, ..Update::default() }).await.unwrap();
        slowest = slowest.max(before.elapsed().as_secs_f64());
    }
    println!("  slowest page of users: {slowest:.3} s; resident {} MiB", resident());
    for (place, page) in (0..).zip(runs(GROUPS, PAGE_OF_GROUPS)) {
        let is_last = page.end == GROUPS;
        let groups = page.map(|number| group(number, users)).collect();
        let groups_round = round(place, is_last);
        let before = Instant::now();
        directory.apply(TENANT, Update { groups, groups_round, ..Update::default() }).await.unwrap();
        if is_last {
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
    for page in runs(RISKY, PAGE_OF_RISK) {
        let update = RiskUpdate {
            full_begins: page.start == 0,
            full_ends: page.end == RISKY,
            readings: page.map(|number| risk(number, read)).collect(),
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
