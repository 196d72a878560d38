//! Tests of header hygiene: every alias stripped, ours added.

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;
use ipnet::IpNet;

use super::*;
use crate::access::private::testing::*;
use crate::facts::{ClientConn, HttpVersion};

fn rules() -> HeaderRules {
    let names = IdentityHeaders { subject: HeaderName::from_static("remote-user-id"), ..IdentityHeaders::default() };
    HeaderRules::new(&names, COOKIE)
}

fn map(lines: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap());
    }
    headers
}

fn stripped(lines: &[(&str, &str)]) -> Result<Vec<(String, String)>, HeaderFault> {
    let mut headers = map(lines);
    strip(&mut headers, &rules(), Passing { authorization: false })?;
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    Ok(headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect())
}

/// HD-01, HD-02, HD-04, HP-14, HP-17: no alias of a header that tells who, where from or what passes.
#[test]
fn identity_and_forwarding_headers_never_pass_in_any_spelling() {
    for name in NEVER {
        assert_eq!(
            stripped(&[(*name, "admin"), ("accept", "*/*")]).unwrap(),
            [("accept".into(), "*/*".into())],
            "{name}"
        );
    }
}

#[test]
fn everything_else_passes_untouched() {
    let lines = [
        ("accept-encoding", "gzip, br"),
        ("content-type", "application/json"),
        ("content-length", "7"),
        ("x-auth-token", "the app's own"),
        ("x-client-version", "3"),
        ("x-request-id", "7"),
        ("x-api-key", "k"),
        ("referer", "https://wiki.test/"),
        ("if-none-match", "\"a\""),
        ("accept", "a"),
        ("accept", "b"),
        ("sec-fetch-mode", "cors"),
        ("priority", "u=1"),
        ("via", "1.1 x"),
        ("x-html-thing", "1"),
    ];
    let expected: Vec<_> = lines.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    assert_eq!(stripped(&lines).unwrap(), expected);
}

/// HD-03.
#[test]
fn nominated_headers_go_and_protected_ones_cannot_be_nominated() {
    for line in ["close, x-custom", "x-custom", "X-CUSTOM ,close", "keep-alive,,x-custom", "\"q\", x-custom"] {
        assert_eq!(
            stripped(&[("connection", line), ("x-custom", "1"), ("a", "b")]).unwrap(),
            [("a".into(), "b".into())]
        );
    }
    let two = stripped(&[("connection", "close"), ("connection", "x-custom"), ("x-custom", "1")]).unwrap();
    assert!(two.is_empty());
    assert!(stripped(&[("keep-alive", "x-custom"), ("x-custom", "1")]).unwrap().len() == 1);
    for name in [
        "host",
        "content-length",
        "transfer-encoding",
        "cookie",
        "authorization",
        "x-auth-subject",
        "X-Auth-Assertion",
        "remote-user-id",
        "content-type",
        "origin",
    ] {
        assert_eq!(stripped(&[("connection", &format!("close, {name}"))]), Err(HeaderFault::Nomination), "{name}");
    }
}

/// HD-07.
#[test]
fn two_of_a_kind_that_may_come_once_are_refused() {
    for name in ["authorization", "content-type", "host", "content-length", "origin", "referer", "range", "user-agent"]
    {
        assert_eq!(stripped(&[("a", "1"), (name, "1"), (name, "1")]), Err(HeaderFault::Duplicate), "{name}");
    }
}

#[test]
fn our_cookie_is_taken_out_and_all_others_keep_their_bytes() {
    for (lines, kept) in [
        (&["a=1; b=2"][..], Some("a=1; b=2")),
        (&["a=1;b=2;  c=\"x y\";"], Some("a=1;b=2;  c=\"x y\";")),
        (&["__Host-portcullis=id.mac"], None),
        (&["a=1; __Host-portcullis=id.mac; b=\"2,3\""], Some("a=1; b=\"2,3\"")),
        (&["__Host-portcullis=id.mac;a=1;b=2"], Some("a=1; b=2")),
        (&["a=1; __Host-portcullis-state=x; __host-PORTCULLIS=y"], Some("a=1")),
        (&["a=1", "__Host-portcullis=id", "b=2"], Some("a=1; b=2")),
        (&["a=1", "b=2"], Some("a=1; b=2")),
        (&["x__Host-portcullis=1; portcullis=2"], Some("x__Host-portcullis=1; portcullis=2")),
        (&["a=__Host-portcullis=1"], Some("a=__Host-portcullis=1")),
        (&[" \t__Host-portcullis=1 ; a=1"], Some("a=1")),
        (&["__Host-portcullis"], None),
    ] {
        let lines: Vec<_> = lines.iter().map(|line| ("cookie", *line)).collect();
        let got = stripped(&lines).unwrap();
        let expected: Vec<_> = kept.map(|kept| ("cookie".to_owned(), kept.to_owned())).into_iter().collect();
        assert_eq!(got, expected, "{lines:?}");
    }
}

fn conn(peer: &str) -> ClientConn {
    let peer = SocketAddr::new(peer.parse().unwrap(), 5000);
    ClientConn { peer, socket_peer: peer, local: peer, sni: None, http: HttpVersion::Http1 }
}

/// HD-04, HD-05.
#[test]
fn the_client_address_is_the_socket_unless_a_listed_balancer_says_otherwise() {
    let trusted: Vec<IpNet> = vec!["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
    let address = |text: &str| text.parse::<IpAddr>().unwrap();
    for (peer, lines, client, sent) in [
        ("203.0.113.1", &["127.0.0.1"][..], "203.0.113.1", "203.0.113.1"),
        ("203.0.113.1", &["garbage"], "203.0.113.1", "203.0.113.1"),
        ("::ffff:203.0.113.1", &[], "203.0.113.1", "203.0.113.1"),
        ("10.0.0.1", &[], "10.0.0.1", "10.0.0.1"),
        ("10.0.0.1", &["127.0.0.1, 203.0.113.9"], "203.0.113.9", "203.0.113.9, 10.0.0.1"),
        ("10.0.0.1", &["127.0.0.1, 203.0.113.9, 10.0.0.2"], "203.0.113.9", "203.0.113.9, 10.0.0.2, 10.0.0.1"),
        ("10.0.0.1", &["127.0.0.1", "203.0.113.9"], "203.0.113.9", "203.0.113.9, 10.0.0.1"),
        ("10.0.0.1", &["x, ::ffff:203.0.113.9"], "203.0.113.9", "203.0.113.9, 10.0.0.1"),
        ("10.0.0.1", &["203.0.113.9:4711"], "203.0.113.9", "203.0.113.9, 10.0.0.1"),
        ("fd00::1", &["[2001:db8::9]:80"], "2001:db8::9", "2001:db8::9, fd00::1"),
        ("::ffff:10.0.0.1", &["[2001:db8::9]"], "2001:db8::9", "2001:db8::9, 10.0.0.1"),
        ("10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3", "10.0.0.3, 10.0.0.2, 10.0.0.1"),
    ] {
        let lines: Vec<_> = lines.iter().map(|line| ("x-forwarded-for", *line)).collect();
        let headers = map(&lines);
        assert_eq!(client_address(&conn(peer), &headers, &trusted), Ok(address(client)), "{peer} {lines:?}");
        let made = ClientHeaders::new(&conn(peer)).forwarded_for(&headers, &trusted).unwrap();
        assert_eq!(made, sent, "{peer} {lines:?}");
        let made = ClientHeaders::new(&conn(peer)).forwarded_for(&headers, &[]).unwrap();
        assert_eq!(made, address(peer).to_canonical().to_string(), "a balancer taken off the list is not believed");
        assert_eq!(client_address(&conn(peer), &headers, &[]), Ok(address(peer).to_canonical()), "nobody is believed");
    }
    for bad in ["garbage", "", "203.0.113.9,", "203.0.113.9, unknown", "1.2.3", "203.0.113.9 10.0.0.1"] {
        let headers = map(&[("x-forwarded-for", bad)]);
        assert_eq!(client_address(&conn("10.0.0.1"), &headers, &trusted), Err(HeaderFault::ForwardedChain), "{bad}");
        assert!(ClientHeaders::new(&conn("10.0.0.1")).forwarded_for(&headers, &trusted).is_err());
    }
}

/// HD-08, by exact bytes through the whole gateway.
#[tokio::test]
async fn an_app_cannot_set_our_cookies_or_speak_to_proxies() {
    let upstream = Recorder::start(|_, _| {
        Act::Answer(
            b"HTTP/1.1 200 Fine\r\nServer: app\r\nSet-Cookie: __Host-portcullis=evil; Path=/\r\nSet-Cookie: a=1\r\n\
              Set-Cookie: __host-Portcullis-x=evil\r\nSet-Cookie: b=2\r\nStrict-Transport-Security: max-age=0\r\n\
              X-Accel-Redirect: /admin\r\nX-Sendfile: /etc/passwd\r\nAlt-Svc: h3=\":1\"\r\nConnection: x-hop\r\n\
              X-Hop: 1\r\nKeep-Alive: timeout=5\r\nProxy-Authenticate: Basic\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\nok"
                .to_vec(),
        )
    })
    .await;
    let mut config = app_config(&[upstream.address]);
    config.response_headers = vec![(HeaderName::from_static("x-frame-options"), HeaderValue::from_static("DENY"))];
    let answer = Gateway::start(config).await.ask("GET / HTTP/1.1\r\nHost: wiki.test\r\n\r\n").await;
    let (head, _) = answer.split_once("date:").unwrap();
    assert_eq!(
        head,
        "HTTP/1.1 200 OK\r\nserver: app\r\ncontent-length: 2\r\nset-cookie: a=1\r\nset-cookie: b=2\r\n\
         x-frame-options: DENY\r\nstrict-transport-security: max-age=31536000\r\n"
    );
}

#[tokio::test]
async fn a_location_to_the_inside_is_turned_outside() {
    for (strip, sent, seen) in [
        (false, "http://UP/x?y=1", "https://wiki.test/x?y=1"),
        (false, "https://UP", "https://wiki.test"),
        (false, "http://wiki.test/login", "https://wiki.test/login"),
        (false, "/login", "/login"),
        (false, "https://other.test/x", "https://other.test/x"),
        (false, "//other.test/x", "//other.test/x"),
        (true, "http://UP/x", "https://wiki.test/docs/x"),
        (true, "http://UP", "https://wiki.test/docs/"),
        (true, "/login", "/docs/login"),
    ] {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let location = sent.replace("UP", &address.to_string());
        tokio::spawn(async move {
            use tokio::io::{AsyncReadExt, AsyncWriteExt};
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = [0; 2048];
            let length = stream.read(&mut head).await.unwrap();
            let text = String::from_utf8_lossy(&head[..length]).into_owned();
            assert!(text.starts_with(if strip { "GET /a?b HTTP/1.1" } else { "GET /docs/a?b HTTP/1.1" }), "{text}");
            let answer = format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
            stream.write_all(answer.as_bytes()).await.unwrap();
        });
        let mut config = app_config(&[address]);
        config.path = "/docs".into();
        config.strip_path = strip;
        let answer = Gateway::start(config).await.ask("GET /docs/a?b HTTP/1.1\r\nHost: wiki.test\r\n\r\n").await;
        assert!(answer.contains(&format!("location: {seen}\r\n")), "{sent}: {answer}");
    }
}

#[tokio::test]
async fn forged_headers_are_replaced_and_the_upstream_host_is_its_own_if_asked() {
    let upstream = Recorder::ok().await;
    let mut config = app_config(&[upstream.address]);
    config.preserve_host = false;
    config.pass_authorization = true;
    config.request_headers = vec![(HeaderName::from_static("x-from"), HeaderValue::from_static("gateway"))];
    let gateway = Gateway::with(config, Vec::new(), Some("signed")).await;
    gateway
        .ask(
            "GET / HTTP/1.1\r\nHost: wiki.test\r\nX-Forwarded-For: 127.0.0.1\r\nX-Auth-Assertion: forged\r\nX-From: me\r\n\
             X_Auth_Subject: admin\r\nX-Auth-Groups: adm\r\nAuthorization: Basic eA==\r\nCookie: __Host-portcullis=s; k=v\r\n\r\n",
        )
        .await;
    let sent = upstream.bytes(0);
    let mut lines: Vec<&str> = sent.trim_end().split("\r\n").collect();
    lines.sort_unstable();
    let host = format!("host: {}", upstream.address);
    let mut expected = vec![
        "GET / HTTP/1.1",
        &host,
        "authorization: Basic eA==",
        "cookie: k=v",
        "x-auth-assertion: signed",
        "x-forwarded-for: 127.0.0.1",
        "x-forwarded-host: wiki.test",
        "x-forwarded-proto: https",
        "x-from: gateway",
    ];
    expected.sort_unstable();
    assert_eq!(lines, expected);
}

const NEVER: &[&str] = &[
    "X-Auth-Subject",
    "x_auth_subject",
    "X.Auth.Subject",
    "X-Auth_Subject",
    "X-AUTH-GROUPS",
    "X-Auth-Tenant",
    "X-Auth-Name",
    "X-Auth-Email",
    "X-Auth-Assertion",
    "X_Auth-Assertion",
    "Remote-User-Id",
    "Remote_User_Id",
    "Remote-User",
    "Forwarded",
    "X-Forwarded-For",
    "X_Forwarded_For",
    "X.Forwarded.For",
    "X-Forwarded-Proto",
    "X-Forwarded-Host",
    "X-Forwarded-Port",
    "X-Forwarded-Prefix",
    "X-Forwarded-Uri",
    "X-Forwarded-User",
    "X-Real-IP",
    "X-Original-URL",
    "X-Original-Uri",
    "X-Rewrite-URL",
    "X-Envoy-Original-Path",
    "True-Client-IP",
    "CF-Connecting-IP",
    "Client-Cert",
    "Client-Cert-Chain",
    "X-SSL-Client-Verify",
    "X-Client-Cert",
    "X-Client-Cert-Chain",
    "X-Client-IP",
    "X-MS-CLIENT-PRINCIPAL",
    "X-MS-CLIENT-PRINCIPAL-ID",
    "X-HTTP-Method-Override",
    "X-HTTP-Method",
    "X-Method-Override",
    "Proxy",
    "Proxy-Authorization",
    "Proxy-Connection",
    "Keep-Alive",
    "TE",
    "Trailer",
    "Transfer-Encoding",
    "Upgrade",
    "HTTP2-Settings",
    "Alt-Used",
    "Early-Data",
    "Authorization",
    "Content_Length",
    "Transfer_Encoding",
    "odd~name",
    "we|rd",
    "a+b",
];
