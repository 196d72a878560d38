//! Who may sign in, by code and by refresh, and with which exact reason everybody else is refused.

use serde_json::{Value, json};

use super::provider::*;
use crate::entra::*;
use crate::facts::{Groups, ObjectId};

async fn redeem(party: &RelyingParty) -> Result<SignedIn, EntraError> {
    party.redeem(&Secret::new("1.AXYAng".to_owned()), VERIFIER, NONCE).await
}

fn word(outcome: Result<SignedIn, EntraError>) -> &'static str {
    outcome.map_or_else(|error| error.fault().word(), |_| "signed in")
}

#[tokio::test]
async fn a_good_token_signs_in_and_the_code_goes_out_once_with_verifier_and_secret() {
    let signer = Signer::new("k1");
    let provider = Provider::with(&signer).await;
    let (party, _) = provider.party();
    provider.give_all(&json!({
        "id_token": signer.sign(&provider.claims()), "refresh_token": "r1", "expires_in": "4215", "scope": 7
    }));
    let person = redeem(&party).await.unwrap();
    assert_eq!(person.subject.user.to_string(), format!("{TENANT}:{PERSON}"));
    assert_eq!((&*person.subject.name, &*person.subject.email), ("Noor Okafor", "noor@fabrikam.example"));
    let group: ObjectId = "7c40f2d9-5e1a-4b36-90cf-1d83a6e5b274".parse().unwrap();
    assert_eq!(person.subject.groups, Groups::known(vec![group]));
    assert_eq!(person.sid.as_deref(), Some("0c1d7e52-9a3b-4f60-8e21-6b5d94c7f013"));
    assert_eq!(person.auth_time, Some(UnixTime(NOW - 20)));
    assert_eq!(person.acrs, ["p1", "c1"]);
    assert_eq!(person.refresh_token.unwrap().expose(), "r1");
    let form = provider.last_form(TENANT);
    let field = |name: &str| form.get(name).map(String::as_str);
    assert_eq!(field("grant_type"), Some("authorization_code"));
    assert_eq!(field("code"), Some("1.AXYAng"));
    assert_eq!(field("code_verifier"), Some(VERIFIER));
    assert_eq!(field("client_id"), Some(CLIENT));
    assert_eq!(field("client_secret"), Some("s&cret=ü"));
    assert_eq!(field("redirect_uri"), Some("https://auth.example/.portcullis/callback"));
    let request = provider.last(&format!("/{TENANT}/token")).to_ascii_lowercase();
    assert!(!request.contains("origin:") && !request.contains("authorization:"), "{request}");
    assert_eq!(provider.hits(&format!("/{TENANT}/token")), 1);
}

#[tokio::test]
async fn the_authorize_address_carries_challenge_nonce_state_and_mode() {
    let provider = Provider::with(&Signer::new("k1")).await;
    let (party, _) = provider.party();
    let request = AuthorizeRequest {
        state: "st",
        nonce: NONCE,
        verifier: VERIFIER,
        prompt: Some("select_account"),
        login_hint: Some("hint"),
    };
    let url = party.authorize_url_with_claims(request.clone(), Some(r#"{"id_token":{}}"#)).await.unwrap();
    assert_eq!(url.path(), format!("/{TENANT}/authorize"));
    let query: std::collections::HashMap<_, _> = url.query_pairs().into_owned().collect();
    for (name, value) in [
        ("response_type", "code"),
        ("client_id", CLIENT),
        ("state", "st"),
        ("nonce", NONCE),
        ("scope", "openid profile offline_access"),
        ("response_mode", "form_post"),
        ("prompt", "select_account"),
        ("code_challenge_method", "S256"),
        ("claims", r#"{"id_token":{}}"#),
        // RFC 7636 appendix B.
        ("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
        ("redirect_uri", "https://auth.example/.portcullis/callback"),
    ] {
        assert_eq!(query.get(name).map(String::as_str), Some(value), "{name}");
    }
    assert!(!query.contains_key("login_hint"), "Entra refuses a hint beside the account picker");
    let short = AuthorizeRequest { verifier: "short", ..request };
    assert_eq!(party.authorize_url(short).await.unwrap_err().fault().word(), "config_request");
}

/// Every claim that must be there, must agree, or must have one shape.
#[tokio::test]
async fn each_wrong_claim_is_refused_with_its_own_reason() {
    let signer = Signer::new("k1");
    let provider = Provider::with(&signer).await;
    let (party, _) = provider.party();
    let nowhere = Value::Null;
    let issuer = |tenant: &str| json!(provider.issuer(tenant));
    let cases = [
        ("iss", nowhere.clone(), "missing_iss"),
        ("iss", issuer("{tenantid}"), "wrong_issuer"),
        ("iss", issuer("common"), "wrong_issuer"),
        ("iss", issuer(OTHER_TENANT), "wrong_issuer"),
        ("iss", json!(format!("{}/", provider.issuer(TENANT))), "wrong_issuer"),
        ("iss", issuer(&TENANT.to_uppercase()), "wrong_issuer"),
        ("iss", json!(format!("https://sts.windows.net/{TENANT}/")), "wrong_issuer"),
        ("aud", nowhere.clone(), "missing_aud"),
        ("aud", json!("another"), "wrong_audience"),
        ("aud", json!([]), "wrong_audience"),
        ("aud", json!([CLIENT, "another"]), "wrong_audience"),
        ("aud", json!([CLIENT, CLIENT]), "wrong_audience"),
        ("aud", json!({ "0": CLIENT }), "wrong_audience"),
        ("azp", json!("another"), "wrong_authorized_party"),
        ("azp", json!(7), "wrong_authorized_party"),
        ("nonce", nowhere.clone(), "missing_nonce"),
        ("nonce", json!("n-7Gh2Lr"), "wrong_nonce"),
        ("nonce", json!(["n-7Gh2Lq"]), "token_malformed"),
        ("ver", nowhere.clone(), "missing_ver"),
        ("ver", json!("1.0"), "wrong_version"),
        ("ver", json!(2.0), "token_malformed"),
        ("sub", nowhere.clone(), "missing_sub"),
        ("sub", json!(""), "token_malformed"),
        ("tid", nowhere.clone(), "missing_tid"),
        ("tid", json!("contoso.example"), "token_malformed"),
        ("tid", json!(OTHER_TENANT), "tenant_not_allowed"),
        ("oid", nowhere.clone(), "missing_oid"),
        ("oid", json!("alice"), "token_malformed"),
        ("exp", nowhere.clone(), "missing_exp"),
        ("exp", json!("1790003900"), "token_malformed"),
        ("exp", json!(-1), "token_malformed"),
        ("iat", nowhere.clone(), "missing_iat"),
        ("nbf", json!(true), "token_malformed"),
        // The skew of 300 s, to the second.
        ("exp", json!(NOW - 299), "signed in"),
        ("exp", json!(NOW - 301), "token_expired"),
        ("nbf", json!(NOW + 300), "signed in"),
        ("nbf", json!(NOW + 301), "not_yet_valid"),
        ("iat", json!(NOW + 300), "signed in"),
        ("iat", json!(NOW + 301), "not_yet_valid"),
        // Harmless variety.
        ("nbf", nowhere, "signed in"),
        ("aud", json!([CLIENT]), "signed in"),
        ("azp", json!(CLIENT), "signed in"),
        ("email_verified", json!("yes"), "signed in"),
        ("auth_time", json!("1790000000"), "signed in"),
    ];
    for (name, value, expected) in cases {
        let mut claims = provider.claims();
        match &value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
            value => claims[name] = value.clone(),
        }
        provider.give(&signer.sign(&claims));
        assert_eq!(word(redeem(&party).await), expected, "{name} = {value}");
    }
}

#[tokio::test]
async fn no_token_chooses_its_own_algorithm_or_key() {
    let signer = Signer::new("k1");
    let provider = Provider::with(&signer).await;
    let (party, _) = provider.party();
    let own = Signer::new("k1");
    let claims = provider.claims().to_string();
    let signed = |change: Value| {
        let mut header = json!({ "alg": "RS256", "typ": "JWT", "kid": "k1" });
        header.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        signer.sign_text(&header, &claims)
    };
    let cases = [
        (signed(json!({ "alg": "none" })), "wrong_algorithm"),
        (signed(json!({ "alg": "HS256" })), "wrong_algorithm"),
        (signed(json!({ "alg": "ES256" })), "wrong_algorithm"),
        (signed(json!({ "alg": "PS256" })), "wrong_algorithm"),
        (signed(json!({ "alg": "rs256" })), "wrong_algorithm"),
        (signed(json!({ "alg": ["RS256"] })), "wrong_algorithm"),
        (signed(json!({ "typ": "at+jwt" })), "token_malformed"),
        (signed(json!({ "crit": ["x"] })), "token_malformed"),
        (signed(json!({ "b64": false })), "token_malformed"),
        (signed(json!({ "zip": "DEF" })), "token_malformed"),
        (signed(json!({ "kid": null })), "unknown_key"),
        (signed(json!({ "kid": "" })), "unknown_key"),
        (signed(json!({ "kid": "../../x" })), "unknown_key"),
        (signed(json!({ "kid": "k' OR 1=1" })), "unknown_key"),
        // A key in the token itself is never looked at: the signature is checked with the published one.
        (own.sign_text(&json!({ "alg": "RS256", "kid": "k1", "jwk": own.jwk() }), &claims), "bad_signature"),
        (
            own.sign_text(&json!({ "alg": "RS256", "kid": "k1", "jku": "http://login.localhost/" }), &claims),
            "bad_signature",
        ),
    ];
    for (token, expected) in cases {
        provider.give(&token);
        assert_eq!(word(redeem(&party).await), expected, "{token}");
    }
}

#[tokio::test]
async fn a_key_published_for_another_issuer_signs_nothing_here() {
    let (signer, personal) = (Signer::new("k1"), Signer::new("k2"));
    let provider = Provider::start().await;
    let with_issuer = |signer: &Signer, tenant: &str| {
        let mut key = signer.jwk();
        key["issuer"] = json!(provider.issuer(tenant));
        key
    };
    let keys = [with_issuer(&signer, "{tenantid}"), with_issuer(&personal, "9188040d-6c67-4c5b-b112-36a304b66dad")];
    provider.publish(TENANT, &keys);
    let (party, _) = provider.party();
    provider.give(&signer.sign(&provider.claims()));
    assert_eq!(word(redeem(&party).await), "signed in");
    provider.give(&personal.sign(&provider.claims()));
    assert_eq!(word(redeem(&party).await), "wrong_key_issuer");
}

#[tokio::test]
async fn with_several_tenants_each_token_is_held_to_its_own_tenant() {
    let (ours, theirs) = (Signer::new("ours"), Signer::new("theirs"));
    let provider = Provider::with(&ours).await;
    provider.publish(OTHER_TENANT, &[theirs.jwk()]);
    provider.publish("organizations", &[]);
    let mut config = provider.config();
    config.tenants.push(tenant(OTHER_TENANT));
    let (party, _) = provider.party_with(config);
    let give = |token: String| provider.reply("/organizations/token", Reply::json(&json!({ "id_token": token })));
    give(ours.sign(&provider.claims()));
    assert_eq!(redeem(&party).await.unwrap().subject.user.tenant, tenant(TENANT));
    let mut claims = provider.claims();
    claims["tid"] = json!(OTHER_TENANT);
    give(theirs.sign(&claims));
    assert_eq!(word(redeem(&party).await), "wrong_issuer", "the issuer of another allowed tenant");
    claims["iss"] = json!(provider.issuer(OTHER_TENANT));
    give(ours.sign(&claims));
    assert_eq!(word(redeem(&party).await), "unknown_key", "the keys of another allowed tenant");
    give(theirs.sign(&claims));
    assert_eq!(redeem(&party).await.unwrap().subject.user.tenant, tenant(OTHER_TENANT));
    assert_eq!(provider.hits("/organizations/keys"), 0, "no token is believed by keys of all tenants");
    assert_eq!(party.expects_issuer(&provider.issuer(OTHER_TENANT)), Some(tenant(OTHER_TENANT)));
    assert_eq!(party.expects_issuer(&provider.issuer("organizations")), None);
    assert_eq!(party.expects_issuer("https://login.microsoftonline.com/x/v2.0"), None);
}

#[tokio::test]
async fn a_refresh_proves_the_same_person_or_fails() {
    let signer = Signer::new("k1");
    let provider = Provider::with(&signer).await;
    let (party, _) = provider.party();
    let mut claims = provider.claims();
    claims.as_object_mut().unwrap().remove("nonce");
    let user = UserKey { tenant: tenant(TENANT), object: PERSON.parse().unwrap() };
    let old = Secret::new("old".to_owned());
    provider.give_all(&json!({ "id_token": signer.sign(&claims), "refresh_token": "new" }));
    let refreshed = party.refresh(&old, user).await.unwrap();
    assert_eq!(refreshed.refresh_token.unwrap().expose(), "new");
    let form = provider.last_form(TENANT);
    assert_eq!((form["grant_type"].as_str(), form["refresh_token"].as_str()), ("refresh_token", "old"));
    provider.give_all(&json!({ "id_token": signer.sign(&claims) }));
    assert_eq!(party.refresh(&old, user).await.unwrap().refresh_token.unwrap().expose(), "old");
    provider.give_all(&json!({ "access_token": "a", "refresh_token": "new" }));
    assert_eq!(word(party.refresh(&old, user).await), "no_id_token");
    claims["oid"] = json!("00000000-13cd-4e68-8f02-9ac46d1e7b50");
    provider.give(&signer.sign(&claims));
    assert_eq!(word(party.refresh(&old, user).await), "other_person");
    let stranger = UserKey { tenant: tenant(OTHER_TENANT), ..user };
    assert_eq!(word(party.refresh(&old, stranger).await), "tenant_not_allowed");
}

#[tokio::test]
async fn sign_out_goes_to_the_providers_own_place() {
    let provider = Provider::with(&Signer::new("k1")).await;
    let (party, _) = provider.party();
    let back = Url::parse("https://portal.example/bye?x=1&y=2").unwrap();
    let url = party.end_session_url(&back, Some(&Secret::new("O.Ci&Q=".to_owned()))).await.unwrap();
    assert_eq!(url.path(), format!("/{TENANT}/logout"));
    let query: Vec<_> = url.query_pairs().into_owned().collect();
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(query, [pair("post_logout_redirect_uri", back.as_str()), pair("logout_hint", "O.Ci&Q=")]);
}
