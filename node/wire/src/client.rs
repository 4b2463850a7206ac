//! What a client asks and what it is told.
//!
//! Requests are pipelined: a client may have many in flight on one connection, and responses come back by id, not in
//! order. Every error says whether it is *definite*: see [`Error::is_definite`].

use alloc::{string::String, vec::Vec};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// One request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Chosen by the client, echoed in the [`Response`]; unique among its requests in flight.
    pub id: u64,
    /// What is asked.
    pub body: RequestBody,
}

/// What a client may ask.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RequestBody {
    /// The value at a key; linearizable.
    Get {
        /// The key.
        key: Bytes,
    },
    /// Writes a value.
    Put {
        /// The key.
        key: Bytes,
        /// What it holds afterwards.
        value: Bytes,
    },
    /// Writes a value if the key holds what is expected.
    Cas {
        /// The key.
        key: Bytes,
        /// What it must hold; `None`: the key must be absent.
        expected: Option<Bytes>,
        /// What it holds afterwards, if it did.
        value: Bytes,
    },
    /// Removes a key.
    Delete {
        /// The key.
        key: Bytes,
    },
    /// How this node is; answered from local state by any node.
    Status,
}

/// The answer to one [`Request`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Response {
    /// The request's id.
    pub id: u64,
    /// What came of it.
    pub result: Result<Reply, Error>,
}

/// What a request that succeeded returned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// To [`RequestBody::Get`]: the value, or `None` where there is none.
    Value(Option<Bytes>),
    /// To [`RequestBody::Put`].
    Written,
    /// To [`RequestBody::Cas`]: whether it matched. One that doesn't match is a success that says so.
    Swapped(bool),
    /// To [`RequestBody::Delete`]: whether there was a value.
    Deleted(bool),
    /// To [`RequestBody::Status`].
    Status(Status),
}

/// Why a request did not succeed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Error {
    /// This node does not lead, and the command entered no log. Definite.
    #[error("not the leader{}", leader_hint(.leader))]
    NotLeader {
        /// Who leads, as far as this node knows.
        leader: Option<Leader>,
    },
    /// Leadership was lost after the command was appended: it may yet take effect. Indefinite.
    #[error("leadership was lost while the command was in flight; it may yet take effect")]
    LeadershipLost,
    /// Leadership was lost before the read was confirmed; reads change nothing. Definite.
    #[error("leadership was lost before the read was confirmed")]
    ReadAborted,
    /// Too much is in flight; the command entered no log. Definite.
    #[error("busy: too much is in flight")]
    Busy,
    /// The request breaks a limit; the command entered no log. Definite.
    #[error("invalid request: {reason}")]
    Invalid {
        /// Which limit, and what is allowed.
        reason: String,
    },
}

impl Error {
    /// Whether the command certainly entered no log, and so will never take effect.
    pub fn is_definite(&self) -> bool {
        match self {
            Error::NotLeader { .. } | Error::ReadAborted | Error::Busy | Error::Invalid { .. } => true,
            Error::LeadershipLost => false,
        }
    }
}

fn leader_hint(leader: &Option<Leader>) -> String {
    match leader {
        Some(leader) => alloc::format!("; node {} at {} leads", leader.node, leader.client_address),
        None => String::from("; no leader is known"),
    }
}

/// A leader, and where clients reach it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leader {
    /// Its node id.
    pub node: u64,
    /// Where clients reach it; empty while this node hasn't heard.
    pub client_address: String,
}

/// How a node is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The node's id.
    pub node: u64,
    /// The cluster it belongs to.
    pub cluster_id: String,
    /// Its role.
    pub role: NodeRole,
    /// Its current term.
    pub term: u64,
    /// Who leads, as far as it knows.
    pub leader: Option<u64>,
    /// The last index of its log.
    pub last_index: u64,
    /// The highest index known to be committed.
    pub commit_index: u64,
    /// The highest index applied to its state machine.
    pub applied_index: u64,
    /// A hash of its state machine: equal at equal `applied_index`.
    pub state_hash: u64,
    /// The voting members.
    pub voters: Vec<u64>,
    /// On the leader: how far each other node is.
    pub progress: Vec<PeerStatus>,
}

/// A node's role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NodeRole {
    /// Follows.
    Follower,
    /// Asks whether an election could be won.
    PreCandidate,
    /// Stands for election.
    Candidate,
    /// Leads.
    Leader,
}

/// A peer's progress as its leader sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerStatus {
    /// The peer's node id.
    pub node: u64,
    /// The highest index known to be durable there.
    pub matched: u64,
    /// The next index to be sent.
    pub next: u64,
    /// How it is being replicated to: `probe` or `replicate`.
    pub state: String,
    /// Append messages in flight.
    pub in_flight: u32,
    /// Whether it answered since the last quorum check.
    pub active: bool,
}
