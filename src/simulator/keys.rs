//! The signing keys and the key document, with the ways a tenant's keys change or misbehave (reference section 1.3).

use std::sync::Arc;

use aws_lc_rs::rsa::KeyPair;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use x509_parser::prelude::FromDer as _;
use x509_parser::public_key::PublicKey;

use super::json::put;
use super::world::CONSUMERS;
use super::{SimulatorError, jwt};

/// How the key document is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyDocument {
    /// As it should be.
    #[default]
    Current,
    /// As it was when this mode was set, whatever is rotated since.
    Stale,
    /// Every key id twice, first with another key's modulus.
    Duplicate,
    /// Not JSON.
    Garbage,
    /// Some megabytes of keys before the right ones.
    Huge,
    /// No keys at all.
    Empty,
    /// HTTP 503.
    Unavailable,
}

/// One signing key with its certificate.
pub(super) struct SigningKey {
    /// The key id: the SHA-1 thumbprint of the certificate, as Microsoft does.
    pub(super) kid: String,
    /// The key.
    pub(super) pair: KeyPair,
    /// The modulus as it stands in the key document.
    pub(super) modulus: String,
    certificate: String,
    exponent: String,
    pinned_to: Option<&'static str>,
}

impl SigningKey {
    fn generate(pinned_to: Option<&'static str>) -> Result<Self, SimulatorError> {
        let pair = rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048)?;
        let mut params = rcgen::CertificateParams::new(Vec::new())?;
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(rcgen::DnType::CommonName, "accounts.accesscontrol.windows.net");
        let der = params.self_signed(&pair)?;
        let (_, certificate) =
            x509_parser::certificate::X509Certificate::from_der(der.der()).map_err(|_| SimulatorError::Key)?;
        let Ok(PublicKey::RSA(public)) = certificate.public_key().parsed() else { return Err(SimulatorError::Key) };
        let kid = jwt::thumbprint_sha1(der.der());
        Ok(Self {
            kid,
            modulus: URL_SAFE_NO_PAD.encode(without_zeroes(public.modulus)),
            exponent: URL_SAFE_NO_PAD.encode(without_zeroes(public.exponent)),
            certificate: STANDARD.encode(der.der()),
            pair: KeyPair::from_pkcs8(pair.serialized_der()).map_err(|_| SimulatorError::Key)?,
            pinned_to,
        })
    }

    /// A JWK of the document: an `issuer` member, no `alg`.
    fn jwk(&self, base: &str) -> Value {
        let issuer = format!("{base}/{}/v2.0", self.pinned_to.unwrap_or("{tenantid}"));
        json!({
            "kty": "RSA", "use": "sig", "kid": self.kid, "x5t": self.kid,
            "n": self.modulus, "e": self.exponent, "x5c": [self.certificate], "issuer": issuer,
        })
    }
}

/// The keys of the simulated service.
pub(super) struct KeyRing {
    base: String,
    published: Vec<Arc<SigningKey>>,
    mode: KeyDocument,
    stale: Option<Value>,
}

impl KeyRing {
    /// Two keys for tenants and one that may only sign for personal accounts. Takes a while: generate off the runtime.
    pub(super) fn generate(base: &str) -> Result<Self, SimulatorError> {
        let published = [None, None, Some(CONSUMERS)]
            .into_iter()
            .map(|pin| SigningKey::generate(pin).map(Arc::new))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self { base: base.to_owned(), published, mode: KeyDocument::Current, stale: None })
    }

    /// The key tokens are signed with: the first of the document that is for tenants.
    pub(super) fn current(&self) -> Option<Arc<SigningKey>> {
        self.published.iter().find(|key| key.pinned_to.is_none()).cloned()
    }

    /// The public half of a published key for tenants.
    pub(super) fn public(&self, kid: &str) -> Option<jwt::PublicKey> {
        let key = self.published.iter().find(|key| key.kid == kid && key.pinned_to.is_none())?;
        let bytes = |text: &str| URL_SAFE_NO_PAD.decode(text).ok();
        Some(jwt::PublicKey::Components(bytes(&key.modulus)?, bytes(&key.exponent)?))
    }

    /// The key that may only sign for personal accounts.
    pub(super) fn pinned(&self) -> Option<Arc<SigningKey>> {
        self.published.iter().find(|key| key.pinned_to.is_some()).cloned()
    }

    /// The key ids of the document, the signing one first.
    pub(super) fn ids(&self) -> Vec<String> {
        self.published.iter().map(|key| key.kid.clone()).collect()
    }

    /// Signs with a new key from now on; the old ones stay published until removed.
    pub(super) fn rotate(&mut self, fresh: Arc<SigningKey>) -> String {
        let kid = fresh.kid.clone();
        self.published.insert(0, fresh);
        self.published.truncate(MAX_KEYS);
        kid
    }

    /// Takes a key out at once. False when there is none of that id.
    pub(super) fn remove(&mut self, kid: &str) -> bool {
        let before = self.published.len();
        self.published.retain(|key| key.kid != kid);
        before != self.published.len()
    }

    /// Sets how the document is served.
    pub(super) fn serve(&mut self, mode: KeyDocument) {
        self.stale = (mode == KeyDocument::Stale).then(|| self.jwks());
        self.mode = mode;
    }

    /// How the document is served.
    pub(super) const fn mode(&self) -> KeyDocument {
        self.mode
    }

    /// The document's bytes.
    pub(super) fn document(&self) -> String {
        match self.mode {
            KeyDocument::Current | KeyDocument::Unavailable => self.jwks().to_string(),
            KeyDocument::Stale => self.stale.clone().unwrap_or_else(|| self.jwks()).to_string(),
            KeyDocument::Duplicate => self.duplicated().to_string(),
            KeyDocument::Garbage => "<html>{\"keys\":[".to_owned(),
            KeyDocument::Huge => self.huge(),
            KeyDocument::Empty => json!({"keys": []}).to_string(),
        }
    }

    fn jwks(&self) -> Value {
        json!({"keys": self.published.iter().map(|key| key.jwk(&self.base)).collect::<Vec<_>>()})
    }

    fn duplicated(&self) -> Value {
        let right = self.published.iter().map(|key| key.jwk(&self.base));
        let moduli: Vec<&str> = self.published.iter().map(|key| key.modulus.as_str()).collect();
        let wrong = self.published.iter().zip(moduli.iter().cycle().skip(1)).map(|(key, modulus)| {
            let mut jwk = key.jwk(&self.base);
            put(&mut jwk, "n", *modulus);
            jwk
        });
        json!({"keys": wrong.chain(right).collect::<Vec<_>>()})
    }

    fn huge(&self) -> String {
        let filler = self.published.first().map(|key| key.jwk(&self.base)).unwrap_or_default();
        let mut keys: Vec<Value> = (0..HUGE_KEYS)
            .map(|n| {
                let mut jwk = filler.clone();
                put(&mut jwk, "kid", format!("filler-{n}"));
                jwk
            })
            .collect();
        keys.extend(self.published.iter().map(|key| key.jwk(&self.base)));
        json!({ "keys": keys }).to_string()
    }
}

/// A new key for tenants. Takes a while: call it off the runtime.
pub(super) fn fresh_key() -> Result<Arc<SigningKey>, SimulatorError> {
    SigningKey::generate(None).map(Arc::new)
}

fn without_zeroes(bytes: &[u8]) -> &[u8] {
    let zeroes = bytes.iter().take_while(|b| **b == 0).count();
    bytes.get(zeroes..).unwrap_or_default()
}

/// Rotating for ever must not grow the document for ever.
const MAX_KEYS: usize = 64;
/// About 5 MB of keys.
const HUGE_KEYS: usize = 3_000;
