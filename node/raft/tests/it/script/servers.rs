//! Servers come up, go down, and do what they ask for.

use super::words::{given_log, node, number, show, show_write};
use super::{Interpreter, Slot};
use crate::server::Server;
use core::time::Duration;
use raft::shown::{Glimpse, who};
use raft::{
    Config, Configuration, HardState, Index, Life, MemoryStorage, NodeId, Raft, ReadOutcome, Term, Write,
    WriteId,
};
use std::sync::Arc;

impl Interpreter {
    pub(super) fn cluster(&mut self, args: &[&str]) {
        let count: u64 = number(args[0]);
        self.options = args[1..].iter().map(|option| (*option).to_owned()).collect();
        self.manual_persist = self.options.iter().any(|option| option == "persist=manual");
        let option = |name: &str| {
            let given = self.options.iter().find_map(|option| option.strip_prefix(name));
            given.map(number::<u64>)
        };
        let learners = option("learners=").unwrap_or(0);
        let voters = option("voters=").unwrap_or(count - learners);
        let ids = |ids: std::ops::RangeInclusive<u64>| ids.map(NodeId).collect();
        let learners = ids(voters + 1..=voters + learners);
        let members = Configuration::from_parts(ids(1..=voters), vec![], learners, vec![]);
        let members = members.expect("voters and learners are apart");
        for id in (1..=count).map(NodeId) {
            let storage = if members.is_member(id) {
                MemoryStorage::with_configuration(members.clone())
            } else {
                MemoryStorage::with_configuration(Configuration::default())
            };
            self.slots.insert(id, Slot::Down(storage));
            self.start(id);
        }
        if let Some(leader) = self
            .options
            .iter()
            .find_map(|option| option.strip_prefix("leader="))
        {
            let leader = node(leader);
            self.act(leader, Raft::campaign);
            self.stabilize(&[]);
            self.act(leader, Raft::heartbeat_timeout);
            self.stabilize(&[]);
            self.out.clear();
            self.status();
        }
    }

    fn config(&self, id: NodeId) -> Config {
        let mut config = Config::new(id);
        for option in &self.options {
            match option.split_once('=').expect("an option is key=value") {
                ("pre-vote", "off") => config.pre_vote = false,
                ("check-quorum", "off") => config.check_quorum = false,
                ("follower-reads", "on") => config.life = self.lives.get(&id).copied().map(Life),
                ("leases", "on") => config.lease = Some(Duration::from_millis(1)),
                ("persist", "manual") | ("leader" | "voters" | "learners", _) => {}
                ("promote", "any") => config.promote_caught_up_only = false,
                ("entries-max", value) => config.append_entries_max = number(value),
                ("window", value) => config.in_flight_messages_max = number(value),
                ("window-bytes", value) => config.in_flight_bytes_max = number(value),
                ("uncommitted-bytes", value) => config.uncommitted_bytes_max = number(value),
                _ => panic!("there is no option {option}"),
            }
        }
        (self.configure)(&mut config);
        config
    }

    /// Starts a server that is down, silently.
    pub(super) fn start(&mut self, id: NodeId) {
        let Some(Slot::Down(storage)) = self.slots.remove(&id) else {
            panic!("{id} is up already")
        };
        *self.lives.entry(id).or_default() += 1;
        let server = Server::start(self.config(id), storage);
        self.seen.insert(id, Glimpse::of(&server.raft));
        self.slots.insert(id, Slot::Up(Box::new(server)));
    }

    pub(super) fn given(&mut self, args: &[&str]) {
        let id = node(args[0]);
        let voters: Vec<NodeId> = self.slots.keys().copied().collect();
        let (mut hard_state, mut entries) = (HardState::default(), Vec::new());
        for arg in &args[1..] {
            match arg.split_once('=').expect("what is given is key=value") {
                ("term", term) => hard_state.term = Term(number(term)),
                ("vote", vote) => hard_state.vote = Some(node(vote)),
                ("commit", commit) => hard_state.commit = Index(number(commit)),
                ("log", terms) => entries = given_log(terms),
                _ => panic!("{arg} can't be given"),
            }
        }
        let mut storage = MemoryStorage::new(voters);
        storage.apply(&Write {
            id: WriteId(0),
            hard_state,
            snapshot: None,
            entries,
        });
        self.slots.insert(id, Slot::Down(storage));
        self.start(id);
    }
    pub(super) fn settle(&mut self, id: NodeId) {
        while self.server(id).raft.has_ready() {
            let ready = self.server(id).ready();
            self.observe(id);
            for envelope in ready.messages {
                let cut = self.isolated.contains(&envelope.from) || self.isolated.contains(&envelope.to);
                if !cut {
                    self.network.push(envelope);
                }
            }
            if let Some(last) = ready.committed.last() {
                let applied: Vec<String> = ready.committed.iter().map(show).collect();
                self.say(format_args!("{id} applies {}", applied.join(" ")));
                self.server(id).raft.applied(last.index);
            }
            for outcome in ready.reads {
                match outcome {
                    ReadOutcome::Confirmed { token, index } => {
                        self.say(format_args!("{id} read {} may see {index}", token.0));
                    }
                    ReadOutcome::Aborted { token } => {
                        self.say(format_args!("{id} read {} is aborted", token.0));
                    }
                }
            }
            match ready.write {
                Some(write) if self.manual_persist => {
                    self.say(format_args!("{id} hands out {}", show_write(&write)));
                }
                Some(_) => {
                    self.server(id).persist();
                    self.observe(id);
                }
                None => {}
            }
        }
    }

    pub(super) fn compact(&mut self, id: NodeId) {
        let raft = &mut self.server(id).raft;
        let snapshot = raft.snapshot_meta().expect("something was applied");
        raft.storage_mut().compact(Arc::new(snapshot));
        self.observe(id);
    }
    pub(super) fn persist(&mut self, id: NodeId) -> bool {
        let Some(write) = self.server(id).persist() else {
            return false;
        };
        self.say(format_args!("{id} has on disk {}", show_write(&write)));
        self.observe(id);
        self.settle(id);
        true
    }

    pub(super) fn crash(&mut self, id: NodeId, landed: bool) {
        let Some(Slot::Up(server)) = self.slots.remove(&id) else {
            panic!("{id} is down already")
        };
        self.say(format_args!("{} ⇨ down", who(&server.raft)));
        let storage = server.crash(if landed { usize::MAX } else { 0 });
        self.slots.insert(id, Slot::Down(storage));
    }

    pub(super) fn restart(&mut self, id: NodeId) {
        self.start(id);
        let shown = self.status_line(id);
        self.say(shown);
        self.settle(id);
    }
}
