//! `harness simulate`: thousands of seeded worlds around the production node.

use crate::cli::exit::Exit;
use crate::report::grouped;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use sim::{Conditions, Failure, Options, Outcome, run, trace};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How many failures are told in words; the rest is only named.
const TOLD_MAX: usize = 3;

/// How often the line on the terminal moves.
const BEAT: Duration = Duration::from_millis(200);

/// What is to be simulated.
#[derive(Clone, Debug)]
pub struct SimulateOptions {
    /// The first seed.
    pub first_seed: u64,
    /// How many seeds; `None`: until one fails.
    pub seeds: Option<u64>,
    /// Which part of the seeds is this machine's, from 1, and of how many parts.
    pub shard: (u64, u64),
    /// How many threads.
    pub threads: usize,
    /// How many nodes; `None`: each seed decides.
    pub nodes: Option<u64>,
    /// Under which conditions they run.
    pub conditions: Conditions,
    /// Whether a JSON line is printed.
    pub json: bool,
}

impl SimulateOptions {
    fn world(&self) -> Options {
        Options {
            nodes: self.nodes,
            conditions: self.conditions,
            ..Options::default()
        }
    }

    /// The command that repeats a seed and tells all of it.
    fn replay(&self, seed: u64) -> String {
        let mut command = format!("harness simulate --seed {seed}");
        if let Some(nodes) = self.nodes {
            command.push_str(&format!(" --nodes {nodes}"));
        }
        match self.conditions {
            Conditions::Swarm => {}
            Conditions::Calm => command.push_str(" --conditions calm"),
            Conditions::CutLink => command.push_str(" --conditions cut-link"),
        }
        command
    }
}

/// What `--json` prints. Fields are only ever added, and `harness help json` says what they are.
#[derive(Debug, Serialize)]
struct Line {
    seeds: u64,
    violations: Vec<Violation>,
    unjudged: u64,
    simulated_seconds: f64,
    seconds: f64,
    steps: u64,
}

#[derive(Debug, Serialize)]
struct Violation {
    seed: u64,
    invariant: String,
    what: String,
    replay: String,
}

/// What all seeds came to.
#[derive(Debug, Default)]
struct Sum {
    seeds: u64,
    unjudged: u64,
    simulated_us: u64,
    counts: BTreeMap<&'static str, u64>,
    /// By seed, so that the result does not depend on which thread was first.
    failures: BTreeMap<u64, Failure>,
}

impl Sum {
    fn add(&mut self, outcome: Outcome) {
        self.seeds += 1;
        self.unjudged += u64::from(!outcome.history_judged && outcome.failure.is_none());
        self.simulated_us += outcome.simulated_us;
        for (name, count) in outcome.counts.list() {
            *self.counts.entry(name).or_default() += count;
        }
        if let Some(failure) = outcome.failure {
            self.failures.insert(outcome.seed, failure);
        }
    }

    fn simulated_seconds(&self) -> f64 {
        Duration::from_micros(self.simulated_us).as_secs_f64()
    }
}

/// Simulates, and tells what came of it.
pub fn simulate(options: &SimulateOptions) -> Exit {
    let quiet = Quiet::new();
    let begun = Instant::now();
    let bar = progress(options);
    let sum = run_all(options, &bar);
    bar.finish_and_clear();
    drop(quiet);
    let took = begun.elapsed();
    if options.json {
        print_json(options, &sum, took);
    } else {
        print_words(options, &sum, took);
    }
    if sum.failures.is_empty() {
        Exit::Valid
    } else {
        Exit::Violation
    }
}

/// Runs one seed, and tells everything that happened in it.
pub fn replay(seed: u64, options: &SimulateOptions) -> Exit {
    let quiet = Quiet::new();
    let begun = Instant::now();
    let (outcome, story) = trace(seed, &options.world());
    drop(quiet);
    let hash = outcome.trace_hash;
    let mut sum = Sum::default();
    sum.add(outcome);
    if options.json {
        for line in story {
            eprintln!("{line}");
        }
        print_json(options, &sum, begun.elapsed());
    } else {
        for line in story {
            println!("{line}");
        }
        println!();
        match sum.failures.values().next() {
            Some(failure) => println!("violation  {} is broken: {}", failure.invariant, failure.what),
            None => println!("valid      every invariant held"),
        }
        println!(
            "           {} events in {:.1} simulated seconds; the trace has the hash {hash:016x}",
            grouped(sum.counts["steps"]),
            sum.simulated_seconds()
        );
    }
    if sum.failures.is_empty() {
        Exit::Valid
    } else {
        Exit::Violation
    }
}

fn progress(options: &SimulateOptions) -> ProgressBar {
    let (bar, template) = match options.seeds {
        Some(seeds) => (
            ProgressBar::new(seeds.div_ceil(options.shard.1)),
            "{bar:30} {human_pos} of {human_len} seeds, {per_sec}, {eta} left{msg}",
        ),
        None => (
            ProgressBar::new_spinner(),
            "{spinner} {human_pos} seeds, {per_sec}{msg}",
        ),
    };
    bar.set_style(ProgressStyle::with_template(template).expect("the template is well-formed"));
    bar.enable_steady_tick(BEAT);
    bar
}

/// Seeds are handed out in order. Where the first failure ends it, every seed before that is still run.
fn run_all(options: &SimulateOptions, bar: &ProgressBar) -> Sum {
    let (part, parts) = options.shard;
    let world = options.world();
    let (next, last) = (AtomicU64::new(0), AtomicU64::new(u64::MAX));
    let sum = Mutex::new(Sum::default());
    let work = || loop {
        // The part of each round of seeds that is this machine's.
        let offset = next
            .fetch_add(1, Ordering::Relaxed)
            .saturating_mul(parts)
            .saturating_add(part - 1);
        let Some(seed) = options.first_seed.checked_add(offset) else {
            return;
        };
        if options.seeds.is_some_and(|seeds| offset >= seeds) || seed > last.load(Ordering::Relaxed) {
            return;
        }
        let outcome = run(seed, &world);
        if outcome.failure.is_some() {
            bar.set_message(format!("; seed {seed} fails"));
            if options.seeds.is_none() {
                last.fetch_min(seed, Ordering::Relaxed);
            }
        }
        sum.lock().expect("no thread panics with it").add(outcome);
        bar.inc(1);
    };
    std::thread::scope(|scope| {
        for _ in 0..options.threads {
            scope.spawn(work);
        }
    });
    sum.into_inner().expect("no thread panics with it")
}

fn print_json(options: &SimulateOptions, sum: &Sum, took: Duration) {
    let violations = sum.failures.values().map(|failure| Violation {
        seed: failure.seed,
        invariant: failure.invariant.to_string(),
        what: failure.what.clone(),
        replay: options.replay(failure.seed),
    });
    let line = Line {
        seeds: sum.seeds,
        violations: violations.collect(),
        unjudged: sum.unjudged,
        simulated_seconds: sum.simulated_seconds(),
        seconds: took.as_secs_f64(),
        steps: sum.counts.get("steps").copied().unwrap_or_default(),
    };
    println!(
        "{}",
        serde_json::to_string(&line).expect("a line has string keys")
    );
}

fn print_words(options: &SimulateOptions, sum: &Sum, took: Duration) {
    for failure in sum.failures.values().take(TOLD_MAX) {
        println!("violation  {failure}");
        println!(
            "  again, with all of its story: {}\n",
            options.replay(failure.seed)
        );
    }
    if sum.failures.len() > TOLD_MAX {
        let more: Vec<String> = sum.failures.keys().skip(TOLD_MAX).map(u64::to_string).collect();
        println!("and the seeds {}\n", more.join(", "));
    }
    let verdict = if sum.failures.is_empty() {
        "valid    "
    } else {
        "violation"
    };
    let seconds = took.as_secs_f64();
    println!(
        "{verdict}  {} seeds from {}, {} of them failed; {:.0} simulated seconds in {seconds:.1} s",
        grouped(sum.seeds),
        options.first_seed,
        sum.failures.len(),
        sum.simulated_seconds()
    );
    let counts: Vec<String> = sum
        .counts
        .iter()
        .map(|(name, count)| format!("{name} {}", grouped(*count)))
        .collect();
    println!("           {}", counts.join(", "));
    if sum.unjudged > 0 {
        println!(
            "           {} histories were too much for the checker's memory; all other invariants held there, too",
            grouped(sum.unjudged)
        );
    }
}

/// While it lives, panics say nothing: those of simulated nodes are caught, and told as broken invariants.
struct Quiet;

impl Quiet {
    fn new() -> Quiet {
        std::panic::set_hook(Box::new(|_| {}));
        Quiet
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        let _ = std::panic::take_hook();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> SimulateOptions {
        SimulateOptions {
            first_seed: 5,
            seeds: Some(20),
            shard: (1, 1),
            threads: 2,
            nodes: None,
            conditions: Conditions::Swarm,
            json: false,
        }
    }

    fn sum(options: &SimulateOptions) -> Sum {
        run_all(options, &ProgressBar::hidden())
    }

    #[test]
    fn the_shards_of_a_run_are_the_whole_of_it_however_many_threads_there_are() {
        let whole = sum(&options());
        assert_eq!((whole.seeds, whole.failures.len()), (20, 0));
        let mut parts = Sum::default();
        for part in 1..=3 {
            let shard = sum(&SimulateOptions {
                shard: (part, 3),
                threads: 1,
                ..options()
            });
            parts.seeds += shard.seeds;
            parts.simulated_us += shard.simulated_us;
            for (name, count) in shard.counts {
                *parts.counts.entry(name).or_default() += count;
            }
        }
        assert_eq!(
            (parts.seeds, parts.simulated_us, parts.counts),
            (whole.seeds, whole.simulated_us, whole.counts)
        );
    }

    #[test]
    fn a_replay_is_the_command_that_was_given() {
        assert_eq!(options().replay(7), "harness simulate --seed 7");
        let calm = SimulateOptions {
            nodes: Some(3),
            conditions: Conditions::CutLink,
            ..options()
        };
        assert_eq!(
            calm.replay(7),
            "harness simulate --seed 7 --nodes 3 --conditions cut-link"
        );
    }
}
