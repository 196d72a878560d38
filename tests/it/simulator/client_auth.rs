//! Client authentication (section 1.5), with assertions signed here and not by any code of ours.

use aws_lc_rs::digest;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::StatusCode;
use portcullis::simulator::{
    APP_ID, APP_SECRET, CONTOSO, ClientSecret, FederatedCredential, FederatedKeys, KeyDocument,
};
use serde_json::{Value, json};

use super::browser::{Browser, Form, but, claims};
use super::token::app_only;

const GRAPH: &str = "https://graph.microsoft.com/.default";
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

struct Credential {
    key: KeyPair,
    certificate: Vec<u8>,
}

impl Credential {
    fn new() -> Self {
        let pair = rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap();
        let certificate = rcgen::CertificateParams::new(Vec::new()).unwrap().self_signed(&pair).unwrap();
        Self { key: KeyPair::from_pkcs8(pair.serialized_der()).unwrap(), certificate: certificate.der().to_vec() }
    }

    fn x5t(&self) -> String {
        URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &self.certificate))
    }

    fn x5t_s256(&self) -> String {
        URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, &self.certificate))
    }

    fn sign(&self, padding: &'static dyn RsaEncoding, header: &Value, claims: &Value) -> String {
        let signed =
            format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims.to_string()));
        let mut signature = vec![0; self.key.public_modulus_len()];
        self.key.sign(padding, &SystemRandom::new(), signed.as_bytes(), &mut signature).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn ps256(&self, claims: &Value) -> String {
        self.sign(&RSA_PSS_SHA256, &json!({"alg": "PS256", "typ": "JWT", "x5t#S256": self.x5t_s256()}), claims)
    }

    fn rs256(&self, claims: &Value) -> String {
        self.sign(&RSA_PKCS1_SHA256, &json!({"alg": "RS256", "typ": "JWT", "x5t": self.x5t()}), claims)
    }
}

fn now() -> u64 {
    let stamp = std::fs::metadata("/proc/self").unwrap().modified().unwrap();
    stamp.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

fn assertion_claims(b: &Browser) -> Value {
    json!({
        "aud": format!("{}/{CONTOSO}/oauth2/v2.0/token", b.base()), "iss": APP_ID, "sub": APP_ID,
        "jti": "c9d1f4a2-7e35-4b80-9c16-2af86e0d53b7", "nbf": now(), "iat": now(), "exp": now() + 600,
    })
}

fn with(mut claims: Value, name: &str, value: Value) -> Value {
    claims[name] = value;
    claims
}

fn asserted(assertion: &str) -> Form {
    let mut form = but(app_only(GRAPH), "client_secret", None);
    form.push(("client_assertion_type", JWT_BEARER.to_owned()));
    form.push(("client_assertion", assertion.to_owned()));
    form
}

async fn with_certificate() -> (Browser, Credential) {
    let b = Browser::demo().await;
    let credential = Credential::new();
    b.sim.world().change(|w| w.app_mut(APP_ID).unwrap().certificates.push(credential.certificate.clone()));
    (b, credential)
}

/// Section 1.5: the secret in the body or in a Basic header, form-encoded.
#[tokio::test]
async fn secrets_work_in_body_and_header() {
    let mut b = Browser::demo().await;
    assert_eq!(b.token(&app_only(GRAPH)).await.status, StatusCode::OK);
    let secret: String = url::form_urlencoded::byte_serialize(APP_SECRET.as_bytes()).collect();
    let header = format!("Basic {}", STANDARD.encode(format!("{APP_ID}:{secret}")));
    let form = but(but(app_only(GRAPH), "client_secret", None), "client_id", None);
    let path = format!("/{CONTOSO}/oauth2/v2.0/token");
    let reply = b.post_with(&path, &[("authorization", &header)], &form).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    let bare = format!("Basic {}", STANDARD.encode(format!("{APP_ID}:{APP_SECRET}")));
    let reply = b.post_with(&path, &[("authorization", &bare)], &form).await;
    reply.assert_failure(7_000_215, "invalid_client");
}

/// Sections 1.5 and 1.8: wrong, expired and missing secrets; none at all with an `Origin`.
#[tokio::test]
async fn bad_secrets_are_named() {
    let mut b = Browser::demo().await;
    let wrong = but(app_only(GRAPH), "client_secret", Some("wrong"));
    let reply = b.token(&wrong).await;
    assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
    reply.assert_failure(7_000_215, "invalid_client");
    b.token(&but(app_only(GRAPH), "client_secret", None)).await.assert_failure(7_000_218, "invalid_client");
    let path = format!("/{CONTOSO}/oauth2/v2.0/token");
    let reply = b.post_with(&path, &[("origin", "https://gateway.example.com")], &app_only(GRAPH)).await;
    reply.assert_failure(9_002_326, "invalid_request");
    b.sim.world().change(|w| {
        w.app_mut(APP_ID).unwrap().secrets = vec![ClientSecret { value: APP_SECRET.to_owned(), expired: true }];
    });
    b.token(&app_only(GRAPH)).await.assert_failure(7_000_222, "invalid_client");
    b.sim.world().change(|w| w.app_mut(APP_ID).unwrap().secrets.clear());
    b.token(&app_only(GRAPH)).await.assert_failure(700_025, "invalid_client");
}

/// Section 1.5: PS256 with `x5t#S256` and RS256 with `x5t` are both accepted, and the token says how.
#[tokio::test]
async fn both_certificate_forms_are_accepted() {
    let (mut b, credential) = with_certificate().await;
    let claims_ = assertion_claims(&b);
    assert_eq!((credential.x5t().len(), credential.x5t_s256().len()), (27, 43));
    for assertion in [credential.ps256(&claims_), credential.rs256(&claims_)] {
        let reply = b.token(&asserted(&assertion)).await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
        assert_eq!(claims(&reply.json()["access_token"])["appidacr"], "2");
    }
}

/// Section 1.5: MSAL.NET writes `nbf` and `exp` as strings and no `iat`.
#[tokio::test]
async fn times_as_strings_are_tolerated() {
    let (mut b, credential) = with_certificate().await;
    let mut c = assertion_claims(&b);
    c["nbf"] = json!(now().to_string());
    c["exp"] = json!((now() + 600).to_string());
    c.as_object_mut().unwrap().remove("iat");
    let reply = b.token(&asserted(&credential.ps256(&c))).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
}

/// Sections 1.5 and 1.8: bad signature, unknown thumbprint, wrong pair, wrong subject, audience and time.
#[tokio::test]
async fn bad_assertions_are_refused() {
    let (mut b, credential) = with_certificate().await;
    let good = assertion_claims(&b);
    let stranger = Credential::new();
    let mixed = credential.sign(&RSA_PKCS1_SHA256, &json!({"alg": "RS256", "x5t#S256": credential.x5t_s256()}), &good);
    let forged = stranger.sign(&RSA_PSS_SHA256, &json!({"alg": "PS256", "x5t#S256": credential.x5t_s256()}), &good);
    let none = credential.sign(&RSA_PSS_SHA256, &json!({"alg": "none", "x5t#S256": credential.x5t_s256()}), &good);
    let other_tenant = format!("{}/common/oauth2/v2.0/token", b.base());
    for (assertion, code) in [
        (stranger.ps256(&good), 700_027),
        (mixed, 700_027),
        (forged, 700_027),
        (none, 700_027),
        (credential.ps256(&with(good.clone(), "sub", json!("somebody"))), 50048),
        (credential.ps256(&with(good.clone(), "aud", json!(other_tenant))), 700_023),
        (credential.ps256(&with(good.clone(), "exp", json!(now() - 301))), 700_024),
        (credential.ps256(&with(good.clone(), "nbf", json!(now() + 400))), 700_024),
        (credential.ps256(&with(good.clone(), "exp", Value::Null)), 700_024),
        ("not.a.jwt".to_owned(), 50012),
    ] {
        b.token(&asserted(&assertion)).await.assert_failure(code, "invalid_client");
    }
    let form = but(asserted(&credential.ps256(&good)), "client_assertion_type", None);
    b.token(&form).await.assert_failure(50012, "invalid_client");
}

/// Section 1.5, federated credential: issuer, subject and the one audience must match, RS256 only.
#[tokio::test]
async fn federated_credentials_are_matched_and_verified() {
    let mut issuer = Browser::demo().await;
    let mut b = Browser::demo().await;
    // The other simulator's key document stands for the cluster's; tokens are signed with a key given in place.
    let workload = Credential::new();
    let (_, certificate) = x509_parser::parse_x509_certificate(&workload.certificate).unwrap();
    let x509_parser::public_key::PublicKey::RSA(public) = certificate.public_key().parsed().unwrap() else {
        panic!("not rsa")
    };
    let n = URL_SAFE_NO_PAD.encode(public.modulus.strip_prefix(&[0]).unwrap_or(public.modulus));
    let document = json!({"keys": [{"kty": "RSA", "kid": "w1", "n": n, "e": "AQAB"}]});
    let credential = |keys| FederatedCredential {
        name: "gateway-prod".to_owned(),
        issuer: "https://oidc.cluster.example.net/".to_owned(),
        subject: "system:serviceaccount:auth:gateway".to_owned(),
        audience: "api://AzureADTokenExchange".to_owned(),
        keys,
    };
    let put = |keys| b.sim.world().change(|w| w.app_mut(APP_ID).unwrap().federated = vec![credential(keys)]);
    put(FederatedKeys::Document(document));
    let good = json!({
        "iss": "https://oidc.cluster.example.net/", "sub": "system:serviceaccount:auth:gateway",
        "aud": "api://AzureADTokenExchange", "exp": now() + 600, "iat": now(),
    });
    let sign = |c: &Value| workload.sign(&RSA_PKCS1_SHA256, &json!({"alg": "RS256", "kid": "w1"}), c);
    let reply = b.token(&asserted(&sign(&good))).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    for name in ["iss", "sub", "aud"] {
        let reply = b.token(&asserted(&sign(&with(good.clone(), name, json!("other"))))).await;
        reply.assert_failure(70021, "invalid_client");
    }
    let pss = workload.sign(&RSA_PSS_SHA256, &json!({"alg": "PS256", "kid": "w1"}), &good);
    b.token(&asserted(&pss)).await.assert_failure(50012, "invalid_client");
    // Keys fetched from an address: reached, but none of them signed this.
    let address = format!("{}/{CONTOSO}/discovery/v2.0/keys", issuer.base());
    b.sim.world().change(|w| {
        w.app_mut(APP_ID).unwrap().federated = vec![credential(FederatedKeys::Address(address))];
    });
    b.token(&asserted(&sign(&good))).await.assert_failure(50012, "invalid_client");
    assert_eq!(issuer.sim.levers().calls(portcullis::simulator::Endpoint::Keys), 1);
    issuer.sim.levers().serve_keys(KeyDocument::Garbage);
    b.token(&asserted(&sign(&good))).await.assert_failure(50012, "invalid_client");
    assert_eq!(issuer.get("/nothing").await.status, StatusCode::NOT_FOUND);
}
