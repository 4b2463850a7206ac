//! Snapshots: taken beside service, carried over in pieces, put in the place of a log; and a crash at every step of all that.

use crate::common::{Node, open, put, turn};
use crate::group::{Group, hash_of, options, value};
use bytes::Bytes;
use raft::{Index, NodeId, Silent, Storage};
use replica::{Answer, Disk, Outbox, Replica, Ticket};
use sim::{DiskFault, Remainder, SimDisk};

fn names(disk: &SimDisk, prefix: &str) -> Vec<String> {
    let files = disk.files().into_iter().map(|(name, _)| name);
    files.filter(|name| name.starts_with(prefix)).collect()
}

/// A node that is its own majority.
fn sole(disk: &SimDisk) -> Option<Node> {
    let mut node = Replica::open(disk.clone(), &options(1, 1), Silent).ok()?;
    node.campaign();
    turn(&mut node, &mut Outbox::default()).ok()?;
    Some(node)
}

/// Puts, one after the other, until the disk fails. Returns how many were acknowledged.
fn put_all(disk: &SimDisk, count: u64) -> u64 {
    let Some(mut node) = sole(disk) else { return 0 };
    for key in 0..count {
        let mut out = Outbox::default();
        node.command(Ticket(key), put(key % 7, &value(key)));
        let result = turn(&mut node, &mut out);
        // What was answered before the disk failed counts: housework comes after.
        let acknowledged = out.replies.contains(&(Ticket(key), Ok(Answer::Written)));
        if result.is_err() {
            return key + u64::from(acknowledged);
        }
        assert!(acknowledged);
    }
    count
}

/// The node has everything that was acknowledged, and at most one more; and goes on.
fn has_all(disk: &SimDisk, acknowledged: u64, case: &str) {
    for start in 1..=2 {
        let opened = Replica::open(disk.clone(), &options(1, 1), Silent);
        drop(opened.unwrap_or_else(|error| panic!("{case}, start {start}: {error}")));
    }
    let node = sole(disk).expect("the disk is in order");
    let hash = node.status().state_hash;
    assert!(
        hash == hash_of(acknowledged) || hash == hash_of(acknowledged + 1),
        "{case}: {acknowledged} were acknowledged, and the state is another"
    );
    let rest = names(disk, "snapshot").len() + names(disk, "incoming").len();
    assert!(rest <= 1, "{case}: {:?}", disk.files());
}

#[test]
fn a_log_is_compacted_and_the_state_is_as_if_it_were_not() {
    let disk = SimDisk::new();
    assert_eq!(put_all(&disk, 200), 200);
    let bytes: u64 = disk.files().iter().map(|(_, bytes)| bytes).sum();
    assert!(bytes < 20 * 4096, "{:?}", disk.files());
    let node = sole(&disk).unwrap();
    assert_eq!(node.status().state_hash, hash_of(200));
    let first = node.core().raft().storage().first_index();
    assert!(first > Index(150), "the log begins at {first}");
}

/// The number in the header of a segment's first batch, which counts the batches of the whole log; `None` where there is none.
fn first_sequence(disk: &SimDisk, segment: &str) -> Option<u64> {
    let contents = disk.peek(segment).unwrap();
    let sequence = contents[16..24].try_into().unwrap();
    contents
        .starts_with(b"rRbt")
        .then(|| u64::from_le_bytes(sequence))
}

/// Whether the last segment is one that was used before, and is not begun: what is in it is older than what is in the others.
fn recycled(disk: &SimDisk) -> bool {
    let segments = names(disk, "wal-");
    let (ready, used) = segments.split_last().unwrap();
    first_sequence(disk, ready).is_some_and(|ready| first_sequence(disk, &used[0]).unwrap() > ready)
}

#[test]
fn a_segment_is_used_again_and_nothing_that_was_in_it_is_taken_for_the_log() {
    const PUTS: u64 = 40;
    for puts in PUTS..PUTS + 8 {
        let disk = SimDisk::new();
        assert_eq!(put_all(&disk, puts), puts);
        assert!(recycled(&disk), "after {puts} puts: {:?}", disk.files());
        has_all(&disk, puts, &format!("{puts} puts"));
    }
}

#[test]
fn a_segment_that_was_made_ready_is_there_after_a_restart() {
    let disk = SimDisk::new();
    put_all(&disk, 40);
    assert!(recycled(&disk), "{:?}", disk.files());
    let before = names(&disk, "wal-");
    let node = Replica::open(disk.clone(), &options(1, 1), Silent).unwrap();
    assert_eq!(names(&disk, "wal-"), before);
    // One that is not, as its length shows, is made anew.
    drop(node);
    let ready = before.last().unwrap();
    disk.lose_file(ready);
    disk.clone().create(ready, 4096).unwrap();
    drop(Replica::open(disk.clone(), &options(1, 1), Silent).unwrap());
    assert_eq!(names(&disk, "wal-"), before[..before.len() - 1]);
    put_all(&disk, 40);
}

#[test]
fn what_an_older_use_has_left_behind_the_end_of_the_log_is_not_written_over_when_a_node_starts() {
    let mut seen = 0;
    for puts in 40..60 {
        let disk = SimDisk::new();
        put_all(&disk, puts);
        let segments = names(&disk, "wal-");
        let last = segments
            .iter()
            .rev()
            .find(|name| first_sequence(&disk, name).is_some_and(|sequence| sequence > 40));
        let last = last.unwrap();
        let before = disk.peek(last).unwrap();
        drop(Replica::open(disk.clone(), &options(1, 1), Silent).unwrap());
        assert!(
            disk.peek(last).unwrap() == before,
            "{puts} puts: {last} was written to"
        );
        seen += usize::from(before[3 * 4096..].starts_with(b"rRbt"));
    }
    assert!(seen > 5, "{seen}");
}

#[test]
fn a_crash_at_any_step_of_taking_snapshots_and_compacting_loses_nothing() {
    const PUTS: u64 = 24;
    let whole = SimDisk::new();
    put_all(&whole, PUTS);
    assert!(!names(&whole, "snapshot-").is_empty(), "{:?}", whole.files());
    let segments = names(&whole, "wal-");
    assert!(*segments[0] > *"wal-0000000000000002", "{segments:?}");
    assert!(recycled(&whole), "{segments:?}");
    for operation in 0..whole.operations() {
        for portion in [0, 120, 255] {
            let disk = SimDisk::new();
            disk.fail_at(operation, DiskFault::Crash { portion });
            let acknowledged = put_all(&disk, PUTS);
            disk.revive();
            let case = format!("crash at operation {operation}, {portion} of 255 done");
            for remainder in [
                Remainder::Nothing,
                Remainder::Everything,
                Remainder::Sectors { seed: operation },
            ] {
                let disk = disk.copy();
                disk.power_loss(remainder);
                has_all(&disk, acknowledged, &format!("{case}, {remainder:?}"));
            }
        }
    }
}

#[test]
fn a_rotten_snapshot_is_named_and_not_used() {
    let whole = SimDisk::new();
    put_all(&whole, 24);
    let snapshot = names(&whole, "snapshot-").remove(0);
    let content = whole.peek(&snapshot).unwrap();
    let mut refused = 0;
    for offset in (0..content.len() as u64).step_by(61) {
        let disk = whole.copy();
        disk.rot(&snapshot, offset, 3);
        match Replica::open(disk, &options(1, 1), Silent) {
            Err(error) => {
                refused += 1;
                assert!(error.to_string().contains(&snapshot), "{error}");
            }
            // The zeros that fill a block up say nothing.
            Ok(node) => assert_eq!(node.core().raft().storage().first_index(), first_index(&whole)),
        }
    }
    assert!(refused > 5, "{refused}");
}

fn first_index(disk: &SimDisk) -> Index {
    let node = Replica::open(disk.copy(), &options(1, 1), Silent).unwrap();
    node.core().raft().storage().first_index()
}

#[test]
fn a_follower_that_was_away_gets_a_snapshot_and_what_follows_it() {
    let mut group = Group::with_puts(40, 3);
    group.converge("a snapshot");
    let follower = group.nodes[0].as_ref().unwrap();
    assert_eq!(follower.status().state_hash, hash_of(40));
    assert!(follower.core().raft().storage().first_index() > Index(5));
    assert!(!group.pieces.is_empty());
}

#[test]
fn a_piece_that_is_lost_is_sent_again_and_one_that_is_damaged_does_no_harm() {
    for (lost, bad) in [(Some(0), None), (None, Some(0)), (Some(1), Some(0))] {
        let mut group = Group::with_puts(40, 3);
        (group.lost_piece, group.bad_piece) = (lost, bad);
        group.converge(&format!("{lost:?} lost and {bad:?} damaged"));
        assert!(group.pieces.len() > 1, "{:?}", group.pieces);
        assert_eq!(group.nodes[0].as_ref().unwrap().status().state_hash, hash_of(40));
        let expected = bad.map(|_| (NodeId(1), Some(NodeId(2))));
        assert_eq!(
            group.damage.take(),
            Vec::from_iter(expected),
            "{lost:?} lost and {bad:?} damaged"
        );
    }
}

/// The way of pieces, which a connection that is lost interrupts once.
#[test]
fn a_transfer_goes_on_where_it_stood_when_a_connection_was_lost() {
    // Some pieces more than are sent ahead.
    let mut group = Group::with_snapshot_cut_off(3, 4, 30);
    let arrived: Vec<u64> = group.pieces[..3].to_vec();
    assert_eq!(arrived[0], 0);
    group.nodes[1].as_mut().unwrap().unreachable(NodeId(1));
    group.lost_pieces_from = None;
    let before = group.pieces.len();
    group.converge("a connection that was lost");
    let anew = &group.pieces[before..];
    assert!(
        anew[0] > arrived[2],
        "{arrived:?} had arrived, and then came {anew:?}"
    );
    assert_eq!(
        group.nodes[0].as_ref().unwrap().status().state_hash,
        group.nodes[1].as_ref().unwrap().status().state_hash
    );
}

#[test]
fn a_crash_at_any_step_of_installing_a_snapshot_leaves_the_old_state_or_the_new() {
    let whole = Group::with_puts(30, 3);
    let before = whole.disks.clone();
    drop(whole);
    let run = |fault: Option<(u64, u8)>| {
        let mut group = Group::new();
        group.disks = before.iter().map(SimDisk::copy).collect();
        for place in 0..3 {
            group.open(place);
        }
        let done = group.disks[0].operations();
        if let Some((operation, portion)) = fault {
            group.disks[0].fail_at(operation, DiskFault::Crash { portion });
        }
        group.nodes[1].as_mut().unwrap().campaign();
        for _ in 0..60 {
            group.tick();
        }
        (group.disks[0].operations() - done, group)
    };
    let (operations, group) = run(None);
    assert!(
        group.nodes[0]
            .as_ref()
            .unwrap()
            .core()
            .raft()
            .storage()
            .first_index()
            > Index(5)
    );
    let (mut old, mut new) = (0, 0);
    let compacted = Replica::open(before[0].copy(), &options(1, 3), Silent).unwrap();
    let compacted = compacted.core().raft().storage().first_index();
    for operation in 0..operations {
        for portion in [0, 120, 255] {
            let (_, mut group) = run(Some((operation, portion)));
            group.disks[0].revive();
            for remainder in [
                Remainder::Nothing,
                Remainder::Everything,
                Remainder::Sectors { seed: operation },
            ] {
                let case = format!("crash at operation {operation}, {portion} of 255 done, {remainder:?}");
                let disk = group.disks[0].copy();
                disk.power_loss(remainder);
                for start in 1..=2 {
                    let opened = Replica::open(disk.clone(), &options(1, 3), Silent);
                    let node = opened.unwrap_or_else(|error| panic!("{case}, start {start}: {error}"));
                    let first = node.core().raft().storage().first_index();
                    let counted = if first == compacted { &mut old } else { &mut new };
                    *counted += 1;
                }
                group.disks[0] = disk;
                group.packets.clear();
                group.open(0);
                group.converge(&case);
            }
        }
    }
    assert!(old > 0 && new > 0, "{old} found the old state, {new} the new");
}

/// A read on a node whose state came with a snapshot is answered from that state.
#[test]
fn what_a_snapshot_brought_can_be_read() {
    let mut group = Group::with_puts(40, 3);
    group.converge("a snapshot");
    // Long enough that nobody sticks to the old leader.
    for node in group.nodes.iter_mut().flatten() {
        for _ in 0..10 {
            node.tick();
        }
    }
    group.nodes[0].as_mut().unwrap().campaign();
    group.settle();
    let node = group.nodes[0].as_mut().unwrap();
    node.read(Ticket(1), Bytes::from_static(b"3"));
    let mut out = Outbox::default();
    for _ in 0..3 {
        out.replies.extend(group.turn(0).replies);
        while let Some(packet) = group.packets.pop_front() {
            let to = usize::try_from(packet.to().0 - 1).unwrap();
            group.nodes[to].as_mut().unwrap().step(packet);
            out.replies.extend(group.turn(to).replies);
        }
    }
    let last = (0..40).rev().find(|key| key % 7 == 3).unwrap();
    let expected = Ok(Answer::Value(Some(Bytes::from(value(last)))));
    assert_eq!(out.replies, [(Ticket(1), expected)]);
}

/// Both kinds of folders are listed as their documentation has them.
#[test]
fn a_fresh_folder_has_no_snapshot() {
    let disk = SimDisk::new();
    drop(open(&disk, &options(1, 1)).unwrap());
    assert_eq!(names(&disk, "snapshot"), Vec::<String>::new());
}
