//! The app that leads from the gateway to the admin listener.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use http::Method;

use super::Console;
use crate::access::{AppConfig, Balance, Protocol, Scheme, UpstreamConfig, UpstreamTls};

impl Console {
    /// The app that leads to an admin listener at `listen`. The configuration refuses every other way there.
    #[must_use]
    pub fn app(&self, listen: SocketAddr) -> AppConfig {
        AppConfig {
            name: Self::APP.to_owned(),
            host: self.host.clone(),
            path: "/".to_owned(),
            strip_path: false,
            preserve_host: true,
            upstream: UpstreamConfig {
                endpoints: Self::way_to(listen),
                scheme: Scheme::Http,
                protocol: Protocol::Http1,
                tls: UpstreamTls::default(),
                balance: Balance::RoundRobin,
                health: None,
                eject_after: 5,
                eject_for: Duration::from_secs(1),
                connect_timeout: Duration::from_secs(2),
                response_timeout: Duration::from_secs(40),
                body_idle: Duration::from_secs(30),
                upload_idle: Duration::from_secs(30),
                max_connections: 8,
                max_idle: 2,
                idle_timeout: Duration::from_secs(30),
            },
            request_headers: Vec::new(),
            response_headers: Vec::new(),
            audience: self.audience.clone(),
            methods: vec![Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::DELETE],
            cors_origins: Vec::new(),
            max_body: Some(1024 * 1024),
            websocket: false,
            // The bearer token has no business on this way in.
            pass_authorization: false,
        }
    }

    /// Where this machine reaches an admin listener at `listen`, as the app's endpoints.
    #[must_use]
    pub fn way_to(listen: SocketAddr) -> Vec<String> {
        let ip = match listen.ip() {
            IpAddr::V4(address) if address.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(address) if address.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        vec![SocketAddr::new(ip, listen.port()).to_string()]
    }
}
