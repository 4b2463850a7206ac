//! The workload `bank`: transfers between the accounts of a bank, which is used for a while and then left, and reads of all its accounts.
//!
//! A transfer is one transaction, so the total never changes. Whoever comes first opens the accounts, in the same transaction. They hold
//! so much that no bank comes to an overdraft in its time, whatever becomes of its transfers.

use crate::op::{Completion, Op};
use crate::rotation::{Rotation, Turn};
use crate::workload::{Generator, Setting, Workload};
use rand::RngExt;

/// How many accounts a bank has, numbered from 0.
pub const ACCOUNTS: u64 = 5;
/// What an account holds at the beginning.
pub const FIRST_BALANCE: i64 = 1_000;
/// The most operations on one bank. Transfers that nobody knows the fate of can be left out in every combination, so it is not many.
const OPERATIONS_PER_KEY_MAX: u64 = 120;
/// The most that is transferred at once.
const AMOUNT_MAX: i64 = 5;

/// See the module's documentation.
pub(crate) struct Bank;

impl Workload for Bank {
    fn name(&self) -> &'static str {
        "bank"
    }

    fn about(&self) -> &'static str {
        "transfers between accounts, by transactions, and reads of all accounts; the total never changes"
    }

    fn generator(&self, setting: Setting) -> Box<dyn Generator> {
        Box::new(BankGenerator(Rotation::new(setting, OPERATIONS_PER_KEY_MAX)))
    }

    fn needed_kinds(&self) -> &'static [&'static str] {
        &["transfer", "read"]
    }

    fn model(&self) -> &'static str {
        "bank"
    }
}

struct BankGenerator(Rotation);

impl Generator for BankGenerator {
    fn next(&mut self, thread: usize) -> Option<Op> {
        let Turn { key, place, .. } = self.0.turn(thread);
        let reader = place >= self.0.group_threads.div_ceil(2);
        if reader || self.0.random.random_bool(0.2) {
            return Some(Op::Balances { key });
        }
        let from = self.0.random.random_range(0..ACCOUNTS);
        let to = (from + self.0.random.random_range(1..ACCOUNTS)) % ACCOUNTS;
        let amount = self.0.random.random_range(1..=AMOUNT_MAX);
        Some(Op::Transfer {
            key,
            from,
            to,
            amount,
        })
    }

    fn completed(&mut self, thread: usize, op: &Op, completion: &Completion) {
        if let (Completion::Fail(_), Some(group)) = (completion, self.0.group_on(thread, op.key())) {
            self.0.failed(group);
        }
    }

    fn final_reads(&self) -> Vec<Op> {
        let keys = self.0.last_keys().into_iter();
        keys.map(|key| Op::Balances { key }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn operations(seed: u64, count: usize) -> Vec<Op> {
        let mut generator = Bank.generator(Setting {
            seed,
            nodes: 3,
            concurrency: 12,
        });
        (0..count).filter_map(|turn| generator.next(turn % 12)).collect()
    }

    #[test]
    fn the_seed_decides_and_no_account_can_be_overdrawn() {
        let made = operations(7, 5000);
        assert_eq!(made, operations(7, 5000));
        assert_ne!(made, operations(8, 5000));
        let mut taken = BTreeMap::<(u64, u64), i64>::new();
        for op in &made {
            if let Op::Transfer {
                key,
                from,
                to,
                amount,
            } = op
            {
                assert!(from != to && *from < ACCOUNTS && *to < ACCOUNTS, "{op:?}");
                *taken.entry((*key, *from)).or_default() += amount;
            }
        }
        assert!(taken.len() > 100, "{} accounts", taken.len());
        assert!(taken.values().all(|taken| *taken <= FIRST_BALANCE), "{taken:?}");
    }
}
