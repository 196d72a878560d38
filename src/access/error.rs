//! What can go wrong after the gate said yes.

use super::private::HeaderFault;
use crate::cut::CutReason;

/// A permitted request could not be carried out. Becomes a response in `access/respond.rs` and nowhere else.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// No upstream of the app could be reached: 502.
    #[error("no upstream reachable")]
    UpstreamUnreachable,
    /// The upstream did not answer in time: 504.
    #[error("the upstream did not answer in time")]
    UpstreamTimeout,
    /// The upstream broke the protocol or closed before answering: 502.
    #[error("the upstream gave no valid answer")]
    UpstreamBroken,
    /// Every connection slot to the upstream is in use and the queue is full: 503.
    #[error("too many requests are waiting for the upstream")]
    UpstreamBusy,
    /// The request body is larger than the app allows: 413.
    #[error("the request body is larger than the app allows")]
    BodyTooLarge,
    /// The client's request body broke off or was malformed while it was being forwarded: 400, and the connection ends.
    #[error("the request body broke off")]
    BodyBroken,
    /// The client sent nothing more of its request body for too long: 408.
    #[error("the request body made no progress in time")]
    BodyStalled,
    /// The request's headers contradict each other or try to take ours away: 400.
    #[error("the request headers are not acceptable")]
    Headers(#[source] HeaderFault),
    /// `Expect` asks for something other than `100-continue`: 417.
    #[error("the expectation cannot be met")]
    Expectation,
    /// A WebSocket version other than 13: 426 with `Sec-WebSocket-Version: 13`.
    #[error("the websocket version is not supported")]
    WebSocketVersion,
    /// A WebSocket opened by a page of another origin: 403.
    #[error("the websocket comes from another origin")]
    WebSocketOrigin,
    /// The request asks for something the gateway does not relay (for example a malformed WebSocket upgrade): 400.
    #[error("the request asks for something that is not relayed")]
    NotRelayed,
    /// The yes was taken back before the upstream answered.
    #[error("the permission was taken back: {}", .0.word())]
    Cut(CutReason),
}

impl From<HeaderFault> for AccessError {
    fn from(fault: HeaderFault) -> Self {
        match fault {
            HeaderFault::Expectation => Self::Expectation,
            fault => Self::Headers(fault),
        }
    }
}
