//! Signed tokens: RSA with PKCS#1 or PSS, and the two forgeries (`none`, HMAC with a public key) hostile modes need.

use aws_lc_rs::rsa::{KeyPair, PublicKeyComponents};
use aws_lc_rs::{digest, hmac, rand, signature};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

/// A signature algorithm of RFC 7518 section 3.1 the simulator reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Alg {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PSS with SHA-256.
    Ps256,
}

impl Alg {
    /// The algorithm a header names.
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "RS256" => Some(Self::Rs256),
            "PS256" => Some(Self::Ps256),
            _ => None,
        }
    }

    const fn verifier(self) -> &'static signature::RsaParameters {
        match self {
            Self::Rs256 => &signature::RSA_PKCS1_2048_8192_SHA256,
            Self::Ps256 => &signature::RSA_PSS_2048_8192_SHA256,
        }
    }
}

/// A public key to check an assertion with.
#[derive(Debug, Clone)]
pub(super) enum PublicKey {
    /// A DER `RSAPublicKey` (what a certificate holds).
    Der(Vec<u8>),
    /// `n` and `e` of a JWK.
    Components(Vec<u8>, Vec<u8>),
}

/// A token taken apart, its signature not yet believed.
#[derive(Debug)]
pub(super) struct Unverified {
    /// The JOSE header.
    pub(super) header: Value,
    /// The claims.
    pub(super) claims: Value,
    signed: String,
    signature: Vec<u8>,
}

impl Unverified {
    /// Takes a compact JWS apart; `None` when it is not one.
    pub(super) fn parse(token: &str) -> Option<Self> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        Some(Self {
            header: json_part(header)?,
            claims: json_part(claims)?,
            signed: signed.to_owned(),
            signature: URL_SAFE_NO_PAD.decode(signature).ok()?,
        })
    }

    /// A string member of the header.
    pub(super) fn header_text(&self, name: &str) -> Option<&str> {
        self.header.get(name)?.as_str()
    }

    /// A string claim.
    pub(super) fn claim_text(&self, name: &str) -> Option<&str> {
        self.claims.get(name)?.as_str()
    }

    /// A time claim, as a number or as the string MSAL.NET writes (reference section 1.5).
    pub(super) fn claim_time(&self, name: &str) -> Option<u64> {
        let value = self.claims.get(name)?;
        value.as_u64().or_else(|| value.as_str()?.parse().ok())
    }

    /// Whether `key` made the signature with `alg`.
    pub(super) fn is_signed_by(&self, alg: Alg, key: &PublicKey) -> bool {
        let message = self.signed.as_bytes();
        match key {
            PublicKey::Der(der) => {
                signature::UnparsedPublicKey::new(alg.verifier(), der).verify(message, &self.signature).is_ok()
            }
            PublicKey::Components(n, e) => {
                PublicKeyComponents { n, e }.verify(alg.verifier(), message, &self.signature).is_ok()
            }
        }
    }
}

/// Signs with RS256.
pub(super) fn sign(header: &Value, claims: &str, key: &KeyPair) -> String {
    let signed = signing_input(header, claims);
    let mut signature = vec![0; key.public_modulus_len()];
    // Signing fails only when memory runs out; the token then carries zeroes and nobody accepts it.
    let _ = key.sign(&signature::RSA_PKCS1_SHA256, &rand::SystemRandom::new(), signed.as_bytes(), &mut signature);
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// Leaves the signature out (`alg: none`).
pub(super) fn unsigned(header: &Value, claims: &str) -> String {
    format!("{}.", signing_input(header, claims))
}

/// Uses public bytes as an HMAC secret, the classic algorithm confusion.
pub(super) fn sign_hmac(header: &Value, claims: &str, secret: &[u8]) -> String {
    let signed = signing_input(header, claims);
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag.as_ref()))
}

/// base64url of the SHA-1 of a certificate, 27 characters (`x5t`).
pub(super) fn thumbprint_sha1(der: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, der))
}

/// base64url of the SHA-256 of some bytes: `x5t#S256`, a PKCE challenge, a pairwise subject.
pub(super) fn thumbprint_sha256(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, bytes))
}

fn signing_input(header: &Value, claims: &str) -> String {
    format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims))
}

fn json_part(part: &str) -> Option<Value> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}
