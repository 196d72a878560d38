//! Layer 2: the other gateways: claims (done once among all) and announcements. Alone, every first claim is granted.

use std::time::Duration;

/// Handle to the group of gateways this one belongs to.
#[derive(Clone)]
pub struct Peers {}

impl Peers {
    /// A gateway on its own; claims are remembered in a bounded table.
    #[must_use]
    pub fn alone() -> Self {
        unimplemented!()
    }

    /// Whether this call is the first to claim `key` within `ttl`, among all gateways. Used for single-use codes.
    pub async fn claim(&self, _key: &[u8], _ttl: Duration) -> bool {
        unimplemented!()
    }
}
