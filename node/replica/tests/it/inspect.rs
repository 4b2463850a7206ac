//! Looking at a log, whole and damaged; and the way out when a majority is lost.

use crate::common::{open, options, put, turn};
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
        all.extend(inspector.segment(&name, &contents).into_iter().flatten());
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
        inspector.segment(FIRST, &damaged).unwrap();
    }
    assert_eq!(Inspector::new(None).segment("wal-1.log", &contents), None);
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
