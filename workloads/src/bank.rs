//! The workload `bank`: transfers between the accounts of a bank, which is used for a while and then left, and reads of all its accounts.
//!
//! A transfer is one transaction, so the total never changes. Whoever comes first opens the accounts, in the same transaction. They hold
//! so much that no bank comes to an overdraft in its time, whatever becomes of its transfers.

use crate::op::{Op, account};
use crate::rotation::{Rotation, TakingTurns, Turn, Turns};
use crate::workload::{Generator, Setting, Workload};
use checker::history::Value;
use rand::RngExt;

/// How many accounts a bank has, numbered from 0.
pub const ACCOUNTS: u64 = 5;
/// What an account holds at the beginning.
pub const FIRST_BALANCE: i64 = 1_000;
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
        Box::new(TakingTurns::<Bank>::new(setting))
    }

    fn needed_kinds(&self) -> &'static [&'static str] {
        &["transfer", "read"]
    }

    fn model(&self) -> &'static str {
        "bank"
    }

    /// Left to itself the model would believe the first read, and what was lost before it.
    fn initial(&self) -> Option<Value> {
        let accounts = (0..ACCOUNTS).map(|number| (account(number), Value::Int(FIRST_BALANCE)));
        Some(Value::map(accounts))
    }
}

impl Turns for Bank {
    /// Transfers that nobody knows the fate of can be left out in every combination, so it is not many.
    const OPERATIONS_PER_KEY_MAX: u64 = 120;

    fn op(turn: Turn, rotation: &mut Rotation) -> Op {
        let key = turn.key;
        if rotation.is_look(turn) {
            return Bank::look(key);
        }
        let random = &mut rotation.random;
        let from = random.random_range(0..ACCOUNTS);
        Op::Transfer {
            key,
            from,
            to: (from + random.random_range(1..ACCOUNTS)) % ACCOUNTS,
            amount: random.random_range(1..=AMOUNT_MAX),
        }
    }

    fn look(key: u64) -> Op {
        Op::Balances { key }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Ret, judge, watch};
    use checker::history::{Header, Kind, Process, Record};
    use checker::{CheckOptions, Limits, Log, Verdict};
    use std::borrow::Cow;
    use std::collections::BTreeMap;

    #[test]
    fn a_transfer_that_is_lost_before_anybody_has_read_is_a_violation() {
        let transfer = Op::Transfer {
            key: 7,
            from: 0,
            to: 1,
            amount: 5,
        };
        let lines = |balances: [i64; 5]| {
            let read = Ret::Balances(balances.to_vec()).to_value();
            let events = [
                (Kind::Invoke, "transfer", transfer.argument()),
                (Kind::Ok, "transfer", Value::Null),
                (Kind::Invoke, "read", Value::Null),
                (Kind::Ok, "read", read),
                (Kind::Invoke, "read", Value::Null),
            ];
            let mut lines = Vec::new();
            for (time, (kind, f, value)) in (1..).zip(events) {
                let record = Record {
                    time,
                    process: Process::Client(0),
                    kind,
                    f: Cow::Borrowed(f),
                    key: Some(transfer.key_value()),
                    value,
                    error: None,
                    node: None,
                    intended: None,
                };
                record.write(&mut lines);
            }
            lines
        };
        let is_violation = |lines: &[u8]| {
            let mut history = Vec::new();
            Header::new("bank").write(&mut history);
            history.extend(lines);
            let log = Log::read(&history).unwrap();
            let verdict = judge(&log, &CheckOptions::default()).unwrap().verdict;
            let seen = watch(&Bank, Limits::default()).unwrap().push(lines).unwrap();
            let is_violation = matches!(verdict, Verdict::Violation(_));
            assert_eq!(is_violation, seen.is_some());
            is_violation
        };
        assert!(!is_violation(&lines([995, 1005, 1000, 1000, 1000])));
        assert!(is_violation(&lines([1000; 5])));
        // As much as before, and not what anybody began with.
        assert!(is_violation(&lines([1, 2, 3, 4, 4990])));
    }

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
