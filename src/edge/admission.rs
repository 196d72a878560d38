//! How many connections there may be, over all workers and from one address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// The two caps. Touched when a connection opens or closes, never per request.
#[derive(Debug)]
pub(super) struct Gatehouse {
    total: AtomicUsize,
    cap: usize,
    cap_per_address: usize,
    shards: [Mutex<HashMap<IpAddr, usize>>; SHARDS],
}

impl Gatehouse {
    pub(super) fn new(cap: usize, cap_per_address: usize) -> Arc<Self> {
        let shards = std::array::from_fn(|_| Mutex::default());
        Arc::new(Self { total: AtomicUsize::new(0), cap, cap_per_address, shards })
    }

    /// Admits one more connection, or not.
    pub(super) fn admit(self: &Arc<Self>) -> Option<Admission> {
        let before = self.total.fetch_add(1, Ordering::Relaxed);
        let admission = Admission { gatehouse: Arc::clone(self), address: None };
        (before < self.cap).then_some(admission)
    }

    fn shard(&self, address: IpAddr) -> &Mutex<HashMap<IpAddr, usize>> {
        let octet = match address {
            IpAddr::V4(v4) => v4.octets()[3],
            IpAddr::V6(v6) => v6.octets()[7],
        };
        let [first, ..] = &self.shards;
        self.shards.get(usize::from(octet) % SHARDS).unwrap_or(first)
    }
}

/// One connection's place under the caps, given back when dropped.
#[derive(Debug)]
pub(super) struct Admission {
    gatehouse: Arc<Gatehouse>,
    address: Option<IpAddr>,
}

impl Admission {
    /// Counts the connection for its client's address; `false` when that address has its fill.
    pub(super) fn count_for(&mut self, address: IpAddr) -> bool {
        let cap = self.gatehouse.cap_per_address;
        if cap == 0 || self.address.is_some() {
            return true;
        }
        let address = network(address);
        let mut counts = self.gatehouse.shard(address).lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(address).or_default();
        if *count >= cap {
            return false;
        }
        *count += 1;
        drop(counts);
        self.address = Some(address);
        true
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.gatehouse.total.fetch_sub(1, Ordering::Relaxed);
        let Some(address) = self.address else { return };
        let mut counts = self.gatehouse.shard(address).lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&address);
            }
        }
    }
}

/// What counts as one client: an IPv4 address, or the /64 that one IPv6 subscriber has to himself.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

const SHARDS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_cap_holds_and_frees() {
        let gatehouse = Gatehouse::new(2, 0);
        let first = gatehouse.admit().unwrap();
        let _second = gatehouse.admit().unwrap();
        assert!(gatehouse.admit().is_none());
        assert!(gatehouse.admit().is_none(), "a refused connection must not count");
        drop(first);
        assert!(gatehouse.admit().is_some());
    }

    #[test]
    fn one_address_cannot_take_more_than_its_share() {
        let gatehouse = Gatehouse::new(100, 1);
        let mut first = gatehouse.admit().unwrap();
        assert!(first.count_for("2001:db8::1".parse().unwrap()));
        let mut second = gatehouse.admit().unwrap();
        assert!(!second.count_for("2001:db8::2".parse().unwrap()), "same /64");
        assert!(second.count_for("192.0.2.1".parse().unwrap()));
        let mut third = gatehouse.admit().unwrap();
        assert!(!third.count_for("::ffff:192.0.2.1".parse().unwrap()), "same address, mapped");
        drop(second);
        assert!(third.count_for("192.0.2.1".parse().unwrap()));
    }
}
