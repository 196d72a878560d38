//! Listeners, certificates and limits as they are written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::document::At;
use crate::edge;

use super::{Size, Span, TlsWord};

/// Listeners.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Listen {
    /// Addresses and ports for https; port 0 picks a free one.
    pub(in crate::config) https: At<Vec<At<String>>>,
    /// Addresses and ports for plain http, which only redirects to https.
    pub(in crate::config) redirect: Vec<At<String>>,
    /// The port browsers use for https, if it differs from the first https listener's.
    #[schemars(range(min = 1, max = 65_535))]
    pub(in crate::config) public_port: Option<At<u16>>,
    /// Threads for requests. Left out: one per core.
    #[schemars(range(min = 1, max = 1024))]
    pub(in crate::config) workers: Option<At<usize>>,
    /// Networks of load balancers that begin each connection with a PROXY protocol header.
    pub(in crate::config) proxy_protocol_from: Vec<At<String>>,
    /// Networks of proxies whose `X-Forwarded-For` is believed; an empty list means nobody.
    pub(in crate::config) trusted_proxies: Vec<At<String>>,
    /// `max-age` of `Strict-Transport-Security` on every host; `0s` sends none.
    pub(in crate::config) hsts: Span,
    /// After a shutdown signal: how long the ready check says no while everything is still served, so that load
    /// balancers look away first.
    pub(in crate::config) announce: Span,
    /// After that: how long running requests may take before they are cut.
    pub(in crate::config) drain: Span,
}

impl Default for Listen {
    fn default() -> Self {
        let address = |text: &str| At::nowhere(text.to_owned());
        Self {
            https: vec![address("0.0.0.0:443")].into(),
            redirect: vec![address("0.0.0.0:80")],
            public_port: None,
            workers: None,
            proxy_protocol_from: vec![],
            trusted_proxies: vec![],
            hsts: Span::written("365d"),
            announce: Span::written("5s"),
            drain: Span::written("30s"),
        }
    }
}

/// Certificates and protocol versions.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Tls {
    /// Certificate chains; the first serves clients that send no server name.
    pub(in crate::config) certificate: At<Vec<Certificate>>,
    /// Oldest version offered.
    #[serde(default = "oldest")]
    pub(in crate::config) min_version: At<TlsWord>,
    /// How often the session ticket key is replaced; a ticket lives for two such spans.
    #[serde(default = "ticket_rotation")]
    pub(in crate::config) ticket_rotation: Span,
    /// Whether a client must send a server name; without one it gets 421. Turn it off only for old devices and probes.
    #[serde(default = "yes")]
    pub(in crate::config) require_sni: bool,
}

const fn yes() -> bool {
    true
}

fn oldest() -> At<TlsWord> {
    TlsWord::Tls12.into()
}

fn ticket_rotation() -> Span {
    Span::written("6h")
}

/// One certificate chain and its key, as PEM files.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Certificate {
    /// PEM file with the leaf first.
    pub(in crate::config) certificate: At<String>,
    /// PEM file with the private key.
    pub(in crate::config) key: At<String>,
}

/// Deadlines and caps of client connections.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Limits {
    /// From accept to the end of the TLS handshake.
    pub(in crate::config) handshake: Span,
    /// From the first byte of a request head to its end.
    pub(in crate::config) head: Span,
    /// Without a byte while the gateway waits for a request body.
    pub(in crate::config) body_idle: Span,
    /// Without the client taking a byte while the gateway has some to send.
    pub(in crate::config) write_idle: Span,
    /// Between requests on a kept connection.
    pub(in crate::config) keepalive_idle: Span,
    /// Without a byte in either direction on an upgraded connection.
    pub(in crate::config) tunnel_idle: Span,
    /// Client connections in all.
    #[schemars(range(min = 1, max = 10_000_000))]
    pub(in crate::config) connections: At<usize>,
    /// Client connections from one address; 0 for no such cap.
    #[schemars(range(min = 0, max = 10_000_000))]
    pub(in crate::config) connections_per_address: At<usize>,
    /// Concurrent HTTP/2 streams on one connection.
    #[schemars(range(min = 1, max = 10_000))]
    pub(in crate::config) streams: At<u32>,
    /// Size of a request head.
    pub(in crate::config) header_bytes: Size,
    /// Number of header lines.
    #[schemars(range(min = 10, max = 1000))]
    pub(in crate::config) header_count: At<usize>,
    /// HTTP/2 frames that carry no request data, per 10 seconds.
    #[schemars(range(min = 100, max = 1_000_000))]
    pub(in crate::config) control_frames: At<u32>,
}

impl Default for Limits {
    fn default() -> Self {
        let limits = edge::Limits::default();
        Self {
            handshake: Span::of(limits.handshake),
            head: Span::of(limits.head),
            body_idle: Span::of(limits.body_idle),
            write_idle: Span::of(limits.write_idle),
            keepalive_idle: Span::of(limits.keepalive_idle),
            tunnel_idle: Span::of(limits.tunnel_idle),
            connections: limits.connections.into(),
            connections_per_address: limits.connections_per_address.into(),
            streams: limits.streams.into(),
            header_bytes: Size::of(u64::from(limits.header_bytes)),
            header_count: limits.header_count.into(),
            control_frames: limits.control_frames.into(),
        }
    }
}
