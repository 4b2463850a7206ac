//! A world for stateright's Explorer, a page on which states are looked at and steps are chosen.

use super::action::{Action, Left, Step, id};
use super::run::{Explored, Explores, properties};
use super::state::State;
use super::universe::Universe;
use super::worlds::World;
use raft::shown::who;
use raft::{Entry, EntryData};
use stateright::{Model, Property};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// A world whose states can be read.
struct Shown(Explored);

/// A state that knows what its numbers stand for.
#[derive(Clone)]
struct ShownState {
    universe: Arc<Universe>,
    state: State,
}

impl PartialEq for ShownState {
    fn eq(&self, other: &Self) -> bool {
        self.state == other.state
    }
}

impl Hash for ShownState {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.state.hash(hasher);
    }
}

fn entry(entry: &Entry<u8>) -> String {
    match &entry.data {
        EntryData::Noop => entry.position().to_string(),
        EntryData::Command(command) => {
            format!("{}:{}", entry.position(), super::action::command_name(*command))
        }
        EntryData::Configuration(configuration) => format!("{}:({configuration})", entry.position()),
    }
}

/// Servers, one a line, then what is in flight, then what is wrong.
impl fmt::Debug for ShownState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for key in self.state.servers() {
            let server = &self.universe.server(*key).server;
            let raft = &server.raft;
            let vote = raft
                .vote()
                .map_or(String::from("nobody"), |vote| vote.to_string());
            write!(f, "{} voted={vote}", who(raft))?;
            write!(f, " commit={} log=[", raft.commit_index())?;
            let log = (raft.first_index().0..=raft.last().index.0).map(raft::Index);
            for (place, index) in log.enumerate() {
                let space = if place == 0 { "" } else { " " };
                let shown = raft.entry(index).as_ref().map_or(String::from("?"), entry);
                let mark = if index > raft.stable_index() { "…" } else { "" };
                write!(f, "{space}{shown}{mark}")?;
            }
            write!(f, "]")?;
            if raft.first_index().0 > 1 {
                write!(f, " snapshot={}", raft.first_index().0 - 1)?;
            }
            if !server.writing.is_empty() {
                write!(f, " writing={}", server.writing.len())?;
            }
            writeln!(f)?;
        }
        for key in &self.state.network {
            writeln!(f, "in flight: {}", self.universe.message(*key).envelope)?;
        }
        if let Some(violation) = &self.universe.ghost(self.state.ghost).violation {
            writeln!(f, "BROKEN: {violation}")?;
        }
        Ok(())
    }
}

impl Shown {
    fn with(&self, state: State) -> ShownState {
        ShownState {
            universe: Arc::clone(&self.0.universe),
            state,
        }
    }
}

impl Explores for Shown {
    fn explored(&self) -> &Explored {
        &self.0
    }

    fn compact(state: &ShownState) -> &State {
        &state.state
    }
}

impl Model for Shown {
    type State = ShownState;
    type Action = Action;

    fn init_states(&self) -> Vec<ShownState> {
        self.0
            .init_states()
            .into_iter()
            .map(|state| self.with(state))
            .collect()
    }

    fn actions(&self, state: &ShownState, actions: &mut Vec<Action>) {
        self.0.actions(&state.state, actions);
    }

    fn next_state(&self, state: &ShownState, action: Action) -> Option<ShownState> {
        self.0
            .next_state(&state.state, action)
            .map(|state| self.with(state))
    }

    fn format_action(&self, action: &Action) -> String {
        let universe = &self.0.universe;
        match action {
            // Which command or read it is, the state says.
            Action::Propose(place) => format!("propose {}", id(*place).0),
            Action::Read(place) => format!("read {}", id(*place).0),
            Action::LeaseRead(place) => format!("lease-read {}", id(*place).0),
            Action::Timeout(_)
            | Action::Silent(_)
            | Action::Heartbeat(_)
            | Action::QuorumCheck(_)
            | Action::Deliver(_)
            | Action::Persist(_)
            | Action::Crash(_)
            | Action::Tick(_)
            | Action::Wipe(_)
            | Action::Compact(_)
            | Action::Change(..)
            | Action::Transfer(..)
            | Action::SnapshotLost(..) => {
                let step = Step {
                    server: id(u8::try_from(action.server()).expect("places are small")),
                    input: action.input(universe, Left::default()),
                };
                step.words(universe.world.changes)
            }
        }
    }

    fn format_step(&self, state: &ShownState, action: Action) -> Option<String> {
        let next = self.next_state(state, action)?;
        Some(format!("{next:?}"))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties(self)
    }
}

/// A world as stateright's Explorer shows it; whoever has sockets serves that.
pub fn shown(
    world: &World,
) -> impl Model<
    State = impl Clone + fmt::Debug + Hash + PartialEq + Send + Sync + 'static,
    Action = impl Clone + fmt::Debug + PartialEq + Send + Sync + 'static,
> + Send
+ Sync
+ 'static {
    let world = World {
        // Names that change from state to state would confuse.
        symmetry: false,
        ..world.clone()
    };
    Shown(Explored::new(world))
}
