//! The console's way to the admin listener, and what it is shown.

use std::net::SocketAddr;
use std::sync::{Arc, PoisonError};

use super::Lasting;
use crate::access::AppConfig;
use crate::admin::{AppView, Console, Look, ProviderView, View};
use crate::config::Config;

/// The configured apps, the console's one leading to where the admin listener really is: the configuration may say
/// port 0, and a reload must not point it elsewhere.
pub(super) fn lead_to(admin: SocketAddr, config: &Config) -> Vec<AppConfig> {
    let mut apps = config.apps.clone();
    for app in apps.iter_mut().filter(|app| config.admin.console.is_some() && app.name == Console::APP) {
        app.upstream.endpoints = Console::way_to(admin);
    }
    apps
}

/// What the admin interface is shown: one generation, with the configuration it was built from.
pub(super) fn look(lasting: &Arc<Lasting>) -> Look {
    let lasting = Arc::downgrade(lasting);
    Arc::new(move || {
        let Some(lasting) = lasting.upgrade() else { return View::of_nothing() };
        let config = lasting.config.lock().unwrap_or_else(PoisonError::into_inner);
        let world = lasting.world.current();
        let app = |(app, id): (&AppConfig, u32)| AppView {
            id: crate::facts::AppId(id),
            name: app.name.clone(),
            url: config.sign_in.origin_of(&app.host),
            path: app.path.clone(),
        };
        let port = if config.sign_in.public_port == 0 { lasting.base.port } else { config.sign_in.public_port };
        let console = config.admin.console.clone().map(|console| Arc::new(Console { port, ..console }));
        View {
            generation: world.number(),
            policy: world.policy.clone(),
            rules: config.rules.clone().into(),
            risk_rules: config.risk.rules.clone().into(),
            apps: config.apps.iter().zip(0..).map(app).collect(),
            provider: ProviderView {
                authority: config.entra.authority.to_string(),
                client_id: config.entra.client_id.clone(),
                tenants: config.entra.tenants.clone(),
                ready: world.sign_in.knows_provider_keys(),
            },
            console,
        }
    })
}
