//! The seam between a workload and whoever runs it.

use crate::op::{Completion, Op};

/// A source of operations: a pure function of its seed and of what it was told.
pub trait Generator: Send {
    /// The next operation for client `thread` (`0..concurrency`), or `None` when this thread has nothing to do
    /// now (ask again later). Threads are stable; process ids, which change after an indefinite outcome, are
    /// the recorder's affair.
    fn next(&mut self, thread: usize) -> Option<Op>;

    /// Tells how `op`, handed to `thread`, ended.
    fn completed(&mut self, thread: usize, op: &Op, completion: &Completion);

    /// The reads that end the run, made at each node until they are ok: every key still in rotation.
    fn final_reads(&self) -> Vec<Op>;
}

/// Operations, generator and specification under one name.
pub trait Workload: Send + Sync {
    /// The name on the command line.
    fn name(&self) -> &'static str;

    /// One line for `--workload list`.
    fn about(&self) -> &'static str;

    /// A generator for `concurrency` client threads.
    fn generator(&self, seed: u64, concurrency: usize) -> Box<dyn Generator>;

    /// The kinds of operation (`"read"`, `"write"`, …) of which a run needs at least one ok, or its verdict is
    /// unknown.
    fn needed_kinds(&self) -> &'static [&'static str];
}
