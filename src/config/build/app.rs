//! One app and its upstream.

use std::collections::BTreeMap;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method};
use url::Url;

use crate::access::{AppConfig, Balance, HealthCheck, Protocol, Scheme, UpstreamConfig, UpstreamTls};
use crate::config::file::{App, BalanceWord, Connection, Health, HttpWord, StaleWord};
use crate::document::At;
use crate::policy::{AppRisk, OnDoubt};

use super::{Build, days, entry, minutes};

impl Build<'_> {
    /// `upload_idle` is the edge's deadline for bodies, which HTTP/2 streams keep themselves.
    pub(super) fn app(&mut self, file: &App, upload_idle: Duration) -> AppConfig {
        self.entry = entry(&file.name);
        let name = file.name.value().clone();
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if name.is_empty() || name.len() > 64 || !name.bytes().all(plain) {
            let message = "expected 1 to 64 letters, digits, hyphens, underscores or dots";
            self.add("app.name", file.name.span(), message);
        }
        let host = self.host("app.host", &file.host);
        let audience = file.audience.as_ref().map_or_else(|| format!("https://{host}"), |text| text.value().clone());
        let max_body = file.max_body.as_ref().map(|size| self.size("app.max_body", size, 0, 1 << 50));
        let app = AppConfig {
            path: self.prefix("app.path", &file.path),
            strip_path: file.strip_path,
            preserve_host: file.preserve_host,
            upstream: self.upstream(file, upload_idle),
            request_headers: self.headers("app.request_headers", &file.request_headers),
            response_headers: self.headers("app.response_headers", &file.response_headers),
            audience,
            methods: self.methods(&file.methods),
            cors_origins: self.origins(&file.cors_origins),
            max_body,
            websocket: file.websocket,
            pass_authorization: file.pass_authorization,
            name,
            host,
        };
        self.entry.clear();
        app
    }

    /// What the app says about risk.
    pub(super) fn app_risk(&mut self, file: &App) -> AppRisk {
        self.entry = entry(&file.name);
        let (least, most) = (Duration::from_secs(1), days(365));
        let max_age = file.max_risk_age.as_ref().map(|span| self.span("app.max_risk_age", span, least, most));
        let on_stale = file.on_stale.as_ref().map(|word| match **word {
            StaleWord::LastKnown => OnDoubt::LastKnown,
            StaleWord::Low => OnDoubt::Low,
            StaleWord::Challenge => OnDoubt::Challenge,
            StaleWord::Block => OnDoubt::Block,
        });
        self.entry.clear();
        AppRisk { max_age, on_stale }
    }

    fn upstream(&mut self, file: &App, upload_idle: Duration) -> UpstreamConfig {
        if file.upstream.is_empty() {
            self.add(
                "app.upstream",
                file.upstream.span(),
                "expected at least one address such as http://10.0.0.5:8080",
            );
        }
        let mut scheme = None;
        let mut endpoints = Vec::with_capacity(file.upstream.len());
        for text in file.upstream.iter() {
            let Some((its_scheme, endpoint)) = endpoint(text) else {
                let message =
                    format!("expected http://host:port or https://host:port without a path, got \"{}\"", **text);
                self.add("app.upstream", text.span(), message);
                continue;
            };
            if *scheme.get_or_insert(its_scheme) != its_scheme {
                self.add("app.upstream", text.span(), "expected the same scheme for every instance of an app");
            }
            if endpoints.contains(&endpoint) {
                self.add("app.upstream", text.span(), "this instance is already in the list");
            }
            endpoints.push(endpoint);
        }
        let scheme = scheme.unwrap_or(Scheme::Http);
        let tls = self.upstream_tls(file, scheme);
        let health = file.health.as_ref().map(|health| self.health(health));
        self.connection(&file.connection, UpstreamParts { endpoints, scheme, tls, health, upload_idle })
    }

    fn connection(&mut self, file: &Connection, parts: UpstreamParts) -> UpstreamConfig {
        let UpstreamParts { endpoints, scheme, tls, health, upload_idle } = parts;
        let tenth = Duration::from_millis(100);
        let protocol = match *file.protocol.value() {
            HttpWord::Auto => Protocol::Auto,
            HttpWord::Http1 => Protocol::Http1,
            HttpWord::Http2 => Protocol::Http2,
        };
        let balance = match *file.balance.value() {
            BalanceWord::RoundRobin => Balance::RoundRobin,
            BalanceWord::LeastLoaded => Balance::LeastLoaded,
        };
        if file.max_idle.value() > file.max_connections.value() {
            self.add("app.connection.max_idle", file.max_idle.span(), "expected at most max_connections");
        }
        UpstreamConfig {
            endpoints,
            scheme,
            protocol,
            tls,
            balance,
            health,
            eject_after: *file.eject_after.value(),
            eject_for: self.span("app.connection.eject_for", &file.eject_for, tenth, minutes(60)),
            connect_timeout: self.span("app.connection.connect_timeout", &file.connect_timeout, tenth, minutes(2)),
            response_timeout: self.span("app.connection.response_timeout", &file.response_timeout, tenth, minutes(60)),
            body_idle: self.span("app.connection.body_idle", &file.body_idle, Duration::ZERO, minutes(1440)),
            upload_idle,
            max_connections: *file.max_connections.value(),
            max_idle: *file.max_idle.value(),
            idle_timeout: self.span("app.connection.idle_timeout", &file.idle_timeout, tenth, minutes(60)),
        }
    }

    fn upstream_tls(&mut self, file: &App, scheme: Scheme) -> UpstreamTls {
        let tls = &file.tls;
        let given = [&tls.extra_ca, &tls.certificate, &tls.key, &tls.server_name].into_iter().flatten().next();
        if let (Some(first), Scheme::Http) = (given, scheme) {
            self.add("app.tls", first.span(), "the upstream is plain http, so these keys would have no effect");
        }
        let client_certificate = match (&tls.certificate, &tls.key) {
            (Some(certificate), Some(key)) => {
                Some((self.file("app.tls.certificate", certificate), self.file("app.tls.key", key)))
            }
            (None, None) => None,
            (Some(alone), None) | (None, Some(alone)) => {
                self.add("app.tls", alone.span(), "expected both certificate and key, got one of them");
                None
            }
        };
        UpstreamTls {
            extra_ca: tls.extra_ca.as_ref().map(|path| self.file("app.tls.extra_ca", path)),
            client_certificate,
            server_name: tls.server_name.as_ref().map(|name| self.host("app.tls.server_name", name)),
        }
    }

    fn health(&mut self, file: &Health) -> HealthCheck {
        let interval = self.span("app.health.interval", &file.interval, Duration::from_millis(100), minutes(60));
        let timeout = self.span("app.health.timeout", &file.timeout, Duration::from_millis(100), minutes(2));
        if timeout > interval {
            self.add("app.health.timeout", file.timeout.span(), "expected at most app.health.interval");
        }
        let path = file.path.as_str();
        // A query is fine here, unlike in a prefix, because this path is sent and not compared.
        if !path.starts_with('/') || !path.bytes().all(|byte| byte.is_ascii_graphic()) || path.contains('#') {
            self.add("app.health.path", file.path.span(), format!("expected a path such as /healthz, got \"{path}\""));
        }
        HealthCheck {
            path: path.to_owned(),
            interval,
            timeout,
            healthy_after: *file.healthy_after.value(),
            unhealthy_after: *file.unhealthy_after.value(),
        }
    }

    fn headers(&mut self, key: &str, file: &BTreeMap<String, At<String>>) -> Vec<(HeaderName, HeaderValue)> {
        let mut headers: Vec<(HeaderName, HeaderValue)> = Vec::with_capacity(file.len());
        for (name, value) in file {
            let name = self.header_name(key, name, value.span());
            if headers.iter().any(|(other, _)| *other == name) {
                self.add(key, value.span(), format!("\"{name}\" is already in the list"));
            }
            let value = self.header_value(key, value);
            headers.push((name, value));
        }
        headers
    }

    fn methods(&mut self, file: &At<Vec<At<String>>>) -> Vec<Method> {
        if file.is_empty() {
            self.add("app.methods", file.span(), "expected at least one method; leave the key out for the usual ones");
        }
        let mut methods = Vec::with_capacity(file.len());
        for text in file.iter() {
            let upper = !text.bytes().any(|byte| byte.is_ascii_lowercase());
            match Method::from_bytes(text.as_bytes()) {
                Ok(Method::CONNECT | Method::TRACE) => {
                    self.add("app.methods", text.span(), format!("{} is never relayed to an app", **text));
                }
                Ok(method) if upper => methods.push(method),
                _ => {
                    let message = format!("expected a method in upper case such as \"GET\", got \"{}\"", **text);
                    self.add("app.methods", text.span(), message);
                }
            }
        }
        methods
    }

    fn origins(&mut self, file: &[At<String>]) -> Vec<String> {
        for text in file {
            let origin = Url::parse(text).ok().map(|url| url.origin().ascii_serialization());
            if origin.as_deref() != Some(text.as_str()) {
                let message = format!("expected an origin such as https://app.example.com, got \"{}\"", **text);
                self.add("app.cors_origins", text.span(), message);
            }
        }
        file.iter().map(|text| text.value().clone()).collect()
    }
}

struct UpstreamParts {
    endpoints: Vec<String>,
    scheme: Scheme,
    tls: UpstreamTls,
    health: Option<HealthCheck>,
    upload_idle: Duration,
}

/// `host:port` and scheme of an upstream address; nothing but those may be in it.
fn endpoint(text: &str) -> Option<(Scheme, String)> {
    let url = Url::parse(text).ok()?;
    let scheme = match url.scheme() {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        _ => return None,
    };
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    let nobody = url.username().is_empty() && url.password().is_none();
    let host = url.host_str().filter(|host| !host.is_empty() && bare && nobody)?;
    Some((scheme, format!("{host}:{}", url.port_or_known_default()?)))
}
