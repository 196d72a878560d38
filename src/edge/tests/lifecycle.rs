//! Starting, stopping, caps, the load balancer's header, the redirect, and a handler that panics.

use super::http2::{client, get};
use super::*;

#[tokio::test]
async fn shutdown_lets_running_requests_finish_and_refuses_new_connections() {
    let mut stand = Stand::start().await;
    let mut busy = stand.connect().await;
    busy.write_all(b"GET /held HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    stand.recorder.arrived.notified().await;
    let mut idle = stand.connect().await;
    idle.write_all(b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    read_until(&mut idle, "/1").await;
    stand.shutdown.begin();
    assert_eq!(read_all(&mut idle).await, "", "an idle connection is closed");
    stand.recorder.release.notify_one();
    let text = read_all(&mut busy).await;
    assert_eq!(statuses(&text), [200]);
    assert!(text.contains("connection: close"), "{text}");
    (&mut stand.running).await.unwrap().unwrap();
    assert!(TcpStream::connect(stand.https).await.is_err());
}

#[tokio::test]
async fn shutdown_lets_http2_streams_finish() {
    let mut stand = Stand::start().await;
    let mut sender = client(&stand).await;
    let held = tokio::spawn(sender.send_request(get("/held")));
    stand.recorder.arrived.notified().await;
    stand.shutdown.begin();
    eventually("the listener is gone", || std::net::TcpStream::connect(stand.https).is_err()).await;
    stand.recorder.release.notify_one();
    assert_eq!(held.await.unwrap().unwrap().status(), 200);
    (&mut stand.running).await.unwrap().unwrap();
}

#[tokio::test]
async fn what_outlives_the_drain_time_is_cut() {
    let mut stand = Stand::with(|config| config.drain = Duration::from_millis(100)).await;
    let mut busy = stand.connect().await;
    busy.write_all(b"GET /held HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    stand.recorder.arrived.notified().await;
    let mut tunnel = stand.connect().await;
    tunnel.write_all(b"GET /switch HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n").await.unwrap();
    read_until(&mut tunnel, "\r\n\r\n").await;
    stand.shutdown.begin();
    assert_eq!(read_all(&mut busy).await, "");
    assert_eq!(read_all(&mut tunnel).await, "");
    (&mut stand.running).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_panic_costs_one_connection_only() {
    let stand = Stand::start().await;
    let mut other = stand.connect().await;
    assert_eq!(stand.raw(b"GET /panic HTTP/1.1\r\nHost: a\r\n\r\n").await, "");
    other.write_all(b"GET /1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
    assert_eq!(statuses(&read_all(&mut other).await), [200]);
    eventually("the seats are given back", || stand.open_connections() == 0).await;
}

#[tokio::test]
async fn the_cap_on_connections_holds_and_frees() {
    let stand = Stand::with(|config| config.limits.connections = 1).await;
    let mut first = stand.connect().await;
    let mut second = TcpStream::connect(stand.https).await.unwrap();
    assert_eq!(read_all(&mut second).await, "");
    first.shutdown().await.unwrap();
    read_all(&mut first).await;
    eventually("the seat is given back", || stand.open_connections() == 0).await;
    assert_eq!(statuses(&stand.raw(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n").await), [200]);
}

#[tokio::test]
async fn a_taken_address_is_named_in_the_error() {
    let stand = Stand::start().await;
    let config = Config {
        https: vec![stand.https],
        redirect: vec![],
        public_port: None,
        workers: 1,
        proxy_protocol_from: vec![],
        tls: TlsConfig { certificates: vec![], min_version: MinTls::Tls13, ticket_rotation: Duration::from_secs(60) },
        limits: Limits::default(),
        drain: Duration::ZERO,
    };
    let certificates = Arc::clone(&stand.certificates);
    let error = Edge::bind(config, certificates, &Metrics::new(1), SystemClock::shared()).err().unwrap();
    assert!(error.to_string().contains(&stand.https.to_string()), "{error}");
}

async fn through_balancer(stand: &Stand, header: &[u8]) -> Option<String> {
    let mut tcp = TcpStream::connect(stand.https).await.unwrap();
    tcp.write_all(header).await.unwrap();
    let connector = TlsConnector::from(Arc::new(client_config(&stand.root, &[b"http/1.1"])));
    let mut stream = connector.connect(ServerName::try_from("app.test").unwrap(), tcp).await.ok()?;
    stream.write_all(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n").await.unwrap();
    Some(read_all(&mut stream).await)
}

const V1: &[u8] = b"PROXY TCP4 192.0.2.7 127.0.0.1 4711 443\r\n";

#[tokio::test]
async fn a_listed_balancer_names_the_client() {
    let stand = Stand::with(|config| config.proxy_protocol_from = vec!["127.0.0.0/8".parse().unwrap()]).await;
    assert_eq!(statuses(&through_balancer(&stand, V1).await.unwrap()), [200]);
    let opened = stand.recorder.opened.lock().unwrap().pop().unwrap();
    assert_eq!(opened.peer, "192.0.2.7:4711".parse().unwrap());
    assert_eq!(opened.socket_peer.ip(), std::net::Ipv4Addr::LOCALHOST);
    assert!(through_balancer(&stand, b"").await.is_none(), "the header is mandatory");
}

#[tokio::test]
async fn anybody_else_is_refused_with_such_a_header() {
    let stand = Stand::start().await;
    assert!(through_balancer(&stand, V1).await.is_none());
    assert_eq!(stand.recorder.opened.lock().unwrap().len(), 0);
}

async fn plain(stand: &Stand, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(stand.redirect).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    stream.shutdown().await.unwrap();
    read_all(&mut stream).await
}

#[tokio::test]
async fn the_plain_listener_only_redirects() {
    let stand = Stand::with(|config| config.public_port = Some(443)).await;
    for (input, status, location) in [
        ("GET /a?b=c HTTP/1.1\r\nHost: APP.test:80\r\nConnection: close\r\n\r\n", 308, Some("https://app.test/a?b=c")),
        ("HEAD / HTTP/1.1\r\nHost: [::1]\r\nConnection: close\r\n\r\n", 308, Some("https://[::1]/")),
        ("POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 0\r\n\r\n", 405, None),
        ("GET / HTTP/1.1\r\nHost: app.test:99999\r\n\r\n", 400, None),
        ("GET / HTTP/1.1\r\nHost: user@evil.test\r\n\r\n", 400, None),
        ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400, None),
        ("GET / HTTP/1.1\r\nHost:\r\n\r\n", 400, None),
        ("GET http://evil.test/ HTTP/1.1\r\nHost: app.test\r\n\r\n", 400, None),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, None),
    ] {
        let mut stream = TcpStream::connect(stand.redirect).await.unwrap();
        stream.write_all(input.as_bytes()).await.unwrap();
        let text = read_all(&mut stream).await;
        assert_eq!(statuses(&text), [status], "{input}");
        let found = text.lines().find_map(|line| line.strip_prefix("location: "));
        assert_eq!(found, location, "{input}");
    }
    assert_eq!(plain(&stand, b"").await, "");
}

#[tokio::test]
async fn a_redirect_names_the_port_when_it_is_not_the_usual_one() {
    let stand = Stand::start().await;
    let mut stream = TcpStream::connect(stand.redirect).await.unwrap();
    stream.write_all(b"GET /x HTTP/1.0\r\nHost: app.test\r\n\r\n").await.unwrap();
    let text = read_all(&mut stream).await;
    assert!(text.contains(&format!("location: https://app.test:{}/x\r\n", stand.https.port())), "{text}");
}
