//! Checking one object, and many of them apart (P-compositionality: a history is linearizable if and only if it is for each
//! object; Herlihy and Wing, 1990, theorem 1).

use crate::engine::{Engine, Limits, Refused};
use crate::model::Model;
use std::sync::atomic::{AtomicU64, Ordering};

/// An operation on one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation<M: Model> {
    /// Who.
    pub process: u64,
    /// The node that was asked, if that was recorded.
    pub node: Option<u64>,
    /// The call.
    pub op: M::Op,
    /// What it returned; `None` if nobody learned what became of it.
    pub ret: Option<M::Ret>,
    /// When it was invoked. Two events at the same time are concurrent.
    pub invoked: u64,
    /// When it returned; without meaning where nobody learned what it returned.
    pub returned: u64,
}

/// What came of checking one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ObjectVerdict<M> {
    /// Some order explains everything.
    Valid,
    /// No order explains an operation.
    Violation {
        /// Its place among the object's operations.
        operation: usize,
        /// The states that the object could have been in when it was still open.
        states: Vec<M>,
    },
    /// A limit was reached first.
    Unknown(Refused),
    /// The check was given up, because an earlier violation is known.
    Superseded,
}

/// Checks one object's operations, in any order, from the state `init` on.
pub fn check_object<M: Model>(init: &M, operations: &[Operation<M>], limits: Limits<'_>) -> ObjectVerdict<M> {
    check_until(init, operations, limits, &AtomicU64::new(u64::MAX))
}

/// As [`check_object`], until the time that `end` shows.
fn check_until<M: Model>(
    init: &M,
    operations: &[Operation<M>],
    limits: Limits<'_>,
    end: &AtomicU64,
) -> ObjectVerdict<M> {
    let mut engine = Engine::new(init.clone(), limits);
    let mut open = vec![None; operations.len()];
    for (time, is_return, place) in events(operations) {
        if time > end.load(Ordering::Relaxed) {
            return ObjectVerdict::Superseded;
        }
        let operation = &operations[place];
        let result = if is_return {
            let slot = open[place]
                .take()
                .expect("an operation returns once, after its invocation");
            engine.complete(slot)
        } else {
            let ret = operation.ret.as_ref().map(|ret| (ret, operation.returned));
            engine
                .invoke(&operation.op, ret)
                .map(|slot| open[place] = Some(slot))
        };
        match result {
            Ok(()) => {}
            Err(Refused::Violation) => {
                return ObjectVerdict::Violation {
                    operation: place,
                    states: engine.states(),
                };
            }
            Err(refused @ (Refused::Stopped | Refused::Memory { .. } | Refused::Width)) => {
                return ObjectVerdict::Unknown(refused);
            }
        }
    }
    ObjectVerdict::Valid
}

/// Invocations and returns in time order, invocations first where times are equal: intervals are closed.
fn events<M: Model>(operations: &[Operation<M>]) -> Vec<(u64, bool, usize)> {
    let mut events = Vec::with_capacity(2 * operations.len());
    for (place, operation) in operations.iter().enumerate() {
        events.push((operation.invoked, false, place));
        if operation.ret.is_some() {
            events.push((operation.returned.max(operation.invoked), true, place));
        }
    }
    events.sort_unstable();
    events
}

/// What came of checking many objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ObjectsVerdict<M> {
    /// Each has an order that explains everything.
    Valid,
    /// The least violation, by the time of the return that no order explains, then by the object's place.
    Violation {
        /// The object's place.
        object: usize,
        /// The operation's place among those of the object.
        operation: usize,
        /// The states that the object could have been in.
        states: Vec<M>,
    },
    /// There is no violation as far as could be told, and at least one object could not be checked to the end.
    Unknown {
        /// The first such object's place.
        object: usize,
        /// Why.
        refused: Refused,
    },
}

/// Checks objects that all begin as `init`; the result does not depend on which is done first.
pub fn check_objects<M>(init: &M, objects: &[&[Operation<M>]], limits: Limits<'_>) -> ObjectsVerdict<M>
where
    M: Model<Op: Sync, Ret: Sync> + Send + Sync,
{
    check_each(init, objects.len(), |object| objects[object], limits)
}

/// As [`check_objects`], of `count` objects, each of which is made when its turn comes. Every one is made, whatever is found.
pub(crate) fn check_each<M, O>(
    init: &M,
    count: usize,
    make: impl Fn(usize) -> O + Sync,
    limits: Limits<'_>,
) -> ObjectsVerdict<M>
where
    M: Model<Op: Sync, Ret: Sync> + Send + Sync,
    O: AsRef<[Operation<M>]>,
{
    let earliest = AtomicU64::new(u64::MAX);
    // The verdict, and of a violation the time.
    let check = |object: usize| {
        let object = make(object);
        let operations = object.as_ref();
        let verdict = check_until(init, operations, limits, &earliest);
        let mut time = u64::MAX;
        if let ObjectVerdict::Violation { operation, .. } = &verdict {
            time = operations[*operation].returned;
            earliest.fetch_min(time, Ordering::Relaxed);
        }
        (time, verdict)
    };
    #[cfg(feature = "rayon")]
    let verdicts: Vec<(u64, ObjectVerdict<M>)> = {
        use rayon::prelude::*;
        (0..count).into_par_iter().map(check).collect()
    };
    #[cfg(not(feature = "rayon"))]
    let verdicts: Vec<(u64, ObjectVerdict<M>)> = (0..count).map(check).collect();
    least(verdicts)
}

fn least<M: Model>(verdicts: Vec<(u64, ObjectVerdict<M>)>) -> ObjectsVerdict<M> {
    let mut violation: Option<(u64, usize, usize, Vec<M>)> = None;
    let mut unknown = None;
    for (object, (time, verdict)) in verdicts.into_iter().enumerate() {
        match verdict {
            ObjectVerdict::Valid | ObjectVerdict::Superseded => {}
            ObjectVerdict::Violation { operation, states } => {
                if violation.as_ref().is_none_or(|(earlier, ..)| time < *earlier) {
                    violation = Some((time, object, operation, states));
                }
            }
            ObjectVerdict::Unknown(refused) => unknown = unknown.or(Some((object, refused))),
        }
    }
    match (violation, unknown) {
        (Some((_, object, operation, states)), _) => ObjectsVerdict::Violation {
            object,
            operation,
            states,
        },
        (None, Some((object, refused))) => ObjectsVerdict::Unknown { object, refused },
        (None, None) => ObjectsVerdict::Valid,
    }
}
