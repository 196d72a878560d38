//! This worker's connections: who gets which, how many there may be, and what becomes of them afterwards.
//!
//! Each worker thread has its own [`Upstreams`], so its lock is never contended. An HTTP/1.1 connection goes back only
//! when hyper says that request and response are complete on the wire; anything else ends it, so no request ever meets
//! bytes that belong to another.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::balance::{Record, Tried, pick};
use super::connect::{Dialled, Names, dial, dial_http1};
use super::watch::{Phase, SWEEP, Watch};
use super::{Endpoint, Upstream};
use crate::access::AccessError;
use crate::access::private::body::Outgoing;
use crate::access::private::config::Protocol;
use crate::access::private::routes::App;

/// One worker's upstream connections.
#[derive(Default)]
pub struct Upstreams {
    state: Mutex<State>,
    sweep: Mutex<Sweep>,
    names: Names,
    /// See [`Upstreams::with_tunnel_idle`].
    tunnel_idle: Option<Duration>,
}

#[derive(Default)]
struct State {
    /// By app id. Replaced when a new generation brings another upstream for the id.
    apps: Vec<Option<AppPool>>,
    made: u64,
}

struct AppPool {
    /// Tells the pools of two generations apart.
    id: u64,
    upstream: Arc<Upstream>,
    next: usize,
    endpoints: Box<[EndpointPool]>,
}

#[derive(Default)]
struct EndpointPool {
    record: Record,
    /// The last one used is the first one taken: it is the least likely to have been closed by the upstream.
    idle: Vec<Http1Conn>,
    /// Connections that exist or are being made.
    open: usize,
    waiting: VecDeque<oneshot::Sender<Turn>>,
    http2: Option<http2::SendRequest<Outgoing>>,
    /// An HTTP/2 connection is being made; others wait for it instead of making more.
    dialling_http2: bool,
}

#[derive(Default)]
struct Sweep {
    watches: Vec<Arc<Watch>>,
    running: bool,
}

/// An HTTP/1.1 connection.
pub(super) struct Http1Conn {
    pub(super) send: http1::SendRequest<Outgoing>,
    pub(super) watch: Arc<Watch>,
}

/// What somebody in the queue gets.
enum Turn {
    Http1(Http1Conn),
    Http2(http2::SendRequest<Outgoing>),
    /// The right to make a connection.
    Slot,
}

/// The endpoint a lease counts for.
#[derive(Debug, Clone, Copy)]
struct Place {
    app: usize,
    pool: u64,
    endpoint: usize,
}

/// The right to one exchange with one endpoint. Whatever happens to it, dropping it settles the books.
pub(in crate::access::private) struct Lease {
    pool: Arc<Upstreams>,
    place: Place,
    pub(super) hold: Hold,
    outcome: Outcome,
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

#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Unknown,
    Answered,
    Failed,
}

enum Begun {
    Lease(Lease),
    Wait(Waiting),
}

impl Upstreams {
    /// An empty pool; make one per worker.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// How long a WebSocket may be silent in both directions; ten minutes unless set.
    #[must_use]
    pub const fn with_tunnel_idle(mut self, idle: Duration) -> Self {
        self.tunnel_idle = Some(idle);
        self
    }

    pub(in crate::access::private) fn tunnel_idle(&self) -> Duration {
        self.tunnel_idle.unwrap_or(Duration::from_secs(600))
    }

    /// A connection to one of the app's endpoints: an idle one, or a new one, or the next one that becomes free.
    pub(in crate::access::private) async fn lease(
        self: &Arc<Self>,
        app: &Arc<App>,
        tried: &mut Tried,
    ) -> Result<Lease, AccessError> {
        let mut lease = match self.begin(app, *tried)? {
            Begun::Lease(lease) if !lease.must_dial() => return Ok(lease),
            Begun::Lease(lease) => lease,
            // Boxed: both are rare, and a request should not carry their size.
            Begun::Wait(waiting) => Box::pin(waiting.turn(app)).await?,
        };
        if lease.must_dial() {
            tried.add(lease.place.endpoint);
            Box::pin(lease.connect(app)).await?;
        }
        Ok(lease)
    }

    /// A new HTTP/1.1 connection that serves one exchange or one tunnel. It takes no slot of the pool: each belongs to
    /// one client connection, whose number is capped.
    pub(in crate::access::private) async fn lease_alone(
        self: &Arc<Self>,
        app: &Arc<App>,
    ) -> Result<Lease, AccessError> {
        let mut tried = Tried::default();
        let mut attempts = app.upstream.endpoints().len().min(2);
        loop {
            attempts = attempts.saturating_sub(1);
            let mut lease = self.begin_alone(app, tried)?;
            tried.add(lease.place.endpoint);
            match Box::pin(lease.connect_alone(app)).await {
                Ok(()) => return Ok(lease),
                Err(error) if attempts == 0 => return Err(error),
                Err(_) => {}
            }
        }
    }

    fn begin_alone(self: &Arc<Self>, app: &App, tried: Tried) -> Result<Lease, AccessError> {
        let mut state = self.lock();
        let index = usize::try_from(app.id.0).unwrap_or(usize::MAX);
        let AppPool { id, upstream, next, endpoints } = state.pool(index, &app.upstream)?;
        let chosen = pick(upstream, |at| endpoints.get(at).map(|endpoint| &endpoint.record), next, tried);
        let endpoint = endpoints.get_mut(chosen).ok_or(AccessError::UpstreamUnreachable)?;
        endpoint.record.in_flight += 1;
        let place = Place { app: index, pool: *id, endpoint: chosen };
        Ok(Lease { pool: Arc::clone(self), place, hold: Hold::Nothing, outcome: Outcome::Unknown })
    }

    fn begin(self: &Arc<Self>, app: &Arc<App>, tried: Tried) -> Result<Begun, AccessError> {
        let mut state = self.lock();
        let index = usize::try_from(app.id.0).unwrap_or(usize::MAX);
        let AppPool { id, upstream, next, endpoints } = state.pool(index, &app.upstream)?;
        let chosen = pick(upstream, |at| endpoints.get(at).map(|endpoint| &endpoint.record), next, tried);
        let place = Place { app: index, pool: *id, endpoint: chosen };
        let endpoint = endpoints.get_mut(chosen).ok_or(AccessError::UpstreamUnreachable)?;
        let lease = |hold| Lease { pool: Arc::clone(self), place, hold, outcome: Outcome::Unknown };
        if let Some(send) = endpoint.live_http2() {
            if endpoint.record.in_flight >= MOST_STREAMS {
                return Err(AccessError::UpstreamBusy);
            }
            endpoint.record.in_flight += 1;
            return Ok(Begun::Lease(lease(Hold::Http2(send, Arc::new(Watch::new(&upstream.config))))));
        }
        while let Some(connection) = endpoint.idle.pop() {
            if connection.send.is_ready() {
                endpoint.record.in_flight += 1;
                return Ok(Begun::Lease(lease(Hold::Http1(connection))));
            }
            // The upstream closed it meanwhile.
            endpoint.open = endpoint.open.saturating_sub(1);
        }
        let http2 = upstream.config.protocol == Protocol::Http2;
        if endpoint.open < upstream.config.max_connections && !(http2 && endpoint.dialling_http2) {
            endpoint.open += 1;
            endpoint.dialling_http2 |= http2;
            endpoint.record.in_flight += 1;
            return Ok(Begun::Lease(lease(if http2 { Hold::SlotHttp2 } else { Hold::Slot })));
        }
        endpoint.waiting.retain(|waiter| !waiter.is_closed());
        if endpoint.waiting.len() >= MOST_WAITING {
            return Err(AccessError::UpstreamBusy);
        }
        let (turn, wait) = oneshot::channel();
        endpoint.waiting.push_back(turn);
        endpoint.record.in_flight += 1;
        Ok(Begun::Wait(Waiting { lease: Some(lease(Hold::Nothing)), turn: wait }))
    }

    /// Settles what a lease held.
    fn settle(&self, place: Place, hold: Hold, outcome: Outcome) {
        let mut state = self.lock();
        let pool = state.apps.get_mut(place.app).and_then(Option::as_mut);
        // Of another generation: the connection ends with its lease.
        let Some(AppPool { upstream, endpoints, .. }) = pool.filter(|pool| pool.id == place.pool) else { return };
        let Some(endpoint) = endpoints.get_mut(place.endpoint) else { return };
        endpoint.record.in_flight = endpoint.record.in_flight.saturating_sub(1);
        match outcome {
            Outcome::Answered => endpoint.record.succeeded(),
            Outcome::Failed => endpoint.record.failed(&upstream.config),
            Outcome::Unknown => {}
        }
        let http2 = upstream.config.protocol == Protocol::Http2;
        match hold {
            Hold::Nothing | Hold::Http2(..) | Hold::Alone(_) => {}
            Hold::Http1(connection) if connection.send.is_ready() => {
                connection.watch.step(Phase::Idle);
                endpoint.give_back(connection, upstream.config.max_idle);
            }
            Hold::Http1(_) | Hold::Slot => endpoint.slot_freed(http2),
            Hold::SlotHttp2 => {
                endpoint.dialling_http2 = false;
                endpoint.slot_freed(http2);
            }
        }
    }

    /// A new HTTP/2 connection: shared from now on, and first of all by those who waited for it.
    fn share(&self, place: Place, send: &http2::SendRequest<Outgoing>) {
        let mut state = self.lock();
        let pool = state.apps.get_mut(place.app).and_then(Option::as_mut).filter(|pool| pool.id == place.pool);
        let Some(endpoint) = pool.and_then(|pool| pool.endpoints.get_mut(place.endpoint)) else { return };
        endpoint.dialling_http2 = false;
        if endpoint.live_http2().is_some() {
            // Two were made at once (ALPN decided late): one stays, the other serves its one request.
            endpoint.open = endpoint.open.saturating_sub(1);
            return;
        }
        endpoint.http2 = Some(send.clone());
        for waiter in endpoint.waiting.drain(..) {
            let _ = waiter.send(Turn::Http2(send.clone()));
        }
    }

    /// Puts a connection under the worker's sweep, and starts the sweep if there is none.
    fn sweep(self: &Arc<Self>, watch: Arc<Watch>) {
        let mut sweep = self.sweep.lock().unwrap_or_else(PoisonError::into_inner);
        sweep.watches.push(watch);
        if !sweep.running {
            sweep.running = true;
            tokio::spawn(run_sweep(Arc::downgrade(self)));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks at all of a worker's connections until there are none.
async fn run_sweep(pool: Weak<Upstreams>) {
    let mut every = tokio::time::interval(SWEEP);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        let Some(pool) = pool.upgrade() else { return };
        let mut sweep = pool.sweep.lock().unwrap_or_else(PoisonError::into_inner);
        sweep.watches.retain(|watch| watch.look());
        if sweep.watches.is_empty() {
            sweep.running = false;
            return;
        }
    }
}

impl State {
    fn pool(&mut self, index: usize, upstream: &Arc<Upstream>) -> Result<&mut AppPool, AccessError> {
        if self.apps.len() <= index {
            // Ids are indexes into a configured list, so this grows to the number of apps and no further.
            self.apps.resize_with(index.saturating_add(1), || None);
        }
        let slot = self.apps.get_mut(index).ok_or(AccessError::UpstreamUnreachable)?;
        if slot.as_ref().is_some_and(|pool| !Arc::ptr_eq(&pool.upstream, upstream)) {
            *slot = None;
        }
        Ok(slot.get_or_insert_with(|| {
            self.made += 1;
            AppPool {
                id: self.made,
                upstream: Arc::clone(upstream),
                next: 0,
                endpoints: upstream.endpoints().iter().map(|_| EndpointPool::default()).collect(),
            }
        }))
    }
}

impl EndpointPool {
    /// The shared HTTP/2 connection, while it lives.
    fn live_http2(&mut self) -> Option<http2::SendRequest<Outgoing>> {
        if self.http2.as_ref()?.is_closed() {
            self.http2 = None;
            self.open = self.open.saturating_sub(1);
        }
        self.http2.clone()
    }

    /// A connection that can be used again: for the first in the queue, else for later.
    fn give_back(&mut self, mut connection: Http1Conn, max_idle: usize) {
        while let Some(waiter) = self.waiting.pop_front() {
            match waiter.send(Turn::Http1(connection)) {
                Ok(()) => return,
                Err(Turn::Http1(back)) => connection = back,
                Err(_) => return,
            }
        }
        if self.idle.len() < max_idle {
            self.idle.push(connection);
        } else {
            self.open = self.open.saturating_sub(1);
        }
    }

    /// A connection is gone: the first in the queue may make another.
    fn slot_freed(&mut self, http2: bool) {
        while let Some(waiter) = self.waiting.pop_front() {
            if waiter.send(Turn::Slot).is_ok() {
                self.dialling_http2 |= http2;
                return;
            }
        }
        self.open = self.open.saturating_sub(1);
    }
}

/// A place in the queue. If it is given up after a turn was granted, the turn goes back.
struct Waiting {
    lease: Option<Lease>,
    turn: oneshot::Receiver<Turn>,
}

impl Waiting {
    async fn turn(mut self, app: &App) -> Result<Lease, AccessError> {
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
            let upstream = lease.upstream();
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
    const fn must_dial(&self) -> bool {
        matches!(self.hold, Hold::Slot | Hold::SlotHttp2)
    }

    /// Makes the connection this lease has the right to.
    async fn connect(&mut self, app: &App) -> Result<(), AccessError> {
        let upstream = &app.upstream;
        let endpoint = upstream.endpoints().get(self.place.endpoint).ok_or(AccessError::UpstreamUnreachable)?;
        let dialled = timeout(upstream.config.connect_timeout, dial(upstream, endpoint, &self.pool.names)).await;
        let dialled = match dialled {
            Ok(Ok(dialled)) => dialled,
            Ok(Err(error)) => return Err(self.unreachable(app, endpoint, &error)),
            Err(elapsed) => return Err(self.unreachable(app, endpoint, &elapsed)),
        };
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
    async fn connect_alone(&mut self, app: &App) -> Result<(), AccessError> {
        let upstream = &app.upstream;
        let endpoint = upstream.endpoints().get(self.place.endpoint).ok_or(AccessError::UpstreamUnreachable)?;
        let dialled = timeout(upstream.config.connect_timeout, dial_http1(upstream, endpoint, &self.pool.names)).await;
        let connection = match dialled {
            Ok(Ok(connection)) => connection,
            Ok(Err(error)) => return Err(self.unreachable(app, endpoint, &error)),
            Err(elapsed) => return Err(self.unreachable(app, endpoint, &elapsed)),
        };
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

    fn upstream(&self) -> Option<Arc<Upstream>> {
        let state = self.pool.lock();
        let pool = state.apps.get(self.place.app).and_then(Option::as_ref).filter(|pool| pool.id == self.place.pool);
        pool.map(|pool| Arc::clone(&pool.upstream))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let hold = std::mem::replace(&mut self.hold, Hold::Nothing);
        self.pool.settle(self.place, hold, self.outcome);
    }
}

/// Requests on one HTTP/2 connection and in its queue.
const MOST_STREAMS: usize = 1000;
/// Requests waiting for a connection to one endpoint.
const MOST_WAITING: usize = 1024;

#[cfg(test)]
mod tests;
