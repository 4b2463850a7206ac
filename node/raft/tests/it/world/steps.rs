//! The steps of a schedule.

use super::{Outcome, World, ensure};
use crate::server::Server;
use raft::{
    Change, EntryData, Envelope, Index, LogPosition, NodeId, ReadToken, RoleKind, SnapshotMeta,
    SnapshotStatus, Term,
};
use std::sync::Arc;

/// Commands in a schedule at most: short logs, in which everything happens near to everything else.
const COMMANDS_MAX: u8 = 24;

/// The kinds of steps and how often each comes, in parts of their sum: in a calm world, and in a stormy one, where leaders hardly
/// have time to replicate.
const STEPS: [(Step, [u32; 2]); 20] = [
    (Step::Deliver, [40, 4]),
    (Step::DeliverAgain, [6, 2]),
    (Step::Lose, [4, 4]),
    (Step::Exchange, [2, 24]),
    (Step::Persist, [22, 4]),
    (Step::Ready, [12, 4]),
    (Step::ElectionTimeout, [3, 3]),
    (Step::Silent, [4, 6]),
    (Step::Heartbeat, [5, 1]),
    (Step::QuorumCheck, [1, 1]),
    (Step::Campaign, [1, 4]),
    (Step::Propose, [7, 2]),
    (Step::Read, [4, 1]),
    (Step::ReadTimeout, [2, 0]),
    (Step::Unreachable, [1, 1]),
    (Step::Crash, [2, 4]),
    (Step::Change, [3, 3]),
    (Step::Transfer, [1, 2]),
    (Step::Compact, [3, 2]),
    (Step::Report, [2, 1]),
];

#[derive(Clone, Copy, Debug)]
enum Step {
    Deliver,
    DeliverAgain,
    Lose,
    /// Two servers are alone with each other, for a moment and with fast disks.
    Exchange,
    Persist,
    Ready,
    ElectionTimeout,
    Silent,
    Heartbeat,
    QuorumCheck,
    Campaign,
    Propose,
    Read,
    /// A follower asks its leader about its reads again, or gives them up.
    ReadTimeout,
    Unreachable,
    Crash,
    /// Somebody is to come, to go, to vote or to learn.
    Change,
    /// Leadership is to be handed over.
    Transfer,
    /// What was applied becomes a snapshot.
    Compact,
    /// Word comes of what became of a snapshot.
    Report,
}

impl World {
    /// The step that a number stands for, and what is left of the number to choose with.
    fn draw(&self, number: u32) -> (Step, usize) {
        let weather = usize::from(self.stormy);
        let sum = STEPS.iter().map(|(_, weights)| weights[weather]).sum::<u32>();
        let mut drawn = number % sum;
        for (step, weights) in STEPS {
            match drawn.checked_sub(weights[weather]) {
                Some(rest) => drawn = rest,
                None => return (step, (number / sum) as usize),
            }
        }
        unreachable!("what is drawn is less than the sum of the weights")
    }

    /// One step.
    pub(crate) fn step(&mut self, number: u32) -> Outcome {
        self.seen.steps += 1;
        let (step, choice) = self.draw(number);
        let place = choice % self.servers.len();
        let id = NodeId(place as u64 + 1);
        match step {
            Step::Deliver | Step::DeliverAgain | Step::Lose => return self.move_message(step, choice),
            Step::Exchange => return self.exchange(place, choice / self.servers.len()),
            Step::Persist => return self.persist(place),
            Step::Ready => return self.ready(place),
            Step::Crash => return self.crash(place, choice / self.servers.len()),
            Step::Propose => return self.propose(place),
            Step::Read => return self.read(place),
            Step::Change => return self.change(place, choice / self.servers.len()),
            Step::Compact => return self.compact(place),
            Step::ElectionTimeout
            | Step::Silent
            | Step::Heartbeat
            | Step::QuorumCheck
            | Step::Campaign
            | Step::ReadTimeout
            | Step::Unreachable
            | Step::Transfer
            | Step::Report => {}
        }
        self.tell(format!("{id}: {step:?}"));
        let other = NodeId((choice / self.servers.len() % self.servers.len()) as u64 + 1);
        let rest = choice / self.servers.len() / self.servers.len();
        let raft = &mut self.servers[place].raft;
        match step {
            Step::ElectionTimeout => raft.election_timeout(),
            Step::Silent => raft.leader_silent(),
            Step::Heartbeat => raft.heartbeat_timeout(),
            Step::QuorumCheck => raft.quorum_check(),
            Step::Campaign => raft.campaign(),
            Step::ReadTimeout if rest.is_multiple_of(4) => raft.give_reads_up(),
            Step::ReadTimeout => raft.read_timeout(),
            Step::Unreachable => raft.report_unreachable(other),
            Step::Transfer => {
                self.seen.transfers += usize::from(raft.transfer_leader(other).is_ok() && other != id);
            }
            Step::Report => {
                let status = if rest.is_multiple_of(2) {
                    SnapshotStatus::Delivered
                } else {
                    SnapshotStatus::Failed
                };
                raft.report_snapshot(other, status);
            }
            Step::Deliver
            | Step::DeliverAgain
            | Step::Lose
            | Step::Exchange
            | Step::Persist
            | Step::Ready
            | Step::Propose
            | Step::Read
            | Step::Crash
            | Step::Change
            | Step::Compact => unreachable!("they are done above"),
        }
        self.check(place)?;
        self.ready(place)
    }

    fn move_message(&mut self, step: Step, choice: usize) -> Outcome {
        if self.network.is_empty() {
            return Ok(());
        }
        // Near to the front more often than not: a network is mostly in order.
        let span = if choice.is_multiple_of(3) {
            self.network.len()
        } else {
            self.network.len().min(4)
        };
        let place = choice / 3 % span;
        let envelope = if let Step::DeliverAgain = step {
            self.network[place].clone()
        } else {
            self.network.remove(place)
        };
        if let Step::Lose = step {
            self.tell(format!("lost: {envelope}"));
            return Ok(());
        }
        self.deliver(envelope, !(choice / 3 / span).is_multiple_of(4))
    }

    fn exchange(&mut self, place: usize, choice: usize) -> Outcome {
        let peer = choice % self.servers.len();
        let pair = [NodeId(place as u64 + 1), NodeId(peer as u64 + 1)];
        for _ in 0..=choice / self.servers.len() % 4 {
            for place in [place, peer] {
                while !self.servers[place].writes.is_empty() {
                    self.persist(place)?;
                }
            }
            let between =
                |envelope: &Envelope<u8>| pair.contains(&envelope.from) && pair.contains(&envelope.to);
            let (now, later) = self.network.drain(..).partition(between);
            self.network = later;
            let now: Vec<Envelope<u8>> = now;
            for envelope in now {
                self.deliver(envelope, true)?;
            }
        }
        Ok(())
    }

    /// Delivers a message, and asks at once what follows from it, or leaves that to a later step.
    pub(super) fn deliver(&mut self, envelope: Envelope<u8>, ask: bool) -> Outcome {
        let place = (envelope.to.0 - 1) as usize;
        self.tell(envelope.to_string());
        let before = &self.servers[place].raft;
        let (last, configuration) = (before.last(), before.configuration().clone());
        self.servers[place].raft.step(envelope);
        let raft = &self.servers[place].raft;
        let replaced = last.index >= raft.first_index() && raft.log_term(last.index) != Some(last.term);
        if replaced {
            self.seen.entries_replaced += 1;
            self.seen.configurations_undone += usize::from(*raft.configuration() != configuration);
        }
        self.check(place)?;
        if ask { self.ready(place) } else { Ok(()) }
    }

    fn propose(&mut self, place: usize) -> Outcome {
        if self.commands == COMMANDS_MAX {
            return Ok(());
        }
        if let Ok(position) = self.servers[place].raft.propose(self.commands) {
            self.commands += 1;
            self.tell(format!("n{} takes in {position}", place + 1));
        }
        self.check(place)?;
        // Often together with what comes next.
        if self.commands.is_multiple_of(2) {
            self.ready(place)
        } else {
            Ok(())
        }
    }

    fn change(&mut self, place: usize, choice: usize) -> Outcome {
        if !self.moving || self.commands == COMMANDS_MAX {
            return Ok(());
        }
        // Others refuse at once: that is known.
        let leads = |server: &Server<u8>| server.raft.role() == RoleKind::Leader;
        let place = self.servers.iter().position(leads).unwrap_or(place);
        let count = self.servers.len();
        let one = |choice: usize| {
            let node = NodeId((choice / 4 % count) as u64 + 1);
            match choice % 4 {
                0 | 1 => Change::AddVoter(node),
                2 => Change::Remove(node),
                _ => Change::AddLearner(node),
            }
        };
        let (first, rest) = (one(choice), choice / 4 / count);
        let (second, rest) = (one(rest), rest / 4 / count);
        let changes = if rest.is_multiple_of(2) {
            vec![first]
        } else {
            vec![first, second]
        };
        if let Ok(position) = self.servers[place].raft.propose_change(&changes) {
            self.commands += 1;
            self.tell(format!("n{} takes in {changes:?} as {position}", place + 1));
        }
        self.check(place)?;
        self.ready(place)
    }

    fn compact(&mut self, place: usize) -> Outcome {
        let raft = &self.servers[place].raft;
        let Some(snapshot) = raft.snapshot_meta() else {
            return Ok(());
        };
        if snapshot.last.index < raft.first_index() {
            return Ok(());
        }
        self.is_sound(&snapshot)?;
        self.tell(format!("n{} compacts up to {}", place + 1, snapshot.last));
        let storage = self.servers[place].raft.storage_mut();
        storage.compact(Arc::new(snapshot));
        self.check(place)?;
        self.ready(place)
    }

    /// A snapshot is of committed entries, and names the configuration of the last one among them.
    pub(super) fn is_sound(&self, snapshot: &SnapshotMeta) -> Outcome {
        let last = snapshot.last;
        let committed = &self.ghost.committed[..last.index.since(Index(0)).min(self.ghost.committed.len())];
        ensure!(
            committed.last().is_some_and(|(position, _)| *position == last),
            "a snapshot ends at {last}, and {:?} was committed",
            committed.last()
        );
        let of_entry = |(position, _): &(LogPosition, Term)| match &self.ghost.entries[position].1.data {
            EntryData::Configuration(configuration) => Some(configuration.clone()),
            EntryData::Noop | EntryData::Command(_) => None,
        };
        if let Some(configuration) = committed.iter().rev().find_map(of_entry) {
            ensure!(
                configuration == snapshot.configuration,
                "a snapshot up to {last} has the configuration ({}), and ({configuration}) was committed",
                snapshot.configuration
            );
        }
        Ok(())
    }

    fn read(&mut self, place: usize) -> Outcome {
        let token = ReadToken(self.reads);
        if self.servers[place].raft.read_index(token).is_ok() {
            self.reads += 1;
            let known = Index(self.ghost.committed.len() as u64);
            self.ghost.reads.insert(token, known);
            self.tell(format!("n{} read {} at {known}", place + 1, token.0));
            return self.ready(place);
        }
        Ok(())
    }
}
