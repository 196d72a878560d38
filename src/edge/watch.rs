//! Deadlines without timers: each connection notes what it waits for and since when, and one sweep per worker looks
//! at all of them twice a second. A request sets no timer and reads no clock.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::admission::Admission;
use super::config::Limits;
use super::guard::{Refusal, RefusalCounts};
use crate::facts::{SharedClock, Tick};
use crate::telemetry::WorkerMetrics;

/// What a connection waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Phase {
    /// The PROXY header and the TLS handshake.
    Handshake = 0,
    /// The next request on a kept connection.
    Idle = 1,
    /// The rest of a request head; the time runs from its first byte.
    Head = 2,
    /// More of a request body; the time runs from the last byte.
    Body = 3,
    /// Another protocol after an upgrade, which has its own idle rule.
    Tunnel = 4,
    /// The client's close, after an answer that ended the connection early.
    Linger = 5,
    /// The rest of an HTTP/2 header block; the time runs from its first byte.
    Block = 6,
}

impl Phase {
    const fn from_code(code: u8) -> Self {
        match code {
            0 => Self::Handshake,
            1 => Self::Idle,
            2 => Self::Head,
            3 => Self::Body,
            4 => Self::Tunnel,
            5 => Self::Linger,
            _ => Self::Block,
        }
    }
}

/// What the sweep or the shutdown tells a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Order {
    /// Go on.
    Run = 0,
    /// Finish what is running, take nothing new.
    Drain = 1,
    /// Answer 408 to the head that did not come, then close.
    HeadTimeout = 2,
    /// Drop the connection now.
    Cut = 3,
}

/// Whether the guard may read past a request that asked for another protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Switch {
    /// No answer yet: what follows the request is held back.
    Undecided = 0,
    /// The answer stays with HTTP: what follows is the next request.
    Refused = 1,
    /// The other side accepted: what follows is the other protocol.
    Accepted = 2,
    /// The library is done with the connection and nobody accepted.
    Closed = 3,
}

/// The shared notes about one connection. All writers run on the connection's worker thread, so counting is a load and
/// a store; the sweep only reads them and gives orders.
#[derive(Debug)]
pub(super) struct Watch {
    now: Arc<AtomicU64>,
    phase: AtomicU8,
    since: AtomicU64,
    /// Whether the last thing the connection did was to wait for the client.
    waiting: AtomicBool,
    /// One more than the tick since which the client takes no bytes; 0 while it does.
    stalled: AtomicU64,
    in_flight: AtomicU32,
    order: AtomicU8,
    waker: Mutex<Option<Waker>>,
    /// HTTP/1 request heads the guard has let through, the stand-in for a refused one included.
    passed: AtomicU64,
    /// HTTP/1 requests the service was called with.
    served: AtomicU64,
    /// Code of the refusal that ends this connection, 0 for none.
    refusal: AtomicU8,
    switch: AtomicU8,
    /// Bytes came behind a request that asked for another protocol, before it was answered.
    early_bytes: AtomicBool,
}

impl Watch {
    fn new(now: Arc<AtomicU64>) -> Self {
        let since = now.load(Relaxed);
        Self {
            now,
            phase: AtomicU8::new(Phase::Handshake as u8),
            since: AtomicU64::new(since),
            waiting: AtomicBool::new(true),
            stalled: AtomicU64::new(0),
            in_flight: AtomicU32::new(0),
            order: AtomicU8::new(Order::Run as u8),
            waker: Mutex::new(None),
            passed: AtomicU64::new(0),
            served: AtomicU64::new(0),
            refusal: AtomicU8::new(0),
            switch: AtomicU8::new(Switch::Undecided as u8),
            early_bytes: AtomicBool::new(false),
        }
    }

    /// Notes what the connection is now about; the time starts anew when that changed.
    pub(super) fn enter(&self, phase: Phase) {
        if self.phase.load(Relaxed) != phase as u8 {
            self.phase.store(phase as u8, Relaxed);
            self.progress();
        }
    }

    /// Starts the time of the present phase anew.
    pub(super) fn progress(&self) {
        self.since.store(self.now.load(Relaxed), Relaxed);
    }

    /// Notes that nothing more came from the client although the connection asked.
    pub(super) fn wait(&self) {
        self.waiting.store(true, Relaxed);
    }

    /// Notes whether the client takes what it is sent.
    pub(super) fn written(&self, taken: bool) {
        if taken {
            self.stalled.store(0, Relaxed);
        } else if self.stalled.load(Relaxed) == 0 {
            self.stalled.store(self.now.load(Relaxed).saturating_add(1), Relaxed);
        }
    }

    pub(super) fn order(&self) -> Order {
        match self.order.load(Relaxed) {
            0 => Order::Run,
            1 => Order::Drain,
            2 => Order::HeadTimeout,
            _ => Order::Cut,
        }
    }

    /// Gives an order and wakes the connection. An order never becomes milder.
    pub(super) fn command(&self, order: Order) {
        if self.order.fetch_max(order as u8, Relaxed) < order as u8 {
            self.wake();
        }
    }

    pub(super) fn wake(&self) {
        let waker = self.waker.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Whom to wake when an order comes.
    pub(super) fn listen(&self, waker: &Waker) {
        let mut slot = self.waker.lock().unwrap_or_else(PoisonError::into_inner);
        if !slot.as_ref().is_some_and(|known| known.will_wake(waker)) {
            *slot = Some(waker.clone());
        }
    }

    /// The guard let a request head through.
    pub(super) fn pass_head(&self) {
        self.passed.store(self.passed.load(Relaxed).wrapping_add(1), Relaxed);
    }

    /// The service was called. Says whether this is a request the guard let through, and whether it is the last.
    pub(super) fn take_head(&self) -> Head {
        let served = self.served.load(Relaxed).wrapping_add(1);
        self.served.store(served, Relaxed);
        match served.cmp(&self.passed.load(Relaxed)) {
            std::cmp::Ordering::Less => Head::Earlier,
            std::cmp::Ordering::Equal => Head::Last,
            std::cmp::Ordering::Greater => Head::Unknown,
        }
    }

    /// Remembers why the connection will end. The first reason stays; says whether this was it.
    pub(super) fn refuse(&self, refusal: Refusal) -> bool {
        let first = self.refusal.load(Relaxed) == 0;
        if first {
            self.refusal.store(refusal.code(), Relaxed);
        }
        first
    }

    pub(super) fn refusal(&self) -> Option<Refusal> {
        match self.refusal.load(Relaxed) {
            0 => None,
            code => Refusal::from_code(code),
        }
    }

    pub(super) fn set_switch(&self, switch: Switch) {
        self.switch.store(switch as u8, Relaxed);
    }

    pub(super) fn switch(&self) -> Switch {
        match self.switch.load(Relaxed) {
            0 => Switch::Undecided,
            1 => Switch::Refused,
            2 => Switch::Accepted,
            _ => Switch::Closed,
        }
    }

    pub(super) fn set_early_bytes(&self, seen: bool) {
        self.early_bytes.store(seen, Relaxed);
    }

    pub(super) fn early_bytes(&self) -> bool {
        self.early_bytes.load(Relaxed)
    }

    /// A request begins; it ends when the returned mark is dropped.
    pub(super) fn begin_request(self: &Arc<Self>) -> InFlight {
        self.in_flight.store(self.in_flight.load(Relaxed).wrapping_add(1), Relaxed);
        InFlight { watch: Arc::clone(self) }
    }

    /// Milliseconds on the worker's coarse scale.
    pub(super) fn now(&self) -> u64 {
        self.now.load(Relaxed)
    }

    /// Whether the request last served is the last that the guard let through.
    pub(super) fn is_last(&self) -> bool {
        self.served.load(Relaxed) == self.passed.load(Relaxed)
    }

    /// What the sweep finds due at `now`.
    fn due(&self, now: Tick, limits: &Limits, slack: Duration) -> Option<Order> {
        let stalled = self.stalled.load(Relaxed);
        if stalled != 0 && now.since(Tick(stalled - 1)) >= limits.write_idle.saturating_add(slack) {
            return Some(Order::Cut);
        }
        if !self.waiting.load(Relaxed) {
            return None;
        }
        let phase = Phase::from_code(self.phase.load(Relaxed));
        let busy = self.in_flight.load(Relaxed) != 0;
        let (limit, order) = match phase {
            Phase::Handshake => (limits.handshake, Order::Cut),
            Phase::Idle if !busy => (limits.keepalive_idle, Order::Drain),
            Phase::Head if !busy => (limits.head, Order::HeadTimeout),
            Phase::Body => (limits.body_idle, Order::Cut),
            Phase::Linger => (LINGER, Order::Cut),
            Phase::Block => (limits.head, Order::Cut),
            Phase::Idle | Phase::Head | Phase::Tunnel => return None,
        };
        let over = now.since(Tick(self.since.load(Relaxed)));
        let due = limit.saturating_add(slack);
        // Who does not follow the mild order is cut a little later.
        let ignored = self.order() >= order && over >= due.saturating_add(LINGER);
        (over >= due).then_some(if ignored { Order::Cut } else { order })
    }
}

/// Where a request stands among those the guard let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Head {
    /// Others came behind it.
    Earlier,
    /// The latest one: a refusal, if there is one, is about it.
    Last,
    /// The guard knows nothing of it.
    Unknown,
}

/// A request in progress, from the call of the handler to the end of the response body.
#[derive(Debug)]
pub(super) struct InFlight {
    watch: Arc<Watch>,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let left = self.watch.in_flight.load(Relaxed).saturating_sub(1);
        self.watch.in_flight.store(left, Relaxed);
        if left == 0 {
            self.watch.progress();
        }
    }
}

/// The connections of one worker.
pub(super) struct Registry {
    clock: SharedClock,
    limits: Limits,
    now: Arc<AtomicU64>,
    metrics: Arc<WorkerMetrics>,
    refusals: Arc<RefusalCounts>,
    slots: Mutex<Slots>,
}

#[derive(Default)]
struct Slots {
    watches: Vec<Option<Arc<Watch>>>,
    free: Vec<usize>,
    open: usize,
    draining: bool,
}

impl Registry {
    pub(super) fn new(
        clock: SharedClock,
        limits: Limits,
        metrics: Arc<WorkerMetrics>,
        refusals: Arc<RefusalCounts>,
    ) -> Arc<Self> {
        let now = Arc::new(AtomicU64::new(clock.tick().0));
        Arc::new(Self { clock, limits, now, metrics, refusals, slots: Mutex::default() })
    }

    pub(super) const fn metrics(&self) -> &Arc<WorkerMetrics> {
        &self.metrics
    }

    pub(super) const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Enters a new connection; it leaves when the returned seat is dropped.
    pub(super) fn enter(self: &Arc<Self>, admission: Admission) -> Seat {
        let watch = Arc::new(Watch::new(Arc::clone(&self.now)));
        let mut slots = self.lock();
        let index = if let Some(index) = slots.free.pop() {
            if let Some(slot) = slots.watches.get_mut(index) {
                *slot = Some(Arc::clone(&watch));
            }
            index
        } else {
            slots.watches.push(Some(Arc::clone(&watch)));
            slots.watches.len() - 1
        };
        slots.open += 1;
        if slots.draining {
            watch.order.store(Order::Drain as u8, Relaxed);
        }
        drop(slots);
        self.metrics.connections.up();
        self.metrics.connections_open.up();
        Seat { watch, registry: Arc::clone(self), index, admission }
    }

    pub(super) fn open(&self) -> usize {
        self.lock().open
    }

    /// Tells every connection to finish, and every later one too.
    pub(super) fn drain(&self) {
        self.lock().draining = true;
        self.command_all(Order::Drain);
    }

    pub(super) fn cut_all(&self) {
        self.command_all(Order::Cut);
    }

    fn command_all(&self, order: Order) {
        for watch in self.lock().watches.iter().flatten() {
            watch.command(order);
        }
    }

    /// Looks at every connection for ever, at a span that fits the shortest deadline.
    pub(super) async fn sweep(&self) {
        let period = self.period();
        let mut beat = tokio::time::interval(period);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            beat.tick().await;
            let now = self.clock.tick();
            self.now.store(now.0, Relaxed);
            // A noted moment may be one period too early, so that much is added to every deadline.
            for watch in self.lock().watches.iter().flatten() {
                if let Some(order) = watch.due(now, &self.limits, period) {
                    watch.command(order);
                }
            }
        }
    }

    fn period(&self) -> Duration {
        let Limits { handshake, head, body_idle, write_idle, keepalive_idle, .. } = self.limits;
        let shortest = [handshake, head, body_idle, write_idle, keepalive_idle].into_iter().min().unwrap_or_default();
        (shortest / 4).clamp(SHORTEST_PERIOD, LONGEST_PERIOD)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection's place among those of its worker, with everything it counts against.
pub(super) struct Seat {
    watch: Arc<Watch>,
    registry: Arc<Registry>,
    index: usize,
    admission: Admission,
}

impl Seat {
    pub(super) const fn watch(&self) -> &Arc<Watch> {
        &self.watch
    }

    /// Remembers and counts why the connection will end.
    pub(super) fn refuse(&self, refusal: Refusal) {
        if self.watch.refuse(refusal) {
            self.registry.refusals.up(refusal);
        }
    }

    pub(super) fn refusals(&self) -> Arc<RefusalCounts> {
        Arc::clone(&self.registry.refusals)
    }

    /// Counts the connection for its client's address; `false` when that address has its fill.
    pub(super) fn count_for(&mut self, address: std::net::IpAddr) -> bool {
        self.admission.count_for(address)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut slots = self.registry.lock();
        if let Some(slot) = slots.watches.get_mut(self.index) {
            *slot = None;
        }
        slots.free.push(self.index);
        slots.open = slots.open.saturating_sub(1);
        drop(slots);
        self.registry.metrics.connections_open.down();
    }
}

/// Runs a connection until it ends or is cut; answers `None` when it was cut.
pub(super) struct Watched<F> {
    watch: Arc<Watch>,
    listening: bool,
    inner: F,
}

impl<F> Watched<F> {
    pub(super) const fn new(watch: Arc<Watch>, inner: F) -> Self {
        Self { watch, listening: false, inner }
    }
}

impl<F: Future + Unpin> Future for Watched<F> {
    type Output = Option<F::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        if !this.listening {
            // A task's waker stays the same for its whole life, so once is enough.
            this.watch.listen(cx.waker());
            this.listening = true;
        }
        if this.watch.order() == Order::Cut {
            return Poll::Ready(None);
        }
        this.watch.waiting.store(this.watch.phase.load(Relaxed) == Phase::Handshake as u8, Relaxed);
        Pin::new(&mut this.inner).poll(cx).map(Some)
    }
}

/// How long a client may take to close after we did, and to follow a mild order.
pub(super) const LINGER: Duration = Duration::from_secs(2);

const SHORTEST_PERIOD: Duration = Duration::from_millis(20);
const LONGEST_PERIOD: Duration = Duration::from_millis(500);
