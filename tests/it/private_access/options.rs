//! What an app's configuration changes about its requests and responses.

use super::ask;
use crate::world::provider::Kind;
use crate::world::upstream::{Answer, Request};
use crate::world::{ALICE, APP, World};

const ORIGIN: &str = "https://spa.test";

fn script(request: &Request) -> Answer {
    let redirect = |to: &str| {
        let head = format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n");
        Answer::Bytes(head.into_bytes())
    };
    let host = request.header("host").unwrap_or_default();
    let own = request.header("x-own-address").unwrap_or_default();
    match request.target().trim_start_matches("/s") {
        "/to-own" => redirect(&format!("http://{own}/there?x=y")),
        "/to-host" => redirect(&format!("http://{host}/there")),
        "/to-path" => redirect("/there"),
        "/to-elsewhere" => redirect("https://elsewhere.test/x"),
        target => Answer::text(target),
    }
}

async fn world() -> (World, String) {
    let world = World::with(Kind::Simulator, script, |settings| {
        let upstream = settings.apps[0].upstream.clone();
        let app = |name: &str, path: &str, keys: &str| {
            format!(
                "\n[[app]]\nname = \"{name}\"\nhost = \"{APP}\"\npath = \"{path}\"\nupstream = [\"http://{upstream}\"]\n\
                 request_headers = {{ x-own-address = \"{upstream}\" }}\n{keys}\n"
            )
        };
        settings.more = [
            app("stripped", "/s", "strip_path = true\npreserve_host = false"),
            app("kept", "/k", "response_headers = { x-added = \"yes\", x-frame-options = \"DENY\" }\npass_authorization = true"),
            app("small", "/small", "max_body = \"10B\""),
            app("cors", "/cors", &format!("cors_origins = [\"{ORIGIN}\"]")),
            app("no-websocket", "/nows", "websocket = false"),
        ]
        .concat();
    })
    .await;
    let cookie = world.cookie(ALICE).await;
    world.app.forget();
    (world, cookie)
}

#[tokio::test]
async fn prefix_and_host_are_changed_as_configured_and_addresses_back_again() {
    let (world, cookie) = world().await;
    let headers = format!("Cookie: {cookie}\r\nAuthorization: Bearer own\r\n");
    for (path, target, host) in [
        ("/s/x?y=/s", "/x?y=/s", world.app.address.to_string()),
        ("/s", "/", world.app.address.to_string()),
        ("/k/x", "/k/x", APP.to_owned()),
        ("/sx", "/sx", APP.to_owned()),
    ] {
        assert_eq!(ask(&world, APP, &format!("GET {path}"), &headers).await.status, 200, "{path}");
        let request = world.app.requests().last().unwrap().clone();
        assert_eq!((request.target(), request.headers("host")), (target, vec![host.as_str()]), "{path}");
        assert_eq!(request.header("x-forwarded-host"), Some(APP));
        assert_eq!(request.header("authorization").is_some(), path.starts_with("/k"), "{path}");
    }
    for (path, location) in [
        ("/s/to-own", format!("https://{APP}/s/there?x=y")),
        ("/s/to-path", "/s/there".to_owned()),
        ("/s/to-elsewhere", "https://elsewhere.test/x".to_owned()),
        ("/to-host", format!("https://{APP}/there")),
        ("/to-path", "/there".to_owned()),
    ] {
        let response = ask(&world, APP, &format!("GET {path}"), &headers).await;
        assert_eq!((response.status, response.header("location")), (302, Some(location.as_str())), "{path}");
    }
    let added = ask(&world, APP, "GET /k/x", &headers).await;
    assert_eq!((added.headers("x-added"), added.headers("x-frame-options")), (vec!["yes"], vec!["DENY"]));
}

#[tokio::test]
async fn bodies_beyond_the_cap_are_refused_whether_announced_or_not() {
    let (world, cookie) = world().await;
    for (framing, status) in [
        ("Content-Length: 10\r\n\r\n0123456789", 200),
        ("Content-Length: 11\r\n\r\n0123456789a", 413),
        ("Transfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\n0\r\n\r\n", 200),
        ("Transfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\n1\r\na\r\n0\r\n\r\n", 413),
    ] {
        let mut raw = world.raw(APP).await;
        raw.send(format!("POST /small HTTP/1.1\r\nHost: {APP}\r\nCookie: {cookie}\r\n{framing}").as_bytes()).await;
        assert_eq!(raw.response().await.unwrap().status, status, "{framing}");
    }
    assert_eq!(world.app.seen(), 2, "{:#?}", world.app.requests());
}

/// PA-07.
#[tokio::test]
async fn scripts_of_configured_origins_get_an_answer_they_can_read() {
    let (world, cookie) = world().await;
    let script = "Sec-Fetch-Mode: cors\r\nAccept: application/json\r\n";
    let preflight = |origin: &str| {
        format!("Origin: {origin}\r\nAccess-Control-Request-Method: PUT\r\nAccess-Control-Request-Headers: x-own\r\n")
    };
    let allowed = ask(&world, APP, "OPTIONS /cors/x", &preflight(ORIGIN)).await;
    assert_eq!((allowed.status, allowed.header("access-control-allow-origin")), (204, Some(ORIGIN)));
    assert_eq!(allowed.header("access-control-allow-credentials"), Some("true"));
    assert!(allowed.header("access-control-allow-methods").unwrap().contains("PUT"));
    assert_eq!(allowed.header("access-control-allow-headers"), Some("x-own"));
    for (path, origin) in [("/cors/x", "https://evil.test"), ("/x", ORIGIN), ("/cors/x", "null")] {
        let refused = ask(&world, APP, &format!("OPTIONS {path}"), &preflight(origin)).await;
        assert_eq!((refused.status, refused.header("access-control-allow-origin")), (401, None), "{path} {origin}");
    }
    let stranger = ask(&world, APP, "GET /cors/x", &format!("{script}Origin: {ORIGIN}\r\n")).await;
    assert_eq!((stranger.status, stranger.header("access-control-allow-origin")), (401, Some(ORIGIN)));
    let json: serde_json::Value = serde_json::from_slice(&stranger.body).unwrap();
    assert!(json["login_url"].as_str().is_some_and(|url| url.starts_with("https://")), "{json}");
    let foreign = ask(&world, APP, "GET /cors/x", &format!("{script}Origin: https://evil.test\r\n")).await;
    assert_eq!((foreign.status, foreign.header("access-control-allow-origin")), (401, None));
    assert_eq!(world.app.seen(), 0);
    let signed_in = ask(&world, APP, "GET /cors/x", &format!("{script}Origin: {ORIGIN}\r\nCookie: {cookie}\r\n")).await;
    assert_eq!(signed_in.text(), "/cors/x");
}

#[tokio::test]
async fn an_app_without_web_sockets_gets_a_plain_request() {
    let (world, cookie) = world().await;
    let headers = format!(
        "Cookie: {cookie}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    );
    assert_eq!(ask(&world, APP, "GET /nows", &headers).await.status, 200);
    let request = world.app.only_request();
    assert_eq!((request.header("upgrade"), request.header("connection")), (None, None));
}
