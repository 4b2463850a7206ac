//! Bad input: one clear line that says what is wrong and what is allowed, and the documented exit code.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::fs;
use tests::{command, harness, node, refused, run, write_program};

#[test]
fn bad_values_are_refused_with_what_is_allowed() {
    refused(&["run", "--nodes", "0"], &["--nodes", "1"]);
    refused(&["run", "--nodes", "many"], &["--nodes", "many"]);
    refused(&["run", "--workload", "nonsense"], &["nonsense", "register"]);
    refused(
        &["run", "--nemesis", "earthquake"],
        &["earthquake", "kill", "pause", "partition"],
    );
    refused(&["run", "--time-limit", "soon"], &["--time-limit", "soon"]);
    refused(&["run", "--concurrency", "0"], &["--concurrency"]);
    refused(&["run", "--rate", "fast"], &["--rate", "max"]);
    refused(&["run", "--replay", "/nowhere/at/all"], &["/nowhere/at/all"]);
    refused(&["run", "--no-such-flag"], &["--no-such-flag"]);
    refused(&["check", "/nowhere/at/all"], &["/nowhere/at/all"]);
    refused(
        &["report", "/nowhere/at/all"],
        &["/nowhere/at/all", "expected the folder of a run"],
    );
}

#[test]
fn a_node_program_that_is_missing_or_foreign_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("node");
    let path = program.to_str().unwrap();
    refused(&["run", "--node-binary", path], &[path, "--node-binary"]);

    fs::write(&program, "no program").unwrap();
    refused(&["run", "--node-binary", path], &[path, "ermission"]);
    write_program(&program, "#!/bin/sh\necho hello\n");
    refused(&["run", "--node-binary", path], &[path, "not a node program"]);
    write_program(
        &program,
        "#!/bin/sh\necho '{\"version\":\"0.0.0\",\"wire_min\":900,\"wire_max\":901}'\n",
    );
    refused(&["run", "--node-binary", path], &[path, "0.0.0", "900"]);
}

#[test]
fn whoever_takes_no_more_of_what_is_printed_gets_the_verdict_all_the_same() {
    for args in [
        &["simulate", "--seed", "17"][..],
        &["simulate", "--seeds", "2", "--json"],
        &["model", "--world", "elections"],
    ] {
        // Nobody reads what is written into it.
        let (_, closed) = std::io::pipe().unwrap();
        let said = command(&harness(), args).stdout(closed).output().unwrap();
        let words = String::from_utf8_lossy(&said.stderr);
        assert_eq!(said.status.code(), Some(0), "{args:?}: {words}");
        assert!(!words.contains("panicked"), "{args:?}: {words}");
    }
}

#[test]
fn seeds_that_cannot_be_simulated_as_asked_are_not_valid() {
    refused(
        &["simulate", "--conditions", "cut-link", "--nodes", "2"],
        &["cut-link", "3 nodes"],
    );
    refused(
        &["simulate", "--seed", "17", "--only", "clients=9"],
        &["no client 9"],
    );
    let said = run(
        &harness(),
        &["simulate", "--seeds", "2", "--shard", "3/3", "--json"],
    );
    assert_eq!(said.code, 2, "{said:?}");
    assert!(said.out.contains("there is no seed in part 3 of 3"), "{said:?}");
}

#[test]
fn a_store_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "in the way").unwrap();
    let (node, store) = (node(), file.join("store"));
    let args = [
        "run",
        "--node-binary",
        node.to_str().unwrap(),
        "--store",
        store.to_str().unwrap(),
    ];
    refused(&args, &[store.to_str().unwrap()]);
}

#[test]
fn a_test_that_cannot_begin_has_its_line_and_its_junit_error() {
    let folder = tempfile::tempdir().unwrap();
    let (file, junit) = (folder.path().join("file"), folder.path().join("junit.xml"));
    fs::write(&file, "in the way").unwrap();
    let (node, store) = (node(), file.join("store"));
    let mut args = vec!["run", "--json", "--node-binary", node.to_str().unwrap()];
    args.extend([
        "--store",
        store.to_str().unwrap(),
        "--junit",
        junit.to_str().unwrap(),
    ]);
    let said = run(&harness(), &args);
    assert_eq!(said.code, 254, "{said:?}");
    let line = said.json();
    assert_eq!(line["valid"], "unknown", "{line}");
    let reason = line["reason"].as_str().unwrap();
    assert!(said.error().ends_with(reason), "{said:?}");
    let xml = fs::read_to_string(&junit).unwrap();
    assert!(
        xml.contains("errors=\"1\"") && xml.contains("<error message="),
        "{xml}"
    );
}

#[test]
fn a_verdict_does_not_depend_on_who_listens_and_one_that_could_not_be_printed_is_no_success() {
    let folder = tempfile::tempdir().unwrap();
    let node = node();
    let mut args = vec!["run", "--json", "--node-binary", node.to_str().unwrap()];
    args.extend(["--store", folder.path().to_str().unwrap()]);
    args.extend(["--nodes", "1", "--nemesis", "none", "--time-limit", "1s"]);
    let full = || fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let (reader, closed) = std::io::pipe().unwrap();
    drop(reader);
    for stderr in [full().into(), std::process::Stdio::from(closed)] {
        let output = command(&harness(), &args).stderr(stderr).output().unwrap();
        let said = tests::Said::from(output);
        assert_eq!(said.code, 0, "{said:?}");
        assert_eq!(said.json()["valid"], true);
    }
    let output = command(&harness(), &args).stdout(full()).output().unwrap();
    let said = tests::Said::from(output);
    assert_eq!(said.code, 255, "{said:?}");
    assert!(said.err.contains("can't write to stdout"), "{said:?}");
}

#[test]
fn a_violation_is_explained_and_outranks_what_is_valid() {
    let folder = tempfile::tempdir().unwrap();
    let record = |time: u64, kind: &str, f: &str, value: &str| {
        format!(
            "{{\"time\":{time},\"process\":1,\"type\":\"{kind}\",\"f\":\"{f}\",\"key\":4,\"value\":{value}}}\n"
        )
    };
    let header = "{\"rustyraft-history\":1,\"workload\":\"register\"}\n".to_owned();
    let good = header + &record(1, "invoke", "write", "7") + &record(2, "ok", "write", "null");
    let bad = good.clone() + &record(3, "invoke", "read", "null") + &record(4, "ok", "read", "null");
    let (good_file, bad_file) = (folder.path().join("good"), folder.path().join("bad"));
    fs::write(&good_file, good).unwrap();
    fs::write(&bad_file, bad).unwrap();
    let said = run(
        &harness(),
        &[
            "check",
            "--json",
            bad_file.to_str().unwrap(),
            good_file.to_str().unwrap(),
        ],
    );
    assert_eq!(said.code, 1, "{said:?}");
    assert_eq!(said.out.lines().count(), 2, "{said:?}");
    let said = run(&harness(), &["check", bad_file.to_str().unwrap()]);
    assert_eq!(said.code, 1, "{said:?}");
    let words = said.out + &said.err;
    for word in [
        "not linearizable",
        "register 4",
        "read returned nil",
        "could only have been 7",
    ] {
        assert!(words.contains(word), "{word:?} is missing in {words}");
    }
}
