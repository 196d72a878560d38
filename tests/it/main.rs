//! Tests over real sockets.

#[cfg(feature = "simulator")]
mod simulator;
