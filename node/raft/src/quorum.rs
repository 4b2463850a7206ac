//! Majorities, as pure functions. They are compared with brute force in the tests.

use crate::types::Index;
use alloc::vec::Vec;

/// How many of `voters` make a majority: any two majorities share a voter.
pub fn majority(voters: usize) -> usize {
    voters / 2 + 1
}

/// The highest index that a majority has reached, given how far each voter is.
///
/// # Panics
/// There are no voters: nothing is ever agreed on by nobody.
pub fn majority_index(reached: impl IntoIterator<Item = Index>) -> Index {
    let mut reached: Vec<Index> = reached.into_iter().collect();
    assert!(!reached.is_empty(), "a majority of no voters was asked for");
    // Sorted in descending order, the one at place `majority - 1` has been reached by itself and by all before it.
    reached.sort_unstable_by(|a, b| b.cmp(a));
    reached[majority(reached.len()) - 1]
}

/// Where an election stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VoteResult {
    /// A majority said yes.
    Won,
    /// A majority can't be reached any more.
    Lost,
    /// Neither, yet.
    Pending,
}

/// Where an election stands with `granted` yes and `refused` no among `voters`.
///
/// # Panics
/// More have answered than there are.
pub fn vote_result(voters: usize, granted: usize, refused: usize) -> VoteResult {
    assert!(
        granted + refused <= voters,
        "{granted} + {refused} answers from {voters} voters"
    );
    if granted >= majority(voters) {
        VoteResult::Won
    } else if voters - refused < majority(voters) {
        VoteResult::Lost
    } else {
        VoteResult::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn majority_index_is_the_highest_that_a_majority_reached() {
        // Every assignment of indexes 0..=3 to up to seven voters, even numbers of them included, against counting.
        for voters in 1..=7_u32 {
            for code in 0..4_u64.pow(voters) {
                let reached: Vec<Index> = (0..voters)
                    .map(|voter| Index(code / 4_u64.pow(voter) % 4))
                    .collect();
                let by_counting = (0..4)
                    .rev()
                    .map(Index)
                    .find(|index| 2 * reached.iter().filter(|r| *r >= index).count() > reached.len());
                assert_eq!(Some(majority_index(reached.clone())), by_counting, "{reached:?}");
            }
        }
    }

    /// The table that everybody knows, beside the rule.
    #[test]
    fn majorities_of_odd_and_even_numbers() {
        let known = [
            (1, 1),
            (2, 2),
            (3, 2),
            (4, 3),
            (5, 3),
            (6, 4),
            (7, 4),
            (8, 5),
            (9, 5),
        ];
        for (voters, needed) in known {
            assert_eq!(majority(voters), needed, "of {voters}");
            // Any two of that size meet, and of one less two need not.
            assert!(2 * majority(voters) > voters && 2 * (majority(voters) - 1) <= voters);
        }
    }

    #[test]
    fn votes_are_won_lost_or_pending_as_every_completion_says() {
        for voters in 1..=7 {
            for granted in 0..=voters {
                for refused in 0..=voters - granted {
                    let undecided = voters - granted - refused;
                    let best = 2 * (granted + undecided) > voters;
                    let worst = 2 * granted > voters;
                    let expected = match (best, worst) {
                        (_, true) => VoteResult::Won,
                        (false, false) => VoteResult::Lost,
                        (true, false) => VoteResult::Pending,
                    };
                    assert_eq!(vote_result(voters, granted, refused), expected);
                }
            }
        }
    }
}
