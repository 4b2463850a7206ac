//! Looking at a log, whole and damaged; and the way out when a majority is lost.

use crate::common::{open, options, put, reader, segment, turn};
use raft::{Index, NodeId, RoleKind};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use replica::{Answer, Found, Inspector, Outbox, Ticket};
use sim::SimDisk;

const FIRST: &str = "wal-0000000000000001.log";

/// The disk of a node that is its own majority, with so many puts in its log.
fn disk(puts: u64) -> SimDisk {
    let disk = SimDisk::new();
    let mut node = open(&disk, &options(1)).unwrap();
    node.campaign();
    for key in 0..puts {
        turn(&mut node, &mut Outbox::default()).unwrap();
        node.command(Ticket(key), put(key, b"value"));
    }
    turn(&mut node, &mut Outbox::default()).unwrap();
    disk
}

fn inspect(disk: &SimDisk, damage: impl Fn(&str, &mut Vec<u8>)) -> Vec<Found> {
    let identity = disk.peek("identity").unwrap();
    let mut inspector = Inspector::new(Some(&identity));
    let mut all = Vec::new();
    for (name, _) in disk.files() {
        let mut contents = disk.peek(&name).unwrap();
        damage(&name, &mut contents);
        all.extend(segment(&mut inspector, &name, &contents).into_iter().flatten());
    }
    all
}

fn batches(found: &[Found]) -> usize {
    found
        .iter()
        .filter(|found| matches!(found, Found::Batch { .. }))
        .count()
}

fn is_corrupt(found: &[Found]) -> bool {
    found.iter().any(|found| matches!(found, Found::Corrupt { .. }))
}

#[test]
fn every_batch_of_a_whole_log_is_told_across_its_segments() {
    let found = inspect(&disk(6), |_, _| {});
    assert!(!is_corrupt(&found), "{found:?}");
    let sequences: Vec<u64> = found
        .iter()
        .filter_map(|found| match found {
            Found::Batch { sequence, .. } => Some(*sequence),
            Found::Remnant { .. } | Found::Room { .. } | Found::Corrupt { .. } => None,
        })
        .collect();
    assert_eq!(sequences, (1..=sequences.len() as u64).collect::<Vec<_>>());
    assert!(sequences.len() > 8, "{found:?}");
    let says = |part: &str| {
        found
            .iter()
            .any(|found| matches!(found, Found::Batch { record, .. } if record.contains(part)))
    };
    assert!(says("behind 0@0 of (1)"), "{found:?}");
    assert!(says("entry 1@1, a no-op"), "{found:?}");
    assert!(says("entry 2@1, 1 command of"), "{found:?}");
}

#[test]
fn damage_before_the_last_batch_is_corruption_and_behind_it_a_remnant() {
    let disk = disk(1);
    let whole = batches(&inspect(&disk, |_, _| {}));
    let flipped = |offset: usize| {
        inspect(&disk, |name, contents| {
            if name == FIRST {
                contents[offset] ^= 1;
            }
        })
    };
    assert!(is_corrupt(&flipped(33)));
    assert!(is_corrupt(&flipped(4096 + 33)));
    let last = flipped((whole - 1) * 4096 + 33);
    assert!(!is_corrupt(&last), "{last:?}");
    assert_eq!(batches(&last), whole - 1);
    assert!(
        last.iter().any(|found| matches!(found, Found::Remnant { .. })),
        "{last:?}"
    );
}

#[test]
fn a_segment_is_looked_through_in_pieces() {
    let disk = SimDisk::new();
    let mut options = options(1);
    options.segment_bytes = 4 << 20;
    let mut node = open(&disk, &options).unwrap();
    node.campaign();
    for key in 0..100 {
        turn(&mut node, &mut Outbox::default()).unwrap();
        node.command(Ticket(key), put(key, &[7; 9000]));
    }
    turn(&mut node, &mut Outbox::default()).unwrap();
    let contents = disk.peek(FIRST).unwrap();
    assert_eq!(contents.len(), 4 << 20);
    let identity = disk.peek("identity").unwrap();
    let mut inspector = Inspector::new(Some(&identity));
    let (mut longest, mut all) = (0, 0);
    let mut read = reader(&contents);
    let found = inspector.segment(FIRST, contents.len() as u64, |offset, buffer| {
        longest = longest.max(buffer.len());
        all += buffer.len();
        read(offset, buffer)
    });
    let found = found.unwrap().unwrap();
    assert!(batches(&found) > 100 && !is_corrupt(&found), "{found:?}");
    assert!(longest <= 256 << 10, "{longest} bytes at once");
    assert!(all < 2 * contents.len(), "{all} bytes were read");
}

#[test]
fn a_missing_segment_is_corruption() {
    let disk = disk(20);
    let found = inspect(&disk, |_, _| {});
    assert!(!is_corrupt(&found));
    disk.lose_file("wal-0000000000000002.log");
    assert!(is_corrupt(&inspect(&disk, |_, _| {})));
}

#[test]
fn whatever_lies_there_is_looked_at_without_harm() {
    let disk = disk(3);
    let contents = disk.peek(FIRST).unwrap();
    let mut random = ChaCha8Rng::seed_from_u64(1);
    for round in 0..2000 {
        let mut damaged = contents.clone();
        match round % 3 {
            0 => damaged.truncate(random.random_range(0..contents.len())),
            1 => {
                for _ in 0..random.random_range(1..20) {
                    let place = random.random_range(0..contents.len());
                    damaged[place] = random.random();
                }
            }
            _ => {
                // The length in a header, which says how far to look.
                let block = random.random_range(0..contents.len() / 4096);
                damaged[block * 4096 + 28..block * 4096 + 32].copy_from_slice(&random.random::<[u8; 4]>());
            }
        }
        let identity = disk.peek("identity").filter(|_| round % 2 == 0);
        let mut inspector = Inspector::new(identity.as_deref());
        segment(&mut inspector, FIRST, &damaged).unwrap();
    }
    assert_eq!(segment(&mut Inspector::new(None), "wal-1.log", &contents), None);
}

/// The disk of a node that is its own majority, with a snapshot that has several parts, and its name.
fn with_snapshot() -> (SimDisk, String) {
    let disk = SimDisk::new();
    let mut node = open(&disk, &options(1)).unwrap();
    node.campaign();
    turn(&mut node, &mut Outbox::default()).unwrap();
    node.open_session(Ticket(1));
    for key in 0..40 {
        node.command(Ticket(2 + key), put(key, &[b'v'; 5000]));
    }
    turn(&mut node, &mut Outbox::default()).unwrap();
    node.snapshot(Ticket(99));
    turn(&mut node, &mut Outbox::default()).unwrap();
    let name = |(name, _): (String, u64)| name.starts_with("snapshot-").then_some(name);
    let name = disk.files().into_iter().find_map(name).unwrap();
    (disk, name)
}

fn inspect_snapshot(name: &str, contents: &[u8]) -> Vec<Found> {
    let read = |offset: u64, buffer: &mut [u8]| {
        let from = usize::try_from(offset).unwrap();
        buffer.copy_from_slice(&contents[from..from + buffer.len()]);
        Ok(())
    };
    let found = Inspector::new(None).snapshot(name, contents.len() as u64, read);
    found.unwrap().unwrap()
}

#[test]
fn every_part_of_a_whole_snapshot_is_told() {
    let (disk, name) = with_snapshot();
    assert_eq!(name, "snapshot-0000000000000042-0000000000000001");
    let found = inspect_snapshot(&name, &disk.peek(&name).unwrap());
    let lines = found.iter().map(|found| match found {
        Found::Batch {
            offset,
            bytes,
            sequence,
            record,
        } => format!("{offset} {bytes} {sequence} {record}"),
        Found::Remnant { .. } | Found::Room { .. } | Found::Corrupt { .. } => format!("{found:?}"),
    });
    let hash = open(&disk, &options(1)).unwrap().status().state_hash;
    let expected = [
        "0 4096 1 begin  the state as of 42@1, of (1)",
        "4096 135168 2 part   27 pairs of 135048 bytes",
        "139264 65536 3 part   13 pairs of 65022 bytes",
        "204800 4096 4 part   1 session, at 0 ms of leaders' time",
        &format!("208896 4096 5 end    40 pairs in all, state hash {hash:016x}"),
    ];
    assert_eq!(lines.collect::<Vec<_>>(), expected);
}

#[test]
fn what_is_wrong_with_a_damaged_snapshot_is_said_with_its_place() {
    let (disk, name) = with_snapshot();
    let whole = disk.peek(&name).unwrap();
    let damage = |contents: &[u8]| match inspect_snapshot(&name, contents).pop().unwrap() {
        Found::Corrupt { offset, reason } => (offset, reason),
        found @ (Found::Batch { .. } | Found::Remnant { .. } | Found::Room { .. }) => panic!("{found:?}"),
    };
    let said = |offset: u64, reason: &str| (offset, String::from(reason));
    let flipped = |at: usize| {
        let mut contents = whole.clone();
        contents[at] ^= 1;
        damage(&contents)
    };
    assert_eq!(flipped(0), said(0, "here is no batch"));
    assert_eq!(flipped(4096 + 40), said(4096, "the batch here is damaged"));
    assert_eq!(flipped(139_264 + 9), said(139_264, "the batch here is damaged"));
    assert_eq!(damage(&whole[..208_896]), said(208_896, "it has no end"));
    assert_eq!(damage(&whole[..139_265]), said(139_264, "it has no end"));
    assert_eq!(
        damage(&whole[..150_000]),
        said(139_264, "the batch here reaches beyond the end")
    );
    assert_eq!(damage(&[]), said(0, "it has no end"));
    let mut longer = whole.clone();
    longer.extend_from_slice(&[0; 4096]);
    assert_eq!(damage(&longer), said(212_992, "something follows its end"));
    // A part that is missing between two.
    let mut shorter = whole[..4096].to_vec();
    shorter.extend_from_slice(&whole[139_264..]);
    assert_eq!(damage(&shorter), said(4096, "the batch here is damaged"));
    let other = name.replace("42", "43");
    let found = inspect_snapshot(&other, &whole).pop().unwrap();
    let reason = String::from("it holds the state as of 42@1, and its name says 43@1");
    assert_eq!(found, Found::Corrupt { offset: 0, reason });
    // One that is being made ends where it ends.
    let found = inspect_snapshot("snapshot.part", &whole[..150_000])
        .pop()
        .unwrap();
    let (offset, bytes) = (139_264, 10_736);
    assert!(
        matches!(found, Found::Remnant { offset: at, bytes: left } if (at, left) == (offset, bytes)),
        "{found:?}"
    );
    let read = |_: u64, _: &mut [u8]| Ok(());
    assert!(Inspector::new(None).snapshot("snapshot-1-1", 0, read).is_none());
}

#[test]
fn a_log_that_begins_behind_what_a_whole_snapshot_covers_is_corrupt() {
    let disk = SimDisk::new();
    let mut options = options(1);
    options.snapshot_log_bytes = options.segment_bytes;
    let mut node = open(&disk, &options).unwrap();
    node.campaign();
    for key in 0..60 {
        turn(&mut node, &mut Outbox::default()).unwrap();
        node.command(Ticket(key), put(key % 3, b"value"));
    }
    turn(&mut node, &mut Outbox::default()).unwrap();
    let identity = disk.peek("identity").unwrap();
    let look = |with_snapshot: bool, damage: u8| {
        let mut inspector = Inspector::new(Some(&identity));
        let mut all = Vec::new();
        for (name, bytes) in disk.files() {
            let mut contents = disk.peek(&name).unwrap();
            if name.starts_with("snapshot-") && with_snapshot {
                contents[40] ^= damage;
                inspector
                    .snapshot(&name, bytes, reader(&contents))
                    .unwrap()
                    .unwrap();
            }
            all.extend(segment(&mut inspector, &name, &contents).into_iter().flatten());
        }
        all
    };
    assert!(!is_corrupt(&look(true, 0)), "{:?}", look(true, 0));
    for found in [look(false, 0), look(true, 1)] {
        let says = |found: &Found| matches!(found, Found::Corrupt { offset: 0, reason } if reason.contains("no snapshot that is whole"));
        assert!(found.iter().any(says), "{found:?}");
    }
}

#[test]
fn what_is_left_of_a_cluster_goes_on_alone_and_keeps_what_it_has() {
    let disk = SimDisk::new();
    let mut node = open(&disk, &options(3)).unwrap();
    let mut log = Vec::new();
    node.step(crate::common::append(2, 4, &mut log, 0, 3, 20));
    turn(&mut node, &mut Outbox::default()).unwrap();
    drop(node);

    let rescued = replica::rescue(disk.clone(), "rescued").unwrap();
    assert_eq!(
        (rescued.node, rescued.last.index, rescued.commit),
        (NodeId(1), Index(3), Index(0))
    );
    assert_eq!(rescued.before.to_string(), "1 2 3");

    let mut settings = options(3);
    assert!(
        open(&disk, &settings).is_err(),
        "it is of the old cluster no more"
    );
    settings.cluster_id = String::from("rescued");
    settings.voters = Vec::new();
    let mut node = open(&disk, &settings).unwrap();
    node.campaign();
    turn(&mut node, &mut Outbox::default()).unwrap();
    assert_eq!(node.core().raft().role(), RoleKind::Leader);
    assert!(node.core().raft().term() > raft::Term(5));
    let mut out = Outbox::default();
    node.read(Ticket(1), "3".into());
    turn(&mut node, &mut out).unwrap();
    assert!(
        matches!(&out.replies[..], [(_, Ok(Answer::Value(Some(_))))]),
        "{out:?}"
    );
}

#[test]
fn a_folder_of_nobody_is_not_rescued() {
    let disk = SimDisk::new();
    replica::rescue(disk.clone(), "rescued").unwrap_err();
    assert_eq!(disk.files(), []);
}
