//! A node's turns: what it takes in, sends, applies and writes. And its start.

use super::{Event, World};
use crate::options::{Broken, Invariant};
use crate::promise;
use crate::server::{Input, Process};
use rand::RngExt;
use replica::{Fatal, OpenError, Outbox};
use wire::peer::Packet;

/// How many turns a node takes without a pause; a node that has work for ever is stuck.
const TURNS_MAX: usize = 10_000;

impl World {
    pub(super) fn tick(&mut self, node: usize) -> Result<(), Broken> {
        let tick = self.servers[node].clock.tick;
        self.schedule(tick, Event::Tick { node });
        match self.servers[node].running() {
            // A paused process misses its ticks.
            Some(running) if !running.paused => {
                self.servers[node].post(Input::Tick);
                self.turn(node)
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Lets `node` take in what waits and do what follows, until it waits for its disk or for something to do.
    pub(crate) fn turn(&mut self, node: usize) -> Result<(), Broken> {
        for _ in 0..TURNS_MAX {
            match self.servers[node].running() {
                Some(running) if !running.paused && !running.in_turn => {}
                Some(_) | None => return Ok(()),
            }
            let acknowledged = self.ghost.acknowledged();
            let now = self.now;
            let had_inputs = self.servers[node].take_inputs(now, acknowledged, &mut self.script)?;
            self.look(node)?;
            if let Err(fatal) = self.servers[node].settle()? {
                return self.stopped(node, &fatal);
            }
            self.look(node)?;
            let Some(running) = self.servers[node].running_mut() else {
                return Ok(());
            };
            if !running.replica.has_work() {
                if had_inputs {
                    continue;
                }
                return Ok(());
            }
            running.in_turn = true;
            let mut out = std::mem::take(&mut self.out);
            self.servers[node].send(&mut out)?;
            self.pass_on(node, &mut out)?;
            // A leader that can go on while its disk works does, and has that begin before it answers.
            let goes_on = self.plan.beside_max > 0 && self.leads(node);
            let mut applied = if goes_on { self.begin_write(node)? } else { Ok(()) };
            if applied.is_ok() {
                applied = self.servers[node].apply(&mut out)?;
            }
            self.look(node)?;
            if let Err(fatal) = applied {
                // A process that stops passes nothing on any more.
                out.replies.clear();
                out.done.clear();
                self.out = out;
                return self.stopped(node, &fatal);
            }
            self.pass_on(node, &mut out)?;
            self.out = out;
            let takes = self.disk_takes(node, self.plan.disk_max);
            if takes > 0 && !goes_on {
                let incarnation = self.servers[node].incarnation;
                self.schedule(takes, Event::DiskDone { node, incarnation });
                return Ok(());
            }
            self.finish_turn(node)?;
        }
        Err(Broken {
            invariant: Invariant::Liveness,
            what: format!("{} has work for ever", self.servers[node].id),
        })
    }

    pub(super) fn disk_done(&mut self, node: usize, incarnation: u64) -> Result<(), Broken> {
        if self.servers[node].incarnation != incarnation {
            return Ok(());
        }
        match self.servers[node].running_mut() {
            Some(running) if running.paused => {
                running.disk_done = true;
                Ok(())
            }
            Some(_) => {
                self.finish_turn(node)?;
                self.turn(node)
            }
            None => Ok(()),
        }
    }

    /// How long the disk of `node` takes, where it takes up to `most`.
    fn disk_takes(&mut self, node: usize, most: u64) -> u64 {
        let server = &mut self.servers[node];
        let takes = server.disk_random.random_range(0..=most);
        if self.now < server.slow_until {
            takes + self.plan.tick * u64::from(self.plan.timing.election_ticks_min) / 2
        } else {
            takes
        }
    }

    /// What `node` began to write is over, well or ill.
    pub(super) fn landed(&mut self, node: usize, incarnation: u64) -> Result<(), Broken> {
        if self.servers[node].incarnation != incarnation {
            return Ok(());
        }
        self.servers[node].land(&mut self.ghost)?;
        self.turn(node)
    }

    fn finish_turn(&mut self, node: usize) -> Result<(), Broken> {
        let mut out = std::mem::take(&mut self.out);
        let was_writing = self.servers[node].disk.is_writing();
        let result = self.servers[node].carry_out(&mut out, &mut self.ghost, &mut self.script)?;
        if let Err(fatal) = result {
            // A process that stops passes nothing on any more.
            out.messages.clear();
            out.replies.clear();
            out.done.clear();
            self.out = out;
            return self.stopped(node, &fatal);
        }
        if let Some(running) = self.servers[node].running_mut() {
            running.in_turn = false;
        }
        self.will_land(node, was_writing);
        self.look(node)?;
        self.pass_on(node, &mut out)?;
        self.out = out;
        Ok(())
    }

    /// The disk of a leader begins what is to be written before that is answered which is committed. `Ok(Err(…))`: the process stops.
    fn begin_write(&mut self, node: usize) -> Result<Result<(), Fatal>, Broken> {
        let was_writing = self.servers[node].disk.is_writing();
        let result = self.servers[node].begin_write(&mut self.ghost, &mut self.script)?;
        if result.is_ok() {
            self.will_land(node, was_writing);
        }
        Ok(result)
    }

    /// What `node` has begun to write, if it has, lands in a while.
    fn will_land(&mut self, node: usize, was_writing: bool) {
        if !was_writing && self.servers[node].disk.is_writing() {
            self.counts.writes_beside += 1;
            let takes = self.disk_takes(node, self.plan.beside_max);
            let incarnation = self.servers[node].incarnation;
            self.schedule(takes, Event::Landed { node, incarnation });
        }
    }

    /// Sends what a node hands out.
    fn pass_on(&mut self, node: usize, out: &mut Outbox) -> Result<(), Broken> {
        let first = self.tell_sent(node, &out.messages)?;
        let numbers = (0..).map(|place| first.map_or(0, |first| first + place));
        for (packet, number) in out.messages.drain(..).zip(numbers) {
            let to = self.place(packet.to())?;
            match &packet {
                Packet::Message(envelope) => {
                    promise::check(envelope, &self.servers[node], &self.servers[to])?;
                }
                Packet::Parcel { .. } => {}
            }
            self.send(node, to, &packet, number);
        }
        for (ticket, result) in out.replies.drain(..) {
            self.answer(node, ticket, result)?;
        }
        for (ticket, result) in out.done.drain(..) {
            self.answer_operator(node, ticket, result)?;
        }
        Ok(())
    }

    /// Starts a node.
    pub(super) fn start(&mut self, node: usize) -> Result<(), Broken> {
        match self.servers[node].process {
            Process::Down => {}
            Process::Up(_) | Process::Gone => return Ok(()),
        }
        let seed = self.servers[node].random.random();
        self.arm_recovery(node);
        let id = self.servers[node].id;
        match self.servers[node].start(seed, &mut self.ghost, &mut self.script)? {
            Ok(()) => {
                self.counts.starts += 1;
                self.servers[node].disk.forget_fault();
                self.story
                    .note(self.now, &[5, node as u64], || format!("{id} starts"));
                self.look(node)?;
                self.turn(node)
            }
            Err(OpenError::Disk(error)) if self.servers[node].may_fail() => {
                self.story.note(self.now, &[6, node as u64], || {
                    format!("{id} does not start: {error}")
                });
                self.fell(node);
                Ok(())
            }
            Err(OpenError::Corrupt { file, offset, reason }) if self.servers[node].rotten => {
                self.counts.refused_starts += 1;
                self.story.note(self.now, &[7, node as u64, offset], || {
                    format!("{id} refuses to start: {file} at {offset}: {reason}")
                });
                self.servers[node].process = Process::Gone;
                Ok(())
            }
            Err(
                error @ (OpenError::Disk(_)
                | OpenError::Corrupt { .. }
                | OpenError::Foreign { .. }
                | OpenError::Format { .. }
                | OpenError::SameCluster(_)
                | OpenError::Config(_)),
            ) => Err(Broken {
                invariant: Invariant::Recovery,
                what: format!("{id} does not start, and nothing is wrong with its disk: {error}"),
            }),
        }
    }
}
