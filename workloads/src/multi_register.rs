//! The workload `multi-register`: transactions that read and write several registers of a store, which is used for a while and then left.

use crate::op::Op;
use crate::rotation::{Rotation, TakingTurns, Turn, Turns};
use crate::step::Step;
use crate::workload::{Generator, Setting, Workload};
use rand::RngExt;

/// How many registers a store has.
const REGISTERS: u64 = 3;

/// See the module's documentation.
pub(crate) struct MultiRegister;

impl Workload for MultiRegister {
    fn name(&self) -> &'static str {
        "multi-register"
    }

    fn about(&self) -> &'static str {
        "transactions that read and write several registers; each must be linearizable"
    }

    fn generator(&self, setting: Setting) -> Box<dyn Generator> {
        Box::new(TakingTurns::<MultiRegister>::new(setting))
    }

    fn needed_kinds(&self) -> &'static [&'static str] {
        &["txn"]
    }

    fn model(&self) -> &'static str {
        "multi-register"
    }
}

fn reads() -> Vec<Step> {
    let read = |cell| Step::Read { cell, found: None };
    (0..REGISTERS).map(read).collect()
}

impl Turns for MultiRegister {
    /// Which order explains the transactions on a store is searched for, so it is not many.
    const OPERATIONS_PER_KEY_MAX: u64 = 100;

    fn op(turn: Turn, rotation: &mut Rotation) -> Op {
        let (key, mut steps) = (turn.key, reads());
        if !turn.is_reader {
            // Some registers are written, some read, some left alone; at least one is written.
            let written = rotation.random.random_range(0..REGISTERS);
            steps.retain(|step| step.cell() == written || rotation.random.random_bool(0.7));
            for step in &mut steps {
                if step.cell() == written || rotation.random.random_bool(0.5) {
                    let (cell, value) = (step.cell(), rotation.number(turn.group));
                    *step = Step::Write { cell, value };
                }
            }
        }
        Op::Transaction { key, steps }
    }

    fn look(key: u64) -> Op {
        Op::Transaction { key, steps: reads() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn operations(seed: u64, count: usize) -> Vec<Op> {
        let mut generator = MultiRegister.generator(Setting {
            seed,
            nodes: 3,
            concurrency: 12,
        });
        (0..count).filter_map(|turn| generator.next(turn % 12)).collect()
    }

    #[test]
    fn the_seed_decides_and_half_of_the_transactions_write_each_value_once() {
        let made = operations(7, 3000);
        assert_eq!(made, operations(7, 3000));
        assert_ne!(made, operations(8, 3000));
        let reading = made.iter().filter(|op| op.is_read()).count();
        assert_eq!(reading, 1500);
        let (mut written, mut several) = (BTreeSet::new(), 0);
        for op in &made {
            let Op::Transaction { key, steps } = op else {
                panic!("{op:?} is no transaction");
            };
            let before = written.len();
            for step in steps {
                if let Step::Write { value, .. } = step {
                    assert!(written.insert((*key, *value)), "{op:?} writes a value again");
                }
            }
            several += usize::from(written.len() > before + 1);
        }
        assert!(several > 500, "{several} write several registers");
    }
}
