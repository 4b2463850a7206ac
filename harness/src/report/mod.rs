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

use std::io::Write as _;

pub use junit::junit;
pub use live::{Live, Moment};
pub use paint::Paint;
pub use plot::Plots;
pub use results::{Checked, LatencyOf, ReasonOf, Results, Standing, Summary, Valid};
pub use text::{duration, grouped, render};

/// Prints to stdout. Whoever closes it early, such as `head`, has seen enough.
pub fn print(text: &str) {
    let mut stdout = std::io::stdout();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
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
