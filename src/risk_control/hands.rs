//! What is asked of the identity provider, and by whom: Microsoft Graph in life, anything in tests.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::order::ActionKind;
use crate::entra::graph::{Graph, Outcome};
use crate::facts::{TenantId, UserKey};

/// One call about one account. Each of them may be repeated without harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Call {
    /// [`Graph::revoke_sessions`].
    RevokeSessions,
    /// [`Graph::set_enabled`].
    SetEnabled(bool),
    /// [`Graph::force_password_change`].
    ForcePasswordChange {
        /// Only after a second factor.
        mfa: bool,
    },
    /// [`Graph::confirm_compromised`].
    ConfirmCompromised,
    /// [`Graph::confirm_safe`].
    ConfirmSafe,
    /// [`Graph::dismiss_risk`].
    DismissRisk,
}

impl Call {
    /// What `kind` needs of the provider; none if it is a matter of this gateway alone.
    #[must_use]
    pub const fn of(kind: ActionKind, mfa: bool) -> Option<Self> {
        match kind {
            ActionKind::SignOut => Some(Self::RevokeSessions),
            ActionKind::Disable => Some(Self::SetEnabled(false)),
            ActionKind::Enable => Some(Self::SetEnabled(true)),
            ActionKind::ResetPassword => Some(Self::ForcePasswordChange { mfa }),
            ActionKind::ConfirmCompromised => Some(Self::ConfirmCompromised),
            ActionKind::DismissRisk => Some(Self::DismissRisk),
            ActionKind::ConfirmSafe => Some(Self::ConfirmSafe),
            ActionKind::Block(_) | ActionKind::Unblock(_) | ActionKind::Watch | ActionKind::Unwatch => None,
        }
    }
}

/// What becomes of a call; `None` if nobody acts on accounts of that tenant.
pub type Asked = Pin<Box<dyn Future<Output = Option<Outcome>> + Send>>;

/// Whoever acts on accounts.
pub trait Hands: Send + Sync + 'static {
    /// Asks the provider once; waits no longer than its own deadline.
    fn ask(&self, user: UserKey, call: Call) -> Asked;
}

/// Finds the client of a tenant; it may be another one after a reload.
pub type FindGraph = Box<dyn Fn(TenantId) -> Option<Arc<Graph>> + Send + Sync>;

/// Microsoft Graph, one client per tenant.
pub struct GraphHands {
    find: FindGraph,
}

impl GraphHands {
    /// Acts through the clients that `find` finds, and on nobody of a tenant without one.
    #[must_use]
    pub const fn new(find: FindGraph) -> Self {
        Self { find }
    }
}

impl Hands for GraphHands {
    fn ask(&self, user: UserKey, call: Call) -> Asked {
        let graph = (self.find)(user.tenant);
        Box::pin(async move {
            let graph = graph?;
            let object = user.object;
            Some(match call {
                Call::RevokeSessions => graph.revoke_sessions(object).await,
                Call::SetEnabled(enabled) => graph.set_enabled(object, enabled).await,
                Call::ForcePasswordChange { mfa } => graph.force_password_change(object, mfa).await,
                Call::ConfirmCompromised => graph.confirm_compromised(object).await,
                Call::ConfirmSafe => graph.confirm_safe(object).await,
                Call::DismissRisk => graph.dismiss_risk(object).await,
            })
        })
    }
}
