//! What goes out over a connection.
//!
//! What the socket is about to take is encoded; beyond that, frames wait in a queue as values: a peer that reads slowly makes this node
//! hold references, not copies. But what they refer to may be gone otherwise by then, so it is counted as if they held it alone.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::rc::Rc;
use std::time::Duration;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::Notify;
use wire::limits::FRAME_BYTES_MAX;

/// How many bytes are encoded ahead of the socket, but for the frame that goes beyond.
const ENCODED_BYTES: usize = 256 << 10;

/// How much memory a connection keeps for what is encoded next, when it has sent all that had to wait.
const KEPT_BYTES: usize = 64 << 10;

/// Something that leaves as one frame.
pub(crate) trait Frame {
    /// Appends the frame's payload to `buffer` and returns it.
    fn append_payload(self, buffer: Vec<u8>) -> Vec<u8>;

    /// How many bytes it holds while it waits, at most, as far as anybody bounds that.
    fn held_bytes(&self) -> usize
    where
        Self: Sized,
    {
        size_of::<Self>()
    }
}

/// Appends a whole frame to `buffer` and returns it.
///
/// # Panics
/// The payload is longer than the protocol allows. What may be that long is refused or split before it comes here.
pub(crate) fn append_frame(frame: impl Frame, mut buffer: Vec<u8>) -> Vec<u8> {
    let begin = buffer.len();
    buffer.extend_from_slice(&[0; 4]);
    let mut buffer = frame.append_payload(buffer);
    let payload = buffer.len() - begin - 4;
    assert!(
        payload <= FRAME_BYTES_MAX,
        "a frame of {payload} bytes; {FRAME_BYTES_MAX} are allowed"
    );
    let length = u32::try_from(payload).expect("the longest frame is far below 4 GiB");
    buffer[begin..begin + 4].copy_from_slice(&length.to_be_bytes());
    buffer
}

/// A connection's outgoing frames. Whoever puts frames in bounds how many, by [`Outgoing::queued`] and [`Outgoing::held`].
#[derive(Debug)]
pub(crate) struct Outgoing<F> {
    half: OwnedWriteHalf,
    queue: RefCell<Queue<F>>,
    /// A task waits for the socket to take more.
    draining: Cell<bool>,
    closed: Cell<bool>,
    /// How long the socket may take nothing.
    stall_max: Duration,
    /// How many bytes wait for the socket, or are held by frames that wait.
    held: Cell<usize>,
    /// The same of all connections that are counted together.
    held_by_all: Rc<Cell<usize>>,
    /// Frames have left the queue.
    room: Notify,
}

#[derive(Debug)]
struct Queue<F> {
    frames: VecDeque<F>,
    /// What these frames hold.
    bytes: usize,
    encoded: Vec<u8>,
    /// How much of `encoded` the socket has taken.
    sent: usize,
}

impl<F: Frame + 'static> Outgoing<F> {
    pub(crate) fn new(half: OwnedWriteHalf, stall_max: Duration) -> Rc<Outgoing<F>> {
        Outgoing::counted(half, stall_max, Rc::default())
    }

    /// One that is counted together with all that are given the same `held_by_all`.
    pub(crate) fn counted(
        half: OwnedWriteHalf,
        stall_max: Duration,
        held_by_all: Rc<Cell<usize>>,
    ) -> Rc<Outgoing<F>> {
        Rc::new(Outgoing {
            half,
            queue: RefCell::new(Queue {
                frames: VecDeque::new(),
                bytes: 0,
                encoded: Vec::new(),
                sent: 0,
            }),
            draining: Cell::new(false),
            closed: Cell::new(false),
            stall_max,
            held: Cell::new(0),
            held_by_all,
            room: Notify::new(),
        })
    }

    /// Takes a frame; [`Outgoing::flush`] sends it. One that is closed takes nothing. How many bytes the frame holds while it waits.
    pub(crate) fn push(&self, frame: F) -> usize {
        if self.closed.get() {
            return 0;
        }
        let mut queue = self.queue.borrow_mut();
        if queue.frames.is_empty() && queue.encoded.len() < ENCODED_BYTES {
            let buffer = std::mem::take(&mut queue.encoded);
            queue.encoded = append_frame(frame, buffer);
        } else {
            queue.bytes += frame.held_bytes();
            queue.frames.push_back(frame);
        }
        let before = self.held.get();
        self.count(&queue);
        self.held.get() - before
    }

    /// How many frames wait to be encoded.
    pub(crate) fn queued(&self) -> usize {
        self.queue.borrow().frames.len()
    }

    /// How many bytes wait for the socket, or are held by frames that wait.
    pub(crate) fn held(&self) -> usize {
        self.held.get()
    }

    /// Notes what `queue` holds by now.
    fn count(&self, queue: &Queue<F>) {
        let held = queue.bytes + queue.encoded.len() - queue.sent;
        let others = self.held_by_all.get() - self.held.replace(held);
        self.held_by_all.set(others + held);
    }

    /// Waits until frames leave the queue, all is sent, or the connection is closed.
    pub(crate) async fn room(&self) {
        self.room.notified().await;
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.get()
    }

    /// Sends what the socket takes at once; a task of its own sends what is left.
    pub(crate) fn flush(self: &Rc<Self>) {
        // What was encoded at once never was in the queue.
        self.room.notify_one();
        if self.closed.get() || self.draining.get() {
            return;
        }
        match self.send_some() {
            Ok(true) => {}
            Ok(false) => {
                self.draining.set(true);
                tokio::task::spawn_local(Rc::clone(self).drain());
            }
            Err(_) => self.close(),
        }
    }

    /// Closes the connection in both directions: whoever reads from it sees its end.
    pub(crate) fn close(&self) {
        if self.closed.replace(true) {
            return;
        }
        // It may be closed already by the other side; then there is nothing to be done.
        let _ = rustix::net::shutdown(self.half.as_ref(), rustix::net::Shutdown::Both);
        let mut queue = self.queue.borrow_mut();
        queue.frames = VecDeque::new();
        queue.bytes = 0;
        queue.encoded = Vec::new();
        queue.sent = 0;
        self.count(&queue);
        self.room.notify_one();
    }

    async fn drain(self: Rc<Self>) {
        loop {
            match tokio::time::timeout(self.stall_max, self.half.writable()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => return self.close(),
            }
            match self.send_some() {
                Ok(true) => {
                    // A burst is no reason to keep its memory for ever.
                    self.queue.borrow_mut().shrink();
                    self.draining.set(false);
                    return self.room.notify_one();
                }
                Ok(false) => {}
                Err(_) => return self.close(),
            }
        }
    }

    /// Sends until the socket takes no more; whether all is sent.
    fn send_some(&self) -> io::Result<bool> {
        let mut queue = self.queue.borrow_mut();
        let sent = self.send_from(&mut queue);
        self.count(&queue);
        sent
    }

    fn send_from(&self, queue: &mut Queue<F>) -> io::Result<bool> {
        loop {
            if queue.sent == queue.encoded.len() {
                queue.sent = 0;
                if queue.encode() {
                    self.room.notify_one();
                }
                if queue.encoded.is_empty() {
                    return Ok(true);
                }
            }
            match self.half.try_write(&queue.encoded[queue.sent..]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(sent) => queue.sent += sent,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
    }
}

impl<F> Drop for Outgoing<F> {
    fn drop(&mut self) {
        self.held_by_all.set(self.held_by_all.get() - self.held.get());
    }
}

impl<F: Frame> Queue<F> {
    /// Encodes the next frames; whether there were any.
    fn encode(&mut self) -> bool {
        let mut buffer = std::mem::take(&mut self.encoded);
        buffer.clear();
        // One long frame is no reason to keep its memory for ever.
        buffer.shrink_to(2 * ENCODED_BYTES);
        while buffer.len() < ENCODED_BYTES
            && let Some(frame) = self.frames.pop_front()
        {
            self.bytes -= frame.held_bytes();
            buffer = append_frame(frame, buffer);
        }
        self.encoded = buffer;
        !self.encoded.is_empty()
    }

    fn shrink(&mut self) {
        self.frames.shrink_to(KEPT_BYTES / size_of::<F>().max(1));
        self.encoded.shrink_to(KEPT_BYTES);
    }
}
