//! This worker's connections: who gets which, how many there may be, and what becomes of them afterwards.
//!
//! Each worker thread has its own [`Upstreams`], so its lock is never contended. An HTTP/1.1 connection goes back only
//! when hyper says that request and response are complete on the wire; anything else ends it, so no request ever meets
//! bytes that belong to another.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use hyper::client::conn::http2;
use tokio::sync::oneshot;

use super::Upstream;
use super::balance::{Record, Tried, pick};
use super::connect::Names;
use super::lease::{Hold, Http1Conn, Lease, Outcome, Place, Turn, Waiting};
use super::watch::{Phase, SWEEP, Watch};
use crate::access::AccessError;
use crate::access::private::body::Outgoing;
use crate::access::private::config::Protocol;
use crate::access::private::routes::App;
use crate::cut::Cut;
use crate::edge::tunnel::TunnelEnds;
use crate::telemetry::metrics::AppMetrics;

/// One worker's upstream connections.
#[derive(Default)]
pub struct Upstreams {
    state: Mutex<State>,
    sweep: Mutex<Sweep>,
    pub(super) names: Names,
    /// See [`Upstreams::with_tunnel_ends`].
    tunnel_ends: Option<TunnelEnds>,
}

#[derive(Default)]
struct State {
    /// By app id; one pool, but for the moment when requests of two generations are under way.
    apps: Vec<Vec<AppPool>>,
    made: u64,
    /// This worker's counters of each app, by app id.
    counters: Vec<Arc<AppMetrics>>,
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

    /// What ends WebSockets; unless set, only ten minutes of silence in both directions.
    #[must_use]
    pub fn with_tunnel_ends(mut self, ends: TunnelEnds) -> Self {
        self.tunnel_ends = Some(ends);
        self
    }

    pub(in crate::access::private) fn tunnel_ends(&self) -> TunnelEnds {
        let forgiving = || TunnelEnds { idle: Duration::from_secs(600), closing: Cut::new() };
        self.tunnel_ends.clone().unwrap_or_else(forgiving)
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
            Begun::Wait(waiting) => Box::pin(waiting.granted(app)).await?,
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

    /// Where connections and ejections of each app are counted, in the order of the apps' ids.
    pub fn count_in(&self, counters: Vec<Arc<AppMetrics>>) {
        self.lock().counters = counters;
    }

    /// A connection was made.
    pub(super) fn connected(&self, place: Place) {
        if let Some(counters) = self.lock().counters.get(place.app) {
            counters.upstream_connections.up();
        }
    }

    /// Settles what a lease held.
    pub(super) fn settle(&self, place: Place, hold: Hold, outcome: Outcome) {
        let mut state = self.lock();
        // Of a generation that is gone: the connection ends with its lease.
        let Some(AppPool { upstream, endpoints, .. }) = state.find(place) else { return };
        let Some(endpoint) = endpoints.get_mut(place.endpoint) else { return };
        endpoint.record.in_flight = endpoint.record.in_flight.saturating_sub(1);
        let ejected = outcome == Outcome::Failed && endpoint.record.failed(&upstream.config);
        if outcome == Outcome::Answered {
            endpoint.record.succeeded();
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
        if ejected && let Some(counters) = state.counters.get(place.app) {
            counters.upstream_ejections.up();
        }
    }

    /// A new HTTP/2 connection: shared from now on, and first of all by those who waited for it.
    pub(super) fn share(&self, place: Place, send: &http2::SendRequest<Outgoing>) {
        let mut state = self.lock();
        let Some(endpoint) = state.find(place).and_then(|pool| pool.endpoints.get_mut(place.endpoint)) else { return };
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
    pub(super) fn sweep(self: &Arc<Self>, watch: Arc<Watch>) {
        let mut sweep = self.sweep.lock().unwrap_or_else(PoisonError::into_inner);
        sweep.watches.push(watch);
        if !sweep.running {
            sweep.running = true;
            tokio::spawn(run_sweep(Arc::downgrade(self)));
        }
    }

    /// The upstream a lease is for, while its generation lives.
    pub(super) fn upstream_of(&self, place: Place) -> Option<Arc<Upstream>> {
        self.lock().find(place).map(|pool| Arc::clone(&pool.upstream))
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
            self.apps.resize_with(index.saturating_add(1), Vec::new);
        }
        let pools = self.apps.get_mut(index).ok_or(AccessError::UpstreamUnreachable)?;
        let at = match pools.iter().position(|pool| Arc::ptr_eq(&pool.upstream, upstream)) {
            Some(at) => at,
            None => {
                // Nobody but the pool still knows these: their generation has ended.
                pools.retain(|pool| Arc::strong_count(&pool.upstream) > 1);
                self.made += 1;
                pools.push(AppPool {
                    id: self.made,
                    upstream: Arc::clone(upstream),
                    next: 0,
                    endpoints: upstream.endpoints().iter().map(|_| EndpointPool::default()).collect(),
                });
                pools.len() - 1
            }
        };
        pools.get_mut(at).ok_or(AccessError::UpstreamUnreachable)
    }

    fn find(&mut self, place: Place) -> Option<&mut AppPool> {
        self.apps.get_mut(place.app)?.iter_mut().find(|pool| pool.id == place.pool)
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

/// Requests on one HTTP/2 connection and in its queue.
const MOST_STREAMS: usize = 1000;
/// Requests waiting for a connection to one endpoint.
const MOST_WAITING: usize = 1024;
