//! What servers say to each other.

use crate::forward::ReadRequest;
use crate::snapshot::SnapshotMeta;
use crate::symmetry::Permute;
use crate::types::{Entry, Index, LogPosition, NodeId, Term};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt::{self, Display};

/// A message, who sends it to whom, and the sender's term at that moment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Envelope<C> {
    /// The sender.
    pub from: NodeId,
    /// The receiver.
    pub to: NodeId,
    /// The sender's current term. A receiver with a lower one adopts it (Raft §5.1), but from what is outside of the terms, pre-votes that are
    /// asked for or granted, and from candidates that it does not hear because it sticks to its leader.
    pub term: Term,
    /// What is said.
    pub message: Message<C>,
}

/// What servers say to each other. Append and vote are the paper's two remote calls (Raft figure 2); a response is a message of
/// its own, since either may be lost, delayed, duplicated or reordered.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Message<C> {
    /// "Would you vote for me in `next_term`?" Promises nothing and changes nobody's term (dissertation §9.6).
    PreVote {
        /// The term that the sender would stand in: one above its own.
        next_term: Term,
        /// The end of the sender's log.
        last: LogPosition,
    },
    /// The answer to [`Message::PreVote`].
    PreVoteResponse {
        /// The term that was asked about.
        next_term: Term,
        /// Whether the vote would be given.
        granted: bool,
    },
    /// "Vote for me in this envelope's term" (RequestVote, Raft §5.2). Sent when the sender's vote and log are durable.
    Vote {
        /// The end of the sender's log.
        last: LogPosition,
        /// Whether the leader itself asked the sender to stand: then nobody sticks to that leader (dissertation §3.10).
        by_transfer: bool,
    },
    /// The answer to [`Message::Vote`]; a granted one is sent when it is durable.
    VoteResponse {
        /// Whether the vote is given.
        granted: bool,
    },
    /// Entries to append, behind one that must match (AppendEntries, Raft §5.3).
    Append {
        /// The position before `entries`.
        prev: LogPosition,
        /// What follows it; their indexes follow on `prev.index` without a gap.
        entries: Vec<Entry<C>>,
        /// The leader's commit index.
        commit: Index,
    },
    /// An append matched, and everything up to here is durable.
    AppendAccepted {
        /// The last index that is known to equal the leader's log.
        matched: Index,
    },
    /// An append did not match.
    AppendRejected {
        /// The index at which a match was asked for.
        probed: Index,
        /// The last position at which the sender's log could still agree with the leader's.
        hint: LogPosition,
    },
    /// "I still lead" (Raft §5.2); also a round of ReadIndex (dissertation §6.4).
    Heartbeat {
        /// What is committed, as far as the receiver is known to hold it.
        commit: Index,
        /// The latest round of reads that the leader has begun.
        round: u64,
    },
    /// The answer to [`Message::Heartbeat`].
    HeartbeatResponse {
        /// The round that was asked about.
        round: u64,
    },
    /// What the receiver lacks is not in the log any more (InstallSnapshot, Raft §7). The state itself is carried over by the drivers; the
    /// receiver's takes the message in when it has all of it. Answered as an append that ends at the snapshot's last entry.
    Snapshot {
        /// What the snapshot stands for.
        snapshot: Arc<SnapshotMeta>,
    },
    /// "Stand for election now, I make way" (dissertation §3.10).
    TimeoutNow,
    /// "What must I have applied to answer the reads that I have now?" A follower asks its leader (dissertation §6.4), again and again
    /// until it is answered.
    ReadIndex {
        /// Names the reads in question.
        request: ReadRequest,
    },
    /// The answer to [`Message::ReadIndex`]: a round that was begun after it had come was confirmed. Sent when the receiver holds what it
    /// must apply, durably, so that it tells of the commit as well.
    ReadIndexResponse {
        /// What was asked.
        request: ReadRequest,
        /// What must have been applied.
        index: Index,
    },
}

impl<C> Message<C> {
    /// Whether only a leader says such a thing unasked: whoever takes it in has heard from the leader of its term, and waits for its
    /// silence anew.
    pub fn is_order(&self) -> bool {
        match self {
            Message::Append { .. }
            | Message::Heartbeat { .. }
            | Message::Snapshot { .. }
            | Message::TimeoutNow => true,
            Message::PreVote { .. }
            | Message::PreVoteResponse { .. }
            | Message::Vote { .. }
            | Message::VoteResponse { .. }
            | Message::AppendAccepted { .. }
            | Message::AppendRejected { .. }
            | Message::HeartbeatResponse { .. }
            | Message::ReadIndex { .. }
            | Message::ReadIndexResponse { .. } => false,
        }
    }

    /// Its name in traces.
    pub fn name(&self) -> &'static str {
        match self {
            Message::PreVote { .. } => "PreVote",
            Message::PreVoteResponse { .. } => "PreVoteResponse",
            Message::Vote { .. } => "Vote",
            Message::VoteResponse { .. } => "VoteResponse",
            Message::Append { .. } => "Append",
            Message::AppendAccepted { .. } => "AppendAccepted",
            Message::AppendRejected { .. } => "AppendRejected",
            Message::Heartbeat { .. } => "Heartbeat",
            Message::HeartbeatResponse { .. } => "HeartbeatResponse",
            Message::Snapshot { .. } => "Snapshot",
            Message::TimeoutNow => "TimeoutNow",
            Message::ReadIndex { .. } => "ReadIndex",
            Message::ReadIndexResponse { .. } => "ReadIndexResponse",
        }
    }
}

/// As in traces: `n1 → n2 @3 Append prev=4@2 entries=[5@3] commit=4`.
impl<C> Display for Envelope<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} → {} @{} {}",
            self.from,
            self.to,
            self.term,
            self.message.name()
        )?;
        match &self.message {
            Message::PreVote { next_term, last } => write!(f, " next_term={next_term} last={last}"),
            Message::PreVoteResponse { next_term, granted } => {
                write!(f, " next_term={next_term} granted={granted}")
            }
            Message::Vote { last, by_transfer } => {
                let by_transfer = if *by_transfer { " by transfer" } else { "" };
                write!(f, " last={last}{by_transfer}")
            }
            Message::VoteResponse { granted } => write!(f, " granted={granted}"),
            Message::Append {
                prev,
                entries,
                commit,
            } => {
                write!(f, " prev={prev} entries=[")?;
                for (place, entry) in entries.iter().enumerate() {
                    let space = if place == 0 { "" } else { " " };
                    write!(f, "{space}{}@{}", entry.index, entry.term)?;
                }
                write!(f, "] commit={commit}")
            }
            Message::AppendAccepted { matched } => write!(f, " matched={matched}"),
            Message::AppendRejected { probed, hint } => write!(f, " probed={probed} hint={hint}"),
            Message::Heartbeat { commit, round } => write!(f, " commit={commit} round={round}"),
            Message::HeartbeatResponse { round } => write!(f, " round={round}"),
            Message::Snapshot { snapshot } => {
                write!(
                    f,
                    " last={} configuration=({})",
                    snapshot.last, snapshot.configuration
                )
            }
            Message::TimeoutNow => Ok(()),
            Message::ReadIndex { request } => write!(f, " request={request}"),
            Message::ReadIndexResponse { request, index } => write!(f, " request={request} index={index}"),
        }
    }
}

impl<C: Clone> Permute for Envelope<C> {
    fn permute(&self, permutation: &[(NodeId, NodeId)]) -> Self {
        let Envelope {
            from,
            to,
            term,
            message,
        } = self;
        Envelope {
            from: from.permute(permutation),
            to: to.permute(permutation),
            term: *term,
            message: message.permute(permutation),
        }
    }
}

impl<C: Clone> Permute for Message<C> {
    fn permute(&self, permutation: &[(NodeId, NodeId)]) -> Self {
        match self {
            Message::Append {
                prev,
                entries,
                commit,
            } => Message::Append {
                prev: *prev,
                entries: entries.permute(permutation),
                commit: *commit,
            },
            Message::Snapshot { snapshot } => Message::Snapshot {
                snapshot: snapshot.permute(permutation),
            },
            // These name nobody.
            Message::PreVote { .. }
            | Message::PreVoteResponse { .. }
            | Message::Vote { .. }
            | Message::VoteResponse { .. }
            | Message::AppendAccepted { .. }
            | Message::AppendRejected { .. }
            | Message::Heartbeat { .. }
            | Message::HeartbeatResponse { .. }
            | Message::TimeoutNow
            | Message::ReadIndex { .. }
            | Message::ReadIndexResponse { .. } => self.clone(),
        }
    }
}
