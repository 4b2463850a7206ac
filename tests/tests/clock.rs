//! Clocks that are wrong, under the real node: what is right stays right whatever they show; and leases hold as long as they are as wrong as is
//! allowed, and no longer.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use serde_json::json;
use std::fs;
use std::path::Path;
use tests::{Said, check_each, run_in};

/// A valid run under wrong clocks.
#[track_caller]
fn survived(store: &Path, args: &[&str]) {
    let usual = [
        "--nemesis",
        "clock",
        "--time-limit",
        "8s",
        "--nemesis-interval",
        "800ms",
    ];
    let said = run_in(store, &[&usual[..], args].concat());
    assert_eq!(said.code, 0, "{said:?}");
    let faults = &said.json()["faults"];
    assert!(faults["clock"].as_u64() >= Some(5), "{faults}");
}

#[test]
fn wrong_clocks_are_survived() {
    let store = tempfile::tempdir().unwrap();
    check_each(&["1", "2", "3", "5"], |nodes| {
        survived(store.path(), &["--nodes", nodes, "--seed", "1"]);
    });
}

#[test]
fn sessions_outlive_wrong_clocks_or_say_that_they_have_not() {
    let store = tempfile::tempdir().unwrap();
    let args = ["--nodes", "3", "--workload", "session"];
    // These end whenever a leader's clock jumps by more than a blink.
    let brief = ["--seed", "3", "--node-arg", "--session-lifetime=1s"];
    check_each(&[&["--seed", "2"][..], &brief], |more| {
        survived(store.path(), &[&args[..], more].concat());
    });
}

/// A run in which, again and again, the leader's clocks run at so many thousandths of their usual rate while it is cut off from the others;
/// `lease` says whether it answers reads by leases. At a tenth of the rate a lease of 126 ms lasts for more than a second.
fn leaders_alone(store: &Path, thousandths: u32, lease: bool) -> Said {
    // A run writes down what it was asked for.
    let mut args = vec!["--nodes", "3", "--nemesis", "clock", "--time-limit", "100ms"];
    // So many that objects are looked at everywhere, and not so often that they are left before anybody has written to them elsewhere.
    args.extend(["--concurrency", "6n", "--rate", "1000", "--seed", "1"]);
    if lease {
        args.push("--node-arg=--lease-reads");
    }
    let said = run_in(store, &args).json();
    let recorded = Path::new(said["run_dir"].as_str().unwrap()).join("test.json");
    let mut test = tests::json(&fs::read_to_string(recorded).unwrap());
    let faults = (0..4).map(|number| {
        json!({
            "start_ms": 2000 * number,
            "stop_ms": 2000 * number + 1400,
            "aim": "leader",
            "fault": { "clock": [{ "rate": thousandths }, true, [1]] },
        })
    });
    test["schedule"] = json!({ "faults": faults.collect::<Vec<_>>() });
    test["options"]["time_limit_seconds"] = json!(8.5);
    let planned = store.join(format!("planned-{thousandths}-{lease}.json"));
    fs::write(&planned, test.to_string()).unwrap();
    run_in(store, &["--replay", planned.to_str().unwrap()])
}

#[test]
fn leases_hold_while_clocks_are_as_wrong_as_is_allowed() {
    let store = tempfile::tempdir().unwrap();
    let said = leaders_alone(store.path(), 920, true);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.json()["faults"]["clock"].as_u64() >= Some(3), "{said:?}");
    let fast = [
        "--nodes",
        "5",
        "--node-arg=--lease-reads",
        "--rate",
        "max",
        "--seed",
        "4",
    ];
    survived(store.path(), &fast);
}

#[test]
fn leases_don_t_hold_beyond_that_and_the_stale_reads_are_found() {
    let store = tempfile::tempdir().unwrap();
    let said = leaders_alone(store.path(), 100, true);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(
        said.err.contains("s  read "),
        "no read is part of the explanation: {said:?}"
    );
    // What asks the others each time can't be mistaken.
    let said = leaders_alone(store.path(), 100, false);
    assert_eq!(said.code, 0, "{said:?}");
}
