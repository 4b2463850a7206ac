//! What comes of one file: a verdict, or why there is none, in words or as JSON, and as a page.

use super::CheckOptions;
use super::files;
use super::line::{Line, ViolationOf};
use crate::exit::Exit;
use crate::report::{Paint, Valid, duration, grouped, html, program};
use crate::run::{HISTORY, JudgeError, Judged, judge};
use checker::Verdict;
use std::path::Path;

/// See the module's documentation.
pub(super) struct Outcome {
    pub(super) exit: Exit,
    pub(super) stdout: String,
    pub(super) stderr: String,
    /// The page about it, if one was asked for.
    pub(super) page: Option<String>,
}

/// Checks one file, or the history in the folder of a run.
pub(super) fn of(file: &Path, options: &CheckOptions) -> Outcome {
    let history = if file.is_dir() {
        file.join(HISTORY)
    } else {
        file.to_owned()
    };
    if file.is_dir() && !history.exists() {
        let reason = if files::is_run(file) {
            format!("a run without its {HISTORY}")
        } else {
            String::from("no history and no run is in this folder")
        };
        return refused(file, file, &JudgeError::Options(reason), options);
    }
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
            plots: None,
            violations: report.violations().collect(),
        })
    });
    let stdout = if options.json {
        let line = Line {
            file,
            format: Some(judged.log.format.name()),
            timed: Some(judged.log.timed),
            model: Some(report.model).filter(|_| report.operations > 0),
            valid,
            reason: Some(reason).filter(|reason| !reason.is_empty()),
            ops: report.operations,
            partitions: report.partitions,
            engine: Some(report.engine).filter(|_| report.operations > 0),
            parse_seconds: judged.parse.as_secs_f64(),
            check_seconds: judged.check.as_secs_f64(),
            violations: report
                .violations()
                .map(|violation| ViolationOf::new(violation, &judged.log))
                .collect(),
            unexplained: report.unexplained,
        };
        line.text()
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
    Outcome::without_verdict(file, reason, Exit::Usage, options)
}

impl Outcome {
    /// The check of a file panicked, and has said on stderr what about.
    pub(super) fn broken(file: &Path, options: &CheckOptions) -> Outcome {
        let reason = format!("{}: the check panicked", file.display());
        Outcome::without_verdict(file, reason, Exit::Internal, options)
    }

    fn without_verdict(file: &Path, reason: String, exit: Exit, options: &CheckOptions) -> Outcome {
        let stderr = format!("harness: {reason}\n");
        let stdout = if options.json {
            let line = Line {
                file,
                format: None,
                timed: None,
                model: None,
                valid: Valid::Unknown,
                reason: Some(reason),
                ops: 0,
                partitions: 0,
                engine: None,
                parse_seconds: 0.0,
                check_seconds: 0.0,
                violations: Vec::new(),
                unexplained: 0,
            };
            line.text()
        } else {
            String::new()
        };
        Outcome {
            exit,
            stdout,
            stderr,
            page: None,
        }
    }
}

/// What a page says of a check.
fn facts(judged: &Judged, file: &Path) -> Vec<(String, String)> {
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
        Verdict::Violation(_) => {
            let mut words = format!("{}  {file}: {coverage}\n", paint.bad("violation"));
            for violation in report.violations() {
                words += &format!("\n{}\n", violation.text.trim_end());
            }
            if report.unexplained > 0 {
                words += &format!(
                    "\n{} more objects are not linearizable; the check reached a limit before it explained them.\n",
                    grouped(report.unexplained as u64)
                );
            }
            words
        }
    }
}
