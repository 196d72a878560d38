//! The gateway as a relying party: one suite for every provider.

use crate::world::provider::Kind;
use crate::world::raw::Response;
use crate::world::{ALICE, APP, BOB, FIN, TENANT, World, shapes};

/// One claim of the suite as a test for each provider.
macro_rules! for_every_provider {
    ($($name:ident),* $(,)?) => {
        mod oidc_provider {
            $(#[tokio::test]
            async fn $name() {
                super::$name(crate::world::provider::Kind::OidcProvider).await;
            })*
        }
        mod simulator {
            $(#[tokio::test]
            async fn $name() {
                super::$name(crate::world::provider::Kind::Simulator).await;
            })*
        }
    };
}

for_every_provider!(
    sign_in_ends_where_the_person_wanted_to_go,
    upstream_learns_who_it_is_and_never_sees_our_cookie,
    second_app_opens_without_a_question,
    both_response_modes_work,
    parallel_tabs_all_arrive,
    answer_used_twice_ends_on_a_page_and_not_in_a_loop,
    answer_with_a_foreign_state_signs_nobody_in,
    answer_in_another_browser_signs_nobody_in,
    error_of_the_provider_ends_on_a_page,
    script_gets_a_401_with_the_login_address,
    sign_out_ends_every_app_here_and_the_session_at_the_provider,
    two_people_in_two_browsers_stay_apart,
    cookie_of_one_host_is_worth_nothing_on_another,
);

async fn sign_in_ends_where_the_person_wanted_to_go(kind: Kind) {
    let world = World::start(kind).await;
    let page = world.browser().sign_in(&format!("https://{APP}/deep/link?a=1&b=%2F"), ALICE).await;
    assert_eq!(page.url.as_str(), format!("https://{APP}/deep/link?a=1&b=%2F"), "{:#?}", page.trail);
    assert_eq!((page.status(), page.response.text().as_str()), (200, "/deep/link?a=1&b=%2F"));
    assert_eq!(world.app.seen(), 1, "nothing reached the app before the sign-in");
}

async fn upstream_learns_who_it_is_and_never_sees_our_cookie(kind: Kind) {
    let world = World::start(kind).await;
    world.signed_in(ALICE).await;
    let request = world.app.only_request();
    let expected = format!("{TENANT}:{}", ALICE.oid);
    assert_eq!(request.headers(shapes::SUBJECT_HEADER), [expected.as_str()]);
    assert!(!request.head.contains("portcullis="), "{}", request.head);
}

async fn second_app_opens_without_a_question(kind: Kind) {
    let world = World::start(kind).await;
    let mut browser = world.signed_in(ALICE).await;
    let page = browser.open_silently(&format!("https://{FIN}/x")).await;
    assert_eq!((page.status(), page.url.as_str()), (200, format!("https://{FIN}/x").as_str()), "{:#?}", page.trail);
    let provider = world.provider.address().ip().to_string();
    assert!(!page.passed(&provider), "the session here is enough: {:#?}", page.trail);
    let values = [APP, FIN].map(|host| browser.jar().value(host, shapes::COOKIE).unwrap());
    assert_ne!(values[0], values[1], "each host has an id of its own");
    assert!(values.iter().all(|value| value.len() <= 64), "{values:?}");
}

async fn both_response_modes_work(kind: Kind) {
    for mode in ["form_post", "query"] {
        let script = |request: &crate::world::upstream::Request| crate::world::upstream::Answer::text(request.target());
        let world = World::with(kind, script, |settings| settings.response_mode = mode).await;
        let page = world.browser().sign_in(&format!("https://{APP}/"), ALICE).await;
        assert_eq!(page.status(), 200, "{mode}: {:#?}", page.trail);
    }
}

async fn parallel_tabs_all_arrive(kind: Kind) {
    let world = World::start(kind).await;
    let mut browser = world.browser();
    let mut tabs = Vec::new();
    for (tab, host) in [APP, FIN, APP, FIN, APP].into_iter().enumerate() {
        let address = format!("https://{host}/tab/{tab}");
        tabs.push((browser.open(&address).await, address));
    }
    // The last one opened is where the person types first.
    for (page, address) in tabs.into_iter().rev() {
        let mut page = browser.go_on(page, Some(ALICE)).await;
        if kind == Kind::OidcProvider && page.status() == 400 && page.passed("127.0.0.1") {
            // npm's provider gives up sign-in pages from before its session began; a person then reloads.
            page = browser.open_silently(&address).await;
        }
        assert_eq!((page.status(), page.url.as_str()), (200, address.as_str()), "{:#?}", page.trail);
    }
    let id = browser.jar().value(shapes::AUTH_HOST, shapes::COOKIE);
    let page = browser.open_silently(&format!("https://{FIN}/after")).await;
    assert_eq!((page.status(), browser.jar().value(shapes::AUTH_HOST, shapes::COOKIE)), (200, id), "one session");
}

async fn answer_used_twice_ends_on_a_page_and_not_in_a_loop(kind: Kind) {
    let world = World::with_query_mode(kind).await;
    let mut browser = world.browser();
    let page = browser.sign_in(&format!("https://{APP}/"), ALICE).await;
    let callback = page.trail.iter().find(|(url, _)| url.as_str().starts_with(shapes::REDIRECT_URI)).unwrap().0.clone();
    let again = browser.open(callback.as_str()).await;
    // Whoever is signed in stays so and goes on to what was asked for; the code is not sent a second time.
    assert!(!again.passed(&world.provider.address().ip().to_string()), "{:#?}", again.trail);
    assert_eq!((again.status(), again.url.as_str()), (200, format!("https://{APP}/").as_str()), "{:#?}", again.trail);
}

async fn answer_with_a_foreign_state_signs_nobody_in(kind: Kind) {
    let world = World::start(kind).await;
    let mut browser = world.browser();
    for query in ["code=abc&state=abc", "code=abc", "state=abc", "", "code=a&code=b&state=c&state=d"] {
        let response = browser.step(&format!("{}?{query}", shapes::REDIRECT_URI)).await;
        assert_clear_page(&response);
        assert!((400..500).contains(&response.status), "{query}: {}", response.head);
    }
    assert_eq!(browser.jar().value(shapes::AUTH_HOST, shapes::COOKIE), None);
}

async fn answer_in_another_browser_signs_nobody_in(kind: Kind) {
    let world = World::with_query_mode(kind).await;
    let mut alice = world.browser();
    let asked = alice.open(&format!("https://{APP}/")).await;
    let mut form = asked.forms().into_iter().find(|form| form.has("password")).unwrap();
    form = shapes::filled_sign_in_form(form, ALICE);
    // Alice's browser stops right before the callback, and somebody else's goes there: a login CSRF.
    let callback = alice.until_redirect_to(&form, shapes::REDIRECT_URI).await;
    let mut other = world.browser();
    let page = other.open(&callback).await;
    assert_clear_page(&page.response);
    assert_eq!(other.jar().value(shapes::AUTH_HOST, shapes::COOKIE), None);
    assert_eq!(world.app.seen(), 0);
}

async fn error_of_the_provider_ends_on_a_page(kind: Kind) {
    let world = World::start(kind).await;
    let mut browser = world.browser();
    let asked = browser.open(&format!("https://{APP}/")).await;
    let sent = asked.trail.iter().find_map(|(url, _)| url.query_pairs().find(|(name, _)| name == "state"));
    let state = sent.expect("an authorization request with a state").1.into_owned();
    let response = browser
        .step(&format!(
            "{}?error=access_denied&error_description=AADSTS65004%3A+%3Cscript%3E&state={state}",
            shapes::REDIRECT_URI
        ))
        .await;
    assert_clear_page(&response);
    assert!(!response.text().contains("<script>"), "the provider's words are text: {}", response.text());
}

async fn script_gets_a_401_with_the_login_address(kind: Kind) {
    let world = World::start(kind).await;
    let response = world.browser().fetch(&format!("https://{APP}/api")).await;
    assert_eq!(response.status, 401, "{}", response.head);
    let body: serde_json::Value = serde_json::from_slice(&response.body).unwrap();
    assert!(body.to_string().contains(&format!("https://{APP}/")), "{body}");
    assert_eq!(world.app.seen(), 0);
}

async fn sign_out_ends_every_app_here_and_the_session_at_the_provider(kind: Kind) {
    let world = World::start(kind).await;
    let mut browser = world.signed_in(ALICE).await;
    browser.open_silently(&format!("https://{FIN}/")).await;
    let stolen = browser.clone();
    let page = browser.open(&format!("https://{APP}{}", shapes::SIGN_OUT)).await;
    // A page that asks first has a form to confirm.
    let page = match page.forms().into_iter().find(|form| form.post) {
        Some(form) => browser.submit(&form).await,
        None => page,
    };
    let page = browser.go_on(page, None).await;
    assert_eq!(page.status(), 200, "{:#?}", page.trail);
    for host in [APP, FIN] {
        let response = stolen.clone().fetch(&format!("https://{host}/")).await;
        assert_eq!(response.status, 401, "the old cookie of {host} is dead");
    }
    let asked = browser.open_silently(&format!("https://{APP}/")).await;
    assert!(asked.forms().iter().any(|form| form.has("password")), "the provider asks again: {:#?}", asked.trail);
}

async fn two_people_in_two_browsers_stay_apart(kind: Kind) {
    let world = World::start(kind).await;
    let (mut alice, mut bob) = (world.signed_in(ALICE).await, world.signed_in(BOB).await);
    alice.open(&format!("https://{APP}/a")).await;
    bob.open(&format!("https://{APP}/b")).await;
    for (path, person) in [("/a", ALICE), ("/b", BOB)] {
        let request = world.app.requests().into_iter().find(|request| request.target() == path).unwrap();
        assert_eq!(request.header(shapes::SUBJECT_HEADER), Some(format!("{TENANT}:{}", person.oid).as_str()));
    }
}

async fn cookie_of_one_host_is_worth_nothing_on_another(kind: Kind) {
    let world = World::start(kind).await;
    let value = world.signed_in(ALICE).await.jar().value(APP, shapes::COOKIE).unwrap();
    let mut thief = world.browser();
    thief.jar().put(FIN, shapes::COOKIE, &value);
    assert_eq!(thief.fetch(&format!("https://{FIN}/")).await.status, 401);
    thief.jar().put(shapes::AUTH_HOST, shapes::COOKIE, &value);
    let page = thief.open_silently(&format!("https://{FIN}/")).await;
    assert!(page.forms().iter().any(|form| form.has("password")), "{:#?}", page.trail);
    assert_eq!(world.fin.seen(), 0);
}

impl World {
    async fn with_query_mode(kind: Kind) -> Self {
        let script = |request: &crate::world::upstream::Request| crate::world::upstream::Answer::text(request.target());
        Self::with(kind, script, |settings| settings.response_mode = "query").await
    }
}

/// A page for people: HTML, not cached, with a way on, and no redirect.
#[track_caller]
pub(crate) fn assert_clear_page(response: &Response) {
    assert_eq!(response.header("location"), None, "{}", response.head);
    assert!(response.header("content-type").is_some_and(|kind| kind.starts_with("text/html")), "{}", response.head);
    assert!(response.header("cache-control").is_some_and(|value| value.contains("no-store")), "{}", response.head);
    let html = response.text();
    assert!(html.contains("<h1") && html.contains("href="), "no heading or no way on: {html}");
}
