//! The seam between a workload and whoever runs it.

use crate::append::Append;
use crate::bank::Bank;
use crate::counter::Counter;
use crate::lock::Lock;
use crate::multi_register::MultiRegister;
use crate::op::{Completion, Op};
use crate::queue::Queue;
use crate::register::Register;
use crate::session::Session;
use crate::set::Set;
use crate::unique_ids::UniqueIds;
use checker::history::Value;

/// A source of operations: a pure function of its setting and of what it was told.
pub trait Generator: Send {
    /// The next operation for client `thread` (`0..concurrency`), or `None` when this thread has nothing to do
    /// now (ask again later). Threads are stable; process ids, which change after an indefinite outcome, are
    /// the recorder's affair.
    fn next(&mut self, thread: usize) -> Option<Op>;

    /// Tells how `op`, handed to `thread`, ended.
    fn completed(&mut self, thread: usize, op: &Op, completion: &Completion);

    /// The reads that end the run, made at each node until they are ok: every key still in rotation, and a bounded number of those
    /// that were left, since what was acknowledged must last.
    fn final_reads(&self) -> Vec<Op>;
}

/// What a generator is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Decides everything that is random.
    pub seed: u64,
    /// How many nodes are under test.
    pub nodes: usize,
    /// How many client threads there are.
    pub concurrency: usize,
}

/// Operations, generator and specification under one name.
pub trait Workload: Send + Sync {
    /// The name on the command line.
    fn name(&self) -> &'static str;

    /// One line for `--workload list`.
    fn about(&self) -> &'static str;

    /// A generator.
    fn generator(&self, setting: Setting) -> Box<dyn Generator>;

    /// The kinds of operation ([`Op::kind`]) of which a run needs at least one ok, or its verdict is unknown.
    fn needed_kinds(&self) -> &'static [&'static str];

    /// The model that judges its histories, by its name in [`checker::registry`].
    fn model(&self) -> &'static str;

    /// What each object is at the beginning, where that is not what the model says.
    fn initial(&self) -> Option<Value> {
        None
    }
}

/// All workloads, by name.
pub fn all() -> &'static [&'static dyn Workload] {
    &[
        &Register,
        &Counter,
        &Queue,
        &Set,
        &Session,
        &Append,
        &Bank,
        &MultiRegister,
        &Lock,
        &UniqueIds,
    ]
}

/// The workload called `name`.
pub fn by_name(name: &str) -> Option<&'static dyn Workload> {
    all().iter().copied().find(|workload| workload.name() == name)
}
