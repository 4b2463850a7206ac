//! Checks histories one after the other on one core, and prints for each its name, the verdict and how many seconds the check took,
//! reading left out; the shortest of as many checks as fit into a tenth of a second:
//!
//! ```text
//! cargo run --release -p rustyraft-checker --example times -- FILE…
//! ```
//!
//! `compare/run` pairs it with Porcupine.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the library has no clock and reads no files; whoever calls it does"
)]

use checker::models::{CasRegister, KvAppend};
use checker::{Limits, Log, ObjectsVerdict, Operation, ReadError, Vocabulary, check_objects, objects};
use std::error::Error;
use std::time::{Duration, Instant};

/// For how long a check is repeated.
const REPEATED: Duration = Duration::from_millis(100);
/// How long one check may take.
const TIME_MAX: Duration = Duration::from_secs(60);

fn main() -> Result<(), Box<dyn Error>> {
    for file in std::env::args().skip(1) {
        let log = Log::read(&std::fs::read(&file)?)?;
        let is_store = log
            .calls
            .iter()
            .any(|call| matches!(&*call.f, "get" | "put" | "append"));
        let begun = Instant::now();
        let mut shortest = Duration::MAX;
        let verdict = loop {
            let each = Instant::now();
            let verdict = if is_store {
                verdict::<KvAppend>(&log)?
            } else {
                verdict::<CasRegister>(&log)?
            };
            shortest = shortest.min(each.elapsed());
            if begun.elapsed() > REPEATED {
                break verdict;
            }
        };
        println!("{file}\t{verdict}\t{:.9}", shortest.as_secs_f64());
    }
    Ok(())
}

/// The objects of a history are told apart and checked. Why one is not linearizable is not asked.
fn verdict<M: Vocabulary + Default>(log: &Log) -> Result<&'static str, ReadError> {
    let begun = Instant::now();
    let limits = Limits {
        should_stop: &|| begun.elapsed() > TIME_MAX,
        ..Limits::default()
    };
    let objects = objects::<M>(log, log.format.dialect())?;
    let operations: Vec<&[Operation<M>]> = objects.iter().map(|(_, operations)| &operations[..]).collect();
    Ok(match check_objects(&M::default(), &operations, limits) {
        ObjectsVerdict::Valid => "valid",
        ObjectsVerdict::Violation { .. } => "violation",
        ObjectsVerdict::Unknown { .. } => "unknown",
    })
}
