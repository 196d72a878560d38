//! Who gets through, what the others are told, and what is written down about both.

use super::{ask, events, get, metric};
use crate::world::provider::Kind;
use crate::world::upstream::Answer;
use crate::world::{ALICE, APP, BOB, FIN, TENANT, World};

async fn world(rules: String, more: &'static str) -> World {
    World::with(
        Kind::Simulator,
        |request| Answer::text(request.target()),
        move |settings| {
            settings.rules = rules;
            if !more.is_empty() {
                settings.keys.push(("[decision_log]", more.to_owned()));
            }
        },
    )
    .await
}

fn rules() -> String {
    format!(
        r#"
[[rule]]
name = "public"
who = "anyone"
apps = ["app"]
paths = ["/public"]
methods = ["GET"]
verdict = "allow"

[[rule]]
name = "no-admin"
who = "signed_in"
paths = ["/admin"]
verdict = "block"

[[rule]]
name = "alice"
users = ["{TENANT}:{}"]
apps = ["app"]
verdict = "allow"
"#,
        ALICE.oid
    )
}

#[tokio::test]
async fn the_first_rule_that_matches_decides_and_without_one_the_answer_is_no() {
    let world = world(rules(), "").await;
    let alice = world.cookie(ALICE).await;
    world.app.forget();
    let mut bobs = world.browser();
    let page = bobs.sign_in(&format!("https://{APP}/x"), BOB).await;
    assert_eq!(page.status(), 403, "{:#?}", page.trail);
    let bob =
        format!("{}={}", crate::world::shapes::COOKIE, bobs.jar().value(APP, crate::world::shapes::COOKIE).unwrap());
    let cases = [
        ("GET /public/a", None, 200),
        ("HEAD /public/a", None, 401),
        ("GET /publicity", None, 401),
        ("GET /x", None, 401),
        ("GET /x", Some(&alice), 200),
        ("GET /public/a", Some(&bob), 200),
        ("GET /x", Some(&bob), 403),
        ("GET /admin", Some(&alice), 403),
        ("GET /admin/x", Some(&alice), 403),
        ("GET /admin;x", Some(&alice), 403),
        ("GET /administer", Some(&alice), 200),
        ("POST /x", Some(&alice), 200),
    ];
    for (line, cookie, status) in cases {
        let headers = cookie.map_or_else(String::new, |cookie| format!("Cookie: {cookie}\r\n"));
        assert_eq!(ask(&world, APP, line, &headers).await.status, status, "{line} {cookie:?}");
    }
    assert_eq!(world.app.seen(), cases.iter().filter(|(_, _, status)| *status == 200).count());
    // No rule names the second app for her, and a cookie of one host is worth nothing on another.
    let mut hers = world.browser();
    assert_eq!(hers.sign_in(&format!("https://{FIN}/"), ALICE).await.status(), 403);
    assert_eq!(ask(&world, FIN, "GET /", &format!("Cookie: {alice}\r\n")).await.status, 401);
    assert_eq!(world.fin.seen(), 0);
}

#[tokio::test]
async fn a_block_is_explained_to_people_and_to_programs() {
    let world = world(rules(), "").await;
    let alice = world.cookie(ALICE).await;
    let browser = "Sec-Fetch-Mode: navigate\r\nAccept: text/html\r\n";
    let page = ask(&world, APP, "GET /admin", &format!("Cookie: {alice}\r\n{browser}")).await;
    let id = page.header("x-request-id").unwrap().to_owned();
    assert_eq!((page.status, page.header("cache-control")), (403, Some("no-store")), "{}", page.head);
    assert!(page.header("content-type").unwrap().starts_with("text/html"));
    assert!(page.header("content-security-policy").is_some_and(|policy| policy.contains("default-src 'none'")));
    let text = page.text();
    for part in [id.as_str(), "alice@contoso.example", "sign-out"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let twin = ask(&world, APP, "GET /admin", &format!("Cookie: {alice}\r\nAccept: application/json\r\n")).await;
    let json: serde_json::Value = serde_json::from_slice(&twin.body).unwrap();
    assert_eq!(
        (twin.status, &json["error"], &json["reason"]),
        (403, &"blocked".into(), &"rule_blocks".into()),
        "{json}"
    );
    assert_eq!(json["request_id"], twin.header("x-request-id").unwrap());
    assert!(json["message"].as_str().unwrap().len() > 20, "{json}");
    assert_eq!(world.app.requests().iter().filter(|request| request.target().starts_with("/admin")).count(), 0);
}

#[tokio::test]
async fn each_decision_is_written_once_with_the_id_that_the_answer_carries() {
    let world = world(rules(), "").await;
    let alice = world.cookie(ALICE).await;
    let mut ids = Vec::new();
    let written = || async { events(&world, "decision").iter().any(|line| line["path"] == "/signed-in") };
    crate::world::eventually("the sign-in is written", std::time::Duration::from_secs(5), written).await;
    let before = events(&world, "decision").len();
    for (path, reason, verdict) in [("/ok", "rule_allows", "allow"), ("/admin", "rule_blocks", "block")] {
        let id = get(&world, &alice, path).await.header("x-request-id").unwrap().to_owned();
        ids.push((id, path, reason, verdict));
    }
    let stranger = ask(&world, APP, "GET /ok", "").await.header("x-request-id").unwrap().to_owned();
    ids.push((stranger, "/ok", "sign_in_required", "block"));
    // What was refused before a decision is not one.
    assert_eq!(get(&world, &alice, "/a/../b").await.status, 400);
    crate::world::eventually("the lines are written", std::time::Duration::from_secs(5), || async {
        events(&world, "decision").len() >= before + 3
    })
    .await;
    let lines = events(&world, "decision")[before..].to_vec();
    assert_eq!(lines.len(), 3, "{lines:#?}");
    for (id, path, reason, verdict) in ids {
        let line: Vec<_> = lines.iter().filter(|line| line["request_id"] == id.as_str()).collect();
        assert_eq!(line.len(), 1, "{id} in {lines:#?}");
        let line = line[0];
        for (field, value) in [
            ("path", path),
            ("reason", reason),
            ("verdict", verdict),
            ("app", "app"),
            ("host", APP),
            ("method", "GET"),
            ("client", "127.0.0.1"),
            // No rule settles what a stranger gets where some people may come in.
            ("step", if reason == "sign_in_required" { "default" } else { "access_rules" }),
        ] {
            assert_eq!(line[field], value, "{field} in {line}");
        }
        assert!(line["seq"].is_u64() && line["time"].is_string() && line["policy"].is_u64());
        let signed_in = reason != "sign_in_required";
        assert_eq!(line["auth"], if signed_in { "cookie" } else { "none" });
        assert_eq!(line.get("user").is_some() && line.get("session").is_some(), signed_in, "{line}");
    }
    assert_eq!(metric(&world, "portcullis_refusals_total{word=\"bad_path\"}").await, 1);
    let mut raw = world.raw(APP).await;
    raw.send(b"GET / HTTP/1.1\nHost: app.test\n\n").await;
    assert_eq!(raw.response().await.unwrap().status, 400);
    assert_eq!(metric(&world, "portcullis_refusals_total{word=\"line_end\"}").await, 1);
}

#[tokio::test]
async fn allow_lines_can_be_switched_off() {
    let world = world(rules(), "allows = false").await;
    let alice = world.cookie(ALICE).await;
    assert_eq!(get(&world, &alice, "/ok").await.status, 200);
    let blocked = get(&world, &alice, "/admin").await.header("x-request-id").unwrap().to_owned();
    crate::world::eventually("the block is written", std::time::Duration::from_secs(5), || async {
        events(&world, "decision").iter().any(|line| line["request_id"] == blocked.as_str())
    })
    .await;
    assert!(events(&world, "decision").iter().all(|line| line["verdict"] == "block"));
}
