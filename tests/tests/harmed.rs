//! Links that are slow or flaky, and damaged disks, under the real node: what is right stays right, and the same harm can be done again.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use serde_json::Value;
use std::fs;
use std::path::Path;
use tests::{check_each, harness, json, node, run, run_in, write_program};

/// A valid run under these faults; its folder, and how often each kind took effect.
#[track_caller]
fn survived(store: &Path, nodes: &str, nemesis: &str, seed: &str) -> (std::path::PathBuf, Value) {
    let args = [
        "--nodes",
        nodes,
        "--nemesis",
        nemesis,
        "--seed",
        seed,
        "--time-limit",
        "8s",
    ];
    let said = run_in(store, &[&args[..], &["--nemesis-interval", "800ms"]].concat());
    assert_eq!(said.code, 0, "{said:?}");
    let mut result = said.json();
    let run_dir = result["run_dir"].as_str().unwrap().into();
    (run_dir, result["faults"].take())
}

/// The faults of a run, as it recorded them.
fn faults(run_dir: &Path) -> Vec<Value> {
    let mut test = json(&fs::read_to_string(run_dir.join("test.json")).unwrap());
    let Value::Array(faults) = test["schedule"]["faults"].take() else {
        panic!("no schedule: {test}")
    };
    faults
}

#[test]
fn slow_links_are_survived() {
    let store = tempfile::tempdir().unwrap();
    check_each(&["2", "3", "5"], |nodes| {
        let (_, faults) = survived(store.path(), nodes, "slow", "1");
        assert!(faults["slow"].as_u64() >= Some(2), "{faults}");
    });
}

#[test]
fn flaky_links_are_survived() {
    let store = tempfile::tempdir().unwrap();
    check_each(&["2", "3", "5"], |nodes| {
        let (_, faults) = survived(store.path(), nodes, "flaky", "1");
        assert!(faults["flaky"].as_u64() >= Some(2), "{faults}");
    });
}

#[test]
fn damaged_data_is_refused_and_its_nodes_join_anew() {
    let store = tempfile::tempdir().unwrap();
    check_each(&["3", "5"], |nodes| {
        // By this seed, all sorts of damage are among the first faults.
        let (run_dir, count) = survived(store.path(), nodes, "disk", "14");
        assert!(count["disk"].as_u64() >= Some(2), "{count}");
        let done = faults(&run_dir);
        let hit = |damage: &str| {
            let mut faults = done.iter().map(|fault| &fault["fault"]["disk"]);
            let found = faults.find(|fault| fault[0] == damage);
            found.map(|fault| fault[2][0].as_u64().unwrap())
        };
        for (damage, file) in [("log", "wal-"), ("snapshot", "snapshot-")] {
            let node = hit(damage).unwrap_or_else(|| panic!("no {damage} was damaged: {done:?}"));
            let log = fs::read_to_string(run_dir.join(format!("nodes/{node}/log"))).unwrap();
            let refused = log
                .lines()
                .any(|line| line.contains(file) && line.contains("is corrupt at offset"));
            assert!(refused, "node {node} did not refuse its damaged {damage}");
        }
        assert!(hit("torn").is_some(), "{done:?}");
    });
}

/// A node program that throws its data away when they are damaged, and says nothing of it.
fn careless_node(folder: &Path) -> std::path::PathBuf {
    let program = folder.join("careless-node");
    let script = format!(
        r#"#!/bin/sh
for argument; do case "$argument" in --data=*) data="${{argument#--data=}}";; esac; done
if [ -e "$data/identity" ] && ! '{node}' wal inspect "$data" > /dev/null 2>&1; then rm -r "$data"; fi
exec '{node}' "$@"
"#,
        node = node().display()
    );
    write_program(&program, &script);
    program
}

#[test]
fn a_node_that_starts_on_damaged_data_is_found_out() {
    let store = tempfile::tempdir().unwrap();
    let program = careless_node(store.path());
    let args = [
        "run",
        "--json",
        "--nodes",
        "3",
        "--nemesis",
        "disk",
        "--seed",
        "14",
        "--time-limit",
        "8s",
        "--nemesis-interval",
        "800ms",
        "--node-binary",
        program.to_str().unwrap(),
        "--store",
        store.path().to_str().unwrap(),
    ];
    let said = run(&harness(), &args);
    assert_eq!(said.code, 1, "{said:?}");
    let result = said.json();
    let reason = result["reason"].as_str().unwrap();
    assert!(reason.contains("started on a damaged"), "{said:?}");
    assert!(said.err.contains("was flipped"), "{said:?}");
}

#[test]
fn a_replay_does_the_same_harm() {
    let store = tempfile::tempdir().unwrap();
    let (first, _) = survived(store.path(), "3", "slow,flaky,disk", "4");
    let said = run_in(store.path(), &["--replay", first.to_str().unwrap()]);
    assert_eq!(said.code, 0, "{said:?}");
    let again = said.json()["run_dir"].as_str().unwrap().to_owned();
    let (first, again) = (faults(&first), faults(Path::new(&again)));
    assert!(!again.is_empty());
    for (done, repeated) in first.iter().zip(&again) {
        assert_eq!(done["aim"], repeated["aim"]);
        if !done["aim"].as_str().unwrap().contains("leader") {
            assert_eq!(done["fault"], repeated["fault"]);
            continue;
        }
        // Another node may lead, but all else is as it was.
        for (kind, particulars) in [("slow", 1), ("flaky", 1), ("disk", 2)] {
            for place in 0..particulars {
                assert_eq!(done["fault"][kind][place], repeated["fault"][kind][place]);
            }
        }
    }
}
