//! What the gateway can do to an account at Microsoft. Every action may be repeated without harm.
//!
//! Source: <https://learn.microsoft.com/graph/api/user-revokesigninsessions>,
//! <https://learn.microsoft.com/graph/api/user-update>,
//! <https://learn.microsoft.com/graph/api/riskyuser-confirmcompromised> and its siblings.

use std::time::Duration;

use http::Method;
use serde_json::json;

use super::{Call, Capability, Denied, Graph, GraphError};
use crate::facts::ObjectId;

/// What became of an action.
#[derive(Debug)]
pub enum Outcome {
    /// Microsoft accepted it. Taking effect can need minutes.
    Done,
    /// Microsoft will not let this application.
    Denied(Denied),
    /// There is no such account.
    NotFound,
    /// Not now; `Some` if Microsoft said for how long.
    Retry(Option<Duration>),
    /// It did not work, and waiting alone does not help.
    Failed(GraphError),
}

impl Graph {
    /// Ends what the account has open at Microsoft, within minutes. Does nothing for guests, and nothing here.
    pub async fn revoke_sessions(&self, user: ObjectId) -> Outcome {
        self.act(Method::POST, &format!("users/{user}/revokeSignInSessions"), None, Capability::RevokeSessions).await
    }

    /// Lets the account sign in, or not.
    pub async fn set_enabled(&self, user: ObjectId, enabled: bool) -> Outcome {
        let body = json!({ "accountEnabled": enabled }).to_string();
        self.act(Method::PATCH, &format!("users/{user}"), Some(body), Capability::EnableDisable).await
    }

    /// Makes the person choose a new password at the next sign-in; with `mfa` only after a second factor.
    pub async fn force_password_change(&self, user: ObjectId, mfa: bool) -> Outcome {
        let member = if mfa { "forceChangePasswordNextSignInWithMfa" } else { "forceChangePasswordNextSignIn" };
        let body = json!({ "passwordProfile": { member: true } }).to_string();
        self.act(Method::PATCH, &format!("users/{user}"), Some(body), Capability::ForcePasswordChange).await
    }

    /// Tells Microsoft that somebody else has the account.
    pub async fn confirm_compromised(&self, user: ObjectId) -> Outcome {
        self.judge("confirmCompromised", user).await
    }

    /// Tells Microsoft that the account is safe.
    pub async fn confirm_safe(&self, user: ObjectId) -> Outcome {
        self.judge("confirmSafe", user).await
    }

    /// Sets the account's risk aside.
    pub async fn dismiss_risk(&self, user: ObjectId) -> Outcome {
        self.judge("dismiss", user).await
    }

    async fn judge(&self, verdict: &str, user: ObjectId) -> Outcome {
        let body = json!({ "userIds": [user] }).to_string();
        let path = format!("identityProtection/riskyUsers/{verdict}");
        self.act(Method::POST, &path, Some(body), Capability::WriteRisk).await
    }

    /// Any 2xx is success: Microsoft's pages disagree about which one comes.
    async fn act(&self, method: Method, path: &str, body: Option<String>, needs: Capability) -> Outcome {
        let sent = match self.at(path) {
            Ok(url) => self.send(&Call { method, url: &url, body, prefer: None, needs }).await,
            Err(error) => Err(error),
        };
        match sent {
            Ok(_) => Outcome::Done,
            Err(GraphError::Denied(why)) => Outcome::Denied(why),
            Err(GraphError::NotFound) => Outcome::NotFound,
            Err(GraphError::Throttled(after) | GraphError::ServerError(after)) => Outcome::Retry(after),
            Err(GraphError::Transport(error)) if error.is_retryable() => Outcome::Retry(None),
            Err(GraphError::NoToken { source, .. }) if source.is_retryable() => Outcome::Retry(None),
            Err(error) => Outcome::Failed(error),
        }
    }
}
