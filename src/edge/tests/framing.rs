//! The rows of the measured table of what the HTTP library lets through: each is refused here, in order, with nothing
//! of it reaching the handler.

use super::*;

/// What must happen to an input.
enum Must {
    /// This answer, the connection closed, the handler not called for it.
    Refuse(u16),
    /// The handler called with this target and body.
    Pass(&'static str, &'static str),
    /// The head reached the handler, its body broke; nothing behind it is served.
    Break,
}
use Must::{Break, Pass, Refuse};

#[rustfmt::skip]
const ROWS: &[(&str, &[u8], Must)] = &[
    ("R01", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG", Refuse(400)),
    ("R02", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\nG", Refuse(400)),
    ("R03", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Refuse(400)),
    ("R04", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Refuse(400)),
    ("R05", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", Refuse(400)),
    ("R06", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", Refuse(400)),
    ("R07", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: ,chunked\r\n\r\n0\r\n\r\n", Refuse(400)),
    ("R08", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n", Refuse(400)),
    ("R09", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", Refuse(501)),
    ("R10", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n", Refuse(400)),
    ("R11", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n", Refuse(400)),
    ("R12", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", Refuse(400)),
    ("R13", b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Refuse(400)),
    ("R14", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nA", Refuse(400)),
    ("R15", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 0\r\n\r\nA", Refuse(400)),
    ("R16", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\nA", Refuse(400)),
    ("R17", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\nA", Refuse(400)),
    ("R18", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\nA", Refuse(400)),
    ("R19", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x1\r\n\r\nA", Refuse(400)),
    ("R20", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 01\r\n\r\nA", Refuse(400)),
    ("R21", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \r\n\r\nA", Refuse(400)),
    ("R22", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1_0\r\n\r\nA", Refuse(400)),
    ("R23", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551616\r\n\r\nA", Refuse(400)),
    ("R23b", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9223372036854775808\r\n\r\nA", Refuse(400)),
    ("R24", b"GET /r24 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", Pass("/r24", "abc")),
    ("R25", b"GET / HTTP/1.1\nHost: a\n\n", Refuse(400)),
    ("R25b", b"GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", Refuse(400)),
    ("R25c", b"GET / HTTP/1.1\r\nHost: a\r\n\n", Refuse(400)),
    ("R26", b"GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", Refuse(400)),
    ("R27", b"GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", Refuse(400)),
    ("R28", b"GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n", Refuse(400)),
    ("R29", b"GET / HTTP/1.1\r\nHost: a\r\nnocolon\r\n\r\n", Refuse(400)),
    ("R30", b"GET / HTTP/1.1\r\n Host: a\r\n\r\n", Refuse(400)),
    ("R31", b"GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n", Refuse(400)),
    ("R32", b"GET / HTTP/1.1\r\n\r\n", Refuse(400)),
    ("R33", b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", Refuse(400)),
    ("R36", b"GET http://other.test/x HTTP/1.1\r\nHost: a\r\n\r\n", Refuse(400)),
    ("R37", b"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", Refuse(400)),
    ("R38", b"GET admin HTTP/1.1\r\nHost: a\r\n\r\n", Refuse(400)),
    ("R42", b"GET /a\\..\\b HTTP/1.1\r\nHost: a\r\n\r\n", Refuse(400)),
    ("R43", b"GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n", Refuse(400)),
    ("R44", b"GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", Refuse(400)),
    ("R45", b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", Refuse(400)),
    ("R46", b"GET / HTTP/1.2\r\nHost: a\r\n\r\n", Refuse(400)),
    ("R46b", b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", Refuse(505)),
    ("R47", b"GET /\r\n", Refuse(400)),
    ("R50", b"CONNECT 169.254.169.254:80 HTTP/1.1\r\nHost: a\r\n\r\n", Refuse(405)),
    ("R51", b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", Pass("*", "")),
    ("R52", b"POST /r52 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\n\r\n", Pass("/r52", "hello")),
    ("R53", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;a\nhello\r\n0\r\n\r\n", Break),
    ("R54", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;a\rb\r\nhello\r\n0\r\n\r\n", Break),
    ("R55", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n", Break),
    ("R56", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\nA\r\n0\r\n\r\n", Break),
    ("R57", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n+1\r\nA\r\n0\r\n\r\n", Break),
    ("R58", b"POST /r58 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1 \r\nA\r\n0\r\n\r\n", Pass("/r58", "A")),
    ("R59", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\r\nA\r\n0\r\n\r\n", Break),
    ("R60", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000000\r\nA\r\n0\r\n\r\n", Break),
    ("R60b", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFF\r\nA\r\n0\r\n\r\n", Break),
    ("R61", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nABC\r\n0\r\n\r\n", Break),
    ("R62", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nA\n0\r\n\r\n", Break),
    ("R63", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nA\r\n0\r\n\n", Break),
    ("R64", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\x01X", Break),
    ("R65", b"POST /r65 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nA\r\n0\r\nX-User: admin\r\n\r\n", Pass("/r65", "A")),
    ("R74", b"POST / HTTP/1.1\r\nHost: a\r\nExpect: y 100-continue\r\nContent-Length: 1\r\n\r\nA", Refuse(417)),
    ("R73", b"POST /r73 HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nA", Pass("/r73", "A")),
    ("R76", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Refuse(400)),
    ("R80", b"GET / HTTP/1.1\r\nHost: a\r\n\rZ", Refuse(400)),
    ("R81", b"POST / HTTP/1.1\r\nHost: a\r\nContent_Length: 5\r\n\r\n", Refuse(400)),
    ("HP-03", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer.Encoding: chunked\r\n\r\n", Refuse(400)),
    ("HP-05", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;a=\"\r\nX\"\r\nhello\r\n0\r\n\r\n", Break),
    ("HP-08", b"GET / HTTP/1.1 x\r\nHost: a\r\n\r\n", Refuse(400)),
    ("HP-20", b"POST / HTTP/1.0\r\nHost: a\r\n\r\nGET /admin HTTP/1.1\r\nHost: a\r\n\r\n", Refuse(411)),
    ("HP-23", b"GET http:/app.test/ HTTP/1.1\r\nHost: a\r\n\r\n", Refuse(400)),
    ("leading CRLF", b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", Refuse(400)),
    ("two credentials", b"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: x\r\nAuthorization: y\r\n\r\n", Refuse(400)),
];

/// Sent behind every row: must be answered when the row passes, never when it does not.
const CANARY: &str = "GET /canary HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

async fn check(id: &str, stand: &Stand, text: &str, must: &Must) {
    // The broken bodies are noted when the handler gets to it.
    eventually(id, || stand.seen().len() >= usize::from(!matches!(must, Refuse(_)))).await;
    let seen: Vec<_> = std::mem::take(&mut *stand.recorder.seen.lock().unwrap());
    let canary = seen.iter().any(|seen| seen.target == "/canary");
    match must {
        Refuse(status) => {
            assert_eq!(statuses(text), [*status], "{id}: {text}");
            assert!(text.to_ascii_lowercase().contains("connection: close"), "{id}: {text}");
            assert_eq!(seen, [], "{id}");
        }
        Pass(target, body) => {
            assert_eq!(statuses(text), [200, 200], "{id}: {text}");
            assert_eq!(seen[0].target, *target, "{id}");
            assert_eq!(seen[0].body.as_deref(), Some(body.as_bytes()), "{id}");
            assert!(canary, "{id}");
        }
        Break => {
            assert_eq!(statuses(text), [400], "{id}: {text}");
            assert_eq!(seen.len(), 1, "{id}: {seen:?}");
            assert_eq!(seen[0].body, None, "{id}");
        }
    }
}

#[tokio::test]
async fn every_measured_row_is_refused_or_has_one_meaning() {
    let stand = Stand::start().await;
    for (id, bytes, must) in ROWS {
        let input = [bytes, CANARY.as_bytes()].concat();
        let text = stand.raw(&input).await;
        check(id, &stand, &text, must).await;
    }
}

#[tokio::test]
async fn every_measured_row_has_the_same_outcome_byte_by_byte() {
    let stand = Stand::start().await;
    for (id, bytes, must) in ROWS {
        let input = [bytes, CANARY.as_bytes()].concat();
        let mut stream = stand.connect().await;
        for byte in input {
            // The edge may close while the rest is still being sent.
            if stream.write_all(&[byte]).await.is_err() || stream.flush().await.is_err() {
                break;
            }
        }
        let text = read_all(&mut stream).await;
        check(id, &stand, &text, must).await;
    }
}

#[tokio::test]
async fn a_refusal_is_answered_after_the_requests_before_it() {
    let stand = Stand::start().await;
    let text = stand
        .raw(b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\nGET /3 HTTP/1.1\nHost: a\r\n\r\nGET /4 HTTP/1.1\r\nHost: a\r\n\r\n")
        .await;
    assert_eq!(statuses(&text), [200, 200, 400]);
    assert!(text.ends_with("line_end"));
    let targets: Vec<_> = stand.seen().into_iter().map(|seen| seen.target).collect();
    assert_eq!(targets, ["/1", "/2"]);
    assert_eq!(stand.refused(Refusal::LineEnd), 1);
}

#[tokio::test]
async fn a_refusal_waits_for_a_slow_answer_before_it() {
    let stand = Stand::start().await;
    let mut stream = stand.connect().await;
    stream.write_all(b"GET /held HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\n\r\n").await.unwrap();
    stand.recorder.arrived.notified().await;
    eventually("the second head is refused", || stand.refused(Refusal::Host) == 1).await;
    stand.recorder.release.notify_one();
    assert_eq!(statuses(&read_all(&mut stream).await), [200, 400]);
}

#[tokio::test]
async fn caps_of_a_head_have_their_own_answers() {
    let stand = Stand::start().await;
    let many = "X: y\r\n".repeat(100);
    let text = stand.raw(format!("GET / HTTP/1.1\r\nHost: a\r\n{many}\r\n").as_bytes()).await;
    assert_eq!(statuses(&text), [431], "101 headers");
    let long = "y".repeat(100_000);
    let text = stand.raw(format!("GET / HTTP/1.1\r\nHost: a\r\nX: {long}\r\n\r\n").as_bytes()).await;
    assert_eq!(statuses(&text), [431], "long header");
    let text = stand.raw(format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()).await;
    assert_eq!(statuses(&text), [414], "long target");
    assert_eq!(stand.seen(), []);
    let just = "X: y\r\n".repeat(98);
    let text = stand.raw(format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{just}\r\n").as_bytes()).await;
    assert_eq!(statuses(&text), [200], "100 headers");
}

#[tokio::test]
async fn a_body_of_chunk_headers_is_given_up() {
    let stand = Stand::start().await;
    let mut body = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned();
    for _ in 0..200 {
        body += &format!("1;{}\r\nA\r\n", "e".repeat(4096));
    }
    body += "0\r\n\r\n";
    assert_eq!(statuses(&stand.raw(body.as_bytes()).await), [400]);
    assert_eq!(stand.refused(Refusal::ChunkOverhead), 1);
    assert_eq!(stand.seen()[0].body, None);
}

#[tokio::test]
async fn an_unread_body_is_never_taken_for_a_request() {
    let stand = Stand::start().await;
    let canary = "GET /canary HTTP/1.1\r\nHost: a\r\n\r\n";
    let head = format!("POST /unread HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", 1 << 20);
    let body = canary.repeat((1 << 20) / canary.len() + 1);
    let mut stream = stand.connect().await;
    let _ = stream.write_all(head.as_bytes()).await;
    let text = read_until(&mut stream, "unread").await;
    let _ = stream.write_all(&body.as_bytes()[..1 << 20]).await;
    let text = text + &read_all(&mut stream).await;
    assert_eq!(statuses(&text), [200]);
    assert_eq!(stand.seen().len(), 1);
}

#[tokio::test]
async fn five_hundred_pipelined_requests_are_answered_in_order() {
    let stand = Stand::start().await;
    let mut input = String::new();
    for number in 0..500 {
        input += &format!("GET /{number} HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    input += CANARY;
    let text = stand.raw(input.as_bytes()).await;
    assert_eq!(statuses(&text), vec![200; 501]);
    let targets: Vec<_> = stand.seen().into_iter().map(|seen| seen.target).collect();
    let expected: Vec<_> = (0..500).map(|number| format!("/{number}")).chain(["/canary".to_owned()]).collect();
    assert_eq!(targets, expected);
}
