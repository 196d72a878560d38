//! `/token` and the tokens it hands out (sections 1.5, 1.6 and 3).

use http::{Method, StatusCode};
use portcullis::simulator::{
    ALICE, APP_ID, APP_OBJECT_ID, APP_SECRET, CONTOSO, CONTOSO_DOMAIN, DORA, FABRIKAM, FABRIKAM_ALICE, GUS, PAYROLL,
    STAFF,
};
use serde_json::json;

use super::browser::{
    Browser, CHALLENGE, Form, REDIRECT, VERIFIER, but, claims, encoded, head, is_signed, redemption, request,
};

/// Section 1.5: the members of a token response.
#[tokio::test]
async fn token_response_has_the_documented_members() {
    let mut b = Browser::demo().await;
    let tokens = b.alice().await;
    let mut names: Vec<&str> = tokens.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        ["access_token", "expires_in", "ext_expires_in", "id_token", "refresh_token", "scope", "token_type"]
    );
    let expires = tokens["expires_in"].as_u64().unwrap();
    assert!((3_600..=5_400).contains(&expires), "section 1.3: 60 to 90 minutes, got {expires}");
    assert_eq!(tokens["token_type"], "Bearer");
    assert_eq!(tokens["scope"], "openid profile email");
}

/// Sections 1.6 and 11, line 3: the claims of an ID token.
#[tokio::test]
async fn id_token_carries_the_documented_claims() {
    let mut b = Browser::demo().await;
    let token = b.alice().await["id_token"].clone();
    let jwks = b.get(&format!("/{CONTOSO}/discovery/v2.0/keys")).await.json();
    assert!(is_signed(&token, &jwks));
    assert_eq!(head(&token)["alg"], "RS256");
    let c = claims(&token);
    assert_eq!(c["iss"], format!("{}/{CONTOSO}/v2.0", b.base()));
    assert_eq!((&c["aud"], &c["tid"], &c["oid"]), (&json!(APP_ID), &json!(CONTOSO), &json!(ALICE)));
    assert_eq!((&c["ver"], &c["nonce"], &c["acct"]), (&json!("2.0"), &json!("n-7Gh2Lq"), &json!(0)));
    assert_eq!(c["preferred_username"], "alice@contoso.example");
    assert_eq!((&c["email"], &c["xms_edov"]), (&json!("alice@contoso.example"), &json!(true)));
    let (iat, nbf, exp) = (c["iat"].as_u64().unwrap(), c["nbf"].as_u64().unwrap(), c["exp"].as_u64().unwrap());
    assert_eq!((nbf, exp), (iat, iat + 3_900), "back-dated five minutes, an hour to live");
    assert!(c["auth_time"].as_u64().unwrap() >= iat + 299);
    assert!(c["groups"].as_array().unwrap().contains(&json!(STAFF)));
    assert!(c["groups"].as_array().unwrap().contains(&json!(PAYROLL)));
    assert_ne!(c["sub"], c["oid"]);
    for name in ["sid", "login_hint", "aio", "rh", "uti", "ipaddr"] {
        assert!(c.get(name).is_some(), "{name}");
    }
    for name in ["amr", "acr", "acrs", "at_hash", "idp", "upn"] {
        assert!(c.get(name).is_none(), "{name}");
    }
}

/// Section 1.6: `oid`, `name` and `preferred_username` come with `profile` only; `tid` always.
#[tokio::test]
async fn oid_needs_the_profile_scope() {
    let mut b = Browser::demo().await;
    let code = b.code(ALICE, &but(request(), "scope", Some("openid"))).await;
    let tokens = b.token(&redemption(&code)).await.json();
    assert!(tokens.get("refresh_token").is_none(), "section 1.5: only with offline_access");
    let c = claims(&tokens["id_token"]);
    for name in ["oid", "name", "preferred_username"] {
        assert!(c.get(name).is_none(), "{name}");
    }
    assert_eq!(c["tid"], CONTOSO);
}

/// Section 1.6: optional claims are optional, and `sub` is pairwise.
#[tokio::test]
async fn unconfigured_claims_are_absent_and_sub_differs_per_app() {
    let mut b = Browser::demo().await;
    let sub = claims(&b.alice().await["id_token"])["sub"].clone();
    let other = "22222222-3333-4444-8555-666666666666";
    b.sim.world().change(|w| {
        let mut app = portcullis::simulator::App::new(other, "Other", CONTOSO, APP_SECRET);
        app.redirect_uris = vec![REDIRECT.to_owned()];
        w.apps.push(app);
    });
    let form = but(request(), "client_id", Some(other));
    let code = b.authorize(&but(form, "scope", Some("openid profile"))).await.answer()["code"].clone();
    let tokens = b.token(&but(redemption(&code), "client_id", Some(other))).await.json();
    let c = claims(&tokens["id_token"]);
    assert_ne!(c["sub"], sub);
    for name in ["sid", "login_hint", "auth_time", "acct", "email", "xms_edov", "groups", "ipaddr", "acrs"] {
        assert!(c.get(name).is_none(), "{name}");
    }
}

/// Section 1.6, group overage: above 200 groups a pointer to `graph.windows.net`, and no `groups`.
#[tokio::test]
async fn more_than_200_groups_become_a_pointer() {
    let mut b = Browser::demo().await;
    let c = claims(&b.tokens(DORA).await["id_token"]);
    assert!(c.get("groups").is_none());
    assert_eq!(c["_claim_names"], json!({"groups": "src1"}));
    assert_eq!(
        c["_claim_sources"]["src1"]["endpoint"],
        format!("https://graph.windows.net/{CONTOSO}/users/{DORA}/getMemberObjects")
    );
    let few: Vec<String> = b.sim.world().person("dora").unwrap().groups.into_iter().take(200).collect();
    b.sim.world().change_person("dora", |p| p.groups = few).unwrap();
    b.forget_cookie();
    assert_eq!(claims(&b.tokens(DORA).await["id_token"])["groups"].as_array().unwrap().len(), 200);
}

/// Section 1.6: a guest has `acct` 1, `idp`, an e-mail by default, and no groups here.
#[tokio::test]
async fn guests_are_marked() {
    let mut b = Browser::demo().await;
    b.sim.world().change(|w| w.app_mut(APP_ID).unwrap().optional_claims.email = false);
    let code = b.code(GUS, &but(request(), "scope", Some("openid profile"))).await;
    let c = claims(&b.token(&redemption(&code)).await.json()["id_token"]);
    assert_eq!((&c["acct"], &c["email"]), (&json!(1), &json!("gus@partner.example")));
    assert!(c["idp"].as_str().unwrap().starts_with("https://sts.windows.net/"));
    assert!(c.get("groups").is_none());
}

/// Sections 1.6 and 11, line 4 (nOAuth): another tenant, the same e-mail, unverified; dropped when the app says so.
#[tokio::test]
async fn another_tenant_can_carry_the_same_email() {
    let mut b = Browser::demo().await;
    let path = format!("/{FABRIKAM}/oauth2/v2.0");
    for dropped in [false, true] {
        b.sim.world().change(|w| w.app_mut(APP_ID).unwrap().remove_unverified_email = dropped);
        b.forget_cookie();
        let page = b.get(&format!("{path}/authorize?{}", encoded(&request()))).await;
        let code = b.sign_in_on(&page, FABRIKAM_ALICE, "demo").await.answer()["code"].clone();
        let tokens = b.post(&format!("{path}/token"), &redemption(&code)).await.json();
        let c = claims(&tokens["id_token"]);
        assert_eq!((&c["tid"], &c["oid"]), (&json!(FABRIKAM), &json!(FABRIKAM_ALICE)));
        if dropped {
            assert!(c.get("email").is_none() && c.get("xms_edov").is_none());
        } else {
            assert_eq!((&c["email"], &c["xms_edov"]), (&json!("alice@contoso.example"), &json!(false)));
        }
    }
}

/// Section 1.5: 501481 for a wrong, missing or unasked verifier; the code survives a mistake.
#[tokio::test]
async fn pkce_is_checked() {
    let mut b = Browser::demo().await;
    let code = b.code(ALICE, &request()).await;
    for wrong in [Some("wrong-verifier-wrong-verifier-wrong-verifier"), Some(CHALLENGE), None] {
        let reply = b.token(&but(redemption(&code), "code_verifier", wrong)).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST);
        reply.assert_failure(501_481, "invalid_grant");
    }
    assert_eq!(b.token(&redemption(&code)).await.status, StatusCode::OK);

    let without = but(but(request(), "code_challenge", None), "code_challenge_method", None);
    let code = b.authorize(&without).await.answer()["code"].clone();
    b.token(&redemption(&code)).await.assert_failure(501_481, "invalid_grant");
    let reply = b.token(&but(redemption(&code), "code_verifier", None)).await;
    assert_eq!(reply.status, StatusCode::OK, "PKCE is recommended, not required, for a confidential client");
}

/// Section 1.4: omitting the method means plain.
#[tokio::test]
async fn an_omitted_method_means_plain() {
    let mut b = Browser::demo().await;
    let plain = but(but(request(), "code_challenge_method", None), "code_challenge", Some(VERIFIER));
    let code = b.code(ALICE, &plain).await;
    assert_eq!(b.token(&redemption(&code)).await.status, StatusCode::OK);
}

/// Section 1.4: single use, 54005 on reuse; ten minutes.
#[tokio::test]
async fn a_code_works_once_and_for_ten_minutes() {
    let mut b = Browser::demo().await;
    let code = b.code(ALICE, &request()).await;
    assert_eq!(b.token(&redemption(&code)).await.status, StatusCode::OK);
    b.token(&redemption(&code)).await.assert_failure(54005, "invalid_grant");
    let late = b.authorize(&request()).await.answer()["code"].clone();
    b.sim.levers().skew_clock(605);
    b.token(&redemption(&late)).await.assert_failure(70008, "invalid_grant");
    b.token(&redemption("1.AXYAnonsense")).await.assert_failure(70000, "invalid_grant");
}

/// Section 1.5: the same redirect address, client and tenant path as at `/authorize` (700005).
#[tokio::test]
async fn a_code_is_bound_to_address_client_and_path() {
    let mut b = Browser::demo().await;
    let code = b.code(ALICE, &request()).await;
    let moved = but(redemption(&code), "redirect_uri", Some("https://gateway.example.com/other"));
    b.token(&moved).await.assert_failure(500_112, "invalid_grant");
    let reply = b.post("/common/oauth2/v2.0/token", &redemption(&code)).await;
    reply.assert_failure(700_005, "invalid_grant");
    let reply = b.post(&format!("/{FABRIKAM}/oauth2/v2.0/token"), &redemption(&code)).await;
    reply.assert_failure(700_005, "invalid_grant");
    let reply = b.post(&format!("/{CONTOSO_DOMAIN}/oauth2/v2.0/token"), &redemption(&code)).await;
    assert_eq!(reply.status, StatusCode::OK, "a domain is the same tenant");
}

/// Section 1.5: every use gives a new refresh token and leaves the old one alive; 90 days without use end it.
#[tokio::test]
async fn refresh_rotates_without_revoking() {
    let mut b = Browser::demo().await;
    let first = b.alice().await;
    let second = b.refresh(&first["refresh_token"]).await.json();
    assert_ne!(second["refresh_token"], first["refresh_token"]);
    let c = claims(&second["id_token"]);
    assert_eq!(c["oid"], ALICE);
    assert!(c.get("nonce").is_none());
    assert_eq!(c["sid"], claims(&first["id_token"])["sid"]);
    assert_eq!(b.refresh(&first["refresh_token"]).await.status, StatusCode::OK, "the old one still works");
    assert_eq!(b.refresh(&second["refresh_token"]).await.status, StatusCode::OK);
    b.sim.levers().skew_clock(91 * 24 * 3600);
    let body = b.refresh(&second["refresh_token"]).await.assert_failure(700_082, "invalid_grant");
    assert_eq!(body["suberror"], "bad_token");
    b.refresh(&json!("1.AXYAnonsense")).await.assert_failure(70000, "invalid_grant");
}

/// Section 1.5: a refresh may ask for less, not for more.
#[tokio::test]
async fn refresh_may_narrow_the_scope() {
    let mut b = Browser::demo().await;
    let tokens = b.alice().await;
    let form: Form = vec![
        ("grant_type", "refresh_token".to_owned()),
        ("client_id", APP_ID.to_owned()),
        ("client_secret", APP_SECRET.to_owned()),
        ("refresh_token", tokens["refresh_token"].as_str().unwrap().to_owned()),
    ];
    let narrow = b.token(&but(form.clone(), "scope", Some("openid"))).await.json();
    assert!(claims(&narrow["id_token"]).get("oid").is_none());
    let body = b.token(&but(form, "scope", Some("openid Mail.Read"))).await.assert_failure(65001, "invalid_grant");
    assert_eq!(body["suberror"], "consent_required");
    let again = b.refresh(&narrow["refresh_token"]).await.json();
    assert_eq!(claims(&again["id_token"])["oid"], ALICE, "a refresh token is not bound to the narrowed scope");
}

/// Section 3: no refresh token, no ID token; `roles`, `oid` = `sub`, `appidacr`, no `scp`.
#[tokio::test]
async fn client_credentials_give_an_app_only_token() {
    let mut b = Browser::demo().await;
    let tokens = b.token(&app_only("https://graph.microsoft.com/.default")).await.json();
    let mut names: Vec<&str> = tokens.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["access_token", "expires_in", "ext_expires_in", "token_type"]);
    let c = claims(&tokens["access_token"]);
    assert_eq!((&c["oid"], &c["sub"], &c["appidacr"]), (&json!(APP_OBJECT_ID), &json!(APP_OBJECT_ID), &json!("1")));
    assert!(c["roles"].as_array().unwrap().contains(&json!("User.Read.All")));
    assert!(c.get("scp").is_none() && c.get("idtyp").is_none());
    let own = format!("{}/.default", b.base());
    assert_eq!(b.token(&app_only(&own)).await.status, StatusCode::OK);
    b.sim.world().change(|w| w.app_mut(APP_ID).unwrap().principals.get_mut(CONTOSO).unwrap().roles.clear());
    let tokens = b.token(&app_only("https://graph.microsoft.com/.default")).await.json();
    assert!(claims(&tokens["access_token"]).get("roles").is_none(), "issued with no roles at all");
}

/// Sections 1.8 and 3: what client credentials are refused for.
#[tokio::test]
async fn client_credentials_are_refused_where_entra_refuses_them() {
    let mut b = Browser::demo().await;
    let graph = "https://graph.microsoft.com/.default";
    for scope in ["https://graph.microsoft.com/User.Read.All", "a/.default b/.default", "/.default"] {
        b.token(&app_only(scope)).await.assert_failure(70011, "invalid_scope");
    }
    b.token(&app_only("https://unknown.example/.default")).await.assert_failure(500_011, "invalid_resource");
    for segment in ["common", "consumers", "organizations"] {
        let reply = b.post(&format!("/{segment}/oauth2/v2.0/token"), &app_only(graph)).await;
        reply.assert_failure(9_001_023, "invalid_request");
    }
    b.sim.world().change(|w| w.app_mut(APP_ID).unwrap().principals.get_mut(CONTOSO).unwrap().disabled = true);
    b.token(&app_only(graph)).await.assert_failure(7_000_112, "unauthorized_client");
    b.sim.world().change(|w| w.app_mut(APP_ID).unwrap().principals.remove(CONTOSO));
    let reply = b.token(&app_only(graph)).await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST);
    reply.assert_failure(700_016, "unauthorized_client");
}

/// Section 1.5: form-encoded POST only; an unknown grant type, tenant or doubled parameter is refused.
#[tokio::test]
async fn malformed_token_requests_are_refused() {
    let mut b = Browser::demo().await;
    let path = format!("/{CONTOSO}/oauth2/v2.0/token");
    b.get(&path).await.assert_failure(900_561, "invalid_request");
    let reply = b.send(Method::POST, &path, &[("content-type", "application/json")], "{}".to_owned()).await.unwrap();
    reply.assert_failure(9_002_313, "invalid_request");
    b.token(&vec![]).await.assert_failure(900_144, "invalid_request");
    let form = but(redemption("x"), "grant_type", Some("password"));
    b.token(&form).await.assert_failure(70003, "unsupported_grant_type");
    let mut twice = redemption("x");
    twice.push(("code", "y".to_owned()));
    b.token(&twice).await.assert_failure(9_002_313, "invalid_request");
    let reply = b.post("/nowhere.example/oauth2/v2.0/token", &redemption("x")).await;
    reply.assert_failure(90002, "invalid_request");
}

pub(crate) fn app_only(scope: &str) -> Form {
    vec![
        ("grant_type", "client_credentials".to_owned()),
        ("client_id", APP_ID.to_owned()),
        ("client_secret", APP_SECRET.to_owned()),
        ("scope", scope.to_owned()),
    ]
}
