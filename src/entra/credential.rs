//! How this gateway proves to be the registered application.
//!
//! Source: <https://learn.microsoft.com/entra/identity-platform/certificate-credentials> (PS256 with `x5t#S256`;
//! the thumbprint in the page's sample has the length of SHA-1 and is not followed), RFC 7523.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair as RsaKeyPair;
use aws_lc_rs::signature::{KeyPair as _, RSA_PSS_SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;
use tokio::io::AsyncReadExt;
use url::Url;

use super::config::Credential;
use super::error::{EntraError, Misconfiguration};
use crate::facts::{Guid, UnixTime};
use crate::telemetry::Secret;

/// A credential that has been read and checked once.
#[derive(Clone)]
pub(super) enum ClientAuth {
    /// Sent as it is.
    Secret(Secret<String>),
    /// Signs an assertion per request.
    Certificate(Arc<Certificate>),
    /// A file holding somebody else's assertion, which is replaced under us all the time.
    Federated(PathBuf),
}

/// A certificate with its key.
pub(super) struct Certificate {
    key: RsaKeyPair,
    thumbprint: String,
    expires: UnixTime,
}

/// The proof for one request to the token endpoint.
pub(super) enum Proof {
    /// `client_secret`.
    Secret(Secret<String>),
    /// `client_assertion`.
    Assertion(Secret<String>),
}

impl ClientAuth {
    /// Reads the files behind `credential`.
    pub(super) fn load(credential: &Credential) -> Result<Self, EntraError> {
        match credential {
            Credential::Secret(secret) if secret.expose().is_empty() => Err(unusable("the client secret is empty")),
            Credential::Secret(secret) => Ok(Self::Secret(secret.clone())),
            Credential::Certificate { certificate, key } => {
                Ok(Self::Certificate(Arc::new(Certificate::load(certificate, key)?)))
            }
            Credential::Federated { token_file } => Ok(Self::Federated(token_file.clone())),
        }
    }

    /// The proof to send to `token_endpoint` now.
    pub(super) async fn prove(
        &self,
        client_id: &str,
        token_endpoint: &Url,
        now: UnixTime,
    ) -> Result<Proof, EntraError> {
        match self {
            Self::Secret(secret) => Ok(Proof::Secret(secret.clone())),
            Self::Certificate(certificate) => {
                certificate.assertion(client_id, token_endpoint, now).map(Proof::Assertion)
            }
            Self::Federated(file) => federated(file).await.map(Proof::Assertion),
        }
    }

    /// When the credential stops being accepted, if it says so itself.
    pub(super) fn expires(&self) -> Option<UnixTime> {
        match self {
            Self::Certificate(certificate) => Some(certificate.expires),
            Self::Secret(_) | Self::Federated(_) => None,
        }
    }

    /// The kind, for people.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Secret(_) => "client secret",
            Self::Certificate(_) => "certificate",
            Self::Federated(_) => "federated token",
        }
    }
}

impl Certificate {
    fn load(certificate: &Path, key: &Path) -> Result<Self, EntraError> {
        let bad_certificate = |why: &dyn fmt::Display| unusable(format!("{}: {why}", certificate.display()));
        let bad_key = |why: &dyn fmt::Display| unusable(format!("{}: {why}", key.display()));
        let der = CertificateDer::from_pem_file(certificate).map_err(|error| bad_certificate(&error))?;
        let (_, parsed) = x509_parser::parse_x509_certificate(&der).map_err(|error| bad_certificate(&error))?;
        let pair = match PrivateKeyDer::from_pem_file(key).map_err(|error| bad_key(&error))? {
            PrivateKeyDer::Pkcs8(der) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()),
            PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()),
            _ => return Err(bad_key(&"expected an RSA key; Entra takes no other")),
        };
        let pair = pair.map_err(|error| bad_key(&error))?;
        if pair.public_key().as_ref() != parsed.public_key().subject_public_key.data.as_ref() {
            return Err(bad_key(&format_args!("this is not the key of {}", certificate.display())));
        }
        let expires = UnixTime(u64::try_from(parsed.validity().not_after.timestamp()).unwrap_or(0));
        let thumbprint = URL_SAFE_NO_PAD.encode(digest(&SHA256, &der));
        Ok(Self { key: pair, thumbprint, expires })
    }

    fn assertion(&self, client_id: &str, audience: &Url, now: UnixTime) -> Result<Secret<String>, EntraError> {
        let mut id = [0u8; 16];
        aws_lc_rs::rand::fill(&mut id).map_err(|_| unusable("the machine has no randomness"))?;
        let header = json!({ "alg": "PS256", "typ": "JWT", "x5t#S256": self.thumbprint });
        let claims = json!({
            "aud": audience.as_str(),
            "iss": client_id,
            "sub": client_id,
            "jti": Guid::from_u128(u128::from_be_bytes(id)),
            "nbf": now,
            "iat": now,
            "exp": UnixTime(now.0.saturating_add(ASSERTION_SECONDS)),
        });
        let encode = |part: &serde_json::Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let signed = format!("{}.{}", encode(&header), encode(&claims));
        let mut signature = vec![0u8; self.key.public_modulus_len()];
        self.key
            .sign(&RSA_PSS_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature)
            .map_err(|_| unusable("the key cannot sign"))?;
        Ok(Secret::new(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))))
    }
}

/// Reads the file anew: whoever issues the token replaces it well before it expires.
async fn federated(path: &Path) -> Result<Secret<String>, EntraError> {
    let bad = |why: &dyn fmt::Display| unusable(format!("{}: {why}", path.display()));
    let file = tokio::fs::File::open(path).await.map_err(|error| bad(&error))?;
    let mut text = String::new();
    file.take(MAX_FEDERATED + 1).read_to_string(&mut text).await.map_err(|error| bad(&error))?;
    if u64::try_from(text.len()).unwrap_or(u64::MAX) > MAX_FEDERATED {
        return Err(bad(&"larger than any token"));
    }
    let token = text.trim();
    let is_token_byte = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if token.split('.').filter(|part| !part.is_empty()).count() != 3 || !token.bytes().all(is_token_byte) {
        return Err(bad(&"this is not a signed JWT"));
    }
    Ok(Secret::new(token.to_owned()))
}

fn unusable(why: impl Into<String>) -> EntraError {
    EntraError::misconfigured(Misconfiguration::Credential, why)
}

/// Microsoft advises 5 to 10 minutes.
const ASSERTION_SECONDS: u64 = 600;
const MAX_FEDERATED: u64 = 64 * 1024;

#[cfg(test)]
mod tests;
