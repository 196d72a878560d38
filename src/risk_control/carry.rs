//! Carrying a task out: this gateway's part at once, then Microsoft's, as often as the budget allows.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::order::{ActionKind, Reach};
use super::task::{Fault, Task, TaskState};
use super::{Actions, Call};
use crate::audit::{EndedBy, SessionEnd, SessionId};
use crate::cut::CutReason;
use crate::entra::graph::{Backoff, Outcome};
use crate::facts::{Hold, TenantId, UnixTime};
use crate::session::{SessionKey, Which};
use crate::store::StoreError;

impl Actions {
    /// Does this gateway's part of a task that has just been let go, and leaves the rest to the worker. The caller has
    /// marked it as running.
    pub(super) async fn let_go(&self, task: Task) -> Task {
        let id = task.id;
        let task = self.do_here(task).await;
        self.inner.ledger.lock().await.end(id);
        if let Some(wake) = self.inner.wake.get(&task.order.user.tenant) {
            wake.notify_one();
        }
        task
    }

    /// Does one task of the tenant whose time has come, if any. Returns how long there is nothing to do; `None` for as
    /// long as nobody orders anything.
    pub(super) async fn step(&self, tenant: TenantId) -> Option<Duration> {
        let taken = {
            let mut ledger = self.inner.ledger.lock().await;
            ledger.settle().await;
            ledger.take_due(tenant, self.inner.clock.now())
        };
        let task = match taken {
            Ok(task) => task,
            Err(wait) => return wait,
        };
        let id = task.id;
        // Not done here: the process died before, or the store failed.
        let task = if task.done_here { task } else { self.do_here(task).await };
        if task.done_here && matches!(task.state, TaskState::InProgress { .. }) {
            self.ask(task).await;
        }
        self.inner.ledger.lock().await.end(id);
        Some(Duration::ZERO)
    }

    /// Works for one tenant until told to stop; a call under way is finished first.
    pub(super) async fn work(&self, tenant: TenantId, stopping: &CancellationToken) {
        let Some(wake) = self.inner.wake.get(&tenant) else { return };
        while !stopping.is_cancelled() {
            let wait = self.step(tenant).await;
            let wait = wait.map_or(LONGEST_SLEEP, |wait| wait.min(LONGEST_SLEEP));
            if wait.is_zero() {
                continue;
            }
            tokio::select! {
                () = stopping.cancelled() => {}
                () = wake.notified() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// This gateway's part. Sessions end and blocks hold even if Microsoft refuses everything later.
    async fn do_here(&self, mut task: Task) -> Task {
        let (user, kind) = (task.order.user, task.order.kind);
        let now = self.inner.clock.now();
        let done = match kind {
            ActionKind::Block(reach) => self.set_hold(&mut task, reach, true).await,
            ActionKind::Unblock(reach) => self.set_hold(&mut task, reach, false).await,
            ActionKind::Watch => self.inner.directory.set_watched(user, now.plus(self.settings().watch)).await,
            ActionKind::Unwatch => self.inner.directory.set_watched(user, UnixTime(0)).await,
            _ if kind.ends_sessions() => {
                let what = self.end_sessions(&task).await;
                task.mark(now, what);
                Ok(())
            }
            _ => Ok(()),
        };
        match done {
            Ok(()) => {
                task.done_here = true;
                if Call::of(kind, false).is_none() {
                    task.turn(now, TaskState::Successful { at: now });
                }
            }
            // There is no directory to keep it in, so it would have no effect.
            Err(StoreError::NotKept) => {
                task.turn(now, TaskState::Unsuccessful { fault: Fault::NotConfigured });
            }
            Err(error) => {
                tracing::error!(error = %error, user = %user, action = kind.word(), "the store did not take an account action");
                self.retry(&mut task, None);
            }
        }
        self.conclude(&task).await;
        task
    }

    /// Microsoft's part, once.
    async fn ask(&self, mut task: Task) {
        let Some(call) = Call::of(task.order.kind, self.settings().reset_with_mfa) else { return };
        let outcome = self.inner.hands.ask(task.order.user, call).await;
        let now = self.inner.clock.now();
        let failed = |fault| TaskState::Unsuccessful { fault };
        match outcome {
            Some(Outcome::Done) => task.turn(now, TaskState::Successful { at: now }),
            Some(Outcome::Retry(asked)) => self.retry(&mut task, asked),
            Some(Outcome::Denied(why)) => task.turn(now, failed(Fault::of_denied(why))),
            Some(Outcome::NotFound) => task.turn(now, failed(Fault::NoSuchAccount)),
            Some(Outcome::Failed(error)) => {
                tracing::error!(error = %error, task = task.id.0, "an account action failed");
                task.turn(now, failed(Fault::of_error(&error)));
            }
            None => task.turn(now, failed(Fault::NotConfigured)),
        }
        self.conclude(&task).await;
    }

    /// Puts the next try off, or gives up.
    fn retry(&self, task: &mut Task, asked: Option<Duration>) {
        let TaskState::InProgress { attempt, .. } = task.state else { return };
        let now = self.inner.clock.now();
        let mut backoff = Backoff::new(self.settings().retries);
        for _ in 0..attempt {
            // Only counted: what was waited before is over.
            let _waited = backoff.next(None);
        }
        match backoff.next(asked) {
            Some(wait) => {
                let next =
                    UnixTime(now.0.saturating_add(wait.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX)));
                task.mark(
                    now,
                    format!("try {} did not succeed; the next in {} s", attempt + 1, next.since(now).as_secs()),
                );
                task.state = TaskState::InProgress { attempt: attempt + 1, next };
            }
            None => task.turn(now, TaskState::Unsuccessful { fault: Fault::GaveUp }),
        }
    }

    /// Keeps what has happened to a task, and what it means for the task it took back.
    async fn conclude(&self, task: &Task) {
        let mut ledger = self.inner.ledger.lock().await;
        // In one write: after a death in between, the one that was taken back would not know it.
        let mut happened = vec![task.clone()];
        if let (TaskState::Successful { at }, Some(undone)) = (&task.state, task.order.undoes)
            && let Some(mut undone) = ledger.get(undone).cloned()
        {
            undone.undone_by = Some(task.id);
            undone.mark(*at, format!("taken back by task {}", task.id));
            happened.push(undone);
        }
        ledger.record(happened).await;
        drop(ledger);
        if !matches!(task.state, TaskState::InProgress { .. }) {
            self.record(task);
        }
    }

    pub(super) async fn set_hold(&self, task: &mut Task, reach: Reach, on: bool) -> Result<(), StoreError> {
        let user = task.order.user;
        // Two at once, each of one half, would each write back what the other has just changed.
        let _turn = self.inner.holding.lock().await;
        let before = self.standing(user).hold;
        let after = Hold {
            private: if reach.private() { on } else { before.private },
            internet: if reach.internet() { on } else { before.internet },
        };
        // Kept from the first try, and before anything is done: after a crash everything would look as if it had been so
        // before, and nothing would be taken back.
        if on && task.newly.is_none() {
            let newly =
                Hold { private: after.private && !before.private, internet: after.internet && !before.internet };
            task.newly = Reach::of(newly);
            if task.newly.is_some() {
                self.inner.ledger.lock().await.change(task.clone()).await?;
            }
        }
        self.inner.directory.set_hold(user, after).await
    }

    /// Ends the sessions that were there when the task was let go; somebody who signs in after that has a right to.
    async fn end_sessions(&self, task: &Task) -> String {
        let user = task.order.user;
        let until = task.started.unwrap_or(task.created);
        let by = if task.is_by_hand() { EndedBy::Admin } else { EndedBy::Rule };
        let (reason, which) = (CutReason::Revoked, Which::BegunBy(until));
        let (ended, settled) = self.inner.sessions.end_some(user, which, reason).await;
        for SessionKey(key) in &ended {
            let ended = SessionEnd { user, session: SessionId::of(key), reason, by };
            self.inner.audit.session_ended(&self.inner.metrics, ended);
        }
        let count = ended.len();
        match settled {
            Ok(()) => format!("{count} sessions ended here"),
            // They are over in this process, and the removal is repeated until it is on disk.
            Err(error) => format!("{count} sessions ended here, not on disk yet ({error})"),
        }
    }
}

/// What takes a task back: of a block only what was not blocked before.
pub(super) fn taking_back(task: &Task) -> Option<ActionKind> {
    match task.order.kind {
        ActionKind::Block(_) => task.newly.map(ActionKind::Unblock),
        kind => kind.inverse(),
    }
}

/// A worker looks this often even if nobody wakes it; the clock that tasks count by is not the timer's.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);
