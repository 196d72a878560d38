//! How long from a change of somebody's account until everything they have open is ended?
//!
//! The whole gateway in this process with two workers, an HTTP/2 app that holds every answer open, and browsers with a
//! hundred streams per connection over TLS. The account is disabled through the directory, as a sync job does it; the
//! clock runs from before that change is written until the last browser sees its last stream end. One shot per number
//! of streams. `PORTCULLIS_BENCH_STREAMS` sets the largest number; file descriptors are needed for connections only, about
//! three per hundred streams.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a bench that cannot be set up has nothing to measure")]
#![expect(clippy::print_stdout, reason = "a bench says what it measured")]
#![expect(clippy::disallowed_methods, reason = "a bench reads the machine's clock")]

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use portcullis::app::App;
use portcullis::config::Config;
use portcullis::directory::{Directory, Update};
use portcullis::edge::Shutdown;
use portcullis::entra::graph::{User, UserChange};
use portcullis::facts::{Groups, Guid, ObjectId, Subject, SystemClock, TenantId, UserKey};
use portcullis::session::NewSession;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// As the program itself.
#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const TENANT: TenantId = TenantId(Guid::from_u128(0x3f1c_0b9e_6a52_4d0e_9b7a_5d2f_8c4e_1a77));
const HOST: &str = "app.test";
const STREAMS_PER_CONNECTION: usize = 100;
/// Instances of the app: a worker holds a thousand requests open at each over HTTP/2, not more.
const INSTANCES: usize = 12;

/// A body that says one thing and then nothing more, and does not end.
struct Held(Option<Bytes>);

impl http_body::Body for Held {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.0.take().map_or(Poll::Pending, |bytes| Poll::Ready(Some(Ok(Frame::data(bytes)))))
    }
}

async fn hold_everything(listener: TcpListener) {
    while let Ok((stream, _)) = listener.accept().await {
        let answer = |_: Request<Incoming>| async {
            let body = Held(Some(Bytes::from_static(b"data: 1\n\n")));
            Response::builder().header("content-type", "text/event-stream").body(body)
        };
        let service = hyper::service::service_fn(answer);
        tokio::spawn(async move {
            let mut http2 = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            http2.max_concurrent_streams(1_000).serve_connection(TokioIo::new(stream), service).await
        });
    }
}

/// Certificate and key as files, and who trusts them.
fn certificate(dir: &Path) -> rustls::ClientConfig {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let authority = params.self_signed(&key).unwrap();
    let issuer = Issuer::new(params, key);
    let leaf_key = KeyPair::generate().unwrap();
    let names = vec![HOST.to_owned(), "auth.test".to_owned()];
    let leaf = CertificateParams::new(names).unwrap().signed_by(&leaf_key, &issuer).unwrap();
    std::fs::write(dir.join("gateway.pem"), leaf.pem()).unwrap();
    std::fs::write(dir.join("gateway.key"), leaf_key.serialize_pem()).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(authority.der().clone()).unwrap();
    let mut config = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    config
}

/// Nobody listens at the provider: its jobs fail in the background, and what happens to people comes from this bench.
fn configuration(dir: &Path, instances: &[SocketAddr]) -> Config {
    let instances: Vec<String> = instances.iter().map(|at| format!("http://{at}")).collect();
    let text = format!(
        r#"state_dir = "state"
rules = "rules.toml"
[listen]
https = ["127.0.0.1:0"]
redirect = []
public_port = 443
workers = 2
announce = "0s"
drain = "1s"
[[tls.certificate]]
certificate = "gateway.pem"
key = "gateway.key"
[sign_in]
host = "auth.test"
[entra]
authority = "http://127.0.0.1:9/"
tenants = ["{tenant}"]
client_id = "8d2b6f10-4c9e-4f3a-a6b1-0e7c5d9f2b34"
client_secret = "file:secret"
[directory]
graph = "http://127.0.0.1:9/"
first = "1d"
people_every = "1d"
risk_every = "1d"
risk_full_every = "1d"
[admin]
listen = "127.0.0.1:0"
[decision_log]
path = "decisions.log"
[[app]]
name = "app"
host = "{HOST}"
upstream = {instances:?}
[app.connection]
protocol = "http2"
"#,
        tenant = TENANT.0
    );
    std::fs::write(dir.join("portcullis.toml"), text).unwrap();
    std::fs::write(dir.join("secret"), "a-client-secret").unwrap();
    let rules = "[[rule]]\nname = \"everybody\"\nwho = \"signed_in\"\nverdict = \"allow\"\n";
    std::fs::write(dir.join("rules.toml"), rules).unwrap();
    Config::load(&dir.join("portcullis.toml")).unwrap()
}

fn person(number: u128) -> NewSession {
    let subject = Subject {
        user: UserKey { tenant: TENANT, object: ObjectId(Guid::from_u128(number)) },
        name: "Somebody".into(),
        email: "somebody@contoso.example".into(),
        groups: Groups::known(Vec::new()),
    };
    let authenticated = SystemClock::shared().now();
    NewSession { subject, sid: None, login_hint: None, authenticated, refresh_token: None, proofs: Vec::new() }
}

async fn connect(at: SocketAddr, tls: &tokio_rustls::TlsConnector) -> SendRequest<Empty<Bytes>> {
    let tcp = TcpStream::connect(at).await.unwrap();
    tcp.set_nodelay(true).unwrap();
    let stream = tls.connect(HOST.try_into().unwrap(), tcp).await.unwrap();
    let (send, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    send
}

/// Opens a stream and waits for its first bytes.
async fn open(mut send: SendRequest<Empty<Bytes>>, cookie: Arc<str>) -> Incoming {
    let request = Request::get(format!("https://{HOST}/events")).header("cookie", &*cookie);
    let response = send.send_request(request.body(Empty::new()).unwrap()).await.unwrap();
    assert_eq!(response.status(), 200);
    let mut body = response.into_body();
    body.frame().await.unwrap().unwrap();
    body
}

/// What one number of streams came to.
async fn cut(number: u128, streams: usize, at: SocketAddr, app: (&Directory, &str), tls: &tokio_rustls::TlsConnector) {
    let (directory, cookie) = app;
    let cookie: Arc<str> = format!("__Host-portcullis={cookie}").into();
    let began = Instant::now();
    let mut ends = JoinSet::new();
    let mut left = streams;
    while left > 0 {
        let send = connect(at, tls).await;
        let now = left.min(STREAMS_PER_CONNECTION);
        let mut opening = JoinSet::new();
        (0..now).for_each(|_| drop(opening.spawn(open(send.clone(), Arc::clone(&cookie)))));
        for mut body in opening.join_all().await {
            ends.spawn(async move {
                match body.frame().await {
                    Some(Ok(_)) => panic!("the app says only one thing"),
                    Some(Err(_)) | None => Instant::now(),
                }
            });
        }
        left -= now;
    }
    let opened = began.elapsed();
    let object = ObjectId(Guid::from_u128(number));
    let user = User {
        id: object,
        name: None,
        upn: None,
        mail: None,
        enabled: Some(false),
        guest: None,
        sign_in_sessions_valid_from: None,
    };
    let update = Update { users: vec![UserChange::Seen(user)], ..Update::default() };
    let changed = Instant::now();
    directory.apply(TENANT, update).await.unwrap();
    let written = changed.elapsed();
    let mut ended: Vec<Duration> =
        ends.join_all().await.into_iter().map(|at| at.saturating_duration_since(changed)).collect();
    ended.sort();
    println!(
        "{streams} streams (opened in {opened:.2?}): change written and announced after {written:.2?}, first stream ended \
         after {:.2?}, half {:.2?}, last {:.2?}",
        ended.first().unwrap(),
        ended.get(streams / 2).unwrap(),
        ended.last().unwrap()
    );
}

fn main() {
    rustls::crypto::aws_lc_rs::default_provider().install_default().unwrap();
    let most = std::env::var("PORTCULLIS_BENCH_STREAMS").ok().map_or(10_000, |text| text.parse().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let tls = tokio_rustls::TlsConnector::from(Arc::new(certificate(dir.path())));
    let runtime = || tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    // Apart, as in life: what serves must not wait for what measures.
    let (control, outside) = (runtime(), runtime());
    let bind = |_| outside.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let instances: Vec<TcpListener> = (0..INSTANCES).map(bind).collect();
    let addresses: Vec<SocketAddr> = instances.iter().map(|listener| listener.local_addr().unwrap()).collect();
    let config = configuration(dir.path(), &addresses);
    for instance in instances {
        outside.spawn(hold_everything(instance));
    }
    let app = control.block_on(App::build(config, SystemClock::shared())).unwrap();
    let at = *app.addresses().https.first().unwrap();
    let (directory, sessions) = (app.directory().clone(), app.sessions().clone());
    let shutdown = Shutdown::new();
    let running = control.spawn(app.run(shutdown.clone()));
    for (number, streams) in (1..).zip([1, 100, most]) {
        let (_, cookie) = control.block_on(sessions.create(person(number), HOST)).unwrap();
        outside.block_on(cut(number, streams, at, (&directory, cookie.expose()), &tls));
    }
    shutdown.begin();
    control.block_on(running).unwrap().unwrap();
}
