//! A client's value that looks like a batch of the log is still a value.

use crate::common::{from, open, options, put, turn};
use raft::{Entry, EntryData, Index, LogPosition, Message, Term};
use replica::Outbox;
use sim::{DiskFault, SimDisk};

/// A batch without a payload, of the first segment and far ahead in the log: whoever knows the format can make one.
fn forged() -> Vec<u8> {
    let mut batch = vec![0; 32];
    batch[..4].copy_from_slice(b"rRbt");
    batch[8..16].copy_from_slice(&1_u64.to_le_bytes());
    batch[16..24].copy_from_slice(&(1_u64 << 40).to_le_bytes());
    let checksum = crc32c::crc32c(&batch[8..]);
    batch[4..8].copy_from_slice(&checksum.to_le_bytes());
    batch
}

/// A write of such a value is interrupted. However it lies in the file, what is left of it is a tear, and no later batch that proves
/// anything: otherwise whoever may write could keep a node from ever starting again.
#[test]
fn a_value_that_looks_like_batches_is_no_proof_of_corruption() {
    for shift in 0..32 {
        let mut settings = options(3);
        settings.segment_bytes = 64 * 4096;
        let disk = SimDisk::new();
        let mut node = open(&disk, &settings).unwrap();
        let mut value = vec![b'x'; shift];
        value.extend_from_slice(&forged().repeat(1024));
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
        let opened = open(&disk, &settings);
        assert!(opened.is_ok(), "shifted by {shift}: {:?}", opened.err());
    }
}
