//! Layer 3: the gateway's own endpoints under `/.portcullis/`: sign-in, callback, entering an app, sign-out, portal.
//!
//! One session per person and browser lives at the sign-in host. Each app host gets its own cookie, bound to that
//! session through a one-time code on the way back, so a second app opens without a question and ending the session
//! ends all of them. The walk: app host [`SignIn::challenge`] -> sign-in host `login` -> provider -> `callback` ->
//! app host `enter` -> the page that was asked for. A step-up goes the same way; a warning stays on the app host.

mod browser;
mod callback;
mod config;
pub mod cookie;
mod enter;
mod error;
mod login;
mod logout;
mod portal;
mod refresh;
mod reply;
mod seal;
mod start;
mod step_up;
mod warning;

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method, Response};

use crate::audit::{AuditLog, Event, SessionId, SignIn as SignInRecord, Who};
use crate::cut::CutReason;
use crate::edge::Body;
use crate::entra::RelyingParty;
use crate::facts::{AuthContext, SharedClock, UnixTime};
use crate::pages::{Audience, Page, Pages};
use crate::peers::Peers;
use crate::session::{Lookup, Session, Sessions};
use crate::store::Keyring;
use crate::telemetry::metrics::SignInOutcome;
use crate::telemetry::{Metrics, RequestId};

pub use config::{AppLink, Config};
pub use error::SignInError;
pub use start::{Asker, Unauthenticated, allow_origin, is_shown};
pub use warning::Warned;

/// Everything under this prefix is the gateway's own on every host; exact paths only, never proxied.
pub const PREFIX: &str = "/.portcullis/";

/// The part that signs people in and out. Cheap to clone.
#[derive(Clone)]
pub struct SignIn {
    parts: Arc<Parts>,
}

/// What signing in works with.
pub struct Parts {
    /// Hosts, lifetimes and the apps shown on the portal.
    pub config: Config,
    /// The one identity provider.
    pub provider: RelyingParty,
    /// Sessions.
    pub sessions: Sessions,
    /// Seals what travels through browsers.
    pub keyring: Arc<Keyring>,
    /// Makes codes single-use among all gateways.
    pub peers: Peers,
    /// Renders pages.
    pub pages: Pages,
    /// Time.
    pub clock: SharedClock,
    /// Runs background work such as silent refresh.
    pub control: tokio::runtime::Handle,
    /// Where sign-ins and sign-outs are written down.
    pub audit: AuditLog,
    /// Counters.
    pub metrics: Arc<Metrics>,
}

/// A request to one of the gateway's own endpoints, body in hand.
#[derive(Debug)]
pub struct Visit {
    /// Method.
    pub method: Method,
    /// Host, lower case, without port; one of ours.
    pub host: String,
    /// Path.
    pub path: String,
    /// Query without `?`; empty if none.
    pub query: String,
    /// Headers.
    pub headers: HeaderMap,
    /// Body, capped by the caller.
    pub body: Bytes,
    /// For pages and logs.
    pub request_id: RequestId,
    /// Client address.
    pub client: std::net::IpAddr,
}

impl SignIn {
    /// Puts the parts together.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self { parts: Arc::new(parts) }
    }

    /// Answers a request to a gateway endpoint; errors become pages here and nowhere else.
    pub async fn handle(&self, visit: Visit) -> Response<Body> {
        let on_sign_in_host = visit.host == self.parts.config.host;
        let name = visit.path.strip_prefix(PREFIX).unwrap_or_default();
        let outcome = match (name, on_sign_in_host) {
            ("sign-in", true) => login::login(self, &visit).await,
            ("callback", true) => callback::callback(self, &visit).await,
            ("sign-out", true) => logout::sign_out(self, &visit).await,
            ("signed-out", true) => Ok(logout::signed_out(self, &visit)),
            ("frontchannel-logout", true) => logout::front_channel(self, &visit).await,
            ("", true) if visit.path == "/" => portal::portal(self, &visit).await,
            ("sign-in", false) => start::begin(self, &visit).await,
            ("step-up", false) => step_up::begin(self, &visit).await,
            ("warning", false) => warning::show(self, &visit).await,
            ("continue", false) => warning::go_on(self, &visit).await,
            ("enter", false) => enter::enter(self, &visit).await,
            ("resume", false) => enter::resume(self, &visit),
            ("sign-out", false) => Ok(self.to_sign_out(&visit)),
            ("me", _) => portal::me(self, &visit).await,
            _ => Ok(reply::page(self, &Page::NotFound, &visit, Vec::new())),
        };
        outcome.unwrap_or_else(|error| error.respond(self, &visit))
    }

    /// How somebody without a session is answered on an app host: a redirect, a held-back form, or 401 JSON.
    #[must_use]
    pub fn challenge(&self, asker: &Asker<'_>) -> Response<Body> {
        start::challenge(self, asker, None)
    }

    /// How somebody is answered who has to prove more first: a redirect, a held-back form, or 401 JSON that names the
    /// context. Needs no session; without one both are asked for at once.
    #[must_use]
    pub fn step_up(&self, asker: &Asker<'_>, context: AuthContext) -> Response<Body> {
        start::challenge(self, asker, Some(context))
    }

    /// How somebody is answered who has to read a warning first: the page, a held-back form, or 403 JSON.
    #[must_use]
    pub fn warn(&self, warned: &Warned<'_>) -> Response<Body> {
        warning::warn(self, warned)
    }

    /// Renews what the provider says about a session in the background, if it is due. Never waits.
    pub fn refresh_if_due(&self, session: &Arc<Session>) {
        refresh::if_due(self, session);
    }

    /// Ends a session that the provider does not stand by any more, in the background. Never waits.
    pub fn end_soon(&self, session: &Arc<Session>, reason: CutReason) {
        let (sign_in, session) = (self.clone(), Arc::clone(session));
        self.parts.control.spawn(async move { refresh::end(&sign_in, &session, reason).await });
    }

    /// Whether the provider's keys are at hand.
    #[must_use]
    pub fn knows_provider_keys(&self) -> bool {
        self.parts.provider.knows_keys()
    }

    /// The identity provider, to be taken over by the next generation.
    #[must_use]
    pub fn provider(&self) -> &RelyingParty {
        &self.parts.provider
    }

    /// Hosts and lifetimes.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.parts.config
    }

    fn to_sign_out(&self, visit: &Visit) -> Response<Body> {
        let cookies = browser::anew(self, visit, cookie::SameSite::Lax).into_iter().collect();
        reply::redirect(&format!("{}{PREFIX}sign-out", self.parts.config.origin()), cookies)
    }

    /// The session of the cookie that came with `visit`, if it is alive on this host.
    async fn session_of(&self, visit: &Visit) -> Result<Option<Arc<Session>>, SignInError> {
        let Some(value) = cookie::find(&visit.headers, cookie::SESSION).one() else { return Ok(None) };
        let sessions = &self.parts.sessions;
        let Some(key) = sessions.verify_cookie(&visit.host, value) else { return Ok(None) };
        let session = match sessions.lookup(&key) {
            Lookup::Found(session) => Some(session),
            Lookup::Unknown => sessions.load(&key).await?,
        };
        Ok(session.filter(|session| session.touch(self.parts.clock.tick()).is_ok()))
    }

    fn now(&self) -> UnixTime {
        self.parts.clock.now()
    }

    fn who(&self, session: &Session) -> Who {
        let session_id = Some(SessionId::of(&session.key.0));
        Who { user: session.user, name: Arc::clone(&session.subject().name), session: session_id }
    }

    fn failed(&self, visit: &Visit, outcome: SignInOutcome) {
        self.ended(visit, outcome, None);
    }

    fn ended(&self, visit: &Visit, outcome: SignInOutcome, session: Option<&Session>) {
        let who = session.map(|session| self.who(session));
        self.parts.metrics.control.signed_in(outcome);
        self.record(Event::SignIn(Box::new(SignInRecord {
            request: visit.request_id,
            client: visit.client,
            outcome,
            who,
            provider_code: None,
            provider_request: None,
        })));
    }

    fn record(&self, event: Event) {
        self.parts.audit.record(event);
    }
}

impl Visit {
    /// One parameter of the query; an error if it is there twice, because two readers might pick differently.
    fn parameter(&self, name: &str) -> Result<Option<String>, SignInError> {
        single(self.query.as_bytes(), name)
    }

    /// Whether a page or JSON should be answered.
    fn audience(&self) -> Audience {
        if start::is_shown(&self.headers) { Audience::Browser } else { Audience::Api }
    }
}

/// The one value of `name` in a form-encoded text.
fn single(form: &[u8], name: &str) -> Result<Option<String>, SignInError> {
    let mut found = None;
    for (key, value) in url::form_urlencoded::parse(form) {
        if key == name && found.replace(value.into_owned()).is_some() {
            return Err(SignInError::Malformed);
        }
    }
    Ok(found)
}
