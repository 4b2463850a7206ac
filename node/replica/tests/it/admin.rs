//! What operators ask of a node, on one that is its own majority.

use crate::common::{Node, open, options, put, turn};
use raft::{ChangeError, Index, InvalidChange, NodeId, TransferError};
use replica::{Done, NotDone, Options, Outbox, Ticket};
use sim::SimDisk;
use wire::client::MemberChange;
use wire::record::Member;

const OWN_FOLDER: u128 = 7;

fn sole(disk: &SimDisk) -> Node {
    let mut node = open(disk, &options(1)).unwrap();
    node.campaign();
    turn(&mut node, &mut Outbox::default()).unwrap();
    node
}

/// The answer to a change.
fn changed(node: &mut Node, changes: &[MemberChange]) -> Option<Result<Done, NotDone>> {
    let mut out = Outbox::default();
    node.reconfigure(Ticket(1), changes);
    turn(node, &mut out).unwrap();
    out.done.pop().map(|(_, result)| result)
}

fn add(node: u64) -> MemberChange {
    MemberChange::AddLearner {
        node,
        address: String::from("a:1"),
    }
}

fn invalid(error: InvalidChange) -> Option<Result<Done, NotDone>> {
    Some(Err(NotDone::Change(ChangeError::Invalid(error))))
}

#[test]
fn a_learner_comes_with_its_address_and_a_restart_remembers_both() {
    let disk = SimDisk::new();
    let mut node = sole(&disk);
    assert_eq!(changed(&mut node, &[add(4)]), Some(Ok(Done::Reconfigured)));
    drop(node);
    let node = open(&disk, &options(1)).unwrap();
    let configuration = node.core().raft().configuration();
    assert_eq!(configuration.to_string(), "1, learners 4");
    let expected = Member {
        address: String::from("a:1"),
        incarnation: None,
    };
    assert_eq!(Member::of(configuration, NodeId(4)), expected);
}

#[test]
fn what_makes_no_sense_is_refused_and_changes_nothing() {
    let mut node = sole(&SimDisk::new());
    changed(&mut node, &[add(4)]).unwrap().unwrap();
    let last = node.core().raft().last();
    let (four, nine) = (NodeId(4), NodeId(9));
    let not_caught_up = Some(Err(NotDone::Change(ChangeError::NotCaughtUp(four))));
    let (promote, demote, remove) = (
        |node| MemberChange::Promote { node },
        |node| MemberChange::Demote { node },
        |node| MemberChange::Remove { node },
    );
    let cases = [
        (vec![], invalid(InvalidChange::Nothing)),
        (vec![add(1)], invalid(InvalidChange::AlreadyVoter(NodeId(1)))),
        (vec![add(4)], invalid(InvalidChange::AlreadyLearner(four))),
        (vec![promote(9)], invalid(InvalidChange::NotMember(nine))),
        (vec![demote(9)], invalid(InvalidChange::NotMember(nine))),
        (vec![remove(9)], invalid(InvalidChange::NotMember(nine))),
        (
            vec![promote(4), remove(4)],
            invalid(InvalidChange::Conflicting(four)),
        ),
        (vec![remove(1)], invalid(InvalidChange::LastVoter)),
        (vec![demote(1)], invalid(InvalidChange::LastVoter)),
        (vec![promote(4)], not_caught_up),
        ((5..200).map(add).collect(), Some(Err(NotDone::TooManyMembers))),
    ];
    for (changes, expected) in cases {
        assert_eq!(changed(&mut node, &changes), expected, "{changes:?}");
    }
    assert_eq!(node.core().raft().last(), last);
}

#[test]
fn whoever_does_not_lead_says_so_and_judges_nothing() {
    let mut node = open(&SimDisk::new(), &options(3)).unwrap();
    let not_leader = Some(Err(NotDone::Change(ChangeError::NotLeader { leader: None })));
    for change in [
        MemberChange::Promote { node: 9 },
        MemberChange::Remove { node: 9 },
        add(1),
    ] {
        assert_eq!(changed(&mut node, &[change]), not_leader);
    }
}

#[test]
fn a_second_change_waits_for_the_first() {
    let mut node = open(&SimDisk::new(), &options(1)).unwrap();
    node.campaign();
    let mut out = Outbox::default();
    turn(&mut node, &mut out).unwrap();
    node.reconfigure(Ticket(1), &[add(4)]);
    node.reconfigure(Ticket(2), &[add(5)]);
    turn(&mut node, &mut out).unwrap();
    let under_way = Err(NotDone::Change(ChangeError::UnderWay));
    assert!(out.done.contains(&(Ticket(2), under_way)), "{:?}", out.done);
    assert!(
        out.done.contains(&(Ticket(1), Ok(Done::Reconfigured))),
        "{:?}",
        out.done
    );
}

#[test]
fn a_change_that_comes_before_the_last_one_is_applied_takes_nobodys_answer() {
    let mut node = sole(&SimDisk::new());
    let mut out = Outbox::default();
    node.reconfigure(Ticket(1), &[add(4)]);
    node.send(&mut out);
    node.apply(&mut out).unwrap();
    node.carry_out(&mut out).unwrap();
    let raft = node.core().raft();
    assert!(
        raft.applied_index() < raft.commit_index(),
        "it is between the two"
    );
    node.reconfigure(Ticket(2), &[add(5)]);
    turn(&mut node, &mut out).unwrap();
    out.done.sort_by_key(|(ticket, _)| *ticket);
    let under_way = Err(NotDone::Change(ChangeError::UnderWay));
    assert_eq!(
        out.done,
        [(Ticket(1), Ok(Done::Reconfigured)), (Ticket(2), under_way)]
    );
}

#[test]
fn a_leader_puts_the_data_folders_that_it_hears_of_into_the_configuration_once() {
    let disk = SimDisk::new();
    let mut node = sole(&disk);
    changed(&mut node, &[add(4)]).unwrap().unwrap();
    let mut hear = |folder| {
        node.heard_of(NodeId(1), OWN_FOLDER);
        node.heard_of(NodeId(4), folder);
        node.heard_of(NodeId(9), folder);
        for _ in 0..3 {
            node.tick();
            turn(&mut node, &mut Outbox::default()).unwrap();
        }
        let raft = node.core().raft();
        let folder_of = |id| Member::of(raft.configuration(), NodeId(id)).incarnation;
        ([1, 4, 9].map(folder_of), raft.last().index)
    };
    let (folders, last) = hear(11);
    assert_eq!(folders, [Some(OWN_FOLDER), Some(11), None]);
    // Another folder under that id is none of a member, and changes nothing.
    assert_eq!(hear(12), (folders, last));
    // Nor does what was heard of one that was removed count for the one that is added anew.
    changed(&mut node, &[MemberChange::Remove { node: 4 }])
        .unwrap()
        .unwrap();
    changed(&mut node, &[add(4)]).unwrap().unwrap();
    node.tick();
    turn(&mut node, &mut Outbox::default()).unwrap();
    let configuration = node.core().raft().configuration();
    assert_eq!(Member::of(configuration, NodeId(4)).incarnation, None);
}

#[test]
fn leadership_is_handed_over_to_voters_only() {
    let mut node = sole(&SimDisk::new());
    let mut transfer = |to| {
        let mut out = Outbox::default();
        node.transfer(Ticket(1), NodeId(to));
        turn(&mut node, &mut out).unwrap();
        out.done.pop().map(|(_, result)| result)
    };
    assert_eq!(transfer(1), Some(Ok(Done::Transferred)));
    let stranger = Err(NotDone::Transfer(TransferError::NotVoter(NodeId(2))));
    assert_eq!(transfer(2), Some(stranger));
}

#[test]
fn a_snapshot_that_was_asked_for_is_there_when_that_is_answered() {
    let disk = SimDisk::new();
    let mut node = open(&disk, &options(1)).unwrap();
    let mut out = Outbox::default();
    node.snapshot(Ticket(1));
    turn(&mut node, &mut out).unwrap();
    assert_eq!(out.done, [(Ticket(1), Err(NotDone::NothingApplied))]);
    drop(node);

    let mut node = sole(&disk);
    node.command(Ticket(2), put(1, b"v"));
    node.snapshot(Ticket(3));
    let mut out = Outbox::default();
    turn(&mut node, &mut out).unwrap();
    let index = Index(1);
    assert_eq!(out.done, [(Ticket(3), Ok(Done::Snapshotted { index }))]);
    // Once more, of more; and once more, of the same.
    for ticket in [4, 5] {
        let mut out = Outbox::default();
        node.snapshot(Ticket(ticket));
        turn(&mut node, &mut out).unwrap();
        let index = Index(2);
        assert_eq!(out.done, [(Ticket(ticket), Ok(Done::Snapshotted { index }))]);
    }
    let snapshots = disk
        .files()
        .into_iter()
        .filter(|(name, _)| name.starts_with("snapshot-"));
    assert_eq!(snapshots.count(), 1);
}

#[test]
fn a_node_that_is_to_join_waits_and_founds_nothing() {
    let joins = Options {
        voters: Vec::new(),
        ..options(1)
    };
    let disk = SimDisk::new();
    let mut node = open(&disk, &joins).unwrap();
    for _ in 0..200 {
        node.tick();
        turn(&mut node, &mut Outbox::default()).unwrap();
    }
    assert_eq!(node.core().raft().term(), raft::Term(0));
    drop(node);
    // Whatever it is told at the next start: its folder has begun by joining.
    let node = open(&disk, &options(1)).unwrap();
    assert_eq!(node.core().raft().configuration().members(), []);
}
