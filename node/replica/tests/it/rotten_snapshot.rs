//! A leader whose snapshot has rotted, of which a follower needs what is in it: it takes another one, and says so.

use crate::common::put;
use crate::group::{Group, hash_of, options, value};
use raft::{NodeId, Silent};
use replica::{Done, Replica, Ticket};
use sim::{DiskFault, Remainder, SimDisk};

fn snapshots(disk: &SimDisk) -> Vec<String> {
    let names = disk.files().into_iter().map(|(name, _)| name);
    names.filter(|name| name.starts_with("snapshot-")).collect()
}

/// Node 2 leads, and its only snapshot is damaged; node 1 needs it. With `of_all`, it has everything that is applied.
fn rotten(of_all: bool) -> Group {
    let mut group = Group::with_puts(40, 0);
    if of_all {
        group.alone = true;
        group.nodes[1].as_mut().unwrap().snapshot(Ticket(100));
        group.settle();
        group.alone = false;
    }
    let leader = group.nodes[1].as_ref().unwrap().status();
    assert_eq!(leader.snapshot_index == leader.applied_index, of_all);
    rot(&group.disks[1]);
    group
}

fn rot(disk: &SimDisk) {
    let names = snapshots(disk);
    assert_eq!(names.len(), 1);
    disk.rot(&names[0], 4096 + 300, 3);
}

#[test]
fn a_rotten_snapshot_is_not_sent_for_ever_another_one_is_taken_and_sent() {
    for of_all in [false, true] {
        let mut group = rotten(of_all);
        let name = snapshots(&group.disks[1]).remove(0);
        group.converge(&format!("of all: {of_all}"));
        assert_eq!(group.nodes[0].as_ref().unwrap().status().state_hash, hash_of(40));
        assert_eq!(group.damage.take(), [(NodeId(2), None)], "of all: {of_all}");
        assert!(group.pieces.len() <= 2, "of all: {of_all}: {:?}", group.pieces);
        // The leader itself can start from what it has now.
        let names = snapshots(&group.disks[1]);
        assert_eq!((names.len(), names[0] == name), (1, of_all), "{names:?}");
        let node = Replica::open(group.disks[1].copy(), &options(2, 3), Silent).unwrap();
        assert!(node.status().applied_index.0 > 30);
        // It goes on as ever.
        let leader = group.nodes[1].as_mut().unwrap();
        leader.command(Ticket(200), put(40 % 7, &value(40)));
        leader.snapshot(Ticket(201));
        group.converge("one more");
        assert_eq!(group.nodes[0].as_ref().unwrap().status().state_hash, hash_of(41));
        let mut done = group.told.done.iter();
        assert!(done.any(|done| matches!(done, (Ticket(201), Ok(Done::Snapshotted { .. })))));
    }
}

/// What the follower has of the beginning was sent before it rotted: it begins anew, and then the leader sees it.
#[test]
fn a_snapshot_that_rots_on_the_way_is_seen_when_it_is_sent_from_its_beginning() {
    let mut group = Group::with_snapshot_cut_off(0, 3, 20);
    assert!(group.pieces.len() > 3, "{:?}", group.pieces);
    let names = snapshots(&group.disks[1]);
    let length = group.disks[1]
        .files()
        .into_iter()
        .find(|(name, _)| *name == names[0]);
    group.disks[1].rot(&names[0], length.unwrap().1 / 2 + 100, 1);
    group.nodes[1].as_mut().unwrap().unreachable(NodeId(1));
    group.lost_pieces_from = None;
    group.converge("rot on the way");
    assert_eq!(
        group.damage.take(),
        [(NodeId(1), Some(NodeId(2))), (NodeId(2), None)]
    );
}

/// A crash while the new one takes the place of the damaged one leaves a node that starts, or one that says what is damaged or missing.
#[test]
fn a_crash_while_another_one_is_taken_leaves_a_node_that_starts_or_says_why_not() {
    for of_all in [false, true] {
        let (mut started, mut refused) = (0, 0);
        for operation in 0.. {
            let mut group = rotten(of_all);
            let disk = group.disks[1].clone();
            disk.fail_at(operation, DiskFault::Crash { portion: 255 });
            for _ in 0..40 {
                group.tick();
            }
            if !disk.is_struck() {
                break;
            }
            disk.revive();
            disk.power_loss(Remainder::Nothing);
            match Replica::open(disk.copy(), &options(2, 3), Silent) {
                Ok(node) => {
                    started += 1;
                    assert!(node.status().applied_index.0 > 30, "operation {operation}");
                }
                Err(error) => {
                    refused += 1;
                    assert!(
                        error.to_string().contains("corrupt"),
                        "operation {operation}: {error}"
                    );
                }
            }
        }
        assert!(started > 0 && refused > 0, "{started} started, {refused} did not");
    }
}
