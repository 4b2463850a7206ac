//! What is to happen, in the order of virtual time.

use crate::clients::Response;
use crate::history::Op;
use crate::server::Input;
use bytes::Bytes;
use raft::NodeId;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use wire::record::Once;

#[derive(Debug)]
pub(crate) enum Event {
    Tick {
        node: usize,
    },
    Deliver {
        from: usize,
        to: usize,
        payload: Bytes,
        /// Its number on the link, for the script.
        message: u64,
    },
    DiskDone {
        node: usize,
        incarnation: u64,
    },
    /// What a node began to write is over.
    Landed {
        node: usize,
        incarnation: u64,
    },
    Start {
        node: usize,
    },
    Resume {
        node: usize,
        incarnation: u64,
    },
    Mend {
        links: Vec<(usize, usize)>,
    },
    /// Links are as fast as usual again.
    Quicken {
        links: Vec<(usize, usize)>,
        by: u64,
    },
    /// Time for the fault of this number.
    Nemesis {
        number: u32,
    },
    Coup {
        node: usize,
        term: u64,
    },
    /// Part of a fault that comes a moment after it began: somebody orders something.
    Order {
        node: usize,
        input: Input,
    },
    /// Part of a fault that comes a moment after it began: a node is cut off.
    Isolate {
        node: usize,
        lasts: u64,
    },
    /// Part of a fault that comes a moment after it began: links carry nothing.
    Cut {
        links: Vec<(usize, usize)>,
        lasts: u64,
    },
    /// An operator has the new leader of `term` change who takes part.
    Eager {
        node: usize,
        term: u64,
    },
    Next {
        client: usize,
    },
    Request {
        client: usize,
        attempt: u64,
        node: usize,
        op: Op,
        once: Option<Once>,
    },
    /// Time to send an operation of a session again.
    Insist {
        client: usize,
        operation: u64,
    },
    Reply {
        client: usize,
        attempt: u64,
        response: Response,
    },
    Retry {
        client: usize,
        operation: u64,
        leader: Option<NodeId>,
    },
    Timeout {
        client: usize,
        operation: u64,
    },
    /// A link of the leader's is cut for good.
    CutLink,
    Heal,
    Look,
}

/// Events that are still to come.
///
/// The heap orders when and which, not the events themselves: those are large, and would be moved about.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// When, as which of all that were scheduled, and where the event is. What was scheduled first comes first.
    heap: BinaryHeap<Reverse<(u64, u64, usize)>>,
    events: Vec<Option<Event>>,
    /// Places among the events that hold none.
    free: Vec<usize>,
    scheduled: u64,
}

impl Queue {
    pub(super) fn push(&mut self, at: u64, event: Event) {
        self.scheduled += 1;
        let place = self.free.pop().unwrap_or_else(|| {
            self.events.push(None);
            self.events.len() - 1
        });
        self.events[place] = Some(event);
        self.heap.push(Reverse((at, self.scheduled, place)));
    }

    /// The next event, and when it happens.
    pub(super) fn pop(&mut self) -> Option<(u64, Event)> {
        let Reverse((at, _, place)) = self.heap.pop()?;
        let event = self.events[place].take();
        self.free.push(place);
        Some((at, event.expect("the place of what is scheduled holds it")))
    }
}
