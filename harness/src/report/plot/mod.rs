//! Two plots of a run, as SVG: how long operations took, and how many there were a second.
//!
//! Each has a panel for each kind of operation, all on the run's clock, with the time under fault shaded. They show the load; the final
//! reads, which are as fast as can be, are left out. A latency counts from when the operation was sent, as everywhere in a report.
//! Where clients could not keep up with the rate that was asked for, what they asked too late is as late as that: a line beside
//! shows how long it took from when it was its turn (coordinated omission; Gil Tene, *How not to measure latency*).
//!
//! A plot stands alone as a file, and as an element of a page. Its size does not grow with the history: marks that fall into the same
//! cell of a grid are one.

mod frame;
mod latency;
mod rate;

use checker::Log;
use checker::history::{Call, End};
use std::time::Duration;

/// The plots of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plots {
    /// `latency.svg`.
    pub latency: String,
    /// `rate.svg`.
    pub rate: String,
}

impl Plots {
    /// Those of a history whose load lasted so long; `None` where it has no times, or nothing was completed.
    pub fn of(log: &Log, lasted: Duration) -> Option<Plots> {
        let ends = u64::try_from(lasted.as_nanos()).unwrap_or(u64::MAX);
        let load = Load { log, ends };
        let kinds = load.kinds();
        if !log.timed || kinds.is_empty() {
            return None;
        }
        Some(Plots {
            latency: latency::draw(&load, &kinds),
            rate: rate::draw(&load, &kinds),
        })
    }
}

/// What was asked of a cluster under load.
struct Load<'a> {
    log: &'a Log,
    /// When no operation was begun any more but the final reads, in nanoseconds.
    ends: u64,
}

impl<'a> Load<'a> {
    fn calls(&self) -> impl Iterator<Item = &'a Call> {
        let ends = self.ends;
        self.log.calls.iter().filter(move |call| call.invoked <= ends)
    }

    /// The kinds of operations that were completed, by name.
    fn kinds(&self) -> Vec<&'a str> {
        let mut kinds: Vec<&str> = Vec::new();
        for call in self.calls().filter(|call| ended(call).is_some()) {
            if let Err(place) = kinds.binary_search(&&*call.f) {
                kinds.insert(place, &call.f);
            }
        }
        kinds
    }
}

/// When a call ended; one that is open at the end of the history did not.
fn ended(call: &Call) -> Option<u64> {
    (call.returned != u64::MAX).then_some(call.returned)
}

/// The class of the marks of an outcome.
fn class(end: End) -> &'static str {
    match end {
        End::Ok => "ok",
        End::Fail => "fail",
        End::Info => "info",
    }
}

#[cfg(test)]
mod tests;
