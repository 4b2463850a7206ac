//! The main job on the real node: what is right is called valid, and everything about it is kept.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};
use tests::{check_each, command, harness, node, run, run_in};

#[test]
fn five_nodes_under_every_fault_are_valid_and_every_fault_took_effect() {
    let store = tempfile::tempdir().unwrap();
    let said = run_in(
        store.path(),
        &["--nodes", "5", "--time-limit", "15s", "--seed", "1"],
    );
    assert_eq!(said.code, 0, "{said:?}");
    let result = said.json();
    assert_eq!(result["valid"], true, "{result}");
    assert_eq!(result["workload"], "register");
    assert_eq!(result["system"], "node");
    assert_eq!(result["nodes"], 5);
    assert_eq!(result["seed"], 1);
    assert_every_fault_took_effect(&result);
    assert!(result["elections"].as_u64().unwrap() >= 2, "{result}");
    assert!(result["ops"]["ok"].as_u64().unwrap() >= 500, "{result}");

    let run_dir = Path::new(result["run_dir"].as_str().unwrap()).to_owned();
    for file in ["test.json", "history.jsonl", "results.json", "nodes/1/log"] {
        assert!(run_dir.join(file).exists(), "{file} is missing");
    }
    // Where disks can't be made to fail, data lies on the machine's.
    let data = ["nodes/5/durable/data", "nodes/5/data"];
    assert!(data.iter().any(|folder| run_dir.join(folder).exists()));

    // The history alone gives the same verdict.
    let history = run_dir.join("history.jsonl");
    let checked = run(&harness(), &["check", "--json", history.to_str().unwrap()]);
    assert_eq!(checked.code, 0, "{checked:?}");
    assert_eq!(checked.json()["valid"], true);

    // The run can be repeated, with its seed and its faults.
    let again = run_in(store.path(), &["--replay", run_dir.to_str().unwrap()]);
    assert_eq!(again.code, 0, "{again:?}");
    assert_eq!(again.json()["seed"], 1);
    assert_every_fault_took_effect(&again.json());
}

#[test]
fn one_node_two_nodes_and_several_tests_run() {
    let store = tempfile::tempdir().unwrap();
    // One node alone is put through all that may befall it.
    let said = run_in(store.path(), &["--nodes", "1", "--time-limit", "12s"]);
    assert_eq!(said.code, 0, "{said:?}");
    // Without either of two nodes nothing is served: however slowly they start, between two faults there is time for that.
    let kills = [
        "--nemesis",
        "kill",
        "--nemesis-interval",
        "4s",
        "--time-limit",
        "8s",
    ];
    check_each(&["1", "2"], |nodes| {
        let said = run_in(store.path(), &[&["--nodes", nodes][..], &kills].concat());
        assert_eq!(said.code, 0, "{said:?}");
        assert!(said.json()["faults"]["kill"].as_u64() >= Some(2), "{said:?}");
    });
    let said = run_in(
        store.path(),
        &[
            "--nodes",
            "3",
            "--time-limit",
            "2s",
            "--nemesis",
            "none",
            "--test-count",
            "2",
        ],
    );
    assert_eq!(said.code, 0, "{said:?}");
    let seeds: Vec<u64> = said
        .out
        .lines()
        .map(|line| tests::json(line)["seed"].as_u64().unwrap())
        .collect();
    assert_eq!(seeds.len(), 2);
    assert_ne!(seeds[0], seeds[1]);
}

#[test]
fn members_that_come_and_go_and_leaders_that_make_way_are_survived() {
    let store = tempfile::tempdir().unwrap();
    for (nodes, kinds) in [("1", &["member"][..]), ("3", &["member", "transfer"])] {
        let nemesis = kinds.join(",");
        let args = ["--nodes", nodes, "--time-limit", "5s", "--nemesis", &nemesis];
        let said = run_in(store.path(), &args);
        assert_eq!(said.code, 0, "{said:?}");
        for kind in kinds {
            assert!(said.json()["faults"][kind].as_u64() >= Some(2), "{said:?}");
        }
    }
    let said = run_in(
        store.path(),
        &["--replay", store.path().join("latest").to_str().unwrap()],
    );
    assert_eq!(said.code, 0, "{said:?}");
}

#[test]
fn reads_at_followers_are_valid_whatever_befalls_nodes_and_links() {
    let store = tempfile::tempdir().unwrap();
    let args = [
        "--nodes",
        "3",
        "--nemesis",
        "kill,pause,partition,transfer,member,wipe,slow,flaky,disk,clock",
        "--time-limit",
        "8s",
        "--seed",
        "2",
        "--follower-reads",
    ];
    let said = run_in(store.path(), &args);
    assert_eq!(said.code, 0, "{said:?}");
    let result = said.json();
    assert_every_fault_took_effect(&result);
    // What a follower is asked, it answers: nobody who is pinned to one has read nothing.
    let run_dir = Path::new(result["run_dir"].as_str().unwrap());
    let history = fs::read_to_string(run_dir.join("history.jsonl")).unwrap();
    let mut readers = std::collections::BTreeSet::new();
    for line in history.lines().map(tests::json) {
        if line["type"] == "ok" && line["f"] == "read" {
            readers.insert(line["process"].as_u64().unwrap() % 6);
        }
    }
    assert_eq!(readers.len(), 6, "{readers:?}");
}

#[test]
fn every_other_workload_is_kept_through_lost_leaders() {
    let store = tempfile::tempdir().unwrap();
    let workloads = [
        "counter",
        "queue",
        "set",
        "session",
        "append",
        "bank",
        "multi-register",
        "lock",
        "unique-ids",
    ];
    check_each(&workloads, |workload| {
        let args = [
            "--workload",
            workload,
            "--nodes",
            "3",
            "--time-limit",
            "3s",
            "--nemesis",
            "kill,partition",
        ];
        let said = run_in(store.path(), &args);
        assert_eq!(said.code, 0, "{said:?}");
        assert_eq!(said.json()["workload"], workload);
    });
}

#[test]
fn when_the_harness_is_killed_its_nodes_die_and_what_it_recorded_can_be_checked() {
    let store = tempfile::tempdir().unwrap();
    let (node, path) = (node(), store.path().to_str().unwrap());
    let args = [
        "run",
        "--node-binary",
        node.to_str().unwrap(),
        "--store",
        path,
        "--nemesis",
        "pause",
        "--nodes",
        "3",
    ];
    let mut child = command(&harness(), &args)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let history = wait_for("a history of some length", || {
        let path = find(store.path(), "history.jsonl")?;
        (fs::metadata(&path).ok()?.len() > 100_000).then_some(path)
    });
    assert_eq!(
        processes_that_name(path).len(),
        4,
        "three nodes and their harness"
    );
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
    child.wait().unwrap();
    wait_for("the nodes' end", || {
        processes_that_name(path).is_empty().then_some(())
    });
    let checked = run(&harness(), &["check", "--json", history.to_str().unwrap()]);
    assert_eq!(checked.code, 0, "{checked:?}");
    assert!(checked.json()["ops"].as_u64().unwrap() > 100, "{checked:?}");
}

#[test]
fn up_tells_of_an_election_and_stops_cleanly() {
    let store = tempfile::tempdir().unwrap();
    let (node, dir) = (node(), store.path().join("up"));
    let args = [
        "up",
        "--nodes",
        "3",
        "--node-binary",
        node.to_str().unwrap(),
        "--dir",
        dir.to_str().unwrap(),
    ];
    let log = store.path().join("said");
    let said = fs::File::create(&log).unwrap();
    let errors = said.try_clone().unwrap();
    let mut child = command(&harness(), &args)
        .stdout(said)
        .stderr(errors)
        .spawn()
        .unwrap();
    wait_for("a leader", || {
        fs::read_to_string(&log).ok()?.contains("lead").then_some(())
    });
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    let status = child.wait().unwrap();
    assert!(
        status.success(),
        "{status}: {}",
        fs::read_to_string(&log).unwrap()
    );
    assert!(processes_that_name(dir.to_str().unwrap()).is_empty());
}

#[track_caller]
fn assert_every_fault_took_effect(result: &serde_json::Value) {
    for kind in ["kill", "pause", "partition"] {
        // Each is begun twice. Whether a partition costs anybody anything depends on who leads.
        assert!(
            result["faults"][kind].as_u64().is_some_and(|times| times >= 1),
            "{kind}: {result}"
        );
    }
}

/// Waits, for as long as a very slow machine may need.
fn wait_for<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(60) {
        if let Some(found) = condition() {
            return found;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("waited in vain for {what}");
}

/// The first file of that name below a folder.
fn find(folder: &Path, name: &str) -> Option<std::path::PathBuf> {
    for entry in fs::read_dir(folder).ok()?.flatten() {
        // Links lead to folders that are met anyway.
        let kind = entry.file_type().ok()?;
        if kind.is_dir() {
            if let Some(found) = find(&entry.path(), name) {
                return Some(found);
            }
        } else if kind.is_file() && entry.file_name() == name {
            return Some(entry.path());
        }
    }
    None
}

/// The processes whose command line contains `text`.
fn processes_that_name(text: &str) -> Vec<String> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let lines = processes.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    lines
        .map(|line| String::from_utf8_lossy(&line).into_owned())
        .filter(|line| line.contains(text))
        .collect()
}
