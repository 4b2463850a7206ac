use super::super::inside::Store;
use super::*;
use std::fs;

const TEST: &str = r#"{"rustyraft-test":1,"version":"0.1.0","node_binary":"/bin/node","node_version":"0.1.0","started":"2026-11-24T10:00:00.000Z",
"seed":18446744073709551615,"options":{"workload":"register","nodes":3,"concurrency":4,"rate":null,"time_limit_seconds":1.0,"nemesis":["kill"],
"nemesis_interval_seconds":1.0,"timeout_seconds":0.5,"node_args":[]}}"#;
const RESULTS: &str = r#"{"valid":false,"reason":"bad","workload":"register","system":"node","nodes":3,"seconds":1.5,
"ops":{"ok":7,"fail":1,"info":2},"elections":4,"faults":{"kill":2},"seed":18446744073709551615,"run_dir":"x"}"#;

fn folder(path: &Path) -> Folder {
    Store::new(path).root().unwrap()
}

/// What is said of a folder with these files.
fn run_of(files: &[(&str, &str)]) -> Run {
    let store = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(store.path().join(name), text).unwrap();
    }
    run(
        &folder(store.path()),
        Path::new("register/20261126T171403.245Z-2"),
    )
}

#[test]
fn a_run_is_what_its_files_say() {
    let run = run_of(&[("test.json", TEST), ("results.json", RESULTS)]);
    assert_eq!(
        (run.state, run.reason.as_deref()),
        (State::Violation, Some("bad"))
    );
    assert_eq!(run.seed.as_deref(), Some("18446744073709551615"));
    assert_eq!(
        (run.nodes, run.elections, run.concurrency),
        (Some(3), Some(4), Some(4))
    );
    assert_eq!(run.ops.unwrap().total(), 10);
    assert_eq!(run.started.as_deref(), Some("2026-11-24T10:00:00.000Z"));
    let unknown = RESULTS.replace("\"valid\":false", "\"valid\":\"unknown\"");
    assert_eq!(run_of(&[("results.json", &unknown)]).state, State::Unknown);
}

#[test]
fn a_run_of_another_version_is_shown_as_far_as_it_is_understood() {
    let test = TEST.replace("\"node_args\"", "\"novelty\":{\"a\":[1]},\"node_args\"");
    let results = RESULTS
        .replace("\"run_dir\"", "\"novelty\":1,\"run_dir\"")
        .replace("\"elections\":4,", "");
    let run = run_of(&[("test.json", &test), ("results.json", &results)]);
    assert_eq!(
        (run.state, run.nodes, run.elections),
        (State::Violation, Some(3), None)
    );
}

#[test]
fn a_run_without_a_verdict_goes_on_while_its_folder_is_held_and_was_interrupted_otherwise() {
    let store = tempfile::tempdir().unwrap();
    fs::write(store.path().join("test.json"), TEST).unwrap();
    let state = || run(&folder(store.path()), Path::new("r/1")).state;
    assert_eq!(state(), State::Interrupted);
    let held = fs::File::open(store.path()).unwrap();
    held.lock_shared().unwrap();
    assert_eq!((state(), state()), (State::Running, State::Running));
    drop(held);
    assert_eq!(state(), State::Interrupted);

    let planned = TEST.replace("/bin/node", "node");
    assert_eq!(run_of(&[("test.json", &planned)]).state, State::Planned);
    assert_eq!(
        run_of(&[("test.json", &planned), ("history.jsonl", "")]).state,
        State::Interrupted
    );
}

#[test]
fn what_cant_be_read_is_damaged_and_says_why() {
    for (files, words) in [
        (vec![("test.json", "{\"seed\":")], "test.json: EOF"),
        (vec![("test.json", "")], "test.json: EOF"),
        (vec![("test.json", "7")], "test.json: invalid type"),
        (
            vec![("test.json", TEST), ("results.json", "{\"valid\":7}")],
            "results.json: ",
        ),
        (
            vec![("test.json", TEST), ("results.json", "{}")],
            "results.json: missing field `valid`",
        ),
    ] {
        let run = run_of(&files);
        assert_eq!(run.state, State::Damaged, "{files:?}");
        let reason = run.reason.unwrap();
        assert!(reason.starts_with(words), "{reason}");
        assert_eq!(run.workload.as_deref(), Some("register"));
    }
    // The verdict stands, whatever became of the rest.
    assert_eq!(
        run_of(&[("test.json", "{"), ("results.json", RESULTS)]).state,
        State::Violation
    );
}

#[test]
fn deep_nesting_is_damage_and_no_more() {
    let deep = format!("{{\"a\":{}", "[".repeat(1_000_000));
    assert_eq!(run_of(&[("test.json", &deep)]).state, State::Damaged);
}

#[test]
fn other_folders_are_known_by_what_lies_in_them() {
    let store = tempfile::tempdir().unwrap();
    let kind = || other(&folder(store.path()), Path::new("up/1790000000000")).map(|other| other.kind);
    assert_eq!(kind(), None);
    fs::write(store.path().join("notes.txt"), "").unwrap();
    assert_eq!(kind(), Some("files"));
    fs::create_dir(store.path().join("nodes")).unwrap();
    assert_eq!(kind(), Some("cluster"));
    fs::write(store.path().join("results.jsonl"), "").unwrap();
    assert_eq!(kind(), Some("bench"));
    assert!(stamp(&folder(store.path())).is_none());
}

#[test]
fn a_folders_name_tells_when_it_was_made() {
    let of = |name: &str| started_by_name(Path::new(name));
    assert_eq!(
        of("a/20261126T171403.245Z").as_deref(),
        Some("2026-11-26T17:14:03.245Z")
    );
    assert_eq!(
        of("a/20261126T171403.245Z-2").as_deref(),
        Some("2026-11-26T17:14:03.245Z")
    );
    assert_eq!(
        of("up/1790000000000").as_deref(),
        Some("2026-09-21T14:13:20.000Z")
    );
    for none in [
        "",
        "latest",
        "T",
        "20261126T",
        "2026112éT171403Z",
        "20261126T17140éZ",
        "99999999999999999",
        "20261126T171403",
    ] {
        assert_eq!(of(none), None, "{none}");
    }
}
