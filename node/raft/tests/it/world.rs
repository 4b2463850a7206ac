//! A small world of servers under random faults, and what must hold in it at every step.
//!
//! A schedule is a list of numbers; each is one step, and whatever the numbers are, they make a schedule. So a failing one can be
//! shortened by leaving numbers out.

use crate::server::Server;
use raft::{
    Change, Config, Configuration, Entry, EntryData, Envelope, Index, LogPosition, MemoryStorage, Message,
    NodeId, ProgressState, Raft, ReadOutcome, ReadToken, RoleKind, SnapshotMeta, SnapshotStatus,
    Storage as _, Term,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Messages in flight at most; beyond them the oldest are lost, as in a network that is full.
const IN_FLIGHT_MAX: usize = 48;
/// Commands in a schedule at most: short logs, in which everything happens near to everything else.
const COMMANDS_MAX: u8 = 24;
/// Events that a failure's story tells.
const STORY_MAX: usize = 60;
/// Rounds of everybody standing in turn, without faults, in which somebody must be elected.
const ELECTIONS_MAX: usize = 6;
/// Deliveries in which a world without faults must come to rest.
const DELIVERIES_MAX: usize = 20_000;

/// The kinds of steps and how often each comes, in parts of their sum: in a calm world, and in a stormy one, where leaders hardly
/// have time to replicate.
const STEPS: [(Step, [u32; 2]); 19] = [
    (Step::Deliver, [40, 4]),
    (Step::DeliverAgain, [6, 2]),
    (Step::Lose, [4, 4]),
    (Step::Exchange, [2, 24]),
    (Step::Persist, [22, 4]),
    (Step::Ready, [12, 4]),
    (Step::ElectionTimeout, [3, 3]),
    (Step::Silent, [4, 6]),
    (Step::Heartbeat, [5, 1]),
    (Step::QuorumCheck, [1, 1]),
    (Step::Campaign, [1, 4]),
    (Step::Propose, [7, 2]),
    (Step::Read, [4, 1]),
    (Step::Unreachable, [1, 1]),
    (Step::Crash, [2, 4]),
    (Step::Change, [3, 3]),
    (Step::Transfer, [1, 2]),
    (Step::Compact, [3, 2]),
    (Step::Report, [2, 1]),
];

#[derive(Clone, Copy, Debug)]
enum Step {
    Deliver,
    DeliverAgain,
    Lose,
    /// Two servers are alone with each other, for a moment and with fast disks.
    Exchange,
    Persist,
    Ready,
    ElectionTimeout,
    Silent,
    Heartbeat,
    QuorumCheck,
    Campaign,
    Propose,
    Read,
    Unreachable,
    Crash,
    /// Somebody is to come, to go, to vote or to learn.
    Change,
    /// Leadership is to be handed over.
    Transfer,
    /// What was applied becomes a snapshot.
    Compact,
    /// Word comes of what became of a snapshot.
    Report,
}

/// A broken invariant.
#[derive(Clone, Debug)]
pub(crate) struct Violation(pub(crate) String);

type Outcome = Result<(), Violation>;

macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err(Violation(format!($($message)+)));
        }
    };
}

/// What is remembered of a server's incarnations from outside.
#[derive(Clone, Debug, Default)]
struct Memory {
    /// The votes that it told, by term.
    votes_told: BTreeMap<Term, NodeId>,
    term: Term,
    vote: Option<NodeId>,
    commit: Index,
    applied: Index,
}

/// What happened, beyond every crash.
#[derive(Default)]
struct Ghost {
    leaders: BTreeMap<Term, NodeId>,
    /// Every entry that ever was, and the position before it.
    entries: BTreeMap<LogPosition, (LogPosition, Entry<u8>)>,
    /// Every entry that ever was committed, and the term in which somebody first knew that.
    committed: Vec<(LogPosition, Term)>,
    /// The end of what was known to be committed when each read was asked for.
    reads: BTreeMap<ReadToken, Index>,
}

/// How often what was to be seen was seen: a world in which nothing happens proves nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) steps: usize,
    pub(crate) elections: usize,
    pub(crate) committed: usize,
    pub(crate) reads_confirmed: usize,
    pub(crate) reads_aborted: usize,
    pub(crate) crashes_with_writes_pending: usize,
    pub(crate) entries_replaced: usize,
    pub(crate) configurations_committed: usize,
    pub(crate) joint_configurations_committed: usize,
    pub(crate) configurations_undone: usize,
    pub(crate) snapshots_installed: usize,
    pub(crate) transfers: usize,
}

pub(crate) struct World {
    servers: Vec<Server<u8>>,
    configs: Vec<Config>,
    memories: Vec<Memory>,
    network: Vec<Envelope<u8>>,
    ghost: Ghost,
    stormy: bool,
    /// Whether who takes part changes.
    moving: bool,
    commands: u8,
    reads: u64,
    story: Vec<String>,
    pub(crate) seen: Seen,
}

impl World {
    /// A world whose size and settings `kind` chooses.
    pub(crate) fn new(kind: u32, configure: &dyn Fn(&mut Config)) -> World {
        let size = [3, 5, 3, 5, 3, 2, 4, 1][kind as usize % 8];
        let configs: Vec<Config> = (1..=size)
            .map(|id| {
                let mut config = Config::new(NodeId(id));
                config.pre_vote = (kind / 8).is_multiple_of(2);
                config.check_quorum = (kind / 16).is_multiple_of(2);
                config.append_entries_max = [1, 2, 4096, 1][(kind / 32 % 4) as usize];
                config.in_flight_messages_max = [1, 2, 64][(kind / 128 % 3) as usize];
                config.uncommitted_bytes_max = [50, 1 << 20][(kind / 512 % 2) as usize];
                config.promote_caught_up_only = (kind / 4096).is_multiple_of(4);
                configure(&mut config);
                config
            })
            .collect();
        let moving = !(kind / 2048).is_multiple_of(2);
        // Where members come, some servers are none at first.
        let few = moving && (kind / 16384).is_multiple_of(2);
        let voters = if few { size.div_ceil(2) } else { size };
        let start = |config: &Config| {
            let configuration = if config.id.0 <= voters {
                Configuration::of_voters((1..=voters).map(NodeId))
            } else {
                Configuration::default()
            };
            Server::start(config.clone(), MemoryStorage::with_configuration(configuration))
        };
        World {
            servers: configs.iter().map(start).collect(),
            memories: configs.iter().map(|_| Memory::default()).collect(),
            configs,
            network: Vec::new(),
            ghost: Ghost::default(),
            stormy: !(kind / 1024).is_multiple_of(2),
            moving,
            commands: 0,
            reads: 0,
            story: Vec::new(),
            seen: Seen::default(),
        }
    }

    /// What happened last, for people.
    pub(crate) fn story(&self) -> String {
        let from = self.story.len().saturating_sub(STORY_MAX);
        self.story[from..].join("\n")
    }

    fn tell(&mut self, event: String) {
        self.story.push(event);
        if self.story.len() > 4 * STORY_MAX {
            self.story.drain(..2 * STORY_MAX);
        }
    }

    /// The step that a number stands for, and what is left of the number to choose with.
    fn draw(&self, number: u32) -> (Step, usize) {
        let weather = usize::from(self.stormy);
        let sum = STEPS.iter().map(|(_, weights)| weights[weather]).sum::<u32>();
        let mut drawn = number % sum;
        for (step, weights) in STEPS {
            match drawn.checked_sub(weights[weather]) {
                Some(rest) => drawn = rest,
                None => return (step, (number / sum) as usize),
            }
        }
        unreachable!("what is drawn is less than the sum of the weights")
    }

    /// One step.
    pub(crate) fn step(&mut self, number: u32) -> Outcome {
        self.seen.steps += 1;
        let (step, choice) = self.draw(number);
        let place = choice % self.servers.len();
        let id = NodeId(place as u64 + 1);
        match step {
            Step::Deliver | Step::DeliverAgain | Step::Lose => return self.move_message(step, choice),
            Step::Exchange => return self.exchange(place, choice / self.servers.len()),
            Step::Persist => return self.persist(place),
            Step::Ready => return self.ready(place),
            Step::Crash => return self.crash(place, choice / self.servers.len()),
            Step::Propose => return self.propose(place),
            Step::Read => return self.read(place),
            Step::Change => return self.change(place, choice / self.servers.len()),
            Step::Compact => return self.compact(place),
            Step::ElectionTimeout
            | Step::Silent
            | Step::Heartbeat
            | Step::QuorumCheck
            | Step::Campaign
            | Step::Unreachable
            | Step::Transfer
            | Step::Report => {}
        }
        self.tell(format!("{id}: {step:?}"));
        let other = NodeId((choice / self.servers.len() % self.servers.len()) as u64 + 1);
        let rest = choice / self.servers.len() / self.servers.len();
        let raft = &mut self.servers[place].raft;
        match step {
            Step::ElectionTimeout => raft.election_timeout(),
            Step::Silent => raft.leader_silent(),
            Step::Heartbeat => raft.heartbeat_timeout(),
            Step::QuorumCheck => raft.quorum_check(),
            Step::Campaign => raft.campaign(),
            Step::Unreachable => raft.report_unreachable(other),
            Step::Transfer => {
                self.seen.transfers += usize::from(raft.transfer_leader(other).is_ok() && other != id);
            }
            Step::Report => {
                let status = if rest.is_multiple_of(2) {
                    SnapshotStatus::Delivered
                } else {
                    SnapshotStatus::Failed
                };
                raft.report_snapshot(other, status);
            }
            Step::Deliver
            | Step::DeliverAgain
            | Step::Lose
            | Step::Exchange
            | Step::Persist
            | Step::Ready
            | Step::Propose
            | Step::Read
            | Step::Crash
            | Step::Change
            | Step::Compact => unreachable!("they are done above"),
        }
        self.check(place)?;
        self.ready(place)
    }

    fn move_message(&mut self, step: Step, choice: usize) -> Outcome {
        if self.network.is_empty() {
            return Ok(());
        }
        // Near to the front more often than not: a network is mostly in order.
        let span = if choice.is_multiple_of(3) {
            self.network.len()
        } else {
            self.network.len().min(4)
        };
        let place = choice / 3 % span;
        let envelope = if let Step::DeliverAgain = step {
            self.network[place].clone()
        } else {
            self.network.remove(place)
        };
        if let Step::Lose = step {
            self.tell(format!("lost: {envelope}"));
            return Ok(());
        }
        self.deliver(envelope, !(choice / 3 / span).is_multiple_of(4))
    }

    fn exchange(&mut self, place: usize, choice: usize) -> Outcome {
        let peer = choice % self.servers.len();
        let pair = [NodeId(place as u64 + 1), NodeId(peer as u64 + 1)];
        for _ in 0..=choice / self.servers.len() % 4 {
            for place in [place, peer] {
                while !self.servers[place].writes.is_empty() {
                    self.persist(place)?;
                }
            }
            let between =
                |envelope: &Envelope<u8>| pair.contains(&envelope.from) && pair.contains(&envelope.to);
            let (now, later) = self.network.drain(..).partition(between);
            self.network = later;
            let now: Vec<Envelope<u8>> = now;
            for envelope in now {
                self.deliver(envelope, true)?;
            }
        }
        Ok(())
    }

    /// Delivers a message, and asks at once what follows from it, or leaves that to a later step.
    fn deliver(&mut self, envelope: Envelope<u8>, ask: bool) -> Outcome {
        let place = (envelope.to.0 - 1) as usize;
        self.tell(envelope.to_string());
        let before = &self.servers[place].raft;
        let (last, configuration) = (before.last(), before.configuration().clone());
        self.servers[place].raft.step(envelope);
        let raft = &self.servers[place].raft;
        let replaced = last.index >= raft.first_index() && raft.log_term(last.index) != Some(last.term);
        if replaced {
            self.seen.entries_replaced += 1;
            self.seen.configurations_undone += usize::from(*raft.configuration() != configuration);
        }
        self.check(place)?;
        if ask { self.ready(place) } else { Ok(()) }
    }

    fn propose(&mut self, place: usize) -> Outcome {
        if self.commands == COMMANDS_MAX {
            return Ok(());
        }
        if let Ok(position) = self.servers[place].raft.propose(self.commands) {
            self.commands += 1;
            self.tell(format!("n{} takes in {position}", place + 1));
        }
        self.check(place)?;
        // Often together with what comes next.
        if self.commands.is_multiple_of(2) {
            self.ready(place)
        } else {
            Ok(())
        }
    }

    fn change(&mut self, place: usize, choice: usize) -> Outcome {
        if !self.moving || self.commands == COMMANDS_MAX {
            return Ok(());
        }
        // Others refuse at once: that is known.
        let leads = |server: &Server<u8>| server.raft.role() == RoleKind::Leader;
        let place = self.servers.iter().position(leads).unwrap_or(place);
        let count = self.servers.len();
        let one = |choice: usize| {
            let node = NodeId((choice / 4 % count) as u64 + 1);
            match choice % 4 {
                0 | 1 => Change::AddVoter(node),
                2 => Change::Remove(node),
                _ => Change::AddLearner(node),
            }
        };
        let (first, rest) = (one(choice), choice / 4 / count);
        let (second, rest) = (one(rest), rest / 4 / count);
        let changes = if rest.is_multiple_of(2) {
            vec![first]
        } else {
            vec![first, second]
        };
        if let Ok(position) = self.servers[place].raft.propose_change(&changes) {
            self.commands += 1;
            self.tell(format!("n{} takes in {changes:?} as {position}", place + 1));
        }
        self.check(place)?;
        self.ready(place)
    }

    fn compact(&mut self, place: usize) -> Outcome {
        let raft = &self.servers[place].raft;
        let Some(snapshot) = raft.snapshot_meta() else {
            return Ok(());
        };
        if snapshot.last.index < raft.first_index() {
            return Ok(());
        }
        self.is_sound(&snapshot)?;
        self.tell(format!("n{} compacts up to {}", place + 1, snapshot.last));
        let storage = self.servers[place].raft.storage_mut();
        storage.compact(Arc::new(snapshot));
        self.check(place)?;
        self.ready(place)
    }

    /// A snapshot is of committed entries, and names the configuration of the last one among them.
    fn is_sound(&self, snapshot: &SnapshotMeta) -> Outcome {
        let last = snapshot.last;
        let committed = &self.ghost.committed[..last.index.since(Index(0)).min(self.ghost.committed.len())];
        ensure!(
            committed.last().is_some_and(|(position, _)| *position == last),
            "a snapshot ends at {last}, and {:?} was committed",
            committed.last()
        );
        let of_entry = |(position, _): &(LogPosition, Term)| match &self.ghost.entries[position].1.data {
            EntryData::Configuration(configuration) => Some(configuration.clone()),
            EntryData::Noop | EntryData::Command(_) => None,
        };
        if let Some(configuration) = committed.iter().rev().find_map(of_entry) {
            ensure!(
                configuration == snapshot.configuration,
                "a snapshot up to {last} has the configuration ({}), and ({configuration}) was committed",
                snapshot.configuration
            );
        }
        Ok(())
    }

    fn read(&mut self, place: usize) -> Outcome {
        let token = ReadToken(self.reads);
        if self.servers[place].raft.read_index(token).is_ok() {
            self.reads += 1;
            let known = Index(self.ghost.committed.len() as u64);
            self.ghost.reads.insert(token, known);
            self.tell(format!("n{} read {} at {known}", place + 1, token.0));
            return self.ready(place);
        }
        Ok(())
    }

    fn persist(&mut self, place: usize) -> Outcome {
        if let Some(write) = self.servers[place].persist() {
            self.tell(format!("n{} has write {} on disk", place + 1, write.id.0));
            if let Some(snapshot) = &write.snapshot {
                self.memories[place].applied = snapshot.last.index;
                self.seen.snapshots_installed += 1;
            }
            self.check(place)?;
            self.ready(place)?;
        }
        Ok(())
    }

    fn crash(&mut self, place: usize, choice: usize) -> Outcome {
        let pending = self.servers[place].writes.len();
        let landed = choice % (pending + 1);
        self.tell(format!(
            "n{} crashes, {landed} of {pending} writes landed",
            place + 1
        ));
        self.seen.crashes_with_writes_pending += usize::from(pending > 0);
        let old = self.servers.remove(place);
        let storage = old.crash(landed);
        let (durable, compacted) = (storage.hard_state(), storage.first_index().previous());
        self.servers
            .insert(place, Server::start(self.configs[place].clone(), storage));
        let memory = &mut self.memories[place];
        // What was not durable is forgotten, and was told to nobody: see `told`.
        (memory.term, memory.vote) = (durable.term, durable.vote);
        memory.commit = durable.commit.max(compacted);
        memory.applied = compacted;
        self.check(place)
    }

    /// Asks the core what it wants; sends, applies and answers. Writes stay pending.
    fn ready(&mut self, place: usize) -> Outcome {
        while self.servers[place].raft.has_ready() {
            let ready = self.servers[place].ready();
            let id = self.servers[place].raft.id();
            if let Some(write) = &ready.write {
                self.tell(format!("{id} hands out write {}", write.id.0));
                let prev = write.entries.first().map(|first| {
                    let index = first.index.previous();
                    let term = self.servers[place].raft.log_term(index);
                    LogPosition {
                        term: term.expect("a log has no gaps"),
                        index,
                    }
                });
                self.remember_entries(prev.unwrap_or_default(), &write.entries)?;
            }
            for envelope in ready.messages {
                self.told(place, &envelope)?;
                self.network.push(envelope);
            }
            for outcome in ready.reads {
                self.read_was_decided(outcome)?;
            }
            for entry in &ready.committed {
                let memory = &mut self.memories[place];
                ensure!(
                    entry.index == memory.applied.next(),
                    "{id} applies {} behind {}",
                    entry.position(),
                    memory.applied
                );
                memory.applied = entry.index;
                let storage = self.servers[place].raft.storage();
                let durable = storage.entries(entry.index..entry.index.next(), usize::MAX);
                ensure!(
                    durable.as_deref() == Ok(std::slice::from_ref(entry)),
                    "{id} applies {} and does not have it on disk",
                    entry.position()
                );
                let place = entry.index.since(Index(1));
                let committed = self.ghost.committed.get(place).map(|(p, _)| *p);
                ensure!(
                    committed == Some(entry.position()),
                    "{id} applies {}, and {committed:?} was committed",
                    entry.position()
                );
            }
            if let Some(last) = ready.committed.last() {
                self.servers[place].raft.applied(last.index);
            }
            self.check(place)?;
        }
        let full = self.network.len().saturating_sub(IN_FLIGHT_MAX);
        self.network.drain(..full);
        Ok(())
    }

    fn read_was_decided(&mut self, outcome: ReadOutcome) -> Outcome {
        match outcome {
            ReadOutcome::Confirmed { token, index } => {
                self.seen.reads_confirmed += 1;
                self.tell(format!("read {} may see {index}", token.0));
                let known = self.ghost.reads.remove(&token);
                ensure!(
                    known.is_some_and(|known| index >= known),
                    "read {} was confirmed at {index}, and {known:?} was committed before it was asked",
                    token.0
                );
            }
            ReadOutcome::Aborted { token } => {
                self.seen.reads_aborted += 1;
                let known = self.ghost.reads.remove(&token);
                ensure!(known.is_some(), "read {} was decided twice", token.0);
            }
        }
        Ok(())
    }

    /// Entries are what they were when they first appeared, and stand behind what they then stood behind (log matching).
    fn remember_entries(&mut self, mut prev: LogPosition, entries: &[Entry<u8>]) -> Outcome {
        for entry in entries {
            let now = (prev, entry.clone());
            let first = self
                .ghost
                .entries
                .entry(entry.position())
                .or_insert_with(|| now.clone());
            ensure!(
                *first == now,
                "{:?} behind {} is not {:?} behind {}",
                now.1,
                now.0,
                first.1,
                first.0
            );
            prev = entry.position();
        }
        Ok(())
    }

    /// What leaves a server holds, whatever happens to it.
    fn told(&mut self, place: usize, envelope: &Envelope<u8>) -> Outcome {
        let storage = self.servers[place].raft.storage();
        let durable = storage.hard_state();
        match &envelope.message {
            Message::Vote { last, .. } => {
                let index = storage.last_index();
                let log_end = LogPosition {
                    term: storage.term(index).expect("the last term is at hand"),
                    index,
                };
                ensure!(
                    (durable.term, durable.vote) == (envelope.term, Some(envelope.from))
                        || durable.term > envelope.term,
                    "not durable: {envelope}"
                );
                ensure!(log_end >= *last, "its durable log ends at {log_end}: {envelope}");
            }
            Message::VoteResponse { granted: true } => {
                ensure!(
                    durable.term == envelope.term && durable.vote == Some(envelope.to),
                    "not durable, with {durable:?}: {envelope}"
                );
                let told = *self.memories[place]
                    .votes_told
                    .entry(envelope.term)
                    .or_insert(envelope.to);
                ensure!(told == envelope.to, "it told {told} the same: {envelope}");
            }
            Message::AppendAccepted { matched } => {
                ensure!(
                    durable.term >= envelope.term,
                    "its term is not durable: {envelope}"
                );
                let raft = &self.servers[place].raft;
                let first = storage.first_index().max(raft.first_index());
                let as_in_memory = (first.0..=matched.0).map(Index).all(|index| {
                    let on_disk = storage.term(index).ok();
                    on_disk.is_some() && on_disk == raft.log_term(index)
                });
                ensure!(
                    as_in_memory && *matched <= storage.last_index(),
                    "not durable: {envelope}"
                );
            }
            Message::Append { prev, entries, .. } => {
                return self.remember_entries(*prev, entries);
            }
            Message::Snapshot { snapshot } => return self.is_sound(snapshot),
            Message::PreVote { .. }
            | Message::PreVoteResponse { .. }
            | Message::VoteResponse { granted: false }
            | Message::AppendRejected { .. }
            | Message::Heartbeat { .. }
            | Message::HeartbeatResponse { .. }
            | Message::TimeoutNow => {}
        }
        Ok(())
    }

    /// Checks what the last step can have broken: it touched one server, of which others may lead.
    fn check(&mut self, place: usize) -> Outcome {
        self.check_server(place)?;
        for leader in 0..self.servers.len() {
            self.check_leader(leader)?;
        }
        self.check_commit(place)
    }

    fn check_server(&mut self, place: usize) -> Outcome {
        let (raft, memory) = (&self.servers[place].raft, &mut self.memories[place]);
        let id = raft.id();
        ensure!(
            raft.term() >= memory.term,
            "the term of {id} goes back from {} to {}",
            memory.term,
            raft.term()
        );
        ensure!(
            raft.term() > memory.term || memory.vote.is_none() || raft.vote() == memory.vote,
            "{id} changes its vote in term {}",
            memory.term
        );
        (memory.term, memory.vote) = (raft.term(), raft.vote());
        for index in (raft.first_index().0..=raft.last().index.0).rev().map(Index) {
            let (term, before) = (raft.log_term(index), raft.log_term(index.previous()));
            ensure!(before <= term, "the terms in the log of {id} go back at {index}");
        }
        ensure!(
            raft.applied_index() <= raft.commit_index() && raft.commit_index() <= raft.last().index,
            "{id} has applied {}, committed {} and ends at {}",
            raft.applied_index(),
            raft.commit_index(),
            raft.last()
        );
        Ok(())
    }

    /// Election safety, leader completeness, and that a leader knows no more of its followers than is so.
    fn check_leader(&mut self, place: usize) -> Outcome {
        let raft = &self.servers[place].raft;
        if raft.role() != RoleKind::Leader {
            return Ok(());
        }
        let (id, term) = (raft.id(), raft.term());
        let known = self.ghost.leaders.get(&term);
        ensure!(
            known.is_none_or(|known| *known == id),
            "{known:?} and {id} both lead term {term}"
        );
        if known.is_none() {
            for (committed, in_term) in &self.ghost.committed {
                ensure!(
                    *in_term >= term
                        || committed.index < raft.first_index()
                        || raft.log_term(committed.index) == Some(committed.term),
                    "{id} leads term {term} without {committed}, committed in term {in_term}"
                );
            }
            self.ghost.leaders.insert(term, id);
            self.seen.elections += 1;
        }
        let uncommitted = (raft.commit_index().next().0..=raft.last().index.0).filter(|index| {
            let entry = raft.entry(Index(*index));
            entry.is_some_and(|entry| matches!(entry.data, EntryData::Configuration(_)))
        });
        ensure!(
            uncommitted.count() <= 1,
            "{id} leads with two configurations that are not committed"
        );
        let tracker = raft.progress().expect("it leads");
        for (of, progress) in tracker.iter() {
            ensure!(
                progress.matched() < progress.next(),
                "{id} has matched {} of {of}, and {} is next",
                progress.matched(),
                progress.next()
            );
            let follower = &self.servers[(of.0 - 1) as usize].raft;
            if follower.term() > term {
                // It may have replaced what isn't committed.
                continue;
            }
            let durable = follower.storage();
            let first = durable.first_index().max(raft.first_index());
            let holds = (first.0..=progress.matched().0).map(Index).all(|index| {
                let on_disk = durable.term(index).ok();
                on_disk.is_some() && on_disk == raft.log_term(index)
            });
            ensure!(
                holds && progress.matched() <= durable.last_index(),
                "{id} takes {of} to hold its log up to {}, and the disk of {of} doesn't",
                progress.matched()
            );
        }
        Ok(())
    }

    /// What is committed stays, is the same everywhere, and doesn't shrink while a server lives.
    fn check_commit(&mut self, place: usize) -> Outcome {
        let (raft, memory) = (&self.servers[place].raft, &mut self.memories[place]);
        let (id, commit) = (raft.id(), raft.commit_index());
        ensure!(
            commit >= memory.commit,
            "the commit index of {id} goes back from {} to {commit}",
            memory.commit
        );
        memory.commit = commit;
        for index in (raft.first_index().0..=commit.0).map(Index) {
            let Some(term) = raft.log_term(index) else {
                return Err(Violation(format!("{id} has committed {index} and not its entry")));
            };
            let position = LogPosition { term, index };
            match self.ghost.committed.get(index.since(Index(1))) {
                Some((committed, _)) => ensure!(
                    *committed == position,
                    "{id} has committed {position} where {committed} was committed"
                ),
                None => {
                    self.ghost.committed.push((position, raft.term()));
                    self.seen.committed += 1;
                    let entry = self.ghost.entries.get(&position);
                    if let Some(EntryData::Configuration(configuration)) = entry.map(|(_, entry)| &entry.data)
                    {
                        self.seen.configurations_committed += 1;
                        self.seen.joint_configurations_committed += usize::from(configuration.is_joint());
                    }
                }
            }
        }
        Ok(())
    }

    /// Without faults somebody is elected, and everything that is proposed then is committed everywhere and every read answered.
    pub(crate) fn converge(&mut self) -> Outcome {
        self.tell("the faults end".to_owned());
        self.network.clear();
        self.rest()?;
        // To and fro: two that always stand one after the other could take each other's votes for ever.
        let count = self.servers.len();
        let turns = (0..ELECTIONS_MAX).flat_map(|round| {
            (0..count).map(move |place| if round % 2 == 0 { place } else { count - 1 - place })
        });
        for place in turns {
            // An election time-out passes: the one that is longest without a leader is the first to ask.
            for other in 0..self.servers.len() {
                self.no_snapshot_is_on_its_way(other);
                self.servers[other].raft.heartbeat_timeout();
                self.ready(other)?;
            }
            self.rest()?;
            let leader = self.agreed_leader();
            if let Some(leader) = leader.filter(|leader| self.is_settled(*leader)) {
                return self.serve(leader);
            }
            for server in &mut self.servers {
                server.raft.quorum_check();
                server.raft.leader_silent();
            }
            if leader.is_none() {
                self.servers[place].raft.election_timeout();
                self.check(place)?;
            }
            for other in 0..self.servers.len() {
                self.ready(other)?;
            }
            self.rest()?;
        }
        Err(Violation("nobody is elected without faults".to_owned()))
    }

    /// Where nothing is in flight, a snapshot that is waited for was lost; its leader hears of that.
    fn no_snapshot_is_on_its_way(&mut self, place: usize) {
        let raft = &mut self.servers[place].raft;
        let waits = |(of, progress): (NodeId, &raft::Progress)| {
            matches!(progress.state(), ProgressState::Snapshot { .. }).then_some(of)
        };
        let waited_for: Vec<NodeId> = raft
            .progress()
            .into_iter()
            .flat_map(|tracker| tracker.iter().filter_map(waits))
            .collect();
        for of in waited_for {
            raft.report_snapshot(of, SnapshotStatus::Failed);
        }
    }

    /// The server that leads the latest term, if all its members follow it.
    fn agreed_leader(&self) -> Option<usize> {
        let leads = |server: &&Server<u8>| server.raft.role() == RoleKind::Leader;
        let leader = &self
            .servers
            .iter()
            .filter(leads)
            .max_by_key(|server| server.raft.term())?
            .raft;
        let mut members = leader.configuration().members().iter();
        let agreed = members.all(|member| self.raft(*member).leader() == Some(leader.id()));
        agreed.then_some((leader.id().0 - 1) as usize)
    }

    fn raft(&self, id: NodeId) -> &Raft<MemoryStorage<u8>> {
        &self.servers[(id.0 - 1) as usize].raft
    }

    /// Whether a leader stays one, and takes commands in: no change or transfer is under way.
    fn is_settled(&self, leader: usize) -> bool {
        let raft = &self.servers[leader].raft;
        let configuration = raft.configuration();
        !configuration.is_joint() && configuration.is_voter(raft.id()) && raft.transferring().is_none()
    }

    fn serve(&mut self, leader: usize) -> Outcome {
        let proposed = self.servers[leader].raft.propose(u8::MAX);
        ensure!(
            proposed.is_ok(),
            "a leader without faults refuses a command: {proposed:?}"
        );
        let token = ReadToken(u64::MAX);
        let known = Index(self.ghost.committed.len() as u64);
        self.ghost.reads.insert(token, known);
        ensure!(
            self.servers[leader].raft.read_index(token).is_ok(),
            "a leader without faults refuses a read"
        );
        self.ready(leader)?;
        self.rest()?;
        self.servers[leader].raft.heartbeat_timeout();
        self.ready(leader)?;
        self.rest()?;
        let end = self.servers[leader].raft.last();
        for member in self.servers[leader].raft.configuration().members() {
            let raft = self.raft(*member);
            ensure!(
                (raft.last(), raft.applied_index()) == (end, end.index),
                "without faults {} ends at {} and has applied {}, and its leader ends at {end}",
                raft.id(),
                raft.last(),
                raft.applied_index()
            );
        }
        ensure!(
            !self.ghost.reads.contains_key(&token),
            "a read is not answered without faults"
        );
        Ok(())
    }

    /// Delivers and persists until nothing moves.
    fn rest(&mut self) -> Outcome {
        for _ in 0..DELIVERIES_MAX {
            for place in 0..self.servers.len() {
                self.ready(place)?;
                while !self.servers[place].writes.is_empty() {
                    self.persist(place)?;
                }
            }
            if self.network.is_empty() {
                return Ok(());
            }
            let envelope = self.network.remove(0);
            self.deliver(envelope, true)?;
        }
        Err(Violation(
            "without faults the world does not come to rest".to_owned(),
        ))
    }
}

impl Seen {
    pub(crate) fn add(&mut self, more: Seen) {
        self.steps += more.steps;
        self.elections += more.elections;
        self.committed += more.committed;
        self.reads_confirmed += more.reads_confirmed;
        self.reads_aborted += more.reads_aborted;
        self.crashes_with_writes_pending += more.crashes_with_writes_pending;
        self.entries_replaced += more.entries_replaced;
        self.configurations_committed += more.configurations_committed;
        self.joint_configurations_committed += more.joint_configurations_committed;
        self.configurations_undone += more.configurations_undone;
        self.snapshots_installed += more.snapshots_installed;
        self.transfers += more.transfers;
    }
}
