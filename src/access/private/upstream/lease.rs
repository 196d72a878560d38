//! The right to one exchange with one endpoint, from the queue to the last byte.

use std::sync::Arc;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::connect::{Dialled, dial, dial_http1};
use super::pool::Upstreams;
use super::watch::Watch;
use super::{Endpoint, Upstream};
use crate::access::AccessError;
use crate::access::private::body::Outgoing;
use crate::access::private::config::Protocol;
use crate::access::private::routes::App;

/// An HTTP/1.1 connection.
pub(super) struct Http1Conn {
    pub(super) send: http1::SendRequest<Outgoing>,
    pub(super) watch: Arc<Watch>,
}

/// What somebody in the queue gets.
pub(super) enum Turn {
    Http1(Http1Conn),
    Http2(http2::SendRequest<Outgoing>),
    /// The right to make a connection.
    Slot,
}

/// The endpoint a lease counts for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) app: usize,
    pub(super) pool: u64,
    pub(super) endpoint: usize,
}

/// The right to one exchange with one endpoint. Whatever happens to it, dropping it settles the books.
pub(in crate::access::private) struct Lease {
    pub(super) pool: Arc<Upstreams>,
    pub(super) place: Place,
    pub(super) hold: Hold,
    pub(super) outcome: Outcome,
}

/// What became of a request.
pub(in crate::access::private) enum Sent {
    /// The response head is here.
    Answered(Response<Incoming>),
    /// The connection had ended before anything was written; the request may go elsewhere.
    Unsent(Request<Outgoing>),
    /// The connection failed after something was written.
    Failed(hyper::Error),
    /// We gave up.
    Ended(AccessError),
}

/// What a lease holds.
pub(super) enum Hold {
    /// Nothing that counts as a connection: waiting, or already given back.
    Nothing,
    /// The right to make a connection.
    Slot,
    /// The right to make the endpoint's HTTP/2 connection.
    SlotHttp2,
    Http1(Http1Conn),
    /// An HTTP/1.1 connection outside the pool.
    Alone(Http1Conn),
    Http2(http2::SendRequest<Outgoing>, Arc<Watch>),
}

/// What the exchange says about the endpoint.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Unknown,
    Answered,
    Failed,
}

/// A place in the queue. If it is given up after a turn was granted, the turn goes back.
pub(super) struct Waiting {
    pub(super) lease: Option<Lease>,
    pub(super) turn: oneshot::Receiver<Turn>,
}

impl Waiting {
    /// Waits for the turn.
    pub(super) async fn granted(mut self, app: &App) -> Result<Lease, AccessError> {
        // A turn granted in the very moment the deadline passes is taken all the same.
        let turn = match timeout(app.upstream.config.connect_timeout, &mut self.turn).await {
            Ok(turn) => turn.ok(),
            Err(_) => self.late_turn(),
        };
        let mut lease = self.lease.take().ok_or(AccessError::UpstreamBusy)?;
        lease.hold = turn.ok_or(AccessError::UpstreamBusy)?.into_hold(&app.upstream);
        Ok(lease)
    }

    fn late_turn(&mut self) -> Option<Turn> {
        self.turn.close();
        self.turn.try_recv().ok()
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(mut lease) = self.lease.take()
            && let Some(turn) = self.late_turn()
        {
            let upstream = lease.pool.upstream_of(lease.place);
            lease.hold = upstream.map_or(Hold::Nothing, |upstream| turn.into_hold(&upstream));
        }
    }
}

impl Turn {
    fn into_hold(self, upstream: &Upstream) -> Hold {
        match self {
            Self::Http1(connection) => Hold::Http1(connection),
            Self::Http2(send) => Hold::Http2(send, Arc::new(Watch::new(&upstream.config))),
            Self::Slot if upstream.config.protocol == Protocol::Http2 => Hold::SlotHttp2,
            Self::Slot => Hold::Slot,
        }
    }
}

impl Lease {
    pub(super) const fn must_dial(&self) -> bool {
        matches!(self.hold, Hold::Slot | Hold::SlotHttp2)
    }

    /// Makes the connection this lease has the right to.
    pub(super) async fn connect(&mut self, app: &App) -> Result<(), AccessError> {
        let upstream = &app.upstream;
        let endpoint = upstream.endpoints().get(self.place.endpoint).ok_or(AccessError::UpstreamUnreachable)?;
        let dialled = timeout(upstream.config.connect_timeout, dial(upstream, endpoint, &self.pool.names)).await;
        let dialled = match dialled {
            Ok(Ok(dialled)) => dialled,
            Ok(Err(error)) => return Err(self.unreachable(app, endpoint, &error)),
            Err(elapsed) => return Err(self.unreachable(app, endpoint, &elapsed)),
        };
        self.pool.connected(self.place);
        let watch = Arc::new(Watch::new(&upstream.config));
        match dialled {
            Dialled::Http1(connection) => {
                watch.guards(connection.task);
                self.pool.sweep(Arc::clone(&watch));
                self.hold = Hold::Http1(Http1Conn { send: connection.send, watch });
            }
            Dialled::Http2(send, _) => {
                self.pool.share(self.place, &send);
                self.hold = Hold::Http2(send, watch);
            }
        }
        Ok(())
    }

    /// Makes a connection outside the pool.
    pub(super) async fn connect_alone(&mut self, app: &App) -> Result<(), AccessError> {
        let upstream = &app.upstream;
        let endpoint = upstream.endpoints().get(self.place.endpoint).ok_or(AccessError::UpstreamUnreachable)?;
        let dialled = timeout(upstream.config.connect_timeout, dial_http1(upstream, endpoint, &self.pool.names)).await;
        let connection = match dialled {
            Ok(Ok(connection)) => connection,
            Ok(Err(error)) => return Err(self.unreachable(app, endpoint, &error)),
            Err(elapsed) => return Err(self.unreachable(app, endpoint, &elapsed)),
        };
        self.pool.connected(self.place);
        let watch = Arc::new(Watch::new(&upstream.config));
        watch.guards(connection.task);
        self.pool.sweep(Arc::clone(&watch));
        self.hold = Hold::Alone(Http1Conn { send: connection.send, watch });
        Ok(())
    }

    fn unreachable(&mut self, app: &App, endpoint: &Endpoint, error: &dyn std::error::Error) -> AccessError {
        let cause = error.source().map(ToString::to_string);
        tracing::warn!(app = %app.name, endpoint = %endpoint.authority, %error, cause, "upstream not reachable");
        self.outcome = Outcome::Failed;
        AccessError::UpstreamUnreachable
    }

    /// Sends a request on the connection and awaits the response head.
    pub(in crate::access::private) async fn send(&mut self, request: Request<Outgoing>) -> Sent {
        let answer = match &mut self.hold {
            Hold::Http1(connection) | Hold::Alone(connection) => connection.send.try_send_request(request).await,
            Hold::Http2(send, _) => send.try_send_request(request).await,
            Hold::Nothing | Hold::Slot | Hold::SlotHttp2 => return Sent::Unsent(request),
        };
        match answer {
            Ok(response) => Sent::Answered(response),
            // hyper gives the request back only if not one byte of it was written.
            Err(mut error) => match error.take_message() {
                Some(request) => Sent::Unsent(request),
                None => Sent::Failed(error.into_error()),
            },
        }
    }

    /// Closes the connection with this lease, whatever state it is in.
    pub(in crate::access::private) fn discard(&mut self) {
        match std::mem::replace(&mut self.hold, Hold::Slot) {
            Hold::Http1(connection) => drop(connection),
            Hold::Alone(connection) => {
                drop(connection);
                self.hold = Hold::Nothing;
            }
            // A shared connection stays; its slot is not this lease's.
            other => self.hold = other,
        }
    }

    /// The endpoint answered.
    pub(in crate::access::private) const fn answered(&mut self) {
        self.outcome = Outcome::Answered;
    }

    /// The endpoint failed by its own fault.
    pub(in crate::access::private) const fn failed(&mut self) {
        self.outcome = Outcome::Failed;
    }

    /// The state shared with the sweep, or of this one HTTP/2 request.
    pub(in crate::access::private) const fn watch(&self) -> Option<&Arc<Watch>> {
        match &self.hold {
            Hold::Http1(connection) | Hold::Alone(connection) => Some(&connection.watch),
            Hold::Http2(_, watch) => Some(watch),
            Hold::Nothing | Hold::Slot | Hold::SlotHttp2 => None,
        }
    }

    /// Whether the exchange runs over HTTP/2, where the sweep does not help.
    pub(in crate::access::private) const fn is_http2(&self) -> bool {
        matches!(self.hold, Hold::Http2(..))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let hold = std::mem::replace(&mut self.hold, Hold::Nothing);
        self.pool.settle(self.place, hold, self.outcome);
    }
}
