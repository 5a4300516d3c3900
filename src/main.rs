//! The `dancu` binary: everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    dancu::cli::main()
}
