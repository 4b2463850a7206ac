//! What a run is asked for, and what it came to.

use crate::reduction::{FaultId, Reduction};
use std::fmt::{self, Display};

/// What a run is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// How many nodes; `None`: the seed decides, from 1 to 5.
    pub nodes: Option<u64>,
    /// What the seed may draw.
    pub conditions: Conditions,
    /// How long the load and the faults last, in simulated microseconds; `None`: the seed decides.
    pub duration_us: Option<u64>,
    /// What of the seed's world is left out.
    pub reduction: Reduction,
    /// The bug that is seeded into every node, for testing the tests.
    #[cfg(feature = "mutants")]
    pub mutant: Option<replica::Mutant>,
}

/// Under which conditions the nodes run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Conditions {
    /// Each seed draws which faults there are and how strongly, and the settings of the nodes. A few draw a cut link and nothing else.
    #[default]
    Swarm,
    /// No faults; the settings of a server, and five clients that issue ten operations a second each.
    Calm,
    /// As calm, but on a quarter of the way the link between the leader and one of its followers is cut for good. The others hear both:
    /// nobody else has to lead, so nobody may come to.
    CutLink,
}

/// What happened in a run, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Events of any kind.
    pub steps: u64,
    /// Messages between nodes that arrived.
    pub delivered: u64,
    /// Messages between nodes that did not.
    pub lost: u64,
    /// Messages between nodes that came twice.
    pub duplicated: u64,
    /// Leaders elected.
    pub elections: u64,
    /// Entries committed.
    pub committed: u64,
    /// Clients' operations that succeeded.
    pub ops_ok: u64,
    /// Clients' operations that definitely did not happen.
    pub ops_failed: u64,
    /// Clients' operations whose outcome nobody learned.
    pub ops_unknown: u64,
    /// Operations of sessions that got no answer and were sent again.
    pub ops_sent_again: u64,
    /// Processes killed from outside, between the halves of a turn included.
    pub kills: u64,
    /// Of those, in the middle of a turn: after its messages were sent and before its write.
    pub kills_in_turn: u64,
    /// Writes that went on beside the node that had begun them.
    pub writes_beside: u64,
    /// Of those, what was broken off by the end of its process.
    pub writes_broken_off: u64,
    /// Processes that died inside an operation of their disk.
    pub kills_in_disk: u64,
    /// Losses of power, by node.
    pub power_losses: u64,
    /// Errors of the disk.
    pub disk_errors: u64,
    /// Bits flipped.
    pub rotten_bits: u64,
    /// Nodes that found corruption, and so did not start.
    pub refused_starts: u64,
    /// Starts, the first ones included.
    pub starts: u64,
    /// Pauses.
    pub pauses: u64,
    /// Links cut, one way each.
    pub cuts: u64,
    /// Links that were slow for a while, one way each.
    pub slow_links: u64,
    /// Disks that were slow for a while.
    pub slow_disks: u64,
    /// Writes for which a disk had no room.
    pub full_disks: u64,
    /// Clocks that jumped.
    pub clock_jumps: u64,
    /// Clocks that went at another rate from then on.
    pub clock_rates: u64,
    /// Candidacies that were ordered, not timed.
    pub campaigns: u64,
    /// Changes of who takes part that were begun.
    pub changes: u64,
    /// Configurations that were committed.
    pub configurations: u64,
    /// Leaderships that were to be handed over.
    pub transfers: u64,
    /// Snapshots that an operator asked for.
    pub snapshots_ordered: u64,
    /// What an operator asked for and was done.
    pub orders_done: u64,
    /// Logs that were cut off behind a snapshot of the node's own.
    pub compactions: u64,
    /// Snapshots from leaders that took the place of a log.
    pub snapshots_installed: u64,
    /// Leaders that were cut off while all others started again and one of them stood.
    pub relapses: u64,
    /// Reads that were answered by a leader that had a lease when they came.
    pub lease_reads: u64,
}

impl Counts {
    /// Each count by its name.
    pub fn list(&self) -> [(&'static str, u64); 37] {
        [
            ("steps", self.steps),
            ("delivered", self.delivered),
            ("lost", self.lost),
            ("duplicated", self.duplicated),
            ("elections", self.elections),
            ("committed", self.committed),
            ("ops ok", self.ops_ok),
            ("ops failed", self.ops_failed),
            ("ops unknown", self.ops_unknown),
            ("ops sent again", self.ops_sent_again),
            ("kills", self.kills),
            ("kills in turn", self.kills_in_turn),
            ("writes beside", self.writes_beside),
            ("writes broken off", self.writes_broken_off),
            ("kills in disk", self.kills_in_disk),
            ("power losses", self.power_losses),
            ("disk errors", self.disk_errors),
            ("rotten bits", self.rotten_bits),
            ("refused starts", self.refused_starts),
            ("starts", self.starts),
            ("pauses", self.pauses),
            ("cuts", self.cuts),
            ("slow links", self.slow_links),
            ("slow disks", self.slow_disks),
            ("full disks", self.full_disks),
            ("clock jumps", self.clock_jumps),
            ("clock rates", self.clock_rates),
            ("campaigns", self.campaigns),
            ("changes", self.changes),
            ("configurations", self.configurations),
            ("transfers", self.transfers),
            ("snapshots ordered", self.snapshots_ordered),
            ("orders done", self.orders_done),
            ("compactions", self.compactions),
            ("snapshots installed", self.snapshots_installed),
            ("relapses", self.relapses),
            ("lease reads", self.lease_reads),
        ]
    }
}

/// What a run came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// How many nodes there were.
    pub nodes: u64,
    /// How many clients there could be; a reduction leaves some out.
    pub clients: u64,
    /// Whether nodes took reads in while they followed.
    pub follower_reads: bool,
    /// How long a tick of an exact clock is, in simulated microseconds.
    pub tick_us: u64,
    /// A hash of everything that happened, in order: equal seeds and options have equal ones, on every machine.
    pub trace_hash: u64,
    /// How much time passed in the world, in microseconds.
    pub simulated_us: u64,
    /// What happened, counted.
    pub counts: Counts,
    /// Whether the clients' history was judged to the end: a check that reaches its limit on memory says nothing.
    pub history_judged: bool,
    /// The faults that struck, in order.
    pub struck: Vec<Struck>,
    /// What broke, if anything did.
    pub failure: Option<Failure>,
}

/// A fault that struck.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Struck {
    /// Which.
    pub fault: FaultId,
    /// When, in simulated microseconds.
    pub at_us: u64,
    /// How long it lasts.
    pub lasts_us: u64,
    /// Whether it was aimed at a leader.
    pub leader: bool,
    /// What it does.
    pub blow: Blow,
}

/// What a fault does. Nodes are named by their ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Blow {
    /// Processes die, by whatever cause, and start again.
    Kill(Vec<u64>),
    /// A process stands still.
    Pause(u64),
    /// Links, from one node to another, carry nothing.
    Cut(Vec<(u64, u64)>),
    /// Something that happens inside a node or to it alone.
    Other(&'static str),
}

/// A broken invariant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The seed that leads to it.
    pub seed: u64,
    /// The event at which it was noticed.
    pub step: u64,
    /// When, in simulated microseconds.
    pub at_us: u64,
    /// Which.
    pub invariant: Invariant,
    /// How, with the values.
    pub what: String,
    /// The last events before it, as a story.
    pub story: Vec<String>,
}

/// What must always hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Invariant {
    /// At most one leader a term (Raft §5.2).
    ElectionSafety,
    /// Entries at the same position are the same and follow on the same (Raft §5.3).
    LogMatching,
    /// What was committed is in every later leader's log (Raft §5.4).
    LeaderCompleteness,
    /// No two nodes commit or apply different entries at one index; what was committed stays.
    StateMachineSafety,
    /// At equal applied indexes the states are equal: what folding the committed log gives.
    StateHash,
    /// Term, vote and commit index do not go back.
    Monotonicity,
    /// Applied ≤ committed ≤ last.
    Order,
    /// A vote, a candidacy or an acknowledgement that left a node is covered by what its disk would keep.
    Promise,
    /// What is committed is durable on a majority.
    Durability,
    /// A node that starts again has what was synced, and nothing that was not written.
    Recovery,
    /// A read is answered from a state that has every write acknowledged before it was asked for.
    ReadFreshness,
    /// What clients saw fits some order of their operations.
    Linearizability,
    /// Every request is answered at most once, and at the end all are.
    Answers,
    /// Once faults are over, all nodes converge and every client is served.
    Liveness,
    /// The node's own assertions.
    Assertion,
    /// Who takes part is what the committed log says, and any two quorums that follow on each other meet (Raft §6).
    Membership,
    /// A node has no reason to stop by itself.
    Stop,
    /// The same seed gives the same trace.
    Determinism,
}

impl Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Invariant::ElectionSafety => "election safety",
            Invariant::LogMatching => "log matching",
            Invariant::LeaderCompleteness => "leader completeness",
            Invariant::StateMachineSafety => "state machine safety",
            Invariant::StateHash => "state hash",
            Invariant::Monotonicity => "monotonicity",
            Invariant::Order => "applied ≤ committed ≤ last",
            Invariant::Promise => "promises are durable",
            Invariant::Durability => "durability",
            Invariant::Recovery => "recovery",
            Invariant::ReadFreshness => "read freshness",
            Invariant::Linearizability => "linearizability",
            Invariant::Answers => "answers",
            Invariant::Liveness => "liveness",
            Invariant::Assertion => "assertion",
            Invariant::Membership => "membership",
            Invariant::Stop => "unfounded stop",
            Invariant::Determinism => "determinism",
        })
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "seed {}: {} is broken at step {}, {}.{:06} s: {}",
            self.seed,
            self.invariant,
            self.step,
            self.at_us / 1_000_000,
            self.at_us % 1_000_000,
            self.what
        )?;
        for line in &self.story {
            writeln!(f, "  {line}")?;
        }
        Ok(())
    }
}

/// A broken invariant, where it is noticed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Broken {
    pub(crate) invariant: Invariant,
    pub(crate) what: String,
}

impl Broken {
    /// `Err`, unless `holds`.
    pub(crate) fn unless(
        holds: bool,
        invariant: Invariant,
        what: impl FnOnce() -> String,
    ) -> Result<(), Broken> {
        if holds {
            Ok(())
        } else {
            Err(Broken {
                invariant,
                what: what(),
            })
        }
    }
}
