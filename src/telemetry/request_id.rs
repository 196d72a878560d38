//! Request ids: 128 bits, unique without asking anybody, made without a system call.
//!
//! Always made here. One that a client sends is never believed: it could name another person's request in our logs.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use http::HeaderValue;

use crate::facts::hex_digits;

/// Names one request in logs, audit records, pages and the `X-Request-Id` header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId(u128);

impl RequestId {
    /// The response header this id is sent in.
    pub const HEADER: http::HeaderName = http::HeaderName::from_static("x-request-id");

    /// An id with these bits.
    #[must_use]
    pub const fn from_u128(bits: u128) -> Self {
        Self(bits)
    }

    /// The id as a header value.
    #[must_use]
    pub fn header_value(self) -> HeaderValue {
        HeaderValue::from_bytes(&self.hex()).unwrap_or_else(|_| HeaderValue::from_static(""))
    }

    /// 32 lower-case hex digits.
    #[must_use]
    pub fn hex(self) -> [u8; 32] {
        hex_digits(self.0)
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.hex()).unwrap_or_default())
    }
}

/// The system gave no random bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the system's random number generator failed")]
pub struct NoRandomness;

/// A source of ids: a random prefix of its own and a counter. Give each worker its own, so that they share no cache line.
#[derive(Debug)]
pub struct RequestIds {
    prefix: u64,
    start: u64,
    count: AtomicU64,
}

impl RequestIds {
    /// A source whose ids no other source makes (but by a chance of 2^-64).
    ///
    /// # Errors
    /// When the system has no random bytes to give.
    pub fn new() -> Result<Self, NoRandomness> {
        let mut bytes = [0u8; 8];
        let mut start = [0u8; 8];
        let random = SystemRandom::new();
        random.fill(&mut bytes).map_err(|_| NoRandomness)?;
        random.fill(&mut start).map_err(|_| NoRandomness)?;
        Ok(Self { prefix: u64::from_le_bytes(bytes), start: u64::from_le_bytes(start), count: AtomicU64::new(0) })
    }

    /// A source for worker `index`, whose ids differ from this one's and every other worker's.
    #[must_use]
    pub fn fork(&self, index: usize) -> Self {
        let index = u64::try_from(index).unwrap_or(u64::MAX).wrapping_add(1);
        Self { prefix: self.prefix ^ scatter(index), start: self.start, count: AtomicU64::new(0) }
    }

    /// The next id. Safe from any thread.
    #[must_use]
    pub fn next(&self) -> RequestId {
        let count = self.start.wrapping_add(self.count.fetch_add(1, Ordering::Relaxed));
        RequestId(u128::from(self.prefix) << 64 | u128::from(scatter(count)))
    }
}

/// A one-to-one mixing (splitmix64's finaliser), so that an id does not tell how many requests came before it at a glance.
const fn scatter(count: u64) -> u64 {
    let a = (count ^ (count >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let b = (a ^ (a >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    b ^ (b >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ_and_print_as_32_hex_digits() {
        let ids = RequestIds::new().unwrap();
        let other = RequestIds::new().unwrap();
        let mut seen = std::collections::HashSet::new();
        for _ in 0..10_000 {
            assert!(seen.insert(ids.next()));
            assert!(seen.insert(other.next()));
        }
        let id = RequestId::from_u128(0x0123_4567_89ab_cdef_0011_2233_4455_6677);
        assert_eq!(id.to_string(), "0123456789abcdef0011223344556677");
        assert_eq!(id.header_value(), "0123456789abcdef0011223344556677");
    }
}
