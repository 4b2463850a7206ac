//! What a client asks, as the replica takes it.

use crate::cli::Address;
use bytes::Bytes;
use raft::{ChangeError, NodeId, TransferError};
use replica::{Answer, Done, NotDone};
use serde::Serialize;
use wire::client::{Error, MemberChange, Reply, RequestBody};
use wire::limits::{KEY_BYTES_MAX, MEMBERS_MAX, OPERATIONS_MAX, TRANSACTION_BYTES_MAX, VALUE_BYTES_MAX};
use wire::record::{Command, Condition, EncodedCommand, Encoder, Once, Operation, Transaction};

/// What is to be done about a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    Read {
        key: Bytes,
    },
    Write(EncodedCommand),
    /// A command of a session.
    WriteOnce(Once, EncodedCommand),
    OpenSession,
    CloseSession {
        session: u64,
    },
    Status,
    Stages,
    Reconfigure(Vec<MemberChange>),
    Transfer {
        to: NodeId,
    },
    Snapshot,
    Members,
}

/// What is to be done about a request; an error if it breaks a limit. A command is encoded with those that come with it.
pub(crate) fn task<B: AsRef<[u8]> + Serialize>(
    body: RequestBody<B>,
    encoder: &mut Encoder,
) -> Result<Task, Error> {
    let mut write = |once, command| {
        command_within(&command)?;
        let command = encoder.encode(&command);
        Ok(match once {
            Some(once) => Task::WriteOnce(once, command),
            None => Task::Write(command),
        })
    };
    match body {
        RequestBody::Get { key } => {
            within("key", key.as_ref(), KEY_BYTES_MAX)?;
            let key = Bytes::copy_from_slice(key.as_ref());
            Ok(Task::Read { key })
        }
        RequestBody::Put { key, value } => write(None, Command::Put { key, value }),
        RequestBody::Cas { key, expected, value } => write(None, Command::Cas { key, expected, value }),
        RequestBody::Delete { key } => write(None, Command::Delete { key }),
        RequestBody::OpenSession => Ok(Task::OpenSession),
        RequestBody::CloseSession { session } => Ok(Task::CloseSession { session }),
        RequestBody::Command { once, command } => write(once, command),
        RequestBody::Status => Ok(Task::Status),
        RequestBody::Stages => Ok(Task::Stages),
        RequestBody::Reconfigure { changes } => {
            if changes.len() > MEMBERS_MAX {
                let reason = format!(
                    "{} changes at once; at most {MEMBERS_MAX} are allowed",
                    changes.len()
                );
                return Err(Error::Invalid { reason });
            }
            changes.iter().try_for_each(sensible)?;
            Ok(Task::Reconfigure(changes))
        }
        RequestBody::Transfer { to } => Ok(Task::Transfer { to: NodeId(to) }),
        RequestBody::Snapshot => Ok(Task::Snapshot),
        RequestBody::Members => Ok(Task::Members),
    }
}

fn command_within<B: AsRef<[u8]>>(command: &Command<B>) -> Result<(), Error> {
    match command {
        Command::Put { key, value } => {
            within("key", key.as_ref(), KEY_BYTES_MAX)?;
            within("value", value.as_ref(), VALUE_BYTES_MAX)
        }
        Command::Cas { key, expected, value } => {
            within("key", key.as_ref(), KEY_BYTES_MAX)?;
            let expected = expected.as_ref().map_or(&[][..], AsRef::as_ref);
            within("expected value", expected, VALUE_BYTES_MAX)?;
            within("value", value.as_ref(), VALUE_BYTES_MAX)
        }
        Command::Delete { key } => within("key", key.as_ref(), KEY_BYTES_MAX),
        Command::Operation(operation) => operation_within(operation).map(|_| ()),
        Command::Transaction(transaction) => transaction_within(transaction),
    }
}

/// How many bytes the operation has, if it keeps the limits.
fn operation_within<B: AsRef<[u8]>>(operation: &Operation<B>) -> Result<usize, Error> {
    let key = operation.key().as_ref();
    within("key", key, KEY_BYTES_MAX)?;
    let (what, bytes): (&str, &[u8]) = match operation {
        Operation::Put { value, .. } => ("value", value.as_ref()),
        Operation::Append { suffix, .. } => ("suffix", suffix.as_ref()),
        Operation::Push { item, .. } => ("item", item.as_ref()),
        Operation::Get { .. } | Operation::Delete { .. } | Operation::Add { .. } | Operation::Pop { .. } => {
            ("value", &[])
        }
    };
    within(what, bytes, VALUE_BYTES_MAX)?;
    Ok(key.len() + bytes.len())
}

fn condition_within<B: AsRef<[u8]>>(condition: &Condition<B>) -> Result<usize, Error> {
    let (Condition::Holds { key, value } | Condition::HoldsNot { key, value }) = condition;
    let (key, value) = (key.as_ref(), value.as_ref().map_or(&[][..], AsRef::as_ref));
    within("key", key, KEY_BYTES_MAX)?;
    within("expected value", value, VALUE_BYTES_MAX)?;
    Ok(key.len() + value.len())
}

fn transaction_within<B: AsRef<[u8]>>(transaction: &Transaction<B>) -> Result<(), Error> {
    let Transaction {
        conditions,
        then,
        otherwise,
    } = transaction;
    for (what, count) in [
        ("conditions", conditions.len()),
        ("operations in its first branch", then.len()),
        ("operations in its other branch", otherwise.len()),
    ] {
        if count > OPERATIONS_MAX {
            return Err(Error::Invalid {
                reason: format!("the transaction has {count} {what}; at most {OPERATIONS_MAX} are allowed"),
            });
        }
    }
    let mut bytes = 0;
    for condition in conditions {
        bytes += condition_within(condition)?;
    }
    for operation in then.iter().chain(otherwise) {
        bytes += operation_within(operation)?;
    }
    if bytes > TRANSACTION_BYTES_MAX {
        return Err(Error::Invalid {
            reason: format!(
                "the keys and values of the transaction have {bytes} bytes; at most {TRANSACTION_BYTES_MAX} are \
                 allowed"
            ),
        });
    }
    Ok(())
}

fn within(what: &str, bytes: &[u8], max: usize) -> Result<(), Error> {
    if bytes.len() <= max {
        return Ok(());
    }
    Err(Error::Invalid {
        reason: format!("the {what} has {} bytes; at most {max} are allowed", bytes.len()),
    })
}

/// Whether a change names a node and an address that can be.
fn sensible(change: &MemberChange) -> Result<(), Error> {
    let invalid = |reason: String| Err(Error::Invalid { reason });
    let node = match change {
        MemberChange::AddLearner { node, address } => {
            if let Err(reason) = address.parse().and_then(Address::reachable) {
                return invalid(format!("the address of node {node}: {reason}"));
            }
            node
        }
        MemberChange::Promote { node } | MemberChange::Demote { node } | MemberChange::Remove { node } => {
            node
        }
    };
    match node {
        0 => invalid("0 is no node id: ids are whole numbers from 1 on".to_string()),
        _ => Ok(()),
    }
}

/// What an operator asked for and is done, as it travels.
pub(crate) fn done(done: Done) -> Reply {
    match done {
        Done::Reconfigured => Reply::Reconfigured,
        Done::Transferred => Reply::Transferred,
        Done::Snapshotted { index } => Reply::Snapshotted { index: index.0 },
    }
}

/// Why what an operator asked for is not done, as it travels; `not_leader` makes the error that says who leads.
pub(crate) fn not_done(why: NotDone, not_leader: impl FnOnce(Option<NodeId>) -> Error) -> Error {
    let reason = why.to_string();
    match why {
        NotDone::Change(ChangeError::NotLeader { leader })
        | NotDone::Transfer(TransferError::NotLeader { leader }) => not_leader(leader),
        NotDone::Change(
            ChangeError::TermNotCommitted
            | ChangeError::UnderWay
            | ChangeError::Transferring { .. }
            | ChangeError::NotCaughtUp(_),
        )
        | NotDone::Transfer(TransferError::UnderWay { .. })
        | NotDone::NothingApplied => Error::NotYet { reason },
        NotDone::Change(ChangeError::Invalid(_))
        | NotDone::TooManyMembers
        | NotDone::Transfer(TransferError::NotVoter(_)) => Error::Refused { reason },
        // It may have been asked to stand, and do so later.
        NotDone::TransferFailed => Error::InDoubt { reason },
        NotDone::LeadershipLost => Error::LeadershipLost,
    }
}

/// An answer of the replica, as it travels.
pub(crate) fn reply(answer: Answer) -> Reply {
    match answer {
        Answer::Value(value) => Reply::Value(value),
        Answer::Written => Reply::Written,
        Answer::Swapped(swapped) => Reply::Swapped(swapped),
        Answer::Deleted(deleted) => Reply::Deleted(deleted),
        Answer::Length(length) => Reply::Length(length),
        Answer::Sum(sum) => Reply::Sum(sum),
        Answer::Transaction { held, answers } => Reply::Transaction { held, answers },
        Answer::SessionOpened { session, lifetime } => Reply::SessionOpened { session, lifetime },
        Answer::SessionClosed => Reply::SessionClosed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(body: RequestBody) -> Result<Task, Error> {
        super::task(body, &mut Encoder::default())
    }

    fn bytes(length: usize) -> Bytes {
        Bytes::from(vec![7; length])
    }

    fn cas(key: usize, expected: usize, value: usize) -> RequestBody {
        RequestBody::Cas {
            key: bytes(key),
            expected: Some(bytes(expected)),
            value: bytes(value),
        }
    }

    #[test]
    fn what_is_as_long_as_allowed_is_taken() {
        assert!(task(cas(KEY_BYTES_MAX, VALUE_BYTES_MAX, VALUE_BYTES_MAX)).is_ok());
    }

    #[test]
    fn a_transaction_is_bounded_in_its_operations_and_in_its_bytes() {
        let transaction = |operations: usize, bytes_each: usize| {
            let append = || Operation::Append {
                key: bytes(0),
                suffix: bytes(bytes_each),
            };
            let command = Command::Transaction(Transaction {
                otherwise: std::iter::repeat_with(append).take(operations).collect(),
                ..Transaction::default()
            });
            task(RequestBody::Command { once: None, command })
        };
        let each = TRANSACTION_BYTES_MAX / OPERATIONS_MAX;
        assert!(transaction(OPERATIONS_MAX, each).is_ok());
        for (operations, bytes_each, part) in [
            (OPERATIONS_MAX + 1, 0, "129 operations in its other branch"),
            (OPERATIONS_MAX, each + 1, "at most 4194304"),
            (1, VALUE_BYTES_MAX + 1, "the suffix has 1048577"),
        ] {
            let error = transaction(operations, bytes_each).unwrap_err();
            assert!(error.to_string().contains(part), "{error} does not say {part:?}");
        }
    }

    #[test]
    fn a_change_of_members_is_bounded_and_quotes_nothing_long() {
        let remove = |count| vec![MemberChange::Remove { node: 1 }; count];
        assert!(
            task(RequestBody::Reconfigure {
                changes: remove(MEMBERS_MAX)
            })
            .is_ok()
        );
        // Escaped, each of these bytes would take five.
        let address = "\u{1}".repeat(8 << 20);
        let long = vec![MemberChange::AddLearner { node: 1, address }];
        for (changes, part) in [
            (remove(MEMBERS_MAX + 1), "129 changes at once; at most 128"),
            (long, "an address has at most 261 bytes"),
        ] {
            let error = task(RequestBody::Reconfigure { changes })
                .unwrap_err()
                .to_string();
            assert!(error.contains(part) && error.len() < 200, "{error}");
        }
    }

    #[test]
    fn what_is_too_long_is_named_with_its_limit() {
        let (key, value) = (bytes(KEY_BYTES_MAX + 1), bytes(VALUE_BYTES_MAX + 1));
        let cases = [
            (
                RequestBody::Get { key: key.clone() },
                "the key has 1025 bytes; at most 1024 are allowed",
            ),
            (RequestBody::Delete { key: key.clone() }, "the key has 1025"),
            (RequestBody::Put { key, value: bytes(1) }, "the key has 1025"),
            (
                RequestBody::Put { key: bytes(1), value },
                "the value has 1048577 bytes; at most 1048576 are allowed",
            ),
            (cas(KEY_BYTES_MAX + 1, 0, 0), "the key"),
            (cas(1, VALUE_BYTES_MAX + 1, 0), "the expected value has"),
            (cas(1, 0, VALUE_BYTES_MAX + 1), "the value has"),
        ];
        for (body, part) in cases {
            let error = task(body).unwrap_err();
            assert!(error.to_string().contains(part), "{error} does not say {part:?}");
            assert!(error.is_definite());
        }
    }
}
