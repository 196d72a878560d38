//! HTTP/2: ordinary use, and the floods that the library does not stop.

use super::*;
use http_body_util::Full;
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};

pub(super) async fn client(stand: &Stand) -> SendRequest<Full<bytes::Bytes>> {
    let stream = stand.connect_as("app.test", &[b"h2", b"http/1.1"]).await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

pub(super) fn get(path: &str) -> Request<Full<bytes::Bytes>> {
    Request::get(format!("https://app.test{path}")).body(Full::default()).unwrap()
}

#[tokio::test]
async fn requests_are_served_side_by_side() {
    let stand = Stand::start().await;
    let mut sender = client(&stand).await;
    let held = tokio::spawn(sender.send_request(get("/held")));
    stand.recorder.arrived.notified().await;
    let post = Request::post("https://app.test/x").body(Full::from("body")).unwrap();
    let response = sender.send_request(post).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(stand.seen()[1].body.as_deref(), Some(&b"body"[..]));
    stand.recorder.release.notify_one();
    assert_eq!(held.await.unwrap().unwrap().status(), 200);
}

#[tokio::test]
async fn an_answer_to_head_has_the_length_and_no_body() {
    use http_body_util::BodyExt as _;
    let stand = Stand::start().await;
    let mut sender = client(&stand).await;
    let head = Request::head("https://app.test/unread").body(Full::default()).unwrap();
    let response = sender.send_request(head).await.unwrap();
    assert_eq!(response.headers()["content-length"], "6");
    assert_eq!(response.into_body().collect().await.expect("no DATA frame comes").to_bytes(), "");
    assert_eq!(sender.send_request(get("/x")).await.unwrap().status(), 200);
}

#[tokio::test]
async fn connect_is_refused_before_the_handler() {
    let stand = Stand::start().await;
    let mut sender = client(&stand).await;
    let connect = Request::connect("169.254.169.254:80").body(Full::default()).unwrap();
    assert_eq!(sender.send_request(connect).await.unwrap().status(), 405);
    assert_eq!(stand.seen(), []);
}

async fn flood(stand: &Stand, frame: &[u8], times: usize) {
    let mut stream = stand.connect_as("app.test", &[b"h2"]).await;
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    let burst = frame.repeat(100);
    let (mut read, mut write) = tokio::io::split(stream);
    let reading = tokio::spawn(async move { read_all(&mut read).await });
    for _ in 0..times / 100 {
        if write.write_all(&burst).await.is_err() {
            break;
        }
    }
    reading.await.unwrap();
}

#[tokio::test]
async fn floods_of_frames_without_a_request_end_the_connection() {
    let stand = Stand::with(|config| config.limits.control_frames = 1000).await;
    let frames: [(&str, &[u8]); 4] = [
        ("WINDOW_UPDATE", &[0, 0, 4, 8, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
        ("PRIORITY", &[0, 0, 5, 2, 0, 0, 0, 0, 3, 0, 0, 0, 0, 1]),
        ("PING", &[0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]),
        ("unknown", &[0, 0, 1, 200, 0, 0, 0, 0, 0, 9]),
    ];
    for (index, (name, frame)) in frames.into_iter().enumerate() {
        flood(&stand, frame, 100_000).await;
        assert_eq!(stand.refused(Refusal::ControlFrames), index as u64 + 1, "{name}");
    }
    eventually("the seats are given back", || stand.open_connections() == 0).await;
}
