//! What comes in over a connection.

use super::room::{Held, Room};
use bytes::{BufMut, BytesMut};
use std::io;
use std::ops::Deref;
use std::rc::Rc;
use std::time::Instant;
use tokio::io::AsyncReadExt;
use tokio::net::tcp::OwnedReadHalf;
use tokio_util::codec::{Decoder, LengthDelimitedCodec, LengthDelimitedCodecError};
use wire::limits::FRAME_BYTES_MAX;

/// How much is read at once, unless a longer frame is known to come.
const READ_BYTES: usize = 16 << 10;

/// How long a frame is at most for whose coming no room is looked for.
const SHORT_FRAME_BYTES: usize = 64 << 10;

/// A connection's incoming frames.
#[derive(Debug)]
pub(crate) struct Incoming {
    half: OwnedReadHalf,
    buffer: BytesMut,
    codec: LengthDelimitedCodec,
    /// Where long frames find room, and how long any may take, if that is bounded.
    room: Option<Rc<Room>>,
    /// How long the frame is that is coming, once that is known.
    length: Option<u32>,
    /// The room that it has, if it is long.
    held: Option<Box<Held>>,
    /// Since when it is waited for, if more of it is.
    begun: Option<Instant>,
    /// When something was read last.
    came: Instant,
}

/// The payload of a frame, with the room that it has.
#[derive(Debug)]
pub(crate) struct Payload {
    bytes: BytesMut,
    _held: Option<Box<Held>>,
}

impl Deref for Payload {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Why there are no more frames.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    /// The connection broke.
    #[error(transparent)]
    Io(io::Error),
    /// It ended within a frame.
    #[error("the connection ended within a frame")]
    Torn,
    /// A frame is longer than is allowed.
    #[error("a frame is longer than is allowed")]
    TooLong,
    /// A frame began and did not end.
    #[error("a frame takes too long to come")]
    Slow,
    /// A frame had its time, and others want its room.
    #[error("a frame takes long to come, and others want its room")]
    GivesWay,
}

impl Incoming {
    /// A connection whose first frame is still to come.
    pub(crate) fn new(half: OwnedReadHalf) -> Incoming {
        Incoming {
            half,
            buffer: BytesMut::new(),
            codec: wire::hello_frames(),
            room: None,
            length: None,
            held: None,
            begun: None,
            came: Instant::now(),
        }
    }

    /// The first frame came: from here on, frames may be of any length that the protocol allows.
    pub(crate) fn open(&mut self) {
        self.codec = wire::frames();
    }

    /// From here on, frames share `room` with those of others, and must come in its times.
    pub(crate) fn share(&mut self, room: Rc<Room>) {
        self.room = Some(room);
    }

    /// The next frame's payload; `None` when the other side has said all.
    pub(crate) async fn next(&mut self) -> Result<Option<Payload>, ReadError> {
        loop {
            if self.length.is_none()
                && let Some(head) = self.buffer.first_chunk()
            {
                let length = u32::from_be_bytes(*head);
                self.find_room(length).await;
                self.length = Some(length);
            }
            match self.codec.decode(&mut self.buffer) {
                Ok(Some(frame)) => return Ok(Some(self.hand_out(frame))),
                Ok(None) => {}
                Err(error) => return Err(decode_error(error)),
            }
            if self.read().await? == 0 {
                let whole = self.length.is_none() && self.buffer.is_empty();
                return if whole { Ok(None) } else { Err(ReadError::Torn) };
            }
        }
    }

    async fn find_room(&mut self, length: u32) {
        // One that is too long is refused at once.
        if (SHORT_FRAME_BYTES + 1..=FRAME_BYTES_MAX).contains(&(length as usize))
            && let Some(room) = &self.room
        {
            self.held = Some(room.take(length).await);
            // Nobody was waiting for more of it meanwhile.
            self.begun = None;
        }
    }

    fn hand_out(&mut self, bytes: BytesMut) -> Payload {
        self.length = None;
        self.begun = None;
        if bytes.len() > SHORT_FRAME_BYTES {
            // Otherwise its memory would stay for what comes behind it, after it gave its room back.
            self.buffer = BytesMut::from(&self.buffer[..]);
        }
        let held = self.held.take();
        if let Some(held) = &held {
            held.is_whole();
        }
        Payload { bytes, _held: held }
    }

    /// Reads some bytes; how many.
    async fn read(&mut self) -> Result<usize, ReadError> {
        let is_begun = self.length.is_some() || !self.buffer.is_empty();
        let (room, most) = match self.length {
            // Nothing behind it, for which there may be no room.
            Some(length) if length as usize > SHORT_FRAME_BYTES => {
                let missing = (length as usize).saturating_sub(self.buffer.len());
                (missing, missing)
            }
            Some(_) | None => (READ_BYTES, usize::MAX),
        };
        self.buffer.reserve(room);
        let mut buffer = (&mut self.buffer).limit(most);
        let read = self.half.read_buf(&mut buffer);
        let read = match &self.room {
            Some(room) if is_begun => {
                let now = Instant::now();
                let begun = *self.begun.get_or_insert(now);
                let until = (now + room.times().stall_max).min(begun + room.times().frame_max);
                if now >= until {
                    return Err(ReadError::Slow);
                }
                tokio::select! {
                    biased;
                    read = read => read,
                    () = gives_way(self.held.as_deref()) => return Err(ReadError::GivesWay),
                    () = tokio::time::sleep_until(until.into()) => return Err(ReadError::Slow),
                }
            }
            Some(_) | None => read.await,
        };
        self.came = Instant::now();
        read.map_err(ReadError::Io)
    }

    /// When the end of the last frame came.
    pub(crate) fn came(&self) -> Instant {
        self.came
    }

    /// Reads and forgets until the other side has said all, or `bytes_max`.
    pub(crate) async fn discard(&mut self, bytes_max: usize) {
        let mut discarded = 0;
        while discarded < bytes_max {
            self.buffer.clear();
            self.buffer.reserve(READ_BYTES);
            match self.half.read_buf(&mut self.buffer).await {
                Ok(0) | Err(_) => return,
                Ok(read) => discarded += read,
            }
        }
    }
}

fn decode_error(error: io::Error) -> ReadError {
    let too_long = error
        .get_ref()
        .is_some_and(|inner| inner.is::<LengthDelimitedCodecError>());
    if too_long {
        ReadError::TooLong
    } else {
        ReadError::Io(error)
    }
}

/// Waits until the frame that has room must give it away; one that has none never must.
async fn gives_way(held: Option<&Held>) {
    match held {
        Some(held) => held.gives_way().await,
        None => std::future::pending().await,
    }
}
