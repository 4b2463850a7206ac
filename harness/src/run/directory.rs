//! Where a run is kept.

use crate::cluster::Binary;
use crate::nemesis::Schedule;
use crate::report::{Plots, Results, html};
use crate::run::Options;
use checker::{Explanation, Log};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The version of `test.json` that this build writes and reads.
const FORMAT: u32 = 1;
/// How many runs may begin within one millisecond.
const SAME_TIME_MAX: u32 = 100;

/// The history's name in a run's folder.
pub const HISTORY: &str = "history.jsonl";
const TEST: &str = "test.json";
const RESULTS: &str = "results.json";
const REPORT: &str = "report.txt";
const PAGE: &str = "report.html";
const LATENCY: &str = "latency.svg";
const RATE: &str = "rate.svg";
const LATEST: &str = "latest";

/// The folder of one run.
#[derive(Clone, Debug)]
pub struct RunDirectory(PathBuf);

/// What can't be done in a store.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// A file or a folder can't be written.
    #[error("can't write {path}: {error}")]
    Write {
        /// Which.
        path: PathBuf,
        /// The operating system's word.
        error: io::Error,
    },
    /// A recorded run can't be read.
    #[error("can't replay {path}: {reason}")]
    Replay {
        /// Its folder's `test.json`.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

/// `test.json`: what it takes to repeat a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Test {
    /// The version of this file's format.
    #[serde(rename = "rustyraft-test")]
    format: u32,
    /// The harness's version.
    version: String,
    /// The node program.
    node_binary: PathBuf,
    /// Its version.
    node_version: String,
    /// When the run began, in UTC.
    started: String,
    /// Decides what is random.
    pub seed: u64,
    /// The flags.
    pub options: Options,
    /// What the nemesis did; absent until the faults are over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Schedule>,
}

impl Test {
    /// A run that begins now.
    pub fn new(binary: &Binary, seed: u64, options: Options) -> Test {
        Test {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            node_binary: binary.path().to_owned(),
            node_version: binary.version().to_owned(),
            started: humantime::format_rfc3339_millis(SystemTime::now()).to_string(),
            seed,
            options,
            schedule: None,
        }
    }

    /// A run of seed 1 that began at a fixed time.
    #[cfg(test)]
    pub(super) fn for_tests(options: Options) -> Test {
        Test {
            format: FORMAT,
            version: String::from("0.1.0"),
            node_binary: PathBuf::from("node"),
            node_version: String::from("0.1.0"),
            started: String::from("2026-11-23T10:53:51.123Z"),
            seed: 1,
            options,
            schedule: None,
        }
    }
}

/// What an earlier run recorded of itself.
///
/// # Errors
/// `run` is no folder of a run, or of another version.
pub fn recorded(run: &Path) -> Result<Test, DirectoryError> {
    let path = if run.is_dir() {
        run.join(TEST)
    } else {
        run.to_owned()
    };
    let replay = |reason: String| DirectoryError::Replay {
        path: path.clone(),
        reason,
    };
    let text = fs::read(&path).map_err(|error| replay(format!("{error}; expected the folder of a run")))?;
    let test: Test = serde_json::from_slice(&text).map_err(|error| replay(error.to_string()))?;
    if test.format != FORMAT {
        return Err(replay(format!(
            "format {} is unknown; this build reads {FORMAT}",
            test.format
        )));
    }
    if workloads::by_name(&test.options.workload).is_none() {
        return Err(replay(format!(
            "the workload {:?} is unknown",
            test.options.workload
        )));
    }
    if test.options.nodes == 0 || test.options.concurrency == 0 || test.options.rate == Some(0) {
        return Err(replay(String::from(
            "nodes, concurrency and rate must be more than 0",
        )));
    }
    let known = 1..=test.options.nodes;
    let faults = test.schedule.iter().flat_map(|schedule| &schedule.faults);
    if let Some(node) = faults
        .flat_map(|fault| fault.fault.nodes())
        .find(|node| !known.contains(node))
    {
        return Err(replay(format!(
            "a fault hits node {node} of {}",
            test.options.nodes
        )));
    }
    Ok(test)
}

impl RunDirectory {
    /// Makes a folder for a run that begins now, and has the links `latest` lead there.
    ///
    /// # Errors
    /// The store can't be written.
    pub fn create(store: &Path, test: &Test) -> Result<RunDirectory, DirectoryError> {
        let workload = &test.options.workload;
        let parent = store.join(workload);
        fs::create_dir_all(&parent).map_err(|error| DirectoryError::Write {
            path: parent.clone(),
            error,
        })?;
        let time: String = test.started.chars().filter(|c| !matches!(c, '-' | ':')).collect();
        let mut name = time.clone();
        for number in 2..SAME_TIME_MAX {
            match fs::create_dir(parent.join(&name)) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => name = format!("{time}-{number}"),
                Err(error) => {
                    return Err(DirectoryError::Write {
                        path: parent.join(&name),
                        error,
                    });
                }
                Ok(()) => break,
            }
        }
        link(&parent.join(LATEST), Path::new(&name))?;
        link(&store.join(LATEST), &Path::new(workload).join(&name))?;
        let directory = RunDirectory(parent.join(name));
        directory.write_test(test)?;
        Ok(directory)
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Where the history is written.
    pub fn history(&self) -> PathBuf {
        self.0.join(HISTORY)
    }

    /// Writes `test.json`.
    ///
    /// # Errors
    /// It can't be written.
    pub fn write_test(&self, test: &Test) -> Result<(), DirectoryError> {
        self.write_json(TEST, test)
    }

    /// Writes `results.json`.
    ///
    /// # Errors
    /// It can't be written.
    pub fn write_results<T: Serialize>(&self, results: &T) -> Result<(), DirectoryError> {
        self.write_json(RESULTS, results)
    }

    /// Writes `report.txt`.
    ///
    /// # Errors
    /// It can't be written.
    pub fn write_report(&self, text: &str) -> Result<(), DirectoryError> {
        self.write(REPORT, text.as_bytes())
    }

    /// Writes `report.html`, `latency.svg` and `rate.svg`.
    ///
    /// # Errors
    /// One of them can't be written.
    pub fn write_pictures(
        &self,
        results: &Results,
        log: &Log,
        violations: Vec<&Explanation>,
    ) -> Result<(), DirectoryError> {
        let plots = Plots::of(log);
        let html = html::of_run(results, log, plots.as_ref(), violations);
        self.write(PAGE, html.as_bytes())?;
        if let Some(plots) = plots {
            self.write(LATENCY, plots.latency.as_bytes())?;
            self.write(RATE, plots.rate.as_bytes())?;
        }
        Ok(())
    }

    fn write_json<T: Serialize>(&self, name: &str, value: &T) -> Result<(), DirectoryError> {
        let mut text = serde_json::to_vec_pretty(value).expect("what is written has string keys");
        text.push(b'\n');
        self.write(name, &text)
    }

    /// Under another name first, so that whoever looks finds all of it or what was there before.
    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), DirectoryError> {
        let (path, unfinished) = (self.0.join(name), self.0.join(format!(".{name}.new")));
        fs::write(&unfinished, bytes)
            .and_then(|()| fs::rename(&unfinished, &path))
            .map_err(|error| DirectoryError::Write { path, error })
    }
}

/// Makes `path` a link to `target`, in place of the one that is there.
fn link(path: &Path, target: &Path) -> Result<(), DirectoryError> {
    // Of two harnesses that share a store each makes its own; whoever renames last wins.
    let unfinished = path.with_extension(format!("{}", std::process::id()));
    std::os::unix::fs::symlink(target, &unfinished)
        .and_then(|()| fs::rename(&unfinished, path))
        .map_err(|error| DirectoryError::Write {
            path: path.to_owned(),
            error,
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn test() -> Test {
        Test::for_tests(Options {
            workload: String::from("register"),
            nodes: 3,
            concurrency: 6,
            rate: None,
            time_limit: Duration::from_millis(1500),
            nemesis: crate::nemesis::Kind::ALL.to_vec(),
            nemesis_interval: Duration::from_secs(5),
            timeout: Duration::from_micros(1250),
            node_args: vec![String::from("--seed")],
        })
    }

    #[test]
    fn what_was_recorded_can_be_read_again_from_the_folder_and_from_the_link() {
        let store = tempfile::tempdir().unwrap();
        let mut test = test();
        let directory = RunDirectory::create(store.path(), &test).unwrap();
        assert!(directory.path().ends_with("register/20261123T105351.123Z"));
        test.schedule = Some(Schedule::default());
        directory.write_test(&test).unwrap();
        for run in [
            "latest",
            "register/latest",
            "register/20261123T105351.123Z/test.json",
        ] {
            assert_eq!(recorded(&store.path().join(run)).unwrap(), test, "{run}");
        }
    }

    #[test]
    fn runs_that_begin_at_the_same_time_have_folders_of_their_own_and_the_last_one_is_latest() {
        let store = tempfile::tempdir().unwrap();
        let paths: Vec<PathBuf> = (0..3)
            .map(|_| {
                RunDirectory::create(store.path(), &test())
                    .unwrap()
                    .path()
                    .to_owned()
            })
            .collect();
        assert!(paths[0] != paths[1] && paths[1] != paths[2]);
        let latest = fs::canonicalize(store.path().join("latest")).unwrap();
        assert_eq!(latest, fs::canonicalize(&paths[2]).unwrap());
    }

    #[test]
    fn a_store_that_cant_be_written_is_an_error_that_names_it() {
        let store = tempfile::tempdir().unwrap();
        let file = store.path().join("file");
        fs::write(&file, "").unwrap();
        let error = RunDirectory::create(&file, &test()).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with(&format!("can't write {}", file.display())),
            "{error}"
        );
    }

    #[test]
    fn what_is_no_recorded_run_is_an_error_that_says_why() {
        let folder = tempfile::tempdir().unwrap();
        let because = |text: Option<&str>| {
            if let Some(text) = text {
                fs::write(folder.path().join(TEST), text).unwrap();
            }
            recorded(folder.path()).unwrap_err().to_string()
        };
        assert!(because(None).contains("expected the folder of a run"));
        assert!(because(Some("{")).contains("can't replay"));
        let whole = serde_json::to_string(&test()).unwrap();
        assert!(
            because(Some(
                &whole.replace("\"rustyraft-test\":1", "\"rustyraft-test\":2")
            ))
            .contains("format 2")
        );
        assert!(because(Some(&whole.replace("\"register\"", "\"regster\""))).contains("regster"));
        assert!(because(Some(&whole.replace("\"nodes\":3", "\"nodes\":0"))).contains("more than 0"));
        let hits = |fault: &str| {
            let fault = format!("{{\"start_ms\":0,\"stop_ms\":1,\"aim\":\"one\",\"fault\":{fault}}}");
            format!(
                "{},\"schedule\":{{\"faults\":[{fault}]}}}}",
                whole.strip_suffix('}').unwrap()
            )
        };
        assert!(because(Some(&hits(r#"{"kill":[4]}"#))).contains("a fault hits node 4 of 3"));
        assert!(because(Some(&hits(r#"{"partition":[[1,0]]}"#))).contains("a fault hits node 0 of 3"));
    }
}
