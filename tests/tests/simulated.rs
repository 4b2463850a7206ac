//! A simulated world's faults, exported as a schedule, are repeated by real processes: what holds in simulation holds there, and a seeded
//! bug that breaks a world breaks a real cluster under the same faults.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use tests::{Said, harness, harness_with_mutants, json, node, node_with_mutants, run};

/// Schedules that go on for longer are left to those who have time.
const SCHEDULE_MS_MAX: u64 = 5_000;

/// Worlds among which one with a short schedule is looked for.
const SEEDS: u64 = 50;

/// Simulates the world of `seed`, and exports its faults into a folder below `store`.
fn export(program: &Path, store: &Path, seed: u64, args: &[&str]) -> (Said, PathBuf) {
    let folder = store.join(format!("faults-{seed}"));
    let seed = seed.to_string();
    let mut all = vec!["simulate", "--json", "--seed", &seed];
    all.extend(["--schedule", folder.to_str().unwrap()]);
    all.extend(args);
    (run(program, &all), folder)
}

/// Which kinds of faults an exported schedule has, and when the last of them ends.
fn kinds(folder: &Path) -> (BTreeSet<String>, u64) {
    let test = json(&fs::read_to_string(folder.join("test.json")).unwrap());
    let faults = test["schedule"]["faults"].as_array().unwrap();
    let kinds = faults.iter().filter_map(|fault| {
        let (kind, _) = fault["fault"].as_object()?.iter().next()?;
        Some(kind.clone())
    });
    let ends = faults.iter().filter_map(|fault| fault["stop_ms"].as_u64()).max();
    (kinds.collect(), ends.unwrap_or_default())
}

fn replay(store: &Path, folder: &Path, node: &Path) -> Said {
    let args = ["run", "--json", "--replay", folder.to_str().unwrap()];
    let rest = [
        "--node-binary",
        node.to_str().unwrap(),
        "--store",
        store.to_str().unwrap(),
    ];
    run(&harness(), &[&args[..], &rest[..]].concat())
}

#[test]
fn the_faults_of_a_world_that_holds_are_survived_by_real_processes() {
    let store = tempfile::tempdir().unwrap();
    let all: BTreeSet<String> = ["kill", "pause", "partition"].map(String::from).into();
    let short = (1..SEEDS).find_map(|seed| {
        let (said, folder) = export(&harness(), store.path(), seed, &[]);
        assert_eq!(said.code, 0, "{said:?}");
        let (kinds, ends) = kinds(&folder);
        (kinds == all && ends < SCHEDULE_MS_MAX).then_some((seed, folder))
    });
    let (seed, folder) = short.expect("a world has a short schedule with every kind of fault");
    let said = replay(store.path(), &folder, &node());
    assert_eq!(said.code, 0, "seed {seed}: {said:?}");
    let result = said.json();
    assert_eq!(
        (&result["valid"], &result["seed"]),
        (&true.into(), &seed.into()),
        "{result}"
    );
    assert!(result["faults"]["kill"].as_u64() >= Some(1), "{result}");
}

#[test]
fn a_bug_that_breaks_a_world_breaks_a_real_cluster_under_its_faults() {
    let store = tempfile::tempdir().unwrap();
    let found = (1..6).any(|seed| {
        let mutant = ["--mutant", "stale-local-read"];
        let (said, folder) = export(&harness_with_mutants(), store.path(), seed, &mutant);
        if said.code == 0 {
            return false;
        }
        assert_eq!(said.code, 1, "seed {seed}: {said:?}");
        let said = replay(store.path(), &folder, &node_with_mutants());
        if said.code == 1 {
            assert_eq!(said.json()["valid"], false, "seed {seed}: {said:?}");
            assert!(said.err.contains("is not linearizable"), "seed {seed}: {said:?}");
        }
        said.code == 1
    });
    assert!(found, "none of the schedules lets real processes break");
}
