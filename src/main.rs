//! The program: arguments in, exit code out. Everything else is in the library.

use std::process::ExitCode;

use portcullis::cli::{self, Output};

fn main() -> ExitCode {
    cli::main(std::env::args_os(), &mut Output::standard()).into()
}
