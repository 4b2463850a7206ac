//! What `node get`, `node put` and the other commands about what is stored ask for.

use super::{Shown, transaction};
use crate::cli::{DataCommand, Reach};
use crate::exit::Failure;
use bytes::Bytes;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use wire::client::RequestBody;
use wire::record::{Command, End, Operation};

/// The bytes of an argument.
fn bytes(argument: OsString) -> Bytes {
    Bytes::from(argument.into_vec())
}

/// What is printed of the value that a command reads or takes.
pub(crate) fn shown(command: &DataCommand) -> Shown {
    match command {
        DataCommand::Get { raw: false, .. } => Shown::Unlisted,
        DataCommand::Items { json: false, .. } => Shown::Items,
        DataCommand::Items { json: true, .. } => Shown::JsonItems,
        DataCommand::Get { raw: true, .. }
        | DataCommand::Put { .. }
        | DataCommand::Cas { .. }
        | DataCommand::Delete { .. }
        | DataCommand::Append { .. }
        | DataCommand::Incr { .. }
        | DataCommand::Push { .. }
        | DataCommand::Pop { .. }
        | DataCommand::Txn { .. } => Shown::Bytes,
    }
}

/// The request that a command stands for, and whom it is for.
///
/// # Errors
/// The command can't work as given; in words.
pub(crate) fn request(command: DataCommand) -> Result<(RequestBody, Reach), Failure> {
    let operation = |operation| RequestBody::Command {
        once: None,
        command: Command::Operation(operation),
    };
    Ok(match command {
        DataCommand::Get { key, reach, .. } | DataCommand::Items { key, reach, .. } => {
            (RequestBody::Get { key: bytes(key) }, reach)
        }
        DataCommand::Put { key, value, reach } => {
            let (key, value) = (bytes(key), bytes(value));
            (RequestBody::Put { key, value }, reach)
        }
        DataCommand::Cas {
            key,
            values,
            absent,
            reach,
        } => (cas(key, values, absent)?, reach),
        DataCommand::Delete { key, reach } => (RequestBody::Delete { key: bytes(key) }, reach),
        DataCommand::Append { key, suffix, reach } => {
            let (key, suffix) = (bytes(key), bytes(suffix));
            (operation(Operation::Append { key, suffix }), reach)
        }
        DataCommand::Incr { key, amount, reach } => {
            let key = bytes(key);
            (operation(Operation::Add { key, amount }), reach)
        }
        DataCommand::Push {
            key,
            item,
            front,
            reach,
        } => {
            let end = if front { End::Front } else { End::Back };
            let (key, item) = (bytes(key), bytes(item));
            (operation(Operation::Push { key, item, end }), reach)
        }
        DataCommand::Pop { key, back, reach } => {
            let end = if back { End::Back } else { End::Front };
            (operation(Operation::Pop { key: bytes(key), end }), reach)
        }
        DataCommand::Txn {
            conditions,
            then,
            otherwise,
            reach,
        } => {
            let transaction = transaction::parse(&conditions, &then, &otherwise).map_err(Failure::Usage)?;
            let command = Command::Transaction(transaction);
            (RequestBody::Command { once: None, command }, reach)
        }
    })
}

fn cas(key: OsString, values: Vec<OsString>, absent: bool) -> Result<RequestBody, Failure> {
    let mut values = values.into_iter().map(bytes);
    let (expected, value) = match (absent, values.next(), values.next()) {
        (true, Some(value), None) => (None, value),
        (false, Some(expected), Some(value)) => (Some(expected), value),
        (true, ..) => return Err(Failure::Usage("cas --absent takes KEY NEW".to_string())),
        (false, ..) => {
            return Err(Failure::Usage(
                "cas takes KEY EXPECTED NEW, or --absent KEY NEW".to_string(),
            ));
        }
    };
    let key = bytes(key);
    Ok(RequestBody::Cas { key, expected, value })
}
