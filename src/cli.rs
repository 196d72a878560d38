//! Layer 8: the command line. Each subcommand has a file of its own.

pub(crate) mod session;
