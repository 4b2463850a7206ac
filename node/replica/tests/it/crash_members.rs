//! A crash at every operation of every node's disk, in a life in which a cluster does everything that changes its disks at once: clients
//! in sessions, snapshots, compaction, a node that comes and gets a snapshot, another that leaves by way of a joint configuration, and
//! the leader's own removal.
//!
//! Whatever was acknowledged is there afterwards: each command took effect once, its answer is still known, also where it comes out of a
//! snapshot alone, and the members are those that were acknowledged.
//!
//! Of crashes that leave the same on the disk at the same moment, one is lived through: it makes no difference how much was done of an
//! operation that reads, or of a write that a loss of power undoes.

mod asked;
mod life;

use life::{AT_ONCE, Fault, LATE, LONG, Life, Loss, PLACES, Setting};
use raft::Storage as _;
use sim::{Remainder, SimDisk};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

/// The life without a fault.
fn undisturbed(setting: Setting) -> Life {
    let mut life = Life::begin(setting, None);
    life.live();
    life
}

#[test]
fn late_writes_of_a_leader_land_when_the_others_have_committed_them() {
    assert_eq!(undisturbed(AT_ONCE).group.committed_ahead, 0);
    let mut late = undisturbed(LATE);
    assert!(
        late.group.committed_ahead > late.answered.len() / 2,
        "{}",
        late.group.committed_ahead
    );
    late.check();
}

/// All names and contents, as they are, and as they are after a loss of power.
type Left = [Vec<(String, Option<Vec<u8>>)>; 2];

/// What a crash leaves on this disk for those that come later.
fn left(disk: &SimDisk) -> Left {
    let contents = |disk: &SimDisk| {
        let names = disk.files().into_iter();
        names
            .map(|(name, _)| {
                let content = disk.peek(&name);
                (name, content)
            })
            .collect()
    };
    let later = disk.copy();
    later.power_loss(Remainder::Nothing);
    [contents(disk), contents(&later)]
}

/// Each crash of this node's process that leaves something else than the others, with these portions done of the operation.
fn crashes(place: usize, setting: Setting, portions: &[u8]) -> Vec<Fault> {
    let mut life = Life::begin(setting, None);
    let begun = life.group.disks[place].operations();
    let faults: Rc<RefCell<Vec<Fault>>> = Rc::default();
    let found = Rc::clone(&faults);
    let mut seen: (u64, BTreeSet<(bool, Left)>) = Default::default();
    let watcher = move |number: u64, portion: u8, disk: SimDisk| {
        let operation = number - begun;
        if seen.0 != operation {
            seen = (operation, BTreeSet::new());
        }
        for loss in [
            Loss::Process,
            Loss::Power(Remainder::Nothing),
            Loss::Power(Remainder::Sectors { seed: operation }),
            Loss::PowerEverywhere(Remainder::Nothing),
        ] {
            let disk = disk.copy();
            let everywhere = match loss {
                Loss::Process => false,
                Loss::Power(remainder) => {
                    disk.power_loss(remainder);
                    false
                }
                Loss::PowerEverywhere(remainder) => {
                    disk.power_loss(remainder);
                    true
                }
            };
            if seen.1.insert((everywhere, left(&disk))) {
                found.borrow_mut().push(Fault {
                    place,
                    operation,
                    portion,
                    loss,
                });
            }
        }
    };
    life.group.late[place].watch(portions, Box::new(watcher));
    life.live();
    faults.take()
}

#[test]
fn the_life_has_in_it_what_it_is_there_for() {
    let mut life = undisturbed(LONG);
    let operations = |name: &str| {
        let end = life.parts.iter().position(|(known, _)| *known == name).unwrap();
        let (before, after) = (life.parts[end - 1].1, life.parts[end].1);
        std::array::from_fn::<u64, PLACES, _>(|place| after[place] - before[place])
    };
    // Each node that takes part writes in each part of the life, and so can die in it.
    for (name, at_work) in [
        ("commands", &[0, 1, 2][..]),
        ("snapshots", &[0, 1, 2]),
        ("learner", &[0, 1, 2, 3]),
        ("joint", &[0, 1, 2, 3]),
        ("snapshots again", &[0, 2, 3]),
        ("removal", &[0, 2, 3]),
        ("end", &[2, 3]),
    ] {
        let operations = operations(name);
        let idle = at_work.iter().find(|place| operations[**place] == 0);
        assert_eq!(idle, None, "{name}: {operations:?}");
    }
    assert!(life.had_joint);
    assert!(life.group.pieces.len() > 1, "{:?}", life.group.pieces);
    for voter in &life.voters {
        let place = usize::try_from(voter.0 - 1).unwrap();
        let node = life.group.nodes[place].as_ref().unwrap();
        let first = node.core().raft().storage().first_index();
        // That the session was opened, and its first command, is in no log any more.
        assert!(first.0 > life.session + 1, "{voter}: {first}");
    }
    life.check();
}

/// Lives once for each crash of this node.
fn crash_everywhere(place: usize, setting: Setting, portions: &[u8]) {
    let whole = undisturbed(setting);
    let (_, begun) = whole.parts[0];
    let (_, over) = whole.parts[whole.parts.len() - 1];
    let faults = crashes(place, setting, portions);
    let operations: BTreeSet<u64> = faults.iter().map(|fault| fault.operation).collect();
    assert!(
        operations.into_iter().eq(0..over[place] - begun[place]),
        "each operation is crashed in"
    );
    for fault in faults {
        let mut life = Life::begin(setting, Some(fault));
        life.live();
        assert!(life.has_struck, "{}: it did not come to it", life.say());
        life.check();
    }
}

#[test]
fn a_crash_of_the_first_leader_at_any_operation_loses_nothing() {
    crash_everywhere(0, AT_ONCE, &[0, 120, 255]);
}

#[test]
fn a_crash_of_the_first_leader_while_its_writes_are_on_their_way_at_any_operation_loses_nothing() {
    crash_everywhere(0, LATE, &[0, 120, 255]);
}

#[test]
fn a_crash_of_a_follower_that_is_removed_at_any_operation_loses_nothing() {
    crash_everywhere(1, AT_ONCE, &[0, 120, 255]);
}

#[test]
fn a_crash_of_a_follower_that_is_removed_while_the_leaders_writes_are_on_their_way_at_any_operation_loses_nothing()
 {
    crash_everywhere(1, LATE, &[0, 120, 255]);
}

#[test]
fn a_crash_of_a_follower_that_stays_at_any_operation_loses_nothing() {
    crash_everywhere(2, AT_ONCE, &[0, 120, 255]);
}

#[test]
fn a_crash_of_a_follower_that_stays_while_the_leaders_writes_are_on_their_way_at_any_operation_loses_nothing()
{
    crash_everywhere(2, LATE, &[0, 120, 255]);
}

#[test]
fn a_crash_of_the_node_that_joins_at_any_operation_loses_nothing() {
    crash_everywhere(3, AT_ONCE, &[0, 120, 255]);
}

#[test]
fn a_crash_of_the_node_that_joins_while_the_leaders_writes_are_on_their_way_at_any_operation_loses_nothing() {
    crash_everywhere(3, LATE, &[0, 120, 255]);
}

#[test]
fn a_crash_of_the_node_that_joins_by_a_long_snapshot_at_any_operation_loses_nothing() {
    crash_everywhere(3, LONG, &[120]);
}
