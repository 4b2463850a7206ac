//! `harness simulate`: thousands of seeded worlds around the production node.

mod export;
mod keep;
mod tell;

use crate::exit::Exit;
use crate::report::{grouped, print};
use indicatif::{ProgressBar, ProgressStyle};
use keep::keep;
use sim::{Conditions, Failure, Options, Outcome, Reduction, Shrunk, Told, run, shrink, trace};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tell::{print_json, print_words};

/// How long one failing world is made smaller, at most.
const SHRINK_TIME_MAX: Duration = Duration::from_secs(20);

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
    /// After how long no more seeds are begun.
    pub time_limit: Option<Duration>,
    /// Whether the first failing world is made smaller.
    pub shrink: bool,
    /// What of a replayed world is left out.
    pub reduction: Reduction,
    /// Where the golden script of a replayed or shrunk world goes.
    pub golden: Option<PathBuf>,
    /// Where the faults of a replayed or shrunk world go, as a run that `harness run --replay` repeats.
    pub schedule: Option<PathBuf>,
    /// The bug that every node has, and its name.
    #[cfg(feature = "mutants")]
    pub mutant: Option<(String, sim::Mutant)>,
    /// Whether a JSON line is printed.
    pub json: bool,
}

impl SimulateOptions {
    fn world(&self) -> Options {
        Options {
            nodes: self.nodes,
            conditions: self.conditions,
            reduction: self.reduction.clone(),
            #[cfg(feature = "mutants")]
            mutant: self.mutant.as_ref().map(|(_, mutant)| *mutant),
            ..Options::default()
        }
    }

    /// The name of the bug that every node has.
    pub(crate) fn mutant_name(&self) -> Option<&str> {
        #[cfg(feature = "mutants")]
        {
            self.mutant.as_ref().map(|(name, _)| name.as_str())
        }
        #[cfg(not(feature = "mutants"))]
        {
            None
        }
    }

    /// How many seeds this machine's part of them has; `None`: as many as it takes.
    fn asked(&self) -> Option<u64> {
        let (part, parts) = self.shard;
        Some(self.seeds?.saturating_sub(part - 1).div_ceil(parts))
    }

    /// The command that repeats a seed and tells all of it.
    fn replay(&self, seed: u64, reduction: &Reduction) -> String {
        let mut command = format!("harness simulate --seed {seed}");
        if let Some(nodes) = self.nodes {
            command.push_str(&format!(" --nodes {nodes}"));
        }
        match self.conditions {
            Conditions::Swarm => {}
            Conditions::Calm => command.push_str(" --conditions calm"),
            Conditions::CutLink => command.push_str(" --conditions cut-link"),
        }
        if let Some(name) = self.mutant_name() {
            command.push_str(&format!(" --mutant {name}"));
        }
        if *reduction != Reduction::default() {
            command.push_str(&format!(" --only {reduction}"));
        }
        command
    }
}

#[derive(Debug, Default)]
struct Sum {
    seeds: u64,
    unjudged: u64,
    /// Worlds in which no link was cut.
    uncut: u64,
    simulated_us: u64,
    counts: BTreeMap<&'static str, u64>,
    /// By seed, so that the result does not depend on which thread was first.
    failures: BTreeMap<u64, Failure>,
}

impl Sum {
    fn add(&mut self, outcome: Outcome) {
        self.seeds += 1;
        self.unjudged += u64::from(!outcome.history_judged && outcome.failure.is_none());
        self.uncut += u64::from(outcome.counts.cuts == 0);
        self.simulated_us += outcome.simulated_us;
        for (name, count) in outcome.counts.list() {
            *self.counts.entry(name).or_default() += count;
        }
        if let Some(failure) = outcome.failure {
            self.failures.insert(outcome.seed, failure);
        }
    }

    /// Why it says little that nothing failed; `None` if it says what was asked.
    fn shortfall(&self, options: &SimulateOptions) -> Option<String> {
        match options.asked() {
            Some(0) => {
                let (part, parts) = options.shard;
                Some(format!("there is no seed in part {part} of {parts}"))
            }
            Some(asked) if self.seeds < asked => Some(format!(
                "the time was over after {} of {} seeds",
                grouped(self.seeds),
                grouped(asked)
            )),
            None if self.seeds == 0 => Some(String::from("the time was over before the first seed")),
            Some(_) | None if options.conditions == Conditions::CutLink && self.uncut > 0 => Some(format!(
                "no link was cut in {} of the worlds, since nobody led",
                grouped(self.uncut)
            )),
            Some(_) | None => None,
        }
    }

    fn verdict(&self, options: &SimulateOptions) -> Exit {
        if !self.failures.is_empty() {
            Exit::Violation
        } else if self.shortfall(options).is_some() {
            Exit::Unknown
        } else {
            Exit::Valid
        }
    }

    fn simulated_seconds(&self) -> f64 {
        Duration::from_micros(self.simulated_us).as_secs_f64()
    }
}

/// A failing world as it is told.
#[derive(Debug)]
struct Small {
    seed: u64,
    reduction: Reduction,
    tried: u64,
    told: Told,
}

impl Small {
    /// The world of `seed`, made smaller where that is wanted.
    fn of(seed: u64, options: &SimulateOptions) -> Small {
        let world = options.world();
        let deadline = Instant::now() + SHRINK_TIME_MAX;
        let shrunk = if options.shrink {
            shrink(seed, &world, &mut || Instant::now() >= deadline)
        } else {
            None
        };
        let (world, tried) = shrunk.map_or((world, 0), |Shrunk { options, tried, .. }| (options, tried));
        Small {
            seed,
            told: trace(seed, &world),
            reduction: world.reduction,
            tried,
        }
    }

    /// Whether it is the world of `failure`, and breaks the same: of one that breaks something in one run and not in another, a story
    /// may tell nothing.
    fn tells(&self, failure: &Failure) -> bool {
        let told = self.told.outcome.failure.as_ref();
        told.is_some_and(|told| (told.seed, told.invariant) == (failure.seed, failure.invariant))
    }

    /// How long its story is.
    fn steps(&self) -> u64 {
        match &self.told.script {
            Ok(lines) => lines.iter().filter(|line| !line.starts_with(' ')).count() as u64,
            Err(_) => self.told.outcome.counts.steps,
        }
    }
}

/// Simulates, and tells what came of it.
pub fn simulate(options: &SimulateOptions) -> Exit {
    let begun = Instant::now();
    let bar = progress(options);
    let sum = run_all(options, &bar);
    bar.finish_and_clear();
    let took = begun.elapsed();
    let small = sum.failures.keys().next().map(|seed| Small::of(*seed, options));
    if options.json {
        print_json(options, &sum, small.as_ref(), took);
    } else {
        print_words(options, &sum, small.as_ref(), took);
    }
    let verdict = sum.verdict(options);
    match small.map_or(Ok(()), |small| keep(options, &small)) {
        Ok(()) => verdict,
        Err(error) => {
            eprintln!("harness: {error}");
            verdict.max(Exit::Usage)
        }
    }
}

/// Runs one seed, and tells everything that happened in it.
pub fn replay(seed: u64, options: &SimulateOptions) -> Exit {
    let begun = Instant::now();
    let small = Small::of(seed, options);
    let clients = small.told.outcome.clients;
    let stranger = options
        .reduction
        .clients
        .iter()
        .flatten()
        .find(|client| **client >= clients);
    if let Some(stranger) = stranger {
        eprintln!(
            "harness: the world of seed {seed} has no client {stranger}; they are numbered from 0, and there are {clients}"
        );
        return Exit::Usage;
    }
    let options = &SimulateOptions {
        seeds: Some(1),
        ..options.clone()
    };
    let mut sum = Sum::default();
    sum.add(small.told.outcome.clone());
    let verdict = sum.verdict(options);
    for line in &small.told.story {
        if options.json {
            eprintln!("{line}");
        } else {
            print(&format!("{line}\n"));
        }
    }
    if options.json {
        print_json(options, &sum, Some(&small), begun.elapsed());
    } else {
        let words = match (sum.failures.values().next(), sum.shortfall(options)) {
            (Some(failure), _) => format!("violation  {} is broken: {}", failure.invariant, failure.what),
            (None, Some(why)) => format!("unknown    {why}"),
            (None, None) => String::from("valid      every invariant held"),
        };
        print(&format!(
            "\n{words}\n           {} events in {:.1} simulated seconds; the trace has the hash {:016x}\n",
            grouped(sum.counts["steps"]),
            sum.simulated_seconds(),
            small.told.outcome.trace_hash
        ));
    }
    match keep(options, &small) {
        Ok(()) => verdict,
        Err(error) => {
            eprintln!("harness: {error}");
            verdict.max(Exit::Usage)
        }
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
    let deadline = options.time_limit.map(|limit| Instant::now() + limit);
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
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return;
        }
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

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn options() -> SimulateOptions {
        SimulateOptions {
            first_seed: 5,
            seeds: Some(20),
            shard: (1, 1),
            threads: 2,
            nodes: None,
            conditions: Conditions::Swarm,
            time_limit: None,
            shrink: true,
            reduction: Reduction::default(),
            golden: None,
            schedule: None,
            #[cfg(feature = "mutants")]
            mutant: None,
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
    fn seeds_that_were_not_run_are_not_said_to_hold() {
        let asked = |seeds, shard| SimulateOptions {
            seeds,
            shard,
            ..options()
        };
        let parts = [1, 2, 3].map(|part| asked(Some(7), (part, 3)).asked());
        assert_eq!(parts, [Some(3), Some(2), Some(2)]);
        let none = asked(Some(2), (3, 3));
        let of_none = sum(&none);
        assert_eq!((of_none.seeds, of_none.verdict(&none)), (0, Exit::Unknown));
        assert_eq!(
            of_none.shortfall(&none).unwrap(),
            "there is no seed in part 3 of 3"
        );
        let late = SimulateOptions {
            time_limit: Some(Duration::ZERO),
            ..options()
        };
        assert_eq!(
            sum(&late).shortfall(&late).unwrap(),
            "the time was over after 0 of 20 seeds"
        );
        let until_failure = SimulateOptions { seeds: None, ..late };
        assert_eq!(sum(&until_failure).verdict(&until_failure), Exit::Unknown);
        let mut some = Sum::default();
        some.add(sim::run(5, &until_failure.world()));
        assert_eq!(some.verdict(&until_failure), Exit::Valid);
    }

    #[test]
    fn a_link_that_was_to_be_cut_and_was_not_is_not_said_to_be_survived() {
        let cut = SimulateOptions {
            seeds: Some(1),
            conditions: Conditions::CutLink,
            ..options()
        };
        let mut of_one = sum(&cut);
        assert_eq!((of_one.uncut, of_one.verdict(&cut)), (0, Exit::Valid));
        of_one.uncut = 1;
        assert_eq!(of_one.verdict(&cut), Exit::Unknown);
    }

    #[test]
    fn only_clients_that_the_world_has_can_be_kept() {
        let stranger = SimulateOptions {
            reduction: "clients=9".parse().unwrap(),
            ..options()
        };
        assert_eq!(replay(5, &stranger), Exit::Usage);
    }

    #[test]
    fn a_world_tells_a_failure_if_it_breaks_the_same() {
        let failure = |invariant| Failure {
            seed: 5,
            step: 1,
            at_us: 1,
            invariant,
            what: String::new(),
            story: Vec::new(),
        };
        let mut small = Small::of(5, &options());
        assert!(!small.tells(&failure(sim::Invariant::Determinism)), "it holds");
        small.told.outcome.failure = Some(failure(sim::Invariant::Durability));
        assert!(small.tells(&failure(sim::Invariant::Durability)));
        assert!(!small.tells(&failure(sim::Invariant::Determinism)));
    }

    #[test]
    fn a_replay_is_the_command_that_was_given() {
        assert_eq!(
            options().replay(7, &Reduction::default()),
            "harness simulate --seed 7"
        );
        let calm = SimulateOptions {
            nodes: Some(3),
            conditions: Conditions::CutLink,
            ..options()
        };
        assert_eq!(
            calm.replay(7, &"clients=0,without=late".parse().unwrap()),
            "harness simulate --seed 7 --nodes 3 --conditions cut-link --only clients=0,without=late"
        );
    }
}
