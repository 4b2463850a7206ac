//! One production node on a simulated disk, stopped at every point of everything that it does there.
//!
//! The other worlds take a disk's word: a write is durable, or it is not. Here the node is [`replica::Replica`] with its write-ahead log and
//! recovery, on a [`SimDisk`]. A step starts the node, lets something of a small menu come, and stops it: when all is done, or
//! inside of any operation of the disk, by a kill or by a loss of power that leaves of unsynced writes everything, nothing, or the
//! first sector. Whatever the order of such steps: the node starts again, and keeps what it told.
//!
//! What comes and what was told is a [`Scene`]'s: [`follower`] has a node that votes and follows, [`alone`] one that is its own majority.

mod alone;
mod follower;
mod visit;

use super::reach::Reach;
use super::search::{Limits, Notes, PROMISES, Searched, Watch, WorldReport, search};
use super::story::Story;
use super::worlds::{Scenery, World};
use crate::caught::caught;
use crate::disk::{DiskFault, Image, Remainder, SimDisk};
use alone::Alone;
use follower::Follower;
use raft::Silent;
use replica::{Options, Outbox, Replica};
use stateright::{Model, Path, Property};
use std::fmt::{Debug, Display};
use std::hash::Hash;
use visit::{PORTIONS, POWERS, Power, Visit};

/// The size of a log segment: two batches, so that segments change all the time.
const SEGMENT_BYTES: u64 = 2 * replica::BLOCK_BYTES as u64;

/// Turns of the wheel that a node takes at most until it comes to rest.
const TURNS_MAX: usize = 64;

type Node = Replica<SimDisk, Silent>;

/// What may come to a node, and what it may not forget.
trait Scene: Send + Sync + Sized + 'static {
    /// What may come.
    type Event: Copy + PartialEq + Debug + Display + Send + Sync + 'static;
    /// What the node told others.
    type Told: Clone + PartialEq + Hash + Debug + Send + Sync + 'static;

    /// The node's settings.
    fn options(&self) -> &Options;

    /// What lies on the disk at first, and what was told by then.
    fn beginning(&self) -> (Image, Self::Told);

    /// What may come next.
    fn menu(&self) -> &[Self::Event];

    /// Something comes to a node that has just started, and what follows is done, as far as the disk lets it.
    ///
    /// # Errors
    /// A promise is broken, in words.
    fn let_come(
        &self,
        node: &mut Node,
        event: Self::Event,
        told: &mut Self::Told,
        notes: &Notes,
    ) -> Result<(), String>;

    /// What a node that has just started has forgotten of what it told.
    ///
    /// # Errors
    /// It has, in words.
    fn remembers(&self, node: Node, told: &Self::Told) -> Result<(), String>;
}

/// The settings with the bug of the world, if it has one.
#[cfg(feature = "mutants")]
fn seeded(mut options: Options, world: &World) -> Options {
    options.mutant = world.mutant;
    options
}

#[cfg(not(feature = "mutants"))]
fn seeded(options: Options, _: &World) -> Options {
    options
}

/// A node that is not running.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Stopped<T> {
    image: Image,
    told: T,
    visits: u8,
    broken: Option<String>,
}

struct Disks<S: Scene> {
    scene: S,
    visits: u8,
    notes: Notes,
}

impl<S: Scene> Disks<S> {
    /// How many operations of the disk a visit takes from its start on.
    fn operations(&self, state: &Stopped<S::Told>, event: S::Event) -> u64 {
        let disk = SimDisk::of(&state.image);
        let mut told = state.told.clone();
        // What goes wrong here goes wrong in the visit, too.
        let _ = self.visit(&disk, event, &mut told);
        disk.operations()
    }

    /// Starts the node, and lets something come.
    fn visit(&self, disk: &SimDisk, event: S::Event, told: &mut S::Told) -> Result<(), String> {
        guarded(
            || match Replica::open(disk.clone(), self.scene.options(), Silent) {
                Ok(mut node) => {
                    let result = self.scene.let_come(&mut node, event, told, &self.notes);
                    if node.status().snapshot_index.0 > 0 {
                        self.notes.meet(Reach::SnapshotStored);
                    }
                    result
                }
                Err(_) => Ok(()),
            },
        )
    }

    /// Starts the node on what a stop has left.
    fn start_again(&self, image: &Image, told: &S::Told) -> Result<(), String> {
        guarded(|| {
            let node = Replica::open(SimDisk::of(image), self.scene.options(), Silent)
                .map_err(|error| format!("recovery: the node does not start again: {error}"))?;
            self.scene.remembers(node, told)
        })
    }
}

/// A panic is a broken promise, too.
fn guarded(work: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
    caught(work).unwrap_or_else(|words| Err(format!("panic: {words}")))
}

/// Turns a node's wheel until it stands still, and lets `hear` have what it says. Returns whether the disk let it come to that.
fn turn(node: &mut Node, mut hear: impl FnMut(&mut Outbox) -> Result<(), String>) -> Result<bool, String> {
    let mut out = Outbox::default();
    for _ in 0..TURNS_MAX {
        if !node.has_work() {
            return Ok(true);
        }
        node.send(&mut out);
        hear(&mut out)?;
        let went_on = node.carry_out(&mut out).is_ok();
        // Clients are answered before the disk is asked. What others are told waits for the next turn.
        let messages = std::mem::take(&mut out.messages);
        hear(&mut out)?;
        out.messages = messages;
        if !went_on {
            return Ok(false);
        }
    }
    Err(String::from("liveness: the node does not come to rest"))
}

impl<S: Scene> Model for Disks<S> {
    type State = Stopped<S::Told>;
    type Action = Visit<S::Event>;

    fn init_states(&self) -> Vec<Self::State> {
        let (image, told) = self.scene.beginning();
        vec![Stopped {
            image,
            told,
            visits: 0,
            broken: None,
        }]
    }

    fn actions(&self, state: &Self::State, actions: &mut Vec<Self::Action>) {
        if state.broken.is_some() || state.visits == self.visits || self.notes.is_stopped() {
            return;
        }
        for event in self.scene.menu().iter().copied() {
            let crashes = (0..self.operations(state, event))
                .flat_map(|operation| PORTIONS.map(|portion| Some((operation, portion))));
            for dies_in in std::iter::once(None).chain(crashes) {
                actions.extend(POWERS.map(|power| Visit {
                    event,
                    dies_in,
                    power,
                }));
            }
        }
    }

    fn next_state(&self, state: &Self::State, visit: Self::Action) -> Option<Self::State> {
        let disk = SimDisk::of(&state.image);
        if let Some((operation, portion)) = visit.dies_in {
            disk.fail_at(operation, DiskFault::Crash { portion });
        }
        let mut told = state.told.clone();
        let visited = self.visit(&disk, visit.event, &mut told);
        disk.revive();
        if let Power::Lost(remainder) = visit.power {
            if disk.has_unsynced() {
                self.notes.meet(Reach::PowerLoss);
            } else if remainder != Remainder::Nothing {
                // The same as when nothing is left.
                return None;
            }
            disk.power_loss(remainder);
        }
        let image = disk.image();
        let broken = visited.and_then(|()| self.start_again(&image, &told)).err();
        Some(Stopped {
            image,
            told,
            visits: state.visits + 1,
            broken,
        })
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![Property::always(PROMISES, |model: &Self, state: &Self::State| {
            state.broken.is_none() || !model.notes.break_first()
        })]
    }
}

impl<S: Scene> Searched for Disks<S> {
    fn notes(&self) -> &Notes {
        &self.notes
    }

    fn story(&self, path: Path<Self::State, Self::Action>) -> Story {
        let what = path.last_state().broken.clone().unwrap_or_default();
        let steps: Vec<String> = path.into_actions().iter().map(ToString::to_string).collect();
        Story {
            what,
            script: steps.clone(),
            steps,
        }
    }
}

/// Explores such a world.
pub(super) fn explore(
    world: &World,
    scenery: Scenery,
    visits: u8,
    limits: &Limits,
    watch: Option<Watch<'_>>,
) -> WorldReport {
    match scenery {
        Scenery::Follower => search_scene(world, Follower::of_two_leaders(world), visits, limits, watch),
        Scenery::Snapshot => search_scene(world, Follower::with_a_snapshot(world), visits, limits, watch),
        Scenery::Alone => search_scene(world, Alone::new(world), visits, limits, watch),
    }
}

fn search_scene<S: Scene>(
    world: &World,
    scene: S,
    visits: u8,
    limits: &Limits,
    watch: Option<Watch<'_>>,
) -> WorldReport {
    let disks = Disks {
        scene,
        visits,
        notes: Notes::default(),
    };
    search(world, disks, limits, watch)
}
