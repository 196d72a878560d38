//! What the claims of a verified token say about the person.
//!
//! Source: <https://learn.microsoft.com/entra/identity-platform/id-token-claims-reference>. Only `(tid, oid)` and
//! groups may decide anything; names and addresses are mutable and for display.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::SignedIn;
use super::token::Verified;
use crate::facts::{Groups, Subject, UnixTime, UserKey};
use crate::telemetry::Secret;

impl SignedIn {
    /// Reads the claims. Nothing here can fail: a claim of an unexpected shape counts as absent, and for groups as
    /// unknown.
    pub(super) fn from_token(token: &Verified, refresh_token: Option<Secret<String>>) -> Self {
        let claims = &token.claims;
        let username = display(claims, "preferred_username").unwrap_or_default();
        let name = display(claims, "name").unwrap_or_else(|| username.clone());
        let email = display(claims, "email").unwrap_or(username);
        let subject = Subject { user: token.user, name: name.into(), email: email.into(), groups: groups(token) };
        Self {
            subject,
            sid: opaque(claims, "sid"),
            login_hint: opaque(claims, "login_hint").map(Secret::new),
            auth_time: time(claims.get("auth_time")),
            acrs: contexts(claims.get("acrs")),
            refresh_token,
        }
    }
}

/// Group membership.
///
/// With an overage marker (`_claim_names.groups`, `hasgroups`) the list is unknown until the directory is asked; the
/// address in the token is never called, because a token must not choose where this gateway sends requests.
///
/// Without `groups` and without a marker the person is in none: Entra leaves the claim out of the token of somebody
/// without groups. It is also absent when the app registration does not ask for the groups claim at all, which the
/// token cannot tell; rules on groups then match nobody, so `doctor` and `init` say to configure the claim.
fn groups(token: &Verified) -> Groups {
    let claims = &token.claims;
    let overage = claims.get("_claim_names").is_some_and(|names| match names {
        Value::Object(names) => names.contains_key("groups"),
        _ => true,
    });
    let has_groups = claims.get("hasgroups").is_some_and(|flag| !is_false(flag));
    if overage || has_groups {
        return unknown(token.user, "too many groups for the token");
    }
    match claims.get("groups") {
        None => Groups::Known(Arc::default()),
        Some(Value::Array(list)) => {
            let ids: Option<Vec<_>> = list.iter().map(|id| id.as_str()?.parse().ok()).collect();
            ids.map_or_else(|| unknown(token.user, "the groups claim holds something other than ids"), Groups::known)
        }
        Some(_) => unknown(token.user, "the groups claim is not a list"),
    }
}

fn unknown(user: UserKey, why: &'static str) -> Groups {
    tracing::warn!(%user, why, "group membership is not known from the token");
    Groups::Unknown
}

fn is_false(flag: &Value) -> bool {
    match flag {
        Value::Bool(flag) => !flag,
        Value::String(text) => text.eq_ignore_ascii_case("false"),
        _ => false,
    }
}

/// Text for people: bounded, without control characters.
fn display(claims: &Map<String, Value>, name: &str) -> Option<String> {
    let text: String =
        claims.get(name)?.as_str()?.chars().filter(|c| !c.is_control()).take(MAX_DISPLAY_CHARS).collect();
    (!text.trim().is_empty()).then_some(text)
}

fn opaque(claims: &Map<String, Value>, name: &str) -> Option<String> {
    let text = claims.get(name)?.as_str()?;
    let fits = !text.is_empty() && text.len() <= MAX_OPAQUE && !text.chars().any(char::is_control);
    fits.then(|| text.to_owned())
}

fn time(value: Option<&Value>) -> Option<UnixTime> {
    match value? {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
    .map(UnixTime)
}

/// Satisfied authentication contexts: a string or a list of strings.
fn contexts(value: Option<&Value>) -> Vec<String> {
    let fits = |text: &&str| !text.is_empty() && text.len() <= MAX_CONTEXT;
    match value {
        Some(Value::String(one)) => Some(one.as_str()).filter(fits).map(str::to_owned).into_iter().collect(),
        Some(Value::Array(list)) => {
            list.iter().filter_map(Value::as_str).filter(fits).take(MAX_CONTEXTS).map(str::to_owned).collect()
        }
        _ => Vec::new(),
    }
}

const MAX_DISPLAY_CHARS: usize = 256;
const MAX_OPAQUE: usize = 2048;
const MAX_CONTEXT: usize = 64;
/// Entra knows `c1` to `c99`.
const MAX_CONTEXTS: usize = 128;

#[cfg(test)]
mod tests;
