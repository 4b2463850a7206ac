//! What a server asks for, carried out; and what is remembered of what it says.

use super::{Outcome, World, ensure};
use crate::server::Server;
use raft::{Entry, Envelope, Index, Life, LogPosition, Message, ReadOutcome, RoleKind, Storage as _};

/// Messages in flight at most; beyond them the oldest are lost, as in a network that is full.
const IN_FLIGHT_MAX: usize = 48;

impl World {
    pub(super) fn persist(&mut self, place: usize) -> Outcome {
        if let Some(write) = self.servers[place].persist() {
            self.tell(format!("n{} has write {} on disk", place + 1, write.id.0));
            if let Some(snapshot) = &write.snapshot {
                self.memories[place].applied = snapshot.last.index;
                self.seen.snapshots_installed += 1;
            }
            self.check(place)?;
            self.ready(place)?;
        }
        Ok(())
    }

    pub(super) fn crash(&mut self, place: usize, choice: usize) -> Outcome {
        let pending = self.servers[place].writes.len();
        let landed = choice % (pending + 1);
        self.tell(format!(
            "n{} crashes, {landed} of {pending} writes landed",
            place + 1
        ));
        self.seen.crashes_with_writes_pending += usize::from(pending > 0);
        let old = self.servers.remove(place);
        let storage = old.crash(landed);
        let (durable, compacted) = (storage.hard_state(), storage.first_index().previous());
        let config = &mut self.configs[place];
        config.life = config.life.map(|life| Life(life.0 + 1));
        self.servers.insert(place, Server::start(config.clone(), storage));
        let memory = &mut self.memories[place];
        // What was not durable is forgotten, and was told to nobody: see `told`.
        (memory.term, memory.vote) = (durable.term, durable.vote);
        memory.commit = durable.commit.max(compacted);
        memory.applied = compacted;
        self.check(place)
    }

    /// Asks the core what it wants; sends, applies and answers. Writes stay pending.
    pub(super) fn ready(&mut self, place: usize) -> Outcome {
        while self.servers[place].raft.has_ready() {
            let ready = self.servers[place].ready();
            let id = self.servers[place].raft.id();
            if let Some(write) = &ready.write {
                self.tell(format!("{id} hands out write {}", write.id.0));
                let prev = write.entries.first().map(|first| {
                    let index = first.index.previous();
                    let term = self.servers[place].raft.log_term(index);
                    LogPosition {
                        term: term.expect("a log has no gaps"),
                        index,
                    }
                });
                self.remember_entries(prev.unwrap_or_default(), &write.entries)?;
            }
            for envelope in ready.messages {
                self.told(place, &envelope)?;
                self.network.push(envelope);
            }
            for outcome in ready.reads {
                self.read_was_decided(place, outcome)?;
            }
            for entry in &ready.committed {
                let memory = &mut self.memories[place];
                ensure!(
                    entry.index == memory.applied.next(),
                    "{id} applies {} behind {}",
                    entry.position(),
                    memory.applied
                );
                memory.applied = entry.index;
                let storage = self.servers[place].raft.storage();
                let durable = storage.entries(entry.index..entry.index.next(), usize::MAX);
                ensure!(
                    durable.as_deref() == Ok(std::slice::from_ref(entry)),
                    "{id} applies {} and does not have it on disk",
                    entry.position()
                );
                let place = entry.index.since(Index(1));
                let committed = self.ghost.committed.get(place).map(|(p, _)| *p);
                ensure!(
                    committed == Some(entry.position()),
                    "{id} applies {}, and {committed:?} was committed",
                    entry.position()
                );
            }
            if let Some(last) = ready.committed.last() {
                self.servers[place].raft.applied(last.index);
            }
            self.check(place)?;
        }
        let full = self.network.len().saturating_sub(IN_FLIGHT_MAX);
        self.network.drain(..full);
        Ok(())
    }

    fn read_was_decided(&mut self, place: usize, outcome: ReadOutcome) -> Outcome {
        let leads = self.servers[place].raft.role() == RoleKind::Leader;
        match outcome {
            ReadOutcome::Confirmed { token, index } => {
                self.seen.reads_confirmed += 1;
                self.seen.reads_of_followers_confirmed += usize::from(!leads);
                self.tell(format!("read {} may see {index}", token.0));
                let known = self.ghost.reads.remove(&token);
                ensure!(
                    known.is_some_and(|known| index >= known),
                    "read {} was confirmed at {index}, and {known:?} was committed before it was asked",
                    token.0
                );
            }
            ReadOutcome::Aborted { token } => {
                self.seen.reads_aborted += 1;
                let known = self.ghost.reads.remove(&token);
                ensure!(known.is_some(), "read {} was decided twice", token.0);
            }
        }
        Ok(())
    }

    /// Entries are what they were when they first appeared, and stand behind what they then stood behind (log matching).
    fn remember_entries(&mut self, mut prev: LogPosition, entries: &[Entry<u8>]) -> Outcome {
        for entry in entries {
            let now = (prev, entry.clone());
            let first = self
                .ghost
                .entries
                .entry(entry.position())
                .or_insert_with(|| now.clone());
            ensure!(
                *first == now,
                "{:?} behind {} is not {:?} behind {}",
                now.1,
                now.0,
                first.1,
                first.0
            );
            prev = entry.position();
        }
        Ok(())
    }

    /// What leaves a server holds, whatever happens to it.
    fn told(&mut self, place: usize, envelope: &Envelope<u8>) -> Outcome {
        let storage = self.servers[place].raft.storage();
        let durable = storage.hard_state();
        match &envelope.message {
            Message::Vote { last, .. } => {
                let index = storage.last_index();
                let log_end = LogPosition {
                    term: storage.term(index).expect("the last term is at hand"),
                    index,
                };
                ensure!(
                    (durable.term, durable.vote) == (envelope.term, Some(envelope.from))
                        || durable.term > envelope.term,
                    "not durable: {envelope}"
                );
                ensure!(log_end >= *last, "its durable log ends at {log_end}: {envelope}");
            }
            Message::VoteResponse { granted: true } => {
                ensure!(
                    durable.term == envelope.term && durable.vote == Some(envelope.to),
                    "not durable, with {durable:?}: {envelope}"
                );
                let told = *self.memories[place]
                    .votes_told
                    .entry(envelope.term)
                    .or_insert(envelope.to);
                ensure!(told == envelope.to, "it told {told} the same: {envelope}");
            }
            Message::AppendAccepted { matched } => {
                ensure!(
                    durable.term >= envelope.term,
                    "its term is not durable: {envelope}"
                );
                let raft = &self.servers[place].raft;
                let first = storage.first_index().max(raft.first_index());
                let as_in_memory = (first.0..=matched.0).map(Index).all(|index| {
                    let on_disk = storage.term(index).ok();
                    on_disk.is_some() && on_disk == raft.log_term(index)
                });
                ensure!(
                    as_in_memory && *matched <= storage.last_index(),
                    "not durable: {envelope}"
                );
            }
            Message::Append { prev, entries, .. } => {
                return self.remember_entries(*prev, entries);
            }
            Message::Snapshot { snapshot } => return self.is_sound(snapshot),
            Message::PreVote { .. }
            | Message::PreVoteResponse { .. }
            | Message::VoteResponse { granted: false }
            | Message::AppendRejected { .. }
            | Message::Heartbeat { .. }
            | Message::HeartbeatResponse { .. }
            | Message::TimeoutNow
            | Message::ReadIndex { .. } => {}
            Message::ReadIndexResponse { index, .. } => {
                // What either has compacted can't be compared any more.
                let (raft, leader) = (self.raft(envelope.to), &self.servers[place].raft);
                let is_compacted = *index < raft.first_index().max(leader.first_index());
                let holds = raft.log_term(*index) == leader.log_term(*index);
                ensure!(
                    holds || is_compacted || raft.term() > envelope.term,
                    "its receiver ends at {}: {envelope}",
                    raft.last()
                );
            }
        }
        Ok(())
    }
}
