//! What account actions promise, over a real store, with a provider that answers what a test tells it to.

mod accounts;
mod brakes;
mod by_hand;
mod crash;
mod taking_back;

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::audit::AuditLog;
use crate::directory::{RiskUpdate, Update};
use crate::entra::graph::Outcome;
use crate::facts::{
    Clock as _, Groups, Guid, ManualClock, ObjectId, RiskFeed, RiskLevel, RiskReading, RiskSource, RiskState, UnixTime,
};
use crate::peers::Peers;
use crate::session::{self, NewSession};
use crate::store::StoreError;

const START: UnixTime = UnixTime(1_800_000_000);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);
pub(crate) const TENANT: TenantId = TenantId(Guid::from_u128(0xc0));

/// Answers with what was laid ready, else with success; remembers what it was asked.
#[derive(Default)]
struct FakeHands {
    asked: Mutex<Vec<(UserKey, Call)>>,
    ready: Mutex<Vec<Option<Outcome>>>,
    /// Answers never come.
    silent: AtomicBool,
}

impl FakeHands {
    fn will(&self, outcomes: impl IntoIterator<Item = Option<Outcome>>) {
        self.ready.lock().unwrap().extend(outcomes);
    }

    fn calls(&self) -> Vec<Call> {
        self.asked.lock().unwrap().iter().map(|(_, call)| *call).collect()
    }
}

impl Hands for FakeHands {
    fn ask(&self, user: UserKey, call: Call) -> Asked {
        self.asked.lock().unwrap().push((user, call));
        if self.silent.load(Ordering::SeqCst) {
            return Box::pin(std::future::pending());
        }
        let mut ready = self.ready.lock().unwrap();
        let outcome = if ready.is_empty() { Some(Outcome::Done) } else { ready.remove(0) };
        Box::pin(async move { outcome })
    }
}

/// A gateway's worth of state that can be closed and opened again.
struct World {
    dir: TempDir,
    clock: Arc<ManualClock>,
    hands: Arc<FakeHands>,
    /// What the one rule `risky` wants done about whoever is at high risk.
    wants: Arc<Mutex<Vec<ActionKind>>>,
    settings: Settings,
}

/// Actions with a worker and nothing else around them, for the tests of the admin interface and the command line. Whatever
/// is asked of the provider succeeds.
pub(crate) fn alone() -> Actions {
    let actions = World::new().open().actions;
    drop(tokio::spawn(actions.clone().run_background(std::future::pending())));
    actions
}

/// What is open of it.
struct Running {
    actions: Actions,
    sessions: Sessions,
    directory: Directory,
    store: Store,
    clock: Arc<ManualClock>,
}

impl World {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            clock: Arc::new(ManualClock::at(START)),
            hands: Arc::default(),
            wants: Arc::default(),
            settings: Settings { dry_run: false, ..Settings::default() },
        }
    }

    /// The same with a rule that wants this.
    fn wanting(kinds: &[ActionKind]) -> Self {
        let world = Self::new();
        world.wants.lock().unwrap().extend(kinds);
        world
    }

    fn open(&self) -> Running {
        let clock: SharedClock = Arc::clone(&self.clock) as SharedClock;
        // A thread of the one before may still be letting go of the file.
        let store = loop {
            match Store::open(self.dir.path()) {
                Err(StoreError::Locked { .. }) => std::thread::yield_now(),
                opened => break opened.unwrap(),
            }
        };
        let keyring = Arc::new(Keyring::open(self.dir.path()).unwrap());
        let config = session::Config { absolute: 30 * DAY, idle: 30 * DAY, capacity: 1000 };
        let sessions =
            Sessions::open(config, store.clone(), Arc::clone(&keyring), Peers::alone(), Arc::clone(&clock)).unwrap();
        let directory = Directory::open(&[TENANT], store.clone(), Arc::clone(&clock)).unwrap();
        let wants = Arc::clone(&self.wants);
        let judge: Judge = Arc::new(move |_, standing, _| {
            let high = standing.risk.as_ref().is_some_and(|risk| risk.reading.level == RiskLevel::High);
            let wants = wants.lock().unwrap();
            wants.iter().filter(|_| high).map(|kind| Wanted { rule: "risky".into(), kind: *kind }).collect()
        });
        let parts = Parts {
            settings: self.settings.clone(),
            tenants: vec![TENANT],
            store: store.clone(),
            keyring,
            sessions: sessions.clone(),
            directory: directory.clone(),
            hands: Arc::clone(&self.hands) as Arc<dyn Hands>,
            judge,
            audit: AuditLog::off(),
            metrics: Metrics::new(1),
            clock,
        };
        let (actions, clock) = (Actions::open(parts).unwrap(), Arc::clone(&self.clock));
        let running = Running { actions, sessions, directory, store, clock };
        running.source(RiskSource::Answers);
        running
    }
}

impl Running {
    fn source(&self, source: RiskSource) {
        self.directory.set_feed(TENANT, RiskFeed { source, confirmed: self.clock.now() });
    }

    /// What the provider says of a person from now on.
    async fn risk(&self, who: UserKey, level: RiskLevel, state: RiskState) {
        self.readings(&[who], level, state).await;
    }

    async fn readings(&self, people: &[UserKey], level: RiskLevel, state: RiskState) {
        let now = self.clock.now();
        let reading = RiskReading { level, state, updated: now, read: now, deleted: false, processing: false };
        let readings = people.iter().map(|user| (user.object, reading)).collect();
        let risk = RiskUpdate { readings, ..RiskUpdate::default() };
        self.directory.apply(TENANT, Update { risk: Some(risk), ..Update::default() }).await.unwrap();
        self.source(RiskSource::Answers);
    }

    async fn high(&self, who: UserKey) {
        self.risk(who, RiskLevel::High, RiskState::AtRisk).await;
        self.actions.look_at(&[who]).await;
    }

    /// Works until nothing is due now.
    async fn work(&self) {
        while self.actions.step(TENANT).await == Some(Duration::ZERO) {}
    }

    /// The state of every task of a person, oldest first.
    async fn states(&self, who: UserKey) -> Vec<(ActionKind, &'static str)> {
        let filter = Filter { user: Some(who), state: None, limit: 100 };
        let mut tasks = self.actions.list(&filter).await;
        tasks.reverse();
        tasks.iter().map(|task| (task.order.kind, task.state.word())).collect()
    }

    async fn signed_in(&self, who: UserKey) {
        let subject = Subject { user: who, name: "A".into(), email: "a@b.test".into(), groups: Groups::Unknown };
        let new = NewSession {
            subject,
            sid: None,
            login_hint: None,
            authenticated: self.clock.now(),
            proofs: Vec::new(),
            refresh_token: None,
        };
        self.sessions.create(new, "auth.example.test").await.unwrap();
    }

    fn alive(&self, who: UserKey) -> usize {
        self.sessions.list(Some(who)).len()
    }
}

fn user(n: u128) -> UserKey {
    UserKey { tenant: TENANT, object: ObjectId(Guid::from_u128(n)) }
}

fn by_hand(kind: ActionKind, who: UserKey) -> Order {
    Order::of_person(kind, who, "ann".into())
}

#[tokio::test]
async fn every_action_asks_the_provider_for_what_it_says_and_for_nothing_else() {
    let world = World::new();
    let running = world.open();
    for (n, kind) in (1..).zip(ActionKind::ALL) {
        let before = world.hands.calls().len();
        let task = running.actions.submit(by_hand(kind, user(n))).await.unwrap();
        running.work().await;
        let calls = world.hands.calls();
        let expected: Vec<Call> = Call::of(kind, false).into_iter().collect();
        assert_eq!(calls.get(before..), Some(&expected[..]), "{kind}");
        let task = running.actions.get(task.id).await.unwrap();
        assert!(matches!(task.state, TaskState::Successful { .. }), "{kind}: {:?}", task.state);
    }
    let asked: HashSet<_> = world.hands.calls().into_iter().collect();
    assert_eq!(asked.len(), 7);
}
