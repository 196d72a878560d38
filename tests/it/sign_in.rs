//! Signing in as people and their browsers meet it: who is sent where, what is kept, and what never works.

use serde_json::{Value, json};
use url::Url;

use crate::world::browser::{Browser, NAVIGATION, Page};
use crate::world::page::{Field, Form};
use crate::world::provider::Kind;
use crate::world::raw::Response;
use crate::world::shapes::{AUTH_HOST, COOKIE, REDIRECT_URI};
use crate::world::upstream::{Answer, Request};
use crate::world::{ALICE, APP, FIN, Person, World};

const FETCH: &str = "Accept: */*\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\nSec-Fetch-Site: same-origin\r\n";

#[tokio::test]
async fn navigation_is_redirected_and_everything_else_is_told_with_401() {
    let world = World::start(Kind::Simulator).await;
    let mut browser = world.browser();
    let url = format!("https://{APP}/x");
    for headers in [NAVIGATION, "Accept: text/html\r\n"] {
        let response = browser.send("GET", &url, headers, None).await;
        assert_eq!(response.status, 303, "{}", response.head);
        assert!(response.header("location").unwrap().starts_with(&format!("https://{AUTH_HOST}/")));
        assert!(response.header("cache-control").unwrap().contains("no-store"));
    }
    let script = "Accept: text/html\r\nX-Requested-With: XMLHttpRequest\r\n";
    let socket = "Accept: text/html\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                  Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n";
    let image = "Accept: image/*\r\nSec-Fetch-Mode: no-cors\r\nSec-Fetch-Dest: image\r\n";
    for (method, headers, body) in [
        ("GET", FETCH, None),
        ("GET", script, None),
        ("GET", "Accept: application/json\r\n", None),
        ("GET", image, None),
        ("DELETE", FETCH, None),
        ("PUT", FETCH, Some("a=b")),
        ("POST", "Content-Type: application/json\r\nSec-Fetch-Site: same-origin\r\n", Some("{}")),
    ] {
        let response = browser.send(method, &url, headers, body).await;
        assert_sign_in_required(&response);
    }
    let mut raw = world.raw(APP).await;
    raw.send(format!("GET /ws HTTP/1.1\r\nHost: {APP}\r\n{socket}\r\n").as_bytes()).await;
    assert_sign_in_required(&raw.response().await.unwrap());
    assert_eq!(world.app.seen(), 0);
}

#[tokio::test]
async fn login_address_of_a_script_leads_back_to_its_page() {
    let world = World::start(Kind::Simulator).await;
    for (referer, end) in [
        (format!("https://{APP}/page?a=%20b&c"), format!("https://{APP}/page?a=%20b&c")),
        (format!("https://{FIN}/page"), format!("https://{APP}/")),
        (format!("https://{APP}.evil.test/page"), format!("https://{APP}/")),
        (format!("https://{APP}//evil.test/page"), format!("https://{APP}/")),
        (String::new(), format!("https://{APP}/")),
    ] {
        let mut browser = world.browser();
        let headers = format!("{FETCH}Referer: {referer}\r\n");
        let response = browser.send("GET", &format!("https://{APP}/api"), &headers, None).await;
        let login = assert_sign_in_required(&response);
        let page = browser.sign_in(&login, ALICE).await;
        assert_eq!((page.status(), page.url.as_str()), (200, end.as_str()), "{referer}: {:#?}", page.trail);
    }
}

#[tokio::test]
async fn only_configured_origins_may_read_the_401_and_ask_ahead() {
    let origins = "cors_origins = [\"https://friend.test\"]\n";
    let world = World::with(Kind::Simulator, echo, |settings| settings.first_app = origins.to_owned()).await;
    let mut browser = world.browser();
    let url = format!("https://{APP}/api");
    for (origin, allowed) in [
        ("https://friend.test", true),
        ("https://evil.test", false),
        ("https://friend.test.evil.test", false),
        ("http://friend.test", false),
        ("null", false),
    ] {
        let headers = format!("Origin: {origin}\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Site: cross-site\r\n");
        let response = browser.send("GET", &url, &headers, None).await;
        assert_sign_in_required(&response);
        assert_eq!(response.header("access-control-allow-origin"), allowed.then_some(origin), "{origin}");
        assert_eq!(response.header("access-control-allow-credentials"), allowed.then_some("true"), "{origin}");
        assert!(response.headers("vary").iter().any(|value| value.eq_ignore_ascii_case("origin")), "{origin}");
        let headers = format!("{headers}Access-Control-Request-Method: PUT\r\nAccess-Control-Request-Headers: x-a\r\n");
        let response = browser.send("OPTIONS", &url, &headers, None).await;
        assert_eq!(response.status, if allowed { 204 } else { 401 }, "{origin}: {}", response.head);
        assert_eq!(response.header("access-control-allow-origin"), allowed.then_some(origin), "{origin}");
        assert_eq!(response.header("access-control-allow-headers"), allowed.then_some("x-a"), "{origin}");
    }
    let other = browser.send("GET", &format!("https://{FIN}/"), "Origin: https://friend.test\r\n", None).await;
    assert_eq!(other.header("access-control-allow-origin"), None, "an origin is configured for one app, not for all");
    assert_eq!((world.app.seen(), world.fin.seen()), (0, 0), "no preflight reaches an app");
}

#[tokio::test]
async fn small_form_survives_the_sign_in() {
    let world = World::start(Kind::Simulator).await;
    let mut browser = world.browser();
    let body = "note=%3Cb%3E+%22x%22&elements=1&action=2&note=again";
    let headers = "Accept: text/html\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Site: same-origin\r\n";
    let kept = browser.send("POST", &format!("https://{APP}/save?id=7"), headers, Some(body)).await;
    assert_eq!(kept.status, 401, "{}", kept.head);
    let html = kept.text();
    let key = attribute(&html, "data-key");
    assert_eq!(attribute(&html, "data-action"), "/save?id=7");
    let fields = &Form::all(&Url::parse("https://x/").unwrap(), &format!("<form>{html}</form>"))[0];
    assert_eq!(fields.encoded(), body, "the page holds every field as it was");
    let page = browser.sign_in(&attribute(&html, "data-next"), ALICE).await;
    assert_eq!(page.url.as_str(), format!("https://{APP}/.portcullis/resume?key={key}"), "{:#?}", page.trail);
    assert_eq!(attribute(&page.response.text(), "data-key"), key);
    let sent = browser.send("POST", &format!("https://{APP}/save?id=7"), headers, Some(body)).await;
    assert_eq!(sent.status, 200);
    let request = world.app.only_request();
    assert_eq!((request.method(), request.target(), request.body.as_slice()), ("POST", "/save?id=7", body.as_bytes()));
}

#[tokio::test]
async fn form_of_another_site_or_a_large_one_is_not_kept() {
    let world = World::start(Kind::Simulator).await;
    let mut browser = world.browser();
    let url = format!("https://{APP}/save");
    let navigate = "Accept: text/html\r\nSec-Fetch-Mode: navigate\r\n";
    for site in [
        "Sec-Fetch-Site: cross-site\r\n",
        "Sec-Fetch-Site: same-site\r\n",
        "Sec-Fetch-Site: none\r\n",
        "Sec-Fetch-Site: cross-site\r\nOrigin: https://app.test\r\n",
    ] {
        let response = browser.send("POST", &url, &format!("{navigate}{site}"), Some("canary=1")).await;
        assert_sign_in_required(&response);
        assert!(!response.text().contains("canary"));
    }
    // Browsers without Fetch Metadata: the origin decides.
    for (origin, kept) in [
        ("Origin: https://app.test\r\n", true),
        ("Origin: https://evil.test\r\n", false),
        ("Origin: http://app.test\r\n", false),
        ("Origin: https://app.test.evil.test\r\n", false),
        ("Origin: null\r\n", false),
        ("", false),
    ] {
        let headers = format!("Accept: text/html\r\n{origin}");
        let response = browser.send("POST", &url, &headers, Some("canary=1")).await;
        assert_eq!((response.status, response.text().contains("canary")), (401, kept), "{origin}");
    }
    let large = format!("a={}", "b".repeat(70_000));
    let own = format!("{navigate}Sec-Fetch-Site: same-origin\r\n");
    assert_sign_in_required(&browser.send("POST", &url, &own, Some(&large)).await);
    assert_eq!(world.app.seen(), 0);
}

#[tokio::test]
async fn no_value_in_any_parameter_leads_off_our_hosts() {
    let world = World::start(Kind::Simulator).await;
    let mut browser = world.signed_in(ALICE).await;
    let provider = world.provider.address().ip().to_string();
    let long = format!("https://evil.test/{}", "a".repeat(10_000));
    for value in EVIL.iter().copied().chain([long.as_str()]) {
        let value: String = url::form_urlencoded::byte_serialize(value.as_bytes()).collect();
        for name in
            ["to", "rd", "redirect", "return", "next", "back", "state", "code", "key", "post_logout_redirect_uri"]
        {
            for path in [
                format!("https://{APP}/.portcullis/sign-in"),
                format!("https://{APP}/.portcullis/enter"),
                format!("https://{APP}/.portcullis/resume"),
                format!("https://{APP}/.portcullis/sign-out"),
                format!("https://{AUTH_HOST}/.portcullis/sign-in"),
                REDIRECT_URI.to_owned(),
                format!("https://{AUTH_HOST}/.portcullis/signed-out"),
            ] {
                let url = format!("{path}?{name}={value}");
                let response = browser.step(&url).await;
                let Some(location) = response.header("location") else { continue };
                assert!(!location.contains('\\') && !location.bytes().any(|byte| byte < 0x21), "{url}: {location}");
                let to = Url::parse(&url).unwrap().join(location).unwrap();
                let host = to.host_str().unwrap();
                assert!([APP, AUTH_HOST, &provider].contains(&host), "{url} -> {to}");
            }
        }
    }
}

#[tokio::test]
async fn address_asked_for_never_becomes_another_origin() {
    let world = World::start(Kind::Simulator).await;
    for path in
        ["//evil.test", "///evil.test", "/%5cevil.test", "/%09/evil.test", "/a?next=//evil.test", "/.//evil.test"]
    {
        let mut browser = world.browser();
        let page = browser.sign_in(&format!("https://{APP}{path}"), ALICE).await;
        assert!([APP, AUTH_HOST].contains(&page.url.host_str().unwrap()), "{path}: {:#?}", page.trail);
    }
}

#[tokio::test]
async fn entering_code_works_once_on_its_host_in_its_browser() {
    let world = World::start(Kind::Simulator).await;
    let mut browser = world.signed_in(ALICE).await;
    for has_a_cookie_of_its_own in [false, true] {
        let shown = entering_address(&mut browser).await;
        let mut stranger = world.browser();
        if has_a_cookie_of_its_own {
            stranger.step(&format!("https://{FIN}/")).await;
        }
        assert_nobody(&mut stranger, &shown, FIN).await;
        // A code that another browser was shown is spent: nobody knows who else has it.
        assert_nobody(&mut browser, &shown, FIN).await;
    }
    let enter = entering_address(&mut browser).await;
    let mut elsewhere = browser.clone();
    elsewhere.jar().forget(APP, COOKIE);
    assert_nobody(&mut elsewhere, &enter.replace(FIN, APP), APP).await;
    for at in [enter.find("code=").unwrap() + 5, enter.len() / 2, enter.len() - 2] {
        let mut forged = enter.clone().into_bytes();
        forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
        assert_nobody(&mut browser.clone(), &String::from_utf8(forged).unwrap(), FIN).await;
    }
    assert_nobody(&mut browser.clone(), &format!("{enter}&code=x"), FIN).await;

    let mut twin = browser.clone();
    let entered = browser.step(&enter).await;
    assert_eq!((entered.status, entered.header("location")), (303, Some("/x")), "{}", entered.head);
    assert!(browser.jar().value(FIN, COOKIE).is_some());
    assert_nobody(&mut twin, &enter, FIN).await;
    let again = browser.step(&enter).await;
    assert_eq!(again.header("location"), Some("/"), "the back button of somebody who is in does no harm");
}

#[tokio::test]
async fn state_is_bound_to_the_browser_that_began() {
    let world = World::with(Kind::Simulator, echo, |settings| settings.response_mode = "query").await;
    let mut alice = world.browser();
    let callback = to_callback(&mut alice, ALICE).await;
    // The victim has a sign-in of its own under way, so it has a browser cookie too.
    let mut victim = world.browser();
    victim.open(&format!("https://{APP}/")).await;
    let tokens = world.provider.count("token").await;
    let page = victim.open(&callback).await;
    assert_problem(&page.response, "stale");
    assert_eq!(victim.jar().value(AUTH_HOST, COOKIE), None);
    assert_eq!(world.provider.count("token").await, tokens, "the code was not even redeemed");
    // The attempt itself is not harmed by that.
    let page = alice.open(&callback).await;
    assert_eq!((page.status(), page.url.host_str()), (200, Some(APP)), "{:#?}", page.trail);
}

#[tokio::test]
async fn same_answer_many_times_at_once_redeems_the_code_once() {
    let world = World::with(Kind::Simulator, echo, |settings| settings.response_mode = "query").await;
    let mut browser = world.browser();
    let callback = to_callback(&mut browser, ALICE).await;
    let before = world.provider.count("token.authorization_code").await;
    let tries = (0..20).map(|_| {
        let (mut browser, callback) = (browser.clone(), callback.clone());
        tokio::spawn(async move { browser.step(&callback).await.headers("set-cookie").iter().any(|c| is_session(c)) })
    });
    let mut signed_in = 0;
    for outcome in tries.collect::<Vec<_>>() {
        signed_in += u32::from(outcome.await.unwrap());
    }
    assert_eq!(signed_in, 1);
    assert_eq!(world.provider.count("token.authorization_code").await, before + 1);
}

#[tokio::test]
async fn browser_that_keeps_no_cookies_ends_on_a_page() {
    let world = World::start(Kind::Simulator).await;
    // Keeps nothing of ours at all.
    let mut browser = world.browser();
    let asked = browser.open(&format!("https://{APP}/")).await;
    *browser.jar() = Default::default();
    let page = browser.go_on(asked, Some(ALICE)).await;
    assert_problem(&page.response, "cookies_off");
    // Keeps everything but the session cookie of the app: sent away twice, then told (OI-22).
    let mut browser = world.signed_in(ALICE).await;
    browser.jar().forget(APP, COOKIE);
    let page = browser.open_silently(&format!("https://{APP}/")).await;
    assert!(page.passed(AUTH_HOST), "{:#?}", page.trail);
    browser.jar().forget(APP, COOKIE);
    assert_keeps_failing(&browser.step(&format!("https://{APP}/")).await);
    // Keeps everything but the session cookie of the sign-in host.
    let mut browser = world.browser();
    browser.sign_in(&format!("https://{AUTH_HOST}/"), ALICE).await;
    browser.jar().forget(AUTH_HOST, COOKIE);
    assert_eq!(browser.open_silently(&format!("https://{AUTH_HOST}/")).await.status(), 200);
    browser.jar().forget(AUTH_HOST, COOKIE);
    assert_keeps_failing(&browser.step(&format!("https://{AUTH_HOST}/")).await);
}

fn assert_keeps_failing(response: &Response) {
    assert_eq!(response.status, 429, "{}", response.head);
    assert!(response.text().contains("Signing in keeps failing"), "{}", response.text());
    assert_eq!(response.header("retry-after"), Some("60"));
}

#[tokio::test]
async fn five_tabs_at_once_are_no_loop() {
    let world = World::start(Kind::Simulator).await;
    let mut browser = world.browser();
    let mut tabs = Vec::new();
    for tab in 0..5 {
        tabs.push(browser.open(&format!("https://{APP}/{tab}")).await);
    }
    for tab in tabs {
        assert_eq!(browser.go_on(tab, Some(ALICE)).await.status(), 200);
    }
    // All of them together were one round, so there is one more before the page.
    browser.jar().forget(APP, COOKIE);
    let page = browser.open_silently(&format!("https://{APP}/")).await;
    assert!(page.passed(AUTH_HOST) && page.status() == 200, "{:#?}", page.trail);
}

#[tokio::test]
async fn provider_errors_end_on_a_page_that_names_the_reason() {
    let world = World::start(Kind::Simulator).await;
    for (error, description, word) in [
        ("access_denied", "AADSTS65004: User declined to consent.", "cancelled"),
        ("access_denied", "AADSTS50105: not assigned to a role", "not_assigned"),
        ("access_denied", "AADSTS53003: Access has been blocked by Conditional Access policies.", "account_refused"),
        ("interaction_required", "AADSTS50076: multi-factor authentication", "interaction_required"),
        ("temporarily_unavailable", "AADSTS90033: A transient error has occurred.", ""),
        ("unheard_of", "<script>alert('canary')</script>", ""),
    ] {
        let mut browser = world.browser();
        let asked = browser.open(&format!("https://{APP}/")).await;
        let state = state_of(&asked);
        let query = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("error", error), ("error_description", description), ("state", &state)])
            .finish();
        for (method, url, body) in
            [("GET", format!("{REDIRECT_URI}?{query}"), None), ("POST", REDIRECT_URI.to_owned(), Some(query.as_str()))]
        {
            let response = browser.send(method, &url, NAVIGATION, body).await;
            assert!(response.status >= 400 && response.header("location").is_none(), "{}", response.head);
            let html = response.text();
            assert!(html.contains("<h1") && html.contains("Try again"), "{method} {error}: {}\n{html}", response.head);
            assert!(!html.contains("alert('canary')") && !html.contains("AADSTS"), "{html}");
            assert!(html.contains(word), "{description}: {html}");
        }
    }
}

#[tokio::test]
async fn disabled_and_unassigned_people_do_not_get_in() {
    let world = World::start(Kind::Simulator).await;
    for (who, oid) in
        [("nora", "37b6e9d4-0f81-4c2a-b5d8-6e9a1c740f35"), ("dan", "c05d8e72-94a6-4b3f-81c0-2f7d6e1b9a48")]
    {
        let mut browser = world.browser();
        let asked = browser.open(&format!("https://{APP}/")).await;
        let mut form = asked.forms().into_iter().find(|form| form.has("password")).unwrap();
        form.fields.retain(|field| field.kind != "radio");
        let named = Field { name: "username".into(), kind: "text".into(), value: oid.into(), checked: false };
        form.fields.push(named);
        form.fill("password", "demo");
        let answered = browser.submit(&form).await;
        let page = browser.go_on(answered, None).await;
        let asked_again = page.forms().iter().any(|form| form.has("password"));
        assert!(page.status() >= 400 || asked_again, "{who}: {:#?}", page.trail);
        for host in [APP, AUTH_HOST] {
            assert_eq!(browser.jar().value(host, COOKIE), None, "{who}");
        }
    }
    assert_eq!(world.app.seen(), 0);
}

#[tokio::test]
async fn own_paths_are_exact_and_never_reach_an_app() {
    let world = World::start(Kind::Simulator).await;
    let mut browser = world.signed_in(ALICE).await;
    let seen = world.app.seen();
    for path in [
        "/.portcullis",
        "/.portcullis/",
        "/.PORTCULLIS/me",
        "/.portcullis/me/x",
        "/.portcullis/callback",
        "/.portcullis/x",
    ] {
        let response = browser.step(&format!("https://{APP}{path}")).await;
        assert_eq!(response.status, 404, "{path}: {}", response.head);
    }
    let me = browser.fetch(&format!("https://{APP}/.portcullis/me")).await;
    let body: Value = serde_json::from_slice(&me.body).unwrap();
    assert_eq!(
        body,
        json!({ "user": format!("{}:{}", crate::world::TENANT, ALICE.oid), "name": ALICE.name, "email": body["email"] })
    );
    assert_eq!(world.browser().fetch(&format!("https://{APP}/.portcullis/me")).await.status, 401);
    assert_eq!(world.app.seen(), seen);
}

fn echo(request: &Request) -> Answer {
    Answer::text(request.target())
}

/// Checks a 401 for a program and gives the login address in it.
#[track_caller]
fn assert_sign_in_required(response: &Response) -> String {
    assert_eq!(response.status, 401, "{}", response.head);
    assert_eq!(response.header("content-type"), Some("application/json"));
    assert!(response.header("www-authenticate").is_some(), "RFC 9110 15.5.2");
    assert_eq!(response.header("location"), None);
    let body: Value = serde_json::from_slice(&response.body).unwrap();
    assert_eq!(body["error"], "sign_in_required");
    assert!(body["request_id"].as_str().is_some_and(|id| id.len() == 32));
    body["login_url"].as_str().unwrap().to_owned()
}

#[track_caller]
fn assert_problem(response: &Response, word: &str) {
    let html = response.text();
    assert!((400..500).contains(&response.status) && html.contains("<h1"), "{}", response.head);
    assert!(html.contains(&format!("<dd>{word}</dd>")), "expected {word}: {html}");
    assert!(html.contains("Try again"), "no way on: {html}");
}

/// Opening `url` gives a page and no session on `host`.
async fn assert_nobody(browser: &mut Browser, url: &str, host: &str) {
    let response = browser.step(url).await;
    assert!((400..500).contains(&response.status), "{url}: {}", response.head);
    assert_eq!(browser.jar().value(host, COOKIE), None, "{url}");
}

/// The address with the one-time code that brings somebody signed in to the second app.
async fn entering_address(browser: &mut Browser) -> String {
    let asked = browser.step(&format!("https://{FIN}/x")).await;
    let answer = browser.step(asked.header("location").unwrap()).await;
    let enter = answer.header("location").unwrap().to_owned();
    assert!(enter.starts_with(&format!("https://{FIN}/.portcullis/enter?code=")), "{enter}");
    enter
}

/// Signs in up to, but not into, the callback.
async fn to_callback(browser: &mut Browser, person: &Person) -> String {
    let asked = browser.open(&format!("https://{APP}/")).await;
    let form = asked.forms().into_iter().find(|form| form.has("password")).unwrap();
    let form = crate::world::shapes::filled_sign_in_form(form, person);
    browser.until_redirect_to(&form, REDIRECT_URI).await
}

fn state_of(asked: &Page) -> String {
    let sent = asked.trail.iter().find_map(|(url, _)| url.query_pairs().find(|(name, _)| name == "state"));
    sent.expect("an authorization request with a state").1.into_owned()
}

pub(crate) fn is_session(line: &str) -> bool {
    line.starts_with(&format!("{COOKIE}="))
}

fn attribute(html: &str, name: &str) -> String {
    let (_, after) = html.split_once(&format!("{name}=\"")).unwrap_or_else(|| panic!("no {name} in {html}"));
    after.split('"').next().unwrap().replace("&amp;", "&").replace("&#38;", "&")
}

const EVIL: [&str; 17] = [
    "https://evil.test",
    "//evil.test",
    "///evil.test",
    "/\\evil.test",
    "\\\\evil.test",
    "/%5cevil.test",
    "/%09/evil.test",
    "/\t/evil.test",
    "https:evil.test",
    "https://app.test@evil.test",
    "https://app.test.evil.test",
    "https://evil.test#.app.test",
    "https://app.test:443@evil.test",
    "javascript:alert(1)",
    "\u{0}",
    "/x\r\nSet-Cookie: x=y",
    "https://app.test\u{3002}evil.test",
];
