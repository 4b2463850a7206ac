//! What nodes say to each other: the core's messages as they travel.
//!
//! ```text
//!  0         4
//! ┌─────────┬──────────────────────────┐
//! │ CRC-32C │ postcard of `Message`    │   the payload of one frame; the checksum is little-endian and covers the rest
//! └─────────┴──────────────────────────┘
//! ```
//!
//! Sender and receiver are those of the connection's handshake.

use crate::payload::{DecodeError, decode, encode_into};
use crate::record::{Entries, Position, Snapshot};
use crate::slice::Slice;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt::{self, Display};
use raft::{Envelope, Index, LogPosition, NodeId, Term};
use serde::{Deserialize, Serialize};

pub use crate::record::Entry;

/// A message, and its sender's term.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message<E = Vec<Entry>> {
    /// The sender's current term.
    pub term: u64,
    /// What is said.
    pub body: Body<E>,
}

/// What is said; see [`raft::Message`] for the meaning of each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(
    missing_docs,
    reason = "each variant and field is that of raft::Message with the same name"
)]
pub enum Body<E = Vec<Entry>> {
    PreVote {
        next_term: u64,
        last: Position,
    },
    PreVoteResponse {
        next_term: u64,
        granted: bool,
    },
    Vote {
        last: Position,
        by_transfer: bool,
    },
    VoteResponse {
        granted: bool,
    },
    Append {
        prev: Position,
        entries: E,
        commit: u64,
    },
    AppendAccepted {
        matched: u64,
    },
    AppendRejected {
        probed: u64,
        hint: Position,
    },
    Heartbeat {
        commit: u64,
        round: u64,
    },
    HeartbeatResponse {
        round: u64,
    },
    Snapshot {
        snapshot: Snapshot,
    },
    TimeoutNow,
    Parcel(Parcel),
    /// Since version 2.
    ReadIndex {
        request: ReadRequest,
    },
    /// Since version 2.
    ReadIndexResponse {
        request: ReadRequest,
        index: u64,
    },
}

/// Names what a follower asks its leader about reads: see [`raft::ReadRequest`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadRequest {
    /// The follower's life.
    pub life: u64,
    /// Counted from 1 in each term of a life.
    pub number: u64,
}

impl From<raft::ReadRequest> for ReadRequest {
    fn from(request: raft::ReadRequest) -> Self {
        ReadRequest {
            life: request.life.0,
            number: request.number,
        }
    }
}

impl From<ReadRequest> for raft::ReadRequest {
    fn from(request: ReadRequest) -> Self {
        raft::ReadRequest {
            life: raft::Life(request.life),
            number: request.number,
        }
    }
}

/// What nodes say to each other to carry a snapshot over, beside what their cores say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Parcel {
    /// A piece of a snapshot's file.
    Piece {
        /// The last entry that the snapshot covers.
        last: Position,
        /// How long the file is.
        total: u64,
        /// Where the piece belongs.
        offset: u64,
        /// The piece.
        bytes: Bytes,
    },
    /// The file is there up to here.
    Wanted {
        /// The last entry that the snapshot covers.
        last: Position,
        /// Where the next piece belongs.
        offset: u64,
    },
}

/// What leaves a node for another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packet {
    /// A message of the core.
    Message(Envelope<Bytes>),
    /// Part of a snapshot's transfer.
    Parcel {
        /// The sender.
        from: NodeId,
        /// The receiver.
        to: NodeId,
        /// What is said.
        parcel: Parcel,
    },
}

impl Packet {
    /// What a frame's payload says, on a connection from `from` to `to`. The commands in it are kept together, in one copy of the
    /// payload: those that come together also go together, or nearly so.
    ///
    /// # Errors
    /// The payload is damaged or malformed, or says what no server does.
    pub fn from_payload(payload: &[u8], from: NodeId, to: NodeId) -> Result<Packet, DecodeError> {
        let message: Message<Vec<Entry<Slice<'_>>>> = Message::from_payload(payload)?;
        let mut kept = None;
        message.into_packet_with(from, to, |command| {
            let begin = command.as_ptr() as usize - payload.as_ptr() as usize;
            kept.get_or_insert_with(|| Bytes::copy_from_slice(payload))
                .slice(begin..begin + command.len())
        })
    }

    /// The first version of the protocol that has it: who speaks an older one is not sent it.
    pub fn since(&self) -> u16 {
        match self {
            Packet::Message(envelope) => match &envelope.message {
                raft::Message::ReadIndex { .. } | raft::Message::ReadIndexResponse { .. } => 2,
                raft::Message::PreVote { .. }
                | raft::Message::PreVoteResponse { .. }
                | raft::Message::Vote { .. }
                | raft::Message::VoteResponse { .. }
                | raft::Message::Append { .. }
                | raft::Message::AppendAccepted { .. }
                | raft::Message::AppendRejected { .. }
                | raft::Message::Heartbeat { .. }
                | raft::Message::HeartbeatResponse { .. }
                | raft::Message::Snapshot { .. }
                | raft::Message::TimeoutNow => 1,
            },
            Packet::Parcel { .. } => 1,
        }
    }

    /// The receiver.
    pub fn to(&self) -> NodeId {
        match self {
            Packet::Message(envelope) => envelope.to,
            Packet::Parcel { to, .. } => *to,
        }
    }
}

/// The highest term that is believed: some way before the end of numbers, so that whoever counts on from there does not come to it. How far
/// ahead of its own a server believes terms, it knows itself.
const TERM_MAX: u64 = 1 << 62;

/// The highest index that is believed of a snapshot: nothing that is received vouches for it, as entries do for their own.
const INDEX_MAX: Index = Index(1 << 62);

/// Bytes that the checksum takes in front of a message.
const CHECKSUM_BYTES: usize = 4;

impl<E> Message<E> {
    /// The payload of a frame.
    pub fn to_payload(&self) -> Bytes
    where
        E: Serialize,
    {
        Bytes::from(self.append_payload(Vec::new()))
    }

    /// The payload of a frame behind what is already in `buffer`.
    pub fn append_payload(&self, mut buffer: Vec<u8>) -> Vec<u8>
    where
        E: Serialize,
    {
        let begin = buffer.len();
        buffer.extend_from_slice(&[0; CHECKSUM_BYTES]);
        let mut buffer = encode_into(self, buffer);
        let (checksum, message) = buffer[begin..].split_at_mut(CHECKSUM_BYTES);
        checksum.copy_from_slice(&crc32c::crc32c(message).to_le_bytes());
        buffer
    }

    /// The message that a frame's payload holds.
    ///
    /// # Errors
    /// The payload is damaged or malformed.
    pub fn from_payload<'a>(payload: &'a [u8]) -> Result<Message<E>, DecodeError>
    where
        E: Deserialize<'a>,
    {
        let (stored, message) = payload
            .split_first_chunk::<CHECKSUM_BYTES>()
            .ok_or(DecodeError::Malformed)?;
        let (stored, computed) = (u32::from_le_bytes(*stored), crc32c::crc32c(message));
        if stored != computed {
            return Err(DecodeError::Checksum { stored, computed });
        }
        decode(message)
    }
}

impl Message {
    /// What was said, on a connection from `from` to `to`.
    ///
    /// # Errors
    /// Terms or indexes are such as no server sends: the terms of entries go back or beyond the sender's, an index overflows.
    pub fn into_packet(self, from: NodeId, to: NodeId) -> Result<Packet, DecodeError> {
        self.into_packet_with(from, to, |command| command)
    }
}

impl<B> Message<Vec<Entry<B>>> {
    /// As [`Message::into_packet`], with the bytes that `keep` makes of those of commands.
    fn into_packet_with(
        self,
        from: NodeId,
        to: NodeId,
        keep: impl FnMut(B) -> Bytes,
    ) -> Result<Packet, DecodeError> {
        if self.term > TERM_MAX {
            return Err(DecodeError::Invalid("a term that no election has reached"));
        }
        let term = Term(self.term);
        let message = match self.body {
            Body::PreVote { next_term, last } => raft::Message::PreVote {
                next_term: Term(next_term),
                last: last.into(),
            },
            Body::PreVoteResponse { next_term, granted } => raft::Message::PreVoteResponse {
                next_term: Term(next_term),
                granted,
            },
            Body::Vote { last, by_transfer } => raft::Message::Vote {
                last: last.into(),
                by_transfer,
            },
            Body::VoteResponse { granted } => raft::Message::VoteResponse { granted },
            Body::Append {
                prev,
                entries,
                commit,
            } => raft::Message::Append {
                prev: prev.into(),
                entries: core_entries(prev, entries, term, keep)?,
                commit: Index(commit),
            },
            Body::AppendAccepted { matched } => raft::Message::AppendAccepted {
                matched: Index(matched),
            },
            Body::AppendRejected { probed, hint } => raft::Message::AppendRejected {
                probed: Index(probed),
                hint: hint.into(),
            },
            Body::Heartbeat { commit, round } => raft::Message::Heartbeat {
                commit: Index(commit),
                round,
            },
            Body::HeartbeatResponse { round } => raft::Message::HeartbeatResponse { round },
            Body::Snapshot { snapshot } => {
                let snapshot = raft::SnapshotMeta::try_from(snapshot)?;
                if snapshot.last.term > term {
                    return Err(DecodeError::Invalid("a snapshot of a term to come"));
                }
                if snapshot.last.index > INDEX_MAX {
                    return Err(DecodeError::Invalid("an index that no log has reached"));
                }
                raft::Message::Snapshot {
                    snapshot: Arc::new(snapshot),
                }
            }
            Body::TimeoutNow => raft::Message::TimeoutNow,
            Body::ReadIndex { request } => raft::Message::ReadIndex {
                request: request.into(),
            },
            Body::ReadIndexResponse { request, index } => raft::Message::ReadIndexResponse {
                request: request.into(),
                index: Index(index),
            },
            Body::Parcel(parcel) => return Ok(Packet::Parcel { from, to, parcel }),
        };
        Ok(Packet::Message(Envelope {
            from,
            to,
            term,
            message,
        }))
    }
}

fn core_entries<B>(
    prev: Position,
    entries: Vec<Entry<B>>,
    sender: Term,
    mut keep: impl FnMut(B) -> Bytes,
) -> Result<Vec<raft::Entry<Bytes>>, DecodeError> {
    prev.index
        .checked_add(entries.len() as u64)
        .ok_or(DecodeError::Invalid("an index overflows"))?;
    let mut at = LogPosition::from(prev);
    let core_entry = |Entry { term, data }: Entry<B>| {
        let term = Term(term);
        if term < at.term || term > sender {
            return Err(DecodeError::Invalid("an entry's term is out of order"));
        }
        at = LogPosition {
            term,
            index: at.index.next(),
        };
        Ok(raft::Entry {
            term,
            index: at.index,
            data: data.into_core(&mut keep)?,
        })
    };
    entries.into_iter().map(core_entry).collect()
}

/// As in traces.
impl Display for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Packet::Message(envelope) => Display::fmt(envelope, f),
            Packet::Parcel { from, to, parcel } => {
                write!(f, "{from} → {to} ")?;
                match parcel {
                    Parcel::Piece {
                        last,
                        total,
                        offset,
                        bytes,
                    } => write!(
                        f,
                        "Piece of {}@{}, {} bytes at {offset} of {total}",
                        last.index,
                        last.term,
                        bytes.len()
                    ),
                    Parcel::Wanted { last, offset } => {
                        write!(f, "Wanted of {}@{}, at {offset}", last.index, last.term)
                    }
                }
            }
        }
    }
}

impl From<Envelope<Bytes>> for Packet {
    fn from(envelope: Envelope<Bytes>) -> Packet {
        Packet::Message(envelope)
    }
}

impl<'a> From<&'a Packet> for Message<Entries<'a>> {
    fn from(packet: &'a Packet) -> Message<Entries<'a>> {
        match packet {
            Packet::Message(envelope) => envelope.into(),
            // It says nothing that belongs to a term.
            Packet::Parcel { parcel, .. } => Message {
                term: 0,
                body: Body::Parcel(parcel.clone()),
            },
        }
    }
}

impl<'a> From<&'a Envelope<Bytes>> for Message<Entries<'a>> {
    fn from(envelope: &'a Envelope<Bytes>) -> Message<Entries<'a>> {
        let body = match &envelope.message {
            raft::Message::PreVote { next_term, last } => Body::PreVote {
                next_term: next_term.0,
                last: (*last).into(),
            },
            raft::Message::PreVoteResponse { next_term, granted } => Body::PreVoteResponse {
                next_term: next_term.0,
                granted: *granted,
            },
            raft::Message::Vote { last, by_transfer } => Body::Vote {
                last: (*last).into(),
                by_transfer: *by_transfer,
            },
            raft::Message::VoteResponse { granted } => Body::VoteResponse { granted: *granted },
            raft::Message::Append {
                prev,
                entries,
                commit,
            } => Body::Append {
                prev: (*prev).into(),
                entries: Entries(entries),
                commit: commit.0,
            },
            raft::Message::AppendAccepted { matched } => Body::AppendAccepted { matched: matched.0 },
            raft::Message::AppendRejected { probed, hint } => Body::AppendRejected {
                probed: probed.0,
                hint: (*hint).into(),
            },
            raft::Message::Heartbeat { commit, round } => Body::Heartbeat {
                commit: commit.0,
                round: *round,
            },
            raft::Message::HeartbeatResponse { round } => Body::HeartbeatResponse { round: *round },
            raft::Message::Snapshot { snapshot } => Body::Snapshot {
                snapshot: (&**snapshot).into(),
            },
            raft::Message::TimeoutNow => Body::TimeoutNow,
            raft::Message::ReadIndex { request } => Body::ReadIndex {
                request: (*request).into(),
            },
            raft::Message::ReadIndexResponse { request, index } => Body::ReadIndexResponse {
                request: (*request).into(),
                index: index.0,
            },
        };
        Message {
            term: envelope.term.0,
            body,
        }
    }
}
