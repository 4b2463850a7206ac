//! What may happen next.

use raft::{Envelope, NodeId};
use std::fmt;
use std::sync::Arc;

/// One step of a world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// An election time-out passes at this server.
    Timeout(NodeId),
    /// The least election time-out passes without a word from its leader.
    Silent(NodeId),
    /// Time for heartbeats at this server.
    Heartbeat(NodeId),
    /// Time to count who was heard from at this server.
    QuorumCheck(NodeId),
    /// This message arrives, not for the last time.
    Deliver(Arc<Envelope<u8>>),
    /// This server's oldest write becomes durable.
    Persist(NodeId),
    /// This server loses all that is not durable, and starts again.
    Crash(NodeId),
    /// A client proposes a command here.
    Propose(NodeId),
    /// A client reads here.
    Read(NodeId),
}

/// In the notation of the golden scripts.
impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::Timeout(node) => write!(f, "timeout {}", node.0),
            Action::Silent(node) => write!(f, "silent {}", node.0),
            Action::Heartbeat(node) => write!(f, "heartbeat {}", node.0),
            Action::QuorumCheck(node) => write!(f, "quorum-check {}", node.0),
            Action::Deliver(envelope) => write!(f, "deliver {envelope}"),
            Action::Persist(node) => write!(f, "persist {}", node.0),
            Action::Crash(node) => write!(f, "crash {}", node.0),
            Action::Propose(node) => write!(f, "propose {}", node.0),
            Action::Read(node) => write!(f, "read {}", node.0),
        }
    }
}
