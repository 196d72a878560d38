//! What the sync jobs are configured with: where Graph is, how often it is read, what may be taken.

use std::time::Duration;

use url::Url;

/// The directory of every tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Graph's address in this cloud, such as `https://graph.microsoft.com/`.
    pub root: Url,
    /// How often it is read.
    pub rhythm: Rhythm,
    /// Whether risk may be taken from a tenant for which no administrator has turned the switch yet.
    pub upload: bool,
    /// Whether this cloud has an interface for risk at all; the one in China has none.
    ///
    /// Source: <https://learn.microsoft.com/graph/deployments>.
    pub has_risk: bool,
}

/// When things are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rhythm {
    /// From the start to the first reading of a tenant of which nothing is known yet.
    pub first: Duration,
    /// Between two updates of users and groups.
    pub people: Duration,
    /// Between two looks for changed risk.
    pub risk: Duration,
    /// Between two readings of the whole list of risky accounts.
    pub risk_full: Duration,
}

impl Rhythm {
    /// At once, and then every few seconds.
    pub const FAST: Self = Self {
        first: Duration::ZERO,
        people: Duration::from_secs(15),
        risk: Duration::from_secs(10),
        risk_full: Duration::from_secs(600),
    };
    /// After ten minutes, and then every eight hours, as Trend's ZTSA does.
    pub const ZTSA: Self = Self {
        first: Duration::from_secs(600),
        people: Duration::from_secs(8 * 3600),
        risk: Duration::from_secs(8 * 3600),
        risk_full: Duration::from_secs(8 * 3600),
    };
}
