//! Where a run is kept.

use crate::report::{Paint, Plots, Results, html, program, render};
use crate::run::judge::Judged;
use crate::run::recorded::Test;
use serde::Serialize;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How many runs may begin within one millisecond.
const SAME_TIME_MAX: u32 = 100;

/// The history's name in a run's folder.
pub const HISTORY: &str = "history.jsonl";
pub(crate) const TEST: &str = "test.json";
pub(crate) const RESULTS: &str = "results.json";
const REPORT: &str = "report.txt";
const PAGE: &str = "report.html";
const LATENCY: &str = "latency.svg";
const RATE: &str = "rate.svg";
const LATEST: &str = "latest";
/// What is written and removed again, to see whether there is room.
const PROBE: &str = ".room";
/// How much: more than a node's last words.
const PROBE_BYTES: usize = 64 << 10;

/// The folder of one run.
#[derive(Clone, Debug)]
pub struct RunDirectory {
    path: PathBuf,
    /// The folder itself, locked by whoever carries the run out: others can tell that it goes on. The kernel lets go of it with the process.
    _held: Option<Arc<File>>,
}

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
    #[error("can't read {path}: {reason}")]
    Read {
        /// Its folder's `test.json` or `results.json`.
        path: PathBuf,
        /// Why.
        reason: String,
    },
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
        let path = parent.join(name);
        let directory = RunDirectory {
            _held: hold(&path),
            path,
        };
        directory.write_test(test)?;
        Ok(directory)
    }

    /// The folder of an earlier run: itself, or the one of its `test.json`.
    pub fn of(run: &Path) -> RunDirectory {
        let folder = if run.is_dir() { Some(run) } else { run.parent() };
        RunDirectory {
            path: folder.unwrap_or(Path::new(".")).to_owned(),
            _held: None,
        }
    }

    /// What an earlier run came to; `None` if it was interrupted before that was written.
    ///
    /// # Errors
    /// It can't be read, or was written by another version.
    pub fn results(&self) -> Result<Option<Results>, DirectoryError> {
        let path = self.path.join(RESULTS);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                let reason = error.to_string();
                return Err(DirectoryError::Read { path, reason });
            }
        };
        let results = serde_json::from_slice(&text).map_err(|error| DirectoryError::Read {
            path,
            reason: error.to_string(),
        })?;
        Ok(Some(results))
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the history is written.
    pub fn history(&self) -> PathBuf {
        self.path.join(HISTORY)
    }

    /// Writes `test.json`.
    ///
    /// # Errors
    /// It can't be written.
    pub fn write_test(&self, test: &Test) -> Result<(), DirectoryError> {
        self.write_json(TEST, test)
    }

    /// Writes `results.json` and `report.txt`.
    ///
    /// # Errors
    /// One of them can't be written.
    pub fn write_words(&self, results: &Results) -> Result<(), DirectoryError> {
        self.write_json(RESULTS, results)?;
        self.write(REPORT, render(results, Paint::PLAIN, program()).as_bytes())
    }

    /// Writes `report.html`, `latency.svg` and `rate.svg`.
    ///
    /// # Errors
    /// One of them can't be written.
    pub fn write_pictures(&self, results: &Results, judged: &Judged) -> Result<(), DirectoryError> {
        let lasted = Duration::try_from_secs_f64(results.summary.seconds).unwrap_or(Duration::MAX);
        let plots = Plots::of(&judged.log, lasted);
        let violations = judged.report.violations().collect();
        let html = html::of_run(results, &judged.log, plots.as_ref(), violations);
        self.write(PAGE, html.as_bytes())?;
        if let Some(plots) = plots {
            self.write(LATENCY, plots.latency.as_bytes())?;
            self.write(RATE, plots.rate.as_bytes())?;
        }
        Ok(())
    }

    /// Whether there is room for a few words in the folder.
    ///
    /// # Errors
    /// There is none, or the folder is not there any more.
    pub fn probe(&self) -> Result<(), DirectoryError> {
        let path = self.path.join(PROBE);
        let written = fs::write(&path, [0; PROBE_BYTES]);
        // What is left of it takes the room that others lack; where it was never made, there is nothing to remove.
        let _ = fs::remove_file(&path);
        written.map_err(|error| DirectoryError::Write {
            path: self.path.clone(),
            error,
        })
    }

    fn write_json<T: Serialize>(&self, name: &str, value: &T) -> Result<(), DirectoryError> {
        let mut text = serde_json::to_vec_pretty(value).map_err(|error| DirectoryError::Write {
            path: self.path.join(name),
            error: error.into(),
        })?;
        text.push(b'\n');
        self.write(name, &text)
    }

    /// Under another name first, so that whoever looks finds all of it or what was there before.
    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), DirectoryError> {
        let (path, unfinished) = (self.path.join(name), self.path.join(format!(".{name}.new")));
        fs::write(&unfinished, bytes)
            .and_then(|()| fs::rename(&unfinished, &path))
            .map_err(|error| DirectoryError::Write { path, error })
    }
}

/// Locks a folder, if its file system can: who only looks on has nothing to lose.
fn hold(folder: &Path) -> Option<Arc<File>> {
    let held = File::open(folder).ok()?;
    // Whoever asks whether somebody holds it has it for a moment; that is waited for.
    held.lock_shared().ok()?;
    Some(Arc::new(held))
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
    use crate::run::recorded::tests::test;

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
    fn a_folder_is_held_until_its_run_is_over() {
        let store = tempfile::tempdir().unwrap();
        let directory = RunDirectory::create(store.path(), &test()).unwrap();
        let looked_at = File::open(directory.path()).unwrap();
        assert!(looked_at.try_lock().is_err());
        let again = RunDirectory::of(directory.path());
        drop(directory);
        looked_at.try_lock().unwrap();
        assert_eq!(
            again.path(),
            fs::canonicalize(store.path().join("latest")).unwrap()
        );
    }

    #[test]
    fn a_folder_is_probed_and_left_as_it_was() {
        let store = tempfile::tempdir().unwrap();
        let directory = RunDirectory::create(store.path(), &test()).unwrap();
        directory.probe().unwrap();
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "test.json");
        fs::remove_dir_all(directory.path()).unwrap();
        let error = directory.probe().unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("can't write {}: ", directory.path().display())),
            "{error}"
        );
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
}
