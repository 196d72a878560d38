//! The end of sessions whose provider or tenant is not configured any more.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::Lasting;
use crate::audit::{EndedBy, SessionEnd, SessionId};
use crate::cut::CutReason;
use crate::facts::UserKey;
use crate::session::SessionKey;

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
        self.end_where(|user| !tenants.contains(&user.tenant));
    }

    fn end_where(&self, goes: impl Fn(&UserKey) -> bool) {
        let reason = CutReason::AccountLost;
        let gone = self.base.sessions.drop_where(goes, reason);
        if gone.is_empty() {
            return;
        }
        tracing::info!(sessions = gone.len(), "sessions of a provider or tenant that is gone have ended");
        for (SessionKey(key), user) in gone {
            let ended = SessionEnd { user, session: SessionId::of(&key), reason, by: EndedBy::Admin };
            self.base.audit.session_ended(&self.base.metrics, ended);
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
