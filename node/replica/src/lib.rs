//! One node without its operating system: it carries out what the Raft core asks for, in the one legal order, over a [`Disk`].
//!
//! ```text
//!   requests, peer messages, ticks                    replies, peer messages
//!                │                                              ▲
//!                ▼                                              │
//!   ┌─ Replica ──────────────────────────────────────────────────────────┐
//!   │  raft::RawNode ── Ready ─▶ 1 send      what may leave before the   │
//!   │       ▲ ▲                              disk is touched             │
//!   │       │ └─ applied ◀────── 2 apply, answer    state machine        │
//!   │       └─ persisted ◀────── 3 write, sync      write-ahead log      │
//!   └────────────────────────────────────────────────────────────────────┘
//!                                  │
//!                                Disk
//! ```
//!
//! The caller turns the wheel: it feeds what came in, then, as long as [`Replica::has_work`], calls [`Replica::send`], passes on
//! the messages, calls [`Replica::apply`], passes on the answers, and calls [`Replica::carry_out`]. So appends are on their way to the
//! followers, and answers on theirs to clients, while this node's own disk works, and whatever came in together shares one write and
//! one sync. Where a disk can write beside the caller ([`Disk::begin_durable_write`]), the wheel of a leader turns on meanwhile, with
//! [`Replica::settle`] before each turn; what comes in until the write is over shares the next one. There, [`Replica::begin_write`] has the disk
//! work while the leader answers, too.
//!
//! # Invariants
//!
//! - Nothing is applied that is not durable here, and nothing is answered that is not applied.
//! - A damaged log is an error that names file and offset, and stops the node; only the tail of a write that was interrupted is
//!   cut, and it is overwritten with zeros before anything is appended (see [`OpenError`]).
//! - Only a bounded tail of the log is in memory.
//! - A turn applies a bounded amount of work, and at least one entry if there is any. That is counted in bytes and not measured, and decides
//!   when something is applied, never what comes of it: nodes need not agree on it.
//! - A command that a client gives in a session is carried out at most once, however often and wherever it is sent: what was answered is
//!   part of the state machine and of its snapshots.
//! - A snapshot is taken when it makes as much of the log needless as the state has, beside service and in small steps; then the segments that
//!   it covers go. What is written of it in a turn grows with what is written to the log, and a segment for which there is no room is not begun
//!   before the snapshot is whole: so all files have four times the state's size and two segments at most, however much comes in. Beyond that
//!   goes only what no snapshot can cover, since it is not applied: the log behind the segment in which that begins and the next one; and
//!   what an operator allows with a `snapshot_log_bytes` of more than a segment and more than the state. One that comes from the leader counts as soon as its file is whole: a crash leaves the old state or the new.
//!
//! # What is absent
//!
//! Clocks, sockets, files and threads: the crate is `no_std`.

#![no_std]

extern crate alloc;

mod batch;
mod contents;
mod directory;
mod disk;
mod identity;
mod image;
mod inspect;
mod log_store;
mod machine;
mod map;
mod mutant;
mod operation;
mod options;
mod part;
mod recover;
mod replay;
mod replica;
mod rescue;
mod sessions;
mod snapshot;
mod transfer;
mod wal;

pub use batch::BLOCK_BYTES;
pub use disk::{Disk, DiskError, FileId, Meanwhile};
pub use inspect::{Found, Inspector};
pub use log_store::LogStore;
pub use machine::{Rejection, StateMachine};
#[cfg(feature = "mutants")]
pub use mutant::Mutant;
pub use options::Options;
pub use recover::OpenError;
pub use replica::{Done, Fatal, NotDone, Outbox, PeerProgress, Refusal, Replica, Status, Ticket};
pub use rescue::{Rescued, rescue};
pub use wire::record::Answer;
