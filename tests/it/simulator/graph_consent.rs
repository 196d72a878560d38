//! The admin consent endpoint (reference section 2).

use http::{Method, StatusCode};
use portcullis::simulator::{APP_ID, FABRIKAM};
use serde_json::json;

use super::browser::{Browser, Form, REDIRECT, but, encoded};
use super::token::app_only;

fn ask() -> Form {
    vec![
        ("client_id", APP_ID.to_owned()),
        ("redirect_uri", REDIRECT.to_owned()),
        ("scope", "https://graph.microsoft.com/.default".to_owned()),
        ("state", "r8Km3".to_owned()),
    ]
}

#[tokio::test]
async fn consent_opens_a_tenant() {
    let mut b = Browser::demo().await;
    let principal = format!("/sim/v1/apps/{APP_ID}/principals/{FABRIKAM}");
    assert_eq!(b.json(Method::DELETE, &principal, json!({})).await.status, StatusCode::OK);
    let token = format!("/{FABRIKAM}/oauth2/v2.0/token");
    let graph = app_only("https://graph.microsoft.com/.default");
    b.post(&token, &graph).await.assert_failure(700_016, "unauthorized_client");
    let path = format!("/{FABRIKAM}/v2.0/adminconsent");
    let page = b.get(&format!("{path}?{}", encoded(&ask()))).await;
    assert_eq!((page.status, page.input("state").as_deref()), (StatusCode::OK, Some("r8Km3")));
    let mut form = ask();
    form.push(("answer", "accept".to_owned()));
    let answer = b.post(&path, &form).await.answer();
    assert_eq!((answer["admin_consent"].as_str(), answer["tenant"].as_str()), ("True", FABRIKAM));
    assert_eq!(answer["state"], "r8Km3");
    assert_eq!(b.post(&token, &graph).await.status, StatusCode::OK);
}

/// `admin_consent=True` also on failures, and then no `tenant`.
#[tokio::test]
async fn declined_consent_still_says_true() {
    let mut b = Browser::demo().await;
    let path = format!("/{FABRIKAM}/v2.0/adminconsent");
    let mut form = ask();
    form.push(("answer", "decline".to_owned()));
    let answer = b.post(&path, &form).await.answer();
    assert_eq!((answer["error"].as_str(), answer["admin_consent"].as_str()), ("access_denied", "True"));
    assert!(answer["error_description"].starts_with("AADSTS65004") && !answer.contains_key("tenant"));
}

/// Not `common`, no address that is not registered, no missing scope: nothing goes back to the app.
#[tokio::test]
async fn consent_that_cannot_be_trusted_stays_on_the_page() {
    let mut b = Browser::demo().await;
    b.get(&format!("/common/v2.0/adminconsent?{}", encoded(&ask()))).await.assert_page(9_002_313);
    let path = format!("/{FABRIKAM}/v2.0/adminconsent");
    let elsewhere = but(ask(), "redirect_uri", Some("https://attacker.example/"));
    b.get(&format!("{path}?{}", encoded(&elsewhere))).await.assert_page(50011);
    b.get(&format!("{path}?{}", encoded(&but(ask(), "scope", None)))).await.assert_page(900_144);
}
