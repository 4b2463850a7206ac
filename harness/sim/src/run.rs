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
    repeated((outcome, broken), (again, broken_again))
}

/// What a failing run and its repetition come to. The seed fails also where the second run holds: what broke in the first one is broken.
fn repeated((first, broken): (Outcome, Broken), (again, broken_again): (Outcome, Option<Broken>)) -> Outcome {
    if broken_again.as_ref() == Some(&broken) && again.trace_hash == first.trace_hash {
        return again;
    }
    let told = |broken: &Broken| format!("{} is broken: {}", broken.invariant, broken.what);
    let what = format!(
        "in the first run of the seed {}; in the second {}",
        told(&broken),
        broken_again
            .as_ref()
            .map_or_else(|| String::from("nothing is"), told)
    );
    Outcome {
        failure: Some(Failure {
            seed: first.seed,
            step: first.counts.steps,
            at_us: first.simulated_us,
            invariant: Invariant::Determinism,
            what,
            story: again.failure.map_or_else(Vec::new, |failure| failure.story),
        }),
        ..first
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

#[cfg(test)]
mod tests {
    use super::*;

    fn broken(what: &str) -> Broken {
        Broken {
            invariant: Invariant::Durability,
            what: String::from(what),
        }
    }

    /// An outcome of seed 7, with the failure that `broken` is.
    fn outcome(trace_hash: u64, broken: Option<&Broken>, story: &[&str]) -> Outcome {
        let (outcome, _, _) = run_once(7, &Options::default(), Telling::Nothing);
        let failure = broken.map(|Broken { invariant, what }| Failure {
            seed: 7,
            step: outcome.counts.steps,
            at_us: outcome.simulated_us,
            invariant: *invariant,
            what: what.clone(),
            story: story.iter().map(|line| String::from(*line)).collect(),
        });
        Outcome {
            trace_hash,
            failure,
            ..outcome
        }
    }

    #[test]
    fn a_failure_that_does_not_come_again_is_still_one_and_so_is_that_it_does_not() {
        let lost = broken("entry 3 is lost");
        let first = outcome(1, Some(&lost), &[]);
        let failure = repeated((first, lost), (outcome(2, None, &[]), None))
            .failure
            .unwrap();
        assert_eq!((failure.seed, failure.invariant), (7, Invariant::Determinism));
        assert_eq!(
            failure.what,
            "in the first run of the seed durability is broken: entry 3 is lost; in the second nothing is"
        );
        assert!(failure.story.is_empty());
    }

    #[test]
    fn another_failure_or_another_way_to_the_same_one_breaks_determinism() {
        let (lost, other) = (broken("entry 3 is lost"), broken("entry 4 is lost"));
        for (second, hash) in [(&other, 1), (&lost, 2)] {
            let first = outcome(1, Some(&lost), &[]);
            let again = outcome(hash, Some(second), &["the end"]);
            let failure = repeated((first, lost.clone()), (again, Some(second.clone()))).failure;
            let failure = failure.unwrap();
            assert_eq!(failure.invariant, Invariant::Determinism);
            assert!(failure.what.contains("entry 3") && failure.what.contains(&second.what));
            assert_eq!(failure.story, ["the end"]);
        }
    }

    #[test]
    fn a_failure_that_comes_again_is_told_with_its_story() {
        let lost = broken("entry 3 is lost");
        let again = outcome(1, Some(&lost), &["the end"]);
        let first = (outcome(1, Some(&lost), &[]), lost.clone());
        assert_eq!(repeated(first, (again.clone(), Some(lost))), again);
    }
}
