//! What happens to sessions when the directory says that an account has changed: disabled, deleted, or signed out
//! everywhere. Within a second of the directory knowing.

use std::future::Future;
use std::sync::Arc;

use tokio::sync::broadcast::error::RecvError;

use crate::audit::{AuditLog, EndedBy, SessionEnd, SessionId};
use crate::cut::CutReason;
use crate::directory::{Affected, Directory};
use crate::facts::{Account, Subject, UserKey};
use crate::session::{SessionError, SessionKey, Sessions, Which};
use crate::telemetry::Metrics;

/// Watches the directory for the sessions' sake. Cheap to clone.
#[derive(Clone)]
pub struct Accounts {
    sessions: Sessions,
    directory: Directory,
    audit: AuditLog,
    metrics: Arc<Metrics>,
}

impl Accounts {
    /// Watches `directory` for these sessions.
    #[must_use]
    pub const fn new(sessions: Sessions, directory: Directory, audit: AuditLog, metrics: Arc<Metrics>) -> Self {
        Self { sessions, directory, audit, metrics }
    }

    /// Looks at everybody once, then at whoever changes, until `stop` ends.
    pub async fn run(self, stop: impl Future<Output = ()> + Send) {
        // Listening begins before looking, so that nothing falls in between.
        let mut heard = self.directory.subscribe();
        let mut stop = std::pin::pin!(stop);
        let mut people = self.sessions.people();
        loop {
            // What is not ended yet at the end is ended at the next start, before anybody is served for long.
            tokio::select! {
                () = &mut stop => return,
                () = self.look_at(&people) => {}
            }
            let affected = tokio::select! {
                () = &mut stop => return,
                affected = heard.recv() => affected,
            };
            people = match affected {
                Ok(Affected::Nobody) => Vec::new(),
                Ok(Affected::People(people)) => people,
                Ok(Affected::Everybody(tenant)) => {
                    let mut people = self.sessions.people();
                    people.retain(|user| user.tenant == tenant);
                    people
                }
                Err(RecvError::Lagged(_)) => self.sessions.people(),
                Err(RecvError::Closed) => return stop.await,
            };
        }
    }

    async fn look_at(&self, people: &[UserKey]) {
        for user in people {
            if let Err(error) = self.settle(*user).await {
                // Ended in this process; the sessions' own background makes it durable.
                tracing::error!(error = %error, user = %user, "sessions of a changed account could not be ended on disk yet");
            }
        }
    }

    /// Ends the sessions of this person that the directory says must not go on.
    async fn settle(&self, user: UserKey) -> Result<(), SessionError> {
        let standing = self.directory.standing(&Subject::of_key(user));
        let gone = matches!(standing.account, Account::Disabled | Account::Deleted);
        let (which, reason) = match standing.valid_from {
            _ if gone => (Which::All, CutReason::AccountLost),
            Some(moment) => (Which::SignedInBefore(moment), CutReason::Revoked),
            None => return Ok(()),
        };
        let (ended, settled) = self.sessions.end_some(user, which, reason).await;
        if !ended.is_empty() {
            tracing::info!(user = %user, sessions = ended.len(), reason = reason.word(), "the directory ended sessions");
        }
        ended.iter().for_each(|key| self.tell(user, key, reason));
        settled
    }

    fn tell(&self, user: UserKey, SessionKey(key): &SessionKey, reason: CutReason) {
        let ended = SessionEnd { user, session: SessionId::of(key), reason, by: EndedBy::Provider };
        self.audit.session_ended(&self.metrics, ended);
    }
}
