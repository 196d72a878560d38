//! Each check finds what it is for.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rcgen::{CertificateParams, KeyPair, date_time_ymd};

use crate::cli::tests::samples;
use crate::edge::CertificateFiles;
use crate::facts::UnixTime;

use super::*;

/// 2026-03-01T00:00:00Z.
const NOW: UnixTime = UnixTime(1_772_323_200);

/// A certificate for `names`, valid in 2026 up to `month`.
fn certificate(folder: &Path, names: &[&str], month: u8) -> CertificateFiles {
    let mut params = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
    params.not_before = date_time_ymd(2026, 1, 1);
    params.not_after = date_time_ymd(2026, month, 10);
    let key = KeyPair::generate().unwrap();
    let path = folder.join(format!("{month}-{}.pem", names.len()));
    std::fs::write(&path, params.self_signed(&key).unwrap().pem()).unwrap();
    CertificateFiles { key: path.clone(), certificate: path }
}

fn sample() -> (tempfile::TempDir, Config) {
    let (folder, path) = samples();
    let config = Config::load(Path::new(&path)).unwrap();
    (folder, config)
}

fn healths(findings: &[Finding]) -> Vec<Health> {
    findings.iter().map(|finding| finding.health).collect()
}

#[test]
fn certificates_are_held_against_the_clock_and_the_hosts() {
    use Health::{Bad, Doubtful, Good};
    let (folder, mut config) = sample();
    let mut check = |names: &[&str], month, now: UnixTime| {
        config.edge.tls.certificates = vec![certificate(folder.path(), names, month)];
        certificates::check(&config, now)
    };
    assert_eq!(healths(&check(&["*.example.com"], 12, NOW)), [Good]);
    assert_eq!(healths(&check(&["*.example.com"], 3, NOW)), [Doubtful]);
    assert_eq!(healths(&check(&["*.example.com"], 2, NOW)), [Bad]);
    assert_eq!(healths(&check(&["*.example.com"], 12, UnixTime(NOW.0 - 70 * 86_400))), [Bad]);
    // A wildcard covers one label only, and the name itself not at all.
    let findings = check(&["example.com", "*.a.example.com", "wiki.example.com", "portal.example.com"], 12, NOW);
    assert_eq!(healths(&findings), [Good, Bad]);
    assert!(findings[1].found.contains("none covers the app host payroll.example.com"), "{findings:?}");
    assert!(findings[0].found.ends_with("is good for 284d"), "{findings:?}");
}

#[test]
fn a_file_that_is_no_certificate_is_bad() {
    let (_folder, config) = sample();
    let findings = certificates::check(&config, NOW);
    assert_eq!(findings.len(), 4);
    assert!(findings.iter().all(|finding| finding.health == Health::Bad && !finding.advice.is_empty()));
}

#[test]
fn a_state_folder_is_missing_open_private_or_no_folder() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("a/state");
    assert_eq!(machine::state_dir(&state).health, Health::Good);
    assert!(!state.exists(), "looking makes nothing");
    std::fs::create_dir_all(&state).unwrap();
    std::fs::set_permissions(&state, std::fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(machine::state_dir(&state).health, Health::Doubtful);
    std::fs::set_permissions(&state, std::fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(machine::state_dir(&state).health, Health::Good);
    assert_eq!(std::fs::read_dir(&state).unwrap().count(), 0, "looking leaves nothing");
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    assert_eq!(machine::state_dir(&file).health, Health::Bad);
}

#[test]
fn a_taken_port_is_noticed() {
    let (_folder, mut config) = sample();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    config.edge.https = vec![taken.local_addr().unwrap()];
    config.edge.redirect = vec!["127.0.0.1:0".parse().unwrap()];
    config.admin.listen = "192.0.2.1:9090".parse().unwrap();
    assert_eq!(healths(&machine::ports(&config)), [Health::Doubtful, Health::Good, Health::Bad]);
}

#[tokio::test]
async fn names_and_the_provider_are_tried() {
    let (_folder, mut config) = sample();
    let provider = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = provider.local_addr().unwrap();
    config.sign_in.host = "portal.localhost".to_owned();
    config.entra.authority = format!("http://{address}/").parse().unwrap();
    config.apps.truncate(1);
    config.apps[0].host = "wiki.localhost".to_owned();
    config.apps[0].upstream.endpoints = vec!["[::1]:80".to_owned(), "does-not-exist.invalid:80".to_owned()];
    assert_eq!(healths(&network::names(&config).await), [Health::Good, Health::Good, Health::Good, Health::Bad]);
    // Somebody who accepts connections and says nothing is reached, but is no provider.
    let clock = crate::facts::SystemClock::shared();
    config.entra.timeout = std::time::Duration::from_millis(200);
    let found = healths(&network::provider(&config, &clock).await);
    assert_eq!(found.first(), Some(&Health::Good));
    assert!(found.contains(&Health::Bad), "{found:?}");
    drop(provider);
    assert_eq!(healths(&network::provider(&config, &clock).await), [Health::Bad]);
}

#[tokio::test]
async fn a_context_that_proves_nothing_is_noticed() {
    use crate::directory::{self, Rhythm};
    use crate::policy::{StepUp, Verdict};
    use crate::simulator::{APP_ID, APP_SECRET, CONTOSO, ContextPolicy, Options, Simulator, World};
    let simulator = Simulator::start(Options::new(World::demo::<String>([]))).await.unwrap();
    let (_folder, mut config) = sample();
    config.entra.authority = simulator.base().clone();
    config.entra.tenants = vec![CONTOSO.parse().unwrap()];
    config.entra.client_id = APP_ID.to_owned();
    config.entra.credential = crate::entra::Credential::Secret(crate::telemetry::Secret::new(APP_SECRET.to_owned()));
    let clock = crate::facts::SystemClock::shared();
    assert!(contexts::check(&config, &clock).await.is_empty(), "no rule asks for one");
    let step_up = |context| StepUp { context: crate::facts::AuthContext(context), lifetime: std::time::Duration::ZERO };
    config.rules[0].verdict = Verdict::Challenge;
    config.rules[0].step_up = Some(step_up(1));
    let name = config.rules[0].name.clone();
    config.directory = None;
    let found = contexts::check(&config, &clock).await.remove(0);
    assert!(found.health == Health::Doubtful && found.found.contains("without [directory]"), "{found:?}");
    let (root, rhythm) = (simulator.base().clone(), Rhythm::FAST);
    config.directory = Some(directory::Config { root, rhythm, upload: true, has_risk: true });
    let ask = async |policy: Option<ContextPolicy>, roles: &[&str]| {
        simulator.world().change(|world| {
            let tenant = world.tenant_mut(CONTOSO).unwrap();
            tenant.auth_contexts.clear();
            tenant.auth_contexts.extend(policy.map(|policy| ("c1".to_owned(), policy)));
            let app = world.app_mut(APP_ID).unwrap();
            app.principals.get_mut(CONTOSO).unwrap().roles = roles.iter().map(|role| (*role).to_owned()).collect();
        });
        let findings = contexts::check(&config, &clock).await;
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert!(findings[0].found.contains(&*name) && findings[0].found.starts_with("c1 of tenant "), "{findings:?}");
        findings[0].clone()
    };
    let both = ["AuthenticationContext.Read.All", "Policy.Read.All"];
    let found = ask(Some(ContextPolicy::Mfa), &both).await;
    assert_eq!((found.health, found.advice.as_str()), (Health::Good, ""), "{}", found.found);
    for (policy, what) in [
        (None, "is not defined"),
        (Some(ContextPolicy::Absent), "no enabled policy targets it"),
        (Some(ContextPolicy::ReportOnly), "no enabled policy targets it"),
    ] {
        let found = ask(policy, &both).await;
        assert_eq!(found.health, Health::Bad, "{policy:?}: {}", found.found);
        assert!(found.found.contains(what), "{policy:?}: {}", found.found);
    }
    for (roles, what) in
        [(&both[..1], "needs Policy.Read.All"), (&[], "needs AuthenticationContext.Read.All and Policy")]
    {
        let found = ask(Some(ContextPolicy::Mfa), roles).await;
        assert_eq!(found.health, Health::Doubtful, "{}", found.found);
        assert!(found.found.contains(what) && found.advice.contains("asks nothing"), "{found:?}");
    }
    simulator.shutdown().await;
}

#[test]
fn the_report_is_one_line_per_check_with_advice_and_ends_with_1() {
    let (_folder, path) = samples();
    // Nothing beyond this machine is asked.
    let text = std::fs::read_to_string(&path).unwrap().replace("example.com\"", "localhost\"");
    let text = text.replace("[entra]", "[entra]\nauthority = \"http://127.0.0.1:9/\"");
    let text = text.replace("\n[directory]\n", "\n[directory]\ngraph = \"http://127.0.0.1:9/\"\n");
    std::fs::write(&path, text).unwrap();
    let (exit, answers, _) = crate::cli::tests::run(&["doctor", "--config", &path]);
    assert_eq!(exit, Exit::Invalid);
    assert!(answers.starts_with("ok    config       valid, 2 apps, 3 rules\n"), "{answers}");
    assert!(answers.contains("\nFAIL  certificate  "), "{answers}");
    let (_, answers, _) = crate::cli::tests::run(&["doctor", "--config", &path, "--json"]);
    let json: serde_json::Value = serde_json::from_str(&answers).unwrap();
    assert_eq!(json["healthy"], false);
    let config = &json["findings"][0];
    assert_eq!((&config["check"], &config["health"]), (&"config".into(), &"good".into()));
}
