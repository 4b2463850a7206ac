//! What a node says of itself, as it travels.

use raft::RoleKind;
use replica::PeerProgress;
use wire::client::{NodeRole, PeerStatus, Status};

/// `status` of the node `node`, as it travels.
pub(crate) fn to_wire(node: raft::NodeId, cluster_id: &str, status: replica::Status) -> Status {
    Status {
        node: node.0,
        cluster_id: cluster_id.to_string(),
        role: match status.role {
            RoleKind::Follower => NodeRole::Follower,
            RoleKind::PreCandidate => NodeRole::PreCandidate,
            RoleKind::Candidate => NodeRole::Candidate,
            RoleKind::Leader => NodeRole::Leader,
        },
        term: status.term.0,
        leader: status.leader.map(|leader| leader.0),
        last_index: status.last_index.0,
        commit_index: status.commit_index.0,
        applied_index: status.applied_index.0,
        state_hash: status.state_hash,
        voters: status.voters.iter().map(|voter| voter.0).collect(),
        progress: status.progress.into_iter().map(peer_status).collect(),
    }
}

fn peer_status(progress: PeerProgress) -> PeerStatus {
    let state = if progress.pipelined { "replicate" } else { "probe" };
    PeerStatus {
        node: progress.node.0,
        matched: progress.matched.0,
        next: progress.next.0,
        state: state.to_string(),
        in_flight: u32::try_from(progress.in_flight).unwrap_or(u32::MAX),
        active: progress.active,
    }
}
