//! Sessions seen from outside: their cookies, how long they live, who ends them, and what survives a sudden death.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use crate::world::provider::Kind;
use crate::world::raw::Raw;
use crate::world::shapes::{AUTH_HOST, COOKIE, SIGN_OUT, SUBJECT_HEADER};
use crate::world::upstream::Answer;
use crate::world::{ALICE, APP, BOB, FIN, World, eventually};

#[tokio::test]
async fn cookie_is_short_opaque_and_only_for_its_host() {
    let world = World::start(Kind::Simulator).await;
    let mut browser = world.signed_in(ALICE).await;
    browser.open_silently(&format!("https://{FIN}/")).await;
    let set: Vec<_> = browser.jar().lines.iter().filter(|(_, line)| line.starts_with(COOKIE)).cloned().collect();
    assert!(set.iter().filter(|(_, line)| line.starts_with(&format!("{COOKIE}="))).count() >= 3, "{set:?}");
    for (host, line) in &set {
        let mut attributes: Vec<&str> = line.split(';').skip(1).map(str::trim).collect();
        attributes.sort_unstable();
        let browser_cookie = line.starts_with("__Host-portcullis-browser=");
        // The provider's form comes from its own site: there the browser cookie must travel, the session never.
        let site = if browser_cookie && host == AUTH_HOST { "SameSite=None" } else { "SameSite=Lax" };
        assert_eq!(attributes, ["HttpOnly", "Path=/", site, "Secure"], "{host}: {line}");
        let value = line.split(';').next().unwrap().split_once('=').unwrap().1;
        assert!(value.len() <= if browser_cookie { 300 } else { 64 }, "{line}");
        assert!(!value.contains('.'), "no token in a cookie: {line}");
    }
}

#[tokio::test]
async fn only_the_exact_cookie_opens_the_app() {
    let world = World::start(Kind::Simulator).await;
    let good = world.signed_in(ALICE).await.jar().value(APP, COOKIE).unwrap();
    let bob = world.signed_in(BOB).await.jar().value(APP, COOKIE).unwrap();
    let on_sign_in_host = world.signed_in(ALICE).await.jar().value(AUTH_HOST, COOKIE).unwrap();
    let mut raw = world.raw(APP).await;
    assert_eq!(status(&mut raw, &[format!("{COOKIE}={good}").as_bytes()]).await, 200);
    let seen = world.app.seen();
    let mut lines: Vec<Vec<Vec<u8>>> = Vec::new();
    let mut one = |text: &[u8]| lines.push(vec![text.to_vec()]);
    for value in ["", "=", "A", "null", "undefined", "{}", "\"\"", "!!!!", &"A".repeat(8_000), &on_sign_in_host] {
        one(format!("{COOKIE}={value}").as_bytes());
    }
    for length in 0..good.len() {
        one(format!("{COOKIE}={}", &good[..length]).as_bytes());
        one(format!("{COOKIE}={}", &good[length + 1..]).as_bytes());
    }
    for at in 0..good.len() {
        let mut forged = good.clone().into_bytes();
        forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
        one(&[format!("{COOKIE}=").as_bytes(), &forged].concat());
    }
    for text in [
        format!("{COOKIE}={good}A"),
        format!("{COOKIE}={good}="),
        format!("{COOKIE}=\"{good}\""),
        format!("{COOKIE}= {good} x"),
        format!("{COOKIE} ={good}"),
        format!("={COOKIE}={good}"),
        format!("{}={good}", COOKIE.to_lowercase()),
        format!("\u{2000}{COOKIE}={good}"),
        format!("portcullis={good}"),
        format!("{COOKIE}={good}; {COOKIE}={good}"),
        format!("{COOKIE}={bob}; {COOKIE}={good}"),
        format!("{COOKIE}={good}; {COOKIE}={bob}"),
        format!("{COOKIE}=x; {COOKIE}={good}"),
        format!("$Version=1; {COOKIE}={bob}; $Path=/; {COOKIE}={good}"),
        format!("x=\"a; {COOKIE}={bob}; {COOKIE}={good}\""),
        format!("{COOKIE}0={}; {COOKIE}1={}", &good[..20], &good[20..]),
    ] {
        one(text.as_bytes());
    }
    lines.push(vec![format!("{COOKIE}={bob}").into_bytes(), format!("{COOKIE}={good}").into_bytes()]);
    for cookies in lines {
        let cookies: Vec<&[u8]> = cookies.iter().map(Vec::as_slice).collect();
        let shown = String::from_utf8_lossy(cookies[0]).into_owned();
        // 400 is as good: the line itself was refused.
        let status = status(&mut world.raw(APP).await, &cookies).await;
        assert!(matches!(status, 400 | 401), "{status}: {shown:.200}");
    }
    assert_eq!(world.app.seen(), seen, "nothing of that reached the app");
    assert_eq!(status(&mut raw, &[format!("a=b; {COOKIE}={good}; c=d").as_bytes()]).await, 200);
}

#[tokio::test]
async fn signing_in_makes_a_new_id_and_ends_the_old_session() {
    let world = World::start(Kind::Simulator).await;
    // Chosen by somebody else before the sign-in.
    let planted = world.signed_in(BOB).await.jar().value(APP, COOKIE).unwrap();
    let mut browser = world.browser();
    browser.jar().put(APP, COOKIE, &format!("{}x", &planted[1..]));
    browser.sign_in(&format!("https://{APP}/"), ALICE).await;
    let first = browser.clone();
    let before = browser.jar().value(APP, COOKIE).unwrap();
    assert_ne!(before, planted);
    // Another sign-in in the same browser, as another person.
    let page = browser.open(&format!("https://{AUTH_HOST}/.portcullis/sign-in?prompt=select_account")).await;
    let page = browser.go_on(page, Some(BOB)).await;
    assert_eq!(page.status(), 200, "{:#?}", page.trail);
    assert!(page.response.text().contains("Bob Berger"), "the portal names the new person");
    assert_eq!(first.clone().fetch(&format!("https://{APP}/")).await.status, 401, "the old session is over");
    browser.open_silently(&format!("https://{APP}/")).await;
    assert_ne!(browser.jar().value(APP, COOKIE).unwrap(), before);
    let last = world.app.requests().pop().unwrap();
    assert!(last.header(SUBJECT_HEADER).unwrap().ends_with(BOB.oid));
}

#[tokio::test]
async fn provider_taking_its_yes_back_ends_the_session_and_its_streams() {
    let world = refreshing("1s").await;
    let cookie = world.cookie(ALICE).await;
    let bob = world.signed_in(BOB).await;
    let mut stream = world.raw(APP).await;
    stream.send(format!("GET /download HTTP/1.1\r\nHost: {APP}\r\nCookie: {cookie}\r\n\r\n").as_bytes()).await;
    world.provider.control("POST", &format!("/sim/v1/people/{}/revoke", ALICE.oid), &json!({})).await;
    let revoked = Instant::now();
    // Alice asks for nothing more: the stream alone must be reason enough to ask the provider again.
    let ended = tokio::time::timeout(Duration::from_secs(15), stream.response()).await;
    assert!(ended.is_ok_and(|response| response.is_err()), "the download ends with the session");
    assert!(revoked.elapsed() < Duration::from_secs(10));
    let mut raw = world.raw(APP).await;
    raw.send(format!("GET / HTTP/1.1\r\nHost: {APP}\r\nCookie: {cookie}\r\n\r\n").as_bytes()).await;
    assert_eq!(raw.response().await.unwrap().status, 401);
    assert_eq!(bob.clone().fetch(&format!("https://{APP}/")).await.status, 200, "nobody else is concerned");
    assert!(world.gateway.log().contains("\"reason\":\"account_lost\""), "the decision log says why");
}

/// The provider's posted answer brings no session cookie along (`SameSite=Lax`), and still one browser has one session.
#[tokio::test]
async fn parallel_tabs_share_one_session_and_signing_out_ends_both() {
    let world = World::start(Kind::Simulator).await;
    let mut browser = world.browser();
    let first = browser.open(&format!("https://{APP}/first")).await;
    let second = browser.open(&format!("https://{FIN}/second")).await;
    for page in [first, second] {
        assert_eq!(browser.go_on(page, Some(ALICE)).await.status(), 200);
    }
    let old = browser.clone();
    let asked = browser.open(&format!("https://{APP}{SIGN_OUT}")).await;
    let form = asked.forms().into_iter().find(|form| form.post).unwrap();
    browser.submit(&form).await;
    for host in [APP, FIN] {
        assert_eq!(old.clone().fetch(&format!("https://{host}/")).await.status, 401, "{host}");
    }
}

#[tokio::test]
async fn provider_that_is_down_keeps_the_session() {
    let mut world = refreshing("1s").await;
    let mut alice = world.signed_in(ALICE).await;
    world.provider.stop();
    eventually("a refresh was tried and failed", Duration::from_secs(8), || {
        let mut alice = alice.clone();
        let gateway = &world.gateway;
        async move {
            assert_eq!(alice.fetch(&format!("https://{APP}/")).await.status, 200);
            gateway.log().contains("silent refresh failed")
        }
    })
    .await;
    assert_eq!(alice.fetch(&format!("https://{APP}/")).await.status, 200);
}

#[tokio::test]
async fn change_of_groups_is_taken_over() {
    let world = refreshing("1s").await;
    let alice = world.signed_in(ALICE).await;
    let groups = "x-auth-groups";
    let before = world.app.requests().pop().unwrap().header(groups).unwrap().to_owned();
    let only = "7c40f2d9-5e1a-4b36-90cf-1d83a6e5b274";
    assert_ne!(before, only);
    world.provider.control("PATCH", &format!("/sim/v1/people/{}", ALICE.oid), &json!({ "groups": [only] })).await;
    eventually("the app sees the new groups", Duration::from_secs(8), || {
        let mut alice = alice.clone();
        let app = &world.app;
        async move {
            assert_eq!(alice.fetch(&format!("https://{APP}/")).await.status, 200);
            app.requests().pop().unwrap().header(groups) == Some(only)
        }
    })
    .await;
}

#[tokio::test]
async fn many_requests_at_once_refresh_once() {
    let world = refreshing("2s").await;
    let mut alice = world.signed_in(ALICE).await;
    let before = world.provider.count("token.refresh_token").await;
    world.provider.control("PUT", "/sim/v1/faults/token", &json!({ "delay_ms": 800 })).await;
    // The first due refresh is under way, and held up, while all these come.
    eventually("a refresh has begun", Duration::from_secs(8), || {
        let mut alice = alice.clone();
        let provider = &world.provider;
        async move {
            alice.fetch(&format!("https://{APP}/")).await;
            provider.count("token").await > before + 1
        }
    })
    .await;
    let cookie = alice.jar().header_for(&format!("https://{APP}/").parse().unwrap());
    let mut requests = Vec::new();
    for _ in 0..50 {
        let (mut raw, cookie) = (world.raw(APP).await, cookie.clone());
        requests.push(tokio::spawn(async move { status(&mut raw, &[cookie.as_bytes()]).await }));
    }
    for request in requests {
        assert_eq!(request.await.unwrap(), 200, "nobody waits for the provider");
    }
    eventually("the refresh arrived", Duration::from_secs(5), || async {
        world.provider.count("token.refresh_token").await > before
    })
    .await;
    assert_eq!(world.provider.count("token.refresh_token").await, before + 1);
}

#[tokio::test]
async fn kill_and_restart_lose_no_session_and_bring_none_back() {
    let mut world = World::start(Kind::Simulator).await;
    let alice = world.signed_in(ALICE).await;
    let mut bob = world.signed_in(BOB).await;
    let signed_out = bob.clone();
    let asked = bob.open(&format!("https://{AUTH_HOST}{SIGN_OUT}")).await;
    bob.submit(&asked.forms().remove(0)).await;
    world.gateway.kill();
    world.gateway.start_again().await;
    let here = world.gateway.https();
    assert_eq!(alice.clone().moved_to(here).fetch(&format!("https://{APP}/")).await.status, 200);
    assert_eq!(signed_out.moved_to(here).fetch(&format!("https://{APP}/")).await.status, 401);
    // The session of the sign-in host lives too: the second app asks nothing.
    let page = alice.moved_to(here).open_silently(&format!("https://{FIN}/")).await;
    assert_eq!((page.status(), page.url.host_str()), (200, Some(FIN)), "{:#?}", page.trail);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flood_of_strangers_leaves_nothing_behind() {
    let world = World::start(Kind::Simulator).await;
    world.signed_in(ALICE).await;
    let requests = |number: usize| {
        format!(
            "GET /{number} HTTP/1.1\r\nHost: {APP}\r\nAccept: text/html\r\nCookie: {COOKIE}={number:0>60}; \
             __Host-portcullis-browser={number}\r\n\r\n"
        )
    };
    let flood = |count: usize| {
        let world = &world;
        async move {
            let mut raw = world.raw(APP).await;
            for number in 0..count {
                raw.send(requests(number).as_bytes()).await;
                assert_eq!(raw.response().await.unwrap().status, 303);
            }
            let mut raw = world.raw(AUTH_HOST).await;
            for number in 0..count {
                let request = format!(
                    "GET /.portcullis/sign-in?to={number} HTTP/1.1\r\nHost: {AUTH_HOST}\r\nAccept: text/html\r\n\r\n"
                );
                raw.send(request.as_bytes()).await;
                assert_eq!(raw.response().await.unwrap().status, 303);
            }
        }
    };
    flood(200).await;
    let store = world.gateway.dir().join("state");
    let (memory, disk) = (world.gateway.resident_kib(), size_of(&store));
    flood(2_500).await;
    assert!(size_of(&store) <= disk, "the store grew from {disk} to {}", size_of(&store));
    let grown = world.gateway.resident_kib().saturating_sub(memory);
    assert!(grown < 4 * 1024, "5,000 strangers left {grown} KiB in memory");
    assert_eq!(world.app.seen(), 1);
}

/// Where the token tells the groups, a refresh that takes one away takes back what was open on its strength.
#[tokio::test]
async fn a_stream_ends_when_the_group_it_hung_on_is_gone() {
    let world = World::with(Kind::Simulator, download, |settings| {
        settings.sign_in = "refresh_every = \"1s\"".to_owned();
        settings.rules = format!(
            r#"[[rule]]
name = "members"
paths = ["/download"]
groups = ["{GROUP}"]
verdict = "allow"

[[rule]]
name = "others"
paths = ["/download"]
who = "signed_in"
verdict = "block"

[[rule]]
name = "pages"
who = "signed_in"
verdict = "allow"
"#
        );
    })
    .await;
    let person = format!("/sim/v1/people/{}", ALICE.oid);
    world.provider.control("PATCH", &person, &json!({ "groups": [GROUP] })).await;
    let cookie = world.cookie(ALICE).await;
    let mut stream = world.raw(APP).await;
    stream.send(format!("GET /download HTTP/1.1\r\nHost: {APP}\r\nCookie: {cookie}\r\n\r\n").as_bytes()).await;
    eventually("it streams", Duration::from_secs(5), || async { world.app.seen() > 1 }).await;
    world.provider.control("PATCH", &person, &json!({ "groups": [] })).await;
    let ended = tokio::time::timeout(Duration::from_secs(20), stream.response()).await;
    assert!(ended.is_ok_and(|response| response.is_err()), "the download ends with the membership");
    let log = world.gateway.log();
    assert!(log.contains("\"event\":\"verdict_changed\"") && log.contains("\"rule\":\"others\""), "{log}");
}

const GROUP: &str = "7c40f2d9-5e1a-4b36-90cf-1d83a6e5b274";

fn download(request: &crate::world::upstream::Request) -> Answer {
    match request.target() {
        "/download" => Answer::Download { bytes: 50_000_000, per_second: 100_000 },
        target => Answer::text(target),
    }
}

/// A world that asks the provider about each session in use this often.
async fn refreshing(every: &str) -> World {
    World::with(Kind::Simulator, download, |settings| settings.sign_in = format!("refresh_every = \"{every}\"")).await
}

async fn status(raw: &mut Raw, cookies: &[&[u8]]) -> u16 {
    let mut request = format!("GET / HTTP/1.1\r\nHost: {APP}\r\nAccept: application/json\r\n").into_bytes();
    for cookie in cookies {
        request.extend_from_slice(b"Cookie: ");
        request.extend_from_slice(cookie);
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
    raw.send(&request).await;
    raw.response().await.unwrap().status
}

fn size_of(folder: &std::path::Path) -> u64 {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum()
}
