//! How often a leader allocates for a command, from the proposal over the log to the answer: a bound that does not depend on the machine.
//!
//! Whoever makes it smaller lowers the bound; whoever makes it larger must say why.

mod leader;

use allocation_counter::measure;
use leader::{Leader, puts};

/// How often a leader allocates for a batch of 64 puts to keys that are there, at most: for the batch, and not for each of them.
const ALLOCATIONS_A_BATCH_MAX: u64 = 24;

/// How many bytes it allocates for each, of 256 bytes of value, at most.
const BYTES_A_PUT_MAX: u64 = 1650;

/// How often it allocates for a put that is alone, at most.
const ALLOCATIONS_ALONE_MAX: u64 = 12;

/// What `count` puts at once cost, once everything has the size that it needs.
fn cost(count: u32) -> (u64, u64) {
    let mut leader = Leader::elected();
    let commands = puts(count);
    for _ in 0..100 {
        leader.commit(&commands);
    }
    // Some collections grow now and then: the median tells what a batch costs.
    let mut costs: Vec<(u64, u64)> = (0..101)
        .map(|_| measure(|| leader.commit(&commands)))
        .map(|info| (info.count_total, info.bytes_total))
        .collect();
    costs.sort_unstable();
    costs[costs.len() / 2]
}

#[test]
fn a_put_among_many_costs_few_allocations() {
    let (count, bytes) = cost(64);
    assert!(
        count <= ALLOCATIONS_A_BATCH_MAX && bytes <= 64 * BYTES_A_PUT_MAX,
        "64 puts: {count} allocations of {bytes} bytes"
    );
}

#[test]
fn a_put_alone_costs_few_allocations() {
    let (count, _) = cost(1);
    assert!(count <= ALLOCATIONS_ALONE_MAX, "{count} allocations");
}
