//! Deciding and explaining against a reference that knows no index, no order of cheapness and no shared code.

use std::time::Duration;

use super::risk::{C1, C2, NOW};
use super::*;
use crate::facts::{
    Account, AccountRisk, Acknowledged, AuthContext, Hold, Passed, Proof, RiskLevel, RiskReading, RiskSource, RiskState,
};

use Verdict::{Challenge, Monitor, Warn};

const LEVELS: [RiskLevel; 6] =
    [RiskLevel::None, RiskLevel::Low, RiskLevel::Medium, RiskLevel::High, RiskLevel::Hidden, RiskLevel::Unknown];
const STATES: [RiskState; 5] =
    [RiskState::None, RiskState::AtRisk, RiskState::Dismissed, RiskState::ConfirmedCompromised, RiskState::Unknown];

/// Everything a decision hangs on, in the order in which the reference asks.
type Answer = (Verdict, Reason, Option<String>, Option<u8>);

struct Wants {
    all: Vec<(Verdict, Reason, Option<String>, Option<u8>)>,
}

impl Wants {
    fn strictest(&self, least: Verdict) -> Option<Answer> {
        let order = [Block, Challenge, Warn, Monitor];
        let wanted = order.iter().take_while(|v| **v != least).chain([&least]);
        wanted.flat_map(|v| self.all.iter().find(|(verdict, ..)| verdict == v)).next().cloned()
    }

    fn add(
        &mut self,
        verdict: Verdict,
        reason: Reason,
        rule: Option<&str>,
        step_up: Option<StepUp>,
        facts: &Facts<'_>,
    ) {
        let recent = |at: u64, span: u64| at <= NOW + 300 && at + span >= NOW;
        let changed = facts.standing.risk.as_ref().filter(|_| {
            matches!(reason, Reason::RiskRule | Reason::RiskUnknown | Reason::RiskTooOld | Reason::RiskUnavailable)
        });
        let changed = changed.map_or(0, |risk| risk.reading.updated.0.min(risk.reading.read.0));
        let proven = |wanted: StepUp| {
            let fits = |proof: &&Proof| proof.context == wanted.context && proof.at.0 >= changed;
            facts.passed.proofs.iter().filter(fits).any(|proof| recent(proof.at.0, wanted.lifetime.as_secs()))
        };
        let warned = || facts.passed.acknowledged.iter().any(|w| Some(&*w.rule) == rule && recent(w.at.0, 86_400));
        let left = match (verdict, step_up) {
            (Challenge, None) => Block,
            (Challenge, Some(wanted)) if proven(wanted) => Monitor,
            (Warn, _) if warned() => Monitor,
            (verdict, _) => verdict,
        };
        let needs = step_up.filter(|_| left == Challenge).map(|wanted| wanted.context.0);
        self.all.push((left, reason, rule.map(str::to_owned), needs));
    }
}

fn in_list(users: &[UserKey], groups: &[ObjectId], subject: &Subject, facts: &Facts<'_>) -> Option<bool> {
    match (&facts.standing.groups, users.contains(&subject.user)) {
        (_, true) => Some(true),
        (Groups::Known(known), _) => Some(groups.iter().any(|group| known.iter().any(|other| other == group))),
        (Groups::Unknown, _) => {
            if groups.is_empty() {
                Some(false)
            } else {
                None
            }
        }
    }
}

fn when_fits(when: &When, facts: &Facts<'_>) -> bool {
    let here = |places: &[Arc<Place>]| places.iter().any(|place| place.contains(facts.client));
    let now = |schedules: &[Arc<Schedule>]| schedules.iter().any(|schedule| schedule.holds(facts.now));
    (when.places.is_empty() || here(&when.places))
        && !here(&when.not_places)
        && (when.schedules.is_empty() || now(&when.schedules))
        && !now(&when.not_schedules)
}

/// Whether a rule fits the risk as it is known, or as it is assumed.
fn risk_fits(wanted: &RiskIs, facts: &Facts<'_>, assumed: bool) -> bool {
    let risk = facts.standing.risk.as_ref().map(|risk| (risk.reading, &*risk.detections));
    let (level, state) = risk.map_or((RiskLevel::None, RiskState::None), |(r, _)| (r.level, r.state));
    let set_aside = state == RiskState::Dismissed && !assumed && wanted.states.is_empty();
    let (level, state) = match (assumed, set_aside) {
        (true, _) => (RiskLevel::Low, RiskState::AtRisk),
        (_, true) => (RiskLevel::None, RiskState::None),
        _ => (level, state),
    };
    let seen = risk.filter(|_| !set_aside).map_or(&[][..], |(_, detections)| detections);
    let detected = |wanted: &str| seen.iter().any(|found| **found == *wanted);
    let age = risk.map(|(reading, _)| NOW - reading.updated.0);
    (wanted.levels.is_empty() || wanted.levels.contains(&level))
        && (wanted.states.is_empty() || wanted.states.contains(&state))
        && (wanted.detections.is_empty() || wanted.detections.iter().any(|wanted| detected(wanted)))
        && wanted.older_than.is_none_or(|least| age.is_none_or(|age| age > least.as_secs()))
        && wanted.newer_than.is_none_or(|most| age.is_none_or(|age| age < most.as_secs()))
}

fn risk_wants(control: &RiskControl, subject: &Subject, facts: &Facts<'_>) -> Wants {
    let mut wants = Wants { all: vec![] };
    let Destination::App { app, .. } = facts.destination;
    let of_app = control.apps.get(app.0 as usize).copied().unwrap_or_default();
    let concerns = |rule: &&RiskRule| {
        rule.enabled && rule.plane != Some(Plane::Internet) && (rule.apps.is_empty() || rule.apps.contains(&app))
    };
    if control.rules.iter().filter(concerns).count() == 0 && of_app.max_age.is_none() {
        return wants;
    }
    let exempt = &control.settings.exempt;
    if in_list(&exempt.users, &exempt.groups, subject, facts) == Some(true) {
        return wants;
    }
    let risk = facts.standing.risk.as_ref().map(|risk| (risk.reading, &*risk.detections));
    let (level, state) = risk.map_or((RiskLevel::None, RiskState::None), |(r, _)| (r.level, r.state));
    let closed = state == RiskState::Dismissed;
    let mut doubts = vec![];
    if facts.feed.source != RiskSource::Answers {
        doubts.push((Reason::RiskUnavailable, control.settings.on_source(facts.feed.source).unwrap()));
    }
    if !closed && (matches!(level, RiskLevel::Hidden | RiskLevel::Unknown) || state == RiskState::Unknown) {
        doubts.push((Reason::RiskUnknown, control.settings.on_unknown));
    }
    let most = of_app.max_age.or(control.settings.max_age);
    if most.is_some_and(|most| NOW - facts.feed.confirmed.0 > most.as_secs()) {
        doubts.push((Reason::RiskTooOld, of_app.on_stale.unwrap_or(control.settings.on_stale)));
    }
    let low = doubts.iter().any(|(_, outcome)| *outcome == OnDoubt::Low);
    let worse = !closed && matches!(level, RiskLevel::Low | RiskLevel::Medium | RiskLevel::High);
    let assumed = low && !worse;
    for rule in control.rules.iter().filter(concerns) {
        let fits = (risk_fits(&rule.risk, facts, false) || (assumed && risk_fits(&rule.risk, facts, true)))
            && in_list(&rule.except.users, &rule.except.groups, subject, facts) != Some(true)
            && when_fits(&rule.when, facts);
        let about = match &rule.who {
            Who::Listed { users, groups } => in_list(users, groups, subject, facts) != Some(false),
            Who::Anyone | Who::SignedIn => true,
        };
        if fits && about {
            wants.add(rule.verdict, Reason::RiskRule, Some(&rule.name), rule.step_up, facts);
        }
    }
    for (reason, outcome) in doubts {
        wants.add(outcome.verdict(), reason, None, control.settings.step_up, facts);
    }
    wants
}

fn reference(rules: &[Rule], control: &RiskControl, facts: &Facts<'_>) -> Answer {
    let Some(subject) = facts.subject else { unreachable!("strangers have a test of their own") };
    let blocked = |reason| (Block, reason, None, None);
    match (facts.standing.hold.private, facts.standing.account) {
        (true, _) => return blocked(Reason::Held),
        (_, Account::Disabled) => return blocked(Reason::AccountDisabled),
        _ => {}
    }
    let mut wants = risk_wants(control, subject, facts);
    if let Some(refusal) = wants.strictest(Block) {
        return refusal;
    }
    let Destination::App { app, path, .. } = facts.destination;
    for rule in rules {
        let strict = matches!(rule.verdict, Block | Warn | Challenge);
        let names: Vec<&str> = path.split('/').map(|segment| segment.split(';').next().unwrap()).collect();
        let path = if strict { names.join("/") } else { path.to_owned() };
        let under = |p: &str| p == "/" || path == p || path.starts_with(&format!("{p}/"));
        let fits = rule.enabled
            && (rule.apps.is_empty() || rule.apps.contains(&app))
            && (rule.paths.is_empty() || rule.paths.iter().any(|p| under(p)))
            && when_fits(&rule.when, facts);
        let about = match &rule.who {
            Who::Anyone | Who::SignedIn => Some(true),
            Who::Listed { users, groups } => in_list(users, groups, subject, facts),
        };
        let reason = match (about, rule.verdict) {
            _ if !fits => continue,
            (Some(false), _) | (None, Allow | Monitor) => continue,
            (None, _) => GroupsUnknown,
            (Some(true), Allow) => {
                if rule.who == Who::Anyone {
                    RuleAllowsAnyone
                } else {
                    RuleAllows
                }
            }
            (Some(true), Block) => RuleBlocks,
            (Some(true), _) => Reason::RuleAsks,
        };
        let before = wants.all.len();
        wants.add(rule.verdict, reason, Some(&rule.name), rule.step_up, facts);
        let (left, _, name, _) = wants.all[before].clone();
        match left {
            Block => return (Block, reason, name, None),
            Allow => return wants.strictest(Monitor).unwrap_or((Allow, reason, name, None)),
            _ if about.is_some() => return wants.strictest(Monitor).unwrap(),
            _ => {}
        }
    }
    blocked(NoRuleMatched)
}

fn any_verdict() -> impl Strategy<Value = Verdict> {
    proptest::sample::select(vec![Allow, Allow, Monitor, Warn, Challenge, Block])
}

fn any_step_up() -> impl Strategy<Value = Option<StepUp>> {
    proptest::sample::select(vec![Some(C1), Some(C2), Some(C1), None])
}

fn any_when() -> impl Strategy<Value = When> {
    // NOW is 2027-01-15, a Friday, 08:00 UTC.
    let place = |net: &str| Arc::new(Place::new(net, &[net.parse().unwrap()]));
    let hours =
        |from: u16, to: u16| Arc::new(Schedule::new("s", [true; 7], (from * 60, to * 60), jiff::tz::TimeZone::UTC));
    let places = vec![place("127.0.0.0/8"), place("10.0.0.0/8"), place("2001:db8::/32")];
    let schedules = vec![hours(8, 9), hours(9, 8), hours(22, 7)];
    let quiet = |weight| proptest::bool::weighted(weight);
    (quiet(0.3), quiet(0.1), quiet(0.3), quiet(0.1), some(places), some(schedules)).prop_map(
        |(a, b, c, d, places, schedules)| When {
            places: if a { places.clone() } else { vec![] },
            not_places: if b { places } else { vec![] },
            schedules: if c { schedules.clone() } else { vec![] },
            not_schedules: if d { schedules } else { vec![] },
        },
    )
}

prop_compose! {
    fn any_access()(rule in any_rule(), verdict in any_verdict(), step_up in any_step_up(), when in any_when(), enabled in proptest::bool::weighted(0.9)) -> Rule {
        Rule { verdict, step_up, when, enabled, methods: vec![], ..rule }
    }
}

prop_compose! {
    fn any_risk_rule()(
        (levels, states, detections) in (some(LEVELS.to_vec()), some(STATES.to_vec()), some(vec!["leaked".into(), "travel".into()])),
        (plain_states, plain_detections) in (proptest::bool::weighted(0.7), proptest::bool::weighted(0.7)),
        (older, newer) in (proptest::option::weighted(0.2, 0u64..200), proptest::option::weighted(0.2, 0u64..200)),
        who in any_who(),
        (users, groups) in (some(vec![user(1)]), some(vec![object(1)])),
        apps in some((0..3).map(AppId).collect()),
        plane in proptest::sample::select(vec![None, None, Some(Plane::Private), Some(Plane::Internet)]),
        (verdict, step_up, when, enabled) in (any_verdict(), any_step_up(), any_when(), proptest::bool::weighted(0.9)),
    ) -> RiskRule {
        RiskRule {
            name: "".into(),
            enabled,
            risk: RiskIs {
                levels,
                states: if plain_states { vec![] } else { states },
                detections: if plain_detections { vec![] } else { detections },
                older_than: older.map(Duration::from_secs),
                newer_than: newer.map(Duration::from_secs),
            },
            who,
            except: People { users, groups },
            apps,
            plane,
            when,
            verdict: if verdict == Allow { Monitor } else { verdict },
            step_up,
            actions: vec![],
        }
    }
}

fn any_outcome() -> impl Strategy<Value = OnDoubt> {
    proptest::sample::select(OnDoubt::ALL.to_vec())
}

prop_compose! {
    fn any_control()(
        rules in proptest::collection::vec(any_risk_rule(), 0..5),
        outcomes in proptest::collection::vec(any_outcome(), 8),
        max_age in proptest::option::of(50u64..150),
        step_up in any_step_up(),
        (app_age, app_outcome) in (proptest::option::of(50u64..150), proptest::option::of(any_outcome())),
        exempt in proptest::bool::weighted(0.1),
    ) -> RiskControl {
        let settings = RiskSettings {
            max_age: max_age.map(Duration::from_secs),
            on_stale: outcomes[0],
            on_unknown: outcomes[1],
            on_never_synced: outcomes[2],
            on_no_permission: outcomes[3],
            on_no_licence: outcomes[4],
            on_not_in_cloud: outcomes[5],
            on_upload_off: outcomes[6],
            on_not_configured: outcomes[7],
            step_up,
            exempt: People { users: vec![], groups: if exempt { vec![object(2), object(1)] } else { vec![] } },
        };
        let app = AppRisk { max_age: app_age.map(Duration::from_secs), on_stale: app_outcome };
        RiskControl { rules, settings, apps: vec![app] }
    }
}

prop_compose! {
    fn any_standing()(
        level in proptest::sample::select(LEVELS.to_vec()),
        state in proptest::sample::select(STATES.to_vec()),
        (listed, held, disabled) in (proptest::bool::weighted(0.8), proptest::bool::weighted(0.05), proptest::bool::weighted(0.05)),
        detections in some(vec!["leaked".into(), "travel".into()]),
        (updated, read) in (1u64..200, 0u64..200),
    ) -> Standing {
        let (updated, read) = (UnixTime(NOW - updated), UnixTime(NOW - read));
        let reading = RiskReading { level, state, updated, read, deleted: false, processing: false };
        Standing {
            risk: listed.then(|| AccountRisk { reading, detections: detections.into() }),
            hold: Hold { private: held, internet: false },
            account: if disabled { Account::Disabled } else { Account::Enabled },
            ..Standing::unknown()
        }
    }
}

prop_compose! {
    fn any_passed()(proofs in proptest::collection::vec((1u8..3, 0u64..800), 0..3), warned in proptest::collection::vec((0usize..8, 80_000u64..90_000), 0..3)) -> Passed {
        let proof = |(context, age): (u8, u64)| Proof { context: AuthContext(context), at: UnixTime(NOW - age) };
        let warning = |(rule, age): (usize, u64)| Acknowledged { rule: format!("r{rule}").into(), at: UnixTime(NOW - age) };
        Passed { proofs: proofs.into_iter().map(proof).collect(), acknowledged: warned.into_iter().map(warning).collect() }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn with_every_condition_decide_explain_and_the_reference_agree(
        // Enough of them that the index is used.
        mut rules in proptest::collection::vec(any_access(), 0..24),
        mut control in any_control(),
        who in any_subject(),
        mut standing in any_standing(),
        passed in any_passed(),
        source in proptest::sample::select([RiskSource::ALL.as_slice(), &[RiskSource::Answers; 6]].concat()),
        confirmed in 0u64..200,
        client in proptest::sample::select(vec!["127.0.0.1", "::ffff:10.1.1.1", "2001:db8::1", "192.0.2.1"]),
        app in 0u32..4,
        path in proptest::sample::select(PATHS.to_vec()),
    ) {
        let names = (0..).map(|n| format!("r{n}"));
        let all = control.rules.iter_mut().map(|rule| &mut rule.name).chain(rules.iter_mut().map(|rule| &mut rule.name));
        all.zip(names).for_each(|(name, unique)| *name = unique.into());
        standing.groups = who.as_ref().map_or(Groups::Unknown, |subject| subject.groups.clone());
        let facts = Facts {
            standing: &standing,
            feed: RiskFeed { source, confirmed: UnixTime(NOW - confirmed) },
            authenticated: UnixTime(NOW),
            passed: &passed,
            client: client.parse().unwrap(),
            now: UnixTime(NOW),
            ..facts(who.as_ref(), app, &Method::GET, path)
        };
        let expected = who.is_some().then(|| reference(&rules, &control, &facts));
        let policy = Policy::new(rules, 1).with_risk(control);
        let decision = policy.decide(&facts);
        prop_assert_eq!(&policy.explain(&facts).decision, &decision);
        let Some(expected) = expected else {
            prop_assert!(decision.step != Step::RiskControl && decision.step != Step::Account, "a stranger has no account");
            return Ok(());
        };
        prop_assert!(decision.reason.may_give(decision.verdict), "metrics would not show {:?}", decision);
        let rule = decision.rule.as_deref().map(str::to_owned);
        prop_assert_eq!((decision.verdict, decision.reason, rule, decision.needs.map(|context| context.0)), expected);
    }
}
