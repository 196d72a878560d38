//! The application's own token for one tenant: fetched once for everybody who waits, kept until shortly before it
//! expires.
//!
//! Source: <https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow>.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, StatusCode};
use serde::Deserialize;
use tokio::sync::Mutex;
use url::Url;

use super::super::credential::Proof;
use super::super::error::{BadAnswer, EntraError, UnreachableCause};
use super::super::{Inner, refusal};
use super::failure::{GraphError, TokenFault};
use super::pace::jitter;
use super::permission::Role;
use crate::facts::{TenantId, Tick};
use crate::telemetry::Secret;

/// A token and when to replace it.
pub(super) struct AppToken {
    pub(super) text: Secret<String>,
    /// As far as it can be read, which Microsoft does not promise.
    pub(super) roles: Option<Vec<Role>>,
    renew: Tick,
}

pub(super) struct AppTokens {
    tenant: TenantId,
    scope: String,
    /// Held during a fetch, so that everybody waits for the same one.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    token: Option<Arc<AppToken>>,
    /// The last fetch that failed, and until when it stands: asking in a loop is punished (AADSTS50196).
    failed: Option<(Tick, EntraError)>,
}

impl AppTokens {
    pub(super) fn new(tenant: TenantId, root: &Url) -> Self {
        Self { tenant, scope: format!("{}/.default", root.as_str().trim_end_matches('/')), state: Mutex::default() }
    }

    pub(super) async fn current(&self, inner: &Inner) -> Result<Arc<AppToken>, GraphError> {
        let mut state = self.state.lock().await;
        let now = inner.clock.tick();
        if let Some(token) = state.token.as_ref().filter(|token| now < token.renew) {
            return Ok(Arc::clone(token));
        }
        if let Some((_, error)) = state.failed.as_ref().filter(|(until, _)| now < *until) {
            return Err(no_token(error.clone()));
        }
        match self.fetch(inner).await {
            Ok(token) => {
                let token = Arc::new(token);
                *state = State { token: Some(Arc::clone(&token)), failed: None };
                Ok(token)
            }
            Err(error) => {
                super::super::log("graph token", &error);
                state.failed = Some((inner.clock.tick().plus(rest(&error)), error.clone()));
                Err(no_token(error))
            }
        }
    }

    /// Drops `refused`, unless somebody has replaced it already.
    pub(super) async fn forget(&self, refused: &Arc<AppToken>) {
        let mut state = self.state.lock().await;
        if state.token.as_ref().is_some_and(|token| Arc::ptr_eq(token, refused)) {
            state.token = None;
        }
    }

    /// Drops the token and the memory of a failure.
    pub(super) async fn renew(&self) {
        *self.state.lock().await = State::default();
    }

    pub(super) const fn tenant(&self) -> TenantId {
        self.tenant
    }

    pub(super) fn scope(&self) -> &str {
        &self.scope
    }

    async fn fetch(&self, inner: &Inner) -> Result<AppToken, EntraError> {
        let known = inner.tenant(self.tenant)?.current().await?;
        let endpoint = &known.discovery.token_endpoint;
        let proof = inner.credential.prove(&inner.config.client_id, endpoint, inner.clock.now()).await?;
        let answer = inner.http.call(self.request(&inner.config.client_id, endpoint, &proof)?).await?;
        answer.check_reached()?;
        answer.check_json()?;
        let malformed = EntraError::BadAnswer(BadAnswer::Malformed);
        if answer.status != StatusCode::OK {
            return Err(refusal::classify_body(&answer.body).unwrap_or(malformed));
        }
        let grant: Grant = serde_json::from_slice(&answer.body).map_err(|_| malformed)?;
        let life = Duration::from_secs(grant.expires_in.seconds());
        // A short token is used for half of its life.
        let early = (EARLY + jitter(JITTER)).min(life / 2);
        let renew = inner.clock.tick().plus(life - early);
        Ok(AppToken { roles: roles(grant.access_token.expose()), text: grant.access_token, renew })
    }

    fn request(&self, client_id: &str, endpoint: &Url, proof: &Proof) -> Result<Request<Vec<u8>>, EntraError> {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials");
        form.append_pair("client_id", client_id);
        form.append_pair("scope", &self.scope);
        match proof {
            Proof::Secret(secret) => form.append_pair("client_secret", secret.expose()),
            Proof::Assertion(token) => form
                .append_pair("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
                .append_pair("client_assertion", token.expose()),
        };
        let mut request = Request::new(form.finish().into_bytes());
        *request.method_mut() = Method::POST;
        *request.uri_mut() =
            endpoint.as_str().parse().map_err(|_| EntraError::BadAnswer(BadAnswer::DiscoveryEndpoint))?;
        let form_type = HeaderValue::from_static("application/x-www-form-urlencoded");
        request.headers_mut().insert(CONTENT_TYPE, form_type);
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
        Ok(request)
    }
}

fn no_token(source: EntraError) -> GraphError {
    GraphError::NoToken { fault: TokenFault::of(&source), source }
}

/// How long a failure stands before the next try.
fn rest(error: &EntraError) -> Duration {
    match error {
        EntraError::Unreachable { retry_after: Some(asked), .. } => *asked,
        EntraError::Unreachable { cause: UnreachableCause::Throttled | UnreachableCause::ServerError, .. } => LONG_REST,
        EntraError::Unreachable { .. } => SHORT_REST,
        _ => LONG_REST,
    }
}

/// `roles` of the payload. The signature is Graph's to check.
fn roles(token: &str) -> Option<Vec<Role>> {
    #[derive(Deserialize)]
    struct Payload {
        #[serde(default)]
        roles: Vec<String>,
    }
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let payload: Payload = serde_json::from_slice(&payload).ok()?;
    Some(payload.roles.iter().map(|name| Role::from_name(name)).collect())
}

#[derive(Deserialize)]
struct Grant {
    #[serde(deserialize_with = "secret")]
    access_token: Secret<String>,
    expires_in: Life,
}

/// Entra has sent numbers as strings.
#[derive(Deserialize)]
#[serde(untagged)]
enum Life {
    Number(u64),
    Text(String),
}

impl Life {
    /// Zero, so that the token is used once, when it cannot be read; at most a day, as no token lives longer than 28 h.
    fn seconds(&self) -> u64 {
        let seconds = match self {
            Self::Number(seconds) => *seconds,
            Self::Text(text) => text.parse().unwrap_or(0),
        };
        seconds.min(MAX_LIFE)
    }
}

fn secret<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Secret<String>, D::Error> {
    String::deserialize(deserializer).map(Secret::new)
}

/// Tokens live 60 to 90 minutes; they are replaced this long before, and by a random part earlier still.
const EARLY: Duration = Duration::from_secs(300);
const JITTER: Duration = Duration::from_secs(120);
const MAX_LIFE: u64 = 86_400;
/// MSAL waits as long after 429 and 5xx.
const LONG_REST: Duration = Duration::from_secs(60);
const SHORT_REST: Duration = Duration::from_secs(5);
