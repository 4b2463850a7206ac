//! Golden scripts: what is played is compared with what is stored. `UPDATE_GOLDEN=1` stores it anew; the difference is reviewed
//! like code.
//!
//! # Which behaviour is told where
//!
//! The rows are the behaviours that the interaction tests of etcd-io/raft cover, by the names that they have there; the scripts are this
//! project's own, as are what they show and their order of events.
//!
//! | there | here |
//! |---|---|
//! | `campaign` | `election_in_one_round`, `split_vote` |
//! | `campaign_learner_must_vote` | `learner_votes_before_it_knows_of_its_promotion` |
//! | `prevote` | `pre_vote_is_lost`, `pre_vote_with_a_high_term_and_a_short_log`, `pre_vote_with_a_low_term_and_a_long_log` |
//! | `prevote_checkquorum` | `pre_votes_wait_for_a_silent_leader`, `returning_server_disturbs_nobody` |
//! | `checkquorum` | `leader_without_a_majority_steps_down`, `stickiness_holds_without_pre_vote` |
//! | `forget_leader`, `forget_leader_prevote_checkquorum` | `silent_leader_is_followed_and_not_stuck_to`: a leader is forgotten by way of [`raft::Raft::leader_silent`] and by pre-campaigning, not on request |
//! | `forget_leader_read_only_lease_based` | `promise_outlives_its_term`, `starting_server_keeps_a_promise_that_it_may_have_made`: where there are leases, a promise is not forgotten |
//! | `single_node` | `single_server`, `single_server_needs_nobody` |
//! | `async_storage_writes` | `append_is_acknowledged_when_durable`, `leader_commits_without_its_own_disk`, `candidacy_waits_for_the_disk`, `vote_is_given_when_durable` |
//! | `async_storage_writes_append_aba_race` | `append_comes_back_while_its_replacement_is_written`, `append_replaced_while_being_written` |
//! | `probe_and_replicate` | `log_repair_figure_7`, `log_repair_skips_terms` |
//! | `heartbeat_resp_recovers_from_probing` | `probes_go_on_with_heartbeats`, `losses_are_found_by_heartbeats` |
//! | `replicate_pause` | `window_bounds_what_is_in_flight`, `window_bounds_the_bytes_in_flight`, `lost_window_is_found` |
//! | `lagging_commit` | `commit_is_told_as_far_as_a_follower_is_known_to_be` |
//! | `slow_follower_after_compaction` | `slow_follower_is_sent_a_snapshot_behind_its_window`, `loss_of_what_is_compacted_is_found`, `snapshot_on_its_way_outlasts_heartbeats` |
//! | `snapshot_succeed_via_app_resp` | `follower_is_sent_a_snapshot` |
//! | `snapshot_succeed_via_app_resp_behind` | `snapshot_that_is_overtaken_is_not_what_is_waited_for`: here the log begins right behind the snapshot, so one that is behind is never enough |
//! | `confchange_v1_add_single`, `confchange_v2_add_single_auto`, `confchange_v2_add_single_explicit` | `voter_is_added`, `learner_must_keep_up_to_vote` |
//! | `confchange_v1_remove_leader`, `confchange_v1_remove_leader_stepdown` | `removed_leader_hands_over`, `removed_leader_commits_what_came_with_its_removal`, `removed_leader_may_have_to_stand_again` |
//! | `confchange_v2_add_double_auto`, `confchange_v2_add_double_implicit` | `one_server_becomes_three_and_one_again`, `several_change_at_once` |
//! | `confchange_v2_replace_leader`, `confchange_v2_replace_leader_stepdown` | `leader_is_replaced_in_one_change`, `leadership_moves_within_a_joint_configuration`, `joint_configuration_survives_its_leader` |
//! | `confchange_disable_validation` | none: changes are always validated, see `changes_that_make_no_sense_are_refused` |

use crate::properties::quietly;
use crate::script::Interpreter;
use raft::Config;
use std::fs;
use std::path::PathBuf;

/// What stands in front of the lines that a command leads to.
const INDENT: &str = "  ";

/// One test for each script, and the list of them.
macro_rules! scripts {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                compare(stringify!($name));
            }
        )*

        pub(crate) const NAMES: &[&str] = &[$(stringify!($name)),*];
    };
}

scripts! {
    ack_names_what_was_verified
    added_voter_is_not_taken_for_silent
    answer_to_an_earlier_life_confirms_nothing
    append_comes_back_while_its_replacement_is_written
    append_is_acknowledged_when_durable
    append_replaced_while_being_written
    candidacy_waits_for_the_disk
    change_waits_for_the_terms_first_commit
    changes_that_make_no_sense_are_refused
    commit_carries_what_came_before
    commit_is_told_as_far_as_a_follower_is_known_to_be
    crash_with_a_write_pending
    deposed_leader_loses_its_tail
    election_in_one_round
    election_restriction
    follower_is_sent_a_snapshot
    forwarded_read_is_answered_when_the_follower_has_it
    forwarded_read_is_asked_for_again
    forwarded_read_waits_for_the_next_request
    forwarded_reads_end_with_the_leadership
    joint_configuration_is_in_force_after_a_restart
    joint_configuration_survives_its_leader
    late_snapshot_changes_nothing
    leader_commits_without_its_own_disk
    leader_is_replaced_in_one_change
    leader_with_a_disk_that_stands_still_makes_way
    leader_with_a_disk_that_stands_still_stays_if_it_is_needed
    leader_without_a_majority_steps_down
    leadership_is_transferred
    leadership_moves_within_a_joint_configuration
    learner_must_keep_up_to_vote
    learner_that_fell_silent_may_not_vote
    learner_votes_before_it_knows_of_its_promotion
    learners_count_for_nothing
    lease_is_over_when_another_is_asked_to_stand
    log_repair_figure_7
    log_repair_skips_terms
    loss_of_what_is_compacted_is_found
    losses_are_found_by_heartbeats
    lost_window_is_found
    membership_comes_with_a_snapshot
    old_term_is_not_committed_by_counting_figure_8
    one_server_becomes_three_and_one_again
    overload_is_refused
    overload_of_a_leader_with_a_slow_disk_is_refused
    pre_vote_is_lost
    pre_vote_with_a_high_term_and_a_short_log
    pre_vote_with_a_low_term_and_a_long_log
    pre_votes_wait_for_a_silent_leader
    probes_go_on_with_heartbeats
    promise_outlives_its_term
    promise_waits_for_its_term
    read_asked_during_a_round_waits_for_the_next
    read_does_not_wait_for_who_was_removed
    read_is_aborted_by_a_step_down
    read_waits_for_the_terms_first_commit
    reads_have_nothing_sent_again
    removed_leader_commits_what_came_with_its_removal
    removed_leader_hands_over
    removed_leader_may_have_to_stand_again
    removed_server_is_not_needed
    restart_keeps_term_vote_and_log
    returning_server_disturbs_nobody
    several_change_at_once
    silent_leader_is_followed_and_not_stuck_to
    single_server
    single_server_needs_nobody
    slow_follower_is_sent_a_snapshot_behind_its_window
    snapshot_of_less_than_the_log_has_changes_nothing
    snapshot_on_its_way_outlasts_heartbeats
    snapshot_replaces_a_conflicting_log
    snapshot_that_is_lost_is_sent_again
    snapshot_that_is_overtaken_is_not_what_is_waited_for
    split_vote
    stale_acknowledgement_counts_for_nothing
    stale_append_does_not_truncate
    starting_server_keeps_a_promise_that_it_may_have_made
    stickiness_holds_without_pre_vote
    transfer_is_given_up
    transfers_that_make_no_sense_are_refused
    uncommitted_change_is_undone
    vote_is_given_when_durable
    voter_is_added
    window_bounds_the_bytes_in_flight
    window_bounds_what_is_in_flight
}

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("testdata/{name}.txt"))
}

pub(crate) fn stored(name: &str) -> String {
    let path = path(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Plays a script: its comments and commands, with what they lead to now. Where it can't go on, what was played until then and why.
pub(crate) fn play(script: &str, configure: impl Fn(&mut Config) + 'static) -> Result<String, String> {
    let mut interpreter = Interpreter::new(configure);
    let mut played = String::new();
    for line in script.lines().filter(|line| !line.starts_with(INDENT)) {
        played.push_str(line);
        played.push('\n');
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let shown = match quietly(|| interpreter.run(line)) {
            Ok(shown) => shown,
            Err(panic) => return Err(format!("{played}{panic}")),
        };
        for shown in shown.lines() {
            played.push_str(INDENT);
            played.push_str(shown);
            played.push('\n');
        }
    }
    Ok(played)
}

fn compare(name: &str) {
    let stored = stored(name);
    let played = play(&stored, |_| {}).unwrap_or_else(|stuck| panic!("{stuck}"));
    if stored == played {
        return;
    }
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(path(name), played).expect("a golden script is written");
        return;
    }
    let pairs = stored.lines().zip(played.lines());
    let equal = pairs.take_while(|(stored, played)| stored == played).count();
    panic!(
        "{name}.txt, line {}:\n  stored: {:?}\n  played: {:?}\nthe whole of it as played:\n{played}",
        equal + 1,
        stored.lines().nth(equal),
        played.lines().nth(equal),
    );
}

/// Plays a script that is not stored, such as one that a simulation wrote, and prints what it leads to:
/// `SCRIPT=file cargo test -p rustyraft-raft -- --ignored --nocapture script_that_is_named`. With the feature `mutants`, `MUTANT=name` seeds
/// a bug.
#[test]
#[ignore = "for a script that is named"]
fn a_script_that_is_named_is_played() {
    let path = std::env::var_os("SCRIPT").expect("SCRIPT names a file");
    let script = fs::read_to_string(&path).expect("the script can be read");
    let configure = |_config: &mut Config| {
        #[cfg(feature = "mutants")]
        if let Ok(name) = std::env::var("MUTANT") {
            let known = raft::Mutant::ALL.into_iter().find(|(known, _)| *known == name);
            _config.mutant = Some(known.expect("MUTANT is a bug of the core").1);
        }
    };
    let played = play(&script, configure).unwrap_or_else(|stuck| panic!("{stuck}"));
    println!("{played}");
}

#[test]
fn every_stored_script_is_played_and_opens_with_a_sentence() {
    let folder = path("any");
    let folder = folder.parent().expect("a file lies in a folder");
    let files = fs::read_dir(folder).expect("testdata is there");
    let mut stored: Vec<String> = files
        .map(|file| file.expect("testdata can be listed").path())
        .filter_map(|path| path.file_stem().map(|stem| stem.to_string_lossy().into_owned()))
        .collect();
    stored.sort();
    assert_eq!(stored, NAMES);
    for name in NAMES {
        let script = self::stored(name);
        let first = script.lines().next().unwrap_or_default();
        assert!(
            first.starts_with("# ") && first.ends_with('.'),
            "{name}.txt opens with {first:?}"
        );
    }
}
