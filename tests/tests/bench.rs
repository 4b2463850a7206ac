//! `harness bench` from end to end, as far as it does not depend on what is installed and on how fast this machine is.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;
use tests::{Said, harness, node, run};

/// Measures the node for a moment, with its results in `data`.
fn bench(data: &Path, more: &[&str]) -> Said {
    let (node, data) = (node(), data.to_str().unwrap().to_owned());
    let mut args = vec!["bench", "--node-binary", node.to_str().unwrap(), "--data", &data];
    args.extend([
        "--system",
        "node",
        "--rounds",
        "1",
        "--duration",
        "1s",
        "--clients",
        "2",
    ]);
    args.extend(more);
    run(&harness(), &args)
}

fn lines(said: &Said) -> Vec<Value> {
    let lines = said.out.lines().map(|line| serde_json::from_str(line).unwrap());
    lines.collect()
}

/// The only folder in `data`.
fn result(data: &Path) -> std::path::PathBuf {
    let folders: Vec<_> = fs::read_dir(data)
        .unwrap()
        .map(|item| item.unwrap().path())
        .collect();
    assert_eq!(folders.len(), 1, "{folders:?}");
    folders[0].clone()
}

#[test]
fn writes_and_reads_are_measured_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let said = bench(
        &data,
        &[
            "--op",
            "put,get",
            "--pipeline",
            "3",
            "--keys",
            "50",
            "--stages",
            "--node-arg",
            "--spin=100us",
            "--json",
        ],
    );
    assert_eq!(said.code, 0, "{said:?}");
    let lines = lines(&said);
    let of = |name: &str| {
        lines
            .iter()
            .map(|line| line[name].clone())
            .collect::<Vec<Value>>()
    };
    assert_eq!(of("op"), ["put", "get"], "{said:?}");
    assert_eq!(
        (of("nodes"), of("pipeline")),
        (vec![3.into(); 2], vec![3.into(); 2])
    );
    for line in &lines {
        assert!(line["per_second"].as_f64() > Some(0.0), "{line}");
        assert!(line["floor_p50_us"].as_f64() > Some(0.0), "{line}");
        assert_eq!(line["stages"][0]["stage"], "queue", "{line}");
        assert!(line["p50_us"].as_f64() <= line["max_us"].as_f64(), "{line}");
    }
    let kept = result(&data);
    assert_eq!(fs::read_to_string(kept.join("results.jsonl")).unwrap(), said.out);
    assert!(
        fs::read_to_string(kept.join("latency.svg"))
            .unwrap()
            .starts_with("<svg")
    );
    assert_eq!(
        fs::read_dir(&kept).unwrap().count(),
        2,
        "the servers' data is gone"
    );
}

#[test]
fn a_rate_and_a_baseline_are_kept_to() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("first"), folder.path().join("second"));
    let at_rate = ["--rate", "50", "--json"];
    assert_eq!(bench(&first, &at_rate).code, 0);
    let baseline = result(&first).join("results.jsonl");
    let baseline = ["--baseline", baseline.to_str().unwrap()];
    let said = bench(&second, &[&at_rate[..], &baseline].concat());
    let compared = &lines(&said)[0]["baseline"];
    assert!(compared["per_second"].as_f64() > Some(0.0), "{said:?}");
    let said = bench(&second, &["--baseline", "/nowhere/at/all"]);
    assert_eq!(said.code, 254);
    assert!(said.err.contains("/nowhere/at/all"), "{said:?}");
}

#[test]
fn a_first_system_that_is_not_installed_is_named_and_another_one_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(harness())
        .args(["bench", "--system", "redis", "--data"])
        .arg(folder.path())
        .env("PATH", "")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(254));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("redis, which comes first, can't be measured: redis-server is not installed"),
        "{said}"
    );
    assert_eq!(said.lines().count(), 1, "{said}");
    let output = Command::new(harness())
        .args([
            "bench",
            "--system",
            "node,redis",
            "--rounds",
            "1",
            "--duration",
            "1s",
        ])
        .args(["--clients", "2", "--node-binary"])
        .arg(node())
        .arg("--data")
        .arg(folder.path())
        .env("PATH", "")
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(
        said.contains("redis is left out: redis-server is not installed"),
        "{said}"
    );
}

#[test]
fn a_node_program_that_was_named_and_is_not_there_is_an_error_whatever_else_could_be_measured() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    for systems in ["node,redis", "redis,node", "redis"] {
        let args = [
            "bench",
            "--system",
            systems,
            "--node-binary",
            "/nowhere/at/all",
            "--data",
            data,
        ];
        let said = run(&harness(), &args);
        assert_eq!(said.code, 254, "{said:?}");
        assert!(said.err.contains("/nowhere/at/all"), "{said:?}");
        assert_eq!(said.err.lines().count(), 1, "{said:?}");
    }
}

#[test]
fn away_takes_as_many_clients_as_one_node_does_twice() {
    let said = run(&harness(), &["bench", "--clients", "501", "--away", "1000"]);
    assert_eq!(said.code, 254, "{said:?}");
    assert!(said.err.contains("at most 500 clients"), "{said:?}");
}

#[test]
fn each_placement_is_measured_and_the_first_one_is_what_others_are_compared_with() {
    let folder = tempfile::tempdir().unwrap();
    let said = bench(folder.path(), &["--placement", "pinned,free", "--json"]);
    if std::thread::available_parallelism().unwrap().get() == 1 {
        assert_eq!(said.code, 254, "{said:?}");
        assert!(said.err.contains("to pin needs two processors"), "{said:?}");
        return;
    }
    assert_eq!(said.code, 0, "{said:?}");
    let lines = lines(&said);
    let placements: Vec<&Value> = lines.iter().map(|line| &line["placement"]).collect();
    assert_eq!(placements, ["pinned", "free"], "{said:?}");
    assert_eq!(lines[0]["first_ratio"], Value::Null);
    assert!(lines[1]["first_ratio"]["median"].as_f64() > Some(0.0), "{said:?}");
    let said = bench(folder.path(), &["--placement", "apart"]);
    assert_eq!(said.code, 254);
    assert!(said.err.contains("allowed are free, pinned"), "{said:?}");
}
