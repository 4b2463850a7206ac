//! Exploring a world to its end.

use super::action::Action;
use super::disk;
use super::reach::Reach;
use super::state::State;
use super::story::{Story, tell};
use super::universe::Universe;
use super::worlds::{Subject, World};
use stateright::{Checker, Model, Property};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

/// The name of the property that no promise was broken.
const PROMISES: &str = "promises are kept";

/// What bounds the exploration of a world, beside the world itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many threads.
    pub threads: usize,
    /// How many steps; a world that takes more is not complete.
    pub steps_max: usize,
    /// How far from the beginning; a world is not complete then. It takes one thread: with several, what is near might be reached first by
    /// a long way.
    pub depth_max: Option<usize>,
}

/// How far an exploration has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// How many states there are so far.
    pub unique_states: usize,
    /// How many steps were taken.
    pub generated_states: usize,
    /// How far from the beginning.
    pub depth: usize,
}

/// What came of exploring a world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorldReport {
    /// The world.
    pub world: &'static str,
    /// Whether every state within the world's bounds was visited.
    pub complete: bool,
    /// How many states there are.
    pub unique_states: usize,
    /// How many steps were taken.
    pub generated_states: usize,
    /// The longest of the shortest ways to a state. With several threads it may be a little more than that.
    pub depth: usize,
    /// The broken promise, if one was found, with the shortest story of how.
    pub violation: Option<Story>,
    /// What should be reachable and was not.
    pub unmet: Vec<&'static str>,
}

/// A world as stateright sees it.
pub(super) struct Explored {
    pub(super) universe: Arc<Universe>,
    /// What was reached, a bit each.
    met: AtomicU64,
    broken: AtomicBool,
    /// Nothing more is to be explored.
    stopped: AtomicBool,
}

impl Explored {
    pub(super) fn new(world: World) -> Explored {
        Explored {
            universe: Arc::new(Universe::new(world)),
            met: AtomicU64::new(0),
            broken: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
        }
    }

    /// Whether a state shows it, and none did before: stateright notes one witness each, and keeps the last one that it is told of.
    pub(super) fn meets_first(&self, state: &State, reach: Reach) -> bool {
        let bit = 1 << reach as u64;
        self.met.load(Ordering::Relaxed) & bit == 0
            && reach.is_met(&self.universe, state)
            && self.met.fetch_or(bit, Ordering::Relaxed) & bit == 0
    }

    /// Whether a promise is broken in a state, and was in none before.
    pub(super) fn breaks_first(&self, state: &State) -> bool {
        state.is_broken(&self.universe) && !self.broken.swap(true, Ordering::Relaxed)
    }
}

/// A model over the states of a world, whatever it shows of them.
pub(super) trait Explores: Model {
    fn explored(&self) -> &Explored;
    fn compact(state: &Self::State) -> &State;
}

/// A world's properties. stateright's are plain functions, so each needs one of its own.
pub(super) fn properties<M: Explores>(model: &M) -> Vec<Property<M>> {
    macro_rules! sometimes {
        ($reach:ident) => {
            Property::sometimes(Reach::$reach.name(), |model: &M, state: &M::State| {
                model
                    .explored()
                    .meets_first(M::compact(state), Reach::$reach)
            })
        };
    }
    let property = |reach: &Reach| match reach {
        Reach::Leader => sometimes!(Leader),
        Reach::LastTerm => sometimes!(LastTerm),
        Reach::Commit => sometimes!(Commit),
        Reach::ChangeCommit => sometimes!(ChangeCommit),
        Reach::JointCommit => sometimes!(JointCommit),
        Reach::Read => sometimes!(Read),
        Reach::FollowerRead => sometimes!(FollowerRead),
        Reach::LateReadIndex => sometimes!(LateReadIndex),
        Reach::LostWrite => sometimes!(LostWrite),
        Reach::StaleCompletion => sometimes!(StaleCompletion),
        Reach::Replaced => sometimes!(Replaced),
        Reach::OldTermOnMajority => sometimes!(OldTermOnMajority),
        Reach::SteppedDown => sometimes!(SteppedDown),
        Reach::Stuck => sometimes!(Stuck),
        Reach::SnapshotInstalled => sometimes!(SnapshotInstalled),
        Reach::SnapshotLate => sometimes!(SnapshotLate),
        Reach::SnapshotCovered => sometimes!(SnapshotCovered),
        Reach::SnapshotConflict => sometimes!(SnapshotConflict),
        Reach::ChangeUndone => sometimes!(ChangeUndone),
        Reach::RemovedLeader => sometimes!(RemovedLeader),
        Reach::LearnerVotes => sometimes!(LearnerVotes),
        Reach::JointAtStart => sometimes!(JointAtStart),
        Reach::StoodByTransfer => sometimes!(StoodByTransfer),
        Reach::TransferGivenUp => sometimes!(TransferGivenUp),
        Reach::RemovedStands => sometimes!(RemovedStands),
        Reach::PreCandidateGrants => sometimes!(PreCandidateGrants),
        Reach::TermByRefusal => sometimes!(TermByRefusal),
        Reach::WindowEmptied => sometimes!(WindowEmptied),
        Reach::VoteTold => sometimes!(VoteTold),
        Reach::AppendTold => sometimes!(AppendTold),
        Reach::PowerLoss => sometimes!(PowerLoss),
    };
    let promises = Property::always(PROMISES, |model: &M, state: &M::State| {
        !model.explored().breaks_first(M::compact(state))
    });
    let reaches = model.explored().universe.world.reaches;
    std::iter::once(promises)
        .chain(reaches.iter().map(property))
        .collect()
}

impl Explores for Explored {
    fn explored(&self) -> &Explored {
        self
    }

    fn compact(state: &State) -> &State {
        state
    }
}

impl Model for Explored {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::new(&self.universe).0]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if !self.stopped.load(Ordering::Relaxed) {
            state.actions(&self.universe, actions);
        }
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        state.after(&self.universe, action).map(|(state, _)| state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties(self)
    }
}

/// Explores a world breadth-first.
///
/// Where a promise is broken, the story is a shortest one, and the same one every time: with several threads the world is explored once
/// more for it, by one.
///
/// `watch` is called again and again from the caller's thread while that goes on, and should wait a little each time; when it
/// returns `false`, the exploration ends, and is not complete.
pub fn check(world: &World, limits: &Limits, mut watch: Option<Watch<'_>>) -> WorldReport {
    let threads = if limits.depth_max.is_some() {
        1
    } else {
        limits.threads
    };
    let report = explore(
        world,
        &Limits { threads, ..*limits },
        match &mut watch {
            Some(watch) => Some(&mut **watch),
            None => None,
        },
    );
    if report.violation.is_none() || threads == 1 {
        return report;
    }
    let again = explore(
        world,
        &Limits {
            threads: 1,
            ..*limits
        },
        watch,
    );
    // It may have been told to end.
    if again.violation.is_some() { again } else { report }
}

/// Looks on while a world is explored, and says whether to go on.
pub type Watch<'a> = &'a mut dyn FnMut(Progress) -> bool;

/// Waits for the threads of a search, and lets `watch` look on; `stop` tells the model that it is to end.
pub(super) fn watched<M: Model>(
    checker: &impl Checker<M>,
    threads: Vec<JoinHandle<()>>,
    watch: Option<Watch<'_>>,
    stop: impl Fn(&M),
) {
    if let Some(watch) = watch {
        while threads.iter().any(|thread| !thread.is_finished()) {
            let progress = Progress {
                unique_states: checker.unique_state_count(),
                generated_states: checker.state_count(),
                depth: checker.max_depth(),
            };
            if !watch(progress) {
                stop(checker.model());
            }
        }
    }
    for thread in threads {
        thread.join().expect("a thread of the search ends by itself");
    }
}

fn explore(world: &World, limits: &Limits, watch: Option<Watch<'_>>) -> WorldReport {
    if let Subject::Node { visits } = world.subject {
        return disk::explore(world, visits, limits, watch);
    }
    let explored = Explored::new(world.clone());
    let universe = Arc::clone(&explored.universe);
    let mut builder = explored
        .checker()
        .threads(limits.threads)
        .finish_when(stateright::HasDiscoveries::AnyFailures)
        .target_state_count(limits.steps_max);
    if let Some(depth) = limits.depth_max {
        builder = builder.target_max_depth(depth);
    }
    let mut checker = builder.spawn_bfs();
    let handles = checker.handles();
    watched(&checker, handles, watch, |explored| {
        explored.stopped.store(true, Ordering::Relaxed);
    });
    // Stories are told by taking their steps again, which there must be.
    let stopped = checker.model().stopped.swap(false, Ordering::Relaxed);
    let met = checker.model().met.load(Ordering::Relaxed) | u64::from(universe.happened());
    let unmet = world
        .reaches
        .iter()
        .filter(|reach| met & 1 << **reach as u64 == 0);
    let violation = checker
        .discovery(PROMISES)
        .map(|path| tell(&universe, &path.into_actions()));
    let ended = stopped || checker.state_count() >= limits.steps_max;
    WorldReport {
        world: world.name,
        complete: !ended && limits.depth_max.is_none() && violation.is_none(),
        unique_states: checker.unique_state_count(),
        generated_states: checker.state_count(),
        depth: checker.max_depth(),
        unmet: unmet.map(|reach| reach.name()).collect(),
        violation,
    }
}
