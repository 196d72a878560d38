//! The thread that writes: batches lines, outlives a full disk, reports what was lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::Duration;

use super::file::Sink;
use super::{AuditError, Config, Message, line};
use crate::facts::{SharedClock, Tick};
use crate::telemetry::Metrics;

/// What other threads ask of the writer. Flags rather than messages, so that a full queue cannot hold them up.
#[derive(Debug, Default)]
pub(super) struct Flags {
    reopen: AtomicBool,
    close: AtomicBool,
}

impl Flags {
    pub(super) fn reopen(&self) {
        self.reopen.store(true, Ordering::Release);
    }

    pub(super) fn close(&self) {
        self.close.store(true, Ordering::Release);
    }
}

pub(super) struct Writer {
    sink: Sink,
    flags: Arc<Flags>,
    metrics: Arc<Metrics>,
    clock: SharedClock,
    seq: u64,
    /// Lines made but not yet written; `written` bytes of them are.
    batch: String,
    written: usize,
    records: u64,
    failing: bool,
    /// Lost events already told of, and when.
    told: u64,
    told_at: Option<Tick>,
}

impl Writer {
    pub(super) fn open(
        config: &Config,
        flags: Arc<Flags>,
        metrics: &Arc<Metrics>,
        clock: SharedClock,
    ) -> Result<Self, AuditError> {
        let sink = Sink::open(config.path.as_deref(), config.max_bytes, config.keep)
            .map_err(|source| AuditError::Open { path: config.path.clone().unwrap_or_default(), source })?;
        let told = metrics.control.audit_records_dropped.value();
        Ok(Self {
            sink,
            flags,
            metrics: Arc::clone(metrics),
            clock,
            seq: 0,
            batch: String::new(),
            written: 0,
            records: 0,
            failing: false,
            told,
            told_at: None,
        })
    }

    /// Runs until closed, or until nobody is left to record anything.
    pub(super) fn run(mut self, queue: &Receiver<Message>) {
        let mut pace = Pace::Wait;
        loop {
            self.reopen_if_asked();
            // While writing fails nothing more is taken from the queue: it holds, and then counts what does not fit.
            let blocked = !self.batch.is_empty();
            let next = if blocked {
                std::thread::sleep(RETRY);
                Ok(Message::Nudge)
            } else {
                pace.next(queue)
            };
            let Ok(message) = next else { break };
            self.take(message);
            if !blocked {
                self.fill(queue);
            }
            self.tell_of_lost();
            pace = Pace::after(self.batch.len());
            self.write();
            if self.flags.close.load(Ordering::Acquire) {
                break;
            }
        }
        self.finish(queue);
    }

    /// Writes what is left. Whatever still cannot be written is counted as lost.
    fn finish(&mut self, queue: &Receiver<Message>) {
        loop {
            self.write();
            if !self.batch.is_empty() || self.fill(queue) == 0 {
                break;
            }
        }
        let unwritten = self.records + u64::try_from(queue.try_iter().count()).unwrap_or(0);
        self.metrics.control.audit_records_dropped.add(unwritten);
        if let Err(error) = self.sink.sync() {
            tracing::warn!(%error, "audit records may not be on disk");
        }
    }

    /// Takes what waits, up to one batch; how many messages.
    fn fill(&mut self, queue: &Receiver<Message>) -> usize {
        let mut taken = 0;
        while self.batch.len() < BATCH {
            match queue.try_recv() {
                Ok(message) => self.take(message),
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
            }
            taken += 1;
        }
        taken
    }

    fn take(&mut self, message: Message) {
        if let Message::Event(at, event) = message {
            self.seq += 1;
            self.records += 1;
            line::write(&mut self.batch, self.seq, at, &event);
        }
    }

    fn tell_of_lost(&mut self) {
        let lost = self.metrics.control.audit_records_dropped.value();
        let now = self.clock.tick();
        let recently = self.told_at.is_some_and(|at| now.since(at) < TELL_EVERY);
        if lost == self.told || recently {
            return;
        }
        let count = lost.wrapping_sub(self.told);
        self.seq += 1;
        line::write_dropped(&mut self.batch, self.seq, self.clock.now(), count);
        tracing::warn!(count, "audit records were dropped because the queue was full");
        self.told = lost;
        self.told_at = Some(now);
    }

    /// Writes the batch as far as it goes; the rest is tried again later, so a line is never written twice or torn.
    fn write(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        match self.try_write() {
            Ok(()) => {
                self.metrics.control.audit_records.add(self.records);
                self.batch.clear();
                (self.written, self.records) = (0, 0);
                if self.failing {
                    tracing::warn!("audit records can be written again");
                }
                self.failing = false;
            }
            Err(error) => {
                self.metrics.control.audit_write_errors.up();
                if !self.failing {
                    tracing::warn!(%error, "audit records cannot be written; trying again");
                }
                self.failing = true;
            }
        }
        self.metrics.control.audit_failing.set(u64::from(self.failing));
    }

    fn try_write(&mut self) -> std::io::Result<()> {
        if self.written == 0 {
            self.sink.make_room(self.batch.len())?;
        }
        while let Some(rest) = self.batch.as_bytes().get(self.written..).filter(|rest| !rest.is_empty()) {
            match self.sink.write(rest) {
                Ok(0) => return Err(std::io::ErrorKind::WriteZero.into()),
                Ok(count) => self.written += count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn reopen_if_asked(&mut self) {
        if !self.flags.reopen.swap(false, Ordering::AcqRel) {
            return;
        }
        match self.sink.reopen() {
            // A line that was written in part begins anew in the new file.
            Ok(()) => {
                let done = self.batch.get(..self.written).unwrap_or_default();
                self.written = done.rfind('\n').map_or(0, |at| at + 1);
            }
            Err(error) => {
                tracing::warn!(%error, "the audit file could not be opened anew; still writing to the old one");
            }
        }
    }
}

/// How the next event is waited for. A request that finds this thread waiting in the queue has to wake it, for one line;
/// so while there is something to write, lines are gathered for a moment instead.
enum Pace {
    /// Nothing came lately: wait in the queue.
    Wait,
    /// Something came: give it a moment to become more.
    Gather,
    /// A whole batch came: go on at once.
    GoOn,
}

impl Pace {
    const fn after(batch: usize) -> Self {
        match batch {
            0 => Self::Wait,
            BATCH.. => Self::GoOn,
            _ => Self::Gather,
        }
    }

    fn next(self, queue: &Receiver<Message>) -> Result<Message, RecvTimeoutError> {
        match self {
            Self::Wait => match queue.recv_timeout(IDLE) {
                Err(RecvTimeoutError::Timeout) => Ok(Message::Nudge),
                next => next,
            },
            Self::Gather => {
                std::thread::sleep(GATHER);
                Ok(Message::Nudge)
            }
            Self::GoOn => Ok(Message::Nudge),
        }
    }
}

const BATCH: usize = 64 * 1024;
/// How long a failed write waits before it is tried again.
const RETRY: Duration = Duration::from_millis(100);
/// How long lines are gathered while there are some. The queue's default length is enough for 800,000 lines a second.
const GATHER: Duration = Duration::from_millis(10);
/// How often the thread looks around when nothing happens.
const IDLE: Duration = Duration::from_secs(1);
const TELL_EVERY: Duration = Duration::from_secs(10);
