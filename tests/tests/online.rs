//! The check beside a run ends it at the first violation, and says nothing where there is none.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use serde_json::Value;
use std::fs;
use std::path::Path;
use tests::{Said, harness, json, node_with_mutants, run};

/// So long that nobody would wait for its end.
const LONG: f64 = 90.0;

/// A run of three nodes that were built with seeded bugs, with this one; `args` are words.
fn run_mutant(store: &Path, mutant: &str, args: &str) -> Said {
    let node = node_with_mutants();
    let mutant = format!("--mutant={mutant}");
    let mut all = vec!["run", "--json", "--nodes", "3", "--node-binary"];
    all.extend([node.to_str().unwrap(), "--node-arg", &mutant]);
    all.extend(["--store", store.to_str().unwrap()]);
    all.extend(args.split(' '));
    run(&harness(), &all)
}

fn file(run: &str, name: &str) -> Value {
    json(&fs::read_to_string(Path::new(run).join(name)).unwrap())
}

#[test]
fn a_violation_ends_the_run_and_the_check_at_the_end_explains_it() {
    let store = tempfile::tempdir().unwrap();
    let args = format!("--nemesis partition --nemesis-interval 2s --time-limit {LONG}s --seed 1");
    let said = run_mutant(store.path(), "stale-local-read", &args);
    assert_eq!(said.code, 1, "{said:?}");
    let line = said.json();
    assert_eq!(line["valid"], false);
    assert!(line["seconds"].as_f64().unwrap() < LONG, "{line}");
    for words in [
        "is not linearizable",
        "The smallest core",
        "s  read ",
        "seen        while it ran, after ",
    ] {
        assert!(said.err.contains(words), "{words:?}: {}", said.err);
    }
    // Nothing is claimed of what it did not come to.
    assert!(!said.err.contains("after the last fault"), "{}", said.err);
    let run = line["run_dir"].as_str().unwrap();
    let results = file(run, "results.json");
    let early = &results["ended_early"];
    assert_eq!(early["confirmed"], true, "{early}");
    let ops = ["ok", "fail", "info"].map(|outcome| line["ops"][outcome].as_u64().unwrap());
    assert!(early["operations"].as_u64().unwrap() <= ops.iter().sum());
    assert_eq!(results["recovery_seconds"], Value::Null);
    assert_eq!(results["apart"]["valid"], "unknown");
    // What can repeat it is there, and so is what the nodes left.
    let test = file(run, "test.json");
    let history = fs::read_to_string(Path::new(run).join("history.jsonl")).unwrap();
    let begun = history.matches("\"f\":\"partition start\"").count();
    assert_eq!(test["schedule"]["faults"].as_array().unwrap().len(), begun);
    for kept in ["report.html", "history.jsonl", "nodes/1/log", "nodes/1/data"] {
        assert!(Path::new(run).join(kept).exists(), "{kept}");
    }
    let again = tests::run(&harness(), &["report", "--json", run]);
    assert_eq!((again.code, again.json()["valid"].clone()), (1, false.into()));
}

#[test]
fn a_series_goes_on_after_a_run_that_was_ended() {
    let store = tempfile::tempdir().unwrap();
    let args =
        format!("--workload session --nemesis none --time-limit {LONG}s --test-count 2 --junit junit.xml");
    let args = args.replace("junit.xml", store.path().join("junit.xml").to_str().unwrap());
    let said = run_mutant(store.path(), "retry-applied-twice", &args);
    assert_eq!(said.code, 1, "{said:?}");
    let lines: Vec<Value> = said.out.lines().map(json).collect();
    assert_eq!(lines.len(), 2, "{said:?}");
    for line in &lines {
        assert_eq!(line["valid"], false);
        assert!(line["seconds"].as_f64().unwrap() < LONG, "{line}");
    }
    let xml = fs::read_to_string(store.path().join("junit.xml")).unwrap();
    assert!(xml.contains("tests=\"2\" failures=\"2\" errors=\"0\""), "{xml}");
}

#[test]
fn without_it_a_run_goes_on_to_its_limit() {
    let store = tempfile::tempdir().unwrap();
    let args = "--workload session --nemesis none --time-limit 3s --no-online";
    let said = run_mutant(store.path(), "retry-applied-twice", args);
    assert_eq!(said.code, 1, "{said:?}");
    let line = said.json();
    assert!(line["seconds"].as_f64().unwrap() >= 3.0, "{line}");
    assert!(!said.err.contains("while it ran"), "{}", said.err);
    let run = line["run_dir"].as_str().unwrap();
    assert_eq!(file(run, "results.json").get("ended_early"), None);
    assert_eq!(file(run, "test.json")["options"]["online"], false);
}

#[test]
fn a_run_without_violation_says_nothing_of_it_and_a_replay_repeats_the_flag() {
    let store = tempfile::tempdir().unwrap();
    let folder = store.path().to_str().unwrap();
    let brief = [
        "run",
        "--json",
        "--nodes",
        "3",
        "--nemesis",
        "none",
        "--time-limit",
        "1s",
        "--store",
        folder,
    ];
    let said = run(&harness(), &brief);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(
        !said.err.contains("while it ran") && !said.err.contains("beside"),
        "{}",
        said.err
    );
    let first = said.json()["run_dir"].as_str().unwrap().to_owned();
    assert_eq!(file(&first, "results.json").get("ended_early"), None);
    assert_eq!(file(&first, "test.json")["options"]["online"], true);

    let said = run(&harness(), &[&brief[..], &["--no-online"]].concat());
    assert_eq!(said.code, 0, "{said:?}");
    let first = said.json()["run_dir"].as_str().unwrap().to_owned();
    let said = run(
        &harness(),
        &["run", "--json", "--replay", &first, "--store", folder],
    );
    assert_eq!(said.code, 0, "{said:?}");
    let second = said.json()["run_dir"].as_str().unwrap().to_owned();
    assert_ne!(first, second);
    assert_eq!(file(&second, "test.json")["options"]["online"], false);
}
