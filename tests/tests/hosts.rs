//! Nodes on other machines: the main job over ssh, and what becomes of the hosts. They are addresses of this machine; see [`tests::ssh`].

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};
use tests::ssh::Hosts;
use tests::{Said, command, harness, node, node_with_mutants, refused, run, write_program};

/// Longer than anything here takes, however slow the machine.
const LONG: Duration = Duration::from_secs(120);

/// The flags of a run on these hosts, in a store of its own, with the usual node.
fn flags(hosts: &Hosts, store: &Path) -> Vec<String> {
    let (config, node) = (hosts.config(), node());
    let flags = [
        "run",
        "--json",
        "--hosts",
        &hosts.names(),
        "--ssh-arg",
        "-F",
        "--ssh-arg",
    ];
    let mut flags: Vec<String> = flags.map(str::to_owned).to_vec();
    for word in [
        config.to_str().unwrap(),
        "--store",
        store.to_str().unwrap(),
        "--node-binary",
        node.to_str().unwrap(),
    ] {
        flags.push(word.to_owned());
    }
    flags
}

fn run_on(hosts: &Hosts, store: &Path, args: &[&str]) -> Said {
    let flags = flags(hosts, store);
    let mut all: Vec<&str> = flags.iter().map(String::as_str).collect();
    all.extend(args);
    run(&harness(), &all)
}

/// A run that goes on beside the test, whose own temporary folder is that of the store.
fn begin_on(hosts: &Hosts, store: &Path, args: &[&str]) -> Child {
    let flags = flags(hosts, store);
    let mut all: Vec<&str> = flags.iter().map(String::as_str).collect();
    all.extend(args);
    let mut run = command(&harness(), &all);
    run.env("TMPDIR", store)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    run.spawn().unwrap()
}

#[track_caller]
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < LONG, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Waits until nothing runs in any session, and no file is left.
#[track_caller]
fn assert_nothing_is_left(hosts: &Hosts) {
    wait_until("nothing runs there", || hosts.processes().is_empty());
    assert!(hosts.left_behind().is_empty(), "{:?}", hosts.left_behind());
}

/// Waits until operations have been recorded in the run that goes on in `store`.
fn wait_for_load(store: &Path) {
    let history = store.join("latest/history.jsonl");
    wait_until("operations are recorded", || {
        fs::metadata(&history).is_ok_and(|history| history.len() > 100_000)
    });
}

#[test]
fn three_hosts_are_valid_under_every_fault_and_are_left_as_they_were() {
    let Some(hosts) = Hosts::start(3) else { return };
    let store = tempfile::tempdir().unwrap();
    let said = run_on(&hosts, store.path(), &["--nodes", "3", "--time-limit", "30s"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(
        said.err
            .contains("on a, b, c; nodes listen at the addresses of these"),
        "{said:?}"
    );
    let left_out = "clock, power, crash-point, full, io-error, stall are left out: ";
    assert!(said.err.contains(left_out), "{said:?}");
    let result = said.json();
    for kind in [
        "kill",
        "pause",
        "partition",
        "transfer",
        "member",
        "wipe",
        "slow",
        "flaky",
        "disk",
    ] {
        assert!(result["faults"][kind].as_u64() >= Some(1), "{kind}: {result}");
    }
    assert_nothing_is_left(&hosts);
    // Data and logs are here, each node's from its own host.
    let run_dir = Path::new(result["run_dir"].as_str().unwrap());
    for number in 1..=3 {
        let log = fs::read_to_string(run_dir.join(format!("nodes/{number}/log"))).unwrap();
        assert!(!log.is_empty(), "node {number} has logged nothing");
        assert!(run_dir.join(format!("nodes/{number}/data")).is_dir());
    }
}

#[test]
fn several_tests_and_a_replay_run_on_the_hosts_of_the_first() {
    let Some(hosts) = Hosts::start(2) else { return };
    let store = tempfile::tempdir().unwrap();
    let faults = ["--nodes", "5", "--time-limit", "5s", "--nemesis", "kill,pause"];
    let args: Vec<&str> = faults.into_iter().chain(["--test-count", "2"]).collect();
    let said = run_on(&hosts, store.path(), &args);
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(said.out.lines().count(), 2, "{said:?}");
    let latest = store.path().join("latest");
    let node = node();
    let replay = [
        "run",
        "--json",
        "--store",
        store.path().to_str().unwrap(),
        "--node-binary",
        node.to_str().unwrap(),
        "--replay",
        latest.to_str().unwrap(),
    ];
    let again = run(&harness(), &replay);
    assert_eq!(again.code, 0, "{again:?}");
    assert!(again.err.contains("on a, b; nodes listen"), "{again:?}");
    assert_nothing_is_left(&hosts);
}

#[test]
fn a_seeded_bug_is_found_over_hosts() {
    let Some(hosts) = Hosts::start(3) else { return };
    let store = tempfile::tempdir().unwrap();
    let (node, config) = (node_with_mutants(), hosts.config());
    let args = [
        "run",
        "--json",
        "--hosts",
        &hosts.names(),
        "--ssh-arg=-F",
        "--ssh-arg",
        config.to_str().unwrap(),
        "--store",
        store.path().to_str().unwrap(),
        "--node-binary",
        node.to_str().unwrap(),
        "--node-arg=--mutant=stale-local-read",
        "--nodes",
        "3",
        "--nemesis",
        "partition",
        "--time-limit",
        "60s",
    ];
    let said = run(&harness(), &args);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.err.contains("is not linearizable"), "{said:?}");
    assert_nothing_is_left(&hosts);
}

#[test]
fn when_the_harness_is_killed_no_node_is_left_on_any_host() {
    let Some(hosts) = Hosts::start(3) else { return };
    let store = tempfile::tempdir().unwrap();
    let mut run = begin_on(&hosts, store.path(), &["--nodes", "3", "--time-limit", "10m"]);
    wait_for_load(store.path());
    assert!(hosts.processes().len() >= 3, "{:?}", hosts.processes());
    run.kill().unwrap();
    run.wait().unwrap();
    assert_nothing_is_left(&hosts);
    let history = store.path().join("latest/history.jsonl");
    let checked = tests::run(&harness(), &["check", "--json", history.to_str().unwrap()]);
    assert_eq!(checked.json()["valid"], true, "{checked:?}");
}

#[test]
fn an_interrupt_stops_the_nodes_and_fetches_what_they_had() {
    let Some(hosts) = Hosts::start(2) else { return };
    let store = tempfile::tempdir().unwrap();
    let run = begin_on(&hosts, store.path(), &["--nodes", "3", "--time-limit", "10m"]);
    wait_for_load(store.path());
    kill_process(Pid::from_child(&run), Signal::INT).unwrap();
    let said = Said::from(run.wait_with_output().unwrap());
    assert_eq!(said.code, 2, "{said:?}");
    assert_eq!(said.json()["reason"], "the run was interrupted");
    assert!(store.path().join("latest/nodes/3/data").is_dir());
    assert_nothing_is_left(&hosts);
}

#[test]
fn a_run_that_loses_a_host_is_unknown_and_says_which() {
    type Lose = fn(&Hosts, &str);
    let ways: [(&str, Lose, &str); 3] = [
        ("none", Hosts::lose, ""),
        ("kill,pause", Hosts::lose, ""),
        ("none", Hosts::silence, "not responding"),
    ];
    for (nemesis, lose, words) in ways {
        let Some(hosts) = Hosts::start(3) else { return };
        let store = tempfile::tempdir().unwrap();
        let args = ["--nodes", "3", "--time-limit", "10m", "--nemesis", nemesis];
        let run = begin_on(&hosts, store.path(), &args);
        wait_for_load(store.path());
        lose(&hosts, "b");
        // Not after ten minutes.
        let begun = Instant::now();
        let said = Said::from(run.wait_with_output().unwrap());
        assert!(begun.elapsed() < LONG, "{:?}", begun.elapsed());
        assert_eq!(said.code, 2, "{said:?}");
        let result = said.json();
        assert_eq!(result["valid"], "unknown", "{result}");
        let reason = result["reason"].as_str().unwrap();
        assert!(
            reason.starts_with("host b was lost: ") && reason.contains(words),
            "{reason}"
        );
        // Those that are there are left as they were, and so is the lost one, as soon as it knows.
        hosts.lose("b");
        assert_nothing_is_left(&hosts);
        assert!(store.path().join("latest/nodes/1/data").is_dir());
    }
}

#[test]
fn a_host_that_cant_be_reached_is_named_with_the_words_of_ssh() {
    let Some(hosts) = Hosts::start(2) else { return };
    let store = tempfile::tempdir().unwrap();
    let error = |args: &[&str]| {
        let said = run_on(&hosts, store.path(), args);
        assert_eq!(said.code, 254, "{said:?}");
        said.error().to_owned()
    };
    let line = error(&["--ssh-arg=-oPubkeyAuthentication=no"]);
    // Whichever says so first.
    assert!(
        line.contains(" can't be reached: ") && line.contains("Permission denied"),
        "{line}"
    );
    assert!(
        ["harness: host a ", "harness: host b "]
            .iter()
            .any(|name| line.starts_with(name)),
        "{line}"
    );
    hosts.lose("b");
    let line = error(&[]);
    assert!(line.starts_with("harness: host b can't be reached: "), "{line}");
    // Refused, or closed by whoever has just ceased to listen.
    assert!(line.contains("Connection "), "{line}");
    assert_nothing_is_left(&hosts);
    assert!(!store.path().join("latest").exists(), "no run has begun");
}

#[test]
fn a_program_that_does_not_run_there_is_refused_in_one_line() {
    let Some(hosts) = Hosts::start(1) else { return };
    let folder = tempfile::tempdir().unwrap();
    // As a program for another processor: it runs here, and not where somebody has come by ssh.
    let program = folder.path().join("node");
    let node = node();
    let script = r#"test -z "$SSH_CONNECTION" || { echo "$0: Exec format error" >&2; exit 126; }"#;
    let text = format!("#!/bin/sh\n{script}\nexec '{}' \"$@\"\n", node.display());
    write_program(&program, &text);
    let config = hosts.config();
    let args = [
        "run",
        "--hosts=a",
        "--ssh-arg=-F",
        "--ssh-arg",
        config.to_str().unwrap(),
        "--node-binary",
        program.to_str().unwrap(),
        "--nodes=1",
        "--store",
        folder.path().to_str().unwrap(),
    ];
    refused(
        &args,
        &[
            "host a can't run nodes",
            "does not run there, on Linux",
            "Exec format error",
        ],
    );
    assert_nothing_is_left(&hosts);
}

#[test]
fn an_address_that_is_not_this_machines_is_refused_in_one_line() {
    let Some(hosts) = Hosts::start(1) else { return };
    let store = tempfile::tempdir().unwrap();
    // It is reserved for documentation.
    let said = run_on(&hosts, store.path(), &["--nodes=1", "--address=192.0.2.1"]);
    assert_eq!(said.code, 254, "{said:?}");
    let line = said.error();
    assert!(
        line.contains("host a does not reach this machine at 192.0.2.1"),
        "{line}"
    );
    assert!(line.contains("--address names another"), "{line}");
    assert_nothing_is_left(&hosts);
}

#[test]
fn what_cant_be_done_with_hosts_is_refused_in_one_line() {
    refused(&["run", "--hosts", "a,b,a"], &["--hosts: a is named twice"]);
    for strange in [
        "--hosts=-oProxyCommand=x",
        "--hosts=a,b;id",
        "--hosts=a,",
        "--hosts=$(id)",
    ] {
        refused(&["run", strange], &["--hosts", "names of hosts"]);
    }
    refused(
        &["run", "--hosts", "a,b", "--nodes", "15"],
        &[
            "--hosts: ",
            "at most 7 nodes",
            "16 of them take 3, and there are 2",
        ],
    );
    refused(&["run", "--ssh-arg=-v"], &["--hosts"]);
    refused(
        &["run", "--replay", "x", "--hosts", "a"],
        &["--hosts", "--replay"],
    );
    for kind in ["clock", "power", "crash-point", "full", "io-error", "stall"] {
        refused(
            &["run", "--hosts", "a", "--nemesis", &format!("kill,{kind}")],
            &[&format!("--nemesis {kind}: "), "--hosts names others"],
        );
    }
}
