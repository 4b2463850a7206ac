//! Faults that go on in a certain order: what they lead to hardly ever comes about by chance.

use crate::options::Blow;
use crate::server::Input;
use crate::world::{Event, World};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use replica::Ticket;

impl World {
    /// All but `node` forget what they have just promised it: they die, are there again in a moment, and one of them stands, while `node`
    /// hears nothing of it (bug zoo, *lease-forgets-promise*).
    pub(super) fn relapse(&mut self, node: usize, lasts: u64, random: &mut ChaCha8Rng) -> Blow {
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
    pub(super) fn hand_over(&mut self, node: usize, lasts: u64, random: &mut ChaCha8Rng) -> Blow {
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
    pub(super) fn echo(&mut self, node: usize, lasts: u64, random: &mut ChaCha8Rng) -> Blow {
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
    pub(super) fn unheard(&mut self, node: usize, lasts: u64, random: &mut ChaCha8Rng) -> Blow {
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
}
