//! What a restarted node finds in its log and promises again must be durable, though it wrote nothing itself.

use crate::common::{messages, open, options, put, turn};
use crate::late::{Fate, Late};
use raft::{Envelope, Index, LogPosition, Message, NodeId, Silent, Term};
use replica::{Outbox, Replica, Ticket};
use sim::{DiskFault, Remainder, SimDisk};
use std::cell::Cell;
use std::rc::Rc;

fn candidacy(of: u64) -> Envelope<bytes::Bytes> {
    Envelope {
        from: NodeId(of),
        to: NodeId(1),
        term: Term(2),
        message: Message::Vote {
            last: LogPosition {
                term: Term(1),
                index: Index(1),
            },
            by_transfer: false,
        },
    }
}

fn votes(out: &Outbox) -> Vec<NodeId> {
    let granted = |envelope: &&Envelope<bytes::Bytes>| {
        matches!(envelope.message, Message::VoteResponse { granted: true })
    };
    messages(out)
        .filter(granted)
        .map(|envelope| envelope.to)
        .collect()
}

/// Killed between write and sync, the vote is still in the operating system's memory when the node starts again. The node must
/// not answer by it before it is durable: after a loss of power it would vote for another in the same term.
#[test]
fn a_vote_that_was_written_and_not_synced_is_durable_before_it_is_answered_after_a_restart() {
    let disk = SimDisk::new();
    let mut node = open(&disk, &options(3)).unwrap();
    let mut out = Outbox::default();
    node.step(candidacy(2));
    // The write is the first operation of the turn, the sync the second.
    disk.fail_at(1, DiskFault::Crash { portion: 0 });
    turn(&mut node, &mut out).unwrap_err();
    assert_eq!(votes(&out), []);
    drop(node);

    disk.revive();
    let mut node = open(&disk, &options(3)).unwrap();
    node.step(candidacy(2));
    turn(&mut node, &mut out).unwrap();
    assert_eq!(votes(&out), [NodeId(2)]);
    drop(node);

    disk.power_loss(Remainder::Nothing);
    let mut node = open(&disk, &options(3)).unwrap();
    node.step(candidacy(3));
    turn(&mut node, &mut out).unwrap();
    assert_eq!(votes(&out), [NodeId(2)], "it voted twice in term 2");
}

/// Whoever starts again reads all of its log, and has no more of it in memory at once than it must.
#[test]
fn a_log_is_read_back_in_pieces_of_which_none_is_larger_than_a_batch_needs() {
    const PIECE_BYTES: usize = 256 << 10;
    let disk = SimDisk::new();
    let mut options = options(1);
    options.segment_bytes = 2 << 20;
    let mut node = open(&disk, &options).unwrap();
    node.campaign();
    let mut out = Outbox::default();
    turn(&mut node, &mut out).unwrap();
    let mut put_and_open = |ticket: u64, bytes: usize| {
        node.command(Ticket(ticket), put(ticket, &vec![1; bytes]));
        turn(&mut node, &mut out).unwrap();
        let late = Late::of(disk.copy(), Rc::new(Cell::new(Fate::Lands)));
        let largest = Rc::clone(&late.largest_read);
        let again = Replica::open(late, &options, Silent).unwrap();
        assert_eq!(again.core().raft().last(), node.core().raft().last());
        largest.get()
    };
    // Through more than one segment, and with batches that go beyond a piece.
    let largest = (1..=30).map(|ticket| put_and_open(ticket, 100_000)).max();
    assert_eq!(largest, Some(PIECE_BYTES));
    let large = put_and_open(31, 2 * PIECE_BYTES);
    assert!((2 * PIECE_BYTES..3 * PIECE_BYTES).contains(&large), "{large}");
}
