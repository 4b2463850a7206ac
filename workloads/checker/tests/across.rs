//! One history in each format that can hold it: the verdict is the same.

#![allow(clippy::unwrap_used, reason = "a test fails with the reason")]

use checker::formats::Format;
use checker::{CheckOptions, Dialect, Log, Verdict, check_log};
use proptest::prelude::*;
use std::fmt::Write as _;

/// What a call is, as a number decides.
#[derive(Clone, Copy, Debug)]
enum Op {
    Read,
    Write(u8),
    Cas(u8, u8),
}

#[derive(Clone, Copy, Debug)]
enum End {
    Ok,
    Fail,
    Info,
}

/// An event of a history: an invocation, or an end and what a read returned.
#[derive(Clone, Copy, Debug)]
enum Event {
    Invoke(u64, Op),
    End(u64, Op, End, u8),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        Just(Op::Read),
        (1..4u8).prop_map(Op::Write),
        (1..4u8, 1..4u8).prop_map(|(old, new)| Op::Cas(old, new)),
    ]
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![6 => Just(End::Ok), 1 => Just(End::Fail), 1 => Just(End::Info)]
}

/// Threads take turns: one that is idle invokes, one that has invoked ends.
fn history() -> impl Strategy<Value = Vec<Event>> {
    prop::collection::vec((0..3usize, op(), end(), 0..4u8), 1..24).prop_map(|turns| {
        let mut open: [Option<Op>; 3] = [None; 3];
        let mut processes = [0, 1, 2];
        let mut events = Vec::new();
        for (thread, op, end, read) in turns {
            let process = processes[thread];
            match open[thread].take() {
                None => {
                    open[thread] = Some(op);
                    events.push(Event::Invoke(process, op));
                }
                Some(op) => {
                    events.push(Event::End(process, op, end, read));
                    if let End::Info = end {
                        processes[thread] += 3;
                    }
                }
            }
        }
        events
    })
}

fn name(op: Op) -> &'static str {
    match op {
        Op::Read => "read",
        Op::Write(_) => "write",
        Op::Cas(..) => "cas",
    }
}

/// 0 stands for nothing that was written.
fn number(read: u8, nothing: &str) -> String {
    if read == 0 {
        nothing.to_owned()
    } else {
        read.to_string()
    }
}

/// As this project records it. A compare-and-set that Porcupine calls failed is ok and returned `false`.
fn native(events: &[Event], failed_cas_observes: bool) -> String {
    let mut text = String::from("{\"rustyraft-history\":1,\"workload\":\"register\"}\n");
    for (time, event) in events.iter().enumerate() {
        let (process, op, kind, value) = match *event {
            Event::Invoke(process, op) => {
                let argument = match op {
                    Op::Read => String::from("null"),
                    Op::Write(new) => new.to_string(),
                    Op::Cas(old, new) => format!("[{old},{new}]"),
                };
                (process, op, "invoke", argument)
            }
            Event::End(process, op, end, read) => match (end, op) {
                (End::Ok, Op::Read) => (process, op, "ok", number(read, "null")),
                (End::Ok, Op::Write(_)) => (process, op, "ok", String::from("null")),
                (End::Ok, Op::Cas(..)) => (process, op, "ok", String::from("true")),
                (End::Fail, Op::Cas(..)) if failed_cas_observes => (process, op, "ok", String::from("false")),
                (End::Fail, _) => (process, op, "fail", String::from("null")),
                (End::Info, _) => (process, op, "info", String::from("null")),
            },
        };
        let f = name(op);
        writeln!(
            text,
            "{{\"time\":{time},\"process\":{process},\"type\":\"{kind}\",\"f\":\"{f}\",\"value\":{value}}}"
        )
        .unwrap();
    }
    text
}

/// The words of others: process, kind, name, value.
fn words(event: &Event) -> (u64, &'static str, &'static str, String) {
    let written = |op| match op {
        Op::Read => String::from("nil"),
        Op::Write(new) => new.to_string(),
        Op::Cas(old, new) => format!("[{old} {new}]"),
    };
    match *event {
        Event::Invoke(process, op) => (process, ":invoke", name(op), written(op)),
        Event::End(process, op, end, read) => match (end, op) {
            (End::Ok, Op::Read) => (process, ":ok", name(op), number(read, "nil")),
            (End::Ok, Op::Write(_) | Op::Cas(..)) => (process, ":ok", name(op), written(op)),
            (End::Fail, Op::Read | Op::Write(_)) => (process, ":fail", name(op), String::from(":timed-out")),
            (End::Fail, Op::Cas(..)) => (process, ":fail", name(op), written(op)),
            (End::Info, _) => (process, ":info", name(op), String::from(":timed-out")),
        },
    }
}

fn edn(events: &[Event]) -> String {
    let line = |event| {
        let (process, kind, f, value) = words(event);
        format!("{{:process {process}, :type {kind}, :f :{f}, :value {value}}}\n")
    };
    events.iter().map(line).collect()
}

/// The same with its values in tuples of one independent object.
fn independent(events: &[Event]) -> String {
    let line = |event| {
        let (process, kind, f, value) = words(event);
        format!("{{:process {process}, :type {kind}, :f :{f}, :value [\"k\" {value}]}}\n")
    };
    events.iter().map(line).collect()
}

fn etcd(events: &[Event]) -> String {
    let line = |event| {
        let (process, kind, f, value) = words(event);
        format!("INFO  jepsen.util - {process}\t{kind}\t:{f}\t{value}\n")
    };
    events.iter().map(line).collect()
}

/// The verdict, and how many operations it rests on.
fn judge(text: &str, format: Format, dialect: Option<Dialect>) -> (Option<bool>, usize) {
    let log = Log::read(text.as_bytes()).unwrap_or_else(|error| panic!("{error}\n{text}"));
    assert_eq!(log.format, format, "{text}");
    let options = CheckOptions {
        model: Some("cas-register"),
        dialect,
        ..CheckOptions::default()
    };
    let report = check_log(&log, &options).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let verdict = match report.verdict {
        Verdict::Valid => Some(true),
        Verdict::Violation(_) => Some(false),
        Verdict::Unknown(_) => None,
    };
    (verdict, report.operations)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1500) })]

    #[test]
    fn a_history_has_the_same_verdict_in_each_format(events in history()) {
        let porcupine = judge(&etcd(&events), Format::PorcupineEtcd, None);
        prop_assert_eq!(judge(&native(&events, true), Format::Native, None), porcupine);
        prop_assert_eq!(judge(&edn(&events), Format::Jepsen, Some(Dialect::Porcupine)), porcupine);
        let dropped = judge(&native(&events, false), Format::Native, None);
        prop_assert_eq!(judge(&edn(&events), Format::Jepsen, Some(Dialect::Native)), dropped);
        // What knossos makes of it forbids nothing more.
        let knossos = judge(&edn(&events), Format::Jepsen, None);
        prop_assert!(dropped.0 != Some(true) || knossos.0 != Some(false));
        prop_assert!(knossos.1 <= dropped.1 && dropped.1 <= porcupine.1);
        // A history of one object is one of independent objects, if it shows that it is: by a read or a compare-and-set.
        let shows = events.iter().any(|event| matches!(event, Event::Invoke(_, Op::Read | Op::Cas(..))));
        if shows {
            prop_assert_eq!(judge(&independent(&events), Format::Jepsen, None), knossos);
        }
    }
}

/// The property above is of use only if both verdicts come up.
#[test]
fn both_verdicts_come_up() {
    let legal = [
        Event::Invoke(0, Op::Write(1)),
        Event::End(0, Op::Write(1), End::Ok, 0),
    ];
    let read = |value| {
        [
            Event::Invoke(1, Op::Read),
            Event::End(1, Op::Read, End::Ok, value),
        ]
    };
    let verdict = |value| judge(&etcd(&[legal, read(value)].concat()), Format::PorcupineEtcd, None).0;
    assert_eq!(
        [verdict(1), verdict(2), verdict(0)],
        [Some(true), Some(false), Some(false)]
    );
}
