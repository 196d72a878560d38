//! The tenant's signing keys, and which of them may sign ID tokens for this gateway.
//!
//! Source: <https://learn.microsoft.com/entra/identity-platform/signing-key-rollover>, RFC 7517 section 4.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::discovery::{Discovery, TENANT_TEMPLATE};
use super::error::{BadAnswer, EntraError};
use super::strict_json;
use crate::facts::TenantId;

/// Usable keys by `kid`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct KeySet {
    keys: HashMap<String, SigningKey>,
}

/// One RSA public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SigningKey {
    /// Modulus, big-endian, without leading zeros.
    pub(super) modulus: Vec<u8>,
    /// Public exponent, big-endian, without leading zeros.
    pub(super) exponent: Vec<u8>,
    /// Microsoft's `issuer` members: a template, a fixed issuer, or none. Keeps a key of personal accounts from
    /// signing for a tenant. More than one when the set lists the same key several times.
    issuers: Vec<Option<String>>,
}

impl KeySet {
    /// Reads a JWK set. Keys of other kinds and uses are left out; a set that is suspicious as a whole is refused.
    pub(super) fn parse(body: &[u8], discovery: &Discovery) -> Result<Self, EntraError> {
        let document = strict_json::parse_object(body).map_err(|_| EntraError::BadAnswer(BadAnswer::Malformed))?;
        let Some(Value::Array(list)) = document.get("keys") else {
            return Err(EntraError::BadAnswer(BadAnswer::Malformed));
        };
        if list.len() > MAX_KEYS {
            return Err(EntraError::BadAnswer(BadAnswer::TooManyKeys));
        }
        let mut keys: HashMap<String, SigningKey> = HashMap::new();
        for (kid, key) in list.iter().filter_map(Value::as_object).filter_map(|key| usable(key, discovery)) {
            match keys.get_mut(&kid) {
                None => {
                    keys.insert(kid, key);
                }
                Some(first) if first.modulus == key.modulus && first.exponent == key.exponent => {
                    first.issuers.extend(key.issuers);
                }
                Some(_) => return Err(EntraError::BadAnswer(BadAnswer::DuplicateKeys)),
            }
        }
        if keys.is_empty() {
            return Err(EntraError::BadAnswer(BadAnswer::NoKeys));
        }
        Ok(Self { keys })
    }

    pub(super) fn key(&self, kid: &str) -> Option<&SigningKey> {
        self.keys.get(kid)
    }

    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }
}

impl SigningKey {
    /// Whether the key was published for `issuer`, the issuer of `tenant`.
    pub(super) fn may_sign_for(&self, issuer: &str, tenant: TenantId) -> bool {
        let tenant = tenant.to_string();
        self.issuers.iter().any(|own| match own {
            Some(own) => own.replace(TENANT_TEMPLATE, &tenant) == issuer,
            None => true,
        })
    }
}

/// A key that can verify RS256, with its `kid`. The algorithm is pinned here; Microsoft's keys carry no `alg`.
fn usable(key: &Map<String, Value>, discovery: &Discovery) -> Option<(String, SigningKey)> {
    let text = |name: &str| key.get(name).and_then(Value::as_str);
    let right_kind = text("kty") == Some("RSA") && text("use") == Some("sig");
    let right_algorithm = key.get("alg").is_none_or(|alg| alg == "RS256");
    let right_cloud = match (text("cloud_instance_name"), &discovery.cloud_instance_name) {
        (Some(own), Some(expected)) => own == expected,
        _ => true,
    };
    if !(right_kind && right_algorithm && right_cloud) {
        return None;
    }
    let kid = text("kid").filter(|kid| !kid.is_empty() && kid.len() <= MAX_KID)?;
    let modulus = number(text("n")?)?;
    let exponent = number(text("e")?)?;
    let odd_and_above_one = exponent.last().is_some_and(|last| last % 2 == 1) && exponent != [1];
    if !(MIN_MODULUS_BITS..=MAX_MODULUS_BITS).contains(&bits(&modulus)) || !odd_and_above_one || exponent.len() > 4 {
        return None;
    }
    let issuer = match key.get("issuer") {
        None => None,
        Some(Value::String(issuer)) => Some(issuer.clone()),
        Some(_) => return None,
    };
    Some((kid.to_owned(), SigningKey { modulus, exponent, issuers: vec![issuer] }))
}

fn number(text: &str) -> Option<Vec<u8>> {
    let mut bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    bytes.drain(..zeros);
    Some(bytes)
}

fn bits(number: &[u8]) -> usize {
    let spare = number.first().map_or(0, |first| usize::try_from(first.leading_zeros()).unwrap_or(0));
    (number.len() * 8).saturating_sub(spare)
}

/// Microsoft: size the cache for 10 to 1000 keys.
const MAX_KEYS: usize = 1000;
/// Longest `kid` worth remembering.
pub(super) const MAX_KID: usize = 256;
const MIN_MODULUS_BITS: usize = 2048;
const MAX_MODULUS_BITS: usize = 4096;

#[cfg(test)]
mod tests;
