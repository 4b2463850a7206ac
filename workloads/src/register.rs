//! The workload `register`: reads, writes and compare-and-sets on registers that are used for a while and then left.
//!
//! Threads work in groups of two per node; a group shares one register, so that operations on it overlap, and half of a group only
//! reads, so that whatever is written is looked at. A register is left after a few hundred operations: that bounds what the
//! checker has to untangle, and what crashed operations can burden. Some registers get values that are unique, which pins down
//! what every read saw; others get few different values, which lets compare-and-sets succeed by chance and old values return.
//!
//! What failed does not count: while nobody is served a register stays in use, so that whatever a failover loses is read
//! afterwards. And the end reads registers again that were left long ago, since what was acknowledged must last.

use crate::op::{Completion, Op, Ret};
use crate::rotation::{Rotation, Turn};
use crate::workload::{Generator, Setting, Workload};
use rand::RngExt;

/// The most operations on one register.
const OPERATIONS_PER_KEY_MAX: u64 = 300;
/// How many different values a register of few values gets.
const FEW_VALUES: u64 = 5;

/// See the module's documentation.
pub(crate) struct Register;

impl Workload for Register {
    fn name(&self) -> &'static str {
        "register"
    }

    fn about(&self) -> &'static str {
        "reads, writes and compare-and-sets on single registers; each must be linearizable"
    }

    fn generator(&self, setting: Setting) -> Box<dyn Generator> {
        Box::new(RegisterGenerator::new(setting))
    }

    fn needed_kinds(&self) -> &'static [&'static str] {
        &["read", "write", "cas"]
    }

    fn model(&self) -> &'static str {
        "cas-register"
    }
}

/// The values that a register gets, and what its group knows of it.
struct Values {
    unique: bool,
    /// A value that it was seen to hold lately.
    seen: Option<u64>,
}

impl Values {
    fn new(rotation: &mut Rotation) -> Values {
        Values {
            unique: rotation.random.random_bool(0.5),
            seen: None,
        }
    }
}

struct RegisterGenerator {
    rotation: Rotation,
    /// By group.
    values: Vec<Values>,
}

impl RegisterGenerator {
    fn new(setting: Setting) -> Self {
        let mut rotation = Rotation::new(setting, OPERATIONS_PER_KEY_MAX);
        let values = (0..rotation.groups())
            .map(|_| Values::new(&mut rotation))
            .collect();
        RegisterGenerator { rotation, values }
    }

    fn value(&mut self, group: usize) -> u64 {
        if self.values[group].unique {
            self.rotation.number(group)
        } else {
            self.rotation.random.random_range(0..FEW_VALUES)
        }
    }
}

impl Generator for RegisterGenerator {
    fn next(&mut self, thread: usize) -> Option<Op> {
        let Turn {
            key,
            group,
            is_reader,
            is_fresh,
        } = self.rotation.turn(thread);
        if is_fresh {
            self.values[group] = Values::new(&mut self.rotation);
        }
        let choice = if is_reader {
            0
        } else {
            self.rotation.random.random_range(0..5)
        };
        Some(match choice {
            0 => Op::Read { key },
            1 | 2 => Op::Write {
                key,
                value: self.value(group),
            },
            _ => Op::Cas {
                key,
                expected: self.values[group].seen,
                new: self.value(group),
            },
        })
    }

    fn completed(&mut self, thread: usize, op: &Op, completion: &Completion) {
        if let Completion::Fail(_) = completion {
            self.rotation.failed(thread, op.key());
        }
        let Some(group) = self.rotation.group_on(thread, op.key()) else {
            return;
        };
        if let Completion::Ok(ret) = completion {
            self.values[group].seen = match (op, ret) {
                (Op::Read { .. }, Ret::Value(value)) => *value,
                (Op::Write { value, .. }, Ret::Written) => Some(*value),
                (Op::Cas { new, .. }, Ret::Swapped(true)) => Some(*new),
                (
                    _,
                    Ret::Value(_)
                    | Ret::Written
                    | Ret::Swapped(_)
                    | Ret::Count(_)
                    | Ret::Elements(_)
                    | Ret::Text(_)
                    | Ret::Steps(_)
                    | Ret::Balances(_)
                    | Ret::Id(_)
                    | Ret::Token(_)
                    | Ret::Released(_),
                ) => return,
            };
        }
    }

    fn final_reads(&self) -> Vec<Op> {
        let keys = self.rotation.last_keys().into_iter();
        keys.map(|key| Op::Read { key }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rotation::LEFT_REREAD_MAX;

    const SETTING: Setting = Setting {
        seed: 7,
        nodes: 5,
        concurrency: 13,
    };

    /// A perfect register answers `count` operations of a generator.
    fn run(setting: Setting, count: usize) -> Vec<(usize, Op, Ret)> {
        let mut generator = Register.generator(setting);
        let mut registers = std::collections::BTreeMap::<u64, Option<u64>>::new();
        let mut made = Vec::new();
        for turn in 0..count {
            let thread = turn % setting.concurrency;
            let op = generator
                .next(thread)
                .expect("this workload always has something to do");
            let register = registers.entry(op.key()).or_default();
            let ret = match (&op, *register) {
                (Op::Read { .. }, value) => Ret::Value(value),
                (Op::Write { value, .. }, _) => {
                    *register = Some(*value);
                    Ret::Written
                }
                (Op::Cas { expected, new, .. }, value) => {
                    if value == *expected {
                        *register = Some(*new);
                    }
                    Ret::Swapped(value == *expected)
                }
                _ => panic!("no register has {op:?}"),
            };
            generator.completed(thread, &op, &Completion::Ok(ret.clone()));
            made.push((thread, op, ret));
        }
        made
    }

    #[test]
    fn the_same_seed_gives_the_same_operations_and_another_seed_others() {
        assert_eq!(run(SETTING, 2000), run(SETTING, 2000));
        assert_ne!(run(SETTING, 2000), run(Setting { seed: 8, ..SETTING }, 2000));
    }

    #[test]
    fn keys_are_left_after_their_share_of_operations() {
        let mut per_key = std::collections::BTreeMap::<u64, u64>::new();
        for (_, op, _) in run(SETTING, 10_000) {
            *per_key.entry(op.key()).or_default() += 1;
        }
        assert!(per_key.len() > 30, "{} keys", per_key.len());
        assert!(per_key.values().all(|count| *count <= OPERATIONS_PER_KEY_MAX));
    }

    #[test]
    fn a_register_is_not_left_while_nobody_is_served() {
        let mut generator = Register.generator(SETTING);
        let unserved = |generator: &mut dyn Generator| {
            let op = generator.next(0).expect("there is always something to do");
            generator.completed(0, &op, &Completion::Fail(String::from("no leader is known")));
            op.key()
        };
        let first = unserved(generator.as_mut());
        assert!((0..10_000).all(|_| unserved(generator.as_mut()) == first));
    }

    #[test]
    fn the_end_reads_what_is_in_use_and_a_bounded_sample_of_what_was_left() {
        let mut generator = Register.generator(SETTING);
        let keys =
            |generator: &dyn Generator| -> Vec<u64> { generator.final_reads().iter().map(Op::key).collect() };
        assert_eq!(keys(generator.as_ref()), [0, 1]);
        for _ in 0..10 * OPERATIONS_PER_KEY_MAX {
            generator.next(0);
        }
        let last = generator.next(0).unwrap().key();
        assert_eq!(keys(generator.as_ref()), (0..=last).collect::<Vec<_>>());
        for _ in 0..1000 * OPERATIONS_PER_KEY_MAX {
            generator.next(0);
        }
        let last = generator.next(0).unwrap().key();
        let read = keys(generator.as_ref());
        assert!(
            read.len() as u64 <= LEFT_REREAD_MAX + 2,
            "{} are read",
            read.len()
        );
        assert!(read.contains(&1) && read.contains(&last), "{read:?}");
        assert!(
            read.windows(2).all(|pair| pair[1] - pair[0] <= last / 50),
            "{read:?}"
        );
    }

    #[test]
    fn half_of_each_group_only_reads_and_a_fair_share_of_cas_succeed() {
        let made = run(SETTING, 10_000);
        assert!(
            made.iter()
                .filter(|(thread, ..)| (5..10).contains(thread))
                .all(|(_, op, _)| op.is_read())
        );
        let cas = made.iter().filter(|(_, op, _)| op.kind() == "cas").count();
        let swapped = made
            .iter()
            .filter(|(_, _, ret)| *ret == Ret::Swapped(true))
            .count();
        assert!(cas > 1000 && swapped * 3 > cas, "{swapped} of {cas} succeeded");
    }
}
