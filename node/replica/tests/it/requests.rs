//! Every request is answered, whatever becomes of the leadership that took it in.

use crate::common::{open, options, put, turn};
use bytes::Bytes;
use raft::{Envelope, Message, NodeId, RoleKind, Term};
use replica::{Outbox, Refusal, Ticket};
use sim::SimDisk;

/// A node that was frozen finds in one go that it was elected, a command, and that its term is over.
#[test]
fn a_command_of_a_leadership_that_began_and_ended_within_one_turn_is_answered() {
    let mut node = open(&SimDisk::new(), &options(3)).unwrap();
    let mut out = Outbox::default();
    node.campaign();
    turn(&mut node, &mut out).unwrap();
    let from_2 = |term, message| Envelope::<Bytes> {
        from: NodeId(2),
        to: NodeId(1),
        term: Term(term),
        message,
    };
    node.step(from_2(1, Message::VoteResponse { granted: true }));
    assert_eq!(node.core().raft().role(), RoleKind::Leader);
    node.command(Ticket(7), put(1, b"a"));
    node.step(from_2(
        2,
        Message::AppendRejected {
            probed: raft::Index(0),
            hint: raft::LogPosition::default(),
        },
    ));
    assert_eq!(node.core().raft().role(), RoleKind::Follower);
    turn(&mut node, &mut out).unwrap();
    assert_eq!(out.replies, [(Ticket(7), Err(Refusal::LeadershipLost))]);
}
