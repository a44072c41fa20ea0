//! `explain`: what an error code means and what to do about it.
//!
//! Owns how the catalogue is shown to a person; its words stand in [`crate::errors`].

use std::io::Write as _;
use std::process::ExitCode;

use super::stdout::Stdout;
use super::{EXIT_USAGE, complain};
use crate::errors::{CODES, Code};

/// Options of the command.
#[derive(Debug, clap::Args)]
pub(super) struct ExplainArgs {
    /// The code, such as PARENT_NOT_FOUND; case does not matter. All codes when absent.
    code: Option<String>,
}

pub(super) fn run(args: &ExplainArgs) -> anyhow::Result<ExitCode> {
    let codes = match args.code.as_deref() {
        None => CODES.to_vec(),
        Some(typed) if typed.trim().is_empty() => {
            complain(&format!("{}: No error code is given. `explain` alone lists all.", Code::Usage));
            return Ok(ExitCode::from(EXIT_USAGE));
        }
        Some(typed) => match Code::find(typed) {
            Some(code) => vec![code],
            None => {
                complain(&format!(
                    "{}: There is no error code {typed}; the nearest is {}. `explain` alone lists all.",
                    Code::Usage,
                    Code::nearest(typed)
                ));
                return Ok(ExitCode::from(EXIT_USAGE));
            }
        },
    };
    let page: Vec<String> =
        codes.iter().map(|code| format!("{code}\n  Cause:  {}\n  Remedy: {}\n", code.cause(), code.remedy())).collect();
    let mut stdout = Stdout::new();
    stdout.write_all(page.join("\n").as_bytes())?;
    stdout.flush()?;
    Ok(ExitCode::SUCCESS)
}
