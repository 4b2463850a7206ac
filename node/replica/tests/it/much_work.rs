//! Commands that are much work are applied over several turns, between which time passes and others are heard; what comes of them, and in
//! which order it is answered, is the same.

use crate::common::{Node, elect, from, messages, open, options, put, turn};
use bytes::Bytes;
use raft::{Index, Message, RoleKind};
use replica::{Answer, Disk, Done, Options, Outbox, Refusal, Replica, Ticket};
use sim::SimDisk;
use wire::limits::{OPERATIONS_MAX, VALUE_BYTES_MAX};
use wire::record::{Command, End, Operation, Transaction};

/// More turns than anything here takes.
const TURNS_MAX: usize = 1000;

/// A turn of this node applies one command that is much work, or many that are not.
fn patient(voters: u64) -> Options {
    let mut options = options(voters);
    options.apply_work_max = 64 << 10;
    options
}

fn list() -> Bytes {
    Bytes::from_static(b"list")
}

/// A list of as many empty items as fit.
fn put_list() -> Command {
    Command::Put {
        key: list(),
        value: Bytes::from(vec![0; VALUE_BYTES_MAX]),
    }
}

fn pop() -> Operation {
    Operation::Pop {
        key: list(),
        end: End::Back,
    }
}

fn pops(count: usize) -> Command {
    Command::Transaction(Transaction {
        then: vec![pop(); count],
        ..Transaction::default()
    })
}

fn add() -> Command {
    Command::Operation(Operation::Add {
        key: Bytes::from_static(b"number"),
        amount: 1,
    })
}

/// One turn of the wheel; how many entries it applied.
fn one_turn<D: Disk>(node: &mut Replica<D, raft::Silent>, out: &mut Outbox) -> u64 {
    let before = node.core().raft().applied_index();
    node.send(out);
    node.begin_write().unwrap();
    // Whether the first of these is left out, is nobody's business.
    node.apply(out).unwrap();
    node.carry_out(out).unwrap();
    node.core().raft().applied_index().0 - before.0
}

/// Turns the wheel until it stands still; how many entries each turn applied.
fn turns(node: &mut Node, out: &mut Outbox) -> Vec<u64> {
    let mut applied = Vec::new();
    while node.has_work() {
        applied.push(one_turn(node, out));
        assert!(applied.len() < TURNS_MAX, "the wheel does not stand still");
    }
    applied
}

/// A node that is its own majority and leads, with the list, and all of `commands` in its log.
fn alone(disk: &SimDisk, options: &Options, commands: &[Command]) -> Node {
    let mut node = open(disk, options).unwrap();
    let mut out = Outbox::default();
    node.campaign();
    node.command(Ticket(0), put_list());
    turn(&mut node, &mut out).unwrap();
    node.command(Ticket(0), put_list());
    turn(&mut node, &mut out).unwrap();
    for (ticket, command) in (1..).zip(commands) {
        node.command(Ticket(ticket), command.clone());
    }
    node
}

/// Pops, transactions of pops, and what is hardly any work, in turn.
fn mixed() -> Vec<Command> {
    let kinds = [
        Command::Operation(pop()),
        add(),
        pops(OPERATIONS_MAX),
        put(7, b"value"),
    ];
    kinds.into_iter().cycle().take(60).collect()
}

#[test]
fn a_turn_applies_a_bounded_amount_of_work_and_order_and_answers_stay_the_same() {
    let commands = mixed();
    let run = |options: &Options| {
        let mut node = alone(&SimDisk::new(), options, &commands);
        let mut out = Outbox::default();
        let applied = turns(&mut node, &mut out);
        (applied, out.replies, node.status().state_hash)
    };
    let mut hasty = options(1);
    hasty.apply_work_max = u64::MAX;
    let (at_once, expected, hash) = run(&hasty);
    assert_eq!(at_once.iter().max(), Some(&60), "{at_once:?}");
    let (applied, replies, patient_hash) = run(&patient(1));
    // No more in a turn than one that is much work, with those around it that are not.
    assert!(applied.iter().all(|count| *count <= 2), "{applied:?}");
    assert_eq!(applied.iter().sum::<u64>(), 60);
    assert_eq!(expected.len(), 60);
    assert!(replies.iter().map(|(ticket, _)| ticket.0).eq(1..=60));
    assert_eq!((replies, patient_hash), (expected, hash));
}

#[test]
fn much_that_is_little_work_is_applied_in_one_turn() {
    let commands = vec![add(); 2000];
    let mut node = alone(&SimDisk::new(), &options(1), &commands);
    let mut out = Outbox::default();
    let applied = turns(&mut node, &mut out);
    assert_eq!(applied.iter().max(), Some(&2000), "{applied:?}");
}

/// Node 1 of three leads and has the list; `commands` are committed, and the first turn has applied one of them.
fn behind(commands: &[Command]) -> (Node, Outbox) {
    let mut node = open(&SimDisk::new(), &patient(3)).unwrap();
    let mut out = Outbox::default();
    elect(&mut node, &mut out);
    node.command(Ticket(0), put_list());
    turn(&mut node, &mut out).unwrap();
    accept(&mut node);
    turn(&mut node, &mut out).unwrap();
    for (ticket, command) in (1..).zip(commands) {
        node.command(Ticket(ticket), command.clone());
    }
    turn(&mut node, &mut out).unwrap();
    let mut out = Outbox::default();
    accept(&mut node);
    assert_eq!(one_turn(&mut node, &mut out), 1);
    assert!(node.has_done_enough() && is_behind(&node));
    (node, out)
}

/// Node 2 has all of node 1's log.
fn accept(node: &mut Node) {
    let matched = node.core().raft().last().index;
    node.step(from(2, 1, Message::AppendAccepted { matched }));
    assert_eq!(node.core().raft().commit_index(), matched);
}

fn is_behind(node: &Node) -> bool {
    let raft = node.core().raft();
    let is_behind = raft.applied_index() < raft.commit_index();
    assert!(!is_behind || node.has_work());
    is_behind
}

#[test]
fn heartbeats_leave_between_the_turns() {
    let (mut node, mut out) = behind(&vec![Command::Operation(pop()); 10]);
    let mut heartbeats = 0;
    while is_behind(&node) {
        node.tick();
        out.messages.clear();
        one_turn(&mut node, &mut out);
        heartbeats += messages(&out)
            .filter(|envelope| matches!(envelope.message, Message::Heartbeat { .. }))
            .count();
    }
    // Every third tick, to either of the others.
    assert_eq!(heartbeats, 2 * (9 / 3));
    assert_eq!(out.replies.len(), 10);
}

#[test]
fn a_read_waits_until_all_that_it_must_see_is_applied() {
    let mut commands = vec![Command::Operation(pop()); 10];
    commands.push(put(7, b"last"));
    let (mut node, mut out) = behind(&commands);
    node.read(Ticket(99), Bytes::from_static(b"7"));
    one_turn(&mut node, &mut out);
    let mut round = 0;
    for envelope in messages(&out) {
        if let Message::Heartbeat { round: asked, .. } = envelope.message {
            round = round.max(asked);
        }
    }
    assert!(round > 0, "it asks whether it still leads");
    node.step(from(2, 1, Message::HeartbeatResponse { round }));
    turn(&mut node, &mut out).unwrap();
    let last = Ok(Answer::Value(Some(Bytes::from_static(b"last"))));
    assert_eq!(out.replies.last(), Some(&(Ticket(99), last)));
    assert_eq!(out.replies.len(), 12);
}

#[test]
fn what_is_committed_is_answered_as_done_though_leadership_ends_before_it_is_applied() {
    let (mut node, mut out) = behind(&vec![Command::Operation(pop()); 10]);
    node.command(Ticket(11), Command::Operation(pop()));
    one_turn(&mut node, &mut out);
    let commit = Index(0);
    node.step(from(3, 2, Message::Heartbeat { commit, round: 0 }));
    assert_eq!(node.core().raft().role(), RoleKind::Follower);
    turn(&mut node, &mut out).unwrap();
    let (lost, done): (Vec<_>, Vec<_>) = out.replies.into_iter().partition(|(_, reply)| reply.is_err());
    assert_eq!(lost, [(Ticket(11), Err(Refusal::LeadershipLost))]);
    assert!(done.iter().map(|(ticket, _)| ticket.0).eq(1..=10), "{done:?}");
}

#[test]
fn a_snapshot_that_is_taken_meanwhile_has_what_is_applied_and_the_log_has_the_rest() {
    let commands = mixed();
    let disk = SimDisk::new();
    let mut node = alone(&disk, &patient(1), &commands);
    let mut out = Outbox::default();
    while !is_behind(&node) {
        one_turn(&mut node, &mut out);
    }
    let covered = node.core().raft().applied_index();
    assert!(covered < node.core().raft().commit_index());
    node.snapshot(Ticket(100));
    turn(&mut node, &mut out).unwrap();
    let [(Ticket(100), Ok(Done::Snapshotted { index }))] = out.done[..] else {
        panic!("{:?}", out.done);
    };
    assert!(index >= covered);
    let (before, applied) = (node.status().state_hash, node.status().applied_index);
    drop(node);
    // It starts again with the snapshot, and applies the rest as it is told that it is committed.
    let mut node = open(&disk, &patient(1)).unwrap();
    assert_eq!(node.core().raft().applied_index(), index);
    node.campaign();
    turn(&mut node, &mut out).unwrap();
    assert_eq!(node.status().applied_index, applied.next());
    assert_eq!(node.status().state_hash, before);
}
