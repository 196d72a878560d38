//! Bodies in both directions: streamed as they come, whole or visibly broken, never held back or invented.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http2::SendRequest;
use hyper::server::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tokio::sync::mpsc::Receiver;

use super::get;
use crate::world::http2::Outcome;
use crate::world::provider::Kind;
use crate::world::raw::{NoResponse, Raw};
use crate::world::upstream::{self, Answer};
use crate::world::{ALICE, APP, FIN, World, eventually};

fn script(request: &upstream::Request) -> Answer {
    match request.target() {
        "/half" => Answer::BytesThenHang(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello".to_vec()),
        "/cut-length" => Answer::BytesThenClose(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello".to_vec()),
        "/cut-chunked" => {
            Answer::BytesThenClose(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n".to_vec())
        }
        "/to-the-end" => Answer::BytesThenClose(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello".to_vec()),
        "/trailers" => Answer::Bytes(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-User: root\r\n\r\n".to_vec(),
        ),
        "/204" => Answer::Bytes(b"HTTP/1.1 204 No Content\r\n\r\n".to_vec()),
        "/304" => Answer::Bytes(b"HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n".to_vec()),
        "/interim" => Answer::Bytes(
            b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec(),
        ),
        "/100-mib" => {
            let mut bytes = format!("HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n").into_bytes();
            bytes.extend_from_slice(&large());
            Answer::Bytes(bytes)
        }
        target if request.method() == "HEAD" => {
            Answer::Bytes(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", target.len()).into_bytes())
        }
        target => Answer::text(target),
    }
}

async fn world() -> (World, String) {
    let world = World::with(Kind::Simulator, script, |_| {}).await;
    let cookie = world.cookie(ALICE).await;
    world.app.forget();
    (world, cookie)
}

#[tokio::test]
async fn an_upload_passes_before_its_end_is_sent() {
    let (world, cookie) = world().await;
    let mut raw = world.raw(APP).await;
    let head = format!("POST /up HTTP/1.1\r\nHost: {APP}\r\nCookie: {cookie}\r\nTransfer-Encoding: chunked\r\n\r\n");
    raw.send(format!("{head}5\r\nfirst\r\n").as_bytes()).await;
    let arrived = || async { String::from_utf8_lossy(&world.app.bytes().concat()).contains("5\r\nfirst\r\n") };
    eventually("the first piece arrives", Duration::from_secs(5), arrived).await;
    assert_eq!(world.app.seen(), 0, "its end was not even sent");
    raw.send(b"4\r\nlast\r\n0\r\n\r\n").await;
    assert_eq!(raw.response().await.unwrap().text(), "/up");
    assert_eq!(world.app.only_request().body, b"firstlast");
}

#[tokio::test]
async fn an_upload_that_breaks_off_is_never_completed_at_the_app() {
    let (world, cookie) = world().await;
    for framing in ["Content-Length: 10\r\n\r\nfirst", "Transfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n"] {
        let mut raw = world.raw(APP).await;
        raw.send(format!("POST /up HTTP/1.1\r\nHost: {APP}\r\nCookie: {cookie}\r\n{framing}").as_bytes()).await;
        let arrived = || async { String::from_utf8_lossy(&world.app.bytes().concat()).contains("first") };
        eventually("the first piece arrives", Duration::from_secs(5), arrived).await;
        drop(raw);
        // The app's connection ended with it: the next request comes on another.
        assert_eq!(get(&world, &cookie, "/next").await.text(), "/next");
        assert_eq!(world.app.only_request().target(), "/next", "{framing}");
        world.app.forget();
    }
}

#[tokio::test]
async fn a_download_passes_before_its_end_exists() {
    let (world, cookie) = world().await;
    let mut raw = world.raw(APP).await;
    raw.send(format!("GET /half HTTP/1.1\r\nHost: {APP}\r\nCookie: {cookie}\r\n\r\n").as_bytes()).await;
    while !raw.pending().ends_with(b"hello") {
        assert!(raw.more().await.unwrap() > 0);
    }
}

#[tokio::test]
async fn a_download_that_breaks_off_is_broken_off_for_the_client() {
    let (world, cookie) = world().await;
    for path in ["/cut-length", "/cut-chunked"] {
        let mut raw = world.raw(APP).await;
        raw.send(format!("GET {path} HTTP/1.1\r\nHost: {APP}\r\nCookie: {cookie}\r\n\r\n").as_bytes()).await;
        assert_eq!(raw.response().await.unwrap_err(), NoResponse::Ended, "{path}");
        let mut http2 = super::http2(&world, APP).await;
        http2.headers(1, true, &asking(path, &cookie)).await;
        assert!(matches!(http2.outcome(1).await, Outcome::Reset(_)), "{path}");
        // Only that stream ended.
        http2.headers(3, true, &asking("/next", &cookie)).await;
        assert_eq!(http2.outcome(3).await, Outcome::Status(200));
    }
    // A body that lasts until the connection ends has no other end to miss.
    assert_eq!(get(&world, &cookie, "/to-the-end").await.text(), "hello");
}

#[tokio::test]
async fn answers_without_a_body_leave_the_connection_in_step() {
    let (world, cookie) = world().await;
    let mut raw = world.raw(APP).await;
    for (line, status, body) in [
        ("HEAD /head", 200, ""),
        ("GET /204", 204, ""),
        ("GET /304", 304, ""),
        ("GET /interim", 200, "ok"),
        ("GET /trailers", 200, "hello"),
        ("GET /last", 200, "/last"),
    ] {
        raw.send(format!("{line} HTTP/1.1\r\nHost: {APP}\r\nCookie: {cookie}\r\n\r\n").as_bytes()).await;
        let response = raw.response_to(line.split(' ').next().unwrap()).await.unwrap();
        assert_eq!((response.status, response.text().as_str()), (status, body), "{line}: {}", response.head);
        if line == "HEAD /head" {
            assert_eq!(response.header("content-length"), Some("5"));
        }
        if status == 204 {
            assert_eq!(response.header("content-length"), None);
        }
        assert!(raw.pending().is_empty(), "{line}: {:?}", raw.pending());
    }
    let connections: Vec<usize> = world.app.requests().iter().map(|request| request.connection).collect();
    assert!(
        connections.iter().all(|connection| *connection == connections[0]),
        "one connection served all: {connections:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_mebibytes_arrive_intact_over_both_versions() {
    let (world, cookie) = world().await;
    let whole = digest(&large());
    let mut raw = world.raw(APP).await;
    raw.send(
        format!("GET /100-mib HTTP/1.1\r\nHost: {APP}\r\nConnection: close\r\nCookie: {cookie}\r\n\r\n").as_bytes(),
    )
    .await;
    let answer = tokio::time::timeout(Duration::from_secs(60), async {
        while raw.more().await.unwrap() > 0 {}
        raw.pending().to_vec()
    })
    .await
    .unwrap();
    let head = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    assert_eq!((answer.len() - head, digest(&answer[head..])), (LARGE, whole.clone()));
    let mut sender = client(&world, APP).await;
    let response = sender.send_request(request("GET", "/100-mib", &cookie, Bytes::new())).await.unwrap();
    let mut context = Context::new(&SHA256);
    let mut body = response.into_body();
    while let Some(frame) = body.frame().await {
        context.update(&frame.unwrap().into_data().unwrap());
    }
    assert_eq!(context.finish().as_ref(), whole);
    // And up.
    let response = sender.send_request(request("POST", "/up", &cookie, Bytes::from(large()))).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(digest(&world.app.requests().last().unwrap().body), whole);
    assert!(world.gateway.resident_kib() < 120 * 1024, "{} KiB", world.gateway.resident_kib());
}

/// gRPC needs HTTP/2 on both sides, streaming in both directions, and trailers.
#[tokio::test]
async fn grpc_passes_with_its_trailers_and_no_others() {
    let (world, cookie) = in_front_of_http2(grpc_upstream().await).await;
    let mut sender = client(&world, FIN).await;
    let (feed, body) = tokio::sync::mpsc::channel(1);
    let request = Request::post(format!("https://{FIN}/echo"))
        .header("cookie", &cookie)
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Pieces(body))
        .unwrap();
    let response = sender.send_request(request).await.unwrap();
    let mut body = response.into_body();
    for piece in ["one", "two"] {
        feed.send(Bytes::from(piece)).await.unwrap();
        // Each piece comes back before the next is sent.
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), piece);
    }
    drop(feed);
    let trailers = body.frame().await.unwrap().unwrap().into_trailers().unwrap();
    assert_eq!(trailers.get("grpc-status").unwrap(), "0");
    assert_eq!(trailers.len(), 1, "{trailers:?}");
}

/// AZ-06: an HTTP/2 connection is shared, so the upload itself has to end with the yes it is sent on.
#[tokio::test]
async fn an_upload_to_an_http2_app_ends_with_its_session() {
    let swallowed = Arc::new(AtomicUsize::new(0));
    let (world, cookie) = in_front_of_http2(swallowing_upstream(Arc::clone(&swallowed)).await).await;
    let mut sender = client(&world, FIN).await;
    let (feed, body) = tokio::sync::mpsc::channel(1);
    let request = Request::post(format!("https://{FIN}/up")).header("cookie", &cookie).body(Pieces(body)).unwrap();
    let answer = tokio::spawn(sender.send_request(request));
    feed.send(Bytes::from("one")).await.unwrap();
    eventually("the app has the first piece", Duration::from_secs(5), || async {
        swallowed.load(Ordering::Relaxed) == 3
    })
    .await;
    super::kill_session(&world, super::events(&world, "sign_in")[0]["session"].as_str().unwrap());
    let answer = tokio::time::timeout(Duration::from_secs(5), answer).await.expect("an answer").unwrap();
    assert!(answer.is_err() || answer.is_ok_and(|answer| answer.status() == 403));
    // A client that goes on all the same.
    for _ in 0..20 {
        let sent = tokio::time::timeout(Duration::from_millis(50), feed.send(Bytes::from("more"))).await;
        if matches!(sent, Ok(Err(_))) {
            break;
        }
    }
    assert_eq!(swallowed.load(Ordering::Relaxed), 3, "nothing more reaches the app");
}

/// A world whose second app speaks only HTTP/2, and Alice's cookie for it. The landing page of the sign-in comes from the
/// same app.
async fn in_front_of_http2(upstream: String) -> (World, String) {
    let world = World::with(Kind::Simulator, script, move |settings| {
        settings.apps[1].upstream = upstream;
        settings.more = "[app.connection]\nprotocol = \"http2\"\n".to_owned();
    })
    .await;
    let mut browser = world.browser();
    browser.sign_in(&format!("https://{FIN}/"), ALICE).await;
    let name = crate::world::shapes::COOKIE;
    let cookie = format!("{name}={}", browser.jar().value(FIN, name).unwrap());
    (world, cookie)
}

/// An app that speaks only HTTP/2, counts what is uploaded to `/up` and never answers that.
async fn swallowing_upstream(swallowed: Arc<AtomicUsize>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let swallowed = Arc::clone(&swallowed);
            let service = hyper::service::service_fn(move |request: Request<Incoming>| {
                let swallowed = Arc::clone(&swallowed);
                async move {
                    if request.uri().path() == "/up" {
                        let mut body = request.into_body();
                        while let Some(Ok(frame)) = body.frame().await {
                            let length = frame.data_ref().map_or(0, Bytes::len);
                            swallowed.fetch_add(length, Ordering::Relaxed);
                        }
                        std::future::pending::<()>().await;
                    }
                    Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"here"))))
                }
            });
            tokio::spawn(http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service));
        }
    });
    address.to_string()
}

/// A request body made of what is sent into a channel.
struct Pieces(Receiver<Bytes>);

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }
}

/// An app that speaks only HTTP/2: sends every piece back at once, then trailers.
async fn grpc_upstream() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let service = hyper::service::service_fn(|request: Request<Incoming>| async move {
                let trailing = request.headers().get("te").is_some_and(|te| te == "trailers");
                Ok::<_, Infallible>(Response::new(Echo { body: request.into_body(), trailing, ended: false }))
            });
            tokio::spawn(http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service));
        }
    });
    address.to_string()
}

struct Echo {
    body: Incoming,
    trailing: bool,
    ended: bool,
}

impl http_body::Body for Echo {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(None) => {
                self.ended = true;
                let mut trailers = HeaderMap::new();
                trailers.insert("grpc-status", HeaderValue::from_static(if self.trailing { "0" } else { "13" }));
                trailers.insert("x-user", HeaderValue::from_static("root"));
                Poll::Ready(Some(Ok(Frame::trailers(trailers))))
            }
            other => other,
        }
    }
}

async fn client<B>(world: &World, host: &str) -> SendRequest<B>
where
    B: http_body::Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let raw = Raw::tls(world.gateway.https(), host, Some(&["h2"]), &world.authority.roots).await.unwrap();
    let io = TokioIo::new(raw.into_stream());
    let (sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    sender
}

fn request(method: &str, path: &str, cookie: &str, body: Bytes) -> Request<Full<Bytes>> {
    let request = Request::builder().method(method).uri(format!("https://{APP}{path}"));
    request.header("cookie", cookie).body(Full::new(body)).unwrap()
}

fn asking<'a>(path: &'a str, cookie: &'a str) -> [(&'a str, &'a str); 5] {
    [(":method", "GET"), (":scheme", "https"), (":path", path), (":authority", APP), ("cookie", cookie)]
}

/// Bytes in which a lost, doubled or displaced piece shows.
fn large() -> Vec<u8> {
    let period: Vec<u8> = (0..65_521u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    let mut bytes = period.repeat(LARGE / period.len() + 1);
    bytes.truncate(LARGE);
    bytes
}

fn digest(bytes: &[u8]) -> Vec<u8> {
    aws_lc_rs::digest::digest(&SHA256, bytes).as_ref().to_vec()
}

const LARGE: usize = 100 << 20;
