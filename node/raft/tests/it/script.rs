//! The interpreter of golden scripts.
//!
//! A script is a list of commands, one a line; what a command leads to stands indented below it. `#` begins a comment. Servers
//! are named by their number.
//!
//! | command | what it does |
//! |---|---|
//! | `cluster N [option…]` | N servers; options: `pre-vote=off`, `check-quorum=off`, `persist=manual`, `entries-max=K`, `window=K`, `uncommitted-bytes=K`, `voters=K` (the others know of no cluster), `promote=any`; `leader=I` elects I at once and lets everybody commit its first entry |
//! | `given I term=T [vote=J] [commit=K] [log=T1,T2,…]` | replaces what server I has on its disk, and starts it again |
//! | `timeout I`, `silent I`, `heartbeat I`, `quorum-check I` | the abstract inputs of time |
//! | `campaign I` | stands for election without asking first |
//! | `propose I X…`, `read I TOKEN…` | commands and reads, each taken in before any is sent |
//! | `change I +J ~K -L …` | J is to vote, K to learn, L to leave |
//! | `transfer I J` | I is to hand its leadership over to J |
//! | `compact I` | I makes a snapshot of what it has applied, and drops that from its log |
//! | `report I J delivered\|failed` | tells I what became of the snapshot for J |
//! | `unreachable I J` | tells I that messages to J may have been lost |
//! | `deliver [I J] [first\|last]` | what is in flight now: everything, from I to J, or one of those |
//! | `drop [I J] [first\|last]` | the same is lost |
//! | `duplicate I J` | what is in flight from I to J is there twice |
//! | `flight` | shows what is in flight |
//! | `persist I` | the oldest write of I is put on disk and reported |
//! | `crash I [landed]`, `restart I` | with `landed`, unreported writes had reached the disk |
//! | `isolate I`, `heal` | what is sent from or to I is lost |
//! | `stabilize` | delivers and persists until nothing moves |
//! | `status`, `progress I`, `log [I]` | shows |

mod words;

use crate::server::Server;
use bytes::Bytes;
use raft::{
    Change, Config, Configuration, Envelope, HardState, Index, MemoryStorage, NodeId, ProgressState, Raft,
    ReadOutcome, ReadToken, SnapshotStatus, Term, Write, WriteId,
};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;
use words::{Selection, change, given_log, node, number, selection, show, show_write};

/// More deliveries than any script needs to come to rest.
const STABILIZE_DELIVERIES_MAX: usize = 10_000;

enum Slot {
    Up(Box<Server<Bytes>>),
    Down(MemoryStorage<Bytes>),
}

/// What is shown of a server when it changes.
#[derive(Clone, PartialEq)]
struct Seen {
    who: String,
    vote: Option<NodeId>,
    term: Term,
    commit: Index,
    configuration: Configuration,
    /// Where its log begins.
    first: Index,
}

impl Seen {
    fn of(raft: &Raft<MemoryStorage<Bytes>>) -> Seen {
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

fn who(raft: &Raft<MemoryStorage<Bytes>>) -> String {
    let leader = raft.leader().filter(|leader| *leader != raft.id());
    let leader = leader.map_or(String::new(), |leader| format!("({leader})"));
    format!("{}@{} {}{leader}", raft.id(), raft.term(), raft.role())
}

pub(crate) struct Interpreter {
    /// Applied to every server's settings.
    configure: Box<dyn Fn(&mut Config)>,
    options: Vec<String>,
    manual_persist: bool,
    slots: BTreeMap<NodeId, Slot>,
    seen: BTreeMap<NodeId, Seen>,
    network: Vec<Envelope<Bytes>>,
    isolated: BTreeSet<NodeId>,
    out: String,
}

impl Interpreter {
    pub(crate) fn new(configure: impl Fn(&mut Config) + 'static) -> Interpreter {
        Interpreter {
            configure: Box::new(configure),
            options: Vec::new(),
            manual_persist: false,
            slots: BTreeMap::new(),
            seen: BTreeMap::new(),
            network: Vec::new(),
            isolated: BTreeSet::new(),
            out: String::new(),
        }
    }

    /// Carries a command out; returns what is to be shown, a line each.
    pub(crate) fn run(&mut self, line: &str) -> String {
        let words: Vec<&str> = line.split_whitespace().collect();
        self.command(words[0], &words[1..]);
        std::mem::take(&mut self.out)
    }

    fn command(&mut self, command: &str, args: &[&str]) {
        match command {
            "cluster" => self.cluster(args),
            "given" => self.given(args),
            "timeout" => self.act(node(args[0]), Raft::election_timeout),
            "silent" => self.act(node(args[0]), Raft::leader_silent),
            "heartbeat" => self.act(node(args[0]), Raft::heartbeat_timeout),
            "quorum-check" => self.act(node(args[0]), Raft::quorum_check),
            "campaign" => self.act(node(args[0]), Raft::campaign),
            "propose" => self.propose(node(args[0]), &args[1..]),
            "change" => {
                let changes: Vec<Change> = args[1..].iter().map(|word| change(word)).collect();
                self.attempt(node(args[0]), |raft| {
                    raft.propose_change(&changes)
                        .map(|position| format!("takes in {position}"))
                });
            }
            "transfer" => {
                let to = node(args[1]);
                self.attempt(node(args[0]), |raft| {
                    raft.transfer_leader(to).map(|()| format!("makes way for {to}"))
                });
            }
            "compact" => self.compact(node(args[0])),
            "report" => {
                let status = match args[2] {
                    "delivered" => SnapshotStatus::Delivered,
                    "failed" => SnapshotStatus::Failed,
                    other => panic!("a snapshot is delivered or failed, not {other}"),
                };
                self.act(node(args[0]), |raft| raft.report_snapshot(node(args[1]), status));
            }
            "read" => self.read(node(args[0]), &args[1..]),
            "unreachable" => self.act(node(args[0]), |raft| raft.report_unreachable(node(args[1]))),
            "deliver" => self.deliver(&selection(args)),
            "drop" => {
                for lost in self.select(&selection(args)) {
                    self.say(format_args!("lost: {lost}"));
                }
            }
            "duplicate" => {
                let twice = self.select(&selection(args));
                for envelope in twice {
                    self.network.extend([envelope.clone(), envelope]);
                }
            }
            "flight" => {
                for envelope in self.network.clone() {
                    self.say(envelope);
                }
            }
            "persist" => {
                let some = self.persist(node(args[0]));
                assert!(some, "{} has nothing to persist", args[0]);
            }
            "crash" => self.crash(node(args[0]), args.get(1) == Some(&"landed")),
            "restart" => self.restart(node(args[0])),
            "isolate" => {
                self.isolated.insert(node(args[0]));
            }
            "heal" => self.isolated.clear(),
            "stabilize" => self.stabilize(),
            "status" => self.status(),
            "progress" => self.progress(node(args[0])),
            "log" => self.log(args),
            unknown => panic!("there is no command {unknown:?}"),
        }
    }

    fn say(&mut self, line: impl std::fmt::Display) {
        writeln!(self.out, "{line}").expect("a string takes everything");
    }

    fn cluster(&mut self, args: &[&str]) {
        let count: u64 = number(args[0]);
        self.options = args[1..].iter().map(|option| (*option).to_owned()).collect();
        self.manual_persist = self.options.iter().any(|option| option == "persist=manual");
        let voters = self
            .options
            .iter()
            .find_map(|option| option.strip_prefix("voters="));
        let voters: u64 = voters.map_or(count, number);
        for id in (1..=count).map(NodeId) {
            let storage = if id.0 <= voters {
                MemoryStorage::new((1..=voters).map(NodeId))
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
            self.stabilize();
            self.act(leader, Raft::heartbeat_timeout);
            self.stabilize();
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
                ("persist", "manual") | ("leader" | "voters", _) => {}
                ("promote", "any") => config.promote_caught_up_only = false,
                ("entries-max", value) => config.append_entries_max = number(value),
                ("window", value) => config.in_flight_messages_max = number(value),
                ("uncommitted-bytes", value) => config.uncommitted_bytes_max = number(value),
                _ => panic!("there is no option {option}"),
            }
        }
        (self.configure)(&mut config);
        config
    }

    /// Starts a server that is down, silently.
    fn start(&mut self, id: NodeId) {
        let Some(Slot::Down(storage)) = self.slots.remove(&id) else {
            panic!("{id} is up already")
        };
        let server = Server::start(self.config(id), storage);
        self.seen.insert(id, Seen::of(&server.raft));
        self.slots.insert(id, Slot::Up(Box::new(server)));
    }

    fn given(&mut self, args: &[&str]) {
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

    fn server(&mut self, id: NodeId) -> &mut Server<Bytes> {
        match self.slots.get_mut(&id) {
            Some(Slot::Up(server)) => server,
            Some(Slot::Down(_)) => panic!("{id} is down"),
            None => panic!("there is no {id}"),
        }
    }

    /// Gives a server an input, and does what it then asks for.
    fn act(&mut self, id: NodeId, input: impl FnOnce(&mut Raft<MemoryStorage<Bytes>>)) {
        input(&mut self.server(id).raft);
        self.observe(id);
        self.settle(id);
    }

    fn settle(&mut self, id: NodeId) {
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

    /// Shows what changed at a server.
    fn observe(&mut self, id: NodeId) {
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

    fn propose(&mut self, id: NodeId, commands: &[&str]) {
        for command in commands {
            let command = Bytes::copy_from_slice(command.as_bytes());
            match self.server(id).raft.propose(command) {
                Ok(position) => self.say(format_args!("{id} takes in {position}")),
                Err(error) => self.say(format_args!("{id} refuses: {error}")),
            }
        }
        self.settle(id);
    }

    /// Asks a server for something that it may refuse.
    fn attempt<E: std::fmt::Display>(
        &mut self,
        id: NodeId,
        action: impl FnOnce(&mut Raft<MemoryStorage<Bytes>>) -> Result<String, E>,
    ) {
        match action(&mut self.server(id).raft) {
            Ok(done) => self.say(format_args!("{id} {done}")),
            Err(error) => self.say(format_args!("{id} refuses: {error}")),
        }
        self.observe(id);
        self.settle(id);
    }

    fn compact(&mut self, id: NodeId) {
        let raft = &mut self.server(id).raft;
        let snapshot = raft.snapshot_meta().expect("something was applied");
        raft.storage_mut().compact(Arc::new(snapshot));
        self.observe(id);
    }

    fn read(&mut self, id: NodeId, tokens: &[&str]) {
        for token in tokens {
            if let Err(error) = self.server(id).raft.read_index(ReadToken(number(token))) {
                self.say(format_args!("{id} refuses: {error}"));
            }
        }
        self.settle(id);
    }

    /// Takes messages out of the network.
    fn select(&mut self, selection: &Selection) -> Vec<Envelope<Bytes>> {
        let wanted = |envelope: &Envelope<Bytes>| {
            selection
                .link
                .is_none_or(|link| link == (envelope.from, envelope.to))
        };
        let places = self.network.iter().enumerate();
        let mut places: Vec<usize> = places
            .filter(|(_, e)| wanted(e))
            .map(|(place, _)| place)
            .collect();
        assert!(!places.is_empty(), "no such message is in flight");
        match selection.one {
            Some(true) => places.truncate(1),
            Some(false) => places = places.split_off(places.len() - 1),
            None => {}
        }
        let mut selected = Vec::new();
        for place in places.into_iter().rev() {
            selected.push(self.network.remove(place));
        }
        selected.reverse();
        selected
    }

    fn deliver(&mut self, selection: &Selection) {
        for envelope in self.select(selection) {
            self.say(&envelope);
            match &self.slots[&envelope.to] {
                Slot::Up(_) => self.act(envelope.to, |raft| raft.step(envelope)),
                Slot::Down(_) => {}
            }
        }
    }

    fn persist(&mut self, id: NodeId) -> bool {
        let Some(write) = self.server(id).persist() else {
            return false;
        };
        self.say(format_args!("{id} has on disk {}", show_write(&write)));
        self.observe(id);
        self.settle(id);
        true
    }

    fn crash(&mut self, id: NodeId, landed: bool) {
        let Some(Slot::Up(server)) = self.slots.remove(&id) else {
            panic!("{id} is down already")
        };
        self.say(format_args!("{} ⇨ down", who(&server.raft)));
        let storage = server.crash(if landed { usize::MAX } else { 0 });
        self.slots.insert(id, Slot::Down(storage));
    }

    fn restart(&mut self, id: NodeId) {
        self.start(id);
        let shown = self.status_line(id);
        self.say(shown);
        self.settle(id);
    }

    fn stabilize(&mut self) {
        for _ in 0..STABILIZE_DELIVERIES_MAX {
            let up = self.slots.iter().filter(|(_, slot)| matches!(slot, Slot::Up(_)));
            let up: Vec<NodeId> = up.map(|(id, _)| *id).collect();
            let mut moved = false;
            for id in up {
                moved |= self.persist(id);
            }
            if !self.network.is_empty() {
                moved = true;
                self.deliver(&Selection {
                    link: None,
                    one: None,
                });
            }
            if !moved {
                return;
            }
        }
        panic!("the cluster does not come to rest");
    }

    fn status_line(&mut self, id: NodeId) -> String {
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

    fn status(&mut self) {
        for id in self.slots.keys().copied().collect::<Vec<_>>() {
            let shown = self.status_line(id);
            self.say(shown);
        }
    }

    fn progress(&mut self, id: NodeId) {
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

    fn log(&mut self, args: &[&str]) {
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
