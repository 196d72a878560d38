//! One generation of everything a request is judged and routed by, built whole from a configuration.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;

use super::{AppError, Base};
use crate::access::{HeaderRules, Routes, SecretStore, StoreFailure, World};
use crate::config::Config;
use crate::entra::{Credential, EntraError, RelyingParty};
use crate::facts::SharedClock;
use crate::generation::Generation;
use crate::pages::{self, Pages};
use crate::policy::Policy;
use crate::sign_in::{self, SignIn, cookie};
use crate::store::{Keyring, Store};

/// The provider of the next generation: the one of `world`, which runs now by `old`, if nothing about it changed. Keys
/// fetched before then survive a reload, so that signing in works even if the provider is away right now.
pub(super) fn provider_after(
    old: &Config,
    world: &World,
    config: &Config,
    clock: &SharedClock,
) -> Result<RelyingParty, EntraError> {
    if is_same_provider(old, config) {
        return Ok(world.sign_in.provider().clone());
    }
    RelyingParty::new(config.entra.clone(), Arc::clone(clock))
}

/// Builds a generation whose rules are called `version` in logs.
pub(super) fn build(base: &Base, config: &Config, provider: RelyingParty, version: u64) -> Result<World, AppError> {
    let public_port = public_port(base, config);
    let pages = Pages::new(pages::Config {
        organisation: None,
        help: config.help.clone(),
        provider_origins: vec![config.entra.authority.origin().ascii_serialization()],
    });
    let routes = Routes::build(super::console::lead_to(base.admin, config))?;
    let health_checks = {
        let _inside = base.control.enter();
        routes.check_health()
    };
    let sign_in = SignIn::new(sign_in::Parts {
        config: sign_in::Config { public_port, ..config.sign_in.clone() },
        provider,
        sessions: base.sessions.clone(),
        keyring: Arc::clone(&base.keyring),
        peers: base.peers.clone(),
        pages: pages.clone(),
        clock: Arc::clone(&base.clock),
        control: base.control.clone(),
        audit: base.audit.clone(),
        metrics: Arc::clone(&base.metrics),
    });
    let hsts = config.hsts.and_then(|age| HeaderValue::try_from(format!("max-age={}", age.as_secs())).ok());
    let policy = Policy::new(config.rules.clone(), version).with_risk(config.risk.clone());
    Ok(World {
        routes,
        policies: (0..config.edge.workers.max(1)).map(|_| policy.apart()).collect(),
        policy,
        sign_in,
        sessions: base.sessions.clone(),
        directory: base.directory.clone(),
        assertions: Arc::clone(&base.assertions),
        identity_headers: config.identity_headers.clone(),
        header_rules: HeaderRules::new(&config.identity_headers, cookie::OWN_PREFIX).with_hsts(hsts),
        trusted_proxies: config.trusted_proxies.clone(),
        public_port,
        require_sni: config.require_sni,
        pages,
        audit: base.audit.clone(),
        clock: Arc::clone(&base.clock),
        health_checks,
    })
}

/// Keeps the provider's keys of the current generation fresh; begins anew with each generation's provider.
pub(super) async fn keep_fresh(world: &Generation<World>) {
    loop {
        let held = world.current();
        let number = held.number();
        let provider = held.sign_in.provider().clone();
        drop(held);
        let replaced = async {
            while world.number() == number {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        };
        tokio::select! {
            () = provider.keep_fresh() => {}
            () = replaced => {}
        }
    }
}

/// The name in the assertions' `iss`.
pub(super) fn issuer(config: &Config) -> String {
    config.sign_in.origin()
}

fn public_port(base: &Base, config: &Config) -> u16 {
    if config.sign_in.public_port == 0 { base.port } else { config.sign_in.public_port }
}

/// Files behind a credential may have changed without the configuration changing; then it is read again.
fn is_same_provider(old: &Config, new: &Config) -> bool {
    old.entra == new.entra && matches!(new.entra.credential, Credential::Secret(_)) && new.entra.extra_ca.is_none()
}

/// Where the assertion keys are kept: in the store, sealed by the key ring.
pub(super) struct SealedSecrets {
    pub(super) store: Store,
    pub(super) keyring: Arc<Keyring>,
    pub(super) control: tokio::runtime::Handle,
}

impl SecretStore for SealedSecrets {
    fn load(&self, name: &str) -> Result<Option<Vec<u8>>, StoreFailure> {
        Ok(self.store.load_secret(&self.keyring, name)?)
    }

    fn save(&self, name: &str, secret: &[u8]) -> Result<(), StoreFailure> {
        // Rare (first start and rotation). On a thread of its own, because the caller may be inside a runtime.
        std::thread::scope(|scope| {
            let saving = scope.spawn(|| self.control.block_on(self.store.save_secret(&self.keyring, name, secret)));
            saving.join().map_err(|_| "the saving thread panicked")?.map_err(Into::into)
        })
    }
}
