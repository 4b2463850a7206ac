//! Operations as the node understands them, and its replies as operations return them.

use bytes::Bytes;
use wire::client::{Reply, RequestBody};
use wire::record::{Command, End, Operation};
use workloads::{Op, Ret, piece};

/// What a value is recorded as that no client can have written. Workloads don't write it, so no order explains it.
pub const UNREADABLE: u64 = i64::MAX as u64;

/// What is asked of a node, outside of any session.
pub(super) fn request(op: &Op) -> RequestBody {
    match op {
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
    }
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
        Op::Count { .. } => Some(Ret::Count(value?.map_or(0, count))),
        Op::Insert { .. } | Op::AppendOnce { .. } => {
            matches!(reply, Reply::Length(_)).then_some(Ret::Written)
        }
        Op::Elements { .. } => Some(Ret::Elements(value?.map_or_else(Vec::new, numbers))),
        Op::Text { .. } => {
            let text = value?.unwrap_or_default();
            Some(Ret::Text(String::from_utf8_lossy(text).into_owned()))
        }
    }
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
fn count(value: &[u8]) -> i64 {
    let digits = std::str::from_utf8(value).ok();
    digits.and_then(|digits| digits.parse().ok()).unwrap_or(i64::MIN)
}

fn number(value: &[u8]) -> u64 {
    let digits = std::str::from_utf8(value).ok();
    let number = digits.and_then(|digits| digits.parse().ok());
    number.filter(|number| *number < UNREADABLE).unwrap_or(UNREADABLE)
}

/// The numbers whose pieces a text is made of.
fn numbers(text: &[u8]) -> Vec<u64> {
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
    fn what_no_client_wrote_can_be_recorded() {
        let reply = Reply::Value(Some(Bytes::from_static(b"18446744073709551615")));
        let ret = returned(&Op::Read { key: 1 }, &reply).unwrap();
        assert_eq!(ret, Ret::Value(Some(UNREADABLE)));
        assert!(!ret.to_value().is_null());
    }
}
