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
use crate::workload::{Generator, Setting, Workload};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The most operations on one register.
const OPERATIONS_PER_KEY_MAX: u64 = 300;
/// By how many percent of that a register's life may be shorter.
const SHORTER_PERCENT_MAX: u64 = 10;
/// How many registers that were left are read again at the end, evenly spread over the run.
const LEFT_REREAD_MAX: u64 = 100;
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
        &Op::KINDS
    }

    fn model(&self) -> &'static str {
        "cas-register"
    }
}

/// A register in use, and what its group knows of it.
struct InUse {
    key: u64,
    /// Operations that are still to be made on it.
    left: u64,
    unique_values: bool,
    next_unique: u64,
    /// A value that it was seen to hold lately.
    seen: Option<u64>,
}

struct RegisterGenerator {
    random: ChaCha8Rng,
    group_threads: usize,
    next_key: u64,
    groups: Vec<InUse>,
}

impl RegisterGenerator {
    fn new(setting: Setting) -> Self {
        let group_threads = (2 * setting.nodes).clamp(2, setting.concurrency.max(2));
        let mut generator = RegisterGenerator {
            random: ChaCha8Rng::seed_from_u64(setting.seed),
            group_threads,
            next_key: 0,
            groups: Vec::new(),
        };
        for _ in 0..setting.concurrency.div_ceil(group_threads) {
            let fresh = generator.fresh();
            generator.groups.push(fresh);
        }
        generator
    }

    fn fresh(&mut self) -> InUse {
        let key = self.next_key;
        self.next_key += 1;
        let shorter = self
            .random
            .random_range(0..=OPERATIONS_PER_KEY_MAX * SHORTER_PERCENT_MAX / 100);
        InUse {
            key,
            left: OPERATIONS_PER_KEY_MAX - shorter,
            unique_values: self.random.random_bool(0.5),
            next_unique: 0,
            seen: None,
        }
    }

    fn value(&mut self, group: usize) -> u64 {
        let register = &mut self.groups[group];
        if register.unique_values {
            register.next_unique += 1;
            register.next_unique
        } else {
            self.random.random_range(0..FEW_VALUES)
        }
    }
}

impl Generator for RegisterGenerator {
    fn next(&mut self, thread: usize) -> Option<Op> {
        let (group, place) = (thread / self.group_threads, thread % self.group_threads);
        if self.groups[group].left == 0 {
            self.groups[group] = self.fresh();
        }
        let register = &mut self.groups[group];
        register.left -= 1;
        let (key, expected) = (register.key, register.seen);
        // Every other thread only reads, so that each node is read from and written to where threads are spread over nodes.
        let reader = place >= self.group_threads.div_ceil(2);
        let choice = if reader { 0 } else { self.random.random_range(0..5) };
        Some(match choice {
            0 => Op::Read { key },
            1 | 2 => Op::Write {
                key,
                value: self.value(group),
            },
            _ => Op::Cas {
                key,
                expected,
                new: self.value(group),
            },
        })
    }

    fn completed(&mut self, thread: usize, op: &Op, completion: &Completion) {
        let register = &mut self.groups[thread / self.group_threads];
        if register.key != op.key() {
            return;
        }
        if let Completion::Fail(_) = completion {
            register.left += 1;
        }
        let now = match (op, completion) {
            (Op::Read { .. }, Completion::Ok(Ret::Value(value))) => *value,
            (Op::Write { value, .. }, Completion::Ok(_)) => Some(*value),
            (Op::Cas { new, .. }, Completion::Ok(Ret::Swapped(true))) => Some(*new),
            (Op::Read { .. } | Op::Write { .. } | Op::Cas { .. }, _) => return,
        };
        register.seen = now;
    }

    fn final_reads(&self) -> Vec<Op> {
        let every = usize::try_from(self.next_key.div_ceil(LEFT_REREAD_MAX)).unwrap_or(usize::MAX);
        let mut keys: Vec<u64> = (0..self.next_key).step_by(every.max(1)).collect();
        keys.extend(self.groups.iter().map(|register| register.key));
        keys.sort_unstable();
        keys.dedup();
        keys.into_iter().map(|key| Op::Read { key }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            let ret = match op {
                Op::Read { .. } => Ret::Value(*register),
                Op::Write { value, .. } => {
                    *register = Some(value);
                    Ret::Written
                }
                Op::Cas { expected, new, .. } if *register == expected => {
                    *register = Some(new);
                    Ret::Swapped(true)
                }
                Op::Cas { .. } => Ret::Swapped(false),
            };
            generator.completed(thread, &op, &Completion::Ok(ret));
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
