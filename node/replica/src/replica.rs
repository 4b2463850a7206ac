//! The driver of one node: see the crate's documentation for how the wheel turns.

mod admin;
mod arrival;
mod commands;
mod folder;
mod housework;
mod outbox;
mod reads;
mod status;

pub use admin::{Done, NotDone};
pub use outbox::{Fatal, Outbox, Refusal, Ticket};
pub use status::{PeerProgress, Status};

use crate::disk::{Disk, DiskError, Meanwhile};
use crate::log_store::LogStore;
use crate::machine::StateMachine;
use crate::mutant::mutated;
use crate::options::Options;
use crate::recover::OpenError;
use crate::snapshot::{Stored, Taking};
use crate::transfer::{Arrived, Carrier, Incoming};
use crate::wal::{Durability, Unsealed};
use admin::Admin;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use bytes::Bytes;
use commands::LeadsSince;
use core::time::Duration;
use folder::open_store;
use raft::{
    Entry, Index, LogPosition, Logger, Message, NodeId, RawNode, ReadToken, Ready, RoleKind, Term, Write,
    WriteId,
};
use reads::Read;
use wire::peer::{Packet, Parcel};

/// How far the term of a message may be ahead of this node's own. A term is taken up from any message, is kept on the disk, and is never taken
/// back: no single frame may lead to the end of all terms. At a thousand elections a second, nobody gets that far ahead in a month.
const TERMS_AHEAD_MAX: u64 = 1 << 32;

/// One node without its operating system.
#[derive(Debug)]
pub struct Replica<D: Disk, L: Logger> {
    node: RawNode<LogStore<D>, L>,
    machine: StateMachine,
    incarnation: u128,
    /// What the core asked for and [`Replica::carry_out`] is still to do.
    staged: Option<Ready<Bytes>>,
    /// The write that is on its way to the disk. Until it is durable, the core is asked for no other.
    writing: Option<WriteId>,
    /// Committed entries that the core handed out in the last turn and that nobody waits for.
    unapplied: Vec<Entry<Bytes>>,
    apply_work_max: u64,
    /// What was applied in the latest turn, as work.
    work: u64,
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
            writing: None,
            unapplied: Vec::new(),
            apply_work_max: options.apply_work_max,
            work: 0,
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

    /// Whether whoever opens connections is to tell nodes apart by their data folders. It always is, but for a seeded bug.
    pub fn knows_folders(&self) -> bool {
        !mutated!(self.mutant, WipedRejoin)
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

    /// Takes in what another node says, unless its term is more than 2³² ahead of the own.
    ///
    /// # Panics
    /// The message shows that a promise was broken: see [`raft::Raft::step`].
    pub fn step(&mut self, packet: impl Into<Packet>) {
        match packet.into() {
            Packet::Message(envelope) if self.is_too_far_ahead(envelope.term) => {}
            Packet::Message(envelope) => {
                if let Message::Snapshot { snapshot } = &envelope.message
                    && self.node.raft().lacks(envelope.term, snapshot)
                {
                    let snapshot = snapshot.clone();
                    return self.snapshot_is_offered(envelope, &snapshot);
                }
                self.node.step(envelope);
            }
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

    fn is_too_far_ahead(&self, term: Term) -> bool {
        term.0 > self.node.raft().term().0.saturating_add(TERMS_AHEAD_MAX)
    }

    /// Messages to `peer` may have been lost.
    pub fn unreachable(&mut self, peer: NodeId) {
        self.carrier.unreachable(peer);
        self.node.report_unreachable(peer);
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

    /// Whether there is anything to send or to carry out.
    pub fn has_work(&self) -> bool {
        let has_ready = match self.writing {
            Some(_) => self.node.has_ready_besides_write(),
            None => self.node.has_ready(),
        };
        has_ready
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

    /// Whether something is on its way to the disk, as a [`Disk`] can have it: the wheel turns on meanwhile, and as soon as it is over,
    /// [`Replica::settle`] is to be called.
    pub fn is_writing(&self) -> bool {
        self.writing.is_some()
    }

    /// Whether this turn has something to be made durable; for one who keeps account.
    pub fn is_about_to_write(&self) -> bool {
        self.staged.as_ref().is_some_and(|ready| ready.write.is_some())
    }

    /// Whether the latest turn has applied as much as one may. Before the next one, if there is any, others should have theirs: what has come
    /// in, time, and whatever else the caller does.
    pub fn has_done_enough(&self) -> bool {
        self.work >= self.apply_work_max
    }

    /// Takes in that what was on its way to the disk is durable, if it is. Between turns, not within one.
    ///
    /// # Errors
    /// The node must stop: the disk failed.
    pub fn settle(&mut self) -> Result<(), Fatal> {
        if let Some(id) = self.writing
            && self.node.storage_mut().finish_write()?
        {
            self.writing = None;
            self.node.persisted(id);
        }
        Ok(())
    }

    /// The first part of a turn: hands out what may leave before the disk is touched.
    pub fn send(&mut self, out: &mut Outbox) {
        assert!(
            self.staged.is_none(),
            "a turn was begun before the last one was carried out"
        );
        self.work = 0;
        self.ask_for_reads();
        let mut ready = match self.writing {
            Some(_) => self.node.ready_besides_write(),
            None => self.node.ready(),
        };
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

    /// A part of a turn that may be left out, between the first and the second, where the disk writes beside the caller: if a leader has
    /// something to be written, and something to apply and to answer, the write is begun before that.
    ///
    /// # Errors
    /// The node must stop: the disk failed.
    pub fn begin_write(&mut self) -> Result<(), Fatal> {
        let leads = self.node.raft().role() == RoleKind::Leader;
        let Some(staged) = self.staged.as_mut().filter(|_| leads && self.failure.is_none()) else {
            return Ok(());
        };
        let has_answers =
            !staged.committed.is_empty() || !staged.reads.is_empty() || !self.unapplied.is_empty();
        let is_plain = |write: &mut Write<Bytes>| has_answers && write.snapshot.is_none();
        let Some(write) = staged.write.take_if(is_plain) else {
            return Ok(());
        };
        let store = self.node.storage_mut();
        let batch = store.batch(&write, None);
        if store.segment_begun_by(&batch).is_some() {
            // That takes its time, and more of the log may go for it when all that is committed is applied.
            staged.write = Some(write);
            return Ok(());
        }
        self.write_batch(write, batch, None, Meanwhile::Answers)
    }

    /// The second part of a turn: applies what is committed and answers, so that no answer waits for the disk. What nobody here waits
    /// for, as on a follower, is left for the next turn if there is something to be written: others wait for that to be durable. And what
    /// would be more than [`Options::apply_work_max`] goes back to the core, which hands it out again: however much work commands are, ticks
    /// and heartbeats come between.
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
        self.apply_entries(&earlier, out)?;
        for outcome in reads {
            self.read_was_decided(outcome, out);
        }
        let is_waited_for =
            !self.commands.is_empty() || !self.confirmed.is_empty() || self.has_change_in_flight();
        if self.has_done_enough() {
            self.node.hand_back();
        } else if writes && !is_waited_for {
            self.unapplied = committed;
        } else {
            self.apply_entries(&committed, out)?;
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
    fn write(&mut self, write: Write<Bytes>) -> Result<(), Fatal> {
        let arrived = self.take_arrived(write.snapshot.as_deref());
        let (stored, machine) = arrived.map(|arrived| (arrived.stored, arrived.machine)).unzip();
        let snapshot = write.snapshot.clone();
        let store = self.node.storage_mut();
        let before = store.stored_snapshot().cloned();
        if mutated!(self.mutant, TornHardState) {
            store.write_vote_alone(&write)?;
        }
        let batch = store.batch(&write, stored.as_ref());
        if stored.is_none()
            && let Some(segment_bytes) = store.segment_begun_by(&batch)
        {
            self.make_room(segment_bytes)?;
        }
        self.write_batch(write, batch, stored, Meanwhile::Nothing)?;
        if let (Some(machine), Some(snapshot)) = (machine, snapshot) {
            self.machine = machine;
            self.node.applied(snapshot.last.index);
            self.replaced.extend(before);
            self.give_own_snapshot_up()?;
        }
        Ok(())
    }

    /// Writes it as its batch has it; `arrived` is the snapshot in it, whole.
    fn write_batch(
        &mut self,
        write: Write<Bytes>,
        batch: Unsealed,
        arrived: Option<Stored>,
        meanwhile: Meanwhile,
    ) -> Result<(), Fatal> {
        let leads = self.node.raft().role() == RoleKind::Leader;
        let sole_voter = self.node.raft().configuration().voters().len() == 1;
        let durability = if sole_voter && mutated!(self.mutant, SoleVoterUnsynced) {
            Durability::Unsynced
        } else if leads && arrived.is_none() {
            // A leader has other things to do meanwhile: it takes in what comes next, and sends it, and answers what is committed.
            Durability::Begun(meanwhile)
        } else {
            Durability::Synced
        };
        let id = write.id;
        let store = self.node.storage_mut();
        store.write(write, batch, arrived, durability)?;
        self.writing = Some(id);
        if mutated!(self.mutant, BegunIsDurable) {
            store.take_begun();
            self.node.persisted(id);
        }
        self.settle()
    }
}
