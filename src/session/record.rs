//! What the store holds of a session: sealed records, each bound to its own key.
//!
//! A record that was edited, moved to another key or put into another table does not open, and is no session.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{CookieKey, NewSession, SessionError, SessionKey};
use crate::facts::{Acknowledged, AuthContext, Passed, Proof, Subject, UnixTime};
use crate::store::Keyring;
use crate::telemetry::Secret;
use zeroize::Zeroizing;

/// The durable part of a session. Holds tokens, so it has no `Debug`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Record {
    version: u32,
    pub(super) subject: Subject,
    pub(super) sid: Option<String>,
    login_hint: Option<String>,
    pub(super) authenticated: UnixTime,
    pub(super) created: UnixTime,
    pub(super) expires: UnixTime,
    /// When the provider last vouched for the person: at sign-in, then at each silent refresh.
    pub(super) refreshed: UnixTime,
    refresh_token: Option<String>,
    /// Step-ups: number of the context, and when. Left out where there is none, as in records of before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    proofs: Vec<(u8, UnixTime)>,
    /// Warnings gone on from: the rule, and when.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    acknowledged: Vec<(String, UnixTime)>,
}

impl Record {
    pub(super) fn new(new: NewSession, created: UnixTime, expires: UnixTime) -> Self {
        Self {
            version: VERSION,
            subject: new.subject,
            sid: new.sid,
            login_hint: new.login_hint.map(|hint| hint.expose().clone()),
            authenticated: new.authenticated,
            created,
            expires,
            refreshed: created,
            refresh_token: new.refresh_token.map(|token| token.expose().clone()),
            proofs: written(&new.proofs),
            acknowledged: Vec::new(),
        }
    }

    /// What the session has passed.
    pub(super) fn passed(&self) -> Passed {
        let proof = |(context, at): &(u8, UnixTime)| Proof { context: AuthContext(*context), at: *at };
        let line = |(rule, at): &(String, UnixTime)| Acknowledged { rule: Arc::from(rule.as_str()), at: *at };
        Passed {
            proofs: self.proofs.iter().map(proof).collect(),
            acknowledged: self.acknowledged.iter().map(line).collect(),
        }
    }

    pub(super) fn set_passed(&mut self, passed: &Passed) {
        self.proofs = written(&passed.proofs);
        self.acknowledged = passed.acknowledged.iter().map(|line| (line.rule.to_string(), line.at)).collect();
    }

    pub(super) fn login_hint(&self) -> Option<Secret<String>> {
        self.login_hint.clone().map(Secret::new)
    }

    pub(super) fn refresh_token(&self) -> Option<Secret<String>> {
        self.refresh_token.clone().map(Secret::new)
    }

    pub(super) fn set_refresh_token(&mut self, token: &Secret<String>) {
        self.refresh_token = Some(token.expose().clone());
    }

    pub(super) fn seal(&self, keyring: &Keyring, key: &SessionKey) -> Result<Vec<u8>, SessionError> {
        let plain = Zeroizing::new(serde_json::to_vec(self).map_err(|_| SessionError::Crypto)?);
        sealed(keyring.seal(RECORD, &key.0, &plain))
    }

    pub(super) fn open(keyring: &Keyring, key: &SessionKey, bytes: &[u8]) -> Option<Self> {
        let plain = Zeroizing::new(keyring.open_sealed(RECORD, &key.0, bytes)?);
        serde_json::from_slice::<Self>(&plain).ok().filter(|record| record.version == VERSION)
    }
}

fn written(proofs: &[Proof]) -> Vec<(u8, UnixTime)> {
    proofs.iter().map(|proof| (proof.context.0, proof.at)).collect()
}

/// When a session was last used and how much of its absolute lifetime was left then.
///
/// The second figure is why a wall clock that goes back across a restart cannot prolong a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LastUse {
    pub(super) at: UnixTime,
    pub(super) left_secs: u64,
}

impl LastUse {
    pub(super) fn seal(self, keyring: &Keyring, key: &SessionKey) -> Result<Vec<u8>, SessionError> {
        let plain = [self.at.0.to_be_bytes(), self.left_secs.to_be_bytes()].concat();
        sealed(keyring.seal(LAST_USE, &key.0, &plain))
    }

    pub(super) fn open(keyring: &Keyring, key: &SessionKey, bytes: &[u8]) -> Option<Self> {
        let plain = keyring.open_sealed(LAST_USE, &key.0, bytes)?;
        let (at, left) = plain.split_first_chunk::<8>()?;
        let left = left.try_into().ok()?;
        Some(Self { at: UnixTime(u64::from_be_bytes(*at)), left_secs: u64::from_be_bytes(left) })
    }
}

/// One host's cookie, bound to a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Binding {
    pub(super) session: SessionKey,
    pub(super) host: Box<str>,
}

impl Binding {
    pub(super) fn seal(&self, keyring: &Keyring, cookie: &CookieKey) -> Result<Vec<u8>, SessionError> {
        let plain = [&self.session.0, self.host.as_bytes()].concat();
        sealed(keyring.seal(BINDING, &cookie.0, &plain))
    }

    pub(super) fn open(keyring: &Keyring, cookie: &CookieKey, bytes: &[u8]) -> Option<Self> {
        let plain = keyring.open_sealed(BINDING, &cookie.0, bytes)?;
        let (session, host) = plain.split_first_chunk::<32>()?;
        Some(Self { session: SessionKey(*session), host: std::str::from_utf8(host).ok()?.into() })
    }
}

/// An empty seal means the crypto library failed; writing it would lose the session silently.
fn sealed(bytes: Vec<u8>) -> Result<Vec<u8>, SessionError> {
    if bytes.is_empty() { Err(SessionError::Crypto) } else { Ok(bytes) }
}

const VERSION: u32 = 1;
const RECORD: &str = "session record";
const LAST_USE: &str = "session last use";
const BINDING: &str = "session host binding";
