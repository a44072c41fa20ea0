//! Where the commands for people print.
//!
//! Owns that what can not be printed is told as that, whether the reader went away or the disk is full, and not as a bug.

use std::io::{self, Write};

use crate::protocol::emit::closed;

/// This process's stdout.
pub(super) struct Stdout(io::Stdout);

impl Stdout {
    pub(super) fn new() -> Self {
        Self(io::stdout())
    }
}

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes).map_err(|error| told(&error))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush().map_err(|error| told(&error))
    }
}

/// The kind stays: whoever writes goes on after an interruption.
fn told(error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), closed(&error.to_string()))
}
