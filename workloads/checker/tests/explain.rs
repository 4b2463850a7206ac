//! What is shown of a violation: the picture, and the longest prefixes that have an order.
#![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

use checker::models::{
    CasRegister, ContainerOp, ContainerRet, FifoQueue, KvAppend, KvOp, KvRet, RegisterOp, RegisterRet, Set,
    SetOp, SetRet,
};
use checker::{
    CheckOptions, Explanation, Limits, Log, Model, ObjectVerdict, Operation, Report, check_log, check_object,
    explain,
};
use std::fmt::Write as _;

type Op = Operation<CasRegister>;

fn operation<M: Model>(
    process: u64,
    op: M::Op,
    ret: Option<M::Ret>,
    invoked: u64,
    returned: u64,
) -> Operation<M> {
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

/// Numbers below a bound, by Knuth's MMIX generator: what matters is that they are always the same.
fn numbers(mut state: u64) -> impl FnMut(u64) -> u64 {
    move |bound| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % bound
    }
}

#[test]
fn prefixes_are_orders_and_none_is_longer() {
    let mut below = numbers(11);
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

fn append(process: u64, text: &str, invoked: u64, returned: u64) -> Operation<KvAppend> {
    operation(process, KvOp::append(text), Some(KvRet::Done), invoked, returned)
}

fn get(process: u64, text: &str, invoked: u64, returned: u64) -> Operation<KvAppend> {
    operation(process, KvOp::Get, Some(KvRet::value(text)), invoked, returned)
}

/// The operation that is named, and what is said of it.
fn named<M: Model>(init: &M, operations: &[Operation<M>]) -> Option<(usize, Explanation)> {
    let limits = Limits::default();
    match check_object(init, operations, limits) {
        ObjectVerdict::Violation { operation, states } => {
            let explanation = explain(init, "x", operations, operation, &states, &[], limits);
            Some((operation, explanation))
        }
        ObjectVerdict::Valid => None,
        other @ (ObjectVerdict::Unknown(_) | ObjectVerdict::Superseded) => panic!("{other:?}"),
    }
}

#[test]
fn of_operations_one_after_the_other_the_one_real_state_is_named() {
    let history = [
        append(0, "a", 0, 1),
        append(0, "b", 2, 3),
        append(0, "c", 4, 5),
        get(0, "a", 6, 7),
        append(0, "d", 8, 9),
    ];
    let (operation, explanation) = named(&KvAppend::default(), &history).unwrap();
    assert_eq!((operation, explanation.states_are_all), (3, true));
    assert_eq!(explanation.states, ["\"abc\""]);
}

#[test]
fn the_object_could_have_been_what_it_was_at_any_time_while_the_operation_was_open() {
    // While the read is open another write comes and goes.
    let history = [write(0, 0, 0, 10), read(2, 3, 20, 50), write(1, 5, 30, 40)];
    let explanation = explained(&history).unwrap();
    assert_eq!(
        (&explanation.states[..], explanation.states_are_all),
        (&[String::from("0"), String::from("5")][..], true)
    );
    assert!(
        explanation.text.contains("could only have been 0 or 5."),
        "{}",
        explanation.text
    );
    // One whose outcome nobody learned may have taken effect.
    let history = [
        write(0, 0, 0, 10),
        operation(1, RegisterOp::Write(5), None, 20, u64::MAX),
        read(2, 3, 30, 40),
    ];
    assert_eq!(explained(&history).unwrap().states, ["0", "5"]);
}

#[test]
fn of_a_set_whose_elements_are_judged_apart_the_part_is_named() {
    let set = |op, was, invoked| Operation::<Set> {
        process: 0,
        node: None,
        op,
        ret: Some(SetRet::Was(was)),
        invoked,
        returned: invoked + 1,
    };
    let history = [
        set(SetOp::Add(7), false, 0),
        set(SetOp::Add(8), false, 2),
        set(SetOp::Contains(8), false, 4),
    ];
    let (_, explanation) = named(&Set::default(), &history).unwrap();
    assert_eq!(explanation.states, ["{8}"]);
    let part = "the part of the value that it is about could only have been {8}.";
    assert!(explanation.text.contains(part), "{}", explanation.text);
}

/// Whether an operation was over before another one was invoked, or must be by `end`.
fn is_first<M: Model>(one: &Operation<M>, other: &Operation<M>) -> bool {
    one.ret.is_some() && one.returned < other.invoked
}

/// By brute force: the first return such that what was invoked by then has no order in which all that returned by then is.
fn first_rejected<M: Model>(init: &M, operations: &[Operation<M>]) -> Option<usize> {
    let mut returns: Vec<usize> = (0..operations.len())
        .filter(|place| operations[*place].ret.is_some())
        .collect();
    returns.sort_by_key(|place| (operations[*place].returned, *place));
    returns
        .into_iter()
        .find(|last| seen(init, operations, *last, true).is_empty())
}

/// By brute force: in which states the operation at `last` may have taken effect; `as_is`: returning what it did.
fn seen<M: Model>(init: &M, operations: &[Operation<M>], last: usize, as_is: bool) -> Vec<M> {
    struct Case<'a, M: Model> {
        operations: &'a [Operation<M>],
        last: usize,
        as_is: bool,
        found: Vec<M>,
        tried: Vec<(Vec<usize>, M, Option<M>)>,
    }
    fn go<M: Model>(case: &mut Case<'_, M>, taken: &mut Vec<usize>, state: &M, at: Option<&M>) {
        let mut key = taken.clone();
        key.sort_unstable();
        let tried = (key, state.clone(), at.cloned());
        if case.tried.contains(&tried) {
            return;
        }
        case.tried.push(tried);
        let end = (case.operations[case.last].returned, case.last);
        let must = |place: &usize| {
            let operation = &case.operations[*place];
            operation.ret.is_some() && (operation.returned, *place) <= end
        };
        let places = 0..case.operations.len();
        if places.clone().filter(must).all(|place| taken.contains(&place)) {
            let state = at.expect("the last one must have taken effect").clone();
            if !case.found.contains(&state) {
                case.found.push(state);
            }
        }
        for place in places.clone() {
            let operation = &case.operations[place];
            let mut others = places.clone().filter(|other| !taken.contains(other));
            if taken.contains(&place)
                || operation.invoked > end.0
                || others.any(|other| is_first(&case.operations[other], operation))
            {
                continue;
            }
            let is_last = place == case.last;
            let ret = operation.ret.as_ref().filter(|_| !is_last || case.as_is);
            let mut next = Vec::new();
            state.steps(&operation.op, ret, &mut next);
            for next in next {
                taken.push(place);
                go(case, taken, &next, if is_last { Some(state) } else { at });
                taken.pop();
            }
        }
    }
    let (found, tried) = (Vec::new(), Vec::new());
    let mut case = Case {
        operations,
        last,
        as_is,
        found,
        tried,
    };
    go(&mut case, &mut Vec::new(), init, None);
    case.found
}

/// Holds what is said of small histories against brute force; how many violations there were.
fn hold_against_brute_force<M: Model>(
    init: &M,
    seed: u64,
    make: impl Fn(&mut dyn FnMut(u64) -> u64) -> (M::Op, Option<M::Ret>),
) -> usize {
    let mut below = numbers(seed);
    let mut violations = 0;
    for _ in 0..1500 {
        let operations: Vec<Operation<M>> = (0..6)
            .map(|process| {
                let (invoked, (op, ret)) = (below(14), make(&mut below));
                Operation {
                    process,
                    node: None,
                    op,
                    ret,
                    invoked,
                    returned: invoked + below(7),
                }
            })
            .collect();
        let Some((operation, explanation)) = named(init, &operations) else {
            continue;
        };
        violations += 1;
        assert_eq!(
            Some(operation),
            first_rejected(init, &operations),
            "{operations:#?}"
        );
        let mut told: Vec<String> = explanation.states.clone();
        let states = seen(init, &operations, operation, false);
        let mut states: Vec<String> = states.iter().map(M::describe_state).collect();
        told.sort();
        states.sort();
        assert!(explanation.states_are_all, "{operations:#?}");
        assert_eq!(told, states, "{}{operations:#?}", explanation.text);
        // What is shown contains what is said, if the rest is in order.
        let mut others: Vec<Operation<M>> = operations.clone();
        let returned = operations[operation].returned;
        others.remove(operation);
        others.retain(|other| other.invoked <= returned);
        if check_object(init, &others, Limits::default()) == ObjectVerdict::Valid {
            assert!(
                explanation.core.contains(&operation),
                "{}{operations:#?}",
                explanation.text
            );
        }
    }
    violations
}

#[test]
fn what_is_said_of_small_histories_is_what_brute_force_finds() {
    let registers = hold_against_brute_force(&CasRegister::default(), 3, |below| match below(6) {
        0 => (RegisterOp::Write(below(3)), None),
        1 | 2 => (RegisterOp::Write(below(3)), Some(RegisterRet::Written)),
        3 => {
            let ret = Some(RegisterRet::Swapped(below(2) == 0));
            (RegisterOp::Cas(Some(below(3)), below(3)), ret)
        }
        _ => (RegisterOp::Read, Some(RegisterRet::Value(Some(below(3))))),
    });
    let queues = hold_against_brute_force(&FifoQueue::default(), 5, |below| match below(6) {
        0 => (ContainerOp::Take, None),
        1..=3 => (ContainerOp::Put(below(3)), Some(ContainerRet::Done)),
        _ => {
            let taken = Some(below(4)).filter(|taken| *taken < 3);
            (ContainerOp::Take, Some(ContainerRet::Taken(taken)))
        }
    });
    let texts = hold_against_brute_force(&KvAppend::default(), 7, |below| {
        let letter = ["a", "b"][below(2) as usize];
        match below(8) {
            0 => (KvOp::append(letter), None),
            1 => (KvOp::put(letter), Some(KvRet::Done)),
            2..=4 => (KvOp::append(letter), Some(KvRet::Done)),
            _ => {
                let read = ["", "a", "b", "ab", "ba", "aa"][below(6) as usize];
                (KvOp::Get, Some(KvRet::value(read)))
            }
        }
    });
    assert!(
        [registers, queues, texts].iter().all(|count| *count > 300),
        "{registers} {queues} {texts}"
    );
}

#[test]
fn where_a_history_has_no_times_its_lines_are_named() {
    let history = "
{:process 0, :type :invoke, :f :write, :value 1}
{:process 0, :type :ok, :f :write, :value 1}
{:process 1, :type :invoke, :f :read, :value nil}
{:process 1, :type :ok, :f :read, :value 2}";
    let log = Log::read(history.as_bytes()).unwrap();
    let report = check_log(&log, &CheckOptions::default()).unwrap();
    let explanation = report.violations().next().unwrap();
    assert_eq!(explanation.operation, "Process 1: read returned 2, lines 4–5.");
    assert!(
        explanation.text.contains("process  line  to line"),
        "{}",
        explanation.text
    );
    assert!(
        !explanation.text.contains(" s\n") && !explanation.text.contains(" s "),
        "{}",
        explanation.text
    );
}

#[test]
fn of_equal_operations_that_return_at_once_the_first_in_the_history_returns_first() {
    let take = |process, invoked| Operation {
        process,
        node: None,
        op: ContainerOp::Take,
        ret: Some(ContainerRet::Taken(Some(1))),
        invoked,
        returned: 12,
    };
    let put = Operation {
        process: 3,
        node: None,
        op: ContainerOp::Put(1),
        ret: Some(ContainerRet::Done),
        invoked: 1,
        returned: 9,
    };
    // The second take is invoked when the put's slot is free.
    let history = [put, take(0, 5), take(3, 11)];
    let (operation, explanation) = named(&FifoQueue::default(), &history).unwrap();
    assert_eq!(
        (operation, &explanation.states[..]),
        (2, &[String::from("[]")][..])
    );
}

#[test]
fn an_append_is_never_what_no_order_explains() {
    // Ten at a time append what nobody else does, and each reads now and then; then one reads the last but a letter.
    let mut history = Vec::new();
    let mut text = String::new();
    for round in 0..30_u64 {
        let time = 100 * round;
        for process in 0..10 {
            let piece = format!("{round}-{process},");
            text += &piece;
            history.push(append(
                process,
                &piece,
                time + process,
                time + 40 + (process * 7) % 10,
            ));
        }
        history.push(get(10, &text, time + 60, time + 61));
    }
    let wrong = history.len();
    history.push(get(11, &text[..text.len() - 1], 3000, 3001));
    for round in 30..40_u64 {
        for process in 0..10 {
            history.push(append(process, "x", 100 * round + 10, 100 * round + 20));
        }
        history.push(get(10, &text, 3005, 3006));
    }
    let init = KvAppend::default();
    let ObjectVerdict::Violation { operation, states } = check_object(&init, &history, Limits::default())
    else {
        panic!("a text was read that was never there");
    };
    assert_eq!((operation, states), (wrong, Vec::new()));
}
