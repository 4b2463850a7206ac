//! Elections and replication: terms, votes, logs that part, leadership that is handed over.

use super::super::reach::Reach;
use super::super::worlds::World;

pub(super) fn elections() -> Vec<World> {
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

/// The largest of every change, which come last: what a smaller one shows, too, is found sooner.
pub(super) fn large() -> Vec<World> {
    vec![World {
        candidates: 2,
        term_max: 4,
        log_max: 3,
        crashes: 1,
        reaches: &[Reach::LastTerm, Reach::OldTermOnMajority, Reach::Replaced],
        ..World::new(
            "hints",
            "figure 8 with a crash: where a refused append hints at another entry may stand",
        )
    }]
}
