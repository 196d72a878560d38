//! Precedence of the steps, every way of not knowing the risk, and step-ups that are passed.

use std::time::Duration;

use super::*;
use crate::facts::{
    Account, AccountRisk, Acknowledged, AuthContext, Hold, Passed, Proof, RiskLevel, RiskReading, RiskSource, RiskState,
};

pub(super) const NOW: u64 = 1_800_000_000;

pub(super) fn reading(level: RiskLevel, state: RiskState) -> RiskReading {
    let (updated, read) = (UnixTime(NOW - 3600), UnixTime(NOW - 3590));
    RiskReading { level, state, updated, read, deleted: false, processing: false }
}

pub(super) fn at_risk(level: RiskLevel) -> Option<AccountRisk> {
    Some(AccountRisk { reading: reading(level, RiskState::AtRisk), detections: ["leakedCredentials".into()].into() })
}

pub(super) const ANSWERS: RiskFeed = RiskFeed { source: RiskSource::Answers, confirmed: UnixTime(NOW - 10) };

/// A person in no group, whose risk is none and known; tests change what they are about.
pub(super) struct Scene {
    pub(super) subject: Subject,
    pub(super) standing: Standing,
    pub(super) feed: RiskFeed,
    pub(super) passed: Passed,
    pub(super) client: IpAddr,
    pub(super) now: u64,
}

impl Scene {
    pub(super) fn new() -> Self {
        let subject = person(1, Groups::known(vec![]));
        let standing = Standing { account: Account::Enabled, ..Standing::of_token(&subject) };
        let client = IpAddr::V4(Ipv4Addr::LOCALHOST);
        Self { subject, standing, feed: ANSWERS, passed: Passed::default(), client, now: NOW }
    }

    pub(super) fn with(level: RiskLevel) -> Self {
        let mut scene = Self::new();
        scene.standing.risk = at_risk(level);
        scene
    }

    pub(super) fn proof(mut self, context: u8, at: u64) -> Self {
        self.passed.proofs.push(Proof { context: AuthContext(context), at: UnixTime(at) });
        self
    }

    pub(super) fn facts(&self) -> Facts<'_> {
        Facts {
            subject: Some(&self.subject),
            standing: &self.standing,
            feed: self.feed,
            authenticated: UnixTime(NOW - 7200),
            passed: &self.passed,
            destination: Destination::App { app: AppId(0), name: "app", method: &Method::GET, path: "/docs" },
            client: self.client,
            now: UnixTime(self.now),
        }
    }

    /// Decides, and holds the explanation against it.
    pub(super) fn decide(&self, policy: &Policy) -> Decision {
        let decision = policy.decide(&self.facts());
        assert_eq!(policy.explain(&self.facts()).decision, decision);
        decision
    }
}

pub(super) const C1: StepUp = StepUp { context: AuthContext(1), lifetime: Duration::from_secs(600) };
pub(super) const C2: StepUp = StepUp { context: AuthContext(2), lifetime: Duration::from_secs(600) };

/// A rule on one level for everybody.
pub(super) fn risk_rule(name: &str, level: RiskLevel, verdict: Verdict) -> RiskRule {
    RiskRule {
        name: name.into(),
        enabled: true,
        risk: RiskIs { levels: vec![level], ..RiskIs::default() },
        who: Who::SignedIn,
        except: People::default(),
        apps: vec![],
        plane: None,
        when: When::default(),
        verdict,
        step_up: (verdict == Verdict::Challenge).then_some(C1),
        actions: vec![],
    }
}

/// These risk rules over an access rule that lets everybody with an account in.
pub(super) fn policy(rules: Vec<RiskRule>) -> Policy {
    let control = RiskControl { rules, ..RiskControl::default() };
    Policy::new(vec![rule("all", Who::SignedIn, Allow)], 1).with_risk(control)
}

/// Verdict, reason and rule of a decision.
pub(super) fn short(decision: &Decision) -> (Verdict, Reason, Option<&str>) {
    (decision.verdict, decision.reason, decision.rule.as_deref())
}

use Verdict::{Challenge, Monitor, Warn};

#[test]
fn what_is_said_of_the_account_comes_first() {
    let policy = policy(vec![risk_rule("high", RiskLevel::High, Block)]);
    type Change = fn(&mut Standing);
    let cases: [(&str, Change, Reason); 6] = [
        ("held", |s| s.hold = Hold { private: true, internet: false }, Reason::Held),
        ("disabled", |s| s.account = Account::Disabled, Reason::AccountDisabled),
        ("deleted", |s| s.account = Account::Deleted, Reason::AccountDeleted),
        ("revoked", |s| s.valid_from = Some(UnixTime(NOW - 7199)), Reason::SignInRevoked),
        (
            "held and disabled",
            |s| {
                s.hold.private = true;
                s.account = Account::Disabled;
            },
            Reason::Held,
        ),
        (
            "disabled and at risk",
            |s| {
                s.account = Account::Disabled;
                s.risk = at_risk(RiskLevel::High);
            },
            Reason::AccountDisabled,
        ),
    ];
    for (name, change, reason) in cases {
        let mut scene = Scene::new();
        change(&mut scene.standing);
        let decision = scene.decide(&policy);
        assert_eq!((short(&decision), decision.step), ((Block, reason, None), Step::Account), "{name}");
    }
    let harmless: [Change; 3] = [
        |s| s.hold = Hold { private: false, internet: true },
        |s| s.account = Account::Unknown,
        |s| s.valid_from = Some(UnixTime(NOW - 7200)),
    ];
    for change in harmless {
        let mut scene = Scene::new();
        change(&mut scene.standing);
        assert_eq!(short(&scene.decide(&policy)), (Allow, RuleAllows, Some("all")));
    }
}

#[test]
fn rs_01_block_beats_challenge_beats_warn_beats_monitor_in_any_order() {
    let all = [("m", Monitor), ("w", Warn), ("c", Challenge), ("b", Block)];
    for mask in 1usize..16 {
        let chosen: Vec<_> =
            all.iter().enumerate().filter(|(n, _)| mask & (1 << n) != 0).map(|(_, rule)| rule).collect();
        let (name, verdict) = **chosen.last().unwrap();
        for reversed in [false, true] {
            let mut rules: Vec<_> = chosen.iter().map(|(name, v)| risk_rule(name, RiskLevel::High, *v)).collect();
            if reversed {
                rules.reverse();
            }
            let decision = Scene::with(RiskLevel::High).decide(&policy(rules));
            assert_eq!(short(&decision), (verdict, Reason::RiskRule, Some(name)), "{mask}");
            assert_eq!(decision.step, Step::RiskControl);
            assert_eq!(decision.needs, (verdict == Challenge).then_some(AuthContext(1)));
        }
    }
    assert_eq!(Scene::new().decide(&policy(vec![risk_rule("b", RiskLevel::High, Block)])).verdict, Allow);
}

#[test]
fn nobody_is_challenged_for_what_stays_closed() {
    let control = || RiskControl { rules: vec![risk_rule("c", RiskLevel::High, Challenge)], ..RiskControl::default() };
    let scene = Scene::with(RiskLevel::High);
    let closed = Policy::new(vec![rule("no", Who::SignedIn, Block)], 1).with_risk(control());
    assert_eq!(short(&scene.decide(&closed)), (Block, RuleBlocks, Some("no")));
    let nothing = Policy::new(vec![], 1).with_risk(control());
    assert_eq!(short(&scene.decide(&nothing)), (Block, NoRuleMatched, None));
}

#[test]
fn the_strictest_of_risk_and_access_rule_is_the_answer() {
    let asks = |verdict| Rule { step_up: Some(C2), ..rule("access", Who::SignedIn, verdict) };
    let risk =
        |verdict| RiskControl { rules: vec![risk_rule("risk", RiskLevel::Low, verdict)], ..RiskControl::default() };
    for (by_risk, by_access, expected, by, needs) in [
        (Monitor, Allow, Monitor, "risk", None),
        (Monitor, Warn, Warn, "access", None),
        (Warn, Monitor, Warn, "risk", None),
        (Warn, Challenge, Challenge, "access", Some(2)),
        (Challenge, Warn, Challenge, "risk", Some(1)),
        (Challenge, Challenge, Challenge, "risk", Some(1)),
        (Block, Allow, Block, "risk", None),
        (Monitor, Monitor, Monitor, "risk", None),
    ] {
        let policy = Policy::new(vec![asks(by_access)], 1).with_risk(risk(by_risk));
        let decision = Scene::with(RiskLevel::Low).decide(&policy);
        assert_eq!((decision.verdict, decision.rule.as_deref()), (expected, Some(by)), "{by_risk:?} {by_access:?}");
        assert_eq!(decision.needs, needs.map(AuthContext));
    }
    // Both contexts are needed; the one that is missing is asked for.
    let policy = Policy::new(vec![asks(Challenge)], 1).with_risk(risk(Challenge));
    let needs = |scene: Scene| scene.decide(&policy).needs.map(|context| context.0);
    assert_eq!(needs(Scene::with(RiskLevel::Low).proof(1, NOW - 5)), Some(2));
    assert_eq!(needs(Scene::with(RiskLevel::Low).proof(2, NOW - 5)), Some(1));
    let both = Scene::with(RiskLevel::Low).proof(1, NOW - 5).proof(2, NOW - 5).decide(&policy);
    assert_eq!(short(&both), (Monitor, Reason::RiskRule, Some("risk")));
}

#[test]
fn a_warning_holds_for_a_day_and_for_its_own_rule() {
    let policy = policy(vec![risk_rule("w", RiskLevel::Low, Warn)]);
    let verdict = |rule: &str, at: u64| {
        let mut scene = Scene::with(RiskLevel::Low);
        scene.passed.acknowledged = vec![Acknowledged { rule: rule.into(), at: UnixTime(at) }];
        scene.decide(&policy).verdict
    };
    assert_eq!(verdict("w", NOW - 24 * 3600), Monitor);
    assert_eq!(verdict("w", NOW - 24 * 3600 - 1), Warn);
    assert_eq!(verdict("other", NOW), Warn);
    // A clock that was put back does not make it last longer.
    assert_eq!(verdict("w", NOW + 301), Warn);
}
