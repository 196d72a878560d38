//! `/logout` and front-channel logout (section 1.7).

use http::StatusCode;
use portcullis::simulator::{APP_ID, CONTOSO};

use super::browser::{Browser, REDIRECT, claims, request};
use super::sso::{add_second_app, second_request};

/// Section 1.7: a hidden frame per app of the session with `sid`; `iss` only by toggle; then on.
#[tokio::test]
async fn sign_out_loads_a_frame_per_app_and_ends_the_session() {
    let mut b = Browser::demo().await;
    add_second_app(&b);
    b.sim.world().change(|w| {
        w.app_mut(APP_ID).unwrap().logout_url = Some("https://gateway.example.com/auth/frontchannel-logout".to_owned());
    });
    let sid = claims(&b.alice().await["id_token"])["sid"].as_str().unwrap().to_owned();
    assert!(b.authorize(&second_request()).await.answer().contains_key("code"));
    let path = format!("/{CONTOSO}/oauth2/v2.0/logout?post_logout_redirect_uri={REDIRECT}");
    let page = b.get(&path).await;
    assert_eq!(page.status, StatusCode::OK);
    let text = page.text();
    assert_eq!(text.matches("<iframe hidden").count(), 2);
    assert!(text.contains(&format!("src=\"https://gateway.example.com/auth/frontchannel-logout?sid={sid}\"")));
    assert!(text.contains(&format!("src=\"https://second.example.com/fc?x=1&amp;sid={sid}\"")));
    assert!(text.contains(&format!("id=\"next\" href=\"{REDIRECT}\"")));
    assert!(b.authorize(&request()).await.input("flow").is_some(), "the session is over");

    b.sim.levers().send_frontchannel_iss(true);
    b.alice().await;
    let text = b.post(&format!("/{CONTOSO}/oauth2/v2.0/logout"), &vec![]).await.text();
    assert_eq!(text.matches("<iframe hidden").count(), 1, "only apps of this session");
    let iss: String = url::form_urlencoded::byte_serialize(format!("{}/{CONTOSO}/v2.0", b.base()).as_bytes()).collect();
    assert!(text.contains(&format!("frontchannel-logout?iss={iss}&amp;sid=")), "{text}");
}

/// Section 1.7: `post_logout_redirect_uri` must be registered; without a session there are no frames.
#[tokio::test]
async fn sign_out_sends_nobody_to_an_unregistered_address() {
    let mut b = Browser::demo().await;
    b.alice().await;
    let path = format!("/{CONTOSO}/oauth2/v2.0/logout?post_logout_redirect_uri=https://attacker.example/");
    let text = b.get(&path).await.text();
    assert!(!text.contains("attacker.example"));
    let text = b.get(&format!("/{CONTOSO}/oauth2/v2.0/logout")).await.text();
    assert!(!text.contains("<iframe"));
}

/// Section 1.5, table: single sign-out leaves a confidential client's refresh token alive.
#[tokio::test]
async fn refresh_tokens_outlive_sign_out() {
    let mut b = Browser::demo().await;
    let token = b.alice().await["refresh_token"].clone();
    b.get(&format!("/{CONTOSO}/oauth2/v2.0/logout")).await;
    assert_eq!(b.refresh(&token).await.status, StatusCode::OK);
}
