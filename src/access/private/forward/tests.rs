//! Tests of forwarding against a raw recording upstream.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::Empty;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};

use crate::access::private::testing::*;
use crate::cut::CutReason;

#[tokio::test]
async fn a_plain_request_reaches_the_upstream_in_exactly_these_bytes() {
    let upstream = Recorder::ok().await;
    let gateway = Gateway::with(app_config(&[upstream.address]), Vec::new(), Some("signed")).await;
    let answer = gateway.ask("GET /a/b?c=d HTTP/1.1\r\nHost: wiki.test\r\nAccept: */*\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nok"), "{answer}");
    assert!(answer.contains("strict-transport-security: max-age=31536000\r\n"), "{answer}");
    assert_eq!(
        upstream.bytes(0),
        "GET /a/b?c=d HTTP/1.1\r\nhost: wiki.test\r\naccept: */*\r\nx-forwarded-for: 127.0.0.1\r\n\
         x-forwarded-proto: https\r\nx-forwarded-host: wiki.test\r\nx-auth-assertion: signed\r\n\r\n"
    );
}

#[tokio::test]
async fn the_host_that_was_decided_on_is_the_one_that_is_forwarded() {
    let upstream = Recorder::ok().await;
    let gateway = Gateway::start(app_config(&[upstream.address])).await;
    let mut client = gateway.connect().await;
    let mut expected = String::new();
    for (sent, forwarded) in [
        ("wiki.test", "wiki.test"),
        ("WIKI.Test", "wiki.test"),
        ("wiki.test.", "wiki.test"),
        ("wiki.test:443", "wiki.test"),
        ("Wiki.test.:443", "wiki.test"),
        ("wiki.test:8443", "wiki.test:8443"),
        ("WIKI.test.:8443", "wiki.test:8443"),
    ] {
        client.send(&format!("GET / HTTP/1.1\r\nHost: {sent}\r\n\r\n")).await;
        assert!(client.answer().await.ends_with("ok"), "{sent}");
        expected += &format!(
            "GET / HTTP/1.1\r\nhost: {forwarded}\r\nx-forwarded-for: 127.0.0.1\r\nx-forwarded-proto: https\r\n\
             x-forwarded-host: {forwarded}\r\n\r\n"
        );
    }
    let stream = tokio::net::TcpStream::connect(gateway.address).await.unwrap();
    let (mut send, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = Request::get("https://WIKI.test.:443/").body(Empty::<Bytes>::new()).unwrap();
    send.send_request(request).await.unwrap();
    expected += "GET / HTTP/1.1\r\nx-forwarded-for: 127.0.0.1\r\nx-forwarded-proto: https\r\n\
                 x-forwarded-host: wiki.test\r\nhost: wiki.test\r\n\r\n";
    // The order of lines is the map's.
    let lines = |text: &str| {
        let mut lines: Vec<String> = text.split("\r\n").map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(lines(&upstream.bytes(0)), lines(&expected));
}

#[tokio::test]
async fn one_connection_serves_request_after_request() {
    let upstream = Recorder::ok().await;
    let gateway = Gateway::start(app_config(&[upstream.address])).await;
    let mut client = gateway.connect().await;
    for _ in 0..20 {
        client.send("GET / HTTP/1.1\r\nHost: wiki.test\r\n\r\n").await;
        assert!(client.answer().await.ends_with("ok"));
    }
    assert_eq!((upstream.connections(), upstream.requests()), (1, 20));
}

#[tokio::test]
async fn responses_of_every_framing_give_the_connection_back() {
    let upstream = Recorder::start(|_, request| {
        Act::Answer(match request % 5 {
            0 => b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(),
            1 => b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n".to_vec(),
            2 => b"HTTP/1.1 304 Not Modified\r\nContent-Length: 77\r\n\r\n".to_vec(),
            3 => b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec(),
            _ => format!("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n{}", "x".repeat(100_000)).into_bytes(),
        })
    })
    .await;
    let gateway = Gateway::start(app_config(&[upstream.address])).await;
    for round in 0..10 {
        let mut client = gateway.connect().await;
        client.send("GET / HTTP/1.1\r\nHost: wiki.test\r\nConnection: close\r\n\r\n").await;
        let answer = client.rest_of_it().await;
        assert!(answer.starts_with("HTTP/1.1 20") || answer.starts_with("HTTP/1.1 304"), "{round}: {answer}");
    }
    assert_eq!(upstream.connections(), 1);
}

#[tokio::test]
async fn head_keeps_its_length_and_has_no_body() {
    let upstream =
        Recorder::start(|_, _| Act::Answer(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n".to_vec())).await;
    let gateway = Gateway::start(app_config(&[upstream.address])).await;
    let mut client = gateway.connect().await;
    for _ in 0..2 {
        client.send("HEAD / HTTP/1.1\r\nHost: wiki.test\r\nConnection: close\r\n\r\n").await;
        let answer = client.rest_of_it().await;
        assert!(answer.contains("content-length: 5000\r\n") && answer.ends_with("\r\n\r\n"), "{answer}");
        client = gateway.connect().await;
    }
    assert_eq!(upstream.connections(), 1);
}

#[tokio::test]
async fn request_bodies_keep_their_framing_and_their_bytes() {
    let upstream = Recorder::ok().await;
    let gateway = Gateway::start(app_config(&[upstream.address])).await;
    gateway.ask("POST / HTTP/1.1\r\nHost: wiki.test\r\nContent-Length: 5\r\n\r\nhello").await;
    assert!(upstream.bytes(0).contains("content-length: 5\r\n") && upstream.bytes(0).ends_with("\r\n\r\nhello"));
    // A GET with a body of unknown length must not lose it: its bytes would be taken for the next request.
    for method in ["POST", "GET"] {
        let before = upstream.bytes(0).len();
        gateway
            .ask(&format!("{method} / HTTP/1.1\r\nHost: wiki.test\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\nX-Auth-Subject: evil\r\n\r\n"))
            .await;
        let bytes = upstream.bytes(0)[before..].to_owned();
        assert!(bytes.contains("transfer-encoding: chunked\r\n"), "{bytes}");
        assert!(bytes.ends_with("\r\n\r\n5\r\nhello\r\n0\r\n\r\n"), "extension and trailer must be gone: {bytes}");
    }
    assert_eq!(upstream.connections(), 1);
}

#[tokio::test]
async fn expect_is_answered_here_and_only_once_the_body_is_wanted() {
    let upstream = Recorder::ok().await;
    let gateway = Gateway::start(app_config(&[upstream.address])).await;
    let mut client = gateway.connect().await;
    client.send("POST / HTTP/1.1\r\nHost: wiki.test\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n").await;
    client.until("HTTP/1.1 100 Continue\r\n\r\n").await;
    client.send("hello").await;
    client.until("200 OK").await;
    assert!(!upstream.bytes(0).to_ascii_lowercase().contains("expect"));

    for expect in ["y 100-continue", "200-ok", "100-continue, x"] {
        let answer = gateway
            .ask(&format!("POST / HTTP/1.1\r\nHost: wiki.test\r\nExpect: {expect}\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"))
            .await;
        assert!(answer.starts_with("HTTP/1.1 417"), "{answer}");
    }
    assert_eq!(upstream.requests(), 1);
}

#[tokio::test]
async fn a_body_over_the_cap_is_refused_before_or_broken_off_under_way() {
    let upstream = Recorder::ok().await;
    let mut config = app_config(&[upstream.address]);
    config.max_body = Some(10);
    let gateway = Gateway::start(config).await;
    let answer = gateway.ask("POST / HTTP/1.1\r\nHost: wiki.test\r\nContent-Length: 11\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    assert_eq!(upstream.connections(), 0);

    let body = "8\r\n12345678\r\n8\r\n12345678\r\n0\r\n\r\n";
    let answer =
        gateway.ask(&format!("POST / HTTP/1.1\r\nHost: wiki.test\r\nTransfer-Encoding: chunked\r\n\r\n{body}")).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    assert!(!upstream.bytes(0).ends_with("0\r\n\r\n"), "the upstream must not take it for complete");
    gateway.ask("GET / HTTP/1.1\r\nHost: wiki.test\r\n\r\n").await;
    assert_eq!(upstream.connections(), 2);
}

#[tokio::test]
async fn a_broken_request_body_breaks_the_upstream_connection_off() {
    let upstream = Recorder::ok().await;
    let gateway = Gateway::start(app_config(&[upstream.address])).await;
    let mut client = gateway.connect().await;
    client
        .send("POST / HTTP/1.1\r\nHost: wiki.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0x5\r\nhello\r\n")
        .await;
    let answer = client.rest_of_it().await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{answer}");
    eventually("the upstream saw the request", || upstream.connections() == 1).await;
    assert!(!upstream.bytes(0).ends_with("0\r\n\r\n"));
    gateway.ask("GET / HTTP/1.1\r\nHost: wiki.test\r\n\r\n").await;
    assert_eq!(upstream.connections(), 2, "the broken connection is not used again");
}

#[tokio::test]
async fn an_early_answer_does_not_leave_half_a_request_on_a_pooled_connection() {
    let upstream = Recorder::start(|_, _| Act::Answer(OK.to_vec())).await;
    let early = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = early.local_addr().unwrap();
    let accepted = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = std::sync::Arc::clone(&accepted);
    tokio::spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        while let Ok((mut stream, _)) = early.accept().await {
            count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            tokio::spawn(async move {
                let mut head = vec![0; 1024];
                let _ = stream.read(&mut head).await;
                let _ = stream.write_all(OK).await;
                let _ = stream.read_to_end(&mut head).await;
            });
        }
    });
    let gateway = Gateway::start(app_config(&[address])).await;
    let mut client = gateway.connect().await;
    client.send("POST / HTTP/1.1\r\nHost: wiki.test\r\nContent-Length: 100000\r\n\r\nstart").await;
    let answer = client.until("\r\n\r\nok").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let answer = gateway.ask("GET / HTTP/1.1\r\nHost: wiki.test\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(accepted.load(std::sync::atomic::Ordering::SeqCst), 2);
    drop(upstream);
}

/// HP-18: whatever the upstream does, the answer is exact or an error, and the connection is not used again.
#[tokio::test]
async fn a_lying_upstream_gets_no_second_request_on_that_connection() {
    let long = format!("HTTP/1.1 200 OK\r\nX-Long: {}\r\n\r\n", "a".repeat(3_000_000));
    let informational =
        format!("{}{}", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".repeat(30), String::from_utf8_lossy(OK));
    let bad: Vec<(&str, Vec<u8>, &str)> = vec![
        (
            "length and chunked",
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n".to_vec(),
            "502",
        ),
        ("two lengths", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok".to_vec(), "502"),
        ("two equal lengths", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok".to_vec(), "502"),
        (
            "odd coding",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n".to_vec(),
            "502",
        ),
        ("too much", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhellomore".to_vec(), "200"),
        ("204 with body", b"HTTP/1.1 204 No Content\r\nContent-Length: 4\r\n\r\nbody".to_vec(), "204"),
        ("a second answer", [OK, OK].concat(), "200"),
        ("folded header", b"HTTP/1.1 200 OK\r\nX: a\r\n\tb\r\nContent-Length: 2\r\n\r\nok".to_vec(), "502"),
        ("status 99", b"HTTP/1.1 99 Odd\r\nContent-Length: 2\r\n\r\nok".to_vec(), "502"),
        ("status 1000", b"HTTP/1.1 1000 Odd\r\nContent-Length: 2\r\n\r\nok".to_vec(), "502"),
        ("3 MB head", long.into_bytes(), "502"),
        ("not HTTP", b"SSH-2.0-OpenSSH\r\n".to_vec(), "502"),
        (
            "unasked upgrade",
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n".to_vec(),
            "502",
        ),
        (
            "chunk size in octal dress",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x2\r\nok\r\n0\r\n\r\n".to_vec(),
            "200",
        ),
    ];
    for (name, bytes, status) in bad {
        let upstream =
            Recorder::start(
                move |connection, _| {
                    if connection == 0 { Act::Answer(bytes.clone()) } else { Act::Answer(OK.to_vec()) }
                },
            )
            .await;
        let gateway = Gateway::start(app_config(&[upstream.address])).await;
        let mut client = gateway.connect().await;
        client.send("GET / HTTP/1.1\r\nHost: wiki.test\r\nConnection: close\r\n\r\n").await;
        let answer = client.rest_of_it().await;
        // Nothing at all is right too: the head had not left yet when the body turned out to be broken.
        let closed = name.starts_with("chunk") && answer.is_empty();
        assert!(closed || answer.starts_with(&format!("HTTP/1.1 {status}")), "{name}: {answer}");
        assert!(!answer.contains("more") && !answer.contains("okHTTP"), "{name}: {answer}");
        let bob = gateway.ask("GET /bob HTTP/1.1\r\nHost: wiki.test\r\n\r\n").await;
        assert!(bob.ends_with("\r\n\r\nok"), "{name}: {bob}");
        assert_eq!(upstream.connections(), 2, "{name}");
        assert!(!upstream.bytes(0).contains("/bob"), "{name}");
    }
    let upstream = Recorder::start(move |_, _| Act::Answer(informational.clone().into_bytes())).await;
    let gateway = Gateway::start(app_config(&[upstream.address])).await;
    let answer = gateway.ask("GET / HTTP/1.1\r\nHost: wiki.test\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("ok"), "{answer}");
}

#[tokio::test]
async fn an_upstream_cut_mid_body_never_looks_complete() {
    for head in ["Content-Length: 100", "Transfer-Encoding: chunked"] {
        let bytes = format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n5\r\nhello\r\n");
        let upstream = Recorder::start(move |_, _| Act::AnswerAndClose(bytes.clone().into_bytes())).await;
        let gateway = Gateway::start(app_config(&[upstream.address])).await;
        let mut client = gateway.connect().await;
        client.send("GET / HTTP/1.1\r\nHost: wiki.test\r\n\r\n").await;
        let answer = client.rest_of_it().await;
        assert!(answer.contains("hello"), "{answer}");
        assert!(!answer.ends_with("0\r\n\r\n"), "{answer}");
    }
}

#[tokio::test]
async fn an_unsent_request_is_sent_again_and_a_sent_one_never() {
    // Every connection is closed after its first answer, without saying so.
    let upstream = Recorder::start(|_, _| Act::AnswerAndClose(OK.to_vec())).await;
    let gateway = Gateway::start(app_config(&[upstream.address])).await;
    for round in 1..=10 {
        let answer = gateway.ask("POST / HTTP/1.1\r\nHost: wiki.test\r\nContent-Length: 2\r\n\r\nhi").await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert_eq!(upstream.connections(), round);
    }
    for method in ["POST", "GET", "PUT"] {
        let upstream = Recorder::start(|_, _| Act::Close).await;
        let gateway = Gateway::start(app_config(&[upstream.address])).await;
        let answer = gateway.ask(&format!("{method} / HTTP/1.1\r\nHost: wiki.test\r\nContent-Length: 0\r\n\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 502") && answer.ends_with("UpstreamBroken"), "{answer}");
        assert_eq!((upstream.connections(), upstream.requests()), (1, 1), "{method}");
    }
}

#[tokio::test]
async fn an_unreachable_upstream_is_502_and_a_silent_one_504() {
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let gateway = Gateway::start(app_config(&[closed])).await;
    let answer = gateway.ask("GET / HTTP/1.1\r\nHost: wiki.test\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 502") && answer.ends_with("UpstreamUnreachable"), "{answer}");

    let upstream =
        Recorder::start(|connection, _| if connection == 0 { Act::Silence } else { Act::Answer(OK.to_vec()) }).await;
    let mut config = app_config(&[upstream.address]);
    config.upstream.response_timeout = Duration::from_millis(300);
    let gateway = Gateway::start(config).await;
    let answer = gateway.ask("GET / HTTP/1.1\r\nHost: wiki.test\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 504"), "{answer}");
    assert!(gateway.ask("GET / HTTP/1.1\r\nHost: wiki.test\r\n\r\n").await.ends_with("ok"));
    assert_eq!(upstream.connections(), 2, "the late connection is not used again");
}

#[tokio::test]
async fn a_body_that_stands_still_is_broken_off() {
    let upstream =
        Recorder::start(|_, _| Act::Answer(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello".to_vec())).await;
    let mut config = app_config(&[upstream.address]);
    config.upstream.body_idle = Duration::from_millis(300);
    let gateway = Gateway::start(config).await;
    let mut client = gateway.connect().await;
    client.send("GET / HTTP/1.1\r\nHost: wiki.test\r\n\r\n").await;
    assert!(client.rest_of_it().await.ends_with("hello"));
}

#[tokio::test]
async fn a_cut_ends_a_waiting_request_and_a_running_download() {
    for answer in [&b""[..], b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"] {
        let upstream = Recorder::start(move |_, _| Act::Answer(answer.to_vec())).await;
        let gateway = Gateway::start(app_config(&[upstream.address])).await;
        let mut client = gateway.connect().await;
        client.send("GET / HTTP/1.1\r\nHost: wiki.test\r\nConnection: close\r\n\r\n").await;
        eventually("the upstream has the request", || upstream.connections() == 1 && upstream.requests() == 1).await;
        if !answer.is_empty() {
            client.until("hello").await;
        }
        gateway.cut.raise(CutReason::Revoked);
        let ended = tokio::time::timeout(Duration::from_secs(1), client.rest_of_it()).await.expect("within a second");
        assert!(ended.ends_with("hello") || ended.ends_with("Cut(Revoked)"), "{ended}");
    }
}

#[tokio::test]
async fn the_cap_on_connections_holds_and_the_queue_has_a_deadline() {
    let upstream = Recorder::start(|_, _| Act::Silence).await;
    let mut config = app_config(&[upstream.address]);
    config.upstream.max_connections = 2;
    config.upstream.connect_timeout = Duration::from_millis(300);
    config.upstream.response_timeout = Duration::from_secs(30);
    let gateway = Gateway::start(config).await;
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut client = gateway.connect().await;
        client.send("GET / HTTP/1.1\r\nHost: wiki.test\r\n\r\n").await;
        held.push(client);
    }
    eventually("both are under way", || upstream.requests() == 2).await;
    let answer = gateway.ask("GET / HTTP/1.1\r\nHost: wiki.test\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert_eq!(upstream.connections(), 2);
    // A client that leaves frees its slot for the first in the queue.
    let mut waiting = gateway.connect().await;
    waiting.send("GET /next HTTP/1.1\r\nHost: wiki.test\r\n\r\n").await;
    drop(held.pop());
    eventually("the queue moved on", || upstream.connections() == 3).await;
}

#[tokio::test]
async fn many_requests_share_few_connections() {
    let upstream = Recorder::ok().await;
    let mut config = app_config(&[upstream.address]);
    config.upstream.max_connections = 3;
    let gateway = std::sync::Arc::new(Gateway::start(config).await);
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..40 {
        let gateway = std::sync::Arc::clone(&gateway);
        clients.spawn(async move {
            let mut client = gateway.connect().await;
            for _ in 0..10 {
                client.send("GET / HTTP/1.1\r\nHost: wiki.test\r\n\r\n").await;
                assert!(client.answer().await.ends_with("ok"));
            }
        });
    }
    while let Some(outcome) = clients.join_next().await {
        outcome.unwrap();
    }
    assert_eq!(upstream.requests(), 400);
    assert!(upstream.connections() <= 3, "{}", upstream.connections());
}

#[tokio::test]
async fn an_idle_connection_is_closed_in_time() {
    let upstream = Recorder::ok().await;
    let mut config = app_config(&[upstream.address]);
    config.upstream.idle_timeout = Duration::from_millis(200);
    let gateway = Gateway::start(config).await;
    gateway.ask("GET / HTTP/1.1\r\nHost: wiki.test\r\n\r\n").await;
    tokio::time::sleep(Duration::from_millis(900)).await;
    gateway.ask("GET / HTTP/1.1\r\nHost: wiki.test\r\n\r\n").await;
    assert_eq!(upstream.connections(), 2);
}

#[tokio::test]
async fn a_failing_instance_is_left_out_and_the_others_carry_on() {
    let good = Recorder::ok().await;
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let gateway = Gateway::start(app_config(&[good.address, closed])).await;
    for _ in 0..20 {
        let answer = gateway.ask("GET / HTTP/1.1\r\nHost: wiki.test\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    let broken = Recorder::start(|_, _| Act::Close).await;
    let gateway = Gateway::start(app_config(&[good.address, broken.address])).await;
    let mut failures = 0;
    for _ in 0..20 {
        let answer = gateway.ask("GET / HTTP/1.1\r\nHost: wiki.test\r\n\r\n").await;
        failures += usize::from(!answer.starts_with("HTTP/1.1 200"));
    }
    assert_eq!(failures, 3, "out after eject_after failures in a row");
    // All out: still tried, and it may have recovered.
    let gateway = Gateway::start(app_config(&[broken.address])).await;
    for _ in 0..5 {
        assert!(gateway.ask("GET / HTTP/1.1\r\nHost: wiki.test\r\n\r\n").await.ends_with("UpstreamBroken"));
    }
}
