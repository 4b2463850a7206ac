//! What a restarted node finds in its log and promises again must be durable, though it wrote nothing itself.

use crate::common::{messages, open, options, turn};
use raft::{Envelope, Index, LogPosition, Message, NodeId, Term};
use replica::Outbox;
use sim::{DiskFault, Remainder, SimDisk};

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
