//! Reads users and groups: all of them once, then what changes.
//!
//! A page that has broken items is applied, but from then on nobody is removed and no link is stored until a whole
//! reading has succeeded: what is not there may have been in the broken part.

use std::sync::Arc;
use std::time::Duration;

use super::super::desk::Desk;
use super::super::schedule::{Last, Schedule};
use super::super::{Phase, Round, SyncKind, Update};
use super::{Fault, noise, patiently};
use crate::entra::graph::{GraphError, Link, Next, Walk};
use crate::facts::Tick;

/// One of the two readings.
struct Reading {
    kind: SyncKind,
    /// Where to ask for changes; `None` before a full reading has been done.
    delta: Option<String>,
    /// Something was missed: when to read all anew, and how often that has been so.
    missed: Option<(Tick, u32)>,
}

/// One page of either.
struct Batch {
    update: Update,
    items: usize,
    broken: usize,
    next: Next,
}

pub(super) async fn run(desk: Arc<Desk>) {
    let mut readings = [SyncKind::Users, SyncKind::Groups].map(|kind| Reading::stored(&desk, kind));
    let (clock, rhythm) = (Arc::clone(&desk.office.clock), desk.office.config.rhythm);
    // What is known from before a restart is brought up to date at once.
    let is_known = readings.iter().all(|reading| reading.delta.is_some());
    let first = if is_known { Duration::ZERO } else { rhythm.first };
    let schedule = Schedule::new(clock.tick(), first, rhythm.people);
    let mut last = Last::Never;
    loop {
        let due = schedule.next(last, clock.tick(), noise());
        for reading in &readings {
            desk.plans(reading.kind, due);
        }
        desk.wait_until(due, &desk.wake.people).await;
        let mut failed: Option<Duration> = None;
        for reading in &mut readings {
            if let Err(fault) = reading.cycle(&desk).await {
                failed = Some(failed.unwrap_or_default().max(fault));
            }
        }
        last = failed.map_or(Last::Done, |asked| last.failed((!asked.is_zero()).then_some(asked)));
    }
}

impl Reading {
    fn stored(desk: &Desk, kind: SyncKind) -> Self {
        // A full reading that was interrupted is begun anew, since whether all of it could be read is no longer known;
        // so is one whose link leads elsewhere, now that Graph has another address.
        let delta = match desk.office.directory.round(desk.tenant, kind) {
            Some(Round::Ends { delta, .. }) => Some(delta).filter(|delta| desk.graph().link(delta).is_ok()),
            _ => None,
        };
        Self { kind, delta, missed: None }
    }

    /// Reads once and shows how it went; `Err` with the wait that was asked for.
    async fn cycle(&mut self, desk: &Desk) -> Result<(), Duration> {
        let now = desk.office.clock.tick();
        let again = self.missed.is_some_and(|(due, _)| due <= now);
        let mut full = self.delta.is_none() || again;
        desk.begins(self.kind, full);
        let mut outcome = self.read(desk, full).await;
        if let (false, Err(Fault::Graph(GraphError::Resync))) = (full, &outcome) {
            tracing::warn!(tenant = %desk.tenant, kind = self.kind.word(), "the delta link expired; reading all anew");
            full = true;
            desk.begins(self.kind, full);
            outcome = self.read(desk, full).await;
        }
        let Err(fault) = outcome else {
            if self.missed.is_some() {
                // An update does not make up for what an incomplete reading missed: its error stays.
                desk.show(self.kind, |progress| progress.phase = Phase::UpdateDone);
            } else {
                desk.ended(self.kind, full);
            }
            return Ok(());
        };
        if matches!(fault, Fault::Graph(GraphError::Denied(_) | GraphError::NoToken { .. })) {
            desk.doubt();
        }
        desk.failed(self.kind, fault.word(), fault.to_string());
        // An incomplete reading has its own, slower rhythm, and updates go on meanwhile.
        if matches!(fault, Fault::Incomplete(_)) { Ok(()) } else { Err(fault.retry_after().unwrap_or_default()) }
    }

    async fn read(&mut self, desk: &Desk, full: bool) -> Result<(), Fault> {
        let graph = desk.graph();
        // Once a full reading has begun, only another full one may end it, or it would remove whom it had not reached.
        if full {
            self.delta = None;
        }
        let mut link = self.delta.as_deref().map(|stored| graph.link(stored)).transpose()?;
        let (mut walk, mut broken, mut first) = (Walk::new(MOST_PAGES), 0, true);
        let delta = loop {
            let batch = patiently(desk, || fetch(desk, self.kind, link.clone())).await?;
            let Batch { mut update, items, next, .. } = batch;
            broken += batch.broken;
            let whole = broken == 0 && (full || self.missed.is_none());
            let round = match &next {
                Next::More(next) if full && first => Some(Round::FullBegins { next: next.as_str().to_owned() }),
                Next::More(next) if full => Some(Round::GoesOn { next: next.as_str().to_owned() }),
                Next::Delta(delta) if whole => {
                    Some(Round::Ends { delta: delta.as_str().to_owned(), was_full: full && first })
                }
                // The stored link stays: changes may be read twice without harm.
                _ => None,
            };
            match self.kind {
                SyncKind::Users => update.users_round = round,
                _ => update.groups_round = round,
            }
            desk.office.directory.apply(desk.tenant, update).await?;
            let items = u64::try_from(items).unwrap_or(u64::MAX);
            desk.show(self.kind, |progress| progress.read = progress.read.saturating_add(items));
            first = false;
            match next {
                Next::More(next) => {
                    walk.follow(&next)?;
                    link = Some(next);
                }
                Next::Delta(delta) => break delta,
                Next::End => return Err(GraphError::Malformed.into()),
            }
        };
        self.delta = Some(delta.as_str().to_owned());
        self.settle(desk, full, broken)
    }

    /// After the last page: what was missed, and when to read all anew because of it.
    fn settle(&mut self, desk: &Desk, full: bool, broken: usize) -> Result<(), Fault> {
        if broken == 0 {
            if full {
                self.missed = None;
            }
            return Ok(());
        }
        let times = self.missed.map_or(0, |(_, times)| times);
        if full || self.missed.is_none() {
            let wait = (FIRST_AGAIN * 2u32.saturating_pow(times.min(8))).min(LAST_AGAIN);
            self.missed = Some((desk.office.clock.tick().plus(wait), times + 1));
        }
        Err(Fault::Incomplete(broken))
    }
}

async fn fetch(desk: &Desk, kind: SyncKind, link: Option<Link>) -> Result<Batch, GraphError> {
    let graph = desk.graph();
    if kind == SyncKind::Users {
        let page = graph.users_delta(link.as_ref()).await?;
        let items = page.items.len();
        let update = Update { users: page.items, ..Update::default() };
        return Ok(Batch { update, items, broken: page.broken, next: page.next });
    }
    let page = graph.groups_delta(link.as_ref()).await?;
    let items = page.items.len();
    let update = Update { groups: page.items, ..Update::default() };
    Ok(Batch { update, items, broken: page.broken, next: page.next })
}

/// A million users come in 5,000 pages.
const MOST_PAGES: usize = 20_000;
/// How long after an incomplete reading all is read anew; twice as long each time.
const FIRST_AGAIN: Duration = Duration::from_secs(60);
const LAST_AGAIN: Duration = Duration::from_secs(6 * 3600);
