//! The levers per person, auth contexts (sections 1.5, 1.8, 7.1, 10.1 and 11).

use http::StatusCode;
use portcullis::simulator::{ALICE, APP_ID, BOB, CONTOSO, ContextPolicy};
use serde_json::Value;

use super::browser::{Browser, but, claims, redemption, request};

/// Section 10.1: the body of 50173, member by member.
#[tokio::test]
async fn revoked_sessions_make_refresh_50173() {
    let mut b = Browser::demo().await;
    let tokens = b.alice().await;
    b.sim.world().revoke_sessions("alice").unwrap();
    let reply = b.refresh(&tokens["refresh_token"]).await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST);
    let body = reply.assert_failure(50173, "invalid_grant");
    let mut names: Vec<&str> = body.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        ["correlation_id", "error", "error_codes", "error_description", "error_uri", "timestamp", "trace_id"]
    );
    let text = body["error_description"].as_str().unwrap();
    assert!(text.starts_with(
        "AADSTS50173: The provided grant has expired due to it being revoked, a fresh auth token is needed. The user \
         might have changed or reset their password. The grant was issued on '"
    ));
    assert!(text.contains("and the TokensValidFrom date (before which tokens are not valid) for this user is '"));
    let timestamp = body["timestamp"].as_str().unwrap();
    assert_eq!((timestamp.len(), timestamp.as_bytes()[10]), (20, b' '), "{timestamp}");
    // The browser session is gone too, and a new sign-in works.
    assert!(b.authorize(&request()).await.input("flow").is_some());
    let fresh = b.alice().await;
    assert_eq!(b.refresh(&fresh["refresh_token"]).await.status, StatusCode::OK);
}

/// Sections 1.8 and 11, line 7.
#[tokio::test]
async fn refresh_finds_out_what_happened_to_the_account() {
    let mut b = Browser::demo().await;
    let token = b.alice().await["refresh_token"].clone();
    b.sim.world().set_disabled("alice", true).unwrap();
    b.refresh(&token).await.assert_failure(50057, "invalid_grant");
    b.sim.world().set_disabled("alice", false).unwrap();

    b.sim.world().block_by_policy("alice", true).unwrap();
    let body = b.refresh(&token).await.assert_failure(53003, "invalid_grant");
    assert_eq!(body["suberror"], "message_only");
    b.sim.world().block_by_policy("alice", false).unwrap();

    b.sim.world().set_assigned("alice", APP_ID, false).unwrap();
    b.refresh(&token).await.assert_failure(50105, "invalid_grant");
    b.sim.world().set_assigned("alice", APP_ID, true).unwrap();

    b.sim.world().change(|w| w.app_mut(APP_ID).unwrap().principals.get_mut(CONTOSO).unwrap().consented = false);
    let body = b.refresh(&token).await.assert_failure(65001, "invalid_grant");
    assert_eq!(body["suberror"], "consent_required");
    b.sim.world().change(|w| w.app_mut(APP_ID).unwrap().principals.get_mut(CONTOSO).unwrap().consented = true);

    b.sim.world().set_deleted("alice", true).unwrap();
    b.refresh(&token).await.assert_failure(50034, "invalid_grant");
    b.sim.world().set_deleted("alice", false).unwrap();
    assert_eq!(b.refresh(&token).await.status, StatusCode::OK);
}

/// Section 1.8: 50076 carries `claims` as a JSON string and `basic_action`; the second factor then satisfies it.
#[tokio::test]
async fn required_mfa_comes_with_claims_to_send_back() {
    let mut b = Browser::demo().await;
    let token = b.alice().await["refresh_token"].clone();
    b.sim.world().require_mfa("alice", true).unwrap();
    let body = b.refresh(&token).await.assert_failure(50076, "invalid_grant");
    assert_eq!(body["suberror"], "basic_action");
    let asked = body["claims"].as_str().unwrap();
    let parsed: Value = serde_json::from_str(asked).unwrap();
    assert!(parsed["access_token"]["capolids"]["values"][0].is_string());

    let page = b.authorize(&but(request(), "claims", Some(asked))).await;
    assert!(page.text().contains("Approve sign-in request"));
    let code = b.press(&page, "approve").await.answer()["code"].clone();
    let tokens = b.token(&redemption(&code)).await.json();
    assert_eq!(b.refresh(&tokens["refresh_token"]).await.status, StatusCode::OK);
    b.refresh(&token).await.assert_failure(50076, "invalid_grant");
}

/// Section 1.5, table: a password change leaves a confidential client's refresh token alive.
#[tokio::test]
async fn a_new_password_leaves_refresh_tokens_alive() {
    let mut b = Browser::demo().await;
    let token = b.alice().await["refresh_token"].clone();
    b.sim.world().set_password("alice", "other").unwrap();
    assert_eq!(b.refresh(&token).await.status, StatusCode::OK);
    let page = b.authorize(&request()).await;
    b.sign_in_on(&page, ALICE, "demo").await.assert_page(50126);
    assert!(b.sign_in_on(&page, ALICE, "other").await.answer().contains_key("code"));
}

/// Section 1.8 at redemption: what happens between sign-in and `/token` counts.
#[tokio::test]
async fn a_code_of_a_disabled_account_is_worth_nothing() {
    let mut b = Browser::demo().await;
    let code = b.code(BOB, &request()).await;
    b.sim.world().set_disabled("bob", true).unwrap();
    b.token(&redemption(&code)).await.assert_failure(50057, "invalid_grant");
}

/// Section 7.1: `c1` is issued vacuously without a policy, after a second factor with one, and never when blocked.
#[tokio::test]
async fn auth_contexts_follow_the_table() {
    let mut b = Browser::demo().await;
    let asked = but(request(), "claims", Some(r#"{"id_token":{"acrs":{"essential":true,"value":"c1"}}}"#));
    let code = b.code(ALICE, &asked).await;
    assert_eq!(acrs(&mut b, &code).await, ["p1", "c1"], "vacuous");

    b.sim.world().set_context_policy(CONTOSO, "c1", ContextPolicy::Mfa).unwrap();
    let silent = b.authorize(&but(asked.clone(), "prompt", Some("none"))).await.answer();
    assert_eq!(silent["error"], "interaction_required");
    let page = b.authorize(&asked).await;
    assert!(page.text().contains("Approve sign-in request"));
    let code = b.press(&page, "approve").await.answer()["code"].clone();
    assert_eq!(acrs(&mut b, &code).await, ["p1", "c1"]);
    // The app opted in to `acrs`: a context already satisfied comes without being asked for.
    let code = b.authorize(&request()).await.answer()["code"].clone();
    assert_eq!(acrs(&mut b, &code).await, ["p1", "c1"]);

    // A policy that only reports asks for nothing.
    let mut other = Browser::demo().await;
    other.sim.world().set_context_policy(CONTOSO, "c1", ContextPolicy::ReportOnly).unwrap();
    let code = other.code(ALICE, &asked).await;
    assert_eq!(acrs(&mut other, &code).await, ["p1", "c1"]);

    b.sim.world().set_context_policy(CONTOSO, "c1", ContextPolicy::Blocked).unwrap();
    b.authorize(&asked).await.assert_page(53003);
    let silent = b.authorize(&but(asked, "prompt", Some("none"))).await.answer();
    assert!(silent["error_description"].starts_with("AADSTS53003"));
}

/// Section 7.1: not satisfied, so nothing is issued; a failed second factor stays with the provider, and may be tried again.
#[tokio::test]
async fn a_failed_second_factor_issues_nothing() {
    let mut b = Browser::demo().await;
    b.sim.world().set_context_policy(CONTOSO, "c1", ContextPolicy::Mfa).unwrap();
    b.sim.world().fail_mfa("alice", true).unwrap();
    let asked = but(request(), "claims", Some(r#"{"id_token":{"acrs":{"essential":true,"value":"c1"}}}"#));
    let page = b.authorize(&asked).await;
    let page = b.sign_in_on(&page, ALICE, "demo").await;
    assert!(page.text().contains("Approve sign-in request"), "{}", page.text());
    b.press(&page, "approve").await.assert_page(500_121);
    let cancelled = b.press(&page, "cancel").await.answer();
    assert_eq!(cancelled["error"], "access_denied");
    b.sim.world().fail_mfa("alice", false).unwrap();
    let code = b.press(&page, "approve").await.answer()["code"].clone();
    assert_eq!(acrs(&mut b, &code).await, ["p1", "c1"]);
}

async fn acrs(b: &mut Browser, code: &str) -> Vec<String> {
    let tokens = b.token(&redemption(code)).await.json();
    serde_json::from_value(claims(&tokens["id_token"])["acrs"].clone()).unwrap_or_default()
}
