//! What clients do to a cluster under test, and which model judges what they saw.
//!
//! A [`Workload`] is operations, a generator and a specification, in one file, under one name. Whoever runs it asks the
//! [`Generator`] for each thread's next [`Op`], carries it out, tells the generator its [`Completion`], and writes both down as lines
//! of [`checker::history`], with [`Op::kind`], [`Op::key`], [`Op::argument`] and [`Ret::to_value`] in them. Afterwards [`judge`] reads the
//! history back and holds it against the workload's model.
//!
//! # What is absent
//!
//! Clocks, sockets, entropy: a generator is a pure function of its seed and of what it was told.

mod append;
mod bank;
mod counter;
mod judge;
mod lock;
mod multi_register;
mod op;
mod queue;
mod register;
mod rotation;
mod session;
mod set;
mod step;
mod unique_ids;
mod workload;

pub use bank::{ACCOUNTS, FIRST_BALANCE};
pub use judge::{judge, watch};
pub use op::{Completion, Op, Ret, piece};
pub use step::Step;
pub use workload::{Generator, Setting, Workload, all, by_name};
