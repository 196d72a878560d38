//! Layer 4: the request path in reading order: dispatch, gate, forward; and the one place where refusals become responses.

mod dispatch;
mod error;
mod gate;
mod private;
mod refusal;
mod respond;
mod served;

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::request::Parts;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use ipnet::IpNet;

use crate::audit::AuditLog;
use crate::cut::Cut;
use crate::edge::{Body, Handler};
use crate::facts::{ClientConn, SharedClock};
use crate::generation::{Generation, Held};
use crate::policy::Policy;
use crate::session::Sessions;
use crate::sign_in::{PREFIX, SignIn, Visit};
use crate::telemetry::{Metrics, RequestId, RequestIds, WorkerMetrics};

pub use error::AccessError;
pub use gate::Permit;
pub use private::{
    App, AppConfig, Assertions, Balance, HealthBoard, HealthCheck, IdentityHeaders, Protocol, RouteError, Routes,
    Scheme, SecretStore, UpstreamConfig, UpstreamTls, Upstreams,
};
use refusal::Refusal;
use served::Served;

/// Largest body of a request to the gateway's own endpoints.
const MAX_OWN_BODY: usize = 64 * 1024;

/// One generation of everything a request is judged and routed by. Built whole, swapped whole.
pub struct World {
    /// Where requests go.
    pub routes: Routes,
    /// Whether they may.
    pub policy: Policy,
    /// The gateway's own endpoints.
    pub sign_in: SignIn,
    /// Sessions.
    pub sessions: Sessions,
    /// Signs assertions for the apps.
    pub assertions: Arc<Assertions>,
    /// Which instances of the apps are in service.
    pub health: Arc<HealthBoard>,
    /// Names of the identity headers.
    pub identity_headers: IdentityHeaders,
    /// Peers whose forwarding headers are believed; empty means nobody.
    pub trusted_proxies: Vec<IpNet>,
    /// The port browsers use for https.
    pub public_port: u16,
    /// Whether a client must send a TLS server name.
    pub require_sni: bool,
    /// Decision log.
    pub audit: AuditLog,
    /// Time.
    pub clock: SharedClock,
}

/// One worker's handler. Everything it writes per request is this worker's own.
pub struct Gateway {
    world: Arc<Generation<World>>,
    local: Mutex<Arc<Local>>,
    control: tokio::runtime::Handle,
    ids: RequestIds,
    metrics: Arc<WorkerMetrics>,
}

/// One worker's view of one generation. Shared by reference count within the worker only, so that requests on
/// different cores touch no common cache line.
struct Local {
    number: u64,
    world: Held<World>,
    upstreams: Upstreams,
    /// Stands in for the session's signal when a rule allows anyone.
    anonymous: Cut,
}

/// What the gateway remembers of one client connection.
pub struct Connection {
    client: ClientConn,
    memo: gate::Memo,
}

impl Gateway {
    /// The handler of worker `index`.
    #[must_use]
    pub fn new(world: Arc<Generation<World>>, control: tokio::runtime::Handle, metrics: &Metrics, index: usize) -> Self {
        let local = Mutex::new(Arc::new(Local::of(world.current())));
        let metrics = metrics.worker(index).unwrap_or_default();
        Self { world, local, control, ids: RequestIds::new(), metrics }
    }

    fn local(&self) -> Arc<Local> {
        let mut local = self.local.lock().unwrap_or_else(PoisonError::into_inner);
        if local.number != self.world.number() {
            *local = Arc::new(Local::of(self.world.current()));
        }
        Arc::clone(&local)
    }

    /// The story of a request. Every way out is a response; the yes is a [`Permit`] that forwarding consumes.
    async fn answer(
        &self,
        local: &Arc<Local>,
        connection: &Arc<Connection>,
        request: Request<Incoming>,
        served: &mut Served,
    ) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let (host, client) = match self.placed(local, connection, &parts) {
            Ok(placed) => placed,
            Err(refusal) => return respond::refuse(local, connection, &parts, refusal, served),
        };
        served.came_from(client);
        if *parts.method == Method::OPTIONS && parts.uri.path() == "*" {
            return respond::options();
        }
        if let Err(fault) = private::canonical(parts.uri.path()) {
            return respond::refuse(local, connection, &parts, Refusal::BadPath(fault), served);
        }
        if *host == local.world.sign_in.config().host || is_own(parts.uri.path()) {
            let host = host.into_owned();
            return self.own(local, host, client, parts, body, served).await;
        }
        let Some(app) = local.world.routes.find(&host, parts.uri.path()).cloned() else {
            return respond::refuse(local, connection, &parts, Refusal::NoSuchApp, served);
        };
        served.for_app(&app);
        if respond::is_preflight(&parts, &app) {
            return respond::preflight(&parts, &app);
        }
        if !app.relays(&parts.method) {
            return respond::refuse(local, connection, &parts, Refusal::MethodNotAllowed, served);
        }
        let asked = gate::Request {
            connection,
            host: &host,
            app: &app,
            method: &parts.method,
            path: parts.uri.path(),
            headers: &parts.headers,
            client,
        };
        match gate::pass(local, &asked).await {
            Ok(permit) => {
                served.permitted(&permit, &parts);
                if let Some(person) = permit.person() {
                    local.world.sign_in.refresh_if_due(&person.session);
                }
                let host = host.into_owned();
                let forwarding = private::Forwarding {
                    upstreams: &local.upstreams,
                    assertions: &local.world.assertions,
                    identity_headers: &local.world.identity_headers,
                    connection: &connection.client,
                    client,
                    host: &host,
                    public_port: local.world.public_port,
                    clock: &local.world.clock,
                };
                match private::forward(permit, &app, Request::from_parts(parts, body), &forwarding).await {
                    Ok(response) => response,
                    Err(error) => respond::fail(&error, served),
                }
            }
            Err(Refusal::SignIn) => {
                served.refused("sign_in_required");
                self.challenge(local, &host, &app, &parts, body, served).await
            }
            Err(refusal) => {
                served.decided(&refusal, &parts);
                respond::refuse(local, connection, &parts, refusal, served)
            }
        }
    }

    /// Host, method and client address, or why not.
    fn placed<'a>(
        &self,
        local: &Local,
        connection: &Connection,
        parts: &'a Parts,
    ) -> Result<(Cow<'a, str>, IpAddr), Refusal> {
        dispatch::check_method(&parts.method)?;
        let host = dispatch::host(parts, &connection.client, local.world.public_port, local.world.require_sni)?;
        let client = private::client_address(&connection.client, &parts.headers, &local.world.trusted_proxies)
            .map_err(|_| Refusal::BadHeader)?;
        Ok((host, client))
    }

    /// Somebody without a session on an app host.
    async fn challenge(
        &self,
        local: &Local,
        host: &str,
        app: &App,
        parts: &Parts,
        body: Incoming,
        served: &Served,
    ) -> Response<Body> {
        use crate::sign_in::{Asker, Unauthenticated};
        let form = match Unauthenticated::of(&parts.method, &parts.headers, host) {
            Unauthenticated::Form => collect(body).await,
            Unauthenticated::Navigation | Unauthenticated::Program => None,
        };
        local.world.sign_in.challenge(&Asker {
            host,
            path_and_query: parts.uri.path_and_query().map_or("/", |path| path.as_str()),
            method: &parts.method,
            headers: &parts.headers,
            cors_origins: &app.cors_origins,
            form: form.as_deref(),
            request_id: served.id(),
        })
    }

    /// The gateway's own endpoints run on the control runtime: nothing they wait for holds up a worker.
    async fn own(
        &self,
        local: &Local,
        host: String,
        client: IpAddr,
        parts: Parts,
        body: Incoming,
        served: &mut Served,
    ) -> Response<Body> {
        if parts.uri.path() == "/.portcullis/jwks.json" {
            return respond::jwks(&local.world.assertions);
        }
        let known = *host == local.world.sign_in.config().host || local.world.routes.has_host(&host);
        if !known {
            served.refused("no_such_app");
            return respond::not_found(served);
        }
        let body = if matches!(parts.method, Method::GET | Method::HEAD) { Some(Bytes::new()) } else { collect(body).await };
        let Some(body) = body else {
            served.refused("body_too_large");
            return respond::too_large(served);
        };
        let visit = Visit {
            method: parts.method,
            host,
            path: parts.uri.path().to_owned(),
            query: parts.uri.query().unwrap_or_default().to_owned(),
            headers: parts.headers,
            body,
            request_id: *served.id(),
            client,
        };
        let sign_in = local.world.sign_in.clone();
        match self.control.spawn(async move { sign_in.handle(visit).await }).await {
            Ok(response) => response,
            Err(_) => respond::unavailable(served),
        }
    }
}

impl Handler for Gateway {
    type Connection = Connection;

    fn open(&self, client: ClientConn) -> Connection {
        Connection { client, memo: Mutex::new(None) }
    }

    async fn serve(&self, connection: &Arc<Connection>, request: Request<Incoming>) -> Response<Body> {
        let local = self.local();
        let mut served = Served::new(self.ids.next(), &local.world.clock, &self.metrics);
        let response = self.answer(&local, connection, request, &mut served).await;
        served.finish(&local.world.audit, response)
    }
}

impl Local {
    fn of(world: Held<World>) -> Self {
        let upstreams = Upstreams::new(&world.routes, Arc::clone(&world.health), world.clock.clone());
        Self { number: world.number(), world, upstreams, anonymous: Cut::new() }
    }
}

/// Whether a path belongs to the gateway whatever its case; such a path is never forwarded.
fn is_own(path: &str) -> bool {
    let own = PREFIX.trim_end_matches('/');
    path.get(..own.len()).is_some_and(|start| start.eq_ignore_ascii_case(own))
        && matches!(path.as_bytes().get(own.len()), None | Some(b'/'))
}

/// A small body whole; `None` if it is too large or breaks off. The edge's deadlines bound the wait.
async fn collect(body: Incoming) -> Option<Bytes> {
    Some(Limited::new(body, MAX_OWN_BODY).collect().await.ok()?.to_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_paths_are_own_in_every_case_and_only_on_whole_segments() {
        for path in ["/.portcullis", "/.portcullis/", "/.portcullis/x", "/.PORTCULLIS/callback"] {
            assert!(is_own(path), "{path}");
        }
        for path in ["/", "/.portcullisx", "/x/.portcullis/", "/portcullis"] {
            assert!(!is_own(path), "{path}");
        }
    }
}
