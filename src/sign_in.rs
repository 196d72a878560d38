//! Layer 3: signing people in. Only its configuration stands on this branch.

mod config;

pub use config::{AppLink, Config};
