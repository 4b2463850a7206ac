//! Nodes on the harness's own machine: its child processes.

use super::{End, LOG_END_BYTES, Printed, Started, stands_still};
use crate::cluster::folders::LOG;
use crate::cluster::said::pass_first_line;
use crate::cluster::spawner::Spawner;
use crate::cluster::{ClusterError, system};
use rustix::process::Signal;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use tokio::sync::oneshot;

/// Holds a process.
pub(in crate::cluster) struct Reins {
    pid: u32,
    /// Names the process even if its number is used again.
    handle: OwnedFd,
}

impl Reins {
    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    pub(super) fn signal(&self, signal: Signal) {
        // One that is gone is past hearing it.
        let _ = rustix::process::pidfd_send_signal(&self.handle, signal);
    }

    pub(super) fn is_stopped(&self) -> Option<bool> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid)).ok()?;
        stands_still(&stat)
    }
}

pub(super) async fn start(
    spawner: &Spawner,
    mut command: Command,
    dir: &Path,
    output: Printed,
) -> Result<Started, ClusterError> {
    let log = dir.join(LOG);
    let failed = |error| ClusterError::Folder {
        path: log.clone(),
        error,
    };
    let log_file = open_log(dir, &log).map_err(failed)?;
    // What earlier processes have said is not this one's.
    let said_before = log_file.metadata().map_err(failed)?.len();
    let stdout = match output {
        Printed::ToLog => log_file.try_clone().map_err(failed)?.into(),
        Printed::FirstLine => Stdio::piped(),
    };
    command
        .stdin(Stdio::null())
        .stdout(stdout)
        .stderr(log_file)
        // A terminal sends Ctrl-C to a whole group. The nodes are stopped by the harness, or it would take that for a death of theirs.
        .process_group(0);
    let what = format!("start {}", Path::new(command.get_program()).display());
    let spawned = spawner.spawn(command).await;
    let mut child = spawned.map_err(|error| system(&what, error))?;
    let pid = child.id();
    let handle = open_handle(pid).map_err(|error| {
        // Nobody would know of it any more. One that is gone needs no killing.
        let _ = child.kill().and_then(|()| child.wait());
        system("watch a node's process", error)
    })?;
    let (sender, ready) = oneshot::channel();
    Ok(Started {
        reins: super::Reins::Here(Reins { pid, handle }),
        ready,
        watch: Box::new(move || watch_child(child, sender, &log, said_before)),
    })
}

fn open_handle(pid: u32) -> io::Result<OwnedFd> {
    let raw = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    let pid = raw.ok_or_else(|| io::Error::other("it has no process number"))?;
    Ok(rustix::process::pidfd_open(
        pid,
        rustix::process::PidfdFlags::empty(),
    )?)
}

fn open_log(dir: &Path, log: &PathBuf) -> io::Result<File> {
    fs::create_dir_all(dir)?;
    OpenOptions::new().create(true).append(true).open(log)
}

/// Passes on the first line that a process prints, and waits for its end.
fn watch_child(
    mut child: Child,
    ready: oneshot::Sender<String>,
    log: &Path,
    said_before: u64,
) -> Option<End> {
    if let Some(stdout) = child.stdout.take() {
        pass_first_line(stdout, ready);
    }
    let status = child.wait().ok()?;
    // A log that can't be read says nothing.
    let said = end_of(log, said_before).unwrap_or_default();
    Some(End::Exited { status, said })
}

/// The end of a log, of what lies behind its first `begin` bytes.
fn end_of(log: &Path, begin: u64) -> io::Result<String> {
    let mut file = File::open(log)?;
    let end = file.metadata()?.len().saturating_sub(LOG_END_BYTES);
    file.seek(SeekFrom::Start(end.max(begin)))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

pub(super) async fn run(program: &Path, args: &[&str]) -> io::Result<Output> {
    tokio::process::Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
}

pub(super) fn read_at(file: &Path, offset: u64, bytes: usize) -> io::Result<Vec<u8>> {
    let mut read = vec![0; bytes];
    File::open(file)?.read_exact_at(&mut read, offset)?;
    Ok(read)
}

pub(super) fn write_at(file: &Path, offset: u64, bytes: &[u8]) -> io::Result<()> {
    let file = File::options().write(true).open(file)?;
    file.write_all_at(bytes, offset)
}
