//! What is known about the apps behind the gateway.

use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method};

/// One app.
#[derive(Debug, Clone)]
pub struct AppConfig {
    /// Unique name, used in rules, logs and metrics.
    pub name: String,
    /// Host name browsers use, lower case, no port, no trailing dot.
    pub host: String,
    /// Path prefix on whole segments; `/` for the whole host. The longest prefix of a host wins.
    pub path: String,
    /// Whether `path` is taken off before forwarding.
    pub strip_path: bool,
    /// `Host` sent upstream: the one the client asked for (`true`) or the upstream's (`false`).
    pub preserve_host: bool,
    /// Where it runs.
    pub upstream: UpstreamConfig,
    /// Headers set on every request to the upstream.
    pub request_headers: Vec<(HeaderName, HeaderValue)>,
    /// Headers set on every response to the client.
    pub response_headers: Vec<(HeaderName, HeaderValue)>,
    /// `aud` of the signed assertion.
    pub audience: String,
    /// Methods relayed; others get 405.
    pub methods: Vec<Method>,
    /// Origins whose scripts may call this app across origins; used on the gateway's own 401 answers.
    pub cors_origins: Vec<String>,
    /// Largest request body in bytes; `None` for no cap.
    pub max_body: Option<u64>,
    /// Whether WebSocket upgrades are relayed.
    pub websocket: bool,
    /// Whether the client's `Authorization` header is passed on.
    pub pass_authorization: bool,
}

/// Where an app runs and how it is reached.
#[derive(Debug, Clone)]
pub struct UpstreamConfig {
    /// `host:port` of each instance; at least one.
    pub endpoints: Vec<String>,
    /// Plain or TLS.
    pub scheme: Scheme,
    /// HTTP version spoken upstream.
    pub protocol: Protocol,
    /// TLS details, used when `scheme` is [`Scheme::Https`].
    pub tls: UpstreamTls,
    /// How an instance is chosen.
    pub balance: Balance,
    /// Active health checks; `None` for none.
    pub health: Option<HealthCheck>,
    /// After this many failures in a row an instance is left out ...
    pub eject_after: u32,
    /// ... for this long (doubling up to 10 times it).
    pub eject_for: Duration,
    /// Deadline for a new connection, TLS included.
    pub connect_timeout: Duration,
    /// Deadline for the response head after the request was sent.
    pub response_timeout: Duration,
    /// Without a byte of the response body while the client waits for one; zero for no such deadline.
    pub body_idle: Duration,
    /// Without a byte of an HTTP/2 request's body while the upstream could take one; the same as the edge's deadline,
    /// which sees connections and no streams.
    pub upload_idle: Duration,
    /// Connections per instance and worker.
    pub max_connections: usize,
    /// Idle connections kept per instance and worker.
    pub max_idle: usize,
    /// How long an idle connection is kept.
    pub idle_timeout: Duration,
}

/// Plain or TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// Plain TCP.
    Http,
    /// TLS, always verified.
    Https,
}

/// HTTP version spoken upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2: by prior knowledge on plain TCP, by ALPN on TLS.
    Http2,
    /// Whatever ALPN gives; HTTP/1.1 on plain TCP.
    Auto,
}

/// How the upstream's certificate is checked and which one we show.
#[derive(Debug, Clone, Default)]
pub struct UpstreamTls {
    /// PEM file with root certificates trusted in addition to the system's.
    pub extra_ca: Option<PathBuf>,
    /// PEM files of our client certificate and key.
    pub client_certificate: Option<(PathBuf, PathBuf)>,
    /// Name the certificate must carry, instead of the endpoint's host name.
    pub server_name: Option<String>,
}

/// How an instance is chosen among those in service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Balance {
    /// One after the other.
    RoundRobin,
    /// The one with the fewest requests in flight from this worker.
    LeastLoaded,
}

/// Active health check of each instance.
#[derive(Debug, Clone)]
pub struct HealthCheck {
    /// Path asked with GET.
    pub path: String,
    /// Time between checks.
    pub interval: Duration,
    /// Deadline of one check.
    pub timeout: Duration,
    /// Successes in a row that bring an instance back.
    pub healthy_after: u32,
    /// Failures in a row that take it out.
    pub unhealthy_after: u32,
}

/// Names of the identity headers sent upstream; the same names in every spelling are stripped from requests.
#[derive(Debug, Clone)]
pub struct IdentityHeaders {
    /// `tid:oid`.
    pub subject: HeaderName,
    /// Tenant id.
    pub tenant: HeaderName,
    /// Display name, percent-encoded where not printable ASCII.
    pub name: HeaderName,
    /// E-mail, for display only.
    pub email: HeaderName,
    /// Group object ids, comma separated; absent when unknown.
    pub groups: HeaderName,
    /// The signed assertion (JWT).
    pub assertion: HeaderName,
}

impl Default for IdentityHeaders {
    fn default() -> Self {
        Self {
            subject: HeaderName::from_static("x-auth-subject"),
            tenant: HeaderName::from_static("x-auth-tenant"),
            name: HeaderName::from_static("x-auth-name"),
            email: HeaderName::from_static("x-auth-email"),
            groups: HeaderName::from_static("x-auth-groups"),
            assertion: HeaderName::from_static("x-auth-assertion"),
        }
    }
}
