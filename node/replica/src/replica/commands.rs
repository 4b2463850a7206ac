//! Commands: how they enter the log, how they are applied, and how whoever proposed them hears of it.

use super::{Fatal, Outbox, Refusal, Replica, Ticket};
use crate::disk::Disk;
use crate::machine::StateMachine;
use crate::map::AHEAD_MAX;
use crate::mutant::mutated;
use alloc::vec::Vec;
use bytes::Bytes;
use core::time::Duration;
use raft::{Entry, EntryData, LogPosition, Logger, RoleKind, Term};
use wire::record::{EncodedCommand, Invocation, Once};
use wire::{DecodeError, Slice};

/// How many entries it must be for looking ahead at what they need to be worth it.
const AHEAD_MIN: usize = 4;

/// What an entry counts as work beside its bytes and those of the values that it is about.
const ENTRY_WORK: u64 = 256;

/// What an entry carries, if that is a command.
type Decoded<'a> = Option<Result<Invocation<Slice<'a>>, DecodeError>>;

fn decoded(entry: &Entry<Bytes>) -> Decoded<'_> {
    match &entry.data {
        EntryData::Command(bytes) => Some(Invocation::from_bytes(bytes)),
        EntryData::Noop | EntryData::Configuration(_) => None,
    }
}

/// When a node began to lead: what its stamps of time are counted from.
#[derive(Clone, Copy, Debug)]
pub(super) struct LeadsSince {
    term: Term,
    /// Leaders' time then, in milliseconds.
    time: u64,
    /// The driver's clock then.
    now: Duration,
}

impl<D: Disk, L: Logger> Replica<D, L> {
    /// Takes in a command.
    pub fn command(&mut self, ticket: Ticket, command: impl Into<EncodedCommand>) {
        self.propose(ticket, command.into().by_itself());
    }

    /// Takes in that a client opens a session.
    pub fn open_session(&mut self, ticket: Ticket) {
        let (time, lifetime) = (self.leaders_time(), self.session_lifetime);
        self.propose(ticket, Invocation::OpenSession { time, lifetime }.to_bytes());
    }

    /// Takes in that a client ends its session.
    pub fn close_session(&mut self, ticket: Ticket, session: u64) {
        let time = self.leaders_time();
        self.propose(ticket, Invocation::CloseSession { session, time }.to_bytes());
    }

    /// Takes in a command that is to be carried out once, however often it comes.
    pub fn command_once(&mut self, ticket: Ticket, once: Once, command: impl Into<EncodedCommand>) {
        let time = self.leaders_time();
        self.propose(ticket, command.into().once(once, time));
    }

    /// The time with which a leader stamps what it takes in, in milliseconds: that of its state when it began to lead, and what has
    /// passed since by its own clock. So it goes on from leader to leader, and stands still where nobody leads: nobody's session ends
    /// because there was nobody to talk to.
    fn leaders_time(&mut self) -> u64 {
        let Some(since) = self.leads_since() else { return 0 };
        let passed = self.now.saturating_sub(since.now).as_millis();
        since
            .time
            .saturating_add(u64::try_from(passed).unwrap_or(u64::MAX))
    }

    /// When this node began to lead, if it does.
    pub(super) fn leads_since(&mut self) -> Option<LeadsSince> {
        let term = self.led_term()?;
        if self.leads_since.is_none_or(|since| since.term != term) {
            self.leads_since = Some(LeadsSince {
                term,
                time: self.machine.time(),
                now: self.now,
            });
        }
        self.leads_since
    }

    fn propose(&mut self, ticket: Ticket, bytes: Bytes) {
        match self.node.propose(bytes) {
            Ok(position) => self.commands.push_back((position, ticket)),
            Err(error) => self.refused.push((ticket, error.into())),
        }
    }

    /// Applies committed entries, in order, and answers whoever proposed them. When that is enough for a turn, the core gets the rest back.
    pub(super) fn apply_entries(
        &mut self,
        committed: &[Entry<Bytes>],
        out: &mut Outbox,
    ) -> Result<(), Fatal> {
        let Some(end) = committed.last().map(|entry| entry.index) else {
            return Ok(());
        };
        let (mut is_bounded, mut last) = (true, None);
        if mutated!(self.mutant, FailoverEmpties) && self.opens_term(committed) {
            self.machine = StateMachine::default();
        }
        if mutated!(self.mutant, AppliedBeforeEffect) && self.must_snapshot() {
            self.snapshot_before_effect(committed)?;
            // The bug is that it is applied later, and not that it isn't.
            is_bounded = false;
        }
        'turn: for entries in committed.chunks(AHEAD_MAX) {
            let decoded: Vec<Decoded<'_>> = entries.iter().map(decoded).collect();
            if entries.len() >= AHEAD_MIN {
                self.machine.look_ahead(decoded.iter().flatten().flatten());
            }
            for (entry, decoded) in entries.iter().zip(decoded) {
                // Never nothing in a turn: its first entry is applied, whatever it takes.
                if is_bounded && self.has_done_enough() {
                    break 'turn;
                }
                self.apply_entry(entry, decoded, out)?;
                last = Some(entry.index);
            }
        }
        if let Some(last) = last {
            self.node.applied(last);
        }
        if last < Some(end) {
            self.node.hand_back();
        }
        Ok(())
    }

    fn apply_entry(
        &mut self,
        entry: &Entry<Bytes>,
        decoded: Decoded<'_>,
        out: &mut Outbox,
    ) -> Result<(), Fatal> {
        let position = entry.position();
        self.work += ENTRY_WORK + entry.size() as u64;
        if let EntryData::Configuration(configuration) = &entry.data {
            self.configuration_applied(position, configuration, out);
        }
        let Some(invocation) = decoded else {
            return Ok(());
        };
        let invocation = invocation.map_err(|error| Fatal::Command { position, error })?;
        let invocation = if mutated!(self.mutant, RetryAppliedTwice) {
            invocation.without_session()
        } else {
            invocation
        };
        let result = self
            .machine
            .invoke_counted(position.index, invocation, &mut self.work);
        if let Some((_, ticket)) = self.commands.pop_front_if(|(proposed, _)| *proposed == position) {
            out.replies.push((ticket, result.map_err(Refusal::from)));
        }
        Ok(())
    }

    /// Whether this node leads, and the entry that opened its term is among `committed`.
    fn opens_term(&self, committed: &[Entry<Bytes>]) -> bool {
        let opens =
            |entry: &Entry<Bytes>| entry.data == EntryData::Noop && Some(entry.term) == self.led_term();
        committed.iter().any(opens)
    }

    /// Whether commands wait that were proposed in a leadership that is over, and of which nobody learns here any more what becomes of them.
    pub(super) fn has_lost_commands(&self) -> bool {
        let oldest = self.commands.front();
        // They lie in the order of the log. Most of the time all are of the leadership that is.
        oldest.is_some_and(|(position, _)| Some(position.term) != self.led_term())
            && self.commands.iter().any(|(position, _)| self.is_lost(*position))
    }

    fn is_lost(&self, position: LogPosition) -> bool {
        Some(position.term) != self.led_term() && !self.is_to_be_applied(position)
    }

    /// Whether it is certain that the entry at `position` will be applied here: the others have committed it, and it is still to be made
    /// durable. (A snapshot may go past it.)
    pub(super) fn is_to_be_applied(&self, position: LogPosition) -> bool {
        let raft = self.node.raft();
        position.index > raft.applied_index()
            && position.index <= raft.commit_index()
            && raft.log_term(position.index) == Some(position.term)
    }

    pub(super) fn led_term(&self) -> Option<Term> {
        let raft = self.node.raft();
        (raft.role() == RoleKind::Leader).then_some(raft.term())
    }

    /// Answers the commands of leaderships that are over, even of one that began and ended since the last turn. They may yet be committed
    /// by another leader, so nothing certain can be said of them.
    pub(super) fn give_lost_commands_up(&mut self, out: &mut Outbox) {
        if !self.has_lost_commands() {
            return;
        }
        // Wherever they are: one that was left before a command of a later leadership would stand between that and its answer.
        for (position, ticket) in core::mem::take(&mut self.commands) {
            if self.is_lost(position) {
                out.replies.push((ticket, Err(Refusal::LeadershipLost)));
            } else {
                self.commands.push_back((position, ticket));
            }
        }
    }
}
