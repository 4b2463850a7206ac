//! The life: what happens in it, and what is lost when a process dies.

use crate::group::{Group, Node};
use crate::late::Fate;
use bytes::Bytes;
use raft::{NodeId, RoleKind};
use replica::Answer;
use sim::{DiskFault, Remainder};
use std::fmt;
use wire::client::MemberChange;
use wire::record::Command;

/// How often something is asked again until it is answered.
pub(super) const TRIES_MAX: usize = 40;
/// For how many ticks an answer is waited for.
pub(super) const PATIENCE_TICKS: usize = 40;
/// For how many ticks a node is down whose process or machine has died: the others have elected somebody by then.
pub(super) const DOWN_TICKS: usize = 30;
/// A value that makes no snapshot long, and one with which it travels in several pieces.
pub(super) const SMALL_BYTES: usize = 100;
pub(super) const BIG_BYTES: usize = 300 << 10;
/// All nodes: three that found the cluster and one that joins.
pub(super) const PLACES: usize = 4;

/// What is lost when a process dies in an operation.
#[derive(Clone, Copy, Debug)]
pub(super) enum Loss {
    /// Nothing beside: what was written stays.
    Process,
    /// Its machine loses power.
    Power(Remainder),
    /// All machines do, at that moment.
    PowerEverywhere(Remainder),
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Fault {
    pub(super) place: usize,
    /// Counted from when all nodes have started for the first time.
    pub(super) operation: u64,
    /// How much of it is done, of 255.
    pub(super) portion: u8,
    pub(super) loss: Loss,
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
pub(super) struct Setting {
    pub(super) value_bytes: usize,
    pub(super) fate: Fate,
}

pub(super) const AT_ONCE: Setting = Setting {
    value_bytes: SMALL_BYTES,
    fate: Fate::Lands,
};
pub(super) const LATE: Setting = Setting {
    value_bytes: SMALL_BYTES,
    fate: Fate::Waits,
};
pub(super) const LONG: Setting = Setting {
    value_bytes: BIG_BYTES,
    fate: Fate::Lands,
};

/// What each disk has done when a part of the life is over.
pub(super) type Operations = [u64; PLACES];

pub(super) struct Life {
    pub(super) group: Group,
    pub(super) setting: Setting,
    pub(super) fault: Option<Fault>,
    pub(super) has_struck: bool,
    /// How long the node that crashed stays down.
    pub(super) down_ticks: usize,
    pub(super) last_ticket: u64,
    pub(super) session: u64,
    /// The commands so far, and what was answered.
    pub(super) answered: Vec<(Command, Answer)>,
    /// How many bytes were appended.
    pub(super) length: u64,
    /// Who votes, as it was acknowledged last.
    pub(super) voters: Vec<NodeId>,
    /// After each part of the life.
    pub(super) parts: Vec<(&'static str, Operations)>,
    pub(super) had_joint: bool,
}

impl Life {
    pub(super) fn begin(setting: Setting, fault: Option<Fault>) -> Life {
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
    pub(super) fn live(&mut self) {
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

    pub(super) fn part_ends(&mut self, name: &'static str) {
        let operations = std::array::from_fn(|place| self.group.disks[place].operations());
        self.parts.push((name, operations));
    }

    pub(super) fn say(&self) -> String {
        self.fault
            .map_or_else(|| String::from("without a fault"), |fault| fault.to_string())
    }

    pub(super) fn settle(&mut self) {
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

    pub(super) fn lose_power_everywhere(&mut self, remainder: Remainder) {
        self.group.packets.clear();
        for place in 0..PLACES {
            self.group.nodes[place] = None;
            self.group.disks[place].power_loss(remainder);
            self.start(place);
        }
    }

    /// Starts a node again; its disk must be in order.
    pub(super) fn start(&mut self, place: usize) {
        self.group.disks[place].revive();
        let node = self.group.try_open(place);
        let node =
            node.unwrap_or_else(|error| panic!("{}: n{} does not start: {error}", self.say(), place + 1));
        self.group.nodes[place] = Some(node);
    }

    pub(super) fn tick(&mut self) {
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
    pub(super) fn leader(&self) -> Option<usize> {
        let statuses = self.group.nodes.iter().enumerate();
        let leaders = statuses.filter_map(|(place, node)| {
            let raft = node.as_ref()?.core().raft();
            (raft.role() == RoleKind::Leader).then(|| (raft.term(), place))
        });
        leaders.max().map(|(_, place)| place)
    }

    /// The voters become equal, and say again what they said.
    pub(super) fn check(&mut self) {
        for _ in 0..DOWN_TICKS {
            self.tick();
        }
        self.ask_again();
        // Once more, out of the snapshots and the logs that are durable.
        self.lose_power_everywhere(Remainder::Nothing);
        self.ask_again();
    }

    pub(super) fn ask_again(&mut self) {
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
    pub(super) fn are_equal(&self) -> bool {
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
