//! The way in: a [`Raft`] with ticks, a seed and a [`Logger`].

use crate::config::{Config, ConfigError, Timing};
use crate::configuration::Change;
use crate::event::{Event, Logger};
use crate::lease::LeaseTimes;
use crate::message::Envelope;
use crate::protocol::{ProposeError, Raft, ReadIndexError};
use crate::read::ReadToken;
use crate::ready::{Ready, WriteId};
use crate::reconfigure::ChangeError;
use crate::role::RoleKind;
use crate::snapshot::SnapshotStatus;
use crate::storage::Storage;
use crate::transfer::TransferError;
use crate::types::{Index, LogPosition, NodeId, Term};
use bytes::Bytes;
use core::time::Duration;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A server that is driven by ticks.
///
/// The same configuration, storage, seed and calls give the same results.
#[derive(Clone, Debug)]
pub struct RawNode<S: Storage, L: Logger> {
    raft: Raft<S>,
    timing: Timing,
    random: ChaCha8Rng,
    logger: L,
    /// Ticks since a leader was heard from, a vote was given, or this server last stood or began to lead.
    election_elapsed: u32,
    /// When that reaches this, a server that does not lead stands for election.
    election_deadline: u32,
    /// Ticks since the last heartbeats.
    heartbeat_elapsed: u32,
    /// Ticks since the latest request about reads first went out.
    read_elapsed: u32,
    last_write: WriteId,
    lease: LeaseTimes,
}

/// What is watched for the logger and the timers.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Observed {
    term: Term,
    vote: Option<NodeId>,
    role: RoleKind,
    leader: Option<NodeId>,
    commit: Index,
    /// Where the configuration in force stands.
    configuration: Index,
    installing: Option<LogPosition>,
}

/// Which of the core's inputs of time a tick leads to, in the order in which they are given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Due {
    /// [`Raft::heartbeat_timeout`].
    pub heartbeat: bool,
    /// [`Raft::quorum_check`].
    pub quorum_check: bool,
    /// [`Raft::leader_silent`].
    pub leader_silent: bool,
    /// [`Raft::election_timeout`].
    pub election: bool,
    /// [`Raft::read_timeout`].
    pub read: bool,
    /// [`Raft::give_reads_up`].
    pub reads_given_up: bool,
}

impl<S: Storage, L: Logger> RawNode<S, L> {
    /// A server that starts, or starts again, with what `storage` holds; `seed` and its id decide its election time-outs, so
    /// that servers with one seed still differ.
    ///
    /// # Errors
    /// The settings can't work.
    ///
    /// # Panics
    /// The storage contradicts itself.
    pub fn new(
        config: Config,
        timing: Timing,
        seed: u64,
        storage: S,
        logger: L,
    ) -> Result<Self, ConfigError> {
        timing.validate()?;
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(config.id.0);
        let mut node = RawNode {
            raft: Raft::new(config, storage)?,
            timing,
            random,
            logger,
            election_elapsed: 0,
            election_deadline: 0,
            heartbeat_elapsed: 0,
            read_elapsed: 0,
            last_write: WriteId(0),
            lease: LeaseTimes::default(),
        };
        node.restart_election_timer();
        Ok(node)
    }

    /// The protocol, to look at.
    pub fn raft(&self) -> &Raft<S> {
        &self.raft
    }

    /// The storage, to carry out writes.
    pub fn storage_mut(&mut self) -> &mut S {
        self.raft.storage_mut()
    }

    /// The storage, when the server is gone.
    pub fn into_storage(self) -> S {
        self.raft.into_storage()
    }

    /// What the next tick will lead to, all of it false for most ticks.
    pub fn due(&self) -> Due {
        let election_elapsed = self.election_elapsed + 1;
        let (min, deadline) = (self.timing.election_ticks_min, self.election_deadline);
        let leads = self.raft.role() == RoleKind::Leader;
        let (awaits, read_elapsed) = (self.raft.awaits_read_index(), self.read_elapsed + 1);
        Due {
            heartbeat: leads && self.heartbeat_elapsed + 1 >= self.timing.heartbeat_ticks,
            quorum_check: leads && election_elapsed >= min,
            leader_silent: !leads && election_elapsed == min,
            election: !leads && election_elapsed >= deadline,
            read: awaits && read_elapsed.is_multiple_of(self.timing.heartbeat_ticks),
            reads_given_up: awaits && read_elapsed >= self.timing.election_ticks_max,
        }
    }

    /// One tick of time passed.
    pub fn tick(&mut self) {
        let due = self.due();
        self.election_elapsed += 1;
        if self.raft.role() == RoleKind::Leader {
            self.heartbeat_elapsed += 1;
        }
        if self.raft.awaits_read_index() {
            self.read_elapsed += 1;
        }
        if due.heartbeat {
            self.heartbeat_elapsed = 0;
            self.observed(Raft::heartbeat_timeout);
        }
        if due.quorum_check {
            self.election_elapsed = 0;
            self.observed(Raft::quorum_check);
        }
        if due.leader_silent {
            self.observed(Raft::leader_silent);
        }
        if due.election {
            self.restart_election_timer();
            self.observed(Raft::election_timeout);
        }
        if due.read {
            self.raft.read_timeout();
        }
        if due.reads_given_up {
            self.raft.give_reads_up();
        }
    }

    /// Takes in a message: see [`Raft::step`].
    ///
    /// # Panics
    /// As [`Raft::step`].
    pub fn step(&mut self, envelope: Envelope<S::Command>) {
        let (from, term) = (envelope.from, envelope.term);
        let of_leader = envelope.message.is_order();
        self.observed(|raft| raft.step(envelope));
        if of_leader && term == self.raft.term() && self.raft.leader() == Some(from) {
            self.election_elapsed = 0;
        }
    }

    /// Stands for election at once: see [`Raft::campaign`]. A leader stays one.
    pub fn campaign(&mut self) {
        if self.raft.role() != RoleKind::Leader {
            self.observed(Raft::campaign);
        }
    }

    /// Takes in a command: see [`Raft::propose`].
    ///
    /// # Errors
    /// As [`Raft::propose`].
    pub fn propose(&mut self, command: S::Command) -> Result<LogPosition, ProposeError> {
        self.raft.propose(command)
    }

    /// It is `now` by a clock that does not go back, not even while the process is stopped; counted from any beginning. Only leases
    /// need it, and there are none where it is never told. It is to be told *after* a read was received and before it is taken in, and
    /// again before whatever is to be sent.
    pub fn time_is(&mut self, now: Duration) {
        self.lease.time_is(now);
    }

    /// Whether this server leads, and a read that it takes in now is confirmed at once.
    pub fn has_lease(&self) -> bool {
        self.lease.runs(self.raft.term()) && self.raft.may_read_by_lease()
    }

    /// Takes in a read: see [`Raft::read_index`]. While a lease runs, it is confirmed at once.
    ///
    /// # Errors
    /// As [`Raft::read_index`].
    pub fn read_index(&mut self, token: ReadToken) -> Result<(), ReadIndexError> {
        if self.lease.runs(self.raft.term()) && self.raft.read_by_lease(token) {
            return Ok(());
        }
        self.raft.read_index(token)
    }

    /// Begins to change who takes part: see [`Raft::propose_change`].
    ///
    /// # Errors
    /// As [`Raft::propose_change`].
    pub fn propose_change(&mut self, changes: &[Change]) -> Result<LogPosition, ChangeError> {
        self.observed(|raft| raft.propose_change(changes))
    }

    /// Begins to change who takes part, and what is kept of members: see [`Raft::propose_change_with`].
    ///
    /// # Errors
    /// As [`Raft::propose_change_with`].
    pub fn propose_change_with(
        &mut self,
        changes: &[Change],
        contexts: &[(NodeId, Bytes)],
    ) -> Result<LogPosition, ChangeError> {
        self.observed(|raft| raft.propose_change_with(changes, contexts))
    }

    /// Begins to hand leadership over: see [`Raft::transfer_leader`].
    ///
    /// # Errors
    /// As [`Raft::transfer_leader`].
    pub fn transfer_leader(&mut self, to: NodeId) -> Result<(), TransferError> {
        self.raft.transfer_leader(to)
    }

    /// What became of a snapshot that was to be carried over to `node`.
    pub fn report_snapshot(&mut self, node: NodeId, status: SnapshotStatus) {
        self.raft.report_snapshot(node, status);
    }

    /// The file of the snapshot up to `last` turned out to be damaged, which `from` has sent, or which is this server's own. The logger hears that.
    pub fn report_damaged_snapshot(&mut self, last: LogPosition, from: Option<NodeId>) {
        let id = self.raft.id();
        self.logger.log(id, Event::SnapshotDamaged { last, from });
    }

    /// Messages to `node` may have been lost.
    pub fn report_unreachable(&mut self, node: NodeId) {
        self.raft.report_unreachable(node);
    }

    /// Whether [`RawNode::ready`] has anything to ask.
    pub fn has_ready(&self) -> bool {
        self.raft.has_ready()
    }

    /// What is asked of the driver now; see the crate's documentation for the contract.
    pub fn ready(&mut self) -> Ready<S::Command> {
        let id = WriteId(self.last_write.0 + 1);
        let ready = self.hand_out(|raft| raft.ready(id));
        if ready.write.is_some() {
            self.last_write = id;
        }
        ready
    }

    /// Whether [`RawNode::ready_besides_write`] has anything to ask.
    pub fn has_ready_besides_write(&self) -> bool {
        self.raft.has_ready_besides_write()
    }

    /// What is asked of the driver now, but for a write: see [`Raft::ready_besides_write`].
    pub fn ready_besides_write(&mut self) -> Ready<S::Command> {
        self.hand_out(Raft::ready_besides_write)
    }

    fn hand_out(&mut self, ready: impl FnOnce(&mut Raft<S>) -> Ready<S::Command>) -> Ready<S::Command> {
        let read_requests = self.raft.read_requests;
        let ready = self.observed(ready);
        if self.raft.read_requests != read_requests {
            self.read_elapsed = 0;
        }
        ready
    }

    /// The write `id` and all before it are durable. A report that comes again changes nothing.
    pub fn persisted(&mut self, id: WriteId) {
        self.observed(|raft| raft.persisted(id));
    }

    /// Everything up to `index` was applied: see [`Raft::applied`].
    ///
    /// # Panics
    /// As [`Raft::applied`].
    pub fn applied(&mut self, index: Index) {
        self.raft.applied(index);
    }

    /// What was handed out to be applied, and was not, is to be handed out again: see [`Raft::hand_back`].
    pub fn hand_back(&mut self) {
        self.raft.hand_back();
    }

    fn observe(&self) -> Observed {
        let raft = &self.raft;
        Observed {
            term: raft.term(),
            vote: raft.vote(),
            role: raft.role(),
            leader: raft.leader(),
            commit: raft.commit_index(),
            configuration: raft.membership.latest_index(),
            installing: raft.log.installing(),
        }
    }

    /// Does something to the protocol, sets the timers by what changed, and tells the logger.
    fn observed<T>(&mut self, action: impl FnOnce(&mut Raft<S>) -> T) -> T {
        let before = self.observe();
        let result = action(&mut self.raft);
        if let Some(length) = self.raft.config().lease {
            self.lease.observe(self.raft.latest_round(), length);
        }
        let after = self.observe();
        if before != after {
            self.set_timers(before, after);
            self.tell(before, after);
        }
        result
    }

    fn set_timers(&mut self, before: Observed, after: Observed) {
        let is_news = |known: bool, changed: bool| known && (changed || before.term != after.term);
        let voted = is_news(after.vote.is_some(), before.vote != after.vote);
        let follows = is_news(after.leader.is_some(), before.leader != after.leader);
        let stands_again = is_news(after.role != RoleKind::Follower, false);
        // A candidate that is refused puts nobody off (Raft §5.2): a server with a short log and a fast clock could otherwise keep
        // everybody else from standing, for ever.
        if before.role != after.role || voted || follows || stands_again {
            self.restart_election_timer();
            self.heartbeat_elapsed = 0;
        }
    }

    fn restart_election_timer(&mut self) {
        let Timing {
            election_ticks_min,
            election_ticks_max,
            ..
        } = self.timing;
        self.election_elapsed = 0;
        self.election_deadline = if self.raft.term() == Term(0) {
            // Before the first election there is no leader to wait for; only the tie has to be broken.
            self.random.random_range(1..=election_ticks_min)
        } else {
            self.random.random_range(election_ticks_min..=election_ticks_max)
        };
    }

    fn tell(&mut self, before: Observed, after: Observed) {
        let id = self.raft.id();
        let term = after.term;
        if before.term != term {
            self.logger.log(id, Event::TermAdvanced { term });
        }
        if let Some(candidate) = after.vote
            && (before.term, before.vote) != (term, after.vote)
        {
            self.logger.log(id, Event::Voted { term, candidate });
        }
        if before.role != after.role {
            self.logger.log(
                id,
                Event::RoleChanged {
                    term,
                    role: after.role,
                },
            );
        }
        if let Some(leader) = after.leader
            && leader != id
            && (before.term, before.leader) != (term, after.leader)
        {
            self.logger.log(id, Event::LeaderKnown { term, leader });
        }
        if let (Some(last), None) = (before.installing, after.installing) {
            self.logger.log(id, Event::SnapshotInstalled { last });
        }
        if before.configuration != after.configuration {
            let configuration = self.raft.membership.latest().clone();
            let index = after.configuration;
            self.logger
                .log(id, Event::ConfigurationChanged { index, configuration });
        }
        if before.commit != after.commit {
            self.logger.log(id, Event::Committed { index: after.commit });
        }
    }
}
