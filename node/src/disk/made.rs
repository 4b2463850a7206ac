//! Folders that are made, durably.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// Makes `path` and what leads to it, durably: a folder that was new is as lost without its parent's name as without its own.
pub(super) fn make_folder(path: &Path) -> io::Result<()> {
    let changed = holders_of_new(path);
    if changed.is_empty() {
        return Ok(());
    }
    std::fs::create_dir_all(path)?;
    changed
        .iter()
        .try_for_each(|holder| File::open(holder)?.sync_all())
}

/// The folders that get a new name in them when `path` and what leads to it are made, the innermost first.
pub(super) fn holders_of_new(path: &Path) -> Vec<PathBuf> {
    let new = path.ancestors().take_while(|folder| !folder.is_dir());
    let named = new.filter(|folder| !folder.as_os_str().is_empty());
    let holder = |folder: &Path| match folder.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
        Some(_) | None => PathBuf::from("."),
    };
    named.map(holder).collect()
}
