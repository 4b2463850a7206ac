//! TiKV's side: its `raft` crate, driven as its documentation says, but for what the parent module lists.

use super::disk::{Content, Disk, Write};
use super::party::{Carries, Members, Parcel, Party, Place, Settings, View};
use raft::{Change, NodeId, RoleKind};
use std::collections::{BTreeMap, VecDeque};
use tikv_raft::eraftpb::{
    ConfChangeSingle, ConfChangeType, ConfChangeV2, ConfState, Entry, EntryType, Message, MessageType,
};
use tikv_raft::{Changer, Config, NO_LIMIT, ProgressState, RawNode, SnapshotStatus, StateRole};

/// Ticks never come: time is given as the other side takes it.
const ELECTION_TICKS: usize = 1_000;

pub(super) struct Theirs {
    id: NodeId,
    settings: Settings,
    node: RawNode<Disk>,
    /// What was handed out and is not durable: its number, the write, and the messages that wait for it.
    pending: VecDeque<(u64, Write, Vec<Message>)>,
    outbox: Vec<Message>,
    /// The reads that were taken in and are open: the term, and who led it.
    open_reads: BTreeMap<u64, (u64, u64)>,
    reads: BTreeMap<u64, u64>,
    /// Whether the transfer under way has seen a quorum check.
    transfer_aged: bool,
}

fn node(id: u64) -> Option<NodeId> {
    (id != 0).then_some(NodeId(id))
}

fn sorted(ids: &[u64]) -> Vec<u64> {
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    ids
}

impl From<&ConfState> for Members {
    fn from(state: &ConfState) -> Members {
        Members {
            voters: sorted(&state.voters),
            outgoing: sorted(&state.voters_outgoing),
            learners: sorted(&state.learners),
            learners_next: sorted(&state.learners_next),
        }
    }
}

/// Changes as bytes, for an entry's context: a kind and a node each.
fn encode(changes: &[Change]) -> Vec<u8> {
    let encode = |change: &Change| {
        let kind = match change {
            Change::AddVoter(_) => 0,
            Change::AddLearner(_) => 1,
            Change::Remove(_) => 2,
        };
        [kind, u8::try_from(change.node().0).expect("ids are small")]
    };
    changes.iter().flat_map(encode).collect()
}

/// None, for an entry that leaves a joint configuration.
fn decode(context: &[u8]) -> ConfChangeV2 {
    let change = |pair: &[u8]| {
        let mut change = ConfChangeSingle::default();
        change.set_change_type(match pair[0] {
            0 => ConfChangeType::AddNode,
            1 => ConfChangeType::AddLearnerNode,
            _ => ConfChangeType::RemoveNode,
        });
        change.node_id = u64::from(pair[1]);
        change
    };
    let mut changes = ConfChangeV2::default();
    changes.set_changes(context.chunks(2).map(change).collect::<Vec<_>>().into());
    changes
}

fn is_vote(kind: MessageType) -> bool {
    matches!(
        kind,
        MessageType::MsgRequestVote
            | MessageType::MsgRequestVoteResponse
            | MessageType::MsgRequestPreVote
            | MessageType::MsgRequestPreVoteResponse
    )
}

/// Whether a message says nothing that a crash could make untrue.
fn promises_nothing(message: &Message) -> bool {
    let kind = message.get_msg_type();
    message.reject
        || matches!(
            kind,
            MessageType::MsgHeartbeatResponse
                | MessageType::MsgReadIndex
                | MessageType::MsgRequestPreVote
                | MessageType::MsgRequestPreVoteResponse
        )
}

impl Theirs {
    fn on(id: NodeId, settings: Settings, content: Content) -> Theirs {
        let config = Config {
            id: id.0,
            election_tick: ELECTION_TICKS,
            heartbeat_tick: 1,
            applied: content.applied,
            max_size_per_msg: NO_LIMIT,
            check_quorum: settings.check_quorum,
            pre_vote: settings.pre_vote,
            // Followers learn of commits with the next append or heartbeat, as on the other side.
            skip_bcast_commit: true,
            ..Config::default()
        };
        let disk = Disk {
            durable: content.clone(),
            now: content,
        };
        let logger = slog::Logger::root(slog::Discard, slog::o!());
        Theirs {
            id,
            settings,
            node: RawNode::new(&config, disk, &logger).expect("the settings can work"),
            pending: VecDeque::new(),
            outbox: Vec::new(),
            open_reads: BTreeMap::new(),
            reads: BTreeMap::new(),
            transfer_aged: false,
        }
    }

    fn leads(&self) -> bool {
        self.node.raft.state == StateRole::Leader
    }

    /// Answers for it what it answers to nobody: see the parent module.
    fn answer(&mut self, to: u64, kind: MessageType, index: u64) {
        let mut answer = Message::default();
        answer.set_msg_type(kind);
        answer.from = self.id.0;
        answer.to = to;
        answer.term = self.node.raft.term;
        answer.index = index;
        answer.reject = kind != MessageType::MsgAppendResponse;
        self.outbox.push(answer);
    }

    /// Reads end with the leadership that they were asked of.
    fn end_reads(&mut self) {
        let now = (self.node.raft.term, self.node.raft.leader_id);
        self.open_reads.retain(|_, asked_of| *asked_of == now);
    }

    fn hears_a_leader(&self) -> bool {
        let raft = &self.node.raft;
        raft.leader_id != 0 && (self.leads() || raft.election_elapsed < ELECTION_TICKS)
    }

    fn ask(&mut self, token: u64) {
        self.node.read_index(token.to_be_bytes().to_vec());
        let term = self.node.raft.term;
        let sent = self.node.raft.msgs.iter_mut();
        for question in sent.filter(|message| message.get_msg_type() == MessageType::MsgReadIndex) {
            // A field that it leaves empty tells whose question it is: it has no term of its own.
            question.log_term = term;
        }
    }

    /// Carries writes out and reports them; with a slow disk, as long as there is nothing to write.
    fn persist(&mut self, slow_disk: bool) {
        while let Some((number, write, messages)) = self.pending.pop_front() {
            if slow_disk && !write.is_empty() {
                return self.pending.push_front((number, write, messages));
            }
            self.node.mut_store().durable.carry_out(&write);
            self.node.on_persist_ready(number);
            if let Some(snapshot) = &write.snapshot {
                self.node.advance_apply_to(snapshot.index);
            }
            let term = self.node.raft.term;
            self.outbox
                .extend(messages.into_iter().filter(|message| message.term == term));
        }
    }

    fn apply(&mut self, entries: &[Entry]) {
        for entry in entries {
            if entry.get_entry_type() != EntryType::EntryNormal {
                let members = self.node.apply_conf_change(&decode(&entry.context));
                let members = members.expect("what was accepted can be applied");
                let disk = self.node.mut_store();
                disk.now.members = members.clone();
                disk.durable.members = members;
            }
            let disk = self.node.mut_store();
            (disk.now.applied, disk.durable.applied) = (entry.index, entry.index);
        }
        if let Some(last) = entries.last() {
            self.node.advance_apply_to(last.index);
        }
    }

    /// Takes one `Ready` and does what it asks for, but leaves what must be durable pending.
    fn take_ready(&mut self) {
        let mut ready = self.node.ready();
        for read in ready.take_read_states() {
            let token = u64::from_be_bytes(read.request_ctx.try_into().expect("a token is eight bytes"));
            if self.open_reads.remove(&token).is_some() {
                self.reads.insert(token, read.index);
            }
        }
        self.outbox.extend(ready.take_messages());
        let (now, later): (Vec<Message>, Vec<Message>) = ready
            .take_persisted_messages()
            .into_iter()
            .partition(promises_nothing);
        self.outbox.extend(now);
        let snapshot = ready.snapshot().get_metadata();
        let write = Write {
            hard_state: ready.must_sync().then(|| self.node.raft.hard_state()),
            snapshot: (snapshot.index > 0).then(|| snapshot.clone()),
            entries: ready.take_entries(),
        };
        let committed = ready.take_committed_entries();
        self.node.mut_store().now.carry_out(&write);
        let number = ready.number();
        self.node.advance_append_async(ready);
        self.pending.push_back((number, write, later));
        self.apply(&committed);
    }
}

impl Party for Theirs {
    type Message = Message;

    fn start(id: NodeId, settings: Settings, genesis: &[NodeId]) -> Theirs {
        let mut members = ConfState::default();
        members.set_voters(genesis.iter().map(|node| node.0).collect());
        let mut content = Content {
            members: members.clone(),
            ..Content::default()
        };
        content.base.set_conf_state(members);
        Theirs::on(id, settings, content)
    }

    fn crash(mut self, landed: bool) -> Theirs {
        let mut content = self.node.store().durable.clone();
        if landed {
            for (_, write, _) in std::mem::take(&mut self.pending) {
                content.carry_out(&write);
            }
        }
        Theirs::on(self.id, self.settings, content)
    }

    fn is_of_election(message: &Message) -> bool {
        is_vote(message.get_msg_type())
    }

    fn step(&mut self, parcel: Parcel<Message>) {
        let mut message = parcel.message;
        let (from, term, own) = (message.from, message.term, self.node.raft.term);
        let kind = message.get_msg_type();
        // Votes carry a commit index there.
        if is_vote(kind) {
            (message.commit, message.commit_term) = (0, 0);
        }
        let is_of_leader = matches!(
            kind,
            MessageType::MsgAppend | MessageType::MsgHeartbeat | MessageType::MsgSnapshot
        );
        if term < own && kind == MessageType::MsgRequestVote {
            return self.answer(from, MessageType::MsgRequestVoteResponse, 0);
        }
        if term < own && is_of_leader {
            return self.answer(from, MessageType::MsgAppendResponse, 0);
        }
        if kind == MessageType::MsgReadIndex && !(self.leads() && message.log_term == own) {
            return;
        }
        if kind == MessageType::MsgRequestPreVote && term == own {
            return self.answer(from, MessageType::MsgRequestPreVoteResponse, term);
        }
        let is_late = message.index != own + 1 && (term <= own || !message.reject);
        if kind == MessageType::MsgRequestPreVoteResponse && is_late {
            return;
        }
        let stands = matches!(
            self.node.raft.state,
            StateRole::PreCandidate | StateRole::Candidate
        );
        if kind == MessageType::MsgTimeoutNow && term == own && stands {
            self.node.raft.become_follower(term, from);
        }
        let said = self.node.raft.msgs.len();
        // It refuses what strangers answer.
        let _ = self.node.step(message);
        if kind == MessageType::MsgRequestPreVote && self.node.raft.msgs.len() == said {
            self.answer(from, MessageType::MsgRequestPreVoteResponse, term);
        }
        let raft = &mut self.node.raft;
        for answer in &mut raft.msgs[said..] {
            if kind == MessageType::MsgRequestPreVote {
                // A field that it leaves empty tells which term was asked about.
                answer.index = term;
            }
        }
        if kind == MessageType::MsgRequestVote && raft.vote == from && raft.state == StateRole::PreCandidate {
            raft.become_follower(term, 0);
        }
        self.end_reads();
    }

    fn pump(&mut self, slow_disk: bool) -> Vec<Parcel<Message>> {
        loop {
            self.persist(slow_disk);
            if !self.node.has_ready() {
                break;
            }
            self.take_ready();
        }
        let sent = std::mem::take(&mut self.outbox).into_iter();
        sent.map(|message| Parcel {
            from: NodeId(message.from),
            to: NodeId(message.to),
            message,
        })
        .collect()
    }

    fn election_timeout(&mut self) {
        if self.node.raft.promotable() {
            self.node.campaign().expect("it may stand");
        }
        self.end_reads();
    }

    fn leader_silent(&mut self) {
        if !self.leads() {
            self.node.raft.election_elapsed = ELECTION_TICKS;
            // Who says nothing will hardly answer.
            self.open_reads.clear();
        }
    }

    fn heartbeat_timeout(&mut self) {
        self.node.ping();
        for token in self.open_reads.keys().copied().collect::<Vec<u64>>() {
            self.ask(token);
        }
    }

    fn quorum_check(&mut self) {
        if !self.leads() {
            return;
        }
        let mut check = Message::default();
        check.set_msg_type(MessageType::MsgCheckQuorum);
        if self.settings.check_quorum {
            self.node.raft.step(check).expect("a leader checks its quorum");
        }
        self.end_reads();
        let transfers = self.leads() && self.node.raft.lead_transferee.is_some();
        if transfers && std::mem::replace(&mut self.transfer_aged, true) {
            self.node.raft.abort_leader_transfer();
        }
    }

    fn unreachable(&mut self, node: NodeId) {
        self.node.report_unreachable(node.0);
    }

    fn snapshots_are_lost(&mut self) {
        if !self.leads() {
            return;
        }
        let progress = self.node.raft.prs().iter();
        let waits = |progress: &tikv_raft::Progress| progress.state == ProgressState::Snapshot;
        let waited_for = progress
            .filter(|(_, progress)| waits(progress))
            .map(|(id, _)| *id);
        for id in waited_for.collect::<Vec<u64>>() {
            self.node.report_snapshot(id, SnapshotStatus::Failure);
        }
    }

    fn propose(&mut self, command: u8) -> Option<Place> {
        // A follower would forward it.
        if !self.leads() {
            return None;
        }
        self.node.propose(Vec::new(), vec![command]).ok()?;
        Some(self.last())
    }

    fn change(&mut self, changes: &[Change]) -> Option<Place> {
        let raft = &self.node.raft;
        if !self.leads() || raft.has_pending_conf() || raft.lead_transferee.is_some() {
            return None;
        }
        let context = encode(changes);
        let wanted = decode(&context);
        let mut changer = Changer::new(raft.prs());
        let can_be = match wanted.enter_joint() {
            Some(auto_leave) => changer.enter_joint(auto_leave, &wanted.changes).is_ok(),
            None => changer.simple(&wanted.changes).is_ok(),
        };
        if !can_be {
            return None;
        }
        self.node.propose_conf_change(context, wanted).ok()?;
        Some(self.last())
    }

    fn transfer(&mut self, to: NodeId) -> bool {
        let raft = &self.node.raft;
        if !self.leads() || !raft.prs().conf().to_conf_state().voters.contains(&to.0) {
            return false;
        }
        if raft.lead_transferee.is_none() {
            self.transfer_aged = false;
        }
        self.node.transfer_leader(to.0);
        true
    }

    fn read(&mut self, token: u64) -> bool {
        if !self.hears_a_leader() {
            return false;
        }
        let raft = &self.node.raft;
        self.open_reads.insert(token, (raft.term, raft.leader_id));
        self.ask(token);
        true
    }

    fn compact(&mut self) {
        let disk = self.node.mut_store();
        disk.durable.compact();
        disk.now.compact();
    }

    fn last(&self) -> Place {
        let log = &self.node.raft.raft_log;
        (log.last_index(), log.last_term())
    }

    fn commit(&self) -> u64 {
        self.node.raft.raft_log.committed
    }

    fn standing(&self) -> (RoleKind, u64) {
        let role = match self.node.raft.state {
            StateRole::Follower => RoleKind::Follower,
            StateRole::PreCandidate => RoleKind::PreCandidate,
            StateRole::Candidate => RoleKind::Candidate,
            StateRole::Leader => RoleKind::Leader,
        };
        (role, self.node.raft.term)
    }

    fn view(&mut self) -> View {
        let (role, term) = self.standing();
        let reads = std::mem::take(&mut self.reads);
        let raft = &self.node.raft;
        let entries = raft.raft_log.all_entries().into_iter().map(|entry| {
            let carries = match (entry.get_entry_type(), entry.data.first()) {
                (EntryType::EntryNormal, None) => Carries::Nothing,
                (EntryType::EntryNormal, Some(command)) => Carries::Command(*command),
                (EntryType::EntryConfChange | EntryType::EntryConfChangeV2, _) => Carries::Configuration,
            };
            ((entry.index, entry.term), carries)
        });
        View {
            role,
            term,
            vote: node(raft.vote),
            leader: node(raft.leader_id),
            transfers_to: raft.lead_transferee.and_then(node),
            commit: raft.raft_log.committed,
            open_reads: self.open_reads.keys().copied().collect(),
            members: Members::from(&raft.prs().conf().to_conf_state()),
            last: self.last(),
            log: entries.collect(),
            reads,
        }
    }
}
