//! Verdicts on histories that were recorded earlier.
//!
//! A history says nothing of how hard a run was tried, so the load-validity gate of a run is not asked again: *valid* here means that
//! what is in the file has an explanation. An interrupted run's history is checked as far as it goes.

use crate::cli::exit::Exit;
use crate::report::{Paint, Valid, duration, grouped, html, program};
use crate::run::{HISTORY, JudgeError, Judged, Request, judge};
use checker::{Explanation, Verdict};
use indicatif::ProgressBar;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

/// How many results wait to be told.
const WAITING_MAX: usize = 64;

/// What is to be checked, and how.
#[derive(Clone, Debug)]
pub struct CheckOptions {
    /// Histories, or folders of runs.
    pub files: Vec<PathBuf>,
    /// How each is judged.
    pub request: Request,
    /// Where a page about the history goes; about the first of several that is a violation, or else the first.
    pub html: Option<PathBuf>,
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

/// What came of one file.
struct Outcome {
    exit: Exit,
    stdout: String,
    stderr: String,
    /// The page about it, if one was asked for.
    page: Option<String>,
}

/// Checks each file, several at once; the worst of their ends. What is said of them comes in the order of the files.
pub fn check(options: &CheckOptions) -> Exit {
    let files: Vec<PathBuf> = options.files.iter().flat_map(|file| histories(file)).collect();
    let bar = if files.len() > 1 {
        ProgressBar::new(files.len() as u64)
    } else {
        ProgressBar::hidden()
    };
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let (next, mut worst) = (AtomicUsize::new(0), Exit::Valid);
    let mut page: Option<(bool, String)> = None;
    let (sender, receiver) = mpsc::sync_channel(WAITING_MAX);
    std::thread::scope(|scope| {
        for _ in 0..cores.min(files.len()) {
            let (sender, next, files) = (sender.clone(), &next, &files);
            scope.spawn(move || {
                loop {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    let Some(file) = files.get(place) else { return };
                    let outcome = check_file(file, options);
                    if sender.send((place, outcome)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        let mut waiting: BTreeMap<usize, Outcome> = BTreeMap::new();
        let mut told = 0;
        for (place, outcome) in receiver {
            waiting.insert(place, outcome);
            while let Some(outcome) = waiting.remove(&told) {
                told += 1;
                bar.inc(1);
                bar.suspend(|| {
                    eprint!("{}", outcome.stderr);
                    print(&outcome.stdout);
                });
                worst = worst.max(outcome.exit);
                let is_violation = outcome.exit == Exit::Violation;
                if let Some(html) = outcome.page
                    && page.as_ref().is_none_or(|(was, _)| is_violation && !was)
                {
                    page = Some((is_violation, html));
                }
            }
        }
    });
    bar.finish_and_clear();
    if let (Some(path), Some((_, html))) = (&options.html, page)
        && let Err(error) = fs::write(path, html)
    {
        eprintln!("harness: can't write {}: {error}", path.display());
        worst = worst.max(Exit::Usage);
    }
    worst
}

/// The history of a run's folder; the files of any other folder, by name.
fn histories(path: &Path) -> Vec<PathBuf> {
    if !path.is_dir() || path.join(HISTORY).exists() {
        return vec![path.to_owned()];
    }
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.is_file())
        .collect();
    files.sort();
    if files.is_empty() {
        // What is wrong with it is said when it is read.
        files.push(path.to_owned());
    }
    files
}

fn check_file(file: &Path, options: &CheckOptions) -> Outcome {
    let history = if file.is_dir() {
        file.join(HISTORY)
    } else {
        file.to_owned()
    };
    match judge(&history, &options.request) {
        Ok(judged) => told(file, &history, &judged, options),
        Err(error) => refused(file, &history, &error, options),
    }
}

fn told(file: &Path, history: &Path, judged: &Judged, options: &CheckOptions) -> Outcome {
    let warnings = judged.log.warnings.iter();
    let stderr = warnings
        .map(|warning| format!("harness: {}: {warning}\n", history.display()))
        .collect();
    let report = &judged.report;
    let (name, reason) = html::verdict_and_reason(&report.verdict);
    let valid = match &report.verdict {
        Verdict::Valid => Valid::True,
        Verdict::Violation(_) => Valid::False,
        Verdict::Unknown(_) => Valid::Unknown,
    };
    let page = options.html.is_some().then(|| {
        html::render(&html::Page {
            verdict: name,
            title: history.display().to_string(),
            reason: reason.clone(),
            facts: facts(judged, file),
            log: &judged.log,
            explanation: explanation_of(&report.verdict),
        })
    });
    let stdout = if options.json {
        line(&Line {
            file,
            format: Some(judged.log.format.name()),
            model: Some(report.model).filter(|_| report.operations > 0),
            valid,
            reason: Some(reason).filter(|reason| !reason.is_empty()),
            ops: report.operations,
            partitions: report.partitions,
            engine: Some(report.engine).filter(|_| report.operations > 0),
            parse_seconds: judged.parse.as_secs_f64(),
            check_seconds: judged.check.as_secs_f64(),
        })
    } else {
        words(history, judged, Paint::for_stream(&std::io::stdout()))
    };
    Outcome {
        exit: valid.exit(),
        stdout,
        stderr,
        page,
    }
}

fn refused(file: &Path, history: &Path, error: &JudgeError, options: &CheckOptions) -> Outcome {
    // As compilers do, so that editors find the place.
    let reason = match error {
        JudgeError::File(error) => format!("{}: {error}", history.display()),
        JudgeError::Options(reason) => format!("{}: {reason}", history.display()),
        JudgeError::History(error) => {
            format!("{}:{}: {}", history.display(), error.line, error.reason)
        }
    };
    let stderr = format!("harness: {reason}\n");
    let stdout = if options.json {
        line(&Line {
            file,
            format: None,
            model: None,
            valid: Valid::Unknown,
            reason: Some(reason),
            ops: 0,
            partitions: 0,
            engine: None,
            parse_seconds: 0.0,
            check_seconds: 0.0,
        })
    } else {
        String::new()
    };
    Outcome {
        exit: Exit::Usage,
        stdout,
        stderr,
        page: None,
    }
}

/// The violation of a verdict, if it is one.
pub fn explanation_of(verdict: &Verdict) -> Option<&Explanation> {
    match verdict {
        Verdict::Violation(violation) => Some(violation),
        Verdict::Valid | Verdict::Unknown(_) => None,
    }
}

/// What a page says of a check.
pub fn facts(judged: &Judged, file: &Path) -> Vec<(String, String)> {
    let report = &judged.report;
    [
        ("operations", grouped(report.operations as u64)),
        ("objects", grouped(report.partitions as u64)),
        ("model", report.model.to_owned()),
        ("engine", report.engine.to_owned()),
        ("format", judged.log.format.name().to_owned()),
        ("recheck", format!("{} check {}", program(), file.display())),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
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

fn line(line: &Line<'_>) -> String {
    let text = serde_json::to_string(line).expect("its fields have string keys");
    format!("{text}\n")
}

/// Whoever closes stdout early has seen enough.
fn print(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
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
            request: Request::default(),
            html: None,
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
}
