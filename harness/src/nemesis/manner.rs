//! How a fault of a kind is carried out, where there is a choice: drawn from the seed, and repeated by a replay.

use super::{Kind, Rates, Shape};
use crate::cluster::{CrashPoint, Damage, Pace, Since, Skew};
use disk::{Done, Errors};
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use std::num::NonZeroU32;
use std::ops::RangeInclusive;

/// By how much a slow link delays, in milliseconds. A leader is given up after 150 ms without a word at the earliest.
const DELAY_MS: RangeInclusive<u32> = 1..=250;
/// By how much that varies, in milliseconds.
const JITTER_MS: RangeInclusive<u32> = 0..=80;
/// How many bytes a slow link carries in a second, where that is limited: from some heartbeats and little beside them to more than there are.
const BYTES_PER_SECOND: [u32; 5] = [10_000, 30_000, 100_000, 300_000, 1_000_000];

/// By how much clocks jump, in milliseconds: from less than an election takes to more than a session lives.
const JUMPS_MS: [u32; 4] = [200, 2_000, 60_000, 7_200_000];

/// At which operation of the disk the first node dies at most: a fault may last a few hundred milliseconds only.
const FIRST_POINT_MAX: u64 = 32;

/// What is done to data.
const DAMAGES: [Damage; 3] = [Damage::Torn, Damage::Log, Damage::Snapshot];

/// A kind, and whatever must be known beside the targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// See [`Kind::Kill`].
    Kill,
    /// See [`Kind::Pause`].
    Pause,
    /// See [`Kind::Partition`].
    Partition,
    /// See [`Kind::Transfer`].
    Transfer,
    /// What becomes of the members.
    Member(Shape),
    /// See [`Kind::Wipe`].
    Wipe,
    /// How slow the links are.
    Slow(Pace),
    /// The seed that decides what befalls the links.
    Flaky(u64),
    /// What is done to the data, and the seed that decides where.
    Disk(Damage, u64),
    /// What is wrong with the clocks, and whether whoever has them is cut off from the others meanwhile.
    Clock(Skew, bool),
    /// The seed that decides what is lost.
    Power(u64),
    /// When nodes die.
    CrashPoint(CrashPoint),
    /// See [`Kind::Full`].
    Full,
    /// What fails, and the seed that decides what is lost then.
    IoError(Errors, u64),
    /// See [`Kind::Stall`].
    Stall,
}

/// What is not drawn anew for each fault of a run, but goes on.
pub(super) struct Turns {
    /// They take turns.
    shapes: Box<dyn Iterator<Item = Shape>>,
    /// They are enumerated.
    points: Box<dyn Iterator<Item = (u64, Since)>>,
}

impl Turns {
    /// Those of a run with that seed, which decides where they begin.
    pub(super) fn of(seed: u64) -> Turns {
        let first_shape = usize::try_from(seed % Shape::ALL.len() as u64).expect("there are few");
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        // The first ones are those of a node's start, or of one batch: they come more often.
        let bits = random.random_range(1..=FIRST_POINT_MAX.ilog2());
        let first_point = random.random_range(1..=1 << bits);
        Turns {
            shapes: Box::new(Shape::ALL.into_iter().cycle().skip(first_shape)),
            points: Box::new(
                (first_point..).flat_map(|nth| [Since::Now, Since::Start].map(|since| (nth, since))),
            ),
        }
    }
}

impl Manner {
    /// One of that kind; clocks run at one of `rates`.
    pub(super) fn drawn(kind: Kind, random: &mut ChaCha8Rng, turns: &mut Turns, rates: Rates) -> Manner {
        match kind {
            Kind::Kill => Manner::Kill,
            Kind::Pause => Manner::Pause,
            Kind::Partition => Manner::Partition,
            Kind::Transfer => Manner::Transfer,
            Kind::Member => Manner::Member(turns.shapes.next().expect("they come again and again")),
            Kind::Wipe => Manner::Wipe,
            Kind::Slow => Manner::Slow(pace(random)),
            Kind::Flaky => Manner::Flaky(random.random()),
            Kind::Disk => Manner::Disk(*DAMAGES.choose(random).expect("there are three"), random.random()),
            Kind::Clock => Manner::Clock(skew(random, rates), random.random()),
            Kind::Power => Manner::Power(random.random()),
            Kind::CrashPoint => {
                let (nth, since) = turns.points.next().expect("there is always another one");
                let done = if random.random() {
                    Done::Before
                } else {
                    Done::After
                };
                Manner::CrashPoint(CrashPoint { nth, since, done })
            }
            Kind::Full => Manner::Full,
            Kind::IoError => {
                let errors = if random.random() {
                    Errors::Writes
                } else {
                    Errors::Syncs
                };
                Manner::IoError(errors, random.random())
            }
            Kind::Stall => Manner::Stall,
        }
    }

    /// Its kind.
    pub fn kind(self) -> Kind {
        match self {
            Manner::Kill => Kind::Kill,
            Manner::Pause => Kind::Pause,
            Manner::Partition => Kind::Partition,
            Manner::Transfer => Kind::Transfer,
            Manner::Member(_) => Kind::Member,
            Manner::Wipe => Kind::Wipe,
            Manner::Slow(_) => Kind::Slow,
            Manner::Flaky(_) => Kind::Flaky,
            Manner::Disk(..) => Kind::Disk,
            Manner::Clock(..) => Kind::Clock,
            Manner::Power(_) => Kind::Power,
            Manner::CrashPoint(_) => Kind::CrashPoint,
            Manner::Full => Kind::Full,
            Manner::IoError(..) => Kind::IoError,
            Manner::Stall => Kind::Stall,
        }
    }
}

/// A delay, or a rate, or both.
fn pace(random: &mut ChaCha8Rng) -> Pace {
    let (delays, limits) = *[(true, false), (false, true), (true, true)]
        .choose(random)
        .expect("there are three");
    let (delay_ms, jitter_ms) = (random.random_range(DELAY_MS), random.random_range(JITTER_MS));
    let rate = BYTES_PER_SECOND.choose(random).copied().and_then(NonZeroU32::new);
    Pace {
        delay_ms: if delays { delay_ms } else { 0 },
        jitter_ms: if delays { jitter_ms } else { 0 },
        bytes_per_second: rate.filter(|_| limits),
    }
}

/// A rate three times out of five; or else a jump of all clocks, or of the time of day alone.
fn skew(random: &mut ChaCha8Rng, rates: Rates) -> Skew {
    let jump_ms = *JUMPS_MS.choose(random).expect("there are four");
    let (choice, place, is_back) = (random.random_range(0..5), random.random(), random.random());
    let wall_ms = i32::try_from(jump_ms).expect("it is a few hours");
    match choice {
        0 => Skew::Jump(jump_ms),
        1 => Skew::Wall(if is_back { -wall_ms } else { wall_ms }),
        _ => Skew::Rate(rates.at(place)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_of_crashes_are_enumerated_from_one_that_the_seed_decides() {
        let points = |seed: u64| Turns::of(seed).points.take(4).collect::<Vec<_>>();
        let mut first = Vec::new();
        for seed in 0..100 {
            let [(n, Since::Now), (_, Since::Start), (next, Since::Now), _] = points(seed)[..] else {
                panic!("{:?}", points(seed))
            };
            assert_eq!(next, n + 1);
            assert!((1..=FIRST_POINT_MAX).contains(&n));
            first.push(n);
        }
        assert!(
            first.iter().any(|n| *n < 4) && first.iter().any(|n| *n > 16),
            "{first:?}"
        );
    }
}
