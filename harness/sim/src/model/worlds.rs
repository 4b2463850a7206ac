//! What a world is, and what bounds it.

use super::naming::{Permutation, permutations};
use super::reach::Reach;
use core::time::Duration;
use raft::{Change, Config, Life, NodeId};

/// For how many ticks a leader has a lease.
pub(super) const LEASE: Duration = Duration::from_secs(1);

/// When a world is explored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// On every change.
    Ci,
    /// At night: a bound is wider.
    Nightly,
}

/// Who says whether reads are linearizable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judge {
    /// The ghost: no read is below what was acknowledged when it was asked.
    Ghost,
    /// stateright's test of linearizability, of a register and the whole history of calls: for small worlds.
    Register,
    /// Either.
    Both,
}

/// What is explored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A cluster of production cores.
    Cores,
    /// One production node, with its log and its recovery, on a simulated disk.
    Node {
        /// What may come to it.
        scene: Scenery,
        /// How often it starts, has something to do, and stops.
        visits: u8,
    },
}

/// What may come to a node on a simulated disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenery {
    /// Candidates ask for its vote, and two leaders send logs that part.
    Follower,
    /// A leader sends a snapshot that takes the place of a log.
    Snapshot,
    /// It is its own majority, and clients write and read.
    Alone,
}

/// A change of members that may be asked for, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planned {
    /// Of this server, when it leads.
    pub by: u64,
    /// All of this at once.
    pub changes: &'static [Change],
}

/// A step of what happened before a world begins: see `opening.rs`. Servers are named by their ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// The least election time-out passes at this server without a word from its leader.
    Silent(u64),
    /// An election time-out passes at this server.
    Timeout(u64),
    /// This leader is given a command.
    Propose(u64, u8),
    /// The oldest write of this server becomes durable.
    Persist(u64),
    /// This server crashes and starts again.
    Crash(u64),
    /// What is on its way from one server to another arrives.
    Deliver(u64, u64),
    /// What is on its way among these servers arrives, and what they write becomes durable, until nothing moves.
    Stabilize(&'static [u64]),
    /// What is on its way is lost.
    Drop,
}

/// A small world, and what bounds it.
#[derive(Clone, Debug)]
pub struct World {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it is after, in one line.
    pub about: &'static str,
    /// When it is explored.
    pub tier: Tier,
    /// What is explored.
    pub subject: Subject,
    /// How many servers.
    pub servers: u8,
    /// How many of them, the first ones, vote at first.
    pub voters: u8,
    /// Whether those that are no voters at first are learners. Or else they know of no cluster.
    pub learners: bool,
    /// How many of them, the first ones, stand for election by themselves.
    pub candidates: u8,
    /// Whether it begins when the first server leads term 1, and everybody has committed that term's first entry.
    pub led: bool,
    /// What happened since then and before it begins.
    pub opening: &'static [Opening],
    /// The highest term that is explored.
    pub term_max: u64,
    /// The highest index that is explored, no-ops included.
    pub log_max: u64,
    /// How many commands clients propose.
    pub proposals: u8,
    /// How often servers crash.
    pub crashes: u8,
    /// How often servers lose their disks.
    pub wipes: u8,
    /// How many reads clients ask for.
    pub reads: u8,
    /// Whether followers take reads in, and ask their leader about them.
    pub follower_reads: bool,
    /// How often servers make a snapshot.
    pub compactions: u8,
    /// How often leaders are asked to hand over.
    pub transfers: u8,
    /// How many ticks clocks count; 0: there are no leases. With leases, reads are those that a lease answers.
    pub ticks_max: u8,
    /// How many rounds of heartbeats a leader begins in a term.
    pub rounds_max: u64,
    /// The changes of members that may be asked for.
    pub changes: &'static [Planned],
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
    /// How many appends to one follower are in flight at most.
    pub window: usize,
    /// Whether messages that can change nothing any more are taken away.
    pub forgets: bool,
    /// Whether states that differ only in who is called what are taken for one.
    pub symmetry: bool,
    /// Who says whether what clients see is linearizable.
    pub judge: Judge,
    /// What must be reachable.
    pub reaches: &'static [Reach],
    /// The bug that is seeded into every server.
    #[cfg(feature = "mutants")]
    pub mutant: Option<replica::Mutant>,
}

impl World {
    pub(super) const fn new(name: &'static str, about: &'static str) -> World {
        World {
            name,
            about,
            tier: Tier::Ci,
            subject: Subject::Cores,
            servers: 3,
            voters: 3,
            learners: false,
            candidates: 3,
            led: false,
            opening: &[],
            term_max: 2,
            log_max: 2,
            proposals: 0,
            crashes: 0,
            wipes: 0,
            reads: 0,
            follower_reads: false,
            compactions: 0,
            transfers: 0,
            ticks_max: 0,
            rounds_max: u64::MAX,
            changes: &[],
            writes_take_time: false,
            heartbeats: false,
            pre_vote: false,
            check_quorum: false,
            append_entries_max: 1,
            window: 1,
            forgets: true,
            symmetry: true,
            judge: Judge::Ghost,
            reaches: &[Reach::Leader],
            #[cfg(feature = "mutants")]
            mutant: None,
        }
    }

    /// The same world with a bug seeded into every server; `None` if there is none of that name.
    #[cfg(feature = "mutants")]
    pub fn with_mutant(&self, name: &str) -> Option<World> {
        replica::Mutant::by_name(name).map(|mutant| World {
            mutant: Some(mutant),
            ..self.clone()
        })
    }

    #[cfg(feature = "mutants")]
    fn core_mutant(&self) -> Option<raft::Mutant> {
        match self.mutant {
            Some(replica::Mutant::Core(mutant)) => Some(mutant),
            Some(_) | None => None,
        }
    }

    /// Whether servers are told apart by their data folders, so that nobody lets one in under its old id whose disk was lost.
    #[cfg(not(feature = "mutants"))]
    #[expect(clippy::unused_self, reason = "only a mutant lets it in")]
    pub(super) fn knows_folders(&self) -> bool {
        true
    }

    #[cfg(feature = "mutants")]
    pub(super) fn knows_folders(&self) -> bool {
        self.mutant != Some(replica::Mutant::WipedRejoin)
    }

    pub(super) fn has_leases(&self) -> bool {
        self.ticks_max > 0
    }

    pub(super) fn config(&self, id: NodeId, life: Life) -> Config {
        Config {
            life: self.follower_reads.then_some(life),
            pre_vote: self.pre_vote,
            check_quorum: self.check_quorum,
            append_entries_max: self.append_entries_max,
            in_flight_messages_max: self.window,
            promote_caught_up_only: false,
            lease: self.has_leases().then_some(LEASE),
            #[cfg(feature = "mutants")]
            mutant: self.core_mutant(),
            ..Config::new(id)
        }
    }

    /// The line with which a golden script makes the same cluster.
    pub(super) fn cluster_line(&self) -> String {
        let mut line = format!("cluster {}", self.servers);
        let mut option = |given: bool, words: &str| {
            if given {
                line.push(' ');
                line.push_str(words);
            }
        };
        option(
            self.voters != self.servers && !self.learners,
            &format!("voters={}", self.voters),
        );
        option(self.learners, &format!("learners={}", self.servers - self.voters));
        option(self.follower_reads, "follower-reads=on");
        option(!self.pre_vote, "pre-vote=off");
        option(!self.check_quorum, "check-quorum=off");
        option(true, &format!("entries-max={}", self.append_entries_max));
        option(true, &format!("window={}", self.window));
        option(!self.changes.is_empty(), "promote=any");
        option(self.has_leases(), "leases=on");
        option(self.writes_take_time, "persist=manual");
        option(self.led, "leader=1");
        line
    }

    /// The exchanges of ids that change nothing in this world; the first is none.
    ///
    /// Who stands for election is not like who does not. Where members change, servers are named; and a removed leader chooses by id.
    pub(super) fn group(&self) -> Vec<Permutation> {
        if !self.symmetry || !self.changes.is_empty() || !self.treats_servers_alike() {
            return permutations(self.servers, |id| id);
        }
        permutations(self.servers, |id| u8::from(id > self.candidates))
    }

    #[cfg(not(feature = "mutants"))]
    #[expect(clippy::unused_self, reason = "only a mutant names servers")]
    fn treats_servers_alike(&self) -> bool {
        true
    }

    #[cfg(feature = "mutants")]
    fn treats_servers_alike(&self) -> bool {
        self.core_mutant() != Some(raft::Mutant::QuorumArithmetic)
    }

    /// Whether messages that can change nothing any more are taken away. Where a bug lets terms go back, or lets a server hear what
    /// is long over, they can.
    pub(super) fn forgets_stale_messages(&self) -> bool {
        self.forgets && self.wipes == 0 && self.terms_only_grow()
    }

    #[cfg(not(feature = "mutants"))]
    #[expect(clippy::unused_self, reason = "only a mutant goes back")]
    fn terms_only_grow(&self) -> bool {
        true
    }

    #[cfg(feature = "mutants")]
    fn terms_only_grow(&self) -> bool {
        use raft::Mutant;
        !matches!(
            self.core_mutant(),
            Some(Mutant::VoteNotPersisted | Mutant::StaleProgress | Mutant::PreVoteMixed)
        )
    }
}
