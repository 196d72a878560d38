//! What does it cost to know whose session a cookie is: its MAC, the look-up, the check that it still lives? And how
//! much memory does a session take?
#![expect(clippy::unwrap_used, clippy::panic, reason = "a bench that cannot be set up has nothing to measure")]
#![expect(clippy::print_stdout, reason = "a bench says what it measured")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use portcullis::facts::{Groups, Guid, ObjectId, Subject, SystemClock, TenantId, UnixTime, UserKey};
use portcullis::peers::Peers;
use portcullis::session::{Config, Lookup, NewSession, Sessions};
use portcullis::store::{Keyring, Store};
use portcullis::telemetry::Secret;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

/// Counts every allocation of this program; the crate does the unsafe part.
#[global_allocator]
static COUNTED: &StatsAlloc<std::alloc::System> = &INSTRUMENTED_SYSTEM;

const HOST: &str = "wiki.example.test";
const SESSIONS: u128 = 2_000;

fn sign_in(n: u128) -> NewSession {
    let user = UserKey { tenant: TenantId(Guid::from_u128(1)), object: ObjectId(Guid::from_u128(n)) };
    let groups = Groups::known((0..10).map(|n| ObjectId(Guid::from_u128(n))).collect());
    NewSession {
        subject: Subject {
            user,
            name: format!("Person Number {n}").into(),
            email: format!("person{n}@contoso.example").into(),
            groups,
        },
        sid: Some(format!("00000000-0000-4000-8000-{n:012}")),
        login_hint: Some(Secret::new("x".repeat(120))),
        authenticated: UnixTime(1_800_000_000),
        refresh_token: Some(Secret::new("x".repeat(1200))),
        proofs: Vec::new(),
    }
}

fn session(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let clock = SystemClock::shared();
    let store = Store::open(dir.path()).unwrap();
    let keyring = Arc::new(Keyring::open(dir.path()).unwrap());
    let hour = Duration::from_secs(3600);
    let config = Config { absolute: 8 * hour, idle: hour, capacity: 100_000 };
    let sessions = Sessions::open(config, store, keyring, Peers::alone(), Arc::clone(&clock)).unwrap();

    let region = Region::new(COUNTED);
    let mut cookies = Vec::with_capacity(2_000);
    runtime.block_on(async {
        for n in 0..SESSIONS {
            cookies.push(sessions.create(sign_in(n), HOST).await.unwrap().1);
        }
    });
    let change = region.change();
    let grown = change.bytes_allocated.saturating_sub(change.bytes_deallocated);
    println!("memory per session in use: {} bytes (store cache included)", grown / 2_000);

    let cookie = cookies.last().unwrap().expose().as_bytes().to_vec();
    let key = sessions.verify_cookie(HOST, &cookie).unwrap();
    let Lookup::Found(live) = sessions.lookup(&key) else { panic!("the session is in memory") };
    c.bench_function("session/mac", |b| b.iter(|| sessions.verify_cookie(HOST, black_box(&cookie))));
    c.bench_function("session/forged", |b| {
        let mut forged = cookie.clone();
        let last = forged.last_mut().unwrap();
        *last = if *last == b'A' { b'B' } else { b'A' };
        b.iter(|| sessions.verify_cookie(HOST, black_box(&forged)));
    });
    c.bench_function("session/lookup", |b| b.iter(|| matches!(sessions.lookup(black_box(&key)), Lookup::Found(_))));
    c.bench_function("session/touch", |b| b.iter(|| live.touch(clock.tick())));
    c.bench_function("session/whole", |b| {
        b.iter(|| {
            let key = sessions.verify_cookie(HOST, black_box(&cookie)).unwrap();
            matches!(sessions.lookup(&key), Lookup::Found(session) if session.touch(clock.tick()).is_ok())
        });
    });
}

criterion_group!(benches, session);
criterion_main!(benches);
