//! From what is written to what it means, part by part. Everything wrong is collected, so that one run tells all.

mod actions;
mod app;
mod directory;
mod edge;
mod entra;
mod read;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::access;
use crate::document::{Document, Problem, Problems};
use crate::pages::Help;
use crate::policy::{self, check_path};
use crate::session;
use crate::sign_in::{self, AppLink};

use super::file::{self, File, FormatWord, StaleWord};
use super::{AdminSettings, Config, DecisionLogSettings, Environment, LogFormat, LogSettings};

pub(super) use entra::one_provider;

/// The configuration without its rules, and where those are.
pub(super) fn config(
    document: &Document<'_>,
    file: &File,
    folder: &Path,
    environment: Environment<'_>,
) -> (Result<Config, Problems>, PathBuf) {
    let mut build = Build {
        document,
        folder,
        environment,
        entry: String::new(),
        problems: Vec::new(),
        warnings: Vec::new(),
        files: Vec::new(),
    };
    let rules = folder.join(file.rules.as_str());
    let config = build.config(file);
    let outcome = match config {
        Some(config) if build.problems.is_empty() => Ok(config),
        _ => Err(Problems::new(build.problems)),
    };
    (outcome, rules)
}

/// Apps that ask for a step-up when risk is too old, while the rules file does not say for which.
pub(super) fn stale_challenges(document: &Document<'_>, file: &File, settings: &policy::RiskSettings) -> Vec<Problem> {
    let asks = file.app.iter().filter_map(|app| app.on_stale.as_ref().map(|word| (app, word)));
    let missing = asks.filter(|(_, word)| ***word == StaleWord::Challenge && settings.step_up.is_none());
    let problem = |(app, word): (&file::App, &crate::document::At<StaleWord>)| {
        let message = "a challenge needs a context, expected [risk] context = \"c1\" in the rules file";
        document.problem(word.span(), format!("app.on_stale: {message}{}", entry(&app.name)))
    };
    missing.map(problem).collect()
}

struct Build<'a> {
    document: &'a Document<'a>,
    folder: &'a Path,
    environment: Environment<'a>,
    /// Added to each message while an element of a list of tables is read: ` (app "wiki")`.
    entry: String,
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
    files: Vec<PathBuf>,
}

impl Build<'_> {
    /// `None` only together with a problem: then some part could not even be given a stand-in.
    fn config(&mut self, file: &File) -> Option<Config> {
        let edge = self.edge(file);
        let public_port = edge.public_port.unwrap_or_else(|| edge.https.first().map_or(443, SocketAddr::port));
        if public_port == 0 {
            let message = "port 0 leaves the redirect address unknown, expected listen.public_port too";
            self.add("listen.https", file.listen.https.span(), message);
        }
        let host = self.host("sign_in.host", &file.sign_in.host);
        let apps: Vec<_> = file.app.iter().map(|app| self.app(app, edge.limits.body_idle)).collect();
        self.unique_apps(file, &apps, &host);
        let apps_on_risk = file.app.iter().map(|app| self.app_risk(app)).collect();
        let risk = policy::RiskControl { apps: apps_on_risk, ..policy::RiskControl::default() };
        let admin = self.admin(&file.admin);
        self.no_loops(file, &apps, &edge.https, admin.listen);
        let entra = self.entra(&file.entra, &host, public_port);
        let actions = self.actions(&file.actions, entra.as_ref().map_or(&[], |entra| &entra.tenants));
        let authority = entra.as_ref().map(|entra| entra.authority.clone());
        let directory = file.directory.as_ref().and_then(|written| self.directory(written, authority.as_ref()));
        let sign_in = self.sign_in(&file.sign_in, host, public_port, &apps);
        let trusted_proxies = self.networks("listen.trusted_proxies", &file.listen.trusted_proxies);
        let hsts = self.span("listen.hsts", &file.listen.hsts, Duration::ZERO, days(3650));
        let announce = self.span("listen.announce", &file.listen.announce, Duration::ZERO, minutes(5));
        let help = self.help(&file.pages);
        let session = self.session(&file.session);
        let identity_headers = self.identity_headers(&file.identity_headers);
        let decision_log = self.decision_log(&file.decision_log);
        let state_dir = self.folder.join(file.state_dir.as_str());
        let log = self.log(&file.log);
        Some(Config {
            edge,
            announce,
            session,
            entra: entra?,
            actions,
            directory,
            sign_in,
            help,
            apps,
            identity_headers,
            trusted_proxies,
            require_sni: file.tls.require_sni,
            hsts: (!hsts.is_zero()).then_some(hsts),
            rules: Vec::new(),
            risk,
            decision_log,
            admin,
            state_dir,
            log,
            warnings: std::mem::take(&mut self.warnings),
            files: std::mem::take(&mut self.files),
            path: None,
        })
    }

    fn session(&mut self, file: &file::Session) -> session::Config {
        let absolute = self.span("session.absolute", &file.absolute, minutes(1), days(90));
        let idle = self.span("session.idle", &file.idle, minutes(1), days(90));
        if idle > absolute {
            self.add("session.idle", file.idle.span(), "expected at most session.absolute");
        }
        session::Config { absolute, idle, capacity: *file.capacity.value() }
    }

    fn sign_in(
        &mut self,
        file: &file::SignIn,
        host: String,
        public_port: u16,
        apps: &[access::AppConfig],
    ) -> sign_in::Config {
        let every = self.span("sign_in.refresh_every", &file.refresh_every, Duration::ZERO, days(1));
        // Below a minute is for trying it out: each session in use then asks the provider that often.
        if !every.is_zero() && every < Duration::from_secs(1) {
            self.add("sign_in.refresh_every", file.refresh_every.span(), "expected 0s, or 1s or more");
        }
        let grace = self.span("sign_in.refresh_grace", &file.refresh_grace, Duration::ZERO, days(7));
        let mut config =
            sign_in::Config { host, public_port, refresh_every: every, refresh_grace: grace, apps: Vec::new() };
        let link = |app: &access::AppConfig| {
            let path = if app.path == "/" { "/".to_owned() } else { format!("{}/", app.path) };
            AppLink { name: app.name.clone(), url: format!("{}{path}", config.origin_of(&app.host)) }
        };
        config.apps = apps.iter().map(link).collect();
        config
    }

    fn help(&mut self, file: &file::Pages) -> Help {
        let text = file.help_text.as_ref();
        if let Some(text) = text.filter(|text| text.trim().is_empty() || text.chars().count() > 200) {
            self.add("pages.help_text", text.span(), "expected 1 to 200 characters");
        }
        Help {
            text: text.map(|text| text.value().clone()),
            url: file.help_url.as_ref().map(|url| self.link("pages.help_url", url)),
            password_reset_url: self.link("pages.password_reset_url", &file.password_reset_url),
            security_info_url: self.link("pages.security_info_url", &file.security_info_url),
        }
    }

    /// An address that people are sent to.
    fn link(&mut self, key: &str, text: &crate::document::At<String>) -> String {
        let good = url::Url::parse(text).is_ok_and(|url| url.scheme() == "https" && url.username().is_empty());
        if !good {
            let message =
                format!("expected an https address such as {}, got \"{}\"", Help::PASSWORD_RESET, text.value());
            self.add(key, text.span(), message);
        }
        text.value().clone()
    }

    fn unique_apps(&mut self, file: &File, apps: &[access::AppConfig], sign_in_host: &str) {
        let mut names = HashMap::new();
        let mut routes = HashMap::new();
        for (written, app) in file.app.iter().zip(apps) {
            self.entry = entry(&app.name);
            if names.insert(&app.name, ()).is_some() {
                self.add("app.name", written.name.span(), "an earlier app has the same name");
            }
            if let Some(other) = routes.insert((&app.host, &app.path), &app.name) {
                let message =
                    format!("app \"{other}\" already has the host \"{}\" and path \"{}\"", app.host, app.path);
                self.add("app.host", written.host.span(), message);
            }
            if app.host == sign_in_host {
                self.add(
                    "app.host",
                    written.host.span(),
                    "the sign-in host is the gateway's own, expected another host",
                );
            }
        }
        self.entry.clear();
    }

    /// An app must not be the gateway itself: neither a loop nor a way around the administration listener's own door.
    fn no_loops(&mut self, file: &File, apps: &[access::AppConfig], https: &[SocketAddr], admin: SocketAddr) {
        for (written, app) in file.app.iter().zip(apps) {
            self.entry = entry(&app.name);
            for (text, endpoint) in written.upstream.iter().zip(&app.upstream.endpoints) {
                if is_ours(endpoint, admin) {
                    self.add("app.upstream", text.span(), "this is the administration listener, expected an app");
                } else if https.iter().any(|listener| is_ours(endpoint, *listener)) {
                    self.add("app.upstream", text.span(), "this is the gateway's own listener, expected an app");
                }
            }
        }
        self.entry.clear();
    }

    fn identity_headers(&mut self, file: &file::IdentityHeaders) -> access::IdentityHeaders {
        let keys = [
            ("subject", &file.subject),
            ("tenant", &file.tenant),
            ("name", &file.name),
            ("email", &file.email),
            ("groups", &file.groups),
            ("assertion", &file.assertion),
        ];
        let mut seen: HashMap<String, &str> = HashMap::new();
        let mut names = Vec::new();
        for (key, text) in keys {
            let key_name = format!("identity_headers.{key}");
            let name = self.header_name(&key_name, text, text.span());
            // Aliases that app servers fold together count as the same name.
            if let Some(other) = seen.insert(name.as_str().replace('_', "-"), key) {
                self.add(&key_name, text.span(), format!("identity_headers.{other} has the same name"));
            }
            names.push(name);
        }
        let default = access::IdentityHeaders::default();
        let mut names = names.into_iter();
        access::IdentityHeaders {
            subject: names.next().unwrap_or(default.subject),
            tenant: names.next().unwrap_or(default.tenant),
            name: names.next().unwrap_or(default.name),
            email: names.next().unwrap_or(default.email),
            groups: names.next().unwrap_or(default.groups),
            assertion: names.next().unwrap_or(default.assertion),
        }
    }

    fn decision_log(&mut self, file: &file::DecisionLog) -> DecisionLogSettings {
        let rotate = self.size("decision_log.rotate", &file.rotate, 0, 1 << 40);
        if rotate != 0 && rotate < 64 * 1024 {
            self.add("decision_log.rotate", file.rotate.span(), "expected 0B, or 64KiB or more");
        }
        let path = file.path.as_str();
        DecisionLogSettings {
            enabled: file.enabled,
            allows: file.allows,
            path: (path != "stdout").then(|| self.folder.join(path)),
            queue: *file.queue.value(),
            max_bytes: (rotate != 0).then_some(rotate),
        }
    }

    fn admin(&mut self, file: &file::Admin) -> AdminSettings {
        let listen = self.address("admin.listen", &file.listen);
        let token_file = file.token_file.as_ref().map(|path| self.file("admin.token_file", path));
        if !listen.ip().is_loopback() && token_file.is_none() {
            let message = "outside the loopback a bearer token is needed, expected admin.token_file";
            self.add("admin.listen", file.listen.span(), message);
        }
        AdminSettings { listen, token_file }
    }

    fn log(&mut self, file: &file::Log) -> LogSettings {
        let level = file.level.as_str();
        if level.parse::<tracing_subscriber::EnvFilter>().is_err() {
            let message = format!("expected error, warn, info, debug or a filter, got \"{level}\"");
            self.add("log.level", file.level.span(), message);
        }
        let format = match *file.format.value() {
            FormatWord::Text => LogFormat::Text,
            FormatWord::Json => LogFormat::Json,
        };
        LogSettings { level: level.to_owned(), format }
    }

    /// A path prefix on whole segments.
    fn prefix(&mut self, key: &str, text: &crate::document::At<String>) -> String {
        if let Err(fault) = check_path(text) {
            self.add(key, text.span(), format!("\"{}\": {fault}", text.value()));
        }
        text.value().clone()
    }
}

fn entry(app: &str) -> String {
    format!(" (app \"{}\")", app.escape_debug())
}

/// Whether `endpoint` (`host:port`) reaches `listener` on this machine.
fn is_ours(endpoint: &str, listener: SocketAddr) -> bool {
    let Some((host, port)) = endpoint.rsplit_once(':') else { return false };
    if listener.port() == 0 || port.parse() != Ok(listener.port()) {
        return false;
    }
    let host = host.trim_start_matches('[').trim_end_matches(']');
    match host.parse::<IpAddr>() {
        Ok(address) if listener.ip().is_unspecified() => address.is_loopback() || address.is_unspecified(),
        Ok(address) => address == listener.ip() || address.is_unspecified(),
        Err(_) => host == "localhost" && (listener.ip().is_loopback() || listener.ip().is_unspecified()),
    }
}

const fn minutes(n: u64) -> Duration {
    Duration::from_secs(n * 60)
}

const fn days(n: u64) -> Duration {
    Duration::from_secs(n * 86_400)
}
