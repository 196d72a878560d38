//! One tenant's desk: what its jobs share. How its permissions stand, how far the readings are, who may be woken.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::Notify;

use super::switches::Switches;
use super::{Config, Directory, Gate, GateStatus, Phase, Progress, SyncKind, TenantStatus};
use crate::audit::{AuditLog, Event, Permission};
use crate::entra::graph::Graph;
use crate::facts::{RiskFeed, RiskSource, SharedClock, TenantId, Tick, UnixTime};
use crate::store::{Store, StoreError};

/// What all desks share.
pub(super) struct Office {
    pub(super) config: Config,
    pub(super) directory: Directory,
    pub(super) store: Store,
    pub(super) clock: SharedClock,
    pub(super) audit: AuditLog,
    /// Rung when a clock has been moved by hand.
    pub(super) time: Notify,
    /// When somebody last asked how things stand.
    pub(super) looked: Mutex<Option<Tick>>,
}

/// See the module.
pub(super) struct Desk {
    pub(super) tenant: TenantId,
    pub(super) office: Arc<Office>,
    graph: RwLock<Arc<Graph>>,
    board: Mutex<Board>,
    pub(super) wake: Wake,
    /// Held while permissions are proven, so that nobody proves them twice at once.
    pub(super) proving: tokio::sync::Mutex<Option<Tick>>,
    /// Held while a switch is read, changed and written.
    switching: tokio::sync::Mutex<()>,
    /// A job was refused: the token may be older than the permissions.
    doubted: AtomicBool,
}

/// Who can be told to go on at once.
#[derive(Default)]
pub(super) struct Wake {
    pub(super) people: Notify,
    pub(super) risk: Notify,
    pub(super) gates: Notify,
}

struct Board {
    gates: [GateStatus; 2],
    switches: Switches,
    progress: [Progress; 3],
    failures: BTreeMap<(SyncKind, &'static str), u64>,
}

impl Desk {
    pub(super) fn new(tenant: TenantId, office: Arc<Office>, graph: Graph) -> Result<Self, StoreError> {
        let switches = Switches::load(&office.store, tenant)?;
        let unseen = || GateStatus::Error { reason: NOT_LOOKED.to_owned() };
        let board = Board {
            gates: [unseen(), unseen()],
            switches,
            progress: SyncKind::ALL.map(nothing_read),
            failures: BTreeMap::new(),
        };
        Ok(Self {
            tenant,
            office,
            graph: RwLock::new(Arc::new(graph)),
            board: Mutex::new(board),
            wake: Wake::default(),
            proving: tokio::sync::Mutex::default(),
            switching: tokio::sync::Mutex::default(),
            doubted: AtomicBool::new(true),
        })
    }

    pub(super) fn graph(&self) -> Arc<Graph> {
        Arc::clone(&self.graph.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn use_graph(&self, graph: Graph) {
        *self.graph.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(graph);
    }

    /// Waits until `due`, or until `wake` is rung. In parts, because a clock in tests is moved by hand.
    pub(super) async fn wait_until(&self, due: Tick, wake: &Notify) {
        loop {
            let left = due.since(self.office.clock.tick());
            if left.is_zero() {
                return;
            }
            tokio::select! {
                () = wake.notified() => return,
                () = self.office.time.notified() => {}
                () = tokio::time::sleep(left.min(LOOK_AGAIN)) => {}
            }
        }
    }

    /// Waits for `span`, whoever rings.
    pub(super) async fn pause(&self, span: Duration) {
        self.wait_until(self.office.clock.tick().plus(span), &Notify::new()).await;
    }

    /// Notes that Graph refused, which the permissions' job looks into at once.
    pub(super) fn doubt(&self) {
        self.doubted.store(true, Ordering::Release);
        self.wake.gates.notify_one();
    }

    pub(super) fn take_doubt(&self) -> bool {
        self.doubted.swap(false, Ordering::AcqRel)
    }

    /// Whether risk may be taken.
    pub(super) fn upload(&self) -> bool {
        let default = self.office.config.upload;
        self.board().switches.upload.unwrap_or(default)
    }

    pub(super) fn switches(&self) -> Switches {
        self.board().switches
    }

    /// Makes a switch durable, then lets it count. One after the other: who notes a permission must not write back an
    /// upload that was turned off meanwhile.
    pub(super) async fn switch(&self, change: impl FnOnce(&mut Switches)) -> Result<(), StoreError> {
        let _turn = self.switching.lock().await;
        let before = self.upload_status();
        let mut switches = self.switches();
        change(&mut switches);
        switches.save(&self.office.store, self.tenant).await?;
        self.board().switches = switches;
        let after = self.upload_status();
        if before != after {
            self.report(Gate::DataUpload, &before, &after);
        }
        Ok(())
    }

    fn upload_status(&self) -> GateStatus {
        match (self.upload(), self.switches().upload) {
            (true, _) => GateStatus::Granted,
            (false, Some(_)) => GateStatus::Revoked,
            (false, None) => GateStatus::NeverGranted,
        }
    }

    pub(super) fn gate(&self, gate: Gate) -> GateStatus {
        let [directory, risk] = self.board().gates.clone();
        match gate {
            Gate::Directory => directory,
            Gate::Risk => risk,
            Gate::DataUpload => self.upload_status(),
        }
    }

    /// Notes how a permission stands; says so when that is new.
    pub(super) fn set_gate(&self, gate: Gate, status: GateStatus) {
        let before = {
            let mut board = self.board();
            let [directory, risk] = &mut board.gates;
            let place = if gate == Gate::Directory { directory } else { risk };
            if *place == status {
                return;
            }
            std::mem::replace(place, status.clone())
        };
        self.report(gate, &before, &status);
    }

    fn report(&self, gate: Gate, before: &GateStatus, after: &GateStatus) {
        let (tenant, from, to) = (self.tenant, before.word(), after.word());
        let reason = after.reason(gate);
        // The first look after a start is news only if it is bad news.
        if after.is_ok() && before.reason(gate).as_deref() == Some(NOT_LOOKED) {
            return;
        }
        if after.is_ok() {
            tracing::info!(%tenant, gate = gate.word(), from, to, "a permission is there");
        } else {
            tracing::warn!(%tenant, gate = gate.word(), from, to, reason, "a permission is not there");
        }
        let reason = reason.map(String::into_boxed_str);
        let change = Permission { tenant, gate: gate.word(), from, to, reason };
        self.office.audit.record(Event::Permission(Box::new(change)));
    }

    /// Says where risk stands; `confirmed` if it has just been heard that what is known holds. While upload is off
    /// nothing else can be said.
    pub(super) fn set_source(&self, source: RiskSource, confirmed: Option<UnixTime>) {
        let directory = &self.office.directory;
        let source = if self.upload() || source == RiskSource::NotInCloud { source } else { RiskSource::UploadOff };
        let before = directory.feed(self.tenant).now();
        let confirmed = confirmed.unwrap_or(before.confirmed).max(before.confirmed);
        directory.set_feed(self.tenant, RiskFeed { source, confirmed });
        if before.source == source {
            return;
        }
        let (tenant, from, to) = (self.tenant, before.source, source);
        if source == RiskSource::Answers {
            tracing::info!(%tenant, from = from.word(), to = to.word(), "the risk of accounts is known");
        } else {
            tracing::warn!(%tenant, from = from.word(), to = to.word(), "the risk of accounts cannot be known");
        }
        self.office.audit.record(Event::RiskSource { tenant, from, to });
    }

    /// Changes what is shown of one reading.
    pub(super) fn show(&self, kind: SyncKind, change: impl FnOnce(&mut Progress)) {
        if let Some(progress) = self.board().progress.iter_mut().find(|progress| progress.kind == kind) {
            change(progress);
        }
    }

    /// A reading begins.
    pub(super) fn begins(&self, kind: SyncKind, full: bool) {
        let now = self.office.clock.now();
        self.show(kind, |progress| {
            progress.phase = if full { Phase::FullRunning } else { Phase::UpdateRunning };
            (progress.started, progress.read, progress.next) = (Some(now), 0, None);
        });
    }

    /// A reading ended well.
    pub(super) fn ended(&self, kind: SyncKind, full: bool) {
        let now = self.office.clock.now();
        self.show(kind, |progress| {
            progress.phase = if full { Phase::FullDone } else { Phase::UpdateDone };
            progress.finished = Some(now);
            if progress.error.take().is_some() {
                tracing::info!(tenant = %self.tenant, kind = kind.word(), "reading works again");
            }
        });
    }

    /// A reading failed; `word` counts it, `error` tells people.
    pub(super) fn failed(&self, kind: SyncKind, word: &'static str, error: String) {
        self.count_failure(kind, word);
        self.show(kind, |progress| {
            progress.phase = Phase::Failed;
            if progress.error.as_ref() != Some(&error) {
                tracing::warn!(tenant = %self.tenant, kind = kind.word(), error, "reading failed; it is tried again");
            }
            progress.error = Some(error);
        });
    }

    pub(super) fn count_failure(&self, kind: SyncKind, word: &'static str) {
        *self.board().failures.entry((kind, word)).or_default() += 1;
    }

    /// Whether a job is at it, or ended well a moment ago.
    pub(super) fn reads_well(&self, kind: SyncKind) -> bool {
        let now = self.office.clock.now();
        let board = self.board();
        let reading = board.progress.iter().find(|progress| progress.kind == kind);
        reading.is_some_and(|progress| match progress.phase {
            Phase::FullRunning | Phase::UpdateRunning => progress.error.is_none(),
            Phase::FullDone | Phase::UpdateDone => progress.finished.is_some_and(|at| now.since(at) < A_MOMENT),
            Phase::Never | Phase::Waiting | Phase::Failed => false,
        })
    }

    pub(super) fn has_failed(&self, kind: SyncKind) -> bool {
        let board = self.board();
        board.progress.iter().any(|progress| progress.kind == kind && progress.phase == Phase::Failed)
    }

    /// The next reading begins at `due`.
    pub(super) fn plans(&self, kind: SyncKind, due: Tick) {
        let clock = &self.office.clock;
        let next = clock.now().plus(due.since(clock.tick()));
        self.show(kind, |progress| {
            progress.next = Some(next);
            if progress.phase == Phase::Never {
                progress.phase = Phase::Waiting;
            }
        });
    }

    /// How often each kind of reading failed, by reason.
    pub(super) fn failures(&self) -> Vec<(SyncKind, &'static str, u64)> {
        self.board().failures.iter().map(|((kind, word), count)| (*kind, *word, *count)).collect()
    }

    /// Everything an administrator sees.
    pub(super) fn status(&self) -> TenantStatus {
        let upload = self.upload_status();
        let client = self.graph().client_id().to_owned();
        let board = self.board();
        let [directory, risk] = board.gates.clone();
        let gates = [(Gate::Directory, directory), (Gate::Risk, risk), (Gate::DataUpload, upload)];
        let cures = gates.each_ref().map(|(gate, status)| super::gates::cure(*gate, status, self.tenant, &client));
        let mut progress = board.progress.to_vec();
        drop(board);
        let counts = self.office.directory.counts(self.tenant);
        for reading in &mut progress {
            reading.items = match reading.kind {
                SyncKind::Users => counts.users,
                SyncKind::Groups => counts.groups,
                SyncKind::Risk => counts.risky,
            };
        }
        TenantStatus {
            tenant: self.tenant,
            gates,
            cures,
            progress,
            feed: self.office.directory.feed(self.tenant).now(),
        }
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const fn nothing_read(kind: SyncKind) -> Progress {
    Progress { kind, phase: Phase::Never, items: 0, read: 0, started: None, finished: None, next: None, error: None }
}

const NOT_LOOKED: &str = "nobody has looked yet";
/// What ended well this long ago is still good news.
const A_MOMENT: Duration = Duration::from_secs(60);
/// A wait is cut into parts of this length.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
