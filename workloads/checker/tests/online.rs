//! The engine beside a live test finds what it finds afterwards, prefix by prefix; and both stop at their limits.

#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "a test names the one outcome that it expects"
)]

use checker::models::stateright::{Exact, Vector};
use checker::models::{CasRegister, RegisterOp, RegisterRet};
use checker::{
    Event, Limits, ObjectVerdict, Online, OnlineVerdict, Operation, Refused, SequentialSpec, check_object,
};
use proptest::prelude::*;
use stateright::semantics::vec::{VecOp, VecRet};
use std::sync::atomic::{AtomicU64, Ordering};

type Op = Operation<CasRegister>;

/// Steps of clients: each invokes, has its operation take effect, and ends it in one of three ways. `lies` makes one in a few
/// returns wrong.
fn events(steps: &[(usize, RegisterOp, u8)], lies: bool) -> Vec<Event<CasRegister>> {
    #[derive(Clone)]
    enum Phase {
        Idle,
        Invoked(u64, RegisterOp),
        Done(u64, RegisterRet),
    }
    let mut register = CasRegister::default();
    let mut clients = vec![Phase::Idle; 5];
    let mut events = Vec::new();
    for (next, (client, op, chance)) in steps.iter().enumerate() {
        let phase = &mut clients[*client];
        *phase = match phase.clone() {
            Phase::Idle => {
                events.push(Event::Invoke(next as u64, *op));
                Phase::Invoked(next as u64, *op)
            }
            Phase::Invoked(number, _) if *chance == 0 => {
                events.push(Event::Fail(number));
                Phase::Idle
            }
            Phase::Invoked(number, _) if *chance == 1 => {
                events.push(Event::GiveUp(number));
                Phase::Idle
            }
            Phase::Invoked(number, op) => Phase::Done(number, register.invoke(&op)),
            Phase::Done(number, _) if *chance == 1 => {
                events.push(Event::GiveUp(number));
                Phase::Idle
            }
            Phase::Done(number, RegisterRet::Value(_)) if lies && *chance == 2 => {
                events.push(Event::Return(number, RegisterRet::Value(Some(2))));
                Phase::Idle
            }
            Phase::Done(number, ret) => {
                events.push(Event::Return(number, ret));
                Phase::Idle
            }
        };
    }
    events
}

/// The same as a history, with the operations' numbers for their processes.
fn operations(events: &[Event<CasRegister>]) -> Vec<Op> {
    let mut operations: Vec<Op> = Vec::new();
    for (time, event) in events.iter().enumerate() {
        let place = |number: &u64| {
            let mut all = operations.iter();
            all.position(|operation| operation.process == *number)
                .expect("it was invoked")
        };
        match event {
            Event::Invoke(number, op) => operations.push(Operation {
                process: *number,
                node: None,
                op: *op,
                ret: None,
                invoked: time as u64,
                returned: u64::MAX,
            }),
            Event::Return(number, ret) => {
                let place = place(number);
                (operations[place].ret, operations[place].returned) = (Some(*ret), time as u64);
            }
            Event::Fail(number) => {
                let place = place(number);
                operations.remove(place);
            }
            Event::GiveUp(_) => {}
        }
    }
    operations
}

fn register_op() -> impl Strategy<Value = RegisterOp> {
    prop_oneof![
        3 => Just(RegisterOp::Read),
        2 => (0..3_u64).prop_map(RegisterOp::Write),
        1 => (prop::option::weighted(0.9, 0..3_u64), 0..3_u64).prop_map(|(old, new)| RegisterOp::Cas(old, new)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn each_prefix_has_the_verdict_that_it_has_afterwards(
        steps in prop::collection::vec((0..5_usize, register_op(), 0..8_u8), 1..60),
        lies in any::<bool>(),
    ) {
        let init = CasRegister::default();
        let events = events(&steps, lies);
        let mut watched = Online::new(init, Limits::default());
        let mut found = None;
        for (place, event) in events.iter().enumerate() {
            let violation = watched.push(event.clone());
            prop_assert!(violation.is_none() || found.is_none(), "a violation is told once");
            found = found.or(violation);

            let prefix = &events[..=place];
            let mut online = Online::new(init, Limits::default());
            for event in prefix {
                online.push(event.clone());
            }
            let online = online.finish();
            let operations = operations(prefix);
            match check_object(&init, &operations, Limits::default()) {
                ObjectVerdict::Valid => {
                    prop_assert_eq!(&online, &OnlineVerdict::Valid);
                    prop_assert!(found.is_none(), "{:?}", found);
                }
                ObjectVerdict::Violation { operation, mut states } => {
                    let OnlineVerdict::Violation(mut violation) = online else {
                        panic!("{online:?}");
                    };
                    states.sort_unstable();
                    violation.states.sort_unstable();
                    prop_assert_eq!(violation.operation, operations[operation].process);
                    prop_assert_eq!(&violation.states, &states);
                }
                other => panic!("{other:?}"),
            }
        }
        prop_assert!(!lies || found.is_none() || watched.finish() != OnlineVerdict::Valid);
    }
}

#[test]
fn a_violation_is_told_as_soon_as_what_was_invoked_before_is_over() {
    let mut online = Online::new(CasRegister::default(), Limits::default());
    let wrong = RegisterRet::Value(Some(9));
    assert!(online.push(Event::Invoke(1, RegisterOp::Write(1))).is_none());
    assert!(online.push(Event::Invoke(2, RegisterOp::Read)).is_none());
    assert!(online.push(Event::Return(2, wrong)).is_none(), "1 is still open");
    let violation = online.push(Event::GiveUp(1)).expect("nobody wrote 9");
    assert_eq!(violation.operation, 2);
    assert_eq!(online.finish(), OnlineVerdict::Violation(violation));
}

/// Pushes that are all open at once, of which every order is another state; then a pop that found something else.
fn hard(count: u8) -> Vec<Operation<Vector<u8>>> {
    let operation = |op, ret, invoked, returned| Operation::<Vector<u8>> {
        process: invoked,
        node: None,
        op: Exact(op),
        ret: Some(Exact(ret)),
        invoked,
        returned,
    };
    let push = |item: u8| {
        operation(
            VecOp::Push(item),
            VecRet::PushOk,
            u64::from(item),
            1000 + u64::from(item),
        )
    };
    let mut history: Vec<_> = (0..count).map(push).collect();
    history.push(operation(VecOp::Pop, VecRet::PopOk(Some(255)), 2000, 2001));
    history
}

#[test]
fn a_small_history_of_that_kind_is_a_violation() {
    let verdict = check_object(&Vector::default(), &hard(4), Limits::default());
    assert!(
        matches!(verdict, ObjectVerdict::Violation { operation: 4, .. }),
        "{verdict:?}"
    );
}

#[test]
fn a_check_that_is_told_to_stop_does_so_at_once() {
    let asked = AtomicU64::new(0);
    let limits = Limits {
        should_stop: &|| asked.fetch_add(1, Ordering::Relaxed) >= 5,
        ..Limits::default()
    };
    let verdict = check_object(&Vector::default(), &hard(20), limits);
    assert_eq!(verdict, ObjectVerdict::Unknown(Refused::Stopped));
    assert_eq!(asked.into_inner(), 6, "it is not asked again");
}

#[test]
fn a_check_that_would_take_more_memory_is_unknown() {
    let bytes_max = 4 << 20;
    let limits = Limits {
        bytes_max,
        ..Limits::default()
    };
    let verdict = check_object(&Vector::default(), &hard(20), limits);
    assert_eq!(verdict, ObjectVerdict::Unknown(Refused::Memory { bytes_max }));
}

#[test]
fn a_time_limit_is_kept_while_nothing_but_easy_returns_come() {
    let write = |time: u64| Operation::<CasRegister> {
        process: 0,
        node: None,
        op: RegisterOp::Cas(None, 0),
        ret: Some(RegisterRet::Swapped(time == 0)),
        invoked: 2 * time,
        returned: 2 * time + 1,
    };
    let history: Vec<Op> = (0..10_000).map(write).collect();
    let limits = Limits {
        should_stop: &|| true,
        ..Limits::default()
    };
    let verdict = check_object(&CasRegister::default(), &history, limits);
    assert_eq!(verdict, ObjectVerdict::Unknown(Refused::Stopped));
}

/// Clients that are all at an operation nearly always, and of which some never learn what became of theirs.
#[test]
fn many_crashed_operations_don_t_hide_that_there_is_an_order() {
    let mut random = 7_u64;
    let mut below = |bound: u64| {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % bound
    };
    let mut steps = Vec::new();
    for _ in 0..30_000 {
        let op = match below(4) {
            0 | 1 => RegisterOp::Read,
            2 => RegisterOp::Write(below(5)),
            _ => RegisterOp::Cas(Some(below(5)), below(5)),
        };
        let client = usize::try_from(below(5)).expect("it is small");
        // One in a few hundred is given up.
        let chance = if below(300) == 0 { 1 } else { 7 };
        steps.push((client, op, chance));
    }
    let mut operations = operations(&events(&steps, false));
    operations.retain(|operation| operation.ret.is_some() || operation.op != RegisterOp::Read);
    let crashed = operations
        .iter()
        .filter(|operation| operation.ret.is_none())
        .count();
    assert!(crashed > 20, "{crashed}");
    let looks = AtomicU64::new(0);
    let limits = Limits {
        should_stop: &|| looks.fetch_add(1, Ordering::Relaxed) > 5000,
        ..Limits::default()
    };
    let verdict = check_object(&CasRegister::default(), &operations, limits);
    assert_eq!(verdict, ObjectVerdict::Valid);
}
