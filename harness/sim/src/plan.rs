//! What a seed draws: the settings of the nodes, and which faults there are and how strongly.
//!
//! Each seed leaves most faults out and turns some up: a world in which everything goes wrong a little finds less than many
//! worlds in which a few things go wrong a lot (Groce et al., "Swarm testing", 2012).

use crate::chance::odds;
use crate::options::{Conditions, Options};
use raft::{Config, NodeId, Timing};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// Nodes of a world that draws how many there are, at most; those that wait to be added included.
const NODES_MAX: u64 = 6;

/// Clients of a world that draws how many there are, at most.
const CLIENTS_MAX: u64 = 5;

/// Odds are counted out of this.
pub(crate) const ODDS: u32 = 1000;

/// How likely each fault is, in proportion to the others.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Weights {
    pub(crate) kill: u32,
    pub(crate) kill_in_disk: u32,
    pub(crate) power_loss: u32,
    pub(crate) blackout: u32,
    pub(crate) pause: u32,
    pub(crate) cut: u32,
    pub(crate) isolate: u32,
    pub(crate) halves: u32,
    pub(crate) campaign: u32,
    pub(crate) disk_error: u32,
    pub(crate) disk_full: u32,
    pub(crate) disk_slow: u32,
    pub(crate) rot: u32,
    pub(crate) link_slow: u32,
    pub(crate) clock_jump: u32,
    pub(crate) clock_rate: u32,
    pub(crate) change: u32,
    pub(crate) transfer: u32,
    pub(crate) snapshot: u32,
    pub(crate) relapse: u32,
    pub(crate) hand_over: u32,
    pub(crate) echo: u32,
    pub(crate) unheard: u32,
}

/// Peer messages on their way. Times in microseconds, odds out of [`ODDS`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Network {
    pub(crate) delay_min: u64,
    pub(crate) delay_max: u64,
    /// The odds that a message is late, by up to `late_max`: it is then overtaken.
    pub(crate) late: u32,
    pub(crate) late_max: u64,
    pub(crate) drop: u32,
    pub(crate) duplicate: u32,
}

/// What clients do. Times in microseconds, odds out of [`ODDS`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) clients: u64,
    pub(crate) keys: u64,
    pub(crate) think_max: u64,
    pub(crate) timeout: u64,
    pub(crate) reads: u32,
    pub(crate) cas: u32,
    /// Whether clients have sessions, and send what got no answer again.
    pub(crate) sessions: bool,
    /// Values are filled up to this many bytes at most.
    pub(crate) value_bytes_max: usize,
}

#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) nodes: u64,
    /// How many of them, the first ones, take part at the beginning; the others wait to be added.
    pub(crate) voters: u64,
    pub(crate) tick: u64,
    /// The clocks of two nodes differ by up to this, out of [`ODDS`].
    pub(crate) drift: u32,
    pub(crate) timing: Timing,
    pub(crate) pre_vote: bool,
    pub(crate) check_quorum: bool,
    /// For how long leaders read by lease, in microseconds of their own clocks.
    pub(crate) lease: Option<u64>,
    pub(crate) append_entries_max: usize,
    pub(crate) in_flight_messages_max: usize,
    pub(crate) uncommitted_bytes_max: usize,
    pub(crate) apply_bytes_max: usize,
    pub(crate) segment_bytes: u64,
    pub(crate) tail_bytes_max: usize,
    pub(crate) snapshot_log_bytes: u64,
    /// How long the disk takes for a write and its sync, at most.
    pub(crate) disk_max: u64,
    /// How long a leader's write goes on beside it at most; 0: the leader waits for it.
    pub(crate) beside_max: u64,
    pub(crate) network: Network,
    pub(crate) load: Load,
    pub(crate) weights: Weights,
    /// The odds that a new leader is struck before it has done much, and another server stands: what happens in the first
    /// moments of a term is where the hardest stories begin (Raft figure 8).
    pub(crate) coup: u32,
    /// The odds that an operator has a new leader change who takes part at once.
    pub(crate) eager: u32,
    /// The odds that a node dies in writing a piece of a snapshot, or soon after it.
    pub(crate) mid_install: u32,
    /// Between two faults, at most.
    pub(crate) fault_interval_max: u64,
    /// How long a fault lasts, at most.
    pub(crate) fault_lasts_max: u64,
    /// When load and faults end.
    pub(crate) duration: u64,
    /// Whether a start may be interrupted, where processes die in their disk's operations or disks fail.
    pub(crate) interrupted_starts: bool,
    /// Whether a link of the leader's is cut for good, on a quarter of the way.
    pub(crate) cut_link: bool,
    /// How many inputs a turn takes in.
    pub(crate) turn_inputs_max: usize,
    /// Whether nodes take reads in while they follow.
    pub(crate) follower_reads: bool,
}

/// How many inputs one turn takes in, where nothing asks for less.
const TURN_INPUTS_MAX: usize = 64;

/// The odds of a world in which nothing happens but that a link is cut.
const CUT_LINK_ODDS: u32 = 15;

fn pick<T: Copy>(random: &mut ChaCha8Rng, choices: &[T]) -> T {
    choices[random.random_range(0..choices.len())]
}

/// A number up to `most`, in half of the worlds none.
fn swarm(random: &mut ChaCha8Rng, most: u32) -> u32 {
    if random.random() {
        random.random_range(1..=most)
    } else {
        0
    }
}

impl Plan {
    pub(crate) fn draw(random: &mut ChaCha8Rng, options: &Options) -> Plan {
        match options.conditions {
            Conditions::Swarm => Plan::swarm(random, options),
            Conditions::Calm => Plan::calm(options),
            Conditions::CutLink => Plan::quiet(options),
        }
    }

    /// Leaves out what a golden script of the core can't tell.
    pub(crate) fn by_turns(&mut self) {
        let config = Config::new(NodeId(1));
        self.turn_inputs_max = 1;
        self.beside_max = 0;
        self.snapshot_log_bytes = u64::MAX;
        self.uncommitted_bytes_max = config.uncommitted_bytes_max;
        self.apply_bytes_max = config.apply_bytes_max;
    }

    /// No faults, and the settings of a server.
    fn calm(options: &Options) -> Plan {
        let config = Config::new(NodeId(1));
        let tick = 100_000;
        let nodes = options.nodes.unwrap_or(5);
        Plan {
            nodes,
            voters: nodes,
            tick,
            drift: 0,
            timing: Timing::default(),
            pre_vote: config.pre_vote,
            check_quorum: config.check_quorum,
            lease: None,
            append_entries_max: config.append_entries_max,
            in_flight_messages_max: config.in_flight_messages_max,
            uncommitted_bytes_max: config.uncommitted_bytes_max,
            apply_bytes_max: config.apply_bytes_max,
            segment_bytes: 8 << 20,
            tail_bytes_max: 4 << 20,
            snapshot_log_bytes: 8 << 20,
            disk_max: 1000,
            beside_max: 0,
            network: Network::calm(tick),
            load: Load {
                clients: CLIENTS_MAX,
                keys: 10,
                think_max: 2 * tick,
                timeout: 20 * tick,
                reads: 500,
                cas: 100,
                sessions: false,
                value_bytes_max: 8,
            },
            weights: Weights::default(),
            coup: 0,
            eager: 0,
            mid_install: 0,
            fault_interval_max: 0,
            fault_lasts_max: 0,
            duration: options.duration_us.unwrap_or(60_000_000),
            interrupted_starts: false,
            cut_link: false,
            turn_inputs_max: TURN_INPUTS_MAX,
            follower_reads: false,
        }
    }

    /// As calm, and clients only read: no log falls behind another, so that it is stickiness alone that keeps a leader.
    fn quiet(options: &Options) -> Plan {
        let calm = Plan::calm(options);
        Plan {
            load: Load {
                reads: ODDS,
                cas: 0,
                ..calm.load
            },
            cut_link: true,
            ..calm
        }
    }

    fn swarm(random: &mut ChaCha8Rng, options: &Options) -> Plan {
        // What is asked for takes the place of what is drawn, so that everything else is drawn alike.
        if odds(random, CUT_LINK_ODDS) {
            let drawn = Options {
                nodes: Some(options.nodes.unwrap_or_else(|| pick(random, &[3, 4, 5]))),
                duration_us: Some(options.duration_us.unwrap_or(10_000_000)),
                ..options.clone()
            };
            return Plan::quiet(&drawn);
        }
        let voters = pick(random, &[1, 2, 3, 3, 3, 3, 4, 5, 5]);
        let voters = options.nodes.unwrap_or(voters);
        let moves = random.random_ratio(1, 3);
        let spares = random.random_range(0..=2);
        let nodes = if moves {
            (voters + spares).min(NODES_MAX.max(voters))
        } else {
            voters
        };
        let tick = pick(random, &[1_000, 10_000, 100_000]);
        let election_ticks_min = random.random_range(4..=10);
        let timing = Timing {
            election_ticks_min,
            election_ticks_max: election_ticks_min + random.random_range(1..=10),
            heartbeat_ticks: random.random_range(1..=election_ticks_min / 2),
        };
        let election = tick * u64::from(timing.election_ticks_max);
        let config = Config::new(NodeId(1));
        let segment_bytes = pick(random, &[8 << 10, 32 << 10, 256 << 10]);
        let duration = election * random.random_range(10..=60);
        let plan = Plan {
            nodes,
            voters,
            tick,
            drift: swarm(random, 200),
            timing,
            pre_vote: random.random_ratio(3, 4),
            check_quorum: random.random_ratio(3, 4),
            lease: None,
            append_entries_max: pick(random, &[1, 1, 2, 5, config.append_entries_max]),
            in_flight_messages_max: pick(random, &[1, 2, config.in_flight_messages_max]),
            uncommitted_bytes_max: pick(
                random,
                &[200, config.uncommitted_bytes_max, config.uncommitted_bytes_max],
            ),
            apply_bytes_max: pick(random, &[1, 200, config.apply_bytes_max]),
            segment_bytes,
            tail_bytes_max: pick(random, &[0, 300, 4 << 20]),
            snapshot_log_bytes: pick(random, &[segment_bytes, 4 * segment_bytes, u64::MAX]),
            disk_max: pick(random, &[0, tick / 10, tick]),
            beside_max: 0,
            network: Network {
                delay_min: 10,
                delay_max: pick(random, &[tick / 10, tick, 3 * tick]),
                late: swarm(random, 100),
                late_max: 2 * election,
                drop: swarm(random, 200),
                duplicate: swarm(random, 200),
            },
            load: Load {
                clients: random.random_range(1..=CLIENTS_MAX),
                keys: random.random_range(1..=4),
                think_max: pick(random, &[2 * tick, 10 * tick]),
                timeout: election * random.random_range(1..=4),
                reads: random.random_range(100..=700),
                cas: random.random_range(0..=300),
                sessions: random.random(),
                value_bytes_max: pick(random, &[8, 8, 8, 100, 10_000]),
            },
            weights: Weights::swarm(random, moves),
            coup: swarm(random, 800),
            eager: 0,
            mid_install: 0,
            fault_interval_max: election * pick(random, &[1, 2, 5]),
            fault_lasts_max: election * pick(random, &[1, 2, 5]),
            duration: options.duration_us.unwrap_or(duration),
            interrupted_starts: true,
            cut_link: false,
            turn_inputs_max: TURN_INPUTS_MAX,
            follower_reads: random.random(),
        };
        // Last, so that everything else is drawn alike with them and without.
        let plan = if random.random_ratio(1, 4) {
            plan.with_leases(random)
        } else {
            plan
        };
        let plan = if random.random_ratio(1, 4) {
            plan.with_plots(random)
        } else {
            plan
        };
        let beside = random.random();
        let beside_max = pick(random, &[tick / 10, tick, 4 * tick]);
        Plan {
            beside_max: if beside { beside_max } else { 0 },
            ..plan
        }
    }

    /// As `self`, with reads by lease, and the faults that put leases to the test.
    fn with_leases(self, random: &mut ChaCha8Rng) -> Plan {
        Plan {
            check_quorum: true,
            lease: Some(self.lease_max()),
            weights: Weights {
                // Leases rest on clocks that do not jump.
                clock_jump: 0,
                relapse: random.random_range(5..=30),
                hand_over: random.random_range(5..=30),
                ..self.weights
            },
            ..self
        }
    }

    /// As `self`, with faults that go on in a certain order: what they lead to hardly ever comes about by chance.
    fn with_plots(self, random: &mut ChaCha8Rng) -> Plan {
        let moves = self.weights.change > 0;
        Plan {
            weights: Weights {
                echo: random.random_range(5..=30),
                unheard: random.random_range(5..=30),
                ..self.weights
            },
            eager: if moves { swarm(random, 800) } else { 0 },
            mid_install: swarm(random, 500),
            ..self
        }
    }

    /// The longest lease that is safe: within it no clock of the world counts one tick less than the least election time-out, seen from the
    /// slowest of them.
    fn lease_max(&self) -> u64 {
        let promised = self.tick * u64::from(self.timing.election_ticks_min - 1);
        // No clock is faster than an exact one, nor slower by more than this: see `Fault::ClockRate`.
        let slowest = u64::from(ODDS + 2 * self.drift);
        promised * u64::from(ODDS) / slowest
    }

    /// What remains when the faults are over.
    pub(crate) fn heal(&mut self) {
        self.network = Network::calm(self.tick);
        self.weights = Weights::default();
        self.coup = 0;
        self.eager = 0;
        self.mid_install = 0;
        self.disk_max = self.disk_max.min(self.tick / 10);
        self.beside_max = self.beside_max.min(self.tick / 10);
        // Everything refused or lost is tried again soon.
        self.load.timeout = 4 * self.tick * u64::from(self.timing.election_ticks_max);
        self.load.think_max = self.tick;
    }

    /// How long it may take after that until everybody is served and all nodes are equal.
    pub(crate) fn recovery_max(&self) -> u64 {
        // A split vote costs one election time-out; that a hundred follow on each other has no chance worth the name.
        100 * self.tick * u64::from(self.timing.election_ticks_max)
    }
}

impl Network {
    fn calm(tick: u64) -> Network {
        Network {
            delay_min: tick / 1000 + 10,
            delay_max: tick / 200 + 20,
            late: 0,
            late_max: 0,
            drop: 0,
            duplicate: 0,
        }
    }
}

impl Weights {
    fn swarm(random: &mut ChaCha8Rng, moves: bool) -> Weights {
        let weights = Weights {
            kill: swarm(random, 10),
            kill_in_disk: swarm(random, 10),
            power_loss: swarm(random, 10),
            blackout: swarm(random, 3),
            pause: swarm(random, 10),
            cut: swarm(random, 10),
            isolate: swarm(random, 10),
            halves: swarm(random, 5),
            campaign: swarm(random, 10),
            disk_error: swarm(random, 5),
            disk_full: swarm(random, 5),
            disk_slow: swarm(random, 5),
            // Rare: it takes a node out for good.
            rot: if random.random_ratio(1, 8) { 1 } else { 0 },
            link_slow: swarm(random, 5),
            clock_jump: swarm(random, 5),
            clock_rate: swarm(random, 5),
            change: random.random_range(5..=30),
            transfer: swarm(random, 10),
            snapshot: swarm(random, 5),
            relapse: 0,
            hand_over: 0,
            echo: 0,
            unheard: 0,
        };
        Weights {
            // A node that is out for good, and others that are asked to leave, may be too many together.
            rot: if moves { 0 } else { weights.rot },
            change: if moves { weights.change } else { 0 },
            ..weights
        }
    }
}
