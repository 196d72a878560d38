//! Bodies passed through: the client gets all of it, or sees that it does not.

use super::*;
use crate::cut::CutReason;

const HEAD: &str = "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

async fn begun(stand: &Stand, head: &str) -> TlsStream<TcpStream> {
    let mut stream = stand.connect().await;
    stream.write_all(format!("{head}5\r\nhello\r\n").as_bytes()).await.unwrap();
    let text = read_until(&mut stream, "hello\r\n").await;
    assert_eq!(statuses(&text), [200]);
    stream
}

async fn ended(stand: &Stand, end: BodyEnd) {
    eventually("the end is told", || *stand.recorder.ends.lock().unwrap() == [end]).await;
}

#[tokio::test]
async fn a_whole_body_ends_as_complete_and_loses_foreign_trailers() {
    let stand = Stand::start().await;
    let mut stream = begun(&stand, &HEAD.replace("\r\n\r\n", "\r\nTE: trailers\r\n\r\n")).await;
    stream.write_all(b"0\r\nX-User: admin\r\nGrpc-Status: 0\r\n\r\n").await.unwrap();
    let rest = read_until(&mut stream, "\r\n\r\n").await;
    assert!(rest.starts_with("0\r\n") && !rest.contains("x-user"), "{rest}");
    ended(&stand, BodyEnd::Complete).await;
}

#[tokio::test]
async fn a_cut_ends_a_waiting_body_without_the_final_chunk() {
    let stand = Stand::start().await;
    let mut stream = begun(&stand, HEAD).await;
    stand.recorder.cut.raise(CutReason::Revoked);
    assert_eq!(read_all(&mut stream).await, "");
    ended(&stand, BodyEnd::Cut).await;
}

#[tokio::test]
async fn a_client_that_goes_away_ends_the_body() {
    let stand = Stand::start().await;
    drop(begun(&stand, HEAD).await);
    eventually("the end is told", || stand.recorder.ends.lock().unwrap().len() == 1).await;
    eventually("the seat is given back", || stand.open_connections() == 0).await;
    assert_ne!(stand.recorder.ends.lock().unwrap()[0], BodyEnd::Complete);
}

#[tokio::test]
async fn an_upstream_that_sends_nothing_for_too_long_is_given_up() {
    let stand = Stand::start().await;
    let mut stream = begun(&stand, &HEAD.replace("/echo", "/stall")).await;
    assert_eq!(read_all(&mut stream).await, "");
}
