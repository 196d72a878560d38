//! Which keys are usable, and which sets are suspicious as a whole.

use serde_json::json;

use super::*;
use crate::entra::tests::provider::{OTHER_TENANT, Signer, TENANT};

fn discovery() -> Discovery {
    let url: url::Url = "https://login.example/".parse().unwrap();
    Discovery {
        issuer: format!("https://login.example/{TENANT}/v2.0"),
        authorization_endpoint: url.clone(),
        token_endpoint: url.clone(),
        jwks_uri: url,
        end_session_endpoint: None,
        cloud_instance_name: Some("login.example".to_owned()),
    }
}

fn parse(keys: &[Value]) -> Result<KeySet, &'static str> {
    let body = json!({ "keys": keys }).to_string();
    KeySet::parse(body.as_bytes(), &discovery()).map_err(|error| error.fault().word())
}

fn changed(key: &Value, name: &str, value: Value) -> Value {
    let mut key = key.clone();
    key[name] = value;
    key
}

#[test]
fn a_key_that_cannot_verify_rs256_safely_is_left_out() {
    let key = Signer::new("k1").jwk();
    assert_eq!(parse(std::slice::from_ref(&key)).unwrap().len(), 1);
    let encode = |bytes: &[u8]| json!(URL_SAFE_NO_PAD.encode(bytes));
    let cases = [
        ("kty", json!("EC")),
        ("kty", json!("oct")),
        ("use", json!("enc")),
        ("use", Value::Null),
        ("alg", json!("RS512")),
        ("alg", json!("none")),
        ("alg", Value::Null),
        ("kid", json!("")),
        ("kid", json!(7)),
        ("kid", json!("k".repeat(MAX_KID + 1))),
        ("n", encode(&[0xff; 64])),
        ("n", encode(&[0xff; 255])),
        ("n", encode(&[0x7f; 256])),
        ("n", encode(&[0xff; 1025])),
        ("n", json!("no base64!")),
        ("e", encode(&[1])),
        ("e", encode(&[0, 1])),
        ("e", encode(&[2])),
        ("e", encode(&[1; 5])),
        ("e", json!("")),
        ("issuer", json!(7)),
        ("cloud_instance_name", json!("login.other")),
    ];
    for (name, value) in cases {
        assert_eq!(parse(&[changed(&key, name, value.clone())]), Err("no_keys"), "{name} = {value}");
    }
    for (name, value) in
        [("alg", json!("RS256")), ("cloud_instance_name", json!("login.example")), ("x5c", json!(["MII"]))]
    {
        assert!(parse(&[changed(&key, name, value)]).is_ok(), "{name}");
    }
}

#[test]
fn one_name_means_one_key() {
    let (first, second) = (Signer::new("k1").jwk(), Signer::new("k1").jwk());
    assert_eq!(parse(&[first.clone(), second.clone()]), Err("duplicate_keys"));
    assert_eq!(parse(&[first.clone(), first.clone()]).unwrap().len(), 1);
    // An unusable key does not count as a twin.
    assert_eq!(parse(&[first, changed(&second, "use", json!("enc"))]).unwrap().len(), 1);
}

#[test]
fn a_key_signs_only_for_the_issuer_it_was_published_for() {
    let key = Signer::new("k1").jwk();
    let tenant: TenantId = TENANT.parse().unwrap();
    let issuer = format!("https://login.example/{TENANT}/v2.0");
    let may =
        |own: Value| parse(&[changed(&key, "issuer", own)]).unwrap().key("k1").unwrap().may_sign_for(&issuer, tenant);
    assert!(may(json!("https://login.example/{tenantid}/v2.0")));
    assert!(may(json!(issuer)));
    assert!(!may(json!(format!("https://login.example/{OTHER_TENANT}/v2.0"))));
    assert!(!may(json!("https://evil.example/{tenantid}/v2.0")));
    assert!(parse(std::slice::from_ref(&key)).unwrap().key("k1").unwrap().may_sign_for(&issuer, tenant));
}

#[test]
fn a_set_that_is_no_set_is_refused() {
    let parse = |text: &str| KeySet::parse(text.as_bytes(), &discovery()).map_err(|error| error.fault().word());
    for (text, reason) in [
        ("", "answer_malformed"),
        ("[]", "answer_malformed"),
        ("{}", "answer_malformed"),
        (r#"{"keys":{}}"#, "answer_malformed"),
        (r#"{"keys":[],"keys":[]}"#, "answer_malformed"),
        (r#"{"keys":[]}"#, "no_keys"),
        (r#"{"keys":[7,null,"x",[]]}"#, "no_keys"),
    ] {
        assert_eq!(parse(text), Err(reason), "{text}");
    }
}
