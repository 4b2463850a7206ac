//! What a snapshot stands for (Raft §7).

use crate::configuration::Configuration;
use crate::symmetry::Permute;
use crate::types::LogPosition;
use crate::types::NodeId;
use alloc::sync::Arc;

/// What the protocol knows of a snapshot. The state itself is the driver's to keep and to carry over.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SnapshotMeta {
    /// The last entry whose effect is in it.
    pub last: LogPosition,
    /// The configuration that was in force there.
    pub configuration: Arc<Configuration>,
}

/// What became of a snapshot that a leader's driver was to carry over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SnapshotStatus {
    /// The follower has it.
    Delivered,
    /// It was lost on the way.
    Failed,
}

impl Permute for SnapshotMeta {
    fn permute(&self, permutation: &[(NodeId, NodeId)]) -> Self {
        let SnapshotMeta { last, configuration } = self;
        SnapshotMeta {
            last: *last,
            configuration: configuration.permute(permutation),
        }
    }
}
