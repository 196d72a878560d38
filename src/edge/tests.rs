//! The edge from outside: real sockets, real TLS, a handler that records what reaches it.

mod deadlines;
mod framing;
mod http2;
mod lifecycle;
mod switching;
mod tls;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::*;
use crate::cut::Cut;
use crate::facts::SystemClock;
use crate::telemetry::Metrics;

/// What reached the handler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) method: Method,
    pub(super) target: String,
    /// `None` when the body broke off.
    pub(super) body: Option<Vec<u8>>,
}

/// Records every request with its whole body, then answers 200 with the target as body, unless the path asks for
/// something else.
#[derive(Default)]
pub(super) struct Recorder {
    pub(super) seen: Mutex<Vec<Seen>>,
    pub(super) opened: Mutex<Vec<ClientConn>>,
    /// What `/held` waits for.
    pub(super) release: Notify,
    /// What `/held` announces.
    pub(super) arrived: Notify,
}

impl Handler for Recorder {
    type Connection = ();

    fn open(&self, client: ClientConn) {
        self.opened.lock().unwrap().push(client);
    }

    async fn serve(&self, _connection: &Arc<()>, mut request: Request<Incoming>) -> Response<Body> {
        let (method, target) = (request.method().clone(), request.uri().to_string());
        let path = request.uri().path().to_owned();
        assert_ne!(path, "/panic", "asked for");
        let upgrade = hyper::upgrade::on(&mut request);
        let seen = Seen { method, target: target.clone(), body: None };
        let index = {
            let mut all = self.seen.lock().unwrap();
            all.push(seen);
            all.len() - 1
        };
        if path == "/unread" {
            return Response::new(Body::full("unread"));
        }
        let collected = request.into_body().collect().await.ok().map(|body| body.to_bytes().to_vec());
        let broken = collected.is_none();
        self.seen.lock().unwrap()[index].body = collected;
        if broken {
            return status(StatusCode::BAD_GATEWAY);
        }
        if path.starts_with("/held") {
            self.arrived.notify_one();
            self.release.notified().await;
        }
        match path.as_str() {
            "/held-switch" | "/switch" => {
                tokio::spawn(async move {
                    if let Ok(upgraded) = upgrade.await {
                        echo(upgraded).await;
                    }
                });
                let mut response = status(StatusCode::SWITCHING_PROTOCOLS);
                response.headers_mut().insert("upgrade", "websocket".parse().unwrap());
                response.headers_mut().insert("connection", "upgrade".parse().unwrap());
                response
            }
            "/held-refuse" => status(StatusCode::UPGRADE_REQUIRED),
            "/large" => Response::new(Body::full(vec![b'x'; 32 << 20])),
            _ => Response::new(Body::full(target)),
        }
    }
}

async fn echo(upgraded: hyper::upgrade::Upgraded) {
    let client = hyper_util::rt::TokioIo::new(upgraded);
    let (near, mut far) = tokio::io::duplex(1024);
    let echoing = async move {
        let mut buffer = [0; 256];
        while let Ok(length @ 1..) = far.read(&mut buffer).await {
            if far.write_all(&buffer[..length]).await.is_err() {
                break;
            }
        }
    };
    let ends = tunnel::TunnelEnds { idle: Duration::from_secs(60), closing: Cut::new() };
    let running = tunnel::run(client, near, Cut::new(), &ends, false);
    tokio::join!(running, echoing);
}

pub(super) fn status(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = status;
    response
}

/// A running edge with one certificate for `app.test` and `*.wild.test`.
pub(super) struct Stand {
    pub(super) https: SocketAddr,
    pub(super) redirect: SocketAddr,
    pub(super) recorder: Arc<Recorder>,
    pub(super) shutdown: Shutdown,
    pub(super) certificates: Arc<Certificates>,
    pub(super) refusals: Vec<Arc<RefusalCounts>>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) running: tokio::task::JoinHandle<std::io::Result<()>>,
    pub(super) folder: tempfile::TempDir,
    pub(super) root: CertificateDer<'static>,
}

impl Drop for Stand {
    fn drop(&mut self) {
        self.shutdown.begin();
    }
}

impl Stand {
    pub(super) async fn start() -> Self {
        Self::with(|_config| {}).await
    }

    pub(super) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = write_certificate(folder.path(), "main", &["app.test", "*.wild.test"]);
        let mut config = Config {
            https: vec!["127.0.0.1:0".parse().unwrap()],
            redirect: vec!["127.0.0.1:0".parse().unwrap()],
            public_port: None,
            workers: 2,
            proxy_protocol_from: vec![],
            tls: TlsConfig {
                certificates: vec![files(folder.path(), "main")],
                min_version: MinTls::Tls12,
                ticket_rotation: Duration::from_secs(3600),
            },
            limits: Limits::default(),
            drain: Duration::from_secs(5),
        };
        change(&mut config);
        let certificates = Certificates::load(&config.tls.certificates).unwrap();
        let metrics = Metrics::new(config.workers);
        let edge = Edge::bind(config, Arc::clone(&certificates), &metrics, SystemClock::shared()).unwrap();
        let (https, redirect) = (edge.addresses().https[0], edge.addresses().redirect[0]);
        let refusals = edge.refusals();
        let (recorder, shutdown) = (Arc::new(Recorder::default()), Shutdown::new());
        let handler = Arc::clone(&recorder);
        let running = tokio::spawn(edge.run(move |_worker| Arc::clone(&handler), shutdown.clone()));
        Self { https, redirect, recorder, shutdown, certificates, refusals, metrics, running, folder, root }
    }

    pub(super) async fn connect(&self) -> TlsStream<TcpStream> {
        self.connect_as("app.test", &[b"http/1.1"]).await
    }

    pub(super) async fn connect_as(&self, name: &'static str, alpn: &[&[u8]]) -> TlsStream<TcpStream> {
        let tcp = TcpStream::connect(self.https).await.unwrap();
        tcp.set_nodelay(true).unwrap();
        let connector = TlsConnector::from(Arc::new(client_config(&self.root, alpn)));
        connector.connect(ServerName::try_from(name).unwrap(), tcp).await.unwrap()
    }

    /// Sends bytes on a new connection and reads until the edge closes it.
    pub(super) async fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect().await;
        stream.write_all(bytes).await.unwrap();
        read_all(&mut stream).await
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.recorder.seen.lock().unwrap().clone()
    }

    pub(super) fn refused(&self, refusal: Refusal) -> u64 {
        self.refusals.iter().map(|worker| worker.of(refusal)).sum()
    }

    pub(super) fn open_connections(&self) -> u64 {
        (0..2).filter_map(|worker| self.metrics.worker(worker)).map(|worker| worker.connections_open.value()).sum()
    }
}

pub(super) fn files(folder: &Path, name: &str) -> CertificateFiles {
    CertificateFiles { certificate: folder.join(format!("{name}.pem")), key: folder.join(format!("{name}.key")) }
}

pub(super) fn write_certificate(folder: &Path, name: &str, hosts: &[&str]) -> CertificateDer<'static> {
    let hosts: Vec<String> = hosts.iter().map(|&host| host.to_owned()).collect();
    let made = rcgen::generate_simple_self_signed(hosts).unwrap();
    let files = files(folder, name);
    std::fs::write(files.certificate, made.cert.pem()).unwrap();
    std::fs::write(files.key, made.signing_key.serialize_pem()).unwrap();
    made.cert.der().clone()
}

pub(super) fn client_config(root: &CertificateDer<'static>, alpn: &[&[u8]]) -> rustls::ClientConfig {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(root.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    config
}

/// Reads to the end, whichever way the connection ends, but not for ever.
pub(super) async fn read_all(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> String {
    let mut bytes = Vec::new();
    let reading = stream.read_to_end(&mut bytes);
    let _ = tokio::time::timeout(Duration::from_secs(10), reading).await.expect("the edge did not close");
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Reads until `end` shows up.
pub(super) async fn read_until(stream: &mut (impl tokio::io::AsyncRead + Unpin), end: &str) -> String {
    let mut text = String::new();
    let reading = async {
        let mut buffer = [0; 4096];
        while !text.contains(end) {
            let length = stream.read(&mut buffer).await.unwrap();
            assert_ne!(length, 0, "closed before {end:?}: {text:?}");
            text.push_str(&String::from_utf8_lossy(&buffer[..length]));
        }
    };
    tokio::time::timeout(Duration::from_secs(10), reading).await.expect("no answer");
    text
}

/// The status codes of the answers in `text`, in order.
pub(super) fn statuses(text: &str) -> Vec<u16> {
    text.match_indices("HTTP/1.")
        .map(|(at, _)| text[at + 9..at + 12].parse().unwrap())
        .filter(|&status| status != 100)
        .collect()
}

/// Waits for a condition, with a deadline.
pub(super) async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), waiting).await.unwrap_or_else(|_| panic!("never happened: {what}"));
}
