//! Private Access: permit + app + request -> the app's response.

mod config;

pub use config::{AppConfig, Balance, HealthCheck, IdentityHeaders, Protocol, Scheme, UpstreamConfig, UpstreamTls};
