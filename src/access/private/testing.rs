//! A raw recording upstream and a gateway around [`forward`](super::forward), for tests of exact bytes.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{Method, Request, Response};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use ipnet::IpNet;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::*;
use crate::access::AccessError;
use crate::access::gate::Permit;
use crate::cut::Cut;
use crate::edge::Body;
use crate::facts::{ClientConn, HttpVersion};

pub(super) const COOKIE: &str = "__Host-portcullis";

/// What the upstream does once it has read a whole request.
pub(super) enum Act {
    /// Writes these bytes and reads on.
    Answer(Vec<u8>),
    /// Writes these bytes and closes.
    AnswerAndClose(Vec<u8>),
    /// Closes without a word.
    Close,
    /// Says nothing and keeps the connection.
    Silence,
}

/// An upstream that stores exactly what it was sent, per connection.
pub(super) struct Recorder {
    pub(super) address: SocketAddr,
    seen: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Recorder {
    /// `script` gets the numbers of the connection and of the request on it.
    pub(super) async fn start(script: impl Fn(usize, usize) -> Act + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
        let (record, script) = (Arc::clone(&seen), Arc::new(script));
        tokio::spawn(async move {
            let mut number = 0;
            while let Ok((stream, _)) = listener.accept().await {
                record.lock().unwrap().push(Vec::new());
                tokio::spawn(converse(stream, number, Arc::clone(&record), Arc::clone(&script)));
                number += 1;
            }
        });
        Self { address, seen }
    }

    /// One that always answers `200` with `ok`.
    pub(super) async fn ok() -> Self {
        Self::start(|_, _| Act::Answer(OK.to_vec())).await
    }

    pub(super) fn connections(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    /// Everything connection `number` has received.
    pub(super) fn bytes(&self, number: usize) -> String {
        String::from_utf8_lossy(&self.seen.lock().unwrap()[number]).into_owned()
    }

    /// Number of requests received on all connections.
    pub(super) fn requests(&self) -> usize {
        self.seen
            .lock()
            .unwrap()
            .iter()
            .map(|bytes| String::from_utf8_lossy(bytes).matches(" HTTP/1.1\r\n").count())
            .sum()
    }
}

pub(super) const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

async fn converse(
    mut stream: TcpStream,
    number: usize,
    record: Arc<Mutex<Vec<Vec<u8>>>>,
    script: Arc<impl Fn(usize, usize) -> Act>,
) {
    let (mut done, mut count) = (0, 0);
    loop {
        let whole = record.lock().unwrap()[number].get(done..).and_then(request_end);
        if let Some(length) = whole {
            done += length;
            match script(number, count) {
                Act::Answer(bytes) => stream.write_all(&bytes).await.unwrap_or_default(),
                Act::AnswerAndClose(bytes) => return stream.write_all(&bytes).await.unwrap_or_default(),
                Act::Close => return,
                Act::Silence => {}
            }
            count += 1;
            continue;
        }
        let mut buffer = [0; 4096];
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(length) => record.lock().unwrap()[number].extend_from_slice(&buffer[..length]),
        }
    }
}

/// The length of the first whole HTTP/1.1 message, if there is one.
pub(super) fn request_end(bytes: &[u8]) -> Option<usize> {
    let head = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&bytes[..head]).to_ascii_lowercase();
    if text.contains("transfer-encoding: chunked") {
        let end = bytes[head..].windows(5).position(|window| window == b"0\r\n\r\n")?;
        return Some(head + end + 5);
    }
    let length = text.split("content-length: ").nth(1).and_then(|rest| rest.split('\r').next()?.parse().ok());
    let whole = head + length.unwrap_or(0usize);
    (bytes.len() >= whole).then_some(whole)
}

/// An app on `wiki.test` with one endpoint per address.
pub(super) fn app_config(endpoints: &[SocketAddr]) -> AppConfig {
    AppConfig {
        name: "wiki".into(),
        host: "wiki.test".into(),
        path: "/".into(),
        strip_path: false,
        preserve_host: true,
        upstream: UpstreamConfig {
            endpoints: endpoints.iter().map(ToString::to_string).collect(),
            scheme: Scheme::Http,
            protocol: Protocol::Http1,
            tls: UpstreamTls::default(),
            balance: Balance::RoundRobin,
            health: None,
            eject_after: 3,
            eject_for: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(5),
            response_timeout: Duration::from_secs(5),
            body_idle: Duration::from_secs(5),
            upload_idle: Duration::from_secs(5),
            max_connections: 8,
            max_idle: 8,
            idle_timeout: Duration::from_secs(60),
        },
        request_headers: Vec::new(),
        response_headers: Vec::new(),
        audience: "wiki".into(),
        methods: vec![Method::GET, Method::POST],
        cors_origins: Vec::new(),
        max_body: None,
        websocket: true,
        pass_authorization: false,
    }
}

/// A gateway that forwards everything to the first app, in clear, to `address`.
pub(super) struct Gateway {
    pub(super) address: SocketAddr,
    pub(super) cut: Cut,
}

impl Gateway {
    pub(super) async fn start(config: AppConfig) -> Self {
        Self::with(config, Vec::new(), None).await
    }

    pub(super) async fn with(config: AppConfig, trusted: Vec<IpNet>, assertion: Option<&'static str>) -> Self {
        Self::on(Routes::build(vec![config]).unwrap(), trusted, assertion).await
    }

    pub(super) async fn on(routes: Routes, trusted: Vec<IpNet>, assertion: Option<&'static str>) -> Self {
        let app = Arc::clone(&routes.apps()[0]);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let cut = Cut::new();
        let signal = cut.clone();
        tokio::spawn(async move {
            let upstreams = Upstreams::new();
            let rules = Arc::new(HeaderRules::new(&IdentityHeaders::default(), COOKIE));
            let trusted = Arc::new(trusted);
            let assertion = assertion.map(http::HeaderValue::from_static);
            while let Ok((stream, peer)) = listener.accept().await {
                let conn = ClientConn { peer, socket_peer: peer, local: address, sni: None, http: HttpVersion::Http1 };
                let client = ClientHeaders::new(&conn);
                let (app, upstreams, rules, cut) = (app.clone(), upstreams.clone(), rules.clone(), signal.clone());
                let (trusted, assertion) = (Arc::clone(&trusted), assertion.clone());
                let service = hyper::service::service_fn(move |request: Request<Incoming>| {
                    let (app, upstreams, rules, cut) = (app.clone(), upstreams.clone(), rules.clone(), cut.clone());
                    let (client, trusted, assertion) = (client.clone(), Arc::clone(&trusted), assertion.clone());
                    async move {
                        let ctx = ForwardContext {
                            upstreams: &upstreams,
                            client: &client,
                            trusted: &trusted,
                            rules: &rules,
                            assertion: assertion.as_ref(),
                            opening: None,
                        };
                        let outcome = forward(Permit::for_tests(cut), &app, request, &ctx).await;
                        Ok::<_, std::convert::Infallible>(outcome.unwrap_or_else(|error| failure(&error)))
                    }
                });
                tokio::spawn(async move {
                    // The first bytes tell HTTP/2 apart; only tests do that.
                    let mut preface = [0; 3];
                    let http2 = stream.peek(&mut preface).await.is_ok() && &preface == b"PRI";
                    if http2 {
                        let _ = hyper::server::conn::http2::Builder::new(hyper_util::rt::TokioExecutor::new())
                            .serve_connection(TokioIo::new(stream), service)
                            .await;
                    } else {
                        let _ = hyper::server::conn::http1::Builder::new()
                            .serve_connection(TokioIo::new(stream), service)
                            .with_upgrades()
                            .await;
                    }
                });
            }
        });
        Self { address, cut }
    }

    pub(super) async fn connect(&self) -> Client {
        Client { stream: TcpStream::connect(self.address).await.unwrap(), rest: Vec::new() }
    }

    /// One request on a connection of its own; the whole answer.
    pub(super) async fn ask(&self, request: &str) -> String {
        let mut client = self.connect().await;
        client.send(request).await;
        client.answer().await
    }
}

fn failure(error: &AccessError) -> Response<Body> {
    let mut response = Response::new(Body::full(format!("{error:?}")));
    *response.status_mut() = match error {
        AccessError::UpstreamTimeout => http::StatusCode::GATEWAY_TIMEOUT,
        AccessError::UpstreamBusy => http::StatusCode::SERVICE_UNAVAILABLE,
        AccessError::UpstreamUnreachable | AccessError::UpstreamBroken => http::StatusCode::BAD_GATEWAY,
        AccessError::BodyTooLarge => http::StatusCode::PAYLOAD_TOO_LARGE,
        AccessError::Expectation => http::StatusCode::EXPECTATION_FAILED,
        AccessError::WebSocketVersion => http::StatusCode::UPGRADE_REQUIRED,
        AccessError::WebSocketOrigin | AccessError::Cut(_) => http::StatusCode::FORBIDDEN,
        AccessError::BodyStalled => http::StatusCode::REQUEST_TIMEOUT,
        AccessError::Headers(_) | AccessError::NotRelayed | AccessError::BodyBroken => http::StatusCode::BAD_REQUEST,
    };
    response
}

/// A client that writes and reads raw bytes.
pub(super) struct Client {
    pub(super) stream: TcpStream,
    rest: Vec<u8>,
}

impl Client {
    pub(super) async fn send(&mut self, bytes: &str) {
        self.stream.write_all(bytes.as_bytes()).await.unwrap();
    }

    /// The next whole answer; what there was, if the connection ended before.
    pub(super) async fn answer(&mut self) -> String {
        loop {
            if let Some(end) = request_end(&self.rest) {
                return String::from_utf8_lossy(&self.rest.drain(..end).collect::<Vec<_>>()).into_owned();
            }
            if read_some(&mut self.stream, &mut self.rest).await == 0 {
                return String::from_utf8_lossy(&std::mem::take(&mut self.rest)).into_owned();
            }
        }
    }

    /// Reads until `needle` has been seen; everything so far.
    pub(super) async fn until(&mut self, needle: &str) -> String {
        while !String::from_utf8_lossy(&self.rest).contains(needle) {
            assert_ne!(
                read_some(&mut self.stream, &mut self.rest).await,
                0,
                "ended before {needle:?}: {:?}",
                self.rest
            );
        }
        String::from_utf8_lossy(&self.rest).into_owned()
    }

    /// Reads to the end of the connection.
    pub(super) async fn rest_of_it(&mut self) -> String {
        while read_some(&mut self.stream, &mut self.rest).await > 0 {}
        String::from_utf8_lossy(&std::mem::take(&mut self.rest)).into_owned()
    }
}

async fn read_some(stream: &mut (impl AsyncRead + Unpin), into: &mut Vec<u8>) -> usize {
    let read = timeout(Duration::from_secs(20), stream.read_buf(into)).await.expect("nothing came in time");
    read.unwrap_or(0)
}

/// Waits for a condition, yielding to the other tasks.
pub(super) async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let waited = timeout(Duration::from_secs(10), async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    waited.await.unwrap_or_else(|_| panic!("did not happen: {what}"));
}
