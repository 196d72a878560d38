//! Discovery and keys (sections 1.2 and 1.3).

use std::collections::BTreeSet;

use http::StatusCode;
use portcullis::simulator::{CONTOSO, CONTOSO_DOMAIN, KeyDocument};

use super::browser::{Browser, is_signed};

const FIELDS: [&str; 23] = [
    "token_endpoint",
    "token_endpoint_auth_methods_supported",
    "jwks_uri",
    "response_modes_supported",
    "subject_types_supported",
    "id_token_signing_alg_values_supported",
    "response_types_supported",
    "scopes_supported",
    "issuer",
    "request_uri_parameter_supported",
    "userinfo_endpoint",
    "authorization_endpoint",
    "device_authorization_endpoint",
    "http_logout_supported",
    "frontchannel_logout_supported",
    "end_session_endpoint",
    "claims_supported",
    "kerberos_endpoint",
    "tenant_region_scope",
    "cloud_instance_name",
    "cloud_graph_host_name",
    "msgraph_host",
    "rbac_url",
];

/// Section 1.2: the field set of Microsoft's fixture, no key more (no `code_challenge_methods_supported`).
#[tokio::test]
async fn discovery_has_exactly_the_documented_fields() {
    let mut b = Browser::demo().await;
    let reply = b.get(&format!("/{CONTOSO}/v2.0/.well-known/openid-configuration")).await;
    let document = reply.json();
    let fields: BTreeSet<&str> = document.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(fields, BTreeSet::from(FIELDS));
    assert_eq!(document["issuer"], format!("{}/{CONTOSO}/v2.0", b.base()));
    assert_eq!(document["jwks_uri"], format!("{}/{CONTOSO}/discovery/v2.0/keys", b.base()));
    assert_eq!(document["subject_types_supported"][0], "pairwise");
    assert_eq!(reply.headers["cache-control"], "no-store, no-cache");
    assert!(reply.headers.contains_key("x-ms-request-id"));
}

/// Section 1.2: a domain in the URL still gives the GUID; `common` and `organizations` the literal template.
#[tokio::test]
async fn issuer_is_the_guid_for_a_domain_and_a_template_for_common() {
    let mut b = Browser::demo().await;
    let base = b.base();
    for (segment, issuer) in [
        (CONTOSO_DOMAIN, format!("{base}/{CONTOSO}/v2.0")),
        ("common", format!("{base}/{{tenantid}}/v2.0")),
        ("organizations", format!("{base}/{{tenantid}}/v2.0")),
        ("consumers", format!("{base}/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0")),
    ] {
        let document = b.get(&format!("/{segment}/v2.0/.well-known/openid-configuration")).await.json();
        assert_eq!(document["issuer"], issuer, "{segment}");
    }
    let common = b.get("/common/v2.0/.well-known/openid-configuration").await.json();
    assert_eq!(common["jwks_uri"], format!("{base}/common/discovery/v2.0/keys"));
}

/// Sections 1.2 and 1.8.
#[tokio::test]
async fn unknown_tenant_is_90002() {
    let mut b = Browser::demo().await;
    for path in ["v2.0/.well-known/openid-configuration", "discovery/v2.0/keys"] {
        let reply = b.get(&format!("/00000000-1111-4222-8333-444444444444/{path}")).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST);
        reply.assert_failure(90002, "invalid_request");
    }
}

/// Section 1.3: an `issuer` per key, no `alg`, at least two keys, one pinned to personal accounts.
#[tokio::test]
async fn every_key_names_its_issuer_and_none_its_algorithm() {
    let mut b = Browser::demo().await;
    let base = b.base();
    let jwks = b.get(&format!("/{CONTOSO}/discovery/v2.0/keys")).await.json();
    let keys = jwks["keys"].as_array().unwrap();
    assert!(keys.len() >= 2);
    let template = format!("{base}/{{tenantid}}/v2.0");
    let pinned = format!("{base}/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0");
    assert_eq!(keys.iter().filter(|k| k["issuer"] == pinned).count(), 1);
    assert!(keys.iter().any(|k| k["issuer"] == template));
    for key in keys {
        assert!(key.get("alg").is_none());
        assert_eq!((&key["kty"], &key["use"], &key["e"]), (&"RSA".into(), &"sig".into(), &"AQAB".into()));
        assert_eq!(key["kid"].as_str().unwrap().len(), 27);
        assert_eq!(key["kid"], key["x5t"]);
        assert!(key["x5c"][0].as_str().unwrap().starts_with("MII"));
    }
}

/// Section 11, line 2: rotate, emergency-remove, stale, 503 and documents no client may choke on.
#[tokio::test]
async fn keys_rotate_disappear_and_misbehave_on_demand() {
    let mut b = Browser::demo().await;
    let path = format!("/{CONTOSO}/discovery/v2.0/keys");
    let before = b.alice().await["id_token"].clone();
    let first = b.sim.levers().key_ids();
    let fresh = b.sim.levers().rotate_keys().await.unwrap();
    b.forget_cookie();
    let after = b.alice().await["id_token"].clone();
    let jwks = b.get(&path).await.json();
    assert!(is_signed(&before, &jwks) && is_signed(&after, &jwks), "old keys stay published");
    assert_ne!(first[0], fresh);

    assert!(b.sim.levers().remove_key(&first[0]));
    let jwks = b.get(&path).await.json();
    assert!(!is_signed(&before, &jwks) && is_signed(&after, &jwks));
    assert!(!b.sim.levers().remove_key(&first[0]));

    b.sim.levers().serve_keys(KeyDocument::Stale);
    let newest = b.sim.levers().rotate_keys().await.unwrap();
    assert!(!b.get(&path).await.text().contains(&newest));
    b.sim.levers().serve_keys(KeyDocument::Unavailable);
    assert_eq!(b.get(&path).await.status, StatusCode::SERVICE_UNAVAILABLE);
    b.sim.levers().serve_keys(KeyDocument::Garbage);
    assert!(serde_json::from_str::<serde_json::Value>(&b.get(&path).await.text()).is_err());
    b.sim.levers().serve_keys(KeyDocument::Huge);
    assert!(b.get(&path).await.body.len() > 2 * 1024 * 1024);
    b.sim.levers().serve_keys(KeyDocument::Duplicate);
    let jwks = b.get(&path).await.json();
    let twice = jwks["keys"].as_array().unwrap().iter().filter(|k| k["kid"] == newest).count();
    assert_eq!(twice, 2);
    b.sim.levers().serve_keys(KeyDocument::Empty);
    assert_eq!(b.get(&path).await.json()["keys"], serde_json::json!([]));
    b.sim.levers().serve_keys(KeyDocument::Current);
    assert!(b.get(&path).await.text().contains(&newest));
}
