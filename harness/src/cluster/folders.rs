//! Where a node's files lie.

use super::ClusterSpec;
use crate::node_number::NodeNumber;
use std::path::{Path, PathBuf};

/// The folder of all nodes' data and logs, in that of the run.
pub(super) const NODES: &str = "nodes";
/// Where a node's disk is mounted, if it has one of its own.
const DISK: &str = "disk";
/// A node's log, in its own folder.
pub(super) const LOG: &str = "log";
/// The folder of a node's data, in its own or on its disk.
const DATA: &str = "data";

/// The folders of a node.
#[derive(Clone, Debug)]
pub(crate) struct Folders {
    /// Where everything lies that has to do with it.
    pub(crate) own: PathBuf,
    /// What it has as its data folder.
    pub(crate) data: PathBuf,
}

impl Folders {
    /// Those of a node of that cluster.
    pub(super) fn of(cluster: &ClusterSpec, node: NodeNumber) -> Folders {
        let folders = Folders::below(&cluster.dir.join(NODES), node);
        let on_disk = folders.disk().join(DATA);
        Folders {
            data: if cluster.disks { on_disk } else { folders.data },
            own: folders.own,
        }
    }

    /// Those of a node without a disk of its own, among others' in `nodes`.
    pub(crate) fn below(nodes: &Path, node: NodeNumber) -> Folders {
        let own = nodes.join(node.to_string());
        Folders {
            data: own.join(DATA),
            own,
        }
    }

    /// Where its disk is mounted, if it has one.
    pub(super) fn disk(&self) -> PathBuf {
        self.own.join(DISK)
    }
}
