//! Layer 6: the composition root. Wires every part from one configuration, runs until told to stop, swaps generations.

mod actions;
mod console;
mod reading;
mod reload;
mod strangers;
mod world;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::runtime::Handle;

use crate::access::{AssertionError, Assertions, Gateway, OpenBook, REFUSAL_WORDS, Reviewer, RouteError, World};
use crate::admin::{self, AdminError, AdminListener, AdminSocket, Condition, Readiness, Services};
use crate::audit::{self, AuditError, AuditLog};
use crate::config::Config;
use crate::directory::{self, Directory};
use crate::edge::{self, CertError, Certificates, Edge, EdgeError, Shutdown};
use crate::entra::{EntraError, RelyingParty};
use crate::facts::SharedClock;
use crate::generation::Generation;
use crate::peers::Peers;
use crate::risk_control::Actions;
use crate::session::{SessionError, Sessions};
use crate::store::{Keyring, KeyringError, Store, StoreError};
use crate::telemetry::{self, LogConfig, LogError, LogGuard, Metrics, NoRandomness, RequestIds};

pub use reload::{ReloadError, Reloader};

/// Where the gateway listens, as written to `addresses.json` in the state folder.
#[derive(Debug, Clone, Serialize)]
pub struct Addresses {
    /// TLS listeners.
    pub https: Vec<SocketAddr>,
    /// Redirecting listeners.
    pub redirect: Vec<SocketAddr>,
    /// Admin listeners.
    pub admin: Vec<SocketAddr>,
}

/// A gateway that is put together and bound, but does not serve yet.
pub struct App {
    lasting: Arc<Lasting>,
    edge: Edge,
    admin: AdminListener,
    audit_writer: std::thread::JoinHandle<()>,
    readiness: Readiness,
    addresses: Addresses,
    ids: RequestIds,
    announce: Duration,
}

/// What lives longer than one generation of the configuration.
struct Lasting {
    world: Arc<Generation<World>>,
    base: Base,
    certificates: Arc<Certificates>,
    actions: Actions,
    config: std::sync::Mutex<Config>,
}

/// The parts that every generation is built on.
#[derive(Clone)]
struct Base {
    control: Handle,
    clock: SharedClock,
    keyring: Arc<Keyring>,
    store: Store,
    peers: Peers,
    sessions: Sessions,
    directory: Directory,
    /// The jobs that read the directory.
    sync: directory::Control,
    assertions: Arc<Assertions>,
    audit: AuditLog,
    metrics: Arc<Metrics>,
    /// The port of the first listener, for when the configuration says 0.
    port: u16,
    /// Where the admin listener is, for the console's app.
    admin: SocketAddr,
}

/// The gateway could not be put together. Nothing has been served.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The state folder.
    #[error("the state folder {} cannot be used", path.display())]
    StateDir {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The store.
    #[error("the state store cannot be opened")]
    Store(#[from] StoreError),
    /// The key ring.
    #[error("the key ring cannot be opened")]
    Keyring(#[from] KeyringError),
    /// Sessions.
    #[error("the sessions cannot be loaded")]
    Sessions(#[from] SessionError),
    /// The identity provider's configuration.
    #[error("the identity provider cannot be used as configured")]
    Entra(#[from] EntraError),
    /// The apps.
    #[error("the apps cannot be routed as configured")]
    Routes(#[from] RouteError),
    /// Certificates.
    #[error("the certificates cannot be used")]
    Certificates(#[from] CertError),
    /// Sockets.
    #[error("the listeners cannot be opened")]
    Edge(#[from] EdgeError),
    /// The decision log.
    #[error("the decision log cannot be opened")]
    Audit(#[from] AuditError),
    /// The admin token.
    #[error("the admin token cannot be used")]
    Token(#[from] admin::token::TokenError),
    /// The admin listener.
    #[error("the admin listener cannot be opened")]
    Admin(#[from] AdminError),
    /// The directory's jobs.
    #[error("the directory cannot be read as configured")]
    Directory(#[from] directory::SetupError),
    /// The assertion keys.
    #[error("the assertion keys cannot be made")]
    Assertions(#[from] AssertionError),
    /// Randomness.
    #[error("the system gives no randomness")]
    Randomness(#[from] NoRandomness),
}

impl App {
    /// Opens the state, binds every listener and builds the first generation. Call it on the control runtime.
    ///
    /// # Errors
    /// The first part that cannot be had; see [`AppError`].
    pub async fn build(config: Config, clock: SharedClock) -> Result<Self, AppError> {
        private_folder(&config.state_dir)?;
        let metrics = Metrics::with_refusals(config.edge.workers, REFUSAL_WORDS);
        metrics.begin(Arc::clone(&clock));
        let (audit, audit_writer) = AuditLog::start(&audit_config(&config), Arc::clone(&clock), Arc::clone(&metrics))?;
        // The store first: its lock also guards the making of the key ring at the first start, and tells that no other
        // gateway runs here, so that what is left of an earlier one may go.
        let store = Store::open(&config.state_dir)?;
        forget_addresses(&config.state_dir);
        let keyring = Arc::new(Keyring::open(&config.state_dir)?);
        let peers = Peers::alone();
        let sessions = Sessions::open(
            config.session.clone(),
            store.clone(),
            Arc::clone(&keyring),
            peers.clone(),
            Arc::clone(&clock),
        )?;
        let party = RelyingParty::new(config.entra.clone(), Arc::clone(&clock))?;
        let (directory, sync) = reading::begin(&config, &party, &store, (&clock, &audit, &metrics))?;
        let counted = sessions.clone();
        metrics.read_sessions_from(move || counted.count() as u64);
        let secrets =
            world::SealedSecrets { store: store.clone(), keyring: Arc::clone(&keyring), control: Handle::current() };
        let issuer = world::issuer(&config);
        let assertions = Arc::new(Assertions::open(Box::new(secrets), issuer, ASSERTION_ROTATION, clock.now())?);
        let certificates = Certificates::load(&config.edge.tls.certificates)?;
        let edge = Edge::bind(config.edge.clone(), Arc::clone(&certificates), &metrics, Arc::clone(&clock))?;
        count_refusals(&edge, &metrics);
        let admin_socket = AdminSocket::bind(config.admin.listen).await?;
        let port = edge.addresses().https.first().map_or(443, SocketAddr::port);
        let base = Base {
            control: Handle::current(),
            clock,
            keyring,
            store,
            peers,
            sessions,
            directory,
            sync,
            assertions,
            audit,
            metrics,
            port,
            admin: admin_socket.address(),
        };
        let ids = RequestIds::new()?;
        let announce = config.announce;
        let world = Arc::new(Generation::new(world::build(&base, &config, party, 1)?));
        base.metrics.control.reloaded(Some(world.number()));
        let lasting = Arc::new(Lasting::new(world, base, certificates, config)?);
        lasting.show_certificates();
        lasting.end_strangers();
        let (admin, readiness) = lasting.admin(admin_socket)?;
        let addresses = Addresses {
            https: edge.addresses().https.clone(),
            redirect: edge.addresses().redirect.clone(),
            admin: vec![admin.address()],
        };
        Ok(Self { lasting, edge, admin, audit_writer, readiness, addresses, ids, announce })
    }

    /// Where it listens.
    #[must_use]
    pub const fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Begins to log for the whole process; lost lines are counted in this gateway's metrics.
    ///
    /// # Errors
    /// See [`LogError`].
    pub fn log_to(&self, config: &LogConfig) -> Result<LogGuard, LogError> {
        telemetry::init(config, Arc::clone(&self.lasting.base.metrics.control.log_lines_dropped))
    }

    /// Sessions, for the demo and for tests.
    #[must_use]
    pub fn sessions(&self) -> &Sessions {
        &self.lasting.base.sessions
    }

    /// How everybody stands, for benches.
    #[must_use]
    pub fn directory(&self) -> &Directory {
        &self.lasting.base.directory
    }

    /// Swaps in new configurations while the gateway runs.
    #[must_use]
    pub fn reloader(&self) -> Reloader {
        Reloader::new(Arc::clone(&self.lasting))
    }

    /// Serves until `shutdown` begins, then drains within the configured time.
    ///
    /// # Errors
    /// When a worker thread cannot be started.
    pub async fn run(self, shutdown: Shutdown) -> Result<(), io::Error> {
        let base = self.lasting.base.clone();
        let state_dir = self.lasting.state_dir();
        write_addresses(&state_dir, &self.addresses);
        // What serves requests and whoever watches outlives the listeners: sessions end and metrics tell until the last.
        let (closing, over) = (Shutdown::new(), Shutdown::new());
        let background = self.background(&over);
        let announcing = base.control.spawn(self.announce(shutdown, closing.clone()));
        let books: Vec<Arc<OpenBook>> = (0..self.edge.workers()).map(|_| Arc::default()).collect();
        let reviewing = self.review(books.clone(), &over);
        let (gateways, ids, ends) = (Arc::clone(&self.lasting), self.ids, self.edge.tunnel_ends());
        let served = self.edge.run(
            move |index| {
                let Lasting { world, base, .. } = &*gateways;
                let (control, metrics) = (base.control.clone(), Arc::clone(&base.metrics));
                let open = books.get(index).cloned().unwrap_or_default();
                Arc::new(Gateway::new(Arc::clone(world), control, metrics, ids.fork(index), ends.clone(), open, index))
            },
            closing,
        );
        self.readiness.set(Condition::Listening, true);
        // Health answers until the last request is served: who drains must be seen to drain, not to be dead.
        let stopping = over.clone();
        let admin = base.control.spawn(self.admin.run(async move { stopping.begun().await }));
        let outcome = served.await;
        announcing.abort();
        forget_addresses(&state_dir);
        over.begin();
        for task in background.into_iter().chain([reviewing]) {
            // Each of them ends by itself once it is told to; only a panic inside could be reported here.
            let _ended = task.await;
        }
        let _ended = admin.await;
        base.audit.close();
        let writer = self.audit_writer;
        let _joined = tokio::task::spawn_blocking(move || writer.join()).await;
        outcome
    }

    /// Tells load balancers first and the listeners later.
    fn announce(&self, shutdown: Shutdown, closing: Shutdown) -> impl Future<Output = ()> + Send + use<> {
        let (readiness, span) = (self.readiness.clone(), self.announce);
        async move {
            shutdown.begun().await;
            readiness.set(Condition::NotDraining, false);
            tokio::time::sleep(span).await;
            closing.begin();
        }
    }

    /// Takes back what is open when somebody's standing, the rules or the time changed.
    fn review(&self, books: Vec<Arc<OpenBook>>, over: &Shutdown) -> tokio::task::JoinHandle<()> {
        let (base, stop) = (&self.lasting.base, over.clone());
        let world = Arc::clone(&self.lasting.world);
        let reviewer = Reviewer::new(world, books, base.directory.clone(), Arc::clone(&base.metrics));
        base.control.spawn(reviewer.run(async move { stop.begun().await }))
    }

    fn background(&self, over: &Shutdown) -> Vec<tokio::task::JoinHandle<()>> {
        let base = &self.lasting.base;
        let stop = over.clone();
        let sessions = base.sessions.clone().run_background(async move { stop.begun().await });
        let (lasting, readiness, stop) = (Arc::clone(&self.lasting), self.readiness.clone(), over.clone());
        let watch = async move {
            lasting.look(&readiness).await;
            loop {
                tokio::select! {
                    () = stop.begun() => return,
                    () = tokio::time::sleep(LOOK_EVERY) => {
                        lasting.look(&readiness).await;
                        lasting.rotate_assertion_keys().await;
                    }
                }
            }
        };
        let (lasting, stop) = (Arc::clone(&self.lasting), over.clone());
        // Requests ask for the silent refresh of their session; a person who only watches a stream makes none.
        let watched = async move {
            loop {
                tokio::select! {
                    () = stop.begun() => return,
                    () = tokio::time::sleep(STREAMS_EVERY) => {}
                }
                let world = lasting.world.current();
                for session in lasting.base.sessions.streaming() {
                    world.sign_in.refresh_if_due(&session);
                }
            }
        };
        let (lasting, stop) = (Arc::clone(&self.lasting), over.clone());
        let keys = async move {
            tokio::select! {
                () = stop.begun() => {}
                () = world::keep_fresh(&lasting.world) => {}
            }
        };
        let (sync, stop) = (base.sync.clone(), over.clone());
        let sync = async move {
            tokio::select! {
                () = stop.begun() => {}
                () = sync.run() => {}
            }
        };
        let stop = over.clone();
        let actions = self.lasting.actions.clone().run_background(async move { stop.begun().await });
        let stop = over.clone();
        let accounts = actions::accounts(base).run(async move { stop.begun().await });
        let control = &base.control;
        let tasks = [control.spawn(sessions), control.spawn(watch), control.spawn(watched), control.spawn(keys)];
        let of_people = [control.spawn(sync), control.spawn(actions), control.spawn(accounts)];
        tasks.into_iter().chain(of_people).collect()
    }
}

/// How long a signing key for assertions is in use.
const ASSERTION_ROTATION: Duration = Duration::from_secs(30 * 86_400);

/// How often sessions that only stream are looked at for a due refresh.
const STREAMS_EVERY: Duration = Duration::from_secs(5);

/// In the state folder.
const ADDRESSES_FILE: &str = "addresses.json";

/// How often readiness is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

impl Lasting {
    fn new(
        world: Arc<Generation<World>>,
        base: Base,
        certificates: Arc<Certificates>,
        config: Config,
    ) -> Result<Self, AppError> {
        let actions = actions::open(&base, &config, &world)?;
        Ok(Self { world, base, certificates, actions, config: std::sync::Mutex::new(config) })
    }

    fn admin(self: &Arc<Self>, socket: AdminSocket) -> Result<(AdminListener, Readiness), AppError> {
        let token_file = {
            let config = self.config.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let file = config.admin.token_file.clone();
            file.unwrap_or_else(|| config.state_dir.join("admin-token"))
        };
        let token = admin::token::load_or_create(&token_file)?;
        let readiness = Readiness::new();
        let reloader = Reloader::new(Arc::clone(self));
        let services = Services {
            sessions: self.base.sessions.clone(),
            metrics: Arc::clone(&self.base.metrics),
            audit: self.base.audit.clone(),
            actions: self.actions.clone(),
            readiness: readiness.clone(),
            reload: Arc::new(move || {
                let reloader = reloader.clone();
                Box::pin(async move { reloader.reload_from_file().await.map_err(|error| error.to_string()) })
            }),
            clock: Arc::clone(&self.base.clock),
            tenants: Arc::new(self.base.sync.clone()),
            directory: self.base.directory.clone(),
            look: console::look(self),
            assertions: Some(Arc::clone(&self.base.assertions)),
        };
        let config = admin::Config { token, hosts: Vec::new() };
        Ok((AdminListener::new(socket, &config, services), readiness))
    }

    fn state_dir(&self) -> PathBuf {
        self.config.lock().unwrap_or_else(std::sync::PoisonError::into_inner).state_dir.clone()
    }

    async fn look(&self, readiness: &Readiness) {
        let keys = self.world.current().sign_in.knows_provider_keys();
        readiness.set(Condition::ProviderKeys, keys);
        let store = self.base.store.read_async(crate::store::Table::Meta, b"format").await;
        readiness.set(Condition::Store, store.is_ok());
    }

    /// Brings the next assertion key into use when it is time; asked every second, done every thirty days.
    async fn rotate_assertion_keys(self: &Arc<Self>) {
        let assertions = Arc::clone(&self.base.assertions);
        let now = self.base.clock.now();
        match tokio::task::spawn_blocking(move || assertions.rotate_if_due(now)).await {
            Ok(Ok(true)) => tracing::info!("a new assertion key is in use"),
            Ok(Ok(false)) => {}
            Ok(Err(error)) => tracing::error!(error = %error, "the assertion keys could not be rotated"),
            Err(_) => tracing::error!("rotating the assertion keys panicked"),
        }
    }

    fn show_certificates(&self) {
        self.base.metrics.set_certificates(self.certificates.current().expiries().to_vec());
    }
}

fn count_refusals(edge: &Edge, metrics: &Metrics) {
    let refusals = edge.refusals();
    metrics.read_refusals_from(move || {
        let sum = |refusal| refusals.iter().map(|worker| worker.of(refusal)).sum();
        edge::Refusal::ALL.iter().map(|&refusal| (refusal.word(), sum(refusal))).collect()
    });
}

fn audit_config(config: &Config) -> audit::Config {
    let log = &config.decision_log;
    audit::Config {
        enabled: log.enabled,
        allows: log.allows,
        path: log.path.clone(),
        queue: log.queue,
        max_bytes: log.max_bytes,
        ..audit::Config::default()
    }
}

/// Makes the folder if need be. It holds keys, so only its owner may look into it.
fn private_folder(path: &std::path::Path) -> Result<(), AppError> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|source| AppError::StateDir { path: path.to_owned(), source })
}

/// Tells scripts and the command line where to find this gateway. Written whole or not at all.
fn write_addresses(folder: &std::path::Path, addresses: &Addresses) {
    let (new, file) = (folder.join("addresses.json.new"), folder.join(ADDRESSES_FILE));
    let text = serde_json::to_vec(addresses).unwrap_or_default();
    if let Err(error) = std::fs::write(&new, text).and_then(|()| std::fs::rename(&new, &file)) {
        tracing::warn!(error = %error, file = %file.display(), "the addresses could not be written down");
    }
}

/// Nobody listens there any more: somebody else may, and would be sent the admin token.
fn forget_addresses(folder: &std::path::Path) {
    let file = folder.join(ADDRESSES_FILE);
    match std::fs::remove_file(&file) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => tracing::warn!(error = %error, file = %file.display(), "old addresses could not be removed"),
    }
}
