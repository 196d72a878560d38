//! The console's way to the admin listener, what it is shown, and the end of sessions whose provider is gone.

use std::net::SocketAddr;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::Lasting;
use crate::access::AppConfig;
use crate::admin::{AppView, Console, Look, ProviderView, View};
use crate::audit::{EndedBy, Event, SessionId};
use crate::config::Config;
use crate::cut::CutReason;
use crate::session::SessionInfo;

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

impl Lasting {
    /// Ends every session: whoever signed in before did so at another provider.
    pub(super) fn end_everybody(self: &Arc<Self>) {
        self.end_where(|_| true);
    }

    /// Ends the sessions of tenants whose people may not sign in here any more; at the start also those of a
    /// configuration before it. At once in memory, durably in the background; and once more a little later, for
    /// somebody who was signing in meanwhile.
    pub(super) fn end_strangers(self: &Arc<Self>) {
        self.end_those_of_gone_tenants();
        let lasting = Arc::downgrade(self);
        self.base.control.spawn(async move {
            tokio::time::sleep(STRAGGLERS).await;
            if let Some(lasting) = lasting.upgrade() {
                lasting.end_those_of_gone_tenants();
            }
        });
    }

    fn end_those_of_gone_tenants(&self) {
        let tenants = self.config.lock().unwrap_or_else(PoisonError::into_inner).entra.tenants.clone();
        self.end_where(|info| !tenants.contains(&info.user.tenant));
    }

    fn end_where(&self, goes: impl Fn(&SessionInfo) -> bool) {
        let gone = self.base.sessions.drop_where(goes, CutReason::AccountLost);
        if gone.is_empty() {
            return;
        }
        tracing::info!(sessions = gone.len(), "sessions of a provider or tenant that is gone have ended");
        for info in &gone {
            self.base.metrics.control.session_ended(CutReason::AccountLost);
            let session = SessionId(u64::from_str_radix(&info.id, 16).unwrap_or_default());
            let (user, reason, by) = (info.user, CutReason::AccountLost, EndedBy::Admin);
            self.base.audit.record(Event::SessionEnded { user, session, reason, by });
        }
        let sessions = self.base.sessions.clone();
        self.base.control.spawn(async move {
            if let Err(error) = sessions.finish_endings().await {
                tracing::error!(error = %error, "ended sessions are not off the disk yet; it is tried again");
            }
        });
    }
}

/// Longer than anybody's sign-in takes from the provider's answer to the cookie.
const STRAGGLERS: Duration = Duration::from_secs(60);
