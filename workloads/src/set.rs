//! The workload `set`: elements are added to sets, which are read whole.
//!
//! Every element is added once. One that was acknowledged is in every set that is read from then on; the reads at the end look for it
//! once more.

use crate::op::{Completion, Op};
use crate::rotation::{Rotation, Turn};
use crate::workload::{Generator, Setting, Workload};
use rand::RngExt;

/// The most operations on one set. Reads return all of it, so it bounds what is recorded.
const OPERATIONS_PER_KEY_MAX: u64 = 200;

/// See the module's documentation.
pub(crate) struct Set;

impl Workload for Set {
    fn name(&self) -> &'static str {
        "set"
    }

    fn about(&self) -> &'static str {
        "adds to sets and reads of them; what was added is there from then on"
    }

    fn generator(&self, setting: Setting) -> Box<dyn Generator> {
        let rotation = Rotation::new(setting, OPERATIONS_PER_KEY_MAX);
        let next_elements = vec![1; rotation.groups()];
        Box::new(SetGenerator {
            rotation,
            next_elements,
        })
    }

    fn needed_kinds(&self) -> &'static [&'static str] {
        &["add", "read"]
    }

    fn model(&self) -> &'static str {
        "set"
    }
}

struct SetGenerator {
    rotation: Rotation,
    /// By group.
    next_elements: Vec<u64>,
}

impl Generator for SetGenerator {
    fn next(&mut self, thread: usize) -> Option<Op> {
        let Turn {
            key,
            group,
            place,
            is_fresh,
        } = self.rotation.turn(thread);
        if is_fresh {
            self.next_elements[group] = 1;
        }
        let reader = place >= self.rotation.group_threads.div_ceil(2);
        if reader || self.rotation.random.random_bool(0.2) {
            return Some(Op::Elements { key });
        }
        let element = self.next_elements[group];
        self.next_elements[group] += 1;
        Some(Op::Insert { key, element })
    }

    fn completed(&mut self, thread: usize, op: &Op, completion: &Completion) {
        if let (Completion::Fail(_), Some(group)) = (completion, self.rotation.group_on(thread, op.key())) {
            self.rotation.failed(group);
        }
    }

    fn final_reads(&self) -> Vec<Op> {
        let keys = self.rotation.last_keys().into_iter();
        keys.map(|key| Op::Elements { key }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};

    fn operations(seed: u64, count: usize) -> Vec<Op> {
        let mut generator = Set.generator(Setting {
            seed,
            nodes: 3,
            concurrency: 12,
        });
        (0..count).filter_map(|turn| generator.next(turn % 12)).collect()
    }

    #[test]
    fn the_seed_decides_and_every_element_is_added_once() {
        let made = operations(7, 5000);
        assert_eq!(made, operations(7, 5000));
        assert_ne!(made, operations(8, 5000));
        let mut sets = BTreeMap::<u64, BTreeSet<u64>>::new();
        for op in &made {
            if let Op::Insert { key, element } = op {
                assert!(
                    sets.entry(*key).or_default().insert(*element),
                    "{op:?} comes twice"
                );
            }
        }
        assert!(sets.len() > 20, "{} sets", sets.len());
        let added: usize = sets.values().map(BTreeSet::len).sum();
        assert!((1500..2500).contains(&added), "{added} of 5000 add");
    }
}
