//! The typed configuration: what the rest of the program is built from.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use crate::document::Problem;
use crate::{access, directory, edge, entra, pages, policy, risk_control, session, sign_in};

/// One generation of the configuration, whole and checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// Listeners, TLS, limits.
    pub edge: edge::Config,
    /// After a shutdown signal: how long readiness says no while everything is still served.
    pub announce: Duration,
    /// Lifetimes of sessions.
    pub session: session::Config,
    /// The identity provider.
    pub entra: entra::Config,
    /// What is done to accounts.
    pub actions: risk_control::Settings,
    /// What is read from Graph, if anything.
    pub directory: Option<directory::Config>,
    /// The sign-in host.
    pub sign_in: sign_in::Config,
    /// What pages tell people who are held up.
    pub help: pages::Help,
    /// Apps; an app's index is its [`crate::facts::AppId`].
    pub apps: Vec<access::AppConfig>,
    /// Names of the identity headers.
    pub identity_headers: access::IdentityHeaders,
    /// Networks whose forwarding headers are believed; empty means nobody.
    pub trusted_proxies: Vec<IpNet>,
    /// Whether a client must send a TLS server name.
    pub require_sni: bool,
    /// `max-age` of `Strict-Transport-Security`, if it is sent.
    pub hsts: Option<Duration>,
    /// Access rules, in order.
    pub rules: Vec<policy::Rule>,
    /// Risk rules, and what holds for risk everywhere and for each app.
    pub risk: policy::RiskControl,
    /// Decision log.
    pub decision_log: DecisionLogSettings,
    /// Administration listener.
    pub admin: AdminSettings,
    /// Folder for sessions and keys.
    pub state_dir: PathBuf,
    /// The program's own log.
    pub log: LogSettings,
    /// What is allowed but unwise; to be logged.
    pub warnings: Vec<Problem>,
    /// Every file this generation was made from, to be watched.
    pub files: Vec<PathBuf>,
    /// The file it was read from; `None` for one made in memory.
    pub path: Option<PathBuf>,
}

/// One JSON line per decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecisionLogSettings {
    /// Whether it is written at all.
    pub enabled: bool,
    /// Whether allowed requests are written too.
    pub allows: bool,
    /// The file; `None` for standard output.
    pub path: Option<PathBuf>,
    /// Lines that wait to be written; more are dropped and counted.
    pub queue: usize,
    /// Size at which the file is set aside; `None` for never.
    pub max_bytes: Option<u64>,
}

/// The administration listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminSettings {
    /// Address and port.
    pub listen: SocketAddr,
    /// File with the bearer token; never `None` unless `listen` is on the loopback.
    pub token_file: Option<PathBuf>,
}

/// The program's own log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSettings {
    /// Filter, such as `info`.
    pub level: String,
    /// How lines look.
    pub format: LogFormat,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}
