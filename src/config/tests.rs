//! What the files in `config/` promise, what every default is, and the message for each mistake.

mod directory;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use serde_json::Value;

use crate::access::{Protocol, Scheme};
use crate::entra::Credential;

use super::*;

mod console;

const SAMPLE: &str = include_str!("../../config/portcullis.toml");
const RULES: &str = include_str!("../../config/rules.toml");

/// The least that is valid, with a place for lines of the top level and for tables.
const LEAST: &str = "\
[sign_in]
host = \"portal.example.com\"
[entra]
tenants = [\"3f1c0b9e-6a52-4d0e-9b7a-5d2f8c4e1a77\"]
client_id = \"8d2b6f10-4c9e-4f3a-a6b1-0e7c5d9f2b34\"
client_secret = \"env:SECRET\"
[[tls.certificate]]
certificate = \"a.pem\"
key = \"a.key\"
";

/// A folder with what the samples refer to.
struct Folder(tempfile::TempDir);

impl Folder {
    fn with(config: &str, rules: &str) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        for dir in ["config", "certs"] {
            std::fs::create_dir(folder.0.path().join(dir)).unwrap();
        }
        folder.write("config/rules.toml", rules);
        folder.write("config/portcullis.toml", config);
        folder.write("config/entra-client-secret", "hush\n");
        for file in ["config/a.pem", "config/a.key", "certs/example.pem", "certs/example.key"] {
            folder.write(file, "placeholder");
        }
        folder
    }

    fn write(&self, path: &str, text: &str) {
        std::fs::write(self.0.path().join(path), text).unwrap();
    }

    fn load(&self) -> Result<Config, ConfigError> {
        let environment = |name: &str| (name == "SECRET").then(|| "hush".to_owned());
        Config::load_with(&self.0.path().join("config/portcullis.toml"), &environment)
    }

    /// Everything as text, with the folder's own name taken out.
    fn shown(&self) -> String {
        format!("{:#?}", self.load().unwrap()).replace(&self.0.path().display().to_string(), "")
    }

    fn problems(&self) -> String {
        let error = self.load().expect_err("a refusal").to_string();
        error.replace(&format!("{}/config/", self.0.path().display()), "")
    }
}

/// Takes the comment mark off every key that is left out.
fn uncommented(sample: &str) -> String {
    let mut text = String::new();
    for line in sample.lines() {
        let key = line.strip_prefix('#').filter(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase()));
        writeln!(text, "{}", key.unwrap_or(line)).unwrap();
    }
    text
}

#[test]
fn the_sample_files_load() {
    let config = Folder::with(SAMPLE, RULES).load().unwrap();
    assert_eq!(config.apps.len(), 2);
    assert_eq!(config.rules.len(), 3);
    assert_eq!(config.rules[0].apps, [crate::facts::AppId(1)]);
    assert_eq!(config.entra.redirect_uri.as_str(), "https://portal.example.com/.portcullis/callback");
    assert_eq!(config.apps[1].upstream.endpoints, ["10.0.0.6:8443", "10.0.0.7:8443"]);
    assert_eq!(config.apps[1].upstream.scheme, Scheme::Https);
    assert_eq!(config.apps[0].upstream.protocol, Protocol::Auto);
    assert_eq!(config.apps[0].audience, "https://wiki.example.com");
    assert_eq!(config.sign_in.apps[1].url, "https://payroll.example.com/");
    assert!(matches!(&config.entra.credential, Credential::Secret(secret) if secret.expose() == "hush"));
}

#[test]
fn every_documented_default_is_the_default() {
    assert_eq!(Folder::with(&uncommented(SAMPLE), RULES).shown(), Folder::with(SAMPLE, RULES).shown());
    assert!(uncommented(SAMPLE).contains("\nhandshake = \"10s\""));
}

#[test]
fn the_defaults_of_limits_and_headers_are_those_of_their_parts() {
    let config = Folder::with(LEAST, "").load().unwrap();
    assert_eq!(format!("{:?}", config.edge.limits), format!("{:?}", crate::edge::Limits::default()));
    let headers = format!("{:?}", crate::access::IdentityHeaders::default());
    assert_eq!(format!("{:?}", config.identity_headers), headers);
    assert_eq!(config.entra.skew, Duration::from_secs(300));
    assert_eq!(config.entra.scopes, ["openid", "profile", "offline_access"]);
    assert_eq!(config.hsts, Some(Duration::from_secs(365 * 86_400)));
    assert!(config.trusted_proxies.is_empty() && config.rules.is_empty() && config.apps.is_empty());
}

#[test]
fn the_sample_names_every_key() {
    fn keys<'a>(schema: &'a Value, found: &mut BTreeSet<&'a str>) {
        if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
            found.extend(properties.keys().map(String::as_str));
        }
        match schema {
            Value::Object(map) => map.values().for_each(|inner| keys(inner, found)),
            Value::Array(list) => list.iter().for_each(|inner| keys(inner, found)),
            _ => {}
        }
    }
    let schema = config_schema();
    let mut found = BTreeSet::new();
    keys(&schema, &mut found);
    assert!(found.len() > 70, "{found:?}");
    for key in found {
        let written = |line: &str| {
            let line = line.trim_start_matches('#').trim_start().trim_start_matches("Example: ");
            line.starts_with(&format!("{key} =")) || line.trim_matches(['[', ']']).split('.').any(|part| part == key)
        };
        assert!(SAMPLE.lines().any(written), "config/portcullis.toml does not mention {key}");
    }
}

#[test]
fn the_committed_schemas_are_the_generated_ones() {
    for (file, committed, generated) in [
        ("portcullis", include_str!("../../config/portcullis.schema.json"), config_schema()),
        ("rules", include_str!("../../config/rules.schema.json"), rules_schema()),
    ] {
        let generated = format!("{}\n", serde_json::to_string_pretty(&generated).unwrap());
        assert!(committed == generated, "run: portcullis check --schema {file} > config/{file}.schema.json");
    }
}

#[test]
fn every_toml_file_in_the_folder_agrees_with_its_schema() {
    let mut seen = 0;
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/config")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            let text = std::fs::read_to_string(&path).unwrap();
            let rules = path.file_stem().is_some_and(|stem| stem.to_string_lossy().contains("rules"));
            let schema = if rules { rules_schema() } else { config_schema() };
            Document::parse(&path, &text).unwrap().read::<toml::Table>(&schema).unwrap();
            seen += 1;
        }
    }
    assert!(seen >= 2);
}

/// Puts `top` before the least configuration and `tables` after it; expects these problems.
fn refused(top: &str, tables: &str, expected: &[&str]) {
    let config = format!("{top}\n{LEAST}{tables}\n");
    let problems = Folder::with(&config, "").problems();
    let lines: Vec<&str> = problems.lines().collect();
    assert_eq!(lines.len(), expected.len(), "{problems}");
    for (line, expected) in lines.iter().zip(expected) {
        assert!(line.contains(expected), "\n got: {line}\nwant: {expected}");
    }
}

/// As [`refused`], with one app and `lines` added to it; line 15 is the first of them.
fn app_refused(lines: &str, expected: &str) {
    let app = "[[app]]\nname = \"wiki\"\nhost = \"wiki.example.com\"\nupstream = [\"http://10.0.0.5:8080\"]\n";
    refused("", &format!("{app}{lines}"), &[expected]);
}

#[test]
fn unknown_keys_are_refused_with_a_suggestion() {
    refused(
        "",
        "[[app]]\nname = \"wiki\"\nhost = \"w.example.com\"\nupstrem = [\"http://a:1\"]",
        &[
            "portcullis.toml:11:1: missing key \"upstream\" in [[app]] (app \"wiki\")",
            "portcullis.toml:14:1: unknown key \"upstrem\" in [[app]], did you mean \"upstream\"?",
        ],
    );
    refused(
        "stat_dir = \"x\"",
        "",
        &["portcullis.toml:1:1: unknown key \"stat_dir\" in the file, did you mean \"state_dir\"?"],
    );
    refused(
        "",
        "[limits]\nhandshak = \"1s\"",
        &["portcullis.toml:12:1: unknown key \"handshak\" in [limits], did you mean"],
    );
}

#[test]
fn a_second_identity_provider_is_refused_by_name() {
    for provider in ["oidc", "okta", "saml", "google", "ldap", "keycloak", "oidc-partner"] {
        refused(
            "",
            &format!("[{provider}]\nissuer = \"x\""),
            &[&format!(
                "portcullis.toml:11:2: exactly one identity provider may be configured and [entra] is active, remove [{provider}]"
            )],
        );
    }
    let twice = LEAST.replace("[entra]", "[[entra]]");
    let problems = Folder::with(&twice, "").problems();
    assert!(problems.starts_with("portcullis.toml:3:3: exactly one identity provider may be configured"), "{problems}");
    let twice = format!("{LEAST}[entra]\nclient_id = \"x\"\n");
    assert!(
        Folder::with(&twice, "").problems().starts_with("portcullis.toml:10:"),
        "TOML itself refuses a table twice"
    );
}

#[test]
fn values_out_of_bounds_are_refused_with_the_bounds() {
    for (tables, expected) in [
        (
            "[pages]\nhelp_url = \"http://x.example\"",
            "12:12: pages.help_url: expected an https address such as https://",
        ),
        (
            "[pages]\npassword_reset_url = \"javascript:x\"",
            "12:22: pages.password_reset_url: expected an https address",
        ),
        ("[pages]\nhelp_text = \"\"", "12:13: pages.help_text: expected 1 to 200 characters"),
        ("[limits]\nhandshake = \"10\"", "12:13: limits.handshake: expected a duration such as 250ms, 30s"),
        ("[limits]\nhandshake = 10", "12:13: limits.handshake: expected a string in quotes, got a whole number"),
        ("[limits]\nhandshake = \"1h\"", "12:13: limits.handshake: expected a duration from 1s to 2m, got \"1h\""),
        (
            "[limits]\nheader_bytes = \"1KB\"",
            "12:16: limits.header_bytes: expected a size from 4KiB to 1MiB, got \"1KB\"",
        ),
        ("[limits]\nheader_bytes = \"lots\"", "12:16: limits.header_bytes: expected a size such as"),
        ("[limits]\nstreams = 0", "12:11: limits.streams: expected a number from 1 to 10000"),
        ("[limits]\nstreams = -5", "12:11: limits.streams: expected a number from 1 to 10000"),
        ("[session]\nidle = \"13h\"", "12:8: session.idle: expected at most session.absolute"),
        ("[listen]\nhttps = [\"0.0.0.0:0\"]", "12:9: listen.https: port 0 leaves the redirect address unknown"),
        ("[listen]\nhttps = []", "12:9: listen.https: expected at least one address with a port"),
        ("[listen]\nhttps = [\"443\"]", "12:10: listen.https: expected an address with a port such as"),
        (
            "[listen]\ntrusted_proxies = [\"0.0.0.0/0\"]",
            "12:20: listen.trusted_proxies: \"0.0.0.0/0\" would trust everybody",
        ),
        ("[listen]\ntrusted_proxies = [\"::/0\"]", "12:20: listen.trusted_proxies: \"::/0\" would trust everybody"),
        ("[listen]\nproxy_protocol_from = [\"lb\"]", "12:24: listen.proxy_protocol_from: expected a network such as"),
        ("[listen]\npublic_port = 70000", "12:15: listen.public_port: expected a number from 1 to 65535"),
        ("[admin]\nlisten = \"0.0.0.0:9090\"", "12:10: admin.listen: outside the loopback a bearer token is needed"),
        ("[admin]\ntoken_file = \"none\"", "12:14: admin.token_file: "),
        ("[log]\nlevel = \"info=what=ever\"", "12:9: log.level: expected error, warn, info, debug or a filter"),
        ("[log]\nformat = \"xml\"", "12:10: log.format: expected \"text\" or \"json\", got \"xml\""),
        (
            "[identity_headers]\nname = \"Content-Length\"",
            "12:8: identity_headers.name: \"Content-Length\" is not the name",
        ),
        (
            "[identity_headers]\nname = \"x_auth_subject\"",
            "12:8: identity_headers.name: identity_headers.subject has the same name",
        ),
        ("[decision_log]\nrotate = \"1B\"", "12:10: decision_log.rotate: expected 0B, or 64KiB or more"),
    ] {
        refused("", tables, &[expected]);
    }
}

#[test]
fn mistakes_in_an_app_are_refused() {
    for (lines, expected) in [
        ("path = \"docs\"", "15:8: app.path: \"docs\": a path begins with \"/\" (app \"wiki\")"),
        ("path = \"/docs/\"", "15:8: app.path: \"/docs/\": a prefix covers whole segments"),
        ("methods = []", "15:11: app.methods: expected at least one method"),
        ("methods = [\"get\"]", "15:12: app.methods: expected a method in upper case"),
        ("methods = [\"CONNECT\"]", "15:12: app.methods: CONNECT is never relayed"),
        ("cors_origins = [\"https://a.example.com/\"]", "15:17: app.cors_origins: expected an origin such as"),
        ("cors_origins = [\"*\"]", "15:17: app.cors_origins: expected an origin such as"),
        (
            "request_headers = { \"Transfer-Encoding\" = \"chunked\" }",
            "15:43: app.request_headers: \"Transfer-Encoding\" is not",
        ),
        ("request_headers = { x = \"a\\r\\nb\" }", "15:25: app.request_headers: expected printable ASCII"),
        ("max_body = 5", "15:12: app.max_body: expected a string in quotes, got a whole number (app \"wiki\")"),
        ("tls = { server_name = \"a.b\" }", "15:23: app.tls: the upstream is plain http"),
        (
            "connection = { balance = \"random\" }",
            "15:26: app.connection.balance: expected \"round_robin\" or \"least_loaded\"",
        ),
        ("connection = { max_idle = 300 }", "15:27: app.connection.max_idle: expected at most max_connections"),
        ("health = { path = \"x\" }", "15:19: app.health.path: expected a path such as /healthz"),
        (
            "health = { interval = \"1s\", timeout = \"2s\" }",
            "15:39: app.health.timeout: expected at most app.health.interval",
        ),
        (
            "[[app]]\nname = \"wiki\"\nhost = \"b.example.com\"\nupstream = [\"http://b:1\"]",
            "16:8: app.name: an earlier app has the same name",
        ),
        (
            "[[app]]\nname = \"b\"\nhost = \"wiki.example.com\"\nupstream = [\"http://b:1\"]",
            "17:8: app.host: app \"wiki\" already has the host",
        ),
        (
            "[[app]]\nname = \"b\"\nhost = \"portal.example.com\"\nupstream = [\"http://b:1\"]",
            "17:8: app.host: the sign-in host is the gateway's own",
        ),
    ] {
        app_refused(lines, expected);
    }
}

#[test]
fn only_bare_upstream_addresses_of_one_kind_are_accepted() {
    for (upstream, expected) in [
        ("[]", "14:12: app.upstream: expected at least one address"),
        ("\"http://a:1\"", "14:12: app.upstream: expected a list [...], got a string in quotes"),
        (
            "[\"a:1\"]",
            "14:13: app.upstream: expected http://host:port or https://host:port without a path, got \"a:1\"",
        ),
        ("[\"ftp://a:1\"]", "14:13: app.upstream: expected http://host:port"),
        ("[\"http://a:1/x\"]", "14:13: app.upstream: expected http://host:port"),
        ("[\"http://u:p@a:1\"]", "14:13: app.upstream: expected http://host:port"),
        ("[\"http://a:1\", \"https://a:2\"]", "14:27: app.upstream: expected the same scheme"),
        ("[\"http://a:1\", \"http://A:1\"]", "14:27: app.upstream: this instance is already in the list"),
        ("[\"http://127.0.0.1:9090\"]", "14:13: app.upstream: this is the administration listener"),
        ("[\"http://localhost:9090\"]", "14:13: app.upstream: this is the administration listener"),
        ("[\"https://127.0.0.1:443\"]", "14:13: app.upstream: this is the gateway's own listener"),
    ] {
        let app = format!("[[app]]\nname = \"a\"\nhost = \"a.example.com\"\nupstream = {upstream}");
        refused("", &app, &[expected]);
    }
}

#[test]
fn mistakes_about_the_provider_and_hosts_are_refused() {
    for (from, to, expected) in [
        (
            "\"portal.example.com\"",
            "\"Portal.example.com\"",
            "2:8: sign_in.host: expected a host name such as portal.example.com, in lower case",
        ),
        (
            "\"portal.example.com\"",
            "\"portal.example.com:8443\"",
            "2:8: sign_in.host: expected a host name such as portal.example.com, without a port",
        ),
        (
            "\"portal.example.com\"",
            "\"10.0.0.1\"",
            "2:8: sign_in.host: expected a host name such as portal.example.com, not an address",
        ),
        ("[\"3f1c0b9e-6a52-4d0e-9b7a-5d2f8c4e1a77\"]", "[]", "4:11: entra.tenants: expected at least one tenant id"),
        ("[\"3f1c0b9e-6a52-4d0e-9b7a-5d2f8c4e1a77\"]", "[\"common\"]", "4:12: entra.tenants: \"common\" is not a GUID"),
        (
            "\"env:SECRET\"",
            "\"hunter2\"",
            "6:17: entra.client_secret: a secret is never written into the configuration",
        ),
        ("\"env:SECRET\"", "\"env:OTHER\"", "6:17: entra.client_secret: environment variable OTHER is not set"),
        ("\"env:SECRET\"", "\"file:none\"", "6:17: entra.client_secret: "),
        ("client_secret = \"env:SECRET\"", "", "5:13: entra: expected exactly one of client_secret"),
        (
            "\"env:SECRET\"",
            "\"env:SECRET\"\nfederated_token_file = \"t\"",
            "7:24: entra: expected exactly one of client_secret",
        ),
        (
            "\"env:SECRET\"",
            "\"env:SECRET\"\nauthority = \"http://login.example.com/\"",
            "7:13: entra.authority: expected the login host",
        ),
        ("\"env:SECRET\"", "\"env:SECRET\"\nscopes = [\"profile\"]", "7:10: entra.scopes: expected \"openid\""),
        (
            "\"env:SECRET\"",
            "\"env:SECRET\"\nredirect_uri = \"https://other.example.com/.portcullis/callback\"",
            "7:16: entra.redirect_uri: expected the address on the sign-in host, \"https://portal.example.com/.portcullis/callback\"",
        ),
        ("\"a.pem\"", "\"b.pem\"", "8:15: tls.certificate.certificate: b.pem: "),
    ] {
        let config = LEAST.replace(from, to);
        assert_ne!(config, LEAST, "{from}");
        let problems = Folder::with(&config, "").problems();
        let expected = format!("portcullis.toml:{expected}");
        assert!(
            problems.lines().count() == 1 && problems.starts_with(&expected),
            "\n got: {problems}\nwant: {expected}"
        );
        assert!(!problems.contains("hunter2"));
    }
}

#[test]
fn problems_of_both_files_are_reported_together() {
    let folder =
        Folder::with(&format!("{LEAST}[limits]\nhandshake = \"x\"\nhead = \"x\"\n"), "[[rule]]\nname = \"a\"\n");
    let problems = folder.problems();
    let lines: Vec<&str> = problems.lines().collect();
    assert_eq!(lines.len(), 3, "{problems}");
    assert!(lines[2].starts_with("rules.toml:1:1: missing key \"verdict\""), "{problems}");
}

#[test]
fn what_is_unwise_is_warned_about() {
    let person = "users = [\"7c40f2d9-5e1a-4b36-90cf-1d83a6e5b274:7c40f2d9-5e1a-4b36-90cf-1d83a6e5b274\"]";
    let rules = format!(
        "[[rule]]\nname = \"open\"\nwho = \"anyone\"\nverdict = \"allow\"\n\
         [[rule]]\nname = \"foreign\"\n{person}\nverdict = \"allow\"\n"
    );
    let folder = Folder::with(SAMPLE, &rules);
    let secret = folder.0.path().join("config/entra-client-secret");
    std::fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let warnings: Vec<String> = folder.load().unwrap().warnings.iter().map(ToString::to_string).collect();
    assert_eq!(warnings.len(), 3, "{warnings:?}");
    assert!(warnings[0].contains("entra.client_secret: everybody on this machine can read the file"));
    assert!(warnings[1].contains("rule \"open\", who: opens whole apps to everybody"));
    assert!(warnings[2].contains("rule \"foreign\", users: 7c40f2d9"));
}

#[test]
fn a_missing_file_is_named() {
    let folder = Folder::with(LEAST, "");
    std::fs::remove_file(folder.0.path().join("config/rules.toml")).unwrap();
    assert!(folder.problems().starts_with("rules.toml: cannot be read: "));
    std::fs::remove_file(folder.0.path().join("config/portcullis.toml")).unwrap();
    assert!(folder.problems().starts_with("portcullis.toml: cannot be read: "));
}

#[test]
fn paths_start_at_the_folder_and_every_file_is_watched() {
    let folder = Folder::with(SAMPLE, RULES);
    let config = folder.load().unwrap();
    let base = folder.0.path().join("config");
    assert_eq!(config.state_dir, base.join("state"));
    for file in ["portcullis.toml", "rules.toml", "entra-client-secret", "../certs/example.pem", "../certs/example.key"]
    {
        assert!(config.files.contains(&base.join(file)), "{file}: {:?}", config.files);
    }
}

#[test]
fn a_secret_never_shows_itself() {
    assert!(!Folder::with(SAMPLE, RULES).shown().contains("hush"));
}

#[test]
fn the_public_port_is_part_of_the_redirect_address() {
    let config = Folder::with(&format!("{LEAST}[listen]\nhttps = [\"127.0.0.1:8443\"]"), "").load().unwrap();
    assert_eq!(config.entra.redirect_uri.as_str(), "https://portal.example.com:8443/.portcullis/callback");
    let config = Folder::with(&format!("{LEAST}[listen]\nhttps = [\"127.0.0.1:8443\"]\npublic_port = 443"), "").load();
    assert_eq!(config.unwrap().sign_in.public_port, 443);
}

#[test]
fn an_app_has_its_own_age_of_risk_and_asks_only_for_what_the_rules_file_names() {
    let with = |app: &str, rules: &str| {
        Folder::with(&SAMPLE.replacen("name = \"wiki\"\n", &format!("name = \"wiki\"\n{app}\n"), 1), rules)
    };
    let risk = with("max_risk_age = \"15m\"\non_stale = \"low\"", RULES).load().unwrap().risk;
    let age = Some(Duration::from_secs(900));
    assert_eq!(risk.apps[0], policy::AppRisk { max_age: age, on_stale: Some(policy::OnDoubt::Low) });
    assert_eq!(risk.apps[1], policy::AppRisk::default());
    assert_eq!(risk.settings.max_age, Some(Duration::from_secs(86_400)));
    let asks = with("on_stale = \"challenge\"", RULES).problems();
    assert!(asks.ends_with("app.on_stale: a challenge needs a context, expected [risk] context = \"c1\" in the rules file (app \"wiki\")"), "{asks}");
    with("on_stale = \"challenge\"", "[risk]\ncontext = \"c1\"\n").load().unwrap();
}
