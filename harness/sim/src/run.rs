//! One run, from a seed to an outcome.

use crate::options::{Broken, Failure, Invariant, Options, Outcome};
use crate::world::World;

/// Runs the world of `seed`.
///
/// A run that fails is run once more, to tell its story: telling costs far more than running.
pub fn run(seed: u64, options: &Options) -> Outcome {
    let (outcome, broken) = run_once(seed, options, false);
    let Some(broken) = broken else {
        return outcome;
    };
    let (again, broken_again) = run_once(seed, options, true);
    if broken_again.as_ref() == Some(&broken) && again.trace_hash == outcome.trace_hash {
        return again;
    }
    let what = format!("{broken:?} in the first run of the seed; {broken_again:?} in the second");
    Outcome {
        failure: again.failure.map(|failure| Failure {
            invariant: Invariant::Determinism,
            what,
            ..failure
        }),
        ..outcome
    }
}

fn run_once(seed: u64, options: &Options, told: bool) -> (Outcome, Option<Broken>) {
    let mut world = World::new(seed, options, told);
    let result = world.run().and_then(|()| world.history.check());
    let (history_judged, broken) = match result {
        Ok(judged) => (judged, None),
        Err(broken) => (false, Some(broken)),
    };
    let failure = |broken: &Broken, story| Failure {
        seed,
        step: world.counts.steps,
        at_us: world.now,
        invariant: broken.invariant,
        what: broken.what.clone(),
        story,
    };
    let outcome = Outcome {
        seed,
        nodes: world.plan.nodes,
        trace_hash: world.story.hash(),
        simulated_us: world.now,
        counts: world.counts,
        history_judged,
        failure: broken
            .as_ref()
            .map(|broken| failure(broken, world.story.clone().into_lines())),
    };
    (outcome, broken)
}
