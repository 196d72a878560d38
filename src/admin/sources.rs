//! What the admin interface asks of the parts it shows and steers.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use url::Url;

use super::console::Console;
use crate::directory::{Control, ControlError, Gate, TenantStatus};
use crate::facts::{AppId, TenantId};
use crate::policy::{Policy, RiskRule, Rule};

/// An answer that takes a while.
pub type Later<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Why something about a tenant was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotDone {
    /// The gateway reads nothing of this tenant.
    UnknownTenant,
    /// It cannot be done as things stand; the reason, in one sentence.
    Refused(String),
    /// It failed on the way, and may work later; the reason, in one sentence.
    Failed(String),
}

impl std::fmt::Display for NotDone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::UnknownTenant => f.write_str("the gateway reads nothing of this tenant"),
            Self::Refused(reason) | Self::Failed(reason) => f.write_str(reason),
        }
    }
}

/// The tenants whose directory and risk are read, and the permissions that takes.
pub trait Tenants: Send + Sync {
    /// Every tenant as it stands.
    fn status(&self) -> Vec<TenantStatus>;
    /// Begins to read now.
    ///
    /// # Errors
    /// When it cannot be begun.
    fn sync_now(&self, tenant: TenantId) -> Result<(), NotDone>;
    /// Turns the upload of data on or off. Durable when it returns.
    fn set_upload(&self, tenant: TenantId, on: bool) -> Later<Result<(), NotDone>>;
    /// Where an administrator of the tenant consents to what `gate` needs; comes back to `redirect` with `state`.
    fn consent_url(&self, tenant: TenantId, gate: Gate, state: String, redirect: Url) -> Later<Result<Url, NotDone>>;
    /// Looks at what is really granted, now: the token's roles and a probe.
    fn check(&self, tenant: TenantId) -> Later<Result<TenantStatus, NotDone>>;
}

impl From<ControlError> for NotDone {
    fn from(error: ControlError) -> Self {
        match error {
            ControlError::UnknownTenant | ControlError::NotConfigured => Self::UnknownTenant,
            ControlError::NotGranted { .. } | ControlError::NothingToConsent => Self::Refused(error.to_string()),
            ControlError::Address | ControlError::Store(_) => Self::Failed(error.to_string()),
        }
    }
}

impl Tenants for Control {
    fn status(&self) -> Vec<TenantStatus> {
        Self::status(self)
    }

    fn sync_now(&self, tenant: TenantId) -> Result<(), NotDone> {
        Ok(Self::sync_now(self, tenant)?)
    }

    fn set_upload(&self, tenant: TenantId, on: bool) -> Later<Result<(), NotDone>> {
        let control = self.clone();
        Box::pin(async move { Ok(Self::set_upload(&control, tenant, on).await?) })
    }

    fn consent_url(&self, tenant: TenantId, gate: Gate, state: String, redirect: Url) -> Later<Result<Url, NotDone>> {
        let control = self.clone();
        Box::pin(async move { Ok(Self::consent_url(&control, tenant, gate, &state, &redirect).await?) })
    }

    fn check(&self, tenant: TenantId) -> Later<Result<TenantStatus, NotDone>> {
        let control = self.clone();
        Box::pin(async move { Ok(Self::check(&control, tenant).await?) })
    }
}

/// What runs now, made anew for whoever looks: the guard, and then the route.
#[derive(Clone)]
pub struct View {
    /// Which generation of the configuration.
    pub generation: u64,
    /// The policy that decides.
    pub policy: Policy,
    /// Its rules, in order.
    pub rules: Arc<[Rule]>,
    /// Its risk rules, in order.
    pub risk_rules: Arc<[RiskRule]>,
    /// The apps, in the order of their ids.
    pub apps: Arc<[AppView]>,
    /// The one identity provider.
    pub provider: ProviderView,
    /// Where administrators sign in through the gateway, if anywhere.
    pub console: Option<Arc<Console>>,
}

/// Takes a [`View`].
pub type Look = Arc<dyn Fn() -> View + Send + Sync>;

/// An app as rules see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppView {
    /// Its index in this generation.
    pub id: AppId,
    /// Its name.
    pub name: String,
    /// `https://` address.
    pub url: String,
    /// Path prefix.
    pub path: String,
}

/// The identity provider people sign in with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderView {
    /// Login address of the cloud.
    pub authority: String,
    /// Application (client) id.
    pub client_id: String,
    /// Whose people may sign in.
    pub tenants: Vec<TenantId>,
    /// Whether its keys are known, so that signing in works.
    pub ready: bool,
}

impl View {
    /// Nothing runs: the gateway is being taken apart.
    #[must_use]
    pub fn of_nothing() -> Self {
        let provider =
            ProviderView { authority: String::new(), client_id: String::new(), tenants: Vec::new(), ready: false };
        let (policy, rules, apps) = (Policy::default(), Arc::from([]), Arc::from([]));
        Self { generation: 0, policy, rules, risk_rules: Arc::from([]), apps, provider, console: None }
    }
}
