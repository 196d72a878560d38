//! The relying party against a provider that is as hostile as a test wants it to be.

pub(in crate::entra) mod provider;
mod rotation;
mod sign_in;
mod transport;
