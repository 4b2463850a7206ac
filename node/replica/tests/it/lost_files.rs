//! Files that are gone from a folder: a node that lacks what it once had, or holds what is older, does not start.

use crate::common::{put, reader, segment, turn};
use crate::group::{Group, hash_of, options, value};
use raft::Silent;
use replica::{Disk as _, Found, Inspector, OpenError, Outbox, Replica, Ticket};
use sim::SimDisk;

fn snapshots(disk: &SimDisk) -> Vec<String> {
    let names = disk.files().into_iter().map(|(name, _)| name);
    names.filter(|name| name.starts_with("snapshot-")).collect()
}

/// What the node of `disk` complains of at its start, in which file and where; nothing is changed by that.
fn refused(disk: &SimDisk, voters: u64) -> (String, u64, String) {
    let files = |disk: &SimDisk| -> Vec<_> {
        let names = disk.files().into_iter().map(|(name, _)| name);
        names.map(|name| (disk.peek(&name), name)).collect()
    };
    let before = files(disk);
    let error = Replica::open(disk.clone(), &options(1, voters), Silent)
        .map(drop)
        .unwrap_err();
    assert!(before == files(disk), "a folder that can't be opened was changed");
    match error {
        OpenError::Corrupt { file, offset, reason } => (file, offset, reason),
        OpenError::Foreign { .. }
        | OpenError::SameCluster(_)
        | OpenError::Format { .. }
        | OpenError::Disk(_)
        | OpenError::Config(_) => panic!("{error}"),
    }
}

/// What the inspector complains of in the folder as a whole.
fn inspected(disk: &SimDisk) -> Option<(String, Found)> {
    let identity = disk.peek("identity").unwrap();
    let mut inspector = Inspector::new(Some(&identity));
    for (name, bytes) in disk.files() {
        let contents = disk.peek(&name).unwrap();
        if let Some(found) = inspector.snapshot(&name, bytes, reader(&contents)) {
            found.unwrap();
        }
        segment(&mut inspector, &name, &contents);
    }
    inspector.lost_snapshot()
}

/// Where the batches lie that say that a snapshot took the log's place.
fn installations(disk: &SimDisk) -> Vec<(String, u64)> {
    let identity = disk.peek("identity").unwrap();
    let mut inspector = Inspector::new(Some(&identity));
    let mut all = Vec::new();
    for (name, _) in disk.files() {
        let found = segment(&mut inspector, &name, &disk.peek(&name).unwrap());
        for found in found.into_iter().flatten() {
            if let Found::Batch { offset, record, .. } = found
                && record.contains("takes the log's place")
            {
                all.push((name.clone(), offset));
            }
        }
    }
    all
}

fn installation(disk: &SimDisk) -> (String, u64) {
    installations(disk).pop().expect("a snapshot was installed")
}

/// A snapshot came from the leader, took the log's place, and is gone. Without it the node would have an empty state as of that entry.
#[test]
fn a_node_whose_installed_snapshot_is_gone_does_not_start() {
    let mut group = Group::with_puts(40, 0);
    group.converge("a snapshot");
    assert_eq!(group.nodes[0].as_ref().unwrap().status().state_hash, hash_of(40));
    let disk = group.disks[0].copy();
    assert_eq!(inspected(&disk), None);
    for name in snapshots(&disk) {
        disk.lose_file(&name);
    }
    let (file, offset) = installation(&disk);
    let (refused_file, refused_at, reason) = refused(&disk, 3);
    assert_eq!((refused_file, refused_at), (file.clone(), offset), "{reason}");
    assert!(reason.contains("takes the log's place here"), "{reason}");
    assert_eq!(inspected(&disk), Some((file, Found::Corrupt { offset, reason })));
}

/// The one that was there before is no way out: it would be put over a log that goes on behind a later one.
#[test]
fn an_older_snapshot_is_not_put_over_a_log_behind_a_later_one() {
    // The first node has a snapshot of its own when it is cut off.
    let mut group = Group::with_puts(80, 40);
    let older = snapshots(&group.disks[0]).remove(0);
    let before = group.disks[0].peek(&older).unwrap();
    group.converge("a snapshot");
    let disk = group.disks[0].copy();
    let later = snapshots(&disk);
    assert!(!later.contains(&older), "{later:?}");
    for name in later {
        disk.lose_file(&name);
    }
    put_back(&disk, &older, &before);
    let (file, offset, reason) = refused(&disk, 3);
    assert_eq!((file.clone(), offset), installation(&disk), "{reason}");
    assert_eq!(inspected(&disk), Some((file, Found::Corrupt { offset, reason })));
}

/// Lays a file of this content on the disk.
fn put_back(disk: &SimDisk, name: &str, contents: &[u8]) {
    disk.clone().replace_file(name, contents).unwrap();
}

/// Of several snapshots that came one after the other, only the last must be there.
#[test]
fn a_log_in_which_an_earlier_snapshot_was_replaced_opens() {
    let mut group = Group::with_puts(40, 0);
    group.converge("the first snapshot");
    for key in 40..120 {
        group.alone = true;
        let leader = group.nodes[1].as_mut().unwrap();
        leader.command(Ticket(key), put(key % 7, &value(key)));
        group.settle();
        group.tick();
    }
    group.alone = false;
    group.converge("the second snapshot");
    let disk = group.disks[0].copy();
    assert!(installations(&disk).len() > 1, "{:?}", installations(&disk));
    assert_eq!(inspected(&disk), None);
    let node = Replica::open(disk, &options(1, 3), Silent).unwrap();
    assert!(node.status().applied_index.0 > 80);
}

/// A folder was tidied up in the wrong place: what is left is not taken for an empty one, for the next start would put the old snapshot over
/// what was written meanwhile.
#[test]
fn a_snapshot_without_an_identity_is_no_empty_folder() {
    let disk = SimDisk::new();
    let mut node = Replica::open(disk.clone(), &options(1, 1), Silent).unwrap();
    node.campaign();
    for key in 0..60 {
        turn(&mut node, &mut Outbox::default()).unwrap();
        node.command(Ticket(key), put(key, &value(key)));
    }
    turn(&mut node, &mut Outbox::default()).unwrap();
    drop(node);
    let snapshot = snapshots(&disk).remove(0);
    let contents = disk.peek(&snapshot).unwrap();
    // One that is whole, or that was being made, or that was coming.
    for name in [snapshot.as_str(), "snapshot.part", "incoming.part"] {
        let disk = SimDisk::new();
        put_back(&disk, name, &contents);
        put_back(&disk, "wal.part", &[0; 4096]);
        let reason = String::from("it is missing, and a snapshot lies beside it");
        assert_eq!(refused(&disk, 1), (String::from("identity"), 0, reason), "{name}");
    }
}
