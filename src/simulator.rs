//! A Microsoft Entra ID look-alike on loopback, for the demo, for tests and for trying a rule on a laptop.
//!
//! It is held to Microsoft's documentation as gathered in the project's protocol reference, not to what the gateway
//! happens to send: it refuses what Entra refuses and leaves out what Entra leaves out. It imports nothing of the
//! gateway, so the two cannot agree on the same mistake through shared code.
//!
//! # What it simulates
//! - Discovery per tenant id, verified domain, `common`, `organizations` and `consumers`, with the documented field set
//!   and the templated issuer; a key document with an `issuer` per key, no `alg`, and one key pinned to personal accounts.
//! - `/authorize` with a page where one picks a person and types the password; PKCE, `prompt`, `login_hint`,
//!   `domain_hint`, `claims` with `acrs`; the three response modes; browser single sign-on; a second factor (a button);
//!   the failures that stay on Microsoft's page.
//! - `/token` for codes, refresh tokens (rotated, old ones stay alive) and client credentials; client secret (post and
//!   basic), certificate assertions, federated credentials; failures in Microsoft's JSON shape.
//! - `/logout` with one hidden frame per app (front-channel logout).
//! - Microsoft Graph under `/v1.0/`: users, groups, memberships, delta queries, Identity Protection with its shared
//!   quota, account actions, service principals, `$batch`; tenants of up to a million computed people.
//! - `/v2.0/adminconsent`, with a page where one accepts or declines; whoever opens it counts as an administrator.
//! - Levers per person (disable, delete, revoke, second factor, policy block, assignment, password, guest), for the keys,
//!   the clock, delays and failures, and ID tokens that are wrong on purpose: as functions ([`Levers`], [`WorldHandle`])
//!   and as JSON under `/sim/v1/` for loopback callers.
//!
//! # What it does not
//! - Implicit and hybrid flows (refused with 700054, as for an app that did not switch them on), device code, on behalf
//!   of, UserInfo. The endpoints that discovery must name answer 404.
//! - Several accounts in one browser session: signing in as another person replaces the first, and `logout_hint` is
//!   therefore ignored.
//! - Of Graph: change notifications, sign-in and audit logs, `beta`, calls on behalf of a person, directory roles of
//!   apps (so nobody may touch an administrator's account), quotas in resource units.
//! - Conditional Access beyond its outcomes; `max_age`, `acr_values`, `id_token_hint`, `ui_locales` (undocumented for
//!   Entra) are ignored; assertions may be replayed, since no page says that Entra stops it.
//! - It is stricter than Entra in one place: a missing `redirect_uri` is refused instead of picked at random.
//! - TLS. It speaks plain HTTP and is meant for loopback only.

mod aadsts;
mod control;
mod faults;
mod graph;
mod json;
mod jwt;
mod keys;
mod levers;
mod listen;
mod oidc;
mod params;
mod random;
mod shelf;
mod state;
mod time;
mod world;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use url::Url;

pub use faults::{Endpoint, Fault, Hostile};
pub use graph::GraphFault;
pub use keys::KeyDocument;
pub use levers::{Levers, WorldHandle};
pub use world::{
    ADMINS, ALICE, APP_ID, APP_OBJECT_ID, APP_SECRET, App, BOB, CONTOSO, CONTOSO_DOMAIN, ClientSecret, ContextPolicy,
    Crowd, DAN, DORA, DORA_GROUPS, FABRIKAM, FABRIKAM_ALICE, FABRIKAM_DOMAIN, FABRIKAM_MARIO, FederatedCredential,
    FederatedKeys, GUS, Group, GroupClaims, MALLORY, NORA, OptionalClaims, PASSWORD, PAYROLL, Person, Risk, RiskLevel,
    RiskStep, STAFF, ServicePrincipal, Tenant, World,
};

use keys::KeyRing;
use state::State;

/// The simulator, not yet running.
#[derive(Debug, Clone, Copy)]
pub struct Simulator;

/// How to run.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The address in issuers and endpoints; `http://<bound address>` when absent.
    pub public_base: Option<Url>,
    /// What it answers from.
    pub world: World,
    /// How far its clock is ahead (or, negative, behind).
    pub clock_skew_seconds: i64,
}

impl Options {
    /// A free port on 127.0.0.1, no skew.
    #[must_use]
    pub const fn new(world: World) -> Self {
        Self {
            listen: SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0),
            public_base: None,
            world,
            clock_skew_seconds: 0,
        }
    }
}

/// A simulator that answers. Dropping it stops it.
pub struct Running {
    addr: SocketAddr,
    base: Url,
    world: WorldHandle,
    levers: Levers,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Simulator {
    /// Binds, makes keys and starts to answer on the current tokio runtime.
    ///
    /// # Errors
    /// When the address cannot be bound, a key cannot be made, or the world holds a registration Microsoft would refuse.
    pub async fn start(options: Options) -> Result<Running, SimulatorError> {
        if let Some(problem) = options.world.problem() {
            return Err(SimulatorError::Registration(problem));
        }
        let listener = TcpListener::bind(options.listen)
            .await
            .map_err(|source| SimulatorError::Listen { listen: options.listen, source })?;
        let addr = listener.local_addr().map_err(|source| SimulatorError::Listen { listen: options.listen, source })?;
        let base = match options.public_base {
            Some(base) => base,
            None => Url::parse(&format!("http://{addr}"))?,
        };
        let text = base.as_str().trim_end_matches('/').to_owned();
        let keys = {
            let text = text.clone();
            tokio::task::spawn_blocking(move || KeyRing::generate(&text)).await.map_err(|_| SimulatorError::Key)??
        };
        let state = Arc::new(State::new(text, options.world, keys, options.clock_skew_seconds));
        let router = oidc::routes(&state).merge(graph::routes(&state)).merge(control::routes(&state));
        let stop = CancellationToken::new();
        let task = tokio::spawn(listen::serve(listener, router, stop.clone()));
        let (world, levers) = (WorldHandle::new(Arc::clone(&state)), Levers::new(state));
        Ok(Running { addr, base, world, levers, stop, task })
    }
}

impl Running {
    /// The bound address.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The address in issuers and endpoints.
    #[must_use]
    pub const fn base(&self) -> &Url {
        &self.base
    }

    /// The people and apps, to look at and to change.
    #[must_use]
    pub const fn world(&self) -> &WorldHandle {
        &self.world
    }

    /// Keys, clock, faults, counters.
    #[must_use]
    pub const fn levers(&self) -> &Levers {
        &self.levers
    }

    /// Stops answering and ends every connection.
    pub async fn shutdown(mut self) {
        self.stop.cancel();
        // The task ends by itself once it is told to; that it panicked is nothing the caller could act on.
        let _ = (&mut self.task).await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running").field("base", &self.base.as_str()).finish_non_exhaustive()
    }
}

/// Why the simulator does not start or a lever does not move.
#[derive(Debug, thiserror::Error)]
pub enum SimulatorError {
    /// The address cannot be bound.
    #[error("cannot listen on {listen}")]
    Listen {
        /// The address asked for.
        listen: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A registration that Microsoft would refuse.
    #[error("microsoft would refuse this registration: {0}")]
    Registration(String),
    /// The address is no URL.
    #[error("the base address is not a url")]
    Base(#[from] url::ParseError),
    /// A key or its certificate could not be made.
    #[error("cannot make a signing key")]
    Key,
    /// A certificate could not be made.
    #[error("cannot make a certificate")]
    Certificate(#[from] rcgen::Error),
    /// Nobody of that name.
    #[error("no such person: {0}")]
    UnknownPerson(String),
    /// No app of that id.
    #[error("no such app: {0}")]
    UnknownApp(String),
    /// No tenant of that id.
    #[error("no such tenant: {0}")]
    UnknownTenant(String),
}
