//! Deadlines and cuts of HTTP/1.1 connections without a timer per request.
//!
//! A request only writes its phase into its connection's [`Watch`]; one sweep per worker looks at all connections a
//! few times per second and aborts those that stood still for too long, or whose permission was taken back. Nothing
//! reads a clock on the request path: the sweep counts how often it saw the same state.

use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::task::AbortHandle;

use crate::access::private::config::UpstreamConfig;
use crate::cut::{Cut, CutReason};

/// Time between two looks; the most by which a deadline is overrun and a cut is late.
pub(super) const SWEEP: Duration = Duration::from_millis(200);

/// What the connection is doing for its current request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(in crate::access::private) enum Phase {
    /// In the pool.
    Idle = 0,
    /// The request is sent; the response head is awaited.
    Head = 1,
    /// The client is asked for more of its body; the edge's deadline applies, for HTTP/2 the body's own.
    Uploading = 2,
    /// The client waits for the next piece of the response body.
    Body = 3,
    /// The client has something to read; the edge's deadline applies.
    Delivering = 4,
}

/// Why a connection was aborted from within.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(in crate::access::private) enum Fired {
    /// No response head, or no next piece of the body, in time.
    Late = 1,
    /// The permission was taken back.
    Cut = 2,
    /// The request body is larger than allowed.
    TooLarge = 3,
    /// The client's body broke off.
    ClientBroke = 4,
    /// It was idle for long enough.
    Idle = 5,
    /// Nothing more came of the client's body.
    ClientStalled = 6,
}

/// The state of one connection, written by its request and read by the sweep.
pub(in crate::access::private) struct Watch {
    /// The phase in the low byte, a counter of steps above it.
    state: AtomicU64,
    fired: AtomicU8,
    cut: Mutex<Option<Cut>>,
    task: OnceLock<AbortHandle>,
    limits: Limits,
    seen: AtomicU64,
    stood: AtomicU32,
}

/// Sweeps without a step until the connection is aborted; zero: never.
#[derive(Debug, Clone, Copy)]
struct Limits {
    idle: u32,
    head: u32,
    body: u32,
}

impl Watch {
    pub(in crate::access::private) fn new(config: &UpstreamConfig) -> Self {
        Self {
            state: AtomicU64::new(0),
            fired: AtomicU8::new(0),
            cut: Mutex::new(None),
            task: OnceLock::new(),
            limits: Limits {
                idle: sweeps(config.idle_timeout),
                head: sweeps(config.response_timeout),
                body: sweeps(config.body_idle),
            },
            seen: AtomicU64::new(0),
            stood: AtomicU32::new(0),
        }
    }

    /// Remembers the connection's task, so that it can be aborted.
    pub(in crate::access::private) fn guards(&self, task: AbortHandle) {
        // Set once, right after spawning; there is nobody to race with.
        let _ = self.task.set(task);
    }

    /// A step: something moved, or another phase began. Only the request that holds the connection calls it.
    pub(in crate::access::private) fn step(&self, phase: Phase) {
        let steps = self.state.load(Ordering::Relaxed) >> 8;
        self.state.store((steps.wrapping_add(1) << 8) | u64::from(phase as u8), Ordering::Relaxed);
    }

    /// The phase goes on without anything having moved.
    pub(in crate::access::private) fn wait(&self, phase: Phase) {
        if self.state.load(Ordering::Relaxed) & 0xff != u64::from(phase as u8) {
            self.step(phase);
        }
    }

    /// Counts every step; for deadlines that are kept elsewhere.
    pub(in crate::access::private) fn steps(&self) -> u64 {
        self.state.load(Ordering::Relaxed) >> 8
    }

    /// Whether this is the current phase.
    pub(in crate::access::private) fn is_in(&self, phase: Phase) -> bool {
        self.state.load(Ordering::Relaxed) & 0xff == u64::from(phase as u8)
    }

    /// Whose permission the current request stands on.
    pub(in crate::access::private) fn under(&self, cut: &Cut) {
        *self.cut.lock().unwrap_or_else(PoisonError::into_inner) = Some(cut.clone());
    }

    /// Notes why the connection ends, if nothing was noted before, and aborts it.
    pub(in crate::access::private) fn fire(&self, why: Fired) {
        let _ = self.fired.compare_exchange(0, why as u8, Ordering::Relaxed, Ordering::Relaxed);
        if let Some(task) = self.task.get() {
            task.abort();
        }
    }

    /// Why the connection was aborted from within, if it was.
    pub(in crate::access::private) fn fired(&self) -> Option<Fired> {
        let fired = self.fired.load(Ordering::Relaxed);
        [Fired::Late, Fired::Cut, Fired::TooLarge, Fired::ClientBroke, Fired::Idle, Fired::ClientStalled]
            .into_iter()
            .find(|why| *why as u8 == fired)
    }

    /// The reason of the cut, for answers and logs.
    pub(in crate::access::private) fn cut_reason(&self) -> CutReason {
        let cut = self.cut.lock().unwrap_or_else(PoisonError::into_inner);
        cut.as_ref().and_then(Cut::reason).unwrap_or(CutReason::VerdictChanged)
    }

    /// One look of the sweep. `false` once the connection is gone.
    pub(super) fn look(&self) -> bool {
        if self.task.get().is_some_and(AbortHandle::is_finished) {
            return false;
        }
        let state = self.state.load(Ordering::Relaxed);
        let phase = state & 0xff;
        if phase != u64::from(Phase::Idle as u8) && self.is_cut() {
            self.fire(Fired::Cut);
            return false;
        }
        if state != self.seen.load(Ordering::Relaxed) {
            self.seen.store(state, Ordering::Relaxed);
            self.stood.store(0, Ordering::Relaxed);
            return true;
        }
        let stood = self.stood.load(Ordering::Relaxed).saturating_add(1);
        self.stood.store(stood, Ordering::Relaxed);
        let (limit, why) = match phase {
            0 => (self.limits.idle, Fired::Idle),
            1 => (self.limits.head, Fired::Late),
            3 => (self.limits.body, Fired::Late),
            _ => return true,
        };
        if limit == 0 || stood < limit {
            return true;
        }
        self.fire(why);
        false
    }

    /// Whether the yes of the current request has been taken back.
    pub(in crate::access::private) fn is_cut(&self) -> bool {
        self.cut.lock().unwrap_or_else(PoisonError::into_inner).as_ref().is_some_and(Cut::is_raised)
    }
}

/// How many sweeps make up at least `span`; zero stays zero.
fn sweeps(span: Duration) -> u32 {
    let looks = span.as_millis().div_ceil(SWEEP.as_millis());
    u32::try_from(looks).unwrap_or(u32::MAX)
}
