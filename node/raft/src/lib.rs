//! The Raft consensus protocol, without I/O.
//!
//! A few servers agree on one sequence of commands, the *log*, and keep agreeing while a minority of them crash, freeze or
//! lose touch. In each *term* at most one of them leads; the leader appends commands to its log and replicates them; an
//! entry that a majority holds durably is *committed* and will be at that index on every server, for ever.
//!
//! The protocol is that of Ongaro and Ousterhout, "In Search of an Understandable Consensus Algorithm" (extended version;
//! cited here as *Raft*), with what Ongaro's dissertation, "Consensus: Bridging Theory and Practice", adds (cited as *§9.6*
//! and so on of the *dissertation*).
//!
//! # Two layers
//!
//! - [`Raft`] is the protocol: a state machine over messages and four abstract inputs of time ([`Raft::election_timeout`],
//!   [`Raft::heartbeat_timeout`], [`Raft::quorum_check`], [`Raft::leader_silent`]). It reads no clock and no entropy, holds no
//!   metrics, and is `Clone + Eq + Ord + Hash`, so that a model checker explores *this* code.
//! - [`RawNode`] is the way in for everyone else: it counts ticks, draws the randomized deadlines from a seed, derives the
//!   abstract inputs, and tells a [`Logger`] what happened.
//!
//! # The contract
//!
//! ```text
//!            step · tick · propose · read_index          persisted(id) · applied(index)
//!                        │                                          ▲
//!                        ▼                                          │
//!                   ┌─────────┐   ready()   ┌───────┐    done by    │
//!                   │ RawNode │ ──────────▶ │ Ready │ ─────────────▶│ the driver
//!                   └─────────┘             └───────┘
//!                                             messages    send now, in any order, or lose them
//!                                             write       make durable, in the order handed out; then persisted(id)
//!                                                         (its snapshot, if it has one, replaces log and state: then applied, too)
//!                                             committed   apply, in order; then applied(index); or hand_back() the rest
//!                                             reads       answer once applied ≥ index; or refuse
//! ```
//!
//! A message that leaves in `messages` needs nothing to be durable any more: what promises something (a vote, an
//! acknowledgement) or claims something (a candidacy) is held back inside the core until the write that covers it was reported
//! by `persisted`. A driver therefore cannot send an acknowledgement too early; it can only report a write too early.
//!
//! # Deviations from the paper
//!
//! - PreVote (dissertation §9.6), leader stickiness and check-quorum (§6.2, §4.2.3) are on by default.
//! - A candidate's requests wait until its own vote *and its log* are durable. Were they sent before, a candidate could lose
//!   the unsynced end of its log in a crash, stand again in the same term, and be elected by votes that were given to the
//!   longer log.
//! - Only entries that are durable *here* are handed out to be applied, though a leader may know them committed before
//!   (dissertation §10.2.1): so the applied index is always covered by this server's own disk.
//! - A rejected append carries a hint, the last position at which the follower's log could still agree, so that the leader skips
//!   whole terms (Raft §5.3, end).
//! - The commit index reaches followers with the next append or heartbeat, not with a message of its own.
//!
//! - A snapshot's data never passes through the core: the leader's driver carries it over when it is handed a [`Message::Snapshot`], and
//!   the follower's takes that message in when it has all of it.
//! - One voter more or less is changed directly, several at once by way of a joint configuration, which the leader leaves by itself.
//!
//! - Lease reads are off unless [`Config::lease`] says otherwise; what they rest on stands in `lease.rs`.
//! - Followers take reads in if [`Config::life`] says so: they ask their leader what they must have applied; see `forward.rs`.

#![no_std]
#![deny(clippy::unwrap_used)]

extern crate alloc;

mod config;
mod configuration;
mod election;
mod event;
mod forward;
mod leader;
mod lease;
mod log;
mod membership;
mod message;
mod mutant;
mod output;
mod protocol;
mod quorum;
mod raw_node;
mod read;
mod ready;
mod reconfigure;
mod replication;
mod role;
pub mod shown;
mod snapshot;
mod step;
mod storage;
mod symmetry;
mod tracker;
mod transfer;
mod types;

pub use config::{Config, ConfigError, Timing};
pub use configuration::{Change, Configuration, InvalidChange, InvalidConfiguration};
pub use event::{Event, Logger, Silent};
pub use forward::{Life, ReadRequest};
pub use lease::{LeaseTimes, Round};
pub use message::{Envelope, Message};
#[cfg(feature = "mutants")]
pub use mutant::Mutant;
pub use protocol::{ProposeError, Raft, ReadIndexError};
pub use quorum::{VoteResult, majority, majority_index, vote_result};
pub use raw_node::{Due, RawNode};
pub use read::{ReadOutcome, ReadToken};
pub use ready::{Ready, Write, WriteId};
pub use reconfigure::ChangeError;
pub use role::RoleKind;
pub use snapshot::{SnapshotMeta, SnapshotStatus};
pub use storage::{InitialState, MemoryStorage, Storage, StorageError};
pub use symmetry::Permute;
pub use tracker::{Progress, ProgressState, ProgressTracker};
pub use transfer::TransferError;
pub use types::{Command, Entry, EntryData, HardState, Index, LogPosition, NodeId, Term};
