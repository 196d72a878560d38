//! What does a decision cost, by the number of rules? And does the allow path really allocate nothing?

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use http::Method;
use portcullis::facts::{
    AppId, Destination, Facts, Groups, Guid, ObjectId, Passed, RiskFeed, Standing, Subject, TenantId, UnixTime, UserKey,
};
use portcullis::policy::{Policy, Rule, Verdict, Who};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

/// Counts every allocation of this program; the crate does the unsafe part.
#[global_allocator]
static COUNTED: &StatsAlloc<std::alloc::System> = &INSTRUMENTED_SYSTEM;

const APPS: u32 = 100;

/// Rules spread over a hundred apps; for each app the last one lets the person in.
fn policy(rules: u32) -> Policy {
    let rule = |n: u32| {
        let last = n + APPS.min(rules) >= rules;
        let who = Who::Listed { users: vec![], groups: vec![ObjectId(Guid::from_u128(7))] };
        let verdict = if last { Verdict::Allow } else { Verdict::Block };
        Rule {
            apps: vec![AppId(n % APPS.min(rules))],
            paths: if last { vec![] } else { vec![format!("/area-{n}").into()] },
            ..Rule::new(&format!("rule-{n}"), who, verdict)
        }
    };
    Policy::new((0..rules).map(rule).collect(), 1)
}

fn subject() -> Subject {
    Subject {
        user: UserKey { tenant: TenantId(Guid::from_u128(1)), object: ObjectId(Guid::from_u128(2)) },
        name: "Alice".into(),
        email: "alice@contoso.example".into(),
        groups: Groups::known((0..50).map(|n| ObjectId(Guid::from_u128(n))).collect()),
    }
}

fn decide(c: &mut Criterion) {
    let subject = subject();
    let (standing, passed) = (Standing::of_token(&subject), Passed::default());
    let mut group = c.benchmark_group("decide");
    for rules in [10, 1_000, 10_000] {
        let policy = policy(rules);
        let facts = Facts {
            subject: Some(&subject),
            standing: &standing,
            feed: RiskFeed::NONE,
            authenticated: UnixTime(1_800_000_000),
            passed: &passed,
            destination: Destination::App { app: AppId(3), name: "wiki", method: &Method::GET, path: "/page/of/wiki" },
            client: IpAddr::V4(Ipv4Addr::LOCALHOST),
            now: UnixTime(1_800_000_000),
        };
        assert_eq!(policy.decide(&facts).verdict, Verdict::Allow);
        let region = Region::new(COUNTED);
        for _ in 0..1000 {
            black_box(policy.decide(black_box(&facts)));
        }
        let change = region.change();
        assert_eq!((change.allocations, change.reallocations), (0, 0), "the allow path allocates nothing");
        group.bench_function(BenchmarkId::from_parameter(rules), |b| b.iter(|| policy.decide(black_box(&facts))));
    }
    group.finish();
}

criterion_group!(benches, decide);
criterion_main!(benches);
