//! A new connection to an endpoint: name, TCP, TLS, HTTP handshake.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

use super::{Endpoint, Upstream};
use crate::access::private::body::Outgoing;
use crate::access::private::config::Protocol;

/// A connection that has just been made.
pub(super) enum Dialled {
    Http1(Http1),
    Http2(http2::SendRequest<Outgoing>, AbortHandle),
}

/// An HTTP/1.1 connection: its handle and the task that drives it.
pub(super) struct Http1 {
    pub(super) send: http1::SendRequest<Outgoing>,
    pub(super) task: AbortHandle,
}

/// Why there is no connection. Nothing of the request was sent.
#[derive(Debug, thiserror::Error)]
pub(in crate::access::private) enum DialError {
    #[error("name or connection")]
    Io(#[from] io::Error),
    #[error("HTTP handshake")]
    Http(#[from] hyper::Error),
    #[error("the upstream does not offer the configured HTTP version")]
    Version,
}

/// Dials without a deadline of its own; callers wrap it.
pub(super) async fn dial(upstream: &Upstream, endpoint: &Endpoint, names: &Names) -> Result<Dialled, DialError> {
    let tcp = connect(endpoint, names).await?;
    let protocol = upstream.config.protocol;
    let Some(tls) = &upstream.tls else {
        return if protocol == Protocol::Http2 { start_http2(tcp).await } else { start_http1(tcp).await };
    };
    let stream = TlsConnector::from(std::sync::Arc::clone(tls)).connect(endpoint.server_name.clone(), tcp).await?;
    // rustls has already refused a protocol we did not offer; a server without ALPN is taken for HTTP/1.1.
    match stream.get_ref().1.alpn_protocol() {
        Some(b"h2") => start_http2(stream).await,
        _ if protocol == Protocol::Http2 => Err(DialError::Version),
        _ => start_http1(stream).await,
    }
}

/// A connection for one WebSocket: HTTP/1.1 whatever the app's protocol, never pooled, able to upgrade.
pub(super) async fn dial_http1(upstream: &Upstream, endpoint: &Endpoint, names: &Names) -> Result<Http1, DialError> {
    let tcp = connect(endpoint, names).await?;
    let Some(tls) = &upstream.tls else { return start_upgradable(tcp).await };
    let mut config = rustls::ClientConfig::clone(tls);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let stream = TlsConnector::from(std::sync::Arc::new(config)).connect(endpoint.server_name.clone(), tcp).await?;
    start_upgradable(stream).await
}

async fn start_http1<I>(io: I) -> Result<Dialled, DialError>
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (send, connection) = http1::Builder::new().handshake(TokioIo::new(io)).await?;
    let task = tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "upstream connection ended");
        }
    });
    Ok(Dialled::Http1(Http1 { send, task: task.abort_handle() }))
}

async fn start_upgradable<I>(io: I) -> Result<Http1, DialError>
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (send, connection) = http1::Builder::new().handshake(TokioIo::new(io)).await?;
    let task = tokio::spawn(async move {
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(%error, "upstream connection ended");
        }
    });
    Ok(Http1 { send, task: task.abort_handle() })
}

async fn start_http2<I>(io: I) -> Result<Dialled, DialError>
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (send, connection) = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .keep_alive_interval(Some(Duration::from_secs(30)))
        .keep_alive_timeout(Duration::from_secs(10))
        .max_header_list_size(64 * 1024)
        .initial_stream_window_size(1024 * 1024)
        .initial_connection_window_size(4 * 1024 * 1024)
        .max_send_buf_size(256 * 1024)
        .handshake(TokioIo::new(io))
        .await?;
    let task = tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "upstream connection ended");
        }
    });
    Ok(Dialled::Http2(send, task.abort_handle()))
}

async fn connect(endpoint: &Endpoint, names: &Names) -> Result<TcpStream, io::Error> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in names.resolve(endpoint).await? {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Resolved endpoint names, kept for a short while. Holds at most one entry per configured endpoint name.
#[derive(Default)]
pub(in crate::access::private) struct Names {
    known: Mutex<HashMap<Box<str>, Resolved>>,
}

struct Resolved {
    at: Instant,
    addresses: Vec<IpAddr>,
}

impl Names {
    async fn resolve(&self, endpoint: &Endpoint) -> Result<Vec<SocketAddr>, io::Error> {
        let with_port = |address: IpAddr| SocketAddr::new(address, endpoint.port);
        if let Ok(address) = endpoint.host.parse::<IpAddr>() {
            return Ok(vec![with_port(address)]);
        }
        // RFC 6761 section 6.3: these names never leave the machine, whatever the resolver says.
        if endpoint.host.eq_ignore_ascii_case("localhost") || endpoint.host.to_ascii_lowercase().ends_with(".localhost")
        {
            return Ok(vec![with_port(Ipv4Addr::LOCALHOST.into()), with_port(Ipv6Addr::LOCALHOST.into())]);
        }
        if let Some(addresses) = self.fresh(&endpoint.host) {
            return Ok(addresses.into_iter().map(with_port).collect());
        }
        let found: Vec<IpAddr> =
            tokio::net::lookup_host((&*endpoint.host, endpoint.port)).await?.map(|address| address.ip()).collect();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST_NAMES {
            known.clear();
        }
        known.insert(endpoint.host.clone(), Resolved { at: Instant::now(), addresses: found.clone() });
        Ok(found.into_iter().map(with_port).collect())
    }

    fn fresh(&self, host: &str) -> Option<Vec<IpAddr>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(host).filter(|name| name.at.elapsed() < NAME_LIFETIME).map(|name| name.addresses.clone())
    }
}

const NAME_LIFETIME: Duration = Duration::from_secs(10);
const MOST_NAMES: usize = 1024;
