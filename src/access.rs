//! Layer 4: the request path in reading order.

mod error;
mod gate;
mod private;

pub use error::AccessError;
pub use private::{AppConfig, UpstreamConfig};
