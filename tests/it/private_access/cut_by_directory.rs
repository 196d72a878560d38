//! Whatever takes a person's yes away ends everything they have open: WebSocket, events, download, upload, long poll.
//! From risk, account, group and order to the client, through the real gateway and the simulated Graph. Nobody else
//! notices.
//!
//! When exactly the gateway reads a change is the sync's own business; from then on there is a second. So the clients
//! measure from the first end to the last, and the gateway's own histogram tells from reading to cut.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

use super::cut::{Streams, asking, script};
use super::{events, http2, metric};
use crate::world::graph::{ADMINS, HIGH_IS_BLOCKED, key, reads_graph};
use crate::world::http2::{DATA, HEADERS, Http2, Outcome, RST_STREAM};
use crate::world::provider::Kind;
use crate::world::raw::{NoResponse, Raw};
use crate::world::upstream::{Answer, Request};
use crate::world::websocket::CLOSE;
use crate::world::{ALICE, APP, BOB, World, eventually};

/// Threats RS-01.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rs01_high_risk_ends_everything_open() {
    let (world, mut open) = begin().await;
    world.set_risk(ALICE, "high").await;
    open.end(&world, "verdict_changed").await;
    assert_changed(&world, "risk_rule", Some("high"));
    assert_eq!(metric(&world, "portcullis_risk_to_cut_seconds_count{from=\"announcement\"}").await, 6);
    assert_eq!(metric(&world, "portcullis_risk_to_cut_seconds_bucket{le=\"1.0\",from=\"announcement\"}").await, 6);
    assert_eq!(world.answer(APP, &open.hers).await, (403, "risk_rule".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disabled_account_ends_everything_open() {
    let (world, mut open) = begin().await;
    world.provider.control("PATCH", &format!("/sim/v1/people/{}", ALICE.oid), &json!({ "enabled": false })).await;
    open.end(&world, "account_lost").await;
    assert_eq!(world.answer(APP, &open.hers).await.0, 401);
    let ended = &events(&world, "session_ended")[0];
    assert_eq!((&ended["reason"], &ended["by"]), (&json!("account_lost"), &json!("provider")), "{ended}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sign_out_everywhere_at_the_provider_ends_everything_open() {
    let (world, mut open) = begin().await;
    // The provider tells whole seconds: only a sign-in of an earlier second was clearly before.
    let signed_in = Instant::now();
    let over = || async { signed_in.elapsed() > Duration::from_millis(1100) };
    eventually("the second of the sign-in is over", Duration::from_secs(5), over).await;
    world.provider.control("POST", &format!("/sim/v1/people/{}/revoke", ALICE.oid), &json!({})).await;
    open.end(&world, "revoked").await;
    assert_eq!(world.answer(APP, &open.hers).await.0, 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_leaves_the_group_that_is_let_in_loses_everything_open() {
    let (world, mut open) = begin().await;
    let member = format!("/sim/v1/groups/{ADMINS}/members/{}", ALICE.oid);
    world.provider.control("DELETE", &member, &json!({})).await;
    open.end(&world, "verdict_changed").await;
    assert_changed(&world, "no_rule_matched", None);
    assert_eq!(world.answer(APP, &open.hers).await, (403, "no_rule_matched".to_owned()));
    world.provider.control("PUT", &member, &json!({})).await;
    eventually("a member again", Duration::from_secs(10), || world.lets_in(&open.hers)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_block_by_hand_ends_everything_open() {
    let (world, mut open) = begin().await;
    let path = format!("/api/v1/users/{}/actions", key(ALICE));
    let (status, task) = world.api("POST", &path, Some(&json!({ "action": "block_private" }))).await;
    assert!(matches!(status, 200..=202), "{status} {task}");
    let ordered = Instant::now();
    open.end(&world, "verdict_changed").await;
    assert!(ordered.elapsed() < Duration::from_secs(1), "{:?}", ordered.elapsed());
    assert_changed(&world, "held", None);
    assert_eq!(world.answer(APP, &open.hers).await, (403, "held".to_owned()));
}

/// As many streams of one person as a busy gateway has, over HTTP/2.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_streams_of_one_person_end_together_and_nobody_elses() {
    const CONNECTIONS: u64 = 20;
    const EACH: u64 = 100;
    let world = world(|request| match request.target() {
        "/many" => Answer::Events { every: Duration::from_secs(2) },
        _ => script(request),
    })
    .await;
    let (alice, bob) = (world.cookie(ALICE).await, world.cookie(BOB).await);
    let mut his = Streams::open(&world, &bob).await;
    let mut hers = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut connection = http2(&world, APP).await;
        for at in 0..EACH {
            connection.headers(id(at), true, &asking("/many", &alice)).await;
        }
        let begun = flowing(&mut connection, EACH);
        timeout(Duration::from_secs(20), begun).await.expect("every stream begins");
        hers.push(connection);
    }
    assert_eq!(metric(&world, "portcullis_streams_open").await, CONNECTIONS * EACH + 4);
    world.set_risk(ALICE, "high").await;
    let ends = hers.into_iter().map(|connection| tokio::spawn(all_reset(connection, EACH)));
    let mut times = Vec::new();
    for end in ends {
        times.extend(timeout(Duration::from_secs(20), end).await.expect("every stream ends").unwrap());
    }
    let spread = *times.iter().max().unwrap() - *times.iter().min().unwrap();
    assert!(spread < Duration::from_secs(1), "from the first end to the last: {spread:?}");
    let all = CONNECTIONS * EACH;
    assert_eq!(metric(&world, "portcullis_risk_to_cut_seconds_bucket{le=\"1.0\",from=\"announcement\"}").await, all);
    his.flow().await;
    eventually("all are counted", Duration::from_secs(5), || async {
        metric(&world, "portcullis_streams_cut_total{reason=\"verdict_changed\"}").await == all
            && metric(&world, "portcullis_streams_open").await == 4
    })
    .await;
}

/// What Alice has open, and Bob beside her.
struct Open {
    hers: String,
    streams: Streams,
    upload: Raw,
    poll: Raw,
    his: Streams,
}

impl Open {
    /// Everything of hers ends, as nothing complete and within a second of each other; his goes on.
    async fn end(&mut self, world: &World, reason: &str) {
        let Self { streams: Streams { socket, events: sse, http2, download }, upload, poll, his, .. } = self;
        let close = [b"\x03\xf0", reason.as_bytes()].concat();
        let closing = async {
            let frame = timeout(LONG, socket.next()).await.expect("in time").expect("a close frame");
            assert_eq!((frame.opcode, frame.payload), (CLOSE, close));
            Instant::now()
        };
        let sse = async {
            assert!(!sse.rest().await.unwrap().ends_with(b"0\r\n\r\n"));
            Instant::now()
        };
        let download = async {
            assert!(download.rest().await.unwrap().len() < 40_000_000);
            Instant::now()
        };
        let stream = async {
            let outcome = http2.outcome(1).await;
            assert!(matches!(outcome, Outcome::Reset(_)), "{outcome:?}");
            Instant::now()
        };
        let times = tokio::join!(closing, sse, download, stream, refused(upload), refused(poll));
        let times = [times.0, times.1, times.2, times.3, times.4, times.5];
        let spread = *times.iter().max().unwrap() - *times.iter().min().unwrap();
        assert!(spread < Duration::from_secs(1), "from the first end to the last: {spread:?}");
        his.flow().await;
        eventually("each cut is written down", Duration::from_secs(5), || async {
            events(world, "stream_cut").len() >= 4
        })
        .await;
        for cut in events(world, "stream_cut") {
            assert_eq!((cut["reason"].as_str(), &cut["name"]), (Some(reason), &json!(ALICE.name)), "{cut}");
        }
    }
}

/// A request whose answer had not begun gets none of the app's.
async fn refused(raw: &mut Raw) -> Instant {
    match raw.response().await {
        Ok(response) => assert!(response.status >= 400, "{}", response.head),
        Err(end) => assert_eq!(end, NoResponse::Ended),
    }
    Instant::now()
}

/// Every verdict that changed was hers, and says why.
fn assert_changed(world: &World, reason: &str, rule: Option<&str>) {
    let changes = events(world, "verdict_changed");
    assert_eq!(changes.len(), 6, "{changes:#?}");
    for change in changes {
        let said = (change["name"].as_str(), change["reason"].as_str(), change.get("rule").and_then(Value::as_str));
        assert_eq!(said, (Some(ALICE.name), Some(reason), rule), "{change}");
    }
}

/// A world in which Alice is let in by her group and Bob by name, both with everything open.
async fn begin() -> (World, Open) {
    let world = world(|request| match request.target() {
        "/poll" => Answer::BytesThenHang(Vec::new()),
        _ => script(request),
    })
    .await;
    let (hers, bob) = (world.cookie(ALICE).await, world.cookie(BOB).await);
    let his = Streams::open(&world, &bob).await;
    let streams = Streams::open(&world, &hers).await;
    let (mut upload, mut poll) = (world.raw(APP).await, world.raw(APP).await);
    let head = format!("Host: {APP}\r\nCookie: {hers}\r\n");
    upload.send(format!("POST /upload HTTP/1.1\r\n{head}Content-Length: 1000000\r\n\r\nbegun").as_bytes()).await;
    poll.send(format!("GET /poll HTTP/1.1\r\n{head}\r\n").as_bytes()).await;
    eventually("upload and poll are under way", Duration::from_secs(5), || async {
        let bytes = world.app.bytes();
        ["POST /upload ", "GET /poll "].iter().all(|begun| bytes.iter().any(|sent| sent.starts_with(begun.as_bytes())))
    })
    .await;
    (world, Open { hers, streams, upload, poll, his })
}

async fn world(script: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> World {
    let world = World::with(Kind::Simulator, script, |settings| {
        settings.workers = 2;
        settings.first_app = "\n[app.connection]\nmax_connections = 4000\n".to_owned();
        settings.rules = format!(
            "[[rule]]\nname = \"admins\"\ngroups = [\"{ADMINS}\"]\nverdict = \"allow\"\n\n\
             [[rule]]\nname = \"bob\"\nusers = [\"{}\"]\nverdict = \"allow\"\n{HIGH_IS_BLOCKED}",
            key(BOB)
        );
        reads_graph(settings);
    })
    .await;
    world.read().await;
    world
}

/// The id of a client's stream.
fn id(at: u64) -> u32 {
    u32::try_from(2 * at + 1).unwrap()
}

/// Reads until each stream has brought something.
async fn flowing(connection: &mut Http2, count: u64) {
    let mut begun = HashSet::new();
    while begun.len() < usize::try_from(count).unwrap() {
        let frame = connection.frame().await.expect("an open connection");
        assert!(frame.kind != RST_STREAM, "{frame:?}");
        if frame.kind == DATA && frame.stream != 0 {
            begun.insert(frame.stream);
        }
    }
}

/// Reads until each stream was reset, none ended well; when each did.
async fn all_reset(mut connection: Http2, count: u64) -> Vec<Instant> {
    let mut times = Vec::new();
    while times.len() < usize::try_from(count).unwrap() {
        let frame = connection.frame().await.expect("an open connection");
        assert!(!matches!(frame.kind, DATA | HEADERS) || frame.flags & 1 == 0, "{frame:?}");
        if frame.kind == RST_STREAM {
            times.push(Instant::now());
        }
    }
    times
}

const LONG: Duration = Duration::from_secs(10);
