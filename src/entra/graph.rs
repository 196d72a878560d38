//! The client of Microsoft Graph: risk, the directory, and actions on accounts, with the application's own token.
//!
//! Every call is one request with a deadline and a capped answer. A refused token is renewed once; everything else
//! is sorted ([`GraphError`]) and left to the caller, who waits with [`Backoff`], so that no call sleeps for long.

mod action;
mod context;
mod directory;
mod failure;
mod page;
mod pace;
mod permission;
mod risk;
mod token;

pub use action::Outcome;
pub use context::ContextClass;
pub use directory::{Group, GroupChange, Member, MemberKind, Removal, User, UserChange};
pub use failure::{Denied, GraphError, TokenFault};
pub use pace::{Backoff, Pace};
pub use page::{Link, Next, Page, Walk};
pub use permission::{Capability, Role};
pub use risk::Detection;

use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Method, Request};
use url::Url;

use self::pace::Gate;
use self::token::{AppToken, AppTokens};
use super::error::{BadAnswer, EntraError, Misconfiguration};
use super::http::{Answer, is_protected};
use super::{Inner, RelyingParty};
use crate::facts::{TenantId, UnixTime};

/// Graph for one tenant. Shares connections and credential with the relying party it was made from. Keep one per
/// tenant: it holds the token and the pace.
pub struct Graph {
    inner: Arc<Inner>,
    root: Url,
    tokens: AppTokens,
    risk: Gate,
}

/// What is sent to Graph.
struct Call<'a> {
    method: Method,
    url: &'a Url,
    body: Option<String>,
    prefer: Option<&'static str>,
    needs: Capability,
}

impl Graph {
    /// Graph for `tenant`, one of the relying party's. `root` is the cloud's Graph host, such as
    /// `https://graph.microsoft.com/`; only its origin counts.
    ///
    /// # Errors
    /// [`EntraError::Misconfigured`] for an address that is not protected, [`EntraError::BadToken`] for another tenant.
    pub fn new(party: &RelyingParty, tenant: TenantId, root: &Url) -> Result<Self, EntraError> {
        let inner = Arc::clone(&party.inner);
        inner.tenant(tenant)?;
        if !is_protected(root) {
            return Err(EntraError::misconfigured(Misconfiguration::Authority, "the address of Graph is not https"));
        }
        let root = root.join("/").map_err(|error| {
            EntraError::misconfigured(Misconfiguration::Authority, format!("the address of Graph: {error}"))
        })?;
        let risk = Gate::new(Arc::clone(&inner.clock));
        Ok(Self { tokens: AppTokens::new(tenant, &root), inner, root, risk })
    }

    /// What the application's token says that it may do, fetching one if need be. Diagnostics only, since Microsoft
    /// calls the token opaque; `None` when it cannot be read.
    ///
    /// # Errors
    /// [`GraphError::NoToken`].
    pub async fn roles(&self) -> Result<Option<Vec<Role>>, GraphError> {
        Ok(self.tokens.current(&self.inner).await?.roles.clone())
    }

    /// Reads one item of what `capability` is about; for one that writes, does nothing.
    ///
    /// # Errors
    /// See [`GraphError`].
    pub async fn try_reading(&self, capability: Capability) -> Result<(), GraphError> {
        let paths: &[&str] = match capability {
            Capability::ReadDirectory => &["users?$top=1&$select=id", "groups?$top=1&$select=id"],
            Capability::ReadRiskyUsers => &["identityProtection/riskyUsers?$top=1"],
            Capability::ReadDetections => &["identityProtection/riskDetections?$top=1"],
            Capability::ReadAuditLog => &["auditLogs/directoryAudits?$top=1"],
            _ => &[],
        };
        for path in paths {
            self.get(&self.at(path)?, capability).await?;
        }
        Ok(())
    }

    /// Drops the token and forgets that the last one could not be had, so that the next call proves what is granted
    /// now: an issued token keeps its roles until it ends. Not in a loop, which Microsoft punishes (AADSTS50196).
    pub async fn renew_token(&self) {
        self.tokens.renew().await;
    }

    /// Where an administrator of the tenant consents to everything that the app registration asks for. What comes back
    /// is no proof; only a token with the roles is.
    ///
    /// Source: <https://learn.microsoft.com/entra/identity-platform/v2-admin-consent>.
    ///
    /// # Errors
    /// [`GraphError::Malformed`] if the login address cannot carry it.
    pub fn consent_url(&self, state: &str, redirect: &Url) -> Result<Url, GraphError> {
        let path = format!("{}/v2.0/adminconsent", self.tokens.tenant());
        let mut url = self.inner.config.authority.join(&path).map_err(|_| GraphError::Malformed)?;
        url.query_pairs_mut()
            .append_pair("client_id", &self.inner.config.client_id)
            .append_pair("redirect_uri", redirect.as_str())
            .append_pair("scope", self.tokens.scope())
            .append_pair("state", state);
        Ok(url)
    }

    /// The application (client) id of the registration.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.inner.config.client_id
    }

    async fn get(&self, url: &Url, needs: Capability) -> Result<Answer, GraphError> {
        let prefer = is_paced(url).then_some("include-unknown-enum-members");
        let answer = self.send(&Call { method: Method::GET, url, body: None, prefer, needs }).await?;
        // A body that is cut off has already failed: it is shorter than its length says.
        answer.check_json().map_err(GraphError::Transport)?;
        Ok(answer)
    }

    async fn send(&self, call: &Call<'_>) -> Result<Answer, GraphError> {
        let token = self.tokens.current(&self.inner).await?;
        match self.send_with(call, &token).await {
            Err(GraphError::Unauthorized) => {
                self.tokens.forget(&token).await;
                let fresh = self.tokens.current(&self.inner).await?;
                self.send_with(call, &fresh).await
            }
            outcome => outcome,
        }
    }

    async fn send_with(&self, call: &Call<'_>, token: &AppToken) -> Result<Answer, GraphError> {
        let paced = is_paced(call.url);
        if paced {
            self.risk.pass(PATIENCE).await.map_err(|wait| GraphError::Throttled(Some(wait)))?;
        }
        let request = self.request(call, token)?;
        let answer = self.inner.http.call_for_at_most(MAX_PAGE, request).await.map_err(GraphError::Transport)?;
        let granted = token.roles.as_ref().map(|roles| call.needs.is_met_by(roles));
        let outcome = failure::check(&answer, granted, call.method != Method::GET);
        if let (true, Err(GraphError::Throttled(asked))) = (paced, &outcome) {
            self.risk.hold(asked.unwrap_or(QUIET) + pace::jitter(QUIET));
        }
        outcome.map(|()| answer)
    }

    fn request(&self, call: &Call<'_>, token: &AppToken) -> Result<Request<Vec<u8>>, GraphError> {
        // The one place that lets the token out, so the one that looks where to.
        if call.url.origin() != self.root.origin() {
            return Err(GraphError::ForeignLink);
        }
        let mut bearer = HeaderValue::try_from(format!("Bearer {}", token.text.expose()))
            .map_err(|_| GraphError::Transport(EntraError::BadAnswer(BadAnswer::Malformed)))?;
        bearer.set_sensitive(true);
        let mut request = Request::new(call.body.clone().unwrap_or_default().into_bytes());
        *request.method_mut() = call.method.clone();
        *request.uri_mut() = call.url.as_str().parse().map_err(|_| GraphError::Malformed)?;
        let headers = request.headers_mut();
        headers.insert(AUTHORIZATION, bearer);
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if call.body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        if let Some(prefer) = call.prefer {
            headers.insert(HeaderName::from_static("prefer"), HeaderValue::from_static(prefer));
        }
        Ok(request)
    }

    fn at(&self, path: &str) -> Result<Url, GraphError> {
        self.root.join("/v1.0/").and_then(|base| base.join(path)).map_err(|_| GraphError::Malformed)
    }

    fn now(&self) -> UnixTime {
        self.inner.clock.now()
    }
}

/// Whether the tenant's one request per second is meant for this address.
fn is_paced(url: &Url) -> bool {
    url.path().starts_with("/v1.0/identityProtection/")
}

/// A page holds up to 999 objects, and groups come with their members.
const MAX_PAGE: usize = 16 * 1024 * 1024;
/// A call about risk waits this long for its turn.
const PATIENCE: Duration = Duration::from_secs(10);
/// Identity protection does not say how long to wait after 429, so this long at least.
const QUIET: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests;
