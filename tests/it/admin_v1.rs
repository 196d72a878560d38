//! The admin API and console of a running gateway: behind the gateway for administrators, and the end of sessions whose
//! provider or tenant is gone.

use std::time::Duration;

use serde_json::{Value, json};

use crate::world::provider::Kind;
use crate::world::raw::{Raw, Response};
use crate::world::shapes::{SUBJECT_HEADER, Settings};
use crate::world::upstream::Answer;
use crate::world::{ALICE, APP, BOB, FIN, TENANT, World, eventually};

/// A group of the simulated tenant with Alice in it and not Bob.
const ADMINS: &str = "0fa7d4e8-691b-4c53-8d2e-a4b7c0e3f596";

/// In the certificate of every world, and no app's host here.
const CONSOLE: &str = FIN;

#[tokio::test]
async fn an_administrator_signs_in_like_everybody_else_and_others_are_blocked() {
    let world = console_world().await;
    let mut alice = world.signed_in(ALICE).await;
    let page = alice.open(&format!("https://{CONSOLE}/")).await;
    assert_eq!(page.status(), 200);
    assert!(page.response.text().contains("Identity and access"), "{}", page.response.text());
    assert!(page.response.text().contains(ALICE.name), "it says who is signed in");
    let iam: Value = body(&alice.fetch(&format!("https://{CONSOLE}/api/v1/iam")).await);
    assert_eq!(iam["provider"]["tenants"], json!([TENANT]));
    let mut bob = world.signed_in(BOB).await;
    let page = bob.open(&format!("https://{CONSOLE}/")).await;
    assert_eq!(page.status(), 403, "a rule for every app does not open the console");
    assert_eq!(bob.fetch(&format!("https://{APP}/")).await.status, 200, "which is there, and lets him in elsewhere");
    assert_eq!(world.browser().fetch(&format!("https://{CONSOLE}/api/v1/iam")).await.status, 401);
}

#[tokio::test]
async fn a_change_through_the_console_needs_its_own_origin_and_is_written_down_with_who() {
    let world = console_world().await;
    let mut alice = world.signed_in(ALICE).await;
    alice.open(&format!("https://{CONSOLE}/")).await;
    let url = format!("https://{CONSOLE}/api/v1/reload");
    let json = "Content-Type: application/json\r\n";
    for (headers, status) in [
        (json.to_owned(), 403),
        (format!("{json}Origin: https://{APP}\r\n"), 403),
        (format!("{json}Origin: https://evil.test\r\n"), 403),
        (format!("Content-Type: text/plain\r\nOrigin: https://{CONSOLE}\r\n"), 415),
        (format!("{json}Origin: https://{CONSOLE}\r\n"), 200),
    ] {
        assert_eq!(alice.send("POST", &url, &headers, Some("{}")).await.status, status, "{headers}");
    }
    let by = format!("\"by\":\"{TENANT}:{}\",\"action\":\"reload\"", ALICE.oid);
    eventually("it is written down", Duration::from_secs(5), || async { world.gateway.log().contains(&by) }).await;
}

#[tokio::test]
async fn forged_identity_headers_make_no_administrator() {
    let world = console_world().await;
    let mut alice = world.signed_in(ALICE).await;
    alice.open(&format!("https://{CONSOLE}/")).await;
    let mut bob = world.signed_in(BOB).await;
    bob.open(&format!("https://{CONSOLE}/")).await;
    let forged = format!("X-Auth-Assertion: e30.e30.e30\r\n{SUBJECT_HEADER}: {TENANT}:{}\r\n", ALICE.oid);
    assert_eq!(bob.send("GET", &format!("https://{CONSOLE}/api/v1/iam"), &forged, None).await.status, 403);
    assert_eq!(alice.send("GET", &format!("https://{CONSOLE}/api/v1/iam"), &forged, None).await.status, 200);
    // Past the gateway, straight to the admin listener.
    let answer = ask(&world, &format!("GET /api/v1/iam HTTP/1.1\r\nHost: {CONSOLE}\r\n{forged}")).await;
    assert_eq!(answer.status, 401);
}

#[tokio::test]
async fn an_administrator_whose_session_is_ended_is_out_at_once() {
    let world = console_world().await;
    let mut alice = world.signed_in(ALICE).await;
    assert_eq!(alice.open(&format!("https://{CONSOLE}/")).await.status(), 200);
    let token = bearer(&world);
    let path = format!("/api/v1/users/{TENANT}:{}/sessions", ALICE.oid);
    assert_eq!(ask(&world, &format!("DELETE {path} HTTP/1.1\r\nHost: localhost\r\n{token}")).await.status, 200);
    assert_eq!(alice.fetch(&format!("https://{CONSOLE}/api/v1/iam")).await.status, 401);
}

#[tokio::test]
async fn t02_switching_the_provider_ends_the_old_ones_sessions_and_a_broken_switch_ends_none() {
    let mut world = World::start(Kind::Simulator).await;
    let mut alice = world.signed_in(ALICE).await;
    let token = bearer(&world);
    let reload = format!("POST /api/v1/reload HTTP/1.1\r\nHost: localhost\r\n{token}");
    // The same again ends nothing.
    assert_eq!(ask(&world, &reload).await.status, 200);
    assert_eq!(alice.fetch(&format!("https://{APP}/")).await.status, 200);
    // Two providers are no configuration: refused, and nothing changes.
    world.gateway.settings.more = "\n[okta]\nhost = \"x\"\n".to_owned();
    world.gateway.write_configuration();
    let refused = ask(&world, &reload).await;
    assert_eq!(refused.status, 422);
    assert!(refused.text().contains("exactly one identity provider"), "{}", refused.text());
    assert_eq!(alice.fetch(&format!("https://{APP}/")).await.status, 200);
    // Another provider: the old one's sessions are over when the answer comes.
    world.gateway.settings.more = String::new();
    world.gateway.settings.authority = "http://127.0.0.1:9/".to_owned();
    world.gateway.write_configuration();
    assert_eq!(ask(&world, &reload).await.status, 200);
    assert_eq!(alice.fetch(&format!("https://{APP}/")).await.status, 401);
    let list = ask(&world, &format!("GET /api/v1/sessions HTTP/1.1\r\nHost: localhost\r\n{token}")).await;
    assert_eq!(body(&list)["sessions"], json!([]));
}

#[tokio::test]
async fn a_tenant_taken_off_the_list_takes_its_sessions_along_also_over_a_restart() {
    const OTHER: &str = "7c0d1a52-93be-4f6e-8d10-2b5a9e7c4f01";
    let mut world = World::start(Kind::Simulator).await;
    let alice = world.signed_in(ALICE).await;
    world.gateway.terminate();
    world.gateway.ended(Duration::from_secs(10)).await;
    let text = std::fs::read_to_string(world.gateway.dir().join("portcullis.toml")).unwrap();
    std::fs::write(world.gateway.dir().join("portcullis.toml"), text.replace(TENANT, OTHER)).unwrap();
    world.gateway.start_again().await;
    let mut alice = alice.moved_to(world.gateway.https());
    assert_eq!(alice.fetch(&format!("https://{APP}/")).await.status, 401);
}

/// A gateway whose console is open to Alice's group, and whose rules let everybody into every app.
async fn console_world() -> World {
    let console = format!("host = \"{CONSOLE}\"\ngroups = [\"{TENANT}:{ADMINS}\"]");
    World::with(
        Kind::Simulator,
        |request| Answer::text(request.target()),
        move |settings: &mut Settings| {
            settings.apps.truncate(1);
            settings.keys.push(("[admin]", console));
        },
    )
    .await
}

fn bearer(world: &World) -> String {
    format!("Authorization: Bearer {}\r\n", world.gateway.admin_token())
}

async fn ask(world: &World, head: &str) -> Response {
    let mut raw = Raw::tcp(world.gateway.admin()).await.unwrap();
    raw.send(format!("{head}Connection: close\r\n\r\n").as_bytes()).await;
    raw.response().await.unwrap()
}

fn body(response: &Response) -> Value {
    serde_json::from_slice(&response.body).unwrap()
}
