//! Properties of the timers, for random settings, seeds and things that happen meanwhile: what they count from, and what they lead to
//! when.

use crate::paper::accepted;
use raft::{
    Config, Entry, EntryData, Envelope, HardState, Index, Life, LogPosition, MemoryStorage, Message, NodeId,
    ProposeError, RawNode, ReadOutcome, ReadRequest, ReadToken, RoleKind, Silent, Term, Timing, Write,
    WriteId,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeSet;

const OWN: NodeId = NodeId(1);
const OTHERS: [NodeId; 2] = [NodeId(2), NodeId(3)];

type Node = RawNode<MemoryStorage<u8>, Silent>;

fn random_timing(random: &mut ChaCha8Rng) -> Timing {
    let election_ticks_min = random.random_range(2..=20);
    let timing = Timing {
        election_ticks_min,
        election_ticks_max: election_ticks_min + random.random_range(1..=20),
        heartbeat_ticks: random.random_range(1..election_ticks_min),
    };
    timing.validate().expect("the settings can work");
    timing
}

/// One of three, in term 1 with one entry.
fn start(timing: Timing, seed: u64) -> Node {
    start_with(timing, seed, None)
}

fn start_with(timing: Timing, seed: u64, life: Option<Life>) -> Node {
    let mut storage = MemoryStorage::new([OWN, OTHERS[0], OTHERS[1]]);
    storage.apply(&Write {
        id: WriteId(0),
        hard_state: HardState {
            term: Term(1),
            ..HardState::default()
        },
        snapshot: None,
        entries: vec![Entry {
            term: Term(1),
            index: Index(1),
            data: EntryData::Noop,
        }],
    });
    let config = Config {
        life,
        ..Config::new(OWN)
    };
    RawNode::new(config, timing, seed, storage, Silent).expect("the settings can work")
}

/// Does what the node asks for; nobody hears what it says.
fn settle(node: &mut Node) {
    while node.has_ready() {
        let ready = node.ready();
        if let Some(write) = ready.write {
            node.storage_mut().apply(&write);
            node.persisted(write.id);
        }
        if let Some(last) = ready.committed.last() {
            node.applied(last.index);
        }
    }
}

fn tell(node: &mut Node, from: NodeId, term: Term, message: Message<u8>) {
    node.step(Envelope {
        from,
        to: OWN,
        term,
        message,
    });
    settle(node);
}

fn heartbeat() -> Message<u8> {
    Message::Heartbeat {
        commit: Index(0),
        round: 0,
    }
}

fn vote(last: LogPosition) -> Message<u8> {
    Message::Vote {
        last,
        by_transfer: false,
    }
}

/// Among others that hear `node` and let it lead.
fn lead(node: &mut Node) {
    node.campaign();
    settle(node);
    let term = node.raft().term();
    tell(node, OTHERS[0], term, Message::VoteResponse { granted: true });
    assert_eq!(node.raft().role(), RoleKind::Leader);
    let last = node.raft().last().index;
    tell(node, OTHERS[0], term, accepted(last.0));
}

/// Something that may happen to a server that does not lead. Returns whether its time begins anew with that: it hears from its leader,
/// gives its vote, or its role changes (Raft §5.2).
fn disturb(node: &mut Node, random: &mut ChaCha8Rng) -> bool {
    let (role, term, voted) = (node.raft().role(), node.raft().term(), node.raft().vote());
    let from = OTHERS[random.random_range(0..2)];
    let long = LogPosition {
        term: Term(1),
        index: Index(9),
    };
    let heard = match random.random_range(0..5) {
        0 if node.raft().leader().is_none() => {
            tell(node, from, term, heartbeat());
            true
        }
        0 => {
            let leader = node.raft().leader().expect("there is one");
            tell(node, leader, term, heartbeat());
            true
        }
        1 => {
            tell(node, from, term.next(), heartbeat());
            true
        }
        2 => {
            tell(node, from, term.next(), vote(LogPosition::default()));
            false
        }
        3 => {
            tell(node, from, term.next(), vote(long));
            false
        }
        _ => {
            let next_term = term.next();
            tell(
                node,
                from,
                term,
                Message::PreVote {
                    next_term,
                    last: long,
                },
            );
            false
        }
    };
    let (role_after, term_after, voted_after) = (node.raft().role(), node.raft().term(), node.raft().vote());
    let voted = voted_after.is_some() && (term, voted) != (term_after, voted_after);
    heard || voted || role != role_after
}

/// A server that does not lead: its least time-out is over exactly that long after its time began, and its own somewhere in the
/// interval, wherever in it.
#[test]
fn a_server_stands_within_the_interval_since_its_time_began() {
    for seed in 0..200 {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let timing = random_timing(&mut random);
        let interval = timing.election_ticks_min..=timing.election_ticks_max;
        let mut node = start(timing, seed);
        let (mut elapsed, mut stood_after) = (0, BTreeSet::new());
        for step in 0..5_000 {
            // Seldom enough for time-outs to pass.
            if random.random_range(0..3 * timing.election_ticks_max) == 0 {
                if disturb(&mut node, &mut random) {
                    elapsed = 0;
                }
                continue;
            }
            let due = node.due();
            elapsed += 1;
            assert!(!due.heartbeat && !due.quorum_check, "seed {seed}, step {step}");
            let silent = elapsed == timing.election_ticks_min;
            assert_eq!(due.leader_silent, silent, "seed {seed}, step {step}");
            if due.election {
                assert!(interval.contains(&elapsed), "seed {seed}, step {step}: {elapsed}");
                stood_after.insert(elapsed);
            } else {
                assert!(
                    elapsed < timing.election_ticks_max,
                    "seed {seed}, step {step}: {elapsed}"
                );
            }
            node.tick();
            settle(&mut node);
            if due.election {
                elapsed = 0;
                assert_eq!(
                    node.raft().role(),
                    RoleKind::PreCandidate,
                    "seed {seed}, step {step}"
                );
            }
        }
        let drawn = stood_after.len();
        assert_eq!(
            drawn,
            interval.count(),
            "seed {seed}: {stood_after:?} of {timing:?}"
        );
    }
}

/// A leader beats, and checks its majority, at fixed intervals from when it began to lead, whatever it hears.
#[test]
fn a_leader_beats_and_checks_its_majority_at_fixed_intervals() {
    for seed in 0..200 {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let timing = random_timing(&mut random);
        let mut node = start(timing, seed);
        lead(&mut node);
        let term = node.raft().term();
        for tick in 1..=1_000 {
            let due = node.due();
            let is_time = |every| tick % every == 0;
            assert_eq!(
                due.heartbeat,
                is_time(timing.heartbeat_ticks),
                "seed {seed}, {tick}"
            );
            assert_eq!(
                due.quorum_check,
                is_time(timing.election_ticks_min),
                "seed {seed}, {tick}"
            );
            assert!(!due.leader_silent && !due.election, "seed {seed}, {tick}");
            node.tick();
            settle(&mut node);
            assert_eq!(node.raft().role(), RoleKind::Leader, "seed {seed}, {tick}");
            let answer = Message::HeartbeatResponse { round: 0 };
            if is_time(timing.election_ticks_min) || random.random_bool(0.1) {
                tell(&mut node, OTHERS[1], term, answer);
            }
            if random.random_bool(0.1) {
                tell(&mut node, OTHERS[1], term, vote(LogPosition::default()));
            }
        }
    }
}

/// A leader that hears nobody any more steps down after one election time-out, before the second is over (dissertation §6.2).
#[test]
fn a_leader_steps_down_within_two_time_outs_of_the_last_answer() {
    for seed in 0..200 {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let timing = random_timing(&mut random);
        let min = timing.election_ticks_min;
        let mut node = start(timing, seed);
        lead(&mut node);
        let term = node.raft().term();
        for _ in 0..random.random_range(0..5 * min) {
            node.tick();
            tell(
                &mut node,
                OTHERS[0],
                term,
                Message::HeartbeatResponse { round: 0 },
            );
        }
        let ticks = (1..=2 * min).find(|_| {
            node.tick();
            settle(&mut node);
            node.raft().role() != RoleKind::Leader
        });
        let ticks = ticks.expect("it steps down");
        assert!(
            ticks > min && ticks <= 2 * min,
            "seed {seed}: {ticks} of {timing:?}"
        );
    }
}

/// A transfer is given up when it was not done in a whole election time-out, and before the second is over (dissertation §3.10);
/// commands are taken in again from then on.
#[test]
fn a_transfer_has_one_time_out_and_is_given_up_before_the_second_is_over() {
    for seed in 0..200 {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let timing = random_timing(&mut random);
        let min = timing.election_ticks_min;
        let mut node = start(timing, seed);
        lead(&mut node);
        let term = node.raft().term();
        let live = |node: &mut Node| {
            node.tick();
            tell(node, OTHERS[0], term, Message::HeartbeatResponse { round: 0 });
        };
        for _ in 0..random.random_range(0..2 * min) {
            live(&mut node);
        }
        // Whether it is waited for, or was asked to stand and is not heard of again.
        let to = OTHERS[random.random_range(0..2)];
        node.transfer_leader(to).expect("it votes");
        let ticks = (1..=2 * min).find(|_| {
            assert_eq!(
                node.propose(0),
                Err(ProposeError::Transferring { to }),
                "seed {seed}"
            );
            live(&mut node);
            node.raft().transferring().is_none()
        });
        let ticks = ticks.expect("it is given up");
        assert!(
            ticks > min && ticks <= 2 * min,
            "seed {seed}: {ticks} of {timing:?}"
        );
        assert!(node.propose(0).is_ok(), "seed {seed}");
    }
}

/// A follower asks its leader about its reads again with every heartbeat interval, and gives them up after its longest time-out, as long
/// as the leader is heard otherwise.
#[test]
fn a_follower_asks_about_its_reads_again_and_gives_them_up_in_the_end() {
    for seed in 0..200 {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let timing = random_timing(&mut random);
        let mut node = start_with(timing, seed, Some(Life(seed)));
        let leader = OTHERS[0];
        for round in 1..=3 {
            for _ in 0..random.random_range(0..10) {
                tell(&mut node, leader, Term(1), heartbeat());
                node.tick();
            }
            tell(&mut node, leader, Term(1), heartbeat());
            let token = ReadToken(round);
            node.read_index(token).expect("it hears its leader");
            let mut asked_after = Vec::new();
            let mut outcomes = Vec::new();
            let mut ticks = 0;
            while outcomes.is_empty() {
                let ready = node.ready();
                let request = ReadRequest {
                    life: Life(seed),
                    number: round,
                };
                let asks = |envelope: &Envelope<u8>| {
                    envelope.to == leader && envelope.message == Message::ReadIndex { request }
                };
                asked_after.extend(ready.messages.iter().filter(|e| asks(e)).map(|_| ticks));
                outcomes.extend(ready.reads);
                // What is left of the last round's ticks plays no part.
                tell(&mut node, leader, Term(1), heartbeat());
                if outcomes.is_empty() {
                    node.tick();
                    ticks += 1;
                }
            }
            let every = timing.heartbeat_ticks as usize;
            let expected: Vec<u32> = (0..=timing.election_ticks_max).step_by(every).collect();
            assert_eq!(asked_after, expected, "seed {seed}: {timing:?}");
            assert_eq!(outcomes, [ReadOutcome::Aborted { token }], "seed {seed}");
            assert_eq!(ticks, timing.election_ticks_max, "seed {seed}");
        }
    }
}
