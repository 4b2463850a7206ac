//! Changes of who takes part.

use super::super::reach::Reach;
use super::super::worlds::{Planned, World};
use raft::{Change, NodeId};

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

pub(super) fn membership() -> Vec<World> {
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
