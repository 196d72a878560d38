//! The hostile modes say what they do: each token differs from a good one in exactly the way of its name (section 1.3).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use portcullis::simulator::{ALICE, APP_ID, CONTOSO, Hostile};
use serde_json::{Value, json};

use super::browser::{Browser, Reply, but, claims, head, is_signed, part, redemption, request};

/// The reply of a redemption in this mode.
async fn reply(b: &mut Browser, mode: Hostile) -> Reply {
    b.forget_cookie();
    let code = b.code(ALICE, &request()).await;
    b.sim.levers().hostile(mode, 1);
    b.token(&redemption(&code)).await
}

async fn token(b: &mut Browser, mode: Hostile) -> Value {
    reply(b, mode).await.json()["id_token"].clone()
}

async fn jwks(b: &mut Browser) -> Value {
    b.get(&format!("/{CONTOSO}/discovery/v2.0/keys")).await.json()
}

#[tokio::test]
async fn a_mode_lasts_as_long_as_ordered() {
    let mut b = Browser::demo().await;
    b.sim.levers().hostile(Hostile::MissingSub, 2);
    for expected in [false, false, true] {
        b.forget_cookie();
        let c = claims(&b.alice().await["id_token"]);
        assert_eq!(c.get("sub").is_some(), expected);
    }
}

#[tokio::test]
async fn wrong_claims_are_properly_signed() {
    let mut b = Browser::demo().await;
    let keys = jwks(&mut b).await;
    let own = format!("{}/{CONTOSO}/v2.0", b.base());
    let mut seen = std::collections::HashMap::new();
    for mode in [
        Hostile::WrongIssuer,
        Hostile::OtherTenantIssuer,
        Hostile::OtherTenantId,
        Hostile::ForeignTenant,
        Hostile::WrongAudience,
        Hostile::ExtraAudience,
        Hostile::WrongNonce,
        Hostile::Expired,
        Hostile::NotYetValid,
        Hostile::VersionOne,
        Hostile::TenantNotGuid,
        Hostile::WrongTypes,
    ] {
        let token = token(&mut b, mode).await;
        assert!(is_signed(&token, &keys), "{mode:?}");
        seen.insert(format!("{mode:?}"), claims(&token));
    }
    assert_ne!(seen["WrongIssuer"]["iss"], own);
    assert!(seen["OtherTenantIssuer"]["iss"] != own && seen["OtherTenantIssuer"]["tid"] == CONTOSO);
    assert!(seen["OtherTenantId"]["iss"] == own && seen["OtherTenantId"]["tid"] != CONTOSO);
    let foreign = seen["ForeignTenant"]["tid"].as_str().unwrap();
    assert_eq!(seen["ForeignTenant"]["iss"], format!("{}/{foreign}/v2.0", b.base()));
    assert_ne!(seen["WrongAudience"]["aud"], APP_ID);
    assert!(seen["ExtraAudience"]["aud"][0] == APP_ID && seen["ExtraAudience"]["aud"][1].is_string());
    assert_ne!(seen["WrongNonce"]["nonce"], "n-7Gh2Lq");
    let auth_time = seen["Expired"]["auth_time"].as_u64().unwrap();
    assert!(seen["Expired"]["exp"].as_u64().unwrap() < auth_time - 600);
    assert!(seen["NotYetValid"]["nbf"].as_u64().unwrap() > auth_time + 600);
    assert_eq!(seen["VersionOne"]["ver"], "1.0");
    assert_eq!(seen["VersionOne"]["iss"], format!("https://sts.windows.net/{CONTOSO}/"));
    assert_eq!(seen["TenantNotGuid"]["tid"], "contoso");
    assert!(seen["WrongTypes"]["oid"].is_array() && seen["WrongTypes"]["groups"].is_string());
}

#[tokio::test]
async fn missing_claims_are_missing() {
    let mut b = Browser::demo().await;
    for (mode, name) in [
        (Hostile::MissingNonce, "nonce"),
        (Hostile::MissingSub, "sub"),
        (Hostile::MissingOid, "oid"),
        (Hostile::MissingTid, "tid"),
        (Hostile::MissingIat, "iat"),
        (Hostile::MissingExp, "exp"),
        (Hostile::MissingVer, "ver"),
        (Hostile::MissingAud, "aud"),
    ] {
        assert!(claims(&token(&mut b, mode).await).get(name).is_none(), "{name}");
    }
    // `acrs` is there only when asked for: once as asked, once left out.
    let asked = but(request(), "claims", Some(r#"{"id_token":{"acrs":{"essential":true,"value":"c1"}}}"#));
    for (mode, is_there) in [(None, true), (Some(Hostile::MissingAcrs), false)] {
        let code = b.authorize(&asked).await.answer()["code"].clone();
        if let Some(mode) = mode {
            b.sim.levers().hostile(mode, 1);
        }
        let tokens = b.token(&redemption(&code)).await.json();
        assert_eq!(claims(&tokens["id_token"]).get("acrs").is_some(), is_there);
    }
}

#[tokio::test]
async fn forgeries_are_forged_as_named() {
    let mut b = Browser::demo().await;
    let keys = jwks(&mut b).await;
    let base = b.base();
    let bad = token(&mut b, Hostile::BadSignature).await;
    assert!(head(&bad)["alg"] == "RS256" && !is_signed(&bad, &keys));

    let none = token(&mut b, Hostile::AlgNone).await;
    assert!(head(&none)["alg"] == "none" && none.as_str().unwrap().ends_with('.'));

    let hmac = token(&mut b, Hostile::HmacWithPublicKey).await;
    assert_eq!(head(&hmac)["alg"], "HS256");
    let key = keys["keys"].as_array().unwrap().iter().find(|k| k["kid"] == head(&hmac)["kid"]).unwrap();
    let secret = URL_SAFE_NO_PAD.decode(key["n"].as_str().unwrap()).unwrap();
    let (signed, tag) = hmac.as_str().unwrap().rsplit_once('.').unwrap();
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &secret);
    aws_lc_rs::hmac::verify(&key, signed.as_bytes(), &URL_SAFE_NO_PAD.decode(tag).unwrap()).unwrap();

    let unknown = head(&token(&mut b, Hostile::UnknownKid).await)["kid"].clone();
    assert!(keys["keys"].as_array().unwrap().iter().all(|k| k["kid"] != unknown));
    assert!(head(&token(&mut b, Hostile::MissingKid).await).get("kid").is_none());

    let pinned = token(&mut b, Hostile::KeyOfOtherIssuer).await;
    assert!(is_signed(&pinned, &keys));
    let key = keys["keys"].as_array().unwrap().iter().find(|k| k["kid"] == head(&pinned)["kid"]).unwrap();
    assert_eq!(key["issuer"], format!("{base}/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0"));
    assert_eq!(claims(&pinned)["tid"], CONTOSO);
}

#[tokio::test]
async fn awkward_shapes_are_as_named() {
    let mut b = Browser::demo().await;
    assert!(token(&mut b, Hostile::Megabyte).await.as_str().unwrap().len() > 1024 * 1024);
    let doubled = part(&token(&mut b, Hostile::DuplicateMembers).await, 1);
    assert_eq!((doubled.matches("\"oid\":").count(), doubled.matches("\"sub\":").count()), (2, 2));
    assert!(reply(&mut b, Hostile::NoIdToken).await.json().get("id_token").is_none());
    let html = reply(&mut b, Hostile::Html).await;
    assert!(html.status == StatusCode::OK && html.headers["content-type"].to_str().unwrap().starts_with("text/html"));
    let redirect = reply(&mut b, Hostile::Redirect).await;
    assert!(redirect.status == StatusCode::FOUND && redirect.location().is_some());
    assert_eq!(reply(&mut b, Hostile::HugeBody).await.body.len(), 50 * 1024 * 1024);
    let cut = reply(&mut b, Hostile::CutJson).await;
    assert!(serde_json::from_slice::<Value>(&cut.body).is_err() && cut.text().starts_with('{'));
}

/// The slow answer has begun and does not end.
#[tokio::test]
async fn a_slow_drip_does_not_end() {
    let mut b = Browser::demo().await;
    let code = b.code(ALICE, &request()).await;
    b.sim.levers().hostile(Hostile::SlowDrip, 1);
    let form = redemption(&code);
    let waited = tokio::time::timeout(std::time::Duration::from_millis(300), b.token(&form)).await;
    assert!(waited.is_err());
    assert_eq!(b.sim.levers().counters()["token.authorization_code"], 1);
    assert_eq!(json!(b.sim.levers().counters())["token"], 1);
}
