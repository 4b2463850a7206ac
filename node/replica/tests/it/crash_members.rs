//! A crash at every operation of every node's disk, in a life in which a cluster does everything that changes its disks at once: clients
//! in sessions, snapshots, compaction, a node that comes and gets a snapshot, another that leaves by way of a joint configuration, and
//! the leader's own removal.
//!
//! Whatever was acknowledged is there afterwards: each command took effect once, its answer is still known, also where it comes out of a
//! snapshot alone, and the members are those that were acknowledged.
//!
//! Of crashes that leave the same on the disk at the same moment, one is lived through: it makes no difference how much was done of an
//! operation that reads, or of a write that a loss of power undoes.

use crate::group::{Group, Node};
use crate::late::Fate;
use bytes::Bytes;
use raft::{NodeId, RoleKind, Storage as _};
use replica::{Answer, Done, Refusal, Ticket};
use sim::{DiskFault, Remainder, SimDisk};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt;
use std::rc::Rc;
use wire::client::MemberChange;
use wire::record::{Command, Once, Operation};

/// How often something is asked again until it is answered.
const TRIES_MAX: usize = 40;
/// For how many ticks an answer is waited for.
const PATIENCE_TICKS: usize = 40;
/// For how many ticks a node is down whose process or machine has died: the others have elected somebody by then.
const DOWN_TICKS: usize = 30;
/// A value that makes no snapshot long, and one with which it travels in several pieces.
const SMALL_BYTES: usize = 100;
const BIG_BYTES: usize = 300 << 10;
/// All nodes: three that found the cluster and one that joins.
const PLACES: usize = 4;

/// What is lost when a process dies in an operation.
#[derive(Clone, Copy, Debug)]
enum Loss {
    /// Nothing beside: what was written stays.
    Process,
    /// Its machine loses power.
    Power(Remainder),
    /// All machines do, at that moment.
    PowerEverywhere(Remainder),
}

#[derive(Clone, Copy, Debug)]
struct Fault {
    place: usize,
    /// Counted from when all nodes have started for the first time.
    operation: u64,
    /// How much of it is done, of 255.
    portion: u8,
    loss: Loss,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Fault {
            place,
            operation,
            portion,
            loss,
        } = self;
        let node = place + 1;
        write!(
            f,
            "n{node} crashes in operation {operation}, {portion} of 255 done, {loss:?}"
        )
    }
}

/// How long the value is that is written first, and what becomes of writes that a leader begins: they land at once, or when
/// everything else that follows from what was sent has happened.
#[derive(Clone, Copy, Debug)]
struct Setting {
    value_bytes: usize,
    fate: Fate,
}

const AT_ONCE: Setting = Setting {
    value_bytes: SMALL_BYTES,
    fate: Fate::Lands,
};
const LATE: Setting = Setting {
    value_bytes: SMALL_BYTES,
    fate: Fate::Waits,
};
const LONG: Setting = Setting {
    value_bytes: BIG_BYTES,
    fate: Fate::Lands,
};

/// What each disk has done when a part of the life is over.
type Operations = [u64; PLACES];

struct Life {
    group: Group,
    setting: Setting,
    fault: Option<Fault>,
    has_struck: bool,
    /// How long the node that crashed stays down.
    down_ticks: usize,
    last_ticket: u64,
    session: u64,
    /// The commands so far, and what was answered.
    answered: Vec<(Command, Answer)>,
    /// How many bytes were appended.
    length: u64,
    /// Who votes, as it was acknowledged last.
    voters: Vec<NodeId>,
    /// After each part of the life.
    parts: Vec<(&'static str, Operations)>,
    had_joint: bool,
}

impl Life {
    fn begin(setting: Setting, fault: Option<Fault>) -> Life {
        let group = Group::of(3, 1);
        group.fate.set(setting.fate);
        if let Some(fault) = fault {
            let crash = DiskFault::Crash {
                portion: fault.portion,
            };
            group.disks[fault.place].fail_at(fault.operation, crash);
        }
        let mut life = Life {
            group,
            setting,
            fault,
            has_struck: false,
            down_ticks: 0,
            last_ticket: 0,
            session: 0,
            answered: Vec::new(),
            length: 0,
            voters: [1, 2, 3].map(NodeId).to_vec(),
            parts: Vec::new(),
            had_joint: false,
        };
        life.part_ends("start");
        life
    }

    /// All of it.
    fn live(&mut self) {
        self.group.nodes[0].as_mut().unwrap().campaign();
        self.settle();
        let session = self.answer(|node, ticket| node.open_session(ticket));
        let Answer::SessionOpened { session, .. } = session else {
            panic!("{session:?}")
        };
        self.session = session;
        self.carry_out(Command::Put {
            key: Bytes::from_static(b"value"),
            value: Bytes::from(vec![b'v'; self.setting.value_bytes]),
        });
        self.append(3);
        self.part_ends("commands");
        self.take_snapshots();
        self.part_ends("snapshots");
        let four = NodeId(4);
        let address = String::from("a:4");
        self.change(
            &[MemberChange::AddLearner { node: 4, address }],
            |configuration| configuration.is_member(four),
        );
        self.append(2);
        self.catch_up();
        self.part_ends("learner");
        let changes = vec![
            MemberChange::Promote { node: 4 },
            MemberChange::Remove { node: 2 },
        ];
        self.voters = [1, 3, 4].map(NodeId).to_vec();
        self.change_voters(&changes);
        self.append(2);
        self.part_ends("joint");
        self.take_snapshots();
        self.part_ends("snapshots again");
        let gone = self.leader().map_or(NodeId(1), |place| NodeId(place as u64 + 1));
        self.voters.retain(|voter| *voter != gone);
        self.change_voters(&[MemberChange::Remove { node: gone.0 }]);
        self.append(2);
        self.part_ends("removal");
        self.take_snapshots();
        self.part_ends("end");
    }

    fn part_ends(&mut self, name: &'static str) {
        let operations = std::array::from_fn(|place| self.group.disks[place].operations());
        self.parts.push((name, operations));
    }

    fn say(&self) -> String {
        self.fault
            .map_or_else(|| String::from("without a fault"), |fault| fault.to_string())
    }

    fn settle(&mut self) {
        self.group.settle();
        let joint = |node: &Node| node.core().raft().configuration().is_joint();
        self.had_joint |= self.group.nodes.iter().flatten().any(joint);
        let Some(fault) = self.fault.filter(|_| !self.has_struck) else {
            return;
        };
        if self.group.nodes[fault.place].is_some() {
            return;
        }
        self.has_struck = true;
        match fault.loss {
            Loss::Process => self.down_ticks = DOWN_TICKS,
            Loss::Power(remainder) => {
                self.group.disks[fault.place].power_loss(remainder);
                self.down_ticks = DOWN_TICKS;
            }
            Loss::PowerEverywhere(remainder) => self.lose_power_everywhere(remainder),
        }
    }

    fn lose_power_everywhere(&mut self, remainder: Remainder) {
        self.group.packets.clear();
        for place in 0..PLACES {
            self.group.nodes[place] = None;
            self.group.disks[place].power_loss(remainder);
            self.start(place);
        }
    }

    /// Starts a node again; its disk must be in order.
    fn start(&mut self, place: usize) {
        self.group.disks[place].revive();
        let node = self.group.try_open(place);
        let node =
            node.unwrap_or_else(|error| panic!("{}: n{} does not start: {error}", self.say(), place + 1));
        self.group.nodes[place] = Some(node);
    }

    fn tick(&mut self) {
        if let Some(fault) = self.fault.filter(|_| self.down_ticks > 0) {
            self.down_ticks -= 1;
            if self.down_ticks == 0 {
                self.start(fault.place);
            }
        }
        for node in self.group.nodes.iter_mut().flatten() {
            node.tick();
        }
        self.settle();
    }

    /// Whoever leads, by the latest term.
    fn leader(&self) -> Option<usize> {
        let statuses = self.group.nodes.iter().enumerate();
        let leaders = statuses.filter_map(|(place, node)| {
            let raft = node.as_ref()?.core().raft();
            (raft.role() == RoleKind::Leader).then(|| (raft.term(), place))
        });
        leaders.max().map(|(_, place)| place)
    }

    /// Asks whoever leads, until `heard` has heard what it wants to.
    fn ask<T>(
        &mut self,
        mut ask: impl FnMut(&mut Node, Ticket),
        mut heard: impl FnMut(&mut Group, Ticket) -> Option<Result<T, String>>,
    ) -> T {
        let mut last = String::from("nobody leads");
        for _ in 0..TRIES_MAX {
            let Some(leader) = self.leader() else {
                for _ in 0..PATIENCE_TICKS {
                    self.tick();
                }
                continue;
            };
            self.last_ticket += 1;
            let ticket = Ticket(self.last_ticket);
            ask(self.group.nodes[leader].as_mut().unwrap(), ticket);
            self.settle();
            for _ in 0..PATIENCE_TICKS {
                match heard(&mut self.group, ticket) {
                    Some(Ok(answer)) => return answer,
                    Some(Err(reason)) => {
                        last = reason;
                        break;
                    }
                    None => self.tick(),
                }
            }
            self.tick();
        }
        panic!("{}: asked again and again: {last}", self.say())
    }

    fn answer(&mut self, ask: impl FnMut(&mut Node, Ticket)) -> Answer {
        let say = self.say();
        self.ask(ask, |group, ticket| {
            let replies = &mut group.told.replies;
            let place = replies.iter().position(|(told, _)| *told == ticket)?;
            match replies.swap_remove(place).1 {
                Ok(answer) => Some(Ok(answer)),
                Err(
                    refusal @ (Refusal::NotLeader { .. }
                    | Refusal::LeadershipLost
                    | Refusal::ReadAborted
                    | Refusal::Busy),
                ) => Some(Err(format!("{refusal:?}"))),
                Err(refusal @ (Refusal::SessionExpired | Refusal::ReplyForgotten | Refusal::Unfit(_))) => {
                    panic!("{say}: a command of the session is refused: {refusal:?}")
                }
            }
        })
    }

    /// Sends the command with this number until it is answered.
    fn send(&mut self, sequence: u64, command: &Command) -> Answer {
        let once = Once {
            session: self.session,
            sequence,
            answered_below: 1,
        };
        self.answer(|node, ticket| node.command_once(ticket, once, command.clone()))
    }

    fn carry_out(&mut self, command: Command) -> Answer {
        let sequence = self.answered.len() as u64 + 1;
        let answer = self.send(sequence, &command);
        self.answered.push((command, answer.clone()));
        answer
    }

    /// Appends so many times; the length tells if one was lost or took effect twice.
    fn append(&mut self, times: usize) {
        for _ in 0..times {
            self.length += 1;
            let answer = self.carry_out(Command::Operation(Operation::Append {
                key: Bytes::from_static(b"log"),
                suffix: Bytes::from_static(b"x"),
            }));
            assert_eq!(answer, Answer::Length(self.length), "{}", self.say());
        }
    }

    /// Every node that is up has a snapshot of all that it has applied.
    fn take_snapshots(&mut self) {
        for place in 0..PLACES {
            self.last_ticket += 1;
            let ticket = Ticket(self.last_ticket);
            if let Some(node) = &mut self.group.nodes[place] {
                node.snapshot(ticket);
            }
        }
        for _ in 0..3 {
            self.settle();
        }
    }

    fn change_voters(&mut self, changes: &[MemberChange]) {
        let voters = self.voters.clone();
        self.change(changes, |configuration| {
            !configuration.is_joint() && configuration.voters() == voters
        });
    }

    /// Has the members changed until that is acknowledged, or was done by an earlier attempt.
    fn change(&mut self, changes: &[MemberChange], is_done: impl Fn(&raft::Configuration) -> bool) {
        let is_in_force = |group: &Group| {
            let leads = |node: &&Node| node.core().raft().role() == RoleKind::Leader;
            let raft = group
                .nodes
                .iter()
                .flatten()
                .filter(leads)
                .map(|node| node.core().raft());
            let raft = raft.max_by_key(|raft| raft.term())?;
            // The first of them is that of the applied state.
            (raft.configurations().len() == 1 && is_done(raft.configuration())).then_some(())
        };
        self.ask(
            |node, ticket| node.reconfigure(ticket, changes),
            |group, ticket| {
                let done = &mut group.told.done;
                let place = done.iter().position(|(told, _)| *told == ticket)?;
                match done.swap_remove(place).1 {
                    Ok(Done::Reconfigured) => Some(Ok(())),
                    Ok(Done::Transferred | Done::Snapshotted { .. }) => panic!("another thing was asked"),
                    Err(not_done) => Some(is_in_force(group).ok_or_else(|| not_done.to_string())),
                }
            },
        );
    }

    /// Until the node that joins has all that the leader has.
    fn catch_up(&mut self) {
        for _ in 0..10 * PATIENCE_TICKS {
            let applied = |place: usize| {
                let node = self.group.nodes[place].as_ref()?;
                Some(node.core().raft().applied_index())
            };
            let leader = self.leader().and_then(applied);
            if leader.is_some() && applied(3) == leader {
                return;
            }
            self.tick();
        }
        panic!("{}: n4 does not catch up", self.say());
    }

    /// The voters become equal, and say again what they said.
    fn check(&mut self) {
        for _ in 0..DOWN_TICKS {
            self.tick();
        }
        self.ask_again();
        // Once more, out of the snapshots and the logs that are durable.
        self.lose_power_everywhere(Remainder::Nothing);
        self.ask_again();
    }

    fn ask_again(&mut self) {
        for place in 0..self.answered.len() {
            let (command, answer) = self.answered[place].clone();
            let again = self.send(place as u64 + 1, &command);
            assert_eq!(again, answer, "{}: command {place} is answered anew", self.say());
        }
        self.append(1);
        for _ in 0..10 * PATIENCE_TICKS {
            if self.are_equal() {
                return;
            }
            self.tick();
        }
        let statuses: Vec<_> = self.group.nodes.iter().flatten().map(Node::status).collect();
        panic!("{}: the voters do not become equal: {statuses:#?}", self.say());
    }

    /// Whether all who are to vote do, and have the same state.
    fn are_equal(&self) -> bool {
        let states = self.voters.iter().map(|voter| {
            let place = usize::try_from(voter.0 - 1).unwrap();
            let status = self.group.nodes[place].as_ref()?.status();
            let is_right = status.configuration.voters() == self.voters;
            is_right.then_some((status.applied_index, status.state_hash))
        });
        let states: Vec<_> = states.collect();
        states.iter().all(|state| state.is_some() && *state == states[0])
    }
}

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
