//! The exact bytes an app receives, and what a client or an app may not smuggle into headers.

use super::{ask, get};
use crate::world::provider::Kind;
use crate::world::upstream::Answer;
use crate::world::{ALICE, APP, World};

/// The head as it arrived, with the assertion, which is new each time, left out.
fn without_assertion(head: &str) -> String {
    head.split_inclusive("\r\n").filter(|line| !line.starts_with("x-auth-assertion: ")).collect()
}

fn identity() -> String {
    let tenant = crate::world::TENANT;
    format!(
        "x-auth-subject: {tenant}:{}\r\nx-auth-tenant: {tenant}\r\nx-auth-name: Alice Ahlberg\r\n\
         x-auth-email: alice@contoso.example\r\n",
        ALICE.oid
    )
}

#[tokio::test]
async fn an_app_receives_exactly_these_bytes() {
    let world = World::start(Kind::Simulator).await;
    let cookie = world.cookie(ALICE).await;
    world.app.forget();
    let forwarded = "x-forwarded-for: 127.0.0.1\r\nx-forwarded-proto: https\r\nx-forwarded-host: app.test\r\n";
    let cases = [
        (
            format!("GET /a?b=c%20d HTTP/1.1\r\nHost: {APP}\r\nAccept: */*\r\nCookie: x=1; {cookie}; y=\"2\"\r\n\r\n"),
            format!(
                "GET /a?b=c%20d HTTP/1.1\r\nhost: {APP}\r\naccept: */*\r\ncookie: x=1; y=\"2\"\r\n{forwarded}{}",
                identity()
            ),
            "",
        ),
        (
            format!("POST /p HTTP/1.1\r\nHost: {APP}\r\nCookie: {cookie}\r\nContent-Length: 5\r\n\r\nhello"),
            format!("POST /p HTTP/1.1\r\nhost: {APP}\r\ncontent-length: 5\r\n{forwarded}{}", identity()),
            "hello",
        ),
        (
            format!(
                "POST /c HTTP/1.1\r\nHost: {APP}\r\nCookie: {cookie}\r\nTransfer-Encoding: chunked\r\n\r\n\
                 5;x=y\r\nhello\r\n0\r\nX-User: root\r\n\r\n"
            ),
            format!("POST /c HTTP/1.1\r\nhost: {APP}\r\n{forwarded}{}", identity()),
            "hello",
        ),
    ];
    for (sent, wanted, body) in cases {
        let before = world.app.seen();
        let mut raw = world.raw(APP).await;
        raw.send(sent.as_bytes()).await;
        assert_eq!(raw.response().await.unwrap().status, 200);
        let request = world.app.requests()[before].clone();
        assert_eq!(request.body, body.as_bytes());
        // The order of header lines is the map's; each line, and nothing else, is what counts.
        let lines = |head: &str| {
            let mut lines: Vec<String> = head.trim_end().split("\r\n").map(str::to_owned).collect();
            lines[1..].sort();
            lines
        };
        let head = without_assertion(&request.head);
        let groups: String = head.split_inclusive("\r\n").filter(|line| line.starts_with("x-auth-groups: ")).collect();
        assert_eq!(groups.matches("x-auth-groups").count(), 1);
        let chunked = if sent.contains("chunked") { "transfer-encoding: chunked\r\n" } else { "" };
        assert_eq!(lines(&head), lines(&format!("{wanted}{groups}{chunked}")), "{sent}");
        assert_eq!(request.headers("x-auth-assertion").len(), 1);
    }
    let all = String::from_utf8(world.app.bytes().concat()).unwrap();
    assert!(all.ends_with("5\r\nhello\r\n0\r\n\r\n"), "one framing, made anew: {all}");
    assert!(!all.contains("__Host-portcullis") && !all.contains("X-User"), "{all}");
    assert_eq!(all.replace("\r\n", "").matches(['\r', '\n']).count(), 0, "only CRLF");
}

/// HD-01, HD-02, HD-04: whatever a client claims to be or to come from, in every spelling.
#[tokio::test]
#[expect(clippy::too_many_lines, reason = "most of it is one table")]
async fn no_spelling_of_an_identity_or_forwarding_header_gets_through() {
    let world = World::start(Kind::Simulator).await;
    let cookie = world.cookie(ALICE).await;
    world.app.forget();
    let names = [
        "X-Auth-Subject",
        "x-auth-subject",
        "X-AUTH-SUBJECT",
        "X_Auth_Subject",
        "X-Auth_Subject",
        "X.Auth.Subject",
        "X-Auth-Tenant",
        "X-Auth-Name",
        "X-Auth-Email",
        "X-Auth-Groups",
        "X_Auth_Groups",
        "X-Auth-Assertion",
        "X_Auth_Assertion",
        "X-Forwarded-For",
        "X-Forwarded-Host",
        "X-Forwarded-Proto",
        "X-Forwarded-Port",
        "X-Forwarded-Prefix",
        "X-Forwarded-Uri",
        "X-Forwarded-User",
        "X-Forwarded-Method",
        "Forwarded",
        "X-Real-IP",
        "X-Original-URL",
        "X-Rewrite-URL",
        "X-Envoy-External-Address",
        "True-Client-IP",
        "CF-Connecting-IP",
        "Client-Cert",
        "X-SSL-Client-Cert",
        "X-MS-CLIENT-PRINCIPAL",
        "X-HTTP-Method-Override",
        "X-Method-Override",
        "X-HTTP-Method",
        "Proxy",
        "Remote-User",
        "X-Remote-User",
        "X-Portcullis-Anything",
        "Early-Data",
    ];
    for name in names {
        let before = world.app.seen();
        let response = ask(&world, APP, "GET /x", &format!("Cookie: {cookie}\r\n{name}: forged\r\n")).await;
        assert_eq!(response.status, 200, "{name}");
        let head = world.app.requests()[before].head.clone();
        assert!(!head.contains("forged"), "{name}: {head}");
        assert_eq!(head.to_lowercase().matches("x-auth-subject").count(), 1, "{name}: {head}");
        assert!(head.contains("x-forwarded-for: 127.0.0.1\r\n"), "{name}: {head}");
    }
    // All of them at once over HTTP/2, where nothing but lower case is sent.
    let mut http2 = super::http2(&world, APP).await;
    let lower: Vec<String> = names.iter().map(|name| name.to_lowercase()).collect();
    let mut list =
        vec![(":method", "GET"), (":scheme", "https"), (":path", "/h2"), (":authority", APP), ("cookie", &cookie)];
    list.extend(lower.iter().map(|name| (name.as_str(), "forged")));
    http2.headers(1, true, &list).await;
    assert_eq!(http2.outcome(1).await, crate::world::http2::Outcome::Status(200));
    let head = world.app.requests().last().unwrap().head.clone();
    assert!(head.starts_with("GET /h2 ") && !head.contains("forged"), "{head}");
    assert!(
        without_assertion(&head).contains(&identity().split_inclusive("\r\n").next().unwrap().to_owned()),
        "{head}"
    );
}

/// HD-02: nobody is signed in, and no claim of the client's stands in for that.
#[tokio::test]
async fn anonymous_requests_carry_no_identity_at_all() {
    let world = World::with(
        Kind::Simulator,
        |request| Answer::text(request.target()),
        |settings| {
            settings.rules = "[[rule]]\nname = \"open\"\nwho = \"anyone\"\nverdict = \"allow\"\n".to_owned();
        },
    )
    .await;
    let response =
        ask(&world, APP, "GET /open", "X-Auth-Subject: root\r\nX-Auth-Groups: adm\r\nX-Auth-Assertion: a.b.c\r\n")
            .await;
    assert_eq!(response.status, 200);
    assert!(!world.app.only_request().head.to_lowercase().contains("x-auth-"), "{}", world.app.only_request().head);
}

/// HD-03.
#[tokio::test]
async fn connection_nominations_cannot_take_our_headers_away() {
    let world = World::start(Kind::Simulator).await;
    let cookie = world.cookie(ALICE).await;
    world.app.forget();
    for (line, status) in [
        ("Connection: x-custom\r\nX-Custom: gone\r\n", 200),
        ("Connection: close, X-Custom\r\nX-Custom: gone\r\n", 200),
        ("Connection: a\r\nConnection: x-custom\r\nX-Custom: gone\r\n", 200),
        ("Keep-Alive: x-auth-subject\r\n", 200),
        ("Connection: X-Auth-Subject\r\n", 400),
        ("connection: close, x-auth-assertion\r\n", 400),
        ("Connection: x-forwarded-for\r\n", 200),
        ("Connection: host\r\n", 400),
        ("Connection: content-length\r\n", 400),
        ("Connection: transfer-encoding\r\n", 400),
        ("Connection: cookie\r\n", 400),
        ("Connection: authorization\r\n", 400),
    ] {
        let before = world.app.seen();
        let response = ask(&world, APP, "GET /n", &format!("Cookie: {cookie}\r\n{line}")).await;
        assert_eq!(response.status, status, "{line}");
        let seen = world.app.requests()[before..].to_vec();
        assert_eq!(seen.len(), usize::from(status == 200), "{line}");
        for request in seen {
            assert!(
                !request.head.contains("gone") && !request.head.contains("connection:"),
                "{line}: {}",
                request.head
            );
            assert!(
                request.header("x-auth-subject").is_some() && request.header("x-forwarded-for") == Some("127.0.0.1")
            );
        }
    }
}

/// HD-06 and HD-07.
#[tokio::test]
async fn cookies_and_authorization_go_where_they_belong() {
    let world = World::start(Kind::Simulator).await;
    let cookie = world.cookie(ALICE).await;
    world.app.forget();
    let twice = format!("Cookie: a=1; {cookie}\r\nCookie: b=\"2 3\";c\r\nAuthorization: Bearer canary-secret\r\n");
    assert_eq!(ask(&world, APP, "GET /c", &twice).await.status, 200);
    let request = world.app.only_request();
    assert_eq!(request.headers("cookie"), ["a=1; b=\"2 3\"; c"]);
    assert_eq!(request.header("authorization"), None);
    let doubled = format!("Cookie: {cookie}\r\nAuthorization: a\r\nAuthorization: b\r\n");
    assert_eq!(ask(&world, APP, "GET /c", &doubled).await.status, 400);
    let two_sessions = format!("Cookie: {cookie}; {cookie}\r\n");
    assert_ne!(ask(&world, APP, "GET /c", &two_sessions).await.status, 200, "an ambiguous session is none");
    assert_eq!(world.app.seen(), 1);
    assert!(!world.gateway.log().contains("canary-secret"));
    assert!(!world.gateway.log().contains(cookie.split_once('=').unwrap().1));
}

/// HD-08.
#[tokio::test]
async fn an_app_cannot_set_what_belongs_to_the_gateway() {
    let world = World::with(
        Kind::Simulator,
        |request| {
            let answer = "HTTP/1.1 200 OK\r\nSet-Cookie: __Host-portcullis=evil; Path=/; Secure\r\n\
                 Set-Cookie: __Host-portcullis-x=evil; Path=/; Secure\r\nSet-Cookie: own=kept\r\n\
                 Strict-Transport-Security: max-age=0\r\nX-Accel-Redirect: /admin\r\nX-Sendfile: /etc/passwd\r\n\
                 Alt-Svc: h3=\":1\"\r\nConnection: x-gone\r\nX-Gone: 1\r\nX-Kept: 1\r\nX-Request-Id: forged\r\n\
                 Proxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n";
            if request.target() == "/headers" { Answer::Bytes(answer.into()) } else { Answer::text("x") }
        },
        |_| {},
    )
    .await;
    let cookie = world.cookie(ALICE).await;
    let response = get(&world, &cookie, "/headers").await;
    assert_eq!(response.headers("set-cookie"), ["own=kept"]);
    assert_eq!(response.headers("strict-transport-security"), ["max-age=31536000"]);
    for gone in ["x-accel-redirect", "x-sendfile", "alt-svc", "x-gone", "proxy-authenticate", "connection"] {
        assert_eq!(response.header(gone), None, "{gone} in {}", response.head);
    }
    assert_eq!(response.header("x-kept"), Some("1"));
    assert_eq!(response.headers("x-request-id").len(), 1);
    assert_ne!(response.header("x-request-id"), Some("forged"));
}

/// HP-18: a response with two readings is no response, and its connection serves nobody else.
#[tokio::test]
async fn ambiguous_responses_are_refused_and_their_connection_is_not_used_again() {
    let bad: [&str; 7] = [
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nX: a\r\n\tb\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 99 Odd\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        "garbage\r\n\r\n",
    ];
    let world = World::with(
        Kind::Simulator,
        move |request| match request.target().strip_prefix("/bad/") {
            Some(number) => Answer::Bytes(bad[number.parse::<usize>().unwrap()].into()),
            None if request.target() == "/spill" => Answer::Bytes(
                b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
                    .to_vec(),
            ),
            None => Answer::text(request.target()),
        },
        |_| {},
    )
    .await;
    let cookie = world.cookie(ALICE).await;
    for (number, answer) in bad.iter().enumerate() {
        let response = get(&world, &cookie, &format!("/bad/{number}")).await;
        assert_eq!(response.status, 502, "{answer}: {}", response.head);
        assert_eq!(get(&world, &cookie, "/next").await.text(), "/next");
    }
    for _ in 0..3 {
        assert_eq!(get(&world, &cookie, "/spill").await.text(), "hello");
        assert_eq!(get(&world, &cookie, "/next").await.text(), "/next", "nobody gets what was not asked for");
    }
}
