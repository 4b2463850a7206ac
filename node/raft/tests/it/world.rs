//! A small world of servers under random faults, and what must hold in it at every step.
//!
//! A schedule is a list of numbers; each is one step, and whatever the numbers are, they make a schedule. So a failing one can be
//! shortened by leaving numbers out.
//!
//! - `steps`: which steps there are, how often each comes, and what each does.
//! - `driver`: what a server asks for, carried out: messages, writes, crashes, reads.
//! - `invariants`: what must hold after each step.
//! - `service`: when the faults end, the cluster serves.

mod driver;
mod invariants;
mod service;
mod steps;

use crate::server::Server;
use raft::{
    Config, Configuration, Entry, Envelope, Index, Life, LogPosition, MemoryStorage, NodeId, Raft, ReadToken,
    Term,
};
use std::collections::BTreeMap;

/// Events that a failure's story tells.
const STORY_MAX: usize = 60;

/// A broken invariant.
#[derive(Clone, Debug)]
pub(crate) struct Violation(pub(crate) String);

type Outcome = Result<(), Violation>;

macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err($crate::world::Violation(format!($($message)+)));
        }
    };
}
use ensure;

/// What is remembered of a server's incarnations from outside.
#[derive(Clone, Debug, Default)]
struct Memory {
    /// The votes that it told, by term.
    votes_told: BTreeMap<Term, NodeId>,
    term: Term,
    vote: Option<NodeId>,
    commit: Index,
    applied: Index,
}

/// What happened, beyond every crash.
#[derive(Default)]
struct Ghost {
    leaders: BTreeMap<Term, NodeId>,
    /// Every entry that ever was, and the position before it.
    entries: BTreeMap<LogPosition, (LogPosition, Entry<u8>)>,
    /// Every entry that ever was committed, and the term in which somebody first knew that.
    committed: Vec<(LogPosition, Term)>,
    /// The end of what was known to be committed when each read was asked for.
    reads: BTreeMap<ReadToken, Index>,
}

/// How often what was to be seen was seen: a world in which nothing happens proves nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) steps: usize,
    pub(crate) elections: usize,
    pub(crate) committed: usize,
    pub(crate) reads_confirmed: usize,
    pub(crate) reads_of_followers_confirmed: usize,
    pub(crate) reads_aborted: usize,
    pub(crate) crashes_with_writes_pending: usize,
    pub(crate) entries_replaced: usize,
    pub(crate) configurations_committed: usize,
    pub(crate) joint_configurations_committed: usize,
    pub(crate) configurations_undone: usize,
    pub(crate) snapshots_installed: usize,
    pub(crate) transfers: usize,
}

pub(crate) struct World {
    servers: Vec<Server<u8>>,
    configs: Vec<Config>,
    memories: Vec<Memory>,
    network: Vec<Envelope<u8>>,
    ghost: Ghost,
    stormy: bool,
    /// Whether who takes part changes.
    moving: bool,
    commands: u8,
    reads: u64,
    story: Vec<String>,
    pub(crate) seen: Seen,
}

impl World {
    /// A world whose size and settings `kind` chooses.
    pub(crate) fn new(kind: u32, configure: &dyn Fn(&mut Config)) -> World {
        let stormy = !(kind / 1024).is_multiple_of(2);
        let size = [3, 5, 3, 5, 3, 2, 4, 1][kind as usize % 8];
        let configs: Vec<Config> = (1..=size)
            .map(|id| {
                let mut config = Config::new(NodeId(id));
                config.pre_vote = (kind / 8).is_multiple_of(2);
                config.check_quorum = (kind / 16).is_multiple_of(2);
                config.append_entries_max = [1, 2, 4096, 1][(kind / 32 % 4) as usize];
                config.in_flight_messages_max = [1, 2, 64][(kind / 128 % 3) as usize];
                config.uncommitted_bytes_max = [50, 1 << 20][(kind / 512 % 2) as usize];
                config.promote_caught_up_only = (kind / 4096).is_multiple_of(4);
                // In a storm no leader lasts long enough to answer a follower.
                config.life = (!stormy).then_some(Life(1));
                configure(&mut config);
                config
            })
            .collect();
        let moving = !(kind / 2048).is_multiple_of(2);
        // Where members come, some servers are none at first.
        let few = moving && (kind / 16384).is_multiple_of(2);
        let voters = if few { size.div_ceil(2) } else { size };
        let start = |config: &Config| {
            let configuration = if config.id.0 <= voters {
                Configuration::of_voters((1..=voters).map(NodeId))
            } else {
                Configuration::default()
            };
            Server::start(config.clone(), MemoryStorage::with_configuration(configuration))
        };
        World {
            servers: configs.iter().map(start).collect(),
            memories: configs.iter().map(|_| Memory::default()).collect(),
            configs,
            network: Vec::new(),
            ghost: Ghost::default(),
            stormy,
            moving,
            commands: 0,
            reads: 0,
            story: Vec::new(),
            seen: Seen::default(),
        }
    }

    /// What happened last, for people.
    pub(crate) fn story(&self) -> String {
        let from = self.story.len().saturating_sub(STORY_MAX);
        self.story[from..].join("\n")
    }

    fn tell(&mut self, event: String) {
        self.story.push(event);
        if self.story.len() > 4 * STORY_MAX {
            self.story.drain(..2 * STORY_MAX);
        }
    }

    fn raft(&self, id: NodeId) -> &Raft<MemoryStorage<u8>> {
        &self.servers[(id.0 - 1) as usize].raft
    }
}

impl Seen {
    pub(crate) fn add(&mut self, more: Seen) {
        self.steps += more.steps;
        self.elections += more.elections;
        self.committed += more.committed;
        self.reads_confirmed += more.reads_confirmed;
        self.reads_of_followers_confirmed += more.reads_of_followers_confirmed;
        self.reads_aborted += more.reads_aborted;
        self.crashes_with_writes_pending += more.crashes_with_writes_pending;
        self.entries_replaced += more.entries_replaced;
        self.configurations_committed += more.configurations_committed;
        self.joint_configurations_committed += more.joint_configurations_committed;
        self.configurations_undone += more.configurations_undone;
        self.snapshots_installed += more.snapshots_installed;
        self.transfers += more.transfers;
    }
}
