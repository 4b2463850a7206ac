//! What comes in over a connection.

use bytes::BytesMut;
use std::io;
use std::time::Instant;
use tokio::io::AsyncReadExt;
use tokio::net::tcp::OwnedReadHalf;
use tokio_util::codec::{Decoder, LengthDelimitedCodec, LengthDelimitedCodecError};

/// How much is read at once, unless a longer frame is known to come.
const READ_BYTES: usize = 16 << 10;

/// A connection's incoming frames.
#[derive(Debug)]
pub(crate) struct Incoming {
    half: OwnedReadHalf,
    buffer: BytesMut,
    codec: LengthDelimitedCodec,
    /// When something was read last.
    came: Instant,
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
}

impl Incoming {
    /// A connection whose first frame is still to come.
    pub(crate) fn new(half: OwnedReadHalf) -> Incoming {
        Incoming {
            half,
            buffer: BytesMut::new(),
            codec: wire::hello_frames(),
            came: Instant::now(),
        }
    }

    /// The first frame came: from here on, frames may be of any length that the protocol allows.
    pub(crate) fn open(&mut self) {
        self.codec = wire::frames();
    }

    /// The next frame's payload; `None` when the other side has said all.
    pub(crate) async fn next(&mut self) -> Result<Option<BytesMut>, ReadError> {
        loop {
            match self.codec.decode(&mut self.buffer) {
                Ok(Some(frame)) => return Ok(Some(frame)),
                Ok(None) => {}
                Err(error) => return Err(decode_error(error)),
            }
            self.buffer.reserve(READ_BYTES);
            let read = self.half.read_buf(&mut self.buffer).await;
            let read = read.map_err(ReadError::Io)?;
            self.came = Instant::now();
            if read == 0 {
                let whole = self.buffer.is_empty();
                return if whole { Ok(None) } else { Err(ReadError::Torn) };
            }
        }
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
