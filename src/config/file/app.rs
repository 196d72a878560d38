//! One app as it is written.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::document::At;

use super::{BalanceWord, HttpWord, Size, Span, StaleWord};

/// One app behind the gateway.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct App {
    /// Unique name, used in rules, logs and metrics.
    pub(in crate::config) name: At<String>,
    /// Host name browsers use.
    pub(in crate::config) host: At<String>,
    /// Path prefix on whole segments; the longest prefix of a host wins.
    #[serde(default = "root")]
    pub(in crate::config) path: At<String>,
    /// Whether `path` is taken off before forwarding.
    #[serde(default)]
    pub(in crate::config) strip_path: bool,
    /// Whether the app sees the host name browsers use (`true`) or its own address (`false`).
    #[serde(default = "yes")]
    pub(in crate::config) preserve_host: bool,
    /// Where the app runs: `http://host:port` or `https://host:port` of each instance, all of one kind.
    pub(in crate::config) upstream: At<Vec<At<String>>>,
    /// Headers set on every request to the app.
    #[serde(default)]
    pub(in crate::config) request_headers: BTreeMap<String, At<String>>,
    /// Headers set on every response of the app.
    #[serde(default)]
    pub(in crate::config) response_headers: BTreeMap<String, At<String>>,
    /// `aud` of the signed assertion. Left out: `https://` host.
    pub(in crate::config) audience: Option<At<String>>,
    /// Methods relayed; others get 405.
    #[serde(default = "methods")]
    pub(in crate::config) methods: At<Vec<At<String>>>,
    /// Origins whose scripts may call this app across origins.
    #[serde(default)]
    pub(in crate::config) cors_origins: Vec<At<String>>,
    /// Largest request body. Left out: no cap.
    pub(in crate::config) max_body: Option<Size>,
    /// Whether WebSocket upgrades are relayed.
    #[serde(default = "yes")]
    pub(in crate::config) websocket: bool,
    /// Whether the client's `Authorization` header is passed on.
    #[serde(default)]
    pub(in crate::config) pass_authorization: bool,
    /// Oldest risk that the app accepts, counted since the provider last confirmed it. Left out: `risk.max_age` of the
    /// rules file, where a risk rule concerns the app.
    pub(in crate::config) max_risk_age: Option<Span>,
    /// What happens when the risk is older. Left out: `risk.on_stale` of the rules file.
    pub(in crate::config) on_stale: Option<At<StaleWord>>,
    /// How connections to the app are used.
    #[serde(default)]
    pub(in crate::config) connection: Connection,
    /// How the certificate of an https upstream is checked.
    #[serde(default)]
    pub(in crate::config) tls: UpstreamTls,
    /// Active health check of each instance. Left out: none.
    pub(in crate::config) health: Option<Health>,
}

fn root() -> At<String> {
    "/".to_owned().into()
}

const fn yes() -> bool {
    true
}

fn methods() -> At<Vec<At<String>>> {
    let usual = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    usual.into_iter().map(|method| method.to_owned().into()).collect::<Vec<_>>().into()
}

/// How connections to an app are used.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Connection {
    /// HTTP version.
    pub(in crate::config) protocol: At<HttpWord>,
    /// How an instance is chosen.
    pub(in crate::config) balance: At<BalanceWord>,
    /// After this many failures in a row an instance is left out.
    #[schemars(range(min = 1, max = 1000))]
    pub(in crate::config) eject_after: At<u32>,
    /// For how long it is left out at first; doubles up to ten times this.
    pub(in crate::config) eject_for: Span,
    /// Deadline for a new connection, TLS included.
    pub(in crate::config) connect_timeout: Span,
    /// Deadline for the head of the response after the request was sent.
    pub(in crate::config) response_timeout: Span,
    /// Without a byte of the response body; `0s` for no such deadline.
    pub(in crate::config) body_idle: Span,
    /// Connections per instance and worker.
    #[schemars(range(min = 1, max = 100_000))]
    pub(in crate::config) max_connections: At<usize>,
    /// Idle connections kept per instance and worker.
    #[schemars(range(min = 0, max = 100_000))]
    pub(in crate::config) max_idle: At<usize>,
    /// How long an idle connection is kept.
    pub(in crate::config) idle_timeout: Span,
}

impl Default for Connection {
    fn default() -> Self {
        Self {
            protocol: HttpWord::Auto.into(),
            balance: BalanceWord::RoundRobin.into(),
            eject_after: 5.into(),
            eject_for: Span::written("10s"),
            connect_timeout: Span::written("5s"),
            response_timeout: Span::written("60s"),
            body_idle: Span::written("5m"),
            max_connections: 256.into(),
            // As many as may be open: a pool that keeps fewer dials anew for every request above the number. What is not
            // needed goes after `idle_timeout`, because the last one used is the first one taken.
            max_idle: 256.into(),
            idle_timeout: Span::written("60s"),
        }
    }
}

/// How the certificate of an https upstream is checked and which one we show. It is always checked.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct UpstreamTls {
    /// PEM file with root certificates trusted in addition to the system's.
    pub(in crate::config) extra_ca: Option<At<String>>,
    /// PEM file with our client certificate; needs `key`.
    pub(in crate::config) certificate: Option<At<String>>,
    /// PEM file with the key of `certificate`.
    pub(in crate::config) key: Option<At<String>>,
    /// Name the certificate must carry. Left out: the upstream's host name.
    pub(in crate::config) server_name: Option<At<String>>,
}

/// Active health check.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Health {
    /// Path asked with GET; any status below 400 is healthy.
    pub(in crate::config) path: At<String>,
    /// Time between checks.
    pub(in crate::config) interval: Span,
    /// Deadline of one check.
    pub(in crate::config) timeout: Span,
    /// Successes in a row that bring an instance back.
    #[schemars(range(min = 1, max = 100))]
    pub(in crate::config) healthy_after: At<u32>,
    /// Failures in a row that take it out.
    #[schemars(range(min = 1, max = 100))]
    pub(in crate::config) unhealthy_after: At<u32>,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            path: "/".to_owned().into(),
            interval: Span::written("10s"),
            timeout: Span::written("3s"),
            healthy_after: 2.into(),
            unhealthy_after: 3.into(),
        }
    }
}
