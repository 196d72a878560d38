//! Signing out here, at the provider, and because the provider says so.

use url::Url;

use crate::sign_in::is_session;
use crate::world::browser::{Browser, NAVIGATION};
use crate::world::provider::Kind;
use crate::world::shapes::{AUTH_HOST, FRONT_CHANNEL_LOGOUT, SIGN_OUT};
use crate::world::{ALICE, APP, BOB, FIN, World};

#[tokio::test]
async fn signing_out_takes_a_form_of_our_own_page() {
    let world = World::start(Kind::Simulator).await;
    let mut browser = world.signed_in(ALICE).await;
    browser.open_silently(&format!("https://{FIN}/")).await;
    let here = format!("https://{AUTH_HOST}{SIGN_OUT}");
    let asked = browser.open(&here).await;
    assert_eq!(asked.status(), 200);
    assert!(asked.response.header("content-security-policy").unwrap().contains("frame-ancestors 'none'"));
    let form = asked.forms().into_iter().find(|form| form.post).expect("a GET only asks");
    let good = form.encoded();
    let own = "Sec-Fetch-Site: same-origin\r\nOrigin: null\r\n";
    let bob = world.signed_in(BOB).await.open(&here).await.forms().remove(0).encoded();
    for (headers, body) in [
        (own, ""),
        (own, "csrf="),
        (own, "csrf=abc"),
        (own, bob.as_str()),
        ("Sec-Fetch-Site: cross-site\r\nOrigin: https://evil.test\r\n", good.as_str()),
        ("Sec-Fetch-Site: same-site\r\nOrigin: null\r\n", good.as_str()),
        ("Origin: https://app.test\r\n", good.as_str()),
    ] {
        let response = browser.send("POST", &here, headers, Some(body)).await;
        assert_eq!(response.status, 400, "{headers}{body}: {}", response.head);
        assert_eq!(browser.fetch(&format!("https://{APP}/")).await.status, 200, "{headers}{body}");
    }
    let stolen = browser.clone();
    let response = browser.send("POST", &here, own, Some(&good)).await;
    assert_eq!(response.status, 303);
    let to = Url::parse(response.header("location").unwrap()).unwrap();
    assert!(to.as_str().starts_with(&world.provider.authority) && to.path().ends_with("/oauth2/v2.0/logout"), "{to}");
    let sent: std::collections::BTreeMap<_, _> = to.query_pairs().into_owned().collect();
    assert_eq!(sent["post_logout_redirect_uri"], format!("https://{AUTH_HOST}/.portcullis/signed-out"));
    assert!(sent["logout_hint"].len() > 8, "the person is not asked which account to sign out: {to}");
    assert!(response.headers("set-cookie").iter().any(|line| is_session(line) && line.contains("Max-Age=0")));
    for host in [APP, FIN] {
        assert_eq!(stolen.clone().fetch(&format!("https://{host}/")).await.status, 401, "{host}");
    }
    let there = browser.open(to.as_str()).await;
    let next = there.response.text();
    assert!(next.contains(&format!("https://{AUTH_HOST}/.portcullis/signed-out")), "{next}");
    let back = browser.open(&format!("https://{AUTH_HOST}/.portcullis/signed-out")).await;
    assert!(back.response.text().contains("You are signed out"));
}

#[tokio::test]
async fn front_channel_logout_ends_the_session_it_names_and_tells_nothing() {
    let world = World::start(Kind::Simulator).await;
    let issuer = format!("{}/{}/v2.0", world.provider.authority, crate::world::TENANT);
    for with_issuer in [false, true] {
        let mut browser = world.signed_in(ALICE).await;
        let bystander = world.signed_in(BOB).await;
        let sid = provider_sid(&world, &mut browser).await;
        let ask = |query: &[(&str, &str)]| {
            let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
            format!("{FRONT_CHANNEL_LOGOUT}?{query}")
        };
        let other = issuer.replace(crate::world::TENANT, "a7d0e4c2-18b3-4f6d-92e5-0c9b7f31d8a4");
        // No cookies: third-party frames get none.
        let mut frame = world.browser();
        let mut answers = Vec::new();
        for url in [
            ask(&[]),
            ask(&[("sid", "")]),
            ask(&[("sid", "unknown")]),
            ask(&[("sid", &"x".repeat(300))]),
            ask(&[("sid", &sid), ("iss", "https://evil.test/v2.0")]),
            ask(&[("sid", &sid), ("iss", &other)]),
        ] {
            answers.push(frame.step(&url).await);
            assert_eq!(browser.fetch(&format!("https://{APP}/")).await.status, 200, "{url}");
        }
        let good = if with_issuer { ask(&[("sid", &sid), ("iss", &issuer)]) } else { ask(&[("sid", &sid)]) };
        answers.push(frame.step(&good).await);
        assert_eq!(browser.fetch(&format!("https://{APP}/")).await.status, 401, "{good}");
        assert_eq!(bystander.clone().fetch(&format!("https://{APP}/")).await.status, 200);
        for answer in &answers {
            assert_eq!(
                (answer.status, answer.text()),
                (200, answers[0].text()),
                "the same whether there was one or not"
            );
            let policy = answer.header("content-security-policy").unwrap();
            assert!(policy.contains(&format!("frame-ancestors {}", world.provider.authority)), "{policy}");
            assert_eq!(answer.header("x-frame-options"), None);
            assert!(answer.headers("set-cookie").is_empty());
        }
        assert_eq!(frame.send("POST", &good, NAVIGATION, Some("")).await.status, 405);
    }
}

/// The `sid` that the provider puts into its logout frames for this browser.
async fn provider_sid(world: &World, browser: &mut Browser) -> String {
    let url = format!("{}/{}/oauth2/v2.0/logout", world.provider.authority, crate::world::TENANT);
    let html = browser.step(&url).await.text();
    let at = html.find("sid=").unwrap_or_else(|| panic!("no frame with a sid: {html}")) + 4;
    html[at..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '-').collect()
}
