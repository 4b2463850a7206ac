//! A part of an object that is checked on its own: which engine judges it, and which operation no order explains.

mod first;

use crate::check::EngineChoice;
use crate::engine::{Engine, Limits, OpenOperation, Refused};
use crate::foresight::Foresight;
use crate::linear::{self, Halt, Judges};
use crate::model::Model;
use crate::object::{ObjectVerdict, Operation};
use crate::order::sort_places;
use crate::search::Effort;
use rustc_hash::FxHashMap;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::atomic::{AtomicU64, Ordering};

/// The places of operations, in the order of their invocations.
pub(crate) fn order<M: Model>(operations: &[Operation<M>]) -> Vec<u32> {
    let place = |place: usize| u32::try_from(place).expect("fewer operations are in memory at once");
    let mut order: Vec<u32> = (0..place(operations.len())).collect();
    if !operations.is_sorted_by_key(|operation| operation.invoked) {
        sort_places(&mut order, &|place: u32| (operations[place as usize].invoked, 0));
    }
    order
}

/// The places in `order`, those of each part of the object together.
pub(crate) fn parts<M: Model>(operations: &[Operation<M>], order: Vec<u32>) -> Vec<Vec<u32>> {
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
pub(crate) fn return_of<M: Model>(operations: &[Operation<M>], place: usize) -> (u64, usize) {
    let operation = &operations[place];
    (operation.returned.max(operation.invoked), place)
}

/// A part of an object that is checked on its own.
pub(crate) struct Part<'a, M: Model> {
    init: &'a M,
    operations: &'a [Operation<M>],
    /// The places of its operations, in the order of their invocations.
    places: &'a [u32],
    /// Whether the operation at each place need not have taken effect; empty where all must that returned.
    optional: &'a [bool],
}

/// How many configurations a walk keeps that looks for any order, at first and then.
const BEAMS: [usize; 2] = [32, 512];
/// And how many before all else where the model looks ahead: what appends to a text that is put anew before anybody reads it has very
/// many orders, one as good as another, and the wrong ones among those that are read are dead at once.
const GLANCE: usize = 8;

/// Builds with assertions hold conflicts of so few operations against the general engine.
const CONFLICT_ASSERTED_MAX: usize = 16;

/// A return that is the last one to be looked at.
type Cut = (u64, usize);
const NO_CUT: Cut = (u64::MAX, usize::MAX);

impl<'a, M: Model> Part<'a, M> {
    pub(crate) fn new(init: &'a M, operations: &'a [Operation<M>], places: &'a [u32]) -> Self {
        Part {
            init,
            operations,
            places,
            optional: &[],
        }
    }

    /// The same where operations at some places may have taken effect within their time, or not. None of those reads only.
    pub(crate) fn with_optional(self, optional: &'a [bool]) -> Self {
        Part { optional, ..self }
    }

    fn is_optional(&self, place: usize) -> bool {
        self.optional.get(place).is_some_and(|optional| *optional)
    }

    /// By the engine for its kind if the history qualifies, else by the general one; and by which.
    pub(crate) fn check(&self, engine: &mut Engine<'_, M>, end: &AtomicU64) -> (ObjectVerdict<M>, Judges) {
        let limits = engine.limits();
        // A walk looks at its limits now and then; a short one might never.
        if (limits.should_stop)() {
            return (ObjectVerdict::Unknown(Refused::Stopped), Judges::default());
        }
        match self.judge(limits) {
            Ok(()) => (ObjectVerdict::Valid, Judges::LINEAR),
            Err(Halt::Conflict(conflict)) => (self.name_violation(engine, conflict, end), Judges::LINEAR),
            Err(Halt::Stopped) => (ObjectVerdict::Unknown(Refused::Stopped), Judges::LINEAR),
            Err(Halt::Unqualified(reason)) if limits.engine == EngineChoice::Linear => {
                let refused = Refused::Unqualified { reason };
                (ObjectVerdict::Unknown(refused), Judges::LINEAR)
            }
            Err(Halt::Unqualified(_)) => (self.search(engine, end), Judges::GENERAL),
        }
    }

    /// Whether the object may consist of parts, and an engine for its kind finds that all of them together have an order. That saves
    /// taking them apart.
    pub(crate) fn is_in_order_as_a_whole(&self, limits: Limits<'_>) -> bool {
        let first = self.places.first().map(|place| &self.operations[*place as usize]);
        first.is_some_and(|first| M::partition(&first.op).is_some()) && self.judge(limits) == Ok(())
    }

    /// What the engine for its kind says, if it may be asked.
    fn judge(&self, limits: Limits<'_>) -> Result<(), Halt> {
        match limits.engine {
            EngineChoice::Auto | EngineChoice::Linear => {
                linear::judge(self.init, self.operations, self.places, limits)
            }
            EngineChoice::General => Err(Halt::Unqualified("the general engine was asked for")),
        }
    }

    /// Whether no order explains it, as far as can be told within the limits.
    pub(crate) fn is_violation(&self, engine: &mut Engine<'_, M>) -> bool {
        match self.judge(engine.limits()) {
            Ok(()) => false,
            Err(Halt::Conflict(_)) => true,
            Err(Halt::Unqualified(_) | Halt::Stopped) => {
                let end = AtomicU64::new(u64::MAX);
                self.seek(engine, NO_CUT, &end).is_err()
            }
        }
    }

    /// Operations that no order explains even alone, if a linear-time engine finds any.
    pub(crate) fn conflict(&self, limits: Limits<'_>) -> Option<Vec<u32>> {
        match self.judge(limits) {
            Err(Halt::Conflict(conflict)) => Some(conflict),
            Ok(()) | Err(Halt::Unqualified(_) | Halt::Stopped) => None,
        }
    }

    /// The operation that no order explains, where operations in `conflict` have none: of the whole history if the general engine
    /// comes to it soon, else of those alone.
    fn name_violation(
        &self,
        engine: &mut Engine<'_, M>,
        mut conflict: Vec<u32>,
        end: &AtomicU64,
    ) -> ObjectVerdict<M> {
        sort_places(&mut conflict, &|place: u32| {
            (self.operations[place as usize].invoked, 0)
        });
        let alone = Part::new(self.init, self.operations, &conflict);
        debug_assert!(
            conflict.len() > CONFLICT_ASSERTED_MAX || alone.has_no_order(),
            "operations {conflict:?} have an order on their own"
        );
        let before = engine.looks();
        let walked = self.walk(engine, Effort::Patient, NO_CUT, end);
        match self.verdict(engine, walked, before) {
            ObjectVerdict::Unknown(_) => {}
            ObjectVerdict::Valid => {
                panic!("operations {conflict:?} have no order, and the whole history has")
            }
            verdict @ (ObjectVerdict::Violation { .. } | ObjectVerdict::Superseded) => return verdict,
        }
        match alone.search(engine, end) {
            // In which states the object could have been depends on all the others, too.
            ObjectVerdict::Violation { operation, .. } => ObjectVerdict::Violation {
                operation,
                states: Vec::new(),
            },
            ObjectVerdict::Superseded => ObjectVerdict::Superseded,
            // They are a violation all the same, at the latest when the last of them has returned.
            ObjectVerdict::Unknown(_) | ObjectVerdict::Valid => {
                let places = conflict.iter().map(|place| *place as usize);
                let returned = places.filter(|place| self.operations[*place].ret.is_some());
                let last = returned.max_by_key(|place| return_of(self.operations, *place));
                ObjectVerdict::Violation {
                    operation: last.expect("what need not have happened contradicts nothing"),
                    states: Vec::new(),
                }
            }
        }
    }

    fn has_no_order(&self) -> bool {
        self.has_order(Limits::default()) == Some(false)
    }

    /// Whether some order explains it; `None` where that can't be told within the limits.
    pub(crate) fn has_order(&self, limits: Limits<'_>) -> Option<bool> {
        let mut engine = Engine::new(self.init.clone(), limits);
        let walked = self.walk(&mut engine, Effort::Full, NO_CUT, &AtomicU64::new(u64::MAX));
        match walked {
            Ok(ObjectVerdict::Valid) => Some(true),
            Err(_) => Some(false),
            Ok(ObjectVerdict::Violation { .. } | ObjectVerdict::Unknown(_) | ObjectVerdict::Superseded) => {
                None
            }
        }
    }

    fn search(&self, engine: &mut Engine<'_, M>, end: &AtomicU64) -> ObjectVerdict<M> {
        let before = engine.looks();
        let walked = self.seek(engine, NO_CUT, end);
        self.verdict(engine, walked, before)
    }

    /// The states that the object may be in after the return `end`; `None` where a limit comes first. If no order explains the returns up to
    /// then, there is none.
    pub(crate) fn states_after(&self, engine: &mut Engine<'_, M>, end: (u64, usize)) -> Option<Vec<M>> {
        match self.walk(engine, Effort::Full, end, &AtomicU64::new(u64::MAX)) {
            Ok(ObjectVerdict::Valid) => Some(engine.states()),
            Ok(ObjectVerdict::Violation { .. } | ObjectVerdict::Unknown(_) | ObjectVerdict::Superseded) => {
                None
            }
            Err(_) => Some(Vec::new()),
        }
    }

    /// All configurations as long as they are few. If they are not, the most sparing ones mostly find an order where there is one;
    /// if they don't, all of them after all.
    fn seek(&self, engine: &mut Engine<'_, M>, cut: Cut, end: &AtomicU64) -> Result<ObjectVerdict<M>, Cut> {
        if M::LOOKS_AHEAD {
            let walked = self.walk(engine, Effort::Glance(GLANCE), cut, end);
            if walked.is_ok() && !engine.lost_patience() {
                return walked;
            }
        }
        let mut walked = self.walk(engine, Effort::Patient, cut, end);
        if engine.lost_patience() {
            let efforts = BEAMS.map(Effort::Beam).into_iter().chain([Effort::Full]);
            for effort in efforts {
                walked = self.walk(engine, effort, cut, end);
                if walked.is_ok() {
                    break;
                }
            }
        }
        walked
    }

    /// What comes of a walk that began when the engine had looked at its limits `before` times.
    fn verdict(
        &self,
        engine: &mut Engine<'_, M>,
        walked: Result<ObjectVerdict<M>, Cut>,
        before: u64,
    ) -> ObjectVerdict<M> {
        match walked {
            Ok(verdict) => verdict,
            Err(found) if M::LOOKS_AHEAD => self.first_violation(engine, found, before),
            Err((_, operation)) => ObjectVerdict::Violation {
                operation,
                states: engine.states(),
            },
        }
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
                let ret = operation.ret.as_ref();
                let ret = ret.map(|ret| (ret, (returned.0, place as u64)));
                match engine.invoke_in_turn(&operation.op, ret) {
                    Ok(slot) => open.extend(slot.map(|slot| Reverse((returned, slot)))),
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
            let taken = if self.is_optional(returned.1) {
                engine.expire(slot)
            } else {
                engine.complete(slot)
            };
            match taken {
                Ok(()) => {}
                Err(Refused::Violation) => return Err(returned),
                Err(refused) => {
                    return Ok(ObjectVerdict::Unknown(refused));
                }
            }
        }
    }

    /// Whether what an operation returned could be illegal.
    fn is_at_risk(&self, place: usize) -> bool {
        let operation = &self.operations[place];
        let ret = operation.ret.as_ref();
        ret.is_some_and(|ret| !M::is_always_legal(&operation.op, ret))
    }

    /// From which place in `places` on nothing that returns by `cut` could be illegal.
    fn sealed_at(&self, cut: Cut) -> usize {
        if !self.optional.is_empty() {
            return usize::MAX; // An order is known only when all is over.
        }
        let is_at_risk = |place: &u32| {
            let place = *place as usize;
            self.is_at_risk(place) && return_of(self.operations, place) <= cut
        };
        self.places
            .iter()
            .rposition(is_at_risk)
            .map_or(0, |last| last + 1)
    }
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
        let order = order(operations);
        let part = Part::new(&init, operations, &order);
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
                for effort in [Effort::Beam(width), Effort::Glance(width)] {
                    prop_assert!(full || !walk(&operations, effort), "{:?}", effort);
                }
            }
        }
    }
}
