//! Worlds like those of every change, with a bound that is wider: another term, command, candidate or crash. They take seconds.

use super::super::reach::Reach;
use super::super::worlds::{Scenery, Subject, Tier, World};

pub(super) fn nightly() -> Vec<World> {
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
            subject: Subject::Node {
                scene: Scenery::Follower,
                visits: 3,
            },
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
