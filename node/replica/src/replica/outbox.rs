//! What a node takes in and hands out, by name: tickets, refusals, the outbox, and what stops it.

use super::{Done, NotDone};
use crate::disk::DiskError;
use crate::machine::Rejection;
use alloc::vec::Vec;
use raft::{LogPosition, NodeId, ProposeError};
use wire::DecodeError;
use wire::peer::Packet;
use wire::record::{Answer, Unfit};

/// Names a client's request; chosen by the caller. Every ticket is answered exactly once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// Why a request did not succeed. All but [`Refusal::LeadershipLost`] and [`Refusal::ReplyForgotten`] are definite: this sending of the command
/// has no effect, and never will. What became of an earlier sending of the same command in a session, they don't tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// This node does not lead.
    NotLeader {
        /// Who does, as far as it knows.
        leader: Option<NodeId>,
    },
    /// Leadership was lost after the command was appended: it may yet take effect.
    LeadershipLost,
    /// Leadership was lost before the read was confirmed.
    ReadAborted,
    /// Too much is uncommitted, or too much is ahead of the answers that the session's client has.
    Busy,
    /// There is no such session, or no more: nothing was carried out now, and nothing that is given in it ever will be.
    SessionExpired,
    /// The command of a session was carried out before, and its answer is kept no more.
    ReplyForgotten,
    /// What is stored does not fit the command, which changed nothing.
    Unfit(Unfit),
}

impl From<Rejection> for Refusal {
    fn from(rejection: Rejection) -> Refusal {
        match rejection {
            Rejection::Unfit(unfit) => Refusal::Unfit(unfit),
            Rejection::SessionExpired => Refusal::SessionExpired,
            Rejection::ReplyForgotten => Refusal::ReplyForgotten,
            Rejection::BeyondWindow => Refusal::Busy,
        }
    }
}

impl From<ProposeError> for Refusal {
    fn from(error: ProposeError) -> Refusal {
        match error {
            ProposeError::NotLeader { leader } => Refusal::NotLeader { leader },
            // Either is over soon, and the command entered no log.
            ProposeError::Busy | ProposeError::Transferring { .. } => Refusal::Busy,
        }
    }
}

/// What is to be passed on. The caller empties it.
#[derive(Debug, Default)]
pub struct Outbox {
    /// To other nodes. Any of them may be lost.
    pub messages: Vec<Packet>,
    /// To clients.
    pub replies: Vec<(Ticket, Result<Answer, Refusal>)>,
    /// To operators.
    pub done: Vec<(Ticket, Result<Done, NotDone>)>,
}

/// What stops a node.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fatal {
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// A committed command can't be understood: going on would make this node's state differ from the others'.
    #[error("the committed command at {position} can't be applied: {error}")]
    Command {
        /// Where it stands.
        position: LogPosition,
        /// What is wrong with it.
        error: DecodeError,
    },
}
