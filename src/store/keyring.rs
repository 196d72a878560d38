//! The key ring: master keys of this gateway, purposes derived from them, sealing and MACs of small values.
//!
//! The newest key seals; older ones still open, so that a rotation signs nobody out. Every purpose gets its own key
//! by HKDF-SHA256, so a value made for one purpose is noise to every other.

mod file;
mod mac;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use aws_lc_rs::aead::{AES_256_GCM, Aad, MAX_TAG_LEN, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::hkdf::{self, HKDF_SHA256, Prk, Salt};
use aws_lc_rs::rand;
use zeroize::{Zeroize, Zeroizing};

pub use mac::MacKeys;

/// The key ring could not be opened or used.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// The file or its folder could not be read or written.
    #[error("cannot use key file {path}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Others than the owner may read the file.
    #[error("key file {path} has mode {mode:04o}, expected 0600: others could read the keys; run chmod 600 on it")]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file is not a key ring.
    #[error("key file {path} is damaged: {what}; restore it from a backup, or delete it to sign everybody out")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The crypto library gave no random bytes, or every key id has been used since the start.
    #[error("no new key could be made")]
    NoNewKey,
}

/// Keys of this gateway. Purposes are separated by derivation, so a value sealed for one never opens for another.
///
/// It has no `Debug`; key bytes are overwritten when dropped.
pub struct Keyring {
    path: PathBuf,
    /// Oldest first. Never empty.
    masters: RwLock<Vec<Master>>,
    /// Id of the newest key, and which ids are accepted; read without a lock on the request path.
    accepted: Accepted,
    sealing: RwLock<HashMap<(u8, &'static str), Arc<RandomizedNonceKey>>>,
}

impl Keyring {
    /// Opens the ring in `dir`, making a fresh master key (file mode 0600) on first start. Open the store first: its
    /// lock keeps a second gateway from making another ring at the same moment.
    ///
    /// # Errors
    /// When the file cannot be read or written, is damaged, or is readable by others.
    pub fn open(dir: &Path) -> Result<Self, KeyringError> {
        let path = dir.join(FILE_NAME);
        let masters = match file::read(&path)? {
            Some(masters) => masters,
            None => {
                let masters = vec![Master::random(FIRST_ID)?];
                file::write(&path, &masters)?;
                masters
            }
        };
        let accepted = Accepted::default();
        accepted.set(&masters);
        Ok(Self { path, masters: RwLock::new(masters), accepted, sealing: RwLock::default() })
    }

    /// Adds a key that seals from now on, and forgets all but the newest `keep` (at least one). Returns its id.
    ///
    /// Blocks on the disk. What a forgotten key sealed is lost: sessions under it end.
    ///
    /// # Errors
    /// When the file cannot be written; the ring is then unchanged.
    pub fn rotate(&self, keep: usize) -> Result<u8, KeyringError> {
        let mut masters = self.masters.write().unwrap_or_else(PoisonError::into_inner);
        let newest = masters.last().map_or(0, |master| master.id);
        // An id is not used again while this process runs: derived keys are remembered by id.
        let id = newest.checked_add(1).ok_or(KeyringError::NoNewKey)?;
        let mut next: Vec<Master> = masters.iter().map(Master::copy).collect();
        next.push(Master::random(id)?);
        let surplus = next.len().saturating_sub(keep.clamp(1, MAX_KEYS));
        next.drain(..surplus);
        file::write(&self.path, &next)?;
        self.accepted.set(&next);
        *masters = next;
        Ok(id)
    }

    /// Encrypts and authenticates `plain` for `purpose`, bound to `context`. The output carries key id and nonce.
    ///
    /// AES-256-GCM: `key id (1) || nonce (12) || ciphertext || tag (16)`. Should the crypto library fail, the output
    /// is empty, which nothing opens.
    #[must_use]
    pub fn seal(&self, purpose: &'static str, context: &[u8], plain: &[u8]) -> Vec<u8> {
        self.try_seal(purpose, context, plain).unwrap_or_default()
    }

    /// Opens what [`Keyring::seal`] made; `None` for anything else, whatever is wrong with it.
    #[must_use]
    pub fn open_sealed(&self, purpose: &'static str, context: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let (&id, rest) = sealed.split_first()?;
        let (nonce, body) = rest.split_first_chunk::<NONCE_LEN>()?;
        let key = self.sealing_key(id, purpose)?;
        let mut text = body.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let length = key.open_in_place(nonce, Aad::from(bound(purpose, context)), &mut text).ok()?.len();
        text.truncate(length);
        Some(text)
    }

    /// HMAC-SHA256 over the parts, each with its length before it, under the newest key.
    #[must_use]
    pub fn mac(&self, purpose: &'static str, parts: &[&[u8]]) -> Option<(u8, [u8; 32])> {
        let id = self.accepted.newest();
        Some((id, mac::sign(&self.mac_key(id, purpose)?, parts)))
    }

    /// Whether `tag` (whole, or its first 16 bytes or more) is the MAC of `parts` under key `id`, in constant time.
    #[must_use]
    pub fn verify_mac(&self, id: u8, purpose: &'static str, parts: &[&[u8]], tag: &[u8]) -> bool {
        self.mac_key(id, purpose).is_some_and(|key| mac::verify(&key, parts, tag))
    }

    /// MACs of one purpose for a hot path: keys derived once, no lock and no allocation afterwards.
    #[must_use]
    pub fn mac_keys(self: &Arc<Self>, purpose: &'static str) -> MacKeys {
        MacKeys::new(Arc::clone(self), purpose)
    }

    fn mac_key(&self, id: u8, purpose: &'static str) -> Option<aws_lc_rs::hmac::Key> {
        let bytes = self.derive(id, "mac", purpose)?;
        Some(aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, bytes.as_slice()))
    }

    fn try_seal(&self, purpose: &'static str, context: &[u8], plain: &[u8]) -> Option<Vec<u8>> {
        let id = self.accepted.newest();
        let key = self.sealing_key(id, purpose)?;
        let mut text = Vec::with_capacity(plain.len().saturating_add(MAX_TAG_LEN));
        text.extend_from_slice(plain);
        let Ok(nonce) = key.seal_in_place_append_tag(Aad::from(bound(purpose, context)), &mut text) else {
            text.zeroize();
            return None;
        };
        let mut sealed = Vec::with_capacity(text.len().saturating_add(1 + NONCE_LEN));
        sealed.push(id);
        sealed.extend_from_slice(nonce.as_ref());
        sealed.append(&mut text);
        Some(sealed)
    }

    fn sealing_key(&self, id: u8, purpose: &'static str) -> Option<Arc<RandomizedNonceKey>> {
        if !self.accepted.contains(id) {
            return None;
        }
        let known = self.sealing.read().unwrap_or_else(PoisonError::into_inner).get(&(id, purpose)).map(Arc::clone);
        if known.is_some() {
            return known;
        }
        let bytes = self.derive(id, "seal", purpose)?;
        let key = Arc::new(RandomizedNonceKey::new(&AES_256_GCM, bytes.as_slice()).ok()?);
        // Bounded: accepted ids times purposes, and purposes are constants of this program.
        self.sealing.write().unwrap_or_else(PoisonError::into_inner).insert((id, purpose), Arc::clone(&key));
        Some(key)
    }

    /// HKDF-SHA256 (RFC 5869) of the master key `id`; `None` for a key that is not accepted.
    fn derive(&self, id: u8, kind: &str, purpose: &str) -> Option<Zeroizing<[u8; 32]>> {
        let masters = self.masters.read().unwrap_or_else(PoisonError::into_inner);
        let master = masters.iter().find(|master| master.id == id)?;
        let prk: Prk = Salt::new(HKDF_SHA256, HKDF_SALT).extract(&master.bytes);
        let mut bytes = Zeroizing::new([0; 32]);
        prk.expand(&[kind.as_bytes(), b"\0", purpose.as_bytes()], Length32).ok()?.fill(bytes.as_mut_slice()).ok()?;
        Some(bytes)
    }
}

/// One master key.
struct Master {
    id: u8,
    bytes: [u8; 32],
}

impl Master {
    fn random(id: u8) -> Result<Self, KeyringError> {
        let mut bytes = [0; 32];
        rand::fill(&mut bytes).map_err(|_| KeyringError::NoNewKey)?;
        Ok(Self { id, bytes })
    }

    const fn copy(&self) -> Self {
        Self { id: self.id, bytes: self.bytes }
    }
}

impl Drop for Master {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

/// Which key ids are accepted, as bits, and the newest; for readers that must not lock.
#[derive(Default)]
struct Accepted {
    bits: [AtomicU64; 4],
    newest: AtomicU64,
}

impl Accepted {
    fn set(&self, masters: &[Master]) {
        for (at, word) in self.bits.iter().enumerate() {
            let here = masters.iter().filter(|master| usize::from(master.id / 64) == at);
            word.store(here.fold(0, |bits, master| bits | 1 << (master.id % 64)), Ordering::Release);
        }
        self.newest.store(u64::from(masters.last().map_or(0, |master| master.id)), Ordering::Release);
    }

    fn contains(&self, id: u8) -> bool {
        let word = self.bits.get(usize::from(id / 64)).map_or(0, |word| word.load(Ordering::Acquire));
        word >> (id % 64) & 1 == 1
    }

    fn newest(&self) -> u8 {
        u8::try_from(self.newest.load(Ordering::Acquire)).unwrap_or_default()
    }
}

/// The length of every derived key.
struct Length32;

impl hkdf::KeyType for Length32 {
    fn len(&self) -> usize {
        32
    }
}

/// What a sealed value is bound to: purpose and context, unambiguously joined.
fn bound(purpose: &str, context: &[u8]) -> Vec<u8> {
    let mut aad = Vec::with_capacity(8 + purpose.len() + context.len());
    aad.extend_from_slice(&(purpose.len() as u64).to_be_bytes());
    aad.extend_from_slice(purpose.as_bytes());
    aad.extend_from_slice(context);
    aad
}

const FILE_NAME: &str = "keyring.json";
const FIRST_ID: u8 = 1;
/// More keys than any sensible rotation keeps.
const MAX_KEYS: usize = 8;
const HKDF_SALT: &[u8] = b"portcullis key ring 1";

#[cfg(test)]
mod tests;
