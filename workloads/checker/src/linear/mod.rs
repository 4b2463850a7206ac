//! Engines for common types, which take linear time, but for sorting.
//!
//! The general engine carries along every configuration that an object may be in, and they are many where many operations are open at
//! once. Where each value is written only once, an observation tells whom it observed, and most of the order is given. What is
//! left to see is whether it contradicts itself; the file of each engine says how that shows.
//!
//! A model names its type by [`Model::kind`], and a history *qualifies* by what its engine asks of it: unique values above all. One
//! that does not is for the general engine. A violation comes as a few operations that have no order on their own. The
//! general engine finds among them the one that no order explains, so reports are alike whichever engine judged.

mod grown;
mod items;
mod priority;
mod queue;
mod register;
mod set;
mod stack;
mod trees;

pub use items::{ContainerCall, ContainerCalls};
pub use register::{RegisterCall, RegisterCalls};
pub use set::{SetCall, SetCalls};

use crate::engine::Limits;
use crate::model::Model;
use crate::object::Operation;

/// A common type, of which an engine knows more than the model says.
///
/// The models of this crate name theirs. One of your own does by implementing the trait that belongs to the type:
/// [`RegisterCalls`], [`ContainerCalls`] or [`SetCalls`].
#[derive(Clone, Copy, Debug)]
pub struct Kind<M: Model> {
    engine: &'static str,
    beside_general: &'static str,
    judge: fn(&Part<'_, M>) -> Result<(), Halt>,
}

impl<M: RegisterCalls> Kind<M> {
    /// A register with read, write and compare-and-set.
    pub fn register() -> Self {
        Kind {
            engine: "zones",
            beside_general: "zones and configurations",
            judge: register::judge,
        }
    }
}

impl<M: ContainerCalls> Kind<M> {
    /// A queue, first in first out.
    pub fn fifo_queue() -> Self {
        Kind {
            engine: "queue order",
            beside_general: "queue order and configurations",
            judge: queue::judge_fifo,
        }
    }

    /// A queue that gives anything that is there.
    pub fn unordered_queue() -> Self {
        Kind {
            engine: "matching",
            beside_general: "matching and configurations",
            judge: queue::judge_unordered,
        }
    }

    /// A stack.
    pub fn stack() -> Self {
        Kind {
            engine: "peeling",
            beside_general: "peeling and configurations",
            judge: stack::judge,
        }
    }
}

impl<M: ContainerCalls<Value: Ord>> Kind<M> {
    /// A queue that gives the least first.
    pub fn priority_queue() -> Self {
        Kind {
            engine: "least first",
            beside_general: "least first and configurations",
            judge: priority::judge,
        }
    }
}

impl<M: SetCalls> Kind<M> {
    /// A set.
    pub fn set() -> Self {
        Kind {
            engine: "presence",
            beside_general: "presence and configurations",
            judge: set::judge,
        }
    }
}

/// The name of the general engine in reports.
const GENERAL: &str = "configurations";

/// Which engines judged the parts of a history.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Judges {
    linear: bool,
    general: bool,
}

impl Judges {
    pub(crate) const LINEAR: Judges = Judges {
        linear: true,
        general: false,
    };
    pub(crate) const GENERAL: Judges = Judges {
        linear: false,
        general: true,
    };

    pub(crate) fn and(self, other: Judges) -> Judges {
        Judges {
            linear: self.linear || other.linear,
            general: self.general || other.general,
        }
    }

    /// What they are called together.
    pub(crate) fn name<M: Model>(self) -> &'static str {
        match M::kind() {
            Some(kind) if self.linear && self.general => kind.beside_general,
            Some(kind) if self.linear => kind.engine,
            Some(_) | None => GENERAL,
        }
    }
}

/// Why an engine does not say that there is an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Halt {
    /// These operations, named by their places, have none on their own.
    Conflict(Vec<u32>),
    /// The history is not for this engine, for this reason.
    Unqualified(&'static str),
    /// The caller said so.
    Stopped,
}

impl Halt {
    /// Of operations some of which may be named twice, or are none (what an object held at the beginning).
    fn conflict(places: impl IntoIterator<Item = Option<u32>>) -> Halt {
        let mut places: Vec<u32> = places.into_iter().flatten().collect();
        places.sort_unstable();
        places.dedup();
        Halt::Conflict(places)
    }
}

/// Whether those of `operations` at `places`, in the order of their invocations, have an order; by the engine for their kind.
pub(crate) fn judge<M: Model>(
    init: &M,
    operations: &[Operation<M>],
    places: &[u32],
    limits: Limits<'_>,
) -> Result<(), Halt> {
    let kind = M::kind().ok_or(Halt::Unqualified("the model has no such engine"))?;
    (kind.judge)(&Part {
        init,
        operations,
        places,
        limits,
    })
}

/// What an engine is given.
struct Part<'a, M: Model> {
    init: &'a M,
    operations: &'a [Operation<M>],
    /// In the order of their invocations.
    places: &'a [u32],
    limits: Limits<'a>,
}

impl<'a, M: Model> Part<'a, M> {
    fn operations(&self) -> impl Iterator<Item = (u32, &'a Operation<M>)> {
        let operations = self.operations;
        self.places
            .iter()
            .map(move |place| (*place, &operations[*place as usize]))
    }

    /// To be asked between steps that take long.
    fn look_at_limits(&self) -> Result<(), Halt> {
        if (self.limits.should_stop)() {
            Err(Halt::Stopped)
        } else {
            Ok(())
        }
    }
}

/// A time that never comes. What has not returned returns then.
const NEVER: u64 = u64::MAX;

/// From an invocation to the return.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    from: u64,
    to: u64,
}

impl Span {
    /// Of an operation, `later` than it was, so that there is time before the first one.
    fn of<M: Model>(operation: &Operation<M>, later: u64) -> Result<Span, Halt> {
        let shifted = |time: u64| match time.checked_add(later) {
            Some(time) if time < NEVER => Ok(time),
            Some(_) | None => Err(Halt::Unqualified("its times are too large")),
        };
        let to = match operation.ret {
            Some(_) => shifted(operation.returned.max(operation.invoked))?,
            None => NEVER,
        };
        Ok(Span {
            from: shifted(operation.invoked)?,
            to,
        })
    }
}
