//! The linear-time engines: against three oracles on small random histories, and on histories that tell what each rule is for.

#![allow(clippy::unwrap_used, reason = "a test fails with the reason")]

mod fuzz;

use checker::models::{CasRegister, RegisterOp, RegisterRet};
use checker::{
    CheckOptions, EngineChoice, Limits, Log, Model, ObjectVerdict, Operation, Refused, check_log,
    check_object, explain,
};
use fuzz::{Fuzzed, fuzz};

/// Agreement on so many histories; the example `fuzz` does more. A good part of them has to qualify, and to be violations.
fn assert_agreement<M: Fuzzed>() {
    let tally = fuzz::<M>(4000, 1).unwrap_or_else(|disagreement| panic!("{disagreement}"));
    assert!(tally.qualified > tally.histories / 2, "{tally:?}");
    assert!(tally.violations > tally.histories / 10, "{tally:?}");
    assert!(tally.violations < tally.qualified * 9 / 10, "{tally:?}");
}

#[test]
fn registers_are_judged_as_by_trying_all_orders() {
    assert_agreement::<CasRegister>();
}

/// Operations on a register: `w1 0-2` wrote 1 between 0 and 2, `r1 3-4` read it (`r` alone: nothing), `c1>2 5-6` found 1 and wrote 2; and
/// what ends with `?` nobody knows the outcome of.
fn register(text: &str) -> Vec<Operation<CasRegister>> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let operation = |(process, words): (u64, &[&str])| {
        let (call, times) = (words[0], words[1]);
        let (invoked, returned) = times.split_once('-').unwrap();
        let value = |text: &str| (!text.is_empty()).then(|| text.parse::<u64>().unwrap());
        let (op, ret) = match call.split_at(1) {
            ("w", new) => (RegisterOp::Write(value(new).unwrap()), RegisterRet::Written),
            ("r", found) => (RegisterOp::Read, RegisterRet::Value(value(found))),
            (_, values) => {
                let (found, new) = values.split_once('>').unwrap();
                let op = RegisterOp::Cas(value(found), value(new).unwrap());
                (op, RegisterRet::Swapped(true))
            }
        };
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
