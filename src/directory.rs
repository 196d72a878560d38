//! Layer 3: what the gateway knows of each tenant's people: users, groups, membership and risk, kept in memory and in
//! the store, and where that knowledge comes from.
//!
//! One writer per tenant (its sync job) applies [`Update`]s; every reader asks [`Directory::standing`]. A reader keeps
//! what it got until [`Directory::epoch`] moves.

mod config;
mod control;
mod desk;
mod gates;
mod schedule;
mod snapshot;
mod status;
mod switches;
mod sync;
mod update;

pub use config::{Config, Rhythm};
pub use control::{Control, ControlError, Ground, SetupError};
pub use gates::examine;
pub use status::{Gate, GateStatus, Phase, Progress, SyncKind, TenantStatus};
pub use update::{Affected, RiskUpdate, Round, Update};

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::broadcast;

use crate::facts::{Hold, RiskFeed, RiskSource, SharedClock, Standing, Subject, TenantId, UnixTime, UserKey};
use crate::store::{Store, StoreError};
use snapshot::Snapshot;

/// Everything known about every configured tenant. Cheap to clone.
#[derive(Clone)]
pub struct Directory {
    inner: Arc<Inner>,
}

struct Inner {
    tenants: Vec<(TenantId, Tenant)>,
    epoch: AtomicU64,
    affected: broadcast::Sender<Affected>,
    _store: Option<Store>,
    _clock: SharedClock,
}

struct Tenant {
    snapshot: RwLock<Snapshot>,
    feed: Arc<Feed>,
}

/// A tenant's [`RiskFeed`] as readers hold it: two loads, no lock.
#[derive(Debug)]
pub struct Feed {
    source: AtomicU8,
    confirmed: AtomicU64,
}

impl Feed {
    fn new(feed: RiskFeed) -> Self {
        Self { source: AtomicU8::new(feed.source as u8), confirmed: AtomicU64::new(feed.confirmed.0) }
    }

    /// How it stands now.
    #[must_use]
    pub fn now(&self) -> RiskFeed {
        RiskFeed {
            source: RiskSource::from_code(self.source.load(Ordering::Acquire)),
            confirmed: UnixTime(self.confirmed.load(Ordering::Acquire)),
        }
    }

    fn set(&self, feed: RiskFeed) {
        self.confirmed.store(feed.confirmed.0, Ordering::Release);
        self.source.store(feed.source as u8, Ordering::Release);
    }
}

/// How much of everything is known of one tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Users, guests included.
    pub users: u64,
    /// Groups.
    pub groups: u64,
    /// Accounts that the provider lists as risky, whatever has become of it.
    pub risky: u64,
}

impl Directory {
    /// Opens what the store kept of these tenants, so that the last verdicts hold from the first request. Blocks; meant
    /// for the start.
    ///
    /// # Errors
    /// When the store cannot read.
    pub fn open(tenants: &[TenantId], store: Store, clock: SharedClock) -> Result<Self, StoreError> {
        Ok(Self::with(tenants, RiskSource::NeverSynced, Some(store), clock))
    }

    /// A directory of nobody, for a gateway that reads none: tokens tell the groups, and there is no risk to judge by.
    #[must_use]
    pub fn none(clock: SharedClock) -> Self {
        Self::with(&[], RiskSource::NotConfigured, None, clock)
    }

    fn with(tenants: &[TenantId], source: RiskSource, store: Option<Store>, clock: SharedClock) -> Self {
        let tenant = |id: &TenantId| {
            let feed = Arc::new(Feed::new(RiskFeed { source, confirmed: UnixTime(0) }));
            (*id, Tenant { snapshot: RwLock::new(Snapshot::default()), feed })
        };
        let (affected, _) = broadcast::channel(AFFECTED_QUEUE);
        let tenants = tenants.iter().map(tenant).collect();
        Self { inner: Arc::new(Inner { tenants, epoch: AtomicU64::new(1), affected, _store: store, _clock: clock }) }
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
        let snapshot = tenant.snapshot.read().unwrap_or_else(PoisonError::into_inner);
        snapshot.standing(subject)
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

    /// Applies what a sync job read: durable first, then visible, then announced. Returns whose standing changed.
    ///
    /// # Errors
    /// When the store cannot write; nothing has changed then, and the job reads the same again.
    pub async fn apply(&self, tenant: TenantId, update: Update) -> Result<Affected, StoreError> {
        let Some(known) = self.tenant(tenant) else { return Ok(Affected::Nobody) };
        let affected = {
            let mut snapshot = known.snapshot.write().unwrap_or_else(PoisonError::into_inner);
            snapshot.apply(tenant, update)
        };
        self.announce(affected.clone());
        Ok(affected)
    }

    /// Says where a tenant's risk stands: that the source answered, or why it does not.
    pub fn set_feed(&self, tenant: TenantId, feed: RiskFeed) {
        let Some(known) = self.tenant(tenant) else { return };
        let before = known.feed.now();
        known.feed.set(feed);
        if before.source != feed.source {
            self.announce(Affected::Everybody(tenant));
        }
    }

    /// Where the stored reading of `kind` stands, so that a restart goes on from there.
    #[must_use]
    pub fn round(&self, _tenant: TenantId, _kind: SyncKind) -> Option<Round> {
        None
    }

    /// How much is known.
    #[must_use]
    pub fn counts(&self, tenant: TenantId) -> Counts {
        let Some(known) = self.tenant(tenant) else { return Counts::default() };
        known.snapshot.read().unwrap_or_else(PoisonError::into_inner).counts()
    }

    /// Blocks or unblocks a person by hand. Durable when it returns.
    ///
    /// # Errors
    /// When the store cannot write.
    pub async fn set_hold(&self, user: UserKey, hold: Hold) -> Result<(), StoreError> {
        if let Some(known) = self.tenant(user.tenant) {
            known.snapshot.write().unwrap_or_else(PoisonError::into_inner).set_hold(user.object, hold);
            self.announce(Affected::People(vec![user]));
        }
        Ok(())
    }

    /// Watches a person until then. Durable when it returns.
    ///
    /// # Errors
    /// When the store cannot write.
    pub async fn set_watched(&self, user: UserKey, until: UnixTime) -> Result<(), StoreError> {
        if let Some(known) = self.tenant(user.tenant) {
            known.snapshot.write().unwrap_or_else(PoisonError::into_inner).set_watched(user.object, until);
            self.announce(Affected::People(vec![user]));
        }
        Ok(())
    }

    /// Everybody of a tenant whose account is at risk.
    #[must_use]
    pub fn at_risk(&self, tenant: TenantId) -> Vec<UserKey> {
        let Some(known) = self.tenant(tenant) else { return Vec::new() };
        known.snapshot.read().unwrap_or_else(PoisonError::into_inner).at_risk(tenant)
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

/// Announcements that wait for a slow receiver before it has to look at everybody.
const AFFECTED_QUEUE: usize = 1024;
