#![doc = include_str!("ARCHITECTURE.md")]
#![allow(dead_code, unused_imports, reason = "wip")]

pub mod facts;
pub mod cut;
pub mod generation;
mod document;
pub mod policy;
pub mod telemetry;
mod audit;
mod pages;
mod store;
mod peers;
pub mod session;
pub mod entra;
mod edge;
mod sign_in;
mod access;
