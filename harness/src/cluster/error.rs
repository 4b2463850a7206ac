//! What may go wrong.

use crate::node_number::NodeNumber;
use std::path::PathBuf;
use std::time::Duration;

/// What may go wrong with a cluster.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// A folder or a file can't be made.
    #[error("can't write {path}: {error}")]
    Folder {
        /// Which.
        path: PathBuf,
        /// The operating system's word.
        error: std::io::Error,
    },
    /// There are no disks that can fail.
    #[error(transparent)]
    Disk(disk::MountError),
    /// The operating system refuses something.
    #[error("can't {what}: {error}")]
    System {
        /// What was tried.
        what: String,
        /// Its word.
        error: std::io::Error,
    },
    /// A node did not start.
    #[error("node {node} did not start: {reason}")]
    Start {
        /// Which.
        node: NodeNumber,
        /// Its last words, or that it had none.
        reason: String,
    },
    /// A node refused to start on its data, which is damaged, and said where.
    #[error("node {node} refused to start: {reason}")]
    Refused {
        /// Which.
        node: NodeNumber,
        /// Its words.
        reason: String,
    },
    /// A host is not as it has to be.
    #[error("{0}")]
    Host(String),
    /// A signal had no effect.
    #[error("node {node} could not be {what}")]
    Signal {
        /// Which.
        node: NodeNumber,
        /// Killed, paused, resumed.
        what: &'static str,
    },
    /// A node's data can't be damaged.
    #[error("node {node}'s data could not be damaged: {reason}")]
    Damage {
        /// Whose.
        node: NodeNumber,
        /// Why.
        reason: String,
    },
    /// An operator's request came to nothing.
    #[error("the cluster did not {what}: {reason}")]
    Operator {
        /// What was asked.
        what: &'static str,
        /// The last answer.
        reason: String,
    },
    /// Nobody serves.
    #[error("the cluster served nobody for {}", humantime::format_duration(*.0))]
    NotServing(Duration),
}

pub(super) fn system(what: &str, error: std::io::Error) -> ClusterError {
    ClusterError::System {
        what: what.to_owned(),
        error,
    }
}
