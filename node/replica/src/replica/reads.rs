//! Reads: gathered for a turn, confirmed as one, answered when what they may see is applied.

use super::{Outbox, Refusal, Replica, Ticket};
use crate::disk::Disk;
use crate::mutant::mutated;
use bytes::Bytes;
use raft::{Index, Logger, ReadIndexError, ReadOutcome, ReadToken};
use wire::record::Answer;

/// A read, and whom to tell.
#[derive(Clone, Debug)]
pub(super) struct Read {
    ticket: Ticket,
    key: Bytes,
}

impl<D: Disk, L: Logger> Replica<D, L> {
    /// Takes in a read.
    pub fn read(&mut self, ticket: Ticket, key: Bytes) {
        self.gathered.push(Read { ticket, key });
    }

    /// Hands all reads that came in since the last turn to the core, as one.
    pub(super) fn ask_for_reads(&mut self) {
        if self.gathered.is_empty() {
            return;
        }
        let reads = core::mem::take(&mut self.gathered);
        self.last_token = ReadToken(self.last_token.0 + 1);
        match self.node.read_index(self.last_token) {
            Ok(()) => {
                self.confirming.insert(self.last_token, reads);
            }
            Err(ReadIndexError::NotLeader { leader }) => {
                self.refused.extend(
                    reads
                        .iter()
                        .map(|read| (read.ticket, Refusal::NotLeader { leader })),
                );
            }
        }
    }

    pub(super) fn read_was_decided(&mut self, outcome: ReadOutcome, out: &mut Outbox) {
        match outcome {
            ReadOutcome::Confirmed { token, index } => {
                let reads = self.confirming.remove(&token).expect("a read is decided once");
                self.confirmed.push_back((index, reads));
            }
            ReadOutcome::Aborted { token } => {
                let reads = self.confirming.remove(&token).expect("a read is decided once");
                out.replies
                    .extend(reads.iter().map(|read| (read.ticket, Err(Refusal::ReadAborted))));
            }
        }
    }

    /// Answers the confirmed reads whose index was applied.
    pub(super) fn answer_reads(&mut self, out: &mut Outbox) {
        let applied = self.node.raft().applied_index();
        let may_see = |index: Index| index <= applied || mutated!(self.mutant, ReadBeforeApplied);
        while let Some((_, reads)) = self.confirmed.pop_front_if(|(index, _)| may_see(*index)) {
            let answer = |read: Read| (read.ticket, Ok(Answer::Value(self.machine.get(&read.key))));
            out.replies.extend(reads.into_iter().map(answer));
        }
    }
}
