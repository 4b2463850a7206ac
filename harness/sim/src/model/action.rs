//! What may happen next.

use super::server::Input;
use super::universe::{MessageKey, Universe};
use raft::{Change, NodeId};

/// What may still be done in a world.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Left {
    pub(super) proposals: u8,
    pub(super) crashes: u8,
    pub(super) reads: u8,
    pub(super) compactions: u8,
    pub(super) transfers: u8,
    pub(super) wipes: u8,
    /// A bit for each of the world's changes.
    pub(super) changes: u8,
}

/// One step of a world. Servers are named by their places, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Timeout(u8),
    Silent(u8),
    Heartbeat(u8),
    QuorumCheck(u8),
    /// This message arrives, not for the last time.
    Deliver(MessageKey),
    Persist(u8),
    Crash(u8),
    Propose(u8),
    Read(u8),
    LeaseRead(u8),
    Tick(u8),
    Wipe(u8),
    Compact(u8),
    /// At this server, this one of the world's changes.
    Change(u8, u8),
    Transfer(u8, u8),
    SnapshotLost(u8, u8),
}

pub(super) fn id(place: u8) -> NodeId {
    NodeId(u64::from(place) + 1)
}

impl Action {
    /// The place of the server that it happens to.
    pub(super) fn server(self) -> usize {
        match self {
            Action::Deliver(message) => message.to(),
            Action::Timeout(place)
            | Action::Silent(place)
            | Action::Heartbeat(place)
            | Action::QuorumCheck(place)
            | Action::Persist(place)
            | Action::Crash(place)
            | Action::Propose(place)
            | Action::Read(place)
            | Action::LeaseRead(place)
            | Action::Tick(place)
            | Action::Wipe(place)
            | Action::Compact(place)
            | Action::Change(place, _)
            | Action::Transfer(place, _)
            | Action::SnapshotLost(place, _) => usize::from(place),
        }
    }

    /// A number that tells it from others at the same server.
    pub(super) fn code(self, left: Left) -> u32 {
        let code = |kind: u32, payload: u8| kind << 28 | u32::from(payload);
        match self {
            Action::Deliver(message) => message.0 >> 6,
            Action::Timeout(_) => code(1, 0),
            Action::Silent(_) => code(2, 0),
            Action::Heartbeat(_) => code(3, 0),
            Action::QuorumCheck(_) => code(4, 0),
            Action::Persist(_) => code(5, 0),
            Action::Crash(_) => code(6, 0),
            Action::Propose(_) => code(7, left.proposals),
            Action::Read(_) => code(8, left.reads),
            Action::Compact(_) => code(9, 0),
            Action::Change(_, which) => code(10, which),
            Action::Transfer(_, to) => code(11, to),
            Action::SnapshotLost(_, to) => code(12, to),
            Action::LeaseRead(_) => code(13, left.reads),
            Action::Tick(_) => code(14, 0),
            Action::Wipe(_) => code(15, 0),
        }
    }

    /// What it is for the server.
    pub(super) fn input(self, universe: &Universe, left: Left) -> Input {
        match self {
            Action::Deliver(message) => {
                Input::Deliver(raft::Envelope::clone(&universe.message(message).envelope))
            }
            Action::Timeout(_) => Input::Timeout,
            Action::Silent(_) => Input::Silent,
            Action::Heartbeat(_) => Input::Heartbeat,
            Action::QuorumCheck(_) => Input::QuorumCheck,
            Action::Persist(_) => Input::Persist,
            Action::Crash(_) => Input::Crash,
            // Each command and each read is told from the others by how many were left.
            Action::Propose(_) => Input::Propose(left.proposals),
            Action::Read(_) => Input::Read(left.reads),
            Action::LeaseRead(_) => Input::LeaseRead(left.reads),
            Action::Tick(_) => Input::Tick,
            Action::Wipe(_) => Input::Wipe,
            Action::Compact(_) => Input::Compact,
            Action::Change(_, which) => Input::Change(which),
            Action::Transfer(_, to) => Input::Transfer(id(to)),
            Action::SnapshotLost(_, to) => Input::SnapshotLost(id(to)),
        }
    }
}

/// A step for people: an input and whom it comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) server: NodeId,
    pub(super) input: Input,
}

impl Step {
    /// In the notation of the golden scripts; a message in words.
    pub(super) fn words(&self, changes: &[super::worlds::Planned]) -> String {
        let id = self.server.0;
        match &self.input {
            Input::Timeout => format!("timeout {id}"),
            Input::Silent => format!("silent {id}"),
            Input::Heartbeat => format!("heartbeat {id}"),
            Input::QuorumCheck => format!("quorum-check {id}"),
            Input::Deliver(envelope) => format!("deliver {envelope}"),
            Input::Persist => format!("persist {id}"),
            Input::Crash => format!("crash {id}"),
            Input::Propose(command) => format!("propose {id} {}", command_name(*command)),
            Input::Read(token) => format!("read {id} {token}"),
            Input::LeaseRead(token) => format!("lease-read {id} {token}"),
            // Scripts know no times: a comment.
            Input::Wipe => format!("given {id} term=0"),
            Input::Tick => format!("# The clock of n{id} goes on by a tick."),
            Input::Compact => format!("compact {id}"),
            Input::Change(which) => {
                let words = changes[usize::from(*which)]
                    .changes
                    .iter()
                    .map(|change| match change {
                        Change::AddVoter(node) => format!(" +{}", node.0),
                        Change::AddLearner(node) => format!(" ~{}", node.0),
                        Change::Remove(node) => format!(" -{}", node.0),
                    });
                format!("change {id}{}", words.collect::<String>())
            }
            Input::Transfer(to) => format!("transfer {id} {}", to.0),
            Input::SnapshotLost(to) => format!("report {id} {} failed", to.0),
        }
    }
}

/// Commands have letters for names, from the end of the alphabet, as they are counted down.
pub(super) fn command_name(command: u8) -> char {
    char::from(b'z'.saturating_sub(command))
}
