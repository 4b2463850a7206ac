//! What is shown of a server to people, in one notation: that of the golden scripts in `testdata`, in which tests and model checkers tell
//! their stories.

use crate::configuration::Configuration;
use crate::protocol::Raft;
use crate::storage::Storage;
use crate::types::{Index, NodeId, Term};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// Who a server is and whom it follows: `n2@3 follower(n1)`.
pub fn who<S: Storage>(raft: &Raft<S>) -> String {
    let leader = raft.leader().filter(|leader| *leader != raft.id());
    let leader = leader.map_or(String::new(), |leader| format!("({leader})"));
    format!("{}@{} {}{leader}", raft.id(), raft.term(), raft.role())
}

/// How a server is: `n1@1 leader last=2@1 stable=2 commit=1 applied=1`.
pub fn status<S: Storage>(raft: &Raft<S>) -> String {
    format!(
        "{} last={} stable={} commit={} applied={}",
        who(raft),
        raft.last(),
        raft.stable_index(),
        raft.commit_index(),
        raft.applied_index()
    )
}

/// What is shown of a server when it changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glimpse {
    id: NodeId,
    who: String,
    vote: Option<NodeId>,
    term: Term,
    commit: Index,
    /// Where its log begins.
    first: Index,
    configuration: Configuration,
}

impl Glimpse {
    /// A server as it is.
    pub fn of<S: Storage>(raft: &Raft<S>) -> Glimpse {
        Glimpse {
            id: raft.id(),
            who: who(raft),
            vote: raft.vote(),
            term: raft.term(),
            commit: raft.commit_index(),
            first: raft.first_index(),
            configuration: raft.configuration().clone(),
        }
    }

    /// What has changed until `after`, a line each.
    pub fn changes(&self, after: &Glimpse) -> Vec<String> {
        let id = after.id;
        let mut lines = Vec::new();
        if self.who != after.who {
            lines.push(format!("{} ⇨ {}", self.who, after.who));
        }
        if let Some(candidate) = after.vote
            && (self.term, self.vote) != (after.term, after.vote)
        {
            lines.push(format!("{id}@{} votes for {candidate}", after.term));
        }
        if self.first != after.first {
            lines.push(format!("{id} begins its log at {}", after.first));
        }
        if self.configuration != after.configuration {
            lines.push(format!("{id} has the configuration ({})", after.configuration));
        }
        if self.commit != after.commit {
            lines.push(format!("{id} commits {}", after.commit));
        }
        lines
    }
}
