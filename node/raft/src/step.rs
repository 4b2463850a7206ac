//! How messages reach the protocol, and how it answers.

use crate::forward::ForwardedReads;
use crate::message::{Envelope, Message};
use crate::mutant::mutated;
use crate::protocol::Raft;
use crate::role::{Follower, Role};
use crate::storage::Storage;
use crate::types::{LogPosition, NodeId, Term};

impl<S: Storage> Raft<S> {
    /// Takes in a message. One that is late, doubled or beside the point changes nothing.
    ///
    /// # Panics
    /// The message is for another server, or shows that a promise was broken (two members that lead one term, a committed entry that a
    /// leader doesn't have): then the data is no longer safe, and stopping is all that is left.
    pub fn step(&mut self, envelope: Envelope<S::Command>) {
        assert_eq!(
            envelope.to,
            self.id(),
            "a message for another server arrived: {envelope}"
        );
        if envelope.from == self.id() {
            return;
        }
        let Envelope {
            from, term, message, ..
        } = envelope;
        if !self.membership.has(from) && self.counts_from_members_only(from, &message) {
            return;
        }
        match &message {
            // Pre-votes are outside of the terms: asking changes nobody's.
            Message::PreVote { next_term, last } => return self.on_pre_vote(from, *next_term, *last),
            Message::PreVoteResponse {
                next_term,
                granted: true,
            } => {
                return self.on_pre_vote_granted(from, *next_term);
            }
            // Whoever hears from a leader lets no candidate disturb it, nor its own term (dissertation §4.2.3).
            Message::Vote {
                by_transfer: false, ..
            } if (term > self.term || self.has_promised()) && self.sticks_to_leader() => return,
            Message::PreVoteResponse { granted: false, .. }
            | Message::Vote { .. }
            | Message::VoteResponse { .. }
            | Message::Append { .. }
            | Message::AppendAccepted { .. }
            | Message::AppendRejected { .. }
            | Message::Heartbeat { .. }
            | Message::HeartbeatResponse { .. }
            | Message::Snapshot { .. }
            | Message::TimeoutNow
            | Message::ReadIndex { .. }
            | Message::ReadIndexResponse { .. } => {}
        }
        if term > self.term {
            // What it promised to one leader, it keeps also when it hears from elsewhere that terms have gone on.
            let has_promised = self.has_promised();
            self.become_follower(term, None);
            if let Role::Follower(follower) = &mut self.role {
                follower.leader_recent = has_promised;
            }
        } else if term < self.term {
            return self.answer_stale(from, &message);
        }
        self.step_current(from, message);
    }

    fn is_led_by_another(&self, node: NodeId) -> bool {
        self.leader().is_some_and(|leader| leader != node)
    }

    /// Whether what is said by `stranger`, who takes part in no configuration here, counts for nothing, not even its term.
    ///
    /// Whoever asks is answered, member or not: a server may know of an older configuration than the one that asks (Raft §6). But it has
    /// asked members only, and whom it takes for its leader.
    fn counts_from_members_only(&self, stranger: NodeId, message: &Message<S::Command>) -> bool {
        match message {
            Message::PreVoteResponse { .. }
            | Message::VoteResponse { .. }
            | Message::AppendAccepted { .. }
            | Message::AppendRejected { .. }
            | Message::HeartbeatResponse { .. }
            | Message::ReadIndex { .. } => true,
            Message::ReadIndexResponse { .. } => self.leader() != Some(stranger),
            Message::PreVote { .. }
            | Message::Vote { .. }
            | Message::Append { .. }
            | Message::Heartbeat { .. }
            | Message::Snapshot { .. }
            | Message::TimeoutNow => false,
        }
    }

    /// Takes in a message of the current term.
    fn step_current(&mut self, from: NodeId, message: Message<S::Command>) {
        if self.is_led_by_another(from) && !self.membership.has(from) && message.is_order() {
            // Of two members, that would be a promise broken; but who is no member here may be of another cluster altogether.
            return;
        }
        match message {
            Message::PreVote { .. } | Message::PreVoteResponse { granted: true, .. } => {
                unreachable!("pre-votes are handled outside of the terms")
            }
            Message::PreVoteResponse {
                next_term,
                granted: false,
            } => self.on_pre_vote_refused(from, next_term),
            Message::Vote { last, .. } => self.on_vote(from, last),
            Message::VoteResponse { granted } => self.on_vote_response(from, granted),
            Message::Append {
                prev,
                entries,
                commit,
            } => {
                self.follow(from);
                self.on_append(from, prev, entries, commit);
            }
            Message::AppendAccepted { matched } => self.on_append_accepted(from, matched),
            Message::AppendRejected { probed, hint } => self.on_append_rejected(from, probed, hint),
            Message::Heartbeat { commit, round } => {
                self.follow(from);
                self.on_heartbeat(from, commit, round);
            }
            Message::HeartbeatResponse { round } => self.on_heartbeat_response(from, round),
            Message::Snapshot { snapshot } => {
                self.follow(from);
                self.on_snapshot(from, snapshot);
            }
            Message::TimeoutNow => {
                self.follow(from);
                self.on_timeout_now();
            }
            Message::ReadIndex { request } => self.on_read_index(from, request),
            Message::ReadIndexResponse { request, index } => {
                self.on_read_index_response(from, request, index);
            }
        }
    }

    /// Tells a sender of requests that its term is over (Raft §5.1). Answers of an older term are dropped, and a question about reads: it
    /// asks for nothing that a later term refuses.
    fn answer_stale(&mut self, to: NodeId, message: &Message<S::Command>) {
        if mutated!(self.config, StaleProgress)
            && let Message::AppendAccepted { matched } = message
            && *matched <= self.log.last_index()
        {
            return self.on_append_accepted(to, *matched);
        }
        let answer = match message {
            Message::Vote { .. } => Message::VoteResponse { granted: false },
            Message::Append { prev, .. } => Message::AppendRejected {
                probed: prev.index,
                hint: LogPosition::default(),
            },
            Message::Heartbeat { round, .. } => Message::HeartbeatResponse { round: *round },
            Message::Snapshot { snapshot } => Message::AppendRejected {
                probed: snapshot.last.index,
                hint: LogPosition::default(),
            },
            Message::PreVote { .. }
            | Message::PreVoteResponse { .. }
            | Message::VoteResponse { .. }
            | Message::AppendAccepted { .. }
            | Message::AppendRejected { .. }
            | Message::HeartbeatResponse { .. }
            | Message::TimeoutNow
            | Message::ReadIndex { .. }
            | Message::ReadIndexResponse { .. } => return,
        };
        self.send(to, answer);
    }

    /// Becomes a follower, in a new term or in the present one.
    pub(crate) fn become_follower(&mut self, term: Term, leader: Option<NodeId>) {
        assert!(term >= self.term, "term regression {} → {term}", self.term);
        if term > self.term {
            self.term = term;
            self.vote = None;
            self.read_requests = 0;
            // Said in an older term, it would be dropped when it may leave.
            self.held_back.clear();
        }
        self.change_role(Role::Follower(Follower {
            leader,
            leader_recent: leader.is_some(),
            reads: ForwardedReads::default(),
        }));
    }

    /// Takes another role on; reads that belong to the present one end with it.
    pub(crate) fn change_role(&mut self, role: Role) {
        match core::mem::replace(&mut self.role, role) {
            Role::Follower(follower) => self.read_outcomes.extend(follower.reads.abort()),
            Role::PreCandidate(_) | Role::Candidate(_) => {}
            Role::Leader(leader) => self.read_outcomes.extend(leader.reads.abort()),
        }
    }

    /// Hears from the leader of the present term.
    fn follow(&mut self, leader: NodeId) {
        match &mut self.role {
            Role::Follower(follower) => {
                let known = *follower.leader.get_or_insert(leader);
                assert_eq!(known, leader, "two leaders in term {}", self.term);
                follower.leader_recent = true;
            }
            Role::PreCandidate(_) | Role::Candidate(_) => self.become_follower(self.term, Some(leader)),
            Role::Leader(_) => panic!("{} and {leader} both lead term {}", self.id(), self.term),
        }
    }
}
