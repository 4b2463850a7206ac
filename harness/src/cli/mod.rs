//! The command line.

pub mod exit;

use std::process::ExitCode;

/// What `main` does.
pub fn main() -> ExitCode {
    exit::Exit::Valid.into()
}
