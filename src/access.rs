//! Layer 4: the request path in reading order.

mod error;
mod gate;
mod private;

pub use error::AccessError;
pub use private::{AppConfig, Balance, HealthCheck, IdentityHeaders, Protocol, Scheme, UpstreamConfig, UpstreamTls};
