//! A large tenant: how much memory do a million people take, how long do the first reading, the start and one round of
//! changes last, and what does it cost to ask how somebody stands?
//!
//! One shot, not a statistic: each step is done once and its wall time printed. `PORTCULLIS_BENCH_USERS` makes it smaller.
#![expect(clippy::unwrap_used, reason = "a bench that cannot be set up has nothing to measure")]
#![expect(clippy::print_stdout, reason = "a bench says what it measured")]
#![expect(clippy::disallowed_methods, reason = "a bench reads the machine's clock")]

#[path = "tenant.rs"]
mod tenant;

use std::hint::black_box;
use std::time::Instant;

use portcullis::directory::{Affected, Directory, Update};
use portcullis::entra::graph::{Group, GroupChange, Member, MemberKind};
use portcullis::facts::{Account, Subject, SystemClock};
use portcullis::store::Store;

use tenant::{
    GROUPS, MEMBERSHIPS, RISKY, TENANT, group_id, left_state, list_risk, number, read_everything, resident, round,
    start_apart, subject, timed, user, user_id,
};

fn main() {
    let users = number("PORTCULLIS_BENCH_USERS");
    match left_state() {
        Some(dir) => start(&dir, users),
        None => fill(users),
    }
}

/// Everything a directory goes through, then a start in a process of its own.
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
    start_apart(dir.path());
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
