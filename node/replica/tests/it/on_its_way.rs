//! A leader's write may be on its way to the disk while the wheel turns on: the next commands are sent meanwhile, and nothing is answered or
//! acknowledged that is not durable.

use crate::common::{acknowledged, elect, from, messages, options, put, turn};
use crate::late::{Fate, Late};
use bytes::Bytes;
use raft::{Entry, EntryData, Index, LogPosition, Message, RoleKind, Silent, Term};
use replica::{Answer, Done, Fatal, Outbox, Refusal, Replica, Ticket};
use wire::client::MemberChange;

type Node = Replica<Late, Silent>;

/// Node 1 of three leads term 1, and its first entry is durable everywhere. From now on writes have this fate.
fn leader(disk: &Late, fate: Fate) -> Node {
    let mut node = Replica::open(disk.clone(), &options(3), Silent).unwrap();
    let mut out = Outbox::default();
    elect(&mut node, &mut out);
    accept(&mut node, 1);
    turn(&mut node, &mut out).unwrap();
    disk.fate.set(fate);
    disk.begun.set(0);
    node
}

/// Both others have everything up to `index`.
fn accept(node: &mut Node, index: u64) {
    for other in [2, 3] {
        let matched = Index(index);
        node.step(from(other, 1, Message::AppendAccepted { matched }));
    }
}

/// The last index that was sent to node 2.
fn sent(out: &Outbox) -> Option<Index> {
    let last = |message: &Message<Bytes>| match message {
        Message::Append { entries, .. } => entries.last().map(|entry| entry.index),
        Message::PreVote { .. }
        | Message::PreVoteResponse { .. }
        | Message::Vote { .. }
        | Message::VoteResponse { .. }
        | Message::AppendAccepted { .. }
        | Message::AppendRejected { .. }
        | Message::Heartbeat { .. }
        | Message::HeartbeatResponse { .. }
        | Message::Snapshot { .. }
        | Message::TimeoutNow
        | Message::ReadIndex { .. }
        | Message::ReadIndexResponse { .. } => None,
    };
    let to_2 = messages(out).filter(|envelope| envelope.to.0 == 2);
    to_2.filter_map(|envelope| last(&envelope.message)).max()
}

#[test]
fn what_comes_meanwhile_is_sent_and_shares_the_next_write_and_nothing_is_answered_before_its_own() {
    let disk = Late::new();
    let mut node = leader(&disk, Fate::Waits);
    let mut out = Outbox::default();
    node.command(Ticket(1), put(1, b"a"));
    turn(&mut node, &mut out).unwrap();
    assert!(node.is_writing());
    assert_eq!((sent(&out), disk.begun.get()), (Some(Index(2)), 1));
    for ticket in [2, 3] {
        node.command(Ticket(ticket), put(ticket, b"a"));
        turn(&mut node, &mut out).unwrap();
    }
    assert_eq!((sent(&out), disk.begun.get()), (Some(Index(4)), 1));
    // A majority has it, and this node is none of it.
    accept(&mut node, 4);
    turn(&mut node, &mut out).unwrap();
    node.settle().unwrap();
    assert_eq!(node.core().raft().commit_index(), Index(4));
    assert_eq!(out.replies, []);
    disk.fate.set(Fate::Lands);
    node.settle().unwrap();
    disk.fate.set(Fate::Waits);
    turn(&mut node, &mut out).unwrap();
    assert_eq!(out.replies, [(Ticket(1), Ok(Answer::Written))]);
    assert_eq!(disk.begun.get(), 2);
    disk.fate.set(Fate::Lands);
    node.settle().unwrap();
    turn(&mut node, &mut out).unwrap();
    let answered: Vec<u64> = out.replies.iter().map(|(ticket, _)| ticket.0).collect();
    assert_eq!((answered, disk.begun.get()), (vec![1, 2, 3], 2));
}

#[test]
fn what_the_others_have_committed_is_answered_as_done_when_leadership_ends_before_it_is_durable_here() {
    let disk = Late::new();
    let mut node = leader(&disk, Fate::Waits);
    let mut out = Outbox::default();
    node.command(Ticket(1), put(1, b"a"));
    turn(&mut node, &mut out).unwrap();
    node.command(Ticket(2), put(2, b"a"));
    turn(&mut node, &mut out).unwrap();
    accept(&mut node, 2);
    node.step(from(
        3,
        2,
        Message::Heartbeat {
            commit: Index(2),
            round: 0,
        },
    ));
    turn(&mut node, &mut out).unwrap();
    assert_eq!(node.core().raft().role(), RoleKind::Follower);
    let (done, lost) = (Ok(Answer::Written), Err(Refusal::LeadershipLost));
    assert_eq!(out.replies, [(Ticket(2), lost.clone())], "the first one not yet");
    disk.fate.set(Fate::Lands);
    node.settle().unwrap();
    turn(&mut node, &mut out).unwrap();
    assert_eq!(out.replies, [(Ticket(2), lost), (Ticket(1), done)]);
}

#[test]
fn a_leader_that_the_others_have_let_go_says_so_when_that_is_durable_here() {
    let disk = Late::new();
    let mut node = leader(&disk, Fate::Waits);
    let mut out = Outbox::default();
    // By a joint configuration, with which it is half done.
    let changes = [MemberChange::Remove { node: 1 }, MemberChange::Demote { node: 2 }];
    node.reconfigure(Ticket(1), &changes);
    turn(&mut node, &mut out).unwrap();
    accept(&mut node, 2);
    disk.fate.set(Fate::Lands);
    node.settle().unwrap();
    disk.fate.set(Fate::Waits);
    turn(&mut node, &mut out).unwrap();
    assert!(node.is_writing(), "it leaves the joint configuration");
    accept(&mut node, 3);
    turn(&mut node, &mut out).unwrap();
    assert_eq!(node.core().raft().role(), RoleKind::Follower);
    assert_eq!(out.done, [], "not yet");
    disk.fate.set(Fate::Lands);
    node.settle().unwrap();
    turn(&mut node, &mut out).unwrap();
    assert_eq!(out.done, [(Ticket(1), Ok(Done::Reconfigured))]);
}

#[test]
fn what_was_on_its_way_in_a_crash_was_not_answered_and_what_was_answered_is_there() {
    let disk = Late::new();
    let mut node = leader(&disk, Fate::Lands);
    let mut out = Outbox::default();
    node.command(Ticket(1), put(1, b"a"));
    turn(&mut node, &mut out).unwrap();
    accept(&mut node, 2);
    turn(&mut node, &mut out).unwrap();
    disk.fate.set(Fate::Waits);
    node.command(Ticket(2), put(2, b"a"));
    turn(&mut node, &mut out).unwrap();
    accept(&mut node, 3);
    turn(&mut node, &mut out).unwrap();
    assert_eq!(out.replies, [(Ticket(1), Ok(Answer::Written))]);
    drop(node);
    let node = Replica::open(disk.disk, &options(3), Silent).unwrap();
    assert_eq!(node.core().raft().last().index, Index(2));
}

#[test]
fn a_write_that_fails_on_its_way_stops_the_node() {
    let disk = Late::new();
    let mut node = leader(&disk, Fate::Waits);
    let mut out = Outbox::default();
    node.command(Ticket(1), put(1, b"a"));
    turn(&mut node, &mut out).unwrap();
    accept(&mut node, 2);
    disk.fate.set(Fate::Fails);
    assert!(matches!(node.settle(), Err(Fatal::Disk(_))));
    assert_eq!(out.replies, []);
}

#[test]
fn what_a_new_leader_puts_in_the_place_of_what_is_on_its_way_is_acknowledged_behind_both_writes() {
    let disk = Late::new();
    let mut node = leader(&disk, Fate::Waits);
    let mut out = Outbox::default();
    node.command(Ticket(1), put(1, b"a"));
    turn(&mut node, &mut out).unwrap();
    let replacement = Entry {
        term: Term(2),
        index: Index(2),
        data: EntryData::Noop,
    };
    let prev = LogPosition {
        term: Term(1),
        index: Index(1),
    };
    node.step(from(
        3,
        2,
        Message::Append {
            prev,
            entries: vec![replacement.clone()],
            commit: Index(1),
        },
    ));
    turn(&mut node, &mut out).unwrap();
    assert_eq!(out.replies, [(Ticket(1), Err(Refusal::LeadershipLost))]);
    assert_eq!(acknowledged(&out), Index(0));
    disk.fate.set(Fate::Lands);
    node.settle().unwrap();
    assert_eq!(acknowledged(&out), Index(0));
    turn(&mut node, &mut out).unwrap();
    assert_eq!(acknowledged(&out), Index(2));
    drop(node);
    let node = Replica::open(disk.disk, &options(3), Silent).unwrap();
    assert_eq!(node.core().raft().last(), replacement.position());
}
