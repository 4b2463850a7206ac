//! Elections: pre-votes, votes, and the time-outs that lead to them (Raft §5.2, §5.4.1; dissertation §9.6).

use crate::configuration::Configuration;
use crate::leader::Leader;
use crate::message::Message;
use crate::mutant::mutated;
use crate::protocol::Raft;
use crate::quorum::VoteResult;
use crate::role::Role;
use crate::storage::Storage;
use crate::symmetry::{Permute, permute_sorted};
use crate::types::{LogPosition, NodeId, Term};
use alloc::sync::Arc;
use alloc::vec::Vec;

/// The answers to a candidacy so far; one that has not answered is in neither list.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Ballot {
    /// Sorted.
    granted: Vec<NodeId>,
    /// Sorted.
    refused: Vec<NodeId>,
}

impl Ballot {
    /// Records an answer; the first one of each server counts.
    fn record(&mut self, from: NodeId, granted: bool) {
        if self.has_answered(from) {
            return;
        }
        let list = if granted {
            &mut self.granted
        } else {
            &mut self.refused
        };
        let place = list.binary_search(&from).expect_err("it is in neither list");
        list.insert(place, from);
    }

    fn has_answered(&self, server: NodeId) -> bool {
        self.granted.binary_search(&server).is_ok() || self.refused.binary_search(&server).is_ok()
    }

    /// Answers of servers that don't vote count for nothing.
    fn result(&self, configuration: &Configuration) -> VoteResult {
        configuration.vote_result(|voter| {
            if self.granted.binary_search(&voter).is_ok() {
                Some(true)
            } else {
                self.refused.binary_search(&voter).is_ok().then_some(false)
            }
        })
    }
}

impl<S: Storage> Raft<S> {
    /// The randomized election time-out passed without a word from a leader: stands for election, after asking whether that has
    /// a prospect. A leader, and a server that can't be needed as one, ignores it.
    pub fn election_timeout(&mut self) {
        let may_stand = self.may_stand();
        match &self.role {
            Role::Leader(_) => {}
            // Its candidacy is not durable yet, so nobody was asked. To stand again would only make the disk's queue longer.
            Role::Candidate(ballot) if !ballot.has_answered(self.id()) => {}
            Role::Follower(_) | Role::PreCandidate(_) | Role::Candidate(_) if !may_stand => {}
            Role::Follower(_) | Role::PreCandidate(_) | Role::Candidate(_) if self.config.pre_vote => {
                self.pre_campaign();
            }
            Role::Follower(_) | Role::PreCandidate(_) | Role::Candidate(_) => self.stand(false),
        }
    }

    /// The least election time-out passed without a word from the leader: candidates are heard again.
    pub fn leader_silent(&mut self) {
        match &mut self.role {
            Role::Follower(follower) => {
                follower.leader_recent = false;
                // Who says nothing will hardly answer.
                self.give_reads_up();
            }
            Role::PreCandidate(_) | Role::Candidate(_) | Role::Leader(_) => {}
        }
    }

    /// Whether candidates are refused unheard: a leader leads, or was heard from within the least election time-out.
    pub(crate) fn sticks_to_leader(&self) -> bool {
        self.config.check_quorum
            && !mutated!(self.config, NoStickiness)
            && match &self.role {
                Role::Follower(follower) => follower.leader_recent,
                Role::PreCandidate(_) => mutated!(self.config, PreVoteKeepsLeader),
                Role::Candidate(_) => false,
                // It steps down by itself when a majority falls silent.
                Role::Leader(_) => true,
            }
    }

    /// Asks everybody whether they would vote for this server in the next term. Its own term, vote and log stay as they are,
    /// but the old leader is forgotten: otherwise two servers that follow a dead one would refuse each other for ever.
    fn pre_campaign(&mut self) {
        let mut ballot = Ballot::default();
        ballot.record(self.id(), true);
        let result = ballot.result(self.electorate());
        self.change_role(Role::PreCandidate(ballot));
        if result == VoteResult::Won {
            return self.stand(false);
        }
        let (next_term, last) = (self.term.next(), self.log.last());
        for to in self.other_voters() {
            self.send(to, Message::PreVote { next_term, last });
        }
    }

    /// Stands for election in a new term, at once and without asking first; a server that can't be
    /// needed as a leader does not, nor one that has promised a lease.
    ///
    /// The server's vote for itself is a message like any other: it counts when it is durable.
    pub fn campaign(&mut self) {
        if self.may_stand() && !self.has_promised() {
            self.stand(false);
        }
    }

    fn may_stand(&self) -> bool {
        if mutated!(self.config, JointUnelectable) {
            return self.configuration().is_voter(self.id());
        }
        self.membership.may_stand(self.id(), self.log.committed())
    }

    /// The leader makes way: stands for election in its place, unless the role has changed since.
    pub(crate) fn on_timeout_now(&mut self) {
        match &self.role {
            Role::Follower(_) if self.may_stand() => self.stand(true),
            Role::Follower(_) | Role::PreCandidate(_) | Role::Candidate(_) | Role::Leader(_) => {}
        }
    }

    fn stand(&mut self, by_transfer: bool) {
        self.become_follower(self.term.next(), None);
        self.vote = Some(self.id());
        self.change_role(Role::Candidate(Ballot::default()));
        let last = self.log.last();
        self.send_when_durable(self.id(), Message::VoteResponse { granted: true });
        for to in self.other_voters() {
            // It claims a log and a term: see the crate's documentation for why both must be durable first.
            self.send_when_durable(to, Message::Vote { last, by_transfer });
        }
    }

    /// Everybody else who takes part.
    pub(crate) fn others(&self) -> impl Iterator<Item = NodeId> + use<S> {
        let (configuration, id) = (self.membership.latest().clone(), self.id());
        (0..configuration.members().len())
            .map(move |place| configuration.members()[place])
            .filter(move |member| *member != id)
    }

    /// By which configuration votes are counted: the latest in the log, applied or not (bug zoo, *campaign-unapplied-config*).
    fn electorate(&self) -> &Arc<Configuration> {
        if mutated!(self.config, CampaignUnappliedConfig)
            && let Some(applied) = self.membership.at(self.log.applied())
        {
            return applied;
        }
        self.membership.latest()
    }

    /// Everybody else who decides.
    fn other_voters(&self) -> impl Iterator<Item = NodeId> + use<S> {
        let configuration = self.electorate().clone();
        self.others()
            .filter(move |member| configuration.is_voter(*member))
    }

    /// Whether a log that ends at `last` has everything that may be committed in ours (Raft §5.4.1).
    fn is_up_to_date(&self, last: LogPosition) -> bool {
        let own = self.log.last();
        if mutated!(self.config, IndexBeforeTerm) {
            return (last.index, last.term) >= (own.index, own.term);
        }
        last >= own
    }

    pub(crate) fn on_pre_vote(&mut self, from: NodeId, next_term: Term, last: LogPosition) {
        // A refusal carries this server's term, so that one that fell behind, but has the longer log, catches up with the terms
        // and can be elected (bug zoo, *prevote-mixed*).
        if mutated!(self.config, PreVoteMixed) && next_term <= self.term {
            return;
        }
        let granted = next_term > self.term && !self.sticks_to_leader() && self.is_up_to_date(last);
        self.send(from, Message::PreVoteResponse { next_term, granted });
    }

    pub(crate) fn on_pre_vote_granted(&mut self, from: NodeId, next_term: Term) {
        self.on_pre_vote_answer(from, next_term, true);
    }

    pub(crate) fn on_pre_vote_refused(&mut self, from: NodeId, next_term: Term) {
        self.on_pre_vote_answer(from, next_term, false);
    }

    fn on_pre_vote_answer(&mut self, from: NodeId, next_term: Term, granted: bool) {
        let (current, electorate) = (next_term == self.term.next(), self.electorate().clone());
        let Role::PreCandidate(ballot) = &mut self.role else {
            return;
        };
        if !current {
            return;
        }
        ballot.record(from, granted);
        match ballot.result(&electorate) {
            VoteResult::Won => self.stand(false),
            VoteResult::Lost => self.become_follower(self.term, None),
            VoteResult::Pending => {}
        }
    }

    pub(crate) fn on_vote(&mut self, from: NodeId, last: LogPosition) {
        let free = match (self.vote, &self.role) {
            (Some(vote), _) => vote == from,
            // Somebody leads this term already; the candidate can't win it.
            (None, Role::Follower(follower)) => follower.leader.is_none(),
            (None, Role::PreCandidate(_)) => true,
            (None, Role::Candidate(_) | Role::Leader(_)) => {
                panic!(
                    "{} stands in or leads term {} without its own vote",
                    self.id(),
                    self.term
                )
            }
        };
        let refuses = mutated!(self.config, LearnerRefusesVote) && !self.configuration().is_voter(self.id());
        if !(free && self.is_up_to_date(last)) || refuses {
            return self.send(from, Message::VoteResponse { granted: false });
        }
        if let Role::PreCandidate(_) = &self.role {
            self.become_follower(self.term, None);
        }
        self.vote = Some(from);
        if mutated!(self.config, VoteNotPersisted) {
            return self.send(from, Message::VoteResponse { granted: true });
        }
        self.send_when_durable(from, Message::VoteResponse { granted: true });
    }

    pub(crate) fn on_vote_response(&mut self, from: NodeId, granted: bool) {
        let electorate = self.electorate().clone();
        let Role::Candidate(ballot) = &mut self.role else {
            return;
        };
        ballot.record(from, granted);
        match ballot.result(&electorate) {
            VoteResult::Won => self.become_leader(),
            VoteResult::Lost => self.become_follower(self.term, None),
            VoteResult::Pending => {}
        }
    }

    fn become_leader(&mut self) {
        let leader = Leader::new(self.configuration(), self.log.last_index().next());
        self.change_role(Role::Leader(leader));
        self.append_noop();
    }
}

impl Permute for Ballot {
    fn permute(&self, permutation: &[(NodeId, NodeId)]) -> Self {
        let Ballot { granted, refused } = self;
        Ballot {
            granted: permute_sorted(granted, permutation),
            refused: permute_sorted(refused, permutation),
        }
    }
}
