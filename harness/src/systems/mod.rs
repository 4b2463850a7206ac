//! Systems under test: the project's own node, etcd, redis, and any other that a file describes.
//!
//! ```text
//!   System ── Node ──────────▶ the code of `cluster` and `client`: ready lines, links, the node's protocol
//!          └─ Other(Adapter) ─▶ Site: the adapter, and a Place for each node
//!                                 ├─ command   starts a node at its place
//!                                 └─ dial      a Session with a node: operations, whether it serves, how it is
//! ```
//!
//! An [`Adapter`] is all that is known of another system: what it is ([`Profile`]), how a node of it is started, and what it answers.
//! Processes, signals, logs, the schedule of faults, the recorder and the checker are the same for all. What the outcome of an operation is
//! has one place, too ([`Refusal`], `SiteClient`): a session says whether what it sent may take effect, and never tries twice.
//!
//! What nodes say to each other passes through the harness where they can be told so ([`Reach`]), and can be cut,
//! slow or flaky then.

mod client;
mod etcd;
mod file;
mod http;
mod name;
mod place;
mod profile;
mod program;
mod redis;
pub(crate) mod resp;
mod site;
mod template;

pub(crate) use client::{AnyClient, Clients};
pub(crate) use etcd::Launch as EtcdLaunch;
pub use name::{SystemName, UnknownSystem};
pub use place::Place;
pub(crate) use place::listens;
pub use profile::{Profile, Tells};
pub use program::Missing;
pub(crate) use program::{ETCD_HINT, REDIS_HINT, installed};
pub(crate) use redis::DURABLE as REDIS_DURABLE;
pub(crate) use site::{Site, Watcher, site_of};

use crate::cluster::{Binary, Reach};
use crate::node_number::NodeNumber;
use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::Command;
use std::sync::Arc;
use wire::client::Status;
use workloads::{Op, Ret};

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
            System::Other(adapter) => &adapter.profile().program,
        }
    }

    /// The version of that, in its own words.
    pub fn version(&self) -> &str {
        match self {
            System::Node(binary) => binary.version(),
            System::Other(adapter) => &adapter.profile().version,
        }
    }

    /// Whether its nodes elect a leader, and tell of it.
    pub fn elects(&self) -> bool {
        match self {
            System::Node(_) => true,
            System::Other(adapter) => adapter.profile().elects,
        }
    }

    /// How its nodes reach each other.
    pub fn reach(&self) -> Reach {
        match self {
            System::Node(_) => Reach::OneWay,
            System::Other(adapter) => adapter.profile().reach,
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
    /// What is to be known of it before it runs.
    fn profile(&self) -> &Profile;

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

    /// Where the others reach the node at `place`.
    fn peer_address(&self, place: &Place) -> SocketAddr {
        place.peer()
    }

    /// How long dialling may take where a client waits `timeout` for an answer.
    fn dial_time_max(&self, timeout: std::time::Duration) -> std::time::Duration {
        timeout
    }
}

/// A connection to a node, or whatever else it takes to ask it. One whose answer was not waited for is of no use any more.
pub trait Session: Send {
    /// Carries out one operation; never twice.
    fn call<'a>(&'a mut self, op: &'a Op) -> Later<'a, Result<Ret, Refusal>>;

    /// Whether what it has sent of the last operation may have an effect. An operation may begin by looking what there is, and until then
    /// has none, whatever becomes of it.
    fn is_in_doubt(&self) -> bool {
        true
    }

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
    /// It may have an effect, or not, as far as the session [is in doubt](Session::is_in_doubt). The session is over.
    Indefinite(String),
}

/// What is said of a transaction that is about registers and lists. No workload has any.
const MIXED: &str = "a transaction is about registers, or about lists";

/// A key that no workload uses, and that is a whole number in every language's JSON.
const UNUSED_KEY: u64 = (1 << 53) - 1;

/// Asks for that, to see whether anybody answers.
const IS_ANYBODY_THERE: Op = Op::Read { key: UNUSED_KEY };

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
