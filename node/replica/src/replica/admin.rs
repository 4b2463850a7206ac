//! What operators ask of a node: other members, another leader, a snapshot.
//!
//! Beside that, a leader puts into the configuration what it hears of its members' data folders: from then on a node that lost its own is
//! known not to be the one that was counted on (bug zoo, *wiped-rejoin*).

use super::{Outbox, Replica, Ticket};
use crate::disk::Disk;
use crate::log_store::LogStore;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use raft::{
    Change, ChangeError, Configuration, Index, InvalidChange, LogPosition, Logger, NodeId, RawNode, RoleKind,
    TransferError,
};
use wire::client::MemberChange;
use wire::limits::MEMBERS_MAX;
use wire::record::Member;

/// What an operator asked for, and is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    /// The configuration that was asked for is committed.
    Reconfigured,
    /// The node that was named leads.
    Transferred,
    /// A snapshot is there.
    Snapshotted {
        /// The last index that it covers.
        index: Index,
    },
}

/// Why what an operator asked for is not done. All but [`NotDone::LeadershipLost`] and [`NotDone::TransferFailed`] are definite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotDone {
    /// The configuration is not to be changed like that.
    #[error(transparent)]
    Change(#[from] ChangeError),
    /// There would be too many members.
    #[error("a cluster has at most {MEMBERS_MAX} members")]
    TooManyMembers,
    /// Leadership was lost after the change was appended: it may yet be in force.
    #[error("leadership was lost while the change was in flight; it may yet be in force")]
    LeadershipLost,
    /// Leadership is not to be handed over like that.
    #[error(transparent)]
    Transfer(#[from] TransferError),
    /// Leadership was to be handed over, and was not, or not to the node that was named. That one may have been asked to stand, and may not
    /// have heard of it yet.
    #[error("leadership was not handed over: the other node did not take it in time, and may yet")]
    TransferFailed,
    /// There is nothing that a snapshot could hold.
    #[error("nothing is committed yet")]
    NothingApplied,
}

impl From<InvalidChange> for NotDone {
    fn from(error: InvalidChange) -> NotDone {
        NotDone::Change(error.into())
    }
}

/// What was asked for and is not done yet.
#[derive(Debug, Default)]
pub(super) struct Admin {
    /// A change of the configuration: where it stands, and whom to tell.
    change: Option<(LogPosition, Ticket)>,
    /// A transfer of leadership, and whom to tell.
    transfer: Option<(NodeId, Vec<Ticket>)>,
    /// Snapshots of everything up to an index, and whom to tell.
    snapshots: Vec<(Index, Ticket)>,
    /// Answers that need nothing more to be done.
    settled: Vec<(Ticket, Result<Done, NotDone>)>,
    /// The data folders of members as they were heard of, where the configuration may not have them yet.
    heard: BTreeMap<NodeId, u128>,
}

impl<D: Disk, L: Logger> Replica<D, L> {
    /// Begins to change who takes part. It is answered when the configuration that was asked for is committed.
    pub fn reconfigure(&mut self, ticket: Ticket, changes: &[MemberChange]) {
        if let Err(refusal) = self.begin_change(ticket, changes) {
            self.admin.settled.push((ticket, Err(refusal)));
        }
    }

    fn begin_change(&mut self, ticket: Ticket, changes: &[MemberChange]) -> Result<(), NotDone> {
        if self.led_term().is_none() {
            // Before anything is judged by a configuration that may be an old one.
            let leader = self.node.raft().leader();
            return Err(ChangeError::NotLeader { leader }.into());
        }
        if self.has_change_in_flight() {
            // For the core it may be over, as it is committed; whoever asked for it is only answered when it is applied.
            return Err(ChangeError::UnderWay.into());
        }
        let configuration = self.node.raft().configuration();
        let mut contexts = self.news_of_members();
        let (mut core_changes, mut come) = (Vec::new(), 0);
        for change in changes {
            core_changes.push(core_change(configuration, change)?);
            if let MemberChange::AddLearner { node, address } = change {
                come += 1;
                let member = Member {
                    address: address.clone(),
                    incarnation: None,
                };
                contexts.push((NodeId(*node), member.to_context()));
            }
        }
        if configuration.members().len() + come > MEMBERS_MAX {
            return Err(NotDone::TooManyMembers);
        }
        if core_changes.is_empty() {
            return Err(InvalidChange::Nothing.into());
        }
        let position = self.node.propose_change_with(&core_changes, &contexts)?;
        for change in &core_changes {
            if let Change::AddLearner(node) = change {
                // Whoever went by that id before may have been another one.
                self.admin.heard.remove(node);
            }
        }
        self.admin.change = Some((position, ticket));
        Ok(())
    }

    /// Begins to hand leadership over to `to`. It is answered when that node leads, or is known not to.
    pub fn transfer(&mut self, ticket: Ticket, to: NodeId) {
        if let Err(error) = self.node.transfer_leader(to) {
            return self.admin.settled.push((ticket, Err(error.into())));
        }
        match &mut self.admin.transfer {
            Some((already, tickets)) if *already == to => tickets.push(ticket),
            other => {
                let earlier = other.replace((to, alloc::vec![ticket]));
                let given_up = earlier.into_iter().flat_map(|(_, tickets)| tickets);
                let given_up = given_up.map(|ticket| (ticket, Err(NotDone::TransferFailed)));
                self.admin.settled.extend(given_up);
            }
        }
    }

    /// Has a snapshot of everything taken that is applied by now.
    pub fn snapshot(&mut self, ticket: Ticket) {
        let applied = self.node.raft().applied_index();
        if applied == Index(0) {
            self.admin.settled.push((ticket, Err(NotDone::NothingApplied)));
        } else {
            self.admin.snapshots.push((applied, ticket));
        }
    }

    /// The data folder of the member `node`, which may be this one, is `incarnation`. If this node leads, it puts that into the
    /// configuration, unless another is there.
    pub fn heard_of(&mut self, node: NodeId, incarnation: u128) {
        if self.node.raft().configuration().is_member(node) {
            self.admin.heard.insert(node, incarnation);
        }
    }

    /// What the configuration in force does not have of its members.
    fn news_of_members(&self) -> Vec<(NodeId, Bytes)> {
        let configuration = self.node.raft().configuration();
        let news = |(node, incarnation): (&NodeId, &u128)| {
            let known = Member::of(configuration, *node);
            let is_news = configuration.is_member(*node) && known.incarnation.is_none();
            let member = Member {
                incarnation: Some(*incarnation),
                ..known
            };
            is_news.then(|| (*node, member.to_context()))
        };
        self.admin.heard.iter().filter_map(news).collect()
    }

    /// Puts into the configuration what it does not have of its members. While that can't be, it is tried at the next tick.
    pub(super) fn record_members(&mut self) {
        if self.admin.heard.is_empty() || self.node.raft().role() != RoleKind::Leader {
            return;
        }
        let news = self.news_of_members();
        if !news.is_empty() {
            let _ = self.node.propose_change_with(&[], &news);
        }
    }

    /// Whether somebody waits for a snapshot of more than the latest one covers.
    pub(super) fn is_asked_for_snapshot(&self) -> bool {
        let covered = covered(&self.node);
        self.admin.snapshots.iter().any(|(wanted, _)| *wanted > covered)
    }

    /// Whether somebody can be answered.
    pub(super) fn can_answer_operator(&self) -> bool {
        let admin = &self.admin;
        !admin.settled.is_empty()
            || self.has_lost_change()
            || self.transfer_outcome().is_some()
            || (!admin.snapshots.is_empty()
                && admin
                    .snapshots
                    .iter()
                    .any(|(wanted, _)| *wanted <= covered(&self.node)))
    }

    /// Whether somebody waits for a configuration to be applied.
    pub(super) fn has_change_in_flight(&self) -> bool {
        self.admin.change.is_some()
    }

    fn has_lost_change(&self) -> bool {
        let Some((asked, _)) = self.admin.change else {
            return false;
        };
        let answers = |(index, configuration): &(Index, Arc<Configuration>)| {
            let position = LogPosition {
                term: asked.term,
                index: *index,
            };
            is_answer(asked, position, configuration) && self.is_to_be_applied(position)
        };
        let is_over = Some(asked.term) != self.led_term();
        is_over && !self.node.raft().configurations().iter().any(answers)
    }

    /// What became of the transfer; `None` while it is under way.
    fn transfer_outcome(&self) -> Option<Result<Done, NotDone>> {
        let (to, _) = self.admin.transfer.as_ref()?;
        let raft = self.node.raft();
        match raft.leader() {
            Some(leader) if leader == *to => Some(Ok(Done::Transferred)),
            Some(leader) if leader == raft.id() && raft.transferring() == Some(*to) => None,
            Some(_) => Some(Err(NotDone::TransferFailed)),
            None => None,
        }
    }

    /// Answers whom it can, but for those whose configuration is still to be applied.
    pub(super) fn answer_operators(&mut self, out: &mut Outbox) {
        out.done.append(&mut self.admin.settled);
        if self.has_lost_change()
            && let Some((_, ticket)) = self.admin.change.take()
        {
            out.done.push((ticket, Err(NotDone::LeadershipLost)));
        }
        if let Some(outcome) = self.transfer_outcome()
            && let Some((_, tickets)) = self.admin.transfer.take()
        {
            out.done
                .extend(tickets.into_iter().map(|ticket| (ticket, outcome)));
        }
        let covered = covered(&self.node);
        self.admin.snapshots.retain(|(wanted, ticket)| {
            let is_done = *wanted <= covered;
            if is_done {
                out.done.push((*ticket, Ok(Done::Snapshotted { index: covered })));
            }
            !is_done
        });
    }

    /// A configuration is committed, and the state is that of its place.
    pub(super) fn configuration_applied(
        &mut self,
        position: LogPosition,
        configuration: &Configuration,
        out: &mut Outbox,
    ) {
        let Some((asked, ticket)) = self.admin.change else {
            return;
        };
        if is_answer(asked, position, configuration) {
            self.admin.change = None;
            out.done.push((ticket, Ok(Done::Reconfigured)));
        }
    }
}

/// Whether `configuration` at `position` is what was asked for by the change at `asked`. A joint one is on the way there: the leader leaves it
/// with the next.
fn is_answer(asked: LogPosition, position: LogPosition, configuration: &Configuration) -> bool {
    asked.term == position.term && asked.index <= position.index && !configuration.is_joint()
}

/// The last index that the latest snapshot covers.
fn covered<D: Disk, L: Logger>(node: &RawNode<LogStore<D>, L>) -> Index {
    let stored = node.raft().storage().stored_snapshot();
    stored.map_or(Index(0), |stored| stored.meta.last.index)
}

/// `change` as the core takes it. What the core would understand in another way than it is meant is refused here.
fn core_change(configuration: &Configuration, change: &MemberChange) -> Result<Change, InvalidChange> {
    let member = |node: u64| {
        let node = NodeId(node);
        let is_member = configuration.is_member(node);
        is_member.then_some(node).ok_or(InvalidChange::NotMember(node))
    };
    Ok(match change {
        MemberChange::AddLearner { node, .. } if configuration.is_voter(NodeId(*node)) => {
            return Err(InvalidChange::AlreadyVoter(NodeId(*node)));
        }
        MemberChange::AddLearner { node, .. } => Change::AddLearner(NodeId(*node)),
        MemberChange::Promote { node } => Change::AddVoter(member(*node)?),
        MemberChange::Demote { node } => Change::AddLearner(member(*node)?),
        MemberChange::Remove { node } => Change::Remove(member(*node)?),
    })
}
