//! Where a request comes from: named lists of networks.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

/// A named list of networks. An IPv4 address and the same address mapped into IPv6 (`::ffff:a.b.c.d`, RFC 4291 2.5.5.2)
/// are one address here, whichever way a network or a client is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Unique name.
    pub name: Arc<str>,
    /// First and last address of each stretch, sorted, without overlaps, so that a long list costs a binary search.
    stretches: Box<[(u128, u128)]>,
}

impl Place {
    /// A place made of `networks`.
    #[must_use]
    pub fn new(name: &str, networks: &[IpNet]) -> Self {
        let mut all: Vec<_> = networks.iter().map(|net| (number(net.network()), number(net.broadcast()))).collect();
        all.sort_unstable();
        let mut stretches: Vec<(u128, u128)> = Vec::with_capacity(all.len());
        for (first, last) in all {
            match stretches.last_mut() {
                Some((_, end)) if first <= *end => *end = last.max(*end),
                _ => stretches.push((first, last)),
            }
        }
        Self { name: name.into(), stretches: stretches.into() }
    }

    /// Whether `client` is there.
    #[must_use]
    pub fn contains(&self, client: IpAddr) -> bool {
        let client = number(client);
        let after = self.stretches.partition_point(|(first, _)| *first <= client);
        after.checked_sub(1).and_then(|at| self.stretches.get(at)).is_some_and(|(_, last)| client <= *last)
    }
}

/// The address as one number; IPv4 in its place within IPv6.
const fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(networks: &[&str]) -> Place {
        Place::new("x", &networks.iter().map(|net| net.parse().unwrap()).collect::<Vec<_>>())
    }

    #[test]
    fn addresses_of_both_kinds_are_found_in_their_networks() {
        let place = place(&["10.1.0.0/16", "192.0.2.7/32", "10.1.2.0/24", "2001:db8:1::/48", "10.0.0.0/16"]);
        for (client, expected) in [
            ("10.1.0.0", true),
            ("10.1.255.255", true),
            ("10.0.9.9", true),
            ("10.2.0.0", false),
            ("9.255.255.255", false),
            ("192.0.2.7", true),
            ("192.0.2.8", false),
            ("::ffff:10.1.2.3", true),
            ("::ffff:192.0.2.6", false),
            ("::10.1.2.3", false),
            ("2001:db8:1:ffff::1", true),
            ("2001:db8:2::1", false),
            ("::", false),
            ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", false),
        ] {
            assert_eq!(place.contains(client.parse().unwrap()), expected, "{client}");
        }
    }

    #[test]
    fn a_network_written_as_mapped_holds_the_plain_addresses_too() {
        let place = place(&["::ffff:10.0.0.0/104"]);
        assert!(place.contains("10.9.9.9".parse().unwrap()) && place.contains("::ffff:10.9.9.9".parse().unwrap()));
        assert!(!place.contains("11.0.0.1".parse().unwrap()));
    }

    #[test]
    fn all_of_a_kind_and_nothing() {
        assert!(place(&["0.0.0.0/0"]).contains("255.255.255.255".parse().unwrap()));
        assert!(!place(&["0.0.0.0/0"]).contains("2001:db8::1".parse().unwrap()));
        assert!(place(&["::/0"]).contains("192.0.2.1".parse().unwrap()));
        assert!(!place(&[]).contains("192.0.2.1".parse().unwrap()));
    }
}
