//! A linearizability checker, without I/O.
//!
//! A concurrent object is *linearizable* if each operation seems to take effect at one instant between its invocation and its
//! return (Herlihy and Wing, 1990). Given a [`Model`] of the object and a history, the checker says whether there is an order of
//! the operations that fits both, and if not, which operation no order explains.
//!
//! - [`Log::read`] reads a history, in whatever format of [`formats`] it is; [`LogReader`](formats::LogReader) does so block by block;
//! - [`check_log`] holds it against one of the models of the [`registry`], which a [`Vocabulary`] tells what its calls mean;
//! - [`check_objects`] checks the objects of a history apart, [`check_object`] one of them, [`Engine`] one of them event by event,
//!   and [`Online`] beside a live test; a [`Watch`] takes the lines of a history in while they are recorded;
//! - [`explain`] says in words what is wrong, and shrinks it to the smallest core.
//!
//! The verdict has three values: a check that reached a limit is *unknown*, and so is one of nothing. The general engine and its
//! reductions are described in the module `search`; those for common types, of which a [`Kind`] tells, in the module `linear`.
//!
//! # Semantics
//!
//! - An operation that returned took effect between invocation and return; one that failed did not happen and is left out by the
//!   caller; one whose outcome nobody learned may take effect at any time after its invocation, or never. What else outcomes mean
//!   depends on who recorded them: see [`Dialect`].
//! - Intervals are closed: events at the same time are concurrent.
//!
//! # What is absent
//!
//! Clocks, files and threads of its own: limits are a callback, and parallelism is rayon's, behind the feature `rayon`. The same
//! history gives the same verdict and the same explanation, byte for byte.
//!
//! # Engines
//!
//! | model | judged in linear time, but for sorting, if | called |
//! |---|---|---|
//! | `register`, `cas-register` | each value is written at most once, and no compare-and-set is known to have failed | zones |
//! | `fifo-queue` | each value is put at most once | queue order |
//! | `unordered-queue` | the same | matching |
//! | `stack` | the same, and the verdict does not depend on what a take of unknown outcome took | peeling |
//! | `priority-queue` | the same | least first |
//! | `set` | each element is added and removed at most once; with reads of all elements, if none is removed | presence |
//! | `list-append` | always, by its own engine: see [`adya`] | |
//!
//! Everything else, and every other model, is for the general engine, which a report calls `configurations`.
//! [`EngineChoice`] forces the one or the other.
//!
//! # A model of one's own
//!
//! stateright's specification says what a call returns; an empty `impl Model` adopts it. The methods of [`Model`] that have defaults make
//! checks faster and reports clearer; those worth most are [`is_read_only`](Model::is_read_only), [`is_always_legal`](Model::is_always_legal) and
//! [`partition`](Model::partition). [`Model::kind`] names the common type that an object is, so that its engine judges it. A
//! [`Vocabulary`] besides reads recorded histories. The example `own_model` is a whole program.
//!
//! ```
//! use checker::{Limits, Model, ObjectVerdict, Operation, check_object};
//! use stateright::semantics::SequentialSpec;
//!
//! #[derive(Clone, Debug, PartialEq, Eq, Hash)]
//! struct Counter(u64);
//!
//! #[derive(Clone, Debug, PartialEq, Eq, Hash)]
//! enum Op { Add(u64), Read }
//!
//! impl SequentialSpec for Counter {
//!     type Op = Op;
//!     type Ret = Option<u64>;
//!     fn invoke(&mut self, op: &Op) -> Option<u64> {
//!         match op {
//!             Op::Add(amount) => { self.0 += amount; None }
//!             Op::Read => Some(self.0),
//!         }
//!     }
//! }
//!
//! impl Model for Counter {}
//!
//! let operation = |op, ret, invoked, returned| Operation::<Counter> { process: 0, node: None, op, ret, invoked, returned };
//! let history = [
//!     operation(Op::Add(2), Some(None), 0, 10),
//!     operation(Op::Read, Some(Some(0)), 20, 30),
//! ];
//! let verdict = check_object(&Counter(0), &history, Limits::default());
//! assert_eq!(verdict, ObjectVerdict::Violation { operation: 1, states: vec![Counter(2)] });
//! ```

// The unit tests look up no model by its name. Without the registry they compile in a few seconds: to check, watch and explain histories of each
// of its models is most of this crate's code.
#![cfg_attr(test, allow(dead_code, unused_imports))]

pub mod adya;
mod antichain;
mod bits;
mod check;
mod engine;
mod explain;
mod foresight;
pub mod formats;
pub mod history;
mod intern;
mod linear;
mod lost;
mod memo;
mod model;
pub mod models;
mod object;
mod online;
mod order;
mod part;
#[cfg(not(test))]
mod registry;
mod search;
mod slots;
mod verdict;
mod vocabulary;
mod watch;

pub use check::{CheckError, CheckOptions, EngineChoice, Keyed, objects};
pub use engine::{Engine, Limits, OPEN_OPERATIONS_MAX, OpenOperation, Refused};
pub use explain::{Explanation, Setting, explain, shrink};
pub use history::{Log, ReadError};
pub use linear::{ContainerCall, ContainerCalls, Kind, RegisterCall, RegisterCalls, SetCall, SetCalls};
pub use model::{Model, Takes};
pub use object::{ObjectVerdict, ObjectsVerdict, Operation, check_object, check_objects};
pub use online::{Event, Online, OnlineVerdict, OnlineViolation, WAITING_EVENTS_MAX};
#[cfg(not(test))]
pub use registry::{ModelEntry, check_log, registry};
pub use search::Reductions;
pub use stateright::semantics::SequentialSpec;
pub use verdict::{Report, Verdict};
pub use vocabulary::{Datum, Dialect, Meaning, Vocabulary};
pub use watch::{Seen, Watch};
