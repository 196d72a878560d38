//! The three keys of the assertion: next, current, previous.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, UnparsedPublicKey,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

use super::AssertionError;
use crate::facts::UnixTime;

/// Signing keys of one rotation. Immutable; rotating makes another.
pub(super) struct Ring {
    rotated: UnixTime,
    current: Arc<Key>,
    next: Arc<Key>,
    previous: Option<Arc<Key>>,
}

struct Key {
    pair: EcdsaKeyPair,
    /// The public point as JWK members, and the thumbprint over them (RFC 7638) as key id.
    x: String,
    y: String,
    kid: String,
    /// The encoded JOSE header; the same for all assertions under this key.
    header: String,
}

/// The stored form; base64 of PKCS#8. The store seals it.
#[derive(Serialize, Deserialize)]
struct Stored {
    rotated: UnixTime,
    current: String,
    next: String,
    previous: Option<String>,
}

impl Ring {
    pub(super) fn fresh(now: UnixTime) -> Result<Self, AssertionError> {
        Ok(Self { rotated: now, current: Arc::new(Key::generate()?), next: Arc::new(Key::generate()?), previous: None })
    }

    pub(super) fn rotated_at(&self, now: UnixTime) -> Result<Self, AssertionError> {
        Ok(Self {
            rotated: now,
            current: Arc::clone(&self.next),
            next: Arc::new(Key::generate()?),
            previous: Some(Arc::clone(&self.current)),
        })
    }

    pub(super) const fn rotated(&self) -> UnixTime {
        self.rotated
    }

    pub(super) fn read(bytes: &[u8]) -> Result<Self, AssertionError> {
        let stored: Stored = serde_json::from_slice(bytes).map_err(|_| AssertionError::Stored)?;
        let key = |text: &str| Key::read(text).map(Arc::new);
        Ok(Self {
            rotated: stored.rotated,
            current: key(&stored.current)?,
            next: key(&stored.next)?,
            previous: stored.previous.as_deref().map(key).transpose()?,
        })
    }

    pub(super) fn write(&self) -> Result<Vec<u8>, AssertionError> {
        let stored = Stored {
            rotated: self.rotated,
            current: self.current.write()?,
            next: self.next.write()?,
            previous: self.previous.as_ref().map(|key| key.write()).transpose()?,
        };
        serde_json::to_vec(&stored).map_err(|_| AssertionError::Stored)
    }

    pub(super) fn jwks_json(&self) -> String {
        let keys = [Some(&self.current), Some(&self.next), self.previous.as_ref()];
        let keys: Vec<String> = keys.into_iter().flatten().map(|key| key.jwk()).collect();
        format!("{{\"keys\":[{}]}}", keys.join(","))
    }

    /// Whether the key called `kid` signed `message`; any key that apps may still see in the key set.
    pub(super) fn verify(&self, kid: &str, message: &[u8], signature: &[u8]) -> bool {
        let keys = [Some(&self.current), Some(&self.next), self.previous.as_ref()];
        keys.into_iter().flatten().find(|key| key.kid == kid).is_some_and(|key| {
            let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key.pair.public_key().as_ref());
            public.verify(message, signature).is_ok()
        })
    }

    /// The compact serialisation (RFC 7515 section 7.1) of a token with these claims.
    pub(super) fn sign(&self, claims: &[u8]) -> Result<String, AssertionError> {
        let key = &self.current;
        let mut token = String::with_capacity(key.header.len() + claims.len() * 4 / 3 + 96);
        token.push_str(&key.header);
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(claims, &mut token);
        let signature = key.pair.sign(&SystemRandom::new(), token.as_bytes()).map_err(|_| AssertionError::Crypto)?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Ok(token)
    }
}

impl Key {
    fn generate() -> Result<Self, AssertionError> {
        Self::new(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(|_| AssertionError::Crypto)?)
    }

    fn read(text: &str) -> Result<Self, AssertionError> {
        let der = URL_SAFE_NO_PAD.decode(text).map_err(|_| AssertionError::Stored)?;
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &der);
        Self::new(pair.map_err(|_| AssertionError::Stored)?)
    }

    fn write(&self) -> Result<String, AssertionError> {
        let der: aws_lc_rs::pkcs8::Document = self.pair.to_pkcs8v1().map_err(|_| AssertionError::Crypto)?;
        Ok(URL_SAFE_NO_PAD.encode(der.as_ref()))
    }

    fn new(pair: EcdsaKeyPair) -> Result<Self, AssertionError> {
        // SEC 1 section 2.3.3: 04, then both coordinates.
        let point = pair.public_key().as_ref();
        let (x, y) = match point.split_first() {
            Some((4, rest)) if rest.len() == 64 => rest.split_at(32),
            _ => return Err(AssertionError::Crypto),
        };
        let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
        // RFC 7638 section 3.2: the required members of an EC key in lexicographic order, no blanks.
        let members = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
        let thumbprint = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, members.as_bytes());
        let kid = URL_SAFE_NO_PAD.encode(thumbprint);
        let header = URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"ES256","kid":"{kid}","typ":"JWT"}}"#));
        Ok(Self { pair, x, y, kid, header })
    }

    fn jwk(&self) -> String {
        let Self { x, y, kid, .. } = self;
        format!(r#"{{"kty":"EC","crv":"P-256","alg":"ES256","use":"sig","kid":"{kid}","x":"{x}","y":"{y}"}}"#)
    }
}
