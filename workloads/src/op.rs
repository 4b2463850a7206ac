//! Operations as every workload and every system under test understands them.

use crate::step::Step;
use checker::history::Value;

/// One call of a client, on the key-value store that every system under test offers.
///
/// Keys and values are small integers; an adapter renders them as its system needs them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Op {
    /// Reads the value at `key`.
    Read {
        /// The register.
        key: u64,
    },
    /// Writes `value` at `key`.
    Write {
        /// The register.
        key: u64,
        /// What it holds afterwards.
        value: u64,
    },
    /// Writes `new` at `key` if it holds `expected` (`None`: if nothing was ever written there).
    Cas {
        /// The register.
        key: u64,
        /// What it must hold.
        expected: Option<u64>,
        /// What it holds afterwards, if it did.
        new: u64,
    },
    /// Adds to the counter at `key`.
    Add {
        /// The counter.
        key: u64,
        /// What is added.
        amount: i64,
    },
    /// Reads the counter at `key`.
    Count {
        /// The counter.
        key: u64,
    },
    /// Puts `value` behind what is in the queue at `key`.
    Enqueue {
        /// The queue.
        key: u64,
        /// What is put there.
        value: u64,
    },
    /// Takes what is first in the queue at `key`.
    Dequeue {
        /// The queue.
        key: u64,
    },
    /// Adds `element` to the set at `key`.
    Insert {
        /// The set.
        key: u64,
        /// The element.
        element: u64,
    },
    /// Reads the set at `key`.
    Elements {
        /// The set.
        key: u64,
    },
    /// Appends `piece`, see [`piece`], to the text at `key`, once, however often it has to be sent.
    AppendOnce {
        /// The text.
        key: u64,
        /// What is appended.
        piece: u64,
        /// Whether it is sent twice from the start, as a network may do.
        is_doubled: bool,
    },
    /// Reads the text at `key`.
    Text {
        /// The text.
        key: u64,
    },
    /// Takes several steps at once, on cells of the store at `key`.
    Transaction {
        /// The store.
        key: u64,
        /// In order; each sees what those before it have done.
        steps: Vec<Step>,
    },
    /// Moves an amount from one account to another, in the bank at `key`.
    Transfer {
        /// The bank, of [`ACCOUNTS`](crate::ACCOUNTS) accounts.
        key: u64,
        /// The account that it is taken from.
        from: u64,
        /// Another, that gets it.
        to: u64,
        /// How much.
        amount: i64,
    },
    /// Reads all accounts of the bank at `key`.
    Balances {
        /// The bank.
        key: u64,
    },
    /// Gets an id from the source at `key` that nobody else has got.
    Generate {
        /// The source.
        key: u64,
    },
    /// Takes the lock at `key`, if nobody has it.
    Acquire {
        /// The lock.
        key: u64,
        /// For whom; from 1.
        owner: u64,
    },
    /// Gives the lock at `key` back, if `owner` has it.
    Release {
        /// The lock.
        key: u64,
        /// Who has it.
        owner: u64,
    },
}

/// An account, as the key of a map.
pub(crate) fn account(number: u64) -> Value {
    Value::text(&number.to_string())
}

pub(crate) fn list(numbers: &[u64]) -> Value {
    Value::list(numbers.iter().copied().map(int))
}

/// What `number` looks like in a text, and in the element of a set.
pub fn piece(number: u64) -> String {
    format!("{number} ")
}

/// What a completed operation returned.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ret {
    /// The value that a read found, or that a dequeue took; `None` where there was none.
    Value(Option<u64>),
    /// A write, an add or an enqueue took effect.
    Written,
    /// A compare-and-set took effect (`true`) or did not match (`false`); both are successes.
    Swapped(bool),
    /// The value of a counter; one that nothing was added to is 0.
    Count(i64),
    /// The elements of a set.
    Elements(Vec<u64>),
    /// A text; one that nothing was appended to is empty.
    Text(String),
    /// The steps of a transaction, with what they found.
    Steps(Vec<Step>),
    /// What each account of a bank holds, by its number.
    Balances(Vec<i64>),
    /// An id.
    Id(u64),
    /// The token under which a lock was taken; `None`: somebody else has it.
    Token(Option<u64>),
    /// Whether a lock was given back; `false`: it was not the owner's.
    Released(bool),
}

/// How an operation ended, as far as its client can know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Completion {
    /// It took effect between invocation and return.
    Ok(Ret),
    /// It definitely did not happen, for this reason.
    Fail(String),
    /// It may take effect at any later time, or never.
    Info(String),
}

impl Op {
    /// Its name, as its workload's model knows it; the field `f` of a record.
    pub fn kind(&self) -> &'static str {
        match self {
            Op::Read { .. } => "read",
            Op::Write { .. } => "write",
            Op::Cas { .. } => "cas",
            Op::Add { .. } => "add",
            Op::Count { .. } => "read",
            Op::Enqueue { .. } => "enqueue",
            Op::Dequeue { .. } => "dequeue",
            Op::Insert { .. } => "add",
            Op::Elements { .. } => "read",
            Op::AppendOnce { .. } => "append",
            Op::Text { .. } => "get",
            Op::Transaction { .. } => "txn",
            Op::Transfer { .. } => "transfer",
            Op::Balances { .. } => "read",
            Op::Generate { .. } => "generate",
            Op::Acquire { .. } => "acquire",
            Op::Release { .. } => "release",
        }
    }

    /// The object that it is about.
    pub fn key(&self) -> u64 {
        match self {
            Op::Read { key }
            | Op::Write { key, .. }
            | Op::Cas { key, .. }
            | Op::Add { key, .. }
            | Op::Count { key }
            | Op::Enqueue { key, .. }
            | Op::Dequeue { key }
            | Op::Insert { key, .. }
            | Op::Elements { key }
            | Op::AppendOnce { key, .. }
            | Op::Text { key }
            | Op::Transaction { key, .. }
            | Op::Transfer { key, .. }
            | Op::Balances { key }
            | Op::Generate { key }
            | Op::Acquire { key, .. }
            | Op::Release { key, .. } => *key,
        }
    }

    /// The object as the field `key` of a record.
    pub fn key_value(&self) -> Value {
        int(self.key())
    }

    /// Whether it changes nothing, so that it did not happen if nobody saw its result.
    pub fn is_read(&self) -> bool {
        match self {
            Op::Read { .. }
            | Op::Count { .. }
            | Op::Elements { .. }
            | Op::Text { .. }
            | Op::Balances { .. } => true,
            Op::Write { .. }
            | Op::Cas { .. }
            | Op::Add { .. }
            | Op::Enqueue { .. }
            | Op::Dequeue { .. }
            | Op::Insert { .. }
            | Op::AppendOnce { .. }
            | Op::Transfer { .. }
            | Op::Generate { .. }
            | Op::Acquire { .. }
            | Op::Release { .. } => false,
            Op::Transaction { steps, .. } => steps.iter().all(Step::is_read),
        }
    }

    /// Its argument: the field `value` of an invocation's record.
    pub fn argument(&self) -> Value {
        match self {
            Op::Read { .. }
            | Op::Count { .. }
            | Op::Dequeue { .. }
            | Op::Elements { .. }
            | Op::Text { .. }
            | Op::Balances { .. }
            | Op::Generate { .. } => Value::Null,
            Op::Transfer { from, to, amount, .. } => Value::map([
                (Value::text("from"), account(*from)),
                (Value::text("to"), account(*to)),
                (Value::text("amount"), Value::Int(*amount)),
            ]),
            Op::Acquire { owner, .. } | Op::Release { owner, .. } => int(*owner),
            Op::Insert { element, .. } => int(*element),
            Op::Transaction { steps, .. } => Value::list(steps.iter().map(Step::to_value)),
            Op::AppendOnce { piece: number, .. } => Value::text(&piece(*number)),
            Op::Write { value, .. } | Op::Enqueue { value, .. } => int(*value),
            Op::Add { amount, .. } => Value::Int(*amount),
            Op::Cas { expected, new, .. } => Value::list([optional(*expected), int(*new)]),
        }
    }
}

pub(crate) fn optional(value: Option<u64>) -> Value {
    value.map_or(Value::Null, int)
}

pub(crate) fn int(value: u64) -> Value {
    Value::Int(i64::try_from(value).expect("the values of workloads are small"))
}

impl Ret {
    /// It as the field `value` of a completion's record.
    pub fn to_value(&self) -> Value {
        match self {
            Ret::Value(value) => optional(*value),
            Ret::Written => Value::Null,
            Ret::Swapped(swapped) => Value::Bool(*swapped),
            Ret::Count(count) => Value::Int(*count),
            Ret::Elements(elements) => list(elements),
            Ret::Text(text) => Value::text(text),
            Ret::Steps(steps) => Value::list(steps.iter().map(Step::to_value)),
            Ret::Balances(balances) => Value::map(
                (0..)
                    .zip(balances)
                    .map(|(number, balance)| (account(number), Value::Int(*balance))),
            ),
            Ret::Id(id) => int(*id),
            Ret::Token(token) => token.map_or(Value::Bool(false), int),
            Ret::Released(released) => Value::Bool(*released),
        }
    }
}
