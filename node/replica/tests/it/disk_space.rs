//! How much of the disk a node takes: less than four times the state and two segments, at every moment.

use crate::common::{Node, put, turn};
use crate::group::{options, value};
use raft::Silent;
use replica::{Outbox, Replica, Ticket};
use sim::SimDisk;
use std::collections::BTreeSet;

const SEGMENT_BYTES: u64 = 4 * 4096;

/// The sizes of all files together, and of the latest snapshot.
fn taken(disk: &SimDisk) -> (u64, u64) {
    let files = disk.files();
    let snapshots = files.iter().filter(|(name, _)| name.starts_with("snapshot-"));
    let latest = snapshots.map(|(_, bytes)| *bytes).max().unwrap_or_default();
    (files.iter().map(|(_, bytes)| bytes).sum(), latest)
}

/// Carries out what there is to do in single turns; `after` looks at the disk behind each.
fn turn_by_turn(node: &mut Node, mut after: impl FnMut()) {
    while node.has_work() {
        let mut out = Outbox::default();
        node.send(&mut out);
        node.carry_out(&mut out).unwrap();
        after();
    }
}

/// The most that a node takes beyond four times its state, in segments, while it puts to `keys` keys again and again; and how many snapshots
/// it took.
fn taken_beyond_state(keys: u64, restarts: bool) -> (f64, usize) {
    let disk = SimDisk::new();
    let mut options = options(1, 1);
    options.snapshot_log_bytes = SEGMENT_BYTES;
    let start = || {
        let mut node = Replica::open(disk.clone(), &options, Silent).unwrap();
        node.campaign();
        turn(&mut node, &mut Outbox::default()).unwrap();
        node
    };
    let mut node = start();
    let (mut most, mut snapshots, mut latest_name) = (f64::MIN, 0, None);
    for number in 0..8 * keys.max(100) {
        node.command(Ticket(number), put(number % keys, &value(number)));
        turn_by_turn(&mut node, || {
            let (all, state) = taken(&disk);
            let name = disk
                .files()
                .into_iter()
                .rfind(|(name, _)| name.starts_with("snapshot-"));
            // Before the state has ever been written down, nobody knows what it takes.
            if let Some((name, _)) = name {
                snapshots += usize::from(latest_name.as_ref() != Some(&name));
                latest_name = Some(name);
                most = most.max((all as f64 - 4.0 * state as f64) / SEGMENT_BYTES as f64);
            }
        });
        if restarts && number % 37 == 36 {
            node = start();
        }
    }
    (most, snapshots)
}

#[test]
fn a_node_takes_less_than_four_times_its_state_and_two_segments() {
    // From a state of one block to one of many segments; each put takes a block of the log.
    for keys in [1, 30, 70, 100, 300, 1500] {
        for restarts in [false, true] {
            let (most, snapshots) = taken_beyond_state(keys, restarts);
            assert!(snapshots > 3, "{keys} keys: {snapshots} snapshots");
            assert!(
                most <= 2.0,
                "{keys} keys, restarts {restarts}: 4 × the state and {most:.2} segments"
            );
        }
    }
}

/// The most that a node takes beyond four times its state, in segments, while every turn of it has `puts` puts of `bytes` bytes to be written, to
/// `keys` keys again and again; and how many snapshots it took. Segments are large enough to be made ready in several steps.
fn taken_when_overloaded(keys: u64, puts: u64, bytes: u64) -> (f64, usize) {
    const SEGMENT_BYTES: u64 = 1 << 20;
    let disk = SimDisk::new();
    let mut options = options(1, 1);
    (options.segment_bytes, options.snapshot_log_bytes) = (SEGMENT_BYTES, SEGMENT_BYTES);
    let mut node = Replica::open(disk.clone(), &options, Silent).unwrap();
    node.campaign();
    turn(&mut node, &mut Outbox::default()).unwrap();
    let (mut most, mut number, mut snapshots) = (f64::MIN, 0, BTreeSet::new());
    let goal = 6 * (SEGMENT_BYTES + keys * bytes) / bytes;
    while number < goal {
        for _ in 0..puts {
            node.command(
                Ticket(number),
                put(number % keys, &vec![b'v'; usize::try_from(bytes).unwrap()]),
            );
            number += 1;
        }
        let mut out = Outbox::default();
        node.send(&mut out);
        node.carry_out(&mut out).unwrap();
        let (bytes, most_bytes) = node.log_space();
        assert!(bytes <= most_bytes, "{bytes} of {most_bytes}");
        let (all, latest) = taken(&disk);
        let state = latest.max(number.min(keys) * bytes);
        most = most.max((all as f64 - 4.0 * state as f64) / SEGMENT_BYTES as f64);
        let names = disk.files().into_iter().map(|(name, _)| name);
        snapshots.extend(names.filter(|name| name.starts_with("snapshot-")));
    }
    (most, snapshots.len())
}

#[test]
fn a_node_that_is_written_to_as_fast_as_its_wheel_turns_takes_no_more() {
    // From states of a part of a snapshot to some of several segments; from small writes to some of half a segment in each turn.
    for (keys, bytes) in [
        (10, 4000),
        (100, 4000),
        (200, 4000),
        (300, 4000),
        (1500, 2000),
        (100, 40_000),
    ] {
        for written in [8 << 10, 64 << 10, 200 << 10, 500 << 10] {
            let puts = u64::max(1, written / bytes);
            let (most, snapshots) = taken_when_overloaded(keys, puts, bytes);
            let case = format!("{keys} keys of {bytes} bytes, {puts} puts a turn");
            assert!(snapshots >= 3, "{case}: {snapshots} snapshots");
            assert!(most <= 2.0, "{case}: 4 × the state and {most:.2} segments");
        }
    }
}
