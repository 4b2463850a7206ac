//! Snapshots that take the place of logs.

use super::super::reach::Reach;
use super::super::worlds::World;

pub(super) fn snapshots() -> Vec<World> {
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
