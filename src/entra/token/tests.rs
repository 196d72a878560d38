//! Tokens taken apart and changed byte by byte. Claim by claim they are refused in `entra::tests::sign_in`.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::entra::discovery::{Authority, Discovery, Realm};
use crate::entra::keys::KeySet;
use crate::entra::tests::provider::{self, CLIENT, NONCE, NOW, Signer, TENANT};

struct Scene {
    signer: Signer,
    key: SigningKey,
    issuer: String,
}

impl Scene {
    fn new() -> Self {
        let signer = Signer::new("k1");
        let authority = Authority::new(&"https://login.microsoftonline.com/".parse().unwrap()).unwrap();
        let at = |rest: &str| format!("https://login.microsoftonline.com/{TENANT}/{rest}");
        let document = json!({
            "issuer": at("v2.0"), "authorization_endpoint": at("a"), "token_endpoint": at("t"), "jwks_uri": at("k"),
        });
        let realm = Realm::Tenant(provider::tenant(TENANT));
        let discovery = Discovery::parse(document.to_string().as_bytes(), realm, &authority).unwrap();
        let keys = KeySet::parse(json!({ "keys": [signer.jwk()] }).to_string().as_bytes(), &discovery).unwrap();
        Self { key: keys.key("k1").unwrap().clone(), issuer: at("v2.0"), signer }
    }

    fn good(&self) -> String {
        self.signer.sign(&provider::claims(&self.issuer))
    }

    fn check(&self, token: &str) -> Result<Verified, BadToken> {
        let token = Unverified::read(token)?;
        if token.kid() != "k1" {
            return Err(BadToken::UnknownKey);
        }
        let expected = Expected {
            issuer: &self.issuer,
            tenant: provider::tenant(TENANT),
            client_id: CLIENT,
            nonce: Some(NONCE),
            now: UnixTime(NOW),
            skew: Duration::from_secs(300),
        };
        token.verify(&self.key, &expected)
    }

    fn with_payload(&self, payload: &str) -> Result<Verified, BadToken> {
        self.check(&self.signer.sign_text(&json!({ "alg": "RS256", "kid": "k1" }), payload))
    }
}

#[test]
fn no_flipped_byte_anywhere_is_accepted() {
    let scene = Scene::new();
    let good = scene.good();
    assert!(scene.check(&good).is_ok());
    for at in 0..good.len() {
        for flip in [1u8, 2, 4] {
            let mut bytes = good.clone().into_bytes();
            bytes[at] ^= flip;
            let Ok(changed) = String::from_utf8(bytes) else { continue };
            assert!(scene.check(&changed).is_err(), "byte {at} changed by {flip}");
        }
    }
}

#[test]
fn no_shortened_lengthened_or_foreign_signature_is_accepted() {
    let scene = Scene::new();
    let good = scene.good();
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let other = scene.signer.sign_text(&json!({ "alg": "RS256", "kid": "k1" }), "{}");
    let (_, foreign) = other.rsplit_once('.').unwrap();
    let zeros = URL_SAFE_NO_PAD.encode([0u8; 256]);
    let one = URL_SAFE_NO_PAD.encode([&[0u8; 255][..], &[1]].concat());
    let padded = format!("{signature}==");
    let longer = format!("AAAA{signature}");
    for changed in ["", &signature[4..], &padded, &longer, foreign, &zeros, &one, &"A".repeat(100_000)] {
        assert!(scene.check(&format!("{signed}.{changed}")).is_err(), "{changed:.40}");
    }
}

#[test]
fn a_repeated_member_deep_nesting_and_oversize_are_refused_even_when_signed() {
    let scene = Scene::new();
    let claims = provider::claims(&scene.issuer).to_string();
    let twice = claims.replacen('{', &format!("{{\"aud\":\"{CLIENT}\","), 1);
    assert_eq!(scene.with_payload(&twice).unwrap_err(), BadToken::DuplicateMember);
    let deep = claims.replacen('{', &format!("{{\"x\":{}{},", "[".repeat(10_000), "]".repeat(10_000)), 1);
    assert_eq!(scene.with_payload(&deep).unwrap_err(), BadToken::TooDeep);
    let large = claims.replacen('{', &format!("{{\"x\":\"{}\",", "x".repeat(MAX_TOKEN)), 1);
    assert_eq!(scene.with_payload(&large).unwrap_err(), BadToken::TooLarge);
    for text in ["", "[]", "null", "\"x\"", "{", "{} "] {
        assert!(scene.with_payload(text).is_err(), "{text}");
    }
}

#[test]
fn an_encrypted_token_and_other_shapes_are_refused() {
    for (token, expected) in [
        ("a.b.c.d.e", BadToken::Encrypted),
        ("....", BadToken::Encrypted),
        ("", BadToken::Malformed),
        ("a", BadToken::Malformed),
        ("a.b", BadToken::Malformed),
        ("a.b.c.d", BadToken::Malformed),
        ("a.b.c.d.e.f", BadToken::Malformed),
        ("e30.e30.e30", BadToken::WrongAlgorithm),
        ("{}.{}.x", BadToken::Malformed),
    ] {
        assert_eq!(Unverified::read(token).err(), Some(expected), "{token}");
    }
}

proptest! {
    #[test]
    fn reading_any_text_as_a_token_never_panics(
        text in "\\PC*",
        parts in "[A-Za-z0-9_=-]{0,80}\\.[A-Za-z0-9_-]{0,80}\\.[A-Za-z0-9_-]{0,8}",
    ) {
        let _ = Unverified::read(&text);
        let _ = Unverified::read(&parts);
    }

    #[test]
    fn any_signed_object_is_read_without_a_panic(kid in "\\PC{0,20}", tail in "\\PC{0,60}") {
        let header = URL_SAFE_NO_PAD.encode(json!({ "alg": "RS256", "kid": kid }).to_string());
        let payload = URL_SAFE_NO_PAD.encode(format!("{{\"tid\":\"{TENANT}\",\"x\":{tail}}}"));
        let _ = Unverified::read(&format!("{header}.{payload}.AAAA"));
    }
}
