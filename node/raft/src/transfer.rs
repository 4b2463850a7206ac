//! Handing leadership over on request (dissertation §3.10).
//!
//! The leader stops taking commands in, waits until the chosen server has its whole log, and asks it to stand at once. If that does not
//! come about within an election time-out, commands are taken in again: a transfer that never ended would be an outage (bug zoo,
//! *transfer-never-aborts*).

use crate::message::Message;
use crate::protocol::Raft;
use crate::role::Role;
use crate::storage::Storage;
use crate::symmetry::Permute;
use crate::types::NodeId;

/// A transfer under way.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Transfer {
    pub(crate) to: NodeId,
    /// Whether a quorum check has passed since it began: at the next one it has had a whole election time-out.
    aged: bool,
    /// Whether the server was asked to stand.
    asked: bool,
}

impl Transfer {
    /// An election time-out passed; `None` where that was one too many.
    pub(crate) fn aged(self) -> Option<Transfer> {
        (!self.aged).then_some(Transfer { aged: true, ..self })
    }
}

/// Why leadership is not handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransferError {
    /// This server does not lead.
    #[error("not the leader")]
    NotLeader {
        /// Who does, as far as it knows.
        leader: Option<NodeId>,
    },
    /// Who does not vote can't lead.
    #[error("{0} is no voter")]
    NotVoter(NodeId),
    /// Another transfer is under way.
    #[error("leadership is already being transferred to {to}")]
    UnderWay {
        /// To this server.
        to: NodeId,
    },
}

impl<S: Storage> Raft<S> {
    /// Begins to hand leadership over to `to`. That it was, shows when this server follows; that it was not, when
    /// [`Raft::transferring`] is `None` again and it still leads. To itself, or where the same is under way, nothing is to be done.
    ///
    /// # Errors
    /// Nothing was begun.
    pub fn transfer_leader(&mut self, to: NodeId) -> Result<(), TransferError> {
        let (known_leader, id) = (self.leader(), self.id());
        let votes = self.configuration().voters().binary_search(&to).is_ok();
        let Role::Leader(leader) = &mut self.role else {
            return Err(TransferError::NotLeader { leader: known_leader });
        };
        match &leader.transfer {
            Some(transfer) if transfer.to != to => {
                return Err(TransferError::UnderWay { to: transfer.to });
            }
            Some(_) => return Ok(()),
            None if !votes => return Err(TransferError::NotVoter(to)),
            None if to == id => return Ok(()),
            None => {}
        }
        leader.transfer = Some(Transfer {
            to,
            aged: false,
            asked: false,
        });
        self.make_way_if_ready();
        Ok(())
    }

    /// To whom leadership is being handed over.
    pub fn transferring(&self) -> Option<NodeId> {
        match &self.role {
            Role::Leader(leader) => leader.transfer.as_ref().map(|transfer| transfer.to),
            Role::Follower(_) | Role::PreCandidate(_) | Role::Candidate(_) => None,
        }
    }

    /// Asks the chosen server to stand, once it has everything.
    pub(crate) fn make_way_if_ready(&mut self) {
        let (last, leases) = (self.log.last_index(), self.config.lease.is_some());
        let Role::Leader(leader) = &mut self.role else {
            return;
        };
        let Some(transfer) = &mut leader.transfer else {
            return;
        };
        if !transfer.asked && leader.tracker.matched(transfer.to) == last {
            transfer.asked = true;
            let to = transfer.to;
            leader.has_given_way |= leases;
            self.send(to, Message::TimeoutNow);
        }
    }

    /// Leaves the cluster to others: the one that has most of the log is asked to stand at once.
    pub(crate) fn make_way_for_good(&mut self) {
        let Role::Leader(leader) = &self.role else {
            return;
        };
        let id = self.id();
        let voters = self.configuration().voters().iter().filter(|voter| **voter != id);
        // The least id of those that are level, so that the choice is the same in every run.
        let best = voters
            .rev()
            .max_by_key(|voter| leader.tracker.matched(**voter))
            .copied();
        if let Some(best) = best {
            self.send(best, Message::TimeoutNow);
        }
        self.become_follower(self.term, None);
    }
}

impl Permute for Transfer {
    fn permute(&self, permutation: &[(NodeId, NodeId)]) -> Self {
        let Transfer { to, aged, asked } = self;
        Transfer {
            to: to.permute(permutation),
            aged: *aged,
            asked: *asked,
        }
    }
}
