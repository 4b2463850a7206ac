//! Systems under test: the project's own node, etcd, redis, and any other that a file describes.
//!
//! ```text
//!   System ── Node ──────────▶ the code of `cluster` and `client`: ready lines, links, the node's protocol
//!          └─ Other(Adapter) ─▶ Site: the adapter, and a Place for each node
//!                                 ├─ command   starts a node at its place
//!                                 └─ dial      a Session with a node: operations, whether it serves, how it is
//! ```
//!
//! An [`Adapter`] is all that is known of another system: how a node of it is started, and what it answers. Processes, signals, logs, the
//! schedule of faults, the recorder and the checker are the same for all. What the outcome of an operation is has one place, too
//! ([`Refusal`], `SiteClient`): a session says whether what it sent may take effect, and never tries twice.
//!
//! Other systems are asked for single registers only ([`WORKLOADS`]), and which faults they know each adapter says. What a node of etcd says
//! to another one passes through the harness (`lanes`) and can be cut; for redis and what files describe nothing is in between.

mod client;
mod etcd;
mod file;
mod http;
mod lanes;
mod name;
mod place;
mod program;
mod redis;
pub(crate) mod resp;
mod site;
mod template;

pub(crate) use client::{AnyClient, Clients};
pub(crate) use etcd::Launch as EtcdLaunch;
pub(crate) use lanes::Lanes;
pub use name::{SystemName, UnknownSystem};
pub use place::Place;
pub(crate) use place::listens;
pub use program::Missing;
pub(crate) use program::{ETCD_HINT, REDIS_HINT, installed};
pub(crate) use redis::DURABLE as REDIS_DURABLE;
pub(crate) use site::{Site, Watcher, site_of};

use crate::cluster::Binary;
use crate::nemesis::Kind;
use crate::node_number::NodeNumber;
use std::fmt;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::Command;
use std::sync::Arc;
use wire::client::Status;
use workloads::{Op, Ret};

/// The workloads whose operations other systems are asked for.
pub const WORKLOADS: [&str; 1] = ["register"];

/// A file that describes a system, as an example.
pub(crate) const EXAMPLE: &str = include_str!("example.toml");

/// What comes later.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Why another system can't be run.
#[derive(Debug, thiserror::Error)]
pub enum SystemError {
    /// Its program is not there.
    #[error(transparent)]
    Missing(#[from] Missing),
    /// Its program can't be run, or does not say its version.
    #[error("{path} does not say its version: {reason}")]
    Version {
        /// Where it is.
        path: PathBuf,
        /// What it did instead.
        reason: String,
    },
    /// The file that describes it is not as it must be.
    #[error("{path}{}: {reason}", line.map_or_else(String::new, |line| format!(":{line}")))]
    File {
        /// Which.
        path: PathBuf,
        /// Where in it, if that can be told.
        line: Option<usize>,
        /// What is wrong.
        reason: String,
    },
    /// The operating system refuses something.
    #[error("can't {0}: {1}")]
    System(&'static str, std::io::Error),
}

/// A system whose program is there.
#[derive(Clone, Debug)]
pub enum System {
    /// The project's own node.
    Node(Binary),
    /// Another one.
    Other(Arc<dyn Adapter>),
}

impl From<Binary> for System {
    fn from(binary: Binary) -> System {
        System::Node(binary)
    }
}

impl System {
    /// The program of its nodes.
    pub fn program(&self) -> &Path {
        match self {
            System::Node(binary) => binary.path(),
            System::Other(adapter) => adapter.program(),
        }
    }

    /// The version of that, in its own words.
    pub fn version(&self) -> &str {
        match self {
            System::Node(binary) => binary.version(),
            System::Other(adapter) => adapter.version(),
        }
    }

    /// Whether its nodes elect a leader, and tell of it.
    pub fn elects(&self) -> bool {
        match self {
            System::Node(_) => true,
            System::Other(adapter) => adapter.elects(),
        }
    }
}

/// Another system by its name; `None` for the project's own node.
///
/// # Errors
/// Its program is not there, or the file that describes it is not as it must be.
pub fn find(name: &SystemName) -> Result<Option<Arc<dyn Adapter>>, SystemError> {
    Ok(match name {
        SystemName::Node => None,
        SystemName::Etcd => Some(Arc::new(etcd::Etcd::find()?)),
        SystemName::Redis => Some(Arc::new(redis::Redis::find()?)),
        SystemName::File(path) => Some(Arc::new(file::Described::read(path)?)),
    })
}

/// Another system than the project's own node, as harness and clients know it.
pub trait Adapter: fmt::Debug + Send + Sync {
    /// The program of its nodes.
    fn program(&self) -> &Path;

    /// The version of that, in its own words.
    fn version(&self) -> &str;

    /// The faults that mean something to it.
    fn nemeses(&self) -> &[Kind];

    /// Whether its sessions tell [how a node is](Session::status).
    fn tells_how_it_is(&self) -> bool;

    /// Whether its nodes elect a leader, and tell of it.
    fn elects(&self) -> bool;

    /// Whether its nodes ask each other over HTTP, by their [aliases](Place::alias), so that a proxy can come between them.
    fn takes_proxies(&self) -> bool {
        false
    }

    /// What starts `node`, one of those at `places`, on whatever data it has. It takes clients as soon as it listens at its place.
    fn command(&self, node: NodeNumber, places: &[Place]) -> Command;

    /// A session with `node`, one of those at `places`.
    ///
    /// The error is why there is none, in words.
    fn dial<'a>(
        &'a self,
        node: NodeNumber,
        places: &'a [Place],
    ) -> Later<'a, Result<Box<dyn Session>, String>>;

    /// How long dialling may take where a client waits `timeout` for an answer.
    fn dial_time_max(&self, timeout: std::time::Duration) -> std::time::Duration {
        timeout
    }
}

/// A connection to a node, or whatever else it takes to ask it. One whose answer was not waited for is of no use any more.
pub trait Session: Send {
    /// Carries out one operation; never twice.
    fn call<'a>(&'a mut self, op: &'a Op) -> Later<'a, Result<Ret, Refusal>>;

    /// Whether the node serves, and the nodes that depend on it.
    fn serves(&mut self) -> Later<'_, bool>;

    /// How the node is, as far as it tells: who leads in which term, and how much it has applied.
    fn status(&mut self) -> Later<'_, Option<Status>>;
}

/// Why an operation has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It has had no effect and never will have one. The session goes on.
    Definite(String),
    /// The same, and this node would carry it out.
    Elsewhere {
        /// Which.
        node: NodeNumber,
        /// What was said.
        reason: String,
    },
    /// It may have an effect, or not. The session is over.
    Indefinite(String),
}

/// An operation on a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Read {
        key: u64,
    },
    Write {
        key: u64,
        value: u64,
    },
    Cas {
        key: u64,
        expected: Option<u64>,
        new: u64,
    },
}

/// What is asked of a register.
///
/// # Errors
/// It is an operation of another workload than [`WORKLOADS`].
fn asked(op: &Op) -> Result<Asked, Refusal> {
    if let Op::Read { key } = *op {
        Ok(Asked::Read { key })
    } else if let Op::Write { key, value } = *op {
        Ok(Asked::Write { key, value })
    } else if let Op::Cas { key, expected, new } = *op {
        Ok(Asked::Cas { key, expected, new })
    } else {
        Err(Refusal::Definite(String::from(
            "the system has registers and nothing else",
        )))
    }
}

/// A key that no workload writes, to see whether anybody answers.
const UNUSED_KEY: u64 = u64::MAX;

/// What a node says of itself that has no more to say than this.
fn status(node: NodeNumber, leader: Option<NodeNumber>, term: u64, applied: u64) -> Status {
    Status {
        node,
        cluster_id: String::new(),
        role: if leader == Some(node) {
            wire::client::NodeRole::Leader
        } else {
            wire::client::NodeRole::Follower
        },
        term,
        leader,
        last_index: applied,
        commit_index: applied,
        applied_index: applied,
        // Unknown, and so the same for all.
        state_hash: 0,
        voters: Vec::new(),
        progress: Vec::new(),
        first_index: 0,
        snapshot_index: 0,
        members: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_registers_know_is_asked() {
        assert!(asked(&Op::Read { key: 1 }).is_ok());
        assert!(matches!(
            asked(&Op::Dequeue { key: 1 }),
            Err(Refusal::Definite(_))
        ));
    }
}
