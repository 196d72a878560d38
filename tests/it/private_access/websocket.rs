//! WebSocket over HTTP/1.1: both handshakes are checked, nothing early passes, messages go both ways.

use super::{ask, get};
use crate::world::provider::Kind;
use crate::world::upstream::{Answer, Request};
use crate::world::websocket::{CLOSE, Frame, TEXT, WebSocket};
use crate::world::{ALICE, APP, World};

const KEY: &str = "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n";

fn script(request: &Request) -> Answer {
    let head = "HTTP/1.1 101 Switching Protocols\r\n";
    match request.target() {
        "/ws" => Answer::WebSocketEcho,
        "/wrong-key" => Answer::BytesThenHang(
            format!("{head}Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n").into(),
        ),
        "/no-upgrade" => Answer::BytesThenHang(format!("{head}Connection: Upgrade\r\n\r\n").into()),
        "/other" => Answer::BytesThenHang(format!("{head}Upgrade: h2c\r\nConnection: Upgrade\r\n\r\n").into()),
        other => Answer::text(other),
    }
}

#[tokio::test]
async fn messages_go_both_ways_and_identity_goes_with_the_handshake() {
    let world = World::with(Kind::Simulator, script, |_| {}).await;
    let cookie = world.cookie(ALICE).await;
    world.app.forget();
    let headers = format!("Cookie: {cookie}\r\nX-Auth-Subject: root\r\nSec-WebSocket-Protocol: chat\r\n");
    let mut socket = WebSocket::open(world.raw(APP).await, APP, "/ws", &headers).await.unwrap();
    for text in ["one", &"long ".repeat(10_000)] {
        let frame = socket.echo(text).await.unwrap();
        assert_eq!((frame.opcode, frame.payload), (TEXT, text.as_bytes().to_vec()));
    }
    let request = world.app.only_request();
    assert!(request.header("x-auth-subject").unwrap().ends_with(ALICE.oid) && !request.head.contains("root"));
    assert_eq!(
        (request.header("upgrade"), request.header("sec-websocket-protocol")),
        (Some("websocket"), Some("chat"))
    );
    assert_eq!(request.headers("connection"), ["Upgrade"]);
    assert_eq!(request.header("cookie"), None);
    // The app's close frame reaches the client, and the end after it.
    let close = Frame { opcode: CLOSE, payload: b"\x03\xe8".to_vec() };
    socket.send(&close).await;
    assert_eq!(socket.next().await, Some(close));
    assert_eq!(socket.next().await, None);
}

/// HP-13.
#[tokio::test]
async fn bad_handshakes_open_no_tunnel() {
    let world = World::with(Kind::Simulator, script, |_| {}).await;
    let cookie = world.cookie(ALICE).await;
    world.app.forget();
    let usual = format!("Cookie: {cookie}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n");
    for (name, headers, status) in [
        ("version 7", format!("{usual}{KEY}Sec-WebSocket-Version: 7\r\n"), 426),
        ("no key", format!("{usual}Sec-WebSocket-Version: 13\r\n"), 400),
        ("short key", format!("{usual}Sec-WebSocket-Key: AAAA\r\nSec-WebSocket-Version: 13\r\n"), 400),
        ("another origin", format!("{usual}{KEY}Sec-WebSocket-Version: 13\r\nOrigin: https://evil.test\r\n"), 403),
        ("plain origin", format!("{usual}{KEY}Sec-WebSocket-Version: 13\r\nOrigin: http://app.test\r\n"), 403),
    ] {
        let response = ask(&world, APP, "GET /ws", &headers).await;
        assert_eq!(response.status, status, "{name}: {}", response.head);
    }
    assert_eq!(world.app.seen(), 0);
    for path in ["/wrong-key", "/no-upgrade", "/other"] {
        let headers = format!("{usual}{KEY}Sec-WebSocket-Version: 13\r\nOrigin: https://{APP}\r\n");
        let response = ask(&world, APP, &format!("GET {path}"), &headers).await;
        assert_eq!(response.status, 502, "{path}");
    }
    assert_eq!(get(&world, &cookie, "/fine").await.text(), "/fine");
    let stranger = ask(
        &world,
        APP,
        "GET /ws",
        &format!("Upgrade: websocket\r\nConnection: Upgrade\r\n{KEY}Sec-WebSocket-Version: 13\r\n"),
    )
    .await;
    assert_eq!(stranger.status, 401);
}
