//! What is said of one folder: what it is, which files it has, and which commands it is good for.

use super::inside::{Folder, encode};
use super::kinds::kind_of;
use super::look::{self, Other, Run, State};
use crate::report::program;
use crate::run::HISTORY;
use rustix::fs::FileType;
use serde::Serialize;
use std::path::Path;

/// How many files are listed.
const FILES_MAX: usize = 5000;
/// How deep folders may lie in each other.
const DEPTH_MAX: usize = 8;

/// See the module's documentation.
#[derive(Serialize)]
pub(super) struct Details {
    path: String,
    href: String,
    run: Option<Run>,
    other: Option<Other>,
    files: Vec<FileOf>,
    /// Whether there are more files than are listed.
    is_cut: bool,
    commands: Vec<Command>,
}

/// A file.
#[derive(Serialize)]
struct FileOf {
    /// From the folder on.
    path: String,
    href: String,
    /// Its type, as it is served.
    kind: &'static str,
    bytes: u64,
}

/// A command to copy.
#[derive(Serialize)]
struct Command {
    what: &'static str,
    command: String,
}

impl Details {
    /// Of the folder at `path` in the store.
    pub(super) fn of(folder: &Folder, path: &Path, store: &Path) -> Details {
        let mut files = Vec::new();
        list(folder, path, Path::new(""), DEPTH_MAX, &mut files);
        let is_cut = files.len() > FILES_MAX;
        files.truncate(FILES_MAX);
        let run = look::stamp(folder).map(|_| look::run(folder, path));
        let other = if run.is_none() {
            look::other(folder, path)
        } else {
            None
        };
        let commands = run.as_ref().map(|run| commands(run, folder, &store.join(path)));
        Details {
            path: path.display().to_string(),
            href: encode(path),
            run,
            other,
            files,
            is_cut,
            commands: commands.unwrap_or_default(),
        }
    }
}

/// Appends the files of `folder`, which is `path` in the store and `below` in the folder that is told of.
fn list(folder: &Folder, path: &Path, below: &Path, depth: usize, files: &mut Vec<FileOf>) {
    for item in folder.items().unwrap_or_default() {
        if files.len() > FILES_MAX {
            return;
        }
        let (path, below) = (path.join(&item.name), below.join(&item.name));
        if item.about.kind == FileType::RegularFile {
            files.push(FileOf {
                path: below.display().to_string(),
                href: encode(&path),
                kind: kind_of(&path),
                bytes: item.about.size,
            });
        } else if item.about.kind == FileType::Directory
            && depth > 0
            && let Ok(folder) = folder.folder(&item.name)
        {
            list(&folder, &path, &below, depth - 1, files);
        }
    }
}

/// What can be done with a run that lies at `path`.
fn commands(run: &Run, folder: &Folder, path: &Path) -> Vec<Command> {
    let path = path.display().to_string();
    // What a shell can't be told has no command.
    let Ok(path) = shlex::try_quote(&path) else {
        return Vec::new();
    };
    let program = program();
    let command = |what, words: &str| Command {
        what,
        command: format!("{program} {words} {path}"),
    };
    let mut commands = vec![command("repeat", "run --replay")];
    if folder.about(HISTORY).is_some() {
        commands.push(command("check again", "check"));
        commands.push(command("render again", "report"));
    }
    if run.state == State::Damaged {
        commands.remove(0);
    }
    commands
}
