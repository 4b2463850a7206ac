//! Hosts: other machines that nodes run on, reached by the user's own `ssh`.
//!
//! ```text
//!   harness ─┬─ one connection a host ─▶ keeper    a shell; its private folder has the node program and the nodes' folders
//!            │    (multiplexed)      ├─▶ watchers  a shell for each node (`machine`)
//!            │                       └─▶ commands  copy, move, read, fetch
//!            └─ TCP ─▶ nodes, at the address by which the host was reached; and from nodes to the links of the harness
//! ```
//!
//! Hosts are called as the user's configuration of ssh calls them; nobody is asked for a password. What runs on a host dies with the connection
//! ([`keeper`] says how), and nothing is left there in the end: data and logs are fetched into the run's folder.
//!
//! Links lead through the harness as they do on one machine, so every node must reach the harness: where the host sees it, or where the user
//! says. Only the harness's clock is ever looked at.

mod host;
mod keeper;
mod ssh;
mod unpack;

pub(super) use host::Host;

use super::Spawner;
use crate::nemesis::Kind;
use crate::node_number::NodeNumber;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// The faults that can be brought about over hosts.
pub const KINDS: [Kind; 9] = [
    Kind::Kill,
    Kind::Pause,
    Kind::Partition,
    Kind::Transfer,
    Kind::Member,
    Kind::Wipe,
    Kind::Slow,
    Kind::Flaky,
    Kind::Disk,
];

/// How many nodes one host takes. Each has a session of the connection, of which a server allows ten; keeper and commands take others.
const NODES_PER_HOST_MAX: u64 = 7;

/// The longest path of a socket, and what ssh makes of it while it opens one.
const SOCKET_PATH_BYTES_MAX: usize = 80;

/// The hosts of a run, as the user names them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostsSpec {
    /// Their names, as ssh knows them. Nodes are assigned in turn.
    pub names: Vec<String>,
    /// Further arguments for ssh.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ssh_args: Vec<String>,
    /// The address at which they reach this machine; `None`: where they see it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
}

impl HostsSpec {
    /// Whether so many nodes can be spread over them.
    ///
    /// # Errors
    /// A name is none or stands twice, or they are too few; in words.
    pub fn check(&self, nodes: u64) -> Result<(), String> {
        for (place, name) in self.names.iter().enumerate() {
            if !is_name(name) {
                return Err(format!("{name:?} is no host's name"));
            }
            if self.names[..place].contains(name) {
                return Err(format!("{name} is named twice"));
            }
        }
        let least = nodes.div_ceil(NODES_PER_HOST_MAX).max(1);
        let hosts = self.names.len() as u64;
        if hosts < least {
            return Err(format!(
                "one takes at most {NODES_PER_HOST_MAX} nodes, so that {nodes} of them take {least}, and there are {hosts}"
            ));
        }
        Ok(())
    }
}

/// Whether ssh could know a host by that name. What a shell or ssh itself could take for something else is in none: names get into command lines,
/// of the user's `ProxyCommand` as well.
pub fn is_name(text: &str) -> bool {
    let is_usual = |c: char| c.is_alphanumeric() || "._-@:%[]/+".contains(c);
    !text.is_empty() && !text.starts_with('-') && text.chars().all(is_usual)
}

/// Why there are no hosts to run nodes on.
#[derive(Debug, thiserror::Error)]
pub enum HostsError {
    /// There is no connection to one.
    #[error("host {host} can't be reached: {reason}")]
    Unreachable {
        /// Which.
        host: String,
        /// The words of ssh.
        reason: String,
    },
    /// It is reached, and no node can run there.
    #[error("host {host} can't run nodes: {reason}")]
    Unfit {
        /// Which.
        host: String,
        /// Why.
        reason: String,
    },
    /// Its nodes could not reach the links of the harness.
    #[error(
        "host {host} does not reach this machine at {address}: {reason}; --address names another address of it"
    )]
    NoWayBack {
        /// Which.
        host: String,
        /// Where it sees it.
        address: IpAddr,
        /// What was tried.
        reason: String,
    },
    /// This machine refuses something.
    #[error("can't {0}: {1}")]
    System(&'static str, io::Error),
}

/// Connections to hosts; cheap to clone. When the last clone is dropped, all that runs there ends.
#[derive(Clone, Debug)]
pub struct Hosts {
    connected: Arc<Connected>,
    /// Distinguishes the folders of clusters that follow each other.
    cluster: u64,
}

#[derive(Debug)]
struct Connected {
    hosts: Vec<Arc<Host>>,
    clusters: AtomicU64,
    /// Its thread is the parent of all connections: they die with it.
    _spawner: Arc<Spawner>,
    /// Where the connections' sockets are.
    _sockets: TempDir,
}

impl Hosts {
    /// Connects to all of them, and puts the node program there.
    ///
    /// # Errors
    /// One can't be reached, or can't run the program, or does not reach this machine. The others are left as they were.
    pub async fn connect(spec: &HostsSpec, program: &Path) -> Result<Hosts, HostsError> {
        let sockets = private_folder().map_err(|error| HostsError::System("make a folder", error))?;
        let spawner =
            Spawner::start().map_err(|error| HostsError::System("start the spawning thread", error))?;
        let program = host::Program::read(program)
            .map_err(|error| HostsError::System("read the node program", error))?;
        let (spec, program, spawner) = (Arc::new(spec.clone()), Arc::new(program), Arc::new(spawner));
        let mut connecting = JoinSet::new();
        // Where one fails, nobody waits for what the others still do.
        let one_failed = CancellationToken::new();
        for (number, name) in spec.names.iter().enumerate() {
            let (name, one_failed) = (name.clone(), one_failed.clone());
            let socket = sockets.path().join(number.to_string());
            let (spec, program, spawner) = (Arc::clone(&spec), Arc::clone(&program), Arc::clone(&spawner));
            connecting.spawn(async move {
                let connected = one_failed
                    .run_until_cancelled(Host::connect(&name, &spec, socket, &spawner))
                    .await;
                let Some(host) = connected.transpose()? else {
                    return Ok(None);
                };
                let prepared = one_failed.run_until_cancelled(host.prepare(&program)).await;
                if !matches!(prepared, Some(Ok(()))) {
                    host.end();
                    host.has_ended().await;
                }
                Ok(prepared.transpose()?.map(|()| (number, Arc::new(host))))
            });
        }
        let mut connected = BTreeMap::new();
        let mut failed = None;
        while let Some(host) = connecting.join_next().await {
            match host.expect("connecting does not panic, and nobody aborts it") {
                Ok(host) => connected.extend(host),
                Err(error) => {
                    one_failed.cancel();
                    failed.get_or_insert(error);
                }
            }
        }
        let hosts = Hosts {
            connected: Arc::new(Connected {
                hosts: connected.into_values().collect(),
                clusters: AtomicU64::new(0),
                _spawner: spawner,
                _sockets: sockets,
            }),
            cluster: 0,
        };
        match failed {
            None => Ok(hosts),
            Some(error) => {
                hosts.close().await;
                Err(error)
            }
        }
    }

    /// The same, for another cluster than all before.
    #[must_use]
    pub fn for_a_cluster(&self) -> Hosts {
        Hosts {
            connected: Arc::clone(&self.connected),
            cluster: 1 + self.connected.clusters.fetch_add(1, Ordering::Relaxed),
        }
    }

    /// The host of a node.
    pub(super) fn of(&self, node: NodeNumber) -> Arc<Host> {
        let hosts = &self.connected.hosts;
        let turn = usize::try_from(node.saturating_sub(1)).unwrap_or_default();
        Arc::clone(&hosts[turn % hosts.len()])
    }

    /// The cluster's folder on a host.
    pub(super) fn folder(&self, host: &Host) -> PathBuf {
        host.folder().join(self.cluster.to_string())
    }

    /// Copies the folder `name` of the cluster's on each host that has one of so many nodes into the folder `to`, and removes all of the
    /// cluster there. What went wrong, in words.
    pub(super) async fn fetch(&self, name: &str, nodes: u64, to: &Path) -> Vec<String> {
        let mut wrong = Vec::new();
        for (host, nodes) in self.with_nodes(nodes) {
            if let Err(error) = host.fetch(&self.folder(host), name, &nodes, to).await {
                wrong.push(format!(
                    "data and logs on host {} were not fetched: {error}",
                    host.name()
                ));
            }
        }
        wrong
    }

    /// In words, which host that has one of so many nodes has no room for a few words more; `None` if all have, as far as they say.
    pub(super) async fn without_room(&self, nodes: u64) -> Option<String> {
        for (host, _) in self.with_nodes(nodes) {
            // One that was lost says nothing of its room.
            if let Err(error) = host.probe().await
                && host.lost().is_none()
            {
                return Some(format!("host {} has no room: {error}", host.name()));
            }
        }
        None
    }

    /// Those that have one of so many nodes, and which.
    fn with_nodes(&self, nodes: u64) -> impl Iterator<Item = (&Host, Vec<NodeNumber>)> {
        let hosts = &self.connected.hosts;
        hosts.iter().zip(1..=nodes).map(move |(host, first)| {
            let nodes = (first..=nodes).step_by(hosts.len()).collect();
            (&**host, nodes)
        })
    }

    /// In words, which host was lost, and what ssh says of it; `None` if all are there.
    pub fn lost(&self) -> Option<String> {
        self.connected.hosts.iter().find_map(|host| host.lost())
    }

    /// Ends all connections, and waits until the hosts are as they were.
    pub async fn close(self) {
        for host in &self.connected.hosts {
            host.end();
        }
        for host in &self.connected.hosts {
            host.has_ended().await;
        }
    }
}

/// A folder that nobody else can look into, for sockets.
fn private_folder() -> io::Result<TempDir> {
    let usual = std::env::temp_dir();
    let is_short = usual.as_os_str().len() < SOCKET_PATH_BYTES_MAX - "rustyraft-XXXXXX/99".len();
    // In the path of a socket ssh puts other things for these.
    let is_plain = !usual
        .as_os_str()
        .as_encoded_bytes()
        .iter()
        .any(|byte| b"%$".contains(byte));
    let parent = if is_short && is_plain {
        usual
    } else {
        PathBuf::from("/tmp")
    };
    tempfile::Builder::new().prefix("rustyraft-").tempdir_in(parent)
}
