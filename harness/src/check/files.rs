//! Which histories are meant.

use crate::run::{HISTORY, TEST};
use std::fs;
use std::path::{Path, PathBuf};

/// So deep below a folder runs are looked for: a store has a folder for each workload, and that one for each run.
const DEPTH_MAX: usize = 2;

/// Whether it is the folder of a run.
pub(super) fn is_run(path: &Path) -> bool {
    path.join(HISTORY).exists() || path.join(TEST).exists()
}

/// A file or the folder of a run; of any other folder its files, by name, and after them the runs below it.
pub(super) fn histories(path: &Path) -> Vec<PathBuf> {
    if !path.is_dir() || is_run(path) {
        return vec![path.to_owned()];
    }
    let (_, mut found) = entries(path);
    found.retain(|path| path.is_file());
    runs(path, DEPTH_MAX, &mut found);
    if found.is_empty() {
        // What is wrong with it is said in its turn.
        found.push(path.to_owned());
    }
    found
}

/// The runs below a folder that is none, by name. Links lead to runs that are met without them, such as the latest.
fn runs(path: &Path, depth: usize, found: &mut Vec<PathBuf>) {
    let (folders, _) = entries(path);
    for folder in folders {
        if is_run(&folder) {
            found.push(folder);
        } else if depth > 1 {
            runs(&folder, depth - 1, found);
        }
    }
}

/// The folders in a folder, and everything else in it, by name.
fn entries(path: &Path) -> (Vec<PathBuf>, Vec<PathBuf>) {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let (mut folders, mut others) = (Vec::new(), Vec::new());
    for entry in entries {
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let of_its_kind = if is_folder { &mut folders } else { &mut others };
        of_its_kind.push(entry.path());
    }
    folders.sort();
    others.sort();
    (folders, others)
}
