//! A node's machine, and what is asked of it.
//!
//! ```text
//!   Machine ── Here ──▶ child processes of the harness, files in the run's folder      (here)
//!           └─ There ─▶ child processes of a shell on a host, files in a folder there  (there, over `hosts`)
//! ```
//!
//! It starts a node in a folder of its own, passes on the first line that the node prints, sends it signals, says whether it stands still and
//! how it ended, and reads, writes, moves and removes what lies in the folder. A node dies with the harness, wherever it is. Links, monitor,
//! nemesis and clients know a node by its address only, and the same code serves both.

mod here;
mod there;

use super::folders::NODES;
use super::hosts::Host;
use super::spawner::Spawner;
use super::{ClusterError, ClusterSpec, Folders};
use crate::node_number::NodeNumber;
use rustix::process::Signal;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output};
use std::sync::Arc;
use tokio::sync::oneshot;

/// How much of the end of a log is looked at.
const LOG_END_BYTES: u64 = 64 << 10;

/// Where a node runs.
#[derive(Clone, Debug)]
pub(super) enum Machine {
    /// On the harness's own machine.
    Here,
    /// On a host.
    There {
        /// Which.
        host: Arc<Host>,
        /// The cluster's folder there.
        folder: PathBuf,
    },
}

/// A node that was started.
pub(super) struct Started {
    pub(super) reins: Reins,
    /// The first line that it prints.
    pub(super) ready: oneshot::Receiver<String>,
    /// Waits for its end, on a thread that may wait.
    pub(super) watch: Box<dyn FnOnce() -> Option<End> + Send>,
}

/// How a node ended.
#[derive(Clone, Debug)]
pub(super) enum End {
    /// As the system tells.
    Exited {
        status: ExitStatus,
        /// The end of what it said.
        said: String,
    },
    /// Nobody knows: its machine does not tell any more. Why, in words.
    Lost(String),
}

/// Holds a node's process.
pub(super) enum Reins {
    Here(here::Reins),
    There(there::Reins),
}

impl Machine {
    /// That of one of the cluster's nodes.
    pub(super) fn of(cluster: &ClusterSpec, node: NodeNumber) -> Machine {
        match &cluster.hosts {
            None => Machine::Here,
            Some(hosts) => {
                let host = hosts.of(node);
                let folder = hosts.folder(&host);
                Machine::There { host, folder }
            }
        }
    }

    /// Where its nodes listen.
    pub(super) fn address(&self) -> IpAddr {
        match self {
            Machine::Here => IpAddr::V4(Ipv4Addr::LOCALHOST),
            Machine::There { host, .. } => host.address(),
        }
    }

    /// Where its nodes reach the harness.
    pub(super) fn address_of_harness(&self) -> IpAddr {
        match self {
            Machine::Here => IpAddr::V4(Ipv4Addr::LOCALHOST),
            Machine::There { host, .. } => host.address_of_harness(),
        }
    }

    /// A node's folders there.
    pub(super) fn folders(&self, cluster: &ClusterSpec, node: NodeNumber) -> Folders {
        match self {
            Machine::Here => Folders::of(cluster, node),
            Machine::There { folder, .. } => Folders::below(&folder.join(NODES), node),
        }
    }

    /// Where the node program is, which is at `program` here.
    pub(super) fn program(&self, program: &Path) -> PathBuf {
        match self {
            Machine::Here => program.to_owned(),
            Machine::There { host, .. } => host.program(),
        }
    }

    /// Starts a node in the folder `dir`, which has its log.
    pub(super) async fn start(
        &self,
        spawner: &Spawner,
        command: Command,
        dir: &Path,
        output: Printed,
    ) -> Result<Started, ClusterError> {
        match self {
            Machine::Here => here::start(spawner, command, dir, output).await,
            Machine::There { host, .. } => there::start(spawner, host, &command, dir).await,
        }
    }

    /// Runs a program to its end.
    pub(super) async fn run(&self, program: &Path, args: &[&str]) -> io::Result<Output> {
        match self {
            Machine::Here => here::run(program, args).await,
            Machine::There { host, .. } => there::run(host, program, args).await,
        }
    }

    /// Removes a folder and all that is in it; there need not be one.
    pub(super) async fn remove(&self, path: &Path) -> io::Result<()> {
        match self {
            Machine::Here => match std::fs::remove_dir_all(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                Ok(()) | Err(_) => Ok(()),
            },
            Machine::There { host, .. } => there::remove(host, path).await,
        }
    }

    /// Moves a folder to where there is nothing.
    pub(super) async fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        match self {
            Machine::Here => std::fs::rename(from, to),
            Machine::There { host, .. } => there::rename(host, from, to).await,
        }
    }

    /// How long a file is.
    pub(super) async fn length(&self, file: &Path) -> io::Result<u64> {
        match self {
            Machine::Here => std::fs::metadata(file).map(|metadata| metadata.len()),
            Machine::There { host, .. } => there::length(host, file).await,
        }
    }

    /// So many bytes of a file, from `offset` on.
    pub(super) async fn read_at(&self, file: &Path, offset: u64, bytes: usize) -> io::Result<Vec<u8>> {
        match self {
            Machine::Here => here::read_at(file, offset, bytes),
            Machine::There { host, .. } => there::read_at(host, file, offset, bytes).await,
        }
    }

    /// Writes into a file that is there.
    pub(super) async fn write_at(&self, file: &Path, offset: u64, bytes: &[u8]) -> io::Result<()> {
        match self {
            Machine::Here => here::write_at(file, offset, bytes),
            Machine::There { host, .. } => there::write_at(host, file, offset, bytes).await,
        }
    }
}

/// What becomes of what a node prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Printed {
    /// Its first line is passed on.
    FirstLine,
    /// All of it goes into its log.
    ToLog,
}

impl Reins {
    /// Sends a signal; a process that is gone is past hearing it.
    pub(super) fn signal(&self, signal: Signal) {
        match self {
            Reins::Here(reins) => reins.signal(signal),
            Reins::There(reins) => reins.signal(signal),
        }
    }

    /// Whether the process stands still; `None` if it is gone, or its machine does not say.
    pub(super) async fn is_stopped(&self) -> Option<bool> {
        match self {
            Reins::Here(reins) => reins.is_stopped(),
            Reins::There(reins) => reins.is_stopped().await,
        }
    }

    /// The process's number, if it is one of this machine.
    pub(super) fn pid(&self) -> Option<u32> {
        match self {
            Reins::Here(reins) => Some(reins.pid()),
            Reins::There(_) => None,
        }
    }
}

/// Whether a process stands still whose `/proc/PID/stat` that is.
fn stands_still(stat: &str) -> Option<bool> {
    // The state follows the program's name, which stands in parentheses and may itself contain some.
    let (_, state) = stat.rsplit_once(')')?;
    Some(state.trim_start().starts_with('T'))
}
