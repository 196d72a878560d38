//! Layer 2: the embedded durable store (redb) and the key ring.

mod keyring;

pub use keyring::{Keyring, KeyringError};
