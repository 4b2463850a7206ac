//! The faults: what they do, and to whom. And the operator, who changes who takes part and hands leadership over.

use crate::chance::{Purpose, odds, stream};
use crate::clients::Response;
use crate::disk::{DiskFault, Remainder};
use crate::options::{Blow, Broken, Invariant, Struck};
use crate::plan::{ODDS, Weights};
use crate::reduction::FaultId;
use crate::server::{Input, Process};
use crate::world::{Event, World};
use raft::{Configuration, NodeId, RoleKind};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use replica::{BLOCK_BYTES, Fatal, Ticket};
use wire::client::MemberChange;

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
    DiskFull,
    DiskSlow,
    Rot,
    LinkSlow,
    ClockJump,
    ClockRate,
    Change,
    Transfer,
    Snapshot,
    Relapse,
    HandOver,
    Echo,
    Unheard,
}

impl Weights {
    fn list(&self) -> [(Fault, u32); 23] {
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
            (Fault::DiskFull, self.disk_full),
            (Fault::DiskSlow, self.disk_slow),
            (Fault::Rot, self.rot),
            (Fault::LinkSlow, self.link_slow),
            (Fault::ClockJump, self.clock_jump),
            (Fault::ClockRate, self.clock_rate),
            (Fault::Change, self.change),
            (Fault::Transfer, self.transfer),
            (Fault::Snapshot, self.snapshot),
            (Fault::Relapse, self.relapse),
            (Fault::HandOver, self.hand_over),
            (Fault::Echo, self.echo),
            (Fault::Unheard, self.unheard),
        ]
    }
}

impl World {
    pub(crate) fn schedule_fault(&mut self, number: u32) {
        let most = self.plan.fault_interval_max;
        let delay = self.nemesis_random.random_range(0..=most);
        self.schedule(delay, Event::Nemesis { number });
    }

    /// Time for a fault.
    pub(crate) fn nemesis(&mut self, number: u32) -> Result<(), Broken> {
        if self.healed {
            return Ok(());
        }
        self.schedule_fault(number + 1);
        let weights = self.plan.weights.list();
        let sum: u32 = weights.iter().map(|(_, weight)| weight).sum();
        if sum == 0 || !self.reduction.has_fault(FaultId::Planned(number)) {
            return Ok(());
        }
        let mut random = stream(self.seed, Purpose::Fault(number));
        let mut drawn = random.random_range(0..sum);
        for (fault, weight) in weights {
            if drawn < weight {
                let node = self.victim(&mut random);
                return self.strike(FaultId::Planned(number), fault, node, &mut random);
            }
            drawn -= weight;
        }
        Ok(())
    }

    /// A leader is struck soon after its election, and somebody else stands.
    pub(crate) fn coup(&mut self, node: usize, term: u64) -> Result<(), Broken> {
        let id = FaultId::Coup(term);
        if self.healed || !self.reduction.has_fault(id) {
            return Ok(());
        }
        let mut random = stream(self.seed, Purpose::Coup(term));
        // The first draws have decided that there is one.
        random.set_word_pos(64);
        let faults = [Fault::Kill, Fault::Isolate, Fault::Pause];
        let fault = faults[random.random_range(0..faults.len())];
        self.strike(id, fault, node, &mut random)?;
        let other = random.random_range(0..self.servers.len());
        self.strike(id, Fault::Campaign, other, &mut random)
    }

    fn strike(
        &mut self,
        id: FaultId,
        fault: Fault,
        node: usize,
        random: &mut ChaCha8Rng,
    ) -> Result<(), Broken> {
        let victim = self.servers[node].id;
        self.story.note(self.now, &[10, node as u64, fault as u64], || {
            format!("{fault:?} strikes {victim} (fault {id})")
        });
        let (at_us, leader) = (self.now, self.leads(node));
        let lasts = random.random_range(0..=self.plan.fault_lasts_max);
        let blow = match fault {
            Fault::Kill => self.kill(node),
            Fault::KillInDisk => {
                let portion = random.random();
                self.arm(node, DiskFault::Crash { portion }, random);
                Blow::Kill(vec![victim.0])
            }
            Fault::PowerLoss => self.lose_power(node, random),
            Fault::Blackout => {
                let all = 0..self.servers.len();
                all.clone().for_each(|node| {
                    self.lose_power(node, random);
                });
                Blow::Kill(all.map(|node| self.servers[node].id.0).collect())
            }
            Fault::Pause => self.pause(node, lasts),
            Fault::Cut => {
                let other = random.random_range(0..self.servers.len());
                self.cut(vec![(node, other)], lasts)
            }
            Fault::Isolate => self.isolate(node, lasts),
            Fault::Halves => {
                let sides: Vec<bool> = self.servers.iter().map(|_| random.random()).collect();
                let all = (0..sides.len()).flat_map(|from| (0..sides.len()).map(move |to| (from, to)));
                self.cut(
                    all.filter(|(from, to)| sides[*from] != sides[*to]).collect(),
                    lasts,
                )
            }
            Fault::DiskError => {
                self.arm(node, DiskFault::Error, random);
                Blow::Kill(vec![victim.0])
            }
            Fault::DiskFull => {
                self.arm(node, DiskFault::Full, random);
                Blow::Kill(vec![victim.0])
            }
            Fault::Rot => self.rot(node, random),
            Fault::Relapse => self.relapse(node, lasts, random),
            Fault::HandOver => self.hand_over(node, lasts, random),
            Fault::Echo => self.echo(node, lasts, random),
            Fault::Unheard => self.unheard(node, lasts, random),
            Fault::Campaign
            | Fault::DiskSlow
            | Fault::LinkSlow
            | Fault::ClockJump
            | Fault::ClockRate
            | Fault::Change
            | Fault::Transfer
            | Fault::Snapshot => self.meddle(fault, node, lasts, random)?,
        };
        self.struck.push(Struck {
            fault: id,
            at_us,
            lasts_us: lasts,
            leader,
            blow,
        });
        Ok(())
    }

    /// What real processes know no like of.
    fn meddle(
        &mut self,
        fault: Fault,
        node: usize,
        lasts: u64,
        random: &mut ChaCha8Rng,
    ) -> Result<Blow, Broken> {
        let (input, name) = match fault {
            Fault::DiskSlow => {
                self.counts.slow_disks += 1;
                self.servers[node].slow_until = self.now + lasts;
                return Ok(Blow::Other("slow disk"));
            }
            Fault::LinkSlow => {
                let other = random.random_range(0..self.servers.len());
                let by = random.random_range(0..=self.plan.network.late_max.max(self.plan.tick));
                self.slow_down(vec![(node, other), (other, node)], by, lasts);
                return Ok(Blow::Other("slow link"));
            }
            Fault::ClockRate => {
                self.counts.clock_rates += 1;
                let rate = u64::from(random.random_range(0..=2 * self.plan.drift));
                let tick = self.plan.tick + self.plan.tick * rate / u64::from(ODDS);
                self.servers[node].clock.go_on(self.now, tick);
                return Ok(Blow::Other("clock rate"));
            }
            Fault::ClockJump => {
                self.counts.clock_jumps += 1;
                let most = 2 * self.plan.timing.election_ticks_max;
                for _ in 0..random.random_range(1..=most) {
                    self.servers[node].post(Input::Tick);
                }
                self.turn(node)?;
                return Ok(Blow::Other("clock jump"));
            }
            Fault::Change => {
                let configuration = self.servers[node].configuration.clone();
                self.counts.changes += 1;
                let changes = self.changes(&configuration, random);
                let ticket = Ticket(self.number());
                (Input::Change { ticket, changes }, "change of members")
            }
            Fault::Transfer => {
                self.counts.transfers += 1;
                let to = self.servers[random.random_range(0..self.servers.len())].id;
                let ticket = Ticket(self.number());
                (Input::Transfer { ticket, to }, "transfer")
            }
            Fault::Snapshot => {
                self.counts.snapshots_ordered += 1;
                let ticket = Ticket(self.number());
                (Input::Snapshot { ticket }, "snapshot")
            }
            Fault::Campaign
            | Fault::Kill
            | Fault::KillInDisk
            | Fault::PowerLoss
            | Fault::Blackout
            | Fault::Pause
            | Fault::Cut
            | Fault::Isolate
            | Fault::Halves
            | Fault::DiskError
            | Fault::DiskFull
            | Fault::Rot
            | Fault::Relapse
            | Fault::HandOver
            | Fault::Echo
            | Fault::Unheard => {
                self.counts.campaigns += 1;
                (Input::Campaign, "candidacy")
            }
        };
        self.servers[node].post(input);
        self.turn(node)?;
        Ok(Blow::Other(name))
    }

    /// What an operator may ask for: learners that are to vote, somebody new, somebody less, or two such at once.
    fn changes(&self, configuration: &Configuration, random: &mut ChaCha8Rng) -> Vec<MemberChange> {
        let count = if random.random_ratio(1, 3) { 2 } else { 1 };
        let mut nodes: Vec<u64> = (0..count)
            .map(|_| random.random_range(1..=self.servers.len() as u64))
            .collect();
        nodes.dedup();
        let change = |node: u64| {
            let id = NodeId(node);
            let demote = random.random_ratio(1, 3);
            match (configuration.is_voter(id), configuration.is_member(id)) {
                (true, _) if demote => MemberChange::Demote { node },
                (true, _) => MemberChange::Remove { node },
                (false, true) if demote => MemberChange::Remove { node },
                (false, true) => MemberChange::Promote { node },
                (false, false) => MemberChange::AddLearner {
                    node,
                    address: format!("simulated:{node}"),
                },
            }
        };
        nodes.into_iter().map(change).collect()
    }

    pub(crate) fn leads(&self, node: usize) -> bool {
        let running = self.servers[node].running();
        running.is_some_and(|running| running.seen.role == RoleKind::Leader)
    }

    /// A leader as often as anybody.
    fn victim(&self, random: &mut ChaCha8Rng) -> usize {
        let leaders: Vec<usize> = (0..self.servers.len()).filter(|node| self.leads(*node)).collect();
        let (leads, choice) = (random.random(), random.random_range(0..=u32::MAX));
        let among = |count: usize| usize::try_from(choice).expect("32 bits fit") % count;
        if leads && !leaders.is_empty() {
            leaders[among(leaders.len())]
        } else {
            among(self.servers.len())
        }
    }

    /// Nobody hears `node`, and it hears nobody.
    pub(crate) fn isolate(&mut self, node: usize, lasts: u64) -> Blow {
        let others = (0..self.servers.len()).filter(|other| *other != node);
        self.cut(
            others.flat_map(|other| [(node, other), (other, node)]).collect(),
            lasts,
        )
    }

    /// All but `node` forget what they have just promised it: they die, are there again in a moment, and one of them stands, while `node`
    /// hears nothing of it (bug zoo, *lease-forgets-promise*).
    fn relapse(&mut self, node: usize, lasts: u64, random: &mut ChaCha8Rng) -> Blow {
        let blow = self.isolate(node, lasts);
        let candidate = random.random_range(0..self.servers.len());
        let back = random.random_range(1..=self.plan.tick);
        self.counts.relapses += 1;
        for other in (0..self.servers.len()).filter(|other| *other != node) {
            if self.servers[other].running().is_some() {
                self.counts.kills += 1;
                self.fell(other);
            }
            self.schedule(back, Event::Start { node: other });
        }
        self.schedule(
            back + 1,
            Event::Order {
                node: candidate,
                input: Input::Campaign,
            },
        );
        blow
    }

    /// `node` is to hand leadership over, and is cut off while it does (bug zoo, *lease-survives-transfer*).
    fn hand_over(&mut self, node: usize, lasts: u64, random: &mut ChaCha8Rng) -> Blow {
        let to = self.servers[random.random_range(0..self.servers.len())].id;
        let network = self.plan.network;
        let soon = random.random_range(0..=2 * (network.delay_max + self.plan.disk_max));
        let ticket = Ticket(self.number());
        self.counts.transfers += 1;
        self.schedule(
            0,
            Event::Order {
                node,
                input: Input::Transfer { ticket, to },
            },
        );
        self.schedule(soon, Event::Isolate { node, lasts });
        Blow::Other("transfer that is cut off")
    }

    /// `node` is heard no more, and goes on hearing what others said long ago: answers to its questions come when somebody else leads
    /// (bug zoo, *read-context-reused*, *read-batch-first-index*, *stale-progress*).
    fn echo(&mut self, node: usize, lasts: u64, random: &mut ChaCha8Rng) -> Blow {
        let election = self.plan.tick * u64::from(self.plan.timing.election_ticks_max);
        let by = election * random.random_range(1..=3);
        let soon = random.random_range(0..=election);
        let others: Vec<usize> = (0..self.servers.len()).filter(|other| *other != node).collect();
        self.slow_down(
            others.iter().map(|other| (*other, node)).collect(),
            by,
            soon + lasts,
        );
        let links = others.iter().map(|other| (node, *other)).collect();
        self.schedule(
            soon,
            Event::Cut {
                links,
                lasts: by + lasts,
            },
        );
        Blow::Other("echo")
    }

    /// What `node` says is lost, at last also what is said to it; meanwhile snapshots are taken here and there (bug zoo,
    /// *snapshot-behind-applied*, *snapshot-truncates-newer*, *snapshot-keeps-tail*).
    fn unheard(&mut self, node: usize, lasts: u64, random: &mut ChaCha8Rng) -> Blow {
        let others: Vec<usize> = (0..self.servers.len()).filter(|other| *other != node).collect();
        let deaf_from = random.random_range(0..=lasts);
        let links = others.iter().map(|other| (*other, node)).collect();
        self.schedule(
            deaf_from,
            Event::Cut {
                links,
                lasts: lasts - deaf_from,
            },
        );
        for place in 0..self.servers.len() {
            let (wanted, when) = (random.random(), random.random_range(0..=lasts));
            if wanted {
                let ticket = Ticket(self.number());
                self.counts.snapshots_ordered += 1;
                let input = Input::Snapshot { ticket };
                self.schedule(when, Event::Order { node: place, input });
            }
        }
        self.cut(others.iter().map(|other| (node, *other)).collect(), lasts)
    }

    /// An operator has the new leader of `term` change who takes part, without waiting for anything.
    pub(crate) fn eager(&mut self, node: usize, term: u64) -> Result<(), Broken> {
        let id = FaultId::Eager(term);
        if self.healed || !self.reduction.has_fault(id) {
            return Ok(());
        }
        let mut random = stream(self.seed, Purpose::Eager(term));
        // The first draws have decided that there is one.
        random.set_word_pos(64);
        self.strike(id, Fault::Change, node, &mut random)
    }

    /// A process dies; what it wrote stays with the operating system.
    fn kill(&mut self, node: usize) -> Blow {
        if let Some(running) = self.servers[node].running() {
            self.counts.kills += 1;
            self.counts.kills_in_turn += u64::from(running.in_turn);
            self.fell(node);
        }
        Blow::Kill(vec![self.servers[node].id.0])
    }

    fn lose_power(&mut self, node: usize, random: &mut ChaCha8Rng) -> Blow {
        let remainder = remainder(random);
        if self.servers[node].running().is_some() {
            self.counts.power_losses += 1;
            self.fell(node);
        }
        // A process that is down may have left unsynced writes, too.
        self.disk(node).power_loss(remainder);
        Blow::Kill(vec![self.servers[node].id.0])
    }

    fn pause(&mut self, node: usize, lasts: u64) -> Blow {
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
    fn arm(&mut self, node: usize, fault: DiskFault, random: &mut ChaCha8Rng) {
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
    fn rot(&mut self, node: usize, random: &mut ChaCha8Rng) -> Blow {
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
