//! What the HTTP library lets through by itself and the gateway refuses from the start: raw bytes, a valid session,
//! a second request behind each, and what the upstream saw of it.

use crate::world::http2::{Http2, Outcome, SETTINGS};
use crate::world::provider::Kind;
use crate::world::raw::{NoResponse, Raw};
use crate::world::upstream::Answer;
use crate::world::{ALICE, APP, World};

/// What has to come of a row.
#[derive(Clone, Copy, Debug)]
enum Must {
    /// This status, the connection ended, the upstream saw nothing whole, and not one byte of the canary.
    Close(u16),
    /// This status by the gateway itself; the request behind is one of its own.
    Refuse(u16),
    /// The app answered; the request behind is one of its own.
    Pass,
    /// The app answered, then the connection ended as the client asked.
    PassAndClose,
}

/// One row: its name in the catalogue, the bytes, and what must come of it. `$` stands for `Host` and the session
/// cookie, `@` for the cookie alone.
type Row = (&'static str, &'static str, Must);

use Must::{Close, Pass, PassAndClose, Refuse};

const LENGTHS: &[Row] = &[
    ("R01", "POST / HTTP/1.1\r\n$Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG", Close(400)),
    ("R02", "POST / HTTP/1.1\r\n$Transfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\nG", Close(400)),
    (
        "R03",
        "POST / HTTP/1.1\r\n$Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        Close(400),
    ),
    (
        "R04",
        "POST / HTTP/1.1\r\n$Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        Close(400),
    ),
    ("R05", "POST / HTTP/1.1\r\n$Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", Close(400)),
    ("R06", "POST / HTTP/1.1\r\n$Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", Close(400)),
    ("R07", "POST / HTTP/1.1\r\n$Transfer-Encoding: ,chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", Close(400)),
    ("R08", "POST / HTTP/1.1\r\n$Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n", Close(400)),
    ("R09", "POST / HTTP/1.1\r\n$Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", Close(501)),
    ("R10", "POST / HTTP/1.1\r\n$Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", Close(400)),
    ("R11", "POST / HTTP/1.1\r\n$Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", Close(400)),
    ("R12", "POST / HTTP/1.1\r\n$X: y\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Close(400)),
    ("R12b", "POST / HTTP/1.1\r\n$Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", Close(400)),
    ("R13", "POST / HTTP/1.0\r\n$Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Close(400)),
    ("R14", "POST / HTTP/1.1\r\n$Content-Length: 1\r\nContent-Length: 1\r\n\r\na", Close(400)),
    ("R15", "POST / HTTP/1.1\r\n$Content-Length: 1\r\nContent-Length: 0\r\n\r\na", Close(400)),
    ("R16", "POST / HTTP/1.1\r\n$Content-Length: 1, 1\r\n\r\na", Close(400)),
    ("R17", "POST / HTTP/1.1\r\n$Content-Length: +1\r\n\r\na", Close(400)),
    ("R18", "POST / HTTP/1.1\r\n$Content-Length: -1\r\n\r\na", Close(400)),
    ("R19", "POST / HTTP/1.1\r\n$Content-Length: 0x1\r\n\r\na", Close(400)),
    ("R20", "POST / HTTP/1.1\r\n$Content-Length: 01\r\n\r\na", Close(400)),
    ("R21", "POST / HTTP/1.1\r\n$Content-Length: \r\n\r\na", Close(400)),
    ("R22", "POST / HTTP/1.1\r\n$Content-Length: 1_0\r\n\r\na", Close(400)),
    ("R23", "POST / HTTP/1.1\r\n$Content-Length: 18446744073709551616\r\n\r\na", Close(400)),
    ("R24", "GET /body HTTP/1.1\r\n$Content-Length: 3\r\n\r\nabc", Pass),
];

const HEADS: &[Row] = &[
    ("R25", "GET / HTTP/1.1\n$\n", Close(400)),
    ("R25b", "GET / HTTP/1.1\r\n$X: y\n\r\n", Close(400)),
    ("R26", "GET / HTTP/1.1\r\n$X: a\rb\r\n\r\n", Close(400)),
    ("R27", "GET / HTTP/1.1\r\n$X: a\0b\r\n\r\n", Close(400)),
    ("R28", "GET / HTTP/1.1\r\n$: y\r\n\r\n", Close(400)),
    ("R29", "GET / HTTP/1.1\r\n$X\r\n\r\n", Close(400)),
    ("R30", "GET / HTTP/1.1\r\n X: y\r\n$\r\n", Close(400)),
    ("R31", "GET / HTTP/1.1\r\n$X: a\r\n\tb\r\n\r\n", Close(400)),
    ("R32", "GET / HTTP/1.1\r\n@\r\n", Close(400)),
    ("R33", "GET / HTTP/1.1\r\n$Host: fin.test\r\n\r\n", Close(400)),
    ("R34", "GET / HTTP/1.1\r\nHost: app.test/b\r\n@\r\n", Refuse(400)),
    ("R35", "GET / HTTP/1.1\r\nHost: x@app.test\r\n@\r\n", Refuse(400)),
    ("R36", "GET http://other.test/x HTTP/1.1\r\n$\r\n", Close(400)),
    ("R37", "GET /a#b HTTP/1.1\r\n$\r\n", Close(400)),
    ("R38", "GET admin HTTP/1.1\r\n$\r\n", Close(400)),
    ("R39", "GET //evil.test/x HTTP/1.1\r\n$\r\n", Refuse(400)),
    ("R40", "GET /pub/../admin HTTP/1.1\r\n$\r\n", Refuse(400)),
    ("R41", "GET /pub/%2e%2e/admin HTTP/1.1\r\n$\r\n", Refuse(400)),
    ("R42", "GET /pub/\\..\\admin HTTP/1.1\r\n$\r\n", Close(400)),
    ("R43", "GET /\u{fc} HTTP/1.1\r\n$\r\n", Close(400)),
    ("R44", "GET\t/ HTTP/1.1\r\n$\r\n", Close(400)),
    ("R45", "GET  / HTTP/1.1\r\n$\r\n", Close(400)),
    ("R46", "GET / HTTP/1.2\r\n$\r\n", Close(400)),
    ("R47", "GET /\r\n\r\n", Close(400)),
    ("R48", "get / HTTP/1.1\r\n$\r\n", Refuse(405)),
    ("R49", "TRACE / HTTP/1.1\r\n$\r\n", Refuse(405)),
    ("R50", "CONNECT 127.0.0.1:9 HTTP/1.1\r\n$\r\n", Close(405)),
    ("R51", "OPTIONS * HTTP/1.1\r\n$\r\n", Refuse(204)),
    ("R74", "POST / HTTP/1.1\r\n$Expect: y 100-continue\r\nContent-Length: 1\r\n\r\na", Close(417)),
    ("R80", "GET / HTTP/1.1\r\n$\rZ\r\n\r\n", Close(400)),
    ("R81", "POST / HTTP/1.1\r\n$Content_Length: 3\r\n\r\nabc", Close(400)),
    (
        "R82",
        "GET /nominated HTTP/1.1\r\n$Connection: close, x-forwarded-user\r\nX-Forwarded-User: root\r\n\r\n",
        PassAndClose,
    ),
    ("HP-08 more behind the version", "GET / HTTP/1.1 x\r\n$\r\n", Close(400)),
    ("HP-08 vertical tab", "GET\x0b/ HTTP/1.1\r\n$\r\n", Close(400)),
    ("HP-09 two names", "GET / HTTP/1.1\r\nHost: app.test, fin.test\r\n@\r\n", Refuse(400)),
    ("HP-09 other port", "GET / HTTP/1.1\r\nHost: app.test:8443\r\n@\r\n", Refuse(400)),
    ("HP-09 port and at", "GET / HTTP/1.1\r\nHost: app.test:443@fin.test\r\n@\r\n", Refuse(400)),
    ("HP-09 case and dot", "GET /dot HTTP/1.1\r\nHost: APP.test.\r\n@\r\n", Pass),
    ("HP-14 another upgrade", "GET / HTTP/1.1\r\n$Host:\r\nUpgrade: h2c\r\n\r\n", Close(400)),
    ("HP-20", "POST / HTTP/1.0\r\n$\r\n", Close(411)),
];

/// Bodies whose head was good: it has gone to the upstream when the fault is seen.
const CHUNKS: &[Row] = &[
    ("R52", "5;a=b\r\nhello\r\n0\r\n\r\n", Pass),
    ("R53", "5;a\nb\r\nhello\r\n0\r\n\r\n", Close(400)),
    ("R54", "5;a\rb\r\nhello\r\n0\r\n\r\n", Close(400)),
    ("R55", "5\nhello\r\n0\r\n\r\n", Close(400)),
    ("R56", "0x5\r\nhello\r\n0\r\n\r\n", Close(400)),
    ("R57", "+5\r\nhello\r\n0\r\n\r\n", Close(400)),
    ("R58", "5 \r\nhello\r\n0\r\n\r\n", Pass),
    ("R59", "\r\nhello\r\n0\r\n\r\n", Close(400)),
    ("R60", "10000000000000000\r\nhello\r\n0\r\n\r\n", Close(400)),
    ("R61", "3\r\nhello\r\n0\r\n\r\n", Close(400)),
    ("R62", "5\r\nhello\n0\r\n\r\n", Close(400)),
    ("R63", "5\r\nhello\r\n0\r\n\n", Close(400)),
    ("R64", "5\r\nhello\r\n0\r\nXX", Close(400)),
    ("R65", "5\r\nhello\r\n0\r\nX-User: admin\r\nX-Auth-Subject: admin\r\n\r\n", Pass),
    ("R65b", "5\r\nhello\r\n0\r\nContent-Length: 9\r\n\r\n", Pass),
    ("HP-05", "5;a=\"\r\nX\"\r\nhello\r\n0\r\n\r\n", Close(400)),
];

#[tokio::test]
async fn ambiguous_lengths_are_refused_and_the_connection_ends() {
    let bench = Bench::start().await;
    for row in LENGTHS {
        bench.judge(row).await;
    }
    let body = bench.upstream_bytes("GET /body ");
    assert!(body.contains("content-length: 3\r\n") && body.contains("\r\n\r\nabc"), "{body}");
}

#[tokio::test]
async fn malformed_heads_are_refused_and_never_reach_the_app() {
    let bench = Bench::start().await;
    for row in HEADS {
        bench.judge(row).await;
    }
    assert!(!bench.upstream_bytes("GET /nominated ").to_lowercase().contains("x-forwarded-user"));
}

#[tokio::test]
async fn a_broken_chunked_body_breaks_the_exchange_off_on_both_sides() {
    let bench = Bench::start().await;
    for (name, body, must) in CHUNKS {
        let request = format!("POST /chunked HTTP/1.1\r\n$Transfer-Encoding: chunked\r\n\r\n{body}");
        bench.judge(&(*name, &request, *must)).await;
        let sent = bench.upstream_bytes("POST /chunked ");
        assert!(!sent.contains("5;") && !sent.contains("5 \r\n") && !sent.contains("admin"), "{name}: {sent}");
    }
    let whole = bench.world.app.requests().into_iter().filter(|request| request.target() == "/chunked");
    assert!(whole.into_iter().all(|request| request.body == b"hello"));
}

#[tokio::test]
async fn caps_of_a_head_are_answered_with_their_own_status() {
    let bench = Bench::start().await;
    let lines = "X: y\r\n".repeat(101);
    for (name, request, status) in [
        ("R68", format!("GET / HTTP/1.1\r\n${lines}\r\n"), 431),
        ("R69", format!("GET / HTTP/1.1\r\n$X: {}\r\n\r\n", "y".repeat(500_000)), 431),
        ("R70", format!("GET /{} HTTP/1.1\r\n$\r\n", "y".repeat(100_000)), 414),
        ("HP-08", format!("{} / HTTP/1.1\r\n$\r\n", "M".repeat(9_000)), 400),
    ] {
        bench.judge(&(name, &request, Close(status))).await;
    }
}

#[tokio::test]
async fn odd_names_and_bytes_in_values_are_dropped_or_passed_as_they_are() {
    let bench = Bench::start().await;
    for (name, header, kept) in [
        ("R66", &b"X_Forwarded_User: root"[..], false),
        ("R67", b"X.Forwarded.User: root", false),
        ("R75", b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\nConnection: Upgrade, HTTP2-Settings", false),
        ("R79", b"X-Bytes: \xff\xa0\x85", true),
        ("R79 in a protected header", b"X-Auth-Subject: \xfe\xa1\x86", false),
    ] {
        let before = bench.world.app.seen();
        let mut request = b"GET /odd HTTP/1.1\r\n".to_vec();
        request.extend_from_slice(bench.filled("$").as_bytes());
        request.extend_from_slice(header);
        request.extend_from_slice(b"\r\n\r\n");
        let mut raw = bench.world.raw(APP).await;
        raw.send(&request).await;
        assert_eq!(raw.response().await.unwrap().status, 200, "{name}");
        raw.send(bench.filled(CANARY).as_bytes()).await;
        assert_eq!(raw.response().await.unwrap().text(), "/canary", "{name}");
        assert_eq!(bench.world.app.seen(), before + 2, "{name}");
        let (at, line) = (&bench.world.app.bytes().concat(), header.split(|byte| *byte == b':').nth(1).unwrap());
        assert_eq!(at.windows(line.len()).any(|window| window == line), kept, "{name}");
        let head = bench.world.app.requests()[before].head.to_lowercase();
        assert!(!head.contains("upgrade") && !head.contains("http2-settings") && !head.contains("root"), "{head}");
    }
}

#[tokio::test]
async fn expectation_is_answered_by_the_gateway_and_never_forwarded() {
    let bench = Bench::start().await;
    let mut raw = bench.world.raw(APP).await;
    raw.send(bench.filled("POST /expect HTTP/1.1\r\n$Expect: 100-continue\r\nContent-Length: 5\r\n\r\n").as_bytes())
        .await;
    while !raw.pending().ends_with(b"\r\n\r\n") {
        assert!(raw.more().await.unwrap() > 0);
    }
    assert!(raw.pending().starts_with(b"HTTP/1.1 100 "), "{:?}", raw.pending());
    raw.send(b"hello").await;
    assert_eq!(raw.response().await.unwrap().text(), "/expect");
    let request = bench.world.app.only_request();
    assert_eq!((request.header("expect"), request.body.as_slice()), (None, &b"hello"[..]));
}

#[tokio::test]
async fn a_request_behind_a_websocket_handshake_never_reaches_the_app_unjudged() {
    let world = World::with(
        Kind::Simulator,
        |request| match request.target() {
            "/ws" => Answer::WebSocketEcho,
            "/no" => Answer::Bytes(b"HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n\r\n".to_vec()),
            other => Answer::text(other),
        },
        |_| {},
    )
    .await;
    let bench = Bench::of(world).await;
    let handshake = "HTTP/1.1\r\n$Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                     Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";
    let early = "GET /smuggled HTTP/1.1\r\nHost: app.test\r\n\r\n";
    // R77: the app takes the upgrade, so the bytes were neither its protocol's nor a request.
    let mut raw = bench.world.raw(APP).await;
    raw.send(bench.filled(&format!("GET /ws {handshake}{early}")).as_bytes()).await;
    assert_eq!(raw.response().await.unwrap().status, 400);
    assert_eq!(raw.rest().await.unwrap(), b"");
    // The app declines: what follows is a request like every other, and this one carries no session.
    let mut raw = bench.world.raw(APP).await;
    raw.send(bench.filled(&format!("GET /no {handshake}{early}")).as_bytes()).await;
    assert_eq!(raw.response().await.unwrap().status, 426);
    assert!(matches!(raw.response().await.map(|response| response.status), Ok(401 | 302) | Err(NoResponse::Ended)));
    let all = String::from_utf8_lossy(&bench.world.app.bytes().concat()).into_owned();
    assert!(!all.contains("/smuggled"), "{all}");
}

#[tokio::test]
async fn an_http2_preface_where_http1_was_agreed_is_refused() {
    let bench = Bench::start().await;
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let plain = Raw::tcp(bench.world.gateway.redirect()).await.unwrap();
    for mut raw in [plain, bench.world.raw(APP).await] {
        raw.send(preface).await;
        let answer = raw.rest().await.unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 400 ") || answer.starts_with(b"HTTP/1.1 505 "), "{answer:?}");
    }
}

/// HP-03: every disguise of the framing headers is refused, or forwarded as exactly one request with one framing.
#[tokio::test]
async fn no_disguise_of_a_framing_header_makes_two_requests_of_one() {
    let bench = Bench::start().await;
    let names: [fn(&str) -> String; 13] = [
        |name| name.to_owned(),
        |name| format!("{name} "),
        |name| format!("{name}\t"),
        |name| format!(" {name}"),
        |name| format!("{name}\x0b"),
        |name| format!("{name}\0"),
        |name| format!("{name}\x7f"),
        |name| name.replace('-', "_"),
        |name| name.replace('-', " "),
        |name| name.replace('-', "\\"),
        |name| format!("Foo: bar\n{name}"),
        |name| format!("Foo: bar\r{name}"),
        |name| name.replace("-E", "-%45").replace("-L", "-%4c"),
    ];
    let values: [fn(&str) -> String; 9] = [
        |value| value.to_owned(),
        |value| format!("{value} "),
        |value| format!("\x0b{value}"),
        |value| format!("{value}\x0c"),
        |value| format!("\"{value}\""),
        |value| format!("{value}\r"),
        |value| format!("{value}, {value}"),
        |value| format!("{value}\0"),
        |value| format!("=?utf-8?B?{value}?="),
    ];
    for (header, right) in [("Transfer-Encoding", "chunked"), ("Content-Length", "5")] {
        for (name, value) in names.iter().flat_map(|name| values.iter().map(move |value| (name(header), value(right))))
        {
            let before = (bench.world.app.seen(), bench.world.app.bytes().concat().len());
            let mut raw = bench.world.raw(APP).await;
            let request = format!("POST /disguise HTTP/1.1\r\n${name}: {value}\r\n\r\n0\r\n\r\n{CANARY}");
            raw.send(bench.filled(&request).as_bytes()).await;
            let status = raw.response().await.unwrap().status;
            let seen = bench.world.app.requests()[before.0..].to_vec();
            let told = format!("{name:?}: {value:?} -> {status}, {seen:#?}");
            if status != 200 {
                assert!((400..=501).contains(&status), "{told}");
                assert_eq!(raw.rest().await, Ok(Vec::new()), "{told}");
                let now = bench.world.app.bytes().concat();
                assert!(!String::from_utf8_lossy(&now[before.1..]).contains("canary"), "{told}");
                continue;
            }
            // It was read as one harmless request. What is behind is then judged as the next one, whose bytes the
            // upstream sees only if they were a request of their own.
            let framings = seen[0].headers("content-length").len() + seen[0].headers("transfer-encoding").len();
            assert!(framings <= 1, "{told}");
            let behind = raw.response().await;
            assert!(
                matches!(&behind, Ok(response) if response.status == 400 || response.text() == "/canary"),
                "{told}"
            );
        }
    }
}

#[tokio::test]
async fn http2_requests_that_the_library_lets_through_are_judged() {
    let bench = Bench::start().await;
    let cookie = &*bench.cookie;
    let usual = [(":method", "GET"), (":scheme", "https"), (":path", "/h2"), (":authority", APP), ("cookie", cookie)];
    let with = |name: &'static str, value: &'static str| {
        usual.map(|(known, old)| if known == name { (known, value) } else { (known, old) }).to_vec()
    };
    let and = |name, value| [usual.to_vec(), vec![(name, value)]].concat();
    let without = |name: &'static str| usual.into_iter().filter(|(known, _)| *known != name).collect::<Vec<_>>();
    for (name, list, status, seen) in [
        ("usual", usual.to_vec(), 200, 1),
        ("authority and host differ", and("host", "fin.test"), 400, 0),
        ("authority and host agree", and("host", APP), 200, 1),
        ("host alone", [without(":authority"), vec![("host", APP)]].concat(), 400, 0),
        ("neither", without(":authority"), 400, 0),
        ("userinfo", with(":authority", "x@app.test"), 400, 0),
        ("other port", with(":authority", "app.test:8443"), 400, 0),
        ("another app's host", with(":authority", "fin.test"), 421, 0),
        ("scheme http", with(":scheme", "http"), 400, 0),
        ("TRACE", with(":method", "TRACE"), 405, 0),
        ("CONNECT", vec![(":method", "CONNECT"), (":authority", "127.0.0.1:9"), ("cookie", cookie)], 405, 0),
        ("x_forwarded_user", and("x_forwarded_user", "root"), 200, 1),
        ("http2-settings", and("http2-settings", "AAMAAABk"), 200, 1),
        ("expect", and("expect", "y 100-continue"), 417, 0),
        ("dot segments", with(":path", "/a/../admin"), 400, 0),
        ("two authorizations", [and("authorization", "a"), vec![("authorization", "b")]].concat(), 400, 0),
    ] {
        let before = bench.world.app.seen();
        let mut http2 = bench.http2().await;
        http2.headers(1, true, &list).await;
        let outcome = http2.outcome(1).await;
        assert_eq!(outcome, Outcome::Status(status), "{name}");
        http2.headers(3, true, &with(":path", "/canary")).await;
        assert_eq!(http2.outcome(3).await, Outcome::Status(200), "the canary behind {name}");
        let requests = bench.world.app.requests()[before..].to_vec();
        assert_eq!(requests.len(), seen + 1, "{name}: {requests:#?}");
        let head = requests[0].head.to_lowercase();
        assert!(!head.contains("root") && !head.contains("http2-settings"), "{name}: {head}");
    }
}

#[tokio::test]
async fn http2_cookie_crumbs_are_joined_before_anybody_reads_them() {
    let bench = Bench::start().await;
    let mut http2 = bench.http2().await;
    http2
        .headers(
            1,
            true,
            &[
                (":method", "GET"),
                (":scheme", "https"),
                (":path", "/crumbs"),
                (":authority", APP),
                ("cookie", "a=1"),
                ("cookie", &bench.cookie),
                ("cookie", "b=2"),
            ],
        )
        .await;
    assert_eq!(http2.outcome(1).await, Outcome::Status(200));
    assert_eq!(bench.world.app.only_request().headers("cookie"), ["a=1; b=2"]);
}

#[tokio::test]
async fn http2_does_not_offer_extended_connect() {
    let bench = Bench::start().await;
    let mut http2 = bench.http2().await;
    let settings = http2.frame().await.unwrap();
    assert_eq!(settings.kind, SETTINGS);
    let ids: Vec<u16> = settings.payload.chunks(6).map(|entry| u16::from_be_bytes([entry[0], entry[1]])).collect();
    assert!(!ids.is_empty() && !ids.contains(&8), "SETTINGS_ENABLE_CONNECT_PROTOCOL is 8: {ids:?}");
}

/// A world with a session.
struct Bench {
    world: World,
    cookie: String,
}

impl Bench {
    async fn start() -> Self {
        Self::of(World::start(Kind::Simulator).await).await
    }

    /// With nothing at the upstream yet but what signing in brought there, which is forgotten.
    async fn of(world: World) -> Self {
        let cookie = world.cookie(ALICE).await;
        world.app.forget();
        Self { world, cookie }
    }

    fn filled(&self, bytes: &str) -> String {
        let cookie = format!("Cookie: {}\r\n", self.cookie);
        bytes.replace('$', &format!("Host: {APP}\r\n{cookie}")).replace('@', &cookie)
    }

    async fn http2(&self) -> Http2 {
        Http2::begin(
            Raw::tls(self.world.gateway.https(), APP, Some(&["h2"]), &self.world.authority.roots).await.unwrap(),
        )
        .await
    }

    /// What the upstream got on the connection that last carried `begin`, as text.
    fn upstream_bytes(&self, begin: &str) -> String {
        let all: Vec<String> =
            self.world.app.bytes().iter().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect();
        let found = all.iter().rev().find_map(|text| text.rfind(begin).map(|at| text[at..].to_owned()));
        found.unwrap_or_else(|| panic!("{begin} is not in {all:#?}"))
    }

    async fn judge(&self, (name, bytes, must): &(&str, &str, Must)) {
        let before = (self.world.app.seen(), self.world.app.bytes().concat().len());
        let mut raw = self.world.raw(APP).await;
        // An @ in a host is meant as it is; only at the beginning of a line it is the cookie.
        let request = bytes.replace("\r\n@", "\r\n\u{1}").replace('@', "\u{2}").replace('\u{1}', "@");
        let request = self.filled(&request).replace('\u{2}', "@");
        raw.send(format!("{request}{}", self.filled(CANARY)).as_bytes()).await;
        let first = raw.response().await.unwrap_or_else(|error| panic!("{name}: {error:?}"));
        let told = format!("{name}: {bytes:.300?} -> {}", first.head);
        let seen = |told: &str| {
            let requests = self.world.app.requests()[before.0..].to_vec();
            assert!(
                requests.iter().all(|request| !request.head.contains('\n') || request.head.contains("\r\n")),
                "{told}"
            );
            requests.iter().map(|request| request.target().to_owned()).collect::<Vec<_>>()
        };
        match must {
            Close(status) => {
                assert_eq!(first.status, *status, "{told}");
                assert_eq!(first.header("connection"), Some("close"), "{told}");
                assert_eq!(raw.rest().await, Ok(Vec::new()), "nothing more comes: {told}");
                assert_eq!(seen(&told), [""; 0], "{told}");
                let now = self.world.app.bytes().concat();
                assert!(!String::from_utf8_lossy(&now[before.1.min(now.len())..]).contains("canary"), "{told}");
            }
            Refuse(status) => {
                assert_eq!(first.status, *status, "{told}");
                assert_eq!(raw.response().await.map(|response| response.text()).as_deref(), Ok("/canary"), "{told}");
                assert_eq!(seen(&told), ["/canary"], "{told}");
            }
            Pass => {
                assert_eq!(first.status, 200, "{told}");
                assert_eq!(raw.response().await.map(|response| response.text()).as_deref(), Ok("/canary"), "{told}");
                assert_eq!(seen(&told).len(), 2, "{told}");
            }
            PassAndClose => {
                assert_eq!(first.status, 200, "{told}");
                assert_eq!(raw.rest().await, Ok(Vec::new()), "{told}");
                assert_eq!(seen(&told).len(), 1, "{told}");
            }
        }
    }
}

const CANARY: &str = "GET /canary HTTP/1.1\r\n$\r\n";
