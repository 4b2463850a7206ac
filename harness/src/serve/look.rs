//! What the folders of a store are, and what can be said of each.
//!
//! Runs of other versions are shown as far as they can be read: only what a line of the list takes is looked for, and whatever else a file
//! has is not looked at.

use super::inside::{About, Folder, encode};
use crate::record::Counts;
use crate::report::Valid;
use crate::run;
use rustix::fs::FileType;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::TryLockError;
use std::path::{Path, PathBuf};

/// How long `test.json` and `results.json` may be, in bytes: longer than any schedule or explanation.
const JSON_BYTES_MAX: u64 = 32 << 20;
/// The file that `harness bench` leaves.
const BENCH: &str = "results.jsonl";
/// The folder of the nodes of a cluster.
const NODES: &str = "nodes";

/// A folder of which nothing is known but that it has files.
const FILES: &str = "files";

/// How a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    Valid,
    Violation,
    Unknown,
    /// Its harness is at it.
    Running,
    /// Its harness ended before the verdict was written.
    Interrupted,
    /// It is only thought of, as a simulation's schedule of faults: nobody ran it yet.
    Planned,
    /// What it recorded of itself can't be read.
    Damaged,
}

impl State {
    /// Whether it changes only with what is written of it.
    pub(super) fn is_settled(self) -> bool {
        self != State::Running
    }
}

/// A run, as the list has it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Run {
    /// From the store's folder on.
    pub(super) path: String,
    /// The same as part of an address.
    href: String,
    pub(super) state: State,
    pub(super) reason: Option<String>,
    workload: Option<String>,
    system: Option<String>,
    nodes: Option<u64>,
    concurrency: Option<u64>,
    /// Operations a second that were asked for; `None` for as many as go.
    rate: Option<u64>,
    time_limit_seconds: Option<f64>,
    nemesis: Vec<String>,
    /// As a text: numbers of scripts have 53 bits.
    seed: Option<String>,
    /// In UTC.
    pub(super) started: Option<String>,
    seconds: Option<f64>,
    ops: Option<Counts>,
    elections: Option<u64>,
    faults: Option<BTreeMap<String, u32>>,
}

/// Another folder that has something to show.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Other {
    path: String,
    href: String,
    /// `bench`, `cluster` or `files`.
    kind: &'static str,
    /// In UTC, as far as its name tells.
    pub(super) started: Option<String>,
}

impl Other {
    /// Whether what lies below it may be something else.
    pub(super) fn has_more(&self) -> bool {
        self.kind == FILES
    }
}

/// By which it is seen that nothing has changed in a run: what is to be said of its two files.
pub(super) type Stamp = [Option<About>; 2];

/// The stamp of a folder; `None` if it is none of a run.
pub(super) fn stamp(folder: &Folder) -> Option<Stamp> {
    let stamp = [run::TEST, run::RESULTS].map(|name| folder.about(name));
    stamp.iter().any(Option::is_some).then_some(stamp)
}

/// What a folder is that is none of a run; `None` where it has nothing to show by itself.
pub(super) fn other(folder: &Folder, path: &Path) -> Option<Other> {
    let is = |name: &str, kind: FileType| folder.about(name).is_some_and(|about| about.kind == kind);
    let kind = if is(BENCH, FileType::RegularFile) {
        "bench"
    } else if is(NODES, FileType::Directory) {
        "cluster"
    } else if has_files(folder) {
        FILES
    } else {
        return None;
    };
    Some(Other {
        path: path.display().to_string(),
        href: encode(path),
        kind,
        started: started_by_name(path),
    })
}

fn has_files(folder: &Folder) -> bool {
    let items = folder.items().unwrap_or_default();
    items.iter().any(|item| item.about.kind == FileType::RegularFile)
}

/// What of `test.json` is shown.
#[derive(Default, Deserialize)]
#[serde(default)]
struct TestFile {
    started: Option<String>,
    seed: Option<u64>,
    node_binary: Option<PathBuf>,
    options: OptionsOfTest,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct OptionsOfTest {
    system: Option<String>,
    workload: Option<String>,
    nodes: Option<u64>,
    concurrency: Option<u64>,
    rate: Option<u64>,
    time_limit_seconds: Option<f64>,
    nemesis: Vec<String>,
}

/// What of `results.json` is.
#[derive(Deserialize)]
struct ResultsFile {
    valid: Valid,
    reason: Option<String>,
    workload: Option<String>,
    system: Option<String>,
    nodes: Option<u64>,
    seconds: Option<f64>,
    ops: Option<Counts>,
    elections: Option<u64>,
    faults: Option<BTreeMap<String, u32>>,
    seed: Option<u64>,
}

/// A file of a folder; `None` where there is none, and why it can't be read where that is so.
fn read<T: for<'de> Deserialize<'de>>(folder: &Folder, name: &str) -> Result<Option<T>, String> {
    if folder.about(name).is_none() {
        return Ok(None);
    }
    let text = folder
        .read(name, JSON_BYTES_MAX)
        .map_err(|error| error.to_string());
    let value = text.and_then(|text| serde_json::from_slice(&text).map_err(|error| error.to_string()));
    value.map(Some).map_err(|error| format!("{name}: {error}"))
}

/// What a folder of a run tells of it.
pub(super) fn run(folder: &Folder, path: &Path) -> Run {
    let (test, test_damage) = apart(read::<TestFile>(folder, run::TEST));
    let (results, results_damage) = apart(read::<ResultsFile>(folder, run::RESULTS));
    let test = test.unwrap_or_default();
    let of_path = path.parent().and_then(Path::file_name);
    let (state, reason) = match (&results, results_damage.or(test_damage)) {
        (Some(results), _) => (state_of(results.valid), results.reason.clone()),
        (None, Some(damage)) => (State::Damaged, Some(damage)),
        (None, None) => (state_without_results(folder, &test), None),
    };
    let options = test.options;
    let mut run = Run {
        path: path.display().to_string(),
        href: encode(path),
        state,
        reason,
        workload: options
            .workload
            .or_else(|| Some(of_path?.to_string_lossy().into_owned())),
        system: options.system,
        nodes: options.nodes,
        concurrency: options.concurrency,
        rate: options.rate,
        time_limit_seconds: options.time_limit_seconds,
        nemesis: options.nemesis,
        seed: test.seed.map(|seed| seed.to_string()),
        started: test.started.or_else(|| started_by_name(path)),
        seconds: None,
        ops: None,
        elections: None,
        faults: None,
    };
    if let Some(results) = results {
        run.workload = results.workload.or(run.workload);
        run.system = results.system.or(run.system);
        run.nodes = results.nodes.or(run.nodes);
        run.seed = results.seed.map(|seed| seed.to_string()).or(run.seed);
        run.seconds = results.seconds;
        run.ops = results.ops;
        run.elections = results.elections;
        run.faults = results.faults;
    }
    run
}

fn apart<T>(read: Result<Option<T>, String>) -> (Option<T>, Option<String>) {
    match read {
        Ok(value) => (value, None),
        Err(damage) => (None, Some(damage)),
    }
}

fn state_of(valid: Valid) -> State {
    match valid {
        Valid::True => State::Valid,
        Valid::False => State::Violation,
        Valid::Unknown => State::Unknown,
    }
}

/// How a run stands that has no verdict.
fn state_without_results(folder: &Folder, test: &TestFile) -> State {
    let was_never_run = test.node_binary.as_ref().is_some_and(|node| !node.is_absolute());
    if is_held(folder) {
        State::Running
    } else if was_never_run && folder.about(run::HISTORY).is_none() {
        State::Planned
    } else {
        State::Interrupted
    }
}

/// Whether a harness holds a run's folder: it does from the run's beginning to its own end, however that comes about.
fn is_held(folder: &Folder) -> bool {
    // What is locked here is free again at once, when the handle is closed.
    let locked = folder.another_handle().map(|handle| handle.try_lock());
    matches!(locked, Ok(Err(TryLockError::WouldBlock)))
}

/// When a folder was made, as its name has it: `20261126T171403.245Z`, perhaps with a number behind it, or milliseconds since 1970.
fn started_by_name(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    if let Some((date, time)) = name.split_once('T') {
        let time = time.split_once('-').map_or(time, |(time, _)| time);
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let seconds = time.split(['.', 'Z']).next()?;
        let is_time = date.len() == 8 && digits(date) && seconds.len() == 6 && digits(seconds);
        return (is_time && time.ends_with('Z')).then(|| {
            let (year, month, day) = (&date[..4], &date[4..6], &date[6..]);
            format!(
                "{year}-{month}-{day}T{}:{}:{}",
                &time[..2],
                &time[2..4],
                &time[4..]
            )
        });
    }
    let milliseconds = name.parse().ok()?;
    let time = std::time::UNIX_EPOCH.checked_add(std::time::Duration::from_millis(milliseconds))?;
    // What comes after the year 9999 is no time.
    (milliseconds < 253_402_300_800_000).then(|| humantime::format_rfc3339_millis(time).to_string())
}

#[cfg(test)]
mod tests;
