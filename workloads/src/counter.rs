//! The workload `counter`: adds and reads on counters that are used for a while and then left.
//!
//! An add that is lost, or carried out twice, shows in every read that follows.

use crate::op::{Completion, Op};
use crate::rotation::{Rotation, Turn};
use crate::workload::{Generator, Setting, Workload};
use rand::RngExt;

/// The most operations on one counter. Adds that nobody knows the fate of can be left out in every combination, so it is not many.
const OPERATIONS_PER_KEY_MAX: u64 = 150;
/// What is added is from 1 to this, or as much is taken away.
const AMOUNT_MAX: i64 = 9;

/// See the module's documentation.
pub(crate) struct Counter;

impl Workload for Counter {
    fn name(&self) -> &'static str {
        "counter"
    }

    fn about(&self) -> &'static str {
        "adds and reads on counters; each must be linearizable, and no add be lost or made twice"
    }

    fn generator(&self, setting: Setting) -> Box<dyn Generator> {
        Box::new(CounterGenerator(Rotation::new(setting, OPERATIONS_PER_KEY_MAX)))
    }

    fn needed_kinds(&self) -> &'static [&'static str] {
        &["add", "read"]
    }

    fn model(&self) -> &'static str {
        "counter"
    }
}

struct CounterGenerator(Rotation);

impl Generator for CounterGenerator {
    fn next(&mut self, thread: usize) -> Option<Op> {
        let Turn { key, place, .. } = self.0.turn(thread);
        let reader = place >= self.0.group_threads.div_ceil(2);
        if reader || self.0.random.random_bool(0.2) {
            return Some(Op::Count { key });
        }
        let amount = self.0.random.random_range(1..=AMOUNT_MAX);
        let is_taken = self.0.random.random_bool(0.25);
        let amount = if is_taken { -amount } else { amount };
        Some(Op::Add { key, amount })
    }

    fn completed(&mut self, thread: usize, op: &Op, completion: &Completion) {
        if let (Completion::Fail(_), Some(group)) = (completion, self.0.group_on(thread, op.key())) {
            self.0.failed(group);
        }
    }

    fn final_reads(&self) -> Vec<Op> {
        let keys = self.0.last_keys().into_iter();
        keys.map(|key| Op::Count { key }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    const SETTING: Setting = Setting {
        seed: 7,
        nodes: 3,
        concurrency: 12,
    };

    fn operations(seed: u64, count: usize) -> Vec<Op> {
        let mut generator = Counter.generator(Setting { seed, ..SETTING });
        (0..count).filter_map(|turn| generator.next(turn % 12)).collect()
    }

    #[test]
    fn the_seed_decides_and_counters_are_left_and_looked_at_again() {
        assert_eq!(operations(7, 1000), operations(7, 1000));
        assert_ne!(operations(7, 1000), operations(8, 1000));
        let keys: BTreeSet<u64> = operations(7, 3000).iter().map(Op::key).collect();
        assert!(keys.len() >= 20, "{keys:?}");
        let adds = operations(7, 1000).iter().filter(|op| !op.is_read()).count();
        assert!((300..600).contains(&adds), "{adds} of 1000 add");
    }

    #[test]
    fn what_failed_does_not_count() {
        let mut generator = Counter.generator(SETTING);
        let first = generator.next(0).unwrap().key();
        for _ in 0..10_000 {
            let op = generator.next(0).unwrap();
            assert_eq!(op.key(), first);
            generator.completed(0, &op, &Completion::Fail(String::from("no leader is known")));
        }
    }
}
