//! A process: the production replica, what waits for it, and what was last seen of it.

use super::input::{Asked, Input};
use crate::disk::SimDisk;
use raft::{Configuration, Event, Index, LogPosition, Logger, NodeId, Raft, RoleKind, Storage, Term};
use replica::{Replica, Ticket};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

/// What was last seen of a node; checked against what is seen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) role: RoleKind,
    pub(crate) term: Term,
    pub(crate) commit: Index,
    pub(crate) applied: Index,
    pub(crate) last: LogPosition,
    /// Where its log begins.
    pub(crate) first: Index,
}

/// Remembers configurations: one may come into force and be rolled back between two looks at its server, and decide something meanwhile.
#[derive(Clone, Debug, Default)]
pub(crate) struct Passing(Rc<RefCell<Vec<Arc<Configuration>>>>);

impl Passing {
    /// Those that came into force since the last time.
    pub(crate) fn take(&self) -> Vec<Arc<Configuration>> {
        self.0.take()
    }

    /// Whether one of them is such a one.
    pub(crate) fn any(&self, is_such: impl Fn(&Configuration) -> bool) -> bool {
        self.0.borrow().iter().any(|configuration| is_such(configuration))
    }
}

impl Logger for Passing {
    fn log(&mut self, _: NodeId, event: Event) {
        if let Event::ConfigurationChanged { configuration, .. } = event {
            self.0.borrow_mut().push(configuration);
        }
    }
}

/// A process.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) replica: Replica<SimDisk, Passing>,
    /// The configurations that came into force since it was looked at.
    pub(crate) passing: Passing,
    pub(crate) inbox: VecDeque<Input>,
    pub(crate) asked: BTreeMap<Ticket, Asked>,
    /// What an operator asked for and is not answered.
    pub(crate) ordered: BTreeSet<Ticket>,
    /// From whom a message came: those were told apart by their data folders.
    pub(super) heard: BTreeSet<NodeId>,
    pub(crate) seen: Seen,
    pub(crate) paused: bool,
    /// How much of the disk its log took after the last turn, in bytes.
    pub(super) log_bytes: u64,
    /// Its messages were sent, and its disk is at work.
    pub(crate) in_turn: bool,
    /// The disk was ready while the process was paused.
    pub(crate) disk_done: bool,
}

#[derive(Debug)]
pub(crate) enum Process {
    Up(Box<Running>),
    Down,
    /// Its disk is corrupt, or it was removed and is needed no more: it will not start again.
    Gone,
}

pub(super) fn seen<S: Storage>(raft: &Raft<S>) -> Seen {
    Seen {
        role: raft.role(),
        term: raft.term(),
        commit: raft.commit_index(),
        applied: raft.applied_index(),
        last: raft.last(),
        first: raft.first_index(),
    }
}
