//! Reading the log back while it is written to, cut, compacted, and its segments used again.

use crate::common::{Log, append, elect, from, options, put, turn};
use crate::late::{Fate, Late};
use bytes::Bytes;
use raft::{Entry, EntryData, Index, Message, Silent, Storage, StorageError};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use replica::{Options, Outbox, Replica, Ticket};
use sim::SimDisk;

/// Hardly anything of the log is in memory.
fn forgetful(voters: u64) -> Options {
    let mut options = options(voters);
    options.tail_bytes_max = 100;
    options
}

fn read<D: replica::Disk, L: raft::Logger>(
    node: &Replica<D, L>,
    from: u64,
    to: u64,
    bytes_max: usize,
) -> Result<Vec<Entry<Bytes>>, StorageError> {
    let store = node.core().raft().storage();
    store.entries(Index(from)..Index(to), bytes_max)
}

#[test]
fn what_is_read_is_what_the_log_is_now_however_it_was_cut_and_overwritten() {
    for seed in 0..20 {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let disk = SimDisk::new();
        let mut node = Replica::open(disk, &forgetful(3), Silent).unwrap();
        let mut log = Log::new();
        for term in 1..60 {
            let keep = log.len().saturating_sub(random.random_range(0..12));
            let (count, bytes) = (random.random_range(1..9), random.random_range(1..1500));
            node.step(append(2 + term % 2, term, &mut log, keep, count, bytes));
            turn(&mut node, &mut Outbox::default()).unwrap();
            // Some read on where they stopped, others elsewhere.
            let mut next = 1;
            for _ in 0..6 {
                let end = log.len() as u64 + 1;
                if next >= end || random.random_bool(0.3) {
                    next = random.random_range(1..end);
                }
                let bytes_max = random.random_range(1..6000);
                let found = read(&node, next, end, bytes_max).unwrap();
                let place = usize::try_from(next - 1).unwrap();
                assert_eq!(found, log[place..place + found.len()], "seed {seed}, term {term}");
                next += found.len() as u64;
            }
        }
    }
}

#[test]
fn what_is_read_behind_a_compaction_is_what_the_log_is_now_in_segments_that_were_used_before() {
    let mut options = forgetful(1);
    options.snapshot_log_bytes = options.segment_bytes;
    let mut node = Replica::open(SimDisk::new(), &options, Silent).unwrap();
    node.campaign();
    turn(&mut node, &mut Outbox::default()).unwrap();
    let mut compacted = 0;
    for key in 0..300 {
        node.command(Ticket(key), put(key, format!("value {key}").as_bytes()));
        turn(&mut node, &mut Outbox::default()).unwrap();
        let status = node.status();
        compacted = status.first_index.0;
        let found = read(&node, compacted, status.last_index.0 + 1, usize::MAX).unwrap();
        // The first entry of all is the leader's own.
        for entry in found.into_iter().filter(|entry| entry.index > Index(1)) {
            let key = entry.index.0 - 2;
            let command = put(key, format!("value {key}").as_bytes()).to_bytes();
            assert_eq!(entry.data, EntryData::Command(command));
        }
        assert_eq!(
            read(&node, compacted - 1, compacted, usize::MAX),
            Err(StorageError::Compacted)
        );
    }
    assert!(compacted > 250, "{compacted}");
}

/// Reading the log batch by batch would take the disk two operations for each.
#[test]
fn whoever_reads_on_is_given_what_was_read_already() {
    const BATCHES: u64 = 100;
    let disk = SimDisk::new();
    let mut options = forgetful(3);
    options.segment_bytes = 1 << 20;
    let mut node = Replica::open(disk.clone(), &options, Silent).unwrap();
    let mut log = Log::new();
    for _ in 0..BATCHES {
        let keep = log.len();
        node.step(append(2, 1, &mut log, keep, 1, 1000));
        turn(&mut node, &mut Outbox::default()).unwrap();
    }
    let before = disk.operations();
    let mut next = 1;
    while next < BATCHES {
        let found = read(&node, next, BATCHES, 5000).unwrap();
        next += found.len() as u64;
    }
    // 400 KiB of log, in pieces of 128 KiB.
    assert!(disk.operations() - before <= 4, "{}", disk.operations() - before);
}

/// What lies where a write is on its way is no part of the log yet, though it lies where a piece of it would be read.
#[test]
fn what_was_read_while_a_write_was_on_its_way_is_read_again_when_that_has_landed() {
    let disk = Late::new();
    let mut node = Replica::open(disk.clone(), &forgetful(3), Silent).unwrap();
    let mut out = Outbox::default();
    elect(&mut node, &mut out);
    disk.fate.set(Fate::Waits);
    for key in 2..40 {
        node.command(Ticket(key), put(key, &[b'v'; 300]));
        turn(&mut node, &mut out).unwrap();
        assert!(node.is_writing());
        let last = node.core().raft().storage().last_index();
        assert_eq!(last, Index(key - 1));
        assert_eq!(read(&node, 1, key, usize::MAX).unwrap().len() as u64, key - 1);
        disk.fate.set(Fate::Lands);
        node.settle().unwrap();
        disk.fate.set(Fate::Waits);
        let found = read(&node, key, key + 1, usize::MAX).unwrap();
        assert_eq!(
            found[0].data,
            EntryData::Command(put(key, &[b'v'; 300]).to_bytes())
        );
        for other in [2, 3] {
            let matched = Index(key);
            node.step(from(other, 1, Message::AppendAccepted { matched }));
        }
    }
}

/// A log that a snapshot replaces, and that grows again to where it was before.
#[test]
fn what_is_read_behind_a_snapshot_from_the_leader_is_not_what_lay_there_before() {
    let mut group = crate::group::Group::with_puts(40, 3);
    group.converge("a snapshot");
    let follower = group.nodes[0].as_ref().unwrap();
    let leader = group.nodes[1].as_ref().unwrap();
    let status = follower.status();
    let from = status.first_index.max(leader.status().first_index).0;
    let range = (from, status.last_index.0 + 1);
    assert_eq!(
        read(follower, range.0, range.1, usize::MAX),
        read(leader, range.0, range.1, usize::MAX)
    );
    assert!(status.last_index > Index(40), "{status:?}");
}
