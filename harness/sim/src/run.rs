//! One run, from a seed to an outcome.

use crate::options::{Broken, Failure, Invariant, Options, Outcome};
use crate::story::Telling;
use crate::world::World;

/// Runs the world of `seed`.
///
/// A run that fails is run once more, to tell its story: telling costs far more than running.
pub fn run(seed: u64, options: &Options) -> Outcome {
    let (outcome, broken, _) = run_once(seed, options, Telling::Nothing);
    let Some(broken) = broken else {
        return outcome;
    };
    let (again, broken_again, _) = run_once(seed, options, Telling::Last);
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

/// Runs the world of `seed`, and tells everything that happened in it, a line each.
pub fn trace(seed: u64, options: &Options) -> (Outcome, Vec<String>) {
    let (outcome, _, story) = run_once(seed, options, Telling::Everything);
    (outcome, story)
}

fn run_once(seed: u64, options: &Options, telling: Telling) -> (Outcome, Option<Broken>, Vec<String>) {
    let mut world = World::new(seed, options, telling);
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
    let story = world.story.clone().into_lines();
    (outcome, broken, story)
}
