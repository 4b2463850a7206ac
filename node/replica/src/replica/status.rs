//! How a node is, for operators and for checks.

use super::Replica;
use crate::disk::Disk;
use alloc::sync::Arc;
use alloc::vec::Vec;
use raft::{Configuration, Index, Logger, NodeId, ProgressState, RoleKind, Storage as _, Term};

/// How a node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Its role.
    pub role: RoleKind,
    /// Its current term.
    pub term: Term,
    /// Who leads, as far as it knows.
    pub leader: Option<NodeId>,
    /// The last index of its log.
    pub last_index: Index,
    /// The highest index that it knows to be committed.
    pub commit_index: Index,
    /// The highest index that was applied.
    pub applied_index: Index,
    /// A hash of the state: equal at equal `applied_index`.
    pub state_hash: u64,
    /// The first index of its log.
    pub first_index: Index,
    /// The last index that its latest snapshot covers; 0 if it has none.
    pub snapshot_index: Index,
    /// Who takes part: the configuration in force.
    pub configuration: Arc<Configuration>,
    /// On the leader: how far each other node is.
    pub progress: Vec<PeerProgress>,
}

/// A peer's progress as its leader sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerProgress {
    /// The peer.
    pub node: NodeId,
    /// The highest index known to be durable there.
    pub matched: Index,
    /// The next index to be sent.
    pub next: Index,
    /// How it is replicated to: `probe`, `replicate` or `snapshot`.
    pub state: &'static str,
    /// Appends in flight.
    pub in_flight: usize,
    /// Whether it was heard from since the last quorum check.
    pub active: bool,
    /// Whether it is a learner that keeps up.
    pub caught_up: bool,
}

impl<D: Disk, L: Logger> Replica<D, L> {
    /// How the node is.
    pub fn status(&self) -> Status {
        let raft = self.node.raft();
        let peers = raft.progress().into_iter().flat_map(|tracker| tracker.iter());
        let progress = peers
            .filter(|(node, _)| *node != raft.id())
            .map(|(node, progress)| PeerProgress {
                node,
                matched: progress.matched(),
                next: progress.next(),
                state: match progress.state() {
                    ProgressState::Probe { .. } => "probe",
                    ProgressState::Replicate { .. } => "replicate",
                    ProgressState::Snapshot { .. } => "snapshot",
                },
                in_flight: progress.in_flight(),
                active: progress.is_active(),
                caught_up: progress.has_caught_up(),
            });
        Status {
            role: raft.role(),
            term: raft.term(),
            leader: raft.leader(),
            last_index: raft.last().index,
            commit_index: raft.commit_index(),
            applied_index: raft.applied_index(),
            state_hash: self.machine.state_hash(),
            first_index: raft.first_index(),
            snapshot_index: raft.storage().snapshot().map_or(Index(0), |meta| meta.last.index),
            configuration: Arc::new(raft.configuration().clone()),
            progress: progress.collect(),
        }
    }
}
