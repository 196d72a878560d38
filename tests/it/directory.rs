//! The directory's jobs against the simulated Graph over real HTTP, with a clock that the test moves.

mod faults;
mod permissions;
mod reading;

use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};
use portcullis::audit::AuditLog;
use portcullis::directory::{
    Config, Control, ControlError, Directory, Gate, GateStatus, Ground, Phase, Progress, Rhythm, Round, SyncKind,
    TenantStatus,
};
use portcullis::entra::{self, Credential, RelyingParty, ResponseMode};
use portcullis::facts::{
    Clock as _, Groups, ManualClock, RiskSource, Standing, Subject, SystemClock, TenantId, UserKey,
};
use portcullis::simulator::{APP_ID, APP_SECRET, CONTOSO, World};
use portcullis::store::Store;
use portcullis::telemetry::Secret;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::simulator::browser::{Browser, REDIRECT};

/// A simulator, the jobs that read it, and the clock they go by.
struct Stand {
    b: Browser,
    control: Control,
    directory: Directory,
    clock: Arc<ManualClock>,
    job: JoinHandle<()>,
    folder: TempDir,
}

type Change = fn(&mut World);

/// How a stand differs from the usual one.
struct Wish {
    tenants: Vec<&'static str>,
    rhythm: Rhythm,
    upload: bool,
    has_risk: bool,
    /// What happens to the world before the jobs begin.
    world: Change,
}

impl Default for Wish {
    fn default() -> Self {
        Self { tenants: vec![CONTOSO], rhythm: Rhythm::FAST, upload: true, has_risk: true, world: |_| {} }
    }
}

impl Stand {
    async fn usual() -> Self {
        Self::with(Wish::default()).await
    }

    async fn with(wish: Wish) -> Self {
        let mut world = World::demo([REDIRECT]);
        (wish.world)(&mut world);
        let b = Self::simulator(world).await;
        let folder = TempDir::new().unwrap();
        let clock = Arc::new(ManualClock::at(SystemClock::new().now()));
        let (control, directory) = Self::jobs(&b, &wish, &folder, &clock);
        let job = Self::run(&control);
        Self { b, control, directory, clock, job, folder }
    }

    async fn simulator(world: World) -> Browser {
        let mut b = Browser::with(world).await;
        let settings = json!({ "limits_risk": false, "processing_seconds": 0 });
        assert_eq!(b.json(Method::PUT, "/sim/v1/graph/settings", settings).await.status, StatusCode::OK);
        b
    }

    fn run(control: &Control) -> JoinHandle<()> {
        let control = control.clone();
        tokio::spawn(async move { control.run().await })
    }

    /// Ends the jobs and opens everything again; nothing runs yet.
    async fn reopen(&mut self, wish: &Wish) {
        self.job.abort();
        let ended = (&mut self.job).await;
        assert!(ended.unwrap_err().is_cancelled());
        // The store is one file with one owner: everything that holds it goes first.
        (self.control, self.directory) = (Control::none(), Directory::none(Arc::clone(&self.clock) as _));
        (self.control, self.directory) = Self::jobs(&self.b, wish, &self.folder, &self.clock);
    }

    fn jobs(b: &Browser, wish: &Wish, folder: &TempDir, clock: &Arc<ManualClock>) -> (Control, Directory) {
        let tenants: Vec<TenantId> = wish.tenants.iter().map(|tenant| tenant.parse().unwrap()).collect();
        let party = RelyingParty::new(
            entra::Config {
                authority: b.sim.base().clone(),
                tenants: tenants.clone(),
                client_id: APP_ID.to_owned(),
                credential: Credential::Secret(Secret::new(APP_SECRET.to_owned())),
                redirect_uri: REDIRECT.parse().unwrap(),
                response_mode: ResponseMode::FormPost,
                scopes: vec!["openid".to_owned()],
                skew: Duration::from_secs(300),
                timeout: Duration::from_secs(5),
                extra_ca: None,
            },
            Arc::clone(clock) as _,
        )
        .unwrap();
        let root = b.sim.base().clone();
        let config = Config { root, rhythm: wish.rhythm, upload: wish.upload, has_risk: wish.has_risk };
        let store = Store::open(folder.path()).unwrap();
        let directory = Directory::open(&tenants, store.clone(), Arc::clone(clock) as _).unwrap();
        let ground =
            Ground { directory: directory.clone(), store, clock: Arc::clone(clock) as _, audit: AuditLog::off() };
        (Control::new(config, &tenants, &party, ground).unwrap(), directory)
    }

    /// Lets the clock run, a second of it in 20 milliseconds, until `condition` holds.
    async fn until(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !condition(self) {
            assert!(Instant::now() < deadline, "not in time: {what}: {:#?}", self.control.readings());
            self.pass(Duration::from_secs(1)).await;
            sleep(Duration::from_millis(15)).await;
        }
    }

    /// Lets `span`, whole seconds, pass on the clock at once, and whoever waited for it look.
    async fn pass(&self, span: Duration) {
        self.clock.advance(span);
        self.control.clock_moved();
        sleep(Duration::from_millis(5)).await;
    }

    /// Proves what is granted while the clock runs: tokens are not asked for in a loop.
    async fn check(&self, tenant: TenantId) -> TenantStatus {
        let control = self.control.clone();
        let proof = tokio::spawn(async move { control.check(tenant).await });
        self.until("it is proven", |_| proof.is_finished()).await;
        proof.await.unwrap().unwrap()
    }

    async fn set_upload(&self, on: bool) -> Result<(), ControlError> {
        let control = self.control.clone();
        let turned = tokio::spawn(async move { control.set_upload(tenant(), on).await });
        self.until("it is turned", |_| turned.is_finished()).await;
        turned.await.unwrap()
    }

    /// Lets `span` pass in steps of some seconds.
    async fn idle(&self, span: Duration) {
        let end = self.clock.now().plus(span);
        while self.clock.now() < end {
            self.pass(Duration::from_secs(5)).await;
        }
    }

    async fn order(&mut self, method: Method, path: &str, body: Value) {
        let reply = self.b.json(method, path, body).await;
        assert_eq!(reply.status, StatusCode::OK, "{path}: {}", reply.text());
    }

    async fn fault(&mut self, fault: Value, times: u32) {
        self.order(Method::POST, "/sim/v1/graph/faults", json!({ "fault": fault, "times": times })).await;
    }

    async fn no_faults(&mut self) {
        self.order(Method::DELETE, "/sim/v1/graph/faults", json!({})).await;
    }

    fn set_roles(&self, tenant: &str, roles: &[&str]) {
        let roles: Vec<String> = roles.iter().map(|role| (*role).to_owned()).collect();
        self.b.sim.world().change(|world| {
            world.app_mut(APP_ID).unwrap().principals.get_mut(tenant).unwrap().roles = roles;
        });
    }

    fn status(&self) -> TenantStatus {
        self.control.status().remove(0)
    }

    fn progress(&self, kind: SyncKind) -> Progress {
        self.status().progress.into_iter().find(|progress| progress.kind == kind).unwrap()
    }

    fn phase(&self, kind: SyncKind) -> Phase {
        self.progress(kind).phase
    }

    fn gate(&self, gate: Gate) -> GateStatus {
        gate_of(&self.status(), gate)
    }

    fn source(&self) -> RiskSource {
        self.directory.feed(tenant()).now().source
    }

    /// Whether each kind has been read and reads well.
    fn is_read(&self) -> bool {
        let status = self.status();
        status.feed.source == RiskSource::Answers
            && status.progress.iter().all(|progress| progress.finished.is_some() && progress.error.is_none())
    }

    fn standing(&self, oid: &str) -> Standing {
        let user = UserKey { tenant: tenant(), object: oid.parse().unwrap() };
        self.directory.standing(&Subject { user, name: "".into(), email: "".into(), groups: Groups::Unknown })
    }

    /// How often readings of `kind` failed for `reason`.
    fn failures(&self, kind: &str, reason: &str) -> u64 {
        let readings = self.control.readings();
        let found = readings[0].failures.iter().find(|(k, r, _)| *k == kind && *r == reason);
        found.map_or(0, |(_, _, count)| *count)
    }

    fn graph_calls(&self) -> u64 {
        self.calls("graph")
    }

    fn calls(&self, what: &str) -> u64 {
        self.b.sim.levers().counters().get(what).copied().unwrap_or(0)
    }
}

impl Drop for Stand {
    fn drop(&mut self) {
        self.job.abort();
    }
}

fn gate_of(status: &TenantStatus, gate: Gate) -> GateStatus {
    status.gates.iter().find(|(one, _)| *one == gate).unwrap().1.clone()
}

fn tenant() -> TenantId {
    CONTOSO.parse().unwrap()
}

const READ_DIRECTORY: [&str; 2] = ["User.Read.All", "GroupMember.Read.All"];
const READ_RISK: [&str; 2] = ["IdentityRiskyUser.Read.All", "IdentityRiskEvent.Read.All"];
