//! Linearizable reads without log entries: ReadIndex (dissertation §6.4), batched.
//!
//! A read is linearizable when its answer reflects every write that was acknowledged before the read was asked for. A leader
//! knows all of those once an entry of its own term is committed; it must only make sure that nobody has taken its place. So:
//! note the commit index, ask everyone "do I still lead?", and when a majority has said yes *to a question asked after the read
//! came in*, the read may be answered from any state that has applied that index.
//!
//! One round is in flight at a time. Reads that come in meanwhile wait for the next one: an answer to the round in flight may
//! have been given before they were asked. How many may wait is the driver's to bound, by how many requests it takes in.
//!
//! What followers ask about their own reads takes part in the same rounds: see `forward.rs`.

use crate::configuration::Configuration;
use crate::forward::ReadRequest;
use crate::symmetry::{Permute, permute_sorted};
use crate::types::{Index, NodeId};
use alloc::vec::Vec;

/// Names a read, or a batch of them; chosen by the driver, and unique in a life of its server.
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
    /// Leadership was lost first, or the leader was not heard from any more; the read was not answered and changes nothing.
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
    /// What followers asked; by follower, at most one of each.
    forwarded: Vec<(NodeId, ReadRequest)>,
    /// Sorted.
    confirmed: Vec<NodeId>,
}

/// What a follower may be told about its reads when it holds everything up to the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct ConfirmedRequest {
    node: NodeId,
    request: ReadRequest,
    index: Index,
    /// Whether it was told. The answer may be lost: asked again, it is told the same again, which is as true as it was.
    told: bool,
}

/// A leader's reads; they die with its leadership.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ReadQueue {
    /// The number of the latest round begun in this term; with the term it names a round for ever.
    round: u64,
    open: Option<Round>,
    waiting: Vec<ReadToken>,
    /// What followers asked since the round in flight began; by follower, at most one of each.
    waiting_forwarded: Vec<(NodeId, ReadRequest)>,
    /// What followers asked last and was confirmed; by follower, at most one of each.
    confirmed_forwarded: Vec<ConfirmedRequest>,
    /// Whether a round is wanted though no read waits: to renew a lease.
    renew: bool,
}

impl ReadQueue {
    pub(crate) fn push(&mut self, token: ReadToken) {
        self.waiting.push(token);
    }

    /// Takes in what `node` asks about its reads, unless that is known already. In a life of its, what it asks now is all that it still
    /// wants to know.
    pub(crate) fn push_forwarded(&mut self, node: NodeId, request: ReadRequest) {
        let is_old = |known: &ReadRequest| known.life == request.life && known.number >= request.number;
        let in_flight = self.open.iter().flat_map(|round| &round.forwarded);
        let mut waiting = in_flight.chain(&self.waiting_forwarded);
        if waiting.any(|(of, known)| *of == node && is_old(known)) {
            return;
        }
        let mut confirmed = self.confirmed_forwarded.iter_mut();
        if let Some(confirmed) = confirmed.find(|of| of.node == node && is_old(&of.request)) {
            confirmed.told &= confirmed.request != request;
            return;
        }
        match self.waiting_forwarded.binary_search_by_key(&node, |(of, _)| *of) {
            Ok(place) => self.waiting_forwarded[place].1 = request,
            Err(place) => self.waiting_forwarded.insert(place, (node, request)),
        }
    }

    /// Whether there is anything that followers may be told.
    pub(crate) fn has_confirmed(&self) -> bool {
        self.confirmed_forwarded.iter().any(|confirmed| !confirmed.told)
    }

    /// What followers may be told now, given who holds everything up to an index.
    pub(crate) fn take_confirmed(
        &mut self,
        holds: impl Fn(NodeId, Index) -> bool,
    ) -> Vec<(NodeId, ReadRequest, Index)> {
        let mut answers = Vec::new();
        for confirmed in &mut self.confirmed_forwarded {
            if !confirmed.told && holds(confirmed.node, confirmed.index) {
                confirmed.told = true;
                answers.push((confirmed.node, confirmed.request, confirmed.index));
            }
        }
        answers
    }

    /// Who is no member any more is not answered.
    pub(crate) fn keep_members(&mut self, configuration: &Configuration) {
        self.waiting_forwarded
            .retain(|(node, _)| configuration.is_member(*node));
        self.confirmed_forwarded
            .retain(|confirmed| configuration.is_member(confirmed.node));
        if let Some(round) = &mut self.open {
            round.forwarded.retain(|(node, _)| configuration.is_member(*node));
        }
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
        let some_wait = !self.waiting.is_empty() || !self.waiting_forwarded.is_empty();
        self.open.is_none() && (self.renew || some_wait)
    }

    /// Begins a round with all waiting reads, at the present commit index.
    pub(crate) fn begin(&mut self, commit: Index) {
        assert!(self.wants_round(), "a round was begun without need: {self:?}");
        self.round += 1;
        self.renew = false;
        self.open = Some(Round {
            index: commit,
            tokens: core::mem::take(&mut self.waiting),
            forwarded: core::mem::take(&mut self.waiting_forwarded),
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

    /// Ends the round in flight: its reads are confirmed. What followers asked is kept until they may be told.
    pub(crate) fn finish(&mut self) -> impl Iterator<Item = ReadOutcome> + use<> {
        let round = self.open.take().expect("a round that is finished is in flight");
        let index = round.index;
        for (node, request) in round.forwarded {
            let confirmed = ConfirmedRequest {
                node,
                request,
                index,
                told: false,
            };
            match self.confirmed_forwarded.binary_search_by_key(&node, |of| of.node) {
                // It wants to know only what it asked last.
                Ok(place) => self.confirmed_forwarded[place] = confirmed,
                Err(place) => self.confirmed_forwarded.insert(place, confirmed),
            }
        }
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

fn permute_requests(
    requests: &[(NodeId, ReadRequest)],
    permutation: &[(NodeId, NodeId)],
) -> Vec<(NodeId, ReadRequest)> {
    let requests = requests.iter();
    let mut permuted: Vec<_> = requests
        .map(|(node, request)| (node.permute(permutation), *request))
        .collect();
    permuted.sort_unstable_by_key(|(node, _)| *node);
    permuted
}

impl Permute for Round {
    fn permute(&self, permutation: &[(NodeId, NodeId)]) -> Self {
        let Round {
            index,
            tokens,
            forwarded,
            confirmed,
        } = self;
        Round {
            index: *index,
            tokens: tokens.clone(),
            forwarded: permute_requests(forwarded, permutation),
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
            waiting_forwarded,
            confirmed_forwarded,
            renew,
        } = self;
        let confirmed_forwarded = confirmed_forwarded.iter();
        let mut confirmed_forwarded: Vec<_> = confirmed_forwarded
            .map(|confirmed| ConfirmedRequest {
                node: confirmed.node.permute(permutation),
                ..*confirmed
            })
            .collect();
        confirmed_forwarded.sort_unstable_by_key(|confirmed| confirmed.node);
        ReadQueue {
            round: *round,
            open: open.permute(permutation),
            waiting: waiting.clone(),
            waiting_forwarded: permute_requests(waiting_forwarded, permutation),
            confirmed_forwarded,
            renew: *renew,
        }
    }
}
