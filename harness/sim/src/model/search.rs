//! A breadth-first search to the end of a world, whatever its states are.

use super::reach::Reach;
use super::story::Story;
use super::worlds::World;
use stateright::{Checker, HasDiscoveries, Model, Path};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

/// The name of the property that no promise was broken.
pub(super) const PROMISES: &str = "promises are kept";

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

/// Looks on while a world is explored, and says whether to go on.
pub type Watch<'a> = &'a mut dyn FnMut(Progress) -> bool;

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

/// What a search notes on its way, from all of its threads.
#[derive(Debug, Default)]
pub(super) struct Notes {
    /// What was reached, a bit each.
    met: AtomicU64,
    broken: AtomicBool,
    /// Nothing more is to be explored.
    stopped: AtomicBool,
}

impl Notes {
    /// Notes that something was reached. Returns whether it was not before: stateright notes one witness each, and keeps the last one that
    /// it is told of.
    pub(super) fn meet(&self, reach: Reach) -> bool {
        let bit = 1 << reach as u64;
        self.met.fetch_or(bit, Ordering::Relaxed) & bit == 0
    }

    pub(super) fn has_met(&self, reach: Reach) -> bool {
        self.met.load(Ordering::Relaxed) & 1 << reach as u64 != 0
    }

    /// Notes that a promise is broken. Returns whether none was before.
    pub(super) fn break_first(&self) -> bool {
        !self.broken.swap(true, Ordering::Relaxed)
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }
}

/// A model that can be searched to its end. It takes no more steps when its notes say that it is stopped, and has the property
/// [`PROMISES`].
pub(super) trait Searched: Model + Sized {
    fn notes(&self) -> &Notes;

    /// Whether it was reached.
    fn has_met(&self, reach: Reach) -> bool {
        self.notes().has_met(reach)
    }

    /// How the promise is broken to which a path leads.
    fn story(&self, path: Path<Self::State, Self::Action>) -> Story;
}

/// Searches all of `model`, which is made of `world`.
pub(super) fn search<M>(world: &World, model: M, limits: &Limits, watch: Option<Watch<'_>>) -> WorldReport
where
    M: Searched + Send + Sync + 'static,
    M::State: Clone + std::hash::Hash + Send + Sync + PartialEq + std::fmt::Debug + 'static,
    M::Action: Clone + Send + Sync + PartialEq + 'static,
{
    let mut builder = model
        .checker()
        .threads(limits.threads)
        .finish_when(HasDiscoveries::AnyFailures)
        .target_state_count(limits.steps_max);
    if let Some(depth) = limits.depth_max {
        builder = builder.target_max_depth(depth);
    }
    let mut checker = builder.spawn_bfs();
    let handles = checker.handles();
    watched(&checker, handles, watch);
    let model = checker.model();
    // Stories are told by taking their steps again, which there must be.
    let stopped = model.notes().stopped.swap(false, Ordering::Relaxed);
    let violation = checker.discovery(PROMISES).map(|path| model.story(path));
    let ended = stopped || checker.state_count() >= limits.steps_max;
    let unmet = world.reaches.iter().filter(|reach| !model.has_met(**reach));
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

/// Waits for the threads of a search, and lets `watch` look on and end it.
fn watched<M: Searched>(checker: &impl Checker<M>, threads: Vec<JoinHandle<()>>, watch: Option<Watch<'_>>) {
    if let Some(watch) = watch {
        while threads.iter().any(|thread| !thread.is_finished()) {
            let progress = Progress {
                unique_states: checker.unique_state_count(),
                generated_states: checker.state_count(),
                depth: checker.max_depth(),
            };
            if !watch(progress) {
                checker.model().notes().stopped.store(true, Ordering::Relaxed);
            }
        }
    }
    for thread in threads {
        thread.join().expect("a thread of the search ends by itself");
    }
}
