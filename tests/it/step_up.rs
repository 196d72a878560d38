//! Proving more: who is sent where, what counts as proof, and what never does.

use serde_json::{Value, json};
use url::Url;

use crate::world::browser::{Browser, NAVIGATION, Page};
use crate::world::page::Form;
use crate::world::provider::Kind;
use crate::world::raw::Response;
use crate::world::shapes::{AUTH_HOST, COOKIE, REDIRECT_URI, SIGN_OUT, filled_sign_in_form};
use crate::world::upstream::Answer;
use crate::world::{ALICE, APP, BOB, FIN, TENANT, World};

pub(crate) const RULES: &str = r#"[[rule]]
name = "admin-proves-more"
apps = ["app"]
paths = ["/admin"]
who = "signed_in"
verdict = "challenge"
context = "c1"
lifetime = "1h"

[[rule]]
name = "other-context"
apps = ["app"]
paths = ["/vault"]
who = "signed_in"
verdict = "challenge"
context = "c2"

[[rule]]
name = "careful"
apps = ["app"]
paths = ["/careful"]
who = "signed_in"
verdict = "warn"

[[rule]]
name = "everybody-signed-in"
who = "signed_in"
verdict = "allow"
"#;

#[tokio::test]
async fn a_challenge_comes_back_to_the_same_request_and_holds() {
    let world = start(Kind::Simulator).await;
    world.policy("c1", "mfa").await;
    let mut browser = world.signed_in(ALICE).await;
    browser.open_silently(&format!("https://{FIN}/")).await;
    let before = [APP, AUTH_HOST, FIN].map(|host| browser.jar().value(host, COOKIE).unwrap());
    let mut stolen = browser.clone();
    let script =
        format!("GET / HTTP/1.1\r\nHost: {APP}\r\nCookie: {COOKIE}={}\r\nSec-Fetch-Mode: cors\r\n\r\n", before[0]);
    let mut open = world.raw(APP).await;
    open.send(script.as_bytes()).await;
    assert_eq!(open.response().await.unwrap().status, 200);

    let asked = browser.open(&format!("https://{APP}/admin/x?y=%201")).await;
    assert!(asked.response.text().contains("Approve sign-in request"), "{:#?}", asked.trail);
    let sent = authorize(&asked);
    assert_eq!(sent["claims"], r#"{"id_token":{"acrs":{"essential":true,"value":"c1"}}}"#);
    assert!(sent["login_hint"].starts_with("O."), "the provider knows who is meant: {sent:?}");
    assert!(!sent.contains_key("prompt") && sent.contains_key("nonce") && sent.contains_key("code_challenge"));
    assert_eq!(world.app.seen(), 2, "nothing of this has reached the app");

    let page = approve(&mut browser, &asked).await;
    assert_eq!((page.status(), page.url.as_str()), (200, "https://app.test/admin/x?y=%201"), "{:#?}", page.trail);
    assert_eq!(browser.fetch(&format!("https://{APP}/admin/again")).await.status, 200);
    let after = [APP, AUTH_HOST, FIN].map(|host| browser.jar().value(host, COOKIE).unwrap());
    assert_ne!((&before[0], &before[1]), (&after[0], &after[1]));
    // Threats SE-05: whoever had a cookie of before has nothing of the step-up, on an open connection neither.
    assert_eq!(stolen.fetch(&format!("https://{APP}/admin")).await.status, 401);
    assert_eq!(stolen.fetch(&format!("https://{APP}/")).await.status, 401);
    open.send(script.as_bytes()).await;
    assert_eq!(open.response().await.unwrap().status, 401, "the connection had remembered that cookie");
    assert_eq!(browser.fetch(&format!("https://{FIN}/")).await.status, 200, "the other app goes on");
    let log = world.gateway.log();
    assert!(log.contains("\"outcome\":\"stepped_up\""), "{log}");
    assert!(log.contains("\"verdict\":\"challenge\"") && log.contains("\"rule\":\"admin-proves-more\""), "{log}");
}

#[tokio::test]
async fn a_script_is_told_what_is_needed_and_where() {
    let origins = "cors_origins = [\"https://friend.test\"]\n";
    let world = with(Kind::Simulator, |settings| settings.first_app = origins.to_owned()).await;
    world.policy("c1", "mfa").await;
    let mut browser = world.signed_in(ALICE).await;
    let seen = world.app.seen();
    let headers =
        "Accept: */*\r\nSec-Fetch-Mode: cors\r\nReferer: https://app.test/page?a=b\r\nOrigin: https://friend.test\r\n";
    for (method, body) in [("GET", None), ("DELETE", None), ("PUT", Some("a=b"))] {
        let response = browser.send(method, &format!("https://{APP}/admin/api"), headers, body).await;
        let login = assert_step_up_required(&response, "c1");
        assert_eq!(response.header("access-control-allow-origin"), Some("https://friend.test"));
        assert!(login.starts_with(&format!("https://{APP}/.portcullis/step-up?")), "{login}");
    }
    assert_eq!(world.app.seen(), seen, "nothing reached the app");
    let response = browser.send("GET", &format!("https://{APP}/vault"), headers, None).await;
    assert_step_up_required(&response, "c2");
    let response = browser.send("GET", &format!("https://{APP}/admin/api"), headers, None).await;
    let asked = browser.open(&assert_step_up_required(&response, "c1")).await;
    let page = approve(&mut browser, &asked).await;
    assert_eq!((page.status(), page.url.as_str()), (200, "https://app.test/page?a=b"), "{:#?}", page.trail);
    let response = browser.send("GET", &format!("https://{APP}/admin/api"), headers, None).await;
    assert_eq!(response.status, 200);
    for bad in ["", "context=c0", "context=p1", "context=c100", "context=c1&context=c2", "context=c1%22x"] {
        let response = browser.step(&format!("https://{APP}/.portcullis/step-up?{bad}")).await;
        assert!((400..500).contains(&response.status), "{bad}: {}", response.head);
    }
}

#[tokio::test]
async fn a_small_form_survives_the_step_up() {
    let world = start(Kind::Simulator).await;
    world.policy("c1", "mfa").await;
    let mut browser = world.signed_in(ALICE).await;
    let headers = "Accept: text/html\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Site: same-origin\r\n";
    let kept = browser.send("POST", &format!("https://{APP}/admin/save?id=7"), headers, Some("a=1&b=%3C")).await;
    assert_eq!(kept.status, 401, "{}", kept.head);
    let html = kept.text();
    assert!(html.contains("stronger sign-in"), "{html}");
    assert_eq!(attribute(&html, "data-action"), "/admin/save?id=7");
    let asked = browser.open(&attribute(&html, "data-next")).await;
    let page = approve(&mut browser, &asked).await;
    let key = attribute(&html, "data-key");
    assert_eq!(page.url.as_str(), format!("https://{APP}/.portcullis/resume?key={key}"), "{:#?}", page.trail);
    let sent = browser.send("POST", &format!("https://{APP}/admin/save?id=7"), headers, Some("a=1&b=%3C")).await;
    assert_eq!(sent.status, 200);
}

#[tokio::test]
async fn an_answer_without_the_context_ends_on_a_page_and_never_loops() {
    let world = start(Kind::Simulator).await;
    let mut browser = world.signed_in(ALICE).await;
    world.provider.be_hostile_once("missing-acrs").await;
    let before = world.provider.count("authorize").await;
    let page = browser.open_silently(&format!("https://{APP}/admin/x")).await;
    assert_step_up_failed(&page.response, "not_confirmed");
    assert_eq!(world.provider.count("authorize").await, before + 1);
    assert!(page.response.text().contains("href=\"https://app.test/admin/x\""), "the way to try again");
    // The session is as it was: good for everything else, and not for this.
    assert_eq!(browser.fetch(&format!("https://{APP}/")).await.status, 200);
    assert_step_up_required(&browser.fetch(&format!("https://{APP}/admin")).await, "c1");
    assert!(world.gateway.log().contains("\"outcome\":\"not_confirmed\""));
    // Without a policy Entra vouches at once: that is the trap `doctor` looks for.
    let page = browser.open_silently(&format!("https://{APP}/admin/x")).await;
    assert_eq!((page.status(), page.url.as_str()), (200, "https://app.test/admin/x"));
}

#[tokio::test]
async fn another_person_proves_nothing_and_changes_nothing() {
    let world = start(Kind::Simulator).await;
    let mut browser = world.signed_in(ALICE).await;
    world.provider.control("POST", "/sim/v1/people/alice/revoke", &json!({})).await;
    let before = browser.jar().value(APP, COOKIE);
    let asked = browser.open(&format!("https://{APP}/admin")).await;
    let page = browser.go_on(asked, Some(BOB)).await;
    assert_step_up_failed(&page.response, "other_person");
    assert!(!page.response.text().contains(BOB.name), "nothing of the other account is shown");
    assert_eq!(browser.jar().value(APP, COOKIE), before);
    let me: Value =
        serde_json::from_slice(&browser.fetch(&format!("https://{APP}/.portcullis/me")).await.body).unwrap();
    assert_eq!(me["name"], ALICE.name);
    assert_step_up_required(&browser.fetch(&format!("https://{APP}/admin")).await, "c1");
}

#[tokio::test]
async fn cancelling_or_failing_the_second_factor_changes_nothing() {
    let world = start(Kind::Simulator).await;
    world.policy("c1", "mfa").await;
    let mut browser = world.signed_in(ALICE).await;
    let asked = browser.open(&format!("https://{APP}/admin")).await;
    let mut form = asked.forms().remove(0);
    form.fields.retain(|field| field.value != "approve");
    let answered = browser.submit(&form).await;
    let page = browser.go_on(answered, None).await;
    assert_step_up_failed(&page.response, "cancelled");
    // Failing stays with the provider; the browser simply does not come back.
    world.provider.control("PATCH", "/sim/v1/people/alice", &json!({ "fails_mfa": true })).await;
    let asked = browser.open(&format!("https://{APP}/admin")).await;
    let stays = browser.submit(&asked.forms()[0]).await;
    assert!(stays.response.text().contains("AADSTS500121"), "{}", stays.response.text());
    world.policy("c1", "blocked").await;
    let blocked = browser.open(&format!("https://{APP}/admin")).await;
    assert!(blocked.response.text().contains("AADSTS53003"), "{:#?}", blocked.trail);
    assert_step_up_required(&browser.fetch(&format!("https://{APP}/admin")).await, "c1");
    assert_eq!(browser.fetch(&format!("https://{APP}/")).await.status, 200);
}

#[tokio::test]
async fn an_answer_counts_once_in_its_browser_and_for_its_session() {
    let world = with(Kind::Simulator, |settings| settings.response_mode = "query").await;
    let mut alice = world.signed_in(ALICE).await;
    let callback = to_callback(&mut alice, "/admin").await;
    let mut bob = world.signed_in(BOB).await;
    let page = bob.open(&callback).await;
    assert!(!page.trail.iter().any(|(url, _)| url.path() == "/admin"), "{:#?}", page.trail);
    assert_step_up_required(&bob.fetch(&format!("https://{APP}/admin")).await, "c1");
    let redeemed = world.provider.count("token.authorization_code").await;
    let page = alice.open(&callback).await;
    assert_eq!((page.status(), page.url.as_str()), (200, "https://app.test/admin"), "{:#?}", page.trail);
    let again = alice.open(&callback).await;
    assert!((400..500).contains(&again.status()), "{:#?}", again.trail);
    assert_eq!(world.provider.count("token.authorization_code").await, redeemed + 1);
    assert_eq!(alice.fetch(&format!("https://{APP}/admin")).await.status, 200, "the back button does no harm");

    // Signed out meanwhile: the answer finds no session, and makes none.
    let mut third = world.signed_in(ALICE).await;
    let callback = to_callback(&mut third, "/admin").await;
    let confirm = third.open(&format!("https://{AUTH_HOST}{SIGN_OUT}")).await.forms().remove(0);
    let own = "Sec-Fetch-Site: same-origin\r\nOrigin: null\r\n";
    third.send("POST", &format!("https://{AUTH_HOST}{SIGN_OUT}"), own, Some(&confirm.encoded())).await;
    let page = third.open(&callback).await;
    assert!((400..500).contains(&page.status()), "{:#?}", page.trail);
    assert_eq!(third.jar().value(AUTH_HOST, COOKIE), None);
}

#[tokio::test]
async fn parallel_tabs_each_come_back_to_their_own_page() {
    let world = start(Kind::Simulator).await;
    world.policy("c1", "mfa").await;
    let mut browser = world.signed_in(ALICE).await;
    let mut tabs = Vec::new();
    for tab in 0..4 {
        tabs.push(browser.open(&format!("https://{APP}/admin/{tab}")).await);
    }
    for (tab, asked) in tabs.into_iter().enumerate() {
        let page = approve(&mut browser, &asked).await;
        assert_eq!((page.status(), page.url.path()), (200, &*format!("/admin/{tab}")), "{:#?}", page.trail);
    }
}

#[tokio::test]
async fn the_same_step_up_again_and_again_ends_on_a_page() {
    let world = start(Kind::Simulator).await;
    let mut browser = world.signed_in(ALICE).await;
    // This address asks whatever the session has passed, as a rule would whose proof never counts.
    let again = format!("https://{APP}/.portcullis/step-up?context=c1&back=/x");
    for _ in 0..2 {
        let page = browser.open_silently(&again).await;
        assert_eq!((page.status(), page.url.path()), (200, "/x"), "{:#?}", page.trail);
    }
    let stopped = browser.step(&again).await;
    assert_eq!(stopped.status, 429, "{}", stopped.head);
    assert!(stopped.text().contains("Signing in keeps failing"));
    let page = browser.open_silently(&format!("https://{APP}/vault")).await;
    assert_eq!(page.status(), 200, "another context is no circle: {:#?}", page.trail);
}

#[tokio::test]
async fn a_new_sign_in_has_what_its_own_token_shows_and_no_more() {
    let world = start(Kind::Simulator).await;
    world.policy("c1", "mfa").await;
    let mut browser = world.signed_in(ALICE).await;
    let asked = browser.open(&format!("https://{APP}/admin")).await;
    assert_eq!(approve(&mut browser, &asked).await.status(), 200);
    // Another browser of the same person has proven nothing.
    let mut other = world.signed_in(ALICE).await;
    assert_step_up_required(&other.fetch(&format!("https://{APP}/admin")).await, "c1");
    // In the first browser the provider remembers the second factor and says so by itself.
    for host in [APP, AUTH_HOST] {
        browser.jar().forget(host, COOKIE);
    }
    let page = browser.open_silently(&format!("https://{APP}/admin")).await;
    assert_eq!(page.status(), 200, "{:#?}", page.trail);
    // Nobody signed in, and a step-up asked for: one round for both.
    let mut fresh = world.browser();
    let asked = fresh.open(&format!("https://{APP}/.portcullis/step-up?context=c1&back=/admin")).await;
    assert!(authorize(&asked).contains_key("claims"));
    let form = asked.forms().into_iter().find(|form| form.has("password")).unwrap();
    let asked = fresh.submit(&filled_sign_in_form(form, ALICE)).await;
    let page = approve(&mut fresh, &asked).await;
    assert_eq!((page.status(), page.url.path()), (200, "/admin"), "{:#?}", page.trail);
}

#[tokio::test]
async fn a_provider_that_we_did_not_write_understands_the_request() {
    let world = start(Kind::OidcProvider).await;
    let mut browser = world.signed_in(ALICE).await;
    assert_step_up_required(&browser.fetch(&format!("https://{APP}/admin")).await, "c1");
    let page = browser.open_silently(&format!("https://{APP}/admin/x")).await;
    assert_eq!((page.status(), page.url.as_str()), (200, "https://app.test/admin/x"), "{:#?}", page.trail);
    assert_step_up_required(&browser.fetch(&format!("https://{APP}/vault")).await, "c2");
}

#[tokio::test]
async fn somebody_blocked_everywhere_still_reaches_sign_in_portal_and_sign_out() {
    let rules =
        format!("[[rule]]\nname = \"not-bob\"\nusers = [\"{TENANT}:{}\"]\nverdict = \"block\"\n\n{RULES}", BOB.oid);
    let world = with(Kind::Simulator, |settings| settings.rules = rules).await;
    let mut bob = world.browser();
    for host in [APP, FIN] {
        let page = bob.sign_in(&format!("https://{host}/"), BOB).await;
        assert_eq!(
            (page.status(), page.url.host_str()),
            (403, Some(host)),
            "signed in, and blocked: {:#?}",
            page.trail
        );
    }
    let portal = bob.open(&format!("https://{AUTH_HOST}/")).await;
    assert!(portal.status() == 200 && portal.response.text().contains(BOB.name), "{:#?}", portal.trail);
    assert_eq!(bob.fetch(&format!("https://{APP}/.portcullis/me")).await.status, 200);
    let again = bob.open(&format!("https://{AUTH_HOST}/.portcullis/sign-in?prompt=select_account")).await;
    assert_eq!(authorize(&again)["prompt"], "select_account");
    let page = bob.go_on(again, Some(BOB)).await;
    assert_eq!((page.status(), page.url.host_str()), (200, Some(AUTH_HOST)), "callback and portal: {:#?}", page.trail);
    let confirm = bob.open(&format!("https://{AUTH_HOST}{SIGN_OUT}")).await.forms().remove(0);
    let left = bob.submit(&confirm).await;
    assert!(left.passed(&world.provider.address().ip().to_string()), "{:#?}", left.trail);
    assert_eq!(bob.fetch(&format!("https://{APP}/.portcullis/me")).await.status, 401);
    assert_eq!((world.app.seen(), world.fin.seen()), (0, 0));
}

/// A world with [`RULES`].
pub(crate) async fn start(kind: Kind) -> World {
    with(kind, |_| {}).await
}

async fn with(kind: Kind, change: impl FnOnce(&mut crate::world::shapes::Settings)) -> World {
    World::with(
        kind,
        |request| Answer::text(request.target()),
        |settings| {
            settings.rules = RULES.to_owned();
            change(settings);
        },
    )
    .await
}

impl World {
    /// Sets the Conditional Access policy behind a context.
    async fn policy(&self, context: &str, policy: &str) {
        let path = format!("/sim/v1/contexts/{TENANT}/{context}");
        self.provider.control("PUT", &path, &json!({ "policy": policy })).await;
    }
}

/// Presses Approve on the provider's page and goes on to where that leads.
async fn approve(browser: &mut Browser, asked: &Page) -> Page {
    assert!(asked.response.text().contains("Approve sign-in request"), "{:#?}", asked.trail);
    let approved = browser.submit(&asked.forms()[0]).await;
    browser.go_on(approved, None).await
}

/// Steps up as far as, but not into, the callback; the provider answers in the address.
async fn to_callback(browser: &mut Browser, path: &str) -> String {
    let mut url = Url::parse(&format!("https://{APP}{path}")).unwrap();
    for _ in 0..6 {
        let response = browser.send("GET", url.as_str(), NAVIGATION, None).await;
        url = url.join(response.header("location").unwrap()).unwrap();
        if url.as_str().starts_with(REDIRECT_URI) {
            return url.into();
        }
    }
    panic!("no answer of the provider, but {url}");
}

/// The authorization request on the way to a page.
fn authorize(asked: &Page) -> std::collections::BTreeMap<String, String> {
    let sent = asked.trail.iter().find(|(url, _)| url.query_pairs().any(|(name, _)| name == "state"));
    sent.expect("an authorization request").0.query_pairs().into_owned().collect()
}

#[track_caller]
fn assert_step_up_required(response: &Response, context: &str) -> String {
    assert_eq!(response.status, 401, "{}", response.head);
    assert_eq!(response.header("content-type"), Some("application/json"));
    assert_eq!(response.header("location"), None);
    let challenge = response.header("www-authenticate").unwrap();
    assert!(challenge.starts_with("Bearer error=\"insufficient_user_authentication\""), "{challenge}");
    assert!(challenge.ends_with(&format!("acr_values=\"{context}\"")), "{challenge}");
    let body: Value = serde_json::from_slice(&response.body).unwrap();
    assert_eq!((&body["error"], &body["acr_values"]), (&json!("step_up_required"), &json!(context)));
    assert!(body["request_id"].as_str().is_some_and(|id| id.len() == 32));
    body["login_url"].as_str().unwrap().to_owned()
}

#[track_caller]
fn assert_step_up_failed(response: &Response, word: &str) {
    let html = response.text();
    assert_eq!(response.status, 403, "{}\n{html}", response.head);
    assert!(html.contains(&format!("<dd>{word}</dd>")) && html.contains("Try again"), "expected {word}: {html}");
}

pub(crate) fn attribute(html: &str, name: &str) -> String {
    let (_, after) = html.split_once(&format!("{name}=\"")).unwrap_or_else(|| panic!("no {name} in {html}"));
    after.split('"').next().unwrap().replace("&amp;", "&").replace("&#38;", "&")
}

/// The one form of a page that posts.
pub(crate) fn form(page: &Page) -> Form {
    page.forms().into_iter().find(|form| form.post).expect("a form")
}
