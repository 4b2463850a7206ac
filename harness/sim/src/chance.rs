//! Where randomness comes from: a stream of its own for each thing that draws.
//!
//! What is left out of a world must not change what everything else draws. So each link, each client, each disk and each fault has its
//! own stream of the seed: without one client, the others ask the same; without one fault, the others strike as before. That is what
//! lets a failing world be made smaller.

use crate::plan::ODDS;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What draws.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose {
    /// The settings and the faults of the world.
    Plan,
    /// Messages from one node (the first place) to another.
    Link(usize, usize),
    /// How long a node's disk takes.
    Disk(usize),
    /// What a node's processes meet: when they start, and what is left when they fall.
    Process(usize),
    /// A client, and its connection.
    Client(u64),
    /// When faults strike.
    Nemesis,
    /// One of them.
    Fault(u32),
    /// What befalls the leader of this term.
    Coup(u64),
    /// What an operator asks of the leader of this term at once.
    Eager(u64),
}

/// The stream of `seed` for `purpose`.
pub(crate) fn stream(seed: u64, purpose: Purpose) -> ChaCha8Rng {
    let (kind, number) = match purpose {
        Purpose::Plan => (0, 0),
        Purpose::Link(from, to) => (1, (from as u64) << 16 | to as u64),
        Purpose::Disk(node) => (2, node as u64),
        Purpose::Process(node) => (3, node as u64),
        Purpose::Client(client) => (4, client),
        Purpose::Nemesis => (5, 0),
        Purpose::Fault(number) => (6, u64::from(number)),
        Purpose::Coup(term) => (7, term),
        Purpose::Eager(term) => (8, term),
    };
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(kind << 48 | number);
    random
}

/// Whether something of these odds happens.
pub(crate) fn odds(random: &mut ChaCha8Rng, odds: u32) -> bool {
    odds > 0 && random.random_ratio(odds, ODDS)
}
