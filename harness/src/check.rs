//! Verdicts on histories that were recorded earlier.
//!
//! A history says nothing of how hard a run was tried, so the load-validity gate of a run is not asked again: *valid* here means that
//! what is in the file has an explanation. An interrupted run's history is checked as far as it goes.

use crate::cli::exit::Exit;
use crate::report::{Paint, Valid, duration, grouped};
use crate::run::{HISTORY, JudgeError, Judged, judge};
use checker::Verdict;
use serde::Serialize;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What is to be checked, and how.
#[derive(Clone, Debug)]
pub struct CheckOptions {
    /// Histories, or folders of runs.
    pub files: Vec<PathBuf>,
    /// How long the check of one history may take.
    pub time_limit: Duration,
    /// How much memory the check of one object may take.
    pub bytes_max: usize,
    /// Whether stdout gets JSON lines.
    pub json: bool,
}

/// The line that `--json` prints for a file. Fields are only ever added, and `harness help json` says what they are.
#[derive(Debug, Serialize)]
struct Line<'a> {
    file: &'a Path,
    format: Option<&'static str>,
    model: Option<&'static str>,
    valid: Valid,
    reason: Option<String>,
    ops: usize,
    partitions: usize,
    engine: Option<&'static str>,
    parse_seconds: f64,
    check_seconds: f64,
}

/// Checks each file; the worst of their ends.
pub fn check(options: &CheckOptions) -> Exit {
    let mut worst = Exit::Valid;
    for file in &options.files {
        worst = worst.max(check_file(file, options));
    }
    worst
}

fn check_file(file: &Path, options: &CheckOptions) -> Exit {
    let history = if file.is_dir() {
        file.join(HISTORY)
    } else {
        file.to_owned()
    };
    match judge(&history, options.time_limit, options.bytes_max) {
        Ok(judged) => {
            for warning in &judged.warnings {
                eprintln!("harness: {}: {warning}", history.display());
            }
            let (valid, reason) = match &judged.report.verdict {
                Verdict::Valid => (Valid::True, None),
                Verdict::Violation(violation) => {
                    let reason = format!(
                        "{} is not linearizable. {}",
                        violation.object, violation.operation
                    );
                    (Valid::False, Some(reason))
                }
                Verdict::Unknown(reason) => (Valid::Unknown, Some(reason.clone())),
            };
            if options.json {
                print_line(&Line {
                    file,
                    format: Some(judged.format.name()),
                    model: Some(judged.report.model).filter(|_| judged.report.operations > 0),
                    valid,
                    reason,
                    ops: judged.report.operations,
                    partitions: judged.report.partitions,
                    engine: Some(judged.report.engine).filter(|_| judged.report.operations > 0),
                    parse_seconds: judged.parse.as_secs_f64(),
                    check_seconds: judged.check.as_secs_f64(),
                });
            } else {
                print(&words(&history, &judged, Paint::for_stream(&std::io::stdout())));
            }
            valid.exit()
        }
        Err(error) => {
            // As compilers do, so that editors find the place.
            let line = match &error {
                JudgeError::File(error) => format!("{}: {error}", history.display()),
                JudgeError::Options(reason) => format!("{}: {reason}", history.display()),
                JudgeError::History(error) => {
                    format!("{}:{}: {}", history.display(), error.line, error.reason)
                }
            };
            eprintln!("harness: {line}");
            if options.json {
                print_line(&Line {
                    file,
                    format: None,
                    model: None,
                    valid: Valid::Unknown,
                    reason: Some(line),
                    ops: 0,
                    partitions: 0,
                    engine: None,
                    parse_seconds: 0.0,
                    check_seconds: 0.0,
                });
            }
            Exit::Usage
        }
    }
}

fn words(history: &Path, judged: &Judged, paint: Paint) -> String {
    let report = &judged.report;
    let coverage = format!(
        "{} operations on {} objects, read in {}, judged in {}",
        grouped(report.operations as u64),
        grouped(report.partitions as u64),
        duration(judged.parse),
        duration(judged.check)
    );
    let file = history.display();
    match &report.verdict {
        Verdict::Valid => format!("{}  {file}: {coverage}\n", paint.good("valid")),
        Verdict::Unknown(reason) => format!("{}  {file}: {reason}; {coverage}\n", paint.doubtful("unknown")),
        Verdict::Violation(violation) => {
            format!(
                "{}  {file}: {coverage}\n\n{}\n",
                paint.bad("violation"),
                violation.text.trim_end()
            )
        }
    }
}

fn print_line(line: &Line<'_>) {
    let text = serde_json::to_string(line).expect("its fields have string keys");
    print(&format!("{text}\n"));
}

/// Whoever closes stdout early has seen enough.
fn print(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

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
            time_limit: Duration::from_secs(60),
            bytes_max: 1 << 30,
            json: false,
        })
    }

    #[test]
    fn a_history_is_valid_or_a_violation_by_what_it_says() {
        assert_eq!(checked(&[&format!("{WRITTEN}{FRESH}")]), Exit::Valid);
        assert_eq!(checked(&[&format!("{WRITTEN}{STALE}")]), Exit::Violation);
    }

    #[test]
    fn an_interrupted_run_is_checked_as_far_as_it_goes() {
        assert_eq!(checked(&[WRITTEN]), Exit::Valid);
        assert_eq!(checked(&[&format!("{WRITTEN}{}", &STALE[..30])]), Exit::Valid);
    }

    #[test]
    fn nothing_is_unknown_and_what_is_no_history_is_a_usage_error() {
        assert_eq!(checked(&[""]), Exit::Unknown);
        assert_eq!(checked(&[WRITTEN.lines().next().unwrap()]), Exit::Unknown);
        assert_eq!(checked(&["no history"]), Exit::Usage);
        assert_eq!(checked(&[&format!("{WRITTEN}garbage\n{FRESH}")]), Exit::Usage);
        let missing = CheckOptions {
            files: vec![PathBuf::from("/nowhere/at/all")],
            time_limit: Duration::from_secs(60),
            bytes_max: 1 << 30,
            json: true,
        };
        assert_eq!(check(&missing), Exit::Usage);
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
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("hard.jsonl");
        fs::write(&file, history).unwrap();
        let options = CheckOptions {
            files: vec![file],
            time_limit: Duration::ZERO,
            bytes_max: 1 << 30,
            json: false,
        };
        assert_eq!(check(&options), Exit::Unknown);
    }
}
