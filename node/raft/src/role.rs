//! Roles, and what lives and dies with them.

use crate::election::Ballot;
use crate::forward::ForwardedReads;
use crate::leader::Leader;
use crate::symmetry::Permute;
use crate::types::NodeId;
use core::fmt::{self, Display};

/// A role and what lives and dies with it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Role {
    Follower(Follower),
    /// Asks whether an election could be won, in its present term.
    PreCandidate(Ballot),
    /// Stands for election in its present term.
    Candidate(Ballot),
    Leader(Leader),
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Follower {
    /// Who leads this term, once heard from.
    pub(crate) leader: Option<NodeId>,
    /// Whether the leader was heard from within the least election time-out, or may have been before a start; if so, candidates are
    /// refused.
    pub(crate) leader_recent: bool,
    /// Reads that it asks the leader about.
    pub(crate) reads: ForwardedReads,
}

/// A role without its contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RoleKind {
    /// Follows.
    Follower,
    /// Asks whether an election could be won.
    PreCandidate,
    /// Stands for election.
    Candidate,
    /// Leads.
    Leader,
}

impl Display for RoleKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RoleKind::Follower => "follower",
            RoleKind::PreCandidate => "pre-candidate",
            RoleKind::Candidate => "candidate",
            RoleKind::Leader => "leader",
        })
    }
}

impl Permute for Role {
    fn permute(&self, permutation: &[(NodeId, NodeId)]) -> Self {
        match self {
            Role::Follower(Follower {
                leader,
                leader_recent,
                reads,
            }) => Role::Follower(Follower {
                leader: leader.permute(permutation),
                leader_recent: *leader_recent,
                reads: reads.clone(),
            }),
            Role::PreCandidate(ballot) => Role::PreCandidate(ballot.permute(permutation)),
            Role::Candidate(ballot) => Role::Candidate(ballot.permute(permutation)),
            Role::Leader(leader) => Role::Leader(leader.permute(permutation)),
        }
    }
}
