//! Every way of not knowing the risk with every outcome, and step-ups that never ask in a loop.

use std::time::Duration;

use super::risk::{ANSWERS, C1, NOW, Scene, at_risk, reading, risk_rule, short};
use super::*;
use crate::facts::{AccountRisk, AuthContext, Hold, Passed, Proof, RiskLevel, RiskReading, RiskSource, RiskState};

use Verdict::{Challenge, Monitor, Warn};

/// A block for high and a warning for low, over an access rule for everybody, with `outcome` for every doubt.
fn doubting(outcome: OnDoubt) -> RiskControl {
    let rules = vec![risk_rule("high", RiskLevel::High, Block), risk_rule("low", RiskLevel::Low, Warn)];
    let settings =
        RiskSettings { max_age: Some(Duration::from_secs(120)), step_up: Some(C1), ..RiskSettings::with(outcome) };
    RiskControl { rules, settings, apps: vec![] }
}

fn over_all(control: RiskControl) -> Policy {
    Policy::new(vec![rule("all", Who::SignedIn, Allow)], 1).with_risk(control)
}

/// What a person without any risk gets in doubt.
fn expected(outcome: OnDoubt, reason: Reason) -> (Verdict, Reason, Option<&'static str>) {
    match outcome {
        OnDoubt::LastKnown => (Monitor, reason, None),
        OnDoubt::Low => (Warn, Reason::RiskRule, Some("low")),
        OnDoubt::Challenge => (Challenge, reason, None),
        OnDoubt::Block => (Block, reason, None),
    }
}

#[test]
fn rs_04_every_source_that_does_not_answer_has_its_configured_outcome_and_none_is_silent() {
    for outcome in OnDoubt::ALL {
        let policy = over_all(doubting(outcome));
        for source in RiskSource::ALL {
            let mut scene = Scene::new();
            scene.feed.source = source;
            let decision = scene.decide(&policy);
            if source == RiskSource::Answers {
                assert_eq!(short(&decision), (Allow, RuleAllows, Some("all")));
            } else {
                assert_eq!(short(&decision), expected(outcome, Reason::RiskUnavailable), "{source:?} {outcome:?}");
                assert_eq!(decision.step, Step::RiskControl);
                assert_eq!(decision.needs, (outcome == OnDoubt::Challenge).then_some(AuthContext(1)));
            }
            // who was blocked stays blocked, whatever happens to the source.
            scene.standing.risk = at_risk(RiskLevel::High);
            assert_eq!(
                short(&scene.decide(&policy)),
                (Block, Reason::RiskRule, Some("high")),
                "{source:?} {outcome:?}"
            );
        }
    }
}

/// RS-02: what is assumed for want of knowledge is added to what is known; it replaces nothing that blocks.
#[test]
fn assuming_a_low_risk_lifts_no_rule_that_matches_what_is_known() {
    let compromised = RiskRule {
        risk: RiskIs { states: vec![RiskState::ConfirmedCompromised], ..RiskIs::default() },
        ..risk_rule("compromised", RiskLevel::High, Block)
    };
    let mut control = doubting(OnDoubt::Low);
    control.rules.extend([compromised, risk_rule("hidden", RiskLevel::Hidden, Block)]);
    let policy = over_all(control);
    for (level, state, rule) in [
        (RiskLevel::Hidden, RiskState::ConfirmedCompromised, "compromised"),
        (RiskLevel::None, RiskState::ConfirmedCompromised, "compromised"),
        (RiskLevel::Hidden, RiskState::AtRisk, "hidden"),
    ] {
        for source in [RiskSource::Answers, RiskSource::NoPermission] {
            let mut scene = Scene::new();
            scene.feed.source = source;
            scene.standing.risk = Some(AccountRisk { reading: reading(level, state), detections: [].into() });
            let expected = (Block, Reason::RiskRule, Some(rule));
            assert_eq!(short(&scene.decide(&policy)), expected, "{level:?} {state:?} {source:?}");
        }
    }
}

#[test]
fn each_source_has_a_key_of_its_own() {
    let sources = RiskSource::ALL.into_iter().filter(|source| *source != RiskSource::Answers);
    for chosen in sources.clone() {
        let mut control = doubting(OnDoubt::Challenge);
        let settings = &mut control.settings;
        *match chosen {
            RiskSource::NeverSynced => &mut settings.on_never_synced,
            RiskSource::NoPermission => &mut settings.on_no_permission,
            RiskSource::NoLicence => &mut settings.on_no_licence,
            RiskSource::NotInCloud => &mut settings.on_not_in_cloud,
            RiskSource::UploadOff => &mut settings.on_upload_off,
            RiskSource::NotConfigured | RiskSource::Answers => &mut settings.on_not_configured,
        } = OnDoubt::Block;
        let policy = over_all(control);
        for source in sources.clone() {
            let mut scene = Scene::new();
            scene.feed.source = source;
            let wanted = if source == chosen { Block } else { Challenge };
            assert_eq!(scene.decide(&policy).verdict, wanted, "{chosen:?} {source:?}");
        }
    }
}

#[test]
fn rs_04_the_age_switches_within_the_second_and_each_app_may_say_its_own() {
    for outcome in OnDoubt::ALL {
        let policy = over_all(doubting(outcome));
        let at = |age: u64| {
            let mut scene = Scene::new();
            scene.feed.confirmed = UnixTime(NOW - age);
            scene.decide(&policy)
        };
        assert_eq!(at(120).verdict, Allow);
        assert_eq!(short(&at(121)), expected(outcome, Reason::RiskTooOld), "{outcome:?}");
    }
    let mut control = doubting(OnDoubt::LastKnown);
    control.apps = vec![AppRisk { max_age: Some(Duration::from_secs(5)), on_stale: Some(OnDoubt::Block) }];
    assert_eq!(short(&Scene::new().decide(&over_all(control.clone()))), (Block, Reason::RiskTooOld, None));
    // Without any risk rule the app's own age makes risk matter; without both nothing does.
    control.rules = vec![];
    let policy = over_all(control.clone());
    assert_eq!(Scene::new().decide(&policy).verdict, Block);
    assert!(policy.uses_risk(AppId(0)) && !policy.uses_risk(AppId(1)) && policy.depends_on_time());
    control.apps = vec![];
    let policy = over_all(control);
    let mut scene = Scene::new();
    scene.feed = RiskFeed::NONE;
    assert_eq!(scene.decide(&policy).verdict, Allow);
    assert!(!policy.depends_on_time());
}

#[test]
fn a_confirmation_from_the_future_or_from_never_is_none() {
    let policy = over_all(doubting(OnDoubt::Block));
    let at = |source, confirmed| {
        let mut scene = Scene::new();
        scene.feed = RiskFeed { source, confirmed: UnixTime(confirmed) };
        scene.decide(&policy).reason
    };
    assert_eq!(at(RiskSource::Answers, NOW + 300), RuleAllows);
    assert_eq!(at(RiskSource::Answers, NOW + 301), Reason::RiskTooOld);
    assert_eq!(at(RiskSource::Answers, 0), Reason::RiskTooOld);
    assert_eq!(at(RiskSource::NeverSynced, 0), Reason::RiskUnavailable);
}

#[test]
fn rs_02_what_is_hidden_or_unknown_is_never_read_as_good() {
    use RiskLevel::{Hidden, High, Low, Medium, None, Unknown};
    for (level, state, unknown) in [
        (Hidden, RiskState::AtRisk, true),
        (Hidden, RiskState::None, true),
        (Unknown, RiskState::AtRisk, true),
        (None, RiskState::Unknown, true),
        (High, RiskState::Unknown, true),
        (Medium, RiskState::AtRisk, false),
        (None, RiskState::None, false),
        // What the provider has closed needs no level.
        (Hidden, RiskState::Dismissed, false),
        (Unknown, RiskState::Remediated, false),
        (Low, RiskState::ConfirmedSafe, false),
    ] {
        for outcome in [OnDoubt::Low, OnDoubt::Challenge, OnDoubt::Block] {
            let mut scene = Scene::new();
            scene.standing.risk = Some(AccountRisk { reading: reading(level, state), detections: [].into() });
            let decision = scene.decide(&over_all(doubting(outcome)));
            if level == High {
                assert_eq!(decision.rule.as_deref(), Some("high"), "known to be worse stays");
            } else if unknown {
                assert_eq!(short(&decision), expected(outcome, Reason::RiskUnknown), "{level:?} {state:?}");
            } else {
                assert_eq!(decision.verdict, Allow, "{level:?} {state:?}");
            }
        }
    }
}

#[test]
fn a_challenge_in_doubt_without_a_step_up_blocks_and_exempt_people_are_left_alone() {
    let mut control = doubting(OnDoubt::Challenge);
    control.settings.step_up = None;
    let mut scene = Scene::new();
    scene.feed.source = RiskSource::NoLicence;
    assert_eq!(short(&scene.decide(&over_all(control.clone()))), (Block, Reason::RiskUnavailable, None));
    control.settings.exempt.groups = vec![object(9), object(5)];
    assert_eq!(scene.decide(&over_all(control.clone())).verdict, Block);
    scene.standing.groups = Groups::Unknown;
    assert_eq!(scene.decide(&over_all(control.clone())).verdict, Block, "unknown groups are no exemption");
    scene.standing.groups = Groups::known(vec![object(5)]);
    assert_eq!(scene.decide(&over_all(control.clone())).verdict, Allow);
    // Exempt from risk, not from an administrator's hand.
    scene.standing.hold = Hold { private: true, internet: false };
    assert_eq!(scene.decide(&over_all(control)).reason, Reason::Held);
}

fn challenged(reading: RiskReading, proof: Option<u64>, now: u64) -> Verdict {
    let mut scene = Scene::new();
    scene.now = now;
    scene.feed.confirmed = UnixTime(now);
    scene.standing.risk = Some(AccountRisk { reading, detections: [].into() });
    let at = |at| Proof { context: AuthContext(1), at: UnixTime(at) };
    scene.passed = Passed { proofs: proof.into_iter().map(at).collect(), acknowledged: vec![] };
    scene
        .decide(&over_all(RiskControl {
            rules: vec![risk_rule("c", RiskLevel::High, Challenge)],
            ..RiskControl::default()
        }))
        .verdict
}

#[test]
fn a_step_up_counts_for_its_lifetime_and_not_for_a_risk_that_changed_since() {
    let risk = |updated, read| RiskReading {
        updated: UnixTime(updated),
        read: UnixTime(read),
        ..reading(RiskLevel::High, RiskState::AtRisk)
    };
    let old = risk(NOW - 5000, NOW - 4990);
    assert_eq!(challenged(old, None, NOW), Challenge);
    assert_eq!(challenged(old, Some(NOW - 600), NOW), Monitor);
    assert_eq!(challenged(old, Some(NOW - 601), NOW), Challenge);
    // The risk rose after the step-up.
    assert_eq!(challenged(risk(NOW - 60, NOW - 50), Some(NOW - 61), NOW), Challenge);
    assert_eq!(challenged(risk(NOW - 60, NOW - 50), Some(NOW - 60), NOW), Monitor);
    // A clock that was put back does not make a step-up last longer.
    assert_eq!(challenged(old, Some(NOW + 301), NOW), Challenge);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whoever passes the step-up that is asked for gets through, however far the clocks are apart and however often
    /// the same risk is read again.
    #[test]
    fn nobody_who_has_just_passed_is_challenged_again(
        updated in prop_oneof![Just(0u64), NOW - 100_000..NOW + 100_000, NOW - 400..NOW + 400, any::<u64>()],
        read_before in 0u64..1000,
        waited in 0u64..5,
        reread in any::<bool>(),
    ) {
        let (proof, now) = (NOW, NOW + waited);
        let read = if reread { now } else { NOW - read_before };
        let risk = RiskReading {
            updated: UnixTime(updated),
            read: UnixTime(read),
            ..reading(RiskLevel::High, RiskState::AtRisk)
        };
        // A change that the provider made after the step-up and that was read since is a new risk, not a loop. So is one
        // that lay too far ahead to be believed and now no longer does; the next step-up settles it.
        let new = |from: u64, to: u64| (from + 1..=to).contains(&updated);
        prop_assume!(!(reread && (new(proof, now) || new(proof + 300, now + 300))));
        prop_assert_eq!(challenged(risk, Some(proof), now), Monitor);
    }
}

#[test]
fn actions_begin_only_on_fresh_knowledge_and_never_on_a_guess() {
    let acting = |actions: &[AutoAction]| {
        let mut control = doubting(OnDoubt::Low);
        control.rules[0].actions = actions.to_vec();
        control.rules[0].who = group(5);
        control.rules[1].actions = actions.to_vec();
        over_all(control)
    };
    let begun = |policy: &Policy, scene: &Scene| -> Vec<String> {
        let account = AccountFacts {
            user: scene.subject.user,
            standing: &scene.standing,
            feed: scene.feed,
            now: UnixTime(scene.now),
        };
        policy.automatic(&account).map(|rule| rule.name.to_string()).collect()
    };
    let policy = acting(&[AutoAction::SignOut]);
    let mut scene = Scene::with(RiskLevel::High);
    scene.standing.groups = Groups::known(vec![object(5)]);
    assert_eq!(begun(&policy, &scene), ["high"]);
    assert!(begun(&acting(&[]), &scene).is_empty());
    scene.feed.source = RiskSource::UploadOff;
    assert!(begun(&policy, &scene).is_empty());
    scene.feed = RiskFeed { confirmed: UnixTime(NOW - 121), ..ANSWERS };
    assert!(begun(&policy, &scene).is_empty());
    scene.feed = ANSWERS;
    scene.standing.groups = Groups::Unknown;
    assert!(begun(&policy, &scene).is_empty(), "an action is hard to take back");
    let account =
        AccountFacts { user: scene.subject.user, standing: &scene.standing, feed: ANSWERS, now: UnixTime(NOW) };
    assert!(policy.concerned(&policy.risk_rules()[0], &account), "a request would be blocked all the same");
    let mut low = Scene::new();
    low.feed.source = RiskSource::NoLicence;
    assert_eq!(low.decide(&policy).rule.as_deref(), Some("low"));
    assert!(begun(&policy, &low).is_empty(), "a level that is assumed starts nothing");
}
