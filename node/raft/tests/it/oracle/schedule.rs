//! Random schedules: phases, each with its weather and what is done in it.

use super::cluster::{Link, Weather};
use super::party::Settings;
use raft::NodeId;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Phases of a schedule.
const PHASES: usize = 24;
/// Servers that there ever are: ids are not used again.
pub(super) const SERVERS_MAX: u64 = 7;

/// What is done, as far as it is chosen beforehand; who leads, and who takes part, is seen when it is done.
#[derive(Clone, Debug)]
pub(super) enum Choice {
    /// The election time-out of one passes, and the least of it for those in the mask.
    Election {
        of: u64,
        silent: u64,
    },
    QuorumCheck,
    Propose,
    Read,
    /// A read at any server.
    ReadAt {
        of: u64,
    },
    Transfer {
        to: u64,
    },
    Compact {
        of: u64,
    },
    Unreachable {
        of: u64,
    },
    Crash {
        of: u64,
        landed: bool,
    },
    /// What kind of change, for whom.
    Change {
        kinds: Vec<(u64, u64)>,
    },
}

/// What becomes of a slow disk when its phase ends.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fate {
    CatchesUp,
    Lost,
    Landed,
}

#[derive(Clone, Debug)]
pub(super) struct Phase {
    pub(super) weather: Weather,
    /// Whether each thing comes to rest before the next.
    pub(super) one_by_one: bool,
    pub(super) choices: Vec<Choice>,
    pub(super) fate: Fate,
}

#[derive(Clone, Debug)]
pub(super) struct Schedule {
    pub(super) settings: Settings,
    pub(super) genesis: Vec<NodeId>,
    pub(super) phases: Vec<Phase>,
}

fn everybody() -> impl Iterator<Item = NodeId> {
    (1..=SERVERS_MAX).map(NodeId)
}

impl Schedule {
    pub(super) fn of_seed(seed: u64) -> Schedule {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let size = [1, 2, 3, 3, 3, 4, 5, 5][random.random_range(0..8_usize)];
        let settings = Settings {
            pre_vote: random.random_bool(0.6),
            check_quorum: random.random_bool(0.6),
        };
        Schedule {
            settings,
            genesis: (1..=size).map(NodeId).collect(),
            phases: (0..PHASES).map(|_| phase(&mut random, size)).collect(),
        }
    }
}

fn phase(random: &mut ChaCha8Rng, size: u64) -> Phase {
    match random.random_range(0..16) {
        0..=1 => return change(random, size),
        2 => return reads(random, size),
        _ => {}
    }
    let mut weather = weather(random, size);
    if random.random_range(0..4) == 0 {
        for _ in 0..random.random_range(1..=2) {
            weather.slow_disks.insert(NodeId(random.random_range(1..=size)));
        }
    }
    let choices: Vec<Choice> = (0..random.random_range(1..=4)).map(|_| choice(random)).collect();
    // What a leader has sent when it is deposed or dies depends on which messages there are.
    let elects = |choice: &Choice| matches!(choice, Choice::Election { .. });
    // Two quorum checks without a heartbeat between them depose a leader.
    let replaces = |choice: &Choice| {
        elects(choice)
            || matches!(
                choice,
                Choice::Crash { .. } | Choice::Transfer { .. } | Choice::QuorumCheck
            )
    };
    let mixed = choices.iter().any(replaces) && !choices.iter().all(elects);
    Phase {
        weather,
        one_by_one: mixed || random.random(),
        choices,
        fate: [Fate::CatchesUp, Fate::Lost, Fate::Landed][random.random_range(0..3_usize)],
    }
}

fn weather(random: &mut ChaCha8Rng, size: u64) -> Weather {
    let mut weather = Weather {
        order: random.random(),
        ..Weather::default()
    };
    let faults: &[Link] = match random.random_range(0..8) {
        0..=2 => return weather,
        3 => {
            weather.isolate(NodeId(random.random_range(1..=size)), everybody());
            return weather;
        }
        4 => &[Link::Cut],
        5 => &[Link::Twice, Link::Backwards],
        6 => &[Link::Late],
        _ => &[Link::Cut, Link::Twice, Link::Backwards, Link::Late],
    };
    for from in everybody() {
        for to in everybody().filter(|to| *to > from) {
            if random.random_range(0..2) == 0 {
                let fault = faults[random.random_range(0..faults.len())];
                weather.links.insert((from, to), fault);
                // With only one direction it would depend on which messages there are what a follower has.
                if matches!(fault, Link::Cut | Link::Late) || random.random() {
                    weather.links.insert((to, from), fault);
                }
            }
        }
    }
    weather
}

fn choice(random: &mut ChaCha8Rng) -> Choice {
    let of = random.random_range(0..SERVERS_MAX);
    match random.random_range(0..23) {
        0..=5 => Choice::Election {
            of,
            // Everybody, more often than not: otherwise most elections would find no voter.
            silent: if random.random_bool(0.6) {
                u64::MAX
            } else {
                random.random()
            },
        },
        6..=7 => Choice::QuorumCheck,
        8..=11 => Choice::Propose,
        12..=13 => Choice::Read,
        14 => Choice::Transfer { to: of },
        15..=16 => Choice::Compact { of },
        17 => Choice::Unreachable { of },
        18..=20 => Choice::ReadAt { of },
        _ => Choice::Crash {
            of,
            landed: random.random(),
        },
    }
}

/// Reads come in at a server with a slow disk, which is not answered before it holds what it must apply, while more is committed.
fn reads(random: &mut ChaCha8Rng, size: u64) -> Phase {
    let place = random.random_range(0..size);
    let weather = Weather {
        order: random.random(),
        slow_disks: [NodeId(place + 1)].into(),
        ..Weather::default()
    };
    let mut choice = || {
        if random.random() {
            Choice::Propose
        } else {
            Choice::ReadAt { of: place }
        }
    };
    let choices = (0..6).map(|_| choice()).collect();
    Phase {
        weather,
        one_by_one: true,
        choices,
        fate: [Fate::CatchesUp, Fate::Lost, Fate::Landed][random.random_range(0..3_usize)],
    }
}

/// Who takes part is changed while each server is either in touch with everybody or with nobody.
fn change(random: &mut ChaCha8Rng, size: u64) -> Phase {
    let mut weather = Weather {
        order: random.random(),
        ..Weather::default()
    };
    if random.random_range(0..3) == 0 {
        weather.isolate(NodeId(random.random_range(1..=size)), everybody());
    }
    let count = [1, 1, 2, 2, 3][random.random_range(0..5_usize)];
    let mut kind = || (random.random_range(0..3), random.random_range(0..SERVERS_MAX));
    let kinds = (0..count).map(|_| kind()).collect();
    Phase {
        weather,
        one_by_one: true,
        choices: vec![Choice::Change { kinds }],
        fate: Fate::CatchesUp,
    }
}

/// A schedule with parts left out, as long as what is left still fails.
pub(super) fn shorten(mut schedule: Schedule, fails: impl Fn(&Schedule) -> bool) -> Schedule {
    let mut place = schedule.phases.len();
    while place > 0 {
        place -= 1;
        let mut shorter = schedule.clone();
        shorter.phases.remove(place);
        if fails(&shorter) {
            schedule = shorter;
        }
    }
    for phase in 0..schedule.phases.len() {
        let mut place = schedule.phases[phase].choices.len();
        while place > 0 {
            place -= 1;
            let mut shorter = schedule.clone();
            shorter.phases[phase].choices.remove(place);
            if fails(&shorter) {
                schedule = shorter;
            }
        }
        for simpler in [
            |weather: &mut Weather| weather.slow_disks.clear(),
            |weather: &mut Weather| weather.links.clear(),
        ] {
            let mut shorter = schedule.clone();
            simpler(&mut shorter.phases[phase].weather);
            if fails(&shorter) {
                schedule = shorter;
            }
        }
        for link in schedule.phases[phase].weather.links.clone().into_keys() {
            let mut shorter = schedule.clone();
            let links = &mut shorter.phases[phase].weather.links;
            links.remove(&link);
            links.remove(&(link.1, link.0));
            if fails(&shorter) {
                schedule = shorter;
            }
        }
    }
    schedule
}
