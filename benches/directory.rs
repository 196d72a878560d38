//! A large tenant: how much memory do a million people take, how long do the first reading, the start and one round of
//! changes last, and what does it cost to ask how somebody stands?
//!
//! One shot, not a statistic: each step is done once and its wall time printed. `PORTCULLIS_BENCH_USERS` makes it smaller.
#![expect(clippy::unwrap_used, reason = "a bench that cannot be set up has nothing to measure")]
#![expect(clippy::print_stdout, reason = "a bench says what it measured")]
#![expect(clippy::disallowed_methods, reason = "a bench reads the machine's clock")]

use std::hint::black_box;
use std::time::Instant;

use portcullis::directory::{Affected, Directory, RiskUpdate, Round, Update};
use portcullis::entra::graph::{Group, GroupChange, Member, MemberKind, User, UserChange};
use portcullis::facts::{
    Account, Groups, Guid, ObjectId, RiskLevel, RiskReading, RiskState, Subject, SystemClock, TenantId, UnixTime,
    UserKey,
};
use portcullis::store::Store;

/// As the program itself.
#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const TENANT: TenantId = TenantId(Guid::from_u128(1));
const GROUPS: u64 = 50_000;
const RISKY: u64 = 50_000;
/// Groups that a person is in directly; every tenth group is in another one.
const MEMBERSHIPS: u64 = 5;
/// Graph's largest page.
const PAGE: u64 = 999;

/// Ids as random as real ones.
fn id(number: u64) -> ObjectId {
    let mix =
        |number: u64| number.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    ObjectId(Guid::from_u128(u128::from(mix(number)) << 64 | u128::from(mix(number ^ 0xabcd))))
}

fn user_id(number: u64) -> ObjectId {
    id(number)
}

fn group_id(number: u64) -> ObjectId {
    id(1 << 40 | number)
}

fn user(number: u64, enabled: bool) -> UserChange {
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

fn round(place: u64, last: bool) -> Option<Round> {
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

async fn read_everything(directory: &Directory, users: u64) {
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

async fn list_risk(directory: &Directory, read: u64) -> Affected {
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

fn subject(number: u64) -> Subject {
    Subject {
        user: UserKey { tenant: TENANT, object: user_id(number) },
        name: "Somebody".into(),
        email: "somebody@contoso.example".into(),
        groups: Groups::Unknown,
    }
}

/// Resident memory of this process, in MiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

fn timed<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let before = Instant::now();
    let value = work();
    println!("{what}: {:.3} s; resident {} MiB", before.elapsed().as_secs_f64(), resident());
    value
}

fn main() {
    let users = std::env::var("PORTCULLIS_BENCH_USERS").ok().map_or(1_000_000, |text| text.parse().unwrap());
    match std::env::var_os(STATE) {
        Some(dir) => start(std::path::Path::new(&dir), users),
        None => fill(users),
    }
}

/// Everything a directory goes through, then a start in a process of its own, whose memory is that of a start alone.
fn fill(users: u64) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let memberships = users * MEMBERSHIPS;
    println!("{users} users, {GROUPS} groups, {memberships} memberships, {RISKY} risky; at first {} MiB", resident());
    let directory = Directory::open(&[TENANT], store, SystemClock::shared()).unwrap();
    timed("first full reading, a commit per page", || runtime.block_on(read_everything(&directory, users)));
    timed("first list of risk", || runtime.block_on(list_risk(&directory, 1_800_000_100)));
    let same = timed("the same list again", || runtime.block_on(list_risk(&directory, 1_800_000_115)));
    assert_eq!(same, Affected::Nobody);
    let page = (0..1_000).map(|number| user(number * 997 % users, false)).collect();
    let update = Update { users: page, users_round: round(1, true), ..Update::default() };
    let changed = timed("1,000 accounts disabled by one update", || runtime.block_on(directory.apply(TENANT, update)));
    assert!(matches!(changed.unwrap(), Affected::People(people) if people.len() == 1_000));
    let teams = (0..100).map(|number| team_of_ten(number, users)).collect();
    let update = Update { groups: teams, groups_round: round(1, true), ..Update::default() };
    timed("1,000 memberships of 100 groups by one update", || runtime.block_on(directory.apply(TENANT, update)))
        .unwrap();
    timed("search over everybody that finds nobody", || directory.search(TENANT, "zzz", 20));
    timed("the second full reading", || runtime.block_on(read_everything(&directory, users)));
    drop(directory);
    let file = std::fs::metadata(dir.path().join("portcullis.redb")).unwrap().len() / (1024 * 1024);
    println!("the store's file: {file} MiB; a start in a process of its own:");
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    assert!(child.env(STATE, dir.path()).status().unwrap().success());
}

/// Ten people more in a group.
fn team_of_ten(number: u64, users: u64) -> GroupChange {
    let person = |place: u64| Member { id: user_id((number * 10 + place) * 37 % users), kind: MemberKind::User };
    GroupChange::Seen(Group {
        id: group_id(number),
        name: None,
        added: (0..10).map(person).collect(),
        removed: Vec::new(),
    })
}

/// A start, and what it then costs to ask.
fn start(dir: &std::path::Path, users: u64) {
    println!("at first: resident {} MiB", resident());
    let store = timed("opening the file", || Store::open(dir).unwrap());
    let directory = timed("opening the directory, to the first answer", || {
        let directory = Directory::open(&[TENANT], store, SystemClock::shared()).unwrap();
        assert_eq!(directory.standing(&subject(3)).account, Account::Enabled);
        directory
    });
    println!("{:?}", directory.counts(TENANT));
    let people: Vec<Subject> = (0..10_000).map(|number| subject(number * 9_973 % users)).collect();
    for what in ["standing, first time", "standing, again"] {
        let before = Instant::now();
        for person in &people {
            black_box(directory.standing(black_box(person)));
        }
        println!("{what}: {:.0} ns each", before.elapsed().as_secs_f64() * 1e9 / 10_000.0);
    }
}

/// Tells a second process where the first one left its state.
const STATE: &str = "PORTCULLIS_BENCH_STATE";
