//! Which app a host and path belong to. One immutable generation, built whole or not at all.

use std::sync::Arc;

use http::uri::PathAndQuery;

use super::config::{AppConfig, UpstreamConfig};
use super::path::{PathFault, canonical};
use super::upstream::{Upstream, UpstreamError};
use crate::facts::AppId;

/// The apps of one configuration generation, found by host and path.
pub struct Routes {
    /// In the order of the configuration, so that [`AppId`] is an index.
    apps: Vec<Arc<App>>,
    /// Sorted by host; within a host the longest prefix comes first.
    hosts: Vec<Host>,
}

struct Host {
    name: Box<str>,
    apps: Vec<Arc<App>>,
}

/// One app, ready to be forwarded to.
pub struct App {
    /// Its index in this generation.
    pub id: AppId,
    /// Its configured name.
    pub name: Arc<str>,
    /// What was configured.
    pub config: AppConfig,
    /// Where it runs; shared by all workers, which keep their own connections to it.
    pub upstream: Arc<Upstream>,
    /// The path prefix without its final slash: empty for the whole host.
    prefix: Box<str>,
}

/// A list of apps that makes no sense; names the app and the key.
#[derive(Debug, thiserror::Error)]
pub enum RouteError {
    /// Two apps of one name.
    #[error("app \"{app}\": name: another app has the same name")]
    DuplicateName {
        /// The later app.
        app: String,
    },
    /// Two apps of one host and path.
    #[error("app \"{app}\": path: app \"{other}\" already has {host}{path}")]
    DuplicateRoute {
        /// The later app.
        app: String,
        /// The earlier app.
        other: String,
        /// Their host.
        host: String,
        /// Their path.
        path: String,
    },
    /// A value of the app itself is not acceptable.
    #[error("app \"{app}\": {key}: {problem}")]
    Value {
        /// The app.
        app: String,
        /// The key in its section.
        key: &'static str,
        /// What is wrong, and what is expected.
        problem: String,
    },
    /// The path prefix is not canonical.
    #[error("app \"{app}\": path: {fault}")]
    Path {
        /// The app.
        app: String,
        /// What is wrong.
        #[source]
        fault: PathFault,
    },
    /// The upstream cannot be used as configured.
    #[error("app \"{app}\": upstream: {source}")]
    Upstream {
        /// The app.
        app: String,
        /// What is wrong.
        #[source]
        source: UpstreamError,
    },
}

impl Routes {
    /// Builds a generation. Reads the TLS files named by the apps.
    ///
    /// # Errors
    /// On the first app that cannot be served as configured.
    pub fn build(configs: Vec<AppConfig>) -> Result<Self, RouteError> {
        let mut roots = super::upstream::Roots::default();
        let mut routes = Self { apps: Vec::with_capacity(configs.len()), hosts: Vec::new() };
        for (index, config) in configs.into_iter().enumerate() {
            check(&config)?;
            let app = config.name.clone();
            if routes.apps.iter().any(|other| *other.name == *app) {
                return Err(RouteError::DuplicateName { app });
            }
            let upstream = Upstream::new(&config.upstream, &mut roots)
                .map_err(|source| RouteError::Upstream { app: app.clone(), source })?;
            let index = u32::try_from(index).map_err(|_| value(&config, "name", "there are too many apps"))?;
            routes.insert(Arc::new(App {
                id: AppId(index),
                name: app.into(),
                prefix: config.path.trim_end_matches('/').into(),
                upstream: Arc::new(upstream),
                config,
            }))?;
        }
        Ok(routes)
    }

    fn insert(&mut self, app: Arc<App>) -> Result<(), RouteError> {
        let at = match self.hosts.binary_search_by(|host| (*host.name).cmp(app.config.host.as_str())) {
            Ok(at) => at,
            Err(at) => {
                self.hosts.insert(at, Host { name: app.config.host.as_str().into(), apps: Vec::new() });
                at
            }
        };
        if let Some(host) = self.hosts.get_mut(at) {
            if let Some(other) = host.apps.iter().find(|other| other.prefix == app.prefix) {
                return Err(RouteError::DuplicateRoute {
                    app: app.name.to_string(),
                    other: other.name.to_string(),
                    host: app.config.host.clone(),
                    path: app.config.path.clone(),
                });
            }
            host.apps.push(Arc::clone(&app));
            host.apps.sort_by_key(|app| std::cmp::Reverse(app.prefix.len()));
        }
        self.apps.push(app);
        Ok(())
    }

    /// The app for a host (lower case, no port, no trailing dot) and a canonical path. Allocates nothing.
    #[must_use]
    pub fn find(&self, host: &str, path: &str) -> Option<&Arc<App>> {
        let at = self.hosts.binary_search_by(|candidate| (*candidate.name).cmp(host)).ok()?;
        self.hosts.get(at)?.apps.iter().find(|app| app.covers(path))
    }

    /// Whether any app lives on `host`, whatever the path.
    #[must_use]
    pub fn knows_host(&self, host: &str) -> bool {
        self.hosts.binary_search_by(|candidate| (*candidate.name).cmp(host)).is_ok()
    }

    /// All apps, in the order of the configuration.
    #[must_use]
    pub fn apps(&self) -> &[Arc<App>] {
        &self.apps
    }

    /// Starts the active health checks of this generation on the current runtime (the control runtime). They end
    /// when the returned set is dropped.
    #[must_use]
    pub fn check_health(&self) -> tokio::task::JoinSet<()> {
        let mut checks = tokio::task::JoinSet::new();
        for app in &self.apps {
            super::upstream::check_health(&app.upstream, &mut checks);
        }
        checks
    }
}

impl App {
    /// Whether the app's prefix covers a path, on whole segments.
    fn covers(&self, path: &str) -> bool {
        path.strip_prefix(&*self.prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// The path prefix without its final slash: empty for the whole host.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The path and query sent upstream. Cutting whole segments off a canonical path leaves a canonical path, so
    /// what the policy judged stays true of what is sent.
    #[must_use]
    pub fn upstream_path(&self, asked: &PathAndQuery) -> Option<PathAndQuery> {
        if !self.config.strip_path || self.prefix.is_empty() {
            return Some(asked.clone());
        }
        let rest = asked.as_str().strip_prefix(&*self.prefix)?;
        if rest.starts_with('/') {
            PathAndQuery::try_from(rest).ok()
        } else {
            PathAndQuery::try_from(format!("/{rest}")).ok()
        }
    }
}

impl std::fmt::Debug for Routes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.apps.iter().map(|app| &app.name)).finish()
    }
}

fn value(config: &AppConfig, key: &'static str, problem: &str) -> RouteError {
    RouteError::Value { app: config.name.clone(), key, problem: problem.to_owned() }
}

fn check(config: &AppConfig) -> Result<(), RouteError> {
    if config.name.is_empty() {
        return Err(value(config, "name", "must not be empty"));
    }
    if !is_host(&config.host) {
        return Err(value(config, "host", "expected a lower-case host name without port or final dot"));
    }
    canonical(&config.path).map_err(|fault| RouteError::Path { app: config.name.clone(), fault })?;
    if config.audience.is_empty() {
        return Err(value(config, "audience", "must not be empty"));
    }
    if config.methods.is_empty() {
        return Err(value(config, "methods", "at least one method is needed"));
    }
    if config.methods.iter().any(|method| matches!(*method, http::Method::CONNECT | http::Method::TRACE)) {
        return Err(value(config, "methods", "CONNECT and TRACE are never relayed"));
    }
    for origin in &config.cors_origins {
        if !is_origin(origin) {
            return Err(value(config, "cors_origins", "expected origins such as https://app.example"));
        }
    }
    check_numbers(config, &config.upstream)
}

fn check_numbers(config: &AppConfig, upstream: &UpstreamConfig) -> Result<(), RouteError> {
    for (key, span) in [("connect_timeout", upstream.connect_timeout), ("response_timeout", upstream.response_timeout)]
    {
        if span.is_zero() {
            return Err(value(config, key, "must be longer than zero"));
        }
    }
    if upstream.max_connections == 0 {
        return Err(value(config, "max_connections", "must be at least 1"));
    }
    if let Some(health) = &upstream.health {
        if health.interval.is_zero() || health.timeout.is_zero() {
            return Err(value(config, "health", "interval and timeout must be longer than zero"));
        }
        if health.path.parse::<PathAndQuery>().is_err() || !health.path.starts_with('/') {
            return Err(value(config, "health.path", "expected a path such as /healthz"));
        }
    }
    Ok(())
}

fn is_host(host: &str) -> bool {
    !host.is_empty()
        && host.len() <= 253
        && host.split('.').all(|label| {
            !label.is_empty()
                && label.len() <= 63
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'))
        })
}

fn is_origin(origin: &str) -> bool {
    let rest = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
    rest.is_some_and(|authority| {
        let (host, port) = authority.split_once(':').unwrap_or((authority, "443"));
        is_host(host) && port.parse::<u16>().is_ok()
    })
}

#[cfg(test)]
mod tests;
