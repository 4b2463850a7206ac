//! Exploring a world to its end.

use super::action::Action;
use super::disk;
use super::reach::Reach;
use super::search::{Limits, Notes, PROMISES, Searched, Watch, WorldReport, search};
use super::state::State;
use super::story::{Story, tell};
use super::universe::Universe;
use super::worlds::{Subject, World};
use stateright::{Model, Path, Property};
use std::sync::Arc;

/// A world as stateright sees it.
pub(super) struct Explored {
    pub(super) universe: Arc<Universe>,
    notes: Notes,
}

impl Explored {
    pub(super) fn new(world: World) -> Explored {
        Explored {
            universe: Arc::new(Universe::new(world)),
            notes: Notes::default(),
        }
    }

    /// Whether a state shows it, and none did before.
    pub(super) fn meets_first(&self, state: &State, reach: Reach) -> bool {
        let (term_max, ghost) = (self.universe.world.term_max, self.universe.ghost(state.ghost));
        !self.notes.has_met(reach) && reach.is_met(term_max, ghost, state.marks) && self.notes.meet(reach)
    }

    /// Whether a promise is broken in a state, and was in none before.
    pub(super) fn breaks_first(&self, state: &State) -> bool {
        state.is_broken(&self.universe) && self.notes.break_first()
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
        Reach::SnapshotStored => sometimes!(SnapshotStored),
        Reach::Wiped => sometimes!(Wiped),
        Reach::TailUnverified => sometimes!(TailUnverified),
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
        if !self.notes.is_stopped() {
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

impl Searched for Explored {
    fn notes(&self) -> &Notes {
        &self.notes
    }

    fn has_met(&self, reach: Reach) -> bool {
        self.notes.has_met(reach) || self.universe.has_happened(reach)
    }

    fn story(&self, path: Path<State, Action>) -> Story {
        tell(&self.universe, &path.into_actions())
    }
}

fn explore(world: &World, limits: &Limits, watch: Option<Watch<'_>>) -> WorldReport {
    match world.subject {
        Subject::Cores => search(world, Explored::new(world.clone()), limits, watch),
        Subject::Node { scene, visits } => disk::explore(world, scene, visits, limits, watch),
    }
}
