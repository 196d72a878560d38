//! Every change made through the admin interface leaves one line in the audit log: who, what, on what, and how it ended.

use axum::http::StatusCode;

use super::Services;
use super::guard::Ends;
use super::problem::Problem;
use super::who::Admin;
use crate::audit::{AdminAction, EndedBy, Event, SessionEnd, SessionId};
use crate::cut::CutReason;
use crate::session::SessionInfo;

/// One change on its way.
pub(super) struct Change<'a, S> {
    pub(super) services: &'a Services<S>,
    pub(super) ends: Ends,
    pub(super) by: &'a Admin,
    /// From a closed list.
    pub(super) action: &'static str,
    pub(super) target: &'a str,
}

impl<S> Change<'_, S> {
    /// Writes down how it ended; `outcome` is of a closed list.
    pub(super) fn record(&self, outcome: &'static str, count: u64) {
        self.services.audit.record(Event::AdminAction(Box::new(AdminAction {
            client: self.ends.peer.ip(),
            by: self.by.to_string().into(),
            action: self.action,
            target: self.target.into(),
            outcome,
            count,
        })));
    }

    pub(super) fn session_ended(&self, info: &SessionInfo) {
        let session = SessionId(u64::from_str_radix(&info.id, 16).unwrap_or_default());
        let ended = SessionEnd { user: info.user, session, reason: CutReason::Revoked, by: EndedBy::Admin };
        self.services.audit.session_ended(&self.services.metrics, ended);
    }

    /// The store did not take it.
    pub(super) fn failed(&self, problem: &str) -> Problem {
        tracing::error!(problem, action = self.action, "an admin action failed");
        self.record("failed", 0);
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "store_unavailable")
            .fix("look at the gateway's log and at the disk of the state folder, then repeat it")
    }
}
