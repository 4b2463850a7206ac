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
    let history = if file.is_dir() { file.join(HISTORY) } else { file.to_owned() };
    match judge(&history, options.time_limit, options.bytes_max) {
        Ok(judged) => {
            for warning in &judged.warnings {
                eprintln!("harness: {}: {warning}", history.display());
            }
            let (valid, reason) = match &judged.report.verdict {
                Verdict::Valid => (Valid::True, None),
                Verdict::Violation(violation) => {
                    let reason = format!("{} is not linearizable. {}", violation.object, violation.operation);
                    (Valid::False, Some(reason))
                }
                Verdict::Unknown(reason) => (Valid::Unknown, Some(reason.clone())),
            };
            if options.json {
                print_line(&Line {
                    file,
                    format: Some("native"),
                    model: Some(judged.report.model),
                    valid,
                    reason,
                    ops: judged.report.operations,
                    partitions: judged.report.partitions,
                    engine: Some(judged.report.engine),
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
                JudgeError::History(error) => format!("{}:{}: {}", history.display(), error.line, error.reason),
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
            format!("{}  {file}: {coverage}\n\n{}\n", paint.bad("violation"), violation.text.trim_end())
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
