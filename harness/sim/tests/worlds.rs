//! The worlds of the model checker: complete, clean, and of the size they had. A change that moves a number is looked at.

use sim::model::{WorldReport, by_name, check};

/// Far more steps than any of these worlds takes.
const STEPS_MAX: usize = 50_000_000;

fn explore(name: &str) -> WorldReport {
    check(&by_name(name).expect("there is such a world"), 2, STEPS_MAX)
}

#[track_caller]
fn assert_clean(name: &str, unique_states: usize) {
    let report = explore(name);
    assert_eq!(report.violation, None);
    assert!(report.complete, "{report:?}");
    assert_eq!(report.unmet, [""; 0]);
    assert_eq!(report.unique_states, unique_states);
}

#[test]
fn elections_are_safe() {
    assert_clean("elections", 8_911);
}

#[test]
fn replication_is_safe() {
    assert_clean("replication", 33_694);
}

#[test]
fn what_is_promised_is_durable() {
    assert_clean("durability", 54_462);
}

#[test]
fn a_search_that_is_cut_short_says_so() {
    let report = check(&by_name("replication").expect("there is such a world"), 1, 1000);
    assert!(!report.complete);
    assert_eq!(report.violation, None);
}

#[cfg(feature = "mutants")]
mod mutants {
    use super::STEPS_MAX;
    use raft::Mutant;
    use sim::model::{World, by_name, check};

    #[track_caller]
    fn assert_found(mutant: Mutant, world: &str, promise: &str) {
        let world = World {
            mutant: Some(mutant),
            ..by_name(world).expect("there is such a world")
        };
        let story = check(&world, 2, STEPS_MAX).violation.expect("the bug is found");
        assert!(story.what.starts_with(promise), "{}", story.what);
    }

    #[test]
    fn a_vote_that_is_not_durable_is_found() {
        assert_found(Mutant::VoteNotPersisted, "votes", "durability");
    }

    #[test]
    fn an_acknowledgement_before_its_sync_is_found() {
        assert_found(Mutant::AckBeforeFsync, "durability", "durability");
    }

    #[test]
    fn reads_from_a_servers_own_state_are_found() {
        assert_found(Mutant::StaleLocalRead, "reads", "linearizable reads");
    }

    #[test]
    fn an_answer_that_confirms_another_round_is_found() {
        assert_found(Mutant::ReadContextReused, "read-rounds", "linearizable reads");
        assert_found(Mutant::ReadBatchFirstIndex, "read-rounds", "linearizable reads");
    }

    #[test]
    fn a_majority_that_is_none_is_found() {
        assert_found(Mutant::QuorumArithmetic, "elections", "leader completeness");
    }

    #[test]
    fn a_commit_of_what_was_not_compared_is_found() {
        assert_found(Mutant::CommitUnverified, "reads", "state machine safety");
    }

    #[test]
    fn an_append_that_cuts_off_what_matches_is_found() {
        assert_found(Mutant::TruncateOnStaleAppend, "reads", "panic");
    }

    #[test]
    fn reads_before_the_terms_first_commit_are_found() {
        assert_found(Mutant::ReadBeforeNoop, "reads", "linearizable reads");
    }
}
