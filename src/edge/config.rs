//! What the edge needs to know to run.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

/// Listeners, TLS and limits.
#[derive(Debug, Clone)]
pub struct Config {
    /// TLS listeners of Private Access; port 0 picks one.
    pub https: Vec<SocketAddr>,
    /// Plain HTTP listeners that only redirect to https.
    pub redirect: Vec<SocketAddr>,
    /// Port that browsers use for https, for redirects and for checking the port of `Host`; `None`: the listener's.
    pub public_port: Option<u16>,
    /// Data-plane threads, at least 1.
    pub workers: usize,
    /// Peers that must begin with a PROXY protocol header (v1 or v2); from anybody else the bytes are refused as TLS.
    pub proxy_protocol_from: Vec<IpNet>,
    /// Certificates and protocol versions.
    pub tls: TlsConfig,
    /// Deadlines and caps.
    pub limits: Limits,
    /// After a shutdown signal: how long running requests may take before they are cut.
    pub drain: Duration,
}

/// Certificates and protocol versions of the TLS listeners.
#[derive(Debug, Clone)]
pub struct TlsConfig {
    /// Certificate chains with keys; the first serves clients that send no server name.
    pub certificates: Vec<CertificateFiles>,
    /// Oldest version offered.
    pub min_version: MinTls,
    /// How often the session ticket key is replaced; a ticket lives for two such spans.
    pub ticket_rotation: Duration,
}

/// One certificate chain and its key, as PEM files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// PEM file with the leaf first.
    pub certificate: PathBuf,
    /// PEM file with the private key (PKCS#8, SEC1 or PKCS#1).
    pub key: PathBuf,
}

/// Oldest TLS version a listener offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MinTls {
    /// TLS 1.2 with ECDHE and AEAD only.
    Tls12,
    /// TLS 1.3.
    Tls13,
}

/// Deadlines and caps of client connections. Every read has a deadline, every buffer a cap.
#[derive(Debug, Clone)]
pub struct Limits {
    /// From accept to the end of the TLS handshake (PROXY header included).
    pub handshake: Duration,
    /// From the first byte of a request head to its end.
    pub head: Duration,
    /// Without a byte while the gateway waits for the client's request body.
    pub body_idle: Duration,
    /// Without the client taking a byte while the gateway has some to send.
    pub write_idle: Duration,
    /// Between requests on a kept connection.
    pub keepalive_idle: Duration,
    /// Without a byte in either direction on an upgraded connection.
    pub tunnel_idle: Duration,
    /// Client connections over all workers.
    pub connections: usize,
    /// Client connections from one address; 0 means no such cap.
    pub connections_per_address: usize,
    /// Concurrent HTTP/2 streams on one connection.
    pub streams: u32,
    /// Bytes of a request head (h1) or decoded header list (h2).
    pub header_bytes: u32,
    /// Number of header lines.
    pub header_count: usize,
    /// HTTP/2 frames that carry no request data (PING, SETTINGS, PRIORITY, WINDOW_UPDATE, RST) per 10 seconds.
    pub control_frames: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(10),
            body_idle: Duration::from_secs(30),
            write_idle: Duration::from_secs(60),
            keepalive_idle: Duration::from_secs(75),
            tunnel_idle: Duration::from_secs(600),
            connections: 20_000,
            connections_per_address: 0,
            streams: 128,
            header_bytes: 32 * 1024,
            header_count: 100,
            control_frames: 10_000,
        }
    }
}
