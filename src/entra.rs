//! Layer 2: Microsoft Entra ID, outbound. The only module that knows Microsoft's shapes.

mod claims;
mod config;
mod credential;
mod discovery;
mod error;
pub mod graph;
mod http;
mod keys;
mod oidc;
mod probe;
mod pulse;
mod refusal;
mod strict_json;
mod tenants;
mod token;

pub use config::{Config, Credential, ResponseMode};
pub use error::{BadAnswer, BadToken, EntraError, Fault, Misconfiguration, Source, UnreachableCause};
pub use probe::{ProbeFinding, ProbeOutcome};
pub use refusal::{AuthorizeError, Refusal, RefusalClass};

use std::sync::Arc;
use std::time::Duration;

use url::Url;

use self::credential::ClientAuth;
use self::discovery::{Authority, Realm};
use self::http::HttpClient;
use self::oidc::{Grant, Tokens};
use self::pulse::Pulse;
use self::tenants::{Known, RealmCache};
use self::token::{Expected, Unverified, Verified};
use crate::facts::{SharedClock, Subject, TenantId, UnixTime, UserKey};
use crate::telemetry::Secret;

/// What `/authorize` is asked for.
#[derive(Debug, Clone)]
pub struct AuthorizeRequest<'a> {
    /// Sealed state, echoed by the provider.
    pub state: &'a str,
    /// Expected back inside the ID token.
    pub nonce: &'a str,
    /// PKCE code verifier (43 to 128 characters); the S256 challenge is derived from it.
    pub verifier: &'a str,
    /// `prompt`, e.g. `select_account` or `login`.
    pub prompt: Option<&'a str>,
    /// `login_hint`; left out beside `select_account`, which Entra refuses.
    pub login_hint: Option<&'a str>,
}

/// A verified sign-in.
#[derive(Debug, Clone)]
pub struct SignedIn {
    /// Who; groups as far as the token told.
    pub subject: Subject,
    /// `sid` claim.
    pub sid: Option<String>,
    /// `login_hint` claim.
    pub login_hint: Option<Secret<String>>,
    /// `auth_time` claim.
    pub auth_time: Option<UnixTime>,
    /// `acrs` claim: proof of a step-up is the presence of the asked value here, nothing else.
    pub acrs: Vec<String>,
    /// Refresh token, if `offline_access` was granted. After a refresh the one to keep from now on.
    pub refresh_token: Option<Secret<String>>,
}

/// The OpenID Connect relying party. Clones share connections, keys and credential.
#[derive(Clone)]
pub struct RelyingParty {
    inner: Arc<Inner>,
}

struct Inner {
    config: Config,
    clock: SharedClock,
    http: HttpClient,
    authority: Authority,
    credential: ClientAuth,
    pulse: Pulse,
    /// One per configured tenant, so the number is bounded by the configuration.
    tenants: Vec<(TenantId, RealmCache)>,
    /// `organizations`, when there are several tenants.
    organizations: Option<RealmCache>,
}

impl RelyingParty {
    /// A relying party for `config`. Reads and checks the credential and the extra root certificates; connects to
    /// nothing.
    ///
    /// # Errors
    /// [`EntraError::Misconfigured`] names what cannot be used.
    pub fn new(config: Config, clock: SharedClock) -> Result<Self, EntraError> {
        check(&config)?;
        let authority = Authority::new(&config.authority)?;
        let http = HttpClient::new(config.extra_ca.as_deref(), config.timeout)?;
        let credential = ClientAuth::load(&config.credential)?;
        let cache = |realm| RealmCache::new(realm, authority.clone(), http.clone(), Arc::clone(&clock));
        let tenants = config.tenants.iter().map(|tenant| (*tenant, cache(Realm::Tenant(*tenant)))).collect();
        let organizations = (config.tenants.len() > 1).then(|| cache(Realm::Organizations));
        let pulse = Pulse::new(Arc::clone(&clock));
        let inner = Inner { authority, http, credential, pulse, tenants, organizations, clock, config };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Keeps discovery and keys fresh, so that no sign-in has to wait for them. Run it as a task for as long as the
    /// gateway lives; dropping it is safe at any time, since every call also refreshes what is due.
    pub async fn keep_fresh(&self) {
        loop {
            let mut wait = BACKGROUND_ROUND;
            for cache in self.inner.caches() {
                if cache.refresh_early().await.is_err() {
                    wait = BACKGROUND_RETRY;
                }
            }
            tokio::time::sleep(wait).await;
        }
    }

    /// Whether every tenant's keys are at hand, so that people can sign in. Asks nobody.
    #[must_use]
    pub fn knows_keys(&self) -> bool {
        self.inner.tenants.iter().all(|(_, cache)| cache.peek().is_some())
    }

    /// Whether the provider answers now. Ask before a person is sent there: whatever they do at a provider that this
    /// gateway cannot reach, the code they come back with could not be redeemed.
    ///
    /// Cheap enough for every sign-in: one small request at a time, remembered for seconds, over within 1.5 seconds.
    ///
    /// # Errors
    /// [`EntraError::Unreachable`], in which way.
    pub async fn answers(&self) -> Result<(), EntraError> {
        let front = self.inner.front()?;
        self.inner.pulse.feel(front.ask()).await.inspect_err(|error| log("reach", error))
    }

    /// Where to send the browser. Fetches discovery if it is not cached.
    ///
    /// # Errors
    /// When the provider cannot be reached and nothing is cached.
    pub async fn authorize_url(&self, request: AuthorizeRequest<'_>) -> Result<Url, EntraError> {
        self.authorize_url_with_claims(request, None).await
    }

    /// The same with a `claims` parameter: a step-up, or the challenge of [`Refusal::claims`] unchanged.
    ///
    /// # Errors
    /// When the provider cannot be reached and nothing is cached.
    pub async fn authorize_url_with_claims(
        &self,
        request: AuthorizeRequest<'_>,
        claims: Option<&str>,
    ) -> Result<Url, EntraError> {
        let known = self.inner.front()?.current().await?;
        oidc::authorize_url(&self.inner.config, &known.discovery, &request, claims)
    }

    /// Redeems a code and verifies the ID token. The code is sent once and never again, whatever happens.
    ///
    /// # Errors
    /// See [`EntraError`].
    pub async fn redeem(&self, code: &Secret<String>, verifier: &str, nonce: &str) -> Result<SignedIn, EntraError> {
        let known = self.inner.front()?.current().await?;
        let outcome = self.inner.redeem(&known, Grant::Code { code, verifier }, Some(nonce)).await;
        let (token, refresh_token) = outcome.inspect_err(|error| log("sign-in", error))?;
        Ok(SignedIn::from_token(&token, refresh_token))
    }

    /// Silent refresh; the answer must hold an ID token about `user`, else nothing has been proven.
    ///
    /// # Errors
    /// After [`EntraError::Unreachable`] and [`EntraError::Misconfigured`] nothing is known about the person. After any
    /// other error this session cannot go on; [`RefusalClass::ends_sessions`] says whether the person's others must
    /// end with it.
    pub async fn refresh(&self, token: &Secret<String>, user: UserKey) -> Result<SignedIn, EntraError> {
        let known = self.inner.tenant(user.tenant)?.current().await?;
        let outcome = self.inner.redeem(&known, Grant::Refresh(token), None).await;
        let (verified, renewed) = outcome.inspect_err(|error| log("refresh", error))?;
        if verified.user != user {
            let error = EntraError::BadToken(BadToken::OtherPerson);
            log("refresh", &error);
            return Err(error);
        }
        // RFC 6749 section 6: without a new token the old one stays good.
        Ok(SignedIn::from_token(&verified, Some(renewed.unwrap_or_else(|| token.clone()))))
    }

    /// Where to send the browser to sign out at the provider; `None` if it offers no such place or cannot be asked.
    pub async fn end_session_url(&self, back_to: &Url, login_hint: Option<&Secret<String>>) -> Option<Url> {
        let known = self.inner.front().ok()?.current().await.ok()?;
        let mut url = known.discovery.end_session_endpoint.clone()?;
        url.query_pairs_mut().append_pair("post_logout_redirect_uri", back_to.as_str());
        if let Some(hint) = login_hint {
            url.query_pairs_mut().append_pair("logout_hint", hint.expose());
        }
        Some(url)
    }

    /// The configured tenant whose issuer is `iss`, for the `iss` parameter of a front-channel logout. Asks nobody.
    #[must_use]
    pub fn expects_issuer(&self, iss: &str) -> Option<TenantId> {
        let inner = &self.inner;
        inner.tenants.iter().find_map(|(tenant, cache)| {
            let expected = match cache.peek() {
                Some(known) => known.discovery.issuer == iss,
                None => inner.authority.may_issue(Realm::Tenant(*tenant), iss),
            };
            expected.then_some(*tenant)
        })
    }

    /// Checks for `doctor`: is the provider reachable, is it the right one, are its keys usable, do the clocks
    /// agree, is the credential in order. One finding per line.
    pub async fn probe(&self) -> Vec<ProbeFinding> {
        probe::run(&self.inner).await
    }
}

impl Inner {
    /// Sends the grant and believes the ID token of the answer, or says why not.
    async fn redeem(
        &self,
        known: &Known,
        grant: Grant<'_>,
        nonce: Option<&str>,
    ) -> Result<(Verified, Option<Secret<String>>), EntraError> {
        let endpoint = &known.discovery.token_endpoint;
        let proof = self.credential.prove(&self.config.client_id, endpoint, self.clock.now()).await?;
        // Boxed: the crate's future is large, and sign-ins are rare.
        let tokens = Box::pin(oidc::redeem(&self.http, &self.config, &known.discovery, proof, grant)).await?;
        let Tokens { id_token, refresh_token } = tokens;
        let verified = self.verify(id_token.expose(), nonce).await?;
        Ok((verified, refresh_token))
    }

    /// The unverified `tid` only chooses among the configured tenants; issuer and keys are then that tenant's own.
    async fn verify(&self, token: &str, nonce: Option<&str>) -> Result<Verified, EntraError> {
        let token = Unverified::read(token).map_err(EntraError::BadToken)?;
        let tenant = token.tenant();
        let (known, key) = self.tenant(tenant)?.with_key(token.kid()).await?;
        let expected = Expected {
            issuer: &known.discovery.issuer,
            tenant,
            client_id: &self.config.client_id,
            nonce,
            now: self.clock.now(),
            skew: self.config.skew,
        };
        token.verify(&key, &expected).map_err(EntraError::BadToken)
    }

    fn tenant(&self, tenant: TenantId) -> Result<&RealmCache, EntraError> {
        let found = self.tenants.iter().find(|(own, _)| *own == tenant);
        found.map(|(_, cache)| cache).ok_or(EntraError::BadToken(BadToken::TenantNotAllowed))
    }

    /// Where sign-ins start and codes are redeemed: the only tenant, or `organizations`.
    fn front(&self) -> Result<&RealmCache, EntraError> {
        let only = self.tenants.first().map(|(_, cache)| cache);
        self.organizations.as_ref().or(only).ok_or_else(no_tenant)
    }

    fn caches(&self) -> impl Iterator<Item = &RealmCache> {
        self.organizations.iter().chain(self.tenants.iter().map(|(_, cache)| cache))
    }
}

fn check(config: &Config) -> Result<(), EntraError> {
    if config.tenants.is_empty() {
        return Err(no_tenant());
    }
    if config.tenants.len() > MAX_TENANTS {
        return Err(EntraError::misconfigured(Misconfiguration::Tenant, format!("more than {MAX_TENANTS} tenants")));
    }
    let mut seen = config.tenants.clone();
    seen.sort_unstable();
    seen.dedup();
    if seen.len() != config.tenants.len() {
        return Err(EntraError::misconfigured(Misconfiguration::Tenant, "a tenant is listed twice"));
    }
    if config.client_id.is_empty() {
        return Err(EntraError::misconfigured(Misconfiguration::Application, "the client id is empty"));
    }
    Ok(())
}

fn no_tenant() -> EntraError {
    EntraError::misconfigured(Misconfiguration::Tenant, "no tenant is configured")
}

/// One line per failure, with the ids Microsoft's support asks for and nothing about the person.
fn log(what: &'static str, error: &EntraError) {
    let fault = error.fault().word();
    match error {
        EntraError::Refused(refusal) => tracing::info!(
            what,
            fault,
            aadsts = refusal.aadsts,
            suberror = refusal.suberror.as_deref(),
            trace_id = refusal.trace_id.map(tracing::field::display),
            correlation_id = refusal.correlation_id.map(tracing::field::display),
            "the identity provider refused"
        ),
        EntraError::Misconfigured { aadsts, .. } => {
            tracing::error!(what, fault, aadsts, error = error.details(), "cannot use the identity provider")
        }
        _ => tracing::warn!(what, fault, error = error.details(), "cannot use the identity provider's answer"),
    }
}

const MAX_TENANTS: usize = 256;
/// The background task looks this often; a look costs nothing while documents are young.
const BACKGROUND_ROUND: Duration = Duration::from_secs(60);
/// The same while there is nothing to serve with: the gateway is not ready before.
const BACKGROUND_RETRY: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests;
