//! What the rules promise, by table, and against a reference evaluator that is too simple to be wrong.

use std::net::{IpAddr, Ipv4Addr};

use http::Method;
use proptest::prelude::*;

use crate::facts::{Groups, Guid, ObjectId, RiskFeed, Standing, Subject, TenantId, UnixTime, UserKey};

use super::*;

mod doubts;
mod model;
mod risk;

fn object(n: u128) -> ObjectId {
    ObjectId(Guid::from_u128(n))
}

fn user(n: u128) -> UserKey {
    UserKey { tenant: TenantId(Guid::from_u128(1)), object: object(n) }
}

fn person(n: u128, groups: Groups) -> Subject {
    Subject { user: user(n), name: "x".into(), email: "x@example.com".into(), groups }
}

fn rule(name: &str, who: Who, verdict: Verdict) -> Rule {
    Rule::new(name, who, verdict)
}

fn group(n: u128) -> Who {
    Who::Listed { users: vec![], groups: vec![object(n)] }
}

fn facts<'a>(subject: Option<&'a Subject>, app: u32, method: &'a Method, path: &'a str) -> Facts<'a> {
    Facts {
        subject,
        standing: standing(subject),
        feed: RiskFeed::NONE,
        authenticated: UnixTime(0),
        passed: Box::leak(Box::default()),
        destination: Destination::App { app: AppId(app), name: "app", method, path },
        client: IpAddr::V4(Ipv4Addr::LOCALHOST),
        now: UnixTime(0),
    }
}

/// What the token tells; leaked, because a test ends soon.
fn standing(subject: Option<&Subject>) -> &'static Standing {
    Box::leak(Box::new(subject.map_or(Standing::unknown(), Standing::of_token)))
}

/// Decides a GET of `/docs` on app 0.
fn check(rules: Vec<Rule>, subject: Option<&Subject>, reason: Reason, by: Option<&str>) {
    let policy = Policy::new(rules, 7);
    let decision = policy.decide(&facts(subject, 0, &Method::GET, "/docs"));
    assert_eq!((decision.reason, decision.rule.as_deref()), (reason, by), "{policy:?}");
    let allows = matches!(reason, Reason::RuleAllows | Reason::RuleAllowsAnyone);
    assert_eq!(decision.verdict == Verdict::Allow, allows);
}

use Reason::{GroupsUnknown, NoRuleMatched, RuleAllows, RuleAllowsAnyone, RuleBlocks, SignInRequired};
use Verdict::{Allow, Block};

#[test]
fn without_rules_everything_is_blocked() {
    let alice = person(1, Groups::known(vec![]));
    check(vec![], Some(&alice), NoRuleMatched, None);
    check(vec![], None, SignInRequired, None);
    assert_eq!(Policy::default().decide(&facts(Some(&alice), 9, &Method::GET, "/")).verdict, Block);
}

#[test]
fn the_first_matching_rule_wins() {
    let alice = person(1, Groups::known(vec![object(5)]));
    let block = || rule("block", group(5), Block);
    let allow = || rule("allow", Who::SignedIn, Allow);
    check(vec![block(), allow()], Some(&alice), RuleBlocks, Some("block"));
    check(vec![allow(), block()], Some(&alice), RuleAllows, Some("allow"));
    check(vec![rule("other", group(6), Block), allow()], Some(&alice), RuleAllows, Some("allow"));
}

#[test]
fn a_person_is_known_by_tenant_and_object_never_by_one_of_them() {
    let who = Who::Listed { users: vec![user(1)], groups: vec![] };
    let mut stranger = person(1, Groups::known(vec![]));
    check(vec![rule("allow", who.clone(), Allow)], Some(&stranger), RuleAllows, Some("allow"));
    stranger.user.tenant = TenantId(Guid::from_u128(2));
    check(vec![rule("allow", who, Allow)], Some(&stranger), NoRuleMatched, None);
}

#[test]
fn unknown_groups_never_let_in_and_never_slip_past_a_block() {
    let alice = person(1, Groups::Unknown);
    check(vec![rule("allow", group(5), Allow)], Some(&alice), NoRuleMatched, None);
    let allow_all = || rule("all", Who::SignedIn, Allow);
    check(vec![rule("block", group(5), Block), allow_all()], Some(&alice), GroupsUnknown, Some("block"));
    // Known by user, the groups no longer matter.
    let both = |users| Who::Listed { users, groups: vec![object(5)] };
    check(vec![rule("allow", both(vec![user(1)]), Allow)], Some(&alice), RuleAllows, Some("allow"));
    check(vec![rule("block", both(vec![user(1)]), Block)], Some(&alice), RuleBlocks, Some("block"));
    // A rule on people only does not depend on groups.
    let others = Who::Listed { users: vec![user(2)], groups: vec![] };
    check(vec![rule("block", others, Block), allow_all()], Some(&alice), RuleAllows, Some("all"));
}

#[test]
fn a_stranger_gets_only_what_everybody_would_get() {
    let anyone = |verdict| rule("anyone", Who::Anyone, verdict);
    let staff = |verdict| rule("staff", group(5), verdict);
    let signed_in = |verdict| rule("signed-in", Who::SignedIn, verdict);
    check(vec![anyone(Allow)], None, RuleAllowsAnyone, Some("anyone"));
    check(vec![anyone(Block)], None, RuleBlocks, Some("anyone"));
    // An earlier allow for some people changes nothing about an allow for all.
    check(vec![staff(Allow), signed_in(Allow), anyone(Allow)], None, RuleAllowsAnyone, Some("anyone"));
    // A blocked person must not get in by leaving the cookie at home.
    check(vec![staff(Block), anyone(Allow)], None, SignInRequired, None);
    check(vec![staff(Allow), staff(Block), anyone(Allow)], None, SignInRequired, None);
    // Somebody who is let in must be able to sign in, although anyone else is blocked.
    check(vec![staff(Allow), anyone(Block)], None, SignInRequired, None);
    check(vec![staff(Block), anyone(Block)], None, RuleBlocks, Some("anyone"));
    // The end of the list.
    check(vec![staff(Allow)], None, SignInRequired, None);
    check(vec![staff(Block)], None, SignInRequired, None);
    // A rule about people on another path is no obstacle.
    let elsewhere = Rule { paths: vec!["/admin".into()], ..staff(Block) };
    check(vec![elsewhere, anyone(Allow)], None, RuleAllowsAnyone, Some("anyone"));
}

#[test]
fn apps_methods_and_paths_narrow_a_rule() {
    let alice = person(1, Groups::known(vec![]));
    let narrow = Rule {
        apps: vec![AppId(1)],
        methods: vec![Method::GET, Method::HEAD],
        paths: vec!["/docs".into(), "/wiki".into()],
        ..rule("narrow", Who::SignedIn, Allow)
    };
    let policy = Policy::new(vec![narrow], 1);
    for (app, method, path, expected) in [
        (1, Method::GET, "/docs", Allow),
        (1, Method::HEAD, "/wiki/a", Allow),
        (1, Method::POST, "/docs", Block),
        (1, Method::GET, "/documents", Block),
        (1, Method::GET, "/Docs", Block),
        (0, Method::GET, "/docs", Block),
        (2, Method::GET, "/docs", Block),
        (u32::MAX, Method::GET, "/docs", Block),
    ] {
        let decision = policy.decide(&facts(Some(&alice), app, &method, path));
        assert_eq!(decision.verdict, expected, "{app} {method} {path}");
    }
}

#[test]
fn explain_tells_what_became_of_every_rule() {
    let alice = person(1, Groups::Unknown);
    let of_app = |app, rule| Rule { apps: vec![AppId(app)], ..rule };
    let on_path = |path: &str, rule| Rule { paths: vec![path.into()], ..rule };
    let rules = vec![
        of_app(3, rule("app", Who::Anyone, Allow)),
        Rule { methods: vec![Method::PUT], ..rule("method", Who::Anyone, Allow) },
        on_path("/x", rule("path", Who::Anyone, Allow)),
        rule("groups", group(5), Allow),
        rule("people", Who::Listed { users: vec![user(2)], groups: vec![] }, Block),
        rule("hit", Who::SignedIn, Allow),
        rule("late", Who::Anyone, Block),
    ];
    let policy = Policy::new(rules, 1);
    let outcomes = |subject| -> Vec<Outcome> {
        let explanation = policy.explain(&facts(subject, 0, &Method::GET, "/docs"));
        explanation.trail.into_iter().map(|considered| considered.outcome).collect()
    };
    use Outcome::{Decides, DependsOnPerson, Misses, NotReached, Overshadowed};
    let missed = |condition| Misses(condition);
    let head = [missed(Condition::App), missed(Condition::Method), missed(Condition::Path)];
    let signed_in = [missed(Condition::UnknownGroups), missed(Condition::Person), Decides, NotReached];
    assert_eq!(outcomes(Some(&alice)), [head.as_slice(), &signed_in].concat());
    let stranger = [DependsOnPerson, DependsOnPerson, DependsOnPerson, Overshadowed];
    assert_eq!(outcomes(None), [head.as_slice(), &stranger].concat());
}

/// The meaning of the rules once more, without indexes, and for strangers by asking what everybody would get.
fn reference(rules: &[Rule], facts: &Facts<'_>) -> (Verdict, Reason, Option<String>) {
    let Destination::App { app, method, path, .. } = facts.destination;
    let mut people_say = vec![];
    for rule in rules {
        let app_fits = rule.apps.is_empty() || rule.apps.contains(&app);
        let method_fits = rule.methods.is_empty() || rule.methods.iter().any(|m| m == method);
        // A block rule does not see path parameters.
        let names: Vec<&str> = path.split('/').map(|segment| segment.split(';').next().unwrap()).collect();
        let path = if rule.verdict == Block { names.join("/") } else { path.to_owned() };
        let under = |p: &str| p == "/" || path == p || path.starts_with(&format!("{p}/"));
        let path_fits = rule.paths.is_empty() || rule.paths.iter().any(|p| under(p));
        if !(app_fits && method_fits && path_fits) {
            continue;
        }
        let name = Some(rule.name.to_string());
        let plain = if rule.verdict == Allow { RuleAllows } else { RuleBlocks };
        match (&rule.who, facts.subject) {
            (Who::Anyone, None) if people_say.iter().any(|said| *said != rule.verdict) => {
                return (Block, SignInRequired, None);
            }
            (Who::Anyone, _) if rule.verdict == Allow => return (Allow, RuleAllowsAnyone, name),
            (Who::Anyone, _) => return (Block, RuleBlocks, name),
            (_, None) => people_say.push(rule.verdict),
            (Who::SignedIn, Some(_)) => return (rule.verdict, plain, name),
            (Who::Listed { users, groups }, Some(subject)) => match &subject.groups {
                _ if users.contains(&subject.user) => return (rule.verdict, plain, name),
                Groups::Known(known) if groups.iter().any(|g| known.contains(g)) => return (rule.verdict, plain, name),
                Groups::Unknown if !groups.is_empty() && rule.verdict == Block => return (Block, GroupsUnknown, name),
                _ => {}
            },
        }
    }
    (Block, if facts.subject.is_some() { NoRuleMatched } else { SignInRequired }, None)
}

const PREFIXES: [&str; 6] = ["/", "/a", "/a/b", "/ab", "/A", "/b"];
const PATHS: [&str; 9] = ["/", "/a", "/a/b", "/ab", "/A", "/b", "/a;x", "/a;x/b", "/a/b;x/c"];

fn some<T: Clone + std::fmt::Debug + 'static>(from: Vec<T>) -> impl Strategy<Value = Vec<T>> {
    let most = from.len();
    proptest::sample::subsequence(from, 0..=most)
}

fn any_who() -> impl Strategy<Value = Who> {
    let listed = (some((1..4).map(user).collect()), some((1..4).map(object).collect()));
    prop_oneof![
        1 => Just(Who::Anyone),
        1 => Just(Who::SignedIn),
        3 => listed.prop_map(|(users, groups)| Who::Listed { users, groups }),
    ]
}

prop_compose! {
    fn any_rule()(
        apps in some((0..3).map(AppId).collect()),
        methods in some(vec![Method::GET, Method::POST]),
        paths in some(PREFIXES.iter().map(|path| Box::from(*path)).collect()),
        who in any_who(),
        verdict in prop_oneof![Just(Allow), Just(Block)],
    ) -> Rule {
        Rule { apps, methods, paths, ..Rule::new("", who, verdict) }
    }
}

fn any_subject() -> impl Strategy<Value = Option<Subject>> {
    let groups = prop_oneof![
        1 => Just(Groups::Unknown),
        3 => some((1..4).map(object).collect()).prop_map(Groups::known),
    ];
    proptest::option::weighted(0.7, (1u128..4, groups).prop_map(|(n, groups)| person(n, groups)))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn decide_explain_and_the_reference_always_agree(
        mut rules in proptest::collection::vec(any_rule(), 0..8),
        subject in any_subject(),
        app in 0u32..4,
        post in any::<bool>(),
        path in proptest::sample::select(PATHS.to_vec()),
    ) {
        for (index, rule) in rules.iter_mut().enumerate() {
            rule.name = index.to_string().into();
        }
        let method = if post { Method::POST } else { Method::GET };
        let facts = facts(subject.as_ref(), app, &method, path);
        let expected = reference(&rules, &facts);
        let policy = Policy::new(rules, 1);
        let decision = policy.decide(&facts);
        prop_assert_eq!(&policy.explain(&facts).decision, &decision);
        let rule = decision.rule.as_deref().map(str::to_owned);
        prop_assert_eq!((decision.verdict, decision.reason, rule), expected);
    }

    #[test]
    fn a_stranger_is_allowed_only_what_every_person_is_allowed(
        rules in proptest::collection::vec(any_rule(), 0..8),
        subject in any_subject(),
        path in proptest::sample::select(PATHS.to_vec()),
    ) {
        let policy = Policy::new(rules, 1);
        let stranger = policy.decide(&facts(None, 0, &Method::GET, path));
        if stranger.verdict == Allow {
            prop_assert_eq!(policy.decide(&facts(subject.as_ref(), 0, &Method::GET, path)).verdict, Allow);
        }
        if stranger.reason == RuleBlocks {
            prop_assert_eq!(policy.decide(&facts(subject.as_ref(), 0, &Method::GET, path)).verdict, Block);
        }
    }
}
