//! Reads: by rounds of heartbeats, and by leases.

use super::super::reach::Reach;
use super::super::worlds::{Judge, Opening, World};

pub(super) fn reads() -> Vec<World> {
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
            // Late questions of two lives, in turn, would take rounds for ever.
            rounds_max: 3,
            reaches: &[Reach::FollowerRead, Reach::LateReadIndex, Reach::Commit],
            ..World::new(
                "follower-restart",
                "two reads, a write and a crash: a follower is given the answers to other questions, and of its earlier life",
            )
        },
        World {
            led: true,
            check_quorum: true,
            candidates: 1,
            transfers: 1,
            reads: 1,
            ticks_max: 1,
            rounds_max: 1,
            reaches: &[Reach::Read, Reach::StoodByTransfer, Reach::LastTerm],
            ..World::new(
                "lease-transfer",
                "a lease ends when leadership is handed over, on clocks that run apart",
            )
        },
        World {
            led: true,
            check_quorum: true,
            opening: &[Opening::Silent(2)],
            candidates: 2,
            crashes: 1,
            reads: 1,
            ticks_max: 3,
            rounds_max: 1,
            reaches: &[Reach::Read, Reach::LastTerm],
            ..World::new(
                "lease-promise",
                "a server that starts again keeps the promise that it gave a leader, on clocks that run apart",
            )
        },
    ]
}
