//! Commands run as functions: what they print and how they end.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};

use serde_json::Value;

use crate::config::{config_schema, rules_schema};
use crate::document::Document;
use crate::entra::graph::Capability;

use super::*;

const ID: &str = "3f1c0b9e-6a52-4d0e-9b7a-5d2f8c4e1a77";
const FINANCE: &str = "7c40f2d9-5e1a-4b36-90cf-1d83a6e5b274";

/// A stream that tests read back.
#[derive(Clone, Default)]
struct Tape(Arc<Mutex<Vec<u8>>>);

impl Write for Tape {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Tape {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

/// Runs a command line; its ending, answers and complaints.
pub(super) fn run(arguments: &[&str]) -> (Exit, String, String) {
    let (answers, complaints) = (Tape::default(), Tape::default());
    let mut output = Output::new(Box::new(answers.clone()), Box::new(complaints.clone()));
    let arguments = std::iter::once("portcullis").chain(arguments.iter().copied()).map(OsString::from);
    let exit = main(arguments, &mut output);
    (exit, answers.text(), complaints.text())
}

/// The sample files with what they refer to; the configuration's path.
pub(super) fn samples() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("config/portcullis.toml", include_str!("../../config/portcullis.toml"));
    write("config/rules.toml", include_str!("../../config/rules.toml"));
    write("config/entra-client-secret", "hush\n");
    write("certs/example.pem", "placeholder");
    write("certs/example.key", "placeholder");
    let config = folder.path().join("config/portcullis.toml").display().to_string();
    (folder, config)
}

#[test]
fn check_says_that_the_samples_are_valid() {
    let (_folder, config) = samples();
    let (exit, answers, _) = run(&["check", "--config", &config]);
    assert_eq!(exit, Exit::Done);
    assert_eq!(answers, format!("{config}: valid, 2 apps, 3 rules, 1 certificate\n"));
    let (exit, answers, _) = run(&["check", "--config", &config, "--json"]);
    let json: Value = serde_json::from_str(&answers).unwrap();
    assert_eq!((exit, &json["valid"], &json["apps"][1]), (Exit::Done, &true.into(), &"payroll".into()));
}

#[test]
fn check_says_what_is_wrong_and_ends_with_1() {
    let (folder, config) = samples();
    std::fs::write(folder.path().join("config/rules.toml"), "[[rules]]\n").unwrap();
    let (exit, answers, complaints) = run(&["check", "--config", &config]);
    assert_eq!((exit, answers.as_str()), (Exit::Invalid, ""));
    assert!(
        complaints.ends_with("rules.toml:1:3: unknown key \"rules\" in the file, did you mean \"rule\"?\n"),
        "{complaints}"
    );
    let (exit, answers, _) = run(&["check", "--config", &config, "--json"]);
    let json: Value = serde_json::from_str(&answers).unwrap();
    assert_eq!((exit, &json["valid"], &json["problems"][0]["line"]), (Exit::Invalid, &false.into(), &1.into()));
    let (exit, _, complaints) = run(&["check", "--config", "/nowhere/at/all.toml"]);
    assert_eq!(exit, Exit::Invalid);
    assert!(complaints.starts_with("/nowhere/at/all.toml: cannot be read: "));
}

#[test]
fn schemas_are_printed() {
    for (arguments, schema) in
        [(vec!["check", "--schema"], config_schema()), (vec!["check", "--schema", "rules"], rules_schema())]
    {
        let (exit, answers, _) = run(&arguments);
        assert_eq!((exit, serde_json::from_str::<Value>(&answers).unwrap()), (Exit::Done, schema));
    }
}

#[test]
fn a_wrong_command_line_ends_with_2_and_help_with_0() {
    let (_folder, config) = samples();
    let wrong: [&[&str]; 8] = [
        &[],
        &["chekc"],
        &["check", "--wat"],
        &["explain", "--config", &config, "--app", "wiki"],
        &["explain", "--config", &config, "--anonymous"],
        &["explain", "--config", &config, "--app", "wiki", "--user", "noor@fabrikam.example"],
        &["explain", "--config", &config, "--app", "wiki", "--anonymous", "--group", FINANCE],
        &["init", "--dir", "x", "--tenant", ID, "--client-id", ID, "--host", "portal.example.com"],
    ];
    for arguments in wrong {
        let (exit, answers, complaints) = run(arguments);
        assert_eq!((exit, answers.as_str()), (Exit::Usage, ""), "{arguments:?}");
        assert!(!complaints.is_empty());
    }
    let (exit, answers, complaints) = run(&["--help"]);
    assert_eq!((exit, complaints.as_str()), (Exit::Done, ""));
    assert!(answers.contains("explain"));
}

#[test]
fn explain_shows_the_rule_that_decides_for_a_person() {
    let (_folder, config) = samples();
    let user = format!("{ID}:{ID}");
    let arguments =
        ["explain", "--config", &config, "--url", "https://payroll.example.com/a", "--user", &user, "--group", FINANCE];
    let (exit, answers, _) = run(&arguments);
    assert_eq!(exit, Exit::Done);
    let expected = format!(
        "\
GET https://payroll.example.com/a (app payroll)
by {user}, in 1 group

      #  rule                     verdict  outcome
      1  payroll-admin-is-closed  block    does not match: path
  >   2  payroll-for-finance      allow    matches and decides
      3  wiki-for-everybody-here  allow    not reached

allow: rule_allows (step access_rules, rule \"payroll-for-finance\")
"
    );
    assert_eq!(answers, expected);
}

#[test]
fn explain_shows_why_a_stranger_has_to_sign_in() {
    let (_folder, config) = samples();
    let (_, answers, _) =
        run(&["explain", "--config", &config, "--app", "payroll", "--path", "/admin;x", "--anonymous"]);
    let expected = "\
GET https://payroll.example.com/admin;x (app payroll)
by nobody signed in

      #  rule                     verdict  outcome
      1  payroll-admin-is-closed  block    depends on who asks
      2  payroll-for-finance      allow    depends on who asks
      3  wiki-for-everybody-here  allow    does not match: app

block: sign_in_required (step default)
";
    assert_eq!(answers, expected);
}

#[test]
fn explain_in_json_carries_the_same_words() {
    let (_folder, config) = samples();
    let user = format!("{ID}:{ID}");
    let (_, answers, _) =
        run(&["explain", "--config", &config, "--app", "payroll", "--user", &user, "--groups-unknown", "--json"]);
    let json: Value = serde_json::from_str(&answers).unwrap();
    assert_eq!(json["decision"]["reason"], "no_rule_matched");
    assert_eq!(json["trail"][1]["condition"], "unknown_groups");
    assert_eq!(json["request"]["user"], user);
}

#[test]
fn explain_names_what_is_not_there() {
    let (_folder, config) = samples();
    for (place, expected) in [
        (["--app", "crm"], "no app is called \"crm\", the apps are wiki, payroll"),
        (["--url", "https://other.example.com/x"], "no app answers at other.example.com/x"),
    ] {
        let (exit, _, complaints) = run(&["explain", "--config", &config, place[0], place[1], "--anonymous"]);
        assert_eq!((exit, complaints.trim_end()), (Exit::Usage, expected));
    }
    let (_, answers, _) = run(&["explain", "--config", &config, "--app", "wiki", "--path", "/a//b", "--anonymous"]);
    assert!(answers.contains("note: a request for this path may be refused before any rule is asked"), "{answers}");
    let (_, answers, _) =
        run(&["explain", "--config", &config, "--app", "wiki", "--path", "/.portcullis/me", "--anonymous"]);
    assert!(answers.contains("note: paths under /.portcullis/ are the gateway's own"), "{answers}");
}

#[test]
fn explain_takes_the_path_of_an_address_as_it_is_written() {
    let (_folder, config) = samples();
    for (url, expected) in [
        ("https://WIKI.example.com:8443/a/../b?c=/d#e", "GET https://wiki.example.com/a/../b (app wiki)\n"),
        ("https://wiki.example.com", "GET https://wiki.example.com/ (app wiki)\n"),
    ] {
        let (exit, answers, _) = run(&["explain", "--config", &config, "--url", url, "--anonymous"]);
        assert!(exit == Exit::Done && answers.starts_with(expected), "{answers}");
    }
    let (exit, _, _) = run(&["explain", "--config", &config, "--url", "http://wiki.example.com/", "--anonymous"]);
    assert_eq!(exit, Exit::Usage);
}

/// Runs `init` into `dir` with two apps and more arguments.
fn init(dir: &Path, more: &[&str]) -> (Exit, String, String) {
    let dir = dir.display().to_string();
    let arguments =
        ["init", "--entra", "--dir", &dir, "--tenant", ID, "--client-id", ID, "--host", "portal.example.com"];
    let apps = ["--app", "wiki=http://10.0.0.5:8080", "--app", "payroll=https://10.0.0.6:8443"];
    run(&[arguments.as_slice(), apps.as_slice(), more].concat())
}

#[test]
fn init_writes_files_that_are_valid_once_the_secrets_are_there() {
    for credential in ["secret", "certificate", "federated"] {
        let folder = tempfile::tempdir().unwrap();
        let (exit, answers, complaints) = init(folder.path(), &["--credential", credential]);
        assert_eq!((exit, complaints.as_str()), (Exit::Done, ""));
        assert!(answers.contains("https://portal.example.com/.portcullis/callback"), "{answers}");
        assert!(answers.contains("https://portal.example.com/.portcullis/frontchannel-logout"));
        for (file, schema) in [("portcullis.toml", config_schema()), ("rules.toml", rules_schema())] {
            let path = folder.path().join(file);
            let text = std::fs::read_to_string(&path).unwrap();
            Document::parse(&path, &text).unwrap().read::<toml::Table>(&schema).unwrap();
        }
        for file in ["tls.pem", "tls.key", "entra.pem", "entra.key", "entra-client-secret"] {
            std::fs::write(folder.path().join(file), "placeholder").unwrap();
        }
        let config = crate::config::Config::load(&folder.path().join("portcullis.toml")).unwrap();
        assert_eq!((config.apps.len(), config.rules.len()), (2, 2));
        assert_eq!(config.apps[0].host, "wiki.example.com");
        assert_eq!(config.edge.https.len(), 1);
    }
}

#[test]
fn init_overwrites_nothing() {
    for taken in ["portcullis.toml", "rules.toml"] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(taken), "mine").unwrap();
        let (exit, answers, complaints) = init(folder.path(), &[]);
        assert_eq!((exit, answers.as_str()), (Exit::Invalid, ""));
        assert!(complaints.contains("is already there; nothing was written"), "{complaints}");
        assert_eq!(std::fs::read_to_string(folder.path().join(taken)).unwrap(), "mine");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}

#[test]
fn init_in_json_lists_the_claims_and_exactly_the_permissions_that_are_used() {
    let folder = tempfile::tempdir().unwrap();
    let (_, answers, _) = init(folder.path(), &["--json"]);
    let json: Value = serde_json::from_str(&answers).unwrap();
    let registration = &json["registration"];
    let permissions = registration["permissions"].as_array().unwrap();
    let names = |of: &dyn Fn(&Value) -> bool| -> BTreeSet<String> {
        permissions.iter().filter(|p| of(p)).map(|p| p["name"].as_str().unwrap().to_owned()).collect()
    };
    let required = ["openid", "profile", "offline_access"].map(str::to_owned);
    assert_eq!(names(&|p| p["is_required"] == true), BTreeSet::from(required.clone()));
    assert_eq!(names(&|p| p["kind"] == "delegated"), BTreeSet::from(required));
    // Nothing reads the audit log yet; the last two are for `doctor`.
    let used = Capability::ALL.iter().filter(|capability| **capability != Capability::ReadAuditLog);
    let used = used.chain([&Capability::ReadAuthContexts, &Capability::ReadPolicies]);
    let least = used.flat_map(|capability| capability.needs()[0]).map(|role| role.name().to_owned()).collect();
    assert_eq!(names(&|p| p["kind"] == "application"), least);
    let claims = registration["manifest"]["optionalClaims"]["idToken"].as_array().unwrap();
    assert!(claims.iter().any(|claim| claim["name"] == "sid"));
}

#[test]
fn init_refuses_names_that_could_break_out_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    for bad in [
        "wiki",
        "wi\"ki=http://a:1",
        "Wiki=http://a:1",
        "wiki=ftp://a",
        "wiki=http://a/x",
        "=http://a:1",
        "a=http://u@a",
    ] {
        let (exit, _, _) = init(folder.path(), &["--app", bad]);
        assert_eq!(exit, Exit::Usage, "{bad}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn explain_shows_every_step_of_risk_control() {
    let (folder, config) = samples();
    let rules = "\
[risk]
context = \"c2\"
on_no_licence = \"low\"
[[risk_rule]]
name = \"high\"
levels = [\"high\"]
verdict = \"block\"
[[risk_rule]]
name = \"medium\"
min_level = \"medium\"
detections = [\"leakedCredentials\"]
places = [\"office\"]
verdict = \"challenge\"
context = \"c1\"
[[rule]]
name = \"all\"
who = \"signed_in\"
verdict = \"allow\"
[[place]]
name = \"office\"
networks = [\"10.0.0.0/8\"]
";
    std::fs::write(folder.path().join("config/rules.toml"), rules).unwrap();
    let user = format!("{ID}:{ID}");
    let explain = |more: &[&str]| {
        let arguments = ["explain", "--config", &config, "--app", "wiki", "--user", &user];
        run(&[arguments.as_slice(), more].concat()).1
    };
    let medium =
        ["--risk", "medium", "--detection", "leakedCredentials", "--from", "10.1.2.3", "--at", "2026-11-27T08:00:00Z"];
    let expected = format!(
        "\
GET https://wiki.example.com/ (app wiki)
by {user}, in 0 groups

risk control: every rule that matches counts
      #  rule    verdict    outcome
      1  high    block      does not match: risk_level
  >   2  medium  challenge  matches and decides

access rules
      #  rule  verdict  outcome
      1  all   allow    matches, something stricter or earlier decides

challenge: risk_rule (step risk_control, rule \"medium\", needs c1)
"
    );
    assert_eq!(explain(&medium), expected);
    let passed = explain(&[medium.as_slice(), &["--proof", "c1:10m"]].concat());
    assert!(passed.ends_with("monitor: risk_rule (step risk_control, rule \"medium\")\n"), "{passed}");
    let elsewhere = explain(&["--risk", "medium", "--detection", "leakedCredentials", "--from", "192.0.2.1"]);
    assert!(elsewhere.contains("does not match: place") && elsewhere.contains("allow: rule_allows"), "{elsewhere}");
    let doubt = explain(&["--source", "no_licence"]);
    assert!(doubt.contains("  >   ?  the risk is not known (no_licence): low is configured, so monitor\n"), "{doubt}");
    let old = explain(&["--risk-age", "25h"]);
    assert!(old.ends_with("challenge: risk_too_old (step risk_control, needs c2)\n"), "{old}");
    let held = explain(&["--hold", "private"]);
    assert!(held.contains("not reached, the account's") && held.ends_with("block: held (step account)\n"), "{held}");
    let json: Value = serde_json::from_str(&explain(&["--risk", "high", "--json"])).unwrap();
    assert_eq!(json["risk"]["trail"][0]["outcome"], "decides");
    assert_eq!(json["trail"][0]["outcome"], "not_reached");
}
