//! The harness can say no: bugs that are seeded into the node are found by real processes under real faults, with the right
//! explanation; and the same faults find nothing in the node as it is.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::path::Path;
use tests::{Said, check_each, harness, harness_with_mutants, json, node_with_mutants, run};

/// A run of the node that was built with seeded bugs, with the one called `mutant`, or with none.
fn run_mutant(store: &Path, mutant: Option<&str>, seed: u64, args: &[&str]) -> Said {
    let (node, seed) = (node_with_mutants(), seed.to_string());
    let mut all = vec![
        "run",
        "--json",
        "--node-binary",
        node.to_str().unwrap(),
        "--seed",
        &seed,
    ];
    all.extend(["--store", store.to_str().unwrap()]);
    all.extend(args);
    let mutant = mutant.map(|mutant| format!("--mutant={mutant}"));
    if let Some(mutant) = &mutant {
        all.extend(["--node-arg", mutant]);
    }
    run(&harness(), &all)
}

/// One of a few seeds must find the bug, call it a violation, and explain it rightly.
#[track_caller]
fn found(mutant: &str, seeds: std::ops::Range<u64>, args: &[&str], explains: impl Fn(&str) -> bool) {
    let store = tempfile::tempdir().unwrap();
    for seed in seeds.clone() {
        let said = run_mutant(store.path(), Some(mutant), seed, args);
        match said.code {
            0 | 2 => continue,
            1 => {
                assert_eq!(said.json()["valid"], false, "{said:?}");
                assert!(
                    explains(&said.err),
                    "{mutant} is not what this explains: {}",
                    said.err
                );
                return;
            }
            _ => panic!("{mutant}, seed {seed}: {said:?}"),
        }
    }
    panic!("{mutant} was found with none of the seeds {seeds:?} under {args:?}");
}

/// Whether the violation needs a read. The operation that no order explains need not be one: a stale read may be in order by itself and
/// leave none for what another client was told later. But then it is part of the smallest core.
fn needs_a_read(report: &str) -> bool {
    let core = report
        .lines()
        .skip_while(|line| !line.starts_with("The smallest core"));
    let mut rows = core
        .skip(1)
        .take_while(|line| line.is_empty() || line.starts_with("    "));
    rows.any(|row| row.contains("s  read "))
}

const UNDER_PAUSE: [&str; 6] = ["--nodes", "3", "--time-limit", "6s", "--nemesis", "pause"];
const UNDER_PARTITION: [&str; 6] = ["--nodes", "3", "--time-limit", "6s", "--nemesis", "partition"];
const UNDER_KILL: [&str; 6] = ["--nodes", "3", "--time-limit", "6s", "--nemesis", "kill"];
/// As many kinds as have their turn in a few seconds, and wait for nobody.
const MANY: &str = "kill,pause,partition,transfer,member,wipe,slow,flaky,disk,clock";

#[test]
fn stale_local_reads_are_found_under_pause() {
    found("stale-local-read", 1..6, &UNDER_PAUSE, needs_a_read);
}

#[test]
fn stale_local_reads_are_found_under_partition() {
    found("stale-local-read", 1..6, &UNDER_PARTITION, needs_a_read);
}

#[test]
fn a_state_that_a_failover_empties_is_found_under_kill() {
    found("failover-empties", 1..6, &UNDER_KILL, |report| {
        report.contains("is not linearizable") || report.contains("in different states")
    });
}

#[test]
fn a_command_of_a_session_that_takes_effect_twice_is_found_without_any_fault() {
    let args = [
        "--workload",
        "session",
        "--nodes",
        "3",
        "--time-limit",
        "3s",
        "--nemesis",
        "none",
    ];
    found("retry-applied-twice", 1..3, &args, |report| {
        report.contains("kv-append") && report.contains("is not linearizable")
    });
}

#[test]
fn nodes_that_lost_their_data_and_are_taken_for_what_they_were_are_found_under_wipe() {
    let args = ["--nodes", "3", "--time-limit", "6s", "--nemesis", "wipe"];
    found("wiped-rejoin", 1..4, &args, |report| {
        report.contains("is not linearizable")
            || report.contains("in different states")
            || report.contains("ended by itself")
            || report.contains("found its own state broken")
    });
}

#[test]
fn the_node_as_it_is_passes_under_the_same_faults_with_twenty_seeds() {
    let store = tempfile::tempdir().unwrap();
    let nemeses = ["pause", "partition", "kill", MANY].into_iter().cycle();
    let tests: Vec<(&str, u64)> = nemeses.zip(1..=20).collect();
    check_each(&tests, |(nemesis, seed)| {
        let args = ["--nodes", "3", "--time-limit", "5s", "--nemesis", nemesis];
        let said = run_mutant(store.path(), None, seed, &args);
        assert_eq!(said.code, 0, "{nemesis}, seed {seed}: {said:?}");
    });
}

#[test]
fn a_core_is_searched_for_reads_in_its_table_alone() {
    let report = |operation: &str| {
        format!(
            "violation  cas-register 0 is not linearizable.\n\n  Process 0 at node 1: read returned 3.\n\n\
             The smallest core, 1 of the 4 operations there: without any one of them the rest has an order.\n\n    \
             process  invoked     returned    operation    result\n    \
             0 → n1   0.002257 s  0.003202 s  {operation}  swapped\n\n\
             That operation and those open at the same time:\n\n    \
             4 → n2   0.005101 s  0.005335 s  read       nil\n"
        )
    };
    assert!(needs_a_read(&report("read      ")));
    assert!(!needs_a_read(&report("cas 0 → 3")));
}

#[test]
fn harness_mutants_finds_a_bug_and_nothing_in_the_node_as_it_is() {
    let with = harness_with_mutants();
    let hunt = |args: &[&str]| {
        let mut all = vec!["mutants", "--json", "--with", with.to_str().unwrap()];
        all.extend(args);
        run(&harness(), &all)
    };
    let said = hunt(&[
        "--mutant",
        "none",
        "--mutant",
        "ack-before-fsync",
        "--layer",
        "simulate",
        "--budget",
        "5s",
    ]);
    assert_eq!(said.code, 0, "{said:?}");
    let lines: Vec<_> = said.out.lines().map(json).collect();
    assert_eq!(lines.len(), 2, "{said:?}");
    assert_eq!(
        (&lines[0]["mutant"], &lines[0]["found"]),
        (&"none".into(), &false.into())
    );
    assert_eq!(
        (&lines[1]["by"], &lines[1]["found"]),
        (&"simulate".into(), &true.into())
    );
    let replay = lines[1]["replay"].as_str().unwrap();
    let words: Vec<&str> = replay.split(' ').skip(1).collect();
    assert_eq!(run(&with, &words).code, 1, "{replay}");
    let cut_short = hunt(&["--mutant", "none", "--layer", "model", "--budget", "1ms"]);
    assert_eq!(cut_short.code, 2, "{cut_short:?}");
    assert!(cut_short.err.contains("is not told"), "{cut_short:?}");
    let unknown = hunt(&["--mutant", "no-such-bug"]);
    assert_eq!(unknown.code, 254, "{unknown:?}");
    assert!(unknown.err.contains("no-such-bug"), "{unknown:?}");
}
