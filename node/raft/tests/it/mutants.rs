//! Every seeded bug is found: by the golden scripts that tell of what it breaks, and by random schedules, as a broken invariant.

use crate::golden;
use crate::properties::first_failure;
use crate::world::Seen;
use raft::Mutant;

/// Schedules in which a bug must be found, if they are to find it.
const SCHEDULES_MAX: u64 = 5_000;

/// Every mutant by its name, a script whose outcome it changes, and the beginning of what a schedule's failure says, somewhere in it.
const FOUND: [(&str, &str, Option<&str>); 6] = [
    (
        "vote-not-persisted",
        "vote_is_given_when_durable",
        Some("not durable"),
    ),
    (
        "commit-old-term",
        "old_term_is_not_committed_by_counting_figure_8",
        Some("leads term"),
    ),
    (
        "ack-before-fsync",
        "append_is_acknowledged_when_durable",
        Some("not durable"),
    ),
    // Schedules find it once in some hundred thousand: it takes a truncating write that is lost in a crash, and short appends.
    ("ack-last-index", "ack_names_what_was_verified", None),
    (
        "stale-local-read",
        "read_is_aborted_by_a_step_down",
        Some("was committed before it was asked"),
    ),
    (
        "read-before-noop",
        "read_waits_for_the_terms_first_commit",
        Some("was committed before it was asked"),
    ),
];

#[test]
fn every_mutant_is_listed() {
    let listed: Vec<&str> = FOUND.iter().map(|(name, ..)| *name).collect();
    let all: Vec<&str> = Mutant::ALL.iter().map(|(name, _)| *name).collect();
    assert_eq!(listed, all);
}

#[test]
fn every_mutant_changes_the_outcome_of_its_golden_script() {
    for ((name, mutant), (_, script, _)) in Mutant::ALL.into_iter().zip(FOUND) {
        let stored = golden::stored(script);
        let played = golden::play(&stored, move |config| config.mutant = Some(mutant));
        assert_ne!(played, Ok(stored), "{name} leaves {script} as it is");
    }
}

#[test]
fn random_schedules_find_mutants() {
    for ((name, mutant), (_, _, expected)) in Mutant::ALL.into_iter().zip(FOUND) {
        let Some(expected) = expected else { continue };
        let mutate = |config: &mut raft::Config| config.mutant = Some(mutant);
        let found = first_failure(0..SCHEDULES_MAX, &mut Seen::default(), &mutate);
        let Some((seed, failure)) = found else {
            panic!("{SCHEDULES_MAX} schedules do not find {name}");
        };
        println!("{name}: seed {seed}: {}\n{}", failure.violation, failure.story);
        assert!(
            failure.violation.contains(expected),
            "{name}: {}",
            failure.violation
        );
    }
}
