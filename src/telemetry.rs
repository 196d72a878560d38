//! Layer 1: tracing, the list of metrics, and redaction of secrets.

pub mod metrics;
mod secret;

pub use metrics::{Metrics, WorkerMetrics};
pub use secret::Secret;
