//! Layer 2: the other gateways: claims (done once among all) and announcements. Alone, every first claim is granted.
//!
//! Sessions tell the others about every ending through [`Peers::announce`] and obey what [`Announcements::next`]
//! brings, so the clustered form (Redis or Valkey) changes this file and no caller.

mod claims;

use std::time::Duration;

use claims::Claims;

/// Handle to the group of gateways this one belongs to.
#[derive(Clone)]
pub struct Peers {
    claims: Claims,
    #[cfg(test)]
    group: Option<tokio::sync::broadcast::Sender<Announcement>>,
}

impl Peers {
    /// A gateway on its own; claims are remembered in a bounded table.
    #[must_use]
    pub fn alone() -> Self {
        Self {
            claims: Claims::new(CLAIMS),
            #[cfg(test)]
            group: None,
        }
    }

    /// Whether this call is the first to claim `key` within `ttl`, among all gateways. Used for single-use codes.
    ///
    /// A full table refuses instead of forgetting: a forgotten claim would let a code be used twice.
    pub async fn claim(&self, key: &[u8], ttl: Duration) -> bool {
        self.claims.claim(key, ttl)
    }

    /// Takes a claim back that came to nothing, so that somebody who proves nothing cannot fill the table.
    pub async fn release(&self, key: &[u8]) {
        self.claims.release(key);
    }

    /// Tells the other gateways. Never waits; alone there is nobody to tell.
    pub fn announce(&self, announcement: Announcement) {
        #[cfg(test)]
        if let Some(group) = &self.group {
            let _heard = group.send(announcement);
            return;
        }
        drop(announcement);
    }

    /// What the other gateways announce from now on.
    #[must_use]
    pub fn subscribe(&self) -> Announcements {
        Announcements {
            #[cfg(test)]
            group: self.group.as_ref().map(tokio::sync::broadcast::Sender::subscribe),
        }
    }

    /// Two gateways that hear each other (and themselves), in one process.
    #[cfg(test)]
    pub(crate) fn pair() -> (Self, Self) {
        let one = Self { group: Some(tokio::sync::broadcast::channel(64).0), ..Self::alone() };
        (one.clone(), one)
    }
}

/// What gateways tell each other. Reasons travel as the words of `CutReason`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Announcement {
    /// One session is over.
    SessionEnded {
        /// Its key.
        session: [u8; 32],
        /// Why.
        reason: &'static str,
    },
    /// All sessions of a person are over.
    UserEnded {
        /// Who.
        user: crate::facts::UserKey,
        /// Why.
        reason: &'static str,
    },
    /// All sessions the provider knows by this id are over.
    SidEnded {
        /// In one tenant, or in any.
        tenant: Option<crate::facts::TenantId>,
        /// The provider's session id.
        sid: String,
        /// Why.
        reason: &'static str,
    },
}

/// See [`Peers::subscribe`].
pub struct Announcements {
    #[cfg(test)]
    group: Option<tokio::sync::broadcast::Receiver<Announcement>>,
}

impl Announcements {
    /// The next announcement; alone, it never comes.
    pub async fn next(&mut self) -> Announcement {
        #[cfg(test)]
        if let Some(group) = &mut self.group {
            return group.recv().await.expect("tests hold both ends and announce little");
        }
        std::future::pending().await
    }
}

/// Claims remembered at once; sign-ins within the lifetime of a code.
const CLAIMS: usize = 200_000;

#[cfg(test)]
mod tests;
