//! Layer 3: what the gateway knows of each tenant's people: users, groups, membership and risk, kept in memory and in
//! the store, and where that knowledge comes from.
//!
//! One writer per tenant (its sync job) applies [`Update`]s; every reader asks [`Directory::standing`]. A reader keeps
//! what it got until [`Directory::epoch`] moves.

mod compare;
mod config;
mod control;
mod desk;
mod gates;
mod index;
mod load;
mod look_up;
mod marks;
mod membership;
mod object;
mod plan;
mod reading;
mod risks;
mod rows;
mod schedule;
mod snapshot;
mod status;
mod switches;
mod sync;
mod update;

pub use config::{Config, Rhythm};
pub use control::{Control, ControlError, Ground, SetupError};
pub use gates::examine;
pub use look_up::{Counts, PersonInfo};
pub use status::{Gate, GateStatus, Phase, Progress, SyncKind, TenantStatus};
pub use update::{Affected, RiskUpdate, Round, Update};

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::{Mutex, broadcast};

use crate::facts::{Hold, RiskFeed, RiskSource, SharedClock, Standing, Subject, TenantId, Tick, UnixTime, UserKey};
use crate::store::{Store, StoreError, Table};
use compare::Before;
use load::{Loaded, feed_row};
use marks::Mark;
use plan::Plan;
use rows::Rows;
use snapshot::Snapshot;
use update::Piece;

/// Everything known about every configured tenant. Cheap to clone.
#[derive(Clone)]
pub struct Directory {
    inner: Arc<Inner>,
}

struct Inner {
    tenants: Vec<(TenantId, Tenant)>,
    epoch: AtomicU64,
    affected: broadcast::Sender<Affected>,
    store: Option<Store>,
    clock: SharedClock,
}

struct Tenant {
    /// Held for as long as memory takes, never for as long as the disk does.
    snapshot: RwLock<Snapshot>,
    feed: Arc<Feed>,
    /// Whoever holds it is the one writer; readers do not care.
    writer: Mutex<Writer>,
}

/// What only the writer needs.
#[derive(Default)]
struct Writer {
    /// Rows that the start found to be set right.
    later: Rows,
    /// The feed as the store has it.
    feed: Option<RiskFeed>,
}

/// A tenant's [`RiskFeed`] as readers hold it: two loads, no lock.
#[derive(Debug)]
pub struct Feed {
    source: AtomicU8,
    confirmed: AtomicU64,
    /// The tick of the same moment, if it lies within this process's life.
    heard: AtomicU64,
}

/// No tick.
const UNHEARD: u64 = u64::MAX;

impl Feed {
    fn new(feed: RiskFeed) -> Self {
        let (source, confirmed) = (AtomicU8::new(feed.source as u8), AtomicU64::new(feed.confirmed.0));
        Self { source, confirmed, heard: AtomicU64::new(UNHEARD) }
    }

    /// How it stands now.
    #[must_use]
    pub fn now(&self) -> RiskFeed {
        RiskFeed {
            source: RiskSource::from_code(self.source.load(Ordering::Acquire)),
            confirmed: UnixTime(self.confirmed.load(Ordering::Acquire)),
        }
    }

    /// The same for a decision at `now`, whose tick is `tick`: [`RiskFeed::confirmed`] lies as long before `now` as has
    /// really passed since, whatever was done to the wall clock meanwhile. What was confirmed before this process began
    /// has only the wall clock.
    #[must_use]
    pub fn at(&self, now: UnixTime, tick: Tick) -> RiskFeed {
        let feed = self.now();
        let heard = self.heard.load(Ordering::Acquire);
        if heard == UNHEARD {
            return feed;
        }
        RiskFeed { confirmed: UnixTime(now.0.saturating_sub(tick.since(Tick(heard)).as_secs())), ..feed }
    }

    fn set(&self, feed: RiskFeed, now: UnixTime, tick: Tick) {
        let age = u64::try_from(now.since(feed.confirmed).as_millis()).unwrap_or(UNHEARD);
        self.heard.store(tick.0.checked_sub(age).unwrap_or(UNHEARD), Ordering::Release);
        self.confirmed.store(feed.confirmed.0, Ordering::Release);
        self.source.store(feed.source as u8, Ordering::Release);
    }
}

impl Directory {
    /// Opens what the store kept of these tenants, so that the last verdicts hold from the first request. Blocks; meant
    /// for the start.
    ///
    /// # Errors
    /// When the store cannot read.
    pub fn open(tenants: &[TenantId], store: Store, clock: SharedClock) -> Result<Self, StoreError> {
        let loaded = load::load(&store, tenants, clock.now())?;
        let tenants = loaded.into_iter().map(|loaded| (loaded.tenant, Tenant::of(loaded))).collect();
        Ok(Self::with(tenants, Some(store), clock))
    }

    /// A directory of nobody, for a gateway that reads none: tokens tell the groups, and there is no risk to judge by.
    #[must_use]
    pub fn none(clock: SharedClock) -> Self {
        Self::with(Vec::new(), None, clock)
    }

    fn with(tenants: Vec<(TenantId, Tenant)>, store: Option<Store>, clock: SharedClock) -> Self {
        let (affected, _) = broadcast::channel(AFFECTED_QUEUE);
        Self { inner: Arc::new(Inner { tenants, epoch: AtomicU64::new(1), affected, store, clock }) }
    }

    /// Moves whenever somebody's [`Standing`] may have changed; one load.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.inner.epoch.load(Ordering::Acquire)
    }

    /// How the account behind `subject` stands now. Groups come from the directory once it has been read, else from
    /// the token.
    #[must_use]
    pub fn standing(&self, subject: &Subject) -> Standing {
        let Some(tenant) = self.tenant(subject.user.tenant) else { return Standing::of_token(subject) };
        tenant.look(|snapshot| snapshot.standing(subject))
    }

    /// Where the risk of a tenant's accounts comes from; a handle to be kept.
    #[must_use]
    pub fn feed(&self, tenant: TenantId) -> Arc<Feed> {
        self.tenant(tenant).map_or_else(|| Arc::new(Feed::new(RiskFeed::NONE)), |tenant| Arc::clone(&tenant.feed))
    }

    /// Whose standing changed, from now on. A receiver that falls behind is told so and must look at everybody.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Affected> {
        self.inner.affected.subscribe()
    }

    /// Where the reading of users or groups goes on: [`Round::FullBegins`] in the middle of a full reading, which goes
    /// on after a restart as if nothing had been, [`Round::GoesOn`] in the middle of changes, [`Round::Ends`] between
    /// two rounds. `None`: begin a full reading. Risk has no link and is always `None`.
    #[must_use]
    pub fn round(&self, tenant: TenantId, kind: SyncKind) -> Option<Round> {
        self.look(tenant, |snapshot| match kind {
            SyncKind::Users => snapshot.users.round(),
            SyncKind::Groups => snapshot.groups.round(),
            SyncKind::Risk => None,
        })?
    }

    /// Applies what a sync job read: durable first, then visible, then announced. Returns whose standing changed.
    ///
    /// An update of more than 20,000 changes is applied in pieces of which only the last moves the link. The end of a
    /// full reading of groups becomes visible group by group; whoever asks in between gets old and new groups mixed,
    /// each as it was true at some time, and is told to ask again when the last is in.
    ///
    /// # Errors
    /// When the store cannot write; nothing has changed then, or only whole pieces, and the job reads the same again.
    pub async fn apply(&self, tenant: TenantId, update: Update) -> Result<Affected, StoreError> {
        let Some(known) = self.tenant(tenant) else { return Ok(Affected::Nobody) };
        let mut writer = known.writer.lock().await;
        if let Some(store) = &self.inner.store {
            // What the start found to be set right, before anything new is written over it.
            writer.later.write_in_turn(store).await?;
        }
        let mut affected = Affected::Nobody;
        for piece in update.pieces() {
            affected = affected.and(self.apply_piece(tenant, known, &mut writer, piece).await?);
        }
        Ok(affected)
    }

    async fn apply_piece(
        &self,
        tenant: TenantId,
        known: &Tenant,
        writer: &mut Writer,
        piece: Piece,
    ) -> Result<Affected, StoreError> {
        let now = self.inner.clock.now();
        let (mut plan, before) = known.look(|snapshot| {
            let plan = Plan::of(snapshot, tenant, piece, now);
            let before = Before::of(snapshot, &plan);
            (plan, before)
        });
        let mut rows = std::mem::take(&mut plan.rows);
        let feed = known.feed.now();
        let saves_feed = writer.feed.is_none_or(|saved| is_worth_saving(saved, feed));
        if saves_feed {
            rows.put(Table::DirectoryRounds, rows::reading_key(tenant, SyncKind::Risk), feed_row(feed));
        }
        self.write(rows).await?;
        if saves_feed {
            writer.feed = Some(feed);
        }
        let mut later = std::mem::take(&mut plan.later);
        known.take(plan);
        let affected = known.look(|snapshot| before.changed(snapshot, tenant));
        self.announce(affected.clone());
        if let Some(store) = &self.inner.store
            && let Err(error) = later.write_in_turn(store).await
        {
            tracing::warn!(tenant = %tenant, error = %error, "old rows of the directory stay in the store until the next start");
        }
        Ok(affected)
    }

    /// Says where a tenant's risk stands: that the source answers, or why it does not. What it says is durable with the
    /// next update, at most a minute of confirmations behind; a change of the source is written at once if there is a
    /// runtime to write it on.
    pub fn set_feed(&self, tenant: TenantId, feed: RiskFeed) {
        let Some(known) = self.tenant(tenant) else { return };
        let before = known.feed.now();
        known.feed.set(feed, self.inner.clock.now(), self.inner.clock.tick());
        if before.source == feed.source {
            return;
        }
        self.announce(Affected::Everybody(tenant));
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            // Not a handle of its own: a directory that has been let go is not kept open for this.
            let inner = Arc::downgrade(&self.inner);
            runtime.spawn(async move {
                let Some(directory) = inner.upgrade().map(|inner| Self { inner }) else { return };
                if let Err(error) = directory.apply(tenant, Update::default()).await {
                    tracing::warn!(tenant = %tenant, error = %error, "where risk comes from could not be saved; it is tried again with the next update");
                }
            });
        }
    }

    /// Blocks or unblocks a person by hand. Durable when it returns.
    ///
    /// # Errors
    /// When the store cannot write, or there is no directory of that tenant to keep it in; nothing has changed then.
    pub async fn set_hold(&self, user: UserKey, hold: Hold) -> Result<(), StoreError> {
        self.set_mark(user, |mark| Mark { hold, ..mark }).await
    }

    /// Has every request of a person logged in full until that moment; zero for no longer. Durable when it returns.
    ///
    /// # Errors
    /// As [`Directory::set_hold`].
    pub async fn set_watched(&self, user: UserKey, until: UnixTime) -> Result<(), StoreError> {
        self.set_mark(user, |mark| Mark { watched_until: until, ..mark }).await
    }

    async fn set_mark(&self, user: UserKey, change: impl FnOnce(Mark) -> Mark) -> Result<(), StoreError> {
        let known = self.tenant(user.tenant).ok_or(StoreError::NotKept)?;
        let _turn = known.writer.lock().await;
        let before = known.look(|snapshot| snapshot.marks.get(&user.object).copied()).unwrap_or_default();
        let after = change(before);
        if after == before {
            return Ok(());
        }
        let mut rows = Rows::default();
        rows.set(Table::Holds, rows::person_key(user.tenant, user.object), after.row());
        self.write(rows).await?;
        known.change(|snapshot| match after == Mark::default() {
            true => snapshot.marks.remove(&user.object),
            false => snapshot.marks.insert(user.object, after),
        });
        self.announce(Affected::People(vec![user]));
        Ok(())
    }

    async fn write(&self, rows: Rows) -> Result<(), StoreError> {
        match &self.inner.store {
            Some(store) => rows.write(store).await,
            None => Ok(()),
        }
    }

    fn look<T>(&self, tenant: TenantId, look: impl FnOnce(&Snapshot) -> T) -> Option<T> {
        Some(self.tenant(tenant)?.look(look))
    }

    fn announce(&self, affected: Affected) {
        if affected == Affected::Nobody {
            return;
        }
        self.inner.epoch.fetch_add(1, Ordering::AcqRel);
        // Nobody listening is no error: the epoch moved all the same.
        let _heard = self.inner.affected.send(affected);
    }

    fn tenant(&self, id: TenantId) -> Option<&Tenant> {
        self.inner.tenants.iter().find(|(known, _)| *known == id).map(|(_, tenant)| tenant)
    }
}

impl Tenant {
    fn of(loaded: Loaded) -> Self {
        let feed = loaded.feed.unwrap_or(RiskFeed { source: RiskSource::NeverSynced, confirmed: UnixTime(0) });
        Self {
            snapshot: RwLock::new(loaded.snapshot),
            feed: Arc::new(Feed::new(feed)),
            writer: Mutex::new(Writer { later: loaded.later, feed: loaded.feed }),
        }
    }

    fn look<T>(&self, look: impl FnOnce(&Snapshot) -> T) -> T {
        look(&self.snapshot.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn change<T>(&self, change: impl FnOnce(&mut Snapshot) -> T) -> T {
        change(&mut self.snapshot.write().unwrap_or_else(PoisonError::into_inner))
    }

    /// Makes a plan visible: in one go, unless so many memberships turn that requests would wait for long.
    fn take(&self, mut plan: Plan) {
        let mut turns = std::mem::take(&mut plan.turns).into_iter().peekable();
        loop {
            let done = self.change(|snapshot| {
                snapshot.take_objects(&mut plan);
                let mut size = 0;
                while size < MOST_AT_A_TIME
                    && let Some(turn) = turns.next()
                {
                    size += 1 + turn.size();
                    snapshot.membership.take(turn);
                }
                let done = turns.peek().is_none();
                if done {
                    snapshot.take_rest(&mut plan);
                }
                done
            });
            if done {
                return;
            }
            // Whoever waits takes longer to wake than this thread to lock again, and would be passed over each time.
            std::thread::sleep(GAP);
        }
    }
}

/// Whether the store should learn how a feed stands now.
fn is_worth_saving(saved: RiskFeed, now: RiskFeed) -> bool {
    saved.source != now.source || now.confirmed.since(saved.confirmed) >= CONFIRMED_BEHIND
}

/// A confirmation is not written for its own sake more often than this; after a restart risk seems this much older.
const CONFIRMED_BEHIND: Duration = Duration::from_secs(60);
/// Memberships turned before readers get a chance.
const MOST_AT_A_TIME: usize = 20_000;
/// Long enough for a waiting reader to wake: with steps of 5 ms readers waited up to 40 ms without it, 9 ms with it.
const GAP: Duration = Duration::from_micros(100);
/// Announcements that wait for a slow receiver before it has to look at everybody.
const AFFECTED_QUEUE: usize = 1024;

#[cfg(test)]
mod tests;
