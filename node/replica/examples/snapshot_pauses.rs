//! How long a node's thread is kept from everything else while a snapshot is taken, sent and installed: the longest turn of the wheel, and the
//! longest time that a message took to be taken in. It is the thread's processor time, which does not depend on what else a machine does.
//! The disk is in memory; a real one adds to a turn one write of a part, some 128 KiB, and its sync.
//!
//! ```console
//! $ cargo run --release -p rustyraft-replica --example snapshot_pauses -- 1000000 256
//! ```

#![allow(clippy::unwrap_used, reason = "an example ends where something is unexpected")]

use bytes::Bytes;
use raft::{NodeId, Silent};
use replica::{Options, Outbox, Replica, Ticket};
use sim::SimDisk;
use std::collections::VecDeque;
use std::process::ExitCode;
use std::time::Duration;
use wire::client::MemberChange;
use wire::peer::Packet;
use wire::record::Command;

/// How many puts come in with each turn.
const PUTS: u64 = 64;
/// Turns of which the longest is looked for where nothing else is done.
const TURNS: usize = 20_000;
/// Turns between two ticks.
const TURNS_PER_TICK: usize = 20;

/// How long this thread has had a processor.
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap()
}

/// One node, and what it was seen to take.
struct Node {
    replica: Replica<SimDisk, Silent>,
    out: Outbox,
    turns: u64,
    longest_turn: Duration,
    longest_step: Duration,
}

impl Node {
    fn open(id: u64, voters: &[u64]) -> Node {
        let voters = voters.iter().map(|id| NodeId(*id)).collect();
        let mut options = Options::new(NodeId(id), String::from("pauses"), voters);
        options.incarnation = u128::from(id);
        // Snapshots are taken when they are asked for.
        options.snapshot_log_bytes = u64::MAX;
        Node {
            replica: Replica::open(SimDisk::new(), &options, Silent).unwrap(),
            out: Outbox::default(),
            turns: 0,
            longest_turn: Duration::ZERO,
            longest_step: Duration::ZERO,
        }
    }

    fn forget(&mut self) {
        (self.turns, self.longest_turn, self.longest_step) = (0, Duration::ZERO, Duration::ZERO);
    }

    fn turn(&mut self) {
        let began = processor_time();
        self.replica.settle().unwrap();
        if self.replica.has_work() {
            self.replica.send(&mut self.out);
            self.replica.apply(&mut self.out).unwrap();
            self.replica.carry_out(&mut self.out).unwrap();
        }
        self.turns += 1;
        self.longest_turn = self.longest_turn.max(processor_time() - began);
    }

    fn step(&mut self, packet: Packet) {
        let began = processor_time();
        self.replica.step(packet);
        self.longest_step = self.longest_step.max(processor_time() - began);
    }

    fn say(&self, what: &str) {
        println!(
            "{what:<44} {:>8} turns, longest {:>8.3} ms; longest message {:>8.3} ms",
            self.turns,
            self.longest_turn.as_secs_f64() * 1e3,
            self.longest_step.as_secs_f64() * 1e3
        );
    }
}

/// Puts to keys all over the map.
struct Load {
    keys: u64,
    value: Bytes,
    puts: u64,
}

impl Load {
    fn put(&mut self, node: &mut Node) {
        // Coprime to whatever there may be of keys, so that all of them have their turn, in no order.
        let key = self.puts.wrapping_mul(0x9E37_79B9_7F4A_7C15) % self.keys;
        self.put_key(node, key);
    }

    fn put_key(&mut self, node: &mut Node, key: u64) {
        self.puts += 1;
        let key = Bytes::from(format!("key-{key:09}"));
        let value = self.value.clone();
        node.replica
            .command(Ticket(self.puts), Command::Put { key, value });
    }

    /// One turn of a node that is asked for puts.
    fn turn(&mut self, node: &mut Node) {
        for _ in 0..PUTS {
            self.put(node);
        }
        node.turn();
        node.out.replies.clear();
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let numbers: Result<Vec<usize>, _> = arguments.iter().map(|word| word.parse()).collect();
    let (Ok(&[keys, value_bytes]), false) = (numbers.as_deref(), arguments.is_empty()) else {
        eprintln!("usage: snapshot_pauses KEYS VALUE_BYTES");
        return ExitCode::from(254);
    };
    let mut load = Load {
        keys: keys.max(1) as u64,
        value: Bytes::from(vec![b'.'; value_bytes]),
        puts: 0,
    };
    let mut leader = Node::open(1, &[1]);
    leader.replica.campaign();
    leader.turn();
    for key in 0..load.keys {
        load.put_key(&mut leader, key);
        if key.is_multiple_of(PUTS) {
            leader.turn();
            leader.out.replies.clear();
        }
    }
    take(&mut load, &mut leader);
    carry_over(&mut load, &mut leader);
    ExitCode::SUCCESS
}

/// A node serves, and then takes a snapshot beside that.
fn take(load: &mut Load, leader: &mut Node) {
    leader.forget();
    for _ in 0..TURNS {
        load.turn(leader);
    }
    leader.say("puts only");
    leader.forget();
    leader.out.done.clear();
    leader.replica.snapshot(Ticket(0));
    while leader.out.done.is_empty() {
        load.turn(leader);
    }
    leader.say("puts while a snapshot is taken");
}

/// A node comes, which is sent that snapshot beside service.
fn carry_over(load: &mut Load, leader: &mut Node) {
    let mut newcomer = Node::open(2, &[]);
    leader.forget();
    leader.replica.reconfigure(
        Ticket(0),
        &[MemberChange::AddLearner {
            node: 2,
            address: String::from("127.0.0.1:7102"),
        }],
    );
    let goal = leader.replica.status().last_index;
    let mut packets: VecDeque<Packet> = VecDeque::new();
    let mut turns = 0;
    while newcomer.replica.status().applied_index < goal {
        turns += 1;
        if turns % TURNS_PER_TICK == 0 {
            leader.replica.tick();
            newcomer.replica.tick();
        }
        load.turn(leader);
        packets.extend(leader.out.messages.drain(..));
        newcomer.turn();
        packets.extend(newcomer.out.messages.drain(..));
        for packet in packets.drain(..) {
            let to = if packet.to() == NodeId(1) {
                &mut *leader
            } else {
                &mut newcomer
            };
            to.step(packet);
        }
    }
    leader.say("puts while it is sent");
    newcomer.say("the other node, while it is installed");
}
