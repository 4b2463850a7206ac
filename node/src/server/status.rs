//! What a node says of itself, as it travels.

use raft::{Configuration, NodeId, RoleKind};
use replica::PeerProgress;
use wire::client::{Member, MemberRole, NodeRole, PeerStatus, Status};
use wire::record;

/// `status` of the node `node`, as it travels.
pub(crate) fn to_wire(node: NodeId, cluster_id: &str, status: replica::Status) -> Status {
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
        voters: status
            .configuration
            .voters()
            .iter()
            .map(|voter| voter.0)
            .collect(),
        progress: status.progress.into_iter().map(peer_status).collect(),
        first_index: status.first_index.0,
        snapshot_index: status.snapshot_index.0,
        members: members(&status.configuration),
    }
}

/// Who takes part, as it travels.
pub(crate) fn members(configuration: &Configuration) -> Vec<Member> {
    let member = |node: &NodeId| {
        let record::Member { address, incarnation } = record::Member::of(configuration, *node);
        Member {
            node: node.0,
            role: part(configuration, *node),
            address,
            incarnation,
        }
    };
    configuration.members().iter().map(member).collect()
}

fn part(configuration: &Configuration, node: NodeId) -> MemberRole {
    let (votes, voted) = (
        configuration.voters().contains(&node),
        configuration.outgoing().contains(&node),
    );
    match (votes, voted) {
        (true, false) if configuration.is_joint() => MemberRole::Joining,
        (true, _) => MemberRole::Voter,
        (false, true) if configuration.learners_next().contains(&node) => MemberRole::Demoting,
        (false, true) => MemberRole::Leaving,
        (false, false) => MemberRole::Learner,
    }
}

fn peer_status(progress: PeerProgress) -> PeerStatus {
    PeerStatus {
        node: progress.node.0,
        matched: progress.matched.0,
        next: progress.next.0,
        state: progress.state.to_string(),
        in_flight: u32::try_from(progress.in_flight).unwrap_or(u32::MAX),
        active: progress.active,
        caught_up: progress.caught_up,
    }
}
