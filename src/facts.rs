//! Layer 0: what is known about a request, as plain values. No async, no I/O, no clock of its own.

mod client;
mod clock;
mod destination;
mod duration;
mod guid;
mod risk;
mod standing;
mod subject;

pub use client::{ClientConn, HttpVersion};
pub use clock::{Clock, ManualClock, SharedClock, SystemClock, Tick, UnixTime};
pub use destination::{AppId, Destination};
pub use duration::{ParseDurationError, format_duration, parse_duration};
pub use guid::{Guid, ObjectId, ParseGuidError, TenantId, hex_digits};
pub use risk::{RiskLevel, RiskReading, RiskState};
pub use standing::{
    Account, AccountRisk, Acknowledged, AuthContext, Hold, Passed, Proof, RiskFeed, RiskSource, Standing,
};
pub use subject::{Groups, Subject, UserKey};

/// Everything a decision may depend on, gathered before [`crate::policy::Policy::decide`] is called.
///
/// Borrowed, so that gathering facts allocates nothing on the request path.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// Who asks; `None` while nobody has signed in on this connection.
    pub subject: Option<&'a Subject>,
    /// How the account stands; [`Standing::unknown`] while nobody has signed in.
    pub standing: &'a Standing,
    /// Where the account's risk comes from, and since when it holds.
    pub feed: RiskFeed,
    /// When the person proved who they are; zero while nobody has signed in.
    pub authenticated: UnixTime,
    /// The step-ups and warnings this session has passed.
    pub passed: &'a Passed,
    /// Where the request wants to go.
    pub destination: Destination<'a>,
    /// The peer the request came from, after PROXY protocol and trusted forwarding headers.
    pub client: std::net::IpAddr,
    /// The moment of the request; policy reads no clock.
    pub now: UnixTime,
}
