//! What has come in and waits for the next turn of the loop.

use super::clients::Client;
use super::request::Task;
use raft::NodeId;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Instant;
use tokio::sync::{Notify, oneshot};
use wire::client::Error;
use wire::peer::Packet;

/// How many bytes of frames wait at most, but for the frame that goes beyond. Whoever has read another one waits with it, and reads no
/// further.
const INBOX_BYTES_MAX: usize = 16 << 20;

/// What every input counts beside its frame, so that small ones are bounded too.
const INPUT_BYTES: usize = 256;

/// One thing that came in.
#[derive(Debug)]
pub(crate) enum Input {
    /// A client asks.
    Request {
        client: Rc<Client>,
        /// The client's name for it.
        id: u64,
        /// What is to be done, if it can be.
        task: Result<Task, Error>,
        came: Instant,
    },
    /// Another node says something.
    Packet(Packet),
    /// What was sent to another node may be lost.
    Unreachable(NodeId),
    /// Another node has introduced itself; the identity of its data folder.
    Heard(NodeId, u128),
    /// A monitoring system asks how the node is.
    Metrics(oneshot::Sender<String>),
}

/// What has come in. It lives on one thread: tasks that read put in, the loop takes out.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    inputs: RefCell<VecDeque<Input>>,
    /// Those that were taken out count until the loop is done with them.
    bytes: Cell<usize>,
    /// How many of these were taken out.
    taken_bytes: Cell<usize>,
    arrived: Notify,
    emptied: Notify,
}

impl Inbox {
    /// Puts in what came in a frame of `bytes`, as soon as there is room.
    ///
    /// The room is looked for when the frame is there: many who wait for their frames must not take one room for their own.
    pub(crate) async fn put(&self, input: Input, bytes: usize) {
        while self.bytes.get() >= INBOX_BYTES_MAX {
            self.emptied.notified().await;
        }
        self.push(input, bytes);
    }

    /// Puts in what came in a frame of `bytes`, room or not.
    pub(crate) fn push(&self, input: Input, bytes: usize) {
        let mut inputs = self.inputs.borrow_mut();
        inputs.push_back(input);
        self.bytes.set(self.bytes.get() + bytes + INPUT_BYTES);
        if inputs.len() == 1 {
            // Whoever takes that one out takes all.
            self.arrived.notify_one();
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

    /// Takes everything out, into the empty `into`. What is there now keeps its room until [`Inbox::is_taken_in`].
    pub(crate) fn take(&self, into: &mut VecDeque<Input>) {
        debug_assert!(into.is_empty(), "inputs were left over from the last turn");
        std::mem::swap(&mut *self.inputs.borrow_mut(), into);
        self.taken_bytes.set(self.bytes.get());
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.inputs.borrow().is_empty()
    }

    /// The loop is done with what it took.
    pub(crate) fn is_taken_in(&self) {
        let bytes = self.bytes.get();
        self.bytes.set(bytes - self.taken_bytes.take());
        if bytes >= INBOX_BYTES_MAX {
            self.emptied.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::block_on;

    #[test]
    fn however_many_come_at_once_a_turn_takes_in_what_fits() {
        const FRAME_BYTES: usize = 1 << 20;
        const FRAMES: usize = 100;
        block_on(async {
            let inbox = Rc::new(Inbox::default());
            for _ in 0..FRAMES {
                let inbox = Rc::clone(&inbox);
                tokio::task::spawn_local(async move {
                    inbox.put(Input::Unreachable(NodeId(1)), FRAME_BYTES).await;
                });
            }
            let (mut came, mut turns) = (0, 0);
            while came < FRAMES {
                inbox.arrived().await;
                tokio::task::yield_now().await;
                let mut inputs = VecDeque::new();
                inbox.take(&mut inputs);
                inbox.is_taken_in();
                assert!(inputs.len() <= INBOX_BYTES_MAX / FRAME_BYTES, "{}", inputs.len());
                came += inputs.len();
                turns += 1;
            }
            assert!(turns >= FRAMES * FRAME_BYTES / INBOX_BYTES_MAX, "{turns} turns");
        });
    }
}
