//! The worlds, each with what it is after.

use super::reach::Reach;
use super::worlds::{Judge, Planned, Subject, Tier, World};
use raft::{Change, NodeId};

/// All worlds, those of every change first.
pub fn worlds() -> Vec<World> {
    [
        elections(),
        reads(),
        storage(),
        snapshots(),
        membership(),
        nightly(),
    ]
    .concat()
}

/// The world called `name`.
pub fn by_name(name: &str) -> Option<World> {
    worlds().into_iter().find(|world| world.name == name)
}

fn elections() -> Vec<World> {
    vec![
        World {
            log_max: 1,
            reaches: &[Reach::Leader, Reach::LastTerm],
            ..World::new(
                "elections",
                "elections over two terms, with every order, loss and doubling of messages",
            )
        },
        World {
            proposals: 1,
            reaches: &[Reach::Leader, Reach::Commit, Reach::LastTerm, Reach::Replaced],
            ..World::new("replication", "a command is replicated over two terms")
        },
        World {
            candidates: 2,
            term_max: 4,
            log_max: 3,
            reaches: &[Reach::LastTerm, Reach::OldTermOnMajority, Reach::Replaced],
            ..World::new(
                "figure-8",
                "two candidates over four terms: an entry of an older term on a majority may still be replaced",
            )
        },
        World {
            candidates: 2,
            term_max: 3,
            log_max: 3,
            proposals: 1,
            reaches: &[Reach::LastTerm, Reach::Commit, Reach::Replaced],
            ..World::new(
                "divergence",
                "two candidates over three terms: of two logs the longer one may be the older",
            )
        },
        World {
            led: true,
            candidates: 2,
            term_max: 3,
            log_max: 3,
            proposals: 2,
            append_entries_max: 2,
            reaches: &[Reach::LastTerm, Reach::Commit, Reach::Replaced],
            ..World::new(
                "old-answers",
                "leadership goes to and fro, and answers to the first one come to the last",
            )
        },
        World {
            led: true,
            candidates: 1,
            term_max: 1,
            log_max: 3,
            proposals: 2,
            heartbeats: true,
            reaches: &[Reach::Commit, Reach::WindowEmptied],
            ..World::new(
                "losses",
                "appends that are lost, and heartbeats that find that out",
            )
        },
        World {
            candidates: 2,
            term_max: 1,
            log_max: 1,
            pre_vote: true,
            forgets: false,
            reaches: &[Reach::Leader, Reach::TermByRefusal],
            ..World::new(
                "pre-votes",
                "pre-votes, also of who fell behind, with every answer late or doubled",
            )
        },
        World {
            candidates: 2,
            pre_vote: true,
            check_quorum: true,
            log_max: 1,
            reaches: &[
                Reach::Leader,
                Reach::SteppedDown,
                Reach::Stuck,
                Reach::PreCandidateGrants,
            ],
            ..World::new(
                "stickiness",
                "pre-votes, leaders that step down, and followers that stick to theirs",
            )
        },
        World {
            led: true,
            candidates: 1,
            transfers: 1,
            crashes: 1,
            proposals: 1,
            log_max: 3,
            check_quorum: true,
            reaches: &[
                Reach::StoodByTransfer,
                Reach::TransferGivenUp,
                Reach::LastTerm,
                Reach::Commit,
            ],
            ..World::new(
                "transfer",
                "leadership is handed over to who sticks to the old leader, or dies, or is cut off",
            )
        },
    ]
}

fn reads() -> Vec<World> {
    vec![
        World {
            reads: 1,
            reaches: &[Reach::Leader, Reach::Read, Reach::LastTerm],
            ..World::new(
                "reads",
                "a read by ReadIndex across a fail-over, with every answer late or doubled",
            )
        },
        World {
            candidates: 2,
            reads: 2,
            reaches: &[Reach::Leader, Reach::Read, Reach::LastTerm],
            ..World::new(
                "read-rounds",
                "two reads of which neither may be confirmed by an answer to the other, nor by an older leader's",
            )
        },
        World {
            led: true,
            candidates: 2,
            reads: 1,
            proposals: 1,
            log_max: 3,
            judge: Judge::Both,
            reaches: &[Reach::Read, Reach::Commit, Reach::LastTerm],
            ..World::new(
                "linearizability",
                "a write and a read across a fail-over, as clients see them, against a register",
            )
        },
        World {
            tier: Tier::Nightly,
            led: true,
            candidates: 2,
            reads: 1,
            follower_reads: true,
            reaches: &[Reach::FollowerRead, Reach::LastTerm],
            ..World::new(
                "follower-reads",
                "a read at any server across a fail-over, with every question and answer lost, late or doubled",
            )
        },
        World {
            tier: Tier::Nightly,
            servers: 2,
            voters: 2,
            led: true,
            candidates: 1,
            term_max: 1,
            reads: 2,
            proposals: 1,
            crashes: 1,
            log_max: 3,
            follower_reads: true,
            reaches: &[Reach::FollowerRead, Reach::LateReadIndex, Reach::Commit],
            ..World::new(
                "follower-restart",
                "two reads, a write and a crash: a follower is given the answers to other questions, and of its earlier life",
            )
        },
    ]
}

fn storage() -> Vec<World> {
    vec![
        World {
            candidates: 2,
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
            proposals: 1,
            crashes: 1,
            writes_take_time: true,
            reaches: &[Reach::Leader, Reach::Commit, Reach::LostWrite],
            ..World::new(
                "durability",
                "one term, a command, and a crash at every point of every write",
            )
        },
        World {
            led: true,
            candidates: 2,
            proposals: 1,
            writes_take_time: true,
            log_max: 3,
            reaches: &[Reach::LastTerm, Reach::StaleCompletion, Reach::Replaced],
            ..World::new(
                "append-aba",
                "slow disks across a fail-over: writes that end when their entries were replaced",
            )
        },
        World {
            led: true,
            candidates: 2,
            proposals: 1,
            crashes: 1,
            writes_take_time: true,
            log_max: 3,
            reaches: &[Reach::LastTerm, Reach::LostWrite, Reach::Replaced],
            ..World::new(
                "bad-tail",
                "slow disks and a crash across a fail-over: what was cut off may come back",
            )
        },
        World {
            subject: Subject::Node { visits: 2 },
            reaches: &[Reach::VoteTold, Reach::AppendTold, Reach::PowerLoss],
            ..World::new(
                "disk",
                "one node with its log and recovery, killed or without power inside of every operation of its disk",
            )
        },
    ]
}

fn snapshots() -> Vec<World> {
    vec![
        World {
            led: true,
            candidates: 2,
            proposals: 1,
            compactions: 1,
            log_max: 3,
            reaches: &[Reach::SnapshotInstalled, Reach::SnapshotLate, Reach::LastTerm],
            ..World::new(
                "snapshots",
                "a snapshot across a fail-over: late, doubled, behind what is applied",
            )
        },
        World {
            led: true,
            heartbeats: true,
            candidates: 2,
            term_max: 3,
            compactions: 1,
            log_max: 3,
            reaches: &[
                Reach::SnapshotInstalled,
                Reach::SnapshotConflict,
                Reach::SnapshotCovered,
                Reach::LastTerm,
            ],
            ..World::new(
                "snapshot-conflict",
                "a snapshot for a follower whose log has another entry at its end, or has all of it and more",
            )
        },
        World {
            led: true,
            candidates: 1,
            term_max: 1,
            log_max: 3,
            proposals: 2,
            compactions: 1,
            window: 2,
            reaches: &[Reach::SnapshotInstalled, Reach::SnapshotCovered],
            ..World::new(
                "snapshot-covered",
                "a snapshot comes to a follower that has all of it by now, and more",
            )
        },
        World {
            led: true,
            candidates: 1,
            term_max: 1,
            log_max: 4,
            proposals: 3,
            compactions: 2,
            reaches: &[Reach::SnapshotInstalled, Reach::SnapshotLate, Reach::Commit],
            ..World::new(
                "snapshot-late",
                "a snapshot comes again to a follower that has made a later one itself",
            )
        },
        World {
            led: true,
            heartbeats: true,
            candidates: 1,
            proposals: 1,
            compactions: 1,
            crashes: 1,
            writes_take_time: true,
            reaches: &[Reach::SnapshotInstalled, Reach::LostWrite],
            ..World::new(
                "snapshot-crash",
                "a crash at every point of the writing of a snapshot",
            )
        },
    ]
}

const REPLACE: &[Planned] = &[Planned {
    by: 1,
    changes: &[Change::AddVoter(NodeId(4)), Change::Remove(NodeId(3))],
}];
const CONFLICTING: &[Planned] = &[
    Planned {
        by: 1,
        changes: &[Change::Remove(NodeId(4))],
    },
    Planned {
        by: 2,
        changes: &[Change::Remove(NodeId(1))],
    },
];
const ADD: &[Planned] = &[Planned {
    by: 1,
    changes: &[Change::AddVoter(NodeId(4))],
}];
const REMOVE_LEADER: &[Planned] = &[Planned {
    by: 1,
    changes: &[Change::Remove(NodeId(1))],
}];
const LEARN_AND_VOTE: &[Planned] = &[
    Planned {
        by: 1,
        changes: &[Change::AddLearner(NodeId(4))],
    },
    Planned {
        by: 1,
        changes: &[Change::AddVoter(NodeId(4))],
    },
];

fn membership() -> Vec<World> {
    vec![
        World {
            servers: 4,
            led: true,
            candidates: 2,
            changes: REPLACE,
            voters: 3,
            log_max: 4,
            crashes: 1,
            reaches: &[
                Reach::JointCommit,
                Reach::JointAtStart,
                Reach::ChangeUndone,
                Reach::LastTerm,
            ],
            ..World::new(
                "joint",
                "one member replaces another by way of a joint configuration, across a fail-over and a crash",
            )
        },
        World {
            servers: 4,
            voters: 4,
            led: true,
            candidates: 2,
            term_max: 3,
            log_max: 3,
            changes: CONFLICTING,
            reaches: &[Reach::ChangeCommit, Reach::ChangeUndone, Reach::LastTerm],
            ..World::new(
                "conflicting-removals",
                "two leaders remove different members of four (Ongaro's correction of 2015)",
            )
        },
        World {
            servers: 4,
            voters: 3,
            led: true,
            candidates: 2,
            log_max: 3,
            proposals: 1,
            changes: ADD,
            reaches: &[Reach::ChangeCommit, Reach::ChangeUndone, Reach::LastTerm],
            ..World::new(
                "addition",
                "a fourth member comes, or its coming is undone by the next leader",
            )
        },
        World {
            led: true,
            candidates: 2,
            log_max: 4,
            proposals: 1,
            crashes: 1,
            changes: REMOVE_LEADER,
            reaches: &[
                Reach::RemovedStands,
                Reach::ChangeCommit,
                Reach::RemovedLeader,
                Reach::LastTerm,
                Reach::Commit,
            ],
            ..World::new("removed-leader", "a leader removes itself under writes")
        },
        World {
            servers: 4,
            voters: 3,
            led: true,
            candidates: 2,
            log_max: 4,
            changes: LEARN_AND_VOTE,
            reaches: &[Reach::ChangeCommit, Reach::LearnerVotes, Reach::LastTerm],
            ..World::new(
                "learner",
                "a learner is promoted without hearing of it, and votes",
            )
        },
        World {
            servers: 5,
            learners: true,
            led: true,
            candidates: 2,
            log_max: 3,
            proposals: 1,
            reaches: &[Reach::Commit, Reach::LastTerm, Reach::Replaced],
            ..World::new(
                "learners-count-nothing",
                "two learners hold what only one voter has",
            )
        },
        World {
            servers: 4,
            led: true,
            candidates: 1,
            term_max: 1,
            log_max: 2,
            compactions: 1,
            crashes: 1,
            changes: ADD,
            reaches: &[Reach::ChangeCommit, Reach::SnapshotInstalled],
            ..World::new(
                "snapshot-membership",
                "members come with a snapshot that takes the place of a log",
            )
        },
    ]
}

fn nightly() -> Vec<World> {
    let night = |name, about| World {
        tier: Tier::Nightly,
        ..World::new(name, about)
    };
    vec![
        World {
            term_max: 3,
            proposals: 2,
            reaches: &[Reach::Leader, Reach::Commit, Reach::LastTerm, Reach::Replaced],
            ..night("replication-3", "two commands are replicated over three terms")
        },
        World {
            term_max: 3,
            proposals: 1,
            crashes: 1,
            reaches: &[Reach::Leader, Reach::Commit, Reach::LastTerm, Reach::Replaced],
            ..night(
                "crash-3",
                "a command is replicated over three terms, with a crash",
            )
        },
        World {
            subject: Subject::Node { visits: 3 },
            reaches: &[Reach::VoteTold, Reach::AppendTold, Reach::PowerLoss],
            ..night(
                "disk-3",
                "one node with its log and recovery, stopped three times inside of operations of its disk",
            )
        },
        World {
            term_max: 4,
            reaches: &[Reach::LastTerm, Reach::OldTermOnMajority, Reach::Replaced],
            ..night("figure-8-full", "figure 8 with three candidates over four terms")
        },
    ]
}
