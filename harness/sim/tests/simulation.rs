//! The unmutated node holds every invariant, in worlds in which everything happens.

use sim::{Conditions, Options, run};
use std::collections::BTreeMap;

/// More of them: `cargo harness simulate --seeds SEEDS`.
const SEEDS: u64 = 300;

#[test]
fn every_seed_holds_and_together_they_meet_every_fault() {
    let mut sums: BTreeMap<&str, u64> = BTreeMap::new();
    let (mut unjudged, mut failures) = (0, Vec::new());
    for seed in 0..SEEDS {
        let outcome = run(seed, &Options::default());
        unjudged += u64::from(!outcome.history_judged);
        for (name, count) in outcome.counts.list() {
            *sums.entry(name).or_default() += count;
        }
        failures.extend(outcome.failure);
    }
    if let Some(first) = failures.first() {
        panic!("{} of {SEEDS} seeds fail; the first:\n{first}", failures.len());
    }
    let never: Vec<&str> = sums
        .iter()
        .filter(|(_, sum)| **sum == 0)
        .map(|(name, _)| *name)
        .collect();
    assert!(never.is_empty(), "in no world there were {never:?}");
    assert!(
        sums["ops ok"] > 50 * SEEDS,
        "clients hardly get through: {sums:?}"
    );
    assert!(sums["elections"] > SEEDS, "hardly anybody is elected: {sums:?}");
    assert!(
        unjudged <= SEEDS / 100,
        "{unjudged} histories could not be judged"
    );
}

#[test]
fn the_same_seed_gives_the_same_run_and_another_seed_another() {
    for seed in [1, 2, 3, 40, 500] {
        let one = run(seed, &Options::default());
        assert_eq!(one, run(seed, &Options::default()));
        assert_ne!(one.trace_hash, run(seed + 1, &Options::default()).trace_hash);
    }
}

#[test]
fn segments_larger_than_usual_have_room_until_they_are_removed() {
    // Seeds in which a snapshot made such segments needless in the turn in which the log grew.
    for seed in [27_365, 44_633, 57_550, 71_212] {
        assert_eq!(run(seed, &Options::default()).failure, None);
    }
}

#[test]
fn in_calm_every_operation_succeeds_under_one_leader() {
    let options = Options {
        conditions: Conditions::Calm,
        duration_us: Some(20_000_000),
        ..Options::default()
    };
    let outcome = run(7, &options);
    assert_eq!(outcome.failure, None);
    assert_eq!((outcome.nodes, outcome.counts.elections), (5, 1));
    assert_eq!(outcome.counts.ops_unknown, 0);
    // The first candidate may speak before everybody has started.
    assert!(outcome.counts.lost < 20, "{:?}", outcome.counts);
    // Five clients, ten operations a second each, but for the first election.
    assert!(outcome.counts.ops_ok > 700, "{:?}", outcome.counts);
}

#[test]
fn a_world_has_the_nodes_that_are_asked_for() {
    for nodes in 1..=5 {
        let options = Options {
            nodes: Some(nodes),
            ..Options::default()
        };
        let outcome = run(11, &options);
        assert_eq!((outcome.nodes, outcome.failure), (nodes, None));
    }
}

#[test]
fn one_cut_link_deposes_nobody() {
    for (seed, nodes) in [(1, 3), (2, 4), (3, 5)] {
        let options = Options {
            conditions: Conditions::CutLink,
            nodes: Some(nodes),
            ..Options::default()
        };
        let outcome = run(seed, &options);
        assert_eq!(outcome.failure, None);
        assert_eq!((outcome.counts.cuts, outcome.counts.elections), (2, 1));
        assert!(outcome.counts.ops_ok > 500, "{:?}", outcome.counts);
    }
}
