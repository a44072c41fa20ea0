//! The binary: argv in, exit code out.

use std::process::ExitCode;

fn main() -> ExitCode {
    destination_chartmogul::commands::run(std::env::args_os())
}
