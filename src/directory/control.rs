//! The jobs as the administration sees them: how each tenant stands, and what may be told to do.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;
use url::Url;

use super::desk::{Desk, Office};
use super::{Config, Directory, Gate, TenantStatus, sync};
use crate::audit::AuditLog;
use crate::entra::graph::Graph;
use crate::entra::{EntraError, RelyingParty};
use crate::facts::{RiskSource, SharedClock, TenantId};
use crate::store::{Store, StoreError};
use crate::telemetry::metrics::{DirectoryReading, KindReading};

/// All tenants' jobs. Cheap to clone.
#[derive(Clone)]
pub struct Control {
    desks: Arc<[Arc<Desk>]>,
    office: Option<Arc<Office>>,
}

/// Something could not be done.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// No such tenant is configured.
    #[error("this tenant is not configured")]
    UnknownTenant,
    /// This gateway reads no directory.
    #[error("this gateway reads no directory: there is no [directory] in its configuration")]
    NotConfigured,
    /// Upload cannot be turned on before the risk of accounts may be read.
    #[error("data upload cannot be turned on: {reason}")]
    NotGranted {
        /// What is missing.
        reason: String,
    },
    /// Data upload is this gateway's own switch.
    #[error("data upload is a switch of this gateway, nothing is granted at Microsoft for it")]
    NothingToConsent,
    /// The consent address cannot be made.
    #[error("the address for the consent cannot be made from the login address")]
    Address,
    /// The switch could not be made durable, so nothing has changed.
    #[error("the store cannot write; nothing has changed")]
    Store(#[from] StoreError),
}

impl ControlError {
    /// The word in the admin API and in records.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::UnknownTenant => "unknown_tenant",
            Self::NotConfigured => "not_configured",
            Self::NotGranted { .. } => "not_granted",
            Self::NothingToConsent => "nothing_to_consent",
            Self::Address => "address",
            Self::Store(_) => "store",
        }
    }
}

fn reading(desk: &Desk) -> DirectoryReading {
    let status = desk.status();
    let kinds = status.progress.iter().map(|progress| KindReading {
        kind: progress.kind.word(),
        items: progress.items,
        finished: progress.finished.map(|at| at.0),
    });
    DirectoryReading {
        tenant: status.tenant.to_string(),
        kinds: kinds.collect(),
        failures: desk.failures().into_iter().map(|(kind, word, count)| (kind.word(), word, count)).collect(),
        gates: status.gates.iter().map(|(gate, status)| (gate.word(), status.word())).collect(),
        source: status.feed.source.word(),
        confirmed: status.feed.confirmed.0,
    }
}

/// The jobs could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// Graph cannot be used as configured.
    #[error("Microsoft Graph cannot be used as configured")]
    Entra(#[from] EntraError),
    /// The switches cannot be read.
    #[error("the tenants' switches cannot be read")]
    Store(#[from] StoreError),
}

/// What the jobs stand on.
pub struct Ground {
    /// Where what they read goes.
    pub directory: Directory,
    /// Where switches are kept.
    pub store: Store,
    /// The time.
    pub clock: SharedClock,
    /// The decision log, for changes of permissions.
    pub audit: AuditLog,
}

impl Control {
    /// Jobs for `tenants`, all of them the relying party's. Nothing runs before [`Control::run`]. Blocks; meant for the
    /// start.
    ///
    /// # Errors
    /// See [`SetupError`].
    pub fn new(config: Config, tenants: &[TenantId], party: &RelyingParty, ground: Ground) -> Result<Self, SetupError> {
        let Ground { directory, store, clock, audit } = ground;
        let (time, looked) = (Notify::new(), Mutex::default());
        let office = Arc::new(Office { config, directory, store, clock, audit, time, looked });
        let desk = |tenant: &TenantId| -> Result<Arc<Desk>, SetupError> {
            let graph = Graph::new(party, *tenant, &office.config.root)?;
            Ok(Arc::new(Desk::new(*tenant, Arc::clone(&office), graph)?))
        };
        let desks: Vec<_> = tenants.iter().map(desk).collect::<Result<_, _>>()?;
        Ok(Self { desks: desks.into(), office: Some(office) })
    }

    /// For a gateway that reads no directory.
    #[must_use]
    pub fn none() -> Self {
        Self { desks: Arc::new([]), office: None }
    }

    /// Runs the jobs until the future is dropped.
    pub async fn run(&self) {
        sync::run(&self.desks).await;
    }

    /// Goes on with another relying party: its credential or its addresses have changed.
    ///
    /// # Errors
    /// When it cannot be used; the one before stays then.
    pub fn use_party(&self, party: &RelyingParty) -> Result<(), EntraError> {
        let Some(office) = &self.office else { return Ok(()) };
        // A tenant that the new configuration leaves out keeps what it has until the restart that removes it.
        for desk in self.desks.iter() {
            match Graph::new(party, desk.tenant, &office.config.root) {
                Ok(graph) => desk.use_graph(graph),
                Err(EntraError::BadToken(_)) => {}
                Err(error) => return Err(error),
            }
            desk.doubt();
        }
        Ok(())
    }

    /// How each tenant stands. As long as somebody asks, permissions are proven every few seconds.
    #[must_use]
    pub fn status(&self) -> Vec<TenantStatus> {
        if let Some(office) = &self.office {
            *office.looked.lock().unwrap_or_else(PoisonError::into_inner) = Some(office.clock.tick());
        }
        self.desks.iter().map(|desk| desk.status()).collect()
    }

    /// How each tenant stands, for metrics; counts as nobody who looks.
    #[must_use]
    pub fn readings(&self) -> Vec<DirectoryReading> {
        self.desks.iter().map(|desk| reading(desk)).collect()
    }

    /// Graph for a tenant, for actions on accounts.
    #[must_use]
    pub fn graph(&self, tenant: TenantId) -> Option<Arc<Graph>> {
        self.desk(tenant).ok().map(|desk| desk.graph())
    }

    /// Reads everything of a tenant now, instead of at the next slot.
    ///
    /// # Errors
    /// [`ControlError::UnknownTenant`], [`ControlError::NotConfigured`].
    pub fn sync_now(&self, tenant: TenantId) -> Result<(), ControlError> {
        let desk = self.desk(tenant)?;
        desk.wake.people.notify_one();
        desk.wake.risk.notify_one();
        Ok(())
    }

    /// Turns data upload on or off; durable when it returns. Off keeps what was granted.
    ///
    /// # Errors
    /// See [`ControlError`]; nothing has changed then.
    pub async fn set_upload(&self, tenant: TenantId, on: bool) -> Result<(), ControlError> {
        let desk = self.desk(tenant)?;
        if on && !desk.upload() {
            // Whoever turns it on allows the one question that proves it.
            if !sync::gates::prove_risk(desk).await {
                let status = desk.gate(Gate::Risk);
                let reason = status.reason(Gate::Risk).unwrap_or_else(|| "risk cannot be read".to_owned());
                return Err(ControlError::NotGranted { reason });
            }
        }
        desk.switch(|switches| switches.upload = Some(on)).await?;
        if !on {
            desk.set_source(RiskSource::UploadOff, None);
        }
        desk.wake.risk.notify_one();
        Ok(())
    }

    /// Where an administrator of the tenant consents. `state` comes back; bind it to the administrator and take it
    /// once. What comes back proves nothing: [`Control::check`] does.
    ///
    /// # Errors
    /// See [`ControlError`].
    pub async fn consent_url(
        &self,
        tenant: TenantId,
        gate: Gate,
        state: &str,
        redirect: &Url,
    ) -> Result<Url, ControlError> {
        let desk = self.desk(tenant)?;
        if gate == Gate::DataUpload {
            return Err(ControlError::NothingToConsent);
        }
        desk.graph().consent_url(state, redirect).map_err(|_| ControlError::Address)
    }

    /// Proves now what is granted: a new token, and one try of each kind of reading.
    ///
    /// # Errors
    /// [`ControlError::UnknownTenant`], [`ControlError::NotConfigured`].
    pub async fn check(&self, tenant: TenantId) -> Result<TenantStatus, ControlError> {
        let desk = self.desk(tenant)?;
        sync::gates::prove(desk, true, true).await;
        Ok(desk.status())
    }

    /// For tests that move the clock by hand: whoever waits looks at it again.
    pub fn clock_moved(&self) {
        if let Some(office) = &self.office {
            office.time.notify_waiters();
        }
    }

    fn desk(&self, tenant: TenantId) -> Result<&Arc<Desk>, ControlError> {
        if self.office.is_none() {
            return Err(ControlError::NotConfigured);
        }
        self.desks.iter().find(|desk| desk.tenant == tenant).ok_or(ControlError::UnknownTenant)
    }
}
