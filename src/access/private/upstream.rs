//! Where an app runs: its endpoints, and this worker's connections to them.

mod balance;
mod connect;
mod health;
mod lease;
mod pool;
mod tls;
mod watch;

pub(super) use balance::Tried;
pub(super) use health::check_health;
pub(super) use lease::{Lease, Sent};
pub use pool::Upstreams;
pub(super) use tls::{Roots, UpstreamError};
pub(super) use watch::{Fired, Phase, Watch};

use std::sync::Arc;

use http::HeaderValue;
use http::uri::Authority;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;

use super::config::{Scheme, UpstreamConfig};
use health::EndpointHealth;

/// An app's upstream as configured; one for all workers, immutable but for the health marks.
pub struct Upstream {
    config: UpstreamConfig,
    endpoints: Box<[Endpoint]>,
    /// Present if and only if the scheme is https.
    tls: Option<Arc<ClientConfig>>,
}

/// One instance of an app.
pub struct Endpoint {
    /// Host name or address literal, without brackets.
    pub host: Box<str>,
    /// Port.
    pub port: u16,
    /// `host:port` for `:authority`.
    pub authority: Authority,
    /// `host:port` for `Host`.
    pub host_header: HeaderValue,
    /// Name the certificate must carry.
    server_name: ServerName<'static>,
    health: EndpointHealth,
}

impl Upstream {
    /// Reads endpoints and TLS files.
    ///
    /// # Errors
    /// When an endpoint is not `host:port`, or a TLS file cannot be used.
    pub fn new(config: &UpstreamConfig, roots: &mut Roots) -> Result<Self, UpstreamError> {
        if config.endpoints.is_empty() {
            return Err(UpstreamError::NoEndpoints);
        }
        let endpoints = config
            .endpoints
            .iter()
            .map(|text| Endpoint::parse(text, config.tls.server_name.as_deref()))
            .collect::<Result<_, _>>()?;
        let tls = match config.scheme {
            Scheme::Http => None,
            Scheme::Https => Some(tls::client_config(&config.tls, config.protocol, roots)?),
        };
        Ok(Self { config: config.clone(), endpoints, tls })
    }

    /// The instances, in the order of the configuration.
    #[must_use]
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// What was configured.
    #[must_use]
    pub const fn config(&self) -> &UpstreamConfig {
        &self.config
    }
}

impl Endpoint {
    fn parse(text: &str, pinned: Option<&str>) -> Result<Self, UpstreamError> {
        let error = || UpstreamError::Endpoint(text.to_owned());
        let authority: Authority = text.parse().map_err(|_| error())?;
        let port = authority.port_u16().filter(|port| *port != 0).ok_or_else(error)?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() || text.contains('@') {
            return Err(error());
        }
        let name = pinned.unwrap_or(host);
        let server_name =
            ServerName::try_from(name.to_owned()).map_err(|_| UpstreamError::ServerName(name.to_owned()))?;
        Ok(Self {
            host: host.into(),
            port,
            host_header: HeaderValue::from_str(text).map_err(|_| error())?,
            authority: authority.clone(),
            server_name,
            health: EndpointHealth::default(),
        })
    }

    /// Whether the active health check, if there is one, holds the instance to be in service.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.health.is_up()
    }
}

#[cfg(test)]
mod tests;
