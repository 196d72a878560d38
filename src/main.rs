//! Start-up and exit codes.
fn main() {}
