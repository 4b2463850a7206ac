use super::*;
use crate::run::HISTORY;
use checker::EngineChoice;
use std::time::Duration;

const WRITTEN: &str = r#"{"rustyraft-history":1,"workload":"register"}
{"time":1,"process":0,"type":"invoke","f":"write","key":0,"value":1,"node":1}
{"time":2,"process":0,"type":"ok","f":"write","key":0,"value":null}
{"time":3,"process":0,"type":"invoke","f":"read","key":0,"value":null,"node":2}
"#;
const FRESH: &str = r#"{"time":4,"process":0,"type":"ok","f":"read","key":0,"value":1}
"#;
const STALE: &str = r#"{"time":4,"process":0,"type":"ok","f":"read","key":0,"value":null}
"#;

/// Checks histories with these contents, each in a run's folder of its own.
fn checked(histories: &[&str]) -> Exit {
    let store = tempfile::tempdir().unwrap();
    let files = histories.iter().enumerate().map(|(number, history)| {
        let run = store.path().join(number.to_string());
        fs::create_dir(&run).unwrap();
        fs::write(run.join(HISTORY), history).unwrap();
        run
    });
    let files = files.collect();
    check(&CheckOptions {
        files,
        request: Request::default(),
        html: None,
        json: false,
    })
}

#[test]
fn a_history_is_valid_or_a_violation_by_what_it_says() {
    assert_eq!(checked(&[&format!("{WRITTEN}{FRESH}")]), Exit::Valid);
    assert_eq!(checked(&[&format!("{WRITTEN}{STALE}")]), Exit::Violation);
}

#[test]
fn a_file_on_which_the_check_panics_is_one_without_a_verdict() {
    let options = CheckOptions {
        files: Vec::new(),
        request: Request::default(),
        html: None,
        json: true,
    };
    let broken = outcome(Path::new("a.jsonl"), &options, |_, _| {
        panic!("the check is broken")
    });
    assert_eq!(broken.exit, Exit::Internal);
    assert_eq!(broken.stderr, "harness: a.jsonl: the check panicked\n");
    let line: serde_json::Value = serde_json::from_str(&broken.stdout).unwrap();
    assert_eq!(line["valid"], "unknown");
    assert_eq!(line["reason"], "a.jsonl: the check panicked");
}

#[test]
fn an_interrupted_run_is_checked_as_far_as_it_goes() {
    assert_eq!(checked(&[WRITTEN]), Exit::Valid);
    assert_eq!(checked(&[&format!("{WRITTEN}{}", &STALE[..30])]), Exit::Valid);
}

/// Checks what is at a path.
fn checked_at(path: PathBuf) -> Exit {
    check(&CheckOptions {
        files: vec![path],
        request: Request::default(),
        html: None,
        json: false,
    })
}

#[test]
fn a_folder_stands_for_the_runs_below_it_and_none_of_them_is_met_twice() {
    let store = tempfile::tempdir().unwrap();
    let workload = store.path().join("register");
    let runs: Vec<PathBuf> = ["1", "2"].map(|name| workload.join(name)).into();
    for (run, last) in runs.iter().zip([FRESH, STALE]) {
        fs::create_dir_all(run.join("nodes")).unwrap();
        fs::write(run.join("report.txt"), "no history").unwrap();
        fs::write(run.join(HISTORY), format!("{WRITTEN}{last}")).unwrap();
    }
    std::os::unix::fs::symlink("2", workload.join("latest")).unwrap();
    assert_eq!(files::histories(&workload), runs);
    assert_eq!(files::histories(store.path()), runs);
    assert_eq!(checked_at(workload), Exit::Violation);
    // Files beside the runs are histories, too, but not those in any folder.
    let file = store.path().join("other.jsonl");
    fs::write(&file, format!("{WRITTEN}{FRESH}")).unwrap();
    fs::create_dir(store.path().join("notes")).unwrap();
    fs::write(store.path().join("notes/one.txt"), "no history").unwrap();
    assert_eq!(files::histories(store.path()), [&[file], &runs[..]].concat());
}

#[test]
fn a_run_without_a_history_and_an_empty_folder_are_usage_errors_in_one_line() {
    let store = tempfile::tempdir().unwrap();
    assert_eq!(checked_at(store.path().to_owned()), Exit::Usage);
    let run = store.path().join("1");
    fs::create_dir(&run).unwrap();
    fs::write(run.join("test.json"), "{}").unwrap();
    assert_eq!(files::histories(store.path()), std::slice::from_ref(&run));
    let options = CheckOptions {
        files: Vec::new(),
        request: Request::default(),
        html: None,
        json: false,
    };
    let said = outcome::of(&run, &options).stderr;
    assert_eq!(
        said,
        format!("harness: {}: a run without its history.jsonl\n", run.display())
    );
}

#[test]
fn nothing_is_unknown_and_what_is_no_history_is_a_usage_error() {
    assert_eq!(checked(&[""]), Exit::Unknown);
    assert_eq!(checked(&[WRITTEN.lines().next().unwrap()]), Exit::Unknown);
    assert_eq!(checked(&["no history"]), Exit::Usage);
    assert_eq!(checked(&[&format!("{WRITTEN}garbage\n{FRESH}")]), Exit::Usage);
    let missing = CheckOptions {
        files: vec![PathBuf::from("/nowhere/at/all")],
        request: Request::default(),
        html: None,
        json: true,
    };
    assert_eq!(check(&missing), Exit::Usage);
}

#[test]
fn a_history_that_no_linear_engine_judges_is_a_usage_error_in_one_line_if_such_a_one_was_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("twice.jsonl");
    let mut history = String::from("{\"rustyraft-history\":1,\"workload\":\"register\"}\n");
    for (kind, f, value) in [
        ("invoke", "write", "1"),
        ("ok", "write", "null"),
        ("invoke", "write", "1"),
        ("ok", "write", "null"),
    ] {
        let call = format!("\"type\":\"{kind}\",\"f\":\"{f}\",\"key\":0,\"value\":{value}");
        history.push_str(&format!("{{\"time\":1,\"process\":0,{call}}}\n"));
    }
    fs::write(&file, history).unwrap();
    let judged = |engine| {
        let options = CheckOptions {
            files: Vec::new(),
            request: Request {
                engine,
                ..Request::default()
            },
            html: None,
            json: false,
        };
        outcome::of(&file, &options)
    };
    assert_eq!(judged(EngineChoice::Auto).exit, Exit::Valid);
    let refused = judged(EngineChoice::Linear);
    assert_eq!((refused.exit, &*refused.stdout), (Exit::Usage, ""));
    let reason =
        "cas-register 0: no linear-time engine judges this history: a value is written more than once";
    let line = format!("harness: {}: {reason}\n", file.display());
    assert_eq!(refused.stderr, line);
}

#[test]
fn histories_of_others_are_read_too() {
    let line = |kind: &str, f: &str, value: &str| {
        format!("{{:process 0, :type :{kind}, :f :{f}, :value {value}}}\n")
    };
    let edn = |read: &str| {
        line("invoke", "write", "1")
            + &line("ok", "write", "1")
            + &line("invoke", "read", "nil")
            + &line("ok", "read", read)
    };
    assert_eq!(checked(&[&edn("1")]), Exit::Valid);
    assert_eq!(checked(&[&edn("2")]), Exit::Violation);
    let etcd = |read: &str| {
        format!("INFO  jepsen.util - 0\t:invoke\t:read\tnil\nINFO  jepsen.util - 0\t:ok\t:read\t{read}\n")
    };
    assert_eq!(checked(&[&etcd("nil")]), Exit::Valid);
    assert_eq!(checked(&[&etcd("2")]), Exit::Violation);
}

#[test]
fn the_files_of_a_folder_are_checked_and_the_page_is_about_the_violation() {
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("page.html");
    let files = folder.path().join("histories");
    fs::create_dir(&files).unwrap();
    for (name, read) in [("a", FRESH), ("b", STALE), ("c", FRESH)] {
        fs::write(files.join(name), format!("{WRITTEN}{read}")).unwrap();
    }
    let options = CheckOptions {
        files: vec![files],
        request: Request::default(),
        html: Some(page.clone()),
        json: true,
    };
    assert_eq!(check(&options), Exit::Violation);
    let html = fs::read_to_string(page).unwrap();
    assert!(html.contains(r#""verdict":"violation""#) && html.contains("histories/b"));
}

/// Two objects, of which each is read stale.
const TWICE: &str = r#"{"rustyraft-history":1,"workload":"register"}
{"time":1,"process":0,"type":"invoke","f":"write","key":0,"value":1,"node":1}
{"time":2,"process":0,"type":"ok","f":"write","key":0,"value":null}
{"time":3,"process":0,"type":"invoke","f":"cas","key":1,"value":[null,5]}
{"time":4,"process":0,"type":"info","f":"cas","key":1,"value":null,"error":"timed out"}
{"time":5,"process":1,"type":"invoke","f":"read","key":1,"value":null,"node":2}
{"time":6,"process":1,"type":"ok","f":"read","key":1,"value":5}
{"time":7,"process":1,"type":"invoke","f":"read","key":0,"value":null,"node":2}
{"time":8,"process":1,"type":"ok","f":"read","key":0,"value":null}
{"time":9,"process":1,"type":"invoke","f":"read","key":1,"value":null,"node":2}
{"time":10,"process":1,"type":"ok","f":"read","key":1,"value":null}
"#;

/// What is said of [`TWICE`], and the page about it.
fn twice(all: bool, json: bool) -> (String, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("twice.jsonl");
    fs::write(&file, TWICE).unwrap();
    let options = CheckOptions {
        files: Vec::new(),
        request: Request {
            all,
            ..Request::default()
        },
        html: Some(PathBuf::new()),
        json,
    };
    let outcome = outcome::of(&file, &options);
    assert_eq!((outcome.exit, outcome.stderr), (Exit::Violation, String::new()));
    (outcome.stdout, outcome.page.unwrap())
}

#[test]
fn all_violations_are_told_where_they_are_asked_for_and_else_the_first() {
    let (first, page) = twice(false, false);
    assert!(first.contains("cas-register 0 is not linearizable") && !first.contains("cas-register 1"));
    assert_eq!(page.matches("\"object\":").count(), 1);
    let (all, page) = twice(true, false);
    let place = |object: &str| all.find(&format!("{object} is not linearizable")).unwrap();
    assert!(place("cas-register 0") < place("cas-register 1"), "{all}");
    assert_eq!(page.matches("\"object\":").count(), 2);
}

#[test]
fn the_json_line_has_violations_with_their_cores() {
    let (line, _) = twice(true, true);
    let mut line: serde_json::Value = serde_json::from_str(&line).unwrap();
    for varies in ["file", "parse_seconds", "check_seconds"] {
        line[varies].take();
    }
    insta::assert_snapshot!("json_line", serde_json::to_string_pretty(&line).unwrap());
}

#[test]
fn of_several_files_the_worst_counts() {
    let (good, bad) = (format!("{WRITTEN}{FRESH}"), format!("{WRITTEN}{STALE}"));
    assert_eq!(checked(&[&good, ""]), Exit::Unknown);
    assert_eq!(checked(&["", "no history", &good]), Exit::Usage);
    assert_eq!(checked(&[&bad, "no history", ""]), Exit::Violation);
}

#[test]
fn a_check_that_reaches_its_time_limit_is_unknown_and_not_valid() {
    let mut history = String::from("{\"rustyraft-history\":1,\"workload\":\"register\"}\n");
    // Hundreds of compare-and-sets that may have happened at any time since, or never, between writes that did.
    for number in 0..400 {
        history.push_str(&format!(
            "{{\"time\":{number},\"process\":{number},\"type\":\"invoke\",\"f\":\"cas\",\"key\":0,\"value\":[{},{}]}}\n",
            number % 19,
            number % 23
        ));
    }
    for number in 400..600 {
        let value = number % 17;
        history.push_str(&format!(
            "{{\"time\":{number},\"process\":{number},\"type\":\"invoke\",\"f\":\"write\",\"key\":0,\"value\":{value}}}\n\
             {{\"time\":{number},\"process\":{number},\"type\":\"ok\",\"f\":\"write\",\"key\":0,\"value\":null}}\n"
        ));
    }
    // What only a chain of those can have brought about: writes alone are right whatever happened.
    history.push_str(
        "{\"time\":600,\"process\":600,\"type\":\"invoke\",\"f\":\"read\",\"key\":0,\"value\":null}\n\
         {\"time\":601,\"process\":600,\"type\":\"ok\",\"f\":\"read\",\"key\":0,\"value\":22}\n",
    );
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hard.jsonl");
    fs::write(&file, history).unwrap();
    let options = CheckOptions {
        files: vec![file],
        request: Request {
            time_limit: Duration::ZERO,
            ..Request::default()
        },
        html: None,
        json: false,
    };
    assert_eq!(check(&options), Exit::Unknown);
}
