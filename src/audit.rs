//! Layer 1: what happened, as one JSON line per event: decisions, sign-ins, ended sessions, changes.
//!
//! [`AuditLog::record`] never waits: events go into a bounded queue, a thread of its own writes them. What does not
//! fit is counted, and the count itself is written down. The hash chain that makes the file tamper-evident will be
//! added in [`mod@line`]: every line already has a sequence number, and one thread writes them all in order.

mod event;
mod file;
mod line;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

pub use event::{
    AccountAction, AdminAction, AuthKind, Decision, EndedBy, Event, Permission, SessionEnd, SessionId, SignIn,
    StreamCut, VerdictChange, WarningContinued, Who,
};

use crate::facts::{SharedClock, UnixTime};
use crate::policy::Verdict;
use crate::telemetry::Metrics;
use writer::{Flags, Writer};

/// Where and how much is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Whether anything is written at all.
    pub enabled: bool,
    /// Whether decisions that allow are written too.
    pub allows: bool,
    /// The file; standard output if there is none.
    pub path: Option<PathBuf>,
    /// Events waiting to be written; beyond it they are dropped and counted.
    pub queue: usize,
    /// The file is put aside when it would grow beyond this.
    pub max_bytes: Option<u64>,
    /// Files put aside that are kept: `path.1` is the newest.
    pub keep: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { enabled: true, allows: true, path: None, queue: 8192, max_bytes: Some(100 * 1024 * 1024), keep: 5 }
    }
}

/// The audit log could not be started.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The file cannot be opened for appending.
    #[error("the audit file {} cannot be opened", .path.display())]
    Open {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The writing thread could not be started.
    #[error("the audit thread could not be started")]
    Thread(#[source] std::io::Error),
}

/// Takes events. Cheap to clone; give every part its own.
#[derive(Clone)]
pub struct AuditLog {
    shared: Option<Arc<Shared>>,
}

struct Shared {
    queue: SyncSender<Message>,
    flags: Arc<Flags>,
    clock: SharedClock,
    metrics: Arc<Metrics>,
    allows: bool,
}

impl AuditLog {
    /// Opens the file and starts the writing thread. Join the handle after [`AuditLog::close`].
    ///
    /// # Errors
    /// When the file cannot be opened: a gateway that was told to keep records does not start without.
    pub fn start(
        config: &Config,
        clock: SharedClock,
        metrics: Arc<Metrics>,
    ) -> Result<(Self, JoinHandle<()>), AuditError> {
        if !config.enabled {
            let done = std::thread::Builder::new().spawn(|| ()).map_err(AuditError::Thread)?;
            return Ok((Self::off(), done));
        }
        let (queue, events) = sync_channel(config.queue.max(1));
        let flags = Arc::new(Flags::default());
        let writer = Writer::open(config, Arc::clone(&flags), &metrics, Arc::clone(&clock))?;
        let thread = std::thread::Builder::new().name("audit".to_owned());
        let handle = thread.spawn(move || writer.run(&events)).map_err(AuditError::Thread)?;
        let shared = Shared { queue, flags, clock, metrics, allows: config.allows };
        Ok((Self { shared: Some(Arc::new(shared)) }, handle))
    }

    /// A log that writes nothing.
    #[must_use]
    pub const fn off() -> Self {
        Self { shared: None }
    }

    /// Whether a decision with this verdict is written. Ask before gathering what the record needs.
    #[must_use]
    pub fn wants(&self, verdict: Verdict) -> bool {
        self.shared.as_ref().is_some_and(|shared| shared.allows || verdict != Verdict::Allow)
    }

    /// Records a decision; `gather` runs only if it will be written.
    pub fn decided(&self, verdict: Verdict, gather: impl FnOnce() -> Decision) {
        if self.wants(verdict) {
            self.record(Event::Decision(Box::new(gather())));
        }
    }

    /// Counts a session that ended and writes it down.
    pub fn session_ended(&self, metrics: &Metrics, ended: SessionEnd) {
        metrics.control.session_ended(ended.reason);
        self.record(Event::SessionEnded(ended));
    }

    /// Records an event, stamped with the time of this call. Never waits.
    pub fn record(&self, event: Event) {
        let Some(shared) = &self.shared else { return };
        let message = Message::Event(shared.clock.now(), event);
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = shared.queue.try_send(message) {
            shared.metrics.control.audit_records_dropped.up();
        }
    }

    /// Opens the file anew, after it was moved away (SIGHUP).
    pub fn reopen(&self) {
        self.raise(Flags::reopen);
    }

    /// Writes what waits, then ends the writing thread. Later events are dropped and counted.
    pub fn close(&self) {
        self.raise(Flags::close);
    }

    fn raise(&self, flag: impl FnOnce(&Flags)) {
        if let Some(shared) = &self.shared {
            flag(&shared.flags);
            // A full queue needs no nudge: the thread looks at the flags after the next event.
            let _ = shared.queue.try_send(Message::Nudge);
        }
    }
}

/// What the writing thread receives.
enum Message {
    Event(UnixTime, Event),
    /// Wakes the thread, so that it looks at its flags.
    Nudge,
}

#[cfg(test)]
mod tests;
