//! The tools of the tests, tested without the gateway: a stand-in that ends TLS and passes bytes on takes its place.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use url::Url;

use crate::world::browser::Browser;
use crate::world::certs::Authority;
use crate::world::load::{Load, Plan};
use crate::world::provider::{Kind, Provider};
use crate::world::raw::{NoResponse, Raw};
use crate::world::upstream::{Answer, Upstream};
use crate::world::websocket::{TEXT, WebSocket};
use crate::world::{ALICE, APP, BOB, TENANT, shapes};

#[tokio::test]
async fn upstream_keeps_the_exact_bytes_and_counts_requests() {
    let upstream = Upstream::echo_target().await;
    let mut raw = Raw::tcp(upstream.address).await.unwrap();
    let sent = "POST /a?b=c HTTP/1.1\r\nhOST: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\nGET /d HTTP/1.1\r\n\r\n";
    raw.send(sent.as_bytes()).await;
    assert_eq!(raw.response().await.unwrap().text(), "/a?b=c");
    assert_eq!(raw.response().await.unwrap().text(), "/d");
    assert_eq!(upstream.seen(), 2);
    assert_eq!(upstream.bytes(), [sent.as_bytes()]);
    assert_eq!(upstream.requests()[0].body, b"abc");
    assert_eq!(upstream.requests()[0].header("host"), Some("x"));
}

#[tokio::test]
async fn upstream_misbehaves_as_scripted() {
    let upstream = Upstream::scripted(|request| match request.target() {
        "/close" => Answer::Close,
        "/reset" => Answer::Reset,
        "/half" => Answer::BytesThenClose(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc".to_vec()),
        "/drip" => Answer::Drip { bytes: b"HTTP/1.1 204 X\r\n\r\n".to_vec(), every: Duration::from_millis(1) },
        _ => Answer::Download { bytes: 1_000, per_second: 100_000 },
    })
    .await;
    for path in ["/close", "/reset", "/half"] {
        let mut raw = Raw::tcp(upstream.address).await.unwrap();
        raw.send(format!("GET {path} HTTP/1.1\r\n\r\n").as_bytes()).await;
        assert_eq!(raw.response().await.unwrap_err(), NoResponse::Ended, "{path}");
    }
    let mut raw = Raw::tcp(upstream.address).await.unwrap();
    raw.send(b"GET /drip HTTP/1.1\r\n\r\nGET /big HTTP/1.1\r\n\r\n").await;
    assert_eq!(raw.response().await.unwrap().status, 204);
    let body = raw.response().await.unwrap().body;
    assert_eq!((body.len(), body[252]), (1_000, 1));
}

#[tokio::test]
async fn websocket_client_and_upstream_understand_each_other() {
    let upstream = Upstream::scripted(|_| Answer::WebSocketEcho).await;
    let raw = Raw::tcp(upstream.address).await.unwrap();
    let mut socket = WebSocket::open(raw, "x", "/ws", "").await.unwrap();
    for text in ["one", &"long ".repeat(100)] {
        let frame = socket.echo(text).await.unwrap();
        assert_eq!((frame.opcode, frame.payload), (TEXT, text.as_bytes().to_vec()));
    }
}

#[tokio::test]
async fn browser_signs_in_at_the_provider_and_keeps_its_cookies() {
    let provider = Provider::start(Kind::OidcProvider);
    let discovery = format!("{}/{TENANT}/v2.0", provider.authority);
    let upstream = Upstream::scripted(move |request| match request.target().split('?').next().unwrap() {
        "/start" => redirect(&authorization_request(&discovery), ""),
        "/.portcullis/callback" => {
            redirect(&format!("https://{APP}/done"), "Set-Cookie: __Host-x=1; Path=/; Secure; HttpOnly\r\n")
        }
        _ => Answer::text(request.header("cookie").unwrap_or("none")),
    })
    .await;
    let authority = Authority::new();
    let mut browser = Browser::new(stand_in(&authority, upstream.address).await, authority.roots.clone());
    let page = browser.sign_in(&format!("https://{APP}/start"), ALICE).await;
    assert_eq!(page.url.as_str(), format!("https://{APP}/done"), "{:#?}", page.trail);
    assert_eq!(page.response.text(), "none", "a cookie of the sign-in host does not go to the app");
    let callback = upstream.requests().into_iter().find(|request| request.method() == "POST").unwrap();
    let fields: Vec<(String, String)> = url::form_urlencoded::parse(&callback.body).into_owned().collect();
    assert!(fields.iter().any(|(name, value)| name == "code" && !value.is_empty()), "{fields:?}");
    assert!(fields.contains(&("state".to_owned(), "s".to_owned())));
    assert_eq!(browser.jar().value(shapes::AUTH_HOST, "__Host-x").as_deref(), Some("1"));
    // The provider remembers Alice, so a second sign-in asks nothing.
    let again = browser.open_silently(&format!("https://{APP}/start")).await;
    assert_eq!(again.url.path(), "/done", "{:#?}", again.trail);
    let stranger = Browser::new(stand_in(&authority, upstream.address).await, authority.roots.clone());
    let asked = stranger.clone().open_silently(&format!("https://{APP}/start")).await;
    assert!(asked.forms()[0].has("password"), "{:#?}", asked.trail);
    let wrong = crate::world::Person { password: "wrong", ..*BOB };
    assert_ne!(stranger.clone().sign_in(&format!("https://{APP}/start"), &wrong).await.status(), 200);
}

#[tokio::test]
async fn load_reports_answers_and_losses_truthfully() {
    let upstream = Upstream::scripted(|request| {
        let number: u32 = request.target().rsplit('/').next().unwrap().parse().unwrap();
        if number % 10 == 9 { Answer::Close } else { Answer::text(request.target()) }
    })
    .await;
    let authority = Authority::new();
    let gateway = stand_in(&authority, upstream.address).await;
    let plan =
        Plan { host: APP, cookie: "a=b".to_owned(), roots: authority.roots.clone(), rate: 200, http1: 4, http2: 0 };
    let load = Load::start(gateway, plan);
    tokio::time::timeout(Duration::from_secs(10), async {
        while load.answers() < 100 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .unwrap();
    let ledger = load.finish().await;
    assert!(ledger.wrong().is_empty() && ledger.refused.is_empty());
    let tenth = ledger.answered.len() / 10;
    assert!(
        (tenth / 2..=tenth * 2).contains(&ledger.lost.len()),
        "{} lost, {} answered",
        ledger.lost.len(),
        ledger.answered.len()
    );
    assert!(ledger.quantile(0.99) > Duration::ZERO);
}

#[tokio::test]
async fn load_speaks_http2_and_keeps_to_its_rate() {
    let authority = Authority::new();
    let gateway = http2_echo(&authority).await;
    let plan =
        Plan { host: APP, cookie: "a=b".to_owned(), roots: authority.roots.clone(), rate: 100, http1: 0, http2: 2 };
    let load = Load::start(gateway, plan);
    let began = tokio::time::Instant::now();
    while load.answers() < 100 {
        assert!(began.elapsed() < Duration::from_secs(10));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(began.elapsed() > Duration::from_millis(800), "100 requests at 100 each second took {:?}", began.elapsed());
    load.finish().await.assert_flawless(100);
}

fn redirect(to: &str, more: &str) -> Answer {
    Answer::Bytes(format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\n{more}Content-Length: 0\r\n\r\n").into_bytes())
}

fn authorization_request(issuer: &str) -> String {
    let challenge = base64::engine::general_purpose::URL_SAFE_NO_PAD
        .encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, "v".repeat(43).as_bytes()));
    let mut url = Url::parse(&format!("{issuer}/auth")).unwrap();
    url.query_pairs_mut().extend_pairs([
        ("client_id", shapes::CLIENT_ID),
        ("redirect_uri", shapes::REDIRECT_URI),
        ("response_type", "code"),
        ("response_mode", "form_post"),
        ("scope", "openid profile"),
        ("state", "s"),
        ("nonce", "n"),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ]);
    url.into()
}

/// Answers every request over HTTP/2 with its path.
async fn http2_echo(authority: &Authority) -> SocketAddr {
    let acceptor = acceptor(authority, &["h2"]);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (tcp, _) = listener.accept().await.unwrap();
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let tls = acceptor.accept(tcp).await.ok()?;
                let echo = service_fn(|request: http::Request<Incoming>| async move {
                    Ok::<_, Infallible>(http::Response::new(Full::new(Bytes::from(request.uri().path().to_owned()))))
                });
                http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(tls), echo).await.ok()
            });
        }
    });
    address
}

fn acceptor(authority: &Authority, alpn: &[&str]) -> TlsAcceptor {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let pair = authority.issue(&[APP, shapes::AUTH_HOST]);
    let chain = vec![CertificateDer::from(pair.der)];
    let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
    let mut config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).unwrap();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    TlsAcceptor::from(Arc::new(config))
}

/// Ends TLS for every name of the world and passes the bytes on.
async fn stand_in(authority: &Authority, upstream: SocketAddr) -> SocketAddr {
    let acceptor = acceptor(authority, &["http/1.1"]);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (tcp, _) = listener.accept().await.unwrap();
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut inside = acceptor.accept(tcp).await.ok()?;
                let mut outside = TcpStream::connect(upstream).await.ok()?;
                tokio::io::copy_bidirectional(&mut inside, &mut outside).await.ok()
            });
        }
    });
    address
}
