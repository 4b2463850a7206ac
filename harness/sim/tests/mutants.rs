//! Seeded bugs: the simulation finds them, each within so many seeds.
//!
//! `CARGO_TARGET_DIR=target/mutants cargo test --release -p rustyraft-sim --features mutants --test mutants -- --nocapture`

#![cfg(feature = "mutants")]

use replica::Mutant;
use sim::{Options, run};

/// The bugs, and within how many seeds, from 0, each is found.
const FOUND_WITHIN: [(&str, u64); 7] = [
    ("vote-not-persisted", 3000),
    ("commit-old-term", 3000),
    ("ack-before-fsync", 3000),
    ("ack-last-index", 3000),
    ("stale-local-read", 3000),
    ("read-before-noop", 3000),
    ("failover-empties", 3000),
];

#[test]
fn every_seeded_bug_is_found_or_named_as_not_found() {
    std::panic::set_hook(Box::new(|_| {}));
    let mut missed = Vec::new();
    for (name, mutant) in Mutant::all() {
        let within = FOUND_WITHIN.iter().find(|(known, _)| *known == name);
        let within = within.map_or(0, |(_, seeds)| *seeds);
        let options = Options {
            mutant: Some(mutant),
            ..Options::default()
        };
        // What breaks the unmutated node on the same seed is not the mutant's doing.
        let clean = |seed| run(seed, &Options::default()).failure.is_none();
        let found = (0..within).find_map(|seed| run(seed, &options).failure.filter(|_| clean(seed)));
        match found {
            Some(failure) => println!(
                "{name}: seed {}, step {}, {}: {}",
                failure.seed, failure.step, failure.invariant, failure.what
            ),
            None => missed.push(name),
        }
    }
    let _ = std::panic::take_hook();
    assert!(missed.is_empty(), "not found: {missed:?}");
}
