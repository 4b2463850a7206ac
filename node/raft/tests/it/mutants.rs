//! Every seeded bug is found: by the golden scripts that tell of what it breaks, and by random schedules, as a broken invariant.

use crate::golden;
use crate::properties::first_failure;
use crate::world::Seen;
use raft::Mutant;

/// Schedules in which a bug must be found, if they are to find it.
const SCHEDULES_MAX: u64 = 6_000;

/// Every mutant by its name, a script whose outcome it changes, and the beginning of what a schedule's failure says, somewhere in it.
/// Where there is none of that, schedules do not find it: what finds it instead stands in the tests of the simulation and of the
/// model.
const FOUND: [(&str, &str, Option<&str>); 38] = [
    (
        "vote-not-persisted",
        "vote_is_given_when_durable",
        Some("not durable"),
    ),
    ("index-before-term", "election_restriction", Some("leads term")),
    (
        "stamp-after-step-down",
        "leader_without_a_majority_steps_down",
        Some("behind 0@0 is not"),
    ),
    (
        "prevote-mixed",
        "pre_vote_with_a_high_term_and_a_short_log",
        Some("nobody is elected"),
    ),
    (
        "prevote-keeps-leader",
        "pre_vote_with_a_high_term_and_a_short_log",
        None,
    ),
    (
        "learner-refuses-vote",
        "joint_configuration_survives_its_leader",
        Some("nobody is elected"),
    ),
    ("no-stickiness", "stickiness_holds_without_pre_vote", None),
    (
        "lease-survives-transfer",
        "lease_is_over_when_another_is_asked_to_stand",
        None,
    ),
    (
        "transfer-never-aborts",
        "transfer_is_given_up",
        Some("nobody is elected"),
    ),
    (
        "commit-old-term",
        "old_term_is_not_committed_by_counting_figure_8",
        Some("leads term"),
    ),
    (
        "commit-unverified",
        "deposed_leader_loses_its_tail",
        Some("was committed"),
    ),
    (
        "truncate-on-stale-append",
        "stale_append_does_not_truncate",
        Some("not durable"),
    ),
    (
        "nack-hint-as-match",
        "log_repair_figure_7",
        Some("without faults"),
    ),
    ("ack-last-index", "ack_names_what_was_verified", None),
    ("quorum-arithmetic", "split_vote", Some("was committed")),
    (
        "learner-counted",
        "learners_count_for_nothing",
        Some("nobody is elected"),
    ),
    (
        "stale-progress",
        "stale_acknowledgement_counts_for_nothing",
        Some("takes n"),
    ),
    (
        "ack-before-fsync",
        "append_is_acknowledged_when_durable",
        Some("not durable"),
    ),
    (
        "inflight-leak",
        "window_bounds_what_is_in_flight",
        Some("without faults"),
    ),
    (
        "read-before-noop",
        "read_waits_for_the_terms_first_commit",
        Some("was committed before it was asked"),
    ),
    (
        "read-context-reused",
        "read_asked_during_a_round_waits_for_the_next",
        None,
    ),
    (
        "read-batch-first-index",
        "read_asked_during_a_round_waits_for_the_next",
        Some("was committed before it was asked"),
    ),
    (
        "forwarded-read-joins",
        "forwarded_read_waits_for_the_next_request",
        Some("was committed before it was asked"),
    ),
    (
        "forwarded-read-outlives-crash",
        "answer_to_an_earlier_life_confirms_nothing",
        Some("was committed before it was asked"),
    ),
    (
        "lease-is-role",
        "read_is_aborted_by_a_step_down",
        Some("was committed before it was asked"),
    ),
    (
        "lease-forgets-promise",
        "starting_server_keeps_a_promise_that_it_may_have_made",
        None,
    ),
    (
        "stale-local-read",
        "read_is_aborted_by_a_step_down",
        Some("was committed before it was asked"),
    ),
    (
        "change-before-noop",
        "change_waits_for_the_terms_first_commit",
        None,
    ),
    (
        "campaign-unapplied-config",
        "joint_configuration_survives_its_leader",
        Some("nobody is elected"),
    ),
    (
        "joint-ignored-at-start",
        "joint_configuration_is_in_force_after_a_restart",
        Some("nobody is elected"),
    ),
    (
        "config-not-rolled-back",
        "uncommitted_change_is_undone",
        Some("configuration"),
    ),
    (
        "removed-leader-quorum",
        "removed_leader_hands_over",
        Some("nobody is elected"),
    ),
    (
        "joint-unelectable",
        "removed_leader_may_have_to_stand_again",
        Some("nobody is elected"),
    ),
    (
        "snapshot-behind-applied",
        "late_snapshot_changes_nothing",
        Some("snapshot-behind-applied"),
    ),
    (
        "snapshot-truncates-newer",
        "snapshot_of_less_than_the_log_has_changes_nothing",
        None,
    ),
    (
        "snapshot-keeps-conflict",
        "snapshot_replaces_a_conflicting_log",
        None,
    ),
    (
        "config-from-replaced-log",
        "membership_comes_with_a_snapshot",
        Some("leads term"),
    ),
    (
        "commit-regresses",
        "restart_keeps_term_vote_and_log",
        Some("leads with two configurations"),
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
    let mut missed = Vec::new();
    for ((name, mutant), (_, _, expected)) in Mutant::ALL.into_iter().zip(FOUND) {
        let Some(expected) = expected else { continue };
        let mutate = |config: &mut raft::Config| config.mutant = Some(mutant);
        let found = first_failure(0..SCHEDULES_MAX, &mut Seen::default(), &mutate);
        let Some((seed, failure)) = found else {
            missed.push(format!("{name}: not in {SCHEDULES_MAX} schedules"));
            continue;
        };
        println!("{name}: seed {seed}: {}\n{}", failure.violation, failure.story);
        if !failure.violation.contains(expected) {
            missed.push(format!("{name}: seed {seed}: {}", failure.violation));
        }
    }
    assert!(missed.is_empty(), "{missed:#?}");
}
