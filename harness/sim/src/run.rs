//! One run, from a seed to an outcome.

use crate::options::{Broken, Failure, Invariant, Options, Outcome};
use crate::story::Telling;
use crate::world::World;

/// A run, told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// What it came to.
    pub outcome: Outcome,
    /// Everything that happened, a line each.
    pub story: Vec<String>,
    /// The run as a golden script of the core, or why there is none.
    pub script: Result<Vec<String>, String>,
}

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

/// Runs the world of `seed`, and says what came of it and nothing of how.
pub(crate) fn run_silently(seed: u64, options: &Options) -> Outcome {
    let (outcome, _, _) = run_once(seed, options, Telling::Nothing);
    outcome
}

/// Runs the world of `seed`, and tells everything that happened in it.
pub fn trace(seed: u64, options: &Options) -> Told {
    let (outcome, _, world) = run_once(seed, options, Telling::Everything);
    let script = if world.script.has_begun() {
        world.script.into_lines()
    } else {
        Err(String::from("the world does not go by turns of one input each"))
    };
    Told {
        outcome,
        story: world.story.into_lines(),
        script,
    }
}

fn run_once(seed: u64, options: &Options, telling: Telling) -> (Outcome, Option<Broken>, World) {
    let mut world = World::new(seed, options, telling);
    let result = world.run().and_then(|()| world.history.check());
    let (history_judged, broken) = match result {
        Ok(judged) => (judged, None),
        Err(broken) => (false, Some(broken)),
    };
    let failure = broken.as_ref().map(|broken| Failure {
        seed,
        step: world.counts.steps,
        at_us: world.now,
        invariant: broken.invariant,
        what: broken.what.clone(),
        story: if telling == Telling::Last {
            world.story.clone().into_lines()
        } else {
            Vec::new()
        },
    });
    let outcome = Outcome {
        seed,
        nodes: world.plan.nodes,
        follower_reads: world.plan.follower_reads,
        clients: world.plan.load.clients,
        tick_us: world.plan.tick,
        trace_hash: world.story.hash(),
        simulated_us: world.now,
        counts: world.counts,
        history_judged,
        struck: std::mem::take(&mut world.struck),
        failure,
    };
    (outcome, broken, world)
}
