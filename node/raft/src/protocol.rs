//! The protocol's state, how messages reach it, and the `Ready` that leaves it.

use crate::config::{Config, ConfigError, Constant};
use crate::election::Ballot;
use crate::leader::Leader;
use crate::log::RaftLog;
use crate::membership::{Configuration, Membership};
use crate::message::{Envelope, Message};
use crate::mutant::mutated;
use crate::read::ReadOutcome;
use crate::ready::{Ready, Write, WriteId};
use crate::snapshot::SnapshotMeta;
use crate::storage::Storage;
use crate::symmetry::Permute;
use crate::tracker::ProgressTracker;
use crate::types::{Command, Entry, HardState, Index, LogPosition, NodeId, Term};
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt::{self, Display};

/// A role and what lives and dies with it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Role {
    Follower(Follower),
    /// Asks whether an election could be won, in its present term.
    PreCandidate(Ballot),
    /// Stands for election in its present term.
    Candidate(Ballot),
    Leader(Leader),
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Follower {
    /// Who leads this term, once heard from.
    pub(crate) leader: Option<NodeId>,
    /// Whether the leader was heard from within the least election time-out, or may have been before a start; if so, candidates are
    /// refused.
    pub(crate) leader_recent: bool,
}

/// A role without its contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RoleKind {
    /// Follows.
    Follower,
    /// Asks whether an election could be won.
    PreCandidate,
    /// Stands for election.
    Candidate,
    /// Leads.
    Leader,
}

impl Display for RoleKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RoleKind::Follower => "follower",
            RoleKind::PreCandidate => "pre-candidate",
            RoleKind::Candidate => "candidate",
            RoleKind::Leader => "leader",
        })
    }
}

/// A write that was handed out and not yet reported durable.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct PendingWrite<C> {
    id: WriteId,
    /// The last index that becomes durable with it, *as the log stands now*: lowered when the log is cut.
    stable: Index,
    /// The end of the snapshot that becomes durable with it.
    snapshot: Option<LogPosition>,
    /// What may be sent when it is durable.
    messages: Vec<Envelope<C>>,
}

/// Why a command was not appended; definite, it entered no log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProposeError {
    /// This server does not lead.
    #[error("not the leader")]
    NotLeader {
        /// Who does, as far as it knows.
        leader: Option<NodeId>,
    },
    /// Too much is uncommitted.
    #[error("too much is uncommitted")]
    Busy,
    /// This server is about to hand its leadership over.
    #[error("leadership is being transferred")]
    Transferring {
        /// To this server.
        to: NodeId,
    },
}

/// Why a read was not taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadIndexError {
    /// This server does not lead.
    #[error("not the leader")]
    NotLeader {
        /// Who does, as far as it knows.
        leader: Option<NodeId>,
    },
}

/// One server's part in the protocol: see the crate's documentation for what goes in and out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Raft<S: Storage> {
    pub(crate) config: Constant<Arc<Config>>,
    pub(crate) membership: Membership,
    pub(crate) term: Term,
    pub(crate) vote: Option<NodeId>,
    pub(crate) log: RaftLog<S>,
    pub(crate) role: Role,
    /// What may be sent at once.
    outbox: Vec<Envelope<S::Command>>,
    /// What may be sent once all that was decided so far is durable.
    held_back: Vec<Envelope<S::Command>>,
    /// In the order in which they were handed out.
    pending_writes: VecDeque<PendingWrite<S::Command>>,
    /// Term and vote as last handed out to be written.
    written: (Term, Option<NodeId>),
    /// A snapshot that was taken in and not yet handed out to be written.
    unwritten_snapshot: Option<Arc<SnapshotMeta>>,
    pub(crate) read_outcomes: Vec<ReadOutcome>,
}

impl<S: Storage> Raft<S> {
    /// A server that starts, or starts again, with what `storage` holds.
    ///
    /// # Errors
    /// The configuration can't work.
    ///
    /// # Panics
    /// The storage contradicts itself.
    pub fn new(config: Config, storage: S) -> Result<Raft<S>, ConfigError> {
        config.validate()?;
        let initial = storage.initial_state();
        let HardState { term, vote, commit } = initial.hard_state;
        let log = RaftLog::new(storage, commit);
        assert!(
            log.last().term <= term,
            "the log ends at {}, beyond its server's term {term}",
            log.last()
        );
        let mut configurations = initial.configurations;
        if mutated!(config, JointIgnoredAtStart) {
            for (_, configuration) in &mut configurations {
                *configuration = Arc::new(configuration.left());
            }
        }
        // Before the first election there was nobody to promise anything to.
        let may_have_promised =
            config.lease.is_some() && term > Term(0) && !mutated!(config, LeaseForgetsPromise);
        Ok(Raft {
            config: Constant(Arc::new(config)),
            membership: Membership::new(configurations),
            term,
            vote,
            log,
            role: Role::Follower(Follower {
                leader: None,
                leader_recent: may_have_promised,
            }),
            outbox: Vec::new(),
            held_back: Vec::new(),
            pending_writes: VecDeque::new(),
            written: (term, vote),
            unwritten_snapshot: None,
            read_outcomes: Vec::new(),
        })
    }

    /// This server.
    pub fn id(&self) -> NodeId {
        self.config.id
    }

    /// Its current term.
    pub fn term(&self) -> Term {
        self.term
    }

    /// Whom it voted for in its current term.
    pub fn vote(&self) -> Option<NodeId> {
        self.vote
    }

    /// Its role.
    pub fn role(&self) -> RoleKind {
        match &self.role {
            Role::Follower(_) => RoleKind::Follower,
            Role::PreCandidate(_) => RoleKind::PreCandidate,
            Role::Candidate(_) => RoleKind::Candidate,
            Role::Leader(_) => RoleKind::Leader,
        }
    }

    /// Who leads its current term, as far as it knows.
    pub fn leader(&self) -> Option<NodeId> {
        match &self.role {
            Role::Follower(follower) => follower.leader,
            Role::PreCandidate(_) | Role::Candidate(_) => None,
            Role::Leader(_) => Some(self.id()),
        }
    }

    /// The highest index that it knows to be committed.
    pub fn commit_index(&self) -> Index {
        self.log.committed()
    }

    /// The highest index that was reported applied.
    pub fn applied_index(&self) -> Index {
        self.log.applied()
    }

    /// The end of its log, durable or not.
    pub fn last(&self) -> LogPosition {
        self.log.last()
    }

    /// The first index that its log has; what comes before is in a snapshot.
    pub fn first_index(&self) -> Index {
        self.log.first_index()
    }

    /// The last index that is durable as it stands in its log.
    pub fn stable_index(&self) -> Index {
        self.log.stable()
    }

    /// The term of the entry at `index`, if the log has it.
    pub fn log_term(&self, index: Index) -> Option<Term> {
        self.log.term(index)
    }

    /// The entry at `index`, durable or not; `None` if the log has none there or the storage has it not at hand.
    pub fn entry(&self, index: Index) -> Option<Entry<S::Command>> {
        if index < self.log.first_index() || index > self.log.last_index() {
            return None;
        }
        self.log.entries(index..index.next(), 1, usize::MAX)?.pop()
    }

    /// Who takes part: the latest configuration in its log, committed or not.
    pub fn configuration(&self) -> &Configuration {
        self.membership.latest()
    }

    /// The configurations that may still matter, by index: that of the applied state, and those behind it. The last is in force.
    pub fn configurations(&self) -> &[(Index, Arc<Configuration>)] {
        self.membership.history()
    }

    /// Whether a snapshot that a leader of `term` offers would be taken in: the log is not known to have what it covers.
    pub fn lacks(&self, term: Term, snapshot: &SnapshotMeta) -> bool {
        let last = snapshot.last;
        let is_late = last.index <= self.log.committed() && !mutated!(self.config, SnapshotBehindApplied);
        let has_all = self.log.matches(last) && !mutated!(self.config, SnapshotTruncatesNewer);
        term >= self.term && !is_late && !has_all
    }

    /// What a snapshot of everything that was applied stands for; `None` before anything was.
    pub fn snapshot_meta(&self) -> Option<SnapshotMeta> {
        let index = self.log.applied();
        if index == Index(0) {
            return None;
        }
        let term = self.log.term(index)?;
        let configuration = self.membership.at(index)?.clone();
        Some(SnapshotMeta {
            last: LogPosition { term, index },
            configuration,
        })
    }

    /// What it knows of each server, if it leads.
    pub fn progress(&self) -> Option<&ProgressTracker> {
        match &self.role {
            Role::Leader(leader) => Some(&leader.tracker),
            Role::Follower(_) | Role::PreCandidate(_) | Role::Candidate(_) => None,
        }
    }

    /// Its settings.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The storage, to read from.
    pub fn storage(&self) -> &S {
        self.log.storage()
    }

    /// The storage, to carry out writes.
    pub fn storage_mut(&mut self) -> &mut S {
        self.log.storage_mut()
    }

    /// The storage, when the server is gone: what a crash leaves.
    pub fn into_storage(self) -> S {
        self.log.into_storage()
    }

    /// Takes in a message. One that is late, doubled or beside the point changes nothing.
    ///
    /// # Panics
    /// The message is for another server, or shows that a promise was broken (two leaders in one term, a committed entry that a
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
        // Whoever asks is answered, member or not: a server may know of an older configuration than the one that asks (Raft §6). Answers
        // of those who are no members count for nothing.
        let Envelope {
            from, term, message, ..
        } = envelope;
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
            | Message::TimeoutNow => {}
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

    /// Takes in a message of the current term.
    fn step_current(&mut self, from: NodeId, message: Message<S::Command>) {
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
        }
    }

    /// Tells a sender of requests that its term is over (Raft §5.1). Answers of an older term are dropped.
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
            | Message::TimeoutNow => return,
        };
        self.send(to, answer);
    }

    /// Becomes a follower, in a new term or in the present one.
    pub(crate) fn become_follower(&mut self, term: Term, leader: Option<NodeId>) {
        assert!(term >= self.term, "term regression {} → {term}", self.term);
        if term > self.term {
            self.term = term;
            self.vote = None;
        }
        let follower = Role::Follower(Follower {
            leader,
            leader_recent: leader.is_some(),
        });
        if let Role::Leader(leader) = core::mem::replace(&mut self.role, follower) {
            self.read_outcomes.extend(leader.reads.abort());
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

    /// Sends a message that promises nothing: at once.
    pub(crate) fn send(&mut self, to: NodeId, message: Message<S::Command>) {
        self.outbox.push(Envelope {
            from: self.id(),
            to,
            term: self.term,
            message,
        });
    }

    /// Sends a message that promises or claims something: once all that was decided so far is durable.
    pub(crate) fn send_when_durable(&mut self, to: NodeId, message: Message<S::Command>) {
        let envelope = Envelope {
            from: self.id(),
            to,
            term: self.term,
            message,
        };
        hold_back(&mut self.held_back, envelope);
    }

    /// The entries from `from` on leave the log.
    pub(crate) fn truncate_log(&mut self, from: Index) {
        self.log.truncate(from);
        if !mutated!(self.config, ConfigNotRolledBack) {
            self.membership.truncate(from);
        }
        for write in &mut self.pending_writes {
            write.stable = write.stable.min(from.previous());
        }
    }

    /// Whether [`Raft::ready`] has anything to ask. While a storage says that entries are temporarily unavailable, this may be so and
    /// `ready` hand out nothing: then it is time to wait for the storage.
    pub fn has_ready(&self) -> bool {
        self.wants_to_send()
            || !self.outbox.is_empty()
            || !self.held_back.is_empty()
            || self.must_write()
            || self.log.has_unapplied()
            || !self.read_outcomes.is_empty()
    }

    fn must_write(&self) -> bool {
        let vote_changed = self.written.1 != self.vote && !mutated!(self.config, VoteNotPersisted);
        self.written.0 != self.term
            || vote_changed
            || self.unwritten_snapshot.is_some()
            || self.log.has_unwritten()
    }

    /// What the core asks of its driver now. A write in it is called `id`: names are the driver's, so that equal states stay
    /// equal; [`crate::RawNode`] numbers them.
    pub fn ready(&mut self, id: WriteId) -> Ready<S::Command> {
        self.send_appends_and_rounds();
        let write = if self.must_write() {
            Some(self.take_write(id))
        } else {
            None
        };
        if write.is_none() && !self.held_back.is_empty() {
            // What these say was handed out before: it is durable, or will be with the last write in flight.
            let held_back = core::mem::take(&mut self.held_back);
            match self.pending_writes.back_mut() {
                Some(pending) => {
                    for envelope in held_back {
                        hold_back(&mut pending.messages, envelope);
                    }
                }
                None => self.release(held_back),
            }
        }
        let committed = self.log.take_unapplied(self.config.apply_bytes_max);
        Ready {
            messages: core::mem::take(&mut self.outbox),
            write,
            committed,
            reads: core::mem::take(&mut self.read_outcomes),
        }
    }

    fn take_write(&mut self, id: WriteId) -> Write<S::Command> {
        let entries = self.log.take_unwritten();
        let snapshot = self.unwritten_snapshot.take();
        self.pending_writes.push_back(PendingWrite {
            id,
            stable: self.log.last_index(),
            snapshot: snapshot.as_ref().map(|snapshot| snapshot.last),
            messages: core::mem::take(&mut self.held_back),
        });
        self.written = (self.term, self.vote);
        let vote = if mutated!(self.config, VoteNotPersisted) {
            None
        } else {
            self.vote
        };
        Write {
            id,
            hard_state: HardState {
                term: self.term,
                vote,
                commit: if mutated!(self.config, CommitRegresses) && entries.is_empty() {
                    Index(0)
                } else {
                    self.log.committed()
                },
            },
            snapshot,
            entries,
        }
    }

    /// The write `id`, and all that were handed out before it, are durable. A report that comes again changes nothing.
    pub fn persisted(&mut self, id: WriteId) {
        let Some(place) = self.pending_writes.iter().position(|write| write.id == id) else {
            return;
        };
        let done: Vec<_> = self.pending_writes.drain(..=place).collect();
        for write in done {
            if let Some(snapshot) = write.snapshot {
                self.log.installed(snapshot);
            }
            self.log.stable_to(write.stable);
            self.release(write.messages);
        }
        self.own_log_is_durable();
    }

    /// Sends what was held back. What belongs to an older term is dropped: its receiver leads or stands no more, and this
    /// server may have replaced the entries that it was to acknowledge.
    fn release(&mut self, messages: Vec<Envelope<S::Command>>) {
        for envelope in messages {
            if envelope.term != self.term {
                continue;
            }
            if envelope.to != self.id() {
                self.outbox.push(envelope);
            } else if let Message::VoteResponse { granted } = envelope.message {
                // The only thing that a server says to itself.
                self.on_vote_response(envelope.to, granted);
            }
        }
    }

    /// Everything up to `index` was applied; a snapshot that was handed out to be written, when its state is in place.
    ///
    /// # Panics
    /// It was not handed out, or was reported before.
    pub fn applied(&mut self, index: Index) {
        self.log.applied_to(index);
        self.membership.applied(index);
    }

    /// A snapshot takes the place of the log, and the state behind it that of the state machine.
    pub(crate) fn restore(&mut self, snapshot: Arc<SnapshotMeta>) {
        self.log.restore(snapshot.last);
        for write in &mut self.pending_writes {
            write.stable = write.stable.min(snapshot.last.index);
        }
        // Not what the replaced log says of members (bug zoo, *config-from-replaced-log*).
        if !mutated!(self.config, ConfigFromReplacedLog) {
            let begins_with = (snapshot.last.index, snapshot.configuration.clone());
            self.membership = Membership::new(alloc::vec![begins_with]);
        }
        self.unwritten_snapshot = Some(snapshot);
    }
}

/// Adds a message to those that wait for the same write. What says no more than another one does is left out: however often a request
/// comes while a write takes its time, it is answered once. They are kept sorted by receiver: they leave together, so that order
/// says nothing, and states that differ in nothing else are equal.
fn hold_back<C: Command>(waiting: &mut Vec<Envelope<C>>, envelope: Envelope<C>) {
    for other in waiting.iter_mut() {
        if (other.to, other.term) != (envelope.to, envelope.term) {
            continue;
        }
        if let (Message::AppendAccepted { matched }, Message::AppendAccepted { matched: news }) =
            (&mut other.message, &envelope.message)
        {
            // They become durable together; the higher one says all that the other does.
            *matched = (*matched).max(*news);
            return;
        }
        if other.message == envelope.message {
            return;
        }
    }
    let place = waiting.partition_point(|other| other.to <= envelope.to);
    waiting.insert(place, envelope);
}

impl Permute for Role {
    fn permute(&self, permutation: &[(NodeId, NodeId)]) -> Self {
        match self {
            Role::Follower(Follower {
                leader,
                leader_recent,
            }) => Role::Follower(Follower {
                leader: leader.permute(permutation),
                leader_recent: *leader_recent,
            }),
            Role::PreCandidate(ballot) => Role::PreCandidate(ballot.permute(permutation)),
            Role::Candidate(ballot) => Role::Candidate(ballot.permute(permutation)),
            Role::Leader(leader) => Role::Leader(leader.permute(permutation)),
        }
    }
}

impl<C: Clone> Permute for PendingWrite<C> {
    fn permute(&self, permutation: &[(NodeId, NodeId)]) -> Self {
        let PendingWrite {
            id,
            stable,
            snapshot,
            messages,
        } = self;
        let mut messages = messages.permute(permutation);
        messages.sort_by_key(|envelope| envelope.to);
        PendingWrite {
            id: *id,
            stable: *stable,
            snapshot: *snapshot,
            messages,
        }
    }
}

impl<S: Storage + Permute> Permute for Raft<S> {
    fn permute(&self, permutation: &[(NodeId, NodeId)]) -> Self {
        let Raft {
            config,
            membership,
            term,
            vote,
            log,
            role,
            outbox,
            held_back,
            pending_writes,
            written,
            unwritten_snapshot,
            read_outcomes,
        } = self;
        let id = config.id.permute(permutation);
        let mut held_back = held_back.permute(permutation);
        held_back.sort_by_key(|envelope| envelope.to);
        Raft {
            config: Constant(Arc::new(Config {
                id,
                ..Config::clone(config)
            })),
            membership: membership.permute(permutation),
            term: *term,
            vote: vote.permute(permutation),
            log: log.permute(permutation),
            role: role.permute(permutation),
            outbox: outbox.permute(permutation),
            held_back,
            pending_writes: pending_writes.permute(permutation),
            written: (written.0, written.1.permute(permutation)),
            unwritten_snapshot: unwritten_snapshot.permute(permutation),
            read_outcomes: read_outcomes.clone(),
        }
    }
}
