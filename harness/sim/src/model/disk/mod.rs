//! One production node on a simulated disk, stopped at every point of everything that it does there.
//!
//! The other worlds take a disk's word: a write is durable, or it is not. Here the node is [`replica::Replica`] with its write-ahead log and
//! recovery, on a [`SimDisk`]. A step starts the node, lets one message of a small menu come, and stops it: when all is done, or
//! inside of any operation of the disk, by a kill or by a loss of power that leaves of unsynced writes everything, nothing, or the
//! first sector. Whatever the order of such steps: the node starts again, and keeps every vote and acknowledgement that it told.

use super::reach::Reach;
use super::run::{Limits, Watch, WorldReport, watched};
use super::story::Story;
use super::worlds::World;
use crate::disk::{DiskFault, Image, Remainder, SimDisk};
use bytes::Bytes;
use raft::{Config, Entry, EntryData, Envelope, Index, LogPosition, Message, NodeId, Silent, Term};
use replica::{Options, Outbox, Replica};
use stateright::{Checker, Model, Property};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use wire::peer::Packet;

/// The size of a log segment: two batches, so that segments change all the time.
const SEGMENT_BYTES: u64 = 2 * replica::BLOCK_BYTES as u64;

/// How much of the operation that a crash comes in is done, of 255.
const PORTIONS: [u8; 3] = [0, 128, 255];

/// Turns of the wheel that a message takes at most.
const TURNS_MAX: usize = 64;

/// What may come to the node. Server 2 leads term 1, and server 3 term 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Offer {
    /// A candidate asks for a vote.
    Vote { from: u64, term: u64 },
    /// The leader of the term sends its log from behind the first `keep` entries.
    Append { term: u64, keep: usize },
    /// The node stands for election.
    Campaign,
}

const MENU: [Offer; 7] = [
    Offer::Vote { from: 2, term: 1 },
    Offer::Vote { from: 3, term: 1 },
    Offer::Vote { from: 3, term: 2 },
    Offer::Append { term: 1, keep: 0 },
    Offer::Append { term: 2, keep: 0 },
    Offer::Append { term: 2, keep: 1 },
    Offer::Campaign,
];

/// The terms of the entries of the leader of a term: they part at index 2.
fn log_of_leader(term: u64) -> &'static [u64] {
    match term {
        1 => &[1, 1],
        2 => &[1, 2],
        _ => panic!("nobody leads term {term} here"),
    }
}

/// What a stop leaves of what was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Power {
    /// Everything: the process dies, the machine does not.
    Stays,
    /// What is left of unsynced writes, when the machine dies.
    Lost(Remainder),
}

const POWERS: [Power; 4] = [
    Power::Stays,
    Power::Lost(Remainder::Nothing),
    Power::Lost(Remainder::Everything),
    Power::Lost(Remainder::Prefix { sectors: 1 }),
];

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Visit {
    offer: Offer,
    /// In which operation of the disk the process dies, and how much of that is done; `None`: it has done everything.
    dies_in: Option<(u64, u8)>,
    power: Power,
}

impl fmt::Display for Visit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.offer {
            Offer::Vote { from, term } => write!(f, "start, n{from} asks for a vote in term {term}")?,
            Offer::Append { term, keep } => {
                write!(
                    f,
                    "start, the leader of term {term} sends its log from {}",
                    keep + 1
                )?;
            }
            Offer::Campaign => write!(f, "start, stand for election")?,
        }
        match self.dies_in {
            None => write!(f, ", do all that follows")?,
            Some((operation, portion)) => {
                write!(
                    f,
                    ", die in operation {} of the disk, {portion}/255 of it done",
                    operation + 1
                )?;
            }
        }
        match self.power {
            Power::Stays => write!(f, "; the machine lives on"),
            Power::Lost(remainder) => write!(
                f,
                "; power is lost, and leaves {remainder:?} of what was not synced"
            ),
        }
    }
}

/// What the node told others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Told {
    /// The highest term of a vote or an acknowledgement. (What promises nothing needs no term on disk.)
    term: u64,
    /// Votes, its own candidacies included, by term.
    votes: Vec<(u64, u64)>,
    /// The last acknowledgement: the leader's term, and up to where.
    acknowledged: Option<(u64, u64)>,
}

/// A node that is not running.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Stopped {
    image: Image,
    told: Told,
    visits: u8,
    broken: Option<String>,
}

struct Disks {
    options: Options,
    visits: u8,
    met: AtomicU64,
    stopped: AtomicBool,
    broken: AtomicBool,
}

impl Disks {
    /// How many operations of the disk a visit takes from its start on.
    fn operations(&self, state: &Stopped, offer: Offer) -> u64 {
        let disk = SimDisk::of(&state.image);
        let mut told = state.told.clone();
        // What goes wrong here goes wrong in the visit, too.
        let _ = self.visit(&disk, offer, &mut told);
        disk.operations()
    }

    /// Starts the node, lets the offer come, and does what follows. Returns what broke.
    fn visit(&self, disk: &SimDisk, offer: Offer, told: &mut Told) -> Result<(), String> {
        let work = || -> Result<(), String> {
            let Ok(mut node) = Replica::open(disk.clone(), &self.options, Silent) else {
                return Ok(());
            };
            match offer {
                Offer::Vote { from, term } => {
                    // The candidate of term 2 has what the leader of term 1 sent first.
                    let index = term - 1;
                    let last = LogPosition {
                        term: Term(index.min(1)),
                        index: Index(index),
                    };
                    let by_transfer = false;
                    node.step(envelope(from, term, Message::Vote { last, by_transfer }));
                }
                Offer::Append { term, keep } => node.step(append(term, keep)),
                Offer::Campaign => node.campaign(),
            }
            let mut out = Outbox::default();
            for _ in 0..TURNS_MAX {
                if !node.has_work() {
                    return Ok(());
                }
                node.send(&mut out);
                self.tell(&mut out, told)?;
                if node.carry_out(&mut out).is_err() {
                    return Ok(());
                }
            }
            Err(String::from("liveness: the node does not come to rest"))
        };
        catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
            let words = panic.downcast_ref::<String>().map(String::as_str);
            let words = words.or_else(|| panic.downcast_ref::<&str>().copied());
            Err(format!("panic: {}", words.unwrap_or("without words")))
        })
    }

    /// Notes what leaves the node. Two votes in a term are none.
    fn tell(&self, out: &mut Outbox, told: &mut Told) -> Result<(), String> {
        for packet in out.messages.drain(..) {
            let Packet::Message(envelope) = packet else {
                continue;
            };
            let vote = match envelope.message {
                Message::VoteResponse { granted: true } => Some(envelope.to),
                Message::Vote { .. } => Some(envelope.from),
                Message::AppendAccepted { matched } => {
                    told.term = told.term.max(envelope.term.0);
                    told.acknowledged = told.acknowledged.max(Some((envelope.term.0, matched.0)));
                    self.meet(Reach::AppendTold);
                    None
                }
                Message::VoteResponse { granted: false }
                | Message::PreVote { .. }
                | Message::PreVoteResponse { .. }
                | Message::Append { .. }
                | Message::AppendRejected { .. }
                | Message::Heartbeat { .. }
                | Message::HeartbeatResponse { .. }
                | Message::Snapshot { .. }
                | Message::TimeoutNow
                | Message::ReadIndex { .. }
                | Message::ReadIndexResponse { .. } => None,
            };
            let Some(vote) = vote else { continue };
            self.meet(Reach::VoteTold);
            told.term = told.term.max(envelope.term.0);
            let vote = (envelope.term.0, vote.0);
            match told.votes.iter().find(|(term, _)| *term == vote.0) {
                Some(before) if *before != vote => {
                    return Err(format!(
                        "election safety: n1 votes for n{} and for n{} in term {}",
                        before.1, vote.1, vote.0
                    ));
                }
                Some(_) => {}
                None => told.votes.push(vote),
            }
        }
        Ok(())
    }

    fn meet(&self, reach: Reach) {
        self.met.fetch_or(1 << reach as u64, Ordering::Relaxed);
    }

    /// What a node that starts on this disk has forgotten of what it told.
    fn forgotten(&self, image: &Image, told: &Told) -> Option<String> {
        let disk = SimDisk::of(image);
        let node = match Replica::open(disk, &self.options, Silent) {
            Ok(node) => node,
            Err(error) => return Some(format!("recovery: the node does not start again: {error}")),
        };
        let raft = node.core().raft();
        let term = raft.term().0;
        if term < told.term {
            return Some(format!(
                "durability: n1 told term {}, and starts in term {term}",
                told.term
            ));
        }
        if let Some((_, vote)) = told.votes.iter().find(|(of, _)| *of == term)
            && raft.vote() != Some(NodeId(*vote))
        {
            return Some(format!(
                "durability: n1 told its vote for n{vote} in term {term}, and forgot it"
            ));
        }
        let (leader, matched) = told.acknowledged?;
        let has = |leader: u64, count: usize| {
            let terms = log_of_leader(leader)[..count].iter();
            (1..)
                .zip(terms)
                .all(|(index, term)| raft.log_term(Index(index)) == Some(Term(*term)))
        };
        let matched = usize::try_from(matched).expect("it is small");
        // The leader of a later term may have replaced what differs from its log: from index 2 on.
        let replaced = leader == 1 && term >= 2 && has(2, 2);
        (!has(leader, matched) && !replaced).then(|| {
            format!(
                "durability: n1 acknowledged {matched} entries to the leader of term {leader}, and starts with a log up to {}",
                raft.last()
            )
        })
    }
}

/// The settings of the node: its segments change all the time, and it stands whenever it is asked to.
#[cfg_attr(
    not(feature = "mutants"),
    expect(unused_variables, reason = "worlds differ by their bugs")
)]
fn options(world: &World) -> Options {
    let id = NodeId(1);
    let mut options = Options::new(id, String::from("model"), (1..=3).map(NodeId).collect());
    options.incarnation = 1;
    options.segment_bytes = SEGMENT_BYTES;
    options.raft = Config {
        pre_vote: false,
        check_quorum: false,
        ..Config::new(id)
    };
    #[cfg(feature = "mutants")]
    {
        options.mutant = world.mutant;
    }
    options
}

fn envelope(from: u64, term: u64, message: Message<Bytes>) -> Envelope<Bytes> {
    Envelope {
        from: NodeId(from),
        to: NodeId(1),
        term: Term(term),
        message,
    }
}

fn append(term: u64, keep: usize) -> Envelope<Bytes> {
    let terms = log_of_leader(term);
    let position = |place: usize| LogPosition {
        term: place.checked_sub(1).map_or(Term(0), |before| Term(terms[before])),
        index: Index(0).plus(place),
    };
    let entry = |(place, of): (usize, &u64)| Entry {
        term: Term(*of),
        index: Index(1).plus(place),
        data: EntryData::Noop,
    };
    let message = Message::Append {
        prev: position(keep),
        entries: terms.iter().enumerate().skip(keep).map(entry).collect(),
        commit: Index(0),
    };
    envelope(term + 1, term, message)
}

impl Model for Disks {
    type State = Stopped;
    type Action = Visit;

    fn init_states(&self) -> Vec<Stopped> {
        vec![Stopped {
            image: SimDisk::new().image(),
            told: Told::default(),
            visits: 0,
            broken: None,
        }]
    }

    fn actions(&self, state: &Stopped, actions: &mut Vec<Visit>) {
        if state.broken.is_some() || state.visits == self.visits || self.stopped.load(Ordering::Relaxed) {
            return;
        }
        for offer in MENU {
            let crashes = (0..self.operations(state, offer))
                .flat_map(|operation| PORTIONS.map(|portion| Some((operation, portion))));
            for dies_in in std::iter::once(None).chain(crashes) {
                actions.extend(POWERS.map(|power| Visit {
                    offer,
                    dies_in,
                    power,
                }));
            }
        }
    }

    fn next_state(&self, state: &Stopped, visit: Visit) -> Option<Stopped> {
        let disk = SimDisk::of(&state.image);
        if let Some((operation, portion)) = visit.dies_in {
            disk.fail_at(operation, DiskFault::Crash { portion });
        }
        let mut told = state.told.clone();
        let broken = self.visit(&disk, visit.offer, &mut told).err();
        disk.revive();
        if let Power::Lost(remainder) = visit.power {
            if disk.has_unsynced() {
                self.meet(Reach::PowerLoss);
            } else if remainder != Remainder::Nothing {
                // The same as when nothing is left.
                return None;
            }
            disk.power_loss(remainder);
        }
        let image = disk.image();
        let broken = broken.or_else(|| self.forgotten(&image, &told));
        Some(Stopped {
            image,
            told,
            visits: state.visits + 1,
            broken,
        })
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![Property::always(PROMISES, |model: &Self, state: &Stopped| {
            state.broken.is_none() || model.broken.swap(true, Ordering::Relaxed)
        })]
    }
}

/// The name of the property that no promise was broken.
const PROMISES: &str = "promises are kept";

/// Explores such a world.
pub(super) fn explore(world: &World, visits: u8, limits: &Limits, watch: Option<Watch<'_>>) -> WorldReport {
    let disks = Disks {
        options: options(world),
        visits,
        met: AtomicU64::new(0),
        stopped: AtomicBool::new(false),
        broken: AtomicBool::new(false),
    };
    let mut builder = disks
        .checker()
        .threads(limits.threads)
        .finish_when(stateright::HasDiscoveries::AnyFailures)
        .target_state_count(limits.steps_max);
    if let Some(depth) = limits.depth_max {
        builder = builder.target_max_depth(depth);
    }
    let mut checker = builder.spawn_bfs();
    let handles = checker.handles();
    watched(&checker, handles, watch, |disks| {
        disks.stopped.store(true, Ordering::Relaxed);
    });
    // A story is told by taking its steps again, which there must be.
    let stopped = checker.model().stopped.swap(false, Ordering::Relaxed);
    let violation = checker.discovery(PROMISES).map(|path| {
        let what = path.last_state().broken.clone().unwrap_or_default();
        let steps: Vec<String> = path.into_actions().iter().map(ToString::to_string).collect();
        let script = steps.clone();
        Story { what, steps, script }
    });
    let met = checker.model().met.load(Ordering::Relaxed);
    let ended = stopped || checker.state_count() >= limits.steps_max;
    let unmet = world
        .reaches
        .iter()
        .filter(|reach| met & 1 << **reach as u64 == 0);
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
