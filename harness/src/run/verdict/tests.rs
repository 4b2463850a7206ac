use super::*;
use crate::client::MISANSWERED;
use crate::exit::Exit;
use crate::nemesis::{Kind, Outcome};
use crate::record::{self, Counts, Recorder};
use crate::run::Options;
use checker::{CheckOptions, Log};
use std::collections::BTreeMap;
use std::process::ExitStatus;
use workloads::{Completion, Op, Ret};

const GOOD: &str = r#"{"rustyraft-history":1,"workload":"register"}
{"time":1,"process":0,"type":"invoke","f":"write","key":0,"value":1}
{"time":2,"process":0,"type":"ok","f":"write","key":0,"value":null}
"#;
const STALE: &str = r#"{"time":3,"process":0,"type":"invoke","f":"read","key":0,"value":null}
{"time":4,"process":0,"type":"ok","f":"read","key":0,"value":null}
"#;

fn test() -> Test {
    Test::for_tests(Options {
        system: crate::systems::SystemName::Node,
        workload: String::from("register"),
        nodes: 3,
        concurrency: 3,
        rate: None,
        time_limit: Duration::from_secs(20),
        nemesis: vec![Kind::Kill],
        nemesis_interval: Duration::from_secs(5),
        clock_rates: crate::nemesis::Rates::default(),
        timeout: Duration::from_millis(500),
        node_args: Vec::new(),
        follower_reads: false,
        online: true,
        hosts: None,
    })
}

fn judged(history: &str) -> Judged {
    let log = Log::read(history.as_bytes()).unwrap();
    let report = workloads::judge(&log, &CheckOptions::default()).unwrap();
    Judged {
        report,
        log,
        parse: Duration::ZERO,
        check: Duration::ZERO,
    }
}

/// A tally in which each operation that a register needs was ok once.
fn tally() -> Tally {
    tally_with(&Completion::Ok(Ret::Value(None)))
}

/// The same, and a read that ended like this.
fn tally_with(completion: &Completion) -> Tally {
    let folder = tempfile::tempdir().unwrap();
    let recorder = Recorder::create(&folder.path().join("history.jsonl"), "register").unwrap();
    let done = [
        (Op::Read { key: 0 }, Ret::Value(None)),
        (Op::Write { key: 0, value: 1 }, Ret::Written),
        (
            Op::Cas {
                key: 0,
                expected: None,
                new: 1,
            },
            Ret::Swapped(false),
        ),
    ];
    for (op, ret) in done {
        let invoked = recorder.invoke(0, &op, 1, None);
        recorder.complete(invoked, &op, &Completion::Ok(ret));
    }
    let read = Op::Read { key: 0 };
    recorder.complete(recorder.invoke(0, &read, 1, None), &read, completion);
    recorder.finish().unwrap()
}

fn findings(history: &str) -> Findings {
    let effects = BTreeMap::from([(Kind::Kill, 2)]);
    let judged = judged(history);
    Findings {
        loaded: Some(Loaded {
            took: Duration::from_secs(20),
            calm: Duration::from_millis(100),
            counts_when_calm: Counts {
                ok: 2,
                fail: 0,
                info: 0,
            },
            tally: tally(),
            outcome: Outcome {
                applied: effects.clone(),
                took_effect: effects,
                ..Outcome::default()
            },
        }),
        tally: Tally::of(&judged.log),
        judged: Some(judged),
        elections: Some(3),
        ..Findings::default()
    }
}

fn exit(raw: i32, last_line: &str) -> NodeExit {
    NodeExit {
        node: 2,
        status: ExitStatus::from_raw(raw),
        was_told: false,
        last_lines: vec![last_line.to_owned()],
    }
}

fn verdict(findings: &Findings) -> (Valid, String, String) {
    let results = conclude(&test(), Path::new("store/run"), findings);
    (
        results.summary.valid,
        results.summary.reason.unwrap_or_default(),
        results.explanation.unwrap_or_default(),
    )
}

#[test]
fn a_good_history_of_a_run_that_was_hurt_is_valid() {
    assert_eq!(
        verdict(&findings(GOOD)),
        (Valid::True, String::new(), String::new())
    );
}

#[test]
fn a_bad_history_is_a_violation_whatever_else_went_wrong() {
    let mut all_wrong = findings(&format!("{GOOD}{STALE}"));
    all_wrong.objections.push(String::from("the run was interrupted"));
    all_wrong.exits.push(exit(255 << 8, "disk full"));
    let (valid, reason, explanation) = verdict(&all_wrong);
    assert_eq!(valid, Valid::False);
    assert!(
        reason.starts_with("cas-register 0 is not linearizable. Process 0"),
        "{reason}"
    );
    assert!(
        explanation.contains("No order of the operations explains that"),
        "{explanation}"
    );
}

#[test]
fn a_node_that_panicked_is_a_violation_with_its_last_words() {
    for (raw, line) in [
        (101 << 8, "term regression 4 → 3"),
        (6, "aborted"),
        (255 << 8, "thread 'main' panicked at x.rs:1"),
    ] {
        let mut crashed = findings(GOOD);
        crashed.exits.push(exit(raw, line));
        let (valid, reason, explanation) = verdict(&crashed);
        assert_eq!(valid, Valid::False);
        assert!(
            reason.starts_with("node 2 found its own state broken"),
            "{reason}"
        );
        assert!(explanation.contains(line), "{explanation}");
    }
}

#[test]
fn a_node_that_starts_on_damaged_data_is_a_violation_though_no_client_noticed() {
    for (file, what) in [("wal-0000000000000001.log", "log"), ("snapshot-7-1", "snapshot")] {
        let mut blind = findings(GOOD);
        blind.unnoticed.push(Wound {
            node: 3,
            file: String::from(file),
            batch: 4096,
            byte: 4100,
            bit: 7,
        });
        let explanation = format!("While it was down, bit 7 of byte 4100 of {file} was flipped.");
        let reason = format!("node 3 started on a damaged {what}");
        assert_eq!(verdict(&blind), (Valid::False, reason, explanation));
    }
}

#[test]
fn nodes_that_differ_are_a_violation_though_no_client_noticed() {
    let mut diverged = findings(GOOD);
    diverged.divergence = Some((1, 3, 17));
    let (valid, reason, _) = verdict(&diverged);
    assert_eq!(valid, Valid::False);
    assert_eq!(
        reason,
        "nodes 1 and 3 are in different states after the same 17 entries"
    );
}

#[test]
fn a_node_that_ended_otherwise_leaves_the_verdict_unknown() {
    let mut ended = findings(GOOD);
    ended.exits.push(exit(255 << 8, "no space left on device"));
    ended
        .objections
        .push(String::from("the final reads at node 2 did not succeed"));
    let (valid, reason, explanation) = verdict(&ended);
    assert_eq!(valid, Valid::Unknown);
    assert_eq!(reason, "node 2 ended by itself: exit status: 255");
    assert!(explanation.contains("no space left on device"), "{explanation}");
    ended.exits[0].was_told = true;
    assert_eq!(
        verdict(&ended).1,
        "node 2 did not end as it was told to: exit status: 255"
    );
    ended.machine = Some(String::from("can't write store: no space left on device"));
    assert_eq!(verdict(&ended).1, "can't write store: no space left on device");
}

#[test]
fn what_keeps_a_run_from_proving_anything_leaves_it_unknown() {
    let mut objected = findings(GOOD);
    objected
        .objections
        .push(String::from("the cluster did not come back"));
    assert_eq!(verdict(&objected).1, "the cluster did not come back");

    let mut hurtless = findings(GOOD);
    hurtless.loaded.as_mut().unwrap().outcome.took_effect.clear();
    assert_eq!(verdict(&hurtless).1, "no kill ever took effect");

    let mut idle = findings(GOOD);
    // What the final reads find when all is over shows nothing of what went before.
    idle.loaded.as_mut().unwrap().tally = record::Tally::default();
    assert_eq!(verdict(&idle).1, "no read was ever ok");

    let mut helpless = findings(GOOD);
    helpless.loaded.as_mut().unwrap().counts_when_calm.ok = 4;
    assert_eq!(
        verdict(&helpless).1,
        "no operation was ok from the first fault on"
    );

    // The operation counts as failed, and nothing that was seen contradicts anything.
    for said in [
        MISANSWERED,
        "the node does not speak the protocol: malformed payload",
    ] {
        let mut confused = findings(GOOD);
        confused.tally = tally_with(&Completion::Fail(said.to_owned()));
        assert_eq!(
            verdict(&confused).1,
            format!("a node does not answer what it is asked: {said}")
        );
    }

    let never_served = Findings {
        objections: vec![String::from("nobody served")],
        ..Findings::default()
    };
    assert_eq!(
        verdict(&never_served),
        (Valid::Unknown, String::from("nobody served"), String::new())
    );
}

#[test]
fn a_history_that_has_lost_operations_is_not_valid_for_what_is_left() {
    let mut cut = findings(GOOD);
    cut.tally = tally();
    assert_eq!(
        verdict(&cut),
        (
            Valid::Unknown,
            String::from("4 operations were recorded, and 1 are left in the history"),
            String::new()
        )
    );
    // What is left may be enough to be wrong.
    let mut wrong = findings(&format!("{GOOD}{STALE}"));
    wrong.tally = tally();
    assert_eq!(verdict(&wrong).0, Valid::False);
}

#[test]
fn an_empty_history_is_unknown() {
    let header = GOOD.lines().next().unwrap();
    let (valid, reason, _) = verdict(&findings(&format!("{header}\n")));
    assert_eq!(valid, Valid::Unknown);
    assert!(reason.contains("no operation"), "{reason}");
}

/// A test that was ended when a violation was seen.
fn ended_early(history: &str) -> Findings {
    let mut early = findings(history);
    early.ended_early = Some(EarlyEnd {
        seconds: 3.2,
        operations: 4_100,
        object: String::from("cas-register 0"),
        healed: false,
        confirmed: None,
    });
    early.objections.push(String::from("ended early"));
    // It did not come to any fault.
    early.loaded.as_mut().unwrap().outcome = Outcome::default();
    early
}

#[test]
fn a_violation_that_was_seen_early_is_explained_by_the_check_at_the_end() {
    let early = ended_early(&format!("{GOOD}{STALE}"));
    let results = conclude(&test(), Path::new("store/run"), &early);
    assert_eq!((results.exit(), results.dispute()), (Exit::Violation, None));
    assert_eq!(results.ended_early.unwrap().confirmed, Some(true));
    assert!(results.explanation.unwrap().contains("The smallest core"));
    assert_eq!(
        (results.apart.valid, results.apart.reason.as_deref()),
        (Valid::Unknown, Some("ended early")),
        "nothing is claimed of what it did not come to"
    );
}

#[test]
fn checks_that_differ_are_an_internal_error_that_names_both() {
    let results = conclude(&test(), Path::new("store/run"), &ended_early(GOOD));
    assert_eq!(
        (results.summary.valid, results.exit()),
        (Valid::Unknown, Exit::Internal)
    );
    let reason = results.summary.reason.clone().unwrap();
    assert_eq!(Some(&reason), results.dispute().as_ref());
    for word in ["cas-register 0", "store/run", "one of them is wrong"] {
        assert!(reason.contains(word), "{reason}");
    }
    let mut crashed = ended_early(GOOD);
    crashed.exits.push(exit(101 << 8, "panicked at"));
    let results = conclude(&test(), Path::new("store/run"), &crashed);
    assert_eq!(
        results.exit(),
        Exit::Violation,
        "a node that crashed did so anyway"
    );
    assert!(results.dispute().is_some());
}

#[test]
fn what_was_seen_early_stands_where_the_check_at_the_end_comes_to_nothing() {
    let mut early = ended_early(GOOD);
    early.judged = None;
    let results = conclude(&test(), Path::new("store/run"), &early);
    assert_eq!((results.exit(), results.dispute()), (Exit::Violation, None));
    let reason = results.summary.reason.unwrap();
    assert!(
        reason.starts_with("cas-register 0 is not linearizable, as was seen while it ran"),
        "{reason}"
    );
}
