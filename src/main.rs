//! Start-up and exit codes.

use std::process::ExitCode;

#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let mut output = portcullis::cli::Output::standard();
    portcullis::cli::main(std::env::args_os(), &mut output).into()
}
