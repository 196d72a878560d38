//! Every task, in memory and in the store, and what the brakes remember. Written first, believed second.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::brakes::{QUOTA_SPAN, Stop};
use super::order::{ActionKind, Order};
use super::task::{Task, TaskId, TaskState};
use crate::facts::{TenantId, UnixTime, UserKey};
use crate::store::{Batch, Keyring, Store, StoreError, Table};

/// See the module.
pub(super) struct Ledger {
    store: Store,
    keyring: Arc<Keyring>,
    tasks: BTreeMap<TaskId, Task>,
    users: HashMap<UserKey, BTreeSet<TaskId>>,
    keys: HashMap<Arc<str>, TaskId>,
    /// Tasks that somebody is at right now.
    running: BTreeSet<TaskId>,
    /// Tasks whose last change is not on disk yet.
    unwritten: BTreeSet<TaskId>,
    memory: Memory,
}

/// What outlives the tasks it came from.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Memory {
    /// The id of the next task.
    next: u64,
    stop: Option<Stop>,
    /// When a person last released the stop; quotas count from here.
    released: Option<UnixTime>,
}

impl Ledger {
    /// Reads what the store has. Blocks; meant for the start.
    pub(super) fn open(store: Store, keyring: Arc<Keyring>, now: UnixTime) -> Result<Self, StoreError> {
        let (mut tasks, mut memory, mut unreadable) = (BTreeMap::new(), None, 0_u64);
        store.scan(Table::Tasks, |key, sealed| {
            let plain = keyring.open_sealed(PURPOSE, key, sealed);
            if key == MEMORY {
                memory = Some(plain.and_then(|plain| serde_json::from_slice::<Memory>(&plain).ok()));
                return;
            }
            let task = plain.and_then(|plain| serde_json::from_slice::<Task>(&plain).ok());
            match task.filter(|task| key_of(task.id) == key) {
                Some(task) => drop(tasks.insert(task.id, task)),
                None => unreadable += 1,
            }
        })?;
        // Whether it was stopped cannot be told, so it is.
        let lost = || Memory { stop: Some(Stop { since: now, tenant: None, kind: None }), ..Memory::default() };
        let mut memory = memory.map_or_else(Memory::default, |memory| memory.unwrap_or_else(lost));
        if unreadable > 0 {
            tracing::error!(
                records = unreadable,
                "tasks that do not open with the key ring; automatic actions are stopped"
            );
            memory.stop.get_or_insert(Stop { since: now, tenant: None, kind: None });
        }
        let last = tasks.keys().next_back().map_or(0, |id| id.0);
        memory.next = memory.next.max(last + 1);
        let mut ledger = Self {
            store,
            keyring,
            tasks: BTreeMap::new(),
            users: HashMap::new(),
            keys: HashMap::new(),
            running: BTreeSet::new(),
            unwritten: BTreeSet::new(),
            memory,
        };
        tasks.into_values().for_each(|task| ledger.keep(task));
        Ok(ledger)
    }

    /// The id of the next task that is added.
    pub(super) const fn next_id(&self) -> TaskId {
        TaskId(self.memory.next)
    }

    /// Adds a task, durably; the oldest that matter least make room.
    ///
    /// # Errors
    /// When the store cannot write; then there is no such task.
    pub(super) async fn add(&mut self, task: Task) -> Result<(), StoreError> {
        let memory = Memory { next: self.memory.next + 1, ..self.memory.clone() };
        let mut batch = Batch::new();
        self.write_task(&mut batch, &task);
        self.write_memory(&mut batch, &memory);
        let surplus = self.surplus();
        surplus.iter().for_each(|id| batch.delete(Table::Tasks, &key_of(*id)));
        self.store.write(batch).await?;
        self.memory = memory;
        surplus.into_iter().for_each(|id| self.drop_task(id));
        self.keep(task);
        Ok(())
    }

    /// Takes over a change of a task, durably.
    ///
    /// # Errors
    /// When the store cannot write; nothing has changed then.
    pub(super) async fn change(&mut self, task: Task) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        self.write_task(&mut batch, &task);
        self.store.write(batch).await?;
        self.keep(task);
        Ok(())
    }

    /// Takes over what has already happened: it counts even if it cannot be written now, and is written later.
    pub(super) async fn record(&mut self, tasks: Vec<Task>) {
        for task in tasks {
            self.unwritten.insert(task.id);
            self.keep(task);
        }
        self.settle().await;
    }

    /// Writes what could not be written before.
    pub(super) async fn settle(&mut self) {
        let mut batch = Batch::new();
        for task in self.unwritten.iter().filter_map(|id| self.tasks.get(id)) {
            self.write_task(&mut batch, task);
        }
        match self.store.write(batch).await {
            Ok(()) => self.unwritten.clear(),
            Err(error) => {
                tracing::error!(error = %error, "the outcome of a task could not be written; it is tried again")
            }
        }
    }

    /// Stops everything automatic, durably.
    ///
    /// # Errors
    /// When the store cannot write. It is stopped all the same, until the process ends.
    pub(super) async fn set_stop(&mut self, stop: Stop) -> Result<(), StoreError> {
        self.memory.stop = Some(stop);
        self.write_memory_now(self.memory.clone()).await
    }

    /// Lifts the stop, durably.
    ///
    /// # Errors
    /// When the store cannot write; it stays stopped then.
    pub(super) async fn release(&mut self, now: UnixTime) -> Result<(), StoreError> {
        let memory = Memory { stop: None, released: Some(now), ..self.memory.clone() };
        self.write_memory_now(memory.clone()).await?;
        self.memory = memory;
        Ok(())
    }

    pub(super) const fn stop(&self) -> Option<&Stop> {
        self.memory.stop.as_ref()
    }

    /// How many automatic tasks of this kind the tenant had let go within the hour, or since the stop was released.
    pub(super) fn used(&self, tenant: TenantId, kind: ActionKind, now: UnixTime) -> u32 {
        let released = self.memory.released.unwrap_or(UnixTime(0));
        let counts = |task: &&Task| {
            task.order.user.tenant == tenant
                && task.order.kind == kind
                && task.order.by.is_automatic()
                && task.approved_by.is_none()
                && task.started.is_some_and(|at| now.since(at) < QUOTA_SPAN && at > released)
        };
        u32::try_from(self.tasks.values().filter(counts).count()).unwrap_or(u32::MAX)
    }

    /// The task that the same order has already made: by its key, or an open one of a person for the same thing.
    pub(super) fn same(&self, order: &Order) -> Option<&Task> {
        if let Some(key) = &order.key {
            return self.keys.get(key).and_then(|id| self.tasks.get(id));
        }
        self.of_user(order.user).find(|task| {
            task.state.is_open() && task.order.kind == order.kind && task.is_by_hand() && !order.by.is_automatic()
        })
    }

    /// A person's tasks, oldest first.
    pub(super) fn of_user(&self, user: UserKey) -> impl Iterator<Item = &Task> {
        self.users.get(&user).into_iter().flatten().filter_map(|id| self.tasks.get(id))
    }

    /// Those with something that may come up by itself: held back before, or to be taken back.
    pub(super) fn people_to_look_at(&self) -> Vec<UserKey> {
        let may_come_up = |task: &&Task| {
            let to_take_back = matches!(task.state, TaskState::Successful { .. })
                && task.order.kind.is_undone()
                && task.undone_by.is_none();
            task.order.by.is_automatic() && (task.state.is_intention() || to_take_back)
        };
        let people: BTreeSet<UserKey> = self.tasks.values().filter(may_come_up).map(|task| task.order.user).collect();
        people.into_iter().collect()
    }

    pub(super) fn get(&self, id: TaskId) -> Option<&Task> {
        self.tasks.get(&id)
    }

    /// Newest first.
    pub(super) fn newest(&self) -> impl Iterator<Item = &Task> {
        self.tasks.values().rev()
    }

    /// Takes the task of this tenant whose time came first, for the caller to be at; else when the next one is due.
    pub(super) fn take_due(&mut self, tenant: TenantId, now: UnixTime) -> Result<Task, Option<Duration>> {
        let waiting =
            self.tasks.values().filter(|task| task.order.user.tenant == tenant && !self.running.contains(&task.id));
        let next = waiting.filter_map(|task| match task.state {
            TaskState::InProgress { next, .. } => Some((next, task.id)),
            _ => None,
        });
        let Some((due, id)) = next.min() else { return Err(None) };
        if due > now {
            return Err(Some(due.since(now)));
        }
        self.running.insert(id);
        self.tasks.get(&id).cloned().ok_or(None)
    }

    /// Whether somebody is at this task now.
    pub(super) fn is_running(&self, id: TaskId) -> bool {
        self.running.contains(&id)
    }

    pub(super) fn begin(&mut self, id: TaskId) {
        self.running.insert(id);
    }

    pub(super) fn end(&mut self, id: TaskId) {
        self.running.remove(&id);
    }

    /// How many are still to come by themselves or by approval.
    pub(super) fn open_tasks(&self) -> usize {
        self.tasks.values().filter(|task| task.state.is_open()).count()
    }

    /// Forgets, durably, what ended more than `keep` ago. A person's last word on an account stays.
    pub(super) async fn forget_old(&mut self, now: UnixTime, keep: Duration) -> Result<usize, StoreError> {
        let last_words: BTreeSet<TaskId> = self
            .users
            .values()
            .filter_map(|ids| ids.iter().rev().find(|id| self.tasks.get(id).is_some_and(Task::is_by_hand)).copied())
            .collect();
        let old =
            |task: &&Task| !task.state.is_open() && now.since(task.updated) > keep && !last_words.contains(&task.id);
        let old: Vec<TaskId> = self.tasks.values().filter(old).map(|task| task.id).collect();
        let mut batch = Batch::new();
        old.iter().for_each(|id| batch.delete(Table::Tasks, &key_of(*id)));
        self.store.write(batch).await?;
        old.iter().for_each(|id| self.drop_task(*id));
        Ok(old.len())
    }

    /// What makes room for one more: intentions first, then what has ended, oldest first.
    fn surplus(&self) -> Vec<TaskId> {
        let surplus = (self.tasks.len() + 1).saturating_sub(MOST_TASKS);
        if surplus == 0 {
            return Vec::new();
        }
        let intentions = self.tasks.values().filter(|task| task.state.is_intention());
        let ended = self.tasks.values().filter(|task| !task.state.is_intention() && !task.state.is_open());
        intentions.chain(ended).take(surplus).map(|task| task.id).collect()
    }

    fn keep(&mut self, task: Task) {
        if let Some(key) = &task.order.key {
            self.keys.insert(Arc::clone(key), task.id);
        }
        self.users.entry(task.order.user).or_default().insert(task.id);
        self.tasks.insert(task.id, task);
    }

    fn drop_task(&mut self, id: TaskId) {
        let Some(task) = self.tasks.remove(&id) else { return };
        if let Some(key) = &task.order.key {
            self.keys.remove(key);
        }
        if let Some(ids) = self.users.get_mut(&task.order.user) {
            ids.remove(&id);
            if ids.is_empty() {
                self.users.remove(&task.order.user);
            }
        }
        self.unwritten.remove(&id);
    }

    fn write_task(&self, batch: &mut Batch, task: &Task) {
        // A task is made of plain values, which always can be written.
        let plain = serde_json::to_vec(task).unwrap_or_default();
        let key = key_of(task.id);
        batch.put(Table::Tasks, &key, &self.keyring.seal(PURPOSE, &key, &plain));
    }

    fn write_memory(&self, batch: &mut Batch, memory: &Memory) {
        let plain = serde_json::to_vec(memory).unwrap_or_default();
        batch.put(Table::Tasks, MEMORY, &self.keyring.seal(PURPOSE, MEMORY, &plain));
    }

    async fn write_memory_now(&self, memory: Memory) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        self.write_memory(&mut batch, &memory);
        self.store.write(batch).await
    }
}

/// Big-endian, so that the store's order is that of the tasks.
const fn key_of(id: TaskId) -> [u8; 8] {
    id.0.to_be_bytes()
}

const PURPOSE: &str = "account action";
const MEMORY: &[u8] = b"memory";
/// Tasks kept, whatever their age.
const MOST_TASKS: usize = 20_000;
