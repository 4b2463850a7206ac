//! Runs many seeds: `cargo run --release -p rustyraft-sim --example soak -- SEEDS [START] [calm] [nodes=N] [MUTANT]`.
//!
//! A mutant is one of `replica::Mutant::all()` by name, with the feature `mutants`.
//! Prints what happened, counted, and the first failure with its story; exits with 1 then.

#![allow(clippy::disallowed_types, reason = "a program that measures has a clock")]

use sim::{Conditions, Options, run};
use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Instant;

/// How many failures are told before the rest is only counted.
const TOLD_MAX: usize = 1;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |place: usize| arguments.get(place).and_then(|text| text.parse::<u64>().ok());
    let (Some(seeds), start) = (number(0), number(1).unwrap_or(0)) else {
        eprintln!("usage: soak SEEDS [START] [calm] [nodes=N] [MUTANT]");
        return ExitCode::from(254);
    };
    let calm = arguments.iter().any(|argument| argument == "calm");
    let nodes = arguments
        .iter()
        .find_map(|argument| argument.strip_prefix("nodes="));
    let options = Options {
        nodes: nodes.and_then(|nodes| nodes.parse().ok()),
        conditions: if calm { Conditions::Calm } else { Conditions::Swarm },
        #[cfg(feature = "mutants")]
        mutant: arguments.iter().find_map(|name| replica::Mutant::by_name(name)),
        ..Options::default()
    };
    // A panic of production code is caught and told as a broken invariant.
    std::panic::set_hook(Box::new(|_| {}));
    let begun = Instant::now();
    let mut failures: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    let (mut simulated_us, mut unjudged, mut told) = (0, 0, 0);
    let mut sums: BTreeMap<&str, u64> = BTreeMap::new();
    for seed in start..start + seeds {
        let outcome = run(seed, &options);
        simulated_us += outcome.simulated_us;
        unjudged += u64::from(!outcome.history_judged && outcome.failure.is_none());
        for (name, count) in outcome.counts.list() {
            *sums.entry(name).or_default() += count;
        }
        if let Some(failure) = outcome.failure {
            if told < TOLD_MAX {
                println!("{failure}");
                told += 1;
            }
            failures
                .entry(failure.invariant.to_string())
                .or_default()
                .push(seed);
        }
    }
    let wall = begun.elapsed().as_secs_f64();
    let simulated = simulated_us as f64 / 1e6;
    println!(
        "{seeds} seeds from {start} in {wall:.1} s: {:.0} a second",
        seeds as f64 / wall
    );
    println!(
        "{simulated:.0} simulated seconds, {:.0} a second",
        simulated / wall
    );
    for (name, sum) in sums {
        println!("  {name}: {sum}");
    }
    println!("  histories that could not be judged: {unjudged}");
    for (invariant, seeds) in &failures {
        println!(
            "{invariant} broken by {} seeds: {:?}",
            seeds.len(),
            &seeds[..seeds.len().min(10)]
        );
    }
    if failures.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(1)
    }
}
