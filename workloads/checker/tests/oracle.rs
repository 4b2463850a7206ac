//! The engine against two oracles, on thousands of small random histories: a search over all orders, and stateright's
//! `LinearizabilityTester`.

#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "a test names the one outcome that it expects"
)]

use checker::models::{CasRegister, RegisterOp, RegisterRet};
use checker::{
    EngineChoice, Limits, ObjectVerdict, Operation, Reductions, SequentialSpec, check_object, shrink,
};
use proptest::prelude::*;
use stateright::semantics::{ConsistencyTester, LinearizabilityTester};

type Op = Operation<CasRegister>;

/// Whether some order of the operations fits, by trying all of them.
fn has_order(state: CasRegister, left: &[Op]) -> bool {
    if left.iter().all(|operation| operation.ret.is_none()) {
        return true;
    }
    let first_return = left
        .iter()
        .filter(|operation| operation.ret.is_some())
        .map(|operation| operation.returned)
        .min();
    left.iter().enumerate().any(|(place, operation)| {
        if first_return.is_some_and(|first| operation.invoked > first) {
            return false;
        }
        let mut next = state;
        let legal = match &operation.ret {
            Some(ret) => next.is_valid_step(&operation.op, ret),
            None => {
                next.invoke(&operation.op);
                true
            }
        };
        let mut rest = left.to_vec();
        rest.remove(place);
        legal && has_order(next, &rest)
    })
}

fn check(operations: &[Op], reductions: Reductions) -> bool {
    let limits = Limits {
        engine: EngineChoice::General,
        reductions,
        ..Limits::default()
    };
    match check_object(&CasRegister::default(), operations, limits) {
        ObjectVerdict::Valid => true,
        ObjectVerdict::Violation { .. } => false,
        other => panic!("{other:?}"),
    }
}

/// A call with a result that it could have had on some register, or without one.
fn call() -> impl Strategy<Value = (RegisterOp, Option<RegisterRet>)> {
    let value = || prop::option::weighted(0.8, 0..3_u64);
    prop_oneof![
        value().prop_map(|value| (RegisterOp::Read, Some(RegisterRet::Value(value)))),
        (0..3_u64, any::<bool>())
            .prop_map(|(value, known)| (RegisterOp::Write(value), known.then_some(RegisterRet::Written))),
        (value(), 0..3_u64, prop::option::weighted(0.7, any::<bool>()))
            .prop_map(|(expected, new, ret)| (RegisterOp::Cas(expected, new), ret.map(RegisterRet::Swapped))),
    ]
}

fn operations(length: usize, span: u64) -> impl Strategy<Value = Vec<Op>> {
    prop::collection::vec((call(), 0..span, 0..span), 1..length).prop_map(|calls| {
        let operation =
            |(process, ((op, ret), one, other)): (usize, ((RegisterOp, _), u64, u64))| Operation {
                process: process as u64,
                node: None,
                op,
                ret,
                invoked: one.min(other),
                returned: one.max(other),
            };
        calls.into_iter().enumerate().map(operation).collect()
    })
}

/// Every way to switch reductions on and off.
fn all_reductions() -> impl Iterator<Item = Reductions> {
    (0..32).map(|mask| Reductions {
        greedy_reads: mask & 1 != 0,
        earliest_deadline_first: mask & 2 != 0,
        dominance: mask & 4 != 0,
        absorption: mask & 8 != 0,
        need: mask & 16 != 0,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn agrees_with_trying_all_orders_whatever_reductions_are_used(operations in operations(8, 14)) {
        let expected = has_order(CasRegister::default(), &operations);
        for reductions in all_reductions() {
            prop_assert_eq!(check(&operations, reductions), expected, "{:?}", reductions);
        }
    }

    #[test]
    fn agrees_with_statesrights_tester(operations in operations(8, 20)) {
        let mut events: Vec<(u64, bool, usize)> = Vec::new();
        for (place, operation) in operations.iter().enumerate() {
            events.push((operation.invoked, false, place));
            events.extend(operation.ret.is_some().then_some((operation.returned, true, place)));
        }
        events.sort_unstable();
        let mut tester = LinearizabilityTester::new(StaterightRegister(CasRegister::default()));
        for (_, is_return, place) in events {
            let operation = &operations[place];
            if is_return {
                tester.on_return(place, operation.ret.expect("only those that return have a return event")).unwrap();
            } else {
                tester.on_invoke(place, operation.op).unwrap();
            }
        }
        prop_assert_eq!(check(&operations, Reductions::default()), tester.is_consistent());
    }

    #[test]
    fn a_core_is_a_violation_and_smallest(operations in operations(12, 16)) {
        if check(&operations, Reductions::default()) {
            return Ok(());
        }
        let core = shrink(&CasRegister::default(), &operations, Limits::default());
        prop_assert!(!has_order(CasRegister::default(), &core));
        for place in 0..core.len() {
            let mut smaller = core.clone();
            let taken = smaller.remove(place);
            let produced = match taken.op {
                RegisterOp::Write(value) | RegisterOp::Cas(_, value) => Some(value),
                RegisterOp::Read => None,
            };
            let observed_elsewhere = smaller.iter().any(|operation| match (operation.op, operation.ret) {
                (RegisterOp::Read, Some(RegisterRet::Value(value))) => value.is_some() && value == produced,
                (RegisterOp::Cas(expected, _), Some(RegisterRet::Swapped(true))) => expected.is_some() && expected == produced,
                // It may be the reason why another one did not match.
                (RegisterOp::Cas(expected, _), Some(RegisterRet::Swapped(false))) => expected.is_some() && produced.is_some() && expected != produced,
                (RegisterOp::Read | RegisterOp::Write(_) | RegisterOp::Cas(..), _) => false,
            });
            prop_assert!(observed_elsewhere || has_order(CasRegister::default(), &smaller), "{:?} is needless", taken);
        }
    }
}

/// The same register for stateright's tester, which wants nothing but a specification.
#[derive(Clone)]
struct StaterightRegister(CasRegister);

impl SequentialSpec for StaterightRegister {
    type Op = RegisterOp;
    type Ret = RegisterRet;

    fn invoke(&mut self, op: &RegisterOp) -> RegisterRet {
        self.0.invoke(op)
    }
}
