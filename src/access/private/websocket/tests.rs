//! Tests of the WebSocket relay: both handshakes, early bytes, refusals.

use std::time::Duration;

use super::*;
use crate::access::private::testing::*;
use crate::cut::CutReason;

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

fn ask(extra: &str) -> String {
    format!(
        "GET /ws HTTP/1.1\r\nHost: wiki.test\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n{extra}\r\n"
    )
}

fn switch(accept: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
    )
    .into_bytes()
}

#[test]
fn the_accept_value_is_that_of_the_rfc() {
    assert_eq!(accept(KEY.as_bytes()), ACCEPT);
}

#[tokio::test]
async fn after_a_true_101_bytes_flow_both_ways_early_ones_included() {
    let upstream = Recorder::start(|_, _| Act::Answer([switch(ACCEPT), b"\x81\x06banana".to_vec()].concat())).await;
    let gateway = Gateway::start(app_config(&[upstream.address])).await;
    let mut client = gateway.connect().await;
    client.send(&format!("{}early", ask("Origin: https://wiki.test\r\n"))).await;
    let answer = client.until("banana").await;
    assert!(answer.starts_with("HTTP/1.1 101"), "{answer}");
    assert!(answer.contains(&format!("sec-websocket-accept: {ACCEPT}\r\n")), "{answer}");
    eventually("the early bytes arrived", || upstream.bytes(0).ends_with("\r\n\r\nearly")).await;
    let sent = upstream.bytes(0);
    assert!(sent.contains("connection: Upgrade\r\n") && sent.contains("upgrade: websocket\r\n"), "{sent}");
    assert_eq!(sent.matches("upgrade: websocket").count(), 1);
}

#[tokio::test]
async fn a_cut_ends_the_tunnel_and_says_why() {
    let upstream = Recorder::start(|_, _| Act::Answer(switch(ACCEPT))).await;
    let gateway = Gateway::start(app_config(&[upstream.address])).await;
    let mut client = gateway.connect().await;
    client.send(&ask("")).await;
    client.until("\r\n\r\n").await;
    gateway.cut.raise(CutReason::SignedOut);
    let ended = tokio::time::timeout(Duration::from_secs(1), client.rest_of_it()).await.expect("within a second");
    assert!(ended.ends_with("signed_out"), "{ended}");
}

/// HP-12, HP-13: without a true 101 nothing sent after the handshake reaches the upstream on that connection.
#[tokio::test]
async fn premature_bytes_never_reach_an_upstream_that_did_not_switch() {
    let wrong = switch("AAAAAAAAAAAAAAAAAAAAAAAAAAA=");
    let h2c = String::from_utf8(switch(ACCEPT)).unwrap().replace("Upgrade: websocket", "Upgrade: h2c").into_bytes();
    let answers: Vec<(&str, Vec<u8>, &str)> = vec![
        ("200", OK.to_vec(), "HTTP/1.1 200"),
        ("426", b"HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n\r\n".to_vec(), "HTTP/1.1 426"),
        ("wrong accept", wrong, "HTTP/1.1 502"),
        ("other protocol", h2c, "HTTP/1.1 502"),
    ];
    for (name, answer, expected) in answers {
        let upstream = Recorder::start(move |connection, _| {
            Act::Answer(if connection == 0 { answer.clone() } else { OK.to_vec() })
        })
        .await;
        let gateway = Gateway::start(app_config(&[upstream.address])).await;
        let mut client = gateway.connect().await;
        client.send(&format!("{}GET /admin HTTP/1.1\r\nHost: wiki.test\r\nConnection: close\r\n\r\n", ask(""))).await;
        let all = client.rest_of_it().await;
        assert!(all.starts_with(expected), "{name}: {all}");
        assert!(!upstream.bytes(0).contains("/admin"), "{name}: {}", upstream.bytes(0));
        // If it is served, then as a request of its own, on another connection.
        assert!(upstream.connections() == 1 || upstream.bytes(1).starts_with("GET /admin HTTP/1.1\r\n"), "{name}");
    }
}

#[tokio::test]
async fn malformed_handshakes_are_refused_before_the_upstream_hears_of_them() {
    let upstream = Recorder::start(|_, _| Act::Answer(switch(ACCEPT))).await;
    let gateway = Gateway::start(app_config(&[upstream.address])).await;
    let good = ask("");
    for (name, request, status) in [
        ("version 7", good.replace("Version: 13", "Version: 7"), "426"),
        ("no version", good.replace("Sec-WebSocket-Version: 13\r\n", ""), "426"),
        ("short key", good.replace(KEY, "c2hvcnQ="), "400"),
        ("no base64", good.replace(KEY, "!!!!!!!!!!!!!!!!!!!!!!=="), "400"),
        ("no key", good.replace(&format!("Sec-WebSocket-Key: {KEY}\r\n"), ""), "400"),
        ("two keys", ask(&format!("Sec-WebSocket-Key: {KEY}\r\n")), "400"),
        ("no Connection", good.replace("keep-alive, Upgrade", "keep-alive"), "400"),
        ("list", good.replace("Upgrade: websocket", "Upgrade: websocket, h2c"), "400"),
        ("POST", good.replace("GET", "POST"), "400"),
        ("body", ask("Content-Length: 3\r\n"), "400"),
        ("foreign origin", ask("Origin: https://evil.test\r\n"), "403"),
        ("plain origin", ask("Origin: http://wiki.test\r\n"), "403"),
        ("null origin", ask("Origin: null\r\n"), "403"),
        ("suffix origin", ask("Origin: https://wiki.test.evil.test\r\n"), "403"),
    ] {
        let answer = gateway.ask(&request).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{name}: {answer}");
    }
    assert_eq!(upstream.connections(), 0);
}

#[tokio::test]
async fn other_upgrades_and_apps_without_websocket_get_a_plain_request() {
    let upstream = Recorder::ok().await;
    let gateway = Gateway::start(app_config(&[upstream.address])).await;
    gateway.ask("GET / HTTP/1.1\r\nHost: wiki.test\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n").await;
    let mut config = app_config(&[upstream.address]);
    config.websocket = false;
    Gateway::start(config).await.ask(&ask("")).await;
    for connection in 0..2 {
        let sent = upstream.bytes(connection).to_ascii_lowercase();
        assert!(sent.starts_with("get /"), "{sent}");
        assert!(
            !sent.contains("upgrade") && !sent.contains("http2-settings:") && !sent.contains("connection:"),
            "{sent}"
        );
    }
}
