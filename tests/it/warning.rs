//! Warnings: what is shown first, who may go on, and for whom that counts.

use serde_json::{Value, json};

use crate::step_up::{attribute, form, start};
use crate::world::browser::Browser;
use crate::world::provider::Kind;
use crate::world::raw::Response;
use crate::world::{ALICE, APP, BOB, World};

const OWN: &str = "Accept: text/html\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Site: same-origin\r\nOrigin: null\r\n";
const CONTINUE: &str = "https://app.test/.portcullis/continue";

#[tokio::test]
async fn a_warning_is_shown_first_and_going_on_leads_to_the_same_request() {
    let world = start(Kind::Simulator).await;
    let mut browser = world.signed_in(ALICE).await;
    let page = browser.open(&format!("https://{APP}/careful/x?y=%201")).await;
    assert_eq!((page.status(), world.app.seen()), (403, 1), "only the page of the sign-in reached the app");
    let html = page.response.text();
    assert!(
        html.contains("Before you go on") && html.contains("Continue to app") && html.contains(ALICE.name),
        "{html}"
    );
    assert!(!html.contains(">careful<"), "nothing about how rules are written: {html}");
    let policy = page.response.header("content-security-policy").unwrap();
    assert!(policy.contains("form-action 'self' https:") && policy.contains("frame-ancestors 'none'"), "{policy}");
    let gone_on = browser.submit(&form(&page)).await;
    assert_eq!((gone_on.status(), gone_on.url.as_str()), (200, "https://app.test/careful/x?y=%201"));
    assert_eq!(browser.fetch(&format!("https://{APP}/careful/again")).await.status, 200, "not asked again");
    let log = world.gateway.log();
    let line = log.lines().find(|line| line.contains("\"event\":\"warning_continued\"")).expect("a line in the log");
    let line: Value = serde_json::from_str(line).unwrap();
    assert_eq!((&line["rule"], &line["app"], &line["name"]), (&json!("careful"), &json!("app"), &json!(ALICE.name)));
    // It counts for this session only.
    assert_warned(&world.signed_in(ALICE).await.fetch(&format!("https://{APP}/careful")).await);
}

#[tokio::test]
async fn a_script_gets_the_address_of_the_page() {
    let world = start(Kind::Simulator).await;
    let mut browser = world.signed_in(ALICE).await;
    let headers = "Accept: */*\r\nSec-Fetch-Mode: cors\r\nReferer: https://app.test/page\r\n";
    let response = browser.send("POST", &format!("https://{APP}/careful/api"), headers, Some("{}")).await;
    let page = browser.open(&assert_warned(&response)).await;
    assert!(page.response.text().contains("Before you go on"));
    let gone_on = browser.submit(&form(&page)).await;
    assert_eq!((gone_on.status(), gone_on.url.as_str()), (200, "https://app.test/page"));
    assert_eq!(browser.send("POST", &format!("https://{APP}/careful/api"), headers, Some("{}")).await.status, 200);
}

#[tokio::test]
async fn a_small_form_survives_the_warning() {
    let world = start(Kind::Simulator).await;
    let mut browser = world.signed_in(ALICE).await;
    let kept = browser.send("POST", &format!("https://{APP}/careful/save"), OWN, Some("a=1")).await;
    let html = kept.text();
    assert_eq!((kept.status, attribute(&html, "data-action")), (403, "/careful/save".to_owned()));
    let page = browser.open(&format!("https://{APP}{}", attribute(&html, "data-next"))).await;
    let gone_on = browser.submit(&form(&page)).await;
    let key = attribute(&html, "data-key");
    assert_eq!(gone_on.url.as_str(), format!("https://{APP}/.portcullis/resume?key={key}"), "{:#?}", gone_on.trail);
    assert_eq!(browser.send("POST", &format!("https://{APP}/careful/save"), OWN, Some("a=1")).await.status, 200);
}

#[tokio::test]
async fn only_our_own_page_shown_to_this_session_may_go_on() {
    let world = start(Kind::Simulator).await;
    let mut alice = world.signed_in(ALICE).await;
    let mut bob = world.signed_in(BOB).await;
    let good = form(&alice.open(&format!("https://{APP}/careful")).await).encoded();
    let bobs = form(&bob.open(&format!("https://{APP}/careful")).await).encoded();
    let mut forged = good.clone().into_bytes();
    forged[40] = if forged[40] == b'A' { b'B' } else { b'A' };
    let forged = String::from_utf8(forged).unwrap();
    for (headers, body) in [
        (OWN, ""),
        (OWN, "to="),
        (OWN, "to=abc"),
        (OWN, bobs.as_str()),
        (OWN, forged.as_str()),
        ("Sec-Fetch-Site: cross-site\r\nOrigin: null\r\n", good.as_str()),
        ("Sec-Fetch-Site: same-site\r\nOrigin: null\r\n", good.as_str()),
        ("Origin: https://evil.test\r\n", good.as_str()),
        ("Origin: https://fin.test\r\n", good.as_str()),
    ] {
        let response = alice.send("POST", CONTINUE, headers, Some(body)).await;
        assert_ne!(response.header("location"), Some("/careful"), "{headers}{body}");
        assert_warned(&alice.fetch(&format!("https://{APP}/careful")).await);
    }
    let response = alice.send("GET", &format!("{CONTINUE}?{good}"), OWN, None).await;
    assert_eq!(response.status, 405, "a link does not go on");
    // Without the cookie, as another site's form comes.
    let response = world.browser().send("POST", CONTINUE, OWN, Some(&good)).await;
    assert_eq!(response.header("location"), Some("/"), "{}", response.head);
    assert_warned(&alice.fetch(&format!("https://{APP}/careful")).await);
    assert!(!world.gateway.log().contains("warning_continued"));
    let response = alice.send("POST", CONTINUE, OWN, Some(&good)).await;
    assert_eq!((response.status, response.header("location")), (303, Some("/careful")));
    assert_eq!(alice.fetch(&format!("https://{APP}/careful")).await.status, 200);
    assert_warned(&bob.fetch(&format!("https://{APP}/careful")).await);
}

#[tokio::test]
async fn going_on_survives_a_restart_of_the_gateway() {
    let mut world = start(Kind::Simulator).await;
    let mut browser: Browser = world.signed_in(ALICE).await;
    let page = browser.open(&format!("https://{APP}/careful")).await;
    browser.submit(&form(&page)).await;
    restart(&mut world).await;
    let mut browser = browser.moved_to(world.gateway.https());
    assert_eq!(browser.fetch(&format!("https://{APP}/careful")).await.status, 200);
}

async fn restart(world: &mut World) {
    world.gateway.kill();
    world.gateway.start_again().await;
}

#[track_caller]
fn assert_warned(response: &Response) -> String {
    assert_eq!(response.status, 403, "{}", response.head);
    let body: Value = serde_json::from_slice(&response.body).unwrap();
    assert_eq!((&body["error"], &body["reason"]), (&json!("warning_required"), &json!("rule")));
    assert!(body["request_id"].as_str().is_some_and(|id| id.len() == 32));
    body["warning_url"].as_str().unwrap().to_owned()
}
