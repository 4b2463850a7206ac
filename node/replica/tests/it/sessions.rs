//! Sessions of clients over several nodes: what was answered outlives the leader, the process and the log.

use crate::common::{put, turn};
use crate::group::Group;
use bytes::Bytes;
use raft::{NodeId, RoleKind};
use replica::{Answer, Outbox, Refusal, Ticket};
use std::time::Duration;
use wire::record::{Command, Once, Operation};

fn add(key: &'static [u8]) -> Command {
    Command::Operation(Operation::Add {
        key: Bytes::from_static(key),
        amount: 1,
    })
}

fn once(session: u64, sequence: u64) -> Once {
    Once {
        session,
        sequence,
        answered_below: sequence,
    }
}

type Answered = Result<Answer, Refusal>;

impl Group {
    fn led_by(place: usize) -> Group {
        let mut group = Group::new();
        group.lead(place);
        group
    }

    /// Has a node lead. The others may stand as well, so it takes a few elections.
    fn lead(&mut self, place: usize) {
        const ELECTIONS_MAX: usize = 10;
        for _ in 0..ELECTIONS_MAX {
            // Long enough that nobody sticks to an old leader.
            for node in self.nodes.iter_mut().flatten() {
                for _ in 0..10 {
                    node.tick();
                }
            }
            self.packets.clear();
            self.nodes[place].as_mut().unwrap().campaign();
            self.settle();
            if self.nodes[place].as_ref().unwrap().status().role == RoleKind::Leader {
                return;
            }
        }
        panic!("node {} is not elected", place + 1);
    }

    /// Asks a node and has everything said and done that comes of it, unless nobody hears it.
    fn ask(&mut self, place: usize, ask: impl FnOnce(&mut crate::group::Node)) -> Vec<(Ticket, Answered)> {
        ask(self.nodes[place].as_mut().unwrap());
        let mut replies = Vec::new();
        replies.extend(self.turn(place).replies);
        while let Some(packet) = self.packets.pop_front() {
            let to = usize::try_from(packet.to().0 - 1).unwrap();
            if let Some(node) = &mut self.nodes[to] {
                node.step(packet);
            }
            let out = self.turn(to);
            if to == place {
                replies.extend(out.replies);
            }
        }
        replies
    }

    fn open_session(&mut self, place: usize) -> u64 {
        let replies = self.ask(place, |node| node.open_session(Ticket(1)));
        match replies[..] {
            [(Ticket(1), Ok(Answer::SessionOpened { session, .. }))] => session,
            _ => panic!("{replies:?}"),
        }
    }

    fn count(&mut self, place: usize, once: Once) -> Answered {
        let mut replies = self.ask(place, |node| node.command_once(Ticket(2), once, add(b"n")));
        assert_eq!(replies.len(), 1, "{replies:?}");
        replies.remove(0).1
    }
}

#[test]
fn a_command_that_was_committed_and_not_answered_is_done_once_when_the_next_leader_is_asked() {
    let mut group = Group::led_by(1);
    let session = group.open_session(1);
    // The leader dies when a follower has the command and before it has answered.
    let leader = group.nodes[1].as_mut().unwrap();
    leader.command_once(Ticket(5), once(session, 1), add(b"n"));
    let mut out = Outbox::default();
    turn(leader, &mut out).unwrap();
    assert_eq!(out.replies, []);
    for packet in out.messages {
        if packet.to() == NodeId(1) {
            group.nodes[0].as_mut().unwrap().step(packet);
        }
    }
    group.turn(0);
    group.nodes[1] = None;
    group.lead(0);
    assert_eq!(group.count(0, once(session, 1)), Ok(Answer::Sum(1)));
    assert_eq!(group.count(0, once(session, 2)), Ok(Answer::Sum(2)));
}

#[test]
fn a_retry_beside_the_first_is_carried_out_once() {
    let mut group = Group::led_by(1);
    let session = group.open_session(1);
    let replies = group.ask(1, |node| {
        node.command_once(Ticket(5), once(session, 1), add(b"n"));
        node.command_once(Ticket(6), once(session, 1), add(b"n"));
    });
    assert_eq!(replies, [5, 6].map(|ticket| (Ticket(ticket), Ok(Answer::Sum(1)))));
}

#[test]
fn what_was_answered_is_in_snapshots() {
    let mut group = Group::led_by(1);
    let session = group.open_session(1);
    assert_eq!(group.count(1, once(session, 1)), Ok(Answer::Sum(1)));
    group.alone = true;
    for key in 0..40 {
        let leader = group.nodes[1].as_mut().unwrap();
        leader.command(Ticket(key), put(key % 7, &[7; 200]));
        group.settle();
        group.tick();
    }
    group.alone = false;
    group.converge("a snapshot with a session");
    assert!(!group.pieces.is_empty(), "a snapshot was carried over");
    // Both from what came over and from what lies on the disk.
    group.lead(0);
    assert_eq!(group.count(0, once(session, 1)), Ok(Answer::Sum(1)));
    group.nodes.fill_with(|| None);
    for place in 0..3 {
        group.open(place);
    }
    group.lead(0);
    assert_eq!(group.count(0, once(session, 1)), Ok(Answer::Sum(1)));
}

#[test]
fn a_session_lives_by_the_time_in_which_somebody_leads() {
    const HOUR: Duration = Duration::from_secs(3600);
    let mut group = Group::led_by(1);
    let tell = |group: &mut Group, place: usize, now| group.nodes[place].as_mut().unwrap().time_is(now);
    let session = group.open_session(1);
    // Another clock is far ahead: only what passes on it counts.
    tell(&mut group, 0, 1000 * HOUR);
    group.lead(0);
    tell(&mut group, 0, 1001 * HOUR);
    assert_eq!(group.count(0, once(session, 1)), Ok(Answer::Sum(1)));
    group.lead(1);
    tell(&mut group, 1, HOUR);
    assert_eq!(group.count(1, once(session, 2)), Ok(Answer::Sum(2)));
    tell(&mut group, 1, 2 * HOUR + Duration::from_millis(1));
    assert_eq!(group.count(1, once(session, 3)), Err(Refusal::SessionExpired));
    assert_eq!(group.count(1, once(session, 3)), Err(Refusal::SessionExpired));
    group.converge("an expired session");
}

#[test]
fn a_node_that_does_not_lead_takes_nothing_of_a_session_in() {
    let mut group = Group::led_by(1);
    let session = group.open_session(1);
    let leader = Some(NodeId(2));
    assert_eq!(
        group.count(0, once(session, 1)),
        Err(Refusal::NotLeader { leader })
    );
    assert_eq!(group.count(1, once(session, 1)), Ok(Answer::Sum(1)));
}

/// The seeded bug is found by what the first test asks.
#[cfg(feature = "mutants")]
#[test]
fn a_replica_that_carries_retries_out_again_is_found() {
    let mut group = Group::new();
    for place in 0..3 {
        let mut options = crate::group::options(place as u64 + 1, 3);
        options.mutant = replica::Mutant::by_name("retry-applied-twice");
        let disk = group.late[place].clone();
        group.nodes[place] = replica::Replica::open(disk, &options, group.damage.clone()).ok();
    }
    group.lead(1);
    let session = group.open_session(1);
    assert_eq!(group.count(1, once(session, 1)), Ok(Answer::Sum(1)));
    assert_eq!(group.count(1, once(session, 1)), Ok(Answer::Sum(2)));
}
