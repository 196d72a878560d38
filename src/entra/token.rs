//! Whether an ID token proves who signed in. Every check has its own reason; nothing in the token chooses how it
//! is checked.
//!
//! Order and rules: <https://learn.microsoft.com/entra/identity-platform/access-tokens#validate-tokens>, OpenID
//! Connect Core 1.0 section 3.1.3.7, RFC 8725. openidconnect's own claims verifier is not used: it has no leeway,
//! does not look at `azp` and `nbf`, accepts a member twice, and refuses a token whose unneeded claims have a
//! shape it does not know. Its signature check is.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::error::BadToken;
use super::keys::{MAX_KID, SigningKey};
use super::oidc;
use super::strict_json::{self, StrictError};
use crate::facts::{ObjectId, TenantId, UnixTime, UserKey};

/// A token that has been read but not believed.
pub(super) struct Unverified<'a> {
    signed: &'a str,
    signature: Vec<u8>,
    kid: String,
    tenant: TenantId,
    claims: Map<String, Value>,
}

/// What a good token must agree with.
pub(super) struct Expected<'a> {
    /// Issuer out of the tenant's discovery document.
    pub(super) issuer: &'a str,
    /// The tenant whose keys are used.
    pub(super) tenant: TenantId,
    /// This application.
    pub(super) client_id: &'a str,
    /// Nonce of this sign-in; `None` for a refresh, where there is none.
    pub(super) nonce: Option<&'a str>,
    /// Now.
    pub(super) now: UnixTime,
    /// Allowed difference of the clocks, both ways.
    pub(super) skew: Duration,
}

/// Claims under a good signature.
#[derive(Debug)]
pub(super) struct Verified {
    pub(super) user: UserKey,
    pub(super) claims: Map<String, Value>,
}

impl<'a> Unverified<'a> {
    /// Takes the token apart. Only `kid` and `tid` may be used, and only to find out what to verify with.
    pub(super) fn read(token: &'a str) -> Result<Self, BadToken> {
        if token.len() > MAX_TOKEN {
            return Err(BadToken::TooLarge);
        }
        let parts: Vec<&str> = token.split('.').take(MAX_PARTS + 1).collect();
        let (header, payload, signature) = match parts.as_slice() {
            [header, payload, signature] => (*header, *payload, *signature),
            [_, _, _, _, _] => return Err(BadToken::Encrypted),
            _ => return Err(BadToken::Malformed),
        };
        let kid = read_header(&object(header)?)?;
        let claims = object(payload)?;
        let tenant = guid(&claims, "tid", BadToken::MissingTenant)?;
        let signed = token.get(..header.len() + 1 + payload.len()).ok_or(BadToken::Malformed)?;
        Ok(Self { signed, signature: decode(signature)?, kid, tenant: TenantId(tenant), claims })
    }

    /// The tenant the token claims to be of.
    pub(super) const fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// The key the token claims to be signed with.
    pub(super) fn kid(&self) -> &str {
        &self.kid
    }

    /// Believes the token, if it is signed by `key` and agrees with `expected` in everything.
    pub(super) fn verify(self, key: &SigningKey, expected: &Expected<'_>) -> Result<Verified, BadToken> {
        if !oidc::is_rs256(key, self.signed.as_bytes(), &self.signature) {
            return Err(BadToken::BadSignature);
        }
        check_audience(&self.claims, expected.client_id)?;
        check_issuer(&self.claims, self.tenant, expected)?;
        if !key.may_sign_for(expected.issuer, expected.tenant) {
            return Err(BadToken::WrongKeyIssuer);
        }
        check_nonce(&self.claims, expected.nonce)?;
        check_times(&self.claims, expected)?;
        match string(&self.claims, "ver", BadToken::MissingVersion)? {
            "2.0" => {}
            _ => return Err(BadToken::WrongVersion),
        }
        string(&self.claims, "sub", BadToken::MissingSubject)?;
        let object = ObjectId(guid(&self.claims, "oid", BadToken::MissingObject)?);
        Ok(Verified { user: UserKey { tenant: self.tenant, object }, claims: self.claims })
    }
}

/// Returns `kid`. Every other way of naming a key (`jwk`, `jku`, `x5u`, `x5c`) is never looked at.
fn read_header(header: &Map<String, Value>) -> Result<String, BadToken> {
    if header.get("alg").and_then(Value::as_str) != Some("RS256") {
        return Err(BadToken::WrongAlgorithm);
    }
    let right_type = match header.get("typ") {
        None => true,
        Some(Value::String(kind)) => kind.eq_ignore_ascii_case("JWT"),
        Some(_) => false,
    };
    // RFC 7515 section 4.1.11: an extension that is not understood must not be ignored; RFC 7797; RFC 7516.
    let plain = ["crit", "b64", "zip", "enc"].iter().all(|name| !header.contains_key(*name));
    if !right_type || !plain {
        return Err(BadToken::Malformed);
    }
    match header.get("kid") {
        Some(Value::String(kid)) if !kid.is_empty() && kid.len() <= MAX_KID => Ok(kid.clone()),
        _ => Err(BadToken::UnknownKey),
    }
}

fn check_audience(claims: &Map<String, Value>, client_id: &str) -> Result<(), BadToken> {
    let right = match claims.get("aud") {
        None => return Err(BadToken::MissingAudience),
        Some(Value::String(audience)) => audience == client_id,
        Some(Value::Array(list)) => matches!(list.as_slice(), [Value::String(audience)] if audience == client_id),
        Some(_) => false,
    };
    if !right {
        return Err(BadToken::WrongAudience);
    }
    match claims.get("azp") {
        None => Ok(()),
        Some(Value::String(party)) if party == client_id => Ok(()),
        Some(_) => Err(BadToken::WrongAuthorizedParty),
    }
}

fn check_issuer(claims: &Map<String, Value>, tenant: TenantId, expected: &Expected<'_>) -> Result<(), BadToken> {
    let issuer = string(claims, "iss", BadToken::MissingIssuer)?;
    if issuer != expected.issuer {
        return Err(BadToken::WrongIssuer);
    }
    // `expected.issuer` is the issuer of `expected.tenant`: discovery was refused otherwise.
    if tenant == expected.tenant { Ok(()) } else { Err(BadToken::TenantNotAllowed) }
}

fn check_nonce(claims: &Map<String, Value>, expected: Option<&str>) -> Result<(), BadToken> {
    let Some(expected) = expected else { return Ok(()) };
    let nonce = string(claims, "nonce", BadToken::MissingNonce)?;
    if oidc::is_same_nonce(nonce, expected) { Ok(()) } else { Err(BadToken::WrongNonce) }
}

fn check_times(claims: &Map<String, Value>, expected: &Expected<'_>) -> Result<(), BadToken> {
    let expiry = time(claims, "exp")?.ok_or(BadToken::MissingExpiry)?;
    let issued = time(claims, "iat")?.ok_or(BadToken::MissingIssueTime)?;
    let latest_start = expected.now.plus(expected.skew);
    if expected.now >= expiry.plus(expected.skew) {
        return Err(BadToken::Expired);
    }
    if issued > latest_start || time(claims, "nbf")?.is_some_and(|start| start > latest_start) {
        return Err(BadToken::NotYetValid);
    }
    Ok(())
}

fn string<'a>(claims: &'a Map<String, Value>, name: &str, missing: BadToken) -> Result<&'a str, BadToken> {
    match claims.get(name) {
        None => Err(missing),
        Some(Value::String(text)) if !text.is_empty() => Ok(text),
        Some(_) => Err(BadToken::Malformed),
    }
}

fn guid(claims: &Map<String, Value>, name: &str, missing: BadToken) -> Result<crate::facts::Guid, BadToken> {
    string(claims, name, missing)?.parse().map_err(|_| BadToken::Malformed)
}

fn time(claims: &Map<String, Value>, name: &str) -> Result<Option<UnixTime>, BadToken> {
    match claims.get(name) {
        None => Ok(None),
        Some(value) => value.as_u64().map(|seconds| Some(UnixTime(seconds))).ok_or(BadToken::Malformed),
    }
}

fn object(part: &str) -> Result<Map<String, Value>, BadToken> {
    strict_json::parse_object(&decode(part)?).map_err(|error| match error {
        StrictError::Malformed => BadToken::Malformed,
        StrictError::DuplicateMember => BadToken::DuplicateMember,
        StrictError::TooDeep => BadToken::TooDeep,
    })
}

/// Strict: no padding, no stray bits in the last character, so that one signature has one spelling.
fn decode(part: &str) -> Result<Vec<u8>, BadToken> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| BadToken::Malformed)
}

/// Entra caps the groups in a token so that it stays far below this.
const MAX_TOKEN: usize = 256 * 1024;
/// An encrypted token has five parts (RFC 7516 section 3.1).
const MAX_PARTS: usize = 5;

#[cfg(test)]
mod tests;
