//! What is said of a run: in `results.json`, as one JSON line, in words, and while it goes on.

mod faults;
pub mod html;
mod junit;
mod live;
mod paint;
mod plot;
mod results;
mod text;
mod xml;

use std::io::{ErrorKind, Write as _};
use std::sync::OnceLock;

pub use junit::junit;
pub use live::{Live, Moment};
pub use paint::Paint;
pub use plot::Plots;
pub use results::{Checked, EarlyEnd, LatencyOf, ReasonOf, Results, Standing, Summary, Valid};
pub use text::{duration, grouped, render};

/// Why stdout could not be written, the first time that it could not.
static UNPRINTED: OnceLock<String> = OnceLock::new();

/// Prints to stdout. Whoever closes it early, such as `head`, has seen enough; of anything else that keeps it from being written
/// [`unprinted`] tells.
pub fn print(text: &str) {
    let mut stdout = std::io::stdout();
    if let Err(error) = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush())
        && error.kind() != ErrorKind::BrokenPipe
    {
        UNPRINTED.get_or_init(|| error.to_string());
    }
}

/// Why something that was to be printed is not on stdout; `None` if all of it is.
pub fn unprinted() -> Option<&'static str> {
    UNPRINTED.get().map(String::as_str)
}

/// Says something on stderr, where there is no result: if nobody hears it, nothing is lost.
pub fn tell(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// How this program was called, for the commands that a report names.
pub fn program() -> &'static str {
    // On a clone of the project it is the alias `cargo harness` that was typed.
    if std::env::var_os("CARGO").is_some() {
        "cargo harness"
    } else {
        "harness"
    }
}
