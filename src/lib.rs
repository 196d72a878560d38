//! Portcullis: an authentication gateway for companies on Microsoft Entra ID. The map follows.
#![doc = include_str!("ARCHITECTURE.md")]

pub mod facts;
pub mod cut;
pub mod generation;
pub mod document;
pub mod policy;
pub mod telemetry;
pub mod audit;
pub mod pages;
pub mod store;
pub mod peers;
pub mod session;
pub mod entra;
pub mod edge;
pub mod directory;
pub mod sign_in;
pub mod access;
pub mod risk_control;
pub mod admin;
#[cfg(feature = "simulator")]
pub mod simulator;
pub mod config;
pub mod app;
pub mod cli;
