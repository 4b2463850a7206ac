//! Folders that are made, durably.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::Path;

/// Makes `path` and what leads to it, durably: a folder that was new is as lost without its parent's name as without its own.
pub(super) fn make_folder(path: &Path) -> io::Result<()> {
    make_with(path, |holder| File::open(holder)?.sync_all())
}

/// Does that with what makes the names in a folder durable.
///
/// Each folder is made when the one around it is durable. So a process that is killed on the way leaves one name at most that is not: that
/// of the innermost folder that is there, and nobody can tell by looking. It is made durable at every start, before anything is promised.
pub(super) fn make_with(path: &Path, sync: impl Fn(&Path) -> io::Result<()>) -> io::Result<()> {
    let named = path.ancestors().filter(|folder| !folder.as_os_str().is_empty());
    let new: Vec<&Path> = named.take_while(|folder| !folder.is_dir()).collect();
    let there = new.last().map_or(path, |outermost| holder(outermost));
    match sync(holder(there)) {
        // Who may not read that folder hardly made anything in it; and a node whose folder was made for it is to start.
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {}
        synced => synced?,
    }
    for folder in new.into_iter().rev() {
        match std::fs::create_dir(folder) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists && folder.is_dir() => {}
            made => made?,
        }
        sync(holder(folder))?;
    }
    Ok(())
}

/// The folder that has the name of `path` in it.
fn holder(path: &Path) -> &Path {
    path.parent()
        .filter(|holder| !holder.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}
