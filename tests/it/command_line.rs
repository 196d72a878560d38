//! The commands as an administrator types them: what they print, and how they end.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::world::provider::Kind;
use crate::world::{ALICE, APP, BOB, TENANT, World};

#[test]
fn check_tells_good_from_bad() {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/config/portcullis.toml");
    let folder = tempfile::tempdir().unwrap();
    let broken = folder.path().join("portcullis.toml");
    std::fs::write(&broken, "[sign_in]\nhots = \"portal.example.com\"\n").unwrap();
    let broken = broken.to_str().unwrap();
    let bad = portcullis(&["check", "--config", broken]);
    assert_eq!(bad.code(), 1);
    assert!(bad.err().contains("portcullis.toml:2:1") && bad.err().contains("did you mean \"host\""), "{}", bad.err());
    let bad = portcullis(&["check", "--config", broken, "--json"]);
    assert_eq!((bad.code(), bad.json()["valid"].as_bool()), (1, Some(false)));
    assert!(!bad.json()["problems"].as_array().unwrap().is_empty());
    let missing = portcullis(&["check", "--config", "/nonexistent.toml"]);
    assert_eq!(missing.code(), 1);
    assert!(missing.err().contains("/nonexistent.toml"), "{}", missing.err());
    assert!(Path::new(example).exists());
}

#[test]
fn command_line_that_cannot_be_understood_ends_with_2() {
    for arguments in [
        &["chekc"][..],
        &["check", "--colour"],
        &["session", "kill"],
        &["explain", "--app", "x", "--anonymous", "--user", "y"],
        &["simulate", "--listen", "0.0.0.0:0"],
        &[],
    ] {
        let ended = portcullis(arguments);
        assert_eq!(ended.code(), 2, "{arguments:?}: {}", ended.err());
        assert!(!ended.err().contains("panicked"), "{}", ended.err());
    }
    for arguments in [&["--help"][..], &["--version"], &["check", "--help"]] {
        assert_eq!(portcullis(arguments).code(), 0, "{arguments:?}");
    }
}

#[test]
fn what_init_writes_loads_once_the_named_files_are_there() {
    for credential in ["secret", "certificate", "federated"] {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("new");
        let arguments = [
            "init",
            "--entra",
            "--dir",
            dir.to_str().unwrap(),
            "--tenant",
            TENANT,
            "--client-id",
            ALICE.oid,
            "--host",
            "portal.example.com",
            "--app",
            "wiki=http://127.0.0.1:8080",
            "--credential",
            credential,
        ];
        let made = portcullis(&arguments);
        assert_eq!(made.code(), 0, "{}", made.err());
        for needed in [
            "https://portal.example.com/.portcullis/callback",
            "/.portcullis/frontchannel-logout",
            "https://console.example.com/consent/callback",
            "sid",
            "login_hint",
            "GroupMember.Read.All",
            "User-PasswordProfile.ReadWrite.All",
            "IdentityRiskyUser.Read.All",
            "Conditional Access",
        ] {
            assert!(made.out().contains(needed), "the steps say {needed}: {}", made.out());
        }
        let again = portcullis(&arguments);
        assert_eq!(again.code(), 1, "nothing is written over");
        let config = dir.join("portcullis.toml");
        name_files(&config);
        let check = portcullis(&["check", "--config", config.to_str().unwrap()]);
        assert_eq!(check.code(), 0, "{credential}: {}{}", check.out(), check.err());
        let check = portcullis(&["check", "--config", config.to_str().unwrap(), "--json"]);
        assert_eq!(check.json()["valid"], true);
    }
}

#[tokio::test]
async fn explain_says_which_rule_decides() {
    let world = World::with(
        Kind::Simulator,
        |_| crate::world::upstream::Answer::text("x"),
        |settings| {
            settings.rules = RULES.to_owned();
        },
    )
    .await;
    let config = world.gateway.config_file();
    let explain = |more: &[&str]| {
        let mut arguments = vec!["explain", "--config", config.to_str().unwrap()];
        arguments.extend_from_slice(more);
        portcullis(&arguments)
    };
    let (alice, bob) = (format!("{TENANT}:{}", ALICE.oid), format!("{TENANT}:{}", BOB.oid));
    let allowed = explain(&["--url", "https://app.test/docs/a", "--user", &alice]);
    assert_eq!(
        (allowed.code(), allowed.out()),
        (0, format!("GET https://app.test/docs/a (app app)\nby {alice}, in 0 groups\n{ALLOWED}"))
    );
    let blocked = explain(&["--app", "app", "--path", "/docs", "--user", &bob, "--json"]).json();
    assert_eq!((&blocked["decision"]["verdict"], &blocked["decision"]["rule"]), (&"block".into(), &"not-bob".into()));
    let anonymous = explain(&["--app", "app", "--anonymous", "--json"]).json();
    assert_eq!(anonymous["decision"]["reason"], "sign_in_required");
    let default = explain(&["--app", "fin", "--user", &alice, "--json"]).json();
    assert_eq!((&default["decision"]["verdict"], &default["decision"]["rule"]), (&"block".into(), &Value::Null));
    let unknown = explain(&["--app", "nothing", "--anonymous"]);
    assert_eq!(unknown.code(), 2);
    assert!(unknown.err().contains("the apps are app, fin"), "{}", unknown.err());
    // What is explained is what happens.
    let page = world.browser().sign_in(&format!("https://{APP}/docs"), BOB).await;
    assert_eq!(page.status(), 403);
    assert!(
        page.response.text().contains("<h1>You do not have access</h1>")
            && page.response.text().contains("rule_blocks")
    );
    let id = page.response.text().split("<code>").nth(1).unwrap()[..32].to_owned();
    assert!(
        world.gateway.log().contains(&format!("\"request_id\":\"{id}\"")),
        "the request id leads to the decision log"
    );
    assert_eq!(world.browser().sign_in(&format!("https://{APP}/docs"), ALICE).await.status(), 200);
}

#[tokio::test]
async fn sessions_are_listed_and_ended() {
    let world = World::start(Kind::Simulator).await;
    let (mut alice, mut bob) = (world.signed_in(ALICE).await, world.signed_in(BOB).await);
    let config = world.gateway.config_file();
    let config = config.to_str().unwrap();
    let session = |arguments: &[&str]| portcullis(&[&["session"], arguments, &["--config", config]].concat());
    let table = session(&["ls"]);
    assert_eq!(table.code(), 0, "{}", table.err());
    assert!(table.out().contains(ALICE.name) && table.out().contains(BOB.name) && table.out().starts_with("ID"));
    let list = session(&["ls", "--json"]).json();
    let of = |oid: &str| {
        let all = list["sessions"].as_array().unwrap();
        let found = all.iter().find(|session| session["user"].as_str().unwrap().ends_with(oid)).unwrap();
        found["id"].as_str().unwrap().to_owned()
    };
    let ended = session(&["kill", &of(ALICE.oid)]);
    assert_eq!((ended.code(), ended.out().as_str()), (0, "ended 1 session\n"));
    assert_eq!(alice.fetch(&format!("https://{APP}/")).await.status, 401);
    assert_eq!(bob.fetch(&format!("https://{APP}/")).await.status, 200);
    let again = session(&["kill", &of(ALICE.oid)]);
    assert_eq!((again.code(), again.err().as_str()), (1, "portcullis session: no such session\n"));
    let ended = session(&["kill", "--user", &format!("{TENANT}:{}", BOB.oid), "--json"]);
    assert_eq!((ended.code(), ended.json()["ended"].as_u64()), (0, Some(1)));
    assert_eq!(bob.fetch(&format!("https://{APP}/")).await.status, 401);
    assert_eq!(session(&["ls"]).out(), "no live sessions\n");
    let wrong = world.gateway.dir().join("wrong-token");
    std::fs::write(&wrong, "x".repeat(43)).unwrap();
    std::fs::set_permissions(&wrong, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let refused = session(&["ls", "--token-file", wrong.to_str().unwrap()]);
    assert_eq!(refused.code(), 1);
    assert!(refused.err().contains("does not accept this token"), "{}", refused.err());
}

#[tokio::test]
async fn doctor_finds_the_provider_well_and_then_gone() {
    let mut world = World::start(Kind::Simulator).await;
    let config = world.gateway.config_file();
    let doctor = |more: &[&str]| portcullis(&[&["doctor", "--config", config.to_str().unwrap()], more].concat());
    let report = doctor(&["--json"]).json();
    let findings = |report: &Value, check: &str| {
        let all = report["findings"].as_array().unwrap_or_else(|| report.as_array().unwrap()).clone();
        all.into_iter().filter(|finding| finding["check"].as_str().unwrap().contains(check)).collect::<Vec<_>>()
    };
    for check in ["provider", "discovery", "clock", "credential", "certificate"] {
        let found = findings(&report, check);
        assert!(!found.is_empty() && found.iter().all(|finding| finding["health"] == "good"), "{check}: {report:#}");
    }
    world.provider.stop();
    let report = doctor(&[]);
    assert_eq!(report.code(), 1);
    let failed: Vec<_> = report.out().lines().filter(|line| line.contains("FAIL")).map(str::to_owned).collect();
    assert!(failed.iter().any(|line| line.contains("provider")), "{}", report.out());
    let json = doctor(&["--json"]).json();
    let found = findings(&json, "provider");
    assert!(
        !found.is_empty()
            && found.iter().all(|finding| finding["health"] == "bad" && finding["advice"].as_str().unwrap().len() > 10),
        "{json:#}"
    );
}

#[tokio::test]
async fn run_that_cannot_start_says_why_in_one_line() {
    let world = World::start(Kind::Simulator).await;
    let config = std::fs::read_to_string(world.gateway.config_file()).unwrap();
    let dir = world.gateway.dir().to_owned();
    let run = |name: &str, text: &str| {
        let file = dir.join(name);
        std::fs::write(&file, text).unwrap();
        portcullis(&["run", "--config", file.to_str().unwrap()])
    };
    let locked = run("locked.toml", &config);
    assert_one_line(&locked, &["state"]);
    let other = config.replace("/state\"", "/other-state\"");
    let busy = other.replacen("https = [\"127.0.0.1:0\"]", &format!("https = [\"{}\"]", world.gateway.https()), 1);
    // SO_REUSEPORT would let a second gateway of the same user share the port and take half of the connections.
    assert_one_line(&run("busy.toml", &busy), &[&world.gateway.https().to_string()]);
    let busy = other.replace("listen = \"127.0.0.1:0\"", &format!("listen = \"{}\"", world.gateway.admin()));
    assert_one_line(&run("admin.toml", &busy), &[&world.gateway.admin().to_string()]);
    assert_one_line(&run("broken.toml", "[sign_in\n"), &["broken.toml:1"]);
}

/// How a command ended.
struct Ended(Output);

impl Ended {
    fn code(&self) -> i32 {
        self.0.status.code().expect("it ended by itself")
    }

    fn out(&self) -> String {
        String::from_utf8(self.0.stdout.clone()).unwrap()
    }

    fn err(&self) -> String {
        String::from_utf8(self.0.stderr.clone()).unwrap()
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.out()).unwrap_or_else(|error| panic!("{error}: {}{}", self.out(), self.err()))
    }
}

fn portcullis(arguments: &[&str]) -> Ended {
    // A command that does not end (a gateway that starts though it should not) is ended after ten seconds.
    let mut command = Command::new("timeout");
    Ended(command.arg("10").arg(env!("CARGO_BIN_EXE_portcullis")).args(arguments).output().unwrap())
}

#[track_caller]
fn assert_one_line(ended: &Ended, words: &[&str]) {
    let said = ended.err();
    assert_eq!(ended.code(), 1, "{}{said}", ended.out());
    assert!(said.lines().filter(|line| !line.trim().is_empty()).count() <= 3, "{said}");
    assert!(words.iter().all(|word| said.contains(word)), "{words:?}: {said}");
    assert!(!said.contains("panicked") && !said.contains("Os {"), "{said}");
}

/// Makes the files that a fresh configuration names, in place of what its author would bring.
fn name_files(config: &Path) {
    let text = std::fs::read_to_string(config).unwrap();
    let dir = config.parent().unwrap();
    let authority = crate::world::certs::Authority::new();
    let pair = authority.issue(&["portal.example.com", "wiki.example.com"]);
    for line in text.lines().filter(|line| !line.trim_start().starts_with('#')) {
        let words = line.split('"').skip(1).step_by(2);
        for word in words.filter(|word| {
            !word.contains("://") && (word.contains('/') || word.contains('.') || word.starts_with("file:"))
        }) {
            let file: PathBuf = dir.join(word.strip_prefix("file:").unwrap_or(word));
            if file.exists() || word.contains("example.com") || word.contains(':') && !word.starts_with("file:") {
                continue;
            }
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            let content = match file.extension().and_then(|end| end.to_str()) {
                Some("key") => pair.key.clone(),
                Some("pem" | "crt") => pair.certificate.clone(),
                _ => "a-secret-of-some-length".to_owned(),
            };
            std::fs::write(&file, content).unwrap();
            std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        }
    }
}

const RULES: &str = r#"[[rule]]
name = "not-bob"
users = ["3f1c0b9e-6a52-4d0e-9b7a-5d2f8c4e1a77:1e9c7d36-8a40-4b52-b6f1-d30e5c824a97"]
verdict = "block"

[[rule]]
name = "docs"
apps = ["app"]
who = "signed_in"
paths = ["/docs"]
verdict = "allow"
"#;

const ALLOWED: &str = "
      #  rule     verdict  outcome
      1  not-bob  block    does not match: person
  >   2  docs     allow    matches and decides

allow: rule_allows (step access_rules, rule \"docs\")
";
