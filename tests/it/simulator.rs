//! The simulator held to Microsoft's documentation, over real HTTP. Each test names the section of the project's
//! Entra reference it was written from.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that panics has failed")]

mod authorize;
pub(crate) mod browser;
mod client_auth;
mod control;
mod documents;
mod graph;
mod graph_conditional_access;
mod graph_consent;
mod graph_directory;
mod graph_risk;
mod hostile;
mod levers;
mod logout;
mod sso;
mod token;
