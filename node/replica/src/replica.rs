//! The driver of one node: see the crate's documentation for how the wheel turns.

use crate::disk::{Disk, DiskError};
use crate::identity;
use crate::log_store::LogStore;
use crate::machine::{Answer, StateMachine};
use crate::mutant::mutated;
use crate::options::Options;
use crate::recover::OpenError;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use raft::{
    Configuration, Entry, EntryData, Envelope, Index, LogPosition, Logger, Message, NodeId, ProgressState,
    ProposeError, RawNode, ReadIndexError, ReadOutcome, ReadToken, Ready, RoleKind, SnapshotMeta, Term,
};
use wire::DecodeError;
use wire::record::{Command, Identity};

/// Names a client's request; chosen by the caller. Every ticket is answered exactly once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// Why a request did not succeed. All but [`Refusal::LeadershipLost`] are definite: the command entered no log.
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
    /// Too much is uncommitted.
    Busy,
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
    pub messages: Vec<Envelope<Bytes>>,
    /// To clients.
    pub replies: Vec<(Ticket, Result<Answer, Refusal>)>,
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
    /// The voting members.
    pub voters: Vec<NodeId>,
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
    /// Whether appends are pipelined to it, or it is still being found out where its log matches.
    pub pipelined: bool,
    /// Appends in flight.
    pub in_flight: usize,
    /// Whether it was heard from since the last quorum check.
    pub active: bool,
}

/// A read, and whom to tell.
#[derive(Clone, Debug)]
struct Read {
    ticket: Ticket,
    key: Bytes,
}

/// One node without its operating system.
#[derive(Debug)]
pub struct Replica<D: Disk, L: Logger> {
    node: RawNode<LogStore<D>, L>,
    machine: StateMachine,
    incarnation: u128,
    /// What the core asked for and [`Replica::carry_out`] is still to do.
    staged: Option<Ready<Bytes>>,
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
        let (store, incarnation) = open_store(disk, options)?;
        let node = RawNode::new(config, options.timing, options.seed, store, logger)?;
        Ok(Replica {
            node,
            machine: StateMachine::default(),
            incarnation,
            staged: None,
            commands: VecDeque::new(),
            gathered: Vec::new(),
            last_token: ReadToken(0),
            confirming: BTreeMap::new(),
            confirmed: VecDeque::new(),
            refused: Vec::new(),
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
    }

    /// Takes in another node's message.
    ///
    /// # Panics
    /// The message shows that a promise was broken: see [`raft::Raft::step`].
    pub fn step(&mut self, envelope: Envelope<Bytes>) {
        // Nobody compacts its log, so nobody sends a snapshot; and without its data none can be taken in.
        if !matches!(envelope.message, Message::Snapshot { .. }) {
            self.node.step(envelope);
        }
    }

    /// Messages to `peer` may have been lost.
    pub fn unreachable(&mut self, peer: NodeId) {
        self.node.report_unreachable(peer);
    }

    /// Stands for election at once.
    pub fn campaign(&mut self) {
        self.node.campaign();
    }

    /// Takes in a command.
    pub fn command(&mut self, ticket: Ticket, command: &Command) {
        match self.node.propose(command.to_bytes()) {
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
                pipelined: matches!(progress.state(), ProgressState::Replicate { .. }),
                in_flight: progress.in_flight(),
                active: progress.is_active(),
            });
        Status {
            role: raft.role(),
            term: raft.term(),
            leader: raft.leader(),
            last_index: raft.last().index,
            commit_index: raft.commit_index(),
            applied_index: raft.applied_index(),
            state_hash: self.machine.state_hash(),
            voters: raft.configuration().voters().to_vec(),
            progress: progress.collect(),
        }
    }

    /// Whether there is anything to send or to carry out.
    pub fn has_work(&self) -> bool {
        self.node.has_ready()
            || self.staged.is_some()
            || !self.gathered.is_empty()
            || !self.refused.is_empty()
            || self.has_lost_commands()
    }

    /// The first half of a turn: hands out what may leave before the disk is touched.
    pub fn send(&mut self, out: &mut Outbox) {
        assert!(
            self.staged.is_none(),
            "a turn was begun before the last one was carried out"
        );
        self.ask_for_reads();
        let mut ready = self.node.ready();
        out.messages.append(&mut ready.messages);
        out.replies.extend(
            self.refused
                .drain(..)
                .map(|(ticket, refusal)| (ticket, Err(refusal))),
        );
        self.staged = Some(ready);
    }

    /// The second half of a turn: makes durable what must be, applies what is committed, and answers.
    ///
    /// # Errors
    /// The node must stop: the disk failed, or a command can't be applied. What was not answered by then is indefinite.
    pub fn carry_out(&mut self, out: &mut Outbox) -> Result<(), Fatal> {
        let Some(Ready {
            write,
            committed,
            reads,
            ..
        }) = self.staged.take()
        else {
            return Ok(());
        };
        if let Some(write) = write {
            let store = self.node.storage_mut();
            store.write(&write)?;
            store.sync()?;
            self.node.persisted(write.id);
        }
        if mutated!(self.mutant, FailoverEmpties) && self.opens_term(&committed) {
            self.machine = StateMachine::default();
        }
        if let Some(failure) = self.node.storage_mut().take_failure() {
            return Err(failure.into());
        }
        for outcome in reads {
            self.read_was_decided(outcome, out);
        }
        if let Some(last) = committed.last().map(|entry| entry.index) {
            for entry in committed {
                self.apply(entry, out)?;
            }
            self.node.applied(last);
        }
        // Only now: what a leadership that is over had committed is answered as done.
        self.give_lost_commands_up(out);
        self.answer_reads(out);
        Ok(())
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
        while let Some((_, reads)) = self.confirmed.pop_front_if(|(index, _)| *index <= applied) {
            let answer = |read: Read| (read.ticket, Ok(Answer::Value(self.machine.get(&read.key))));
            out.replies.extend(reads.into_iter().map(answer));
        }
    }

    fn apply(&mut self, entry: Entry<Bytes>, out: &mut Outbox) -> Result<(), Fatal> {
        let position = entry.position();
        let answer = match entry.data {
            EntryData::Noop | EntryData::Configuration(_) => return Ok(()),
            EntryData::Command(bytes) => {
                let command =
                    Command::from_bytes(&bytes).map_err(|error| Fatal::Command { position, error })?;
                self.machine.apply(command)
            }
        };
        if let Some((_, ticket)) = self.commands.pop_front_if(|(proposed, _)| *proposed == position) {
            out.replies.push((ticket, Ok(answer)));
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

/// The folder's log and incarnation; a fresh folder is made `options.node`'s.
fn open_store<D: Disk>(disk: D, options: &Options) -> Result<(LogStore<D>, u128), OpenError> {
    let mut voters = options.voters.clone();
    voters.sort_unstable();
    voters.dedup();
    let known = identity::read(&disk)?;
    if let Some(known) = &known {
        expect_own("cluster", &known.cluster_id, &options.cluster_id)?;
        expect_own("node", &known.node, &options.node.0)?;
    }
    let secret = known.as_ref().map(|known| identity::secret(known.incarnation));
    let mut disk = match LogStore::open(disk, options.segment_bytes, options.tail_bytes_max, secret)? {
        Ok(store) if let Some(known) = known => {
            expect_own("voters", &list(store.first_voters()), &list(&voters))?;
            return Ok((store, known.incarnation));
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
        .filter(|name| crate::wal::segment_number(name).is_some())
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
        configuration: Arc::new(Configuration::of_voters(voters)),
    };
    let mut store = LogStore::create(
        disk,
        base,
        options.segment_bytes,
        options.tail_bytes_max,
        identity::secret(options.incarnation),
    )?;
    identity::write(store.disk_mut(), &identity)?;
    Ok((store, options.incarnation))
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
