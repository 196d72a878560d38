//! The admin listener: accepts connections, with a cap and deadlines, and hands requests to the routes.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::response::IntoResponse as _;
use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use super::guard::Ends;
use super::problem::Problem;
use super::{Config, Services, SessionControl, api};

/// The admin listener could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The address cannot be listened on.
    #[error("the admin listener cannot use {address}")]
    Bind {
        /// Which address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// The socket, bound before the parts it shows are put together, because the console's app leads to it.
pub struct AdminSocket {
    listener: TcpListener,
    address: SocketAddr,
}

impl AdminSocket {
    /// Binds `listen`; port 0 picks one. Loopback unless there is a reason.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub async fn bind(listen: SocketAddr) -> Result<Self, AdminError> {
        let failed = |source| AdminError::Bind { address: listen, source };
        let listener = TcpListener::bind(listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

/// A bound admin listener.
pub struct AdminListener {
    socket: AdminSocket,
    router: Router,
}

impl AdminListener {
    /// Puts the routes behind the socket; nothing is answered until [`AdminListener::run`].
    #[must_use]
    pub fn new<S: SessionControl>(socket: AdminSocket, config: &Config, services: Services<S>) -> Self {
        Self { socket, router: api::router(config, services) }
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.socket.address
    }

    /// Answers until `stop` ends; then running requests have two seconds to finish.
    pub async fn run(self, stop: impl Future<Output = ()> + Send) {
        let (tasks, stopping) = (TaskTracker::new(), CancellationToken::new());
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        let mut stop = std::pin::pin!(stop);
        loop {
            let accepted = tokio::select! {
                () = &mut stop => break,
                accepted = self.socket.listener.accept() => accepted,
            };
            let Ok((stream, peer)) = accepted else {
                // Out of descriptors or memory: wait for some to come back instead of spinning.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
            let (router, stopping) = (self.router.clone(), stopping.clone());
            tasks.spawn(async move {
                serve_connection(stream, peer, router, stopping).await;
                drop(place);
            });
        }
        stopping.cancel();
        tasks.close();
        if tokio::time::timeout(DRAIN, tasks.wait()).await.is_err() {
            tracing::warn!("admin requests were still running at shutdown");
        }
    }
}

async fn serve_connection(stream: TcpStream, peer: SocketAddr, router: Router, stopping: CancellationToken) {
    let Ok(local) = stream.local_addr() else { return };
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(Ends { peer, local });
        let router = router.clone();
        async move {
            let answer = tokio::time::timeout(ANSWER, router.oneshot(request)).await;
            Ok::<_, std::convert::Infallible>(match answer {
                Ok(Ok(response)) => response,
                Err(_) => Problem::timed_out().into_response(),
            })
        }
    });
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(HEAD_BYTES).keep_alive(true);
    let connection = http.serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    // How a connection ended matters to nobody: every request on it was answered or the client went away.
    let _ = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopping.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
        () = tokio::time::sleep(CONNECTION) => Ok(()),
    };
}

const CONNECTIONS: usize = 64;
const HEAD: Duration = Duration::from_secs(10);
const HEAD_BYTES: usize = 16 * 1024;
const ANSWER: Duration = Duration::from_secs(30);
/// A connection is closed after this long, whatever it does; scrapers simply connect again.
const CONNECTION: Duration = Duration::from_secs(3600);
/// How long running requests may take after the stop.
const DRAIN: Duration = Duration::from_secs(2);
