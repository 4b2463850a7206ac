//! The linear-time engines: against three oracles on small random histories, and on histories that tell what each rule is for.

#![allow(clippy::unwrap_used, reason = "a test fails with the reason")]

mod fuzz;
#[path = "fuzz/tester.rs"]
mod tester;

use checker::models::{
    CasRegister, Container, ContainerOp, ContainerRet, Discipline, FifoQueue, PriorityQueue, RegisterOp,
    RegisterRet, Set, SetOp, SetRet, Stack, UnorderedQueue,
};
use checker::{
    CheckOptions, EngineChoice, Limits, Log, Model, ObjectVerdict, Operation, Refused, check_log,
    check_object, explain, shrink,
};
use fuzz::{Fuzzed, fuzz};

/// Agreement on so many histories; the example `fuzz` does more.
fn assert_agreement<M: Fuzzed>() {
    let tally = fuzz::<M>(2500, 1).unwrap_or_else(|disagreement| panic!("{disagreement}"));
    tally.balance().unwrap();
}

#[test]
fn registers_are_judged_as_by_trying_all_orders() {
    assert_agreement::<CasRegister>();
}

#[test]
fn queues_are_judged_as_by_trying_all_orders() {
    assert_agreement::<FifoQueue>();
    assert_agreement::<UnorderedQueue>();
}

#[test]
fn stacks_are_judged_as_by_trying_all_orders() {
    assert_agreement::<Stack>();
}

#[test]
fn priority_queues_are_judged_as_by_trying_all_orders() {
    assert_agreement::<PriorityQueue>();
}

#[test]
fn sets_are_judged_as_by_trying_all_orders() {
    assert_agreement::<Set>();
}

/// Operations on a register: `w1 0-2` wrote 1 between 0 and 2, `r1 3-4` read it (`r` alone: nothing), `c1>2 5-6` found 1 and wrote 2; and
/// what ends with `?` nobody knows the outcome of.
fn register(text: &str) -> Vec<Operation<CasRegister>> {
    operations(text, |call| {
        let value = |text: &str| (!text.is_empty()).then(|| text.parse::<u64>().unwrap());
        match call.split_at(1) {
            ("w", new) => (RegisterOp::Write(value(new).unwrap()), RegisterRet::Written),
            ("r", found) => (RegisterOp::Read, RegisterRet::Value(value(found))),
            (_, values) => {
                let (found, new) = values.split_once('>').unwrap();
                let op = RegisterOp::Cas(value(found), value(new).unwrap());
                (op, RegisterRet::Swapped(true))
            }
        }
    })
}

/// Operations on a container: `+1` put 1, `-1` took it, `-` alone found nothing.
fn container<D: Discipline>(text: &str) -> Vec<Operation<Container<D>>> {
    operations(text, |call| match call.split_at(1) {
        ("+", value) => (ContainerOp::Put(value.parse().unwrap()), ContainerRet::Done),
        (_, value) => (ContainerOp::Take, ContainerRet::Taken(value.parse().ok())),
    })
}

/// Operations on a set: `+1` added 1, `-1` removed it if it was there, `x1` removed it and it was there, `y1` found it, `n1` did not,
/// `=1,2` found 1 and 2 and no others.
fn set(text: &str) -> Vec<Operation<Set>> {
    operations(text, |call| {
        let (name, value) = call.split_at(1);
        let element = || value.parse::<u64>().unwrap();
        match name {
            "+" => (SetOp::Add(element()), SetRet::Done),
            "-" => (SetOp::Remove(element()), SetRet::Done),
            "x" => (SetOp::Remove(element()), SetRet::Was(true)),
            "y" | "n" => (SetOp::Contains(element()), SetRet::Was(name == "y")),
            _ => {
                let elements = value.split(',').filter_map(|element| element.parse().ok());
                (SetOp::Read, SetRet::Elements(elements.collect()))
            }
        }
    })
}

/// Calls and their times; `call` is what one did, and what it returned if that was seen.
fn operations<M: Model>(text: &str, call: impl Fn(&str) -> (M::Op, M::Ret)) -> Vec<Operation<M>> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let operation = |(process, words): (u64, &[&str])| {
        let (invoked, returned) = words[1].split_once('-').unwrap();
        let (op, ret) = call(words[0]);
        Operation {
            process,
            node: None,
            op,
            ret: (returned != "?").then_some(ret),
            invoked: invoked.parse().unwrap(),
            returned: returned.parse().unwrap_or(0),
        }
    };
    (0..).zip(words.chunks(2)).map(operation).collect()
}

/// What the engine for its kind says; `Err`: why the history is not for it.
fn judged<M: Model>(init: &M, operations: &[Operation<M>]) -> Result<bool, &'static str> {
    let limits = Limits {
        engine: EngineChoice::Linear,
        ..Limits::default()
    };
    match check_object(init, operations, limits) {
        ObjectVerdict::Valid => Ok(true),
        ObjectVerdict::Violation { .. } => Ok(false),
        ObjectVerdict::Unknown(Refused::Unqualified { reason }) => Err(reason),
        other @ (ObjectVerdict::Unknown(_) | ObjectVerdict::Superseded) => panic!("{other:?}"),
    }
}

/// Each pair differs by what a rule forbids: the first is legal, the second is not.
#[test]
fn a_register_keeps_each_rule() {
    let pairs = [
        // A value is read that somebody wrote, and that was not overwritten before.
        ["w1 0-1 r1 2-3", "w1 0-1 r2 2-3"],
        ["w1 0-1 w2 2-3 r1 3-4", "w1 0-1 w2 2-3 r1 4-5"],
        ["w1 2-3 r1 0-2", "w1 2-3 r1 0-1"],
        ["r 1-2 w1 2-3", "w1 0-1 r 2-3"],
        // Two values, each seen before and after the other one, in time that both fill.
        [
            "w1 0-9 w2 0-9 r1 1-2 r1 3-4 r2 4-5 r2 5-6",
            "w1 0-9 w2 0-9 r1 1-2 r2 3-4 r1 5-6",
        ],
        // A value that takes effect and is gone again has to fit between two sights of another one.
        ["w1 0-1 w2 1-6 r1 6-7", "w1 0-1 w2 2-5 r1 6-7"],
        // A write without an outcome happened if it was seen, at whatever time.
        ["w1 0-? w2 1-2 r1 3-4", "w1 0-? w2 1-2 r1 3-4 r2 5-6"],
        ["w1 0-1 w2 0-? r1 2-3", "w1 0-1 w2 0-? r2 2-3 r1 4-5"],
        // Of a chain of compare-and-sets nothing comes in between, and nothing out of turn.
        ["w1 0-1 c1>2 2-5 w3 2-5 r2 5-6", "w1 0-1 c1>2 4-5 w3 2-3 r2 5-6"],
        ["w1 0-1 c1>2 2-3 c2>3 3-4", "w1 0-1 c1>2 5-6 c2>3 3-4"],
        ["w1 0-1 c1>2 2-3 r1 3-4", "w1 0-1 c1>2 2-3 r1 4-5"],
        ["c>1 0-1 c1>2 2-3", "c>1 1-2 c1>2 3-4 w5 0-0"],
        // Only one can have found a value; nothing comes from a value that was never there; nor from itself.
        ["w1 0-1 c1>2 2-5 c2>3 2-5", "w1 0-1 c1>2 2-5 c1>3 2-5"],
        ["w1 0-1 c1>2 2-5 c4>3 2-?", "w1 0-1 c1>2 2-5 c4>3 2-? r3 6-7"],
        ["c1>2 0-? c2>1 0-?", "c1>2 0-? c2>1 0-? r2 1-2"],
    ];
    for [legal, illegal] in pairs {
        let verdict = |text| judged(&CasRegister::default(), &register(text));
        assert_eq!(verdict(legal), Ok(true), "{legal}");
        assert_eq!(verdict(illegal), Ok(false), "{illegal}");
    }
    let from_one = |text| judged(&CasRegister(Some(1)), &register(text));
    assert_eq!(
        (from_one("r1 1-2 w2 2-3"), from_one("r1 4-5 w2 2-3")),
        (Ok(true), Ok(false))
    );
    assert_eq!((from_one("c1>2 1-2"), from_one("r 1-2")), (Ok(true), Ok(false)));
}

/// As above, for a container that holds nothing at first.
fn assert_pairs<D: Discipline>(pairs: &[[&str; 2]]) {
    for [legal, illegal] in pairs {
        let verdict = |text| judged(&Container::<D>::default(), &container(text));
        assert_eq!(verdict(legal), Ok(true), "{legal}");
        assert_eq!(verdict(illegal), Ok(false), "{illegal}");
    }
}

/// What all containers keep.
const OF_ANY: [[&str; 2]; 9] = [
    // What is taken was put, once, and not later.
    ["+1 0-1 -1 2-3", "+1 0-1 -2 2-3"],
    ["+1 0-1 -1 2-3 - 4-5", "+1 0-1 -1 2-3 -1 4-5"],
    ["+1 2-3 -1 0-2", "+1 2-3 -1 0-1"],
    // A put without an outcome happened if its value was taken, at whatever time.
    ["+1 0-? - 2-3 -1 4-5", "+1 0-? -1 2-3 -1 4-5"],
    ["+1 2-? -1 0-2", "+1 2-? -1 0-1"],
    // Nothing is there at the time at which nothing is found.
    ["+1 0-1 -1 3-4 - 1-2", "+1 0-1 -1 3-4 - 2-2"],
    ["+1 0-1 - 0-1", "+1 0-1 - 2-3"],
    // One item is there until the other one is.
    [
        "+1 0-1 -1 4-7 +2 2-3 -2 6-7 - 3-6",
        "+1 0-1 -1 4-7 +2 2-3 -2 6-7 - 3-5",
    ],
    [
        "+1 0-1 -1 4-7 +2 4-4 -2 6-7 - 3-5",
        "+1 0-1 -1 4-7 +2 2-3 -2 6-7 - 2-4",
    ],
];

#[test]
fn a_queue_keeps_each_rule() {
    assert_pairs::<checker::models::Unordered>(&OF_ANY);
    assert_pairs::<checker::models::Fifo>(&OF_ANY);
    // Takes without an outcome take what is left, each one, no earlier than they were invoked.
    let of_both = [
        ["+1 0-1 -9 2-? - 2-3", "+1 0-1 -9 4-? - 2-3"],
        [
            "+1 0-1 +2 0-1 -9 2-? -9 2-? - 2-3",
            "+1 0-1 +2 0-1 -9 2-? -9 4-? - 2-3",
        ],
    ];
    assert_pairs::<checker::models::Unordered>(&of_both);
    assert_pairs::<checker::models::Fifo>(&of_both);
    assert_pairs::<checker::models::Fifo>(&[
        // What was put first is taken first, if it is taken.
        ["+1 0-1 +2 1-2 -2 3-4 -1 5-6", "+1 0-1 +2 2-3 -2 4-5 -1 6-7"],
        ["+1 0-1 +2 2-3 -2 4-5 -1 5-6", "+1 0-1 +2 2-3 -2 4-5"],
        // One of unknown outcome has to have been invoked in time.
        ["+1 0-1 +2 2-3 -2 4-5 -9 5-?", "+1 0-1 +2 2-3 -2 4-5 -9 6-?"],
        [
            "+1 0-1 +2 0-1 +3 2-3 -3 4-5 -9 0-? -9 5-?",
            "+1 0-1 +2 0-1 +3 2-3 -3 4-5 -9 0-? -9 6-?",
        ],
    ]);
    let two = |text| judged(&FifoQueue::new([1, 2]), &container(text));
    assert_eq!(
        (two("-1 0-1 -2 2-3"), two("-2 0-1 -1 2-3")),
        (Ok(true), Ok(false))
    );
}

#[test]
fn a_stack_keeps_each_rule() {
    assert_pairs::<checker::models::Lifo>(&OF_ANY);
    assert_pairs::<checker::models::Lifo>(&[
        // What was put last is taken first, if it is taken.
        ["+1 0-1 +2 2-3 -2 4-5 -1 6-7", "+1 0-1 +2 2-3 -1 4-5 -2 6-7"],
        ["+1 0-1 +2 1-3 -1 4-5 -2 6-7", "+1 0-1 +2 2-3 -1 4-5"],
        // Each two of three have an order, but none of them can lie at the bottom.
        [
            "+1 0-1 -1 4-9 +2 2-3 -2 7-8 +3 3-6 -3 9-10",
            "+1 0-1 -1 4-7 +2 2-3 -2 7-8 +3 3-6 -3 9-10",
        ],
        // One of unknown outcome takes nothing before it is invoked.
        ["+1 0-1 +2 2-3 -2 4-5 -9 0-?", "+1 0-1 +2 2-3 -1 4-5 -9 6-?"],
    ]);
    let two = |text| judged(&Stack::new([1, 2]), &container(text));
    assert_eq!(
        (two("-2 0-1 -1 2-3"), two("-1 0-1 -2 2-3")),
        (Ok(true), Ok(false))
    );
}

#[test]
fn a_priority_queue_keeps_each_rule() {
    assert_pairs::<checker::models::LeastFirst>(&OF_ANY);
    assert_pairs::<checker::models::LeastFirst>(&[
        // Nothing is taken while something smaller is there.
        ["+2 0-1 +1 0-1 -1 2-3 -2 4-5", "+2 0-1 +1 0-1 -2 2-3 -1 4-5"],
        ["+2 0-1 +1 2-3 -2 2-3", "+2 0-1 +1 0-1 -2 2-3"],
        [
            "+3 0-1 -3 2-6 +1 0-1 -1 4-7 +2 2-3 -2 6-7",
            "+3 0-1 -3 2-5 +1 0-1 -1 4-7 +2 2-3 -2 6-7",
        ],
        ["+1 0-1 +2 0-1 -1 2-3 -9 0-?", "+1 0-1 +2 0-1 -2 2-3 -9 4-?"],
    ]);
    let two = |text| judged(&PriorityQueue::new([2, 1]), &container(text));
    assert_eq!(
        (two("-1 0-1 -2 2-3"), two("-2 0-1 -1 2-3")),
        (Ok(true), Ok(false))
    );
}

#[test]
fn a_container_qualifies_if_each_value_tells_who_put_it() {
    let verdict = |init: &[u64], text| judged(&Stack::new(init.iter().copied()), &container(text));
    let twice = Err("a value is put more than once");
    assert_eq!(verdict(&[], "+1 0-1 +1 2-3"), twice);
    assert_eq!(verdict(&[1], "+1 0-1"), twice);
    assert_eq!(verdict(&[1, 1], "+2 0-1"), twice);
    // With a take of unknown outcome there is an order, if it takes what is in the way.
    let in_the_way = "+1 0-1 +2 2-3 -1 4-5 -9 4-?";
    assert_eq!(verdict(&[], in_the_way), Ok(true));
    let twice_in_the_way = format!("{in_the_way} +3 6-7 +4 8-9 -3 10-11");
    assert_eq!(verdict(&[], &twice_in_the_way), Ok(false));
    assert_eq!(verdict(&[1, 2], "-1 4-5 -9 4-?"), Ok(true));
    // Or if several do, each at its time; of very many ways not all are tried.
    assert_eq!(
        verdict(&[], "+1 0-1 +2 2-3 +3 4-5 -1 6-7 -8 6-? -9 6-?"),
        Ok(true)
    );
    assert_eq!(
        verdict(&[], "+1 0-1 +2 2-3 +3 4-5 -1 6-7 -8 6-? -9 8-?"),
        Ok(false)
    );
    let mut many = String::from("+1 0-1");
    for value in 2..22 {
        many += &format!(" +{value} 2-3");
    }
    many += " -1 50-51";
    for time in 10..29 {
        many += &format!(" -9 {time}-?");
    }
    let depends = "it depends on what was taken by takes that nobody knows the outcome of, in too many ways";
    assert_eq!(verdict(&[], &many), Err(depends));
    let late = format!("+1 0-{}", u64::MAX - 1);
    assert_eq!(verdict(&[], &late), Ok(true));
    assert_eq!(verdict(&[7], &late), Err("its times are too large"));
}

#[test]
fn a_set_keeps_each_rule() {
    let pairs = [
        // What is found was added, and not later; and is not gone.
        ["+1 0-1 y1 2-3", "+1 0-1 y2 2-3"],
        ["+1 2-3 y1 0-2", "+1 2-3 y1 0-1"],
        ["+1 0-1 -1 2-3 y1 3-4", "+1 0-1 -1 2-3 y1 4-5"],
        ["+1 0-1 x1 0-3", "+1 4-5 x1 0-3"],
        // What is not found is not there for certain.
        ["+1 0-1 n1 1-2", "+1 0-1 n1 2-3"],
        ["+1 0-1 -1 3-4 n1 2-3", "+1 0-1 -1 4-5 n1 2-3"],
        [
            "+1 0-9 -1 0-9 y1 2-3 n1 3-4",
            "+1 0-9 -1 0-9 y1 2-3 y1 6-7 n1 4-5",
        ],
        // An add without an outcome happened if it was seen; a remove may have.
        ["+1 0-? n1 2-3", "+1 0-? y1 1-1 n1 2-3"],
        ["+1 0-1 -1 0-? n1 2-3", "+1 0-1 -1 4-? n1 2-3"],
        // A remove that does not say that it was there may have come too early; then it is there for good.
        ["+1 0-1 -1 0-1 y1 2-3", "+1 0-1 x1 0-1 y1 2-3"],
        ["+1 0-2 -1 0-1 y1 3-4", "+1 0-2 -1 0-1 y1 3-4 n1 5-6"],
        // Reads of all elements find more and more.
        [
            "+1 0-1 +2 0-9 = 0-1 =1 2-3 =1,2 4-5",
            "+1 0-1 +2 0-9 =1,2 2-3 =1 4-5",
        ],
        ["+1 0-9 +2 0-9 =1 2-3 =1,2 2-3", "+1 0-9 +2 0-9 =1 2-3 =2 2-3"],
        ["+1 0-9 =1 2-3", "+1 0-9 =1,2 2-3"],
        ["+1 0-1 = 1-2", "+1 0-1 = 2-3"],
        // An element that is found first was added first, whoever tells.
        ["+1 0-9 +2 0-9 =1 2-3 y2 3-4", "+1 0-9 +2 0-9 =1 3-4 y2 1-2"],
        ["+1 5-9 +2 0-9 =1 0-9 y2 5-6", "+1 5-9 +2 0-9 =1 0-9 y2 3-4"],
        [
            "+1 0-9 +2 0-9 n1 2-3 =1 0-9 y2 3-4",
            "+1 0-9 +2 0-9 n1 4-5 =1 0-9 y2 2-3",
        ],
        ["+1 0-9 n1 4-5 =1 5-6", "+1 0-9 n1 4-5 =1 2-3"],
        [
            "+1 0-? n1 4-5 =1 5-6 +2 0-? y2 6-7",
            "+1 0-? n1 4-5 =1 5-6 +2 0-? y2 2-3",
        ],
    ];
    for [legal, illegal] in pairs {
        let verdict = |text| judged(&Set::default(), &set(text));
        assert_eq!(verdict(legal), Ok(true), "{legal}");
        assert_eq!(verdict(illegal), Ok(false), "{illegal}");
    }
    let with_one = |text| judged(&Set([1].into()), &set(text));
    assert_eq!(
        (with_one("y1 0-1 x1 2-3"), with_one("n1 0-1 x1 2-3")),
        (Ok(true), Ok(false))
    );
    assert_eq!((with_one("=1 0-1"), with_one("= 0-1")), (Ok(true), Ok(false)));
}

#[test]
fn a_set_qualifies_if_elements_come_and_go_once() {
    let verdict = |text| judged(&Set::default(), &set(text));
    assert_eq!(
        verdict("+1 0-1 +1 2-3 n1 4-5"),
        Err("an element is added more than once")
    );
    assert_eq!(
        verdict("-1 0-1 -1 2-3 n1 4-5"),
        Err("an element is removed more than once")
    );
    assert_eq!(
        verdict("+1 0-1 -1 2-3 = 4-5"),
        Err("all elements are read, and some are removed")
    );
}

#[test]
fn a_register_qualifies_if_each_value_tells_who_wrote_it() {
    let verdict = |init, text| judged(&CasRegister(init), &register(text));
    let twice = Err("a value is written more than once");
    assert_eq!(verdict(None, "w1 0-1 w1 2-3"), twice);
    assert_eq!(verdict(None, "w1 0-1 w2 2-3 c2>1 2-3"), twice);
    assert_eq!(verdict(Some(1), "w1 0-1"), twice);
    let mut failed = register("w1 0-1 c1>2 2-3");
    failed[1].ret = Some(RegisterRet::Swapped(false));
    let failed = judged(&CasRegister::default(), &failed);
    assert_eq!(failed, Err("a compare-and-set did not find what it expected"));
    let late = format!("w1 0-{}", u64::MAX);
    assert_eq!(verdict(None, &late), Err("its times are too large"));
}

/// The general engine gives up on this one; the report has the few operations that it takes all the same.
#[test]
fn a_violation_among_many_open_operations_is_explained() {
    let mut text = String::from("w1 0-1 w2 2-3");
    for value in 10..300 {
        text.push_str(&format!(" w{value} 0-1000 r{value} 0-1000"));
    }
    text.push_str(" r1 500-501");
    let operations = register(&text);
    let limits = Limits::default();
    let ObjectVerdict::Violation { operation, states } =
        check_object(&CasRegister::default(), &operations, limits)
    else {
        panic!("the last read is stale");
    };
    let explanation = explain(
        &CasRegister::default(),
        "x",
        &operations,
        operation,
        &states,
        &[],
        limits,
    );
    let core = [0, 1, operations.len() - 1];
    assert_eq!(
        (operation, &explanation.core[..]),
        (operations.len() - 1, &core[..])
    );
}

#[test]
fn a_report_names_the_engines_that_judged() {
    let line = |kind: &str, f: &str, key: &str, value: &str| {
        format!("{{:process 0, :type :{kind}, :f :{f}, :value [{key} {value}]}}\n")
    };
    let write = |key, value| line("invoke", "write", key, value) + &line("ok", "write", key, value);
    let read = |key, value| line("invoke", "read", key, "nil") + &line("ok", "read", key, value);
    let report = |text: &str, engine| {
        let options = CheckOptions {
            engine,
            ..CheckOptions::default()
        };
        check_log(&Log::read(text.as_bytes()).unwrap(), &options)
    };
    let unique = write("0", "1") + &read("0", "1");
    let twice = write("1", "1") + &write("1", "1") + &read("1", "1");
    let both = unique.clone() + &twice;
    let name = |text, engine| report(text, engine).unwrap().engine;
    assert_eq!(name(&unique, EngineChoice::Auto), "zones");
    assert_eq!(name(&unique, EngineChoice::Linear), "zones");
    assert_eq!(name(&unique, EngineChoice::General), "configurations");
    assert_eq!(name(&twice, EngineChoice::Auto), "configurations");
    assert_eq!(name(&both, EngineChoice::Auto), "zones and configurations");
    let refused = report(&both, EngineChoice::Linear).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "cas-register 1: no linear-time engine judges this history: a value is written more than once"
    );
}

/// What an operation means depends on others; a core in which one means something else would be no core of this history.
#[test]
fn a_core_does_without_what_others_need_only_together_with_them() {
    let core = |init: &Set, text| shrink(init, &set(text), Limits::default());
    let places = |core: &[Operation<Set>]| core.iter().map(|operation| operation.process).collect::<Vec<_>>();
    // Without the remove, the element would have to be found; that is not what is wrong here.
    let gone = core(&Set::default(), "+1 0-1 x1 2-3 n1 4-5 y1 6-7");
    assert_eq!(places(&gone), [0, 1, 3]);
    let gone = core(&Set([1].into()), "x1 2-3 n1 4-5 y1 6-7");
    assert_eq!(places(&gone), [0, 2]);
    // Two reads contradict each other, together with what they found.
    let reads = core(
        &Set::default(),
        "+1 0-9 +2 0-9 +3 0-1 =1,3 2-3 =2,3 4-5 =1,2,3 10-11",
    );
    assert_eq!(places(&reads), [0, 1, 2, 3, 4]);
    let queue = |text| {
        let core = shrink(&FifoQueue::new([7]), &container(text), Limits::default());
        core.iter().map(|operation| operation.process).collect::<Vec<_>>()
    };
    // What was there at first, and was put, is taken as before; nobody put 9.
    assert_eq!(queue("+1 0-1 +2 2-3 -7 4-5 -1 4-5 -2 6-7 -9 8-9"), [2, 5]);
    // A take of unknown outcome accounts for one item that is left, but not for two.
    assert_eq!(
        queue("-7 0-0 +1 0-1 +2 2-3 +3 4-5 -3 6-7 -8 6-?"),
        [0, 1, 2, 3, 4, 5]
    );
}
