use super::*;
use crate::run::{HISTORY, Options};

const FRESH: &str = r#"{"rustyraft-history":1,"workload":"register"}
{"time":1000,"process":0,"type":"invoke","f":"write","key":0,"value":1,"node":1}
{"time":2000,"process":0,"type":"ok","f":"write","key":0,"value":null}
{"time":3000,"process":"nemesis","type":"info","f":"kill start","value":"n1"}
{"time":4000,"process":0,"type":"invoke","f":"read","key":0,"value":null,"node":2}
{"time":5000,"process":0,"type":"ok","f":"read","key":0,"value":1}
{"time":6000,"process":0,"type":"invoke","f":"read","key":0,"value":null,"node":2}
"#;

fn test() -> Test {
    Test::for_tests(Options {
        system: crate::systems::SystemName::Node,
        workload: String::from("register"),
        nodes: 3,
        concurrency: 2,
        rate: None,
        time_limit: Duration::from_secs(1),
        nemesis: Vec::new(),
        nemesis_interval: Duration::from_secs(1),
        clock_rates: crate::nemesis::Rates::default(),
        timeout: Duration::from_secs(1),
        node_args: Vec::new(),
        follower_reads: false,
        online: true,
        hosts: None,
    })
}

/// The folder of a run with this history.
fn run_with(history: &str) -> (tempfile::TempDir, RunDirectory) {
    let store = tempfile::tempdir().unwrap();
    let directory = RunDirectory::create(store.path(), &test()).unwrap();
    fs::write(directory.history(), history).unwrap();
    (store, directory)
}

fn stale() -> String {
    FRESH.replace(
        "\"f\":\"read\",\"key\":0,\"value\":1",
        "\"f\":\"read\",\"key\":0,\"value\":null",
    )
}

#[test]
fn an_interrupted_run_gets_a_report_of_what_its_history_tells() {
    let (_store, directory) = run_with(FRESH);
    let results = anew(directory.path()).unwrap();
    assert_eq!(results.summary.valid, Valid::Unknown);
    assert_eq!(results.summary.reason.as_deref(), Some("the run was interrupted"));
    assert_eq!((results.summary.ops.ok, results.summary.ops.info), (2, 0));
    // Whether the kill took effect nobody wrote down.
    assert_eq!(
        (&results.summary.faults, results.summary.elections),
        (&None, None)
    );
    assert!(results.notes[0].contains("began (kill 1)"), "{:?}", results.notes);
    assert_eq!(results.summary.run_dir, directory.path());
    assert_eq!(results.checked.as_ref().map(|checked| checked.ops), Some(2));
    for file in [
        "results.json",
        "report.txt",
        "report.html",
        "latency.svg",
        "rate.svg",
    ] {
        assert!(directory.path().join(file).is_file(), "{file}");
    }
    // What was written is read again, and comes to the same.
    assert_eq!(directory.results().unwrap().as_ref(), Some(&results));
    let again = anew(&directory.path().join("test.json")).unwrap();
    assert_eq!((again.summary, again.notes), (results.summary, results.notes));

    let (_store, directory) = run_with(&stale());
    let results = anew(directory.path()).unwrap();
    assert_eq!(results.summary.valid, Valid::False);
    assert!(results.explanation.unwrap().contains("is not linearizable"));
}

#[test]
fn the_history_is_judged_anew_and_what_the_nodes_did_is_remembered() {
    let standing = |valid, reason: Option<&str>| Standing {
        valid,
        reason: reason.map(str::to_owned),
        explanation: None,
    };
    let broken = Some("node 2 found its own state broken");
    let calm = Some("no fault took effect");
    let cases = [
        (FRESH.to_owned(), standing(Valid::True, None), Valid::True, None),
        (
            FRESH.to_owned(),
            standing(Valid::False, broken),
            Valid::False,
            broken,
        ),
        (
            FRESH.to_owned(),
            standing(Valid::Unknown, calm),
            Valid::Unknown,
            calm,
        ),
        (
            stale(),
            standing(Valid::True, None),
            Valid::False,
            Some("cas-register 0"),
        ),
        (
            stale(),
            standing(Valid::False, broken),
            Valid::False,
            Some("cas-register 0"),
        ),
    ];
    for (history, apart, valid, reason) in cases {
        let (_store, directory) = run_with(FRESH);
        let mut results = anew(directory.path()).unwrap();
        results.apart = apart;
        directory.write_words(&results).unwrap();
        fs::write(directory.history(), history).unwrap();
        let results = anew(directory.path()).unwrap();
        assert_eq!(results.summary.valid, valid);
        let said = results.summary.reason.unwrap_or_default();
        assert!(said.starts_with(reason.unwrap_or_default()), "{said}");
        assert_eq!(said.is_empty(), reason.is_none());
    }
}

#[test]
fn a_run_that_was_moved_is_called_by_its_new_place() {
    let (store, directory) = run_with(FRESH);
    anew(directory.path()).unwrap();
    let moved = store.path().join("elsewhere");
    fs::rename(directory.path(), &moved).unwrap();
    assert_eq!(anew(&moved).unwrap().summary.run_dir, moved);
}

#[test]
fn a_run_is_called_by_its_own_place_and_not_by_the_link_that_leads_there() {
    let (store, directory) = run_with(FRESH);
    let results = anew(&store.path().join("latest")).unwrap();
    assert_eq!(
        results.summary.run_dir,
        fs::canonicalize(directory.path()).unwrap()
    );
}

#[test]
fn without_the_history_on_which_the_verdict_stood_what_was_said_stays() {
    let (_store, directory) = run_with(FRESH);
    let mut valid = anew(directory.path()).unwrap();
    (valid.summary.valid, valid.summary.reason) = (Valid::True, None);
    directory.write_words(&valid).unwrap();
    fs::remove_file(directory.path().join(HISTORY)).unwrap();
    let error = anew(directory.path()).unwrap_err().to_string();
    assert!(error.contains(HISTORY) && error.contains("report.txt"), "{error}");
    assert_eq!(rerender(directory.path(), true), Exit::Usage);
    assert_eq!(directory.results().unwrap(), Some(valid.clone()));

    // One that came to nothing never had a history: its reason is told again.
    (valid.summary.valid, valid.summary.reason) = (Valid::Unknown, Some(String::from("nobody served")));
    valid.checked = None;
    directory.write_words(&valid).unwrap();
    assert_eq!(anew(directory.path()).unwrap(), valid);
}

#[test]
fn what_is_no_run_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(rerender(folder.path(), false), Exit::Usage);
    let (_store, directory) = run_with("no history");
    assert_eq!(rerender(directory.path(), true), Exit::Usage);
    let (_store, directory) = run_with(FRESH);
    fs::write(directory.path().join("results.json"), "{}").unwrap();
    let error = anew(directory.path()).unwrap_err().to_string();
    assert!(
        error.contains("results.json") && error.contains("missing field"),
        "{error}"
    );
}

#[test]
fn a_run_whose_two_checks_differ_is_an_internal_error_again() {
    let (_store, directory) = run_with(FRESH);
    let mut results = anew(directory.path()).unwrap();
    results.ended_early = Some(crate::report::EarlyEnd {
        seconds: 1.0,
        operations: 2,
        object: String::from("cas-register 0"),
        healed: false,
        confirmed: None,
    });
    directory.write_words(&results).unwrap();
    assert_eq!(rerender(directory.path(), false), Exit::Internal);
    let kept = directory.results().unwrap().unwrap();
    assert_eq!(kept.ended_early.unwrap().confirmed, Some(false));
}
