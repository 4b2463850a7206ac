//! Random schedules: what must always hold, holds in them, and when their faults end, the cluster serves.

use crate::world::{Seen, Violation, World};
use raft::Config;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

/// Schedules in a normal test run, and the steps in each.
const SCHEDULES: u64 = 1_500;
const STEPS: usize = 400;

/// How a schedule failed.
pub(crate) struct Failure {
    pub(crate) violation: String,
    pub(crate) story: String,
}

/// Plays a schedule; a panic of the core is a failure like any other.
fn play(kind: u32, steps: &[u32], configure: &dyn Fn(&mut Config)) -> Result<Seen, Failure> {
    let mut world = World::new(kind, configure);
    let played = quietly(|| {
        for step in steps {
            world.step(*step)?;
        }
        world.converge()
    });
    let violation = match played {
        Ok(Ok(())) => return Ok(world.seen),
        Ok(Err(Violation(violation))) => violation,
        Err(panic) => format!("the core panics: {panic}"),
    };
    Err(Failure {
        violation,
        story: world.story(),
    })
}

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Catches a panic and its message, without printing it: while a schedule is shortened, there are many.
pub(crate) fn quietly<T>(action: impl FnOnce() -> T) -> Result<T, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = take_hook();
        set_hook(Box::new(move |info| {
            if !QUIET.get() {
                usual(info);
            }
        }));
    });
    QUIET.set(true);
    let result = catch_unwind(AssertUnwindSafe(action));
    QUIET.set(false);
    result.map_err(|panic| match panic.downcast::<String>() {
        Ok(message) => *message,
        Err(panic) => panic.downcast::<&str>().map_or_else(
            |_| "without a message".to_owned(),
            |message| (*message).to_owned(),
        ),
    })
}

/// The schedule of a seed: the kind of its world, and its steps.
fn schedule(seed: u64, steps: usize) -> (u32, Vec<u32>) {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let kind = random.random();
    (kind, (0..steps).map(|_| random.random()).collect())
}

/// Leaves out what is not needed for a failure: ever smaller pieces, as long as what is left still fails.
fn shorten(kind: u32, mut steps: Vec<u32>, configure: &dyn Fn(&mut Config)) -> Vec<u32> {
    let mut piece = steps.len().div_ceil(2);
    while piece > 0 {
        let mut from = 0;
        while from < steps.len() {
            let mut shorter = steps.clone();
            shorter.drain(from..(from + piece).min(steps.len()));
            if play(kind, &shorter, configure).is_err() {
                steps = shorter;
            } else {
                from += piece;
            }
        }
        piece /= 2;
    }
    steps
}

/// The first of these seeds that fails: the seed, and its failure when shortened.
pub(crate) fn first_failure(
    seeds: std::ops::Range<u64>,
    seen: &mut Seen,
    configure: &dyn Fn(&mut Config),
) -> Option<(u64, Failure)> {
    for seed in seeds {
        let (kind, steps) = schedule(seed, STEPS);
        match play(kind, &steps, configure) {
            Ok(more) => seen.add(more),
            Err(_) => {
                let steps = shorten(kind, steps, configure);
                let failure = play(kind, &steps, configure).err();
                return Some((seed, failure.expect("a shortened schedule still fails")));
            }
        }
    }
    None
}

fn assert_no_failure(seeds: std::ops::Range<u64>) -> Seen {
    let mut seen = Seen::default();
    if let Some((seed, failure)) = first_failure(seeds, &mut seen, &|_| {}) {
        panic!(
            "seed {seed} (RAFT_SEEDS={seed}..{} plays it again): {}\n{}",
            seed + 1,
            failure.violation,
            failure.story
        );
    }
    seen
}

#[test]
fn random_schedules_break_nothing_and_end_in_service() {
    let seen = assert_no_failure(0..SCHEDULES);
    println!("{seen:?}");
    // A world in which nothing happens would prove nothing.
    assert!(seen.steps >= 100_000, "{seen:?}");
    assert!(seen.elections as u64 > SCHEDULES, "{seen:?}");
    assert!(seen.committed as u64 > SCHEDULES, "{seen:?}");
    assert!(seen.reads_confirmed > 100 && seen.reads_aborted > 100, "{seen:?}");
    assert!(seen.reads_of_followers_confirmed > 100, "{seen:?}");
    assert!(seen.crashes_with_writes_pending > 1_000, "{seen:?}");
    assert!(seen.entries_replaced > 100, "{seen:?}");
    assert!(seen.configurations_committed > 100, "{seen:?}");
    assert!(seen.joint_configurations_committed > 50, "{seen:?}");
    assert!(seen.configurations_undone > 5, "{seen:?}");
    assert!(seen.snapshots_installed > 100 && seen.transfers > 100, "{seen:?}");
}

/// As many as one has patience for: `RAFT_SEEDS=0..1000000 cargo test --release -p rustyraft-raft -- --ignored random`.
#[test]
#[ignore = "for a long run"]
fn random_schedules_of_given_seeds() {
    let seeds = std::env::var("RAFT_SEEDS").unwrap_or("0..100000".to_owned());
    let (from, to) = seeds.split_once("..").expect("RAFT_SEEDS is from..to");
    let number = |word: &str| word.parse::<u64>().expect("RAFT_SEEDS is two numbers");
    println!("{:?}", assert_no_failure(number(from)..number(to)));
}
