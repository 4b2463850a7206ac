//! What models may tell the engine, against a search over all orders: growing texts that are looked ahead of, sets in parts, open
//! outcomes, and stateright's own specifications.

#![allow(clippy::unwrap_used, reason = "a test fails with the reason")]
#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "a test names the one outcome that it expects"
)]

use checker::models::stateright::{Exact, Register, Vector};
use checker::models::{CasRegister, KvAppend, KvOp, KvRet, RegisterOp, RegisterRet, Set, SetOp, SetRet};
use checker::{
    EngineChoice, Limits, Model, ObjectVerdict, Operation, Reductions, SequentialSpec, check_object,
};
use proptest::prelude::*;
use stateright::semantics::register;
use stateright::semantics::vec::{VecOp, VecRet};
use std::collections::BTreeSet;

type Successors<M> = fn(&M, &<M as SequentialSpec>::Op, Option<&<M as SequentialSpec>::Ret>) -> Vec<M>;

/// What a specification alone says.
fn successors<M: Model>(state: &M, op: &M::Op, ret: Option<&M::Ret>) -> Vec<M> {
    let mut next = state.clone();
    let legal = match ret {
        Some(ret) => next.is_valid_step(op, ret),
        None => {
            next.invoke(op);
            true
        }
    };
    if legal { vec![next] } else { Vec::new() }
}

/// Whether some order of the operations fits, by trying all of them.
fn has_order<M: Model>(state: &M, left: &[Operation<M>], successors: Successors<M>) -> bool {
    let returning = left
        .iter()
        .filter(|operation| operation.ret.is_some() && operation.returned != OPEN);
    let Some(first_return) = returning.map(|operation| operation.returned).min() else {
        return true;
    };
    (0..left.len()).any(|place| {
        let operation = &left[place];
        operation.invoked <= first_return
            && successors(state, &operation.op, operation.ret.as_ref())
                .iter()
                .any(|next| {
                    let mut rest = left.to_vec();
                    rest.remove(place);
                    has_order(next, &rest, successors)
                })
    })
}

/// When an operation returns that is open, but whose result is known if it takes effect.
const OPEN: u64 = u64::MAX;

/// What the history was up to the time `end`, returns at that time included or not: what has not returned by then is open.
fn history_until<M: Model>(operations: &[Operation<M>], end: u64, with: bool) -> Vec<Operation<M>> {
    let invoked = operations.iter().filter(|operation| operation.invoked <= end);
    let cut = |operation: &Operation<M>| {
        let mut operation = operation.clone();
        if operation.returned > end || (operation.returned == end && !with) {
            operation.returned = OPEN;
        }
        operation
    };
    invoked.map(cut).collect()
}

/// The engine says what the oracle says, whatever reductions it uses; and names the first return that no order explains.
fn holds<M: Model>(
    init: &M,
    operations: &[Operation<M>],
    successors: Successors<M>,
) -> Result<(), TestCaseError> {
    let expected = has_order(init, operations, successors);
    for mask in 0..32 {
        let reductions = Reductions {
            greedy_reads: mask & 1 != 0,
            earliest_deadline_first: mask & 2 != 0,
            dominance: mask & 4 != 0,
            absorption: mask & 8 != 0,
            need: mask & 16 != 0,
        };
        let limits = Limits {
            engine: EngineChoice::General,
            reductions,
            ..Limits::default()
        };
        match check_object(init, operations, limits) {
            ObjectVerdict::Valid => prop_assert!(expected, "{reductions:?}"),
            ObjectVerdict::Violation { operation, states } => {
                prop_assert!(!expected, "{reductions:?}");
                // A model that looks ahead keeps what the reads to come left, which is no answer.
                prop_assert_eq!(states.is_empty(), M::LOOKS_AHEAD);
                let end = operations[operation].returned;
                let until = |with| has_order(init, &history_until(operations, end, with), successors);
                prop_assert!(until(false) && !until(true), "{reductions:?}: not {operation}");
            }
            other => panic!("{other:?}"),
        }
    }
    Ok(())
}

/// Operations at any times up to `span`, from calls with results.
fn at_times<M: Model>(
    call: impl Strategy<Value = (M::Op, Option<M::Ret>)>,
    length: usize,
    span: u64,
) -> impl Strategy<Value = Vec<Operation<M>>> {
    prop::collection::vec((call, 0..span, 0..span), 1..length).prop_map(|calls| {
        let mut operations = Vec::new();
        for (process, ((op, ret), one, other)) in calls.into_iter().enumerate() {
            operations.push(Operation {
                process: process as u64,
                node: None,
                op,
                ret,
                invoked: one.min(other),
                returned: one.max(other),
            });
        }
        operations
    })
}

/// Histories that a real object could have had, but for one result in a few of them: each operation takes effect somewhere between
/// its invocation and its return. (Random results are illegal at once.)
fn nearly_legal<M: Model>(
    init: M,
    op: impl Strategy<Value = M::Op>,
    length: usize,
    break_one: fn(&M::Op, &M::Ret) -> Option<M::Ret>,
) -> impl Strategy<Value = Vec<Operation<M>>> {
    let calls = prop::collection::vec((op, 0..40_u64, 0..8_u64, 0..8_u64, 0..10_u8), 1..length);
    (calls, any::<bool>(), any::<prop::sample::Index>()).prop_map(move |(mut calls, breaks, which)| {
        calls.sort_by_key(|(_, instant, ..)| *instant);
        let mut state = init.clone();
        let mut operations = Vec::new();
        for (process, (op, instant, before, after, lost)) in calls.into_iter().enumerate() {
            let ret = if lost == 0 { None } else { Some(state.invoke(&op)) };
            operations.push(Operation {
                process: process as u64,
                node: None,
                op,
                ret,
                invoked: (instant + 8) - before,
                returned: instant + 8 + after,
            });
        }
        let broken = which.index(operations.len());
        let operation = &mut operations[broken];
        if let Some(ret) = operation.ret.as_ref().filter(|_| breaks) {
            operation.ret = break_one(&operation.op, ret).or(operation.ret.clone());
        }
        operations
    })
}

fn kv_op() -> impl Strategy<Value = KvOp> {
    prop_oneof![
        4 => Just(KvOp::Get),
        1 => "[ab]{1,2}".prop_map(|text| KvOp::put(&text)),
        3 => "[ab]{1,2}".prop_map(|text| KvOp::append(&text)),
    ]
}

/// Two characters of what was read change their places, or one is added.
fn break_text(_: &KvOp, ret: &KvRet) -> Option<KvRet> {
    let KvRet::Value(whole) = ret else { return None };
    let mut text = whole.as_str().to_owned().into_bytes();
    let len = text.len();
    if len > 1 && text[len - 1] != text[len - 2] {
        text.swap(len - 1, len - 2);
    } else {
        text.push(b'a');
    }
    Some(KvRet::value(&String::from_utf8(text).unwrap()))
}

fn break_register(_: &RegisterOp, ret: &RegisterRet) -> Option<RegisterRet> {
    match ret {
        RegisterRet::Value(value) => Some(RegisterRet::Value(Some(value.map_or(0, |value| (value + 1) % 3)))),
        RegisterRet::Swapped(swapped) => Some(RegisterRet::Swapped(!swapped)),
        RegisterRet::Written => None,
    }
}

fn register_op() -> impl Strategy<Value = RegisterOp> {
    prop_oneof![
        2 => Just(RegisterOp::Read),
        2 => (0..3_u64).prop_map(RegisterOp::Write),
        1 => (prop::option::weighted(0.9, 0..3_u64), 0..3_u64).prop_map(|(old, new)| RegisterOp::Cas(old, new)),
    ]
}

fn set_call() -> impl Strategy<Value = (SetOp, Option<SetRet>)> {
    let answer = || prop::option::weighted(0.8, any::<bool>().prop_map(SetRet::Was));
    let elements = prop::collection::btree_set(0..3_u64, 0..3);
    prop_oneof![
        5 => (0..3_u64, answer()).prop_map(|(element, ret)| (SetOp::Add(element), ret)),
        5 => (0..3_u64, answer()).prop_map(|(element, ret)| (SetOp::Remove(element), ret)),
        5 => (0..3_u64, any::<bool>()).prop_map(|(element, was)| (SetOp::Contains(element), Some(SetRet::Was(was)))),
        1 => elements.prop_map(|elements| (SetOp::Read, Some(SetRet::Elements(elements)))),
    ]
}

/// Things without order, of which a take gives any; the outcome of one that nobody saw is open.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Bag(BTreeSet<u8>);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum BagOp {
    Put(u8),
    Take,
}

impl SequentialSpec for Bag {
    type Op = BagOp;
    type Ret = Option<u8>;

    fn invoke(&mut self, op: &BagOp) -> Option<u8> {
        match op {
            BagOp::Put(item) => {
                self.0.insert(*item);
                None
            }
            BagOp::Take => self.0.pop_first(),
        }
    }
}

impl Model for Bag {
    fn steps(&self, op: &BagOp, ret: Option<&Option<u8>>, next: &mut Vec<Self>) {
        next.extend(bag_successors(self, op, ret));
    }
}

fn bag_successors(state: &Bag, op: &BagOp, ret: Option<&Option<u8>>) -> Vec<Bag> {
    let without = |item: &u8| {
        let mut next = state.clone();
        next.0.remove(item);
        next
    };
    match (op, ret) {
        (BagOp::Put(item), _) => {
            let mut next = state.clone();
            next.0.insert(*item);
            vec![next]
        }
        (BagOp::Take, Some(Some(item))) => state.0.get(item).map(without).into_iter().collect(),
        (BagOp::Take, Some(None)) => state.0.is_empty().then(|| state.clone()).into_iter().collect(),
        (BagOp::Take, None) if state.0.is_empty() => vec![state.clone()],
        (BagOp::Take, None) => state.0.iter().map(without).collect(),
    }
}

fn bag_call() -> impl Strategy<Value = (BagOp, Option<Option<u8>>)> {
    prop_oneof![
        (0..3_u8).prop_map(|item| (BagOp::Put(item), Some(None))),
        prop::option::weighted(0.6, prop::option::weighted(0.8, 0..3_u8)).prop_map(|ret| (BagOp::Take, ret)),
    ]
}

fn stateright_register_call() -> impl Strategy<
    Value = (
        Exact<register::RegisterOp<u8>>,
        Option<Exact<register::RegisterRet<u8>>>,
    ),
> {
    use register::{RegisterOp, RegisterRet};
    prop_oneof![
        (0..3_u8).prop_map(|value| (Exact(RegisterOp::Read), Some(Exact(RegisterRet::ReadOk(value))))),
        (0..3_u8, any::<bool>()).prop_map(|(value, seen)| {
            (
                Exact(RegisterOp::Write(value)),
                seen.then_some(Exact(RegisterRet::WriteOk)),
            )
        }),
    ]
}

fn vector_call() -> impl Strategy<Value = (Exact<VecOp<u8>>, Option<Exact<VecRet<u8>>>)> {
    prop_oneof![
        (0..2_u8, any::<bool>())
            .prop_map(|(item, seen)| (Exact(VecOp::Push(item)), seen.then_some(Exact(VecRet::PushOk)))),
        prop::option::weighted(0.8, 0..2_u8)
            .prop_map(|item| (Exact(VecOp::Pop), Some(Exact(VecRet::PopOk(item))))),
        (0..3_usize).prop_map(|len| (Exact(VecOp::Len), Some(Exact(VecRet::LenOk(len))))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn texts_that_grow_are_judged_as_by_trying_all_orders(
        operations in nearly_legal(KvAppend::default(), kv_op(), 9, break_text)
    ) {
        holds(&KvAppend::default(), &operations, successors)?;
    }

    #[test]
    fn registers_that_nearly_worked_are_judged_as_by_trying_all_orders(
        operations in nearly_legal(CasRegister::default(), register_op(), 9, break_register)
    ) {
        holds(&CasRegister::default(), &operations, successors)?;
    }

    #[test]
    fn sets_are_judged_alike_in_parts_and_as_wholes(operations in at_times::<Set>(set_call(), 8, 14)) {
        holds(&Set(BTreeSet::from([1])), &operations, successors)?;
    }

    #[test]
    fn an_open_outcome_is_any_of_several(operations in at_times::<Bag>(bag_call(), 8, 14)) {
        holds(&Bag::default(), &operations, bag_successors)?;
    }

    #[test]
    fn staterights_register_is_adopted(
        operations in at_times::<Register<u8>>(stateright_register_call(), 8, 14)
    ) {
        holds(&Register(register::Register(0)), &operations, successors)?;
    }

    #[test]
    fn staterights_vector_is_adopted(operations in at_times::<Vector<u8>>(vector_call(), 8, 14)) {
        holds(&Vector::default(), &operations, successors)?;
    }
}
