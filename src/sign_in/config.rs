//! What signing in needs to know.

use std::time::Duration;

/// Hosts, lifetimes and the apps on the portal.
#[derive(Debug, Clone)]
pub struct Config {
    /// The sign-in and portal host, lower case, no port.
    pub host: String,
    /// The port browsers use for https.
    pub public_port: u16,
    /// How often the provider is asked about a session in use; zero turns silent refresh off.
    pub refresh_every: Duration,
    /// How long a session goes on while the provider does not answer.
    pub refresh_grace: Duration,
    /// Apps listed on the portal.
    pub apps: Vec<AppLink>,
}

/// An app as shown on the portal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppLink {
    /// Its name.
    pub name: String,
    /// Where it opens.
    pub url: String,
}

impl Config {
    /// `https://host[:port]` of the sign-in host.
    #[must_use]
    pub fn origin(&self) -> String {
        self.origin_of(&self.host)
    }

    /// `https://host[:port]` of any of the gateway's hosts.
    #[must_use]
    pub fn origin_of(&self, host: &str) -> String {
        if self.public_port == 443 { format!("https://{host}") } else { format!("https://{host}:{}", self.public_port) }
    }
}
