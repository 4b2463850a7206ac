//! Reads that a follower takes in: it asks its leader what it must have applied to answer them, and answers them itself (dissertation §6.4).
//!
//! ```text
//!   follower                                 leader
//!   reads 1 2 come in
//!   ─── ReadIndex request=7:1 ─────────────▶ waits for the next round, which notes the commit index;
//!   read 3 comes in: for the next request    a majority confirms the round
//!                                            waits until the follower is known to hold that index
//!   ◀─────────── ReadIndexResponse 7:1 ───── then it is told, and so knows what is committed
//!   1 and 2 are confirmed
//!   ─── ReadIndex request=7:2 ─────────────▶ …
//! ```
//!
//! # Why an answer confirms what it should, and nothing else
//!
//! - A request names a fixed set of reads. What comes in while one is out is for the next one: its answer may rest on a round that is
//!   older than such a read (bug zoo, *read-context-reused*, on the follower's side).
//! - A request that was not answered for a while may have been lost, or its answer: it is sent again *as it is*. Whichever of the answers
//!   comes first, the round behind it was begun after the reads had come in. The leader's rounds have numbers of their own; a request
//!   that comes again after its round was confirmed is told the same again, and no round is begun for it.
//! - Its name is unique for ever: the term, which the envelope carries; the follower's [`Life`], since one that crashed and starts again
//!   in the same term counts from 1 anew; and its number. An answer to an earlier life's request confirms nothing.
//! - Reads end with the leadership that they were asked of: when the term goes on, when the follower stands or asks whether it could, and
//!   when its leader is silent. Nothing is said to another leader about them. They end as well when a request was in vain for a whole
//!   election time-out, since the leader may not know the question, or this server no more.
//!
//! # Bounds
//!
//! One request of each follower is out at a time, and a leader keeps no more than three of each member: one in the round in flight, one that
//! waits for the next, and one that waits for the member to catch up. How many reads may wait is the driver's to bound, as with a leader.
//!
//! # What is absent
//!
//! A follower has no leases. A leader that has one asks all the same, since requests of others come in at no time that its clock has told.

use crate::message::Message;
use crate::mutant::mutated;
use crate::protocol::Raft;
use crate::read::{ReadOutcome, ReadToken};
use crate::role::Role;
use crate::storage::Storage;
use crate::types::{Index, NodeId};
use alloc::vec::Vec;
use core::fmt::{self, Display};

/// Names one life of a server, from its start to its end, among all of its lives; chosen by the driver: at random, or counted where that
/// survives a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Life(pub u64);

/// Names what a follower asks its leader about reads; with the term, for ever. Displayed as `life:number`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReadRequest {
    /// The follower's life.
    pub life: Life,
    /// Counted from 1 in each term of a life.
    pub number: u64,
}

impl Display for ReadRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.life.0, self.number)
    }
}

/// A follower's reads; they die with its role.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ForwardedReads {
    /// Those that the request that is out is about.
    asked: Vec<ReadToken>,
    /// Those that came in since.
    waiting: Vec<ReadToken>,
}

impl ForwardedReads {
    /// Every read that was not confirmed.
    pub(crate) fn abort(self) -> impl Iterator<Item = ReadOutcome> {
        let reads = self.asked.into_iter().chain(self.waiting);
        reads.map(|token| ReadOutcome::Aborted { token })
    }
}

impl<S: Storage> Raft<S> {
    /// Takes in a read, to ask the leader about it. Returns whether it did: a follower does that has a life, and a leader that it hears.
    pub(crate) fn forward_read(&mut self, token: ReadToken) -> bool {
        let Role::Follower(follower) = &mut self.role else {
            return false;
        };
        if self.life.is_none() || follower.leader.is_none() || !follower.leader_recent {
            return false;
        }
        let reads = &mut follower.reads;
        if mutated!(self.config, ForwardedReadJoins) && !reads.asked.is_empty() {
            reads.asked.push(token);
        } else {
            reads.waiting.push(token);
        }
        true
    }

    /// Whether reads wait, and no request is out.
    pub(crate) fn wants_to_ask(&self) -> bool {
        match &self.role {
            Role::Follower(follower) => follower.reads.asked.is_empty() && !follower.reads.waiting.is_empty(),
            Role::PreCandidate(_) | Role::Candidate(_) | Role::Leader(_) => false,
        }
    }

    /// Asks the leader about all reads that wait, if no request is out.
    pub(crate) fn ask_leader(&mut self) {
        if !self.wants_to_ask() {
            return;
        }
        let Role::Follower(follower) = &mut self.role else {
            panic!("{} asks a leader without following", self.config.id)
        };
        follower.reads.asked = core::mem::take(&mut follower.reads.waiting);
        self.read_requests += 1;
        self.send_read_request();
    }

    /// Whether a request about reads is out, so that [`Raft::read_timeout`] has something to do.
    pub fn awaits_read_index(&self) -> bool {
        match &self.role {
            Role::Follower(follower) => !follower.reads.asked.is_empty(),
            Role::PreCandidate(_) | Role::Candidate(_) | Role::Leader(_) => false,
        }
    }

    /// A request about reads was not answered for as long as an answer should take: it is sent again.
    pub fn read_timeout(&mut self) {
        if self.awaits_read_index() {
            self.send_read_request();
        }
    }

    /// A request about reads was not answered for so long that it hardly will be: those reads end, and those behind them.
    pub fn give_reads_up(&mut self) {
        match &mut self.role {
            Role::Follower(follower) => {
                let reads = core::mem::take(&mut follower.reads);
                self.read_outcomes.extend(reads.abort());
            }
            Role::PreCandidate(_) | Role::Candidate(_) | Role::Leader(_) => {}
        }
    }

    fn send_read_request(&mut self) {
        let (Some(request), Some(leader)) = (self.latest_read_request(), self.leader()) else {
            panic!("{} forwards reads without a leader or a life", self.id())
        };
        self.send(leader, Message::ReadIndex { request });
    }

    fn latest_read_request(&self) -> Option<ReadRequest> {
        let number = self.read_requests;
        self.life.map(|life| ReadRequest { life, number })
    }

    pub(crate) fn on_read_index_response(&mut self, from: NodeId, request: ReadRequest, index: Index) {
        let is_answer = if mutated!(self.config, ForwardedReadOutlivesCrash) {
            request.number == self.read_requests
        } else {
            Some(request) == self.latest_read_request()
        };
        let Role::Follower(follower) = &mut self.role else {
            return;
        };
        if !is_answer || follower.leader != Some(from) || follower.reads.asked.is_empty() {
            return;
        }
        // It is known to hold that much as its leader does.
        self.log.commit_to(index.max(self.log.committed()));
        let confirmed = core::mem::take(&mut follower.reads.asked);
        let confirmed = confirmed.into_iter();
        self.read_outcomes
            .extend(confirmed.map(|token| ReadOutcome::Confirmed { token, index }));
    }

    /// A member asks this leader about its reads.
    pub(crate) fn on_read_index(&mut self, from: NodeId, request: ReadRequest) {
        let Role::Leader(leader) = &mut self.role else {
            return;
        };
        if leader.tracker.get(from).is_some() {
            leader.reads.push_forwarded(from, request);
            self.answer_forwarded();
        }
    }

    /// Answers those requests about reads whose rounds were confirmed, and whose senders hold what they must apply.
    pub(crate) fn answer_forwarded(&mut self) {
        let Role::Leader(leader) = &mut self.role else {
            return;
        };
        if !leader.reads.has_confirmed() {
            return;
        }
        let tracker = &leader.tracker;
        let answers = leader
            .reads
            .take_confirmed(|node, index| tracker.matched(node) >= index);
        for (node, request, index) in answers {
            self.send(node, Message::ReadIndexResponse { request, index });
        }
    }
}
