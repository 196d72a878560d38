//! Several instances, sick ones, slow ones, and those behind TLS.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use rustls::server::WebPkiClientVerifier;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::{ask, get, metric};
use crate::world::certs::{Authority, Pair};
use crate::world::provider::Kind;
use crate::world::upstream::{Answer, Upstream};
use crate::world::{ALICE, APP, World, eventually};

/// A world with one more app at `/u`, on these instances.
async fn world(instances: &[String], keys: &str) -> (World, String) {
    let list = instances.iter().map(|instance| format!("\"{instance}\"")).collect::<Vec<_>>().join(", ");
    let more = format!("\n[[app]]\nname = \"u\"\nhost = \"{APP}\"\npath = \"/u\"\nupstream = [{list}]\n{keys}");
    let world =
        World::with(Kind::Simulator, |request| Answer::text(request.target()), |settings| settings.more = more).await;
    let cookie = world.cookie(ALICE).await;
    (world, cookie)
}

#[tokio::test]
async fn a_dead_instance_is_passed_over_and_left_out() {
    let alive = Upstream::echo_target().await;
    let dead = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let keys = "[app.connection]\neject_after = 2\neject_for = \"1m\"\n";
    let (world, cookie) = world(&[format!("http://{dead}"), format!("http://{}", alive.address)], keys).await;
    for number in 0..12 {
        let line = format!("{} /u/{number}", if number % 2 == 0 { "GET" } else { "POST" });
        let response = ask(&world, APP, &line, &format!("Cookie: {cookie}\r\nContent-Length: 0\r\n")).await;
        assert_eq!(response.text(), format!("/u/{number}"));
    }
    assert_eq!(alive.seen(), 12);
    assert_eq!(metric(&world, "portcullis_upstream_ejections_total{app=\"u\"}").await, 1);
    assert!(metric(&world, "portcullis_upstream_connections_total{app=\"u\"}").await >= 1);
    assert_eq!(metric(&world, "portcullis_upstream_duration_seconds_count{app=\"u\"}").await, 12);
}

#[tokio::test]
async fn a_sick_instance_goes_out_of_service_and_comes_back() {
    let sick = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&sick);
    let first = Upstream::scripted(move |request| match request.target() {
        "/health" if told.load(Ordering::Relaxed) => {
            Answer::Bytes(b"HTTP/1.1 503 Sick\r\nContent-Length: 0\r\n\r\n".to_vec())
        }
        _ => Answer::text("first"),
    })
    .await;
    let second = Upstream::scripted(|_| Answer::text("second")).await;
    let keys = "[app.health]\npath = \"/health\"\ninterval = \"100ms\"\ntimeout = \"100ms\"\nhealthy_after = 1\nunhealthy_after = 1\n";
    let instances = [&first, &second].map(|instance| format!("http://{}", instance.address));
    let (world, cookie) = world(&instances, keys).await;
    let both = |wanted: bool| {
        let (world, cookie) = (&world, &cookie);
        async move {
            let mut seen = Vec::new();
            for _ in 0..4 {
                seen.push(get(world, cookie, "/u").await.text());
            }
            seen.iter().any(|text| text == "first") == wanted && seen.iter().any(|text| text == "second")
        }
    };
    assert!(both(true).await, "round robin reaches both");
    sick.store(true, Ordering::Relaxed);
    eventually("the sick one gets nothing", Duration::from_secs(5), || both(false)).await;
    sick.store(false, Ordering::Relaxed);
    eventually("it comes back", Duration::from_secs(5), || both(true)).await;
}

#[tokio::test]
async fn an_app_that_fails_is_told_apart_from_one_that_is_slow() {
    let upstream = Upstream::scripted(|request| match request.target() {
        "/u/slow" => Answer::BytesThenHang(Vec::new()),
        "/u/stalls" => Answer::BytesThenHang(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc".to_vec()),
        "/u/reset" => Answer::Reset,
        "/u/closes" => Answer::Close,
        other => Answer::text(other),
    })
    .await;
    let keys = "[app.connection]\nresponse_timeout = \"500ms\"\nbody_idle = \"500ms\"\neject_after = 1000\n";
    let (world, cookie) = world(&[format!("http://{}", upstream.address)], keys).await;
    for (line, status) in [("GET /u/slow", 504), ("POST /u/reset", 502), ("POST /u/closes", 502), ("GET /u/fine", 200)]
    {
        let before = upstream.seen();
        let response = ask(&world, APP, line, &format!("Cookie: {cookie}\r\nContent-Length: 0\r\n")).await;
        assert_eq!(response.status, status, "{line}");
        assert_eq!(upstream.seen(), before + 1, "{line} was sent once");
    }
    let mut raw = world.raw(APP).await;
    raw.send(format!("GET /u/stalls HTTP/1.1\r\nHost: {APP}\r\nCookie: {cookie}\r\n\r\n").as_bytes()).await;
    assert!(raw.response().await.is_err(), "a body that stands still is broken off");
    let page = ask(&world, APP, "GET /u/slow", &format!("Cookie: {cookie}\r\nAccept: application/json\r\n")).await;
    let json: serde_json::Value = serde_json::from_slice(&page.body).unwrap();
    assert_eq!(json["request_id"], page.header("x-request-id").unwrap(), "{json}");
    assert_eq!(metric(&world, "portcullis_upstream_faults_total{app=\"u\",kind=\"timeout\"}").await, 2);
}

/// A kept connection that the app closed meanwhile costs nobody a request, not even a POST.
#[tokio::test]
async fn a_stale_connection_costs_no_request() {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let upstream = Upstream::scripted(move |request| {
        counted.fetch_add(1, Ordering::Relaxed);
        let text = request.target();
        Answer::BytesThenClose(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}", text.len()).into_bytes())
    })
    .await;
    let (world, cookie) = world(&[format!("http://{}", upstream.address)], "").await;
    for number in 0..20 {
        let line = format!("POST /u/{number}");
        let response = ask(&world, APP, &line, &format!("Cookie: {cookie}\r\nContent-Length: 0\r\n")).await;
        assert_eq!(response.text(), format!("/u/{number}"), "{}", response.head);
    }
    assert_eq!(count.load(Ordering::Relaxed), 20);
}

#[tokio::test]
async fn an_upstream_certificate_is_always_checked() {
    let inside = Authority::new();
    let folder = tempfile::TempDir::new().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        path.display().to_string()
    };
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let plain = Upstream::echo_target().await;
    let open = tls(&inside.issue(&["app.inside"]), None, plain.address).await;
    let closed = tls(&inside.issue(&["app.inside"]), Some(&inside), plain.address).await;
    let ca = file("ca.pem", inside.pem());
    let us = inside.issue(&["gateway.inside"]);
    let (certificate, key) = (file("us.pem", &us.certificate), file("us.key", &us.key));
    let trusting = format!("server_name = \"app.inside\"\nextra_ca = \"{ca}\"\n");
    for (name, address, keys, status) in [
        ("trusted", open, trusting.clone(), 200),
        ("wrong name", open, format!("server_name = \"other.inside\"\nextra_ca = \"{ca}\"\n"), 502),
        ("unknown authority", open, "server_name = \"app.inside\"\n".to_owned(), 502),
        ("asked for a certificate", closed, trusting.clone(), 502),
        ("with one", closed, format!("{trusting}certificate = \"{certificate}\"\nkey = \"{key}\"\n"), 200),
    ] {
        let (world, cookie) = world(&[format!("https://{address}")], &format!("[app.tls]\n{keys}")).await;
        let before = plain.seen();
        assert_eq!(get(&world, &cookie, "/u/x").await.status, status, "{name}");
        assert_eq!(plain.seen() - before, usize::from(status == 200), "{name}");
    }
}

/// Ends TLS in front of a plain upstream; asks for a certificate of `clients` if there is one.
async fn tls(pair: &Pair, clients: Option<&Authority>, to: SocketAddr) -> SocketAddr {
    let builder = match clients {
        Some(clients) => ServerConfig::builder()
            .with_client_cert_verifier(WebPkiClientVerifier::builder(Arc::clone(&clients.roots)).build().unwrap()),
        None => ServerConfig::builder().with_no_client_auth(),
    };
    let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
    let config = builder.with_single_cert(vec![CertificateDer::from(pair.der.clone())], key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (tcp, _) = listener.accept().await.unwrap();
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut inside = acceptor.accept(tcp).await.ok()?;
                let mut outside = TcpStream::connect(to).await.ok()?;
                tokio::io::copy_bidirectional(&mut inside, &mut outside).await.ok()
            });
        }
    });
    address
}
