//! The workload `counter`: adds and reads on counters that are used for a while and then left.
//!
//! An add that is lost, or carried out twice, shows in every read that follows.

use crate::op::Op;
use crate::rotation::{Rotation, TakingTurns, Turn, Turns};
use crate::workload::{Generator, Setting, Workload};
use rand::RngExt;

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
        Box::new(TakingTurns::<Counter>::new(setting))
    }

    fn needed_kinds(&self) -> &'static [&'static str] {
        &["add", "read"]
    }

    fn model(&self) -> &'static str {
        "counter"
    }
}

impl Turns for Counter {
    /// Adds that nobody knows the fate of can be left out in every combination, so it is not many.
    const OPERATIONS_PER_KEY_MAX: u64 = 150;

    fn op(turn: Turn, rotation: &mut Rotation) -> Op {
        let key = turn.key;
        if rotation.is_look(turn) {
            return Counter::look(key);
        }
        let amount = rotation.random.random_range(1..=AMOUNT_MAX);
        let is_taken = rotation.random.random_bool(0.25);
        let amount = if is_taken { -amount } else { amount };
        Op::Add { key, amount }
    }

    fn look(key: u64) -> Op {
        Op::Count { key }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::Completion;
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
