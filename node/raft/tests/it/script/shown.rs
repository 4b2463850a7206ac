//! What is shown of servers.

use super::words::{node, show};
use super::{Interpreter, Slot};
use bytes::Bytes;
use raft::{Configuration, Index, MemoryStorage, NodeId, ProgressState, Raft, Term};

/// What is shown of a server when it changes.
#[derive(Clone, PartialEq)]
pub(super) struct Seen {
    who: String,
    vote: Option<NodeId>,
    term: Term,
    commit: Index,
    configuration: Configuration,
    /// Where its log begins.
    first: Index,
}

impl Seen {
    pub(super) fn of(raft: &Raft<MemoryStorage<Bytes>>) -> Seen {
        Seen {
            who: who(raft),
            vote: raft.vote(),
            term: raft.term(),
            commit: raft.commit_index(),
            configuration: raft.configuration().clone(),
            first: raft.first_index(),
        }
    }
}

pub(super) fn who(raft: &Raft<MemoryStorage<Bytes>>) -> String {
    let leader = raft.leader().filter(|leader| *leader != raft.id());
    let leader = leader.map_or(String::new(), |leader| format!("({leader})"));
    format!("{}@{} {}{leader}", raft.id(), raft.term(), raft.role())
}

impl Interpreter {
    /// Shows what changed at a server.
    pub(super) fn observe(&mut self, id: NodeId) {
        let after = Seen::of(&self.server(id).raft);
        let before = self.seen.insert(id, after.clone()).expect("every server is seen");
        if before.who != after.who {
            self.say(format_args!("{} ⇨ {}", before.who, after.who));
        }
        if let Some(candidate) = after.vote
            && (before.term, before.vote) != (after.term, after.vote)
        {
            self.say(format_args!("{id}@{} votes for {candidate}", after.term));
        }
        if before.first != after.first {
            self.say(format_args!("{id} begins its log at {}", after.first));
        }
        if before.configuration != after.configuration {
            self.say(format_args!(
                "{id} has the configuration ({})",
                after.configuration
            ));
        }
        if before.commit != after.commit {
            self.say(format_args!("{id} commits {}", after.commit));
        }
    }

    pub(super) fn status_line(&mut self, id: NodeId) -> String {
        let raft = match &self.slots[&id] {
            Slot::Up(server) => &server.raft,
            Slot::Down(_) => return format!("{id} down"),
        };
        format!(
            "{} last={} stable={} commit={} applied={}",
            who(raft),
            raft.last(),
            raft.stable_index(),
            raft.commit_index(),
            raft.applied_index(),
        )
    }

    pub(super) fn status(&mut self) {
        for id in self.slots.keys().copied().collect::<Vec<_>>() {
            let shown = self.status_line(id);
            self.say(shown);
        }
    }

    pub(super) fn progress(&mut self, id: NodeId) {
        let tracker = self.server(id).raft.progress().expect("it leads").clone();
        for (of, progress) in tracker.iter().filter(|(of, _)| *of != id) {
            let state = match progress.state() {
                ProgressState::Probe { paused: true } => "probe, paused".to_owned(),
                ProgressState::Probe { paused: false } => "probe".to_owned(),
                ProgressState::Replicate { in_flight } => format!("replicate, {} in flight", in_flight.len()),
                ProgressState::Snapshot { index } => format!("snapshot up to {index}"),
            };
            self.say(format_args!(
                "{of} matched={} next={} {state}",
                progress.matched(),
                progress.next()
            ));
        }
    }

    pub(super) fn log(&mut self, args: &[&str]) {
        let ids: Vec<NodeId> = match args.first() {
            Some(id) => vec![node(id)],
            None => self.slots.keys().copied().collect(),
        };
        for id in ids {
            let storage = match &self.slots[&id] {
                Slot::Up(server) => server.whole_log(),
                Slot::Down(storage) => storage.clone(),
            };
            let entries: Vec<String> = storage.log().iter().map(show).collect();
            self.say(format_args!("{id}: {}", entries.join(" ")));
        }
    }
}
