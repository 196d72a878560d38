//! Layer 4: the request path in reading order: dispatch, gate, forward; and the one place where refusals become responses.

mod ask;
mod dispatch;
mod error;
pub mod gate;
pub mod private;
mod refusal;
mod respond;
mod review;
mod served;
pub mod stream;

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use ipnet::IpNet;
use tokio::task::JoinSet;

use crate::audit::AuditLog;
use crate::cut::{Cut, CutReason};
use crate::directory::Directory;
use crate::edge::tunnel::TunnelEnds;
use crate::edge::{Body, Handler};
use crate::facts::{ClientConn, SharedClock, Tick, UnixTime};
use crate::generation::{Generation, Held};
use crate::pages::{Audience, Pages};
use crate::policy::{Policy, Reason};
use crate::session::Sessions;
use crate::sign_in::{PREFIX, SignIn, Visit};
use crate::telemetry::{Metrics, RequestId, RequestIds, WorkerMetrics};

pub use error::AccessError;
pub use gate::{OpenBook, Permit, Person};
pub use private::{
    App, AppConfig, AssertionError, Assertions, Balance, ClientHeaders, HeaderRules, HealthCheck, IdentityHeaders,
    Protocol, Proven, RouteError, Routes, Scheme, SecretStore, StoreFailure, UpstreamConfig, UpstreamTls, Upstreams,
};
pub use refusal::REFUSAL_WORDS;
use refusal::Refusal;
pub use review::Reviewer;
use served::Served;
use stream::AppBook;

/// Largest body of a request to the gateway's own endpoints.
const MAX_OWN_BODY: usize = 64 * 1024;

/// How long it may take to arrive.
const OWN_BODY_WITHIN: Duration = Duration::from_secs(30);

/// One generation of everything a request is judged and routed by. Built whole, swapped whole.
pub struct World {
    /// Where requests go.
    pub routes: Routes,
    /// Whether they may.
    pub policy: Policy,
    /// The same for each worker, sharing nothing with the others.
    pub policies: Box<[Policy]>,
    /// The gateway's own endpoints.
    pub sign_in: SignIn,
    /// Sessions.
    pub sessions: Sessions,
    /// How people stand.
    pub directory: Directory,
    /// Signs assertions for the apps.
    pub assertions: Arc<Assertions>,
    /// Names of the identity headers.
    pub identity_headers: IdentityHeaders,
    /// The same, ready for comparing.
    pub header_rules: HeaderRules,
    /// Peers whose forwarding headers are believed; empty means nobody.
    pub trusted_proxies: Vec<IpNet>,
    /// The port browsers use for https.
    pub public_port: u16,
    /// Whether a client must send a TLS server name.
    pub require_sni: bool,
    /// Renders pages.
    pub pages: Pages,
    /// Decision log.
    pub audit: AuditLog,
    /// Time.
    pub clock: SharedClock,
    /// The health checks of this generation's apps; they end with it.
    pub health_checks: JoinSet<()>,
}

/// One worker's handler. Everything it writes per request is this worker's own.
pub struct Gateway {
    world: Arc<Generation<World>>,
    local: Mutex<Arc<Local>>,
    upstreams: Arc<Upstreams>,
    control: tokio::runtime::Handle,
    ids: RequestIds,
    metrics: Arc<Metrics>,
    worker: Arc<WorkerMetrics>,
    open: Arc<OpenBook>,
    index: usize,
}

/// One worker's view of one generation. Shared by reference count within the worker only, so that requests on
/// different cores touch no common cache line.
struct Local {
    number: u64,
    world: Held<World>,
    /// Where the next generation will be.
    cell: Arc<Generation<World>>,
    /// This worker's books about each app, by app id.
    apps: Vec<Arc<AppBook>>,
    /// Stands in for the session's signal when a rule allows anyone.
    anonymous: Cut,
    /// Whom this worker met lately.
    people: gate::KnownPeople,
    /// Every yes of this worker that is still in use, of this and earlier generations.
    open: Arc<OpenBook>,
    index: usize,
}

/// What the gateway remembers of one client connection.
pub struct Connection {
    client: ClientConn,
    headers: ClientHeaders,
    memo: gate::Memo,
}

/// A request on its way to an app.
struct Asked<'a> {
    connection: &'a Arc<Connection>,
    host: &'a str,
    client: IpAddr,
    app: &'a Arc<App>,
    book: &'a Arc<AppBook>,
    id: RequestId,
    /// When it came; read once, because the clock costs.
    now: UnixTime,
    tick: Tick,
}

impl Gateway {
    /// The handler of worker `index`. `ids` should be this worker's own.
    #[must_use]
    pub fn new(
        world: Arc<Generation<World>>,
        control: tokio::runtime::Handle,
        metrics: Arc<Metrics>,
        ids: RequestIds,
        tunnel_ends: TunnelEnds,
        open: Arc<OpenBook>,
        index: usize,
    ) -> Self {
        let worker = metrics.worker(index).unwrap_or_default();
        let upstreams = Arc::new(Upstreams::default().with_tunnel_ends(tunnel_ends));
        let first = Local::of(&world, &metrics, &worker, &upstreams, (&open, index));
        Self { world, local: Mutex::new(Arc::new(first)), upstreams, control, ids, metrics, worker, open, index }
    }

    fn local(&self) -> Arc<Local> {
        let mut local = self.local.lock().unwrap_or_else(PoisonError::into_inner);
        if local.number != self.world.number() {
            let mine = (&self.open, self.index);
            *local = Arc::new(Local::of(&self.world, &self.metrics, &self.worker, &self.upstreams, mine));
        }
        Arc::clone(&local)
    }

    /// The story of a request. Every way out is a response; the yes is a [`Permit`] that forwarding consumes.
    async fn answer(
        &self,
        local: &Local,
        connection: &Arc<Connection>,
        request: Request<Incoming>,
        served: &mut Served,
    ) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let audience = respond::audience(&parts);
        let refuse = |refusal: &Refusal, served: &Served| respond::refuse(local, audience, None, refusal, served);
        let (host, client) = match placed(local, connection, &parts) {
            Ok(placed) => placed,
            Err(refusal) => return refuse(&refusal, served),
        };
        if parts.method == Method::OPTIONS && parts.uri.path() == "*" {
            return respond::options();
        }
        if let Err(fault) = private::canonical(parts.uri.path()) {
            return refuse(&Refusal::BadPath(fault), served);
        }
        if *host == local.world.sign_in.config().host || is_own(parts.uri.path()) {
            let host = host.into_owned();
            // In a box, as whatever is rare, so that it does not make the future of every request larger.
            return Box::pin(self.own(local, host, client, parts, body, served)).await;
        }
        let Some(app) = local.world.routes.find(&host, parts.uri.path()) else {
            return refuse(&Refusal::NoSuchApp, served);
        };
        let Some(book) = usize::try_from(app.id.0).ok().and_then(|at| local.apps.get(at)) else {
            return refuse(&Refusal::NoSuchApp, served);
        };
        served.for_app(book);
        if respond::is_preflight(&parts, app) {
            return respond::preflight(&parts, app);
        }
        if !app.config.methods.contains(&parts.method) {
            return respond::refuse(local, audience, Some(app), &Refusal::MethodNotAllowed, served);
        }
        // The app's own spelling of its host: borrowed from this generation, so nothing is copied per request.
        let (now, tick) = (local.world.clock.now(), served.began());
        let asked = Asked { connection, host: &app.config.host, client, app, book, id: served.id(), now, tick };
        drop(host);
        self.to_app(local, &asked, Request::from_parts(parts, body), audience, served).await
    }

    /// Gate, then forward.
    async fn to_app(
        &self,
        local: &Local,
        asked: &Asked<'_>,
        request: Request<Incoming>,
        audience: Audience,
        served: &mut Served,
    ) -> Response<Body> {
        match gate::pass(local, asked, &request, &self.worker).await {
            Ok(permit) => {
                served.permitted(local, asked, &request, &permit);
                let world = &local.world;
                let assertion = permit.person().map(|person| {
                    world.sign_in.refresh_if_due(&person.session);
                    person.assertion(&world.assertions, asked.app, asked.now)
                });
                let Ok(assertion) = assertion.transpose() else {
                    return respond::refuse(local, audience, Some(asked.app), &Refusal::NoAssertion, served);
                };
                let context = private::ForwardContext {
                    upstreams: &self.upstreams,
                    client: &asked.connection.headers,
                    trusted: &local.world.trusted_proxies,
                    rules: &local.world.header_rules,
                    assertion: assertion.as_ref(),
                    opening: served.opening(),
                };
                match private::forward(permit, asked.app, request, &context).await {
                    Ok(response) => {
                        served.forwarded();
                        response
                    }
                    Err(error) => respond::fail(local, audience, asked.app, &error, served),
                }
            }
            Err(refusal) => {
                served.refused(local, asked, &request, &refusal);
                if let Refusal::Decided { decision, person: Some(person) } = &refusal
                    && decision.reason == Reason::SignInRevoked
                {
                    // While it lived, the sign-in host would send its person straight back with it, to be refused again.
                    local.world.sign_in.end_soon(&person.session, CutReason::Revoked);
                }
                match ask::Ask::of(&refusal) {
                    Some(what) => Box::pin(ask::ask(local, asked, request, served, what)).await,
                    None => respond::refuse(local, audience, Some(asked.app), &refusal, served),
                }
            }
        }
    }

    /// The gateway's own endpoints run on the control runtime: nothing they wait for holds up a worker.
    async fn own(
        &self,
        local: &Local,
        host: String,
        client: IpAddr,
        parts: Parts,
        body: Incoming,
        served: &Served,
    ) -> Response<Body> {
        let audience = respond::audience(&parts);
        if host != local.world.sign_in.config().host && !local.world.routes.knows_host(&host) {
            return respond::refuse(local, audience, None, &Refusal::NoSuchApp, served);
        }
        if parts.uri.path() == "/.portcullis/jwks.json" {
            return respond::jwks(&local.world.assertions);
        }
        let is_safe = matches!(parts.method, Method::GET | Method::HEAD);
        let Some(body) = (if is_safe { Some(Bytes::new()) } else { collect(body).await }) else {
            return respond::refuse(local, audience, None, &Refusal::BodyTooLarge, served);
        };
        let visit = Visit {
            method: parts.method,
            host,
            path: parts.uri.path().to_owned(),
            query: parts.uri.query().unwrap_or_default().to_owned(),
            headers: parts.headers,
            body,
            request_id: served.id(),
            client,
        };
        let sign_in = local.world.sign_in.clone();
        match self.control.spawn(async move { sign_in.handle(visit).await }).await {
            Ok(response) => response,
            // The task panicked, or the control runtime is gone because the process ends.
            Err(_) => respond::refuse(local, audience, None, &Refusal::StoreDown, served),
        }
    }
}

/// Host, method and client address, or why not.
fn placed<'a>(local: &Local, connection: &Connection, parts: &'a Parts) -> Result<(Cow<'a, str>, IpAddr), Refusal> {
    let world = &local.world;
    dispatch::check_method(&parts.method)?;
    let host = dispatch::host(parts, &connection.client, world.public_port, world.require_sni)?;
    let client = private::client_address(&connection.client, &parts.headers, &world.trusted_proxies)
        .map_err(|_| Refusal::BadHeader)?;
    Ok((host, client))
}

impl Handler for Gateway {
    type Connection = Connection;

    fn open(&self, client: ClientConn) -> Connection {
        let headers = ClientHeaders::new(&client);
        Connection { client, headers, memo: Mutex::new(None) }
    }

    async fn serve(&self, connection: &Arc<Connection>, request: Request<Incoming>) -> Response<Body> {
        let local = self.local();
        let mut served = Served::new(self.ids.next(), &self.worker, local.world.clock.tick());
        let mut response = self.answer(&local, connection, request, &mut served).await;
        if !served.is_forwarded() {
            // An app's response got it with its other headers; the gateway's own answers get it here.
            local.world.header_rules.add_hsts(response.headers_mut());
        }
        served.finish(response, local.world.clock.tick())
    }
}

impl Local {
    /// This worker's own copy of the rules.
    fn policy(&self) -> &Policy {
        self.world.policies.get(self.index).unwrap_or(&self.world.policy)
    }

    /// Whether another generation is in place by now.
    fn is_outdated(&self) -> bool {
        self.cell.number() != self.number
    }

    fn of(
        cell: &Arc<Generation<World>>,
        metrics: &Metrics,
        worker: &Arc<WorkerMetrics>,
        upstreams: &Upstreams,
        (open, index): (&Arc<OpenBook>, usize),
    ) -> Self {
        let world = cell.current();
        let book = |app: &Arc<App>| {
            Arc::new(AppBook {
                name: (*app.name).into(),
                host: app.config.host.as_str().into(),
                app: metrics.app(&app.name, index),
                worker: Arc::clone(worker),
                audit: world.audit.clone(),
                clock: Arc::clone(&world.clock),
            })
        };
        let apps: Vec<Arc<AppBook>> = world.routes.apps().iter().map(book).collect();
        upstreams.count_in(apps.iter().map(|book| Arc::clone(&book.app)).collect());
        Self {
            number: world.number(),
            world,
            cell: Arc::clone(cell),
            apps,
            anonymous: Cut::new(),
            people: gate::KnownPeople::new(),
            open: Arc::clone(open),
            index,
        }
    }
}

/// Whether a path belongs to the gateway whatever its case; such a path is never forwarded.
fn is_own(path: &str) -> bool {
    let own = PREFIX.trim_end_matches('/');
    path.get(..own.len()).is_some_and(|start| start.eq_ignore_ascii_case(own))
        && matches!(path.as_bytes().get(own.len()), None | Some(b'/'))
}

/// A small body whole; `None` if it is too large, breaks off or does not come in time. The edge's deadline for bodies
/// is of a connection; an HTTP/2 client that keeps its connection busy could leave one stream waiting for ever.
async fn collect<B: http_body::Body<Error: Into<Box<dyn std::error::Error + Send + Sync>>>>(body: B) -> Option<Bytes> {
    let whole = tokio::time::timeout(OWN_BODY_WITHIN, Limited::new(body, MAX_OWN_BODY).collect()).await;
    Some(whole.ok()?.ok()?.to_bytes())
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

    /// A body that stalls, as an HTTP/2 client can make one while it keeps its connection busy.
    struct Never;

    impl http_body::Body for Never {
        type Data = Bytes;
        type Error = std::convert::Infallible;

        fn poll_frame(
            self: std::pin::Pin<&mut Self>,
            _cx: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
            std::task::Poll::Pending
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_never_comes_is_given_up() {
        let waited = tokio::time::timeout(Duration::from_secs(60), collect(Never)).await;
        assert_eq!(waited, Ok(None));
        assert_eq!(
            collect(http_body_util::Full::new(Bytes::from_static(b"a=b"))).await,
            Some(Bytes::from_static(b"a=b"))
        );
    }
}
