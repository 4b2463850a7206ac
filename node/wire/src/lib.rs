//! What travels over a rustyraft connection, and what lies in its log.
//!
//! # A connection
//!
//! ```text
//! dialer                                            listener
//!   │ frame: Hello { magic, versions, cluster, role }  │
//!   ├──────────────────────────────────────────────────▶
//!   │ frame: Welcome::Accepted | Welcome::Refused      │   a refusal is followed by the end of the connection
//!   ◀──────────────────────────────────────────────────┤
//!   │ frames: client::Request   ▶  ◀  client::Response │   role: client
//!   │ frames: peer::Message     ▶                      │   role: peer (one way; answers use the other's connection)
//! ```
//!
//! A frame is a big-endian `u32` length and that many bytes of payload, at most [`limits::FRAME_BYTES_MAX`]. A payload is
//! postcard; a peer's payload is preceded by its CRC-32C.
//!
//! # Versions
//!
//! The types here are not the core's: a refactoring of the core changes no byte. Variants and fields are only ever
//! appended, golden tests pin the bytes, and [`Hello`] negotiates a version.
//!
//! # What is absent
//!
//! No sockets and no files: this crate turns values into bytes and back. Malformed bytes are an error, never a panic.

#![cfg_attr(not(feature = "codec"), no_std)]

extern crate alloc;

pub mod client;
mod command;
#[cfg(feature = "codec")]
mod frame;
mod handshake;
pub mod limits;
pub mod list;
mod payload;
pub mod peer;
pub mod record;
mod slice;

#[cfg(feature = "codec")]
pub use frame::{frames, hello_frames};
pub use handshake::{Hello, MAGIC, Refusal, Role, VERSION_MAX, VERSION_MIN, Welcome};
pub use payload::{DecodeError, decode, encode, encode_into};
pub use slice::Slice;
