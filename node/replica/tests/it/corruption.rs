//! Damage to what was durable, and folders of somebody else: an error that names what and where, and nothing is changed.

use crate::common::{Log, append, log_of, open, options, turn};
use bytes::Bytes;
use raft::{Envelope, NodeId};
use replica::{BLOCK_BYTES, Disk, OpenError, Outbox};
use sim::{Remainder, SimDisk};

/// A follower's folder with several segments.
pub(crate) fn folder() -> (SimDisk, Log) {
    let disk = SimDisk::new();
    let mut node = open(&disk, &options(3)).unwrap();
    let mut log = Log::new();
    let mut hears: Vec<Envelope<Bytes>> = Vec::new();
    for (keep, bytes) in [10, 5000, 20, 6000, 30, 18_000, 40].into_iter().enumerate() {
        hears.push(append(2, 1, &mut log, keep, 1, bytes));
    }
    for message in hears {
        node.step(message);
        turn(&mut node, &mut Outbox::default()).unwrap();
    }
    (disk, log)
}

/// Where each batch of the log begins, in order.
pub(crate) fn batches(disk: &SimDisk) -> Vec<(String, u64)> {
    let mut found = Vec::new();
    for (name, bytes) in disk.files() {
        let content = disk.peek(&name).unwrap();
        let begins = (0..usize::try_from(bytes).unwrap()).step_by(BLOCK_BYTES);
        let begins = begins.filter(|at| content[*at..].starts_with(b"rRbt"));
        found.extend(begins.map(|at| (name.clone(), at as u64)));
    }
    found
}

/// How many bytes behind the last batch are not zero.
fn bytes_behind_the_log(disk: &SimDisk) -> usize {
    let (name, at) = batches(disk).pop().unwrap();
    let content = disk.peek(&name).unwrap();
    let batch = &content[usize::try_from(at).unwrap()..];
    let payload = u32::from_le_bytes(batch[28..32].try_into().unwrap());
    let end = (32 + usize::try_from(payload).unwrap()).next_multiple_of(BLOCK_BYTES);
    batch[end..].iter().filter(|byte| **byte != 0).count()
}

pub(crate) fn corrupt_at(disk: &SimDisk) -> (String, u64) {
    let before: Vec<_> = disk
        .files()
        .into_iter()
        .map(|(name, _)| disk.peek(&name))
        .collect();
    let error = open(disk, &options(3)).unwrap_err();
    let after: Vec<_> = disk
        .files()
        .into_iter()
        .map(|(name, _)| disk.peek(&name))
        .collect();
    assert!(before == after, "a folder that can't be opened was changed");
    match error {
        OpenError::Corrupt { file, offset, .. } => (file, offset),
        OpenError::Foreign { .. }
        | OpenError::SameCluster(_)
        | OpenError::Format { .. }
        | OpenError::Disk(_)
        | OpenError::Config(_) => {
            panic!("{error}")
        }
    }
}

#[test]
fn a_flipped_bit_in_any_batch_but_the_last_is_named_by_file_and_offset() {
    let (disk, _) = folder();
    let batches = batches(&disk);
    assert!(batches.len() >= 10 && disk.files().len() >= 5, "{batches:?}");
    for (name, at) in &batches[..batches.len() - 1] {
        for bit in [0, 35, 70, 8 * 16, 8 * 20 + 7, 8 * 25, 8 * 31 + 1, 8 * 33] {
            let disk = disk.copy();
            disk.rot(name, at + bit / 8, u8::try_from(bit % 8).unwrap());
            assert_eq!(
                corrupt_at(&disk),
                (name.clone(), *at),
                "bit {bit} of the batch there"
            );
        }
    }
}

#[test]
fn a_flipped_bit_in_the_last_batch_looks_like_a_tear_and_takes_that_batch_alone() {
    let (disk, log) = folder();
    let (name, at) = batches(&disk).pop().unwrap();
    disk.rot(&name, at + 40, 3);
    let node = open(&disk, &options(3)).unwrap();
    assert_eq!(log_of(&node), log[..log.len() - 1]);
}

#[test]
fn a_missing_segment_is_noticed_by_the_one_after_it() {
    let (disk, _) = folder();
    let segments: Vec<String> = disk
        .files()
        .into_iter()
        .map(|(name, _)| name)
        .filter(|name| name.starts_with("wal"))
        .collect();
    for pair in segments.windows(2) {
        let disk = disk.copy();
        disk.lose_file(&pair[0]);
        assert_eq!(corrupt_at(&disk), (pair[1].clone(), 0), "{} is missing", pair[0]);
    }
}

#[test]
fn a_log_that_is_missing_as_a_whole_is_noticed_by_the_identity() {
    let (disk, _) = folder();
    for (name, _) in disk.files() {
        if name.starts_with("wal") {
            disk.lose_file(&name);
        }
    }
    assert_eq!(corrupt_at(&disk), (String::from("wal-0000000000000001.log"), 0));
}

#[test]
fn a_missing_or_damaged_identity_beside_a_log_is_an_error() {
    let (disk, _) = folder();
    let missing = disk.copy();
    missing.lose_file("identity");
    assert_eq!(corrupt_at(&missing), (String::from("identity"), 0));
    let length = disk
        .files()
        .into_iter()
        .find(|(name, _)| name == "identity")
        .unwrap()
        .1;
    for bit in 0..8 * length {
        let disk = disk.copy();
        disk.rot("identity", bit / 8, u8::try_from(bit % 8).unwrap());
        assert_eq!(corrupt_at(&disk), (String::from("identity"), 0), "bit {bit}");
    }
}

#[test]
fn the_folder_of_another_cluster_node_or_voters_is_refused() {
    let (disk, _) = folder();
    let mut cluster = options(3);
    cluster.cluster_id = String::from("other");
    let mut node = options(3);
    node.node = NodeId(2);
    node.raft.id = NodeId(2);
    let foreign = [
        (cluster, "cluster", "test", "other"),
        (node, "node", "1", "2"),
        (options(5), "voters", "n1,n2,n3", "n1,n2,n3,n4,n5"),
    ];
    for (options, what, found, expected) in foreign {
        let error = open(&disk, &options).unwrap_err();
        let (found, expected) = (found.to_owned(), expected.to_owned());
        assert_eq!(
            error,
            OpenError::Foreign {
                what,
                found,
                expected
            }
        );
    }
}

/// Another version may put anything behind the number of its format: it is another version's folder, not a damaged one.
#[test]
fn a_folder_of_another_format_is_told_from_a_damaged_one() {
    for found in [1, 300, u16::MAX] {
        let mut payload = wire::encode(&found).to_vec();
        payload.extend_from_slice(b"whatever there will be to say");
        let mut identity = b"rRid".to_vec();
        identity.extend_from_slice(&crc32c::crc32c(&payload).to_le_bytes());
        identity.extend_from_slice(&payload);
        let mut disk = SimDisk::new();
        disk.replace_file("identity", &identity).unwrap();
        let error = open(&disk, &options(3)).unwrap_err();
        assert_eq!(error, OpenError::Format { found, known: 3 });
    }
}

/// A write of many blocks is torn so that its end survives; a shorter batch is then appended in its place. What survived of the
/// longer one must not stand behind it.
#[test]
fn a_tear_is_repaired_before_anything_is_appended() {
    for seed in 0..40 {
        let mut settings = options(3);
        settings.segment_bytes = 64 * 4096;
        let disk = SimDisk::new();
        let mut node = open(&disk, &settings).unwrap();
        let mut log = Log::new();
        node.step(append(2, 1, &mut log, 0, 2, 10));
        turn(&mut node, &mut Outbox::default()).unwrap();
        let synced = log.clone();
        node.step(append(2, 1, &mut log, 2, 4, 5000));
        disk.fail_at(1, sim::DiskFault::Crash { portion: 0 });
        turn(&mut node, &mut Outbox::default()).unwrap_err();
        drop(node);
        disk.revive();
        disk.power_loss(Remainder::Sectors { seed });

        let mut log = synced;
        let mut node = open(&disk, &settings).unwrap();
        assert_eq!(log_of(&node), log, "seed {seed}");
        assert_eq!(bytes_behind_the_log(&disk), 0, "seed {seed}");
        for _ in 0..2 {
            let keep = log.len();
            node.step(append(3, 2, &mut log, keep, 1, 10));
            turn(&mut node, &mut Outbox::default()).unwrap();
            drop(node);
            disk.power_loss(Remainder::Nothing);
            node = open(&disk, &settings).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
            assert_eq!(log_of(&node), log, "seed {seed}");
        }
    }
}
