//! What a leader knows of each server: how far its log is, and how to send it more.

use crate::config::Config;
use crate::quorum;
use crate::types::{Index, NodeId};
use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// How a follower is replicated to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProgressState {
    /// Where its log matches is unknown: one append at a time, until one is accepted.
    Probe {
        /// One was sent and not answered; the next goes out after a heartbeat was answered.
        paused: bool,
    },
    /// Its log matches: appends are pipelined.
    Replicate {
        /// The appends in flight, oldest first.
        in_flight: VecDeque<InFlight>,
    },
}

/// An append in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InFlight {
    /// The last index that it carries.
    pub last: Index,
    /// The size of its entries.
    pub bytes: usize,
}

/// What a leader knows of one server.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Progress {
    /// The highest index at which its log is known to equal the leader's, durably.
    matched: Index,
    /// The next index to send; always above `matched`.
    next: Index,
    state: ProgressState,
    /// Whether it was heard from since the last quorum check.
    active: bool,
}

impl Progress {
    fn new(next: Index) -> Progress {
        Progress {
            matched: Index(0),
            next,
            state: ProgressState::Probe { paused: false },
            active: false,
        }
    }

    /// The highest index at which its log is known to equal the leader's, durably.
    pub fn matched(&self) -> Index {
        self.matched
    }

    /// The next index to send.
    pub fn next(&self) -> Index {
        self.next
    }

    /// How it is replicated to.
    pub fn state(&self) -> &ProgressState {
        &self.state
    }

    /// Whether it was heard from since the last quorum check.
    pub fn is_active(&self) -> bool {
        self.active
    }

    /// How many appends are in flight.
    pub fn in_flight(&self) -> usize {
        match &self.state {
            ProgressState::Probe { paused } => usize::from(*paused),
            ProgressState::Replicate { in_flight } => in_flight.len(),
        }
    }

    /// Whether another append may be sent now.
    pub(crate) fn may_send(&self, config: &Config) -> bool {
        match &self.state {
            ProgressState::Probe { paused } => !paused,
            ProgressState::Replicate { in_flight } => {
                let bytes: usize = in_flight.iter().map(|append| append.bytes).sum();
                in_flight.len() < config.in_flight_messages_max && bytes < config.in_flight_bytes_max
            }
        }
    }

    /// It answered a heartbeat. A probe that was sent before that was answered or is lost, so the next one may go out.
    pub(crate) fn heartbeat_answered(&mut self) {
        self.active = true;
        if let ProgressState::Probe { paused } = &mut self.state {
            *paused = false;
        }
    }

    /// An append with entries up to `last` goes out. While probing, `next` stays where the match is asked for.
    pub(crate) fn sent(&mut self, last: Index, bytes: usize) {
        match &mut self.state {
            ProgressState::Probe { paused } => *paused = true,
            ProgressState::Replicate { in_flight } => {
                assert!(
                    last >= self.next,
                    "an append up to {last} was sent, and {} is next",
                    self.next
                );
                in_flight.push_back(InFlight { last, bytes });
                self.next = last.next();
            }
        }
    }

    /// Its log matches up to `matched`, durably. Returns whether that is news.
    pub(crate) fn accepted(&mut self, matched: Index) -> bool {
        self.active = true;
        let news = matched > self.matched;
        self.matched = self.matched.max(matched);
        self.next = self.next.max(self.matched.next());
        match &mut self.state {
            ProgressState::Probe { .. } => {
                self.state = ProgressState::Replicate {
                    in_flight: VecDeque::new(),
                };
            }
            ProgressState::Replicate { in_flight } => {
                while in_flight.front().is_some_and(|append| append.last <= matched) {
                    in_flight.pop_front();
                }
            }
        }
        news
    }

    /// It refused an append behind `probed`; its log may match up to `candidate`. The answer to an older question changes nothing.
    pub(crate) fn rejected(&mut self, probed: Index, candidate: Index) {
        self.active = true;
        let news = match &self.state {
            ProgressState::Probe { .. } => probed == self.next.previous(),
            // What it durably holds it can't have refused; and it can't refuse what was never sent.
            ProgressState::Replicate { .. } => probed > self.matched && probed < self.next,
        };
        if news {
            let next = candidate.min(probed.previous_or_zero()).next();
            self.next = next.max(self.matched.next());
            self.state = ProgressState::Probe { paused: false };
        }
    }

    /// Messages to it may have been lost.
    pub(crate) fn unreachable(&mut self) {
        match &self.state {
            ProgressState::Probe { .. } => {}
            ProgressState::Replicate { .. } => {
                self.next = self.matched.next();
                self.state = ProgressState::Probe { paused: false };
            }
        }
    }
}

impl Index {
    fn previous_or_zero(self) -> Index {
        Index(self.0.saturating_sub(1))
    }
}

/// What a leader knows of every voter, itself included.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProgressTracker {
    /// Sorted by id.
    progress: Vec<(NodeId, Progress)>,
}

impl ProgressTracker {
    /// A new leader's view: nothing is known of anybody, and everybody is assumed to have all entries before `next`.
    pub(crate) fn new(voters: &[NodeId], next: Index) -> ProgressTracker {
        ProgressTracker {
            progress: voters.iter().map(|voter| (*voter, Progress::new(next))).collect(),
        }
    }

    /// What is known of `node`, if it is a voter.
    pub fn get(&self, node: NodeId) -> Option<&Progress> {
        self.place(node).map(|place| &self.progress[place].1)
    }

    pub(crate) fn get_mut(&mut self, node: NodeId) -> Option<&mut Progress> {
        self.place(node).map(|place| &mut self.progress[place].1)
    }

    fn place(&self, node: NodeId) -> Option<usize> {
        self.progress.binary_search_by_key(&node, |(id, _)| *id).ok()
    }

    /// Every voter and what is known of it, by id.
    pub fn iter(&self) -> impl Iterator<Item = (NodeId, &Progress)> {
        self.progress.iter().map(|(id, progress)| (*id, progress))
    }

    /// The highest index that a majority holds durably.
    pub fn majority_matched(&self) -> Index {
        quorum::majority_index(self.progress.iter().map(|(_, progress)| progress.matched))
    }

    /// Whether a majority was heard from since the last time, the leader `own` included; forgets who was.
    pub(crate) fn check_quorum(&mut self, own: NodeId) -> bool {
        let active = self
            .progress
            .iter()
            .filter(|(id, progress)| *id == own || progress.active)
            .count();
        for (_, progress) in &mut self.progress {
            progress.active = false;
        }
        active >= quorum::majority(self.progress.len())
    }
}
