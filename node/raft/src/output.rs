//! What the protocol asks of its driver, the [`Ready`], and what the driver reports: what is durable, and what is applied.
//!
//! # Writes and their completions
//!
//! Any number of writes may be in flight; they become durable, and are reported, in the order in which they were handed out. What
//! holds, however late a report comes:
//!
//! - What promises or claims something waits for the last write that was handed out before it was said, and is dropped if the term has gone
//!   on meanwhile: each held-back message carries the term in which it was said (`append_is_acknowledged_when_durable`,
//!   `candidacy_waits_for_the_disk`, `vote_is_given_when_durable`).
//! - A write makes durable what it holds *as far as the log still has it*. What was replaced while it was being written is not durable, though
//!   the disk shows it; nor is what has come back since, before the write that brought it back is done
//!   (`append_replaced_while_being_written`, `append_comes_back_while_its_replacement_is_written`; bug zoo, *stale-progress*, on the
//!   follower's own side).
//! - The report of a write that was reported before, by itself or by a later one, changes nothing.
//! - A leader counts itself towards a commit when its own disk is done, and the others whenever theirs are
//!   (`leader_commits_without_its_own_disk`).
//!
//! # Application and its completions
//!
//! An entry is handed out to be applied once, in order, when it is committed and durable here. How far the driver is with that concerns
//! nobody: elections and replication go by what is in the log. A report that goes back, or beyond what was handed out, panics.
//!
//! A driver for which it is too much for now hands back what it did not apply ([`Raft::hand_back`]): the core keeps it, as it keeps the log,
//! and hands it out again.

use crate::membership::Membership;
use crate::message::{Envelope, Message};
use crate::mutant::mutated;
use crate::protocol::Raft;
use crate::ready::{Ready, Write, WriteId};
use crate::role::Role;
use crate::snapshot::SnapshotMeta;
use crate::storage::Storage;
use crate::symmetry::Permute;
use crate::types::{Command, HardState, Index, LogPosition, NodeId};
use alloc::sync::Arc;
use alloc::vec::Vec;

/// A write that was handed out and not yet reported durable.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PendingWrite<C> {
    id: WriteId,
    /// The last index that becomes durable with it, *as the log stands now*: lowered when the log is cut.
    stable: Index,
    /// The end of the snapshot that becomes durable with it.
    snapshot: Option<LogPosition>,
    /// Whether the term becomes durable with it.
    has_new_term: bool,
    /// What may be sent when it is durable.
    messages: Vec<Envelope<C>>,
}

impl<S: Storage> Raft<S> {
    /// Sends a message that promises nothing: at once.
    pub(crate) fn send(&mut self, to: NodeId, message: Message<S::Command>) {
        self.outbox.push(Envelope {
            from: self.id(),
            to,
            term: self.term,
            message,
        });
    }

    /// Sends a message that promises or claims something: once all that was decided so far is durable.
    pub(crate) fn send_when_durable(&mut self, to: NodeId, message: Message<S::Command>) {
        let envelope = Envelope {
            from: self.id(),
            to,
            term: self.term,
            message,
        };
        hold_back(&mut self.held_back, envelope);
    }

    /// Whether this server, if it dies now, may start again in an older term.
    pub(crate) fn may_forget_term(&self) -> bool {
        self.written.0 != self.term || self.pending_writes.iter().any(|write| write.has_new_term)
    }

    /// The entries from `from` on leave the log.
    pub(crate) fn truncate_log(&mut self, from: Index) {
        self.log.truncate(from);
        if !mutated!(self.config, ConfigNotRolledBack) {
            self.membership.truncate(from);
        }
        for write in &mut self.pending_writes {
            write.stable = write.stable.min(from.previous());
        }
    }

    /// Whether [`Raft::ready`] has anything to ask. While a storage says that entries are temporarily unavailable, this may be so and
    /// `ready` hand out nothing: then it is time to wait for the storage.
    pub fn has_ready(&self) -> bool {
        self.must_write() || self.has_ready_besides_write()
    }

    /// Whether [`Raft::ready_besides_write`] has anything to ask.
    pub fn has_ready_besides_write(&self) -> bool {
        self.wants_to_send()
            || !self.outbox.is_empty()
            || (!self.held_back.is_empty() && !self.must_write())
            || self.log.has_unapplied()
            || !self.read_outcomes.is_empty()
    }

    fn must_write(&self) -> bool {
        let vote_changed = self.written.1 != self.vote && !mutated!(self.config, VoteNotPersisted);
        self.written.0 != self.term
            || vote_changed
            || self.unwritten_snapshot.is_some()
            || self.log.has_unwritten()
    }

    /// What the core asks of its driver now. A write in it is called `id`: names are the driver's, so that equal states stay
    /// equal; [`crate::RawNode`] numbers them.
    pub fn ready(&mut self, id: WriteId) -> Ready<S::Command> {
        self.send_appends_and_rounds();
        let write = if self.must_write() {
            Some(self.take_write(id))
        } else {
            None
        };
        self.hand_out(write)
    }

    /// What [`Raft::ready`] would ask, but for a write, which stays for the next time: for a driver whose disk has one at a time, while that
    /// is in flight. What waits for the write stays as well.
    pub fn ready_besides_write(&mut self) -> Ready<S::Command> {
        self.send_appends_and_rounds();
        self.hand_out(None)
    }

    fn hand_out(&mut self, write: Option<Write<S::Command>>) -> Ready<S::Command> {
        if !self.must_write() && !self.held_back.is_empty() {
            // What these say was handed out before: it is durable, or will be with the last write in flight.
            let held_back = core::mem::take(&mut self.held_back);
            match self.pending_writes.back_mut() {
                Some(pending) => {
                    for envelope in held_back {
                        hold_back(&mut pending.messages, envelope);
                    }
                }
                None => self.release(held_back),
            }
        }
        let committed = self.log.take_unapplied(self.config.apply_bytes_max);
        Ready {
            messages: core::mem::take(&mut self.outbox),
            write,
            committed,
            reads: core::mem::take(&mut self.read_outcomes),
        }
    }

    fn take_write(&mut self, id: WriteId) -> Write<S::Command> {
        let entries = self.log.take_unwritten();
        let snapshot = self.unwritten_snapshot.take();
        self.pending_writes.push_back(PendingWrite {
            id,
            stable: self.log.last_index(),
            snapshot: snapshot.as_ref().map(|snapshot| snapshot.last),
            has_new_term: self.written.0 != self.term,
            messages: core::mem::take(&mut self.held_back),
        });
        self.written = (self.term, self.vote);
        let vote = if mutated!(self.config, VoteNotPersisted) {
            None
        } else {
            self.vote
        };
        Write {
            id,
            hard_state: HardState {
                term: self.term,
                vote,
                commit: if mutated!(self.config, CommitRegresses) && entries.is_empty() {
                    Index(0)
                } else {
                    self.log.committed()
                },
            },
            snapshot,
            entries,
        }
    }

    /// The write `id`, and all that were handed out before it, are durable. A report that comes again changes nothing.
    pub fn persisted(&mut self, id: WriteId) {
        let Some(place) = self.pending_writes.iter().position(|write| write.id == id) else {
            return;
        };
        let done: Vec<_> = self.pending_writes.drain(..=place).collect();
        for write in done {
            if let Some(snapshot) = write.snapshot {
                self.log.installed(snapshot);
            }
            self.log.stable_to(write.stable);
            self.release(write.messages);
        }
        if let Role::Leader(leader) = &mut self.role {
            leader.stalled_checks = 0;
        }
        self.own_log_is_durable();
    }

    /// Sends what was held back. What belongs to an older term is dropped: its receiver leads or stands no more, and this
    /// server may have replaced the entries that it was to acknowledge.
    fn release(&mut self, messages: Vec<Envelope<S::Command>>) {
        for envelope in messages {
            if envelope.term != self.term {
                continue;
            }
            if envelope.to != self.id() {
                self.outbox.push(envelope);
            } else if let Message::VoteResponse { granted } = envelope.message {
                // The only thing that a server says to itself.
                self.on_vote_response(envelope.to, granted);
            }
        }
    }

    /// Everything up to `index` was applied; a snapshot that was handed out to be written, when its state is in place.
    ///
    /// # Panics
    /// It was not handed out, or was reported before.
    pub fn applied(&mut self, index: Index) {
        self.log.applied_to(index);
        self.membership.applied(index);
        self.free_uncommitted();
    }

    /// What was handed out to be applied, and not reported applied by now, is not going to be: it is handed out again with the next
    /// [`Ready`]. What a snapshot stands for that was taken in meanwhile, is not.
    pub fn hand_back(&mut self) {
        self.log.hand_back();
    }

    /// A snapshot takes the place of the log, and the state behind it that of the state machine.
    pub(crate) fn restore(&mut self, snapshot: Arc<SnapshotMeta>) {
        let mut last = snapshot.last;
        if mutated!(self.config, SnapshotKeepsConflict) {
            last.term = self.log.term(last.index).unwrap_or(last.term);
        }
        self.log.restore(last);
        for write in &mut self.pending_writes {
            write.stable = write.stable.min(snapshot.last.index);
        }
        // Not what the replaced log says of members (bug zoo, *config-from-replaced-log*).
        if !mutated!(self.config, ConfigFromReplacedLog) {
            let begins_with = (snapshot.last.index, snapshot.configuration.clone());
            self.membership = Membership::new(alloc::vec![begins_with]);
        }
        self.unwritten_snapshot = Some(snapshot);
    }
}

/// Adds a message to those that wait for the same write. What says no more than another one does is left out: however often a request
/// comes while a write takes its time, it is answered once. They are kept sorted by receiver: they leave together, so that order
/// says nothing, and states that differ in nothing else are equal.
fn hold_back<C: Command>(waiting: &mut Vec<Envelope<C>>, envelope: Envelope<C>) {
    for other in waiting.iter_mut() {
        if (other.to, other.term) != (envelope.to, envelope.term) {
            continue;
        }
        if let (Message::AppendAccepted { matched }, Message::AppendAccepted { matched: news }) =
            (&mut other.message, &envelope.message)
        {
            // They become durable together; the higher one says all that the other does.
            *matched = (*matched).max(*news);
            return;
        }
        if other.message == envelope.message {
            return;
        }
    }
    let place = waiting.partition_point(|other| other.to <= envelope.to);
    waiting.insert(place, envelope);
}

impl<C: Clone> Permute for PendingWrite<C> {
    fn permute(&self, permutation: &[(NodeId, NodeId)]) -> Self {
        let PendingWrite {
            id,
            stable,
            snapshot,
            has_new_term,
            messages,
        } = self;
        let mut messages = messages.permute(permutation);
        messages.sort_by_key(|envelope| envelope.to);
        PendingWrite {
            id: *id,
            stable: *stable,
            snapshot: *snapshot,
            has_new_term: *has_new_term,
            messages,
        }
    }
}
