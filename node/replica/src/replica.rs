//! The driver of one node: see the crate's documentation for how the wheel turns.

mod admin;

pub use admin::{Done, NotDone};

use crate::disk::{Disk, DiskError};
use crate::identity;
use crate::log_store::LogStore;
use crate::machine::{Rejection, StateMachine};
use crate::mutant::mutated;
use crate::options::Options;
use crate::recover::{Conflict, OpenError, Tear};
use crate::snapshot::{self, Stored, Taking};
use crate::transfer::{Arrived, Carrier, CheckError, Incoming};
use crate::wal::{self, Durability};
use admin::Admin;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use core::time::Duration;
use raft::{
    Configuration, Entry, EntryData, Envelope, Index, LogPosition, Logger, Message, NodeId, ProgressState,
    ProposeError, RawNode, ReadIndexError, ReadOutcome, ReadToken, Ready, RoleKind, SnapshotMeta,
    SnapshotStatus, Storage as _, Term, Write,
};
use wire::DecodeError;
use wire::peer::{Packet, Parcel};
use wire::record::{Answer, Command, Identity, Invocation, Once, Unfit};

/// Names a client's request; chosen by the caller. Every ticket is answered exactly once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// Why a request did not succeed. All but [`Refusal::LeadershipLost`] and [`Refusal::ReplyForgotten`] are definite: this command has no
/// effect, and never will.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// This node does not lead.
    NotLeader {
        /// Who does, as far as it knows.
        leader: Option<NodeId>,
    },
    /// Leadership was lost after the command was appended: it may yet take effect.
    LeadershipLost,
    /// Leadership was lost before the read was confirmed.
    ReadAborted,
    /// Too much is uncommitted, or too much is ahead of the answers that the session's client has.
    Busy,
    /// There is no such session: nothing was carried out, and nothing that is given in it ever will be.
    SessionExpired,
    /// The command of a session was carried out before, and its answer is kept no more.
    ReplyForgotten,
    /// What is stored does not fit the command, which changed nothing.
    Unfit(Unfit),
}

impl From<Rejection> for Refusal {
    fn from(rejection: Rejection) -> Refusal {
        match rejection {
            Rejection::Unfit(unfit) => Refusal::Unfit(unfit),
            Rejection::SessionExpired => Refusal::SessionExpired,
            Rejection::ReplyForgotten => Refusal::ReplyForgotten,
            Rejection::BeyondWindow => Refusal::Busy,
        }
    }
}

impl From<ProposeError> for Refusal {
    fn from(error: ProposeError) -> Refusal {
        match error {
            ProposeError::NotLeader { leader } => Refusal::NotLeader { leader },
            // Either is over soon, and the command entered no log.
            ProposeError::Busy | ProposeError::Transferring { .. } => Refusal::Busy,
        }
    }
}

/// What is to be passed on. The caller empties it.
#[derive(Debug, Default)]
pub struct Outbox {
    /// To other nodes. Any of them may be lost.
    pub messages: Vec<Packet>,
    /// To clients.
    pub replies: Vec<(Ticket, Result<Answer, Refusal>)>,
    /// To operators.
    pub done: Vec<(Ticket, Result<Done, NotDone>)>,
}

/// What stops a node.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fatal {
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// A committed command can't be understood: going on would make this node's state differ from the others'.
    #[error("the committed command at {position} can't be applied: {error}")]
    Command {
        /// Where it stands.
        position: LogPosition,
        /// What is wrong with it.
        error: DecodeError,
    },
}

/// How a node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Its role.
    pub role: RoleKind,
    /// Its current term.
    pub term: Term,
    /// Who leads, as far as it knows.
    pub leader: Option<NodeId>,
    /// The last index of its log.
    pub last_index: Index,
    /// The highest index that it knows to be committed.
    pub commit_index: Index,
    /// The highest index that was applied.
    pub applied_index: Index,
    /// A hash of the state: equal at equal `applied_index`.
    pub state_hash: u64,
    /// The first index of its log.
    pub first_index: Index,
    /// The last index that its latest snapshot covers; 0 if it has none.
    pub snapshot_index: Index,
    /// Who takes part: the configuration in force.
    pub configuration: Arc<Configuration>,
    /// On the leader: how far each other node is.
    pub progress: Vec<PeerProgress>,
}

/// A peer's progress as its leader sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerProgress {
    /// The peer.
    pub node: NodeId,
    /// The highest index known to be durable there.
    pub matched: Index,
    /// The next index to be sent.
    pub next: Index,
    /// How it is replicated to: `probe`, `replicate` or `snapshot`.
    pub state: &'static str,
    /// Appends in flight.
    pub in_flight: usize,
    /// Whether it was heard from since the last quorum check.
    pub active: bool,
    /// Whether it is a learner that keeps up.
    pub caught_up: bool,
}

/// A read, and whom to tell.
#[derive(Clone, Debug)]
struct Read {
    ticket: Ticket,
    key: Bytes,
}

/// When a node began to lead: what its stamps of time are counted from.
#[derive(Clone, Copy, Debug)]
struct LeadsSince {
    term: Term,
    /// Leaders' time then, in milliseconds.
    time: u64,
    /// The driver's clock then.
    now: Duration,
}

/// One node without its operating system.
#[derive(Debug)]
pub struct Replica<D: Disk, L: Logger> {
    node: RawNode<LogStore<D>, L>,
    machine: StateMachine,
    incarnation: u128,
    /// What the core asked for and [`Replica::carry_out`] is still to do.
    staged: Option<Ready<Bytes>>,
    /// Committed entries that the core handed out in the last turn and that nobody waits for.
    unapplied: Vec<Entry<Bytes>>,
    /// The commands of this leadership that are not applied, by index.
    commands: VecDeque<(LogPosition, Ticket)>,
    /// Reads that came in since the last turn; they share one token.
    gathered: Vec<Read>,
    last_token: ReadToken,
    /// Reads that are being confirmed, by token.
    confirming: BTreeMap<ReadToken, Vec<Read>>,
    /// Reads that are confirmed and wait for an index to be applied, oldest first.
    confirmed: VecDeque<(Index, Vec<Read>)>,
    /// Refusals that need no turn of the wheel.
    refused: Vec<(Ticket, Refusal)>,
    /// Snapshots on their way to followers.
    carrier: Carrier,
    /// A snapshot on its way from the leader.
    incoming: Option<Incoming>,
    /// Snapshots that have arrived and were handed to the core, which has yet to ask for them to be written.
    arrived: Vec<Arrived>,
    /// A snapshot of this node's own state that is being taken.
    taking: Option<Taking>,
    /// Snapshots that a later one has replaced.
    replaced: Vec<Stored>,
    /// What is to be told to other nodes about snapshots.
    parcels: Vec<(NodeId, Parcel)>,
    /// How many bytes the log held when it was last compacted.
    compacted_bytes: u64,
    snapshot_log_bytes: u64,
    /// After as many ticks without a word what was sent of a snapshot is sent again.
    resend_ticks: u32,
    admin: Admin,
    /// By the driver's clock.
    now: Duration,
    /// What the last leadership counts its time from.
    leads_since: Option<LeadsSince>,
    /// How long a session lives unused, in milliseconds.
    session_lifetime: u64,
    /// The disk failed while a message was taken in: the node stops at the end of this turn.
    failure: Option<DiskError>,
    #[cfg(feature = "mutants")]
    mutant: Option<crate::Mutant>,
}

impl<D: Disk, L: Logger> Replica<D, L> {
    /// A node that starts, or starts again, with what lies on `disk`; a fresh folder is made its own.
    ///
    /// # Errors
    /// The folder belongs to somebody else or is damaged, the disk fails, or the settings can't work.
    pub fn open(disk: D, options: &Options, logger: L) -> Result<Self, OpenError> {
        #[cfg_attr(
            not(feature = "mutants"),
            expect(unused_mut, reason = "only a mutant changes the settings")
        )]
        let mut config = options.raft.clone();
        #[cfg(feature = "mutants")]
        if let Some(crate::Mutant::Core(mutant)) = options.mutant {
            config.mutant = Some(mutant);
        }
        config.validate()?;
        options.timing.validate()?;
        let (store, machine, incarnation) = open_store(disk, options)?;
        let node = RawNode::new(config, options.timing, options.seed, store, logger)?;
        Ok(Replica {
            node,
            machine,
            incarnation,
            staged: None,
            unapplied: Vec::new(),
            commands: VecDeque::new(),
            gathered: Vec::new(),
            last_token: ReadToken(0),
            confirming: BTreeMap::new(),
            confirmed: VecDeque::new(),
            refused: Vec::new(),
            carrier: Carrier::default(),
            incoming: None,
            arrived: Vec::new(),
            taking: None,
            replaced: Vec::new(),
            parcels: Vec::new(),
            compacted_bytes: 0,
            snapshot_log_bytes: options.snapshot_log_bytes,
            resend_ticks: options.timing.election_ticks_max,
            admin: Admin::default(),
            now: Duration::ZERO,
            leads_since: None,
            session_lifetime: u64::try_from(options.session_lifetime.as_millis())
                .unwrap_or(u64::MAX)
                .max(1),
            failure: None,
            #[cfg(feature = "mutants")]
            mutant: options.mutant,
        })
    }

    /// The random identity of the data folder.
    pub fn incarnation(&self) -> u128 {
        self.incarnation
    }

    /// The core, to look at.
    pub fn core(&self) -> &RawNode<LogStore<D>, L> {
        &self.node
    }

    /// The disk, when the node is gone: what a crash leaves.
    pub fn into_disk(self) -> D {
        self.node.into_storage().into_disk()
    }

    /// One tick of time passed.
    pub fn tick(&mut self) {
        self.node.tick();
        self.carrier.tick(self.resend_ticks);
        self.report_snapshots();
        self.record_members();
    }

    /// Takes in what another node says.
    ///
    /// # Panics
    /// The message shows that a promise was broken: see [`raft::Raft::step`].
    pub fn step(&mut self, packet: impl Into<Packet>) {
        match packet.into() {
            Packet::Message(envelope) => match &envelope.message {
                Message::Snapshot { snapshot } if self.node.raft().lacks(envelope.term, snapshot) => {
                    let snapshot = snapshot.clone();
                    self.snapshot_is_offered(envelope, &snapshot);
                }
                Message::Snapshot { .. }
                | Message::PreVote { .. }
                | Message::PreVoteResponse { .. }
                | Message::Vote { .. }
                | Message::VoteResponse { .. }
                | Message::Append { .. }
                | Message::AppendAccepted { .. }
                | Message::AppendRejected { .. }
                | Message::Heartbeat { .. }
                | Message::HeartbeatResponse { .. }
                | Message::TimeoutNow => self.node.step(envelope),
            },
            Packet::Parcel { from, parcel, .. } => match parcel {
                Parcel::Piece {
                    last,
                    total,
                    offset,
                    bytes,
                } => self.piece_came(from, (last.into(), total, offset), &bytes),
                Parcel::Wanted { last, offset } => {
                    self.carrier.wanted(from, last.into(), offset);
                    self.report_snapshots();
                }
            },
        }
    }

    /// Messages to `peer` may have been lost.
    pub fn unreachable(&mut self, peer: NodeId) {
        self.carrier.unreachable(peer);
        self.node.report_unreachable(peer);
    }

    /// The leader has a snapshot for this node: asks for its file.
    fn snapshot_is_offered(&mut self, offer: Envelope<Bytes>, meta: &SnapshotMeta) {
        let disk = self.node.storage_mut().disk_mut();
        match Incoming::offered(disk, self.incoming.take(), offer, meta) {
            Ok(incoming) => {
                self.parcels.push((incoming.leader(), incoming.wants()));
                self.incoming = Some(incoming);
            }
            Err(error) => self.failure = Some(error),
        }
    }

    fn piece_came(&mut self, from: NodeId, piece: (LogPosition, u64, u64), bytes: &[u8]) {
        let Some(incoming) = self
            .incoming
            .as_mut()
            .filter(|incoming| incoming.leader() == from)
        else {
            return;
        };
        let disk = self.node.storage_mut().disk_mut();
        let whole = match incoming.take(disk, piece, bytes) {
            Ok(whole) => whole,
            Err(error) => {
                self.failure = Some(error);
                return;
            }
        };
        self.parcels.push((from, incoming.wants()));
        let Some(incoming) = self.incoming.take_if(|_| whole) else {
            return;
        };
        self.snapshot_came(incoming);
    }

    /// All of a snapshot is there: the core may put it in the place of the log, if it is what was offered and still needed.
    fn snapshot_came(&mut self, incoming: Incoming) {
        let needed = incoming
            .meta()
            .is_some_and(|meta| self.node.raft().lacks(incoming.offer().term, meta));
        let disk = self.node.storage_mut().disk_mut();
        let result = if needed {
            incoming.check(disk)
        } else {
            incoming.give_up(disk)
        };
        match result {
            Ok((offer, arrived)) => {
                self.arrived.extend(arrived);
                self.node.step(offer);
            }
            Err(CheckError::Damaged) => {}
            Err(CheckError::Disk(error)) => self.failure = Some(error),
        }
    }

    /// Tells the core what became of the snapshots that it had carried over.
    fn report_snapshots(&mut self) {
        let (given_up, delivered) = self.carrier.take_outcomes();
        for node in given_up {
            self.node.report_snapshot(node, SnapshotStatus::Failed);
        }
        for node in delivered {
            self.node.report_snapshot(node, SnapshotStatus::Delivered);
        }
    }

    /// Stands for election at once.
    pub fn campaign(&mut self) {
        self.node.campaign();
    }

    /// It is `now` by a clock that does not go back, counted from any beginning; a driver says so when
    /// it has received something and before it takes it in: see [`RawNode::time_is`]. Leaders' time is made of it, and leases. One that
    /// never says so has sessions that never expire, and no leases.
    pub fn time_is(&mut self, now: Duration) {
        self.now = self.now.max(now);
        self.node.time_is(self.now);
    }

    /// Takes in a command.
    pub fn command(&mut self, ticket: Ticket, command: &Command) {
        self.propose(ticket, command.to_bytes());
    }

    /// Takes in that a client opens a session.
    pub fn open_session(&mut self, ticket: Ticket) {
        let (time, lifetime) = (self.leaders_time(), self.session_lifetime);
        self.propose(ticket, Invocation::OpenSession { time, lifetime }.to_bytes());
    }

    /// Takes in that a client ends its session.
    pub fn close_session(&mut self, ticket: Ticket, session: u64) {
        let time = self.leaders_time();
        self.propose(ticket, Invocation::CloseSession { session, time }.to_bytes());
    }

    /// Takes in a command that is to be carried out once, however often it comes.
    pub fn command_once(&mut self, ticket: Ticket, once: Once, command: Command) {
        let time = self.leaders_time();
        self.propose(ticket, Invocation::Once { once, time, command }.to_bytes());
    }

    /// The time with which a leader stamps what it takes in, in milliseconds: that of its state when it began to lead, and what has
    /// passed since by its own clock. So it goes on from leader to leader, and stands still where nobody leads: nobody's session ends
    /// because there was nobody to talk to.
    fn leaders_time(&mut self) -> u64 {
        let Some(since) = self.leads_since() else { return 0 };
        let passed = self.now.saturating_sub(since.now).as_millis();
        since
            .time
            .saturating_add(u64::try_from(passed).unwrap_or(u64::MAX))
    }

    /// When this node began to lead, if it does.
    fn leads_since(&mut self) -> Option<LeadsSince> {
        let term = self.led_term()?;
        if self.leads_since.is_none_or(|since| since.term != term) {
            self.leads_since = Some(LeadsSince {
                term,
                time: self.machine.time(),
                now: self.now,
            });
        }
        self.leads_since
    }

    fn propose(&mut self, ticket: Ticket, bytes: Bytes) {
        match self.node.propose(bytes) {
            Ok(position) => self.commands.push_back((position, ticket)),
            Err(error) => self.refused.push((ticket, error.into())),
        }
    }

    /// Takes in a read.
    pub fn read(&mut self, ticket: Ticket, key: Bytes) {
        self.gathered.push(Read { ticket, key });
    }

    /// How the node is.
    pub fn status(&self) -> Status {
        let raft = self.node.raft();
        let peers = raft.progress().into_iter().flat_map(|tracker| tracker.iter());
        let progress = peers
            .filter(|(node, _)| *node != raft.id())
            .map(|(node, progress)| PeerProgress {
                node,
                matched: progress.matched(),
                next: progress.next(),
                state: match progress.state() {
                    ProgressState::Probe { .. } => "probe",
                    ProgressState::Replicate { .. } => "replicate",
                    ProgressState::Snapshot { .. } => "snapshot",
                },
                in_flight: progress.in_flight(),
                active: progress.is_active(),
                caught_up: progress.has_caught_up(),
            });
        Status {
            role: raft.role(),
            term: raft.term(),
            leader: raft.leader(),
            last_index: raft.last().index,
            commit_index: raft.commit_index(),
            applied_index: raft.applied_index(),
            state_hash: self.machine.state_hash(),
            first_index: raft.first_index(),
            snapshot_index: raft.storage().snapshot().map_or(Index(0), |meta| meta.last.index),
            configuration: Arc::new(raft.configuration().clone()),
            progress: progress.collect(),
        }
    }

    /// Whether there is anything to send or to carry out.
    pub fn has_work(&self) -> bool {
        self.node.has_ready()
            || self.staged.is_some()
            || !self.unapplied.is_empty()
            || self.failure.is_some()
            || !self.parcels.is_empty()
            || self.carrier.has_pieces()
            || self.has_housework()
            || !self.gathered.is_empty()
            || !self.refused.is_empty()
            || self.has_lost_commands()
            || self.can_answer_operator()
    }

    /// The first part of a turn: hands out what may leave before the disk is touched.
    pub fn send(&mut self, out: &mut Outbox) {
        assert!(
            self.staged.is_none(),
            "a turn was begun before the last one was carried out"
        );
        self.ask_for_reads();
        let mut ready = self.node.ready();
        if self.leads_since().is_none() {
            self.carrier.stop();
        }
        for envelope in ready.messages.drain(..) {
            if let Message::Snapshot { .. } = envelope.message
                && let Some(stored) = self.node.raft().storage().stored_snapshot()
            {
                self.carrier.begin(envelope.to, stored.clone());
            }
            out.messages.push(Packet::Message(envelope));
        }
        self.send_parcels(out);
        out.replies.extend(
            self.refused
                .drain(..)
                .map(|(ticket, refusal)| (ticket, Err(refusal))),
        );
        self.staged = Some(ready);
    }

    fn send_parcels(&mut self, out: &mut Outbox) {
        let from = self.node.raft().id();
        match self.carrier.pieces(self.node.raft().storage().disk()) {
            Ok(pieces) => self.parcels.extend(pieces),
            Err(error) => self.failure = Some(error),
        }
        let packets = self.parcels.drain(..);
        out.messages
            .extend(packets.map(|(to, parcel)| Packet::Parcel { from, to, parcel }));
    }

    /// The second part of a turn: applies what is committed and answers, so that no answer waits for the disk. What nobody here waits
    /// for, as on a follower, is left for the next turn if there is something to be written: others wait for that to be durable.
    ///
    /// [`Replica::carry_out`] does it where it was not done.
    ///
    /// # Errors
    /// The node must stop: a command can't be applied. What was not answered by then is indefinite.
    pub fn apply(&mut self, out: &mut Outbox) -> Result<(), Fatal> {
        let Some(staged) = self.staged.as_mut().filter(|_| self.failure.is_none()) else {
            return Ok(());
        };
        let committed = core::mem::take(&mut staged.committed);
        let reads = core::mem::take(&mut staged.reads);
        let writes = staged.write.is_some();
        let earlier = core::mem::take(&mut self.unapplied);
        self.apply_entries(earlier, out)?;
        for outcome in reads {
            self.read_was_decided(outcome, out);
        }
        let is_waited_for =
            !self.commands.is_empty() || !self.confirmed.is_empty() || self.has_change_in_flight();
        if writes && !is_waited_for {
            self.unapplied = committed;
        } else {
            self.apply_entries(committed, out)?;
        }
        self.answer_reads(out);
        Ok(())
    }

    /// The last part of a turn: makes durable what must be.
    ///
    /// # Errors
    /// The node must stop: the disk failed, or a command can't be applied. What was not answered by then is indefinite.
    pub fn carry_out(&mut self, out: &mut Outbox) -> Result<(), Fatal> {
        self.apply(out)?;
        let Some(Ready { write, .. }) = self.staged.take() else {
            return Ok(());
        };
        if let Some(failure) = self.failure.take() {
            return Err(failure.into());
        }
        if let Some(write) = write {
            self.write(write)?;
        }
        if let Some(failure) = self.node.storage_mut().take_failure() {
            return Err(failure.into());
        }
        // Only now: what a leadership that is over had committed is answered as done.
        self.give_lost_commands_up(out);
        self.answer_reads(out);
        self.do_housework()?;
        self.answer_operators(out);
        Ok(())
    }

    /// Writes what the core asked for, durably, and tells it.
    fn write(&mut self, write: Write<Bytes>) -> Result<(), DiskError> {
        let arrived = self.take_arrived(write.snapshot.as_deref());
        let (stored, machine) = arrived.map(|arrived| (arrived.stored, arrived.machine)).unzip();
        let sole_voter = self.node.raft().configuration().voters().len() == 1;
        let store = self.node.storage_mut();
        let before = store.stored_snapshot().cloned();
        if mutated!(self.mutant, TornHardState) {
            store.write_vote_alone(&write)?;
        }
        let durability = if sole_voter && mutated!(self.mutant, SoleVoterUnsynced) {
            Durability::Unsynced
        } else {
            Durability::Synced
        };
        store.write(&write, stored, durability)?;
        self.node.persisted(write.id);
        if let (Some(machine), Some(snapshot)) = (machine, write.snapshot) {
            self.machine = machine;
            self.node.applied(snapshot.last.index);
            self.replaced.extend(before);
            self.give_own_snapshot_up()?;
        }
        Ok(())
    }

    /// Begins a snapshot that names the last of `committed` and has the state before them: only a seeded bug does that.
    fn snapshot_before_effect(&mut self, committed: &[Entry<Bytes>]) -> Result<(), DiskError> {
        let last = committed.last().map(Entry::position);
        if let (Some(last), Some(meta)) = (last, self.node.raft().snapshot_meta()) {
            let meta = SnapshotMeta { last, ..meta };
            let machine = self.machine.clone();
            let disk = self.node.storage_mut().disk_mut();
            self.taking = Some(Taking::begin(disk, meta, machine)?);
        }
        Ok(())
    }

    /// The snapshot that the core has put in the place of its log; what arrived before it is needless.
    fn take_arrived(&mut self, snapshot: Option<&SnapshotMeta>) -> Option<Arrived> {
        let snapshot = snapshot?;
        let place = self
            .arrived
            .iter()
            .position(|arrived| *arrived.stored.meta == *snapshot);
        let place = place.expect("the core is handed a snapshot when its file is there");
        let arrived = self.arrived.remove(place);
        let earlier = self.arrived.drain(..place);
        self.replaced.extend(earlier.map(|arrived| arrived.stored));
        Some(arrived)
    }

    /// Whether there is something to do that nobody waits for.
    fn has_housework(&self) -> bool {
        let store = self.node.raft().storage();
        let needless = |stored: &Stored| !self.carrier.carries(stored.file);
        self.taking.is_some()
            || store.has_housework()
            || self.replaced.iter().any(needless)
            || self.must_snapshot()
    }

    /// Does one step of it: what waits for its turn meanwhile, waits no longer than for one write and its sync.
    fn do_housework(&mut self) -> Result<(), DiskError> {
        let needless = self
            .replaced
            .iter()
            .position(|stored| !self.carrier.carries(stored.file));
        let must_snapshot = self.must_snapshot();
        let meta = self.node.raft().snapshot_meta();
        let store = self.node.storage_mut();
        if store.has_housework() {
            store.do_housework()
        } else if let Some(place) = needless {
            let stored = self.replaced.remove(place);
            store.disk_mut().remove(&snapshot::file_name(stored.meta.last))
        } else if let Some(taking) = &mut self.taking {
            if let Some(stored) = taking.go_on(store.disk_mut())? {
                self.taking = None;
                let a_segment_more = mutated!(self.mutant, CompactionGap);
                self.replaced.extend(store.compact(stored, a_segment_more));
                self.compacted_bytes = store.log_bytes();
            }
            Ok(())
        } else if must_snapshot && let Some(meta) = meta {
            self.taking = Some(Taking::begin(store.disk_mut(), meta, self.machine.clone())?);
            Ok(())
        } else {
            Ok(())
        }
    }

    /// Whether the log has grown enough for a snapshot, and there is something new to be put into it.
    fn must_snapshot(&self) -> bool {
        let raft = self.node.raft();
        let store = raft.storage();
        let covered = store.snapshot().map_or(Index(0), |meta| meta.last.index);
        let grown = store.log_bytes().saturating_sub(self.compacted_bytes);
        self.taking.is_none()
            && raft.applied_index() > covered
            && (grown >= self.snapshot_log_bytes.max(self.machine.bytes()) || self.is_asked_for_snapshot())
    }

    /// A snapshot of what is no more this node's state is not wanted.
    fn give_own_snapshot_up(&mut self) -> Result<(), DiskError> {
        match self.taking.take() {
            Some(taking) => taking.give_up(self.node.storage_mut().disk_mut()),
            None => Ok(()),
        }
    }

    /// Hands all reads that came in since the last turn to the core, as one.
    fn ask_for_reads(&mut self) {
        if self.gathered.is_empty() {
            return;
        }
        let reads = core::mem::take(&mut self.gathered);
        self.last_token = ReadToken(self.last_token.0 + 1);
        match self.node.read_index(self.last_token) {
            Ok(()) => {
                self.confirming.insert(self.last_token, reads);
            }
            Err(ReadIndexError::NotLeader { leader }) => {
                self.refused.extend(
                    reads
                        .iter()
                        .map(|read| (read.ticket, Refusal::NotLeader { leader })),
                );
            }
        }
    }

    fn read_was_decided(&mut self, outcome: ReadOutcome, out: &mut Outbox) {
        match outcome {
            ReadOutcome::Confirmed { token, index } => {
                let reads = self.confirming.remove(&token).expect("a read is decided once");
                self.confirmed.push_back((index, reads));
            }
            ReadOutcome::Aborted { token } => {
                let reads = self.confirming.remove(&token).expect("a read is decided once");
                out.replies
                    .extend(reads.iter().map(|read| (read.ticket, Err(Refusal::ReadAborted))));
            }
        }
    }

    /// Answers the confirmed reads whose index was applied.
    fn answer_reads(&mut self, out: &mut Outbox) {
        let applied = self.node.raft().applied_index();
        let may_see = |index: Index| index <= applied || mutated!(self.mutant, ReadBeforeApplied);
        while let Some((_, reads)) = self.confirmed.pop_front_if(|(index, _)| may_see(*index)) {
            let answer = |read: Read| (read.ticket, Ok(Answer::Value(self.machine.get(&read.key))));
            out.replies.extend(reads.into_iter().map(answer));
        }
    }

    /// Applies committed entries, in order, and answers whoever proposed them.
    fn apply_entries(&mut self, committed: Vec<Entry<Bytes>>, out: &mut Outbox) -> Result<(), Fatal> {
        let Some(last) = committed.last().map(|entry| entry.index) else {
            return Ok(());
        };
        if mutated!(self.mutant, FailoverEmpties) && self.opens_term(&committed) {
            self.machine = StateMachine::default();
        }
        if mutated!(self.mutant, AppliedBeforeEffect) && self.must_snapshot() {
            self.snapshot_before_effect(&committed)?;
        }
        for entry in committed {
            self.apply_entry(entry, out)?;
        }
        self.node.applied(last);
        Ok(())
    }

    fn apply_entry(&mut self, entry: Entry<Bytes>, out: &mut Outbox) -> Result<(), Fatal> {
        let position = entry.position();
        let result = match entry.data {
            EntryData::Noop => return Ok(()),
            EntryData::Configuration(configuration) => {
                self.configuration_applied(position, &configuration, out);
                return Ok(());
            }
            EntryData::Command(bytes) => {
                let invocation =
                    Invocation::from_bytes(&bytes).map_err(|error| Fatal::Command { position, error })?;
                let invocation = if mutated!(self.mutant, RetryAppliedTwice) {
                    invocation.without_session()
                } else {
                    invocation
                };
                self.machine.invoke(position.index, invocation)
            }
        };
        if let Some((_, ticket)) = self.commands.pop_front_if(|(proposed, _)| *proposed == position) {
            out.replies.push((ticket, result.map_err(Refusal::from)));
        }
        Ok(())
    }

    /// Whether this node leads, and the entry that opened its term is among `committed`.
    fn opens_term(&self, committed: &[Entry<Bytes>]) -> bool {
        let opens =
            |entry: &Entry<Bytes>| entry.data == EntryData::Noop && Some(entry.term) == self.led_term();
        committed.iter().any(opens)
    }

    /// Whether commands wait that were proposed in a leadership that is over.
    fn has_lost_commands(&self) -> bool {
        let oldest = self.commands.front();
        oldest.is_some_and(|(position, _)| Some(position.term) != self.led_term())
    }

    fn led_term(&self) -> Option<Term> {
        let raft = self.node.raft();
        (raft.role() == RoleKind::Leader).then_some(raft.term())
    }

    /// Answers the commands of leaderships that are over, even of one that began and ended since the last turn. They may yet be committed
    /// by another leader, so nothing certain can be said of them.
    fn give_lost_commands_up(&mut self, out: &mut Outbox) {
        while self.has_lost_commands() {
            let (_, ticket) = self.commands.pop_front().expect("one was just looked at");
            out.replies.push((ticket, Err(Refusal::LeadershipLost)));
        }
    }
}

/// The folder's log, the state as of its latest snapshot, and its incarnation; a fresh folder is made `options.node`'s.
fn open_store<D: Disk>(
    mut disk: D,
    options: &Options,
) -> Result<(LogStore<D>, StateMachine, u128), OpenError> {
    let mut voters = options.voters.clone();
    voters.sort_unstable();
    voters.dedup();
    let known = identity::read(&disk)?;
    if let Some(known) = &known {
        expect_own("cluster", &known.cluster_id, &options.cluster_id)?;
        expect_own("node", &known.node, &options.node.0)?;
    }
    let secret = known.as_ref().map(|known| identity::secret(known.incarnation));
    let found = match &known {
        Some(_) => snapshot::find(&mut disk)?,
        None => None,
    };
    let (stored, machine) = found.unzip();
    let tear = if mutated!(options.mutant, AppendAfterTornTail) {
        Tear::Leave
    } else {
        Tear::Cut
    };
    let conflict = if mutated!(options.mutant, SnapshotKeepsTail) {
        Conflict::Keep
    } else {
        Conflict::Replace
    };
    let (segment_bytes, tail_bytes_max) = (options.segment_bytes, options.tail_bytes_max);
    let opened = LogStore::open(
        disk,
        segment_bytes,
        tail_bytes_max,
        secret,
        stored,
        (tear, conflict),
    )?;
    let mut disk = match opened {
        Ok(mut store) if let Some(known) = known => {
            // Who takes part may have changed since the beginning; the log knows, if only its beginning is still there.
            // A node that joins a cluster names nobody; and who began by joining one goes by what it was told.
            let founds = !voters.is_empty() && !store.first_voters().is_empty();
            if store.is_whole() && founds {
                expect_own("voters", &list(store.first_voters()), &list(&voters))?;
            }
            let latest = store.stored_snapshot().map(|stored| stored.meta.last);
            snapshot::tidy_up(store.disk_mut(), latest)?;
            return Ok((store, machine.unwrap_or_default(), known.incarnation));
        }
        Ok(store) if store.is_blank() => store.into_disk(),
        Ok(_) => {
            return Err(OpenError::Corrupt {
                file: identity::FILE.to_string(),
                offset: 0,
                reason: "it is missing, and the log that lies beside it is not blank".to_string(),
            });
        }
        Err(disk) => disk,
    };
    // Making the folder was interrupted before anybody could have been promised anything; it is made anew.
    let remnants: Vec<String> = disk
        .list()?
        .into_iter()
        .filter(|name| name == wal::PREPARING || wal::segment_number(name).is_some())
        .collect();
    for name in remnants {
        disk.remove(&name)?;
    }
    let identity = Identity {
        format: identity::FORMAT,
        cluster_id: options.cluster_id.clone(),
        node: options.node.0,
        incarnation: options.incarnation,
    };
    let base = SnapshotMeta {
        last: LogPosition::default(),
        configuration: Arc::new(
            Configuration::of_voters(voters)
                .with_contexts(options.contexts.iter().map(|(node, context)| (*node, context))),
        ),
    };
    let mut store = LogStore::create(
        disk,
        base,
        options.segment_bytes,
        options.tail_bytes_max,
        identity::secret(options.incarnation),
    )?;
    identity::write(store.disk_mut(), &identity)?;
    Ok((store, StateMachine::default(), options.incarnation))
}

fn expect_own<T: PartialEq + ToString>(what: &'static str, found: &T, expected: &T) -> Result<(), OpenError> {
    if found == expected {
        return Ok(());
    }
    Err(OpenError::Foreign {
        what,
        found: found.to_string(),
        expected: expected.to_string(),
    })
}

fn list(voters: &[NodeId]) -> String {
    let names: Vec<String> = voters.iter().map(ToString::to_string).collect();
    names.join(",")
}
