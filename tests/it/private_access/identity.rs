//! The signed assertion as an app verifies it: with the published keys, for itself, and not for long.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use super::{ask, get};
use crate::world::provider::Kind;
use crate::world::{ALICE, APP, BOB, FIN, TENANT, World, shapes};

/// AZ-07.
#[tokio::test]
async fn each_app_gets_a_short_assertion_of_its_own_that_the_published_keys_verify() {
    let world = World::start(Kind::Simulator).await;
    let mut browser = world.signed_in(ALICE).await;
    assert_eq!(browser.open_silently(&format!("https://{FIN}/x")).await.status(), 200);
    let jwks = ask(&world, APP, "GET /.portcullis/jwks.json", "").await;
    assert_eq!((jwks.status, jwks.header("content-type")), (200, Some("application/jwk-set+json")));
    let keys: Value = serde_json::from_slice(&jwks.body).unwrap();
    let seen = world.app.seen();
    let mut tokens = Vec::new();
    for (upstream, host) in [(&world.app, APP), (&world.fin, FIN)] {
        let request = upstream.requests().last().unwrap().clone();
        let token = request.header("x-auth-assertion").unwrap().to_owned();
        let claims = verified(&token, &keys);
        assert_eq!(claims["aud"], format!("https://{host}"));
        assert_eq!(claims["iss"], format!("https://{}", shapes::AUTH_HOST));
        assert_eq!(claims["sub"], format!("{TENANT}:{}", ALICE.oid));
        let (iat, exp) = (claims["iat"].as_u64().unwrap(), claims["exp"].as_u64().unwrap());
        assert!(exp > iat && exp - iat <= 60, "{claims}");
        tokens.push(token);
    }
    assert_ne!(tokens[0], tokens[1]);
    assert_eq!(world.app.seen(), seen, "the key set comes from the gateway");
    // A changed claim no longer verifies.
    let parts: Vec<&str> = tokens[0].split('.').collect();
    let forged = format!("{}.{}.{}", parts[0], URL_SAFE_NO_PAD.encode("{\"aud\":\"https://fin.test\"}"), parts[2]);
    assert!(verify(&forged, &keys).is_none());
}

#[tokio::test]
async fn connections_of_one_browser_share_an_assertion_and_nobody_else_does() {
    let world = World::start(Kind::Simulator).await;
    let (alice, bob) = (world.cookie(ALICE).await, world.cookie(BOB).await);
    world.app.forget();
    // A connection each.
    for cookie in [&alice, &alice, &bob] {
        assert_eq!(get(&world, cookie, "/x").await.status, 200);
    }
    let jwks = ask(&world, APP, "GET /.portcullis/jwks.json", "").await;
    let keys: Value = serde_json::from_slice(&jwks.body).unwrap();
    let requests = world.app.requests();
    let tokens: Vec<&str> = requests.iter().map(|request| request.header("x-auth-assertion").unwrap()).collect();
    assert_eq!(tokens[0], tokens[1]);
    for (token, person) in [(tokens[0], ALICE), (tokens[2], BOB)] {
        assert_eq!(verified(token, &keys)["sub"], format!("{TENANT}:{}", person.oid));
    }
}

fn verified(token: &str, keys: &Value) -> Value {
    verify(token, keys).unwrap_or_else(|| panic!("{token} does not verify with {keys}"))
}

fn verify(token: &str, keys: &Value) -> Option<Value> {
    let parts: Vec<&str> = token.split('.').collect();
    let [header, claims, signature] = parts[..] else { panic!("not a JWT: {token}") };
    let json = |part: &str| serde_json::from_slice::<Value>(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
    let head = json(header);
    assert_eq!((&head["alg"], &head["typ"]), (&"ES256".into(), &"JWT".into()));
    let key =
        keys["keys"].as_array().unwrap().iter().find(|key| key["kid"] == head["kid"]).expect("the key is published");
    assert_eq!((&key["kty"], &key["crv"]), (&"EC".into(), &"P-256".into()));
    assert!(key.get("d").is_none(), "no private key in the key set");
    let coordinate = |name: &str| URL_SAFE_NO_PAD.decode(key[name].as_str().unwrap()).unwrap();
    let point = [vec![4], coordinate("x"), coordinate("y")].concat();
    let signed = format!("{header}.{claims}");
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(signed.as_bytes(), &signature).ok()?;
    Some(json(claims))
}
