//! Layer 1: tracing, the list of metrics, request ids, and redaction of secrets.

pub mod log;
pub mod metrics;
pub mod redact;
mod request_id;
mod secret;

pub use log::{LogConfig, LogError, LogFormat, LogGuard, init};
pub use metrics::{Metrics, WorkerMetrics};
pub use request_id::{NoRandomness, RequestId, RequestIds};
pub use secret::Secret;
