//! Each classic anomaly beside the legal history that is nearest to it.

#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "a test names the one outcome that it expects"
)]

use checker::models::{
    CasRegister,
    RegisterOp::{self, Cas, Read, Write},
    RegisterRet::{self, Swapped, Value, Written},
};
use checker::{
    EngineChoice, Limits, ObjectVerdict, ObjectsVerdict, Operation, Refused, check_object, check_objects,
    explain,
};

type Op = Operation<CasRegister>;

fn op(op: RegisterOp, ret: Option<RegisterRet>, invoked: u64, returned: u64) -> Op {
    Operation {
        process: invoked,
        node: None,
        op,
        ret,
        invoked,
        returned,
    }
}

fn ok(op_: RegisterOp, ret: RegisterRet, invoked: u64, returned: u64) -> Op {
    op(op_, Some(ret), invoked, returned)
}

fn lost(op_: RegisterOp, invoked: u64) -> Op {
    op(op_, None, invoked, invoked)
}

fn verdict(operations: &[Op]) -> ObjectVerdict<CasRegister> {
    check_object(&CasRegister::default(), operations, Limits::default())
}

fn assert_legal(operations: &[Op]) {
    assert_eq!(verdict(operations), ObjectVerdict::Valid);
}

/// `rejected` is the operation that no order explains.
fn assert_illegal(operations: &[Op], rejected: usize) {
    match verdict(operations) {
        ObjectVerdict::Violation { operation, .. } => assert_eq!(operation, rejected),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_read_may_miss_a_write_that_overlaps_it_and_no_other() {
    assert_legal(&[ok(Write(1), Written, 0, 10), ok(Read, Value(None), 10, 20)]);
    assert_illegal(&[ok(Write(1), Written, 0, 10), ok(Read, Value(None), 11, 20)], 1);
}

#[test]
fn a_value_that_was_read_stays_read() {
    let write = ok(Write(1), Written, 0, 100);
    assert_legal(&[
        write.clone(),
        ok(Read, Value(None), 10, 20),
        ok(Read, Value(Some(1)), 30, 40),
    ]);
    assert_illegal(
        &[
            write,
            ok(Read, Value(Some(1)), 10, 20),
            ok(Read, Value(None), 30, 40),
        ],
        2,
    );
}

#[test]
fn a_value_that_nobody_wrote_is_never_read() {
    assert_illegal(
        &[ok(Write(1), Written, 0, 10), ok(Read, Value(Some(2)), 0, 20)],
        1,
    );
}

#[test]
fn an_acknowledged_write_is_not_lost() {
    let write = |value, from, to| ok(Write(value), Written, from, to);
    assert_legal(&[
        write(1, 0, 30),
        write(2, 10, 20),
        ok(Read, Value(Some(1)), 40, 50),
    ]);
    assert_illegal(
        &[write(1, 0, 5), write(2, 10, 20), ok(Read, Value(Some(1)), 40, 50)],
        2,
    );
}

#[test]
fn two_compare_and_sets_from_one_value_cannot_both_win() {
    let cas = |new, swapped| ok(Cas(Some(1), new), Swapped(swapped), 20, 30);
    let write = ok(Write(1), Written, 0, 10);
    assert_legal(&[write.clone(), cas(2, true), cas(3, false)]);
    assert!(matches!(
        verdict(&[write, cas(2, true), cas(3, true)]),
        ObjectVerdict::Violation { .. }
    ));
}

#[test]
fn a_failed_compare_and_set_says_what_the_value_was_not() {
    let write = ok(Write(1), Written, 0, 10);
    assert_legal(&[write.clone(), ok(Cas(Some(2), 3), Swapped(false), 20, 30)]);
    assert_illegal(&[write, ok(Cas(Some(1), 3), Swapped(false), 20, 30)], 1);
}

#[test]
fn a_write_whose_outcome_nobody_learned_may_come_late_or_never_but_once() {
    let crashed = lost(Write(1), 0);
    let read = |value, from| ok(Read, Value(value), from, from + 5);
    assert_legal(&[crashed.clone(), read(None, 10)]);
    assert_legal(&[crashed.clone(), read(None, 10), read(Some(1), 20)]);
    assert_illegal(&[crashed.clone(), read(Some(1), 10), read(None, 20)], 2);
    let other = ok(Write(2), Written, 20, 25);
    assert_legal(&[
        crashed.clone(),
        read(Some(1), 10),
        other.clone(),
        read(Some(2), 30),
    ]);
    assert_illegal(
        &[
            crashed,
            read(Some(1), 10),
            other,
            read(Some(2), 30),
            read(Some(1), 40),
        ],
        4,
    );
}

#[test]
fn more_than_64_operations_may_be_open_at_once() {
    for open in [63, 64, 65, 130, 300] {
        let mut operations: Vec<Op> = (0..open).map(|value| lost(Write(value), 0)).collect();
        operations.push(ok(Read, Value(Some(open - 1)), 10, 20));
        operations.push(ok(Read, Value(Some(0)), 30, 40));
        assert_legal(&operations);
        operations.push(ok(Read, Value(Some(open)), 50, 60));
        assert_illegal(&operations, operations.len() - 1);
    }
}

#[test]
fn what_does_not_fit_the_limits_is_unknown_with_the_reason() {
    let general = Limits {
        engine: EngineChoice::General,
        ..Limits::default()
    };
    let check = |operations: &[Op], limits| check_object(&CasRegister::default(), operations, limits);
    let returning = |value| ok(Write(value), Written, 0, 1);
    let wide: Vec<Op> = (0..1024).map(returning).collect();
    assert_eq!(check(&wide, general), ObjectVerdict::Valid);
    let too_wide: Vec<Op> = (0..1025).map(returning).collect();
    assert_eq!(check(&too_wide, general), ObjectVerdict::Unknown(Refused::Width));
    // What was lost takes no room.
    let mut many: Vec<Op> = (0..10_000).map(|value| lost(Write(value), 0)).collect();
    for value in [7, 9999, 7] {
        let at = 10 * many.len() as u64;
        many.push(ok(Read, Value(Some(value)), at, at + 1));
        let is_last = many.len() == 10_003;
        match check(&many, general) {
            ObjectVerdict::Valid => assert!(!is_last),
            verdict => assert!(
                is_last
                    && matches!(
                        verdict,
                        ObjectVerdict::Violation {
                            operation: 10_002,
                            ..
                        }
                    )
            ),
        }
    }

    // Twenty crashed writes of different values, and reads that find each in turn: many configurations.
    let mut hard: Vec<Op> = (0..20).map(|value| lost(Write(value), 0)).collect();
    hard.extend((0..40).map(|turn| ok(Write(100 + turn), Written, 1, 1000)));
    hard.push(ok(Read, Value(Some(5)), 2, 3));
    hard.push(ok(Read, Value(Some(999)), 4, 5));
    let little = Limits {
        bytes_max: 1 << 12,
        ..general
    };
    assert_eq!(
        check(&hard, little),
        ObjectVerdict::Unknown(Refused::Memory { bytes_max: 1 << 12 })
    );
    let stopped = Limits {
        should_stop: &|| true,
        ..Limits::default()
    };
    assert_eq!(check(&hard, stopped), ObjectVerdict::Unknown(Refused::Stopped));
}

#[test]
fn of_several_violations_the_first_in_time_is_reported_and_of_those_the_first_object() {
    let bad = |at| vec![ok(Read, Value(Some(9)), at, at + 1)];
    let (early, late, also_early) = (bad(10), bad(20), bad(10));
    let objects = [late.as_slice(), early.as_slice(), also_early.as_slice()];
    for _ in 0..20 {
        match check_objects(&CasRegister::default(), &objects, Limits::default()) {
            ObjectsVerdict::Violation { object, .. } => assert_eq!(object, 1),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn an_explanation_names_the_operation_what_it_should_have_found_and_the_core() {
    let mut operations: Vec<Op> = (0..50)
        .map(|turn| ok(Write(turn), Written, turn * 10, turn * 10 + 5))
        .collect();
    operations.push(ok(Read, Value(Some(20)), 600, 700));
    let limits = Limits::default();
    let ObjectVerdict::Violation { operation, states } = verdict(&operations) else {
        panic!("it is a violation")
    };
    let explanation = explain(
        &CasRegister::default(),
        "register 3",
        &operations,
        operation,
        &states,
        &[],
        limits,
    );
    assert_eq!(explanation.states, ["49"]);
    assert_eq!(explanation.core_operations, 3);
    assert!(
        explanation.text.starts_with("register 3 is not linearizable.\n"),
        "{}",
        explanation.text
    );
    assert!(
        explanation.text.contains("read returned 20"),
        "{}",
        explanation.text
    );
    assert!(
        explanation.text.contains("could only have been 49."),
        "{}",
        explanation.text
    );
}

#[test]
fn a_core_that_was_not_shrunk_to_its_end_is_not_called_the_smallest() {
    let history = [
        ok(Write(1), Written, 0, 10),
        ok(Read, Value(Some(1)), 20, 30),
        ok(Read, Value(None), 40, 50),
    ];
    let stopped = Limits {
        should_stop: &|| true,
        ..Limits::default()
    };
    let init = CasRegister::default();
    let text = |limits| {
        explain(
            &init,
            "register 0",
            &history,
            2,
            &[CasRegister(Some(1))],
            &[],
            limits,
        )
        .text
    };
    assert!(text(Limits::default()).contains("The smallest core, 2 of the 3 operations there"));
    let stopped = text(stopped);
    assert!(stopped.contains("A core, 3 of the 3 operations there") && !stopped.contains("without any one"));
}
