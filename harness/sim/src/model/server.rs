//! One server: the production core, what its disk is doing, and what one input leads to.

use super::clock::Clock;
use super::worlds::World;
use crate::caught::caught;
use raft::{
    Configuration, Entry, Envelope, Index, Life, LogPosition, MemoryStorage, Message, NodeId, Permute,
    ProgressState, Raft, ReadOutcome, ReadToken, Ready, RoleKind, SnapshotStatus, Storage as _, Term, Write,
    WriteId,
};
use std::collections::VecDeque;
use std::sync::Arc;

/// The data folder that every server begins with, by which the others know it.
const FOLDER: u8 = 1;

/// One server: the production core, and what its disk is doing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Server {
    /// Who it is. (The core's own settings take no part in its comparison.)
    pub id: NodeId,
    /// The core, over what is durable.
    pub raft: Raft<MemoryStorage<u8>>,
    /// Writes that were handed out and are not durable.
    pub writing: VecDeque<Write<u8>>,
    /// What leases are timed by.
    pub clock: Clock,
    /// Which data folder it has; every other server knows the first.
    pub folder: u8,
    /// Whether others let it in with that.
    pub is_let_in: bool,
}

/// Something that comes to a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Input {
    /// An election time-out passes.
    Timeout,
    /// The least election time-out passes without a word from its leader.
    Silent,
    /// Time for heartbeats.
    Heartbeat,
    /// Time to count who was heard from.
    QuorumCheck,
    /// A message arrives.
    Deliver(Envelope<u8>),
    /// The oldest write becomes durable.
    Persist,
    /// What is not durable is lost, and the server starts again.
    Crash,
    /// A client proposes a command.
    Propose(u8),
    /// A client reads.
    Read(u8),
    /// A client reads while the server has a lease.
    LeaseRead(u8),
    /// The server's clock goes on by a tick.
    Tick,
    /// The server loses its disk, and starts again as one that never was up, under its old id.
    Wipe,
    /// What was applied becomes a snapshot, and leaves the log.
    Compact,
    /// Members are changed, as this one of the world's changes says.
    Change(u8),
    /// Leadership is to be handed over.
    Transfer(NodeId),
    /// A snapshot for this server was lost on the way.
    SnapshotLost(NodeId),
}

impl Input {
    /// The message that arrives, if one does.
    pub(super) fn message(&self) -> Option<&Envelope<u8>> {
        if let Input::Deliver(envelope) = self {
            Some(envelope)
        } else {
            None
        }
    }
}

/// What an input led to, as far as one server shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Effects {
    pub(super) sent: Vec<Envelope<u8>>,
    pub(super) applied: Vec<Entry<u8>>,
    pub(super) reads: Vec<ReadOutcome>,
    /// A client's request was taken in; where, if it is a command or a change.
    pub(super) taken_in: Option<Option<LogPosition>>,
    /// A promise that the server broke all by itself.
    pub(super) accusation: Option<String>,
}

impl Server {
    /// A server that starts at `now` of its clock.
    fn started(world: &World, id: NodeId, life: Life, storage: MemoryStorage<u8>, now: u8) -> Server {
        let config = world.config(id, life);
        let raft = Raft::new(config, storage).expect("a world's settings can work");
        Server {
            id,
            raft,
            writing: VecDeque::new(),
            clock: Clock::of_process(world, now),
            folder: FOLDER,
            is_let_in: true,
        }
    }

    /// A server that was never up.
    pub(super) fn fresh(world: &World, id: NodeId) -> Server {
        let voters = u64::from(world.voters);
        let configuration = if world.learners {
            let learners = (voters + 1..=u64::from(world.servers)).map(NodeId).collect();
            let voters = (1..=voters).map(NodeId).collect();
            Configuration::from_parts(voters, Vec::new(), learners, Vec::new()).expect("they are apart")
        } else if id.0 <= voters {
            Configuration::of_voters((1..=voters).map(NodeId))
        } else {
            Configuration::default()
        };
        let storage = MemoryStorage::with_configuration(configuration);
        Server::started(world, id, Life(1), storage, 0)
    }

    /// The highest term that it can't go back behind.
    pub(super) fn durable_term(&self) -> Term {
        self.raft.storage().hard_state().term
    }

    /// Whether its disk was lost, and what it had promised with it.
    pub(super) fn was_wiped(&self) -> bool {
        self.folder != FOLDER
    }

    pub(super) fn leads(&self) -> bool {
        self.raft.role() == RoleKind::Leader
    }

    /// Whether it has applied something that is still in its log.
    pub(super) fn can_compact(&self) -> bool {
        self.writing.is_empty() && self.raft.applied_index() >= self.raft.first_index()
    }

    /// The members to whom a snapshot is on its way.
    pub(super) fn snapshots_on_their_way(&self) -> impl Iterator<Item = NodeId> {
        let tracker = self.raft.progress().into_iter();
        tracker.flat_map(|tracker| {
            tracker
                .iter()
                .filter(|(_, progress)| matches!(progress.state(), ProgressState::Snapshot { .. }))
                .map(|(node, _)| node)
        })
    }

    /// Takes an input in and does what the core asks for, until it asks for nothing more.
    ///
    /// A panic of the core is a broken promise.
    pub(super) fn take(&mut self, world: &World, input: &Input) -> Effects {
        let before = Standing::of(self);
        let mut effects = Effects::default();
        match caught(|| self.step(world, input, &mut effects)) {
            Ok(()) if !matches!(input, Input::Crash | Input::Wipe) => {
                let accusation = before.accuse(self);
                effects.accusation = effects.accusation.take().or(accusation);
            }
            Ok(()) => {}
            Err(words) => effects.accusation = Some(format!("panic: {words}")),
        }
        effects
    }

    fn step(&mut self, world: &World, input: &Input, effects: &mut Effects) {
        match input {
            Input::Timeout => self.raft.election_timeout(),
            Input::Silent => {
                self.raft.leader_silent();
                self.clock.is_silent();
            }
            Input::Heartbeat => self.raft.heartbeat_timeout(),
            Input::QuorumCheck => self.raft.quorum_check(),
            Input::Deliver(envelope) => {
                self.raft.step(envelope.clone());
                let from_leader =
                    envelope.term == self.raft.term() && self.raft.leader() == Some(envelope.from);
                self.clock.heard(world, &envelope.message, from_leader);
            }
            Input::Persist => self.persist(),
            Input::Crash => {
                let life = self.raft.life().map_or(Life(1), |life| Life(life.0 + 1));
                let storage = self.raft.storage().clone();
                *self = Server::started(world, self.id, life, storage, self.clock.now());
            }
            Input::Tick => self.clock.tick(),
            Input::Wipe => {
                let folder = self.folder + 1;
                *self = Server::fresh(world, self.id);
                self.folder = folder;
                self.is_let_in = !world.knows_folders();
            }
            Input::LeaseRead(token) => {
                let token = ReadToken(u64::from(*token));
                effects.taken_in = self.raft.read_by_lease(token).then_some(None);
            }
            Input::Propose(command) => {
                effects.taken_in = self.raft.propose(*command).ok().map(Some);
            }
            Input::Read(token) => {
                let asked = self.raft.read_index(ReadToken(u64::from(*token)));
                effects.taken_in = asked.is_ok().then_some(None);
            }
            Input::Compact => {
                let snapshot = self.raft.snapshot_meta().expect("something was applied");
                self.raft.storage_mut().compact(Arc::new(snapshot));
                effects.taken_in = Some(None);
            }
            Input::Change(which) => {
                let changes = world.changes[usize::from(*which)].changes;
                effects.taken_in = self.raft.propose_change(changes).ok().map(Some);
            }
            Input::Transfer(to) => {
                effects.taken_in = self.raft.transfer_leader(*to).is_ok().then_some(None);
            }
            Input::SnapshotLost(to) => self.raft.report_snapshot(*to, SnapshotStatus::Failed),
        }
        self.settle(world, effects);
        if !self.is_let_in {
            // Nobody hears it.
            effects.sent.clear();
        }
    }

    fn settle(&mut self, world: &World, effects: &mut Effects) {
        self.clock.observe(world, &self.raft);
        while self.raft.has_ready() {
            let Ready {
                messages,
                write,
                committed,
                reads,
            } = self.raft.ready(WriteId(0));
            self.clock.observe(world, &self.raft);
            for envelope in &messages {
                if let Some(accusation) = self.covers(envelope) {
                    effects.accusation.get_or_insert(accusation);
                }
            }
            effects.sent.extend(messages);
            if let Some(write) = write {
                self.writing.push_back(write);
                if !world.writes_take_time {
                    self.persist();
                }
            }
            if let Some(last) = committed.last() {
                self.raft.applied(last.index);
            }
            effects.applied.extend(committed);
            effects.reads.extend(reads);
            self.clock.observe(world, &self.raft);
        }
    }

    fn persist(&mut self) {
        let Some(write) = self.writing.pop_front() else {
            return;
        };
        self.raft.storage_mut().apply(&write);
        self.raft.persisted(write.id);
        if let Some(snapshot) = write.snapshot {
            self.raft.applied(snapshot.last.index);
        }
    }

    /// What a message promises must be durable when it leaves.
    fn covers(&self, envelope: &Envelope<u8>) -> Option<String> {
        let storage = self.raft.storage();
        let durable = storage.hard_state();
        let covered = match &envelope.message {
            Message::VoteResponse { granted: true } => {
                (durable.term, durable.vote) == (envelope.term, Some(envelope.to))
                    || durable.term > envelope.term
            }
            Message::Vote { last, .. } => {
                durable.term >= envelope.term && storage.term(last.index) == Ok(last.term)
            }
            Message::AppendAccepted { matched } => {
                let first = storage.first_index().max(self.raft.first_index());
                let as_in_memory = (first.0..=matched.0).map(Index).all(|index| {
                    let on_disk = storage.term(index).ok();
                    on_disk.is_some() && on_disk == self.raft.log_term(index)
                });
                durable.term >= envelope.term && as_in_memory && *matched <= storage.last_index()
            }
            Message::PreVote { .. }
            | Message::PreVoteResponse { .. }
            | Message::VoteResponse { granted: false }
            | Message::Append { .. }
            | Message::AppendRejected { .. }
            | Message::Heartbeat { .. }
            | Message::HeartbeatResponse { .. }
            | Message::Snapshot { .. }
            | Message::TimeoutNow
            | Message::ReadIndex { .. }
            | Message::ReadIndexResponse { .. } => true,
        };
        (!covered)
            .then(|| format!("durability: {envelope} leaves, and its sender's disk knows nothing of it"))
    }
}

/// What may only grow while a process lives.
struct Standing {
    term: Term,
    vote: Option<NodeId>,
    commit: Index,
    applied: Index,
    /// The term and the commit index on disk.
    durable: (Term, Index),
}

impl Standing {
    fn of(server: &Server) -> Standing {
        let raft = &server.raft;
        Standing {
            term: raft.term(),
            vote: raft.vote(),
            commit: raft.commit_index(),
            applied: raft.applied_index(),
            durable: {
                let on_disk = raft.storage().hard_state();
                (on_disk.term, on_disk.commit)
            },
        }
    }

    fn accuse(&self, server: &Server) -> Option<String> {
        let (now, raft, id) = (Standing::of(server), &server.raft, server.id);
        if now.term < self.term || now.commit < self.commit || now.applied < self.applied {
            return Some(format!(
                "monotonicity: {id} goes back from term {}, commit {} and applied {} to {}, {} and {}",
                self.term, self.commit, self.applied, now.term, now.commit, now.applied
            ));
        }
        if now.durable.0 < self.durable.0 || now.durable.1 < self.durable.1 {
            return Some(format!(
                "monotonicity: the disk of {id} goes back from term {} and commit {} to {} and {}",
                self.durable.0, self.durable.1, now.durable.0, now.durable.1
            ));
        }
        if now.term == self.term && self.vote.is_some() && now.vote != self.vote {
            return Some(format!(
                "monotonicity: {id} changes its vote in term {}",
                now.term
            ));
        }
        if now.applied > now.commit || now.commit > raft.last().index {
            return Some(format!(
                "log: {id} has applied {}, committed {} and ends at {}",
                now.applied,
                now.commit,
                raft.last()
            ));
        }
        if server.writing.is_empty()
            && let Some((_, latest)) = raft.storage().initial_state().configurations.last()
            && **latest != *raft.configuration()
        {
            return Some(format!(
                "membership: {id} has the configuration ({}), and its log says ({latest})",
                raft.configuration()
            ));
        }
        if server.leads() {
            let uncommitted = (now.commit.next().0..=raft.last().index.0)
                .filter_map(|index| raft.entry(Index(index)))
                .filter(|entry| matches!(entry.data, raft::EntryData::Configuration(_)))
                .count();
            if uncommitted > 1 {
                return Some(format!(
                    "membership: {id} leads with {uncommitted} configurations that are not committed"
                ));
            }
            let progress = raft.progress().into_iter().flat_map(|tracker| tracker.iter());
            for (of, progress) in progress {
                if progress.matched() >= progress.next() {
                    return Some(format!(
                        "progress: {id} has matched {} of {of}, and {} is next",
                        progress.matched(),
                        progress.next()
                    ));
                }
            }
        }
        None
    }
}

impl Permute for Server {
    fn permute(&self, permutation: &[(NodeId, NodeId)]) -> Self {
        let Server {
            id,
            raft,
            writing,
            clock,
            folder,
            is_let_in,
        } = self;
        Server {
            id: Permute::permute(id, permutation),
            raft: raft.permute(permutation),
            writing: writing.permute(permutation),
            clock: clock.clone(),
            folder: *folder,
            is_let_in: *is_let_in,
        }
    }
}
