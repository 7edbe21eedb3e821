//! The binary: parses arguments, calls [`flashgate::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    flashgate::cli::main()
}
