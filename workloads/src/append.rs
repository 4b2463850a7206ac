//! The workload `append`: transactions that append to lists and read them whole (Kingsbury and Alvaro, *Elle*, 2020).
//!
//! Every value is appended to its list once, so that a read tells in which order transactions came. All lists are in one store, and a
//! transaction touches several, so that what holds between keys is tested, too.

use crate::op::{Completion, Op};
use crate::rotation::LEFT_REREAD_MAX;
use crate::step::Step;
use crate::workload::{Generator, Setting, Workload};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The one store.
const STORE: u64 = 0;
/// How many lists are in use at a time; few, so that transactions meet.
const LISTS: usize = 4;
/// How many values are appended to a list before another takes its place. Reads return all of them.
const APPENDS_MAX: u64 = 40;
/// The most steps of a transaction.
const STEPS_MAX: usize = 4;

/// See the module's documentation.
pub(crate) struct Append;

impl Workload for Append {
    fn name(&self) -> &'static str {
        "append"
    }

    fn about(&self) -> &'static str {
        "transactions that append to lists and read them; strict serializability, by their dependencies"
    }

    fn generator(&self, setting: Setting) -> Box<dyn Generator> {
        let lists = (0..LISTS as u64).map(List::new).collect();
        Box::new(AppendGenerator {
            random: ChaCha8Rng::seed_from_u64(setting.seed),
            lists,
            next_cell: LISTS as u64,
        })
    }

    fn needed_kinds(&self) -> &'static [&'static str] {
        &["txn"]
    }

    fn model(&self) -> &'static str {
        "list-append"
    }
}

/// A list in use.
struct List {
    cell: u64,
    /// The value that is appended next.
    next: u64,
    /// Appends that are still to be made.
    left: u64,
}

impl List {
    fn new(cell: u64) -> List {
        List {
            cell,
            next: 1,
            left: APPENDS_MAX,
        }
    }
}

struct AppendGenerator {
    random: ChaCha8Rng,
    lists: Vec<List>,
    next_cell: u64,
}

impl AppendGenerator {
    fn step(&mut self) -> Step {
        let list = &mut self.lists[self.random.random_range(0..LISTS)];
        if self.random.random_bool(0.5) {
            return Step::ReadList {
                cell: list.cell,
                found: None,
            };
        }
        if list.left == 0 {
            *list = List::new(self.next_cell);
            self.next_cell += 1;
        }
        let value = list.next;
        (list.next, list.left) = (value + 1, list.left - 1);
        Step::Append {
            cell: list.cell,
            value,
        }
    }
}

impl Generator for AppendGenerator {
    fn next(&mut self, _: usize) -> Option<Op> {
        let steps = self.random.random_range(1..=STEPS_MAX);
        let steps = (0..steps).map(|_| self.step()).collect();
        Some(Op::Transaction { key: STORE, steps })
    }

    fn completed(&mut self, _: usize, op: &Op, completion: &Completion) {
        // What failed does not count, so that lists stay in use while nobody is served.
        if let (Op::Transaction { steps, .. }, Completion::Fail(_)) = (op, completion) {
            for step in steps.iter().filter(|step| !step.is_read()) {
                if let Some(list) = self.lists.iter_mut().find(|list| list.cell == step.cell()) {
                    list.left += 1;
                }
            }
        }
    }

    fn final_reads(&self) -> Vec<Op> {
        let every = usize::try_from(self.next_cell.div_ceil(LEFT_REREAD_MAX)).unwrap_or(usize::MAX);
        let mut cells: Vec<u64> = (0..self.next_cell).step_by(every.max(1)).collect();
        cells.extend(self.lists.iter().map(|list| list.cell));
        cells.sort_unstable();
        cells.dedup();
        let transactions = cells.chunks(STEPS_MAX).map(|cells| {
            let steps = cells.iter().map(|cell| Step::ReadList {
                cell: *cell,
                found: None,
            });
            Op::Transaction {
                key: STORE,
                steps: steps.collect(),
            }
        });
        transactions.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    const SETTING: Setting = Setting {
        seed: 7,
        nodes: 3,
        concurrency: 6,
    };

    fn steps(seed: u64, count: usize) -> Vec<Step> {
        let mut generator = Append.generator(Setting { seed, ..SETTING });
        let mut made = Vec::new();
        for turn in 0..count {
            if let Some(Op::Transaction { steps, .. }) = generator.next(turn % 6) {
                made.extend(steps);
            }
        }
        made
    }

    #[test]
    fn the_seed_decides_and_no_list_gets_a_value_twice() {
        assert_eq!(steps(7, 1000), steps(7, 1000));
        assert_ne!(steps(7, 1000), steps(8, 1000));
        let mut appended = BTreeSet::new();
        for step in steps(7, 5000) {
            if let Step::Append { cell, value } = step {
                assert!(value <= APPENDS_MAX, "list {cell} gets {value}");
                assert!(
                    appended.insert((cell, value)),
                    "{value} is appended twice to {cell}"
                );
            }
        }
        assert!(appended.len() > 4000, "{} appends", appended.len());
    }

    #[test]
    fn lists_stay_in_use_while_nobody_is_served_and_the_end_reads_a_bounded_number_of_them() {
        let mut generator = Append.generator(SETTING);
        let cells = |op: &Op| {
            let Op::Transaction { steps, .. } = op else {
                panic!("{op:?} is no transaction");
            };
            steps.iter().map(Step::cell).collect::<Vec<_>>()
        };
        for _ in 0..1000 {
            let op = generator.next(0).unwrap();
            assert!(cells(&op).iter().all(|cell| *cell < LISTS as u64), "{op:?}");
            generator.completed(0, &op, &Completion::Fail(String::from("no leader is known")));
        }
        for _ in 0..50_000 {
            generator.next(0);
        }
        let read: Vec<u64> = generator.final_reads().iter().flat_map(cells).collect();
        assert!(
            read.len() as u64 <= LEFT_REREAD_MAX + LISTS as u64,
            "{}",
            read.len()
        );
        assert!(generator.final_reads().iter().all(Op::is_read));
    }
}
