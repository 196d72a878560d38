//! What does a decision cost, by the number of rules? And does the forwarding path really allocate nothing?
//!
//! Three shapes: rules that differ by path, rules that differ by group, and both under risk control. The person is one of
//! any number: what is decided hangs on one standing, so a million people cost what one does.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use http::Method;
use portcullis::facts::{
    AccountRisk, AppId, AuthContext, Destination, Facts, Groups, Guid, ObjectId, Passed, Proof, RiskFeed, RiskLevel,
    RiskReading, RiskSource, RiskState, Standing, Subject, TenantId, UnixTime, UserKey,
};
use portcullis::policy::{
    People, Policy, RiskControl, RiskIs, RiskRule, RiskSettings, Rule, StepUp, Verdict, When, Who,
};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

/// Counts every allocation of this program; the crate does the unsafe part.
#[global_allocator]
static COUNTED: &StatsAlloc<std::alloc::System> = &INSTRUMENTED_SYSTEM;

const APPS: u32 = 100;
const NOW: UnixTime = UnixTime(1_800_000_000);

fn group(n: u128) -> Who {
    Who::Listed { users: vec![], groups: vec![ObjectId(Guid::from_u128(n << 64 | n))] }
}

/// Rules spread over a hundred apps; for each app the last one lets the person in. The others differ by path, or by group.
fn rules(number: u32, by_path: bool) -> Vec<Rule> {
    let apps = APPS.min(number);
    let rule = |n: u32| {
        let last = n + apps >= number;
        let verdict = if last { Verdict::Allow } else { Verdict::Block };
        let who = if last || by_path { group(7) } else { group(1000 + u128::from(n)) };
        let paths = if last || !by_path { vec![] } else { vec![format!("/area-{n}").into()] };
        Rule { apps: vec![AppId(n % apps)], paths, ..Rule::new(&format!("rule-{n}"), who, verdict) }
    };
    (0..number).map(rule).collect()
}

/// As many risk rules, at most five hundred, of which one challenges a medium risk.
fn risk(number: u32) -> RiskControl {
    let step_up = StepUp { context: AuthContext(1), lifetime: Duration::from_secs(3600) };
    let rule = |n: u32| RiskRule {
        name: format!("risk-{n}").into(),
        enabled: true,
        risk: RiskIs { levels: vec![if n == 0 { RiskLevel::Medium } else { RiskLevel::High }], ..RiskIs::default() },
        who: Who::SignedIn,
        except: People::default(),
        apps: vec![],
        plane: None,
        when: When::default(),
        verdict: if n == 0 { Verdict::Challenge } else { Verdict::Block },
        step_up: Some(step_up),
        actions: vec![],
    };
    let settings = RiskSettings { max_age: Some(Duration::from_secs(600)), ..RiskSettings::default() };
    RiskControl { rules: (0..number.min(500)).map(rule).collect(), settings, apps: vec![] }
}

fn subject() -> Subject {
    Subject {
        user: UserKey { tenant: TenantId(Guid::from_u128(1)), object: ObjectId(Guid::from_u128(2)) },
        name: "Alice".into(),
        email: "alice@contoso.example".into(),
        groups: Groups::known((0..50u128).map(|n| ObjectId(Guid::from_u128(n << 64 | n))).collect()),
    }
}

/// A person at medium risk who has passed the step-up.
fn proven(subject: &Subject) -> (Standing, Passed) {
    let reading = RiskReading {
        level: RiskLevel::Medium,
        state: RiskState::AtRisk,
        updated: UnixTime(NOW.0 - 900),
        read: UnixTime(NOW.0 - 890),
        deleted: false,
        processing: false,
    };
    let risk = Some(AccountRisk { reading, detections: Arc::from([]) });
    let proofs = vec![Proof { context: AuthContext(1), at: UnixTime(NOW.0 - 60) }];
    (Standing { risk, ..Standing::of_token(subject) }, Passed { proofs, acknowledged: vec![] })
}

fn decide(c: &mut Criterion) {
    let subject = subject();
    let plain = (Standing::of_token(&subject), Passed::default());
    let at_risk = proven(&subject);
    let mut group = c.benchmark_group("decide");
    for number in [10, 1_000, 10_000] {
        let by_path = Policy::new(rules(number, true), 1);
        let by_group = Policy::new(rules(number, false), 1);
        let controlled = by_path.clone().with_risk(risk(number));
        for (shape, policy, (standing, passed), verdict) in [
            ("path", &by_path, &plain, Verdict::Allow),
            ("group", &by_group, &plain, Verdict::Allow),
            ("risk, none", &controlled, &plain, Verdict::Allow),
            ("risk, proven", &controlled, &at_risk, Verdict::Monitor),
        ] {
            let facts = Facts {
                subject: Some(&subject),
                standing,
                feed: RiskFeed { source: RiskSource::Answers, confirmed: UnixTime(NOW.0 - 10) },
                authenticated: NOW,
                passed,
                destination: Destination::App {
                    app: AppId(3),
                    name: "wiki",
                    method: &Method::GET,
                    path: "/page/of/wiki",
                },
                client: IpAddr::V4(Ipv4Addr::LOCALHOST),
                now: NOW,
            };
            assert_eq!(policy.decide(&facts).verdict, verdict, "{shape} {number}");
            let region = Region::new(COUNTED);
            for _ in 0..1000 {
                black_box(policy.decide(black_box(&facts)));
            }
            let change = region.change();
            assert_eq!((change.allocations, change.reallocations), (0, 0), "forwarding allocates nothing: {shape}");
            group.bench_function(BenchmarkId::new(shape, number), |b| b.iter(|| policy.decide(black_box(&facts))));
        }
    }
    group.finish();
}

criterion_group!(benches, decide);
criterion_main!(benches);
