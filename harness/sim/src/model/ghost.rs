//! The observer who sees every server at once, and remembers what none of them may forget.

use super::state::Server;
use raft::{
    Entry, EntryData, Envelope, HardState, Index, LogPosition, Message, NodeId, ReadOutcome, ReadToken,
    RoleKind, Storage, Term,
};

/// What has been seen, and the first promise that was seen to be broken.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Ghost {
    /// The leader of each term that had one, by term.
    leaders: Vec<(Term, NodeId)>,
    /// Every entry that was ever committed, by index, with the lowest term of a server that held it to be.
    committed: Vec<(Term, EntryData<u8>, Term)>,
    /// The highest index that a leader has applied, and so told a client of.
    acknowledged: Index,
    /// Reads that are being confirmed, and what was acknowledged when each was asked.
    reads: Vec<(ReadToken, Index)>,
    /// How many reads were answered.
    pub(super) answered: u8,
    /// Whether a crash has taken something that was being written.
    pub(super) lost_a_write: bool,
    /// The first promise that was broken, in words.
    pub(super) violation: Option<String>,
}

impl Ghost {
    pub(super) fn has_leader(&self) -> bool {
        !self.leaders.is_empty()
    }

    /// Whether a command was committed.
    pub(super) fn has_committed(&self) -> bool {
        self.committed
            .iter()
            .any(|(_, data, _)| matches!(data, EntryData::Command(_)))
    }

    /// A promise is broken.
    pub(super) fn accuse(&mut self, what: String) {
        self.violation.get_or_insert(what);
    }

    /// A read is asked.
    pub(super) fn asked(&mut self, token: ReadToken) {
        self.reads.push((token, self.acknowledged));
    }

    /// What became of a read.
    pub(super) fn decided(&mut self, server: NodeId, outcome: ReadOutcome) {
        let token = match outcome {
            ReadOutcome::Confirmed { token, .. } | ReadOutcome::Aborted { token } => token,
        };
        let Some(place) = self.reads.iter().position(|(asked, _)| *asked == token) else {
            return;
        };
        let (_, acknowledged) = self.reads.remove(place);
        if let ReadOutcome::Confirmed { index, .. } = outcome {
            self.answered += 1;
            if index < acknowledged {
                self.accuse(format!(
                    "linearizable reads: {server} reads at {index}, and {acknowledged} was acknowledged before"
                ));
            }
        }
    }

    /// Reads that were asked of a server die with it.
    pub(super) fn forget_reads(&mut self, tokens: impl Fn(ReadToken) -> bool) {
        self.reads.retain(|(token, _)| !tokens(*token));
    }

    /// Entries are applied at `server`, in order.
    pub(super) fn applied(&mut self, server: &Server, entries: &[Entry<u8>]) {
        if server.raft.role() == RoleKind::Leader
            && let Some(last) = entries.last()
        {
            self.acknowledged = self.acknowledged.max(last.index);
        }
    }

    /// A message leaves: what it promises must be durable.
    pub(super) fn sent(&mut self, server: &Server, envelope: &Envelope<u8>) {
        let storage = server.raft.storage();
        let HardState { term, vote, .. } = storage.hard_state();
        let covered = match &envelope.message {
            Message::VoteResponse { granted: true } => {
                (term, vote) == (envelope.term, Some(envelope.to)) || term > envelope.term
            }
            Message::Vote { last, .. } => term >= envelope.term && storage.term(last.index) == Ok(last.term),
            Message::AppendAccepted { matched } => term >= envelope.term && *matched <= storage.last_index(),
            Message::PreVote { .. }
            | Message::PreVoteResponse { .. }
            | Message::VoteResponse { granted: false }
            | Message::Append { .. }
            | Message::AppendRejected { .. }
            | Message::Heartbeat { .. }
            | Message::HeartbeatResponse { .. }
            | Message::Snapshot { .. }
            | Message::TimeoutNow => true,
        };
        if !covered {
            self.accuse(format!(
                "durability: {envelope} leaves, and its sender's disk knows nothing of it"
            ));
        }
    }

    /// Looks at a server after each of its steps.
    pub(super) fn look(&mut self, server: &Server) {
        let raft = &server.raft;
        if raft.role() == RoleKind::Leader {
            self.look_at_leader(raft.term(), server);
        }
        self.look_at_commits(server);
    }

    fn look_at_leader(&mut self, term: Term, server: &Server) {
        let id = server.raft.id();
        match self.leaders.binary_search_by_key(&term, |(term, _)| *term) {
            Ok(place) if self.leaders[place].1 != id => {
                let other = self.leaders[place].1;
                self.accuse(format!("election safety: {other} and {id} both lead term {term}"));
            }
            Ok(_) => {}
            Err(place) => {
                self.leaders.insert(place, (term, id));
                let missing = (1..)
                    .zip(&self.committed)
                    .find(|(index, (entry_term, _, commit_term))| {
                        *commit_term < term && server.raft.log_term(Index(*index)) != Some(*entry_term)
                    });
                if let Some((index, (entry_term, ..))) = missing {
                    let position = LogPosition {
                        term: *entry_term,
                        index: Index(index),
                    };
                    self.accuse(format!(
                        "leader completeness: {id} leads term {term} without the committed {position}"
                    ));
                }
            }
        }
    }

    fn look_at_commits(&mut self, server: &Server) {
        let raft = &server.raft;
        let commit = raft.commit_index();
        for index in 1..=commit.0 {
            let (index, place) = (
                Index(index),
                usize::try_from(index - 1).expect("worlds are small"),
            );
            let Some(entry) = server.entry(index) else {
                return self.accuse(format!(
                    "log: {} has committed {index}, and does not have it",
                    raft.id()
                ));
            };
            match self.committed.get_mut(place) {
                None => self.committed.push((entry.term, entry.data, raft.term())),
                Some((term, data, commit_term)) if (*term, &*data) == (entry.term, &entry.data) => {
                    *commit_term = (*commit_term).min(raft.term());
                }
                Some((term, ..)) => {
                    let before = LogPosition { term: *term, index };
                    let (id, now) = (raft.id(), entry.position());
                    return self.accuse(format!(
                        "state machine safety: {id} commits {now}, and {before} was committed"
                    ));
                }
            }
        }
    }
}
