//! What a rules file may say about risk, places and schedules, and the message for each mistake.

use std::time::Duration;

use super::*;
use crate::facts::{AuthContext, RiskLevel, RiskState, UnixTime};
use crate::policy::{AutoAction, OnDoubt, Plane, StepUp};

const SAMPLE: &str = include_str!("../../../../config/rules.toml");

/// The sample with every example taken for real.
fn uncommented() -> String {
    let real = |line: &str| {
        let rest = line.strip_prefix('#').filter(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase() || c == '['));
        format!("{}\n", rest.unwrap_or(line))
    };
    SAMPLE.lines().map(real).collect()
}

#[test]
fn the_sample_and_every_example_in_it_are_valid() {
    let plain = file(SAMPLE).unwrap();
    assert_eq!((plain.access.len(), plain.risk.rules.len()), (3, 0));
    assert_eq!(plain.risk.settings.on_no_licence, OnDoubt::Block);
    assert!(!plain.risk.is_used());
    let full = file(&uncommented()).unwrap();
    assert_eq!((full.access.len(), full.risk.rules.len()), (4, 3));
    assert!(full.risk.is_used());
    let high = &full.risk.rules[0];
    assert_eq!((high.risk.levels.as_slice(), high.verdict), ([RiskLevel::High].as_slice(), Verdict::Block));
    assert_eq!(high.actions, [AutoAction::SignOut, AutoAction::WatchSignIn]);
    let medium = &full.risk.rules[1];
    assert_eq!(
        (medium.risk.levels.as_slice(), medium.plane),
        ([RiskLevel::Medium, RiskLevel::High].as_slice(), Some(Plane::Private))
    );
    // The context's lifetime holds where the rule says none.
    assert_eq!(medium.step_up, Some(StepUp { context: AuthContext(1), lifetime: Duration::from_secs(8 * 3600) }));
    assert_eq!(full.access[3].step_up.unwrap().lifetime, Duration::from_secs(1800));
    let leaked = &full.risk.rules[2];
    assert_eq!(leaked.risk.states, [RiskState::AtRisk, RiskState::ConfirmedCompromised]);
    assert_eq!(leaked.risk.newer_than, Some(Duration::from_secs(14 * 86_400)));
    assert!(leaked.when.places[0].contains("192.0.2.9".parse().unwrap()));
    // Friday 2026-11-27 17:00 and 18:00 in Berlin.
    assert!(
        leaked.when.schedules[0].holds(UnixTime(1_795_795_200))
            && !leaked.when.schedules[0].holds(UnixTime(1_795_800_600))
    );
    let settings = &full.risk.settings;
    assert_eq!((settings.max_age, settings.on_stale), (Some(Duration::from_secs(86_400)), OnDoubt::Challenge));
    assert_eq!((settings.exempt.users.len(), settings.exempt.groups.len()), (1, 1));
}

#[test]
fn the_sample_names_every_key() {
    fn keys<'a>(schema: &'a serde_json::Value, found: &mut std::collections::BTreeSet<&'a str>) {
        if let Some(properties) = schema.get("properties").and_then(serde_json::Value::as_object) {
            found.extend(properties.keys().map(String::as_str));
        }
        match schema {
            serde_json::Value::Object(map) => map.values().for_each(|inner| keys(inner, found)),
            serde_json::Value::Array(list) => list.iter().for_each(|inner| keys(inner, found)),
            _ => {}
        }
    }
    let (schema, mut found) = (schema(), std::collections::BTreeSet::new());
    keys(&schema, &mut found);
    assert!(found.len() > 40, "{found:?}");
    let text = uncommented();
    for key in found {
        let written =
            text.lines().any(|line| line.starts_with(&format!("{key} = ")) || line.trim_matches(['[', ']']) == key);
        assert!(written, "config/rules.toml has no example of {key}");
    }
}

#[test]
fn a_context_for_doubts_makes_challenge_the_default() {
    let settings = file("[risk]\ncontext = \"c3\"\non_unknown = \"low\"").unwrap().risk.settings;
    assert_eq!((settings.on_stale, settings.on_unknown), (OnDoubt::Challenge, OnDoubt::Low));
    assert_eq!(settings.step_up, Some(StepUp { context: AuthContext(3), lifetime: Duration::from_secs(3600) }));
}

/// One risk rule with `lines` added; expects exactly one problem.
fn refused(lines: &str, expected: &str) {
    let text = format!("[[risk_rule]]\nname = \"r\"\nverdict = \"block\"\n{lines}\n");
    let problems = file(&text).expect_err(lines);
    assert_eq!(problems.to_string(), format!("rules.toml:{expected}"), "{lines}");
}

const PLACE: &str = "[[place]]\nname = \"office\"\nnetworks = [\"10.0.0.0/8\"]";

#[test]
fn every_mistake_in_a_risk_rule_has_its_message_and_place() {
    for (lines, expected) in [
        ("", "2:8: risk rule \"r\", levels: say which risk the rule is about: levels, min_level, states or detections"),
        (
            "levels = [\"severe\"]",
            "4:11: risk_rule.levels: expected \"none\" or \"low\" or \"medium\" or \"high\" or \"hidden\" or \"unknown\", \
             got \"severe\" (risk_rule \"r\")",
        ),
        (
            "levels = []",
            "4:10: risk rule \"r\", levels: an empty list could mean none or any; leave the key out for any",
        ),
        (
            "levels = [\"high\"]\nmin_level = \"low\"",
            "5:13: risk rule \"r\", min_level: expected either \"levels\" or \"min_level\", got both",
        ),
        (
            "level = [\"high\"]\nstates = [\"at_risk\"]",
            "4:1: unknown key \"level\" in [[risk_rule]], did you mean \"levels\"? (risk_rule \"r\")",
        ),
        (
            "detections = [\"leaked credentials\"]",
            "4:15: risk rule \"r\", detections: expected a detection in the provider's words such as \
             \"leakedCredentials\", got \"leaked credentials\"",
        ),
        (
            "levels = [\"low\"]\nnewer_than = \"1w\"",
            "5:14: risk rule \"r\", newer_than: expected a duration such as 250ms, 30s, 15m, 8h or 7d, got \"1w\"",
        ),
        (
            "levels = [\"low\"]\nnewer_than = \"1h\"\nolder_than = \"2h\"",
            "5:14: risk rule \"r\", newer_than: expected more than \"older_than\", no risk is both",
        ),
        (
            "levels = [\"low\"]\nwho = \"anyone\"",
            "5:7: risk_rule.who: expected \"signed_in\", got \"anyone\" (risk_rule \"r\")",
        ),
    ] {
        refused(lines, expected);
    }
}

#[test]
fn every_mistake_about_whom_and_where_a_risk_rule_is_has_its_message_and_place() {
    for (lines, expected) in [
        (
            "levels = [\"low\"]\nexcept_users = [\"a@b.example\"]",
            "5:17: risk rule \"r\", except_users: \"a@b.example\" looks like an e-mail address or user name, which can \
             change hands; a person is written \"tenant id:object id\", both shown on the person's page in the Entra \
             admin centre",
        ),
        (
            "levels = [\"low\"]\nplane = \"internet\"\napps = [\"wiki\"]",
            "6:8: risk rule \"r\", apps: apps are private, so they cannot be on plane = \"internet\"",
        ),
        (
            "levels = [\"low\"]\napps = [\"wiki\"]\nactions = [\"sign_out\"]",
            "5:8: risk rule \"r\", apps: actions are taken on the account outside of any request, so the rule cannot \
             hang on this",
        ),
        (
            "levels = [\"low\"]\ncontext = \"c1\"",
            "5:11: risk rule \"r\", context: has no effect without verdict = \"challenge\"",
        ),
        (
            &format!("levels = [\"low\"]\nplaces = [\"ofice\"]\n{PLACE}"),
            "5:11: risk rule \"r\", places: no place is called \"ofice\", did you mean \"office\"?",
        ),
        (
            "levels = [\"low\"]\nschedules = [\"night\"]",
            "5:14: risk rule \"r\", schedules: no schedule is called \"night\"; write it as [[schedule]] in this file",
        ),
        (
            "levels = [\"low\"]\n[[rule]]\nname = \"r\"\nwho = \"anyone\"\nverdict = \"block\"",
            "2:8: risk rule \"r\", name: a rule has the same name",
        ),
    ] {
        refused(lines, expected);
    }
}

/// Expects exactly one problem in a whole file.
fn wrong(text: &str, expected: &str) {
    assert_eq!(file(text).expect_err(text).to_string(), format!("rules.toml:{expected}"), "{text}");
}

#[test]
fn every_mistake_about_challenges_and_doubts_has_its_message_and_place() {
    let challenge = "[[rule]]\nname = \"r\"\nwho = \"signed_in\"\nverdict = \"challenge\"\n";
    for (text, expected) in [
        (challenge.to_owned(), "4:11: rule \"r\", verdict: a challenge needs a context such as \"c1\""),
        (
            format!("{challenge}context = \"1\""),
            "5:11: rule \"r\", context: expected an authentication context, \"c1\" to \"c99\", got \"1\"",
        ),
        (
            format!("{challenge}context = \"c1\"\nlifetime = \"0s\""),
            "6:12: rule \"r\", lifetime: expected a duration from 1s to 365d, got \"0s\"",
        ),
        (
            "[risk]\non_stale = \"challenge\"".to_owned(),
            "2:12: risk, on_stale: a challenge needs a context, expected risk.context such as \"c1\"",
        ),
        (
            "[risk]\non_never_synced = \"last_known\"".to_owned(),
            "2:19: risk.on_never_synced: expected \"low\" or \"challenge\" or \"block\", got \"last_known\"",
        ),
        ("[risk]\nlifetime = \"1h\"".to_owned(), "2:12: risk, lifetime: has no effect without \"context\""),
        ("[risk]\non_stle = \"low\"".to_owned(), "2:1: unknown key \"on_stle\" in [risk], did you mean \"on_stale\"?"),
        (
            "[lifetimes]\nmfa = \"1h\"".to_owned(),
            "2:7: lifetimes, \"mfa\": expected authentication contexts, \"c1\" to \"c99\"",
        ),
    ] {
        wrong(&text, expected);
    }
}

#[test]
fn every_mistake_about_places_and_schedules_has_its_message_and_place() {
    let schedule = |lines: &str| format!("[[schedule]]\nname = \"s\"\ntime_zone = \"UTC\"\n{lines}");
    for (text, expected) in [
        (
            "[[place]]\nname = \"p\"\nnetworks = [\"10.0.0.1/8\"]".to_owned(),
            "3:13: place \"p\", networks: \"10.0.0.1/8\" is an address within a network, did you mean \"10.0.0.0/8\" or \
             \"10.0.0.1\"?",
        ),
        (
            "[[place]]\nname = \"p\"\nnetworks = [\"office.example\"]".to_owned(),
            "3:13: place \"p\", networks: expected a network such as 192.0.2.0/24 or an address, got \"office.example\"",
        ),
        (
            "[[place]]\nname = \"p\"\nnetworks = []".to_owned(),
            "3:12: place \"p\", networks: expected at least one network such as 192.0.2.0/24",
        ),
        (format!("{PLACE}\n{PLACE}"), "5:8: place \"office\", name: an earlier place has the same name"),
        (
            schedule("from = \"8:00\""),
            "4:8: schedule \"s\", from: expected a time such as \"08:30\", at most \"24:00\", got \"8:00\"",
        ),
        (
            schedule("to = \"24:01\""),
            "4:6: schedule \"s\", to: expected a time such as \"08:30\", at most \"24:00\", got \"24:01\"",
        ),
        (
            schedule("from = \"09:00\"\nto = \"09:00\""),
            "5:6: schedule \"s\", to: the window is empty; leave both \"from\" and \"to\" out for the whole day",
        ),
        (
            schedule("days = [\"monday\"]"),
            "4:9: schedule.days: expected \"mon\" or \"tue\" or \"wed\" or \"thu\" or \"fri\" or \"sat\" or \"sun\", got \
             \"monday\" (schedule \"s\")",
        ),
        (
            "[[schedule]]\nname = \"s\"\ntime_zone = \"Berlin\"".to_owned(),
            "3:13: schedule \"s\", time_zone: expected a time zone of the IANA database such as \"Europe/Berlin\" or \
             \"UTC\", got \"Berlin\"",
        ),
    ] {
        wrong(&text, expected);
    }
}
