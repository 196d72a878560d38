//! The gateway seen from outside: every test starts what it needs, on ports of its own, and ends it.
//!
//! `world` starts the real program with providers, upstreams and browsers around it; the other modules are one
//! behaviour each. What the tests assume about configuration keys, paths and forms stands in `world/shapes.rs`.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test fails by panicking, and says what it saw"
)]
#![allow(dead_code, reason = "the world offers more than the tests of one stage use")]

mod actions;
mod admin;
mod admin_v1;
mod binding;
mod command_line;
mod directory;
mod faults;
mod framing;
mod hostile_provider;
mod outage;
mod private_access;
mod relying_party;
mod sessions;
mod sign_in;
mod sign_out;
mod simulator;
mod step_up;
mod tidy;
mod warning;
mod world;
mod world_itself;
mod ztsa;
