//! `node probe`: what it prints, and what it leaves behind.

use crate::process::{run, text};
use serde_json::Value;

#[test]
fn every_way_is_measured_and_nothing_is_left_behind() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let data = data.to_str().unwrap();
    let args = ["probe", "--data", data, "--samples", "25", "--value-size", "5000"];
    let output = run(&[&args[..], &["--json"]].concat());
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let line: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&line["value_bytes"], &line["samples"]),
        (&5000.into(), &25.into())
    );
    assert_eq!(line["batch_bytes"], 8192);
    let least = |way: &str| line[way]["p50_us"].as_f64().unwrap();
    for way in [
        "sync",
        "client_round_trip",
        "peer_round_trip",
        "read",
        "commit",
        "commit_alone",
    ] {
        assert!(least(way) > 0.0, "{way}: {line}");
        assert!(
            line[way]["max_us"].as_f64() >= line[way]["p99_us"].as_f64(),
            "{line}"
        );
    }
    assert_eq!(std::fs::read_dir(data).unwrap().count(), 0);

    let table = text(&run(&args).stdout);
    assert!(table.contains("peer round trip"), "{table}");
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let output = run(&["probe", "--data", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(254));
    let said = text(&output.stderr);
    assert!(said.contains(file.to_str().unwrap()), "{said}");
}
