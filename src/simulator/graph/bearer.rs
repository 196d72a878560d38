//! Who calls: the app-only token's signature, audience and times, and the roles in it (reference sections 2.1 and 3).
//!
//! What the token says counts, not what is granted now: an issued token keeps its roles until it ends (section 2.2).

use http::{HeaderMap, header};

use super::answer::Trouble;
use crate::simulator::jwt::{Alg, Unverified};
use crate::simulator::oidc::GRAPH;
use crate::simulator::state::State;

/// An app that proved itself, with what it may do.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    pub(super) tid: String,
    /// The object id of the service principal.
    pub(super) principal: String,
    roles: Vec<String>,
}

impl Caller {
    /// Whether the token carries this application permission.
    pub(super) fn has(&self, role: &str) -> bool {
        self.roles.iter().any(|r| r == role)
    }

    /// Refuses unless the token carries one of these.
    pub(super) fn need(&self, any_of: &[&str]) -> Result<(), Trouble> {
        if any_of.iter().any(|role| self.has(role)) { Ok(()) } else { Err(Trouble::denied()) }
    }
}

/// Checks the `Authorization` header.
pub(super) fn check(state: &State, headers: &HeaderMap) -> Result<Caller, Trouble> {
    let value = headers.get(header::AUTHORIZATION).and_then(|v| v.to_str().ok());
    let token = value.and_then(|v| v.split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("Bearer"));
    let (_, token) = token.ok_or_else(|| Trouble::token("Access token is empty."))?;
    let token = Unverified::parse(token).ok_or_else(|| Trouble::token("IDX14100: JWT is not well formed."))?;
    let kid = token.header_text("kid").unwrap_or_default();
    let key = state.keys().public(kid);
    let is_signed =
        token.header_text("alg") == Some("RS256") && key.is_some_and(|key| token.is_signed_by(Alg::Rs256, &key));
    if !is_signed {
        return Err(Trouble::token("Signature is invalid."));
    }
    if !token.claim_text("aud").is_some_and(|aud| aud == GRAPH || aud == state.base) {
        return Err(Trouble::token("Invalid audience."));
    }
    let now = state.now().seconds();
    let is_in_time = token.claim_time("exp").is_some_and(|exp| now < exp)
        && token.claim_time("nbf").is_none_or(|nbf| nbf <= now + MAX_SKEW);
    if !is_in_time {
        return Err(Trouble::token("Lifetime validation failed, the token is expired."));
    }
    let tid = token.claim_text("tid").unwrap_or_default().to_owned();
    if state.world().tenant(&tid).is_none() {
        return Err(Trouble::token("Invalid tenant."));
    }
    let roles = token.claims.get("roles").and_then(serde_json::Value::as_array);
    Ok(Caller {
        tid,
        principal: token.claim_text("oid").unwrap_or_default().to_owned(),
        roles: roles.into_iter().flatten().filter_map(|r| r.as_str().map(str::to_owned)).collect(),
    })
}

/// Reference section 1.3: Microsoft's validators allow 300 seconds.
const MAX_SKEW: u64 = 300;
