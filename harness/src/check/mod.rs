//! Verdicts on histories that were recorded earlier.
//!
//! A history says nothing of how hard a run was tried, so the load-validity gate of a run is not asked again: *valid* here means that
//! what is in the file has an explanation. An interrupted run's history is checked as far as it goes.

mod files;
mod line;
mod outcome;

use crate::exit::Exit;
use crate::report::print;
use crate::run::Request;
use indicatif::ProgressBar;
use outcome::Outcome;
use std::collections::BTreeMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver};

/// How many results wait to be told.
const WAITING_MAX: usize = 64;

/// What is to be checked, and how.
#[derive(Clone, Debug)]
pub struct CheckOptions {
    /// Histories, the folders of runs, or folders of any of those.
    pub files: Vec<PathBuf>,
    /// How each is judged.
    pub request: Request,
    /// Where a page about the history goes; about the first of several that is a violation, or else the first.
    pub html: Option<PathBuf>,
    /// Whether stdout gets JSON lines.
    pub json: bool,
}

/// Checks each file, several at once; the worst of their ends. What is said of them comes in the order of the files.
pub fn check(options: &CheckOptions) -> Exit {
    let files: Vec<PathBuf> = options
        .files
        .iter()
        .flat_map(|file| files::histories(file))
        .collect();
    let bar = if files.len() > 1 {
        ProgressBar::new(files.len() as u64)
    } else {
        ProgressBar::hidden()
    };
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let next = AtomicUsize::new(0);
    let (sender, receiver) = mpsc::sync_channel(WAITING_MAX);
    let (mut worst, page) = std::thread::scope(|scope| {
        for _ in 0..cores.min(files.len()) {
            let (sender, next, files) = (sender.clone(), &next, &files);
            scope.spawn(move || {
                loop {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    let Some(file) = files.get(place) else { return };
                    if sender.send((place, outcome(file, options, outcome::of))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        tell(receiver, &bar)
    });
    bar.finish_and_clear();
    if let (Some(path), Some(html)) = (&options.html, page)
        && let Err(error) = fs::write(path, html)
    {
        eprintln!("harness: can't write {}: {error}", path.display());
        worst = worst.max(Exit::Usage);
    }
    worst
}

/// What comes of one file, whatever comes of it: one on which the check panics costs no other file its verdict.
fn outcome(file: &Path, options: &CheckOptions, of: impl FnOnce(&Path, &CheckOptions) -> Outcome) -> Outcome {
    let checked = catch_unwind(AssertUnwindSafe(|| of(file, options)));
    checked.unwrap_or_else(|_| Outcome::broken(file, options))
}

/// Tells what comes, in the order of places; the worst of the ends, and the page that is worth most.
fn tell(outcomes: Receiver<(usize, Outcome)>, bar: &ProgressBar) -> (Exit, Option<String>) {
    let mut waiting: BTreeMap<usize, Outcome> = BTreeMap::new();
    let (mut told, mut worst) = (0, Exit::Valid);
    let mut page: Option<(bool, String)> = None;
    for (place, outcome) in outcomes {
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
    (worst, page.map(|(_, html)| html))
}

#[cfg(test)]
mod tests;
