//! `/authorize` (section 1.4).

use http::{Method, StatusCode};
use portcullis::simulator::{ALICE, APP_ID, BOB, CONTOSO, DAN, MALLORY, NORA, World};

use super::browser::{Browser, CHALLENGE, REDIRECT, but, encoded, redemption, request};

/// Section 1.4: the answer carries the code, `state` and `session_state`, and no `iss`.
#[tokio::test]
async fn sign_in_answers_with_code_state_and_session_state() {
    let mut b = Browser::demo().await;
    let page = b.authorize(&request()).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(!page.text().contains("src=\"http") && page.text().contains("width=device-width"));
    let reply = b.sign_in_on(&page, ALICE, "demo").await;
    assert_eq!(reply.status, StatusCode::FOUND);
    let answer = reply.answer();
    assert_eq!(answer["state"], "q7Zk2fR1");
    assert!(!answer["code"].is_empty() && !answer["session_state"].is_empty());
    assert!(!answer.contains_key("iss"));
    assert!(reply.headers.contains_key("x-ms-ests-server"));

    b.sim.levers().send_iss_parameter(true);
    let answer = b.authorize(&request()).await.answer();
    assert_eq!(answer["iss"], format!("{}/{CONTOSO}/v2.0", b.base()));
}

/// Section 1.4: the request may be posted too.
#[tokio::test]
async fn authorize_takes_post() {
    let mut b = Browser::demo().await;
    let page = b.post(&format!("/{CONTOSO}/oauth2/v2.0/authorize"), &request()).await;
    assert!(page.input("flow").is_some());
}

/// Section 1.4: what cannot be trusted stays on the provider's page, with no redirect.
#[tokio::test]
async fn untrusted_requests_end_on_a_page() {
    let mut b = Browser::demo().await;
    for (uri, why) in [
        ("https://gateway.example.com/auth/Callback", "case of the path"),
        ("https://gateway.example.com/auth/callback/", "trailing slash"),
        ("https://gateway.example.com/auth/callback?a=b", "query"),
        ("https://gateway.example.com:444/auth/callback", "port"),
        ("https://attacker.example/", "host"),
    ] {
        let reply = b.authorize(&but(request(), "redirect_uri", Some(uri))).await;
        assert!(reply.location().is_none(), "{why}");
        reply.assert_page(50011);
    }
    let stranger = "00000000-1111-4222-8333-444444444444";
    b.authorize(&but(request(), "client_id", Some(stranger))).await.assert_page(700_016);
    b.authorize(&but(request(), "client_id", None)).await.assert_page(900_144);
    b.authorize(&but(request(), "redirect_uri", None)).await.assert_page(900_144);
    let query = encoded(&request());
    b.get(&format!("/{stranger}/oauth2/v2.0/authorize?{query}")).await.assert_page(90002);
    let twice = format!("{query}&state=other");
    b.get(&format!("/{CONTOSO}/oauth2/v2.0/authorize?{twice}")).await.assert_page(9_002_313);
}

/// Section 1.4, limits: the port is ignored for localhost, nothing else is; no path comes back with a slash.
#[tokio::test]
async fn localhost_port_is_ignored_and_an_empty_path_gets_a_slash() {
    let mut b = Browser::with(World::demo(["http://localhost/cb", "https://bare.example.com"])).await;
    let reply = b.sign_in(ALICE, &but(request(), "redirect_uri", Some("http://localhost:5123/cb"))).await;
    assert!(reply.location().unwrap().as_str().starts_with("http://localhost:5123/cb?code="));
    for other in ["http://localhost:5123/CB", "http://127.0.0.1/cb", "https://localhost/cb", "http://localhost:5x/cb"] {
        b.authorize(&but(request(), "redirect_uri", Some(other))).await.assert_page(50011);
    }
    let reply = b.authorize(&but(request(), "redirect_uri", Some("https://bare.example.com"))).await;
    assert!(reply.headers["location"].to_str().unwrap().starts_with("https://bare.example.com/?code="));
}

/// Section 1.4, limits: registrations Microsoft refuses do not start.
#[tokio::test]
async fn impossible_registrations_do_not_start() {
    use portcullis::simulator::{Options, Simulator};
    for uri in ["http://app.example.com/cb", "http://[::1]/cb", "https://a.example.com/(x)", "not an address"] {
        assert!(Simulator::start(Options::new(World::demo([uri]))).await.is_err(), "{uri}");
    }
}

/// Sections 1.4 and 1.8: once the address is trusted, the app is told.
#[tokio::test]
async fn bad_parameters_are_reported_to_the_app() {
    let mut b = Browser::demo().await;
    for (name, value, error, code) in [
        ("response_type", Some("id_token"), "unsupported_response", "700054"),
        ("response_type", Some("code id_token"), "unsupported_response", "700054"),
        ("response_type", Some("token"), "unsupported_response_type", "70005"),
        ("response_type", None, "invalid_request", "900144"),
        ("response_mode", Some("web_message"), "invalid_request", "90023"),
        ("scope", Some("profile"), "invalid_scope", "70011"),
        ("scope", Some("openid phone"), "invalid_scope", "70011"),
        ("scope", None, "invalid_request", "900144"),
        ("prompt", Some("create"), "invalid_request", "90023"),
        ("code_challenge", Some("short"), "invalid_request", "50147"),
        ("code_challenge", None, "invalid_request", "900144"),
        ("code_challenge_method", Some("S512"), "invalid_request", "501491"),
        ("claims", Some("{"), "invalid_request", "90023"),
    ] {
        let answer = b.authorize(&but(request(), name, value)).await.answer();
        assert_eq!(answer["error"], error, "{name}={value:?}");
        assert!(answer["error_description"].starts_with(&format!("AADSTS{code}: ")), "{name}={value:?} {answer:?}");
        assert!(answer["error_uri"].ends_with(&format!("/error?code={code}")));
        assert_eq!(answer["state"], "q7Zk2fR1");
    }
    let both = but(but(request(), "prompt", Some("select_account")), "login_hint", Some("alice@contoso.example"));
    assert_eq!(b.authorize(&both).await.answer()["error"], "invalid_request");
}

/// Section 1.4: `fragment` is the default when an ID token is asked for, `query` is then refused.
#[tokio::test]
async fn response_modes_travel_as_they_should() {
    let mut b = Browser::demo().await;
    let reply = b.authorize(&but(request(), "response_type", Some("id_token"))).await;
    assert!(reply.location().unwrap().fragment().is_some());
    let query = but(but(request(), "response_type", Some("id_token")), "response_mode", Some("query"));
    assert_eq!(b.authorize(&query).await.answer()["error"], "invalid_request");

    let reply = b.sign_in(ALICE, &but(request(), "response_mode", Some("fragment"))).await;
    assert!(reply.location().unwrap().fragment().unwrap().contains("code="));
    assert!(reply.location().unwrap().query().is_none());

    let page = b.authorize(&but(request(), "response_mode", Some("form_post"))).await;
    assert_eq!(page.status, StatusCode::OK);
    let text = page.text();
    assert!(text.contains(&format!("action=\"{REDIRECT}\"")) && text.contains("method=\"POST\""));
    assert!(text.contains(".submit()") && text.contains("<noscript>"));
    assert_eq!(page.input("state").unwrap(), "q7Zk2fR1");
    let code = page.input("code").unwrap();
    assert_eq!(b.token(&redemption(&code)).await.status, StatusCode::OK);
}

/// Section 1.4: Entra strips HTML from `state`.
#[tokio::test]
async fn html_in_state_does_not_come_back() {
    let mut b = Browser::demo().await;
    let reply = b.sign_in(ALICE, &but(request(), "state", Some("a<b onload=x>c"))).await;
    assert_eq!(reply.answer()["state"], "ac");
}

/// Sections 1.4 and 1.8: `prompt=none` answers at once, whatever is missing.
#[tokio::test]
async fn prompt_none_never_shows_a_page() {
    let mut b = Browser::demo().await;
    let silent = but(request(), "prompt", Some("none"));
    let answer = b.authorize(&silent).await.answer();
    assert_eq!(answer["error"], "login_required");
    assert!(answer["error_description"].starts_with("AADSTS50058"));

    b.sign_in(ALICE, &request()).await;
    assert!(b.authorize(&silent).await.answer().contains_key("code"));
    let other = but(silent.clone(), "login_hint", Some("bob@contoso.example"));
    assert_eq!(b.authorize(&other).await.answer()["error"], "login_required");

    b.sim.world().require_mfa("alice", true).unwrap();
    assert_eq!(b.authorize(&silent).await.answer()["error"], "interaction_required");
    b.sim.world().require_mfa("alice", false).unwrap();
    b.sim.world().block_by_policy("alice", true).unwrap();
    let answer = b.authorize(&silent).await.answer();
    assert_eq!(answer["error"], "interaction_required");
    assert!(answer["error_description"].starts_with("AADSTS53003"));
    b.sim.world().block_by_policy("alice", false).unwrap();
    b.sim.world().set_assigned("alice", APP_ID, false).unwrap();
    let reply = b.authorize(&silent).await;
    assert!(reply.answer()["error_description"].starts_with("AADSTS50105"));
    assert_eq!(reply.headers["x-ms-clitelem"], "1,50105,0,,");
}

/// Section 1.4: interactive 50105, a policy block and missing consent stay on the provider's page.
#[tokio::test]
async fn refused_people_stay_on_the_page() {
    let mut b = Browser::demo().await;
    b.sign_in(NORA, &request()).await.assert_page(50105);
    b.forget_cookie();
    b.sim.world().block_by_policy("mallory", true).unwrap();
    b.sign_in(MALLORY, &request()).await.assert_page(53003);
    b.forget_cookie();
    b.sign_in(DAN, &request()).await.assert_page(50057);
    let page = b.authorize(&request()).await;
    b.sign_in_on(&page, ALICE, "wrong").await.assert_page(50126);
    b.sim.world().change(|w| w.app_mut(APP_ID).unwrap().principals.get_mut(CONTOSO).unwrap().consented = false);
    b.sign_in(ALICE, &request()).await.assert_page(90094);
}

/// Section 1.4: `error_subcode=cancel` and no description.
#[tokio::test]
async fn cancel_comes_without_a_description() {
    let mut b = Browser::demo().await;
    let page = b.authorize(&request()).await;
    let answer = b.press(&page, "cancel").await.answer();
    assert_eq!((answer["error"].as_str(), answer["error_subcode"].as_str()), ("access_denied", "cancel"));
    assert!(!answer.contains_key("error_description"));
}

/// Sections 1.4 and 1.8: consent asked for and declined.
#[tokio::test]
async fn declined_consent_is_65004() {
    let mut b = Browser::demo().await;
    let asked = but(request(), "prompt", Some("consent"));
    let page = b.sign_in(ALICE, &asked).await;
    assert!(page.text().contains("Permissions requested"));
    let answer = b.press(&page, "decline").await.answer();
    assert_eq!(answer["error"], "access_denied");
    assert!(answer["error_description"].starts_with("AADSTS65004"));
    let page = b.authorize(&asked).await;
    assert!(b.press(&page, "accept").await.answer().contains_key("code"));
}

/// Section 1.8: 50194, a single-tenant app at `/common`.
#[tokio::test]
async fn single_tenant_app_is_refused_at_common() {
    let mut b = Browser::demo().await;
    let query = encoded(&request());
    let page = b.get(&format!("/common/oauth2/v2.0/authorize?{query}")).await;
    assert!(page.text().contains("mario@fabrikam.example"), "both tenants are offered");
    let hinted = b.get(&format!("/common/oauth2/v2.0/authorize?{query}&domain_hint=contoso.example")).await;
    assert!(!hinted.text().contains("mario@fabrikam.example"));
    b.sim.world().change(|w| w.app_mut(APP_ID).unwrap().multi_tenant = false);
    b.get(&format!("/common/oauth2/v2.0/authorize?{query}")).await.assert_page(50194);
}

/// The sign-in page escapes what it prints and offers the hinted account.
#[tokio::test]
async fn the_page_preselects_the_hint_and_escapes_names() {
    let mut b = Browser::demo().await;
    b.sim.world().change_person("bob", |p| p.name = "<script>alert(1)</script>".to_owned()).unwrap();
    let page = b.authorize(&but(request(), "login_hint", Some("BOB@contoso.example"))).await;
    let text = page.text();
    assert!(!text.contains("<script>alert"));
    assert!(text.contains(&format!("value=\"{BOB}\" checked")) && text.matches(" checked>").count() == 1);
}

/// Section 1.4: PKCE challenge without a method means plain; the method table is closed.
#[tokio::test]
async fn unknown_methods_and_bodies_are_refused() {
    let mut b = Browser::demo().await;
    let form = but(but(request(), "code_challenge_method", None), "code_challenge", Some(CHALLENGE));
    assert!(b.authorize(&form).await.input("flow").is_some());
    let path = format!("/{CONTOSO}/oauth2/v2.0/authorize");
    let reply = b.send(Method::POST, &path, &[("content-type", "text/plain")], encoded(&request())).await.unwrap();
    reply.assert_page(9_002_313);
    let reply = b.send(Method::PUT, &path, &[], String::new()).await.unwrap();
    assert_eq!(reply.status, StatusCode::METHOD_NOT_ALLOWED);
}
