//! The gateway seen from outside: every test starts what it needs, on ports of its own, and ends it.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod tidy;
