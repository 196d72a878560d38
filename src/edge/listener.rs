//! Binds every listener before anything runs, then accepts on one thread per worker until told to stop.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustls::HandshakeKind;
use rustls::ServerConfig;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

use super::admission::Gatehouse;
use super::config::Config;
use super::connection::Protocols;
use super::guard::RefusalCounts;
use super::proxy_protocol;
use super::redirect::Redirect;
use super::tls::{self, Certificates, TlsError};
use super::tunnel::TunnelEnds;
use super::watch::{Registry, Seat, Watched};
use super::{Handler, Shutdown};
use crate::cut::{Cut, CutReason};
use crate::facts::{ClientConn, HttpVersion, SharedClock};
use crate::telemetry::{Metrics, WorkerMetrics};

/// Why the edge could not start.
#[derive(Debug, thiserror::Error)]
pub enum EdgeError {
    /// An address could not be listened on.
    #[error("cannot listen on {address}")]
    Bind {
        /// Which one.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The TLS settings do not work.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// There are counters for fewer workers than configured.
    #[error("metrics were made for fewer than {0} workers")]
    Metrics(usize),
}

/// Listeners that are bound and wait to be run.
pub struct Edge {
    shared: Arc<Shared>,
    workers: Vec<Worker>,
    addresses: Addresses,
    closing: Cut,
}

/// The addresses really listened on: port 0 has become a number.
#[derive(Debug, Clone, Default)]
pub struct Addresses {
    /// TLS listeners, in the order configured.
    pub https: Vec<SocketAddr>,
    /// Redirecting listeners, in the order configured.
    pub redirect: Vec<SocketAddr>,
}

struct Shared {
    config: Config,
    tls: Arc<ServerConfig>,
    gatehouse: Arc<Gatehouse>,
    clock: SharedClock,
}

struct Worker {
    index: usize,
    metrics: Arc<WorkerMetrics>,
    refusals: Arc<RefusalCounts>,
    https: Vec<std::net::TcpListener>,
    redirect: Vec<std::net::TcpListener>,
}

impl Edge {
    /// How many workers will serve.
    #[must_use]
    pub const fn workers(&self) -> usize {
        self.workers.len()
    }

    /// Binds all listeners of all workers; nothing is accepted yet.
    ///
    /// # Errors
    /// When an address cannot be bound (the error names it) or the TLS settings do not work.
    pub fn bind(
        config: Config,
        certificates: Arc<Certificates>,
        metrics: &Metrics,
        clock: SharedClock,
    ) -> Result<Self, EdgeError> {
        let count = config.workers.max(1);
        let tls = tls::server_config(&config.tls, certificates, Arc::clone(&clock))?;
        let gatehouse = Gatehouse::new(config.limits.connections, config.limits.connections_per_address);
        let mut workers = Vec::with_capacity(count);
        for index in 0..count {
            let metrics = metrics.worker(index).ok_or(EdgeError::Metrics(count))?;
            workers.push(Worker { index, metrics, refusals: Arc::default(), https: vec![], redirect: vec![] });
        }
        let mut addresses = Addresses::default();
        for &address in &config.https {
            addresses.https.push(bind_all(address, workers.iter_mut().map(|worker| &mut worker.https))?);
        }
        for &address in &config.redirect {
            addresses.redirect.push(bind_all(address, workers.iter_mut().map(|worker| &mut worker.redirect))?);
        }
        Ok(Self { shared: Arc::new(Shared { config, tls, gatehouse, clock }), workers, addresses, closing: Cut::new() })
    }

    /// Where the edge listens.
    #[must_use]
    pub const fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// What ends the tunnels on this edge's connections, for whoever runs them.
    #[must_use]
    pub fn tunnel_ends(&self) -> TunnelEnds {
        TunnelEnds { idle: self.shared.config.limits.tunnel_idle, closing: self.closing.clone() }
    }

    /// The refusal counters of each worker.
    #[must_use]
    pub fn refusals(&self) -> Vec<Arc<RefusalCounts>> {
        self.workers.iter().map(|worker| Arc::clone(&worker.refusals)).collect()
    }

    /// Starts one thread per worker. `make_handler` is called on each of them, inside its runtime. The future ends
    /// when `shutdown` has begun and all connections are gone, at the latest after the configured drain time.
    ///
    /// # Errors
    /// The future fails when a worker's thread or runtime could not be started, or its thread panicked.
    pub fn run<H: Handler>(
        self,
        make_handler: impl Fn(usize) -> Arc<H> + Send + Sync + 'static,
        shutdown: Shutdown,
    ) -> impl Future<Output = io::Result<()>> + Send {
        let make_handler = Arc::new(make_handler);
        let port = self.shared.config.public_port.or_else(|| self.addresses.https.first().map(SocketAddr::port));
        let mut ends = Vec::with_capacity(self.workers.len());
        for worker in self.workers {
            let (done, ended) = oneshot::channel();
            let (shared, shutdown) = (Arc::clone(&self.shared), shutdown.clone());
            let (make_handler, closing) = (Arc::clone(&make_handler), self.closing.clone());
            let spawned = thread::Builder::new().name(format!("edge-{}", worker.index)).spawn(move || {
                let result = run_worker(worker, &shared, port, &*make_handler, shutdown, &closing);
                // Nobody listens any more only when the process is ending.
                let _ = done.send(result);
            });
            ends.push(spawned.map(|_handle| ended));
        }
        async move {
            for end in ends {
                end?.await.map_err(|_| io::Error::other("a worker thread panicked"))??;
            }
            Ok(())
        }
    }
}

/// Binds one address once per worker and answers what it became. The kernel spreads connections over them.
fn bind_all<'a>(
    address: SocketAddr,
    places: impl Iterator<Item = &'a mut Vec<std::net::TcpListener>>,
) -> Result<SocketAddr, EdgeError> {
    let failed = |source| EdgeError::Bind { address, source };
    if address.port() != 0 {
        // With port sharing on, a second gateway would bind without an error and take half of the connections.
        bind_one(address, false).map_err(failed)?;
    }
    let mut bound = address;
    for place in places {
        let listener = bind_one(bound, true).map_err(failed)?;
        bound = listener.local_addr().map_err(failed)?;
        place.push(listener);
    }
    Ok(bound)
}

fn bind_one(address: SocketAddr, shared: bool) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.set_reuse_address(true)?;
    #[cfg(unix)]
    if shared {
        socket.set_reuse_port(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    if shared {
        socket.listen(BACKLOG)?;
    }
    Ok(socket.into())
}

fn run_worker<H: Handler>(
    worker: Worker,
    shared: &Arc<Shared>,
    port: Option<u16>,
    make_handler: &(impl Fn(usize) -> Arc<H> + Send + Sync + 'static),
    shutdown: Shutdown,
    closing: &Cut,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(async {
        let limits = shared.config.limits.clone();
        let registry = Registry::new(Arc::clone(&shared.clock), limits, Arc::clone(&worker.metrics), worker.refusals);
        let protocols = Arc::new(Protocols::new(&shared.config.limits));
        let sweeping = tokio::spawn({
            let registry = Arc::clone(&registry);
            async move { registry.sweep().await }
        });
        let handler = make_handler(worker.index);
        let mut accepting = Vec::new();
        for listener in worker.https {
            let front = Front {
                shared: Arc::clone(shared),
                registry: Arc::clone(&registry),
                acceptor: TlsAcceptor::from(Arc::clone(&shared.tls)),
                protocols: Arc::clone(&protocols),
                handler: Arc::clone(&handler),
            };
            let front = Arc::new(front);
            let accepts = accept(TcpListener::from_std(listener)?, Arc::clone(&registry), Arc::clone(shared), {
                move |stream, seat, peer, local| Arc::clone(&front).serve(stream, seat, peer, local)
            });
            accepting.push(tokio::spawn(accepts));
        }
        for listener in worker.redirect {
            let redirect = Arc::new(Redirect::new(port, Arc::clone(&protocols), Arc::clone(&worker.metrics)));
            let accepts = accept(TcpListener::from_std(listener)?, Arc::clone(&registry), Arc::clone(shared), {
                move |stream, seat, peer, local| Arc::clone(&redirect).serve(stream, seat, peer, local)
            });
            accepting.push(tokio::spawn(accepts));
        }
        shutdown.begun().await;
        for task in accepting {
            task.abort();
        }
        drain(&registry, shared.config.drain, closing).await;
        sweeping.abort();
        Ok(())
    });
    // Tasks that still run (a handler's own) are dropped, not waited for.
    runtime.shutdown_background();
    result
}

/// Lets connections finish, tells those that are left why they end, and cuts them.
async fn drain(registry: &Registry, span: Duration, closing: &Cut) {
    registry.drain();
    if is_empty_within(registry, span).await {
        return;
    }
    closing.raise(CutReason::ShuttingDown);
    if !is_empty_within(registry, FAREWELL).await {
        registry.cut_all();
        is_empty_within(registry, CUT_WAIT).await;
    }
}

async fn is_empty_within(registry: &Registry, span: Duration) -> bool {
    let empty = async {
        while registry.open() > 0 {
            tokio::time::sleep(DRAIN_LOOK).await;
        }
    };
    tokio::time::timeout(span, empty).await.is_ok()
}

/// Accepts for ever. Every connection runs as its own task of this worker, so a panic costs that connection only.
async fn accept<F>(
    listener: TcpListener,
    registry: Arc<Registry>,
    shared: Arc<Shared>,
    serve: impl Fn(TcpStream, Seat, SocketAddr, SocketAddr) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) if is_clients_fault(&error) => continue,
            Err(error) => {
                // Out of descriptors or memory: trying again at once would burn a core and free nothing.
                tracing::warn!(%error, "cannot accept connections for the moment");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        // Over the cap: the connection is closed at once, which tells a load balancer to go elsewhere.
        let Some(admission) = shared.gatehouse.admit() else {
            registry.metrics().connections_refused.up();
            continue;
        };
        let Ok(local) = stream.local_addr() else { continue };
        // Without it small answers wait for the client's delayed acknowledgement. Failing costs only speed.
        let _ = stream.set_nodelay(true);
        tokio::spawn(serve(stream, registry.enter(admission), canonical(peer), canonical(local)));
    }
}

/// Errors that belong to the one connection that was about to be accepted (accept(2)).
fn is_clients_fault(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted, WouldBlock};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted | WouldBlock)
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// The TLS listener of one worker.
struct Front<H> {
    shared: Arc<Shared>,
    registry: Arc<Registry>,
    acceptor: TlsAcceptor,
    protocols: Arc<Protocols>,
    handler: Arc<H>,
}

impl<H: Handler> Front<H> {
    async fn serve(self: Arc<Self>, stream: TcpStream, mut seat: Seat, socket_peer: SocketAddr, local: SocketAddr) {
        let watch = Arc::clone(seat.watch());
        let greeting = Box::pin(self.greet(stream, &mut seat, socket_peer));
        let Some(Some((tls, peer))) = Watched::new(watch, greeting).await else {
            self.registry.metrics().handshakes_failed.up();
            return;
        };
        let (_, session) = tls.get_ref();
        let metrics = self.registry.metrics();
        match session.handshake_kind() {
            Some(HandshakeKind::Resumed) => metrics.handshakes_resumed.up(),
            Some(HandshakeKind::Full | HandshakeKind::FullWithHelloRetryRequest) | None => metrics.handshakes_full.up(),
        }
        let http = if session.alpn_protocol() == Some(b"h2") { HttpVersion::Http2 } else { HttpVersion::Http1 };
        let sni = session.server_name().map(|name| {
            let name = name.strip_suffix('.').unwrap_or(name);
            name.to_ascii_lowercase().into_boxed_str()
        });
        let client = ClientConn { peer, socket_peer, local, sni, http };
        let metrics = Arc::clone(self.registry.metrics());
        self.protocols.serve(tls, seat, client, Arc::clone(&self.handler), metrics).await;
    }

    /// PROXY header where one is due, then the TLS handshake. `None` when the connection is not to go on.
    async fn greet(
        &self,
        mut stream: TcpStream,
        seat: &mut Seat,
        socket_peer: SocketAddr,
    ) -> Option<(tokio_rustls::server::TlsStream<TcpStream>, SocketAddr)> {
        let speaks_for_others =
            self.shared.config.proxy_protocol_from.iter().any(|net| net.contains(&socket_peer.ip()));
        let peer = if speaks_for_others {
            let said = proxy_protocol::read(&mut stream).await;
            said.inspect_err(|error| tracing::debug!(%error, %socket_peer, "PROXY header refused"))
                .ok()?
                .map_or(socket_peer, canonical)
        } else {
            socket_peer
        };
        if !seat.count_for(peer.ip()) {
            self.registry.metrics().connections_refused.up();
            return None;
        }
        let tls = self.acceptor.accept(stream).await;
        let tls = tls.inspect_err(|error| tracing::debug!(%error, %peer, "TLS handshake failed")).ok()?;
        Some((tls, peer))
    }
}

const BACKLOG: i32 = 4096;
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
const DRAIN_LOOK: Duration = Duration::from_millis(25);
/// For the close frames of WebSockets; a little longer than one of them may take.
const FAREWELL: Duration = Duration::from_millis(400);
const CUT_WAIT: Duration = Duration::from_secs(2);
