//! The admin listener, the logs and the metrics of a running gateway: what they say, and what they never say.

use std::time::Duration;

use serde_json::{Value, json};

use crate::world::browser::{Browser, Page};
use crate::world::provider::Kind;
use crate::world::raw::{Raw, Response};
use crate::world::shapes::{AUTH_HOST, CLIENT_SECRET, COOKIE, REDIRECT_URI};
use crate::world::{ALICE, APP, World, eventually};

#[tokio::test]
async fn health_says_what_is_missing() {
    let world = World::start(Kind::Simulator).await;
    assert_eq!(ask(&world, "GET", "/live", "").await.status, 200);
    world.signed_in(ALICE).await;
    eventually("ready", Duration::from_secs(5), || async { ask(&world, "GET", "/ready", "").await.status == 200 })
        .await;
    assert_eq!(body(&ask(&world, "GET", "/ready", "").await), json!({ "ready": true, "missing": [] }));
}

#[tokio::test]
async fn ready_names_the_provider_until_its_keys_are_known() {
    let mut provider = crate::world::provider::Provider::start(Kind::Simulator);
    let authority = provider.authority.clone();
    provider.stop();
    let world = World::with(
        Kind::Simulator,
        |_| crate::world::upstream::Answer::text("x"),
        |settings| {
            settings.authority = authority;
        },
    )
    .await;
    eventually("only the provider is missing", Duration::from_secs(10), || async {
        let answer = ask(&world, "GET", "/ready", "").await;
        assert_eq!(answer.status, 503, "never ready without the provider's keys");
        body(&answer) == json!({ "ready": false, "missing": ["provider_keys"] })
    })
    .await;
    assert_eq!(ask(&world, "GET", "/live", "").await.status, 200, "alive all the same");
    provider.start_again();
    eventually("ready", Duration::from_secs(30), || async { ask(&world, "GET", "/ready", "").await.status == 200 })
        .await;
}

#[tokio::test]
async fn ready_flips_when_the_drain_begins() {
    let slow = |request: &crate::world::upstream::Request| match request.target() {
        "/slow" => crate::world::upstream::Answer::Download { bytes: 200_000, per_second: 100_000 },
        target => crate::world::upstream::Answer::text(target),
    };
    let mut world = World::with(Kind::Simulator, slow, |_| {}).await;
    let cookie = world.cookie(ALICE).await;
    let mut download = world.raw(APP).await;
    download.send(format!("GET /slow HTTP/1.1\r\nHost: {APP}\r\nCookie: {cookie}\r\n\r\n").as_bytes()).await;
    eventually("it runs", Duration::from_secs(5), || async { world.app.seen() == 2 }).await;
    world.gateway.terminate();
    eventually("not ready any more", Duration::from_secs(2), || async {
        let answer = ask(&world, "GET", "/ready", "").await;
        answer.status == 503 && answer.text().contains("not_draining")
    })
    .await;
    assert_eq!(ask(&world, "GET", "/live", "").await.status, 200, "it is drained, not restarted");
    assert_eq!(download.response().await.unwrap().body.len(), 200_000);
    assert!(world.gateway.ended(Duration::from_secs(10)).await.success());
}

#[tokio::test]
async fn metrics_parse_and_move() {
    let world = World::start(Kind::Simulator).await;
    let before = metrics(&world).await;
    let mut alice = world.signed_in(ALICE).await;
    for _ in 0..10 {
        assert_eq!(alice.fetch(&format!("https://{APP}/")).await.status, 200);
    }
    world.browser().fetch(&format!("https://{APP}/")).await;
    let after = metrics(&world).await;
    let moved = |part: &str, word: &str| {
        let sum = |samples: &[(String, f64)]| -> f64 {
            samples
                .iter()
                .filter(|(name, _)| name.starts_with(part) && name.contains(word))
                .map(|(_, value)| value)
                .sum()
        };
        sum(&after) - sum(&before)
    };
    // Whoever reads the answer may be faster than the counter of its end.
    assert!(moved("portcullis_responses_total", "2xx") >= 11.0, "{after:#?}");
    assert!(moved("portcullis_decisions_total", "rule_allows") >= 11.0, "{after:#?}");
    assert!(moved("portcullis_decisions_total", "sign_in_required") >= 2.0, "{after:#?}");
    assert!(moved("portcullis_sign_ins_total", "signed_in") >= 1.0, "{after:#?}");
}

#[tokio::test]
async fn only_the_token_and_no_web_page_gets_at_the_api() {
    let world = World::start(Kind::Simulator).await;
    let token = format!("Authorization: Bearer {}\r\n", world.gateway.admin_token());
    assert_eq!(ask(&world, "GET", "/api/v1/sessions", &token).await.status, 200);
    for (headers, status) in [
        ("", 401),
        ("Authorization: Bearer wrong\r\n", 401),
        ("Authorization: Bearer \r\n", 401),
        ("Authorization: Basic YTpi\r\n", 401),
    ] {
        assert_eq!(ask(&world, "GET", "/api/v1/sessions", headers).await.status, status, "{headers}");
    }
    for (headers, status) in [
        ("Origin: https://evil.test\r\n", 403),
        ("Origin: null\r\n", 403),
        ("Sec-Fetch-Site: cross-site\r\n", 403),
        ("Content-Type: text/plain\r\nContent-Length: 0\r\n", 415),
    ] {
        let answer = ask(&world, "POST", "/api/v1/reload", &format!("{token}{headers}")).await;
        assert_eq!(answer.status, status, "{headers}");
        assert!(answer.headers("access-control-allow-origin").is_empty());
    }
    let mut raw = Raw::tcp(world.gateway.admin()).await.unwrap();
    raw.send(format!("GET /metrics HTTP/1.1\r\nHost: evil.test:9090\r\n{token}\r\n").as_bytes()).await;
    assert_eq!(raw.response().await.unwrap().status, 421, "a name that was pointed here (DNS rebinding)");
    for path in
        ["/api/v1/sessions-all", "/api/v1/sessions/../reload", "/API/v1/sessions", "//api/v1/sessions", "/api/v1/"]
    {
        assert_eq!(ask(&world, "GET", path, &token).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn reload_by_api_says_what_became_of_it() {
    let mut world = World::start(Kind::Simulator).await;
    let token = format!("Authorization: Bearer {}\r\n", world.gateway.admin_token());
    let cookie = world.cookie(ALICE).await;
    world.gateway.settings.marker = "new".to_owned();
    world.gateway.write_configuration();
    let answer = ask(&world, "POST", "/api/v1/reload", &token).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(body(&answer)["generation"].as_u64().unwrap() >= 2);
    let get = format!("GET / HTTP/1.1\r\nHost: {APP}\r\nCookie: {cookie}\r\n\r\n");
    let mut raw = world.raw(APP).await;
    raw.send(get.as_bytes()).await;
    assert_eq!(raw.response().await.unwrap().header("x-generation"), Some("new"));
    std::fs::write(world.gateway.config_file(), "nonsense = true\n").unwrap();
    let answer = ask(&world, "POST", "/api/v1/reload", &token).await;
    assert_eq!((answer.status, body(&answer)["error"].as_str()), (422, Some("configuration_refused")));
    assert!(body(&answer)["message"].as_str().unwrap().contains("portcullis.toml"), "{}", answer.text());
    raw.send(get.as_bytes()).await;
    assert_eq!(raw.response().await.unwrap().header("x-generation"), Some("new"), "the last good one goes on");
}

/// Everything a run writes and shows is searched for everything that must stay secret in it.
#[tokio::test]
async fn no_secret_is_in_any_log_page_or_metric() {
    let more = "\n[log]\nlevel = \"trace\"\nformat = \"json\"\n";
    let world = World::with(
        Kind::Simulator,
        |request| crate::world::upstream::Answer::text(request.target()),
        |settings| {
            settings.more = more.to_owned();
            settings.response_mode = "query";
            settings.sign_in = "refresh_every = \"1s\"".to_owned();
        },
    )
    .await;
    let mut browser = world.browser();
    let page = browser.sign_in(&format!("https://{APP}/?token=canary-query-value"), ALICE).await;
    assert_eq!(page.status(), 200, "{:#?}", page.trail);
    let mut secrets = secrets_of(&page, &mut browser);
    let mut shown = Vec::new();
    let used = page.trail.iter().map(|(url, _)| url.to_string()).find(|url| url.starts_with(REDIRECT_URI)).unwrap();
    let mut stranger = world.browser();
    for url in [
        used.as_str(),
        &format!("https://{APP}/.portcullis/enter?code=canary-authorization"),
        &format!("https://{AUTH_HOST}/"),
    ] {
        shown.push(stranger.step(url).await.text());
    }
    let authorization = "Authorization: Bearer canary-authorization\r\nX-A: \u{1b}[2J\\n{\"level\":\"info\"}\r\n";
    browser.send("GET", &format!("https://{APP}/x"), authorization, None).await;
    browser.fetch(&format!("https://{APP}/.portcullis/me")).await;
    eventually("a silent refresh", Duration::from_secs(8), || {
        let (mut browser, provider) = (browser.clone(), &world.provider);
        async move {
            browser.fetch(&format!("https://{APP}/")).await;
            provider.count("token.refresh_token").await > 0
        }
    })
    .await;
    world.provider.be_hostile_once("bad-signature").await;
    shown.push(world.browser().sign_in(&format!("https://{APP}/"), ALICE).await.response.text());
    let token = world.gateway.admin_token();
    let listed = ask(&world, "GET", "/api/v1/sessions", &format!("Authorization: Bearer {token}\r\n")).await;
    assert!(listed.text().contains(ALICE.oid));
    shown.push(listed.text());
    shown.push(ask(&world, "GET", "/metrics", "").await.text());
    secrets.push(token);
    let log = world.gateway.log();
    assert!(
        log.lines().count() > 20 && log.contains("\"level\":\"TRACE\"") || log.contains("\"level\":\"DEBUG\""),
        "{log:.2000}"
    );
    for secret in &secrets {
        let at = log.find(secret).map(|at| &log[at.saturating_sub(300)..(at + 80).min(log.len())]);
        assert_eq!(at, None, "`{secret}` is in the log");
        assert!(shown.iter().all(|text| !text.contains(secret)), "`{secret}` is on a page");
    }
    let jwt = log.find("eyJ");
    assert!(jwt.is_none(), "a token is in the log: {:?}", jwt.map(|at| &log[at.saturating_sub(200)..at + 20]));
}

#[tokio::test]
async fn every_log_line_is_one_json_object_and_requests_can_be_followed() {
    let more = "\n[log]\nformat = \"json\"\n";
    let script = |request: &crate::world::upstream::Request| {
        crate::world::upstream::Answer::text(request.header("x-request-id").unwrap_or("none"))
    };
    let world = World::with(Kind::Simulator, script, |settings| settings.more = more.to_owned()).await;
    let mut alice = world.signed_in(ALICE).await;
    let evil = "User-Agent: x\"},{\"a\":\"${jndi:x}\r\nX-Request-Id: forged\r\n";
    let answer = alice.send("GET", &format!("https://{APP}/%0a%22%7d"), evil, None).await;
    assert!(matches!(answer.status, 200 | 400), "{}", answer.head);
    let refused = world.browser().fetch(&format!("https://{APP}/refused")).await;
    let id = body(&refused)["request_id"].as_str().unwrap().to_owned();
    eventually("the decision is written", Duration::from_secs(5), || async { world.gateway.log().contains(&id) }).await;
    let mut sequence = 0;
    for line in world.gateway.log().lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        if let Some(number) = line["seq"].as_u64() {
            assert_eq!(number, sequence + 1, "none is missing and none is twice");
            sequence = number;
        }
        if line["event"] == "decision" {
            assert_eq!(line["request_id"].as_str().map(str::len), Some(32), "{line}");
        }
    }
    assert!(sequence >= 3);
    assert!(!world.gateway.log().contains("forged"), "a request id from outside is not believed");
    assert!(!world.gateway.log().contains(&alice.jar().value(APP, COOKIE).unwrap()));
}

/// Everything of a sign-in that must stay secret: what was in addresses, in cookies, and the canaries of the test.
fn secrets_of(page: &Page, browser: &mut Browser) -> Vec<String> {
    let mut secrets =
        vec![CLIENT_SECRET.to_owned(), "canary-query-value".to_owned(), "canary-authorization".to_owned()];
    secrets.push(url::form_urlencoded::byte_serialize(CLIENT_SECRET.as_bytes()).collect());
    for (url, _) in &page.trail {
        let values = url
            .query_pairs()
            .filter(|(name, _)| matches!(&**name, "code" | "state" | "nonce" | "to" | "code_challenge"));
        secrets.extend(values.map(|(_, value)| value.into_owned()));
    }
    for (_, line) in &browser.jar().lines {
        secrets.push(line.split(';').next().unwrap().split_once('=').unwrap().1.to_owned());
    }
    secrets.retain(|secret| secret.len() > 12);
    assert!(secrets.len() > 10, "the canaries were found: {secrets:?}");
    secrets
}

async fn ask(world: &World, method: &str, path: &str, headers: &str) -> Response {
    let host = world.gateway.admin();
    let mut raw = Raw::tcp(host).await.unwrap();
    raw.send(format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n{headers}Connection: close\r\n\r\n").as_bytes())
        .await;
    raw.response().await.unwrap()
}

fn body(response: &Response) -> Value {
    serde_json::from_slice(&response.body).unwrap_or_else(|error| panic!("{error}: {}", response.text()))
}

/// The samples of `/metrics`: OpenMetrics text, held to its rules.
async fn metrics(world: &World) -> Vec<(String, f64)> {
    let answer = ask(world, "GET", "/metrics", "").await;
    assert!(answer.header("content-type").unwrap().starts_with("application/openmetrics-text"), "{}", answer.head);
    let text = answer.text();
    assert!(text.ends_with("# EOF\n"), "OpenMetrics 1.0: the end is marked");
    let mut typed = std::collections::BTreeSet::new();
    let mut samples = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            assert!(typed.insert(rest.split(' ').next().unwrap().to_owned()), "typed twice: {line}");
        } else if !line.starts_with('#') {
            let (name, value) = line.rsplit_once(' ').unwrap();
            let family = name.split('{').next().unwrap();
            let known = |suffix: &str| family.strip_suffix(suffix).is_some_and(|family| typed.contains(family));
            assert!(["", "_total", "_bucket", "_sum", "_count"].into_iter().any(known), "no type for {line}");
            samples.push((name.to_owned(), value.parse().unwrap_or_else(|error| panic!("{error}: {line}"))));
        }
    }
    let names: std::collections::BTreeSet<_> = samples.iter().map(|(name, _)| name).collect();
    assert_eq!(names.len(), samples.len(), "a series twice");
    samples
}
