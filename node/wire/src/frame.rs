//! Frames: a big-endian `u32` length, then the payload.

use crate::limits;
use tokio_util::codec::LengthDelimitedCodec;

/// The codec of an open connection; a longer frame than [`limits::FRAME_BYTES_MAX`] is an error that ends it.
pub fn frames() -> LengthDelimitedCodec {
    LengthDelimitedCodec::builder()
        .big_endian()
        .max_frame_length(limits::FRAME_BYTES_MAX)
        .new_codec()
}

/// The codec of a connection whose first frame is still to come, under the tighter [`limits::HELLO_BYTES_MAX`].
pub fn hello_frames() -> LengthDelimitedCodec {
    LengthDelimitedCodec::builder()
        .big_endian()
        .max_frame_length(limits::HELLO_BYTES_MAX)
        .new_codec()
}
