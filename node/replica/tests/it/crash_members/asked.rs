//! What whoever leads is asked in the life, again and again until it is answered.

use super::life::{Life, PATIENCE_TICKS, PLACES, TRIES_MAX};
use crate::group::{Group, Node};
use bytes::Bytes;
use raft::RoleKind;
use replica::{Answer, Done, Refusal, Ticket};
use wire::client::MemberChange;
use wire::record::{Command, Once, Operation};

impl Life {
    /// Asks whoever leads, until `heard` has heard what it wants to.
    pub(super) fn ask<T>(
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

    pub(super) fn answer(&mut self, ask: impl FnMut(&mut Node, Ticket)) -> Answer {
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
    pub(super) fn send(&mut self, sequence: u64, command: &Command) -> Answer {
        let once = Once {
            session: self.session,
            sequence,
            answered_below: 1,
        };
        self.answer(|node, ticket| node.command_once(ticket, once, command.clone()))
    }

    pub(super) fn carry_out(&mut self, command: Command) -> Answer {
        let sequence = self.answered.len() as u64 + 1;
        let answer = self.send(sequence, &command);
        self.answered.push((command, answer.clone()));
        answer
    }

    /// Appends so many times; the length tells if one was lost or took effect twice.
    pub(super) fn append(&mut self, times: usize) {
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
    pub(super) fn take_snapshots(&mut self) {
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

    pub(super) fn change_voters(&mut self, changes: &[MemberChange]) {
        let voters = self.voters.clone();
        self.change(changes, |configuration| {
            !configuration.is_joint() && configuration.voters() == voters
        });
    }

    /// Has the members changed until that is acknowledged, or was done by an earlier attempt.
    pub(super) fn change(
        &mut self,
        changes: &[MemberChange],
        is_done: impl Fn(&raft::Configuration) -> bool,
    ) {
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
    pub(super) fn catch_up(&mut self) {
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
}
