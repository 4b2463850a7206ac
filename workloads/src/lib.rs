//! What clients do to a cluster under test, and which model judges what they saw.
//!
//! A workload is operations, a generator and a specification. Everything here is a pure function of its
//! inputs: a generator sees a seed and the progress of the run, never a clock.

mod op;
mod workload;

pub use op::{Completion, Op, Ret};
pub use workload::{Generator, Workload};
