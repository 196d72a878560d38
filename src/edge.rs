//! Layer 2: sockets, TLS, connections, tunnels, limits. Knows no user and no rule.

mod admission;
mod body;
mod config;
mod connection;
mod guard;
mod listener;
mod proxy_protocol;
mod redirect;
mod shutdown;
mod tls;
pub mod tunnel;
mod watch;

pub use body::{Body, BodyError};
pub use config::{CertificateFiles, Config, Limits, MinTls, TlsConfig};
pub use guard::{Refusal, RefusalCounts};
pub use listener::{Addresses, Edge, EdgeError};
pub use shutdown::Shutdown;
pub use tls::{CertError, CertSet, Certificates, TlsError};

use crate::facts::ClientConn;
use http::{Request, Response};
use hyper::body::Incoming;
use std::future::Future;
use std::sync::Arc;

/// What the edge hands requests to; one per worker thread.
pub trait Handler: Send + Sync + 'static {
    /// State of one client connection (for example the session it last verified).
    type Connection: Send + Sync + 'static;

    /// A connection finished its TLS handshake.
    fn open(&self, client: ClientConn) -> Self::Connection;

    /// One request. Framing has been checked by the edge; everything else (Host, path, method) has not.
    fn serve(
        &self,
        connection: &Arc<Self::Connection>,
        request: Request<Incoming>,
    ) -> impl Future<Output = Response<Body>> + Send;
}

#[cfg(test)]
mod tests;
