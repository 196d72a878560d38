//! The background of the sessions: ends what is over, writes down last uses, repeats what the disk refused.

use std::future::Future;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::pulse::Pulse;
use super::record::LastUse;
use super::{SessionError, SessionKey, Sessions};
use crate::cut::CutReason;
use crate::facts::UnixTime;
use crate::store::{Batch, Table};

impl Sessions {
    /// Runs until `shutdown` is ready, then writes down the last uses once more. Spawn it on the control runtime.
    pub async fn run_background(self, shutdown: impl Future<Output = ()> + Send) {
        let mut shutdown = std::pin::pin!(shutdown);
        let mut heard = self.inner.peers.subscribe();
        let (mut sweep, mut flush) = (interval(SWEEP_EVERY), interval(FLUSH_EVERY));
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        flush.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let result = tokio::select! {
                biased;
                () = &mut shutdown => break,
                announcement = heard.next() => self.obey(announcement).await.map(drop),
                _ = sweep.tick() => self.sweep().await,
                _ = flush.tick() => self.flush().await,
            };
            log_failure(result);
        }
        log_failure(self.flush().await);
    }

    /// Ends the sessions whose time is over, and repeats endings that are not on disk yet.
    pub(super) async fn sweep(&self) -> Result<(), SessionError> {
        let over = self.inner.index().take_due(self.inner.clock.tick());
        // Not announced: the other gateways know the time themselves.
        let ended = self.end_here(&over, CutReason::Expired).await;
        self.settle(None).await?;
        ended.map(drop)
    }

    /// Writes down the last uses that are not on disk yet.
    pub(super) async fn flush(&self) -> Result<(), SessionError> {
        let mut after = None;
        loop {
            let (batch, saved, last) = self.last_uses_after(after)?;
            self.inner.store.write(batch).await?;
            for (pulse, idle_from) in saved {
                pulse.mark_saved(idle_from);
            }
            if last.is_none() {
                return Ok(());
            }
            after = last;
        }
    }

    /// One step of [`Sessions::flush`]: the last key is `None` after the last step.
    fn last_uses_after(
        &self,
        after: Option<SessionKey>,
    ) -> Result<(Batch, Vec<Saved>, Option<SessionKey>), SessionError> {
        let (now, wall) = (self.inner.clock.tick(), self.inner.clock.now());
        let mut uses = Vec::new();
        let mut last = None;
        for (key, entry) in self.inner.index().after(after, STEP) {
            last = Some(*key);
            if entry.live.strong_count() == 0 {
                // The weak handle alone would keep the memory of a session nobody holds.
                entry.live = Weak::new();
            }
            if let Some(idle_from) = entry.pulse.unsaved(now) {
                let at = UnixTime(wall.0.saturating_sub(entry.pulse.unused_for(now).as_secs()));
                let use_ = LastUse { at, left_secs: entry.pulse.left(now).as_secs() };
                uses.push((*key, use_, Arc::clone(&entry.pulse), idle_from));
            }
        }
        let (mut batch, mut saved) = (Batch::new(), Vec::with_capacity(uses.len()));
        for (key, use_, pulse, idle_from) in uses {
            let sealed = use_.seal(&self.inner.keyring, &key)?;
            batch.put_if((Table::Sessions, &key.0), Table::LastUse, &key.0, &sealed);
            saved.push((pulse, idle_from));
        }
        Ok((batch, saved, last))
    }
}

type Saved = (Arc<Pulse>, u64);

fn log_failure(result: Result<(), SessionError>) {
    if let Err(error) = result {
        tracing::warn!(error = &error as &dyn std::error::Error, "sessions could not be written; will be repeated");
    }
}

/// How late an open stream may notice the end of its session's lifetime.
const SWEEP_EVERY: Duration = Duration::from_secs(1);
/// How much of a last use a crash may lose.
const FLUSH_EVERY: Duration = Duration::from_secs(15);
/// Sessions looked at under one lock.
const STEP: usize = 1000;
