//! The faults: what they do, and to whom.

use crate::clients::Response;
use crate::disk::{DiskFault, Remainder};
use crate::options::{Broken, Invariant};
use crate::plan::Weights;
use crate::server::{Input, Process};
use crate::world::{Event, World};
use raft::RoleKind;
use rand::RngExt;
use replica::{BLOCK_BYTES, Fatal};

/// How far ahead a failing operation of the disk is laid: a turn has two, a new segment three more, a start a dozen.
const OPERATIONS_AHEAD_MAX: u64 = 8;

/// How many sectors of unsynced writes a power loss may keep.
const SECTORS_KEPT_MAX: usize = 24;

#[derive(Clone, Copy, Debug)]
enum Fault {
    Kill,
    KillInDisk,
    PowerLoss,
    Blackout,
    Pause,
    Cut,
    Isolate,
    Halves,
    Campaign,
    DiskError,
    Rot,
}

impl Weights {
    fn list(&self) -> [(Fault, u32); 11] {
        [
            (Fault::Kill, self.kill),
            (Fault::KillInDisk, self.kill_in_disk),
            (Fault::PowerLoss, self.power_loss),
            (Fault::Blackout, self.blackout),
            (Fault::Pause, self.pause),
            (Fault::Cut, self.cut),
            (Fault::Isolate, self.isolate),
            (Fault::Halves, self.halves),
            (Fault::Campaign, self.campaign),
            (Fault::DiskError, self.disk_error),
            (Fault::Rot, self.rot),
        ]
    }
}

impl World {
    /// Time for a fault.
    pub(crate) fn nemesis(&mut self) -> Result<(), Broken> {
        if self.healed {
            return Ok(());
        }
        self.schedule_within(self.plan.fault_interval_max, Event::Nemesis);
        let weights = self.plan.weights.list();
        let sum: u32 = weights.iter().map(|(_, weight)| weight).sum();
        if sum == 0 {
            return Ok(());
        }
        let mut drawn = self.random.random_range(0..sum);
        for (fault, weight) in weights {
            if drawn < weight {
                return self.strike(fault);
            }
            drawn -= weight;
        }
        Ok(())
    }

    /// A leader is struck soon after its election, and somebody else stands.
    pub(crate) fn coup(&mut self, node: usize) -> Result<(), Broken> {
        if self.healed {
            return Ok(());
        }
        let faults = [Fault::Kill, Fault::Isolate, Fault::Pause];
        let fault = faults[self.random.random_range(0..faults.len())];
        self.strike_at(node, fault)?;
        let other = self.random.random_range(0..self.servers.len());
        self.strike_at(other, Fault::Campaign)
    }

    fn strike(&mut self, fault: Fault) -> Result<(), Broken> {
        let node = self.victim();
        self.strike_at(node, fault)
    }

    fn strike_at(&mut self, node: usize, fault: Fault) -> Result<(), Broken> {
        let id = self.servers[node].id;
        self.story.note(self.now, &[10, node as u64, fault as u64], || {
            format!("{fault:?} strikes {id}")
        });
        match fault {
            Fault::Kill => self.kill(node),
            Fault::KillInDisk => {
                let portion = self.random.random();
                self.arm(node, DiskFault::Crash { portion });
            }
            Fault::PowerLoss => self.lose_power(node),
            Fault::Blackout => {
                for node in 0..self.servers.len() {
                    self.lose_power(node);
                }
            }
            Fault::Pause => self.pause(node),
            Fault::Cut => {
                let other = self.random.random_range(0..self.servers.len());
                self.cut(vec![(node, other)]);
            }
            Fault::Isolate => {
                let others = (0..self.servers.len()).filter(|other| *other != node);
                self.cut(others.flat_map(|other| [(node, other), (other, node)]).collect());
            }
            Fault::Halves => {
                let sides: Vec<bool> = self.servers.iter().map(|_| self.random.random()).collect();
                let all = (0..sides.len()).flat_map(|from| (0..sides.len()).map(move |to| (from, to)));
                self.cut(all.filter(|(from, to)| sides[*from] != sides[*to]).collect());
            }
            Fault::Campaign => {
                self.counts.campaigns += 1;
                self.servers[node].post(Input::Campaign);
                return self.turn(node);
            }
            Fault::DiskError => self.arm(node, DiskFault::Error),
            Fault::Rot => self.rot(node),
        }
        Ok(())
    }

    /// A leader as often as anybody.
    fn victim(&mut self) -> usize {
        let leads = |node: &usize| {
            let running = self.servers[*node].running();
            running.is_some_and(|running| running.seen.role == RoleKind::Leader)
        };
        let leaders: Vec<usize> = (0..self.servers.len()).filter(leads).collect();
        if !leaders.is_empty() && self.random.random() {
            return leaders[self.random.random_range(0..leaders.len())];
        }
        self.random.random_range(0..self.servers.len())
    }

    /// A process dies; what it wrote stays with the operating system.
    fn kill(&mut self, node: usize) {
        let Some(running) = self.servers[node].running() else {
            return;
        };
        self.counts.kills += 1;
        self.counts.kills_in_turn += u64::from(running.in_turn);
        self.fell(node);
    }

    fn lose_power(&mut self, node: usize) {
        let remainder = self.remainder();
        if self.servers[node].running().is_some() {
            self.counts.power_losses += 1;
            self.fell(node);
        }
        // A process that is down may have left unsynced writes, too.
        self.disk(node).power_loss(remainder);
    }

    fn remainder(&mut self) -> Remainder {
        match self.random.random_range(0..4) {
            0 => Remainder::Nothing,
            1 => Remainder::Everything,
            2 => Remainder::Prefix {
                sectors: self.random.random_range(0..=SECTORS_KEPT_MAX),
            },
            _ => Remainder::Sectors {
                seed: self.random.random(),
            },
        }
    }

    fn pause(&mut self, node: usize) {
        let incarnation = self.servers[node].incarnation;
        if let Some(running) = self.servers[node].running_mut() {
            running.paused = true;
            self.counts.pauses += 1;
            self.schedule_within(self.plan.fault_lasts_max, Event::Resume { node, incarnation });
        }
    }

    pub(crate) fn resume(&mut self, node: usize, incarnation: u64) -> Result<(), Broken> {
        if self.servers[node].incarnation != incarnation {
            return Ok(());
        }
        let Some(running) = self.servers[node].running_mut() else {
            return Ok(());
        };
        running.paused = false;
        let disk_done = std::mem::take(&mut running.disk_done);
        if disk_done {
            self.schedule(0, Event::DiskDone { node, incarnation });
            return Ok(());
        }
        self.turn(node)
    }

    fn cut(&mut self, links: Vec<(usize, usize)>) {
        self.counts.cuts += links.len() as u64;
        for (from, to) in &links {
            self.cuts[*from][*to] += 1;
        }
        self.schedule_within(self.plan.fault_lasts_max, Event::Mend { links });
    }

    pub(crate) fn mend(&mut self, links: &[(usize, usize)]) {
        for (from, to) in links {
            // When faults are over, all links are mended at once.
            self.cuts[*from][*to] = self.cuts[*from][*to].saturating_sub(1);
        }
    }

    /// Lets one of the next operations of the node's disk run into `fault`.
    fn arm(&mut self, node: usize, fault: DiskFault) {
        let ahead = self.random.random_range(0..OPERATIONS_AHEAD_MAX);
        self.disk(node).fail_at(ahead, fault);
    }

    /// A start may be interrupted, too.
    pub(crate) fn arm_recovery(&mut self, node: usize) {
        if self.healed {
            return;
        }
        if self.plan.weights.kill_in_disk > 0 && self.random.random_ratio(1, 4) {
            let portion = self.random.random();
            self.arm(node, DiskFault::Crash { portion });
        } else if self.plan.weights.disk_error > 0 && self.random.random_ratio(1, 8) {
            self.arm(node, DiskFault::Error);
        }
    }

    /// A process stopped by itself.
    pub(crate) fn stopped(&mut self, node: usize, fatal: &Fatal) -> Result<(), Broken> {
        let id = self.servers[node].id;
        self.story
            .note(self.now, &[11, node as u64], || format!("{id} stops: {fatal}"));
        let expected = match fatal {
            Fatal::Disk(_) => self.servers[node].may_fail(),
            Fatal::Command { .. } => false,
        };
        Broken::unless(expected, Invariant::Stop, || {
            format!("{id} stops, and nothing is wrong with its disk: {fatal}")
        })?;
        self.fell(node);
        Ok(())
    }

    /// A process is gone, for whatever reason; a new one starts later.
    pub(crate) fn fell(&mut self, node: usize) {
        let server = &mut self.servers[node];
        let process = std::mem::replace(&mut server.process, Process::Down);
        let cause = server.disk.take_struck();
        server.disk.revive();
        match cause {
            Some(DiskFault::Crash { .. }) => self.counts.kills_in_disk += 1,
            Some(DiskFault::Error) => {
                // The operating system may drop what it could not write: nobody knows what is left.
                self.counts.disk_errors += 1;
                let remainder = self.remainder();
                self.disk(node).power_loss(remainder);
            }
            None => {}
        }
        if let Process::Up(running) = process {
            for (ticket, asked) in running.asked {
                self.respond(asked.client, ticket.0, Response::Lost);
            }
        }
        self.schedule_within(
            self.plan.fault_lasts_max.max(self.plan.tick),
            Event::Start { node },
        );
    }

    /// Kills a node and flips a bit in its log, before the last batch: rot there can't be told from a tear. So many nodes
    /// stay intact that they can go on.
    fn rot(&mut self, node: usize) {
        let rotten = self.servers.iter().filter(|server| server.rotten).count();
        if 2 * (rotten + 1) >= self.servers.len() || self.servers[node].running().is_none() {
            return;
        }
        self.kill(node);
        self.disk(node).power_loss(Remainder::Everything);
        let mut batches = Vec::new();
        for (name, _) in self.disk(node).files() {
            let content = self.disk(node).peek(&name).unwrap_or_default();
            let begins = (0..content.len()).step_by(BLOCK_BYTES);
            batches.extend(
                begins
                    .filter(|at| content[*at..].starts_with(b"rRbt"))
                    .map(|at| (name.clone(), at as u64)),
            );
        }
        batches.pop();
        if batches.is_empty() {
            return;
        }
        let (name, at) = &batches[self.random.random_range(0..batches.len())];
        let offset = at + self.random.random_range(0..64);
        let bit = self.random.random_range(0..8);
        self.disk(node).rot(name, offset, bit);
        self.servers[node].rotten = true;
        self.counts.rotten_bits += 1;
    }
}
