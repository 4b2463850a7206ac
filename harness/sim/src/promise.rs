//! Every vote, candidacy and acknowledgement that leaves a node must be covered by what its disk would keep.

use crate::options::{Broken, Invariant};
use crate::server::Server;
use bytes::Bytes;
use raft::{Envelope, Index, Message, NodeId, RoleKind, Term};

/// Holds a message that leaves `sender` against its disk; and an acknowledgement against the log of the `leader` it goes to.
pub(crate) fn check(envelope: &Envelope<Bytes>, sender: &Server, leader: &Server) -> Result<(), Broken> {
    let Envelope { from, to, term, .. } = *envelope;
    match &envelope.message {
        Message::VoteResponse { granted: true } => voted(envelope, sender, to),
        Message::Vote { last, .. } => {
            voted(envelope, sender, from)?;
            let durable = sender.shadow.durable();
            // A request of a candidacy that is over can win nothing any more, whatever log it names.
            let stands = sender
                .running()
                .is_some_and(|running| (running.seen.role, running.seen.term) == (RoleKind::Candidate, term));
            let covered = !stands || durable.term(last.index) == Some(last.term);
            Broken::unless(covered, Invariant::Promise, || {
                format!(
                    "{envelope}, and its disk would keep a log up to {}",
                    durable.last()
                )
            })
        }
        Message::AppendAccepted { matched } => acknowledged(envelope, *matched, sender, leader),
        Message::PreVote { .. }
        | Message::PreVoteResponse { .. }
        | Message::VoteResponse { granted: false }
        | Message::Append { .. }
        | Message::AppendRejected { .. }
        | Message::Heartbeat { .. }
        | Message::HeartbeatResponse { .. }
        | Message::Snapshot { .. }
        | Message::TimeoutNow
        | Message::ReadIndex { .. }
        | Message::ReadIndexResponse { .. } => Ok(()),
    }
}

fn voted(envelope: &Envelope<Bytes>, sender: &Server, candidate: NodeId) -> Result<(), Broken> {
    let kept = sender.shadow.durable().hard_state;
    let covered = kept.term > envelope.term || (kept.term == envelope.term && kept.vote == Some(candidate));
    Broken::unless(covered, Invariant::Promise, || {
        let vote = kept
            .vote
            .map_or_else(|| String::from("nobody"), |vote| vote.to_string());
        format!(
            "{envelope}, and its disk would keep a vote for {vote} in term {}",
            kept.term
        )
    })
}

fn acknowledged(
    envelope: &Envelope<Bytes>,
    matched: Index,
    sender: &Server,
    leader: &Server,
) -> Result<(), Broken> {
    let durable = sender.shadow.durable();
    let found = durable.term(matched);
    // What a snapshot covers is committed, and held against what else is committed where that is noticed.
    let in_snapshot = matched < durable.base.index;
    let covered = durable.hard_state.term >= envelope.term && (found.is_some() || in_snapshot);
    Broken::unless(covered, Invariant::Promise, || {
        format!(
            "{envelope}, and its disk would keep term {} and a log up to {}",
            durable.hard_state.term,
            durable.last()
        )
    })?;
    if let Some(log_of_leader) = leads(leader, envelope.term) {
        let expected = log_of_leader(matched);
        let equal = in_snapshot || expected.is_none_or(|expected| found == Some(expected));
        Broken::unless(equal, Invariant::Promise, || {
            format!("{envelope}, and the leader has {expected:?} there, the sender {found:?}")
        })?;
    }
    Ok(())
}

/// The log of `server`, if it leads `term`.
fn leads(server: &Server, term: Term) -> Option<impl Fn(Index) -> Option<Term> + '_> {
    let running = server.running()?;
    let leads = running.seen.role == RoleKind::Leader && running.seen.term == term;
    leads.then_some(|index| running.replica.core().raft().log_term(index))
}
