//! One TCP connection: frames in, frames out, and the dialler's half of the handshake.

mod dial;
mod incoming;
mod outgoing;
mod room;

pub(crate) use dial::{DialError, Dialled, dial};
pub(crate) use incoming::{Incoming, ReadError};
pub(crate) use outgoing::{Frame, Outgoing, append_frame};
pub(crate) use room::{FRAMES_BYTES_MAX, Room, Times};
