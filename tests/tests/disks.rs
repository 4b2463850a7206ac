//! Disks that fail under real nodes: what was acknowledged survives, and what does not sync is found out.
//!
//! Where FUSE can't be used the tests say so, and pass; with `FUSE_REQUIRED` set, as continuous integration has it, they fail.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tests::{Said, command, harness, is_installed, node_with_mutants, run, wait_until};

/// Those that take disks that can fail.
const KINDS: [&str; 5] = ["power", "crash-point", "full", "io-error", "stall"];

/// A folder in which nothing can be mounted, for it is not there.
const NOWHERE: (&str, &str) = ("TMPDIR", "/nowhere");

/// Whether the harness has disks that can fail; if not, the test has nothing to do.
fn is_usable() -> bool {
    let folder = tempfile::tempdir().unwrap();
    let brief = ["--nodes", "1", "--nemesis", "stall", "--time-limit", "1s"];
    let said = run_in(folder.path(), &brief);
    if said.code != 254 {
        return true;
    }
    assert!(
        std::env::var_os("FUSE_REQUIRED").is_none(),
        "FUSE_REQUIRED is set, and {}",
        said.err
    );
    println!("skipped: {}", said.err);
    false
}

fn run_in(store: &Path, args: &[&str]) -> Said {
    let mut all = vec!["run", "--json", "--store", store.to_str().unwrap()];
    all.extend(args);
    run(&harness(), &all)
}

#[track_caller]
fn assert_took_effect(result: &Value, kinds: &[&str]) {
    for kind in kinds {
        assert!(result["faults"][*kind].as_u64() >= Some(1), "{kind}: {result}");
    }
}

/// The mounts below `folder`.
fn mounts(folder: &Path) -> Vec<String> {
    let folder = folder.canonicalize().unwrap();
    let mounts = fs::read_to_string("/proc/mounts").unwrap();
    let below = |line: &&str| line.contains(folder.to_str().unwrap());
    mounts.lines().filter(below).map(str::to_owned).collect()
}

#[test]
fn what_was_acknowledged_survives_disks_that_fail_and_so_it_does_in_a_replay() {
    if !is_usable() {
        return;
    }
    let store = tempfile::tempdir().unwrap();
    for kind in KINDS {
        let seed = kind.len().to_string();
        let args = [
            "--nodes",
            "3",
            "--nemesis",
            kind,
            "--time-limit",
            "5s",
            "--seed",
            &seed,
        ];
        let said = run_in(store.path(), &args);
        assert_eq!(said.code, 0, "{kind}: {said:?}");
        assert_took_effect(&said.json(), &[kind]);
        assert_eq!(mounts(store.path()), [] as [String; 0]);
        // The data is where it is said to be.
        let run_dir = PathBuf::from(said.json()["run_dir"].as_str().unwrap());
        assert!(run_dir.join("nodes/1/durable/data/identity").exists());
    }
    let latest = store.path().join("latest");
    let recorded = fs::read_to_string(latest.join("test.json")).unwrap();
    assert!(recorded.contains("\"stall\""), "{recorded}");
    let again = run_in(store.path(), &["--replay", latest.to_str().unwrap()]);
    assert_eq!(again.code, 0, "{again:?}");
    assert_took_effect(&again.json(), &["stall"]);
}

#[test]
fn a_leader_whose_disk_hangs_hands_over() {
    if !is_usable() {
        return;
    }
    let store = tempfile::tempdir().unwrap();
    // One fault, of which each is longer than any election: the first one is the leader's.
    let args = [
        "--nodes",
        "3",
        "--nemesis",
        "stall",
        "--time-limit",
        "12s",
        "--seed",
        "1",
    ];
    let said = run_in(store.path(), &args);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.json()["elections"].as_u64() >= Some(2), "{said:?}");
}

#[test]
fn a_node_for_which_what_is_begun_is_durable_is_found_by_power() {
    if !is_usable() {
        return;
    }
    let store = tempfile::tempdir().unwrap();
    let node = node_with_mutants();
    // One node is a majority: what it has not on its disk nobody has.
    let args = [
        "--nodes",
        "1",
        "--concurrency",
        "16",
        "--rate",
        "max",
        "--nemesis",
        "power",
        "--nemesis-interval",
        "400ms",
        "--time-limit",
        "8s",
        "--node-binary",
        node.to_str().unwrap(),
    ];
    let run_seed = |seed: u64, mutant: &[&str]| {
        let seed = seed.to_string();
        run_in(
            store.path(),
            &[&args[..], &["--seed", seed.as_str()], mutant].concat(),
        )
    };
    let is_found = |seed: u64| {
        let said = run_seed(seed, &["--node-arg", "--mutant=begun-is-durable"]);
        // Or the node finds it by itself: it does not start where something is missing before what its log says was durable.
        assert!([0, 1, 2].contains(&said.code), "seed {seed}: {said:?}");
        said.code == 1 && said.err.contains("is not linearizable")
    };
    let seed = (1..8).find(|seed| is_found(*seed)).unwrap();
    let without = run_seed(seed, &[]);
    assert_eq!(without.code, 0, "seed {seed}: {without:?}");
}

/// The file that describes the store of the example, which makes a write durable before it answers, or does not.
fn line_store(folder: &Path, syncs: bool) -> PathBuf {
    let program = env!("CARGO_BIN_EXE_line-store");
    let word = if syncs { ", \"--syncs\"" } else { "" };
    let file = folder.join("store.toml");
    let text = format!(
        "start = [\"{program}\", \"serve\", \"--id\", \"{{id}}\", \"--port\", \"{{client_port}}\", \"--peer-port\", \"{{peer_port}}\", \
         \"--data\", \"{{data}}\"{word}]\n\
         client = [\"{program}\", \"client\", \"--port\", \"{{client_port}}\"]\n\
         nemeses = [\"kill\", \"power\"]\n"
    );
    fs::write(&file, text).unwrap();
    file
}

#[test]
fn a_store_that_does_not_sync_is_found_by_power_and_not_by_kills_and_one_that_does_by_neither() {
    if !is_usable() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store");
    let run_with = |syncs, kind, seed: u64| {
        let file = line_store(folder.path(), syncs);
        let (file, seed) = (file.to_str().unwrap(), seed.to_string());
        let args = ["--system", file, "--nodes", "1", "--nemesis", kind];
        run_in(
            &store,
            &[&args[..], &["--time-limit", "4s", "--seed", &seed]].concat(),
        )
    };
    for (syncs, kind) in [(false, "kill"), (true, "power")] {
        let said = run_with(syncs, kind, 4);
        assert_eq!(said.code, 0, "syncs: {syncs}, {kind}: {said:?}");
    }
    // Now and then a loss of power takes nothing that is missed.
    let found = (4..10)
        .map(|seed| run_with(false, "power", seed))
        .find(|said| said.code != 0);
    let said = found.expect("it is found with one of the seeds");
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.err.contains("is not linearizable"), "{said:?}");
}

#[test]
fn where_there_are_no_such_disks_they_are_refused_in_one_line_or_left_out() {
    let store = tempfile::tempdir().unwrap();
    let run = |nemesis: &str| -> Said {
        let args = [
            "run",
            "--json",
            "--nodes",
            "3",
            "--time-limit",
            "4s",
            "--nemesis",
            nemesis,
        ];
        let mut harness = command(&harness(), &args);
        harness.arg("--store").arg(store.path()).env(NOWHERE.0, NOWHERE.1);
        harness.output().unwrap().into()
    };
    for kind in KINDS {
        let said = run(kind);
        assert_eq!(said.code, 254, "{said:?}");
        let line = said.error();
        assert!(line.contains(kind) && line.contains(NOWHERE.1), "{line}");
    }
    let said = run("all");
    assert!(said.code == 0 || said.code == 2, "{said:?}");
    assert!(
        said.err
            .contains("power, crash-point, full, io-error, stall are left out"),
        "{said:?}"
    );
    assert_eq!(said.json()["faults"].get("power"), None);
}

#[test]
fn nothing_is_left_mounted_when_the_harness_is_killed() {
    if !is_usable() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store");
    let args = ["run", "--nodes", "3", "--nemesis", "power", "--time-limit", "1h"];
    let mut harness = command(&harness(), &args)
        .arg("--store")
        .arg(&store)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_until(|| mounts(folder.path()).len() == 3);
    harness.kill().unwrap();
    harness.wait().unwrap();
    wait_until(|| mounts(folder.path()).is_empty());
}

#[test]
fn etcd_and_redis_keep_what_they_have_acknowledged() {
    if !is_usable() {
        return;
    }
    let store = tempfile::tempdir().unwrap();
    for (system, program, nodes) in [("etcd", "etcd", "3"), ("redis", "redis-server", "1")] {
        if !is_installed(program) {
            continue;
        }
        let args = [
            "--system",
            system,
            "--nodes",
            nodes,
            "--nemesis",
            "power,crash-point",
        ];
        let said = run_in(
            store.path(),
            &[&args[..], &["--time-limit", "10s", "--seed", "1"]].concat(),
        );
        // Where a page in the middle of what was just written is lost and a later one is not, redis does not start, and says why.
        let refuses = said.code == 2 && said.err.contains("Bad file format reading the append only file");
        if system == "redis" && refuses {
            continue;
        }
        assert_eq!(said.code, 0, "{said:?}");
        assert_took_effect(&said.json(), &["power", "crash-point"]);
    }
}
