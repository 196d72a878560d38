//! Single sign-on in one browser (sections 1.4 and 1.5).

use portcullis::simulator::{ALICE, APP_SECRET, App, BOB, CONTOSO, FABRIKAM};

use super::browser::{Browser, but, claims, encoded, redemption, request};

pub(crate) const SECOND: &str = "22222222-3333-4444-8555-666666666666";
pub(crate) const SECOND_REDIRECT: &str = "https://second.example.com/cb";

pub(crate) fn add_second_app(b: &Browser) {
    b.sim.world().change(|w| {
        let mut app = App::new(SECOND, "Second", CONTOSO, APP_SECRET);
        app.redirect_uris = vec![SECOND_REDIRECT.to_owned()];
        app.optional_claims.sid = true;
        app.logout_url = Some("https://second.example.com/fc?x=1".to_owned());
        w.apps.push(app);
    });
}

pub(crate) fn second_request() -> super::browser::Form {
    but(but(request(), "client_id", Some(SECOND)), "redirect_uri", Some(SECOND_REDIRECT))
}

/// The second app opens without a question and sees the same `sid`.
#[tokio::test]
async fn a_second_app_signs_in_silently() {
    let mut b = Browser::demo().await;
    add_second_app(&b);
    let first = claims(&b.alice().await["id_token"]);
    let code = b.authorize(&second_request()).await.answer()["code"].clone();
    let form = but(but(redemption(&code), "client_id", Some(SECOND)), "redirect_uri", Some(SECOND_REDIRECT));
    let second = claims(&b.token(&form).await.json()["id_token"]);
    assert_eq!(first["sid"], second["sid"]);
    assert_ne!(first["sub"], second["sub"]);
    // A code belongs to its client.
    let code = b.authorize(&request()).await.answer()["code"].clone();
    b.token(&but(redemption(&code), "client_id", Some(SECOND))).await.assert_failure(70000, "invalid_grant");
}

/// Section 1.4, `prompt`: `login` always asks, and moves `auth_time`; `select_account` asks who.
#[tokio::test]
async fn prompts_ask_again() {
    let mut b = Browser::demo().await;
    let first = claims(&b.alice().await["id_token"])["auth_time"].as_u64().unwrap();
    b.sim.levers().skew_clock(100);
    let again = but(request(), "prompt", Some("login"));
    let page = b.authorize(&again).await;
    // Pressing another button of the page does not get around the password.
    for action in ["continue", "approve", "accept"] {
        let reply = b.press(&page, action).await;
        assert!(reply.location().is_none(), "{action}");
    }
    let code = b.sign_in_on(&page, ALICE, "demo").await.answer()["code"].clone();
    let second = claims(&b.token(&redemption(&code)).await.json()["id_token"])["auth_time"].as_u64().unwrap();
    assert!(second >= first + 100);

    let page = b.authorize(&but(request(), "prompt", Some("select_account"))).await;
    assert!(page.text().contains("Continue as Alice"));
    assert!(b.press(&page, "continue").await.answer().contains_key("code"));
}

/// A `login_hint` for somebody else, upn or opaque, asks; the opaque claim of the same account does not.
#[tokio::test]
async fn a_hint_for_another_account_asks() {
    let mut b = Browser::demo().await;
    let hint = claims(&b.alice().await["id_token"])["login_hint"].as_str().unwrap().to_owned();
    let reply = b.authorize(&but(request(), "login_hint", Some(&hint))).await;
    assert!(reply.answer().contains_key("code"));
    let page = b.authorize(&but(request(), "login_hint", Some("bob@contoso.example"))).await;
    let code = b.sign_in_on(&page, BOB, "demo").await.answer()["code"].clone();
    let c = claims(&b.token(&redemption(&code)).await.json()["id_token"]);
    assert_eq!(c["oid"], BOB);
}

/// Section 1.8, 50020: the session of one tenant is no session at another tenant's path.
#[tokio::test]
async fn a_session_does_not_cross_tenants() {
    let mut b = Browser::demo().await;
    b.alice().await;
    let path = format!("/{FABRIKAM}/oauth2/v2.0/authorize?{}", encoded(&request()));
    b.get(&path).await.assert_page(50020);
    let page = b.get(&path).await;
    b.sign_in_on(&page, ALICE, "demo").await.assert_page(50034);
    let answer = b.get(&format!("{path}&prompt=none")).await.answer();
    assert_eq!(answer["error"], "interaction_required");
    assert!(answer["error_description"].starts_with("AADSTS16000"));
}

/// Section 1.5: a browser session lasts 24 hours, sliding.
#[tokio::test]
async fn a_browser_session_ends_after_a_day_without_use() {
    let mut b = Browser::demo().await;
    b.alice().await;
    b.sim.levers().skew_clock(23 * 3600);
    assert!(b.authorize(&request()).await.answer().contains_key("code"));
    b.sim.levers().skew_clock(46 * 3600);
    assert!(b.authorize(&request()).await.answer().contains_key("code"), "sliding");
    b.sim.levers().skew_clock(71 * 3600);
    assert!(b.authorize(&request()).await.input("flow").is_some());
}
