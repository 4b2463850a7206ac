//! Servers that are driven by ticks: what the timers make of the protocol.

use raft::{
    Config, ConfigError, Entry, EntryData, Envelope, Event, Index, LogPosition, Logger, MemoryStorage,
    Message, NodeId, RawNode, ReadOutcome, ReadToken, RoleKind, Term, Timing,
};
use std::cell::RefCell;
use std::rc::Rc;

type Events = Rc<RefCell<Vec<(NodeId, Event)>>>;

#[derive(Clone)]
struct Recorder(Events);

impl Logger for Recorder {
    fn log(&mut self, id: NodeId, event: Event) {
        self.0.borrow_mut().push((id, event));
    }
}

type Node = RawNode<MemoryStorage<u8>, Recorder>;

/// Servers with perfect links and disks, of which some are cut off.
struct Cluster {
    nodes: Vec<Node>,
    cut_off: Vec<NodeId>,
    events: Events,
    reads: Vec<ReadOutcome>,
}

impl Cluster {
    fn new(size: u64, seed: u64, timing: Timing) -> Cluster {
        let events = Events::default();
        let start = |id| {
            let storage = MemoryStorage::new((1..=size).map(NodeId));
            let logger = Recorder(events.clone());
            // One seed for all: their ids must make the difference.
            RawNode::new(Config::new(id), timing, seed, storage, logger).expect("the settings can work")
        };
        Cluster {
            nodes: (1..=size).map(NodeId).map(start).collect(),
            cut_off: Vec::new(),
            events,
            reads: Vec::new(),
        }
    }

    /// Everybody's tick, and all that follows from it.
    fn tick(&mut self) {
        for node in &mut self.nodes {
            node.tick();
        }
        self.settle();
    }

    fn settle(&mut self) {
        loop {
            let mut messages = Vec::new();
            for node in &mut self.nodes {
                while node.has_ready() {
                    let ready = node.ready();
                    messages.extend(ready.messages);
                    self.reads.extend(ready.reads);
                    if let Some(write) = ready.write {
                        node.storage_mut().apply(&write);
                        node.persisted(write.id);
                    }
                    if let Some(last) = ready.committed.last() {
                        node.applied(last.index);
                    }
                }
            }
            if messages.is_empty() {
                return;
            }
            for envelope in messages {
                if !self.cut_off.contains(&envelope.from) && !self.cut_off.contains(&envelope.to) {
                    self.nodes[(envelope.to.0 - 1) as usize].step(envelope);
                }
            }
        }
    }

    /// Who leads whom nobody has replaced.
    fn leader(&self) -> Option<NodeId> {
        let leaders = self.nodes.iter().map(Node::raft);
        let leaders = leaders.filter(|raft| raft.role() == RoleKind::Leader);
        leaders.max_by_key(|raft| raft.term()).map(|raft| raft.id())
    }

    fn node(&mut self, id: NodeId) -> &mut Node {
        &mut self.nodes[(id.0 - 1) as usize]
    }

    /// Ticks until `done`; how many.
    fn tick_until(&mut self, ticks_max: u32, done: impl Fn(&Cluster) -> bool) -> u32 {
        for ticks in 0..ticks_max {
            if done(self) {
                return ticks;
            }
            self.tick();
        }
        assert!(
            done(self),
            "not within {ticks_max} ticks: {:?}",
            self.events.borrow()
        );
        ticks_max
    }
}

/// Ticks in which somebody leads, split votes included.
fn patience(timing: Timing) -> u32 {
    8 * timing.election_ticks_max
}

#[test]
fn a_leader_is_elected_replaced_and_followed_again() {
    let timing = Timing::default();
    for size in [2, 3, 4, 5] {
        for seed in 0..50 {
            let mut cluster = Cluster::new(size, seed, timing);
            cluster.tick_until(patience(timing), |cluster| cluster.leader().is_some());
            let first = cluster.leader().unwrap();
            if size == 2 {
                continue;
            }

            // Cut off, it steps down by itself, in less than two intervals of its check; and another one leads.
            cluster.cut_off.push(first);
            let place = (first.0 - 1) as usize;
            cluster.tick_until(2 * timing.election_ticks_min, |cluster| {
                cluster.nodes[place].raft().role() != RoleKind::Leader
            });
            cluster.tick_until(patience(timing), |cluster| {
                cluster.leader().is_some_and(|leader| leader != first)
            });
            let term = cluster.nodes.iter().map(|node| node.raft().term()).max();

            // It asked in vain while it was away, and its return costs no term.
            for _ in 0..5 * timing.election_ticks_max {
                cluster.tick();
            }
            cluster.cut_off.clear();
            let second = cluster.leader().unwrap();
            for _ in 0..5 * timing.election_ticks_max {
                cluster.tick();
            }
            for node in &cluster.nodes {
                assert_eq!(node.raft().leader(), Some(second), "size {size}, seed {seed}");
                assert_eq!(Some(node.raft().term()), term, "size {size}, seed {seed}");
            }
        }
    }
}

#[test]
fn a_leader_with_a_majority_leads_for_ever() {
    let timing = Timing::default();
    let mut cluster = Cluster::new(3, 1, timing);
    cluster.tick_until(patience(timing), |cluster| cluster.leader().is_some());
    let leader = cluster.leader().unwrap();
    let other = NodeId(leader.0 % 3 + 1);
    cluster.cut_off.push(other);
    let events = cluster.events.borrow().len();
    for _ in 0..100 * timing.election_ticks_max {
        cluster.tick();
        assert_eq!(cluster.leader(), Some(leader));
    }
    let of_others = |(id, _): &&(NodeId, Event)| *id != other;
    let events = cluster.events.borrow()[events..].iter().filter(of_others).count();
    assert!(
        events <= 2,
        "nothing is to be told of a leader that goes on but what it commits"
    );
}

/// Dissertation §4.2.3: stickiness ends with the *minimum* election time-out, before the server's own.
#[test]
fn a_follower_hears_candidates_after_the_least_time_out() {
    let timing = Timing {
        election_ticks_min: 5,
        election_ticks_max: 50,
        heartbeat_ticks: 1,
    };
    let of = |message| Envelope {
        from: NodeId(2),
        to: NodeId(1),
        term: Term(1),
        message,
    };
    let mut heard = 0;
    for seed in 0..20 {
        let mut cluster = Cluster::new(3, seed, timing);
        let node = cluster.node(NodeId(1));
        node.step(of(Message::Heartbeat {
            commit: Index(0),
            round: 0,
        }));
        for tick in 1..=timing.election_ticks_min {
            node.tick();
            if node.raft().role() != RoleKind::Follower {
                break;
            }
            let ask = Message::PreVote {
                next_term: Term(2),
                last: LogPosition::default(),
            };
            node.step(of(ask));
            let hears = Message::PreVoteResponse {
                next_term: Term(2),
                granted: tick == timing.election_ticks_min,
            };
            let mut said = Vec::new();
            while node.has_ready() {
                let ready = node.ready();
                said.extend(ready.messages.into_iter().map(|envelope| envelope.message));
                if let Some(write) = ready.write {
                    node.storage_mut().apply(&write);
                    node.persisted(write.id);
                }
            }
            assert!(said.contains(&hears), "seed {seed}, tick {tick}: {said:?}");
            heard += u32::from(tick == timing.election_ticks_min);
        }
    }
    assert!(heard > 10, "almost no time-out was longer than the least");
}

/// Raft §5.2: only the leader and a candidate who gets the vote put a follower's own candidacy off. Found by simulation: of two servers
/// the one with the shorter log had the faster clock, and each of its candidacies restarted the other's timer.
#[test]
fn a_candidate_that_is_refused_does_not_keep_a_follower_from_standing() {
    let timing = Timing {
        election_ticks_min: 5,
        election_ticks_max: 6,
        heartbeat_ticks: 1,
    };
    for seed in 0..20 {
        let mut cluster = Cluster::new(2, seed, timing);
        let node = cluster.node(NodeId(1));
        let of = |term, message| Envelope {
            from: NodeId(2),
            to: NodeId(1),
            term: Term(term),
            message,
        };
        let entry = Entry {
            term: Term(1),
            index: Index(1),
            data: EntryData::Noop,
        };
        node.step(of(
            1,
            Message::Append {
                prev: LogPosition::default(),
                entries: vec![entry],
                commit: Index(0),
            },
        ));
        let stands = (2..20).any(|term| {
            for _ in 0..timing.election_ticks_min - 1 {
                node.tick();
            }
            let stands = node.raft().role() != RoleKind::Follower;
            let last = LogPosition::default();
            node.step(of(
                term,
                Message::Vote {
                    last,
                    by_transfer: false,
                },
            ));
            stands
        });
        assert!(stands, "seed {seed}: it is always put off");
    }
}

#[test]
fn the_first_leader_does_not_wait_for_a_whole_time_out() {
    let timing = Timing::default();
    for seed in 0..50 {
        let mut cluster = Cluster::new(3, seed, timing);
        let ticks = cluster.tick_until(patience(timing), |cluster| cluster.leader().is_some());
        assert!(
            ticks <= 2 * timing.election_ticks_min,
            "{ticks} ticks with seed {seed}"
        );
    }
}

#[test]
fn a_follower_learns_of_a_commit_with_the_next_heartbeat() {
    let timing = Timing::default();
    let mut cluster = Cluster::new(3, 7, timing);
    cluster.tick_until(patience(timing), |cluster| cluster.leader().is_some());
    let leader = cluster.leader().unwrap();
    let position = cluster.node(leader).propose(7).unwrap();
    cluster.node(leader).read_index(ReadToken(1)).unwrap();
    cluster.settle();
    cluster.tick_until(timing.heartbeat_ticks, |cluster| {
        let mut applied = cluster.nodes.iter().map(|node| node.raft().applied_index());
        applied.all(|applied| applied == position.index)
    });
    let [ReadOutcome::Confirmed { token, index }] = cluster.reads[..] else {
        panic!("{:?}", cluster.reads)
    };
    assert_eq!(token, ReadToken(1));
    assert!(index >= Index(1), "{index}");
}

/// Each thing is told once, in the order in which it happened.
#[test]
fn a_logger_hears_what_happens() {
    let mut cluster = Cluster::new(1, 3, Timing::default());
    let own = NodeId(1);
    cluster.node(own).campaign();
    cluster.settle();
    let term = Term(1);
    let told: Vec<Event> = cluster
        .events
        .borrow()
        .iter()
        .map(|(_, event)| event.clone())
        .collect();
    assert_eq!(
        told,
        [
            Event::TermAdvanced { term },
            Event::Voted { term, candidate: own },
            Event::RoleChanged {
                term,
                role: RoleKind::Candidate
            },
            Event::RoleChanged {
                term,
                role: RoleKind::Leader
            },
            Event::Committed { index: Index(1) },
        ]
    );
    // A leader stays one.
    cluster.node(own).campaign();
    assert_eq!(cluster.node(own).raft().role(), RoleKind::Leader);
}

/// The same configuration, seed and calls give the same results.
#[test]
fn the_same_seed_gives_the_same_history() {
    let history = |seed| {
        let mut cluster = Cluster::new(5, seed, Timing::default());
        for _ in 0..100 {
            cluster.tick();
        }
        cluster.events.take()
    };
    assert_eq!(history(3), history(3));
    assert_ne!(history(3), history(4));
}

#[test]
fn time_outs_that_cannot_work_are_refused() {
    let timing = |election_ticks_min, election_ticks_max, heartbeat_ticks| Timing {
        election_ticks_min,
        election_ticks_max,
        heartbeat_ticks,
    };
    assert_eq!(timing(10, 20, 3).validate(), Ok(()));
    assert_eq!(timing(2, 3, 1).validate(), Ok(()));
    let zero = ConfigError::ZeroLimit("heartbeat_ticks");
    assert_eq!(timing(10, 20, 0).validate(), Err(zero));
    assert!(matches!(
        timing(10, 20, 10).validate(),
        Err(ConfigError::HeartbeatTooSlow { .. })
    ));
    for election_ticks_max in [9, 10] {
        assert!(matches!(
            timing(10, election_ticks_max, 3).validate(),
            Err(ConfigError::ElectionNotRandom { .. })
        ));
    }
}
