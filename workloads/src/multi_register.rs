//! The workload `multi-register`: transactions that read and write several registers of a store, which is used for a while and then left.

use crate::op::{Completion, Op};
use crate::rotation::{Rotation, Turn};
use crate::step::Step;
use crate::workload::{Generator, Setting, Workload};
use rand::RngExt;

/// The most transactions on one store. Which order explains them is searched for, so it is not many.
const OPERATIONS_PER_KEY_MAX: u64 = 100;
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
        let rotation = Rotation::new(setting, OPERATIONS_PER_KEY_MAX);
        let next_values = vec![1; rotation.groups()];
        Box::new(MultiRegisterGenerator {
            rotation,
            next_values,
        })
    }

    fn needed_kinds(&self) -> &'static [&'static str] {
        &["txn"]
    }

    fn model(&self) -> &'static str {
        "multi-register"
    }
}

struct MultiRegisterGenerator {
    rotation: Rotation,
    /// By group.
    next_values: Vec<u64>,
}

fn reads() -> Vec<Step> {
    let read = |cell| Step::Read { cell, found: None };
    (0..REGISTERS).map(read).collect()
}

impl Generator for MultiRegisterGenerator {
    fn next(&mut self, thread: usize) -> Option<Op> {
        let Turn {
            key,
            group,
            place,
            is_fresh,
        } = self.rotation.turn(thread);
        if is_fresh {
            self.next_values[group] = 1;
        }
        let reader = place >= self.rotation.group_threads.div_ceil(2);
        let mut steps = reads();
        if !reader {
            // Some registers are written, some read, some left alone; at least one is written.
            let written = self.rotation.random.random_range(0..REGISTERS);
            steps.retain(|step| step.cell() == written || self.rotation.random.random_bool(0.7));
            for step in &mut steps {
                if step.cell() == written || self.rotation.random.random_bool(0.5) {
                    let (cell, value) = (step.cell(), self.next_values[group]);
                    self.next_values[group] += 1;
                    *step = Step::Write { cell, value };
                }
            }
        }
        Some(Op::Transaction { key, steps })
    }

    fn completed(&mut self, thread: usize, op: &Op, completion: &Completion) {
        if let (Completion::Fail(_), Some(group)) = (completion, self.rotation.group_on(thread, op.key())) {
            self.rotation.failed(group);
        }
    }

    fn final_reads(&self) -> Vec<Op> {
        let keys = self.rotation.last_keys().into_iter();
        keys.map(|key| Op::Transaction { key, steps: reads() }).collect()
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
