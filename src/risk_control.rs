//! Layer 4: what the gateway does to accounts: sign out, disable, block and so on, by hand or by rule; and what it does
//! when the directory says that an account has changed.
//!
//! Every order becomes a [`Task`]: its intention is on disk before anything is done, its outcome after. A process that
//! dies in between asks again at the next start, which is why every call has to be one that may be repeated; after a
//! success it is never asked again. What is in this gateway's power comes first and does not wait for Microsoft.

mod accounts;
mod automatic;
mod brakes;
mod by_hand;
mod carry;
mod hands;
mod ledger;
mod order;
mod task;

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::{Mutex, Notify};
use tokio_util::sync::CancellationToken;

pub use accounts::Accounts;
pub use automatic::{Foreseen, Judge, Preview, Wanted, wanted_by};
pub use brakes::{Approval, Brake, BrakeState, Exempt, Stop};
pub use hands::{Asked, Call, FindGraph, GraphHands, Hands};
pub use order::{ActionKind, By, Cause, Order, Reach};
pub use task::{Fault, Mark, Task, TaskId, TaskState};

use crate::audit::{AccountAction, AuditLog, Event};
use crate::directory::Directory;
use crate::facts::{SharedClock, Standing, Subject, TenantId, UserKey};
use crate::session::Sessions;
use crate::store::{Keyring, Store, StoreError};
use crate::telemetry::Metrics;
use brakes::Scene;
use ledger::Ledger;

/// What is configured; changes with each reload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// What rules want is only written down.
    pub dry_run: bool,
    /// Which orders need another person.
    pub approval: Approval,
    /// Automatic actions of one kind that one tenant may see within an hour; one more stops them all.
    pub quota_per_hour: u32,
    /// The same is not done to the same person by itself again before this has passed.
    pub cool_down: Duration,
    /// What a rule did is taken back when nothing new happened for so long; zero for never.
    pub undo_after: Duration,
    /// Further tries at Microsoft after the first.
    pub retries: u32,
    /// How long a task is kept after it ended.
    pub retention: Duration,
    /// Who is never touched by a rule.
    pub exempt: Exempt,
    /// Whether a new password takes a second factor.
    pub reset_with_mfa: bool,
    /// How long a person is watched.
    pub watch: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            dry_run: true,
            approval: Approval::None,
            quota_per_hour: 20,
            cool_down: Duration::from_secs(3600),
            undo_after: Duration::from_secs(86_400),
            retries: 10,
            retention: Duration::from_secs(90 * 86_400),
            exempt: Exempt::default(),
            reset_with_mfa: false,
            watch: Duration::from_secs(86_400),
        }
    }
}

/// What actions are made of.
pub struct Parts {
    /// What is configured.
    pub settings: Settings,
    /// Whose accounts.
    pub tenants: Vec<TenantId>,
    /// Where tasks are kept.
    pub store: Store,
    /// Seals them.
    pub keyring: Arc<Keyring>,
    /// Ended here.
    pub sessions: Sessions,
    /// Blocked and watched here; says how people stand.
    pub directory: Directory,
    /// Act at Microsoft.
    pub hands: Arc<dyn Hands>,
    /// What the rules want done about a person.
    pub judge: Judge,
    /// Where everything is recorded.
    pub audit: AuditLog,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// The time.
    pub clock: SharedClock,
}

/// Account actions. Cheap to clone.
#[derive(Clone)]
pub struct Actions {
    inner: Arc<Inner>,
}

struct Inner {
    settings: RwLock<Arc<Settings>>,
    tenants: Vec<TenantId>,
    ledger: Mutex<Ledger>,
    sessions: Sessions,
    directory: Directory,
    hands: Arc<dyn Hands>,
    judge: Judge,
    audit: AuditLog,
    metrics: Arc<Metrics>,
    clock: SharedClock,
    /// Wakes each tenant's worker.
    wake: HashMap<TenantId, Notify>,
    /// Wakes whoever looks at everybody.
    look: Notify,
    /// Held while a block changes, which is read before it is written.
    holding: Mutex<()>,
    /// The process ends: nobody is looked at any more.
    closing: CancellationToken,
}

/// Why an order was not taken, or a task not changed. Nothing was done.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The gateway knows no such tenant.
    #[error("this gateway does not know the tenant")]
    UnknownTenant,
    /// There is no such task.
    #[error("there is no such task")]
    UnknownTask,
    /// The key was used for something else.
    #[error("this key belongs to task {0}, which is about something else")]
    KeyReused(TaskId),
    /// Too many tasks are under way.
    #[error("too many tasks are under way; try again when some have ended")]
    Full,
    /// The same person asked for it.
    #[error(
        "another person than the one who asked has to approve it, and both signed in by name; the token names nobody"
    )]
    SamePerson,
    /// The rule that wanted it is gone, or the risk it was about.
    #[error("no rule asks for it any more: the risk or the rules have changed since")]
    OutOfDate,
    /// The task is past that, or was never there.
    #[error("the task is {0}, so this cannot be done to it")]
    WrongState(&'static str),
    /// It is being asked for right now.
    #[error("it is being carried out right now; look again in a moment")]
    UnderWay,
    /// Nothing takes it back.
    #[error("{0} cannot be taken back")]
    CannotBeUndone(ActionKind),
    /// It was taken back before.
    #[error("task {0} has taken it back")]
    AlreadyUndone(TaskId),
    /// A brake holds it, whoever lets it go.
    #[error("a brake holds it: {}", .0.word())]
    Braked(Brake),
    /// The store cannot write, so it would not survive.
    #[error("the store failed")]
    Store(#[from] StoreError),
}

/// What became of an order that was taken.
enum Taken {
    /// It was given before.
    Before(Task),
    /// It is new, or it has come to another state.
    Now(Task),
}

/// Which tasks are listed.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only this person's.
    pub user: Option<UserKey>,
    /// Only in the state with this word.
    pub state: Option<String>,
    /// At most this many.
    pub limit: usize,
}

impl Actions {
    /// Reads the tasks that the store kept; those under way go on once [`Actions::run_background`] runs. Blocks; meant
    /// for the start.
    ///
    /// # Errors
    /// When the store cannot read.
    pub fn open(parts: Parts) -> Result<Self, StoreError> {
        let Parts { settings, tenants, store, keyring, sessions, directory, hands, judge, audit, metrics, clock } =
            parts;
        let ledger = Ledger::open(store, keyring, clock.now())?;
        metrics.actions.stopped.set(u64::from(ledger.stop().is_some()));
        let (settings, ledger) = (RwLock::new(Arc::new(settings)), Mutex::new(ledger));
        let wake = tenants.iter().map(|tenant| (*tenant, Notify::new())).collect();
        let inner = Inner {
            settings,
            tenants,
            ledger,
            sessions,
            directory,
            hands,
            judge,
            audit,
            metrics,
            clock,
            wake,
            look: Notify::new(),
            holding: Mutex::default(),
            closing: CancellationToken::new(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Takes over what is configured now; looks at everybody again.
    pub fn configure(&self, settings: Settings) {
        *self.inner.settings.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(settings);
        self.inner.look.notify_one();
    }

    /// Takes an order. When it returns, the intention is durable and this gateway's part is done; what Microsoft has to
    /// do follows. The same order again gives the same task.
    ///
    /// # Errors
    /// See [`Refused`].
    pub async fn submit(&self, order: Order) -> Result<Task, Refused> {
        let actions = self.clone();
        whole(async move { actions.submit_now(order).await }).await
    }

    async fn submit_now(&self, order: Order) -> Result<Task, Refused> {
        if !self.inner.tenants.contains(&order.user.tenant) {
            return Err(Refused::UnknownTenant);
        }
        match self.take(order).await? {
            Taken::Before(task) => Ok(task),
            Taken::Now(task) => {
                self.record(&task);
                let goes = matches!(task.state, TaskState::InProgress { .. });
                if goes { Ok(self.let_go(task).await) } else { Ok(task) }
            }
        }
    }

    /// Writes the intention down, or finds that it has been. A task that goes is marked as running.
    async fn take(&self, order: Order) -> Result<Taken, Refused> {
        let (settings, standing) = (self.settings(), self.standing(order.user));
        let mut ledger = self.inner.ledger.lock().await;
        let known = ledger.same(&order).cloned();
        if let Some(task) = &known {
            if (task.order.kind, task.order.user) != (order.kind, order.user) {
                return Err(Refused::KeyReused(task.id));
            }
            // What a brake held before is looked at again: its reason may be gone.
            if !(task.state.is_intention() && order.by.is_automatic()) {
                return Ok(Taken::Before(task.clone()));
            }
        }
        let now = self.inner.clock.now();
        let brake = Scene { settings: &settings, ledger: &ledger, standing: &standing, now }.first(&order);
        if brake == Some(Brake::Stopped) {
            // Thousands may be wanted while it is stopped; when it is released everybody is looked at again.
            self.inner.metrics.actions.braked(Brake::Stopped.word());
            return Err(Refused::Braked(Brake::Stopped));
        }
        let state = self.state_for(&settings, &order, brake);
        if let Some(known) = known.as_ref().filter(|known| known.state == state) {
            return Ok(Taken::Before(known.clone()));
        }
        if state.is_open() && ledger.open_tasks() >= most_open(order.by.is_automatic()) {
            return Err(Refused::Full);
        }
        if brake == Some(Brake::Quota) {
            let stop = Stop { since: now, tenant: Some(order.user.tenant), kind: Some(order.kind) };
            self.stop(&mut ledger, stop).await;
        }
        let is_new = known.is_none();
        let cause = standing.risk.as_ref().map(Cause::of);
        let mut task = match known {
            Some(mut task) => {
                task.turn(now, state);
                task
            }
            None => Task::new(ledger.next_id(), order, cause, state, now),
        };
        let goes = matches!(task.state, TaskState::InProgress { .. });
        if goes {
            task.started = Some(now);
        }
        if is_new {
            ledger.add(task.clone()).await?
        } else {
            ledger.change(task.clone()).await?
        }
        if goes {
            ledger.begin(task.id);
        }
        Ok(Taken::Now(task))
    }

    /// One task.
    pub async fn get(&self, id: TaskId) -> Option<Task> {
        self.inner.ledger.lock().await.get(id).cloned()
    }

    /// Tasks, newest first.
    pub async fn list(&self, filter: &Filter) -> Vec<Task> {
        let ledger = self.inner.ledger.lock().await;
        let fits = |task: &&Task| {
            filter.user.is_none_or(|user| task.order.user == user)
                && filter.state.as_ref().is_none_or(|word| task.state.word() == word)
        };
        ledger.newest().filter(fits).take(filter.limit).cloned().collect()
    }

    /// How the brakes stand.
    pub async fn brakes(&self) -> BrakeState {
        let (settings, ledger) = (self.settings(), self.inner.ledger.lock().await);
        let now = self.inner.clock.now();
        let all = self.inner.tenants.iter().flat_map(|tenant| ActionKind::ALL.map(|kind| (*tenant, kind)));
        let used = all.map(|(tenant, kind)| (tenant, kind, ledger.used(tenant, kind, now)));
        BrakeState {
            dry_run: settings.dry_run,
            stopped: ledger.stop().cloned(),
            quota: settings.quota_per_hour,
            used: used.filter(|(_, _, used)| *used > 0).collect(),
        }
    }

    /// A person lifts the stop: quotas begin anew, and everybody is looked at again. `false` if there was none.
    ///
    /// # Errors
    /// When the store cannot write; it stays stopped then.
    pub async fn release(&self, by: &Arc<str>) -> Result<bool, Refused> {
        let (actions, by) = (self.clone(), Arc::clone(by));
        whole(async move { actions.release_now(&by).await }).await
    }

    async fn release_now(&self, by: &Arc<str>) -> Result<bool, Refused> {
        let mut ledger = self.inner.ledger.lock().await;
        if ledger.stop().is_none() {
            return Ok(false);
        }
        ledger.release(self.inner.clock.now()).await?;
        drop(ledger);
        self.inner.metrics.actions.stopped.set(0);
        tracing::warn!(by = %by, "automatic account actions are released");
        self.inner.look.notify_one();
        Ok(true)
    }

    fn state_for(&self, settings: &Settings, order: &Order, brake: Option<Brake>) -> TaskState {
        match brake {
            Some(Brake::DryRun) => TaskState::Proposed,
            Some(brake) => TaskState::Held { brake },
            None if settings.approval.concerns(&order.by) => TaskState::AwaitingApproval,
            None => TaskState::InProgress { attempt: 0, next: self.inner.clock.now() },
        }
    }

    async fn stop(&self, ledger: &mut Ledger, stop: Stop) {
        tracing::error!(
            tenant = stop.tenant.map(tracing::field::display),
            action = stop.kind.map(ActionKind::word),
            "more account actions within the hour than allowed; nothing automatic is done until a person releases it"
        );
        self.inner.metrics.actions.stopped.set(1);
        if let Err(error) = ledger.set_stop(stop).await {
            tracing::error!(error = %error, "the stop could not be written; it holds until the process ends");
        }
    }

    fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.inner.settings.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn standing(&self, user: UserKey) -> Standing {
        self.inner.directory.standing(&Subject::of_key(user))
    }

    /// Writes down how a task stands now, for people who come later and for those who watch.
    fn record(&self, task: &Task) {
        let (kind, state, reason) = (task.order.kind.word(), task.state.word(), task.state.reason());
        tracing::info!(task = task.id.0, action = kind, user = %task.order.user, by = %task.order.by, state, reason, "account action");
        self.inner.metrics.actions.turned(kind, state, reason);
        self.inner.audit.record(Event::AccountAction(Box::new(AccountAction {
            task: task.id.0,
            action: kind,
            user: task.order.user,
            by: task.order.by.to_string().into(),
            approved_by: task.approved_by.clone(),
            state,
            reason,
            note: task.order.note.clone(),
        })));
    }
}

/// Does it to the end whoever still waits for it: a browser that hangs up must not leave a task half begun, which nobody
/// would take up again before the next start.
async fn whole<T: Send + 'static>(
    work: impl Future<Output = Result<T, Refused>> + Send + 'static,
) -> Result<T, Refused> {
    // What panicked or was ended with the process is on disk as an intention; more is not known of it.
    tokio::spawn(work).await.unwrap_or(Err(Refused::UnderWay))
}

/// Tasks that are under way or wait for a person; more are refused. Rules may not use up what people need to act by hand.
const fn most_open(automatic: bool) -> usize {
    if automatic { MOST_OPEN } else { MOST_OPEN + ROOM_FOR_PEOPLE }
}

const MOST_OPEN: usize = if cfg!(test) { 20 } else { 2_000 };
const ROOM_FOR_PEOPLE: usize = MOST_OPEN / 2;

#[cfg(test)]
pub(crate) mod tests;
