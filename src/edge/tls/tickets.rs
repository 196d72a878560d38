//! Session ticket keys: made here, kept in memory only, replaced on schedule, shared by all workers.

use std::fmt;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use aws_lc_rs::aead::{AES_128_GCM, Aad, Nonce, RandomizedNonceKey};
use rustls::server::ProducesTickets;

use crate::facts::{SharedClock, Tick};

/// Encrypts tickets under the current key and opens those of the current and the previous one, so a ticket is good
/// for at least one and at most two rotation spans.
pub(super) struct Tickets {
    rotation: Duration,
    clock: SharedClock,
    keys: RwLock<Keys>,
}

struct Keys {
    made: Tick,
    current: Key,
    previous: Option<Key>,
}

struct Key {
    name: [u8; NAME],
    aead: RandomizedNonceKey,
}

impl Tickets {
    pub(super) fn new(rotation: Duration, clock: SharedClock) -> Result<Self, rustls::Error> {
        let keys = Keys { made: clock.tick(), current: Key::random()?, previous: None };
        Ok(Self { rotation, clock, keys: RwLock::new(keys) })
    }

    /// Puts a new key in place when the current one is due.
    fn rotate(&self) {
        let now = self.clock.tick();
        if now.since(self.read().made) < self.rotation {
            return;
        }
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        let age = now.since(keys.made);
        if age < self.rotation {
            return;
        }
        // Without a fresh key no ticket may be made or opened past its time: both stay as they are and `lifetime`
        // runs out on the client's side. A machine whose random source fails has stopped doing TLS anyway.
        let Ok(fresh) = Key::random() else { return };
        let old = std::mem::replace(&mut keys.current, fresh);
        // After a quiet time the replaced key may be older than two spans; its tickets have run out.
        keys.previous = (age < self.rotation.saturating_mul(2)).then_some(old);
        keys.made = now;
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Keys> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ProducesTickets for Tickets {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        u32::try_from(self.rotation.as_secs().saturating_mul(2)).unwrap_or(u32::MAX).min(MAX_LIFETIME)
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.rotate();
        self.read().current.seal(plain)
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        self.rotate();
        let (name, sealed) = ticket.split_first_chunk::<NAME>()?;
        let keys = self.read();
        let mut known = std::iter::once(&keys.current).chain(&keys.previous);
        known.find(|key| key.name == *name)?.open(sealed)
    }
}

impl fmt::Debug for Tickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tickets").field("rotation", &self.rotation).finish_non_exhaustive()
    }
}

impl Key {
    fn random() -> Result<Self, rustls::Error> {
        let mut name = [0; NAME];
        let mut secret = [0; 16];
        let failed = |_| rustls::Error::FailedToGetRandomBytes;
        aws_lc_rs::rand::fill(&mut name).map_err(failed)?;
        aws_lc_rs::rand::fill(&mut secret).map_err(failed)?;
        let aead = RandomizedNonceKey::new(&AES_128_GCM, &secret).map_err(failed)?;
        Ok(Self { name, aead })
    }

    /// name | nonce | ciphertext and tag. The name is bound in as associated data.
    fn seal(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let mut sealed = plain.to_vec();
        let nonce = self.aead.seal_in_place_append_tag(Aad::from(&self.name), &mut sealed).ok()?;
        Some([&self.name[..], nonce.as_ref(), &sealed].concat())
    }

    fn open(&self, sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, body) = sealed.split_first_chunk::<{ aws_lc_rs::aead::NONCE_LEN }>()?;
        let mut body = body.to_vec();
        let plain = self.aead.open_in_place(Nonce::from(nonce), Aad::from(&self.name), &mut body).ok()?.len();
        body.truncate(plain);
        Some(body)
    }
}

/// Bytes of a key's name.
const NAME: usize = 12;

/// RFC 8446 section 4.6.1: a ticket lives for seven days at most.
const MAX_LIFETIME: u32 = 604_800;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::ManualClock;
    use std::sync::Arc;

    fn tickets() -> (Arc<ManualClock>, Tickets) {
        let clock = Arc::new(ManualClock::at(crate::facts::UnixTime(0)));
        let tickets = Tickets::new(Duration::from_secs(100), Arc::clone(&clock) as SharedClock).unwrap();
        (clock, tickets)
    }

    #[test]
    fn a_ticket_outlives_one_rotation_and_not_two() {
        let (clock, tickets) = tickets();
        let ticket = tickets.encrypt(b"state").unwrap();
        clock.advance(Duration::from_secs(150));
        assert_eq!(tickets.decrypt(&ticket).unwrap(), b"state");
        clock.advance(Duration::from_secs(101));
        assert!(tickets.decrypt(&ticket).is_none());
    }

    #[test]
    fn a_ticket_is_refused_after_a_long_quiet_time() {
        let (clock, tickets) = tickets();
        let ticket = tickets.encrypt(b"state").unwrap();
        clock.advance(Duration::from_secs(201));
        assert!(tickets.decrypt(&ticket).is_none());
    }

    #[test]
    fn a_changed_or_cut_ticket_is_refused() {
        let (_clock, tickets) = tickets();
        let ticket = tickets.encrypt(b"state").unwrap();
        for at in 0..ticket.len() {
            let mut bad = ticket.clone();
            bad[at] ^= 1;
            assert!(tickets.decrypt(&bad).is_none(), "flipped byte {at}");
            assert!(tickets.decrypt(&ticket[..at]).is_none(), "cut at {at}");
        }
    }
}
