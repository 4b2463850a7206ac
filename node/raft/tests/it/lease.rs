//! Leases: what they count from, and that no read is stale as long as clocks drift apart no further than they may.

use raft::{
    Config, ConfigError, Envelope, Index, MemoryStorage, NodeId, RawNode, ReadOutcome, ReadToken, RoleKind,
    Silent, Timing,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use std::time::Duration;

type Node = RawNode<MemoryStorage<u8>, Silent>;

const TIMING: Timing = Timing {
    election_ticks_min: 10,
    election_ticks_max: 20,
    heartbeat_ticks: 3,
};

const TICK: u64 = 1_000;

/// Eight ticks: nine are promised, and clocks drift by 5 % either way.
const LEASE: u64 = 8 * TICK;
const DRIFT_PER_MILLE: u64 = 50;

fn config(id: NodeId, configure: &dyn Fn(&mut Config)) -> Config {
    let mut config = Config::new(id);
    config.lease = Some(Duration::from_micros(LEASE));
    configure(&mut config);
    config
}

fn start(id: NodeId, seed: u64, storage: MemoryStorage<u8>, configure: &dyn Fn(&mut Config)) -> Node {
    RawNode::new(config(id, configure), TIMING, seed, storage, Silent).expect("the settings can work")
}

/// Does what a node asks for; what it says, and which reads were decided.
fn turn(node: &mut Node) -> (Vec<Envelope<u8>>, Vec<ReadOutcome>) {
    let (mut messages, mut reads) = (Vec::new(), Vec::new());
    while node.has_ready() {
        let ready = node.ready();
        messages.extend(ready.messages);
        reads.extend(ready.reads);
        if let Some(write) = ready.write {
            node.storage_mut().apply(&write);
            node.persisted(write.id);
        }
        if let Some(last) = ready.committed.last() {
            node.applied(last.index);
        }
    }
    (messages, reads)
}

/// Two nodes, of which the first leads.
fn pair() -> (Node, Node) {
    let storage = || MemoryStorage::new([1, 2].map(NodeId));
    let [mut one, mut two] = [1, 2].map(|id| start(NodeId(id), 7, storage(), &|_| {}));
    one.campaign();
    while let messages = turn(&mut one).0
        && !messages.is_empty()
    {
        for envelope in messages {
            two.step(envelope);
        }
        for envelope in turn(&mut two).0 {
            one.step(envelope);
        }
    }
    assert_eq!(one.raft().role(), RoleKind::Leader);
    (one, two)
}

fn at(time: u64) -> Duration {
    Duration::from_micros(time)
}

/// Whether a read is confirmed without a question.
fn reads_at_once(node: &mut Node, time: u64) -> bool {
    node.time_is(at(time));
    let token = ReadToken(time);
    node.read_index(token).expect("it leads");
    let (_, reads) = turn(node);
    reads
        .iter()
        .any(|read| matches!(read, ReadOutcome::Confirmed { token: confirmed, .. } if *confirmed == token))
}

/// The leader's next heartbeats, sent at `time`.
fn heartbeats(node: &mut Node, time: u64) -> Vec<Envelope<u8>> {
    node.time_is(at(time));
    loop {
        node.tick();
        let messages = turn(node).0;
        if !messages.is_empty() {
            return messages;
        }
    }
}

fn answer(from: &mut Node, to: &mut Node, messages: Vec<Envelope<u8>>) {
    for envelope in messages {
        from.step(envelope);
    }
    for envelope in turn(from).0 {
        to.step(envelope);
    }
}

#[test]
fn a_lease_counts_from_when_the_heartbeat_was_sent_and_not_from_its_answer() {
    let (mut leader, mut follower) = pair();
    let sent = heartbeats(&mut leader, 1_000_000);
    leader.time_is(at(1_000_000 + LEASE / 2));
    answer(&mut follower, &mut leader, sent);
    assert!(reads_at_once(&mut leader, 1_000_000 + LEASE - 1));
    assert!(!reads_at_once(&mut leader, 1_000_000 + LEASE));
}

#[test]
fn an_answer_to_an_older_round_renews_nothing() {
    let (mut leader, mut follower) = pair();
    let first = heartbeats(&mut leader, 1_000_000);
    let again = first.clone();
    answer(&mut follower, &mut leader, first);
    let _lost = heartbeats(&mut leader, 1_000_000 + LEASE - 1);
    answer(&mut follower, &mut leader, again);
    assert!(!reads_at_once(&mut leader, 1_000_000 + LEASE));
}

#[test]
fn heartbeats_that_are_sent_again_count_from_the_first_time() {
    let (mut leader, mut follower) = pair();
    let _lost = heartbeats(&mut leader, 1_000_000);
    let again = heartbeats(&mut leader, 1_000_000 + LEASE - 1);
    answer(&mut follower, &mut leader, again);
    assert!(!reads_at_once(&mut leader, 1_000_000 + LEASE));
}

#[test]
fn there_is_no_lease_where_no_time_is_told_or_none_is_wanted() {
    let (mut leader, mut follower) = pair();
    for _ in 0..TIMING.heartbeat_ticks {
        leader.tick();
    }
    let sent = turn(&mut leader).0;
    answer(&mut follower, &mut leader, sent);
    leader.read_index(ReadToken(1)).expect("it leads");
    assert_eq!(turn(&mut leader).1, []);
    let without = Config {
        check_quorum: false,
        ..config(NodeId(1), &|_| {})
    };
    assert_eq!(without.validate(), Err(ConfigError::LeaseWithoutCheckQuorum));
}

/// Three nodes whose clocks run apart, with delays, pauses, crashes and transfers.
struct World<'a> {
    configure: &'a dyn Fn(&mut Config),
    random: ChaCha8Rng,
    now: u64,
    nodes: Vec<Node>,
    /// Per mille of the true time.
    rates: Vec<u64>,
    /// On the node's clock.
    next_tick: Vec<u64>,
    paused_until: Vec<u64>,
    /// Two nodes that don't hear each other, until when.
    cut: (NodeId, NodeId, u64),
    /// A node that hears nobody and is heard by nobody, until when.
    isolated: (NodeId, u64),
    /// By arrival.
    flight: BTreeMap<(u64, u64), Envelope<u8>>,
    numbers: u64,
    /// The highest index that is committed anywhere.
    committed: Index,
    /// What each open read must see.
    asked: BTreeMap<ReadToken, Index>,
    by_lease: u64,
    by_round: u64,
}

impl<'a> World<'a> {
    fn new(seed: u64, configure: &'a dyn Fn(&mut Config)) -> World<'a> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let storage = || MemoryStorage::new((1..=3).map(NodeId));
        World {
            configure,
            now: 0,
            nodes: (1..=3)
                .map(|id| start(NodeId(id), seed, storage(), configure))
                .collect(),
            rates: (0..3)
                .map(|_| random.random_range(1000 - DRIFT_PER_MILLE..=1000 + DRIFT_PER_MILLE))
                .collect(),
            random,
            next_tick: vec![TICK; 3],
            paused_until: vec![0; 3],
            cut: (NodeId(1), NodeId(2), 0),
            isolated: (NodeId(1), 0),
            flight: BTreeMap::new(),
            numbers: 0,
            committed: Index(0),
            asked: BTreeMap::new(),
            by_lease: 0,
            by_round: 0,
        }
    }

    fn clock(&self, place: usize) -> u64 {
        self.now * self.rates[place] / 1000
    }

    /// Turns a node's wheel. What is wrong, if a read is stale.
    fn turn(&mut self, place: usize, at_once: Option<ReadToken>) -> Result<(), String> {
        let (messages, reads) = turn(&mut self.nodes[place]);
        for envelope in messages {
            self.numbers += 1;
            let delay = if self.random.random_ratio(1, 10) {
                6 * TICK
            } else {
                TICK / 2
            };
            let (one, other, until) = self.cut;
            let is_cut =
                self.now < until && [(one, other), (other, one)].contains(&(envelope.from, envelope.to));
            let (alone, until) = self.isolated;
            let is_cut = is_cut || self.now < until && [envelope.from, envelope.to].contains(&alone);
            if !is_cut && !self.random.random_ratio(1, 20) {
                let arrival = self.now + self.random.random_range(1..=delay);
                self.flight.insert((arrival, self.numbers), envelope);
            }
        }
        for read in reads {
            let ReadOutcome::Confirmed { token, index } = read else {
                continue;
            };
            let must_see = self.asked.remove(&token).expect("a read is decided once");
            if index < must_see {
                let how = if at_once == Some(token) {
                    "by its lease"
                } else {
                    "by a round"
                };
                return Err(format!(
                    "node {} reads {index} {how}, and {must_see} was committed",
                    place + 1
                ));
            }
            if at_once == Some(token) {
                self.by_lease += 1;
            } else {
                self.by_round += 1;
            }
        }
        self.committed = self.committed.max(self.nodes[place].raft().commit_index());
        Ok(())
    }

    fn tell_time(&mut self, place: usize) {
        let clock = self.clock(place);
        self.nodes[place].time_is(at(clock));
    }

    /// A moment passes.
    fn step(&mut self) -> Result<(), String> {
        self.now += TICK / 10;
        for place in 0..3 {
            if self.paused_until[place] > self.now {
                continue;
            }
            let clock = self.clock(place);
            if clock >= self.next_tick[place] {
                // Ticks that were missed are not made up for.
                self.next_tick[place] = (clock / TICK + 1) * TICK;
                self.tell_time(place);
                self.nodes[place].tick();
                self.turn(place, None)?;
            }
        }
        while let Some((&(arrival, number), envelope)) = self.flight.first_key_value()
            && arrival <= self.now
        {
            let place = usize::try_from(envelope.to.0 - 1).expect("ids are small");
            let envelope = self
                .flight
                .remove(&(arrival, number))
                .expect("it was just looked at");
            if self.paused_until[place] > self.now {
                self.flight.insert((self.paused_until[place], number), envelope);
                continue;
            }
            self.tell_time(place);
            self.nodes[place].step(envelope);
            self.turn(place, None)?;
        }
        self.disturb()
    }

    fn restart(&mut self, place: usize) {
        let id = NodeId(place as u64 + 1);
        let seed = self.random.random_range(0..u64::MAX);
        let storage = MemoryStorage::new((1..=3).map(NodeId));
        let fresh = start(id, seed, storage, self.configure);
        let old = std::mem::replace(&mut self.nodes[place], fresh);
        self.nodes[place] = start(id, seed, old.into_storage(), self.configure);
    }

    /// Where one of two followers hears nothing from the leader at `place`, the lease rests on the promise of the other one: that one
    /// starts anew, and the leader learns nothing of what follows.
    fn strike_promise(&mut self, place: usize) {
        let leader = NodeId(place as u64 + 1);
        let (one, other, until) = self.cut;
        let silenced = if leader == one { other } else { one };
        let leads = self.nodes[place].raft().role() == RoleKind::Leader;
        if leads && self.now < until && [one, other].contains(&leader) {
            let promised = (1..=3).map(NodeId).find(|id| ![leader, silenced].contains(id));
            let promised = promised.expect("three nodes take part");
            self.isolated = (leader, self.now + 20 * TICK);
            self.restart(usize::try_from(promised.0 - 1).expect("ids are small"));
        }
    }

    /// Something that clients, operators and faults do.
    fn disturb(&mut self) -> Result<(), String> {
        let place = self.random.random_range(0..3);
        if self.paused_until[place] > self.now {
            return Ok(());
        }
        match self.random.random_range(0..400) {
            0..100 => {
                self.numbers += 1;
                let token = ReadToken(self.numbers);
                self.tell_time(place);
                if self.nodes[place].read_index(token).is_ok() {
                    self.asked.insert(token, self.committed);
                    self.turn(place, Some(token))?;
                }
            }
            100..160 => {
                let _ = self.nodes[place].propose(1);
                self.turn(place, None)?;
            }
            160 => self.paused_until[place] = self.now + self.random.random_range(1..30) * TICK,
            161 | 165..170 => {
                self.restart(place);
            }
            170..190 => self.strike_promise(place),
            162 => {
                let to = NodeId(self.random.random_range(1..=3));
                let _ = self.nodes[place].transfer_leader(to);
                self.turn(place, None)?;
            }
            164 => {
                let other = (place + self.random.random_range(1..3)) % 3;
                let until = self.now + self.random.random_range(10..80) * TICK;
                self.cut = (NodeId(place as u64 + 1), NodeId(other as u64 + 1), until);
            }
            163 => {
                self.nodes[place].campaign();
                self.turn(place, None)?;
            }
            _ => {}
        }
        Ok(())
    }
}

/// How many reads were answered by leases and by rounds; or the first stale one.
fn run(seed: u64, configure: &dyn Fn(&mut Config)) -> Result<(u64, u64), String> {
    let configure = |config: &mut Config| {
        // Candidates who ask nobody before, and so are in later terms than the leader that the others stick to.
        config.pre_vote = seed.is_multiple_of(2);
        configure(config);
    };
    let mut world = World::new(seed, &configure);
    for _ in 0..20_000 {
        world.step().map_err(|stale| format!("seed {seed}: {stale}"))?;
    }
    Ok((world.by_lease, world.by_round))
}

#[test]
fn no_read_is_stale_while_clocks_drift_no_further_than_they_may() {
    let (mut by_lease, mut by_round) = (0, 0);
    for seed in 0..40 {
        let (lease, round) = run(seed, &|_| {}).unwrap_or_else(|stale| panic!("{stale}"));
        by_lease += lease;
        by_round += round;
    }
    assert!(
        by_lease > 10_000 && by_round > 1_000,
        "{by_lease} by leases, {by_round} by rounds"
    );
}

/// The same world finds leases that are longer than what is promised.
#[test]
fn leases_that_are_too_long_are_found() {
    let found = (0..400).find_map(|seed| {
        run(seed, &|config| {
            config.lease = Some(Duration::from_micros(3 * LEASE));
        })
        .err()
    });
    assert!(found.expect("a stale read").contains("by its lease"));
}

#[cfg(feature = "mutants")]
#[test]
fn seeded_bugs_of_leases_are_found() {
    for mutant in [
        raft::Mutant::LeaseSurvivesTransfer,
        raft::Mutant::LeaseForgetsPromise,
    ] {
        let found = (0..2_000).find_map(|seed| run(seed, &|config| config.mutant = Some(mutant)).err());
        let found = found.unwrap_or_else(|| panic!("{mutant:?} is not found"));
        println!("{mutant:?}: {found}");
    }
}
