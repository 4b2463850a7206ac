//! What a server keeps on its disk, and what it loses.

use super::super::reach::Reach;
use super::super::worlds::{Opening, Scenery, Subject, World};

/// Server 1 has on disk two entries of term 1 behind the first, of which server 2 has one. Server 3 led term 2 without them: the entry that
/// replaces them is in the memory of server 1 alone. Server 2 leads term 3, and has committed with the others.
const TAIL_CUT_OFF: &[Opening] = &[
    Opening::Propose(1, 2),
    Opening::Stabilize(&[1, 2]),
    Opening::Propose(1, 1),
    Opening::Persist(1),
    Opening::Drop,
    Opening::Timeout(3),
    Opening::Persist(3),
    Opening::Deliver(3, 4),
    Opening::Deliver(3, 5),
    Opening::Persist(4),
    Opening::Persist(5),
    Opening::Deliver(4, 3),
    Opening::Deliver(5, 3),
    Opening::Deliver(3, 1),
    Opening::Crash(3),
    Opening::Drop,
    Opening::Timeout(2),
    Opening::Persist(2),
    Opening::Drop,
    Opening::Timeout(2),
    Opening::Stabilize(&[2, 3, 4, 5]),
];

pub(super) fn storage() -> Vec<World> {
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
            servers: 5,
            voters: 5,
            led: true,
            opening: TAIL_CUT_OFF,
            term_max: 3,
            log_max: 3,
            crashes: 1,
            writes_take_time: true,
            reaches: &[Reach::LostWrite, Reach::TailUnverified],
            ..World::new(
                "returned-tail",
                "a crash brings back what two leaders cut off and replaced: an append verifies less than the log has",
            )
        },
        World {
            led: true,
            proposals: 1,
            wipes: 1,
            log_max: 3,
            reaches: &[Reach::Commit, Reach::LastTerm, Reach::Wiped],
            ..World::new(
                "wiped-disk",
                "a server loses its disk, and comes back under its id across a fail-over",
            )
        },
        World {
            subject: Subject::Node {
                scene: Scenery::Follower,
                visits: 2,
            },
            reaches: &[Reach::VoteTold, Reach::AppendTold, Reach::PowerLoss],
            ..World::new(
                "disk",
                "one node with its log and recovery, killed or without power inside of every operation of its disk",
            )
        },
        World {
            subject: Subject::Node {
                scene: Scenery::Snapshot,
                visits: 2,
            },
            reaches: &[Reach::AppendTold, Reach::SnapshotStored, Reach::PowerLoss],
            ..World::new(
                "disk-snapshot",
                "the same, where a snapshot takes the place of a log that is another and longer",
            )
        },
        World {
            subject: Subject::Node {
                scene: Scenery::Alone,
                visits: 2,
            },
            reaches: &[
                Reach::Read,
                Reach::Commit,
                Reach::SnapshotStored,
                Reach::PowerLoss,
            ],
            ..World::new(
                "disk-alone",
                "one node that is its own majority, with clients, sessions, snapshots and compaction",
            )
        },
    ]
}
