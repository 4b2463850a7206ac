//! How processes end and stand still, and what becomes of their disks.

use crate::chance::odds;
use crate::clients::Response;
use crate::disk::{DiskFault, Remainder};
use crate::options::{Blow, Broken, Invariant};
use crate::server::Process;
use crate::world::{Event, World};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use replica::{BLOCK_BYTES, Fatal};

/// How far ahead a failing operation of the disk is laid: a turn has two, a new segment three more, a start a dozen.
const OPERATIONS_AHEAD_MAX: u64 = 8;

/// How many sectors of unsynced writes a power loss may keep.
const SECTORS_KEPT_MAX: usize = 24;

impl World {
    /// A process dies; what it wrote stays with the operating system.
    pub(super) fn kill(&mut self, node: usize) -> Blow {
        if let Some(running) = self.servers[node].running() {
            self.counts.kills += 1;
            self.counts.kills_in_turn += u64::from(running.in_turn);
            self.fell(node);
        }
        Blow::Kill(vec![self.servers[node].id.0])
    }

    pub(super) fn lose_power(&mut self, node: usize, random: &mut ChaCha8Rng) -> Blow {
        let remainder = remainder(random);
        if self.servers[node].running().is_some() {
            self.counts.power_losses += 1;
            self.fell(node);
        }
        // A process that is down may have left unsynced writes, too.
        self.disk(node).power_loss(remainder);
        Blow::Kill(vec![self.servers[node].id.0])
    }

    pub(super) fn pause(&mut self, node: usize, lasts: u64) -> Blow {
        let incarnation = self.servers[node].incarnation;
        if let Some(running) = self.servers[node].running_mut() {
            running.paused = true;
            self.counts.pauses += 1;
            self.schedule(lasts, Event::Resume { node, incarnation });
        }
        Blow::Pause(self.servers[node].id.0)
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

    /// Lets one of the next operations of the node's disk run into `fault`.
    pub(super) fn arm(&mut self, node: usize, fault: DiskFault, random: &mut ChaCha8Rng) {
        let ahead = random.random_range(0..OPERATIONS_AHEAD_MAX);
        self.disk(node).fail_at(ahead, fault);
    }

    /// So may the writing of a snapshot from the leader, a piece of which has just come, or what follows on it.
    pub(crate) fn may_die_in_install(&mut self, node: usize) {
        if self.plan.mid_install == 0 {
            return;
        }
        let random = &mut self.servers[node].random;
        let ahead = random.random_range(0..OPERATIONS_AHEAD_MAX);
        let (dies, portion) = (odds(random, self.plan.mid_install), random.random());
        if dies {
            self.disk(node).fail_at(ahead, DiskFault::Crash { portion });
        }
    }

    /// A start may be interrupted, too.
    pub(crate) fn arm_recovery(&mut self, node: usize) {
        let random = &mut self.servers[node].random;
        let ahead = random.random_range(0..OPERATIONS_AHEAD_MAX);
        let (dies, fails) = (random.random_ratio(1, 4), random.random_ratio(1, 8));
        let portion = random.random();
        if self.healed || !self.plan.interrupted_starts {
            return;
        }
        if self.plan.weights.kill_in_disk > 0 && dies {
            self.disk(node).fail_at(ahead, DiskFault::Crash { portion });
        } else if self.plan.weights.disk_error > 0 && fails {
            self.disk(node).fail_at(ahead, DiskFault::Error);
        } else if self.plan.weights.disk_full > 0 && fails {
            self.disk(node).fail_at(ahead, DiskFault::Full);
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
        if server.disk.is_writing() {
            self.counts.writes_broken_off += 1;
            server.disk.interrupt(remainder(&mut server.random));
        }
        let cause = server.disk.take_struck();
        server.disk.revive();
        match cause {
            Some(DiskFault::Crash { .. }) => self.counts.kills_in_disk += 1,
            Some(DiskFault::Error) => {
                // The operating system may drop what it could not write: nobody knows what is left.
                self.counts.disk_errors += 1;
                let remainder = remainder(&mut self.servers[node].random);
                self.disk(node).power_loss(remainder);
            }
            Some(DiskFault::Full) => self.counts.full_disks += 1,
            None => {}
        }
        if let Process::Up(running) = process {
            self.script.crashed(node);
            for (ticket, asked) in running.asked {
                self.respond(asked.client, ticket.0, Response::Lost);
            }
        }
        let most = self.plan.fault_lasts_max.max(self.plan.tick);
        let delay = self.servers[node].random.random_range(0..=most);
        self.schedule(delay, Event::Start { node });
    }

    /// Kills a node and flips a bit in its log, before the last batch: rot there can't be told from a tear. So many nodes
    /// stay intact that they can go on.
    pub(super) fn rot(&mut self, node: usize, random: &mut ChaCha8Rng) -> Blow {
        let blow = Blow::Other("rot");
        let rotten = self.servers.iter().filter(|server| server.rotten).count();
        if 2 * (rotten + 1) >= self.servers.len() || self.servers[node].running().is_none() {
            return blow;
        }
        // No torn batch behind it: without that, rot in the batch before is one in the last.
        self.disk(node).interrupt(Remainder::Everything);
        self.kill(node);
        self.disk(node).power_loss(Remainder::Everything);
        let mut batches = Vec::new();
        for (name, _) in self.disk(node).files() {
            let content = self.disk(node).peek(&name).unwrap_or_default();
            let begins = (0..content.len()).step_by(BLOCK_BYTES);
            batches.extend(
                begins
                    .filter(|at| content[*at..].starts_with(b"rRbt"))
                    .map(|at| (sequence(&content[at..]), name.clone(), at as u64)),
            );
        }
        // Segments are used again, so the last one in the order of names need not have the last batch.
        batches.sort_unstable();
        batches.pop();
        if batches.is_empty() {
            return blow;
        }
        let (_, name, at) = &batches[random.random_range(0..batches.len())];
        let offset = at + random.random_range(0..64);
        let bit = random.random_range(0..8);
        self.disk(node).rot(name, offset, bit);
        self.servers[node].rotten = true;
        self.counts.rotten_bits += 1;
        blow
    }
}

/// The number of the batch that begins here among all of its log, which follows its mark, checksum and generation.
fn sequence(batch: &[u8]) -> u64 {
    let number = batch[16..].first_chunk().expect("a batch fills blocks");
    u64::from_le_bytes(*number)
}

fn remainder(random: &mut ChaCha8Rng) -> Remainder {
    match random.random_range(0..4) {
        0 => Remainder::Nothing,
        1 => Remainder::Everything,
        2 => Remainder::Prefix {
            sectors: random.random_range(0..=SECTORS_KEPT_MAX),
        },
        _ => Remainder::Sectors {
            seed: random.random(),
        },
    }
}
