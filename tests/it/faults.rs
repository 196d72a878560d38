//! Faults while people work, at a tenth of the load that the reliability goals name: reload, certificates, drain,
//! sudden death, and a provider that is gone. What was lost is counted by the client, never by the gateway.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ClientConfig;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::world::load::{Load, Plan};
use crate::world::provider::Kind;
use crate::world::raw::Raw;
use crate::world::upstream::Answer;
use crate::world::websocket::{CLOSE, WebSocket};
use crate::world::{ALICE, APP, BOB, FIN, World, certs, eventually, shapes};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reload_under_load_loses_nothing_and_each_answer_is_of_one_generation() {
    let mut world = world(|settings| settings.marker = "0".to_owned()).await;
    let load = start_load(&world, ALICE).await;
    warm(&load).await;
    let before = world.gateway.resident_kib();
    for generation in 1..=RELOADS {
        let marker = generation.to_string();
        world.gateway.settings.marker.clone_from(&marker);
        world.gateway.write_configuration();
        let asked = Instant::now();
        // Most by signal; some by nothing but the change of the file, which is looked at twice a second.
        let by_signal = generation % WATCHED != 0;
        if by_signal {
            world.gateway.reload();
        }
        let cookie = &world.cookie_of_load;
        let gateway = &world.inner();
        eventually("the new configuration answers", Duration::from_secs(2), || async {
            answering_generation(gateway, cookie).await == marker
        })
        .await;
        let most = if by_signal { SWITCH } else { SWITCH + WATCH };
        assert!(asked.elapsed() < most, "switch {generation} took {:?}", asked.elapsed());
        // Faster than the load can notice: each generation serves some of it.
        let so_far = load.answers();
        eventually("the load goes on", Duration::from_secs(5), || async { load.answers() >= so_far + 5 }).await;
    }
    answers(&load, 300).await;
    let after = world.gateway.resident_kib();
    let ledger = load.finish().await;
    ledger.assert_flawless(300);
    let known: Vec<String> = (0..=RELOADS).map(|generation| generation.to_string()).collect();
    assert!(ledger.answered.iter().all(|answer| known.contains(&answer.marker)), "an answer of no generation");
    assert!(after < before + 10 * 1024, "resident memory grew from {before} to {after} KiB over {RELOADS} reloads");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broken_configuration_changes_nothing() {
    let world = world(|settings| settings.marker = "good".to_owned()).await;
    let load = start_load(&world, ALICE).await;
    warm(&load).await;
    let file = world.gateway.dir().join("portcullis.toml");
    let good = std::fs::read_to_string(&file).unwrap();
    for broken in ["not = [toml", "unknown_key = 1\n", &good[..good.len() / 2]] {
        let logged = world.gateway.log().len();
        std::fs::write(&file, broken).unwrap();
        world.gateway.reload();
        eventually("the gateway says what is wrong", Duration::from_secs(5), || async {
            world.gateway.log()[logged..].contains("portcullis.toml")
        })
        .await;
        assert_eq!(answering_generation(&world.inner(), &world.cookie_of_load).await, "good");
    }
    answers(&load, 50).await;
    load.finish().await.assert_flawless(50);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificate_rotation_under_load_fails_no_handshake_even_with_a_mismatched_pair() {
    let world = world(|_| {}).await;
    let load = start_load(&world, ALICE).await;
    warm(&load).await;
    let mut old_connection = world.raw(APP).await;
    for rotation in 0..ROTATIONS {
        let pair = world.new_certificate();
        if rotation == ROTATIONS / 2 {
            let other = world.new_certificate();
            let mismatched = certs::Pair { key: other.key, ..pair.clone() };
            let serving = served_certificate(&world).await;
            mismatched.write(world.gateway.dir());
            world.gateway.reload();
            eventually("the mismatch is reported", Duration::from_secs(5), || async {
                world.gateway.log().contains("gateway.pem")
            })
            .await;
            assert_eq!(served_certificate(&world).await, serving, "the last good pair goes on");
        }
        pair.write(world.gateway.dir());
        world.gateway.reload();
        eventually("the new certificate is served", Duration::from_secs(1), || async {
            served_certificate(&world).await == pair.der
        })
        .await;
    }
    answers(&load, 200).await;
    old_connection.send(get("/old", APP, &world.cookie_of_load).as_bytes()).await;
    assert_eq!(old_connection.response().await.unwrap().text(), "/old", "a connection from before still works");
    load.finish().await.assert_flawless(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_lets_running_requests_end_and_idle_connections_do_not_delay_it() {
    let mut world = world(|settings| settings.drain_seconds = 4).await;
    let cookie = world.cookie_of_load.clone();
    let mut download = world.raw(APP).await;
    download.send(get("/download", APP, &cookie).as_bytes()).await;
    let mut idle = world.raw(APP).await;
    idle.send(get("/idle", APP, &cookie).as_bytes()).await;
    assert_eq!(idle.response().await.unwrap().status, 200);
    let half_open = tokio::net::TcpStream::connect(world.gateway.https()).await.unwrap();
    let mut socket = WebSocket::open(world.raw(APP).await, APP, "/ws", &format!("Cookie: {cookie}\r\n")).await.unwrap();
    assert!(socket.echo("before").await.is_some());
    eventually("the download has begun", Duration::from_secs(5), || async { world.app.seen() >= 4 }).await;
    let asked = Instant::now();
    world.gateway.terminate();
    let body = download.response().await.expect("the download ends in full").body;
    assert_eq!(body.len(), DOWNLOAD);
    assert!(body.iter().enumerate().all(|(n, byte)| usize::from(*byte) == n % 251));
    // 1001 "going away" (RFC 6455 section 7.4.1), or the end of the connection at the drain's deadline.
    let last = socket.next().await;
    assert!(last.is_none_or(|frame| frame.opcode == CLOSE), "nothing but a close comes after the drain");
    let status = world.gateway.ended(Duration::from_secs(15)).await;
    assert!(status.success(), "{status}");
    assert!(asked.elapsed() < Duration::from_secs(7), "the end took {:?}", asked.elapsed());
    assert!(!world.gateway.dir().join("state").join(shapes::ADDRESSES_FILE).exists(), "nobody listens there any more");
    drop((idle, half_open));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_and_half_open_connections_do_not_delay_the_end() {
    let mut world = world(|settings| settings.drain_seconds = 60).await;
    let cookie = world.cookie_of_load.clone();
    let mut idle = world.raw(APP).await;
    idle.send(get("/idle", APP, &cookie).as_bytes()).await;
    assert_eq!(idle.response().await.unwrap().status, 200);
    let (http2, connection) = http2(&world).await;
    let silent = tokio::net::TcpStream::connect(world.gateway.https()).await.unwrap();
    let unasked = world.raw(APP).await;
    let asked = Instant::now();
    world.gateway.terminate();
    let status = world.gateway.ended(Duration::from_secs(15)).await;
    assert!(status.success(), "{status}");
    // A handshake that has begun gets its own deadline of ten seconds at most; nothing here needs the drain time.
    assert!(asked.elapsed() < Duration::from_secs(12), "the end took {:?}", asked.elapsed());
    assert!(connection.await.unwrap().is_ok(), "HTTP/2 ends by GOAWAY and not by a reset");
    drop((http2, silent, unasked));
}

/// Load balancers hear it first; then connections are told; then the listener is gone. No request is lost on the way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shutdown_is_announced_before_anything_closes() {
    let mut world = world(|settings| settings.announce_milliseconds = 1500).await;
    let cookie = world.cookie_of_load.clone();
    eventually("it is ready", Duration::from_secs(5), || async { readiness(&world).await == Some(200) }).await;
    let mut open = world.raw(APP).await;
    let mut slow = world.raw(APP).await;
    let asked = Instant::now();
    world.gateway.terminate();
    eventually("readiness says no", Duration::from_secs(1), || async { readiness(&world).await == Some(503) }).await;
    let mut new = world.raw(APP).await;
    for connection in [&mut open, &mut new] {
        connection.send(get("/still", APP, &cookie).as_bytes()).await;
        assert_eq!(connection.response().await.unwrap().text(), "/still", "everything is served while it is announced");
    }
    let left = Duration::from_millis(1200).saturating_sub(asked.elapsed());
    assert!(!left.is_zero(), "too slow to see the announcement");
    slow.send(get("/slow", APP, &cookie).as_bytes()).await;
    eventually("the listener is gone", Duration::from_secs(5), || async {
        tokio::net::TcpStream::connect(world.gateway.https()).await.is_err()
    })
    .await;
    assert!(asked.elapsed() >= Duration::from_millis(1500), "{:?}", asked.elapsed());
    assert_eq!(readiness(&world).await, Some(503), "whoever drains is seen to drain");
    let last = slow.response().await.expect("a running request is answered");
    assert_eq!((last.status, last.header("connection")), (200, Some("close")), "{}", last.head);
    assert!(world.gateway.ended(Duration::from_secs(5)).await.success());
}

async fn readiness(world: &World) -> Option<u16> {
    let mut raw = Raw::tcp(world.gateway.admin()).await.ok()?;
    let host = world.gateway.admin();
    raw.send(format!("GET /ready HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").as_bytes()).await;
    Some(raw.response().await.ok()?.status)
}

/// An HTTP/2 connection that has been used once and is idle.
async fn http2(world: &Running) -> (SendRequest<Empty<Bytes>>, JoinHandle<hyper::Result<()>>) {
    let raw = Raw::tls(world.gateway.https(), APP, Some(&["h2"]), &world.authority.roots).await.unwrap();
    let io = TokioIo::new(raw.into_stream());
    let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = http::Request::get(format!("https://{APP}/h2")).header("cookie", &world.cookie_of_load);
    let response = sender.send_request(request.body(Empty::new()).unwrap()).await.unwrap();
    assert_eq!(response.status(), 200);
    response.into_body().collect().await.unwrap();
    (sender, connection)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_under_load_loses_no_request() {
    let mut world = world(|_| {}).await;
    let load = start_load(&world, ALICE).await;
    warm(&load).await;
    world.gateway.terminate();
    let status = world.gateway.ended(Duration::from_secs(15)).await;
    assert!(status.success(), "{status}");
    let ledger = load.finish().await;
    // New connections are refused once the listener closed; a request that was taken is answered.
    assert!(ledger.lost.is_empty(), "lost {}: {:?}", ledger.lost.len(), ledger.lost.first());
    assert!(ledger.wrong().is_empty(), "{:?}", ledger.wrong().first());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sudden_death_under_load_loses_no_session_and_revives_none() {
    let mut world = world(|_| {}).await;
    let mut people = Vec::new();
    for person in [ALICE, BOB, ALICE, BOB, ALICE] {
        people.push(world.signed_in(person).await);
    }
    let load = start_load(&world, BOB).await;
    warm(&load).await;
    let mut revoked: Vec<crate::world::browser::Browser> = Vec::new();
    for kill in 0..KILLS {
        // Signed in and signed out as late as can be: both were acknowledged, so both must outlive the death.
        people.push(world.signed_in(ALICE).await);
        let mut leaving = people.remove(0);
        let stolen = leaving.clone();
        sign_out(&mut leaving).await;
        revoked.push(stolen);
        world.gateway.kill();
        let down = Instant::now();
        world.gateway.start_again().await;
        assert!(down.elapsed() < Duration::from_secs(3), "down for {:?} after kill {kill}", down.elapsed());
        let address = world.gateway.https();
        load.turn_to(address);
        for (session, browser) in people.iter().enumerate() {
            let response = browser.clone().moved_to(address).fetch(&format!("https://{APP}/alive")).await;
            assert_eq!(response.status, 200, "session {session} is lost after kill {kill}");
        }
        for browser in &revoked {
            let response = browser.clone().moved_to(address).fetch(&format!("https://{APP}/dead")).await;
            assert_eq!(response.status, 401, "a signed-out session lives again after kill {kill}");
        }
        people = people.into_iter().map(|browser| browser.moved_to(address)).collect();
    }
    let ledger = load.finish().await;
    assert!(ledger.wrong().is_empty(), "an answer was wrong: {:?}", ledger.wrong().first());
    // Only what was under way at one of the deaths may be lost; the lanes have one burst each in flight.
    assert!(ledger.lost.len() <= KILLS * MOST_UNDER_WAY, "lost {} requests", ledger.lost.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn provider_that_is_gone_leaves_sessions_alone_and_newcomers_get_a_clear_page() {
    let mut world = world(|_| {}).await;
    let load = start_load(&world, ALICE).await;
    warm(&load).await;
    let address = world.provider.address();
    world.provider.stop();
    assert_no_sign_in(&world, "refused").await;
    for (what, answer) in [
        ("silent", None),
        ("failing", Some("HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")),
    ] {
        let sick = Sick::start(address, answer).await;
        assert_no_sign_in(&world, what).await;
        let (asked, since) = (sick.asked.load(Ordering::Relaxed), Instant::now());
        // A crowd of newcomers, for two seconds.
        while since.elapsed() < Duration::from_secs(2) {
            let newcomers = (0..8).map(|_| {
                let (mut browser, dead) = (world.browser(), world.provider.authority.clone());
                tokio::spawn(async move { browser.sign_in_or_stop(&format!("https://{FIN}/"), &dead).await.status })
            });
            for newcomer in newcomers.collect::<Vec<_>>() {
                assert_eq!(newcomer.await.unwrap(), 503, "{what}");
            }
        }
        let asked = sick.asked.load(Ordering::Relaxed) - asked;
        let most = 2 * (since.elapsed().as_secs() + 1);
        assert!(asked <= most, "{what}: asked {asked} times in {:?}", since.elapsed());
        sick.stop().await;
    }
    world.provider.start_again();
    let back = Instant::now();
    eventually("sign-in works again", Duration::from_secs(5), || async {
        let page = world.browser().sign_in_or_stop(&format!("https://{APP}/back"), &world.provider.authority).await;
        page.status == 303
    })
    .await;
    assert_eq!(world.browser().sign_in(&format!("https://{APP}/back"), BOB).await.status(), 200);
    assert!(back.elapsed() < Duration::from_secs(5), "{:?}", back.elapsed());
    answers(&load, 200).await;
    load.finish().await.assert_flawless(200);
}

/// A newcomer gets a page within two seconds that says "later", and no redirect to a dead host. A provider that
/// answered a moment ago is believed to be there for five seconds.
async fn assert_no_sign_in(world: &Running, what: &str) {
    let noticed = Instant::now();
    loop {
        let asked = Instant::now();
        let page = world.browser().sign_in_or_stop(&format!("https://{FIN}/"), &world.provider.authority).await;
        assert!(asked.elapsed() < Duration::from_secs(2), "{what}: the page took {:?}", asked.elapsed());
        if page.status != 503 {
            assert!(noticed.elapsed() < Duration::from_millis(5500), "{what}: {}", page.head);
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        }
        assert!(page.header("retry-after").is_some(), "{what}: {}", page.head);
        assert!(page.text().contains("<h1"), "{what}: {}", page.text());
        return;
    }
}

/// Something that listens where the provider was, and does not do its work.
struct Sick {
    asked: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Sick {
    /// Answers every connection with `answer`, or with nothing at all.
    async fn start(address: std::net::SocketAddr, answer: Option<&'static str>) -> Self {
        let asked = Arc::new(AtomicU64::new(0));
        let (listener, counter) = (TcpListener::bind(address).await.unwrap(), Arc::clone(&asked));
        let task = tokio::spawn(async move {
            let mut held = Vec::new();
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                counter.fetch_add(1, Ordering::Relaxed);
                match answer {
                    Some(answer) => {
                        // The request is small and comes in one piece.
                        let _ = stream.read(&mut [0; 4096]).await;
                        let _ = stream.write_all(answer.as_bytes()).await;
                        let _ = stream.shutdown().await;
                    }
                    None => held.push(stream),
                }
            }
        });
        Self { asked, task }
    }

    async fn stop(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

/// A world with the cookie that its load uses.
struct Running {
    world: World,
    cookie_of_load: String,
}

impl std::ops::Deref for Running {
    type Target = World;

    fn deref(&self) -> &World {
        &self.world
    }
}

impl std::ops::DerefMut for Running {
    fn deref_mut(&mut self) -> &mut World {
        &mut self.world
    }
}

impl Running {
    /// How to reach the gateway, apart from the world, so that it can be changed meanwhile.
    fn inner(&self) -> (std::net::SocketAddr, Arc<rustls::RootCertStore>) {
        (self.gateway.https(), Arc::clone(&self.authority.roots))
    }
}

async fn world(change: impl FnOnce(&mut shapes::Settings)) -> Running {
    let script = |request: &crate::world::upstream::Request| match request.target() {
        "/download" => Answer::Download { bytes: DOWNLOAD, per_second: DOWNLOAD / 2 },
        "/ws" => Answer::WebSocketEcho,
        "/slow" => {
            let bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow".to_vec();
            Answer::Drip { bytes, every: Duration::from_millis(60) }
        }
        path => Answer::text(path),
    };
    let world = World::with(Kind::OidcProvider, script, change).await;
    let cookie_of_load = world.cookie(ALICE).await;
    Running { world, cookie_of_load }
}

async fn start_load(world: &Running, person: &crate::world::Person) -> Load {
    let cookie = if person.oid == ALICE.oid { world.cookie_of_load.clone() } else { world.cookie(person).await };
    let plan = Plan { host: APP, cookie, roots: Arc::clone(&world.authority.roots), rate: RATE, http1: 10, http2: 10 };
    Load::start(world.gateway.https(), plan)
}

async fn warm(load: &Load) {
    eventually("the load runs", Duration::from_secs(10), || async { load.answers() > 50 }).await;
}

/// Waits until the load has something to say about at least `least` requests.
async fn answers(load: &Load, least: usize) {
    eventually("the load goes on", Duration::from_secs(20), || async { load.answers() > least + 20 }).await;
}

async fn answering_generation(
    (to, roots): &(std::net::SocketAddr, Arc<rustls::RootCertStore>),
    cookie: &str,
) -> String {
    let mut raw = Raw::tls(*to, APP, Some(&["http/1.1"]), roots).await.unwrap();
    raw.send(get("/generation", APP, cookie).as_bytes()).await;
    let response = raw.response().await.unwrap();
    response.header(shapes::MARKER_HEADER).unwrap_or_default().to_owned()
}

/// The leaf that a new handshake gets; every handshake must succeed.
async fn served_certificate(world: &World) -> Vec<u8> {
    let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
    let verifier = certs::Recording::new(Arc::clone(&world.authority.roots), Arc::clone(&seen));
    let config = ClientConfig::builder().dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
    Raw::tls_with(world.gateway.https(), APP, config).await.expect("a handshake");
    let leaf = seen.lock().unwrap().clone();
    assert!(!leaf.is_empty());
    leaf
}

async fn sign_out(browser: &mut crate::world::browser::Browser) {
    let page = browser.open(&format!("https://{APP}{}", shapes::SIGN_OUT)).await;
    if let Some(form) = page.forms().into_iter().find(|form| form.post) {
        browser.submit(&form).await;
    }
}

fn get(path: &str, host: &str, cookie: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\n\r\n")
}

/// A tenth of the requests each second that the goals name.
const RATE: u32 = 100;
const RELOADS: u32 = 60;
/// Each so manieth reload has no signal.
const WATCHED: u32 = 10;
const SWITCH: Duration = Duration::from_millis(500);
/// How long the gateway may take to see that a file changed.
const WATCH: Duration = Duration::from_secs(1);
const ROTATIONS: u32 = 60;
const KILLS: usize = 3;
const MOST_UNDER_WAY: usize = 40;
const DOWNLOAD: usize = 2_000_000;
