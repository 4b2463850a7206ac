//! What is shown of servers.

use super::words::{node, show};
use super::{Interpreter, Slot};
use raft::shown::{Glimpse, status};
use raft::{NodeId, ProgressState};

impl Interpreter {
    /// Shows what changed at a server.
    pub(super) fn observe(&mut self, id: NodeId) {
        let after = Glimpse::of(&self.server(id).raft);
        let before = self.seen.insert(id, after.clone()).expect("every server is seen");
        for line in before.changes(&after) {
            self.say(line);
        }
    }

    pub(super) fn status_line(&mut self, id: NodeId) -> String {
        match &self.slots[&id] {
            Slot::Up(server) => status(&server.raft),
            Slot::Down(_) => format!("{id} down"),
        }
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
