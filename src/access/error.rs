//! What can go wrong after the gate said yes.

/// A permitted request could not be carried out. Becomes a response in `access/respond.rs` and nowhere else.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// No upstream of the app could be reached.
    #[error("no upstream reachable")]
    UpstreamUnreachable,
    /// The upstream did not answer in time.
    #[error("the upstream did not answer in time")]
    UpstreamTimeout,
    /// The upstream broke the protocol or closed before answering.
    #[error("the upstream gave no valid answer")]
    UpstreamBroken,
    /// Every connection slot to the upstream is in use and the queue is full.
    #[error("too many requests are waiting for the upstream")]
    UpstreamBusy,
    /// The request body is larger than the app allows.
    #[error("the request body is larger than the app allows")]
    BodyTooLarge,
    /// The request asks for something the gateway does not relay (for example an unknown `Upgrade` or `Expect`).
    #[error("the request asks for something that is not relayed")]
    NotRelayed,
}
