//! How a leader changes who takes part (Raft §6; dissertation §4).

use crate::configuration::{Change, Configuration, InvalidChange};
use crate::mutant::mutated;
use crate::protocol::Raft;
use crate::role::Role;
use crate::storage::Storage;
use crate::types::{Entry, EntryData, LogPosition, NodeId};
use alloc::sync::Arc;
use bytes::Bytes;

/// Why a change of the configuration was not begun; definite, it entered no log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// This server does not lead.
    #[error("not the leader")]
    NotLeader {
        /// Who does, as far as it knows.
        leader: Option<NodeId>,
    },
    /// The leader has committed nothing of its own term yet, so it doesn't know whether another change is under way.
    #[error("the leader has only just been elected")]
    TermNotCommitted,
    /// Another change is not committed, or its joint configuration not left.
    #[error("another change is under way")]
    UnderWay,
    /// Leadership is being handed over.
    #[error("leadership is being transferred to {to}")]
    Transferring {
        /// To this server.
        to: NodeId,
    },
    /// A server would vote that is no learner which keeps up: until it does, the cluster could need it and have to wait for it.
    #[error("{0} has not caught up as a learner")]
    NotCaughtUp(NodeId),
    /// The change makes no sense.
    #[error(transparent)]
    Invalid(#[from] InvalidChange),
}

impl<S: Storage> Raft<S> {
    /// Begins to change who takes part. The change is in force at once, and done when an entry of the position that is returned is
    /// committed; if it is a joint configuration, the leader then leaves it by itself.
    ///
    /// # Errors
    /// Nothing was begun.
    pub fn propose_change(&mut self, changes: &[Change]) -> Result<LogPosition, ChangeError> {
        self.propose_change_with(changes, &[])
    }

    /// As [`Raft::propose_change`], with contexts for members of the configuration that results: see
    /// [`Configuration::with_contexts`]. Contexts may be changed alone.
    ///
    /// # Errors
    /// Nothing was begun.
    pub fn propose_change_with(
        &mut self,
        changes: &[Change],
        contexts: &[(NodeId, Bytes)],
    ) -> Result<LogPosition, ChangeError> {
        let known_leader = self.leader();
        let Role::Leader(leader) = &self.role else {
            return Err(ChangeError::NotLeader { leader: known_leader });
        };
        if self.log.committed() < leader.term_start && !mutated!(self.config, ChangeBeforeNoop) {
            return Err(ChangeError::TermNotCommitted);
        }
        let configuration = self.membership.latest();
        if self.membership.latest_index() > self.log.committed() || configuration.is_joint() {
            return Err(ChangeError::UnderWay);
        }
        if let Some(transfer) = &leader.transfer {
            return Err(ChangeError::Transferring { to: transfer.to });
        }
        let changed = if changes.is_empty() && !contexts.is_empty() {
            Configuration::clone(configuration)
        } else {
            configuration.changed(changes)?
        };
        let changed = changed.with_contexts(contexts.iter().map(|(node, context)| (*node, context)));
        if self.config.promote_caught_up_only {
            let mut new = changed
                .voters()
                .iter()
                .filter(|voter| !configuration.is_voter(**voter));
            let lags = |voter: &&NodeId| {
                let progress = leader.tracker.get(**voter);
                !progress.is_some_and(|progress| progress.has_caught_up())
            };
            if let Some(voter) = new.find(lags) {
                return Err(ChangeError::NotCaughtUp(*voter));
            }
        }
        Ok(self.append_configuration(changed))
    }

    /// Puts a configuration behind the leader's log, where it is in force at once.
    fn append_configuration(&mut self, configuration: Configuration) -> LogPosition {
        let configuration = Arc::new(configuration);
        let (id, index) = (self.id(), self.log.last_index().next());
        let Role::Leader(leader) = &mut self.role else {
            panic!("{id} changes a configuration without leading")
        };
        leader.tracker.follow(&configuration, index);
        leader.reads.keep_members(&configuration);
        if let Some(transfer) = &leader.transfer
            && !configuration.is_voter(transfer.to)
        {
            leader.transfer = None;
        }
        let entry = Entry {
            term: self.term,
            index,
            data: EntryData::Configuration(configuration.clone()),
        };
        leader.uncommitted.add(entry.size());
        let position = entry.position();
        self.membership.push(index, configuration);
        self.log.push(entry);
        // Those that a round still waits for may be members no more.
        self.confirm_own_round();
        position
    }

    /// After a commit: a joint configuration that is committed is left, and a leader that is no voter in a committed one steps down
    /// (Raft §6).
    pub(crate) fn configuration_may_be_committed(&mut self) {
        if self.membership.latest_index() > self.log.committed() {
            return;
        }
        let configuration = self.membership.latest();
        if configuration.is_joint() {
            let left = configuration.left();
            self.append_configuration(left);
        } else if !configuration.is_voter(self.id()) {
            self.make_way_for_good();
        }
    }
}
