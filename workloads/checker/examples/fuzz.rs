//! Random histories for the linear-time engines, judged by three oracles too: all orders, the general engine, and
//! stateright's tester:
//!
//! ```text
//! cargo run --release -p rustyraft-checker --example fuzz -- --histories 1000000 --seed 1
//! ```
//!
//! `--model NAME` leaves out all others. A disagreement ends it, with the history and the seed that makes it again alone.

#![allow(
    clippy::disallowed_methods,
    reason = "a command reads its arguments; the checker itself has no surroundings"
)]

#[path = "../tests/fuzz/mod.rs"]
mod fuzz;
#[path = "../tests/fuzz/tester.rs"]
mod tester;
#[path = "../tests/fuzz/transactions.rs"]
mod transactions;

use checker::Vocabulary;
use checker::models::{CasRegister, FifoQueue, ListAppend, PriorityQueue, Set, Stack, UnorderedQueue};
use fuzz::{Fuzzed, fuzz};
use std::fmt::Display;
use std::process::ExitCode;

struct Arguments {
    histories: u64,
    seed: u64,
    model: Option<String>,
}

fn arguments() -> Result<Arguments, String> {
    let mut arguments = Arguments {
        histories: 1_000_000,
        seed: 1,
        model: None,
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next().ok_or_else(|| format!("{word} needs a value"))?;
        let number = || {
            value
                .parse()
                .map_err(|_| format!("{word} needs a number, not {value}"))
        };
        match &*word {
            "--histories" => arguments.histories = number()?,
            "--seed" => arguments.seed = number()?,
            "--model" => arguments.model = Some(value),
            _ => return Err(format!("allowed are --histories, --seed and --model, not {word}")),
        }
    }
    Ok(arguments)
}

/// Whether all agreed.
fn run<M: Fuzzed + Vocabulary>(arguments: &Arguments) -> bool {
    let fuzzed =
        || fuzz::<M>(arguments.histories, arguments.seed).map(|tally| (tally.to_string(), tally.balance()));
    told(M::NAME, arguments, fuzzed)
}

fn run_transactions(arguments: &Arguments) -> bool {
    let fuzzed = || {
        transactions::fuzz(arguments.histories, arguments.seed)
            .map(|tally| (tally.to_string(), tally.balance()))
    };
    told(ListAppend::NAME, arguments, fuzzed)
}

/// Fuzzes `model`, unless it is left out, and says what came of it: how many histories there were and whether they say enough, or
/// the one on which not all agree.
fn told<E: Display>(
    model: &str,
    arguments: &Arguments,
    fuzzed: impl FnOnce() -> Result<(String, Result<(), String>), E>,
) -> bool {
    if arguments.model.as_ref().is_some_and(|only| only != model) {
        return true;
    }
    match fuzzed() {
        Ok((tally, balance)) => {
            println!("{model}: {tally}; all agree");
            if let Err(lopsided) = &balance {
                println!("{model}: that says too little: {lopsided}");
            }
            balance.is_ok()
        }
        Err(disagreement) => {
            println!("{model}: not all agree; {disagreement}");
            false
        }
    }
}

fn main() -> ExitCode {
    let arguments = match arguments() {
        Ok(arguments) => arguments,
        Err(error) => {
            eprintln!("fuzz: {error}");
            return ExitCode::from(254);
        }
    };
    let runs = [
        run::<CasRegister>,
        run::<FifoQueue>,
        run::<UnorderedQueue>,
        run::<Stack>,
        run::<PriorityQueue>,
        run::<Set>,
        run_transactions,
    ];
    if runs.iter().all(|run| run(&arguments)) {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(1)
    }
}
