//! Everything the tests assume about the gateway's and the simulator's outer shapes, in one place: configuration
//! keys, paths, cookie and header names, command lines, forms. When one of them changes, only this file does.

use std::path::Path;

use serde_json::{Value, json};

use super::page::Form;
use super::{Person, TENANT};

/// The host where people sign in.
pub(crate) const AUTH_HOST: &str = "auth.test";
/// Where the provider sends the browser back to.
pub(crate) const REDIRECT_URI: &str = "https://auth.test/.portcullis/callback";
/// Where the provider says that a session of its own has ended.
pub(crate) const FRONT_CHANNEL_LOGOUT: &str = "https://auth.test/.portcullis/frontchannel-logout";
/// Ends the session.
pub(crate) const SIGN_OUT: &str = "/.portcullis/sign-out";
/// The session cookie of each host.
pub(crate) const COOKIE: &str = "__Host-portcullis";
/// The identity header that names the person.
pub(crate) const SUBJECT_HEADER: &str = "x-auth-subject";
/// The client id and secret that gateway and provider agree on.
pub(crate) const CLIENT_ID: &str = "8d2b6f10-4c9e-4f3a-a6b1-0e7c5d9f2b34";
pub(crate) const CLIENT_SECRET: &str = "demo~Secret.Value+needs/encoding=";

/// An app of the configuration under test.
#[derive(Debug, Clone)]
pub(crate) struct App {
    pub(crate) name: &'static str,
    pub(crate) host: &'static str,
    pub(crate) upstream: String,
}

/// What a gateway under test is configured with.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) authority: String,
    pub(crate) apps: Vec<App>,
    pub(crate) response_mode: &'static str,
    /// The line that says how the gateway proves itself to the provider; `{dir}` stands for the gateway's folder.
    pub(crate) credential: String,
    pub(crate) workers: usize,
    /// How long readiness says no before the listeners close.
    pub(crate) announce_milliseconds: u64,
    /// Seconds that running requests get at shutdown.
    pub(crate) drain_seconds: u64,
    /// Added to every response of the first app; lets a test see which configuration answered.
    pub(crate) marker: String,
    /// TOML appended to `[sign_in]`.
    pub(crate) sign_in: String,
    /// TOML appended to the table of the first app.
    pub(crate) first_app: String,
    /// TOML appended to the end, for what one test needs. It begins inside the last app's table.
    pub(crate) more: String,
    /// Keys added at the beginning of a table, such as `("[listen]", "hsts = \"0s\"")`.
    pub(crate) keys: Vec<(&'static str, String)>,
    /// The rules file.
    pub(crate) rules: String,
}

/// The configuration file. Every host is served on port 443 as far as the browser knows, so that addresses do not
/// depend on the port that the listener got.
pub(crate) fn configuration(dir: &Path, settings: &Settings) -> String {
    let dir = dir.display();
    let mut text = format!(
        r#"state_dir = "{dir}/state"
rules = "{dir}/rules.toml"

[listen]
https = ["127.0.0.1:0"]
redirect = ["127.0.0.1:0"]
public_port = 443
workers = {workers}
announce = "{announce}ms"
drain = "{drain}s"

[[tls.certificate]]
certificate = "{dir}/gateway.pem"
key = "{dir}/gateway.key"

[sign_in]
host = "{AUTH_HOST}"
{sign_in}

[entra]
authority = "{authority}"
tenants = ["{TENANT}"]
client_id = "{CLIENT_ID}"
{credential}
response_mode = "{mode}"

[admin]
listen = "127.0.0.1:0"
"#,
        workers = settings.workers,
        announce = settings.announce_milliseconds,
        drain = settings.drain_seconds,
        authority = settings.authority,
        mode = settings.response_mode,
        credential = settings.credential.replace("{dir}", &dir.to_string()),
        sign_in = settings.sign_in,
    );
    for (index, App { name, host, upstream }) in settings.apps.iter().enumerate() {
        text.push_str(&format!(
            "\n[[app]]\nname = \"{name}\"\nhost = \"{host}\"\nupstream = [\"http://{upstream}\"]\n"
        ));
        if index == 0 && !settings.marker.is_empty() {
            text.push_str(&format!("response_headers = {{ {MARKER_HEADER} = \"{}\" }}\n", settings.marker));
        }
        if index == 0 {
            text.push_str(&settings.first_app);
        }
    }
    text.push('\n');
    text.push_str(&settings.more);
    for (table, keys) in &settings.keys {
        let with = format!("\n{table}\n{keys}\n");
        let there = format!("\n{table}\n");
        text = if text.contains(&there) { text.replacen(&there, &with, 1) } else { text + &with };
    }
    text
}

/// See [`Settings::marker`].
pub(crate) const MARKER_HEADER: &str = "x-generation";

/// The rules: everybody who is signed in may use every app.
pub(crate) const RULES: &str = r#"[[rule]]
name = "everybody-signed-in"
who = "signed_in"
verdict = "allow"
"#;

/// Arguments that run the gateway.
pub(crate) fn run_arguments(config: &Path) -> Vec<String> {
    vec!["run".to_owned(), "--config".to_owned(), config.display().to_string()]
}

/// The file, below the state folder, that the gateway writes once it listens.
pub(crate) const ADDRESSES_FILE: &str = "addresses.json";

/// Arguments that run the simulator with the gateway's redirect address registered; the first line it prints is JSON.
pub(crate) fn simulate_arguments(port: u16) -> Vec<String> {
    let listen = format!("127.0.0.1:{port}");
    let (signed_out, logout) = (format!("https://{AUTH_HOST}/.portcullis/signed-out"), FRONT_CHANNEL_LOGOUT);
    let registered = ["--redirect-uri", REDIRECT_URI, "--redirect-uri", &signed_out, "--logout-url", logout];
    [&["simulate", "--listen", &listen, "--json"], &registered[..]].concat().into_iter().map(str::to_owned).collect()
}

/// The authority out of that line.
pub(crate) fn simulator_authority(line: &Value) -> String {
    line["authority"].as_str().expect("the simulator prints its authority").trim_end_matches('/').to_owned()
}

/// Method, path and body that make the simulator's next token responses wrong in one way.
pub(crate) fn hostile_request(mode: &str, times: u32) -> (&'static str, &'static str, Value) {
    ("POST", "/sim/v1/hostile", json!({ "mode": mode, "times": times }))
}

/// Method, path and body that make the simulator honest again.
pub(crate) fn honest_request() -> (&'static str, &'static str, Value) {
    ("DELETE", "/sim/v1/faults", json!({}))
}

/// Puts a person's name and password into the sign-in form of either provider.
pub(crate) fn filled_sign_in_form(mut form: Form, person: &Person) -> Form {
    for field in &mut form.fields {
        match field.kind.as_str() {
            "password" => person.password.clone_into(&mut field.value),
            // npm's provider takes the short name, Entra and its simulator the user principal name.
            "text" | "email" if field.name == "login" && field.value.is_empty() => {
                person.login.clone_into(&mut field.value)
            }
            "text" | "email" => person.upn.clone_into(&mut field.value),
            "radio" => field.checked = [person.login, person.upn, person.oid].contains(&field.value.as_str()),
            _ => {}
        }
    }
    form
}
