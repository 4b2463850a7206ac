//! Which histories are meant.

use crate::run::HISTORY;
use std::fs;
use std::path::{Path, PathBuf};

/// The history of a run's folder; the files of any other folder, by name.
pub(super) fn histories(path: &Path) -> Vec<PathBuf> {
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
