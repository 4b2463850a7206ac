//! Linearizable reads without log entries: ReadIndex (dissertation §6.4), batched.
//!
//! A read is linearizable when its answer reflects every write that was acknowledged before the read was asked for. A leader
//! knows all of those once an entry of its own term is committed; it must only make sure that nobody has taken its place. So:
//! note the commit index, ask everyone "do I still lead?", and when a majority has said yes *to a question asked after the read
//! came in*, the read may be answered from any state that has applied that index.
//!
//! One round is in flight at a time. Reads that come in meanwhile wait for the next one: an answer to the round in flight may
//! have been given before they were asked. How many may wait is the driver's to bound, by how many requests it takes in.

use crate::membership::Configuration;
use crate::symmetry::{Permute, permute_sorted};
use crate::types::{Index, NodeId};
use alloc::vec::Vec;

/// Names a read, or a batch of them; chosen by the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReadToken(pub u64);

/// What became of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReadOutcome {
    /// It may be answered from a state that has applied `index`.
    Confirmed {
        /// Which read.
        token: ReadToken,
        /// What must have been applied.
        index: Index,
    },
    /// Leadership was lost first.
    Aborted {
        /// Which read.
        token: ReadToken,
    },
}

/// A round in flight: who has confirmed so far that its leader still leads.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Round {
    /// The commit index when the round began: at or above what each of its reads must see.
    index: Index,
    tokens: Vec<ReadToken>,
    /// Sorted.
    confirmed: Vec<NodeId>,
}

/// A leader's reads; they die with its leadership.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ReadQueue {
    /// The number of the latest round begun in this term; with the term it names a round for ever.
    round: u64,
    open: Option<Round>,
    waiting: Vec<ReadToken>,
    /// Whether a round is wanted though no read waits: to renew a lease.
    renew: bool,
}

impl ReadQueue {
    pub(crate) fn push(&mut self, token: ReadToken) {
        self.waiting.push(token);
    }

    /// Lets a read take part in the round in flight, though it began before the read came: only a seeded bug does that.
    pub(crate) fn join(&mut self, token: ReadToken) -> bool {
        match &mut self.open {
            Some(round) => {
                round.tokens.push(token);
                true
            }
            None => false,
        }
    }

    /// The number of the latest round.
    pub(crate) fn round(&self) -> u64 {
        self.round
    }

    /// Whether a round is in flight.
    pub(crate) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Has a round begin though no read waits for one.
    pub(crate) fn renew(&mut self) {
        self.renew = true;
    }

    /// Whether a round is wanted and none is in flight.
    pub(crate) fn wants_round(&self) -> bool {
        self.open.is_none() && (self.renew || !self.waiting.is_empty())
    }

    /// Begins a round with all waiting reads, at the present commit index.
    pub(crate) fn begin(&mut self, commit: Index) {
        assert!(self.wants_round(), "a round was begun without need: {self:?}");
        self.round += 1;
        self.renew = false;
        self.open = Some(Round {
            index: commit,
            tokens: core::mem::take(&mut self.waiting),
            confirmed: Vec::new(),
        });
    }

    /// `node` confirms `round`; returns whether a quorum has. (Never for a round that is over.)
    pub(crate) fn confirm(&mut self, node: NodeId, round: u64, configuration: &Configuration) -> bool {
        let Some(open) = self.open.as_mut().filter(|_| round == self.round) else {
            return false;
        };
        if let Err(place) = open.confirmed.binary_search(&node) {
            open.confirmed.insert(place, node);
        }
        configuration.has_quorum(|voter| open.confirmed.binary_search(&voter).is_ok())
    }

    /// Ends the round in flight: its reads are confirmed.
    pub(crate) fn finish(&mut self) -> impl Iterator<Item = ReadOutcome> + use<> {
        let round = self.open.take().expect("a round that is finished is in flight");
        let index = round.index;
        round
            .tokens
            .into_iter()
            .map(move |token| ReadOutcome::Confirmed { token, index })
    }

    /// Every read that was not confirmed.
    pub(crate) fn abort(self) -> impl Iterator<Item = ReadOutcome> {
        let begun = self.open.map(|round| round.tokens).unwrap_or_default();
        begun
            .into_iter()
            .chain(self.waiting)
            .map(|token| ReadOutcome::Aborted { token })
    }
}

impl Permute for Round {
    fn permute(&self, permutation: &[(NodeId, NodeId)]) -> Self {
        let Round {
            index,
            tokens,
            confirmed,
        } = self;
        Round {
            index: *index,
            tokens: tokens.clone(),
            confirmed: permute_sorted(confirmed, permutation),
        }
    }
}

impl Permute for ReadQueue {
    fn permute(&self, permutation: &[(NodeId, NodeId)]) -> Self {
        let ReadQueue {
            round,
            open,
            waiting,
            renew,
        } = self;
        ReadQueue {
            round: *round,
            open: open.permute(permutation),
            waiting: waiting.clone(),
            renew: *renew,
        }
    }
}
