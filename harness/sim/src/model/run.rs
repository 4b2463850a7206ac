//! Exploring a world to its end.

use super::action::Action;
use super::state::State;
use super::worlds::{Reach, World};
use stateright::{Checker, Model, Path, Property};

/// The name of the property that no promise was broken.
const PROMISES: &str = "promises are kept";

/// What came of exploring a world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorldReport {
    /// The world.
    pub world: &'static str,
    /// Whether every state within the bounds was visited.
    pub complete: bool,
    /// How many states there are.
    pub unique_states: usize,
    /// How many steps were taken.
    pub generated_states: usize,
    /// The longest of the shortest ways to a state.
    pub depth: usize,
    /// The broken promise, if one was found, with the shortest story of how.
    pub violation: Option<Story>,
    /// What should be reachable and was not.
    pub unmet: Vec<&'static str>,
}

/// How a promise was broken, step by step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Story {
    /// Which promise.
    pub what: String,
    /// The steps, in the notation of the golden scripts.
    pub steps: Vec<String>,
}

struct Explored(World);

impl Model for Explored {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::new(&self.0)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        state.actions(&self.0, actions);
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        state.after(&self.0, &action)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        // stateright's properties are plain functions, so each goal needs one of its own.
        fn met(model: &Explored, state: &State, reach: Reach) -> bool {
            reach.is_met(&model.0, state)
        }
        let mut properties = vec![Property::<Self>::always(PROMISES, |_, state| {
            state.ghost.violation.is_none()
        })];
        properties.extend(self.0.reaches.iter().map(|reach| match reach {
            Reach::Leader => {
                Property::sometimes(reach.name(), |model, state| met(model, state, Reach::Leader))
            }
            Reach::Commit => {
                Property::sometimes(reach.name(), |model, state| met(model, state, Reach::Commit))
            }
            Reach::Read => Property::sometimes(reach.name(), |model, state| met(model, state, Reach::Read)),
            Reach::LostWrite => {
                Property::sometimes(reach.name(), |model, state| met(model, state, Reach::LostWrite))
            }
            Reach::LastTerm => {
                Property::sometimes(reach.name(), |model, state| met(model, state, Reach::LastTerm))
            }
        }));
        properties
    }
}

/// Explores a world breadth-first, so that a story is a shortest one.
///
/// The search ends early only when a promise is broken, or when more than `generated_max` steps were taken: then it is not complete.
pub fn check(world: &World, threads: usize, generated_max: usize) -> WorldReport {
    let checker = Explored(world.clone())
        .checker()
        .threads(threads)
        .finish_when(stateright::HasDiscoveries::AnyFailures)
        .target_state_count(generated_max)
        .spawn_bfs()
        .join();
    let violation = checker.discovery(PROMISES).map(story);
    let unmet = world
        .reaches
        .iter()
        .map(|reach| reach.name())
        .filter(|name| checker.discovery(name).is_none());
    WorldReport {
        world: world.name,
        complete: checker.state_count() < generated_max && violation.is_none(),
        unique_states: checker.unique_state_count(),
        generated_states: checker.state_count(),
        depth: checker.max_depth(),
        unmet: unmet.collect(),
        violation,
    }
}

fn story(path: Path<State, Action>) -> Story {
    let what = path.last_state().ghost.violation.clone().unwrap_or_default();
    let steps = path.into_actions().iter().map(ToString::to_string).collect();
    Story { what, steps }
}
