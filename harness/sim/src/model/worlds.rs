//! The worlds, each with what it is after.

use super::state::State;
use raft::{Config, NodeId};

/// A small world, and what bounds it.
#[derive(Clone, Debug)]
pub struct World {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it is after, in one line.
    pub about: &'static str,
    /// How many servers.
    pub servers: u8,
    /// How many of them, the first ones, stand for election.
    pub candidates: u8,
    /// The highest term that is explored.
    pub term_max: u64,
    /// The highest index that is explored, no-ops included.
    pub log_max: u64,
    /// How many commands clients propose.
    pub proposals: u8,
    /// How often servers crash.
    pub crashes: u8,
    /// How many reads clients ask for.
    pub reads: u8,
    /// Whether a write that was handed out takes a step of its own to become durable.
    pub writes_take_time: bool,
    /// Whether leaders send heartbeats by themselves.
    pub heartbeats: bool,
    /// Whether servers ask before they stand for election.
    pub pre_vote: bool,
    /// Whether leaders count who was heard from, and followers stick to leaders.
    pub check_quorum: bool,
    /// How many entries an append carries.
    pub append_entries_max: usize,
    /// What must be reachable.
    pub reaches: &'static [Reach],
    /// The bug that is seeded into every server.
    #[cfg(feature = "mutants")]
    pub mutant: Option<raft::Mutant>,
}

/// Something that must be reachable in a world, so that it is not right because nothing happens in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// A leader is elected.
    Leader,
    /// A command is committed.
    Commit,
    /// A read is answered.
    Read,
    /// A crash takes what was being written.
    LostWrite,
    /// The highest term has a leader.
    LastTerm,
}

impl Reach {
    /// What it is called in a report.
    pub fn name(self) -> &'static str {
        match self {
            Reach::Leader => "a leader is elected",
            Reach::Commit => "a command is committed",
            Reach::Read => "a read is answered",
            Reach::LostWrite => "a crash takes what was being written",
            Reach::LastTerm => "the highest term has a leader",
        }
    }

    pub(super) fn is_met(self, world: &World, state: &State) -> bool {
        match self {
            Reach::Leader => state.ghost.has_leader(),
            Reach::Commit => state.ghost.has_committed(),
            Reach::Read => state.ghost.answered > 0,
            Reach::LostWrite => state.ghost.lost_a_write,
            Reach::LastTerm => state
                .servers
                .iter()
                .any(|server| server.raft.term().0 == world.term_max && server.raft.progress().is_some()),
        }
    }
}

impl World {
    fn new(name: &'static str, about: &'static str) -> World {
        World {
            name,
            about,
            servers: 3,
            candidates: 3,
            term_max: 2,
            log_max: 2,
            proposals: 1,
            crashes: 0,
            reads: 0,
            writes_take_time: false,
            heartbeats: false,
            pre_vote: false,
            check_quorum: false,
            append_entries_max: 1,
            reaches: &[Reach::Leader, Reach::Commit, Reach::LastTerm],
            #[cfg(feature = "mutants")]
            mutant: None,
        }
    }

    pub(super) fn config(&self, id: NodeId) -> Config {
        Config {
            pre_vote: self.pre_vote,
            check_quorum: self.check_quorum,
            append_entries_max: self.append_entries_max,
            in_flight_messages_max: 1,
            #[cfg(feature = "mutants")]
            mutant: self.mutant,
            ..Config::new(id)
        }
    }
}

/// The worlds of the tier that runs on every change, by name.
pub fn worlds() -> Vec<World> {
    vec![
        World {
            proposals: 0,
            log_max: 1,
            reaches: &[Reach::Leader, Reach::LastTerm],
            ..World::new(
                "elections",
                "elections over two terms, with every order, loss and doubling of messages",
            )
        },
        World::new("replication", "a command is replicated over two terms"),
        World {
            candidates: 2,
            proposals: 0,
            log_max: 1,
            crashes: 1,
            writes_take_time: true,
            reaches: &[Reach::Leader, Reach::LostWrite, Reach::LastTerm],
            ..World::new(
                "votes",
                "two candidates over two terms, with a crash at every point of every write",
            )
        },
        World {
            term_max: 1,
            crashes: 1,
            writes_take_time: true,
            reaches: &[Reach::Leader, Reach::Commit, Reach::LostWrite],
            ..World::new(
                "durability",
                "one term, a command, and a crash at every point of every write",
            )
        },
        World {
            proposals: 0,
            reads: 1,
            log_max: 2,
            reaches: &[Reach::Leader, Reach::Read, Reach::LastTerm],
            ..World::new(
                "reads",
                "a read by ReadIndex across a fail-over, with every answer late or doubled",
            )
        },
        World {
            candidates: 2,
            proposals: 0,
            reads: 2,
            log_max: 2,
            reaches: &[Reach::Leader, Reach::Read, Reach::LastTerm],
            ..World::new(
                "read-rounds",
                "two reads of which neither may be confirmed by an answer to the other, nor by an older leader's",
            )
        },
        World {
            candidates: 2,
            term_max: 1,
            pre_vote: true,
            check_quorum: true,
            proposals: 0,
            log_max: 1,
            reaches: &[Reach::Leader],
            ..World::new(
                "stickiness",
                "pre-votes, leaders that step down, and followers that stick to theirs",
            )
        },
    ]
}

/// The world called `name`.
pub fn by_name(name: &str) -> Option<World> {
    worlds().into_iter().find(|world| world.name == name)
}
