//! Upgrades: nothing of another protocol moves before both sides agreed to it.

use super::*;

const UPGRADE: &str = "Host: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

#[tokio::test]
async fn an_accepted_upgrade_carries_bytes_both_ways() {
    let stand = Stand::start().await;
    let mut stream = stand.connect().await;
    stream.write_all(format!("GET /switch HTTP/1.1\r\n{UPGRADE}").as_bytes()).await.unwrap();
    let head = read_until(&mut stream, "\r\n\r\n").await;
    assert_eq!(statuses(&head), [101]);
    // Not HTTP, and forbidden as HTTP.
    stream.write_all(b"\0\nhello\n").await.unwrap();
    assert_eq!(read_until(&mut stream, "hello\n").await, "\0\nhello\n");
    stream.shutdown().await.unwrap();
    assert_eq!(read_all(&mut stream).await, "");
    eventually("the seat is given back", || stand.open_connections() == 0).await;
}

#[tokio::test]
async fn bytes_sent_before_the_upgrade_was_accepted_end_the_connection() {
    let stand = Stand::start().await;
    let mut stream = stand.connect().await;
    let input = format!("GET /held-switch HTTP/1.1\r\n{UPGRADE}GET /admin HTTP/1.1\r\nHost: a\r\n\r\n");
    stream.write_all(input.as_bytes()).await.unwrap();
    stand.recorder.arrived.notified().await;
    stand.recorder.release.notify_one();
    let text = read_all(&mut stream).await;
    assert_eq!(statuses(&text), [400]);
    assert!(text.ends_with("early_bytes"), "{text}");
    assert_eq!(stand.seen().len(), 1, "the bytes behind it must not be served");
    assert_eq!(stand.refused(Refusal::EarlyBytes), 1);
}

#[tokio::test]
async fn after_a_declined_upgrade_what_follows_is_a_new_request_with_full_checks() {
    let stand = Stand::start().await;
    let mut stream = stand.connect().await;
    let input = format!(
        "GET /held-refuse HTTP/1.1\r\n{UPGRADE}GET /next HTTP/1.1\r\nHost: a\r\n\r\nGET /bad HTTP/1.1\nHost: a\n\n"
    );
    stream.write_all(input.as_bytes()).await.unwrap();
    stand.recorder.arrived.notified().await;
    assert_eq!(stand.seen().len(), 1, "held back until the answer");
    stand.recorder.release.notify_one();
    assert_eq!(statuses(&read_all(&mut stream).await), [426, 200, 400]);
    assert_eq!(stand.seen()[1].target, "/next");
}

#[tokio::test]
async fn an_upgrade_request_with_a_body_hands_the_body_on_and_holds_the_rest() {
    let stand = Stand::start().await;
    let mut stream = stand.connect().await;
    let input = format!(
        "POST /held-refuse HTTP/1.1\r\nContent-Length: 3\r\n{UPGRADE}abcGET /n HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(input.as_bytes()).await.unwrap();
    stand.recorder.arrived.notified().await;
    assert_eq!(stand.seen()[0].body.as_deref(), Some(&b"abc"[..]));
    stand.recorder.release.notify_one();
    assert_eq!(statuses(&read_all(&mut stream).await), [426, 200]);
}

#[tokio::test]
async fn an_upgrade_in_http_1_0_is_an_ordinary_request() {
    let stand = Stand::start().await;
    let text = stand.raw(format!("GET /x HTTP/1.0\r\n{UPGRADE}").as_bytes()).await;
    assert_eq!(statuses(&text), [200]);
}
