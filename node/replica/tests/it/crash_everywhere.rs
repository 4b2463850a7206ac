//! A crash at every operation of the disk, in making the folder, in appending, opening segments and replacing entries, and in
//! recovery itself; then a loss of power that leaves this or that. Whatever was acknowledged is there afterwards, and nothing
//! that was not written.

use crate::common::{Log, Node, acknowledged, append, end, from, log_of, open, options, turn};
use bytes::Bytes;
use raft::{Envelope, HardState, Message, NodeId, Storage, Term};
use replica::Outbox;
use sim::{DiskFault, Remainder, SimDisk};

/// How much of an interrupted operation is done, of 255.
const PORTIONS: [u8; 4] = [0, 40, 200, 255];

fn remainders() -> Vec<Remainder> {
    let mut all = vec![Remainder::Nothing, Remainder::Everything];
    all.extend([1, 2, 9].map(|sectors| Remainder::Prefix { sectors }));
    all.extend([1, 2, 3].map(|seed| Remainder::Sectors { seed }));
    all
}

/// What a follower hears in its life, and its log after each.
struct Life {
    steps: Vec<(Envelope<Bytes>, Log)>,
}

impl Life {
    /// Appends within a segment and beyond it, entries larger than a segment, a vote, and new leaders that replace entries, in the
    /// last segment and in one before it.
    fn of_a_follower() -> Life {
        let mut log = Log::new();
        let mut steps = Vec::new();
        let mut heard = |message, log: &Log| steps.push((message, log.clone()));
        let hears = [
            (2, 1, 0, 3, 10),
            (2, 1, 3, 1, 5000),
            (2, 1, 4, 2, 4000),
            (2, 1, 6, 1, 20_000),
        ];
        for (leader, term, keep, count, bytes) in hears {
            let message = append(leader, term, &mut log, keep, count, bytes);
            heard(message, &log);
        }
        heard(
            from(
                3,
                2,
                Message::Vote {
                    last: end(&log),
                    by_transfer: false,
                },
            ),
            &log,
        );
        for (leader, term, keep, count, bytes) in [
            (3, 2, 5, 2, 30),
            (3, 2, 7, 1, 9000),
            (2, 3, 3, 1, 10),
            (2, 3, 4, 3, 3000),
        ] {
            let message = append(leader, term, &mut log, keep, count, bytes);
            heard(message, &log);
        }
        Life { steps }
    }

    /// Lives until the disk fails. What comes back is how many steps were taken to the end or acknowledged, and whether the node has
    /// stopped: it may do so in what it does when nobody waits any more.
    fn live(&self, disk: &SimDisk) -> (usize, bool) {
        let Ok(mut node) = open(disk, &options(3)) else {
            return (0, true);
        };
        for (place, (message, log)) in self.steps.iter().enumerate() {
            // The stickiness to a leader ends with its silence.
            for _ in 0..10 {
                node.tick();
            }
            let mut out = Outbox::default();
            node.step(message.clone());
            let result = turn(&mut node, &mut out);
            let is_acknowledged = acknowledged(&out) == end(log).index;
            if result.is_err() {
                assert!(
                    is_acknowledged || acknowledged(&out).0 == 0,
                    "step {place} was acknowledged as another one"
                );
                return (place + usize::from(is_acknowledged), true);
            }
            if let Message::Append { .. } = message.message {
                assert!(is_acknowledged, "step {place} was not acknowledged");
            }
        }
        (self.steps.len(), false)
    }

    /// The log after `done` steps.
    fn log(&self, done: usize) -> Log {
        done.checked_sub(1)
            .map(|last| self.steps[last].1.clone())
            .unwrap_or_default()
    }
}

fn hard_state(node: &Node) -> HardState {
    node.core().raft().storage().initial_state().hard_state
}

/// The node has done `done` steps, or one more.
fn check(node: &Node, life: &Life, done: usize, case: &str) {
    let log = log_of(node);
    let next = (done + 1).min(life.steps.len());
    assert!(
        log == life.log(done) || log == life.log(next),
        "{case}: after {done} steps the log is up to {}, expected up to {} or {}",
        end(&log),
        end(&life.log(done)),
        end(&life.log(next))
    );
    let voted = HardState {
        term: Term(2),
        vote: Some(NodeId(3)),
        ..HardState::default()
    };
    if done == 5 {
        assert!(
            hard_state(node) == voted || log == life.log(6),
            "{case}: the vote is gone: {:?}",
            hard_state(node)
        );
    }
}

/// The node opens, has what it must, and goes on: an append, and two more starts, change nothing else.
fn goes_on(disk: &SimDisk, life: &Life, done: usize, case: &str) {
    let mut node = open(disk, &options(3)).unwrap_or_else(|error| panic!("{case}: {error}"));
    check(&node, life, done, case);
    let mut log = log_of(&node);
    let keep = log.len();
    let mut out = Outbox::default();
    node.step(append(3, 9, &mut log, keep, 2, 700));
    turn(&mut node, &mut out).unwrap();
    assert_eq!(acknowledged(&out), end(&log).index, "{case}");
    drop(node);
    disk.power_loss(Remainder::Nothing);
    for start in 1..=2 {
        let node = open(disk, &options(3)).unwrap_or_else(|error| panic!("{case}, start {start}: {error}"));
        assert_eq!(end(&log_of(&node)), end(&log), "{case}, start {start}");
        assert_eq!(log_of(&node), log, "{case}, start {start}");
    }
}

#[test]
fn a_crash_at_any_operation_loses_nothing_that_was_acknowledged() {
    let life = Life::of_a_follower();
    let whole = SimDisk::new();
    assert_eq!(life.live(&whole), (life.steps.len(), false));
    assert!(
        whole.files().len() >= 6,
        "the life fills segments: {:?}",
        whole.files()
    );
    let operations = whole.operations();
    for operation in 0..operations {
        for portion in PORTIONS {
            let disk = SimDisk::new();
            disk.fail_at(operation, DiskFault::Crash { portion });
            let (done, _) = life.live(&disk);
            disk.revive();
            let case = format!("crash at operation {operation}, {portion} of 255 done");
            goes_on(&disk.copy(), &life, done, &case);
            for remainder in remainders() {
                let disk = disk.copy();
                disk.power_loss(remainder);
                goes_on(&disk, &life, done, &format!("{case}, {remainder:?}"));
            }
        }
    }
}

#[test]
fn a_crash_at_any_operation_of_recovery_loses_nothing_either() {
    let life = Life::of_a_follower();
    let whole = SimDisk::new();
    life.live(&whole);
    for operation in 0..whole.operations() {
        let disk = SimDisk::new();
        disk.fail_at(operation, DiskFault::Crash { portion: 120 });
        let (done, _) = life.live(&disk);
        disk.revive();
        for remainder in [Remainder::Everything, Remainder::Sectors { seed: 5 }] {
            let torn = disk.copy();
            torn.power_loss(remainder);
            for again in 0.. {
                let disk = torn.copy();
                disk.fail_at(again, DiskFault::Crash { portion: 130 });
                let case =
                    format!("crash at operation {operation}, {remainder:?}, and at {again} of recovery");
                if let Ok(node) = open(&disk, &options(3)) {
                    check(&node, &life, done, &case);
                    break;
                }
                disk.revive();
                for remainder in [
                    Remainder::Nothing,
                    Remainder::Everything,
                    Remainder::Sectors { seed: 6 },
                ] {
                    let disk = disk.copy();
                    disk.power_loss(remainder);
                    goes_on(&disk, &life, done, &format!("{case}, {remainder:?}"));
                }
            }
        }
    }
}

#[test]
fn a_failed_operation_stops_the_node_and_nothing_is_acknowledged_by_it() {
    let life = Life::of_a_follower();
    let whole = SimDisk::new();
    life.live(&whole);
    for operation in 0..whole.operations() {
        let disk = SimDisk::new();
        disk.fail_at(operation, DiskFault::Error);
        let (done, stopped) = life.live(&disk);
        assert!(
            disk.is_struck() && stopped,
            "operation {operation} failed, and the node went on"
        );
        disk.power_loss(Remainder::Nothing);
        goes_on(&disk, &life, done, &format!("error at operation {operation}"));
    }
}
