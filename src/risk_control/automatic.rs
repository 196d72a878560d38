//! What the gateway does by itself: rules that want something done about a person, and taking it back.
//!
//! Only what is known for certain starts anything. A source of risk that is lost, late or in doubt leaves every account
//! as it is, in both directions.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::brakes::{Brake, Scene};
use super::carry::taking_back;
use super::order::{ActionKind, By, Cause, Order, Reach};
use super::task::{Task, TaskId, TaskState};
use super::{Actions, Refused};
use crate::directory::Affected;
use crate::facts::{Account, RiskFeed, RiskSource, RiskState, Standing, TenantId, UnixTime, UserKey};
use crate::policy::{AccountFacts, AutoAction, Policy};

/// One thing that one rule wants done about a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The rule.
    pub rule: Arc<str>,
    /// What.
    pub kind: ActionKind,
}

/// What the rules want done about a person who stands like this. Asks nobody and waits for nothing.
pub type Judge = Arc<dyn Fn(UserKey, &Standing, RiskFeed) -> Vec<Wanted> + Send + Sync>;

/// What the rules of `policy` want done about a person who stands like this.
#[must_use]
pub fn wanted_by(policy: &Policy, user: UserKey, standing: &Standing, feed: RiskFeed, now: UnixTime) -> Vec<Wanted> {
    let account = AccountFacts { user, standing, feed, now };
    let wanted = policy.automatic(&account).flat_map(|rule| {
        rule.actions.iter().map(|action| Wanted { rule: Arc::clone(&rule.name), kind: ActionKind::from(*action) })
    });
    wanted.collect()
}

impl From<AutoAction> for ActionKind {
    fn from(action: AutoAction) -> Self {
        match action {
            AutoAction::SignOut => Self::SignOut,
            AutoAction::Disable => Self::Disable,
            AutoAction::ForcePasswordReset => Self::ResetPassword,
            AutoAction::ConfirmCompromised => Self::ConfirmCompromised,
            AutoAction::WatchSignIn => Self::Watch,
            AutoAction::BlockPrivate => Self::Block(Reach::Private),
            AutoAction::BlockInternet => Self::Block(Reach::Internet),
        }
    }
}

/// What would be done now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preview {
    /// Nothing would, because rules only propose.
    pub dry_run: bool,
    /// One line per person and action, whatever the dry run says.
    pub lines: Vec<Foreseen>,
}

/// See [`Preview`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Foreseen {
    /// To whom.
    pub user: UserKey,
    /// By which rule.
    pub rule: Arc<str>,
    /// What.
    pub kind: ActionKind,
    /// The first brake after the dry run that would hold it.
    pub brake: Option<Brake>,
    /// A person would have to approve it.
    pub needs_approval: bool,
    /// The task this has already become; it would not be done again while the risk stays as it is.
    pub task: Option<TaskId>,
}

impl Actions {
    /// Carries tasks out and listens to the directory until `stop` ends.
    pub async fn run_background(self, stop: impl Future<Output = ()> + Send) {
        let closing = self.inner.closing.clone();
        let told = async {
            stop.await;
            closing.cancel();
        };
        // Side by side: a look at ten thousand people must not put the end off.
        tokio::join!(told, self.work_and_listen(&closing));
    }

    async fn work_and_listen(&self, closing: &CancellationToken) {
        let mut workers = JoinSet::new();
        for tenant in self.inner.tenants.clone() {
            let (actions, closing) = (self.clone(), closing.clone());
            workers.spawn(async move { actions.work(tenant, &closing).await });
        }
        let mut heard = self.inner.directory.subscribe();
        self.look_at_everybody().await;
        let mut cleaned = self.inner.clock.tick();
        loop {
            tokio::select! {
                () = closing.cancelled() => break,
                affected = heard.recv() => match affected {
                    Ok(Affected::People(people)) => self.look_at(&people).await,
                    Ok(Affected::Everybody(_)) | Err(RecvError::Lagged(_)) => self.look_at_everybody().await,
                    Ok(Affected::Nobody) => {}
                    // The directory lives as long as this does; without it there is nothing to hear.
                    Err(RecvError::Closed) => { closing.cancelled().await; break }
                },
                () = self.inner.look.notified() => self.look_at_everybody().await,
                () = tokio::time::sleep(SWEEP) => self.look_again().await,
            }
            let now = self.inner.clock.tick();
            if now.since(cleaned) >= CLEAN_EVERY {
                cleaned = now;
                self.forget_old().await;
            }
        }
        let ended = async { while workers.join_next().await.is_some() {} };
        // A call under way may finish, so that it need not be asked again; one that hangs is asked at the next start.
        let _in_time = tokio::time::timeout(LAST_CALLS, ended).await;
    }

    /// Who would be hit now by `rule` (by every rule if `None`), and what each brake says.
    pub async fn preview(&self, rule: Option<&str>) -> Preview {
        let settings = self.settings();
        let (ledger, now) = (self.inner.ledger.lock().await, self.inner.clock.now());
        let mut foreseen: BTreeMap<(TenantId, ActionKind), u32> = BTreeMap::new();
        let mut lines = Vec::new();
        for user in self.at_risk() {
            let standing = self.standing(user);
            let Some((wanted, cause)) = self.wanted(user, &standing) else { continue };
            let scene = Scene { settings: &settings, ledger: &ledger, standing: &standing, now };
            for Wanted { rule: name, kind } in wanted.into_iter().filter(|w| rule.is_none_or(|rule| *w.rule == *rule)) {
                let order = Order::of_rule(kind, user, &name, &cause);
                let task = ledger.same(&order).filter(|task| !task.state.is_intention()).map(|task| task.id);
                let mut brake = scene.lasting(&order).or_else(|| scene.passing(&order));
                if brake.is_none() && task.is_none() {
                    let planned = foreseen.entry((user.tenant, kind)).or_default();
                    *planned += 1;
                    let used = ledger.used(user.tenant, kind, now).saturating_add(*planned);
                    brake = (used > settings.quota_per_hour).then_some(Brake::Quota);
                }
                let needs_approval = settings.approval.concerns(&order.by);
                lines.push(Foreseen { user, rule: name, kind, brake, needs_approval, task });
            }
        }
        Preview { dry_run: settings.dry_run, lines }
    }

    /// Looks at everybody whose account is at risk, and at everybody who still has something coming.
    pub(super) async fn look_at_everybody(&self) {
        let at_risk = self.at_risk();
        self.look_at(&at_risk).await;
        self.look_again().await;
    }

    /// Looks at those whose matter can come up by the passing of time alone.
    async fn look_again(&self) {
        let people = self.inner.ledger.lock().await.people_to_look_at();
        self.look_at(&people).await;
    }

    pub(super) async fn look_at(&self, people: &[UserKey]) {
        for user in people {
            if self.inner.closing.is_cancelled() {
                return;
            }
            self.consider(*user).await;
        }
    }

    /// Lets the rules say what they want done about a person, and takes back what they want no more.
    async fn consider(&self, user: UserKey) {
        let standing = self.standing(user);
        if !self.is_certain(user, &standing) {
            return;
        }
        let wanted = match self.wanted(user, &standing) {
            Some((wanted, cause)) => {
                for Wanted { rule, kind } in &wanted {
                    self.order(Order::of_rule(*kind, user, rule, &cause)).await;
                }
                wanted
            }
            None => Vec::new(),
        };
        self.take_back(user, &standing, &wanted).await;
    }

    /// What the rules want, with the risk that it is about; nothing unless there is a risk and it is certain.
    fn wanted(&self, user: UserKey, standing: &Standing) -> Option<(Vec<Wanted>, Cause)> {
        let risk = standing.risk.as_ref()?;
        if !self.is_certain(user, standing) || !risk.is_open() {
            return None;
        }
        let feed = self.inner.directory.feed(user.tenant).now();
        Some(((self.inner.judge)(user, standing, feed), Cause::of(risk)))
    }

    /// Whether enough is known about the account's risk to do anything by it.
    fn is_certain(&self, user: UserKey, standing: &Standing) -> bool {
        let feed = self.inner.directory.feed(user.tenant).now();
        let fresh = feed.source == RiskSource::Answers && self.inner.clock.now().since(feed.confirmed) <= OLDEST;
        let clear = standing.risk.as_ref().is_none_or(|risk| {
            let reading = &risk.reading;
            reading.level.is_known() && reading.state != RiskState::Unknown && !reading.processing && !reading.deleted
        });
        fresh && clear && standing.account != Account::Deleted
    }

    /// Whether a rule's task is certainly about something that is no more. While that cannot be told a person may decide.
    pub(super) fn is_outdated(&self, task: &Task, standing: &Standing) -> bool {
        let (By::Rule(rule), user) = (&task.order.by, task.order.user) else { return false };
        let asks = |wanted: &Wanted| wanted.rule == *rule && wanted.kind == task.order.kind;
        self.is_certain(user, standing)
            && !self.wanted(user, standing).is_some_and(|(wanted, _)| wanted.iter().any(asks))
    }

    async fn take_back(&self, user: UserKey, standing: &Standing, wanted: &[Wanted]) {
        let (settings, now) = (self.settings(), self.inner.clock.now());
        let orders: Vec<Order> = {
            let ledger = self.inner.ledger.lock().await;
            let due = ledger.of_user(user).filter_map(|task| {
                let why = reason_to_take_back(task, standing, wanted, settings.undo_after, now)?;
                Some(Order::of_undo(taking_back(task)?, user, task.id, why))
            });
            due.collect()
        };
        for order in orders {
            self.order(order).await;
        }
    }

    /// Gives an order of the gateway's own; what became of it stands in the task.
    async fn order(&self, order: Order) {
        let (kind, user) = (order.kind, order.user);
        match self.submit(order).await {
            Ok(_) => {}
            Err(Refused::Braked(brake)) => {
                tracing::debug!(user = %user, action = kind.word(), brake = brake.word(), "a brake holds an account action");
            }
            Err(error) => {
                tracing::error!(error = %error, user = %user, action = kind.word(), "an account action was not taken; it is tried again");
            }
        }
    }

    fn at_risk(&self) -> Vec<UserKey> {
        let listed = self.inner.tenants.iter().flat_map(|tenant| self.inner.directory.risky(*tenant));
        listed.filter(|(_, risk)| risk.is_open()).map(|(user, _)| user).collect()
    }

    async fn forget_old(&self) {
        let (now, keep) = (self.inner.clock.now(), self.settings().retention);
        match self.inner.ledger.lock().await.forget_old(now, keep).await {
            Ok(0) => {}
            Ok(tasks) => tracing::info!(tasks, "old tasks are forgotten"),
            Err(error) => tracing::warn!(error = %error, "old tasks could not be forgotten; it is tried again"),
        }
    }
}

/// Whether a rule's task is to be taken back, and why.
fn reason_to_take_back(
    task: &Task,
    standing: &Standing,
    wanted: &[Wanted],
    undo_after: Duration,
    now: UnixTime,
) -> Option<&'static str> {
    let (By::Rule(rule), TaskState::Successful { at }) = (&task.order.by, &task.state) else { return None };
    if !task.order.kind.is_undone() || task.undone_by.is_some() {
        return None;
    }
    if !wanted.iter().any(|wanted| wanted.rule == *rule && wanted.kind == task.order.kind) {
        return Some("the rule does not ask for it any more");
    }
    let last = standing.risk.as_ref().map_or(UnixTime(0), |risk| risk.reading.updated);
    let quiet = now.since((*at).max(last));
    (!undo_after.is_zero() && quiet >= undo_after).then_some("nothing new has happened since")
}

/// How often those are looked at whose matter comes up by time alone.
const SWEEP: Duration = Duration::from_secs(15);
/// How often old tasks are looked for.
const CLEAN_EVERY: Duration = Duration::from_secs(3600);
/// Risk that nobody confirmed for so long starts nothing.
const OLDEST: Duration = Duration::from_secs(3600);
/// How long calls under way may take at the end.
const LAST_CALLS: Duration = Duration::from_secs(3);
