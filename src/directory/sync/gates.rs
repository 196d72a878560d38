//! Looks after a tenant's permissions: proves them now and then, at once when a job was refused, and every few seconds
//! while an administrator watches.
//!
//! Microsoft tells nobody about a change, and an issued token keeps its roles until it ends. So proving means a new
//! token; that is done often only while somebody looks, since asking in a loop is punished (AADSTS50196).

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::super::desk::Desk;
use super::super::gates::{Before, NOT_IN_CLOUD, Witness, look};
use super::super::{Gate, GateStatus, SyncKind};
use crate::facts::{RiskSource, Tick};

pub(super) async fn run(desk: Arc<Desk>) {
    loop {
        let fresh = desk.take_doubt() || is_watched(&desk) || !is_whole(&desk);
        prove(&desk, fresh, false).await;
        let rest = rest(&desk);
        let due = desk.office.clock.tick().plus(rest);
        wait(&desk, due).await;
    }
}

/// Waits for the next look; somebody who begins to watch shortens it.
async fn wait(desk: &Desk, due: Tick) {
    let clock = &desk.office.clock;
    let began = clock.tick();
    loop {
        let now = clock.tick();
        let soon = if is_watched(desk) { began.plus(WATCHED_EVERY) } else { due };
        let until = soon.min(due);
        if until <= now {
            return;
        }
        let part = now.plus(LOOK_AROUND).min(until);
        desk.wait_until(part, &desk.wake.gates).await;
        // Rung, or time for the next part.
        if clock.tick() < part {
            return;
        }
    }
}

/// Proves both permissions, with a new token if `fresh`, and lets jobs go on that were waiting for one. Graph is asked
/// even where a job reads well if it is `asked` for.
pub(in super::super) async fn prove(desk: &Desk, fresh: bool, asked: bool) {
    let mut renewed = desk.proving.lock().await;
    renew(desk, &mut renewed, fresh).await;
    let witness = |kind| if !asked && desk.reads_well(kind) { Witness::Job } else { Witness::Graph };
    prove_one(desk, Gate::Directory, witness(SyncKind::Groups)).await;
    // While upload is off Graph is asked nothing about risk; the token says what is granted.
    let witness = if desk.upload() { witness(SyncKind::Risk) } else { Witness::Nobody };
    prove_one(desk, Gate::Risk, witness).await;
}

/// Proves with a question whether risk can be read, although upload may be off; for whoever turns it on.
pub(in super::super) async fn prove_risk(desk: &Desk) -> bool {
    let mut renewed = desk.proving.lock().await;
    renew(desk, &mut renewed, true).await;
    prove_one(desk, Gate::Risk, Witness::Graph).await
}

/// A new token, but not sooner than [`RENEWAL_GAP`] after the last.
async fn renew(desk: &Desk, renewed: &mut Option<Tick>, fresh: bool) {
    if !fresh {
        return;
    }
    if let Some(last) = *renewed {
        let free = last.plus(RENEWAL_GAP);
        desk.pause(free.since(desk.office.clock.tick())).await;
    }
    *renewed = Some(desk.office.clock.tick());
    desk.graph().renew_token().await;
}

async fn prove_one(desk: &Desk, gate: Gate, witness: Witness) -> bool {
    if gate == Gate::Risk && !desk.office.config.has_risk {
        desk.set_gate(gate, GateStatus::Error { reason: NOT_IN_CLOUD.to_owned() });
        return false;
    }
    let status = desk.gate(gate);
    let switches = desk.switches();
    let seen = if gate == Gate::Risk { switches.risk_seen } else { switches.directory_seen };
    let graph = desk.graph();
    let found = look(&graph, gate, Before { status: &status, seen, witness }).await;
    let is_there = matches!(found.status, GateStatus::Granted | GateStatus::Partial { .. });
    if is_there && !seen {
        let noted = desk.switch(|switches| match gate {
            Gate::Risk => switches.risk_seen = true,
            _ => switches.directory_seen = true,
        });
        if let Err(error) = noted.await {
            // Only "revoked" would be called "never granted" after a restart.
            tracing::warn!(tenant = %desk.tenant, error = %error, "a permission could not be noted");
        }
    }
    let changed = found.status != status;
    desk.set_gate(gate, found.status);
    if changed && found.reads {
        wake(desk, gate);
    }
    // Not granted is known here sooner than the next poll would find out, and an old token could still read.
    if gate == Gate::Risk && changed && !found.reads && is_lost(&desk.gate(gate)) {
        desk.set_source(RiskSource::NoPermission, None);
    }
    found.reads
}

/// Wakes the job that waits for this permission. One that waits for its time is left alone.
fn wake(desk: &Desk, gate: Gate) {
    let (bell, kinds): (_, &[SyncKind]) = match gate {
        Gate::Risk => (&desk.wake.risk, &[SyncKind::Risk]),
        _ => (&desk.wake.people, &[SyncKind::Users, SyncKind::Groups]),
    };
    let source = desk.office.directory.feed(desk.tenant).now().source;
    let was_told = gate == Gate::Risk && source == RiskSource::NoPermission;
    if was_told || kinds.iter().any(|kind| desk.has_failed(*kind)) {
        bell.notify_one();
    }
}

const fn is_lost(status: &GateStatus) -> bool {
    matches!(status, GateStatus::NeverGranted | GateStatus::Revoked | GateStatus::Partial { .. })
}

/// Whether somebody asked a moment ago.
fn is_watched(desk: &Desk) -> bool {
    let looked = *desk.office.looked.lock().unwrap_or_else(PoisonError::into_inner);
    looked.is_some_and(|looked| desk.office.clock.tick().since(looked) < WATCH_ENDS)
}

fn is_whole(desk: &Desk) -> bool {
    desk.gate(Gate::Directory).is_ok() && desk.gate(Gate::Risk).is_ok()
}

fn rest(desk: &Desk) -> Duration {
    if is_watched(desk) {
        WATCHED_EVERY
    } else if is_whole(desk) {
        WHOLE_EVERY
    } else {
        MISSING_EVERY
    }
}

/// What an administrator looks at is at most this old, and one round of questions.
const WATCHED_EVERY: Duration = Duration::from_secs(3);
/// Whoever asked this long ago looks no more.
const WATCH_ENDS: Duration = Duration::from_secs(30);
/// While something is missing; whoever grants it by hand at Microsoft has a minute's patience.
const MISSING_EVERY: Duration = Duration::from_secs(60);
/// While all is well; a job that is refused reports it earlier.
const WHOLE_EVERY: Duration = Duration::from_secs(300);
/// Between two tokens.
const RENEWAL_GAP: Duration = Duration::from_secs(2);
/// How soon somebody who begins to watch is noticed.
const LOOK_AROUND: Duration = Duration::from_secs(1);
