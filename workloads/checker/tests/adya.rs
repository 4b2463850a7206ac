//! Transactions over lists: each anomaly from a history of its own, beside the legal ones that are nearest to it; and thousands of small
//! random histories against a search of all orders.

#![allow(clippy::unwrap_used, reason = "a test ends where something is missing")]

#[path = "fuzz/tester.rs"]
mod tester;
#[path = "fuzz/transactions.rs"]
mod transactions;

use checker::adya::{self, Dependency, Isolation};
use checker::history::{Header, Kind, Process, Record, Value};
use checker::{CheckOptions, EngineChoice, Limits, Log, Report, Verdict, check_log};
use std::borrow::Cow;
use transactions::has_order;

/// Reads transactions as they are written here: one a line, `process invoked-returned steps`, where `x+1` appends 1 to x and `x=1,2`
/// reads 1 and 2 in x; `?` instead of the return: nobody learned the outcome; `!` before the steps: it failed.
fn log(text: &str) -> Log {
    let mut records: Vec<(u64, u8, String)> = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let mut words = line.split(' ').peekable();
        let process = Process::Client(words.next().unwrap().parse().unwrap());
        let (invoked, returned) = words.next().unwrap().split_once('-').unwrap();
        let failed = words.next_if_eq(&"!").is_some();
        let (mut asked, mut answered) = (Vec::new(), Vec::new());
        for word in words {
            let (key, rest) = word.split_at(1);
            let key = Value::text(key);
            let values = rest[1..].split(',').filter(|it| !it.is_empty());
            let mut values = values.map(|it| Value::Int(it.parse().unwrap()));
            if rest.starts_with('+') {
                let step = Value::list([Value::text("append"), key, values.next().unwrap()]);
                asked.push(step.clone());
                answered.push(step);
            } else {
                let step = |list| Value::list([Value::text("r"), key.clone(), list]);
                asked.push(step(Value::Null));
                answered.push(step(Value::list(values)));
            }
        }
        let mut say = |time: &str, rank, kind, value| {
            let time = time.parse().unwrap();
            let f = Cow::Borrowed("txn");
            let record = Record {
                time,
                process,
                kind,
                f,
                key: None,
                value,
                error: None,
                node: None,
                intended: None,
            };
            let mut line = Vec::new();
            record.write(&mut line);
            records.push((time, rank, String::from_utf8(line).unwrap()));
        };
        say(invoked, 0, Kind::Invoke, Value::list(asked));
        match (returned, failed) {
            ("?", _) => {}
            (time, true) => say(time, 1, Kind::Fail, Value::Null),
            (time, false) => say(time, 1, Kind::Ok, Value::list(answered)),
        }
    }
    // A process may return and invoke again at the same time.
    records.sort_by_key(|record| (record.0, record.1));
    let mut bytes = Vec::new();
    Header::new("append").write(&mut bytes);
    for (_, _, line) in records {
        bytes.extend_from_slice(line.as_bytes());
    }
    Log::read(&bytes).unwrap()
}

fn report(log: &Log, engine: EngineChoice) -> Report {
    let options = CheckOptions {
        model: Some("list-append"),
        engine,
        ..CheckOptions::default()
    };
    check_log(log, &options).unwrap()
}

/// The names of the anomalies of a history, which must be the verdict of the general engine and of all orders, too.
fn names(text: &str) -> Vec<&'static str> {
    let log = log(text);
    let transactions = adya::transactions(&log).unwrap();
    let names = match adya::check(&transactions, Limits::default()) {
        Isolation::Strict => Vec::new(),
        Isolation::Violated(anomalies) => anomalies.iter().map(|it| it.kind.name()).collect(),
        other @ (Isolation::Ambiguous(..) | Isolation::Unknown(_)) => panic!("{other:?}"),
    };
    assert_eq!(names.is_empty(), has_order(&transactions), "{text}");
    for engine in [EngineChoice::Auto, EngineChoice::General, EngineChoice::Linear] {
        let verdict = report(&log, engine).verdict;
        assert_eq!(verdict == Verdict::Valid, names.is_empty(), "{engine:?}: {text}");
    }
    names
}

fn assert_legal(text: &str) {
    assert_eq!(names(text), Vec::<&str>::new(), "{text}");
}

fn assert_shows(text: &str, expected: &str) {
    assert_eq!(names(text), [expected], "{text}");
}

#[test]
fn writes_of_two_transactions_are_in_the_same_order_everywhere() {
    let writes = "0 1-9 x+1 y+1
                  1 1-9 x+2 y+2\n";
    assert_legal(&format!("{writes} 2 1-9 x=1,2 y=1,2"));
    assert_shows(&format!("{writes} 2 1-9 x=1,2 y=2,1"), "G0");
}

#[test]
fn what_failed_is_not_read_and_what_nobody_learned_may_be() {
    assert_shows("0 1-2 ! x+1\n 1 3-4 x=1", "G1a");
    assert_legal("0 1-2 ! x+1\n 1 3-4 x=");
    assert_legal("0 1-? x+1\n 1 3-4 x=1");
    assert_legal("0 1-? x+1\n 1 3-4 x=");
    assert_legal("0 1-? x+1\n 1 3-4 x=\n 1 5-6 x=1");
    assert_shows("0 1-? x+1\n 1 3-4 x=1\n 1 5-6 x=", "G-single-process");
    assert_shows("0 1-? x+1\n 1 3-4 x=1\n 2 5-6 x=", "G-single-realtime");
}

#[test]
fn what_nobody_learned_took_effect_wholly_if_anything_of_it_was_read() {
    assert_legal("0 1-? x+1 y+1\n 1 3-4 x=1 y=1");
    assert_legal("0 1-? x+1 y+1\n 1 3-4 x= y=");
    assert_shows("0 1-? x+1 y+1\n 1 3-4 x=1 y=", "G-single");
    assert_shows("0 3-? x+1\n 1 1-2 x=1", "G1c-realtime");
}

#[test]
fn what_failed_may_be_tried_again() {
    assert_legal("0 1-2 ! x+1\n 0 3-4 x+1\n 1 5-6 x=1");
    assert_shows("0 1-2 ! x+1\n 0 3-4 x+1\n 1 5-6 x=", "G-single-realtime");
}

#[test]
fn a_transaction_is_not_read_half_done() {
    assert_legal("0 1-9 x+1 x+2\n 1 1-9 x=1,2");
    assert_legal("0 1-9 x+1 x+2\n 1 1-9 x=");
    assert_shows("0 1-9 x+1 x+2\n 1 1-9 x=1", "G1b");
    assert_shows("0 1-9 x+1 x+2\n 1 1-9 x=1\n 2 1-9 x=1,2", "G1b");
    assert_shows("0 1-9 x+1 x=1 x+2\n 1 1-9 x=1", "G1b");
    assert_legal("0 1-9 x+1 x=1 x+2\n 1 1-9 x=1,2");
    assert_shows("0 1-9 x+1 x+2\n 1 1-9 x+3\n 2 1-9 x=1,3,2", "G0");
    assert_shows("0 1-9 x+1 x+2\n 1 1-9 x+3\n 2 1-9 x=1,3", "G0");
}

#[test]
fn what_a_transaction_appended_is_there_in_its_order() {
    // Whoever read the half of it also missed the other half.
    assert_eq!(names("0 1-9 x+1 x+2\n 1 1-9 x=2"), ["torn-append", "G-single"]);
    assert_eq!(names("0 1-9 x+1 x+2\n 1 1-9 x=2,1"), ["torn-append", "G1b"]);
    assert_legal(
        "0 1-9 x+1\n 0 1-9 x+2\n 1 1-9 x=2,1"
            .replace("0 1-9 x+2", "2 1-9 x+2")
            .as_str(),
    );
}

#[test]
fn information_does_not_flow_in_a_circle() {
    assert_shows("0 1-9 x+1 y=1\n 1 1-9 y+1 x=1", "G1c");
    assert_legal("0 1-9 x+1 y=\n 1 1-9 y+1 x=1");
    assert_shows("0 1-2 x=1\n 1 3-4 x+1", "G1c-realtime");
    assert_shows("0 1-2 x=1\n 0 3-4 x+1", "G1c-process");
    assert_legal("0 1-3 x=1\n 1 3-4 x+1");
}

#[test]
fn a_transaction_is_seen_wholly_or_not_at_all() {
    let write = "0 1-9 x+1 y+1\n";
    assert_shows(&format!("{write} 1 1-9 x=1 y="), "G-single");
    assert_legal(&format!("{write} 1 1-9 x=1 y=1"));
    assert_legal(&format!("{write} 1 1-9 x= y="));
}

#[test]
fn an_update_is_not_lost() {
    assert_shows("0 1-9 x= x+1\n 1 1-9 x= x+2\n 2 1-9 x=1,2", "G-single");
    assert_shows("0 1-9 x= x+1\n 1 1-9 x= x+2", "G2-item");
    assert_shows("0 1-9 x= x+1\n 1 1-9 x= x+2\n 2 1-9 x= x+3", "G2-item");
    assert_legal("0 1-9 x= x+1\n 1 1-9 x=1 x+2");
    assert_legal("0 1-9 x= x+1\n 1 1-9 x+2\n 2 1-9 x+3\n 3 1-9 x=");
    assert_shows("0 1-2 x+1\n 1 3-4 x+2\n 2 5-6 x=2", "G0-realtime");
}

#[test]
fn two_transactions_do_not_both_miss_what_the_other_wrote() {
    assert_shows("0 1-9 x= y+1\n 1 1-9 y= x+1", "G2-item");
    assert_legal("0 1-9 x= y+1\n 1 1-9 y=1 x+1");
    // Two observers, each of which saw another write first.
    assert_shows("0 1-9 x+1\n 1 1-9 y+1\n 2 1-9 x=1 y=\n 3 1-9 x= y=1", "G2-item");
    assert_legal("0 1-9 x+1\n 1 1-9 y+1\n 2 1-9 x=1 y=\n 3 1-9 x=1 y=1");
}

#[test]
fn reads_are_not_stale() {
    assert_shows("0 1-2 x+1\n 1 3-4 x=", "G-single-realtime");
    assert_shows("0 1-2 x+1\n 0 3-4 x=", "G-single-process");
    assert_legal("0 1-3 x+1\n 1 3-4 x=");
    assert_legal("0 1-2 x+1\n 1 3-4 x=1");
    // Through a third one that was at work all the time.
    assert_shows("0 1-2 y+1\n 1 1-9 x+1 y=\n 2 3-4 x=", "G2-item-realtime");
    assert_legal("0 1-2 y+1\n 1 1-9 x+1 y=1\n 2 3-4 x=");
    assert_shows(
        "0 1-2 x=\n 0 3-4 y+1\n 1 1-9 y= x+1\n 1 10-11 y=",
        "G-single-realtime",
    );
}

#[test]
fn writes_are_not_reordered() {
    assert_shows("0 1-2 x+1\n 1 3-4 x+2\n 2 5-6 x=2,1", "G0-realtime");
    assert_shows("0 1-2 x+1\n 0 3-4 x+2\n 2 5-6 x=2,1", "G0-process");
    assert_legal("0 1-3 x+1\n 1 3-4 x+2\n 2 5-6 x=2,1");
}

#[test]
fn a_transaction_sees_what_it_did() {
    assert_shows("0 1-9 x+1 x=", "internal");
    assert_legal("0 1-9 x+1 x=1");
    assert_shows("0 1-9 x= x=1\n 1 1-9 x+1", "internal");
    assert_legal("0 1-9 x=1 x=1\n 1 1-9 x+1");
    assert_shows("0 1-9 x=1 x+1", "internal");
    assert_eq!(
        names("0 1-9 x=1 x+2 x=2\n 1 1-9 x+1\n 2 1-9 x=1,2"),
        ["incompatible-order", "internal"]
    );
    assert_legal("0 1-9 x=1 x+2 x=1,2\n 1 1-9 x+1\n 2 1-9 x=1,2");
}

#[test]
fn reads_of_a_list_tell_one_story() {
    let writes = "0 1-9 x+1\n 1 1-9 x+2\n";
    assert_shows(&format!("{writes} 2 1-9 x=1\n 3 1-9 x=2"), "incompatible-order");
    assert_shows(&format!("{writes} 2 1-9 x=1\n 3 1-9 x=2,1"), "incompatible-order");
    assert_legal(&format!("{writes} 2 1-9 x=2\n 3 1-9 x=2,1"));
}

#[test]
fn only_what_was_appended_is_read_and_once() {
    assert_shows("0 1-9 x+1\n 1 1-9 x=1,2", "unwritten-read");
    assert_shows("0 1-9 x+1\n 1 1-9 x=1,1", "duplicate-elements");
    assert_eq!(
        names("0 1-2 ! x+1\n 0 3-4 x+2\n 1 1-9 x=1,2,2\n 2 1-9 x=3"),
        [
            "unwritten-read",
            "duplicate-elements",
            "incompatible-order",
            "G1a"
        ]
    );
}

#[test]
fn appends_that_are_not_unique_are_for_the_general_engine() {
    let twice = |read| log(&format!("0 1-2 x+1\n 1 1-2 x+1\n 2 3-4 x={read}"));
    let transactions = |log| {
        matches!(
            adya::check(&adya::transactions(log).unwrap(), Limits::default()),
            Isolation::Ambiguous(0, 1)
        )
    };
    assert!(transactions(&twice("1,1")));
    let legal = report(&twice("1,1"), EngineChoice::Auto);
    assert_eq!((legal.verdict, legal.engine), (Verdict::Valid, "configurations"));
    let illegal = report(&twice("1"), EngineChoice::Auto).verdict;
    assert!(matches!(illegal, Verdict::Violation(_)));
    let linear = report(&twice("1,1"), EngineChoice::Linear).verdict;
    assert!(matches!(linear, Verdict::Unknown(_)));
}

#[test]
fn the_shortest_cycle_is_told_with_its_reasons() {
    // A stale read, and around it a long chain through the same transactions.
    let log = log("0 1-2 x+1
                   1 3-4 x=1 y+1
                   2 5-6 y=1 z+1
                   3 7-8 z=1 x+2
                   4 9-10 x=1,2
                   5 11-12 x=1");
    let Verdict::Violation(explanation) = report(&log, EngineChoice::Auto).verdict else {
        panic!("the last read is stale");
    };
    assert_eq!(
        explanation.text,
        "list-append is not strictly serializable: G-single-realtime.

G-single-realtime: a cycle with one anti-dependency of 2 transactions, the shortest one.

    T1  read \"z\" [1], append \"x\" 2  (process 3, line 8, from 0.000000 s to 0.000000 s)
    T2  read \"x\" [1]  (process 5, line 12, from 0.000000 s to 0.000000 s)

    T1 before T2 (realtime): T1 had returned before T2 was invoked.
    T2 before T1 (rw): T2 read the first 1 of \"x\", without 2, which T1 appended after them.

  No order has each of them before the next and the last before the first.
"
    );
    let transactions = adya::transactions(&log).unwrap();
    let Isolation::Violated(anomalies) = adya::check(&transactions, Limits::default()) else {
        panic!("the last read is stale");
    };
    let missed = Dependency::ReadWrite {
        key: Value::text("x"),
        seen: 1,
        missed: Value::Int(2),
    };
    assert_eq!(anomalies[0].dependencies, [Dependency::Realtime, missed]);
}

#[test]
fn a_check_that_is_stopped_is_unknown_and_one_that_found_something_is_not() {
    let stopped = |text| {
        let log = log(text);
        let options = CheckOptions {
            model: Some("list-append"),
            limits: Limits {
                should_stop: &|| true,
                ..Limits::default()
            },
            ..CheckOptions::default()
        };
        check_log(&log, &options).unwrap().verdict
    };
    assert!(matches!(stopped("0 1-2 x+1"), Verdict::Unknown(_)));
    assert!(matches!(stopped("0 1-2 x=1"), Verdict::Violation(_)));
    let log = log("0 1-2 x+1");
    let limits = Limits {
        bytes_max: 10,
        ..Limits::default()
    };
    let transactions = adya::transactions(&log).unwrap();
    assert!(matches!(
        adya::check(&transactions, limits),
        Isolation::Unknown(_)
    ));
}

#[test]
fn what_is_no_such_transaction_is_told_by_its_line() {
    let error = |invoked: &str, returned: &str| {
        let text = format!(
            "{{:process 0, :type :invoke, :f :txn, :value {invoked}}}\n{{:process 0, :type :ok, :f :txn, :value {returned}}}"
        );
        let log = Log::read(text.as_bytes()).unwrap();
        let options = CheckOptions {
            model: Some("list-append"),
            ..CheckOptions::default()
        };
        check_log(&log, &options)
            .map(|report| report.verdict)
            .unwrap_err()
            .to_string()
    };
    let cases = [
        (
            "7",
            "7",
            "a transaction is a list of steps such as [append x 1] and [r x null], not 7",
        ),
        (
            "[[:w x 1]]",
            "[[:w x 1]]",
            "a step is [append key value] or [r key list], not [:w,x,1]",
        ),
        (
            "[[:append x nil]]",
            "[[:append x nil]]",
            "an append needs a value, and [:append,x,null] has none",
        ),
        (
            "[[:r x nil]]",
            "[[:r x 1]]",
            "a read returns a list of what was appended, not 1",
        ),
        (
            "[[:r x nil]]",
            "[[:r y nil]]",
            "the transaction [[:r,x,null]] returned as another one, [[:r,y,null]]",
        ),
        (
            "[[:r x nil]]",
            "[]",
            "the transaction [[:r,x,null]] returned as another one, []",
        ),
    ];
    for (invoked, returned, reason) in cases {
        assert_eq!(error(invoked, returned), format!("line 1: {reason}"));
    }
}

#[test]
fn transactions_of_two_steps_are_no_independent_tuples() {
    let text = "{:process 0, :type :invoke, :f :txn, :value [[:append 1 1] [:r 2 nil]]}
                {:process 0, :type :ok, :f :txn, :value [[:append 1 1] [:r 2 []]]}
                {:process 0, :type :invoke, :f :txn, :value [[:append 2 1] [:r 1 nil]]}
                {:process 0, :type :ok, :f :txn, :value [[:append 2 1] [:r 1 [1]]]}";
    let judged =
        |text: &str| check_log(&Log::read(text.as_bytes()).unwrap(), &CheckOptions::default()).unwrap();
    let report = judged(text);
    assert_eq!((report.model, report.verdict), ("list-append", Verdict::Valid));
    assert!(matches!(
        judged(&text.replace("[:r 1 [1]]", "[:r 1 nil]")).verdict,
        Verdict::Violation(_)
    ));
    // Those of independent stores are.
    let tuple = |text: &str| text.replace(":value [", ":value [:a [").replace("]}", "]]}");
    let report = judged(&tuple(text));
    assert_eq!(
        (report.model, report.verdict, report.partitions),
        ("list-append", Verdict::Valid, 1)
    );
}

#[test]
fn agrees_with_trying_all_orders() {
    let tally = transactions::fuzz(20_000, 1).unwrap_or_else(|disagreement| panic!("{disagreement}"));
    tally.balance().unwrap();
}
