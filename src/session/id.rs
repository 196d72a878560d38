//! The session cookie: a random id and its MAC, nothing else. A forged one dies here, before any look-up.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{CookieKey, CookieValue, SessionError};
use crate::store::{Keyring, MacKeys};
use crate::telemetry::Secret;

/// Makes and checks cookie values: `base64url(key id (1) || id (16) || MAC (16))`, always 44 characters.
///
/// 33 bytes fill 44 characters without spare bits, so one cookie has exactly one spelling. The MAC covers the host: a
/// cookie of one app is noise to another.
pub(super) struct Cookies {
    keys: MacKeys,
}

impl Cookies {
    pub(super) fn new(keyring: &Arc<Keyring>) -> Self {
        Self { keys: keyring.mac_keys(PURPOSE) }
    }

    /// A new cookie for `host`, and the key to look it up by.
    pub(super) fn issue(&self, host: &str) -> Result<(CookieKey, CookieValue), SessionError> {
        let id: [u8; ID] = random()?;
        let (key_id, mac) = self.keys.sign(&[host.as_bytes(), &id]).ok_or(SessionError::Crypto)?;
        let mut raw = [0; RAW];
        let bytes = std::iter::once(&key_id).chain(&id).chain(&mac);
        raw.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        Ok((CookieKey(sha256(&id)), Secret::new(URL_SAFE_NO_PAD.encode(raw))))
    }

    /// The key to look the cookie up by; `None` for anything not issued here for this host. No allocation.
    pub(super) fn verify(&self, host: &str, value: &[u8]) -> Option<CookieKey> {
        let value: &[u8; TEXT] = value.try_into().ok()?;
        let mut raw = [0; RAW];
        // Strict: no padding, no other alphabet, no blanks.
        if URL_SAFE_NO_PAD.decode_slice(value, &mut raw).ok()? != RAW {
            return None;
        }
        let (&key_id, rest) = raw.split_first()?;
        let (id, mac) = rest.split_first_chunk::<ID>()?;
        self.keys.verify(key_id, &[host.as_bytes(), id], mac).then(|| CookieKey(sha256(id)))
    }
}

/// Bytes nobody can guess.
pub(super) fn random<const N: usize>() -> Result<[u8; N], SessionError> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).map_err(|_| SessionError::Crypto)?;
    Ok(bytes)
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.iter_mut().zip(digest(&SHA256, bytes).as_ref()).for_each(|(to, from)| *to = *from);
    hash
}

const PURPOSE: &str = "session cookie";
const ID: usize = 16;
const RAW: usize = 1 + ID + 16;
const TEXT: usize = 44;
