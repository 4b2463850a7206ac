//! How a fault of a kind is carried out, where there is a choice: drawn from the seed, and repeated by a replay.

use super::{Kind, Rates, Shape};
use crate::cluster::{Damage, Pace, Skew};
use rand::RngExt as _;
use rand::seq::IndexedRandom as _;
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
}

impl Manner {
    /// One of that kind; `shapes` take turns, and clocks run at one of `rates`.
    pub(super) fn drawn(
        kind: Kind,
        random: &mut ChaCha8Rng,
        shapes: &mut impl Iterator<Item = Shape>,
        rates: Rates,
    ) -> Manner {
        match kind {
            Kind::Kill => Manner::Kill,
            Kind::Pause => Manner::Pause,
            Kind::Partition => Manner::Partition,
            Kind::Transfer => Manner::Transfer,
            Kind::Member => Manner::Member(shapes.next().expect("they come again and again")),
            Kind::Wipe => Manner::Wipe,
            Kind::Slow => Manner::Slow(pace(random)),
            Kind::Flaky => Manner::Flaky(random.random()),
            Kind::Disk => Manner::Disk(*DAMAGES.choose(random).expect("there are three"), random.random()),
            Kind::Clock => Manner::Clock(skew(random, rates), random.random()),
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
