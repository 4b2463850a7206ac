//! What is shown of a violation: the picture, and the longest prefixes that have an order.
#![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

use checker::models::{CasRegister, RegisterOp, RegisterRet};
use checker::{
    CheckOptions, Explanation, Limits, Log, Model as _, ObjectVerdict, Operation, Report, check_log,
    check_object, explain,
};
use std::fmt::Write as _;

type Op = Operation<CasRegister>;

fn operation(
    process: u64,
    op: RegisterOp<u64>,
    ret: Option<RegisterRet<u64>>,
    invoked: u64,
    returned: u64,
) -> Op {
    Operation {
        process,
        node: None,
        op,
        ret,
        invoked,
        returned,
    }
}

fn write(process: u64, value: u64, invoked: u64, returned: u64) -> Op {
    operation(
        process,
        RegisterOp::Write(value),
        Some(RegisterRet::Written),
        invoked,
        returned,
    )
}

fn read(process: u64, value: u64, invoked: u64, returned: u64) -> Op {
    operation(
        process,
        RegisterOp::Read,
        Some(RegisterRet::Value(Some(value))),
        invoked,
        returned,
    )
}

fn explained(operations: &[Op]) -> Option<Explanation> {
    let init = CasRegister::default();
    match check_object(&init, operations, Limits::default()) {
        ObjectVerdict::Violation { operation, states } => Some(explain(
            &init,
            "register x",
            operations,
            operation,
            &states,
            &[],
            Limits::default(),
        )),
        ObjectVerdict::Valid => None,
        other @ (ObjectVerdict::Unknown(_) | ObjectVerdict::Superseded) => panic!("{other:?}"),
    }
}

/// A write that was overwritten is read, beside a write whose outcome nobody learned.
fn stale() -> Vec<Op> {
    vec![
        write(0, 1, 0, 10),
        write(1, 2, 20, 40),
        operation(3, RegisterOp::Write(7), None, 25, u64::MAX),
        read(2, 1, 30, 50),
        read(0, 2, 60, 70),
        read(2, 1, 80, 90),
    ]
}

fn failed_cas(process: u64, expected: u64, invoked: u64, returned: u64) -> Op {
    operation(
        process,
        RegisterOp::Cas(Some(expected), 99),
        Some(RegisterRet::Swapped(false)),
        invoked,
        returned,
    )
}

#[test]
fn a_core_blames_no_failed_swap_whose_reason_it_leaves_out() {
    // The swap fails because of the write of 10; what is wrong is the read.
    let history = [
        write(0, 8, 0, 10),
        write(0, 9, 20, 30),
        write(1, 10, 40, 50),
        failed_cas(0, 9, 60, 70),
        read(2, 9, 80, 90),
    ];
    let core = explained(&history).unwrap().core;
    assert_eq!(core, [1, 2, 4]);
}

#[test]
fn a_failed_swap_that_nobody_gave_a_reason_for_is_the_core() {
    // The write of 8 is over before that of 9 begins.
    let history = [write(0, 8, 0, 10), write(0, 9, 20, 30), failed_cas(1, 9, 60, 70)];
    let core = explained(&history).unwrap().core;
    assert_eq!(core, [1, 2]);
}

#[test]
fn a_picture_has_a_lane_for_each_process_and_marks_the_culprit() {
    let explanation = explained(&stale()).unwrap();
    let expected = concat!(
        "    0 ├ write 1: ok ┤\n",
        "    1                 ├ write 2: ok ┤\n",
        "    2                                 ├ ✗ read: 1 ┤\n",
        "    ✗ no order explains it\n",
    );
    assert_eq!(explanation.picture, expected, "{}", explanation.picture);
    assert!(explanation.text.contains(expected));
    assert_eq!(
        (explanation.culprit, &explanation.core[..]),
        (Some(5), &[0, 1, 5][..])
    );
}

/// The longest sequence of operations that some order explains up to the first return that it lacks.
fn longest(operations: &[Op], until: u64) -> usize {
    fn go(operations: &[Op], taken: &mut Vec<usize>, state: &CasRegister, until: u64) -> usize {
        let mut best = taken.len();
        for place in 0..operations.len() {
            let candidate = &operations[place];
            let is_blocked = operations.iter().enumerate().any(|(other, operation)| {
                !taken.contains(&other) && operation.ret.is_some() && operation.returned < candidate.invoked
            });
            if taken.contains(&place) || is_blocked || candidate.invoked > until {
                continue;
            }
            let mut next = Vec::new();
            state.steps(&candidate.op, candidate.ret.as_ref(), &mut next);
            for state in next {
                taken.push(place);
                best = best.max(go(operations, taken, &state, until));
                taken.pop();
            }
        }
        best
    }
    go(operations, &mut Vec::new(), &CasRegister::default(), until)
}

fn is_an_order(operations: &[Op], order: &[usize]) -> bool {
    let mut state = CasRegister::default();
    order.iter().enumerate().all(|(rank, place)| {
        let operation = &operations[*place];
        let is_in_time = (0..operations.len())
            .filter(|other| !order[..rank].contains(other))
            .all(|other| operations[other].ret.is_none() || operations[other].returned >= operation.invoked);
        let mut next = Vec::new();
        state.steps(&operation.op, operation.ret.as_ref(), &mut next);
        let Some(after) = next.into_iter().next() else {
            return false;
        };
        state = after;
        is_in_time
    })
}

#[test]
fn prefixes_are_orders_and_none_is_longer() {
    // Knuth's MMIX generator: what matters is that it is always the same.
    let mut state = 11_u64;
    let mut below = |bound: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % bound
    };
    let mut violations = 0;
    for _ in 0..3000 {
        let operations: Vec<Op> = (0..6)
            .map(|process| {
                let (invoked, value) = (below(12), below(3));
                let returned = invoked + below(6);
                match below(5) {
                    0 => operation(process, RegisterOp::Write(value), None, invoked, u64::MAX),
                    1 | 2 => write(process, value, invoked, returned),
                    _ => read(process, value, invoked, returned),
                }
            })
            .collect();
        let Some(explanation) = explained(&operations) else {
            continue;
        };
        violations += 1;
        let until = explanation.time;
        let best = longest(&operations, until);
        assert_eq!(
            explanation.prefixes.first().map_or(0, Vec::len),
            best,
            "{operations:#?}"
        );
        for order in &explanation.prefixes {
            assert_eq!(order.len(), best);
            assert!(is_an_order(&operations, order), "{order:?} {operations:#?}");
        }
    }
    assert!(violations > 1000, "{violations}");
}

#[test]
fn a_violation_late_in_a_long_history_is_shrunk_and_ordered() {
    let mut operations = Vec::new();
    for number in 0..20_000_u64 {
        let time = number * 10;
        operations.push(write(number % 5, number, time, time + 12));
    }
    operations.push(read(7, 19_000, 300_000, 300_010));
    let explanation = explained(&operations).unwrap();
    assert_eq!(explanation.core_operations, 3, "{}", explanation.text);
    assert_eq!(explanation.prefixes[0].len(), 20_000);
}

/// Keys 0 to 2; 0 and 2 are read stale, 2 before 0.
fn of_three_keys() -> Log {
    let mut history = String::from("{\"rustyraft-history\":1,\"workload\":\"register\"}\n");
    let calls = [
        ("write", 0, "1"),
        ("write", 1, "1"),
        ("write", 2, "1"),
        ("read", 2, "null"),
        ("read", 0, "null"),
        ("read", 1, "1"),
    ];
    for (time, (f, key, value)) in calls.into_iter().enumerate() {
        let (argument, result) = if f == "read" {
            ("null", value)
        } else {
            (value, "null")
        };
        for (kind, value) in [("invoke", argument), ("ok", result)] {
            let _ = writeln!(
                history,
                "{{\"time\":{time},\"process\":0,\"type\":\"{kind}\",\"f\":\"{f}\",\"key\":{key},\"value\":{value}}}"
            );
        }
    }
    Log::read(history.as_bytes()).unwrap()
}

fn report(all: bool, should_stop: &(dyn Fn() -> bool + Sync)) -> Report {
    let limits = Limits {
        should_stop,
        ..Limits::default()
    };
    let options = CheckOptions {
        all,
        limits,
        ..CheckOptions::default()
    };
    check_log(&of_three_keys(), &options).unwrap()
}

#[test]
fn the_first_violation_is_reported_or_all_of_them_in_the_order_of_their_times() {
    let objects = |report: &Report| -> Vec<String> {
        let violations = report.violations();
        violations.map(|violation| violation.object.clone()).collect()
    };
    let first = report(false, &|| false);
    assert_eq!(objects(&first), ["cas-register 2"]);
    assert_eq!((first.further.len(), first.unexplained), (0, 0));
    let all = report(true, &|| false);
    assert_eq!(objects(&all), ["cas-register 2", "cas-register 0"]);
    assert_eq!((all.verdict == first.verdict, all.unexplained), (true, 0));
}

fn swap(process: u64, old: u64, new: u64, invoked: u64, returned: u64) -> Op {
    operation(
        process,
        RegisterOp::Cas(Some(old), new),
        Some(RegisterRet::Swapped(true)),
        invoked,
        returned,
    )
}

#[test]
fn operations_do_not_account_for_what_they_saw_themselves_nor_for_each_other() {
    // Before the stale read: a swap of a value for itself, and two that swap two values to and fro.
    let history = [
        write(0, 4, 0, 10),
        swap(1, 4, 4, 20, 30),
        swap(1, 4, 5, 40, 50),
        swap(1, 5, 4, 60, 70),
        swap(1, 4, 6, 80, 90),
        write(0, 7, 100, 110),
        read(2, 6, 120, 130),
    ];
    let explanation = explained(&history).unwrap();
    assert_eq!(explanation.core, [0, 4, 5, 6], "{}", explanation.text);
    // What nobody wrote is a core on its own.
    let history = [write(0, 4, 0, 10), swap(1, 9, 9, 20, 30), read(2, 9, 40, 50)];
    let explanation = explained(&history).unwrap();
    assert_eq!(explanation.core, [1], "{}", explanation.text);
}

#[test]
fn the_core_is_about_the_operation_that_is_named() {
    // The read at the end is stale. Without the write of 1 that it sees, the read before it would be.
    let history = [
        write(0, 1, 0, 10),
        write(0, 2, 20, 30),
        write(0, 1, 40, 50),
        read(1, 1, 60, 70),
        write(0, 3, 80, 90),
        read(2, 1, 100, 110),
    ];
    let explanation = explained(&history).unwrap();
    assert_eq!(explanation.culprit, Some(5));
    assert!(explanation.core.contains(&5), "{}", explanation.text);
    assert!(!explanation.core.contains(&3), "{}", explanation.text);
}

#[test]
fn values_of_any_length_are_cut_where_they_are_shown() {
    let long = "x".repeat(100_000);
    let mut history = String::from("{\"rustyraft-history\":1,\"workload\":\"register\"}\n");
    for (time, f, argument, result) in [(1, "write", "y", "null"), (3, "read", "null", "z")] {
        for (time, kind, value) in [(time, "invoke", argument), (time + 1, "ok", result)] {
            let value = match value {
                "null" => String::from("null"),
                other => format!("\"{long}{other}\""),
            };
            let _ = writeln!(
                history,
                "{{\"time\":{time},\"process\":0,\"type\":\"{kind}\",\"f\":\"{f}\",\"key\":\"{long}\",\"value\":{value}}}"
            );
        }
    }
    let log = Log::read(history.as_bytes()).unwrap();
    let report = check_log(&log, &CheckOptions::default()).unwrap();
    let explanation = report.violations().next().unwrap();
    assert!(explanation.text.len() < 4000, "{} bytes", explanation.text.len());
    assert!(
        explanation.operation.contains("xz\""),
        "{}",
        explanation.operation
    );
    assert!(explanation.states[0].contains("xy\""), "{:?}", explanation.states);
}
