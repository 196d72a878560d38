//! What a rules file may say, and the message for each mistake.

use super::*;
use crate::facts::{AppId, Guid, ObjectId};
use crate::policy::{Verdict, Who};

mod risk;

const GROUP: &str = "7c40f2d9-5e1a-4b36-90cf-1d83a6e5b274";

fn file(text: &str) -> Result<RulesFile, Problems> {
    parse(Path::new("rules.toml"), text, &["wiki", "payroll"])
}

fn read(text: &str) -> Result<Vec<Rule>, Problems> {
    file(text).map(|file| file.access)
}

#[test]
fn a_rule_with_every_key_means_what_it_says() {
    let text = format!(
        "[[rule]]\nname = \"r\"\napps = [\"payroll\"]\ngroups = [\"{GROUP}\"]\nusers = [\"{GROUP}:{GROUP}\"]\n\
         methods = [\"GET\"]\npaths = [\"/docs\"]\nverdict = \"block\"\n\
         [[rule]]\nname = \"all\"\nwho = \"signed_in\"\nverdict = \"allow\"\n\
         [[rule]]\nname = \"open\"\nwho = \"anyone\"\nverdict = \"allow\"\n"
    );
    let rules = read(&text).unwrap();
    let first = &rules[0];
    let group = ObjectId(GROUP.parse::<Guid>().unwrap());
    let key = format!("{GROUP}:{GROUP}").parse().unwrap();
    assert_eq!(first.apps, [AppId(1)]);
    assert_eq!(first.methods, [http::Method::GET]);
    assert_eq!(first.paths, [Box::from("/docs")]);
    assert_eq!(first.who, Who::Listed { users: vec![key], groups: vec![group] });
    assert_eq!(first.verdict, Verdict::Block);
    assert_eq!((&rules[1].who, rules[1].verdict), (&Who::SignedIn, Verdict::Allow));
    assert!(rules[1].apps.is_empty() && rules[1].methods.is_empty() && rules[1].paths.is_empty());
    assert_eq!(rules[2].who, Who::Anyone);
}

#[test]
fn a_file_without_rules_is_valid_and_blocks_everything() {
    assert_eq!(read("# nothing yet\n").unwrap(), []);
}

/// One rule with `lines` added to a name and a verdict; expects exactly one problem.
fn refused(lines: &str, expected: &str) {
    let text = format!("[[rule]]\nname = \"r\"\nverdict = \"allow\"\n{lines}\n");
    let problems = read(&text).expect_err(lines);
    assert_eq!(problems.to_string(), expected, "{lines}");
}

#[test]
fn every_mistake_has_its_message_and_place() {
    refused("user = [\"x\"]", "rules.toml:4:1: unknown key \"user\" in [[rule]], did you mean \"users\"? (rule \"r\")");
    refused(
        "users = [\"noor@fabrikam.example\"]",
        "rules.toml:4:10: rule \"r\", users: \"noor@fabrikam.example\" looks like an e-mail address or user name, \
         which can change hands; a person is written \"tenant id:object id\", both shown on the person's page in the \
         Entra admin centre",
    );
    refused(
        "users = [\"7c40f2d9\"]",
        "rules.toml:4:10: rule \"r\", users: expected \"tenant id:object id\", two GUIDs, got \"7c40f2d9\"",
    );
    refused(
        "groups = [\"Finance\"]",
        "rules.toml:4:11: rule \"r\", groups: expected the group's object id, a GUID, got \"Finance\"",
    );
    refused(
        "who = \"anyone\"\napps = [\"wik\"]",
        "rules.toml:5:9: rule \"r\", apps: no app is called \"wik\", did you mean \"wiki\"?",
    );
    refused(
        "who = \"anyone\"\napps = [\"crm\"]",
        "rules.toml:5:9: rule \"r\", apps: no app is called \"crm\", the apps are wiki, payroll",
    );
    refused(
        "who = \"anyone\"\napps = []",
        "rules.toml:5:8: rule \"r\", apps: an empty list could mean none or any; leave the key out for any",
    );
    refused(
        "groups = []",
        "rules.toml:4:10: rule \"r\", groups: an empty list could mean none or any; leave the key out for any",
    );
    refused(
        "who = \"anyone\"\nmethods = [\"get\"]",
        "rules.toml:5:12: rule \"r\", methods: methods are case-sensitive, expected \"GET\", got \"get\"",
    );
    refused(
        "who = \"anyone\"\nmethods = [\"G T\"]",
        "rules.toml:5:12: rule \"r\", methods: expected a method such as \"GET\", got \"G T\"",
    );
    refused(
        "who = \"anyone\"\npaths = [\"docs\"]",
        "rules.toml:5:10: rule \"r\", paths: \"docs\": a path begins with \"/\"",
    );
    refused(
        "who = \"anyone\"\npaths = [\"/a/../b\"]",
        "rules.toml:5:10: rule \"r\", paths: \"/a/../b\": the segments \".\" and \"..\" never occur in a canonical path",
    );
}

#[test]
fn contradictions_and_gaps_have_their_message_and_place() {
    refused(
        &format!("who = \"signed_in\"\ngroups = [\"{GROUP}\"]"),
        "rules.toml:4:7: rule \"r\", who: expected either \"who\" or \"users\" and \"groups\", got both",
    );
    refused(
        "",
        "rules.toml:2:8: rule \"r\", who: say whom the rule is about: who = \"signed_in\", who = \"anyone\", users or groups",
    );
    refused(
        "who = \"everyone\"",
        "rules.toml:4:7: rule.who: expected \"signed_in\" or \"anyone\", got \"everyone\" (rule \"r\")",
    );
    refused(
        "who = \"anyone\"\n[[rule]]\nname = \"r\"\nwho = \"anyone\"\nverdict = \"allow\"",
        "rules.toml:6:8: rule \"r\", name: an earlier rule has the same name",
    );
    refused(
        "who = \"anyone\"\n[[rule]]\nname = \"\"\nwho = \"anyone\"\nverdict = \"allow\"",
        "rules.toml:6:8: rule \"\", name: expected 1 to 64 printable ASCII characters",
    );
    refused(
        "who = \"anyone\"\n[[rule]]\nwho = \"anyone\"",
        "rules.toml:5:1: missing key \"name\" in [[rule]] (rule number 2)\n\
         rules.toml:5:1: missing key \"verdict\" in [[rule]] (rule number 2)",
    );
}

#[test]
fn every_problem_of_a_file_is_reported() {
    let text =
        "[[rule]]\nname = \"a\"\nverdict = \"allow\"\nwho = \"anyone\"\napps = [\"x\"]\nmethods = [\"get\", \"put\"]\n";
    assert_eq!(read(text).unwrap_err().list().len(), 3);
}
