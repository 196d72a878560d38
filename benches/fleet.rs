//! A large company at work: how much memory do a million sessions take beside a million people, and how long does a start
//! take until the first right answer for somebody who is signed in?
//!
//! One shot, not a statistic. A first process fills a folder: people and groups as pages from Graph, sessions by the same
//! call as a sign-in, a thousand at once so that they share commits. A second one starts from it as the program does:
//! file, key ring, sessions, directory; then a cookie is looked up and its person decided on. `PORTCULLIS_BENCH_USERS` and
//! `PORTCULLIS_BENCH_SESSIONS` make it smaller. A million sessions are 5 GB or so on disk, below `TMPDIR`.
#![expect(clippy::unwrap_used, reason = "a bench that cannot be set up has nothing to measure")]
#![expect(clippy::print_stdout, reason = "a bench says what it measured")]
#![expect(clippy::disallowed_methods, reason = "a bench reads the machine's clock")]

#[path = "tenant.rs"]
mod tenant;

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::Method;
use portcullis::directory::{Directory, Update};
use portcullis::facts::{AppId, Destination, Facts, Groups, RiskLevel, SystemClock};
use portcullis::peers::Peers;
use portcullis::policy::{
    OnDoubt, People, Policy, RiskControl, RiskIs, RiskRule, RiskSettings, Rule, Verdict, When, Who,
};
use portcullis::session::{Config, NewSession, Sessions};
use portcullis::store::{Keyring, Store};
use portcullis::telemetry::Secret;
use tokio::task::JoinSet;

use tenant::{
    GROUPS, MEMBERSHIPS, RISKY, TENANT, group_id, left_state, list_risk, number, read_everything, resident, round,
    runs, start_apart, subject, timed, user, user_id,
};

const HOST: &str = "wiki.example.test";
/// Sign-ins under way at once.
const AT_ONCE: usize = 1_000;

fn main() {
    let (users, sessions) = (number("PORTCULLIS_BENCH_USERS"), number("PORTCULLIS_BENCH_SESSIONS"));
    match left_state() {
        Some(dir) => start(&dir, sessions),
        None => fill(users, sessions),
    }
}

/// What a sign-in brings, with tokens as long as real ones. Groups come from the directory.
fn sign_in(number: u64) -> NewSession {
    let mut subject = subject(number);
    subject.name = format!("Person Number {number}").into();
    subject.email = format!("person.number.{number}@contoso.example").into();
    subject.groups = Groups::Unknown;
    NewSession {
        subject,
        sid: Some(format!("00000000-0000-4000-8000-{number:012}")),
        login_hint: Some(Secret::new("x".repeat(120))),
        authenticated: SystemClock::shared().now(),
        refresh_token: Some(Secret::new("x".repeat(1200))),
        proofs: Vec::new(),
    }
}

fn open_sessions(dir: &Path, store: &Store) -> Sessions {
    let keyring = Arc::new(Keyring::open(dir).unwrap());
    let hour = Duration::from_secs(3600);
    let config = Config { absolute: 12 * hour, idle: 2 * hour, capacity: 100_000 };
    Sessions::open(config, store.clone(), keyring, Peers::alone(), SystemClock::shared()).unwrap()
}

fn fill(users: u64, sessions: u64) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    println!(
        "{users} users, {GROUPS} groups, {} memberships, {RISKY} risky, {sessions} sessions; at first {} MiB",
        users * MEMBERSHIPS,
        resident()
    );
    let directory = Directory::open(&[TENANT], store.clone(), SystemClock::shared()).unwrap();
    timed("reading the directory", || runtime.block_on(read_everything(&directory, users)));
    timed("listing risk", || runtime.block_on(list_risk(&directory, 1_800_000_100)));
    // One who must not get in after the start.
    let update = Update { users: vec![user(7, false)], users_round: round(1, true), ..Update::default() };
    runtime.block_on(directory.apply(TENANT, update)).unwrap();
    let live = open_sessions(dir.path(), &store);
    let cookies = timed("signing everybody in", || runtime.block_on(sign_everybody_in(&live, sessions)));
    std::fs::write(dir.path().join("cookies"), cookies.join("\n")).unwrap();
    drop((live, directory, store));
    start_apart(dir.path());
}

/// The first ten cookies.
async fn sign_everybody_in(live: &Sessions, sessions: u64) -> Vec<String> {
    let mut first = Vec::new();
    for some in runs(sessions, AT_ONCE) {
        let mut under_way = JoinSet::new();
        for number in some {
            let live = live.clone();
            under_way.spawn(async move { (number, live.create(sign_in(number), HOST).await.unwrap().1) });
        }
        while let Some(done) = under_way.join_next().await {
            let (number, cookie) = done.unwrap();
            if number < 10 {
                first.push((number, cookie.expose().clone()));
            }
        }
    }
    first.sort();
    first.into_iter().map(|(_, cookie)| cookie).collect()
}

/// Everybody may, by a group or by being signed in, but not at medium risk.
fn policy() -> Policy {
    let rule = Rule::new("everybody", Who::SignedIn, Verdict::Allow);
    let at_risk = RiskRule {
        name: "at-risk".into(),
        enabled: true,
        risk: RiskIs { levels: vec![RiskLevel::Medium], ..RiskIs::default() },
        who: Who::SignedIn,
        except: People::default(),
        apps: vec![],
        plane: None,
        when: When::default(),
        verdict: Verdict::Block,
        step_up: None,
        actions: vec![],
    };
    let settings = RiskSettings::with(OnDoubt::LastKnown);
    let team = Rule {
        who: Who::Listed { users: vec![], groups: vec![group_id(3)] },
        ..Rule::new("team", Who::SignedIn, Verdict::Allow)
    };
    Policy::new(vec![team, rule], 1).with_risk(RiskControl { rules: vec![at_risk], settings, apps: vec![] })
}

fn start(dir: &Path, number_of_sessions: u64) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    println!("at first: resident {} MiB", resident());
    let began = Instant::now();
    let store = timed("opening the file", || Store::open(dir).unwrap());
    let sessions = timed("opening the sessions", || open_sessions(dir, &store));
    let directory =
        timed("opening the directory", || Directory::open(&[TENANT], store, SystemClock::shared()).unwrap());
    let policy = policy();
    let cookies = std::fs::read_to_string(dir.join("cookies")).unwrap();
    for (number, cookie) in (0u64..).zip(cookies.lines()) {
        let verdict = runtime.block_on(verdict(&sessions, &directory, &policy, (number, cookie)));
        // The risky are every third; the seventh is disabled.
        let expected = if number == 7 || number % 3 == 0 { Verdict::Block } else { Verdict::Monitor };
        assert_eq!(verdict, expected, "person {number}");
        if number == 0 {
            println!("from the start to the first right verdict: {:.3} s", began.elapsed().as_secs_f64());
        }
    }
    assert_eq!(sessions.count() as u64, number_of_sessions);
    println!("sessions and people together: resident {} MiB", resident());
    // The allocator gives back what the start used up within ten seconds or so, while it is called.
    for _ in 0..24 {
        std::thread::sleep(Duration::from_millis(500));
        drop(std::hint::black_box(vec![0u8; 1 << 20]));
    }
    println!("twelve seconds later: resident {} MiB", resident());
}

async fn verdict(sessions: &Sessions, directory: &Directory, policy: &Policy, who: (u64, &str)) -> Verdict {
    let key = sessions.verify_cookie(HOST, who.1.as_bytes()).unwrap();
    let session = sessions.load(&key).await.unwrap().unwrap();
    assert_eq!(session.user.object, user_id(who.0));
    let (subject, passed) = (session.subject(), session.passed());
    let facts = Facts {
        subject: Some(&subject),
        standing: &directory.standing(&subject),
        feed: directory.feed(TENANT).now(),
        authenticated: session.authenticated(),
        passed: &passed,
        destination: Destination::App { app: AppId(0), name: "wiki", method: &Method::GET, path: "/" },
        client: IpAddr::V4(Ipv4Addr::LOCALHOST),
        now: SystemClock::shared().now(),
    };
    policy.decide(&facts).verdict
}
