//! What is said of an earlier run, said again by this build.
//!
//! The history is judged anew. How the run stands apart from it, by what its nodes did and how hard it was tried, is taken from what it
//! recorded of itself; of a run that was interrupted before that nothing is known but the history. Where the history is gone on which a
//! verdict stood, what was said of the run stays as it is.

use crate::exit::Exit;
use crate::record::Tally;
use crate::report::{self, LatencyOf, Paint, Results, Standing, Summary, Valid};
use crate::run::directory::{DirectoryError, RunDirectory};
use crate::run::judge::{JudgeError, Judged, Request, judge};
use crate::run::recorded::{Test, recorded};
use crate::run::verdict::weigh;
use checker::Log;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Why a run can't be rendered again.
#[derive(Debug, thiserror::Error)]
enum RerenderError {
    #[error("{0}")]
    Directory(#[from] DirectoryError),
    #[error("{0}")]
    Judge(#[from] JudgeError),
    #[error(
        "there is no {0}, on which the verdict stood; what was said of that run is in report.txt beside it"
    )]
    HistoryGone(PathBuf),
}

/// Writes a run's results, report, page and plots anew, and prints the report, or with `json` the line of `harness run`. How the run
/// ended.
pub fn rerender(run: &Path, json: bool) -> Exit {
    match anew(run) {
        Ok(results) if json => {
            eprint!("{}", words(&results, Paint::for_stream(&std::io::stderr())));
            report::print(&format!("{}\n", results.summary.line()));
            told(&results)
        }
        Ok(results) => {
            report::print(&words(&results, Paint::for_stream(&std::io::stdout())));
            told(&results)
        }
        Err(error) => {
            eprintln!("harness: {error}");
            Exit::Usage
        }
    }
}

/// How the run ended; a dispute is worth a line.
fn told(results: &Results) -> Exit {
    if let Some(line) = results.dispute() {
        eprintln!("harness: {line}");
    }
    results.exit()
}

fn words(results: &Results, paint: Paint) -> String {
    report::render(results, paint, report::program())
}

fn anew(run: &Path) -> Result<Results, RerenderError> {
    let test = recorded(run)?;
    // A link such as `latest` leads elsewhere later.
    let run = fs::canonicalize(run).map_err(|error| DirectoryError::Read {
        path: run.to_owned(),
        reason: error.to_string(),
    })?;
    let directory = RunDirectory::of(&run);
    let history = directory.history();
    let judged = if history.exists() {
        Some(judge(&history, &Request::default())?)
    } else {
        None
    };
    let stored = directory.results()?;
    let never_had_one = judged.is_none() && stored.is_some();
    let mut results = match stored {
        Some(results) if never_had_one && results.checked.is_some() => {
            return Err(RerenderError::HistoryGone(history));
        }
        Some(results) => results,
        None => interrupted(&test, judged.as_ref()),
    };
    if fs::canonicalize(&results.summary.run_dir).ok().as_deref() != Some(directory.path()) {
        // It was moved since.
        directory.path().clone_into(&mut results.summary.run_dir);
    }
    if never_had_one {
        // Nothing has changed of what was said then.
        return Ok(results);
    }
    weigh(&mut results, judged.as_ref());
    if let Some(judged) = &judged {
        directory.write_pictures(&results, judged)?;
    }
    directory.write_words(&results)?;
    Ok(results)
}

/// What can be told of a run that ended before its results were written.
fn interrupted(test: &Test, judged: Option<&Judged>) -> Results {
    let nothing = Log::default();
    let log = judged.map_or(&nothing, |judged| &judged.log);
    let tally = Tally::of(log);
    let mut begun: BTreeMap<&str, u32> = BTreeMap::new();
    for remark in &log.remarks {
        if let Some(kind) = remark.f.strip_suffix(" start") {
            *begun.entry(kind).or_default() += 1;
        }
    }
    let begun: Vec<String> = begun
        .iter()
        .map(|(kind, count)| format!("{kind} {count}"))
        .collect();
    let begun = if begun.is_empty() {
        String::from("none")
    } else {
        begun.join(" · ")
    };
    let ends = log.calls.iter().map(|call| call.returned);
    let last = ends.filter(|returned| *returned != u64::MAX).max();
    Results {
        summary: Summary {
            valid: Valid::Unknown,
            reason: None,
            workload: test.options.workload.clone(),
            system: Cow::Owned(test.options.system.to_string()),
            nodes: test.options.nodes,
            seconds: Duration::from_nanos(last.unwrap_or(0)).as_secs_f64(),
            ops: tally.counts(),
            elections: None,
            faults: None,
            seed: test.seed,
            run_dir: Path::new("").to_owned(),
        },
        concurrency: test.options.concurrency,
        // Nobody came to the final reads.
        per_second: last.map(|last| tally.counts().total() as f64 / Duration::from_nanos(last).as_secs_f64()),
        start_seconds: None,
        recovery_seconds: None,
        latencies: LatencyOf::all(&tally),
        reasons: Vec::new(),
        checked: None,
        explanation: None,
        apart: Standing {
            valid: Valid::Unknown,
            reason: Some(String::from("the run was interrupted")),
            explanation: None,
        },
        ended_early: None,
        notes: vec![format!(
            "this is what the history tells: which faults began ({begun}), not whether they took effect, nor elections, nor why operations failed"
        )],
    }
}

#[cfg(test)]
mod tests;
