//! The list of what is in a store, kept so that looking again costs little: a run is read once more only when its files have changed.

use super::inside::{Folder, Opened, Store};
use super::look::{self, Other, Run, Stamp};
use crate::report::program;
use hyper::body::Bytes;
use rustix::fs::FileType;
use serde::Serialize;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How deep runs lie: `STORE/WORKLOAD/TIME` are two; a folder of stores may be served, too.
const DEPTH_MAX: usize = 3;
/// How many folders are looked at.
const FOLDERS_MAX: usize = 100_000;
/// For so long nobody looks again.
const FRESH: Duration = Duration::from_millis(300);
/// The link to the last run.
const LATEST: &str = "latest";

/// See the module's documentation.
pub(super) struct Scanner {
    store: Store,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// By their paths.
    runs: BTreeMap<PathBuf, (Stamp, Box<Run>)>,
    listing: Option<(Instant, Listing)>,
}

/// The list as JSON, and what tells it from other ones.
#[derive(Clone, Debug)]
pub(super) struct Listing {
    pub(super) json: Bytes,
    pub(super) etag: String,
}

/// The same before it is JSON.
#[derive(Serialize)]
struct List<'a> {
    store: String,
    /// How this program is called.
    program: &'static str,
    /// The path of the last run.
    latest: Option<String>,
    /// The newest first.
    runs: Vec<&'a Run>,
    others: Vec<Other>,
    /// Whether there are more folders than are looked at.
    is_cut: bool,
}

impl Scanner {
    pub(super) fn new(store: Store) -> Scanner {
        Scanner {
            store,
            known: Mutex::default(),
        }
    }

    /// The list, no older than a moment.
    ///
    /// # Errors
    /// The store can't be read.
    pub(super) fn listing(&self) -> io::Result<Listing> {
        // What a panic left there is replaced.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((when, listing)) = &known.listing
            && when.elapsed() < FRESH
        {
            return Ok(listing.clone());
        }
        let listing = self.scan(&mut known)?;
        known.listing = Some((Instant::now(), listing.clone()));
        Ok(listing)
    }

    fn scan(&self, known: &mut Known) -> io::Result<Listing> {
        let mut walk = Walk {
            before: std::mem::take(&mut known.runs),
            runs: BTreeMap::new(),
            others: Vec::new(),
            left: FOLDERS_MAX,
        };
        walk.visit(&self.store.root()?, Path::new(""), DEPTH_MAX);
        known.runs = walk.runs;
        let mut runs: Vec<&Run> = known.runs.values().map(|(_, run)| run.as_ref()).collect();
        runs.sort_by(|a, b| (&b.started, &b.path).cmp(&(&a.started, &a.path)));
        walk.others.sort_by(|a, b| b.started.cmp(&a.started));
        let list = List {
            store: self.store.path().display().to_string(),
            program: program(),
            latest: match self.store.open(Path::new(LATEST)) {
                Ok(Opened::Folder(_, path)) => Some(path.display().to_string()),
                Ok(Opened::File(..)) | Err(_) => None,
            },
            runs,
            others: walk.others,
            is_cut: walk.left == 0,
        };
        let json = serde_json::to_vec(&list)?;
        let mut hasher = DefaultHasher::new();
        json.hash(&mut hasher);
        Ok(Listing {
            json: json.into(),
            etag: format!("\"{:016x}\"", hasher.finish()),
        })
    }
}

/// A way through all folders.
struct Walk {
    before: BTreeMap<PathBuf, (Stamp, Box<Run>)>,
    runs: BTreeMap<PathBuf, (Stamp, Box<Run>)>,
    others: Vec<Other>,
    /// How many more folders are looked at.
    left: usize,
}

impl Walk {
    fn visit(&mut self, folder: &Folder, path: &Path, depth: usize) {
        if self.left == 0 {
            return;
        }
        self.left -= 1;
        if let Some(stamp) = look::stamp(folder) {
            let before = self.before.remove(path);
            let same = before.filter(|(before, run)| *before == stamp && run.state.is_settled());
            let run = match same {
                Some((_, run)) => run,
                None => Box::new(look::run(folder, path)),
            };
            self.runs.insert(path.to_owned(), (stamp, run));
            return;
        }
        // Files that lie in the store itself are nobody's.
        let is_store = path.as_os_str().is_empty();
        if let Some(other) = (!is_store).then(|| look::other(folder, path)).flatten() {
            let has_more = other.has_more();
            self.others.push(other);
            if !has_more {
                return;
            }
        }
        let Some(depth) = depth.checked_sub(1) else {
            return;
        };
        for item in folder.items().unwrap_or_default() {
            if item.about.kind == FileType::Directory
                && let Ok(below) = folder.folder(&item.name)
            {
                self.visit(&below, &path.join(&item.name), depth);
            }
        }
    }
}

#[cfg(test)]
mod tests;
