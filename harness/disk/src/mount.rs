//! Mounts, and how they go away.
//!
//! A small process unmounts that was started beside: it waits for the end of its stdin, and so it does that however the one who mounted ends.
//! Whoever still has something open does not keep the mount.

use crate::adapter::Adapter;
use crate::control::Shared;
use crate::{Disk, Errno};
use fuser::{BackgroundSession, Config, MountOption, Session};
use std::fs;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// How many threads answer the kernel.
const THREADS: usize = 2;
/// How mounts are called.
const NAME: &str = "harness-disk";
/// Waits until its stdin ends. As root it can do by itself what others ask `fusermount3` for.
const WATCH: &str = r#"read -r end
umount -l -- "$0" 2>/dev/null || fusermount3 -u -z -- "$0" 2>/dev/null || fusermount -u -z -- "$0" 2>/dev/null"#;

/// Why there is no disk.
#[derive(Debug, thiserror::Error)]
pub enum MountError {
    /// A folder can't be used.
    #[error("can't use {0}: {1}")]
    Folder(PathBuf, #[source] io::Error),
    /// A file system in user space can't be mounted.
    #[error(
        "FUSE can't be used ({0}); it takes /dev/fuse, and to be root or to have fusermount3 (Debian: apt-get install fuse3)"
    )]
    Fuse(#[source] io::Error),
    /// The process that unmounts in the end can't be started.
    #[error("can't start /bin/sh: {0}")]
    Watcher(#[source] io::Error),
}

/// Whether disks can be had here. That is tried, since there are many reasons why not.
///
/// # Errors
/// They can't.
pub fn usable() -> Result<(), MountError> {
    let temporary = std::env::temp_dir();
    let folder = tempfile::tempdir().map_err(|error| MountError::Folder(temporary, error))?;
    let mount = folder.path().join("mount");
    let disk = Disk::mount(&mount, &folder.path().join("store"))?;
    let tried = fs::write(mount.join("file"), "text").and_then(|()| fs::read(mount.join("file")));
    drop(disk);
    match tried {
        Ok(text) if text == b"text" => Ok(()),
        Ok(_) => Err(MountError::Fuse(Errno::IO.into())),
        Err(error) => Err(MountError::Fuse(error)),
    }
}

/// A mount, which goes away with this.
#[derive(Debug)]
pub(crate) struct Mount {
    path: PathBuf,
    session: Option<BackgroundSession>,
    watcher: Child,
}

impl Mount {
    pub(crate) fn new(path: &Path, shared: Shared) -> Result<Mount, MountError> {
        let unusable = |error| MountError::Folder(path.to_owned(), error);
        fs::create_dir_all(path).map_err(unusable)?;
        let path = path.canonicalize().map_err(unusable)?;
        // First: a mount that nobody watches could be left over.
        let mut watcher = watch(&path).map_err(MountError::Watcher)?;
        let mut config = Config::default();
        config.mount_options = vec![MountOption::FSName(NAME.to_owned()), MountOption::NoAtime];
        config.n_threads = Some(THREADS);
        let session = Session::new(Adapter::new(shared), &path, &config).and_then(Session::spawn);
        match session {
            Ok(session) => Ok(Mount {
                path,
                session: Some(session),
                watcher,
            }),
            Err(error) => {
                end(&mut watcher);
                Err(MountError::Fuse(error))
            }
        }
    }
}

fn watch(path: &Path) -> io::Result<Child> {
    Command::new("/bin/sh")
        .args(["-c", WATCH])
        .arg(path)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // What a terminal sends to the harness's group is not for it.
        .process_group(0)
        .spawn()
}

/// Lets the watcher do what it is there for.
fn end(watcher: &mut Child) {
    drop(watcher.stdin.take());
    let _ = watcher.wait();
}

impl Drop for Mount {
    fn drop(&mut self) {
        end(&mut self.watcher);
        // It ends with its mount; one that somebody still uses, with them.
        drop(self.session.take());
        // If it can't be removed, an empty folder is left.
        let _ = fs::remove_dir(&self.path);
    }
}
