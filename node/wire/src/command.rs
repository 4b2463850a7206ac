//! What clients have carried out, and what comes of it, as it lies in the log and in snapshots.
//!
//! What an entry carries is preceded by a version byte, so that a log can be read by the builds that come after the one that wrote it.
//!
//! Types that have keys and values are generic in their bytes: [`Bytes`] of their own, or a [`crate::Slice`] of what they were decoded from.

use crate::payload::{DecodeError, decode, encode_behind, encode_into, few};
use alloc::vec::Vec;
use bytes::{Bytes, BytesMut};
use serde::{Deserialize, Serialize};

/// The version of a [`Command`] that an entry carries by itself.
pub const COMMAND_VERSION: u8 = 1;

/// The version of every other [`Invocation`], and the newest that this build reads.
pub const INVOCATION_VERSION: u8 = 2;

/// A command of the state machine. None of these types contains itself, so that decoding one takes little of the stack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command<B = Bytes> {
    /// Writes a value.
    Put {
        /// The key.
        key: B,
        /// What it holds afterwards.
        value: B,
    },
    /// Writes a value if the key holds what is expected.
    Cas {
        /// The key.
        key: B,
        /// What it must hold; `None`: the key must be absent.
        expected: Option<B>,
        /// What it holds afterwards, if it did.
        value: B,
    },
    /// Removes a key.
    Delete {
        /// The key.
        key: B,
    },
    /// Any one operation.
    Operation(Operation<B>),
    /// Several operations at once, by what holds.
    Transaction(Transaction<B>),
}

/// One operation on one key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operation<B = Bytes> {
    /// Reads a value.
    Get {
        /// The key.
        key: B,
    },
    /// Writes a value.
    Put {
        /// The key.
        key: B,
        /// What it holds afterwards.
        value: B,
    },
    /// Removes a key.
    Delete {
        /// The key.
        key: B,
    },
    /// Adds bytes to the end of a value that is no list (see [`crate::list::is_list`]); an absent one counts for empty.
    Append {
        /// The key.
        key: B,
        /// What is added.
        suffix: B,
    },
    /// Adds to a number, which is a value of decimal digits, after a minus sign where it is negative; an absent one counts for zero.
    Add {
        /// The key.
        key: B,
        /// What is added.
        amount: i64,
    },
    /// Adds an item to a list (see [`crate::list`]); an absent one counts for empty.
    Push {
        /// The key.
        key: B,
        /// The item.
        item: B,
        /// Where it is added.
        end: End,
    },
    /// Takes an item from a list. The key of a list that has become empty is absent.
    Pop {
        /// The key.
        key: B,
        /// Where it is taken from.
        end: End,
    },
}

impl<B> Operation<B> {
    /// The key that it is about.
    pub fn key(&self) -> &B {
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
#[serde(bound(deserialize = "B: Deserialize<'de>"))]
pub struct Transaction<B = Bytes> {
    /// What is asked first.
    #[serde(deserialize_with = "few")]
    pub conditions: Vec<Condition<B>>,
    /// Done if all conditions hold, in order; each sees what those before it have done.
    #[serde(deserialize_with = "few")]
    pub then: Vec<Operation<B>>,
    /// Done if not.
    #[serde(deserialize_with = "few")]
    pub otherwise: Vec<Operation<B>>,
}

/// What a transaction depends on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Condition<B = Bytes> {
    /// The key holds just this.
    Holds {
        /// The key.
        key: B,
        /// The value; `None`: the key is absent.
        value: Option<B>,
    },
    /// The key holds something else.
    HoldsNot {
        /// The key.
        key: B,
        /// The value; `None`: the key has any value.
        value: Option<B>,
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
    /// The value is a list, which bytes behind its last item would make none.
    #[error("the value is a list")]
    IsList,
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
pub enum Invocation<B = Bytes> {
    /// A command by itself.
    Plain(Command<B>),
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
        command: Command<B>,
    },
}

/// A command as an entry carries it by itself: whoever takes commands in encodes each once, whatever becomes of it then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedCommand(Bytes);

impl EncodedCommand {
    /// The bytes of an entry that carries it by itself.
    pub fn by_itself(self) -> Bytes {
        self.0
    }

    /// The bytes of an entry that carries it as one of a session: those of [`Invocation::Once`].
    pub fn once(&self, once: Once, time: u64) -> Bytes {
        // A variant is its number, and the fields that follow it; the command is the last one.
        const ONCE: u8 = 3;
        let head = encode_into(&(ONCE, once, time), alloc::vec![INVOCATION_VERSION]);
        Bytes::from([&head[..], &self.0[1..]].concat())
    }
}

impl<B: Serialize> From<&Command<B>> for EncodedCommand {
    fn from(command: &Command<B>) -> EncodedCommand {
        EncodedCommand(command.to_bytes())
    }
}

impl<B: Serialize> From<Command<B>> for EncodedCommand {
    fn from(command: Command<B>) -> EncodedCommand {
        EncodedCommand::from(&command)
    }
}

/// How many bytes of commands an [`Encoder`] keeps together.
const TOGETHER_BYTES: usize = 64 << 10;

/// Encodes commands one behind the other into memory that they share: they are needed for about as long. What is left of one keeps all
/// of it, which is at most 64 KiB, or a longer command.
#[derive(Debug, Default)]
pub struct Encoder {
    room: BytesMut,
    /// Kept for its memory.
    encoded: Vec<u8>,
}

impl Encoder {
    /// Encodes a command.
    pub fn encode<B: Serialize>(&mut self, command: &Command<B>) -> EncodedCommand {
        let mut encoded = core::mem::take(&mut self.encoded);
        encoded.clear();
        encoded.push(COMMAND_VERSION);
        let encoded = encode_into(command, encoded);
        if encoded.len() > TOGETHER_BYTES / 2 {
            return EncodedCommand(Bytes::from(encoded));
        }
        if self.room.capacity() < encoded.len() {
            self.room = BytesMut::with_capacity(TOGETHER_BYTES);
        }
        self.room.extend_from_slice(&encoded);
        self.encoded = encoded;
        EncodedCommand(self.room.split().freeze())
    }
}

impl<B> Command<B> {
    /// The key that it is about; `None` for a transaction, which is about any number of them.
    pub fn key(&self) -> Option<&B> {
        match self {
            Command::Put { key, .. } | Command::Cas { key, .. } | Command::Delete { key } => Some(key),
            Command::Operation(operation) => Some(operation.key()),
            Command::Transaction(_) => None,
        }
    }
}

impl<B: Serialize> Command<B> {
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
}

impl<B> Invocation<B> {
    /// The same command by itself: what is lost with that is that it is carried out once.
    #[must_use]
    pub fn without_session(self) -> Invocation<B> {
        match self {
            Invocation::Once { command, .. } | Invocation::Plain(command) => Invocation::Plain(command),
            Invocation::OpenSession { .. } | Invocation::CloseSession { .. } => self,
        }
    }

    /// What an entry carries: with bytes of its own, or as [`crate::Slice`]s of the entry's.
    ///
    /// # Errors
    /// The bytes are malformed, or of a newer version.
    pub fn from_bytes<'a>(bytes: &'a [u8]) -> Result<Invocation<B>, DecodeError>
    where
        B: Deserialize<'a>,
    {
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
