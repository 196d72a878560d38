//! The connection a request came in on, as the edge saw it.

use std::net::SocketAddr;

/// The HTTP version the client negotiated by ALPN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HttpVersion {
    /// HTTP/1.1 (and 1.0).
    Http1,
    /// HTTP/2.
    Http2,
}

/// One client connection. Made once by the edge, shared by all requests on it.
#[derive(Debug, Clone)]
pub struct ClientConn {
    /// The client's address: the socket's peer, or what a listed load balancer said by PROXY protocol.
    pub peer: SocketAddr,
    /// The address of the socket itself; equals `peer` without PROXY protocol.
    pub socket_peer: SocketAddr,
    /// The listener's own address.
    pub local: SocketAddr,
    /// Server name of the TLS handshake, lower case, without a trailing dot; `None` if the client sent none.
    pub sni: Option<Box<str>>,
    /// What ALPN settled on.
    pub http: HttpVersion,
}
