//! The workload `queue`: enqueues and dequeues on queues that are used for a while and then left.
//!
//! Every value is put once, so that one that is lost, taken twice or out of order shows. In the end what is left in them is taken out.

use crate::op::{Completion, Op, Ret};
use crate::rotation::{Rotation, Turn};
use crate::workload::{Generator, Setting, Workload};
use rand::RngExt;
use std::collections::BTreeMap;

/// The most operations on one queue.
const OPERATIONS_PER_KEY_MAX: u64 = 200;
/// How many dequeues more than there can be things are made of a queue in the end.
const TAKEN_IN_VAIN: u64 = 2;
/// How many dequeues are made of one queue in the end, at most.
const DRAINED_MAX: u64 = OPERATIONS_PER_KEY_MAX;

/// See the module's documentation.
pub(crate) struct Queue;

impl Workload for Queue {
    fn name(&self) -> &'static str {
        "queue"
    }

    fn about(&self) -> &'static str {
        "enqueues and dequeues on queues, which are drained at the end; what is put first is taken first, once"
    }

    fn generator(&self, setting: Setting) -> Box<dyn Generator> {
        Box::new(QueueGenerator {
            rotation: Rotation::new(setting, OPERATIONS_PER_KEY_MAX),
            held: BTreeMap::new(),
        })
    }

    fn needed_kinds(&self) -> &'static [&'static str] {
        &["enqueue", "dequeue"]
    }

    fn model(&self) -> &'static str {
        "fifo-queue"
    }
}

struct QueueGenerator {
    rotation: Rotation,
    /// How many things each queue holds at most; those that hold none are left out.
    held: BTreeMap<u64, u64>,
}

impl Generator for QueueGenerator {
    fn next(&mut self, thread: usize) -> Option<Op> {
        let Turn { key, group, .. } = self.rotation.turn(thread);
        if self.rotation.random.random_bool(0.5) {
            return Some(Op::Dequeue { key });
        }
        let value = self.rotation.number(group);
        Some(Op::Enqueue { key, value })
    }

    fn completed(&mut self, thread: usize, op: &Op, completion: &Completion) {
        let key = op.key();
        if let Completion::Fail(_) = completion {
            self.rotation.failed(thread, key);
        }
        match (op, completion) {
            (Op::Enqueue { .. }, Completion::Ok(_) | Completion::Info(_)) => {
                *self.held.entry(key).or_default() += 1;
            }
            (Op::Dequeue { .. }, Completion::Ok(Ret::Value(Some(_)))) => {
                let held = self.held.entry(key).or_default();
                *held = held.saturating_sub(1);
                if *held == 0 {
                    self.held.remove(&key);
                }
            }
            (_, Completion::Ok(_) | Completion::Fail(_) | Completion::Info(_)) => {}
        }
    }

    fn final_reads(&self) -> Vec<Op> {
        let keys = self.rotation.last_keys().into_iter();
        let drain = keys.flat_map(|key| {
            let held = self.held.get(&key).copied().unwrap_or_default();
            let times = (held + TAKEN_IN_VAIN).min(DRAINED_MAX);
            (0..times).map(move |_| Op::Dequeue { key })
        });
        drain.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeSet, VecDeque};

    const SETTING: Setting = Setting {
        seed: 7,
        nodes: 3,
        concurrency: 12,
    };

    #[test]
    fn values_are_put_once_and_the_end_takes_out_what_is_left() {
        let mut generator = Queue.generator(SETTING);
        let mut queues = BTreeMap::<u64, VecDeque<u64>>::new();
        let mut put = BTreeSet::new();
        let mut carry_out = |op: &Op| {
            let queue = queues.entry(op.key()).or_default();
            if let Op::Enqueue { key, value } = op {
                assert!(put.insert((*key, *value)), "{value} is put twice into {key}");
                queue.push_back(*value);
                return Ret::Written;
            }
            assert!(matches!(op, Op::Dequeue { .. }), "no queue has {op:?}");
            Ret::Value(queue.pop_front())
        };
        for turn in 0..2000 {
            let op = generator.next(turn % 12).unwrap();
            let ret = carry_out(&op);
            generator.completed(turn % 12, &op, &Completion::Ok(ret));
        }
        for op in generator.final_reads() {
            carry_out(&op);
        }
        assert!(queues.len() > 8, "{} queues", queues.len());
        assert!(queues.values().all(VecDeque::is_empty), "{queues:?}");
    }
}
