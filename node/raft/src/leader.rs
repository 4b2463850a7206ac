//! What a leader does with its own log: taking commands and reads in, and committing (Raft §5.3, §5.4.2).
//!
//! # Overload
//!
//! A command that would take what is uncommitted of the leader's term beyond [`crate::Config::uncommitted_bytes_max`] is refused with
//! [`ProposeError::Busy`]. That is definite: the command is in no log, and never will be. If nothing is uncommitted, a command is taken in
//! however large it is. No-ops and configurations are never refused; configurations count. What is committed counts no more once it is
//! applied here, too: others may commit far ahead of a slow disk, and faster than this server applies, and all that is in its memory. What was
//! uncommitted when leadership was lost dies with it (golden scripts `overload_is_refused`, `overload_of_a_leader_with_a_slow_disk_is_refused`).
//!
//! # A disk that stands still
//!
//! A leader whose own disk does nothing any more could go on for ever: it is heard from, and the others commit. But it applies nothing and
//! answers nobody. After [`STALLED_CHECKS_MAX`] election time-outs in which a write was in flight and none was done, it makes way for one of
//! those that commit without it, if there are enough (`leader_with_a_disk_that_stands_still_makes_way`).

use crate::configuration::Configuration;
use crate::message::Message;
use crate::mutant::mutated;
use crate::protocol::{ProposeError, Raft, ReadIndexError};
use crate::read::{ReadOutcome, ReadQueue, ReadToken};
use crate::role::{Role, RoleKind};
use crate::storage::Storage;
use crate::symmetry::Permute;
use crate::tracker::ProgressTracker;
use crate::transfer::Transfer;
use crate::types::{Entry, EntryData, Index, LogPosition, NodeId, Term};
use alloc::collections::VecDeque;

/// For how many election time-outs, about, a leader's disk may do nothing. Not fewer: a slow disk is better than a cluster that does nothing but
/// elect leaders with slow disks.
const STALLED_CHECKS_MAX: u8 = 4;

/// What a leader has beside its log; it dies with its leadership.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Leader {
    pub(crate) tracker: ProgressTracker,
    pub(crate) reads: ReadQueue,
    /// Where its term's first entry stands; until that is committed, the leader doesn't know what is.
    pub(crate) term_start: Index,
    pub(crate) uncommitted: Uncommitted,
    /// How many quorum checks have passed since a write was done, while one was in flight.
    pub(crate) stalled_checks: u8,
    pub(crate) transfer: Option<Transfer>,
    /// Whether another server was asked to stand: then leases are over for this term. Kept only where there are leases.
    pub(crate) has_given_way: bool,
}

impl Leader {
    pub(crate) fn new(configuration: &Configuration, term_start: Index) -> Leader {
        Leader {
            tracker: ProgressTracker::new(configuration, term_start),
            reads: ReadQueue::default(),
            term_start,
            uncommitted: Uncommitted::default(),
            stalled_checks: 0,
            transfer: None,
            has_given_way: false,
        }
    }
}

/// The entries of a leader's own term, behind the one that opens it, that are not committed, or not applied here: their sizes, oldest first, and
/// the sum of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Uncommitted {
    sizes: VecDeque<usize>,
    bytes: usize,
}

impl Uncommitted {
    /// Takes a command in, unless that exceeds `bytes_max`. The first is taken in however large it is: otherwise it never could be.
    fn push(&mut self, size: usize, bytes_max: usize) -> bool {
        let fits = self.sizes.is_empty() || self.bytes + size <= bytes_max;
        if fits {
            self.add(size);
        }
        fits
    }

    /// Takes in what must not be refused.
    pub(crate) fn add(&mut self, size: usize) {
        self.sizes.push_back(size);
        self.bytes += size;
    }

    /// Only the newest `count` are left.
    fn keep(&mut self, count: usize) {
        let done = self.sizes.len().saturating_sub(count);
        self.bytes -= self.sizes.drain(..done).sum::<usize>();
    }
}

impl<S: Storage> Raft<S> {
    /// Appends the entry with which a leader opens its term (Raft §8).
    pub(crate) fn append_noop(&mut self) {
        let Role::Leader(leader) = &self.role else {
            panic!("{} opens a term that it does not lead", self.id())
        };
        let entry = Entry {
            term: self.term,
            index: leader.term_start,
            data: EntryData::Noop,
        };
        self.log.push(entry);
        self.own_log_is_durable();
    }

    /// Takes in a command. It is committed when an entry *of this position* is; another entry at its index means that it was
    /// lost.
    ///
    /// # Errors
    /// This server does not lead, or too much is uncommitted. Definite: the command entered no log.
    pub fn propose(&mut self, command: S::Command) -> Result<LogPosition, ProposeError> {
        let known_leader = self.leader();
        let index = self.log.last_index().next();
        let entry = Entry {
            term: self.term,
            index,
            data: EntryData::Command(command),
        };
        let bumped = self.role() == RoleKind::Follower && known_leader.is_none() && self.term > Term(0);
        if mutated!(self.config, StampAfterStepDown) && bumped {
            let position = entry.position();
            self.log.push(entry);
            return Ok(position);
        }
        let Role::Leader(leader) = &mut self.role else {
            return Err(ProposeError::NotLeader { leader: known_leader });
        };
        if let Some(transfer) = &leader.transfer {
            return Err(ProposeError::Transferring { to: transfer.to });
        }
        if !leader
            .uncommitted
            .push(entry.size(), self.config.uncommitted_bytes_max)
        {
            return Err(ProposeError::Busy);
        }
        let position = entry.position();
        self.log.push(entry);
        Ok(position)
    }

    /// Takes in a read, or a batch of reads: [`crate::Ready::reads`] will tell what became of it. A follower asks its leader about it if
    /// [`crate::Config::life`] is set, and answers it itself.
    ///
    /// # Errors
    /// This server does not lead, nor can it ask who does.
    pub fn read_index(&mut self, token: ReadToken) -> Result<(), ReadIndexError> {
        let leads = self.role() == RoleKind::Leader;
        if mutated!(self.config, StaleLocalRead) || (leads && mutated!(self.config, LeaseIsRole)) {
            let index = self.log.committed();
            self.read_outcomes.push(ReadOutcome::Confirmed { token, index });
            return Ok(());
        }
        if self.forward_read(token) {
            return Ok(());
        }
        let known_leader = self.leader();
        let Role::Leader(leader) = &mut self.role else {
            return Err(ReadIndexError::NotLeader { leader: known_leader });
        };
        if mutated!(self.config, ReadBatchFirstIndex) && leader.reads.join(token) {
            return Ok(());
        }
        leader.reads.push(token);
        Ok(())
    }

    /// Begins a round of reads if some wait, none is in flight and this leader knows what is committed.
    pub(crate) fn begin_round(&mut self) {
        if !self.wants_round() {
            return;
        }
        self.open_round();
        if !self.confirm_own_round() {
            self.send_heartbeats();
        }
    }

    fn open_round(&mut self) {
        let (id, committed) = (self.id(), self.log.committed());
        let Role::Leader(leader) = &mut self.role else {
            panic!("{id} begins a round without leading")
        };
        leader.reads.begin(committed);
    }

    /// Confirms the round in flight to itself. Returns whether it is over with that: there may be nobody else to ask, or nobody any more.
    pub(crate) fn confirm_own_round(&mut self) -> bool {
        let id = self.id();
        let Role::Leader(leader) = &mut self.role else {
            return false;
        };
        let round = leader.reads.round();
        let confirmed = leader.reads.confirm(id, round, self.membership.latest());
        if confirmed {
            self.finish_round();
        }
        confirmed
    }

    /// The round in flight is confirmed.
    fn finish_round(&mut self) {
        let Role::Leader(leader) = &mut self.role else {
            panic!("{} ends a round without leading", self.config.id)
        };
        self.read_outcomes.extend(leader.reads.finish());
        self.answer_forwarded();
    }

    pub(crate) fn wants_round(&self) -> bool {
        match &self.role {
            Role::Leader(leader) => {
                let knows_committed =
                    self.log.committed() >= leader.term_start || mutated!(self.config, ReadBeforeNoop);
                leader.reads.wants_round() && knows_committed
            }
            Role::Follower(_) | Role::PreCandidate(_) | Role::Candidate(_) => false,
        }
    }

    /// Time for heartbeats, if this server leads.
    pub fn heartbeat_timeout(&mut self) {
        let renews = self.config.lease.is_some();
        let Role::Leader(leader) = &mut self.role else {
            return;
        };
        leader.tracker.asked();
        if renews {
            // These heartbeats are a round of their own, unless one is in flight: then they are that one's, once more.
            leader.reads.renew();
            if self.wants_round() {
                self.open_round();
                self.confirm_own_round();
            }
        }
        self.send_heartbeats();
    }

    fn send_heartbeats(&mut self) {
        for to in self.others() {
            let Role::Leader(leader) = &self.role else {
                panic!("{} sends heartbeats without leading", self.id())
            };
            let matched = leader.tracker.matched(to);
            let round = leader.reads.round();
            // Not beyond what the follower is known to hold: its log behind that may be another.
            self.send(
                to,
                Message::Heartbeat {
                    commit: if mutated!(self.config, CommitUnverified) {
                        self.log.committed()
                    } else {
                        self.log.committed().min(matched)
                    },
                    round,
                },
            );
        }
    }

    pub(crate) fn on_heartbeat_response(&mut self, from: NodeId, round: u64) {
        let last = self.log.last_index();
        let Role::Leader(leader) = &mut self.role else {
            return;
        };
        let Some(progress) = leader.tracker.get_mut(from) else {
            return;
        };
        let may_lack_entries = progress.heartbeat_answered() && progress.matched() < last;
        let round = if mutated!(self.config, ReadContextReused) {
            leader.reads.round()
        } else {
            round
        };
        if leader.reads.confirm(from, round, self.membership.latest()) {
            self.finish_round();
        }
        if may_lack_entries {
            self.probe_for_losses(from);
        }
    }

    /// An election time-out passed since the last time: steps down if no majority was heard from in it, and gives a transfer of its
    /// leadership up that was not done in all of it.
    pub fn quorum_check(&mut self) {
        let (id, last) = (self.id(), self.log.last_index());
        let Role::Leader(leader) = &mut self.role else {
            return;
        };
        if !mutated!(self.config, TransferNeverAborts) {
            leader.transfer = leader.transfer.take().and_then(Transfer::aged);
        }
        leader.stalled_checks = match self.pending_writes.len() {
            0 => 0,
            _ => leader.stalled_checks.saturating_add(1).min(STALLED_CHECKS_MAX),
        };
        let is_stalled = leader.stalled_checks == STALLED_CHECKS_MAX;
        let configuration = self.membership.latest();
        let others_hold = is_stalled && leader.tracker.others_hold(id, configuration);
        let holds = leader.tracker.check_quorum(id, configuration, last);
        if self.config.check_quorum && !holds {
            self.become_follower(self.term, None);
        } else if self.config.check_quorum && others_hold {
            self.make_way_for_good();
        }
    }

    /// Counts this server's own durable log, if it leads.
    pub(crate) fn own_log_is_durable(&mut self) {
        let (id, stable) = (self.id(), self.log.stable());
        let Role::Leader(leader) = &mut self.role else {
            return;
        };
        // It is none any more while it commits its own removal.
        if let Some(progress) = leader.tracker.get_mut(id) {
            progress.accepted(stable);
        }
        self.advance_commit();
    }

    /// Commits what a majority holds durably, if it is of this term: what came before is committed with it, and never by
    /// counting (Raft §5.4.2, figure 8).
    pub(crate) fn advance_commit(&mut self) {
        let Role::Leader(leader) = &mut self.role else {
            return;
        };
        let configuration = self.membership.latest();
        let matched = |voter| leader.tracker.matched(voter);
        let index = if mutated!(self.config, QuorumArithmetic) {
            matched(configuration.voters()[configuration.voters().len() / 2])
        } else if mutated!(self.config, LearnerCounted) {
            Configuration::of_voters(configuration.members().iter().copied()).quorum_index(matched)
        } else if mutated!(self.config, RemovedLeaderQuorum) && !configuration.is_voter(self.config.id) {
            self.log.stable()
        } else {
            configuration.quorum_index(matched)
        };
        let before = self.log.committed();
        let of_this_term = index >= leader.term_start || mutated!(self.config, CommitOldTerm);
        if index > before && of_this_term {
            self.log.commit_to(index);
            self.configuration_may_be_committed();
        }
    }

    /// More was applied, which counts no more.
    pub(crate) fn free_uncommitted(&mut self) {
        if let Role::Leader(leader) = &mut self.role {
            // The first entry of the term is not counted, and what came before it never was.
            let done = self.log.applied().max(leader.term_start);
            leader.uncommitted.keep(self.log.last_index().since(done));
        }
    }
}

impl Permute for Leader {
    fn permute(&self, permutation: &[(NodeId, NodeId)]) -> Self {
        let Leader {
            tracker,
            reads,
            term_start,
            uncommitted,
            stalled_checks,
            transfer,
            has_given_way,
        } = self;
        Leader {
            tracker: tracker.permute(permutation),
            reads: reads.permute(permutation),
            term_start: *term_start,
            uncommitted: uncommitted.clone(),
            stalled_checks: *stalled_checks,
            transfer: transfer.permute(permutation),
            has_given_way: *has_given_way,
        }
    }
}
