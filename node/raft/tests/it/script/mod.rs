//! The interpreter of golden scripts.
//!
//! A script is a list of commands, one a line; what a command leads to stands indented below it. `#` begins a comment. Servers
//! are named by their number.
//!
//! | command | what it does |
//! |---|---|
//! | `cluster N [option…]` | N servers; options: `pre-vote=off`, `check-quorum=off`, `leases=on`, `follower-reads=on`, `persist=manual`, `entries-max=K`, `window=K`, `window-bytes=K`, `uncommitted-bytes=K`, `voters=K` (the others know of no cluster), `learners=K` (the last ones), `promote=any`; `leader=I` elects I at once and lets everybody commit its first entry |
//! | `given I term=T [vote=J] [commit=K] [log=T1,T2,…]` | replaces what server I has on its disk, and starts it again |
//! | `timeout I`, `silent I`, `heartbeat I`, `quorum-check I`, `read-timeout I`, `give-reads-up I` | the abstract inputs of time |
//! | `campaign I` | stands for election without asking first |
//! | `lease-read I TOKEN` | a read while a lease runs, as far as times are concerned |
//! | `propose I X…`, `read I TOKEN…` | commands and reads, each taken in before any is sent |
//! | `change I +J ~K -L …` | J is to vote, K to learn, L to leave |
//! | `transfer I J` | I is to hand its leadership over to J |
//! | `compact I` | I makes a snapshot of what it has applied, and drops that from its log |
//! | `report I J delivered\|failed` | tells I what became of the snapshot for J |
//! | `unreachable I J` | tells I that messages to J may have been lost |
//! | `deliver [I J] [first\|last\|at=K] [keep]` | what is in flight now: everything, from I to J, or one of those, the K-th, say; with `keep`, it stays in flight, too |
//! | `drop [I J] [first\|last]` | the same is lost |
//! | `duplicate I J` | what is in flight from I to J is there twice |
//! | `flight` | shows what is in flight |
//! | `persist I` | the oldest write of I is put on disk and reported |
//! | `crash I [landed]`, `restart I` | with `landed`, unreported writes had reached the disk |
//! | `isolate I`, `heal` | what is sent from or to I is lost |
//! | `stabilize [I…]` | delivers and persists until nothing moves; among these servers only, if any are named |
//! | `status`, `progress I`, `log [I]` | shows |

mod network;
mod servers;
mod shown;
mod words;

use crate::server::Server;
use bytes::Bytes;
use raft::shown::Glimpse;
use raft::{Change, Config, Envelope, MemoryStorage, NodeId, Raft, ReadToken, SnapshotStatus};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use words::{change, node, number, selection};

enum Slot {
    Up(Box<Server<Bytes>>),
    Down(MemoryStorage<Bytes>),
}

pub(crate) struct Interpreter {
    /// Applied to every server's settings.
    configure: Box<dyn Fn(&mut Config)>,
    options: Vec<String>,
    manual_persist: bool,
    slots: BTreeMap<NodeId, Slot>,
    seen: BTreeMap<NodeId, Glimpse>,
    network: Vec<Envelope<Bytes>>,
    isolated: BTreeSet<NodeId>,
    /// How often each server was started.
    lives: BTreeMap<NodeId, u64>,
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
            lives: BTreeMap::new(),
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
            "read-timeout" => self.act(node(args[0]), Raft::read_timeout),
            "give-reads-up" => self.act(node(args[0]), Raft::give_reads_up),
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
            "lease-read" => {
                let token = ReadToken(number(args[1]));
                self.attempt(node(args[0]), |raft| {
                    if raft.read_by_lease(token) {
                        Ok(format!("needs to ask nobody for {}", token.0))
                    } else {
                        Err("no lease")
                    }
                });
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
            "stabilize" => {
                let among: Vec<NodeId> = args.iter().map(|id| node(id)).collect();
                self.stabilize(&among);
            }
            "status" => self.status(),
            "progress" => self.progress(node(args[0])),
            "log" => self.log(args),
            unknown => panic!("there is no command {unknown:?}"),
        }
    }

    fn say(&mut self, line: impl std::fmt::Display) {
        writeln!(self.out, "{line}").expect("a string takes everything");
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

    fn read(&mut self, id: NodeId, tokens: &[&str]) {
        for token in tokens {
            if let Err(error) = self.server(id).raft.read_index(ReadToken(number(token))) {
                self.say(format_args!("{id} refuses: {error}"));
            }
        }
        self.settle(id);
    }
}
