//! Ending a session ends what it still streams, within a second and with the reason; nobody else notices.

use std::process::Command;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::{events, http2, kill_session, metric};
use crate::world::http2::{DATA, Http2, Outcome};
use crate::world::provider::Kind;
use crate::world::raw::Raw;
use crate::world::upstream::{Answer, Request};
use crate::world::websocket::{CLOSE, WebSocket};
use crate::world::{ALICE, APP, BOB, TENANT, World, eventually, shapes};

/// SE-10, AZ-06.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ending_a_session_ends_its_streams_within_a_second_and_nobody_elses() {
    let world = World::with(Kind::Simulator, script, |settings| settings.workers = 2).await;
    let alice = world.cookie(ALICE).await;
    let bob = world.cookie(BOB).await;
    let mut hers = Streams::open(&world, &alice).await;
    let mut his = Streams::open(&world, &bob).await;
    eventually("all are counted as open", Duration::from_secs(5), || async {
        metric(&world, "portcullis_streams_open").await == 8
    })
    .await;
    let sign_in = &events(&world, "sign_in")[0];
    assert_eq!(sign_in["name"], ALICE.name);
    let session = sign_in["session"].as_str().unwrap();
    kill_session(&world, session);
    let killed = Instant::now();
    hers.end(b"\x03\xf0revoked").await;
    assert!(killed.elapsed() < Duration::from_secs(1), "it took {:?}", killed.elapsed());
    his.flow().await;
    // The same connection asks again: it is refused, and stays.
    hers.http2.headers(3, true, &asking("/x", &alice)).await;
    assert_eq!(hers.http2.outcome(3).await, Outcome::Status(401));
    let cuts = events(&world, "stream_cut");
    assert_eq!(cuts.len(), 4, "{cuts:#?}");
    for cut in cuts {
        assert_eq!((&cut["reason"], &cut["app"], &cut["name"]), (&"revoked".into(), &"app".into(), &ALICE.name.into()));
        assert_eq!(cut["session"], session);
        let opened = cut["request_id"].as_str().unwrap();
        let decisions = events(&world, "decision");
        assert_eq!(decisions.iter().filter(|decision| decision["request_id"] == opened).count(), 1);
    }
    assert_eq!(metric(&world, "portcullis_streams_cut_total{reason=\"revoked\"}").await, 4);
    assert_eq!(metric(&world, "portcullis_streams_open").await, 4);
    drop(his);
    eventually("closed streams are no longer counted", Duration::from_secs(5), || async {
        metric(&world, "portcullis_streams_open").await == 0
    })
    .await;
    assert!(metric(&world, "portcullis_client_sent_bytes_total").await > 100_000);
}

#[tokio::test]
async fn signing_out_closes_the_web_socket_with_the_reason() {
    let world = World::with(Kind::Simulator, script, |_| {}).await;
    let mut browser = world.signed_in(ALICE).await;
    let cookie = format!("{}={}", shapes::COOKIE, browser.jar().value(APP, shapes::COOKIE).unwrap());
    let mut socket = socket(&world, &cookie).await;
    let page = browser.open(&format!("https://{}{}", shapes::AUTH_HOST, shapes::SIGN_OUT)).await;
    let form = page.forms().into_iter().next().expect("a form that signs out");
    browser.submit(&form).await;
    let signed_out = Instant::now();
    let frame = timeout(Duration::from_secs(1), socket.next()).await.expect("within a second").expect("a close frame");
    assert_eq!((frame.opcode, frame.payload.as_slice()), (CLOSE, &b"\x03\xf0signed_out"[..]));
    assert_eq!(socket.next().await, None);
    assert!(signed_out.elapsed() < Duration::from_secs(1));
    eventually("the cut is written down", Duration::from_secs(5), || async {
        events(&world, "stream_cut").first().is_some_and(|cut| cut["reason"] == "signed_out")
    })
    .await;
}

/// A stream that is open counts as use: the session does not run idle under it.
#[tokio::test]
async fn a_stream_keeps_its_session_in_use() {
    let world = World::with(Kind::Simulator, script, |settings| {
        settings.keys.push(("[session]", "idle = \"1m\"".to_owned()));
    })
    .await;
    let cookie = world.cookie(ALICE).await;
    let mut raw = open(&world, &cookie, "/events").await;
    until(&mut raw, b"data: 3").await;
    let listed = Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .args(["session", "ls", "--json", "--config"])
        .arg(world.gateway.dir().join("portcullis.toml"))
        .output()
        .unwrap();
    let listed: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert!(listed.to_string().contains("\"streams\":1"), "{listed}");
}

/// A rule that is changed while streams are open is obeyed by them too: who would not be let in now is put out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_change_ends_the_streams_it_forbids_within_a_second_and_no_others() {
    let world = World::with(Kind::Simulator, script, |settings| settings.workers = 2).await;
    let (alice, bob) = (world.cookie(ALICE).await, world.cookie(BOB).await);
    let mut hers = Streams::open(&world, &alice).await;
    let mut his = Streams::open(&world, &bob).await;
    let rules = format!(
        "[[rule]]\nname = \"not-alice\"\nusers = [\"{TENANT}:{}\"]\nverdict = \"block\"\n\n{}",
        ALICE.oid,
        shapes::RULES
    );
    std::fs::write(world.gateway.dir().join("rules.toml"), rules).unwrap();
    let changed = Instant::now();
    world.gateway.reload();
    hers.end(b"\x03\xf0verdict_changed").await;
    assert!(changed.elapsed() < Duration::from_secs(2), "it took {:?}", changed.elapsed());
    his.flow().await;
    let changes = events(&world, "verdict_changed");
    assert_eq!(changes.len(), 4, "{changes:#?}");
    for change in changes {
        assert_eq!((&change["reason"], &change["rule"]), (&"rule_blocks".into(), &"not-alice".into()));
        assert_eq!((&change["app"], &change["name"]), (&"app".into(), &ALICE.name.into()));
    }
    assert_eq!(metric(&world, "portcullis_streams_cut_total{reason=\"verdict_changed\"}").await, 4);
}

pub(super) fn script(request: &Request) -> Answer {
    match request.target() {
        "/ws" => Answer::WebSocketEcho,
        "/events" => Answer::Events { every: Duration::from_millis(20) },
        "/big" => Answer::Download { bytes: 50_000_000, per_second: 1_000_000 },
        other => Answer::text(other),
    }
}

/// One person's open streams: WebSocket, events over both versions, a download.
pub(super) struct Streams {
    pub(super) socket: WebSocket,
    pub(super) events: Raw,
    pub(super) http2: Http2,
    pub(super) download: Raw,
}

impl Streams {
    pub(super) async fn open(world: &World, cookie: &str) -> Self {
        let mut streams = Self {
            socket: socket(world, cookie).await,
            events: open(world, cookie, "/events").await,
            http2: http2(world, APP).await,
            download: open(world, cookie, "/big").await,
        };
        streams.http2.headers(1, true, &asking("/events", cookie)).await;
        streams.flow().await;
        streams
    }

    /// Everything still moves.
    pub(super) async fn flow(&mut self) {
        assert!(self.socket.echo("hello").await.is_some_and(|frame| frame.payload == b"hello"));
        for raw in [&mut self.events, &mut self.download] {
            let length = raw.pending().len();
            raw.consume(length);
            assert!(raw.more().await.is_ok_and(|n| n > 0));
        }
        while self.http2.frame().await.expect("an open connection").kind != DATA {}
    }

    /// Everything ends, and none of it as if it were complete.
    async fn end(&mut self, close: &[u8]) {
        let closing = async {
            let frame = self.socket.next().await.expect("a close frame");
            assert_eq!((frame.opcode, frame.payload.as_slice()), (CLOSE, close));
            assert_eq!(self.socket.next().await, None);
        };
        let (events, download, outcome, ()) =
            tokio::join!(self.events.rest(), self.download.rest(), self.http2.outcome(1), closing);
        assert!(!events.unwrap().ends_with(b"0\r\n\r\n"));
        assert!(download.unwrap().len() < 40_000_000);
        assert!(matches!(outcome, Outcome::Reset(_)), "{outcome:?}");
    }
}

async fn socket(world: &World, cookie: &str) -> WebSocket {
    WebSocket::open(world.raw(APP).await, APP, "/ws", &format!("Cookie: {cookie}\r\n")).await.unwrap()
}

async fn open(world: &World, cookie: &str, path: &str) -> Raw {
    let mut raw = world.raw(APP).await;
    raw.send(format!("GET {path} HTTP/1.1\r\nHost: {APP}\r\nCookie: {cookie}\r\n\r\n").as_bytes()).await;
    until(&mut raw, b"\r\n\r\n").await;
    assert!(raw.pending().starts_with(b"HTTP/1.1 200 "));
    raw
}

async fn until(raw: &mut Raw, end: &[u8]) {
    while !raw.pending().windows(end.len()).any(|window| window == end) {
        assert!(raw.more().await.unwrap() > 0);
    }
}

pub(super) fn asking<'a>(path: &'a str, cookie: &'a str) -> [(&'a str, &'a str); 5] {
    [(":method", "GET"), (":scheme", "https"), (":path", path), (":authority", APP), ("cookie", cookie)]
}
