//! What clients have carried out, and what comes of it, as it lies in the log and in snapshots.
//!
//! What an entry carries is preceded by a version byte, so that a log can be read by the builds that come after the one that wrote it.

use crate::payload::{DecodeError, decode, encode_behind};
use alloc::vec::Vec;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// The version of a [`Command`] that an entry carries by itself.
pub const COMMAND_VERSION: u8 = 1;

/// The version of every other [`Invocation`], and the newest that this build reads.
pub const INVOCATION_VERSION: u8 = 2;

/// A command of the state machine. None of these types contains itself, so that decoding one takes little of the stack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// Writes a value.
    Put {
        /// The key.
        key: Bytes,
        /// What it holds afterwards.
        value: Bytes,
    },
    /// Writes a value if the key holds what is expected.
    Cas {
        /// The key.
        key: Bytes,
        /// What it must hold; `None`: the key must be absent.
        expected: Option<Bytes>,
        /// What it holds afterwards, if it did.
        value: Bytes,
    },
    /// Removes a key.
    Delete {
        /// The key.
        key: Bytes,
    },
    /// Any one operation.
    Operation(Operation),
    /// Several operations at once, by what holds.
    Transaction(Transaction),
}

/// One operation on one key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operation {
    /// Reads a value.
    Get {
        /// The key.
        key: Bytes,
    },
    /// Writes a value.
    Put {
        /// The key.
        key: Bytes,
        /// What it holds afterwards.
        value: Bytes,
    },
    /// Removes a key.
    Delete {
        /// The key.
        key: Bytes,
    },
    /// Adds bytes to the end of a value; an absent one counts for empty.
    Append {
        /// The key.
        key: Bytes,
        /// What is added.
        suffix: Bytes,
    },
    /// Adds to a number, which is a value of decimal digits, after a minus sign where it is negative; an absent one counts for zero.
    Add {
        /// The key.
        key: Bytes,
        /// What is added.
        amount: i64,
    },
    /// Adds an item to a list (see [`crate::list`]); an absent one counts for empty.
    Push {
        /// The key.
        key: Bytes,
        /// The item.
        item: Bytes,
        /// Where it is added.
        end: End,
    },
    /// Takes an item from a list. The key of a list that has become empty is absent.
    Pop {
        /// The key.
        key: Bytes,
        /// Where it is taken from.
        end: End,
    },
}

impl Operation {
    /// The key that it is about.
    pub fn key(&self) -> &Bytes {
        match self {
            Operation::Get { key }
            | Operation::Put { key, .. }
            | Operation::Delete { key }
            | Operation::Append { key, .. }
            | Operation::Add { key, .. }
            | Operation::Push { key, .. }
            | Operation::Pop { key, .. } => key,
        }
    }
}

/// An end of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum End {
    /// Where its first item is.
    Front,
    /// Where its last item is.
    Back,
}

/// Several operations that take effect at once, or not at all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transaction {
    /// What is asked first.
    pub conditions: Vec<Condition>,
    /// Done if all conditions hold, in order; each sees what those before it have done.
    pub then: Vec<Operation>,
    /// Done if not.
    pub otherwise: Vec<Operation>,
}

/// What a transaction depends on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Condition {
    /// The key holds just this.
    Holds {
        /// The key.
        key: Bytes,
        /// The value; `None`: the key is absent.
        value: Option<Bytes>,
    },
    /// The key holds something else.
    HoldsNot {
        /// The key.
        key: Bytes,
        /// The value; `None`: the key has any value.
        value: Option<Bytes>,
    },
}

/// What a command that was carried out returned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// The value that was read, or the item that was taken.
    Value(Option<Bytes>),
    /// The value was written, or the item was added.
    Written,
    /// Whether the key held what was expected, and so holds the new value now.
    Swapped(bool),
    /// Whether there was a value to remove.
    Deleted(bool),
    /// How many bytes the value has now.
    Length(u64),
    /// What the number is now.
    Sum(i64),
    /// A transaction was carried out.
    Transaction {
        /// Whether all conditions held.
        held: bool,
        /// To each operation of the branch that was taken.
        answers: Vec<OperationAnswer>,
    },
    /// A session was opened.
    SessionOpened {
        /// Names it from here on.
        session: u64,
        /// How long it lives unused, in milliseconds of leaders' time.
        lifetime: u64,
    },
    /// There is no such session any more.
    SessionClosed,
}

/// What an operation returned; see [`Answer`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OperationAnswer {
    /// The value that was read, or the item that was taken.
    Value(Option<Bytes>),
    /// The value was written, or the item was added.
    Written,
    /// Whether there was a value to remove.
    Deleted(bool),
    /// How many bytes the value has now.
    Length(u64),
    /// What the number is now.
    Sum(i64),
}

impl From<OperationAnswer> for Answer {
    fn from(answer: OperationAnswer) -> Answer {
        match answer {
            OperationAnswer::Value(value) => Answer::Value(value),
            OperationAnswer::Written => Answer::Written,
            OperationAnswer::Deleted(deleted) => Answer::Deleted(deleted),
            OperationAnswer::Length(length) => Answer::Length(length),
            OperationAnswer::Sum(sum) => Answer::Sum(sum),
        }
    }
}

/// Why a command changed nothing: what is stored is not of the kind that it needs, or would become what may not be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Unfit {
    /// The value is no number.
    #[error("the value is no number of 64 bits")]
    NotNumber,
    /// The sum would be no number of 64 bits.
    #[error("the sum would be no number of 64 bits")]
    Overflow,
    /// The value is no list.
    #[error("the value is no list")]
    NotList,
    /// The value would be longer than values may be.
    #[error("the value would become longer than {} bytes", crate::limits::VALUE_BYTES_MAX)]
    ValueTooLong,
    /// A transaction would read more than fits into an answer.
    #[error(
        "the answer would become longer than {} bytes",
        crate::limits::TRANSACTION_ANSWER_BYTES_MAX
    )]
    AnswerTooLong,
}

/// Names a command of a session: however often it comes, it is carried out once (Ongaro's dissertation, §6.3; Lee and others,
/// "Implementing Linearizability at Large Scale and Low Latency", 2015).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Once {
    /// The session.
    pub session: u64,
    /// Which of its commands. The client counts, from any number up; it may have many in flight, and they are carried out in the order in
    /// which they arrive.
    pub sequence: u64,
    /// The client has the answers to all of its commands before this one and won't ask for them again. Its commands from here to
    /// [`crate::limits::SESSION_WINDOW`] above may be in flight.
    pub answered_below: u64,
}

/// What an entry carries. Times are milliseconds of *leaders' time*, which passes while somebody leads, and are the leader's that took the
/// invocation in: so they are the same on every node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Invocation {
    /// A command by itself.
    Plain(Command),
    /// A session is opened; it is named by the index of this entry.
    OpenSession {
        /// When.
        time: u64,
        /// How long it lives unused.
        lifetime: u64,
    },
    /// A session is ended.
    CloseSession {
        /// Which.
        session: u64,
        /// When.
        time: u64,
    },
    /// A command of a session.
    Once {
        /// Which.
        once: Once,
        /// When.
        time: u64,
        /// The command.
        command: Command,
    },
}

impl Command {
    /// The bytes of an entry that carries it by itself.
    pub fn to_bytes(&self) -> Bytes {
        encode_behind(&[COMMAND_VERSION], self)
    }
}

impl Invocation {
    /// The bytes that an entry carries.
    pub fn to_bytes(&self) -> Bytes {
        match self {
            Invocation::Plain(command) => command.to_bytes(),
            Invocation::OpenSession { .. } | Invocation::CloseSession { .. } | Invocation::Once { .. } => {
                encode_behind(&[INVOCATION_VERSION], self)
            }
        }
    }

    /// The same command by itself: what is lost with that is that it is carried out once.
    #[must_use]
    pub fn without_session(self) -> Invocation {
        match self {
            Invocation::Once { command, .. } | Invocation::Plain(command) => Invocation::Plain(command),
            Invocation::OpenSession { .. } | Invocation::CloseSession { .. } => self,
        }
    }

    /// What an entry carries.
    ///
    /// # Errors
    /// The bytes are malformed, or of a newer version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Invocation, DecodeError> {
        match bytes.split_first() {
            Some((&COMMAND_VERSION, command)) => decode(command).map(Invocation::Plain),
            Some((&INVOCATION_VERSION, invocation)) => match decode(invocation)? {
                Invocation::Plain(_) => Err(DecodeError::Invalid(
                    "a command by itself has a version of its own",
                )),
                invocation @ (Invocation::OpenSession { .. }
                | Invocation::CloseSession { .. }
                | Invocation::Once { .. }) => Ok(invocation),
            },
            Some(_) => Err(DecodeError::Invalid(
                "a command of a version that this build does not know",
            )),
            None => Err(DecodeError::Malformed),
        }
    }
}
