//! What a leader knows of each server: how far its log is, and how to send it more.
//!
//! # Flow control: what holds, and the golden script that shows it
//!
//! - To one follower there are never more than [`Config::in_flight_messages_max`] appends with entries on their way that are not
//!   acknowledged (`window_bounds_what_is_in_flight`), and none is begun while [`Config::in_flight_bytes_max`] or more bytes of entries are:
//!   one append may go beyond (`window_bounds_the_bytes_in_flight`).
//! - An acknowledgement stands for all before it, so one that is lost keeps nothing closed (`window_bounds_what_is_in_flight`).
//! - A window that is full of what was lost, or a loss that nothing follows, is found by the answer to a heartbeat (`lost_window_is_found`,
//!   `losses_are_found_by_heartbeats`). An append that asks so carries no entries, and counts for nothing in the window.
//! - Where the match is unknown, one append is on its way, and after a loss the next when a heartbeat was answered
//!   (`probes_go_on_with_heartbeats`): a regular one, of which there are few, and not one that confirms reads
//!   (`reads_have_nothing_sent_again`).
//! - While a snapshot is carried over, nothing else is sent, and what comes in late is heard
//!   (`slow_follower_is_sent_a_snapshot_behind_its_window`, `snapshot_that_is_overtaken_is_not_what_is_waited_for`); an answer to a heartbeat
//!   says nothing of it (`snapshot_on_its_way_outlasts_heartbeats`).
//! - A slow follower costs its leader its window and nothing else: commits wait for a majority, and entries beyond the window are read
//!   from the storage when there is room.

use crate::config::Config;
use crate::configuration::Configuration;
use crate::symmetry::Permute;
use crate::types::{Index, NodeId};
use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// How a follower is replicated to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProgressState {
    /// Where its log matches is unknown: one append at a time, until one is accepted.
    Probe {
        /// One was sent and not answered; the next goes out after a regular heartbeat was answered.
        paused: bool,
    },
    /// Its log matches: appends are pipelined.
    Replicate {
        /// The appends in flight, oldest first.
        in_flight: VecDeque<InFlight>,
    },
    /// What it lacks is compacted away: a snapshot is carried over, and nothing else is sent meanwhile.
    Snapshot {
        /// The last index that the snapshot covers.
        index: Index,
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
    /// Whether a regular heartbeat went out after something that is not acknowledged: the answer tells whether that is lost.
    is_asked: bool,
    /// How it catches up, if it is a learner.
    catch_up: Option<CatchUp>,
}

impl Progress {
    fn new(next: Index) -> Progress {
        Progress {
            matched: Index(0),
            next,
            state: ProgressState::Probe { paused: false },
            active: true,
            is_asked: false,
            catch_up: None,
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

    /// Whether it is a learner that keeps up with its leader, so that it may vote.
    pub fn has_caught_up(&self) -> bool {
        self.catch_up.as_ref().is_some_and(|catch_up| catch_up.caught_up)
    }

    /// How many appends are in flight.
    pub fn in_flight(&self) -> usize {
        match &self.state {
            ProgressState::Probe { paused } => usize::from(*paused),
            ProgressState::Replicate { in_flight } => in_flight.len(),
            ProgressState::Snapshot { .. } => 0,
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
            ProgressState::Snapshot { .. } => false,
        }
    }

    /// A regular heartbeat goes out.
    fn asked(&mut self) {
        self.is_asked = self.lacks_answer();
    }

    /// Whether something was sent that may be lost: what became of a snapshot, the driver tells.
    fn lacks_answer(&self) -> bool {
        match &self.state {
            ProgressState::Probe { paused } => *paused,
            ProgressState::Replicate { .. } => self.matched.next() < self.next,
            ProgressState::Snapshot { .. } => false,
        }
    }

    /// It answered a heartbeat. Returns whether what is not acknowledged by now is to be asked for: a probe that was sent before is then taken
    /// for lost, and the next one may go out. That is so once for each regular heartbeat. Those of reads may be as many as there are reads,
    /// while a follower whose disk works acknowledges nothing.
    pub(crate) fn heartbeat_answered(&mut self) -> bool {
        self.active = true;
        let was_asked = core::mem::take(&mut self.is_asked);
        if let ProgressState::Probe { paused } = &mut self.state
            && was_asked
        {
            *paused = false;
        }
        was_asked
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
            ProgressState::Snapshot { .. } => panic!("an append was sent beside a snapshot: {self:?}"),
        }
    }

    /// Its log matches up to `matched`, durably. Returns whether that is news.
    pub(crate) fn accepted(&mut self, matched: Index) -> bool {
        self.active = true;
        let news = matched > self.matched;
        self.matched = self.matched.max(matched);
        self.next = self.next.max(self.matched.next());
        if let Some(catch_up) = &mut self.catch_up {
            catch_up.matched(self.matched);
        }
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
            ProgressState::Snapshot { index } => {
                if self.matched >= *index {
                    self.state = ProgressState::Replicate {
                        in_flight: VecDeque::new(),
                    };
                }
            }
        }
        self.is_asked &= self.lacks_answer();
        news
    }

    /// It refused an append behind `probed`; its log may match up to `candidate`. The answer to an older question changes nothing.
    pub(crate) fn rejected(&mut self, probed: Index, candidate: Index) {
        self.active = true;
        let news = match &self.state {
            ProgressState::Probe { .. } => probed == self.next.previous(),
            // What it durably holds it can't have refused; and it can't refuse what was never sent.
            ProgressState::Replicate { .. } => probed > self.matched && probed < self.next,
            // What the snapshot covers it can't be asked for in any other way.
            ProgressState::Snapshot { .. } => false,
        };
        if news {
            let next = candidate.min(probed.previous_or_zero()).next();
            self.next = next.max(self.matched.next());
            self.probe(false);
        }
    }

    fn probe(&mut self, paused: bool) {
        self.state = ProgressState::Probe { paused };
        self.is_asked = false;
    }

    /// Messages to it may have been lost.
    pub(crate) fn unreachable(&mut self) {
        match &self.state {
            ProgressState::Probe { .. } => {}
            ProgressState::Replicate { .. } => {
                self.next = self.matched.next();
                self.probe(false);
            }
            // Nothing is sent again before it shows that it is there.
            ProgressState::Snapshot { .. } => self.snapshot_ended(false),
        }
    }

    /// A snapshot up to `index` is to be carried over.
    pub(crate) fn snapshot_sent(&mut self, index: Index) {
        self.state = ProgressState::Snapshot { index };
        self.is_asked = false;
    }

    /// The snapshot arrived, or was lost. Either way it is asked for a match next, once it answered a heartbeat.
    pub(crate) fn snapshot_ended(&mut self, delivered: bool) {
        if let ProgressState::Snapshot { index } = self.state {
            if delivered {
                self.next = self.next.max(index.next());
            } else {
                self.next = self.matched.next();
            }
            self.probe(true);
        }
    }
}

impl Index {
    fn previous_or_zero(self) -> Index {
        Index(self.0.saturating_sub(1))
    }
}

/// How a learner catches up: in rounds, each of which ends when it has what the leader had when the round began (dissertation §4.2.1).
/// One that is done within an election time-out leaves so little to catch up on that the learner may vote. A learner that was silent for as
/// long may not, though it had everything when it was last heard from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct CatchUp {
    /// Where the present round ends, and how many quorum checks it has seen; `None` between rounds.
    round: Option<(Index, u8)>,
    caught_up: bool,
}

/// A round that has seen as many quorum checks lasted longer than an election time-out, whenever in one it began.
const CATCH_UP_CHECKS_MAX: u8 = 2;

impl CatchUp {
    fn new(last: Index) -> CatchUp {
        CatchUp {
            round: Some((last, 0)),
            caught_up: false,
        }
    }

    fn matched(&mut self, matched: Index) {
        if let Some((target, checks)) = self.round
            && matched >= target
        {
            self.caught_up = checks < CATCH_UP_CHECKS_MAX;
            self.round = None;
        }
    }

    /// An election time-out passed; the learner has `matched` of `last`, and was heard from or not.
    fn check(&mut self, active: bool, matched: Index, last: Index) {
        match &mut self.round {
            Some((_, checks)) => {
                *checks = checks.saturating_add(1).min(CATCH_UP_CHECKS_MAX);
                self.caught_up &= *checks < CATCH_UP_CHECKS_MAX;
            }
            None if !active => self.caught_up = false,
            None if matched < last => self.round = Some((last, 0)),
            None => self.caught_up = true,
        }
    }
}

/// What a leader knows of every member, itself included.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProgressTracker {
    /// Sorted by id.
    progress: Vec<(NodeId, Progress)>,
}

impl ProgressTracker {
    /// A new leader's view: nothing is known of anybody, and everybody is assumed to have all entries before `next`.
    pub(crate) fn new(configuration: &Configuration, next: Index) -> ProgressTracker {
        let mut tracker = ProgressTracker { progress: Vec::new() };
        tracker.follow(configuration, next);
        // Unlike one that comes later, which can't have been heard from yet.
        tracker
            .progress
            .iter_mut()
            .for_each(|(_, progress)| progress.active = false);
        tracker
    }

    /// Who takes part has changed: what is known of those who stay is kept.
    pub(crate) fn follow(&mut self, configuration: &Configuration, next: Index) {
        self.progress.retain(|(node, _)| configuration.is_member(*node));
        for member in configuration.members() {
            if let Err(place) = self.progress.binary_search_by_key(member, |(node, _)| *node) {
                self.progress.insert(place, (*member, Progress::new(next)));
            }
        }
        for (node, progress) in &mut self.progress {
            if configuration.is_voter(*node) {
                progress.catch_up = None;
            } else {
                progress
                    .catch_up
                    .get_or_insert_with(|| CatchUp::new(next.previous()));
            }
        }
    }

    /// What is known of `node`, if it is a member.
    pub fn get(&self, node: NodeId) -> Option<&Progress> {
        self.place(node).map(|place| &self.progress[place].1)
    }

    pub(crate) fn get_mut(&mut self, node: NodeId) -> Option<&mut Progress> {
        self.place(node).map(|place| &mut self.progress[place].1)
    }

    fn place(&self, node: NodeId) -> Option<usize> {
        self.progress.binary_search_by_key(&node, |(id, _)| *id).ok()
    }

    /// Every member and what is known of it, by id.
    pub fn iter(&self) -> impl Iterator<Item = (NodeId, &Progress)> {
        self.progress.iter().map(|(id, progress)| (*id, progress))
    }

    /// The highest index that is known to be durable on `node`.
    pub(crate) fn matched(&self, node: NodeId) -> Index {
        self.get(node).map_or(Index(0), Progress::matched)
    }

    /// Regular heartbeats go out to everybody.
    pub(crate) fn asked(&mut self) {
        self.progress
            .iter_mut()
            .for_each(|(_, progress)| progress.asked());
    }

    /// Whether those others who were heard from since the last check are a quorum without `own`.
    pub(crate) fn others_hold(&self, own: NodeId, configuration: &Configuration) -> bool {
        configuration.has_quorum(|node| node != own && self.get(node).is_some_and(Progress::is_active))
    }

    /// Whether a quorum was heard from since the last time, the leader `own` included; forgets who was. An election time-out has passed.
    pub(crate) fn check_quorum(&mut self, own: NodeId, configuration: &Configuration, last: Index) -> bool {
        let is_active = |node| node == own || self.get(node).is_some_and(Progress::is_active);
        let holds = configuration.has_quorum(is_active);
        for (_, progress) in &mut self.progress {
            if let Some(catch_up) = &mut progress.catch_up {
                catch_up.check(progress.active, progress.matched, last);
            }
            progress.active = false;
        }
        holds
    }
}

impl Permute for ProgressTracker {
    fn permute(&self, permutation: &[(NodeId, NodeId)]) -> Self {
        let ProgressTracker { progress } = self;
        let mut progress: Vec<_> = progress
            .iter()
            .map(|(node, progress)| (node.permute(permutation), progress.clone()))
            .collect();
        progress.sort_unstable_by_key(|(node, _)| *node);
        ProgressTracker { progress }
    }
}
