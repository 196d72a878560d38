//! Private Access: permit + app + request -> the app's response.

mod assertion;
mod body;
mod config;
mod exchange;
mod forward;
mod headers;
mod path;
mod routes;
#[cfg(test)]
mod testing;
mod upstream;
mod websocket;

pub use assertion::{Asserted, AssertionError, Assertions, CachedAssertion, Proven, SecretStore, StoreFailure};
pub use config::{AppConfig, Balance, HealthCheck, IdentityHeaders, Protocol, Scheme, UpstreamConfig, UpstreamTls};
pub use forward::{ForwardContext, forward};
pub use headers::{ClientHeaders, HeaderFault, HeaderRules, client_address};
pub use path::{PathFault, canonical};
pub use routes::{App, RouteError, Routes};
pub use upstream::Upstreams;
