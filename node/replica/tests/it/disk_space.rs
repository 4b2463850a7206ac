//! How much of the disk a node takes: less than four times the state and two segments, at every moment.

use crate::common::{Node, put, turn};
use crate::group::{options, value};
use raft::Silent;
use replica::{Outbox, Replica, Ticket};
use sim::SimDisk;

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
