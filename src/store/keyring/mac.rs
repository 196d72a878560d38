//! MACs of one purpose for a hot path: one HMAC per call, no lock, no allocation.

use std::sync::{Arc, OnceLock};

use aws_lc_rs::constant_time;
use aws_lc_rs::hmac::{Context, Key};

use super::Keyring;

/// The MAC keys of one purpose, derived on first use. Sees rotations of its key ring at once.
pub struct MacKeys {
    keyring: Arc<Keyring>,
    purpose: &'static str,
    /// By key id. Never overwritten: an id is not used again while the process runs.
    keys: Box<[OnceLock<Option<Box<Key>>>]>,
}

impl MacKeys {
    pub(super) fn new(keyring: Arc<Keyring>, purpose: &'static str) -> Self {
        Self { keyring, purpose, keys: (0..=u8::MAX).map(|_| OnceLock::new()).collect() }
    }

    /// The newest key's id and its MAC of `parts`; `None` only if the crypto library fails.
    #[must_use]
    pub fn sign(&self, parts: &[&[u8]]) -> Option<(u8, [u8; 32])> {
        let id = self.keyring.accepted.newest();
        Some((id, sign(self.key(id)?, parts)))
    }

    /// Whether `tag` (whole, or its first 16 bytes or more) is the MAC of `parts` under key `id`, in constant time.
    #[must_use]
    pub fn verify(&self, id: u8, parts: &[&[u8]], tag: &[u8]) -> bool {
        self.key(id).is_some_and(|key| verify(key, parts, tag))
    }

    fn key(&self, id: u8) -> Option<&Key> {
        if !self.keyring.accepted.contains(id) {
            return None;
        }
        let slot = self.keys.get(usize::from(id))?;
        slot.get_or_init(|| self.keyring.mac_key(id, self.purpose).map(Box::new)).as_deref()
    }
}

pub(super) fn sign(key: &Key, parts: &[&[u8]]) -> [u8; 32] {
    let mut context = Context::with_key(key);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    let mut mac = [0; 32];
    for (to, from) in mac.iter_mut().zip(context.sign().as_ref()) {
        *to = *from;
    }
    mac
}

pub(super) fn verify(key: &Key, parts: &[&[u8]], tag: &[u8]) -> bool {
    let mac = sign(key, parts);
    // Below 16 bytes a tag could be guessed; an empty one would always match.
    let Some(expected) = mac.get(..tag.len()).filter(|part| part.len() >= SHORTEST_TAG) else {
        return false;
    };
    constant_time::verify_slices_are_equal(expected, tag).is_ok()
}

/// RFC 2104 section 5: no less than half the hash.
const SHORTEST_TAG: usize = 16;
