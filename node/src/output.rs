//! Results, on stdout, and complaints, on stderr.

use crate::{exit, logging};
use std::io::{ErrorKind, Write};

/// Prints a result; the exit code. A reader that has had enough (`node help | head`) is no failure.
pub(crate) fn print(bytes: &[u8]) -> u8 {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Ok(()) => exit::DONE,
        Err(error) if error.kind() == ErrorKind::BrokenPipe => exit::DONE,
        Err(error) => {
            complain(&format!("error: the result can't be printed: {error}"));
            exit::INTERNAL
        }
    }
}

/// Says on stderr what went wrong. The exit code says it too: one who can't be told changes nothing.
pub(crate) fn complain(line: &str) {
    logging::finish(&format!("{line}\n"));
}

/// Says on stderr how it is going.
pub(crate) fn tell(line: &str) {
    logging::finish(&format!("{line}\n"));
}
