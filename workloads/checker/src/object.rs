//! Checking one object, and many of them apart (P-compositionality: a history is linearizable if and only if it is for each
//! object; Herlihy and Wing, 1990, theorem 1).

use crate::engine::{Engine, Limits, OpenOperation, Refused};
use crate::foresight::Foresight;
use crate::model::Model;
use crate::search::Effort;
use rustc_hash::FxHashMap;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
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
    let mut engine = Engine::new(init.clone(), limits);
    check_until(&mut engine, init, operations, &AtomicU64::new(u64::MAX))
}

/// As [`check_object`], until the time that `end` shows.
fn check_until<M: Model>(
    engine: &mut Engine<'_, M>,
    init: &M,
    operations: &[Operation<M>],
    end: &AtomicU64,
) -> ObjectVerdict<M> {
    let parts = parts(operations);
    if let [part] = &parts[..] {
        return Part::new(init, operations, part).check(engine, end);
    }
    // Their least violation counts, so each is walked no further than to the least that is known.
    let end = AtomicU64::new(end.load(Ordering::Relaxed));
    let mut worst = ObjectVerdict::Valid;
    for part in &parts {
        let verdict = Part::new(init, operations, part).check(engine, &end);
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
    worst
}

/// The places of operations, those of each part of the object together, each in the order of their invocations.
fn parts<M: Model>(operations: &[Operation<M>]) -> Vec<Vec<u32>> {
    let place = |place: usize| u32::try_from(place).expect("fewer operations are in memory at once");
    let mut order: Vec<u32> = (0..place(operations.len())).collect();
    if !operations.is_sorted_by_key(|operation| operation.invoked) {
        order.sort_by_key(|place| operations[*place as usize].invoked);
    }
    let Some(part) = operations.first().and_then(|first| M::partition(&first.op)) else {
        return vec![order];
    };
    let mut known: FxHashMap<u64, usize> = FxHashMap::default();
    known.insert(part, 0);
    let mut parts = vec![Vec::new()];
    for place in &order {
        let Some(part) = M::partition(&operations[*place as usize].op) else {
            return vec![order];
        };
        let part = *known.entry(part).or_insert(parts.len());
        if part == parts.len() {
            parts.push(Vec::new());
        }
        parts[part].push(*place);
    }
    parts
}

/// When an operation returns, and its place: returns are in this order.
fn return_of<M: Model>(operations: &[Operation<M>], place: usize) -> (u64, usize) {
    let operation = &operations[place];
    (operation.returned.max(operation.invoked), place)
}

/// A part of an object that is checked on its own.
struct Part<'a, M: Model> {
    init: &'a M,
    operations: &'a [Operation<M>],
    /// The places of its operations, in the order of their invocations.
    places: &'a [u32],
}

/// How many configurations a walk keeps that looks for any order, at first and then.
const BEAMS: [usize; 2] = [32, 512];

/// So often a walk that looks for the first violation looks at its limits before it is given up.
const TRIAL_LOOKS_MAX: u64 = 2;

/// A return that is the last one to be looked at.
type Cut = (u64, usize);
const NO_CUT: Cut = (u64::MAX, usize::MAX);

impl<'a, M: Model> Part<'a, M> {
    fn new(init: &'a M, operations: &'a [Operation<M>], places: &'a [u32]) -> Self {
        Part {
            init,
            operations,
            places,
        }
    }

    /// All configurations as long as they are few. If they are not, the most sparing ones mostly find an order where there is one;
    /// if they don't, all of them after all.
    fn check(&self, engine: &mut Engine<'_, M>, end: &AtomicU64) -> ObjectVerdict<M> {
        // A walk looks at its limits now and then; a short one might never.
        if (engine.limits().should_stop)() {
            return ObjectVerdict::Unknown(Refused::Stopped);
        }
        let mut walked = self.walk(engine, Effort::Patient, NO_CUT, end);
        if engine.lost_patience() {
            let efforts = BEAMS.map(Effort::Beam).into_iter().chain([Effort::Full]);
            for effort in efforts {
                walked = self.walk(engine, effort, NO_CUT, end);
                if walked.is_ok() {
                    break;
                }
            }
        }
        match walked {
            Ok(verdict) => verdict,
            Err(found) if M::LOOKS_AHEAD => self.first_violation(engine, found),
            Err((_, operation)) => ObjectVerdict::Violation {
                operation,
                states: engine.states(),
            },
        }
    }

    /// A walk that looks ahead meets a violation at `found`, maybe before the return that makes it one. That return is looked for:
    /// by doubling, since it is mostly near and short histories are easy, then by halving. Each trial takes a bounded number of
    /// steps; where that is not enough it counts as if there were an order, so that what is told is a violation for certain.
    fn first_violation(&self, engine: &mut Engine<'_, M>, found: Cut) -> ObjectVerdict<M> {
        let mut returns: Vec<Cut> = Vec::new();
        for place in self.places.iter().map(|place| *place as usize) {
            if self.operations[place].ret.is_some() {
                returns.push(return_of(self.operations, place));
            }
        }
        returns.sort_unstable();
        let limits = engine.limits();
        let is_violation = |count: usize| self.try_walk(limits, returns[count - 1]).0.is_err();
        // So many returns have an order.
        let mut explained = returns.partition_point(|other| *other < found);
        let mut violation = returns.len();
        let mut step = 1;
        while explained + step < violation {
            if is_violation(explained + step) {
                violation = explained + step;
            } else {
                explained += step;
                step *= 2;
            }
        }
        while violation - explained > 1 {
            let middle = explained + (violation - explained) / 2;
            if is_violation(middle) {
                violation = middle;
            } else {
                explained = middle;
            }
        }
        let states = match explained.checked_sub(1) {
            Some(last) => self.try_walk(limits, returns[last]).1,
            None => vec![self.init.clone()],
        };
        let operation = returns[violation - 1].1;
        ObjectVerdict::Violation { operation, states }
    }

    /// As [`walk`](Part::walk), in a bounded number of steps; and the states at its end.
    fn try_walk(&self, limits: Limits<'_>, cut: Cut) -> (Result<ObjectVerdict<M>, Cut>, Vec<M>) {
        let looks = AtomicU64::new(0);
        let should_stop =
            || looks.fetch_add(1, Ordering::Relaxed) >= TRIAL_LOOKS_MAX || (limits.should_stop)();
        let limits = Limits {
            should_stop: &should_stop,
            ..limits
        };
        let mut engine = Engine::new(self.init.clone(), limits);
        let walked = self.walk(&mut engine, Effort::Full, cut, &AtomicU64::new(u64::MAX));
        (walked, engine.states())
    }

    /// Leads the engine through the events in time order, invocations first where times are equal (intervals are closed), up to and
    /// with the return `cut`. An error is the return that no order explains.
    fn walk(
        &self,
        engine: &mut Engine<'_, M>,
        effort: Effort,
        cut: Cut,
        end: &AtomicU64,
    ) -> Result<ObjectVerdict<M>, Cut> {
        engine.reset(self.init.clone(), effort);
        if M::LOOKS_AHEAD {
            engine.foresee(Foresight::new(self.init, self.operations, self.places, cut));
        }
        let sealed_at = self.sealed_at(cut);
        let mut open: BinaryHeap<Reverse<(Cut, OpenOperation)>> = BinaryHeap::new();
        let mut places = self
            .places
            .iter()
            .map(|place| *place as usize)
            .enumerate()
            .peekable();
        loop {
            let is_before = |time: u64| {
                open.peek()
                    .is_none_or(|Reverse((returned, _))| time <= returned.0)
            };
            let next = places.next_if(|(_, place)| {
                let invoked = self.operations[*place].invoked;
                invoked <= cut.0 && is_before(invoked)
            });
            if let Some((nth, place)) = next {
                let operation = &self.operations[place];
                let returned = return_of(self.operations, place);
                let ret = operation.ret.as_ref().map(|ret| (ret, returned.0));
                match engine.invoke(&operation.op, ret) {
                    Ok(slot) if ret.is_some() => open.push(Reverse((returned, slot))),
                    Ok(_) => {}
                    Err(refused) => return Ok(ObjectVerdict::Unknown(refused)),
                }
                if nth + 1 >= sealed_at {
                    engine.seal(cut.0);
                }
                continue;
            }
            let Some(Reverse((returned, slot))) = open.pop() else {
                return Ok(ObjectVerdict::Valid);
            };
            if returned > cut || engine.is_settled() {
                return Ok(ObjectVerdict::Valid);
            }
            if returned.0 > end.load(Ordering::Relaxed) {
                return Ok(ObjectVerdict::Superseded);
            }
            match engine.complete(slot) {
                Ok(()) => {}
                Err(Refused::Violation) => return Err(returned),
                Err(refused @ (Refused::Stopped | Refused::Memory { .. } | Refused::Width)) => {
                    return Ok(ObjectVerdict::Unknown(refused));
                }
            }
        }
    }

    /// From which place in `places` on nothing that returns by `cut` could be illegal.
    fn sealed_at(&self, cut: Cut) -> usize {
        let is_at_risk = |place: &u32| {
            let operation = &self.operations[*place as usize];
            let ret = operation.ret.as_ref();
            ret.is_some_and(|ret| !M::is_always_legal(&operation.op, ret))
                && return_of(self.operations, *place as usize) <= cut
        };
        self.places
            .iter()
            .rposition(is_at_risk)
            .map_or(0, |last| last + 1)
    }
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

/// A violation of one of many objects.
pub(crate) struct ObjectViolation<M> {
    /// When the operation that no order explains returned.
    time: u64,
    /// The object's place.
    pub(crate) object: usize,
    /// The operation's place among those of the object.
    pub(crate) operation: usize,
    /// The states that the object could have been in.
    pub(crate) states: Vec<M>,
}

/// What was found among many objects.
pub(crate) struct Found<M> {
    /// By time, then by the object's place. Where only the first was wanted, only that one.
    pub(crate) violations: Vec<ObjectViolation<M>>,
    /// The first object that could not be checked to the end, and why.
    pub(crate) unknown: Option<(usize, Refused)>,
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
    // The verdict, and of a violation the time.
    let check = |engine: &mut Engine<'_, M>, object: usize| {
        let object = make(object);
        let operations = object.as_ref();
        let verdict = check_until(engine, init, operations, &earliest);
        let mut time = u64::MAX;
        if let ObjectVerdict::Violation { operation, .. } = &verdict {
            time = operations[*operation].returned;
            if !all {
                earliest.fetch_min(time, Ordering::Relaxed);
            }
        }
        (time, verdict)
    };
    #[cfg(feature = "rayon")]
    let verdicts: Vec<(u64, ObjectVerdict<M>)> = {
        use rayon::prelude::*;
        (0..count)
            .into_par_iter()
            .map_init(|| Engine::new(init.clone(), limits), check)
            .collect()
    };
    #[cfg(not(feature = "rayon"))]
    let verdicts: Vec<(u64, ObjectVerdict<M>)> = {
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

fn found<M: Model>(verdicts: Vec<(u64, ObjectVerdict<M>)>) -> Found<M> {
    let (mut violations, mut unknown) = (Vec::new(), None);
    for (object, (time, verdict)) in verdicts.into_iter().enumerate() {
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
    violations.sort_by_key(|violation| (violation.time, violation.object));
    Found { violations, unknown }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::{CasRegister, RegisterOp, RegisterRet};
    use proptest::prelude::*;

    type Op = Operation<CasRegister>;

    fn call() -> impl Strategy<Value = (RegisterOp, Option<RegisterRet>)> {
        let value = || prop::option::weighted(0.9, 0..3_u64);
        prop_oneof![
            value().prop_map(|value| (RegisterOp::Read, Some(RegisterRet::Value(value)))),
            (0..3_u64, any::<bool>())
                .prop_map(|(value, known)| (RegisterOp::Write(value), known.then_some(RegisterRet::Written))),
            (value(), 0..3_u64, prop::option::weighted(0.7, any::<bool>()))
                .prop_map(|(old, new, ret)| (RegisterOp::Cas(old, new), ret.map(RegisterRet::Swapped))),
        ]
    }

    fn operations() -> impl Strategy<Value = Vec<Op>> {
        prop::collection::vec((call(), 0..20_u64, 0..20_u64), 1..10).prop_map(|calls| {
            let operation = |((op, ret), one, other): ((RegisterOp, _), u64, u64)| Operation {
                process: 0,
                node: None,
                op,
                ret,
                invoked: one.min(other),
                returned: one.max(other),
            };
            calls.into_iter().map(operation).collect()
        })
    }

    fn walk(operations: &[Op], effort: Effort) -> bool {
        let init = CasRegister::default();
        let parts = parts(operations);
        let part = Part::new(&init, operations, &parts[0]);
        let mut engine = Engine::new(init, Limits::default());
        let walked = part.walk(&mut engine, effort, NO_CUT, &AtomicU64::new(u64::MAX));
        assert!(!engine.lost_patience() && !matches!(walked, Ok(ObjectVerdict::Unknown(_))));
        walked.is_ok()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_a_narrow_walk_finds_in_order_is_in_order(operations in operations()) {
            let full = walk(&operations, Effort::Full);
            prop_assert_eq!(walk(&operations, Effort::Patient), full);
            for width in 1..4 {
                prop_assert!(full || !walk(&operations, Effort::Beam(width)), "{}", width);
            }
        }
    }
}
