//! A client's value that looks like a batch of the log is still a value.

use crate::common::{Node, from, open, options, put, turn};
use raft::{Entry, EntryData, Index, LogPosition, Message, Term};
use replica::{Disk as _, Outbox, Ticket};
use sim::{DiskFault, SimDisk};
use wire::record::IdentityFormat2;

/// A batch without a payload, of the first segment and far ahead in the log: whoever knows the format can make one, for a log of this secret.
fn forged(secret: u64) -> Vec<u8> {
    let mut batch = vec![0; 32];
    batch[..4].copy_from_slice(b"rRbt");
    batch[8..16].copy_from_slice(&(1 ^ secret).to_le_bytes());
    batch[16..24].copy_from_slice(&(1_u64 << 40).to_le_bytes());
    let checksum = crc32c::crc32c(&batch[8..]);
    batch[4..8].copy_from_slice(&checksum.to_le_bytes());
    batch
}

/// A write of a value of such batches, as `forged` makes them for that node, is interrupted: how often it does not start then, however the
/// value lies in the file.
fn refusals(forged: impl Fn(&Node) -> Vec<u8>) -> usize {
    let starts = |shift: usize| {
        let mut settings = options(3);
        settings.segment_bytes = 64 * 4096;
        let disk = SimDisk::new();
        let mut node = open(&disk, &settings).unwrap();
        let mut value = vec![b'x'; shift];
        value.extend_from_slice(&forged(&node).repeat(1024));
        let entry = Entry {
            term: Term(1),
            index: Index(1),
            data: EntryData::Command(put(1, &value).to_bytes()),
        };
        node.step(from(
            2,
            1,
            Message::Append {
                prev: LogPosition::default(),
                entries: vec![entry],
                commit: Index(0),
            },
        ));
        disk.fail_at(0, DiskFault::Crash { portion: 200 });
        turn(&mut node, &mut Outbox::default()).unwrap_err();
        drop(node);
        disk.revive();
        open(&disk, &settings).is_ok()
    };
    (0..32).filter(|shift| !starts(*shift)).count()
}

/// What is left of it is a tear, and no later batch that proves anything: otherwise whoever may write could keep a node from ever starting
/// again. Clients are told the incarnation, all of it.
#[test]
fn a_value_that_looks_like_batches_is_no_proof_of_corruption() {
    assert_eq!(refusals(|_| forged(0)), 0);
    for half in [0, 64] {
        let told = |node: &Node| u64::try_from(node.incarnation() >> half & u128::from(u64::MAX)).unwrap();
        assert_eq!(refusals(|node| forged(told(node))), 0);
    }
}

/// What the test above would see.
#[test]
fn whoever_knew_the_secret_could_keep_a_node_from_starting() {
    assert!(refusals(|_| forged(options(3).secret)) > 0);
}

/// A folder that was made when the secret was a part of the incarnation.
#[test]
fn a_folder_of_the_format_before_is_read_and_goes_on() {
    let disk = SimDisk::new();
    let mut settings = options(1);
    settings.incarnation = (3 << 64) | 0xabcd;
    settings.secret = 0xabcd;
    let mut node = open(&disk, &settings).unwrap();
    node.campaign();
    for key in 0..40 {
        turn(&mut node, &mut Outbox::default()).unwrap();
        node.command(Ticket(key), put(key, b"value"));
    }
    turn(&mut node, &mut Outbox::default()).unwrap();
    let state = node.status().state_hash;
    let written = (node.incarnation(), node.status().last_index);
    drop(node);
    let before = wire::encode(&IdentityFormat2 {
        format: 2,
        cluster_id: settings.cluster_id.clone(),
        node: 1,
        incarnation: settings.incarnation,
    });
    let mut identity = b"rRid".to_vec();
    identity.extend_from_slice(&crc32c::crc32c(&before).to_le_bytes());
    identity.extend_from_slice(&before);
    disk.clone().replace_file("identity", &identity).unwrap();
    // Those are for folders that are made.
    (settings.incarnation, settings.secret) = (1, 2);
    for start in 0..2 {
        let mut node = open(&disk, &settings).unwrap();
        assert_eq!(
            (node.incarnation(), node.status().last_index.0),
            (written.0, written.1.0 + start)
        );
        node.campaign();
        turn(&mut node, &mut Outbox::default()).unwrap();
        assert_eq!(node.status().state_hash, state);
    }
    assert_eq!(disk.peek("identity"), Some(identity));
}
