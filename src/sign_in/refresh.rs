//! Silent refresh: what the provider says about a session in use is asked again every so often, in the background.
//!
//! Entra runs Conditional Access again on each refresh, so a disabled account, revoked grants and risk policies are
//! seen here. A password change alone is not (it leaves a confidential client's refresh token alive).

use std::sync::Arc;

use super::SignIn;
use crate::audit::{EndedBy, SessionEnd, SessionId};
use crate::cut::CutReason;
use crate::entra::{BadToken, Fault};
use crate::session::{RefreshTicket, Session};

/// Starts a refresh unless one is running or none is due. Returns at once; called on the request path.
pub(super) fn if_due(sign_in: &SignIn, session: &Arc<Session>) {
    let every = sign_in.config().refresh_every;
    if every.is_zero() {
        return;
    }
    let Some(ticket) = session.begin_refresh(every, sign_in.parts.clock.tick()) else { return };
    let sign_in_again = sign_in.clone();
    let session = Arc::clone(session);
    sign_in.parts.control.spawn(async move { refresh(&sign_in_again, &session, ticket).await });
}

/// One refresh. The ticket makes it the only one for its session.
async fn refresh(sign_in: &SignIn, session: &Arc<Session>, ticket: RefreshTicket) {
    let parts = &sign_in.parts;
    let token = match parts.sessions.refresh_token(&session.key).await {
        Ok(Some(token)) => token,
        // Without a refresh token the session simply lives its lifetime.
        Ok(None) => return,
        Err(error) => {
            tracing::warn!(error = %error, "silent refresh could not read the session");
            return;
        }
    };
    match parts.provider.refresh(&token, session.user).await {
        Ok(answer) => {
            if let Err(error) = parts.sessions.refreshed(session, answer.subject, answer.refresh_token).await {
                tracing::warn!(error = %error, "silent refresh could not be recorded");
            }
        }
        Err(error) if is_about_the_person(error.fault()) => {
            tracing::info!(error = %error, user = %session.user, "the provider no longer vouches for a session");
            end(sign_in, session, CutReason::AccountLost).await;
        }
        Err(error) => {
            // The provider being away, or this gateway's own credential being wrong, is no verdict about the person:
            // the session goes on within its grace.
            let silent_for = session.silent_for(parts.clock.tick());
            tracing::warn!(error = %error, silent_for = ?silent_for, "silent refresh failed and will be tried again");
            if silent_for > parts.config.refresh_every + parts.config.refresh_grace {
                end(sign_in, session, CutReason::Expired).await;
            }
        }
    }
    drop(ticket);
}

const fn is_about_the_person(fault: Fault) -> bool {
    matches!(fault, Fault::Refused(_) | Fault::BadToken(BadToken::OtherPerson | BadToken::TenantNotAllowed))
}

/// Ends a session that the provider does not stand by any more.
pub(super) async fn end(sign_in: &SignIn, session: &Session, reason: CutReason) {
    let parts = &sign_in.parts;
    match parts.sessions.end(&session.key, reason).await {
        Ok(true) => {}
        // Somebody else was faster, and has said so.
        Ok(false) => return,
        Err(error) => tracing::error!(error = %error, "an ended session could not be removed from the store yet"),
    }
    let ended =
        SessionEnd { user: session.user, session: SessionId::of(&session.key.0), reason, by: EndedBy::Provider };
    parts.audit.session_ended(&parts.metrics, ended);
}
