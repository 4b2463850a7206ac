//! Other systems than the project's own node: what is linearizable is called valid, and what is not a violation.
//!
//! etcd and redis are looked for on the path. Where one is missing the tests say so, and pass; with `SYSTEMS_REQUIRED` set, as continuous
//! integration has it, they fail. The system that a file describes needs nothing that is not built here.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tests::{Said, check_each, command, harness, is_installed, json, refused, run, wait_until};

/// A run in a store of its own.
fn run_in(store: &Path, args: &[&str]) -> Said {
    let mut all = vec!["run", "--json", "--store", store.to_str().unwrap()];
    all.extend(args);
    run(&harness(), &all)
}

fn assert_faults_took_effect(result: &Value, kinds: &[&str]) {
    for kind in kinds {
        let kind = *kind;
        assert!(result["faults"][kind].as_u64() >= Some(1), "{kind}: {result}");
    }
}

#[test]
fn etcd_is_valid_whatever_befalls_its_nodes_and_their_links() {
    if !is_installed("etcd") {
        return;
    }
    let store = tempfile::tempdir().unwrap();
    let said = run_in(
        store.path(),
        &[
            "--system",
            "etcd",
            "--nodes",
            "3",
            "--nemesis",
            "kill,pause,partition,slow,flaky",
            "--time-limit",
            "15s",
        ],
    );
    assert_eq!(said.code, 0, "{said:?}");
    let result = said.json();
    assert_eq!(result["system"], "etcd", "{result}");
    let kinds = ["kill", "pause", "partition", "slow", "flaky"];
    assert_faults_took_effect(&result, &kinds);
    assert!(result["elections"].as_u64() >= Some(2), "{result}");
    let report = fs::read_to_string(store.path().join("latest/report.txt")).unwrap();
    assert!(report.contains("  system      etcd\n"), "{report}");

    // A replay is of the same system and its faults.
    let latest = store.path().join("latest");
    let again = run_in(store.path(), &["--replay", latest.to_str().unwrap()]);
    assert_eq!(again.code, 0, "{again:?}");
    assert_eq!(again.json()["system"], "etcd");
    assert_faults_took_effect(&again.json(), &kinds);
}

#[test]
fn redis_is_a_violation_where_replicas_answer_and_valid_where_there_are_none() {
    if !is_installed("redis-server") {
        return;
    }
    let store = tempfile::tempdir().unwrap();
    // The check beside the run would end it before anything is broken.
    let said = run_in(
        store.path(),
        &[
            "--system",
            "redis",
            "--nodes",
            "3",
            "--time-limit",
            "6s",
            "--nemesis",
            "kill,pause,partition",
            "--no-online",
        ],
    );
    assert_eq!(said.code, 1, "{said:?}");
    let result = said.json();
    assert_eq!(
        (&result["system"], &result["valid"]),
        (&"redis".into(), &false.into())
    );
    assert_eq!(result["elections"], Value::Null, "nobody is elected");
    assert_faults_took_effect(&result, &["kill", "pause", "partition"]);
    // The primary alone is linearizable: what a replica let be read is in every explanation.
    let checked = run(
        &harness(),
        &["check", "--json", result["run_dir"].as_str().unwrap()],
    );
    assert_eq!(checked.code, 1, "{checked:?}");
    let checked = checked.json();
    let core = checked["violations"][0]["core"].as_array().unwrap();
    let is_of_replica = |op: &Value| op["f"] == "read" && op["node"].as_u64() >= Some(2);
    assert!(core.iter().any(is_of_replica), "{checked}");

    let alone = run_in(
        store.path(),
        &[
            "--system",
            "redis",
            "--nodes",
            "1",
            "--nemesis",
            "kill,pause,clock",
            "--time-limit",
            "4s",
        ],
    );
    assert_eq!(alone.code, 0, "{alone:?}");
}

/// All workloads but the one that other tests run.
const OTHER_WORKLOADS: [&str; 9] = [
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

/// Runs a workload for a while, on so many nodes at that rate; the exit code, and the line of the result.
fn result_of(system: &str, workload: &str, [nodes, rate]: [&str; 2], nemesis: &str) -> (i32, Value) {
    // Removed at once: a member of etcd takes up to 128 MB.
    let store = tempfile::tempdir().unwrap();
    let said = run_in(
        store.path(),
        &[
            "--system",
            system,
            "--workload",
            workload,
            "--nodes",
            nodes,
            "--nemesis",
            nemesis,
            "--time-limit",
            "4s",
            "--rate",
            rate,
        ],
    );
    (said.code, said.json())
}

#[test]
fn etcd_is_valid_under_every_workload() {
    if !is_installed("etcd") {
        return;
    }
    // A slow machine keeps up with that rate, and so few transactions hardly get in each other's way.
    check_each(&OTHER_WORKLOADS, |workload| {
        let (code, result) = result_of("etcd", workload, ["3", "20"], "partition");
        assert_eq!(code, 0, "{workload}: {result}");
    });
}

#[test]
fn redis_is_a_violation_under_every_workload_that_reads_from_replicas_and_valid_under_the_others() {
    if !is_installed("redis-server") {
        return;
    }
    check_each(&OTHER_WORKLOADS, |workload| {
        let (code, result) = result_of("redis", workload, ["3", "200"], "partition");
        let asks_the_primary_only = ["queue", "lock", "unique-ids"].contains(&workload);
        assert_eq!(code, i32::from(!asks_the_primary_only), "{workload}: {result}");
    });
}

#[test]
fn redis_alone_is_valid_under_every_workload() {
    if !is_installed("redis-server") {
        return;
    }
    check_each(&OTHER_WORKLOADS, |workload| {
        let (code, result) = result_of("redis", workload, ["1", "20"], "kill");
        assert_eq!(code, 0, "{workload}: {result}");
    });
}

/// The folder where the store of the example is built.
fn path_with_line_store() -> std::ffi::OsString {
    let program = Path::new(env!("CARGO_BIN_EXE_line-store"));
    let mut path = vec![program.parent().unwrap().to_owned()];
    path.extend(std::env::split_paths(
        &std::env::var_os("PATH").unwrap_or_default(),
    ));
    std::env::join_paths(path).unwrap()
}

/// A file that describes the system of the example, with `change` made to it.
fn described(folder: &Path, change: impl Fn(&str) -> String) -> PathBuf {
    let help = run(&harness(), &["help", "systems"]);
    assert_eq!(help.code, 0, "{help:?}");
    let file = folder.join("store.toml");
    fs::write(&file, change(&help.out)).unwrap();
    file
}

/// A run of a described system, with its programs on the path.
fn run_described(folder: &Path, file: &Path, args: &[&str]) -> Said {
    let store = folder.join("store");
    let mut all = vec!["run", "--json", "--store", store.to_str().unwrap()];
    all.extend(["--system", file.to_str().unwrap()]);
    all.extend(args);
    let mut harness = command(&harness(), &all);
    harness.env("PATH", path_with_line_store());
    harness.output().unwrap().into()
}

#[test]
fn the_system_of_the_example_is_run_as_it_stands_there() {
    let folder = tempfile::tempdir().unwrap();
    let file = described(folder.path(), str::to_owned);
    let said = run_described(folder.path(), &file, &["--nodes", "3", "--time-limit", "12s"]);
    assert_eq!(said.code, 0, "{said:?}");
    let result = said.json();
    assert_eq!(result["system"], file.to_str().unwrap());
    assert_faults_took_effect(&result, &["kill", "pause", "partition", "slow", "flaky"]);
    assert_eq!(result["elections"], 1, "one node leads, and says so: {result}");
}

#[test]
fn a_fault_hits_the_node_that_a_described_system_says_leads() {
    let folder = tempfile::tempdir().unwrap();
    let file = described(folder.path(), str::to_owned);
    let args = ["--nodes", "3", "--nemesis", "kill", "--time-limit", "3s"];
    let said = run_described(folder.path(), &file, &args);
    assert_eq!(said.code, 0, "{said:?}");
    let test = fs::read_to_string(folder.path().join("store/latest/test.json")).unwrap();
    // The first one is aimed at the leader.
    let first = &json(&test)["schedule"]["faults"][0];
    assert_eq!(
        (&first["aim"], &first["fault"]["kill"]),
        (&"leader".into(), &serde_json::json!([1])),
        "{first}"
    );
}

#[test]
fn a_node_of_a_described_system_that_answers_by_itself_when_it_is_parted_is_found_out() {
    let folder = tempfile::tempdir().unwrap();
    let file = described(folder.path(), |text| {
        text.replace("\"{data}\"]", "\"{data}\", \"--remembers\"]")
    });
    let run = |nemesis: &[&str]| {
        let args = ["--nodes", "3", "--concurrency", "4n", "--rate", "2000"];
        run_described(folder.path(), &file, &[&args, nemesis].concat())
    };
    // A write has to come between what a node remembers and what it is asked: there are several chances, and the first one is enough.
    let parted = [
        "--nemesis",
        "partition",
        "--nemesis-interval",
        "1s",
        "--time-limit",
        "10s",
    ];
    let said = run(&parted);
    assert_eq!(said.code, 1, "{said:?}");
    // It is the links that make it show.
    let said = run(&["--nemesis", "none", "--time-limit", "3s"]);
    assert_eq!(said.code, 0, "{said:?}");
}

#[test]
fn a_described_system_is_asked_in_every_workload_that_its_file_names() {
    let folder = tempfile::tempdir().unwrap();
    let file = described(folder.path(), str::to_owned);
    check_each(&OTHER_WORKLOADS, |workload| {
        let args = ["--workload", workload, "--nodes", "3", "--nemesis", "partition"];
        let said = run_described(
            folder.path(),
            &file,
            &[&args[..], &["--time-limit", "3s"]].concat(),
        );
        assert_eq!(said.code, 0, "{workload}: {said:?}");
    });
}

#[test]
fn a_described_system_that_forgets_is_found_out_under_every_workload() {
    let folder = tempfile::tempdir().unwrap();
    let file = described(folder.path(), |text| {
        text.replace("\"{data}\"]", "\"{data}\", \"--forgets\"]")
    });
    let workloads = [&OTHER_WORKLOADS[..], &["register"]].concat();
    check_each(&workloads, |workload| {
        let args = ["--workload", workload, "--nodes", "1", "--nemesis", "kill"];
        let said = run_described(
            folder.path(),
            &file,
            &[&args[..], &["--time-limit", "3s"]].concat(),
        );
        assert_eq!(said.code, 1, "{workload}: {said:?}");
    });
}

#[test]
fn what_only_the_final_reads_show_ends_them() {
    let folder = tempfile::tempdir().unwrap();
    let file = described(folder.path(), |text| {
        text.replace("\"{data}\"]", "\"{data}\", \"--forgets-old\"]")
    });
    // Two clients use one register at a time, and ask for none that they have left, before the end.
    let args = "--nodes 1 --concurrency 2 --rate max --nemesis none --time-limit 6s";
    let args: Vec<&str> = args.split(' ').collect();
    let said = run_described(folder.path(), &file, &args);
    assert_eq!(said.code, 1, "{said:?}");
    let line = said.json();
    let run = Path::new(line["run_dir"].as_str().unwrap());
    let results = json(&fs::read_to_string(run.join("results.json")).unwrap());
    let early = &results["ended_early"];
    assert_eq!(
        (&early["healed"], &early["confirmed"]),
        (&true.into(), &true.into()),
        "{said:?}"
    );
    assert!(early["seconds"].as_f64() >= Some(6.0), "{early}");
    assert!(
        said.err.contains("that ended it, in its final reads"),
        "{}",
        said.err
    );
    assert!(said.err.contains("the nodes are frozen"), "{}", said.err);
}

#[test]
fn nodes_and_clients_of_a_described_system_die_with_the_harness() {
    let folder = tempfile::tempdir().unwrap();
    let file = described(folder.path(), str::to_owned);
    // What has it in its environment was started by this.
    let mark = format!("MARK={}", folder.path().display());
    let mut args = vec!["run", "--nodes", "1", "--nemesis", "none", "--time-limit", "1h"];
    let store = folder.path().join("store");
    args.extend([
        "--store",
        store.to_str().unwrap(),
        "--system",
        file.to_str().unwrap(),
    ]);
    let mut harness = command(&harness(), &args)
        .env("PATH", path_with_line_store())
        .env("MARK", folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let both = |processes: &[String]| {
        let is_there = |word: &str| processes.iter().any(|words| words.contains(word));
        is_there("serve") && is_there("client")
    };
    wait_until(|| both(&line_stores(&mark)));
    harness.kill().unwrap();
    harness.wait().unwrap();
    wait_until(|| line_stores(&mark).is_empty());
}

/// The command lines of the stores that have `mark` in their environment.
fn line_stores(mark: &str) -> Vec<String> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let command_lines = processes.filter_map(|process| {
        let environment = fs::read(process.path().join("environ")).ok()?;
        let is_marked = environment
            .split(|byte| *byte == 0)
            .any(|variable| variable == mark.as_bytes());
        let words = fs::read(process.path().join("cmdline")).ok()?;
        let words = String::from_utf8_lossy(&words).replace('\0', " ");
        (is_marked && words.contains("/line-store ")).then_some(words)
    });
    command_lines.collect()
}

#[test]
fn what_a_system_is_not_or_does_not_know_is_refused_in_one_line() {
    refused(
        &["run", "--system", "zookeeper"],
        &["zookeeper", "node, etcd, redis", "PATH.toml"],
    );
    refused(
        &["run", "--system", "/nowhere/store.toml"],
        &["/nowhere/store.toml", "No such file"],
    );
    refused(
        &["run", "--system", "etcd", "--replay", "store/latest"],
        &["--system", "--replay"],
    );
    let folder = tempfile::tempdir().unwrap();
    let refuses = |text: &str, args: &[&str], words: &[&str]| {
        let file = folder.path().join("broken.toml");
        fs::write(&file, text).unwrap();
        let mut all = vec!["run", "--system", file.to_str().unwrap()];
        all.extend(args);
        refused(&all, words);
    };
    let good = "start = [\"/bin/sh\"]\nclient = [\"/bin/sh\"]\n";
    refuses("start = [\"/bin/sh\"]\n\nclient = 1\n", &[], &["broken.toml:3: "]);
    refuses(
        "start = [\"/bin/sh\", \"{port}\"]\nclient = [\"/bin/sh\"]\n",
        &[],
        &["broken.toml:1: {port}", "{client_port}"],
    );
    refuses(
        "start = [\"no-such-program\"]\nclient = [\"/bin/sh\"]\n",
        &[],
        &["broken.toml:1: ", "no-such-program is not installed"],
    );
    refuses(
        good,
        &["--nemesis", "kill,partition"],
        &["partition", "allowed are kill, pause, none"],
    );
    refuses(good, &["--workload", "queue"], &["queue", "allowed is register"]);
    let several = format!("{good}workloads = [\"set\", \"bank\"]\n");
    refuses(&several, &[], &["register", "allowed are set, bank"]);
    refuses(good, &["--node-arg", "x"], &["--node-arg", "--system node"]);
}

#[test]
fn a_system_that_is_not_installed_is_named_with_how_to_come_by_it() {
    for (system, package) in [("etcd", "etcd-server"), ("redis", "redis-server")] {
        let said: Said = command(&harness(), &["run", "--system", system])
            .env("PATH", "/nowhere")
            .output()
            .unwrap()
            .into();
        assert_eq!(said.code, 254, "{said:?}");
        let line = said.error();
        assert!(
            line.contains("is not installed") && line.contains(package),
            "{line}"
        );
    }
}

#[test]
fn a_described_node_that_does_not_start_is_the_users_affair() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("broken.toml");
    fs::write(
        &file,
        "start = [\"/bin/sh\", \"-c\", \"echo no room >&2; exit 3\"]\nclient = [\"/bin/sh\"]\n",
    )
    .unwrap();
    let store = folder.path().join("store");
    let args = ["--nodes", "1", "--system", file.to_str().unwrap()];
    let said = run_in(&store, &args);
    assert_eq!(said.code, 254, "{said:?}");
    assert!(
        said.err.contains("node 1 did not start: exit status: 3: no room"),
        "{said:?}"
    );
    assert_eq!(json(said.out.lines().last().unwrap())["valid"], "unknown");
}
