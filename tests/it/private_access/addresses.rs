//! Which address leads where: paths, hosts, server names, the plain port, and who the client is.

use rustls::ClientConfig;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;

use super::{ask, get};
use crate::world::provider::Kind;
use crate::world::raw::Raw;
use crate::world::upstream::Answer;
use crate::world::{ALICE, APP, FIN, World};

/// PA-01, PA-02, PA-03, PA-04 against a public prefix and a protected rest, without a session.
#[tokio::test]
#[expect(clippy::too_many_lines, reason = "most of it is one table")]
async fn no_spelling_of_a_path_leads_around_the_rules() {
    let world = World::with(
        Kind::Simulator,
        |request| Answer::text(request.target()),
        |settings| {
            settings.rules =
                "[[rule]]\nname = \"public\"\nwho = \"anyone\"\npaths = [\"/public\"]\nverdict = \"allow\"\n\
                          [[rule]]\nname = \"rest\"\nwho = \"signed_in\"\nverdict = \"allow\"\n"
                    .to_owned();
        },
    )
    .await;
    assert_eq!(ask(&world, APP, "GET /public/x", "").await.status, 200);
    assert_eq!(world.app.seen(), 1);
    for path in [
        "/public/../admin",
        "/public/..%2fadmin",
        "/public/%2e%2e/admin",
        "/public/%2e%2e%2fadmin",
        "/public/%252e%252e/admin",
        "/public/.%2e/admin",
        "/public//../admin",
        "/public/./../admin",
        "/%70ublic/../admin",
        "/public/%c0%ae%c0%ae/admin",
        "/public/..\\admin",
        "/public/%5c..%5cadmin",
        "/public\\..\\admin",
        "/public/%00/../admin",
        "/public/..;/admin",
        "/public;/../admin",
        "/admin;x=/public/",
        "/public/.;/..;/admin",
        "/;/admin",
        "/admin#/public/",
        "/admin%23/public/",
        "/admin?x=/public/y",
        "/admin?/public/",
        "/admin%3f/public/",
        "/ADMIN",
        "/Admin/",
        "/admin//",
        "//admin",
        "/admin/.",
        "/admin%2f",
        "/admin.json",
        "/admin;.css",
        "/%61dmin",
        "/PUBLIC/x",
        "/publicity",
        "/public%2fx",
        "/",
        "/public;x",
        "/public/%",
        "/public/%zz",
        "/public/%2",
        "/public/x%0d%0ay",
        "/public/%7f",
    ] {
        let response = ask(&world, APP, &format!("GET {path}"), "").await;
        assert!(matches!(response.status, 400 | 401 | 302), "{path}: {}", response.head);
    }
    assert_eq!(world.app.seen(), 1, "{:#?}", world.app.requests());
    // And with a session, what is forwarded is what was asked, byte for byte.
    let cookie = world.cookie(ALICE).await;
    world.app.forget();
    for path in [
        "/a%20b",
        "/%C3%BC",
        "/%c3%bc",
        "/a;b=c",
        "/a+b",
        "/a:b@c",
        "/a/",
        "/a?b=../c&d=%2e%2e%2f//",
        "/a!$&'()*,=~-_.",
    ] {
        assert_eq!(get(&world, &cookie, path).await.text(), path);
    }
}

/// PA-08: what belongs to the gateway never reaches an app, in any case or spelling.
#[tokio::test]
async fn reserved_paths_and_unknown_places_are_answered_here() {
    let world = World::start(Kind::Simulator).await;
    let cookie = world.cookie(ALICE).await;
    world.app.forget();
    for (path, status) in [
        ("/.portcullis/nothing", 404),
        ("/.PORTCULLIS/me", 404),
        ("/.portcullis/", 404),
        ("/.portcullis", 404),
        ("//.portcullis/me", 400),
        ("/.portcullis/../x", 400),
        ("/%2eportcullis/me", 400),
        ("/.portcullis%2fme", 400),
    ] {
        assert_eq!(get(&world, &cookie, path).await.status, status, "{path}");
    }
    let me = get(&world, &cookie, "/.portcullis/me").await;
    assert_eq!(me.status, 200);
    assert!(me.text().contains("Alice Ahlberg") && !me.text().contains("eyJ"), "no token: {}", me.text());
    let unknown = ask(&world, "unknown.test", "GET /", &format!("Cookie: {cookie}\r\n")).await;
    assert_eq!(unknown.status, 404);
    assert_eq!(ask(&world, "unknown.test", "GET /.portcullis/me", "").await.status, 404);
    assert_eq!(world.app.seen(), 0);
}

#[tokio::test]
async fn only_configured_methods_are_relayed() {
    let world = World::with(Kind::Simulator, |request| Answer::text(request.target()), |settings| {
        settings.more = format!(
            "\n[[app]]\nname = \"readonly\"\nhost = \"{APP}\"\npath = \"/ro\"\nupstream = [\"http://{}\"]\nmethods = [\"GET\"]\n",
            settings.apps[0].upstream
        );
    })
    .await;
    let cookie = world.cookie(ALICE).await;
    world.app.forget();
    for method in ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        let response =
            ask(&world, APP, &format!("{method} /m"), &format!("Cookie: {cookie}\r\nContent-Length: 0\r\n")).await;
        assert_eq!(response.status, 200, "{method}");
    }
    let seen = world.app.seen();
    for line in ["TRACE /m", "BREW /m", "PROPFIND /m", "get /m", "PUT /ro", "POST /ro/x"] {
        let response = ask(&world, APP, line, &format!("Cookie: {cookie}\r\nContent-Length: 0\r\n")).await;
        assert_eq!(response.status, 405, "{line}");
    }
    let refused = ask(&world, APP, "PUT /ro", &format!("Cookie: {cookie}\r\nContent-Length: 0\r\n")).await;
    assert_eq!(refused.header("allow"), Some("GET"));
    assert_eq!(world.app.seen(), seen);
}

/// TL-01, HP-10.
#[tokio::test]
async fn every_request_must_be_for_the_name_of_its_handshake() {
    let world = World::start(Kind::Simulator).await;
    let cookie = world.cookie(ALICE).await;
    world.app.forget();
    let mut raw = world.raw(APP).await;
    for (host, status) in [(APP, 200), (FIN, 421), ("fin.test.", 421), ("unknown.test", 421), ("APP.test", 200)] {
        raw.send(format!("GET /h HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\n\r\n").as_bytes()).await;
        assert_eq!(raw.response().await.unwrap().status, status, "{host}");
    }
    // A name in capitals is the same name.
    let mut raw =
        Raw::tls(world.gateway.https(), "APP.TEST", Some(&["http/1.1"]), &world.authority.roots).await.unwrap();
    raw.send(format!("GET /h HTTP/1.1\r\nHost: {APP}\r\nCookie: {cookie}\r\n\r\n").as_bytes()).await;
    assert_eq!(raw.response().await.unwrap().status, 200);
    // No name at all.
    let mut config =
        ClientConfig::builder().with_root_certificates(Arc::clone(&world.authority.roots)).with_no_client_auth();
    config.enable_sni = false;
    let mut raw = Raw::tls_with(world.gateway.https(), APP, config).await.unwrap();
    raw.send(format!("GET /h HTTP/1.1\r\nHost: {APP}\r\nCookie: {cookie}\r\n\r\n").as_bytes()).await;
    assert_eq!(raw.response().await.unwrap().status, 421);
    assert_eq!((world.app.seen(), world.fin.seen()), (3, 0));
}

#[tokio::test]
async fn the_plain_port_only_redirects() {
    let world = World::start(Kind::Simulator).await;
    for (request, status, location) in [
        ("GET /a?b=c HTTP/1.1\r\nHost: app.test\r\n\r\n", 308, Some("https://app.test/a?b=c")),
        ("HEAD /a HTTP/1.1\r\nHost: APP.test:80\r\n\r\n", 308, Some("https://app.test/a")),
        // What was posted in the clear is lost already; a redirect would hide that.
        ("POST /a HTTP/1.1\r\nHost: app.test\r\nContent-Length: 0\r\n\r\n", 405, None),
        ("GET / HTTP/1.1\r\nHost: a@app.test\r\n\r\n", 400, None),
        ("GET / HTTP/1.1\r\nHost: app.test/x\r\n\r\n", 400, None),
        ("GET / HTTP/1.1\r\n\r\n", 400, None),
    ] {
        let mut raw = Raw::tcp(world.gateway.redirect()).await.unwrap();
        raw.send(request.as_bytes()).await;
        let response = raw.response_to(request.split(' ').next().unwrap()).await.unwrap();
        assert_eq!((response.status, response.header("location")), (status, location), "{request}");
        assert_eq!(response.header("set-cookie"), None);
    }
    assert_eq!(world.app.seen(), 0);
}

/// HD-05: the address of the client, as the app and the decision log get it.
#[tokio::test]
async fn the_proxy_protocol_is_believed_from_listed_peers_only() {
    let world = World::with(
        Kind::Simulator,
        |request| Answer::text(request.target()),
        |settings| {
            settings.keys.push(("[listen]", "proxy_protocol_from = [\"127.0.0.7/32\"]".to_owned()));
        },
    )
    .await;
    let cookie = world.cookie(ALICE).await;
    world.app.forget();
    let v2 =
        [&b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c"[..], &[198, 51, 100, 9, 203, 0, 113, 1], &[0x30, 0x39, 0x01, 0xbb]]
            .concat();
    for (from, header, seen) in [
        ("127.0.0.7", &b"PROXY TCP4 198.51.100.7 203.0.113.1 12345 443\r\n"[..], Some("198.51.100.7")),
        ("127.0.0.7", &v2, Some("198.51.100.9")),
        ("127.0.0.7", b"PROXY UNKNOWN\r\n", Some("127.0.0.7")),
        ("127.0.0.7", b"PROXY TCP4 198.51.100.7 203.0.113.1 12345 99999\r\n", None),
        ("127.0.0.7", b"", None),
        ("127.0.0.8", b"", Some("127.0.0.8")),
        ("127.0.0.8", b"PROXY TCP4 198.51.100.7 203.0.113.1 12345 443\r\n", None),
        ("127.0.0.8", &v2, None),
    ] {
        let before = world.app.seen();
        let answer = through(&world, from, header, &cookie).await;
        let name = format!("{} from {from}", String::from_utf8_lossy(header));
        assert_eq!(answer.is_some(), seen.is_some(), "{name}");
        let requests = world.app.requests()[before..].to_vec();
        assert_eq!(
            requests.iter().map(|request| request.header("x-forwarded-for").unwrap()).collect::<Vec<_>>(),
            seen.into_iter().collect::<Vec<_>>(),
            "{name}"
        );
        if let Some(client) = seen {
            assert_eq!(super::events(&world, "decision").last().unwrap()["client"], client, "{name}");
        }
    }
}

/// One request from a loopback address of our choice, after these first bytes.
async fn through(world: &World, from: &str, first: &[u8], cookie: &str) -> Option<String> {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(format!("{from}:0").parse().unwrap()).unwrap();
    let mut tcp: TcpStream = socket.connect(world.gateway.https()).await.unwrap();
    tcp.write_all(first).await.unwrap();
    let config =
        ClientConfig::builder().with_root_certificates(Arc::clone(&world.authority.roots)).with_no_client_auth();
    let connect = TlsConnector::from(Arc::new(config)).connect(APP.try_into().unwrap(), tcp);
    let mut tls = tokio::time::timeout(std::time::Duration::from_secs(15), connect).await.ok()?.ok()?;
    let request = format!("GET /proxied HTTP/1.1\r\nHost: {APP}\r\nConnection: close\r\nCookie: {cookie}\r\n\r\n");
    tls.write_all(request.as_bytes()).await.ok()?;
    let mut text = String::new();
    tls.read_to_string(&mut text).await.ok()?;
    text.starts_with("HTTP/1.1 200 ").then_some(text)
}

/// HD-04, HD-05.
#[tokio::test]
async fn forwarded_chains_are_believed_from_listed_proxies_only() {
    let world = World::with(
        Kind::Simulator,
        |request| Answer::text(request.target()),
        |settings| {
            settings.keys.push(("[listen]", "trusted_proxies = [\"127.0.0.1/32\", \"10.0.0.0/8\"]".to_owned()));
        },
    )
    .await;
    let cookie = world.cookie(ALICE).await;
    world.app.forget();
    for (chain, client, forwarded) in [
        ("198.51.100.7", "198.51.100.7", "198.51.100.7, 127.0.0.1"),
        ("127.0.0.1, 203.0.113.9", "203.0.113.9", "203.0.113.9, 127.0.0.1"),
        ("6.6.6.6, 203.0.113.9, 10.0.0.2", "203.0.113.9", "203.0.113.9, 10.0.0.2, 127.0.0.1"),
        ("::ffff:203.0.113.9", "203.0.113.9", "203.0.113.9, 127.0.0.1"),
    ] {
        let headers = format!(
            "Cookie: {cookie}\r\nX-Forwarded-For: {chain}\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: evil\r\n"
        );
        assert_eq!(ask(&world, APP, "GET /x", &headers).await.status, 200, "{chain}");
        let request = world.app.requests().last().unwrap().clone();
        assert_eq!(request.headers("x-forwarded-for"), [forwarded], "{chain}");
        assert_eq!(
            (request.header("x-forwarded-proto"), request.header("x-forwarded-host")),
            (Some("https"), Some(APP))
        );
        let written = || async { super::events(&world, "decision").last().unwrap()["client"] == client };
        crate::world::eventually(&format!("{chain} is written"), std::time::Duration::from_secs(5), written).await;
    }
    let seen = world.app.seen();
    let unreadable = format!("Cookie: {cookie}\r\nX-Forwarded-For: nonsense\r\n");
    assert_eq!(ask(&world, APP, "GET /x", &unreadable).await.status, 400);
    assert_eq!(world.app.seen(), seen);
}
