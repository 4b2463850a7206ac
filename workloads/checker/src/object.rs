//! Checking one object, and many of them apart (P-compositionality: a history is linearizable if and only if it is for each
//! object; Herlihy and Wing, 1990, theorem 1).

use crate::engine::{Engine, Limits, Refused};
use crate::linear::Judges;
use crate::model::Model;
use crate::order::sort_places;
use crate::part::{Part, order, parts, return_of};
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
        /// States that the search had in hand when it returned: the object could have been in those, and maybe in others.
        /// [`explain`](crate::explain()) finds all. None from a model that [looks ahead](Model::LOOKS_AHEAD).
        states: Vec<M>,
    },
    /// A limit was reached first.
    Unknown(Refused),
    /// The check was given up, because an earlier violation is known.
    Superseded,
}

/// Checks one object's operations, in any order, from the state `init` on.
pub fn check_object<M: Model>(init: &M, operations: &[Operation<M>], limits: Limits<'_>) -> ObjectVerdict<M> {
    let mut engine = Engine::new(init.clone(), limits);
    check_until(&mut engine, init, operations, &AtomicU64::new(u64::MAX)).0
}

/// As [`check_object`], until the time that `end` shows; and which engines judged.
fn check_until<M: Model>(
    engine: &mut Engine<'_, M>,
    init: &M,
    operations: &[Operation<M>],
    end: &AtomicU64,
) -> (ObjectVerdict<M>, Judges) {
    let order = order(operations);
    if Part::new(init, operations, &order).is_in_order_as_a_whole(engine.limits()) {
        return (ObjectVerdict::Valid, Judges::LINEAR);
    }
    let parts = parts(operations, order);
    if let [part] = &parts[..] {
        return Part::new(init, operations, part).check(engine, end);
    }
    // Their least violation counts, so each is walked no further than to the least that is known.
    let end = AtomicU64::new(end.load(Ordering::Relaxed));
    let mut worst = ObjectVerdict::Valid;
    let mut judges = Judges::default();
    for part in &parts {
        let (verdict, judge) = Part::new(init, operations, part).check(engine, &end);
        judges = judges.and(judge);
        match (&verdict, &worst) {
            (
                ObjectVerdict::Violation { operation, .. },
                ObjectVerdict::Violation { operation: other, .. },
            ) if return_of(operations, *operation) >= return_of(operations, *other) => {}
            (ObjectVerdict::Violation { operation, .. }, _) => {
                end.fetch_min(operations[*operation].returned, Ordering::Relaxed);
                worst = verdict;
            }
            (ObjectVerdict::Unknown(_) | ObjectVerdict::Superseded, ObjectVerdict::Valid) => worst = verdict,
            (ObjectVerdict::Valid | ObjectVerdict::Unknown(_) | ObjectVerdict::Superseded, _) => {}
        }
    }
    (worst, judges)
}

/// Whether no order explains operations, as far as can be told within the limits.
pub(crate) fn is_violation<M: Model>(init: &M, operations: &[Operation<M>], limits: Limits<'_>) -> bool {
    let mut engine = Engine::new(init.clone(), limits);
    let parts = parts(operations, order(operations));
    let mut parts = parts.iter().map(|part| Part::new(init, operations, part));
    parts.any(|part| part.is_violation(&mut engine))
}

/// Whether some order explains operations, those that are `optional` having taken effect within their time or not; `None` where that
/// can't be told within the limits.
pub(crate) fn has_order<M: Model>(
    init: &M,
    operations: &[Operation<M>],
    optional: &[bool],
    limits: Limits<'_>,
) -> Option<bool> {
    let mut limits = limits;
    // Of two equal ones, only one of which must have taken effect, none has to go first.
    limits.reductions.earliest_deadline_first &= !optional.contains(&true);
    let mut all = Some(true);
    for part in parts(operations, order(operations)) {
        match Part::new(init, operations, &part)
            .with_optional(optional)
            .has_order(limits)
        {
            Some(true) => {}
            Some(false) => return Some(false),
            None => all = None,
        }
    }
    all
}

/// The places of operations that no order explains even alone, if a linear-time engine finds any.
pub(crate) fn conflict<M: Model>(
    init: &M,
    operations: &[Operation<M>],
    limits: Limits<'_>,
) -> Option<Vec<usize>> {
    let parts = parts(operations, order(operations));
    let mut parts = parts.iter().map(|part| Part::new(init, operations, part));
    let conflict = parts.find_map(|part| part.conflict(limits))?;
    Some(conflict.into_iter().map(|place| place as usize).collect())
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
        /// States that the object could have been in, as in [`ObjectVerdict::Violation`].
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

/// A violation of one of many objects.
pub(crate) struct ObjectViolation<M> {
    /// When the operation that no order explains returned.
    time: u64,
    /// The object's place.
    pub(crate) object: usize,
    /// The operation's place among those of the object.
    pub(crate) operation: usize,
    /// States that the object could have been in.
    pub(crate) states: Vec<M>,
}

/// What was found among many objects.
pub(crate) struct Found<M> {
    /// By time, then by the object's place. Where only the first was wanted, only that one.
    pub(crate) violations: Vec<ObjectViolation<M>>,
    /// The first object that could not be checked to the end, and why.
    pub(crate) unknown: Option<(usize, Refused)>,
    /// Which engines judged.
    pub(crate) judges: Judges,
}

/// Checks objects that all begin as `init`; the result does not depend on which is done first.
pub fn check_objects<M>(init: &M, objects: &[&[Operation<M>]], limits: Limits<'_>) -> ObjectsVerdict<M>
where
    M: Model<Op: Sync, Ret: Sync> + Send + Sync,
{
    let found = check_each(init, objects.len(), |object| objects[object], limits, false);
    match (found.violations.into_iter().next(), found.unknown) {
        (Some(first), _) => ObjectsVerdict::Violation {
            object: first.object,
            operation: first.operation,
            states: first.states,
        },
        (None, Some((object, refused))) => ObjectsVerdict::Unknown { object, refused },
        (None, None) => ObjectsVerdict::Valid,
    }
}

/// Checks `count` objects, each of which is made when its turn comes. Every one is made, whatever is found. Unless `all` violations
/// are wanted, each is checked no further than to the least that is known.
pub(crate) fn check_each<M, O>(
    init: &M,
    count: usize,
    make: impl Fn(usize) -> O + Sync,
    limits: Limits<'_>,
    all: bool,
) -> Found<M>
where
    M: Model<Op: Sync, Ret: Sync> + Send + Sync,
    O: AsRef<[Operation<M>]>,
{
    let earliest = AtomicU64::new(u64::MAX);
    // The verdict, of a violation the time, and who judged.
    let check = |engine: &mut Engine<'_, M>, object: usize| {
        let object = make(object);
        let operations = object.as_ref();
        let (verdict, judges) = check_until(engine, init, operations, &earliest);
        let mut time = u64::MAX;
        if let ObjectVerdict::Violation { operation, .. } = &verdict {
            time = operations[*operation].returned;
            if !all {
                earliest.fetch_min(time, Ordering::Relaxed);
            }
        }
        (time, verdict, judges)
    };
    #[cfg(feature = "rayon")]
    let verdicts: Vec<Checked<M>> = {
        use rayon::prelude::*;
        (0..count)
            .into_par_iter()
            .map_init(|| Engine::new(init.clone(), limits), check)
            .collect()
    };
    #[cfg(not(feature = "rayon"))]
    let verdicts: Vec<Checked<M>> = {
        let mut engine = Engine::new(init.clone(), limits);
        (0..count).map(|object| check(&mut engine, object)).collect()
    };
    let mut found = found(verdicts);
    if !all {
        // Which others were met depends on which was checked first.
        found.violations.truncate(1);
    }
    found
}

/// The verdict on an object, before it the time of a violation, and after it who judged.
type Checked<M> = (u64, ObjectVerdict<M>, Judges);

fn found<M: Model>(verdicts: Vec<Checked<M>>) -> Found<M> {
    let (mut violations, mut unknown) = (Vec::new(), None);
    let mut judges = Judges::default();
    for (object, (time, verdict, judge)) in verdicts.into_iter().enumerate() {
        judges = judges.and(judge);
        match verdict {
            ObjectVerdict::Valid | ObjectVerdict::Superseded => {}
            ObjectVerdict::Violation { operation, states } => violations.push(ObjectViolation {
                time,
                object,
                operation,
                states,
            }),
            ObjectVerdict::Unknown(refused) => unknown = unknown.or(Some((object, refused))),
        }
    }
    let mut order: Vec<usize> = (0..violations.len()).collect();
    sort_places(&mut order, &|place| {
        let violation: &ObjectViolation<M> = &violations[place];
        (violation.time, violation.object as u64)
    });
    let mut violations: Vec<Option<ObjectViolation<M>>> = violations.into_iter().map(Some).collect();
    Found {
        violations: order
            .into_iter()
            .filter_map(|place| violations[place].take())
            .collect(),
        unknown,
        judges,
    }
}
