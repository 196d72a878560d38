//! Layer 5: health, metrics and the API for operators, on a listener of their own.
//!
//! Nothing of it is reachable through the data plane. Everything but `/live`, `/ready` and `/metrics` needs the bearer
//! token, also from loopback: any page in a browser on this machine can send requests there.

mod actions;
mod api;
mod guard;
mod readiness;
mod serve;
mod task_line;
pub mod token;

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

pub use api::{Ended, SessionLine, SessionList};
pub use readiness::{Condition, Readiness};
pub use serve::{AdminError, AdminListener};
pub use task_line::{
    BrakesLine, MarkLine, OrderBody, PreviewLine, PreviewList, Released, StopLine, TaskLine, TaskList, UsedLine,
};

use crate::audit::AuditLog;
use crate::cut::CutReason;
use crate::facts::{SharedClock, UserKey};
use crate::risk_control::Actions;
use crate::session::{SessionInfo, SessionKey, Sessions};
use crate::telemetry::{Metrics, Secret};

/// Where the admin interface listens and who may use it.
#[derive(Debug, Clone)]
pub struct Config {
    /// Address; port 0 picks one. Loopback unless there is a reason.
    pub listen: SocketAddr,
    /// The bearer token of `/api`.
    pub token: Secret<String>,
    /// Host names by which the listener may be called, besides `localhost` and its own address.
    pub hosts: Vec<String>,
}

/// What the admin interface shows and changes.
#[derive(Clone)]
pub struct Services<S = Sessions> {
    /// The sessions.
    pub sessions: S,
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// Where changes are recorded.
    pub audit: AuditLog,
    /// What `/ready` answers.
    pub readiness: Readiness,
    /// What is done to accounts.
    pub actions: Actions,
    /// Loads the configuration anew.
    pub reload: Reload,
    /// The time.
    pub clock: SharedClock,
}

/// Loads the configuration anew: the generation that runs now, or what was wrong with the new one. Records its own
/// outcome in the audit log.
pub type Reload = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Result<u64, String>> + Send>> + Send + Sync>;

/// What the admin interface needs of [`Sessions`].
pub trait SessionControl: Clone + Send + Sync + 'static {
    /// See [`Sessions::list`].
    fn list(&self, user: Option<UserKey>) -> Vec<SessionInfo>;
    /// See [`Sessions::find`].
    fn find(&self, id: &str) -> Option<SessionKey>;
    /// See [`Sessions::end`]; the error as text for the log.
    fn end(&self, key: &SessionKey, reason: CutReason) -> impl Future<Output = Result<bool, String>> + Send;
    /// See [`Sessions::end_user`]; the error as text for the log.
    fn end_user(&self, user: UserKey, reason: CutReason) -> impl Future<Output = Result<usize, String>> + Send;
}

impl SessionControl for Sessions {
    fn list(&self, user: Option<UserKey>) -> Vec<SessionInfo> {
        Self::list(self, user)
    }

    fn find(&self, id: &str) -> Option<SessionKey> {
        Self::find(self, id)
    }

    async fn end(&self, key: &SessionKey, reason: CutReason) -> Result<bool, String> {
        Self::end(self, key, reason).await.map_err(|error| error.to_string())
    }

    async fn end_user(&self, user: UserKey, reason: CutReason) -> Result<usize, String> {
        Self::end_user(self, user, reason).await.map_err(|error| error.to_string())
    }
}

#[cfg(test)]
pub(crate) mod tests;
