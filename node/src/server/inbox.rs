//! What has come in and waits for the next turn of the loop.

use super::clients::Client;
use bytes::Bytes;
use raft::{Envelope, NodeId};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use tokio::sync::Notify;
use wire::client::Request;

/// How many bytes of frames wait at most; whoever reads from a connection waits then. One frame may go beyond it.
const INBOX_BYTES_MAX: usize = 16 << 20;

/// What every input counts beside its frame, so that small ones are bounded too.
const INPUT_BYTES: usize = 256;

/// One thing that came in.
#[derive(Debug)]
pub(crate) enum Input {
    /// A client asks.
    Request { client: Rc<Client>, request: Request },
    /// Another node says something.
    Message(Envelope<Bytes>),
    /// What was sent to another node may be lost.
    Unreachable(NodeId),
}

/// What has come in. It lives on one thread: tasks that read put in, the loop takes out.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    inputs: RefCell<Vec<Input>>,
    bytes: Cell<usize>,
    arrived: Notify,
    emptied: Notify,
}

impl Inbox {
    /// Puts in what came in a frame of `bytes`.
    pub(crate) fn push(&self, input: Input, bytes: usize) {
        self.inputs.borrow_mut().push(input);
        self.bytes.set(self.bytes.get() + bytes + INPUT_BYTES);
        self.arrived.notify_one();
    }

    /// Waits until there is room for another frame.
    pub(crate) async fn room(&self) {
        while self.bytes.get() >= INBOX_BYTES_MAX {
            self.emptied.notified().await;
        }
    }

    /// Waits until there is something, or [`Inbox::poke`] was called.
    pub(crate) async fn arrived(&self) {
        self.arrived.notified().await;
    }

    /// Makes the loop turn once more.
    pub(crate) fn poke(&self) {
        self.arrived.notify_one();
    }

    /// Takes everything out, into the empty `into`.
    pub(crate) fn take(&self, into: &mut Vec<Input>) {
        debug_assert!(into.is_empty(), "inputs were left over from the last turn");
        std::mem::swap(&mut *self.inputs.borrow_mut(), into);
        if self.bytes.replace(0) >= INBOX_BYTES_MAX {
            self.emptied.notify_waiters();
        }
    }
}
