//! Operations as the node understands them, and its replies as operations return them.

use bytes::Bytes;
use wire::client::{Reply, RequestBody};
use wire::record::{Command, Condition, End, Operation, OperationAnswer, Transaction};
use workloads::{ACCOUNTS, FIRST_BALANCE, Op, Ret, Step, piece};

/// What a value is recorded as that no client can have written. Workloads don't write it, so no order explains it.
pub const UNREADABLE: u64 = i64::MAX as u64;

/// What an operation asks of a node.
pub(super) enum Asked {
    /// One question.
    Question(RequestBody),
    /// What the lock at a key holds, and then to replace that.
    OfLock {
        /// Where it is.
        key: Bytes,
        /// Who asks.
        owner: u64,
    },
}

/// What is asked of a node, outside of any session.
pub(super) fn request(op: &Op) -> Asked {
    Asked::Question(match op {
        Op::Acquire { key, owner } | Op::Release { key, owner } => {
            return Asked::OfLock {
                key: rendered(*key),
                owner: *owner,
            };
        }
        Op::Transaction { key, steps } => transaction(Transaction {
            then: steps.iter().map(|step| operation_of(*key, step)).collect(),
            ..Transaction::default()
        }),
        Op::Transfer {
            key,
            from,
            to,
            amount,
        } => {
            let add = |account, amount| Operation::Add {
                key: cell(*key, account),
                amount,
            };
            transaction(in_bank(*key, vec![add(*from, -amount), add(*to, *amount)]))
        }
        Op::Balances { key } => {
            let get = |account| Operation::Get {
                key: cell(*key, account),
            };
            transaction(in_bank(*key, (0..ACCOUNTS).map(get).collect()))
        }
        Op::Read { key } | Op::Count { key } | Op::Elements { key } | Op::Text { key } => {
            RequestBody::Get { key: rendered(*key) }
        }
        Op::Write { key, value } => RequestBody::Put {
            key: rendered(*key),
            value: rendered(*value),
        },
        Op::Cas { key, expected, new } => RequestBody::Cas {
            key: rendered(*key),
            expected: expected.map(rendered),
            value: rendered(*new),
        },
        Op::Add { key, amount } => operation(Operation::Add {
            key: rendered(*key),
            amount: *amount,
        }),
        Op::Generate { key } => operation(Operation::Add {
            key: rendered(*key),
            amount: 1,
        }),
        Op::Enqueue { key, value } => operation(Operation::Push {
            key: rendered(*key),
            item: rendered(*value),
            end: End::Back,
        }),
        Op::Dequeue { key } => operation(Operation::Pop {
            key: rendered(*key),
            end: End::Front,
        }),
        Op::Insert { key, element } => operation(append(*key, *element)),
        Op::AppendOnce { key, piece, .. } => operation(append(*key, *piece)),
    })
}

/// What an operation returned that was answered so; `None` if that is no answer to it.
pub(super) fn returned(op: &Op, reply: &Reply) -> Option<Ret> {
    let value = if let Reply::Value(value) = reply {
        Some(value.as_deref())
    } else {
        None
    };
    match op {
        Op::Read { .. } | Op::Dequeue { .. } => Some(Ret::Value(value?.map(number))),
        Op::Write { .. } | Op::Enqueue { .. } => (*reply == Reply::Written).then_some(Ret::Written),
        Op::Cas { .. } => {
            if let Reply::Swapped(swapped) = reply {
                Some(Ret::Swapped(*swapped))
            } else {
                None
            }
        }
        Op::Add { .. } => matches!(reply, Reply::Sum(_)).then_some(Ret::Written),
        Op::Generate { .. } => {
            if let Reply::Sum(sum) = reply {
                u64::try_from(*sum).ok().map(Ret::Id)
            } else {
                None
            }
        }
        Op::Count { .. } => Some(Ret::Count(value?.map_or(0, count))),
        Op::Insert { .. } | Op::AppendOnce { .. } => {
            matches!(reply, Reply::Length(_)).then_some(Ret::Written)
        }
        Op::Elements { .. } => Some(Ret::Elements(value?.map_or_else(Vec::new, numbers))),
        Op::Text { .. } => {
            let text = value?.unwrap_or_default();
            Some(Ret::Text(String::from_utf8_lossy(text).into_owned()))
        }
        Op::Transaction { steps, .. } => {
            let answers = answers(reply)?;
            let all = steps.len() == answers.len();
            let found: Option<Vec<Step>> = all.then(|| steps.iter().zip(answers).map(found).collect())?;
            found.map(Ret::Steps)
        }
        Op::Transfer { .. } => Some(answers(reply)?)
            .filter(|answers| answers.len() >= 2)
            .map(|_| Ret::Written),
        Op::Balances { .. } => {
            // Before them are the answers to what opened the bank, if this did.
            let answers = answers(reply)?;
            let first = answers.len().checked_sub(usize::try_from(ACCOUNTS).ok()?)?;
            let balances = answers[first..].iter().map(|answer| {
                if let OperationAnswer::Value(value) = answer {
                    Some(value.as_deref().map_or(0, count))
                } else {
                    None
                }
            });
            balances.collect::<Option<Vec<i64>>>().map(Ret::Balances)
        }
        // These ask more than once, see `lock`.
        Op::Acquire { .. } | Op::Release { .. } => None,
    }
}

fn answers(reply: &Reply) -> Option<&[OperationAnswer]> {
    if let Reply::Transaction { answers, .. } = reply {
        Some(answers)
    } else {
        None
    }
}

/// A step with what it found; `None` if the answer is not to it.
fn found((step, answer): (&Step, &OperationAnswer)) -> Option<Step> {
    match (step, answer) {
        (Step::Read { cell, .. }, OperationAnswer::Value(value)) => Some(Step::Read {
            cell: *cell,
            found: value.as_deref().map(number),
        }),
        (Step::ReadList { cell, .. }, OperationAnswer::Value(value)) => Some(Step::ReadList {
            cell: *cell,
            found: Some(value.as_deref().map_or_else(Vec::new, numbers)),
        }),
        (Step::Write { .. }, OperationAnswer::Written)
        | (Step::Append { .. }, OperationAnswer::Length(_)) => Some(step.clone()),
        (Step::Read { .. } | Step::ReadList { .. } | Step::Write { .. } | Step::Append { .. }, _) => None,
    }
}

fn operation_of(key: u64, step: &Step) -> Operation {
    let at = cell(key, step.cell());
    match step {
        Step::Read { .. } | Step::ReadList { .. } => Operation::Get { key: at },
        Step::Write { value, .. } => Operation::Put {
            key: at,
            value: rendered(*value),
        },
        Step::Append { value, .. } => Operation::Append {
            key: at,
            suffix: Bytes::from(piece(*value)),
        },
    }
}

/// Carries out `operations` in the bank at `key`, after opening it if nobody has.
fn in_bank(key: u64, operations: Vec<Operation>) -> Transaction {
    let open = rendered(key);
    let mut opening = vec![Operation::Put {
        key: open.clone(),
        value: Bytes::from_static(b"open"),
    }];
    opening.extend((0..ACCOUNTS).map(|account| Operation::Add {
        key: cell(key, account),
        amount: FIRST_BALANCE,
    }));
    opening.extend(operations.iter().cloned());
    Transaction {
        conditions: vec![Condition::Holds {
            key: open,
            value: None,
        }],
        then: opening,
        otherwise: operations,
    }
}

fn transaction(transaction: Transaction) -> RequestBody {
    RequestBody::Command {
        once: None,
        command: Command::Transaction(transaction),
    }
}

/// Where a cell of the store at `key` is.
fn cell(key: u64, cell: u64) -> Bytes {
    Bytes::from(format!("{key}.{cell}"))
}

fn operation(operation: Operation) -> RequestBody {
    RequestBody::Command {
        once: None,
        command: Command::Operation(operation),
    }
}

pub(super) fn append(key: u64, number: u64) -> Operation {
    Operation::Append {
        key: rendered(key),
        suffix: Bytes::from(piece(number)),
    }
}

/// Keys and values travel in decimal, so that people can ask for them with `node get`.
fn rendered(number: u64) -> Bytes {
    Bytes::from(number.to_string())
}

/// The value of a counter; the least of all where it is none, which no workload comes to.
pub(crate) fn count(value: &[u8]) -> i64 {
    let digits = std::str::from_utf8(value).ok();
    digits.and_then(|digits| digits.parse().ok()).unwrap_or(i64::MIN)
}

/// A number in decimal; [`UNREADABLE`] where it is none.
pub(crate) fn number(value: &[u8]) -> u64 {
    let digits = std::str::from_utf8(value).ok();
    let number = digits.and_then(|digits| digits.parse().ok());
    number.filter(|number| *number < UNREADABLE).unwrap_or(UNREADABLE)
}

/// The numbers whose pieces a text is made of.
pub(crate) fn numbers(text: &[u8]) -> Vec<u64> {
    let mut numbers: Vec<u64> = text.split(|byte| *byte == b' ').map(number).collect();
    // Every piece ends with a space, so that nothing is behind the last one; if something is, it was cut in two.
    if text.ends_with(b" ") {
        numbers.pop();
    } else {
        numbers.push(UNREADABLE);
    }
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_read_as_the_numbers_that_were_appended_to_it() {
        assert_eq!(numbers(b"1 22 3 "), [1, 22, 3]);
        assert_eq!(numbers(b"1 2"), [1, 2, UNREADABLE]);
        assert_eq!(numbers(b"1 x "), [1, UNREADABLE]);
        assert_eq!(numbers(b"18446744073709551615 "), [UNREADABLE]);
    }

    #[test]
    fn the_steps_of_a_transaction_are_answered_with_what_they_found_or_not_at_all() {
        let steps = vec![
            Step::ReadList { cell: 2, found: None },
            Step::Append { cell: 2, value: 9 },
        ];
        let op = Op::Transaction { key: 0, steps };
        let value = OperationAnswer::Value(Some(Bytes::from_static(b"7 8 ")));
        let reply = |answers: &[OperationAnswer]| Reply::Transaction {
            held: true,
            answers: answers.to_vec(),
        };
        let found = returned(&op, &reply(&[value.clone(), OperationAnswer::Length(6)]));
        let list = Step::ReadList {
            cell: 2,
            found: Some(vec![7, 8]),
        };
        assert_eq!(
            found,
            Some(Ret::Steps(vec![list, Step::Append { cell: 2, value: 9 }]))
        );
        assert_eq!(returned(&op, &reply(std::slice::from_ref(&value))), None);
        assert_eq!(returned(&op, &reply(&[value.clone(), value])), None);
        assert_eq!(returned(&op, &Reply::Written), None);
    }

    #[test]
    fn balances_are_the_last_answers_whether_or_not_the_bank_was_just_opened() {
        let value =
            |digits: &'static str| OperationAnswer::Value(Some(Bytes::from_static(digits.as_bytes())));
        let held = [value("1"), value("2"), value("3"), value("4"), value("-5")];
        let opened = [
            &[OperationAnswer::Written][..],
            &[const { OperationAnswer::Sum(FIRST_BALANCE) }; ACCOUNTS as usize],
            &held,
        ];
        for (held, answers) in [(false, held.to_vec()), (true, opened.concat())] {
            let reply = Reply::Transaction { held, answers };
            let ret = returned(&Op::Balances { key: 1 }, &reply);
            assert_eq!(ret, Some(Ret::Balances(vec![1, 2, 3, 4, -5])));
        }
    }

    #[test]
    fn what_no_client_wrote_can_be_recorded() {
        let reply = Reply::Value(Some(Bytes::from_static(b"18446744073709551615")));
        let ret = returned(&Op::Read { key: 1 }, &reply).unwrap();
        assert_eq!(ret, Ret::Value(Some(UNREADABLE)));
        assert!(!ret.to_value().is_null());
    }
}
