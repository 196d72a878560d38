#![doc = include_str!("ARCHITECTURE.md")]

pub mod facts;
pub mod cut;
pub mod generation;
mod document;
pub mod policy;
pub mod telemetry;
mod audit;
mod pages;
pub mod store;
pub mod peers;
pub mod session;
pub mod entra;
mod edge;
mod sign_in;
mod access;
mod admin;
#[cfg(feature = "simulator")]
pub mod simulator;
pub mod config;
pub mod app;
pub mod cli;
