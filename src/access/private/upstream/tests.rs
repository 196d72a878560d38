//! Tests of upstreams: pool, HTTP/2, TLS, health, ejection.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, Version};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::PrivateKeyDer;
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::access::private::config::{HealthCheck, Protocol};
use crate::access::private::testing::*;
use crate::access::private::{AppConfig, Routes};

const GET: &str = "GET / HTTP/1.1\r\nHost: wiki.test\r\n\r\n";

/// What an HTTP/2 upstream saw: head, body, trailers.
type Seen = Arc<Mutex<Vec<(http::request::Parts, Bytes, Option<HeaderMap>)>>>;

/// An HTTP/2 upstream by prior knowledge that answers every request with `pong` and trailers.
async fn http2_upstream() -> (SocketAddr, Seen, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (seen, connections) = (Seen::default(), Arc::new(AtomicUsize::new(0)));
    let (record, count) = (Arc::clone(&seen), Arc::clone(&connections));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            let record = Arc::clone(&record);
            let service = hyper::service::service_fn(move |request: Request<Incoming>| {
                let record = Arc::clone(&record);
                async move {
                    let (head, body) = request.into_parts();
                    let body = body.collect().await?;
                    let trailers = body.trailers().cloned();
                    record.lock().unwrap().push((head, body.to_bytes(), trailers));
                    let mut trailers = HeaderMap::new();
                    trailers.insert("grpc-status", HeaderValue::from_static("0"));
                    trailers.insert("set-cookie", HeaderValue::from_static("__Host-portcullis=evil"));
                    let body =
                        Full::new(Bytes::from_static(b"pong")).with_trailers(std::future::ready(Some(Ok(trailers))));
                    Ok::<_, hyper::Error>(Response::new(body))
                }
            });
            tokio::spawn(
                hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(stream), service),
            );
        }
    });
    (address, seen, connections)
}

fn http2_config(address: SocketAddr) -> AppConfig {
    let mut config = app_config(&[address]);
    config.upstream.protocol = Protocol::Http2;
    config
}

#[tokio::test]
async fn grpc_runs_end_to_end_with_its_trailers_and_no_others() {
    let (address, seen, connections) = http2_upstream().await;
    let gateway = Gateway::start(http2_config(address)).await;
    let stream = TcpStream::connect(gateway.address).await.unwrap();
    let (send, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let mut send = send.clone();
        calls.spawn(async move {
            let mut trailers = HeaderMap::new();
            trailers.insert("x-end", HeaderValue::from_static("1"));
            let body = Full::new(Bytes::from_static(b"ping")).with_trailers(std::future::ready(Some(Ok(trailers))));
            let request = Request::post("https://wiki.test/svc/Method?q=1")
                .header("te", "trailers")
                .header("content-type", "application/grpc")
                .header("x-forwarded-for", "127.0.0.9")
                .body(body)
                .unwrap();
            let response = send.send_request(request).await.unwrap();
            assert_eq!(response.status(), 200);
            let body = response.into_body().collect().await.unwrap();
            let trailers = body.trailers().cloned().unwrap();
            assert_eq!((trailers.len(), trailers["grpc-status"].as_bytes()), (1, &b"0"[..]));
            assert_eq!(body.to_bytes(), "pong");
        });
    }
    while let Some(outcome) = calls.join_next().await {
        outcome.unwrap();
    }
    assert_eq!(connections.load(Ordering::SeqCst), 1, "one connection, made once, shared");
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 20);
    for (head, body, trailers) in seen.iter() {
        assert_eq!(head.version, Version::HTTP_2);
        assert_eq!(head.uri, "http://wiki.test/svc/Method?q=1");
        assert_eq!(head.headers["te"], "trailers");
        assert_eq!(head.headers["x-forwarded-for"], "127.0.0.1");
        assert!(!head.headers.contains_key("host"));
        assert_eq!((body, trailers.as_ref().unwrap()["x-end"].as_bytes()), (&Bytes::from_static(b"ping"), &b"1"[..]));
    }
}

#[tokio::test]
async fn an_http1_client_reaches_an_http2_upstream() {
    let (address, seen, _) = http2_upstream().await;
    let gateway = Gateway::start(http2_config(address)).await;
    let mut client = gateway.connect().await;
    for _ in 0..2 {
        client
            .send("POST /a HTTP/1.1\r\nHost: wiki.test\r\nTransfer-Encoding: chunked\r\nTE: trailers\r\n\r\n4\r\nping\r\n0\r\n\r\n")
            .await;
        assert!(client.answer().await.contains("pong"));
    }
    let seen = seen.lock().unwrap();
    let (head, body, _) = &seen[1];
    assert_eq!(body, "ping");
    assert!(!head.headers.contains_key("transfer-encoding") && !head.headers.contains_key("te"));
}

#[tokio::test]
async fn a_cut_and_a_deadline_end_a_waiting_http2_stream() {
    // Reads the preface, answers nothing.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            held.push(stream);
        }
    });
    let mut config = http2_config(address);
    config.upstream.response_timeout = Duration::from_millis(200);
    let answer = Gateway::start(config).await.ask(GET).await;
    assert!(answer.starts_with("HTTP/1.1 504"), "{answer}");
    let gateway = Gateway::start(http2_config(address)).await;
    let mut client = gateway.connect().await;
    client.send(GET).await;
    gateway.cut.raise(crate::cut::CutReason::Revoked);
    let answer = tokio::time::timeout(Duration::from_secs(1), client.answer()).await.expect("within a second");
    assert!(answer.ends_with("Cut(Revoked)"), "{answer}");
}

/// A certificate authority and a folder for its files.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    folder: tempfile::TempDir,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
        Self { issuer: Issuer::new(params, key), folder }
    }

    fn file(&self) -> std::path::PathBuf {
        self.folder.path().join("ca.pem")
    }

    fn server(&self, name: &str, expired: bool, alpn: &[&[u8]]) -> Arc<rustls::ServerConfig> {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        if expired {
            (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
        }
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        Arc::new(config)
    }
}

/// A TLS upstream that counts the requests that get through.
async fn tls_upstream(config: Arc<rustls::ServerConfig>) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let requests = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&requests);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, count) = (tokio_rustls::TlsAcceptor::from(Arc::clone(&config)), Arc::clone(&count));
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                let service = hyper::service::service_fn(move |_: Request<Incoming>| {
                    count.fetch_add(1, Ordering::SeqCst);
                    let spoken = if http2 { "spoke h2" } else { "spoke h1" };
                    async move { Ok::<_, hyper::Error>(Response::new(Full::new(Bytes::from_static(spoken.as_bytes())))) }
                });
                if http2 {
                    let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                    let _ = builder.serve_connection(TokioIo::new(stream), service).await;
                } else {
                    let builder = hyper::server::conn::http1::Builder::new();
                    let _ = builder.serve_connection(TokioIo::new(stream), service).await;
                }
            });
        }
    });
    (port, requests)
}

fn tls_config(port: u16, trusted: &Authority, protocol: Protocol) -> AppConfig {
    let mut config = app_config(&[]);
    config.upstream.endpoints = vec![format!("up.localhost:{port}")];
    config.upstream.scheme = Scheme::Https;
    config.upstream.protocol = protocol;
    config.upstream.tls.extra_ca = Some(trusted.file());
    config
}

#[tokio::test]
async fn a_verified_tls_upstream_is_reached_in_the_version_it_offers() {
    let authority = Authority::new();
    for (protocol, alpn, expected) in [
        (Protocol::Http1, &[&b"h2"[..], b"http/1.1"][..], "spoke h1"),
        (Protocol::Http2, &[b"h2", b"http/1.1"], "spoke h2"),
        (Protocol::Auto, &[b"h2", b"http/1.1"], "spoke h2"),
        (Protocol::Auto, &[b"http/1.1"], "spoke h1"),
        (Protocol::Auto, &[], "spoke h1"),
    ] {
        let (port, _) = tls_upstream(authority.server("up.localhost", false, alpn)).await;
        let gateway = Gateway::start(tls_config(port, &authority, protocol)).await;
        for _ in 0..2 {
            let answer = gateway.ask(GET).await;
            assert!(answer.ends_with(expected), "{protocol:?} {alpn:?}: {answer}");
        }
    }
    let (port, _) = tls_upstream(authority.server("pinned.test", false, &[])).await;
    let mut config = tls_config(port, &authority, Protocol::Http1);
    config.upstream.tls.server_name = Some("pinned.test".into());
    assert!(Gateway::start(config).await.ask(GET).await.ends_with("spoke h1"));
}

#[tokio::test]
async fn a_certificate_that_does_not_verify_ends_it_before_anything_is_sent() {
    let (authority, other) = (Authority::new(), Authority::new());
    for (name, server, protocol) in [
        ("wrong name", authority.server("evil.localhost", false, &[]), Protocol::Http1),
        ("unknown authority", other.server("up.localhost", false, &[]), Protocol::Http1),
        ("expired", authority.server("up.localhost", true, &[]), Protocol::Http1),
        ("no h2", authority.server("up.localhost", false, &[b"http/1.1"]), Protocol::Http2),
    ] {
        let (port, requests) = tls_upstream(server).await;
        let answer = Gateway::start(tls_config(port, &authority, protocol)).await.ask(GET).await;
        assert!(answer.ends_with("UpstreamUnreachable"), "{name}: {answer}");
        assert_eq!(requests.load(Ordering::SeqCst), 0, "{name}");
    }
}

#[tokio::test]
async fn an_instance_is_out_while_its_health_check_fails() {
    let sick = Arc::new(AtomicBool::new(true));
    let flag = Arc::clone(&sick);
    // The same address serves checks and requests; checks are told apart by being on their own connections.
    let moody = Recorder::start(move |_, _| {
        Act::Answer(if flag.load(Ordering::SeqCst) {
            b"HTTP/1.1 500 Sick\r\nContent-Length: 4\r\n\r\nsick".to_vec()
        } else {
            OK.to_vec()
        })
    })
    .await;
    let well = Recorder::ok().await;
    let mut config = app_config(&[moody.address, well.address]);
    config.upstream.health = Some(HealthCheck {
        path: "/healthz".into(),
        interval: Duration::from_millis(20),
        timeout: Duration::from_secs(2),
        healthy_after: 2,
        unhealthy_after: 2,
    });
    let routes = Routes::build(vec![config]).unwrap();
    let upstream = Arc::clone(&routes.apps()[0].upstream);
    let checks = routes.check_health();
    eventually("it is out", || !upstream.endpoints()[0].is_healthy()).await;
    assert!(moody.bytes(0).starts_with("GET /healthz HTTP/1.1\r\nhost: 127.0.0.1:"), "{}", moody.bytes(0));
    let gateway = Gateway::on(routes, Vec::new(), None).await;
    for _ in 0..6 {
        assert!(gateway.ask(GET).await.ends_with("ok"));
    }
    sick.store(false, Ordering::SeqCst);
    eventually("it is back", || upstream.endpoints()[0].is_healthy()).await;
    drop(checks);
}
