//! The faults: what they do, and to whom. And the operator, who changes who takes part and hands leadership over.

mod fates;
mod plots;

use crate::chance::{Purpose, stream};
use crate::disk::DiskFault;
use crate::options::{Blow, Broken, Struck};
use crate::plan::{ODDS, Weights};
use crate::reduction::FaultId;
use crate::server::Input;
use crate::world::{Event, World};
use raft::{Configuration, NodeId, RoleKind};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use replica::Ticket;
use wire::client::MemberChange;

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
}
