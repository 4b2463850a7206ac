//! What a client asks, as the replica takes it.

use crate::cli::Address;
use bytes::Bytes;
use raft::{ChangeError, NodeId, TransferError};
use replica::{Done, NotDone};
use wire::client::{Error, MemberChange, Reply, RequestBody};
use wire::limits::{KEY_BYTES_MAX, VALUE_BYTES_MAX};
use wire::record::Command;

/// What is to be done about a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    Read { key: Bytes },
    Write(Command),
    Status,
    Stages,
    Reconfigure(Vec<MemberChange>),
    Transfer { to: NodeId },
    Snapshot,
    Members,
}

/// What is to be done about a request; an error if it breaks a limit.
pub(crate) fn task(body: RequestBody) -> Result<Task, Error> {
    match body {
        RequestBody::Get { key } => {
            within("key", &key, KEY_BYTES_MAX)?;
            Ok(Task::Read { key })
        }
        RequestBody::Put { key, value } => {
            within("key", &key, KEY_BYTES_MAX)?;
            within("value", &value, VALUE_BYTES_MAX)?;
            Ok(Task::Write(Command::Put { key, value }))
        }
        RequestBody::Cas { key, expected, value } => {
            within("key", &key, KEY_BYTES_MAX)?;
            within(
                "expected value",
                expected.as_deref().unwrap_or_default(),
                VALUE_BYTES_MAX,
            )?;
            within("value", &value, VALUE_BYTES_MAX)?;
            Ok(Task::Write(Command::Cas { key, expected, value }))
        }
        RequestBody::Delete { key } => {
            within("key", &key, KEY_BYTES_MAX)?;
            Ok(Task::Write(Command::Delete { key }))
        }
        RequestBody::Status => Ok(Task::Status),
        RequestBody::Stages => Ok(Task::Stages),
        RequestBody::Reconfigure { changes } => {
            changes.iter().try_for_each(sensible)?;
            Ok(Task::Reconfigure(changes))
        }
        RequestBody::Transfer { to } => Ok(Task::Transfer { to: NodeId(to) }),
        RequestBody::Snapshot => Ok(Task::Snapshot),
        RequestBody::Members => Ok(Task::Members),
    }
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
            if let Err(reason) = address.parse::<Address>() {
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
        | NotDone::Transfer(TransferError::NotVoter(_))
        | NotDone::TransferFailed => Error::Refused { reason },
        NotDone::LeadershipLost => Error::LeadershipLost,
    }
}

/// An answer of the replica, as it travels.
pub(crate) fn reply(answer: replica::Answer) -> Reply {
    match answer {
        replica::Answer::Value(value) => Reply::Value(value),
        replica::Answer::Written => Reply::Written,
        replica::Answer::Swapped(swapped) => Reply::Swapped(swapped),
        replica::Answer::Deleted(deleted) => Reply::Deleted(deleted),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
