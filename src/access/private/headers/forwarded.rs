//! Where the request came from: the socket, unless a listed load balancer stands in front.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderName, HeaderValue};
use ipnet::IpNet;

use super::HeaderFault;
use crate::facts::ClientConn;

pub(super) const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// What all requests of one client connection have in common; made once when it opens.
#[derive(Debug, Clone)]
pub struct ClientHeaders {
    address: HeaderValue,
    peer: IpAddr,
}

impl ClientHeaders {
    /// Ready-made values for `conn`.
    #[must_use]
    pub fn new(conn: &ClientConn) -> Self {
        let peer = conn.peer.ip().to_canonical();
        Self { address: address_value(&peer.to_string()), peer }
    }

    /// The `X-Forwarded-For` sent upstream, made from the request as it came in, before stripping. `trusted` lists the
    /// load balancers whose forwarding headers are believed, as configured now: it may be another list than when the
    /// connection opened.
    pub(in crate::access::private) fn forwarded_for(
        &self,
        headers: &HeaderMap,
        trusted: &[IpNet],
    ) -> Result<HeaderValue, HeaderFault> {
        if !headers.contains_key(X_FORWARDED_FOR) || !is_trusted(self.peer, trusted) {
            return Ok(self.address.clone());
        }
        let mut hops: Vec<IpAddr> = Vec::new();
        for hop in hops_from_the_right(headers) {
            let hop = hop?;
            hops.push(hop);
            if !is_trusted(hop, trusted) {
                break;
            }
        }
        let mut chain = String::with_capacity(64);
        for hop in hops.iter().rev() {
            chain.push_str(&hop.to_string());
            chain.push_str(", ");
        }
        chain.push_str(self.address.to_str().unwrap_or_default());
        Ok(address_value(&chain))
    }
}

/// The client's address: the connection's peer, or, if that is a listed load balancer, the right-most entry of
/// `X-Forwarded-For` that is not one. What stands left of it was written by the client and is not read.
///
/// The peer is the one the PROXY protocol names, if it is used: a balancer that speaks it does not touch headers,
/// so their content is the client's own.
///
/// # Errors
/// When a listed load balancer sent something that is not an address: then nobody knows who asks.
pub fn client_address(conn: &ClientConn, headers: &HeaderMap, trusted: &[IpNet]) -> Result<IpAddr, HeaderFault> {
    let peer = conn.peer.ip().to_canonical();
    if !is_trusted(peer, trusted) {
        return Ok(peer);
    }
    let mut client = peer;
    for hop in hops_from_the_right(headers) {
        client = hop?;
        if !is_trusted(client, trusted) {
            break;
        }
    }
    Ok(client)
}

/// All entries of all `X-Forwarded-For` lines, the last one first.
fn hops_from_the_right(headers: &HeaderMap) -> impl Iterator<Item = Result<IpAddr, HeaderFault>> {
    let lines: Vec<&HeaderValue> = headers.get_all(X_FORWARDED_FOR).iter().collect();
    lines
        .into_iter()
        .rev()
        .flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','))
        .map(|entry| parse_hop(entry).ok_or(HeaderFault::ForwardedChain))
}

/// An address, with or without port; IPv6 with or without brackets. Mapped IPv4 is folded to IPv4.
fn parse_hop(entry: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(entry).ok()?.trim_matches([' ', '\t']);
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse::<IpAddr>().or_else(|_| text.parse::<SocketAddr>().map(|socket| socket.ip()));
    address.ok().map(|address| address.to_canonical())
}

fn is_trusted(address: IpAddr, trusted: &[IpNet]) -> bool {
    trusted.iter().any(|net| net.contains(&address))
}

fn address_value(text: &str) -> HeaderValue {
    // Addresses are ASCII, so this does not fail; "unknown" is RFC 7239's word for what cannot be said.
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static("unknown"))
}
