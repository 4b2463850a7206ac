//! Tests of the Raft core from outside, through its public interface.
//!
//! - `golden`: scripts in `testdata`, each a story with its expected outcome beside it.
//! - `paper`: one test for each claim of the paper and the dissertation.
//! - `properties`: random schedules with faults, against the invariants that make Raft safe, and service when the faults end.
//! - `oracle`: random schedules on TiKV's `raft` crate as well, to the same effect.
//! - `completions`: reports of the driver that come late or again.
//! - `hostile`: what bytes from a socket, and unusual settings, may and may not do.
//! - `ticks`: what the timers of `RawNode` make of the protocol; `timers`: when they are due.
//! - `mutants`: every seeded bug is found by something of the above.

mod completions;
mod golden;
mod hostile;
mod lease;
#[cfg(feature = "mutants")]
mod mutants;
mod oracle;
mod paper;
mod properties;
mod script;
mod server;
mod ticks;
mod timers;
mod world;
