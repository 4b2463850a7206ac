//! This project's side.

use super::party::{Carries, Members, Parcel, Party, Place, Settings, View};
use crate::server::Server;
use raft::{
    Change, Config, Configuration, EntryData, Envelope, Index, Life, LogPosition, MemoryStorage, Message,
    NodeId, ProgressState, ReadOutcome, ReadToken, RoleKind, SnapshotStatus, Storage as _, Term, Write,
    WriteId,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub(super) struct Ours {
    config: Config,
    server: Server<u8>,
    reads: BTreeMap<u64, u64>,
    open_reads: BTreeSet<u64>,
}

fn place(position: LogPosition) -> Place {
    (position.index.0, position.term.0)
}

fn ids(nodes: &[NodeId]) -> Vec<u64> {
    nodes.iter().map(|node| node.0).collect()
}

impl From<&Configuration> for Members {
    fn from(configuration: &Configuration) -> Members {
        Members {
            voters: ids(configuration.voters()),
            outgoing: ids(configuration.outgoing()),
            learners: ids(configuration.learners()),
            learners_next: ids(configuration.learners_next()),
        }
    }
}

impl Ours {
    pub(super) fn id(&self) -> NodeId {
        self.config.id
    }

    /// The configuration in force: that of the whole log.
    pub(super) fn configuration(&self) -> &Configuration {
        self.server.raft.configuration()
    }

    /// Whether what this leader knows to be committed is up to date (Raft §8).
    pub(super) fn has_committed_in_its_term(&self) -> bool {
        let raft = &self.server.raft;
        raft.log_term(raft.commit_index()) == Some(raft.term())
    }

    pub(super) fn has_writes_pending(&self) -> bool {
        !self.server.writes.is_empty()
    }

    /// The configuration of what is committed.
    fn members(&self) -> Members {
        let raft = &self.server.raft;
        let in_log = (raft.first_index().0..=raft.commit_index().0)
            .rev()
            .find_map(|index| match raft.entry(Index(index))?.data {
                EntryData::Configuration(configuration) => Some(configuration),
                EntryData::Noop | EntryData::Command(_) => None,
            });
        let base = || raft.storage().initial_state().configurations[0].1.clone();
        let configuration: Arc<Configuration> = in_log.unwrap_or_else(base);
        Members::from(&*configuration)
    }
}

impl Party for Ours {
    type Message = Envelope<u8>;

    fn start(id: NodeId, settings: Settings, genesis: &[NodeId]) -> Ours {
        let config = Config {
            pre_vote: settings.pre_vote,
            check_quorum: settings.check_quorum,
            // The other side leaves it to its caller who is promoted.
            promote_caught_up_only: false,
            life: Some(Life(1)),
            ..Config::new(id)
        };
        Ours {
            server: Server::start(config.clone(), MemoryStorage::new(genesis.iter().copied())),
            config,
            reads: BTreeMap::new(),
            open_reads: BTreeSet::new(),
        }
    }

    fn crash(self, landed: bool) -> Ours {
        let applied = self.server.raft.applied_index();
        let mut disk = self.server.crash(if landed { usize::MAX } else { 0 });
        let mut hard_state = disk.hard_state();
        hard_state.commit = hard_state.commit.max(applied);
        disk.apply(&Write {
            id: WriteId(0),
            hard_state,
            snapshot: None,
            entries: Vec::new(),
        });
        let Life(life) = self.config.life.expect("followers take reads in");
        let config = Config {
            life: Some(Life(life + 1)),
            ..self.config
        };
        Ours {
            server: Server::start(config.clone(), disk),
            config,
            reads: BTreeMap::new(),
            open_reads: BTreeSet::new(),
        }
    }

    fn is_of_election(envelope: &Envelope<u8>) -> bool {
        match envelope.message {
            Message::PreVote { .. }
            | Message::PreVoteResponse { .. }
            | Message::Vote { .. }
            | Message::VoteResponse { .. } => true,
            Message::Append { .. }
            | Message::AppendAccepted { .. }
            | Message::AppendRejected { .. }
            | Message::Heartbeat { .. }
            | Message::HeartbeatResponse { .. }
            | Message::Snapshot { .. }
            | Message::TimeoutNow
            | Message::ReadIndex { .. }
            | Message::ReadIndexResponse { .. } => false,
        }
    }

    fn step(&mut self, parcel: Parcel<Envelope<u8>>) {
        self.server.raft.step(parcel.message);
    }

    fn pump(&mut self, slow_disk: bool) -> Vec<Parcel<Envelope<u8>>> {
        let mut sent = Vec::new();
        loop {
            if !slow_disk {
                while self.server.persist().is_some() {}
            }
            if !self.server.raft.has_ready() {
                return sent;
            }
            let ready = self.server.ready();
            sent.extend(ready.messages.into_iter().map(|envelope| Parcel {
                from: envelope.from,
                to: envelope.to,
                message: envelope,
            }));
            if let Some(last) = ready.committed.last() {
                self.server.raft.applied(last.index);
            }
            for outcome in ready.reads {
                match outcome {
                    ReadOutcome::Confirmed { token, index } => {
                        self.open_reads.remove(&token.0);
                        self.reads.insert(token.0, index.0);
                    }
                    ReadOutcome::Aborted { token } => {
                        self.open_reads.remove(&token.0);
                    }
                }
            }
        }
    }

    fn election_timeout(&mut self) {
        self.server.raft.election_timeout();
    }

    fn leader_silent(&mut self) {
        self.server.raft.leader_silent();
    }

    fn heartbeat_timeout(&mut self) {
        self.server.raft.heartbeat_timeout();
        self.server.raft.read_timeout();
    }

    fn quorum_check(&mut self) {
        self.server.raft.quorum_check();
    }

    fn unreachable(&mut self, node: NodeId) {
        self.server.raft.report_unreachable(node);
    }

    fn snapshots_are_lost(&mut self) {
        let Some(tracker) = self.server.raft.progress() else {
            return;
        };
        let waits = |(node, progress): (NodeId, &raft::Progress)| {
            matches!(progress.state(), ProgressState::Snapshot { .. }).then_some(node)
        };
        for node in tracker.iter().filter_map(waits).collect::<Vec<_>>() {
            self.server.raft.report_snapshot(node, SnapshotStatus::Failed);
        }
    }

    fn propose(&mut self, command: u8) -> Option<Place> {
        self.server.raft.propose(command).ok().map(place)
    }

    fn change(&mut self, changes: &[Change]) -> Option<Place> {
        self.server.raft.propose_change(changes).ok().map(place)
    }

    fn transfer(&mut self, to: NodeId) -> bool {
        self.server.raft.transfer_leader(to).is_ok()
    }

    fn read(&mut self, token: u64) -> bool {
        let taken_in = self.server.raft.read_index(ReadToken(token)).is_ok();
        if taken_in {
            self.open_reads.insert(token);
        }
        taken_in
    }

    fn compact(&mut self) {
        let raft = &mut self.server.raft;
        let snapshot = raft.snapshot_meta();
        if let Some(snapshot) = snapshot.filter(|snapshot| snapshot.last.index >= raft.first_index()) {
            raft.storage_mut().compact(Arc::new(snapshot));
        }
    }

    fn last(&self) -> Place {
        place(self.server.raft.last())
    }

    fn commit(&self) -> u64 {
        self.server.raft.commit_index().0
    }

    fn standing(&self) -> (RoleKind, u64) {
        (self.server.raft.role(), self.server.raft.term().0)
    }

    fn view(&mut self) -> View {
        let reads = std::mem::take(&mut self.reads);
        let raft = &self.server.raft;
        let entries = (raft.first_index().0..=raft.last().index.0).map(|index| {
            let entry = raft.entry(Index(index)).expect("a log has no gaps");
            let carries = match entry.data {
                EntryData::Noop => Carries::Nothing,
                EntryData::Command(command) => Carries::Command(command),
                EntryData::Configuration(_) => Carries::Configuration,
            };
            (place(entry.position()), carries)
        });
        let Term(term) = raft.term();
        View {
            role: raft.role(),
            term,
            vote: raft.vote(),
            leader: raft.leader(),
            transfers_to: raft.transferring(),
            commit: self.commit(),
            members: self.members(),
            last: self.last(),
            log: entries.collect(),
            reads,
            open_reads: self.open_reads.clone(),
        }
    }
}

impl Ours {
    pub(super) fn leads(&self) -> bool {
        self.server.raft.role() == RoleKind::Leader
    }

    pub(super) fn term(&self) -> u64 {
        self.server.raft.term().0
    }

    pub(super) fn leader(&self) -> Option<NodeId> {
        self.server.raft.leader()
    }

    pub(super) fn follows(&self, leader: NodeId) -> bool {
        self.leader() == Some(leader)
    }

    pub(super) fn is_transferring(&self) -> bool {
        self.server.raft.transferring().is_some()
    }
}
