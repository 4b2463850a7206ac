//! Operations as every workload and every system under test understands them.

use checker::history::{Call, Value};

/// One call of a client, on the key-value store that every system under test offers.
///
/// Keys and values are small integers; an adapter renders them as its system needs them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
}

/// What a completed operation returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ret {
    /// The value that a read found; `None` where nothing was ever written.
    Value(Option<u64>),
    /// A write took effect.
    Written,
    /// A compare-and-set took effect (`true`) or did not match (`false`); both are successes.
    Swapped(bool),
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
    /// The names that [`Op::kind`] gives.
    pub const KINDS: [&'static str; 3] = ["read", "write", "cas"];

    /// Its name: `read`, `write` or `cas`; the field `f` of a record.
    pub fn kind(&self) -> &'static str {
        match self {
            Op::Read { .. } => "read",
            Op::Write { .. } => "write",
            Op::Cas { .. } => "cas",
        }
    }

    /// The register that it is about; the field `key` of a record.
    pub fn key(&self) -> u64 {
        match self {
            Op::Read { key } | Op::Write { key, .. } | Op::Cas { key, .. } => *key,
        }
    }

    /// Whether it changes nothing, so that it did not happen if nobody saw its result.
    pub fn is_read(&self) -> bool {
        match self {
            Op::Read { .. } => true,
            Op::Write { .. } | Op::Cas { .. } => false,
        }
    }

    /// Its argument: the field `value` of an invocation's record.
    pub fn argument(&self) -> Value {
        match self {
            Op::Read { .. } => Value::Null,
            Op::Write { value, .. } => Value::Int(*value),
            Op::Cas { expected, new, .. } => Value::List(vec![optional(*expected), Value::Int(*new)]),
        }
    }

    /// The operation of a call.
    ///
    /// # Errors
    /// What is wrong with its name, key or argument, and what was expected.
    pub fn from_call(call: &Call) -> Result<Op, String> {
        let key = call
            .key
            .ok_or_else(|| format!("{} needs a key, a whole number", call.f))?;
        match (&*call.f, &call.argument) {
            ("read", Value::Null) => Ok(Op::Read { key }),
            ("read", other) => Err(format!("a read has no argument, and this one has {other}")),
            ("write", Value::Int(value)) => Ok(Op::Write { key, value: *value }),
            ("write", other) => Err(format!("a write has a whole number as its argument, not {other}")),
            ("cas", Value::List(pair)) => match pair.as_slice() {
                [Value::Null, Value::Int(new)] => Ok(Op::Cas {
                    key,
                    expected: None,
                    new: *new,
                }),
                [Value::Int(expected), Value::Int(new)] => Ok(Op::Cas {
                    key,
                    expected: Some(*expected),
                    new: *new,
                }),
                _ => Err(cas_argument(&call.argument)),
            },
            ("cas", other) => Err(cas_argument(other)),
            (other, _) => Err(format!(
                "the operation {other:?} is unknown; known are {}",
                Op::KINDS.join(", ")
            )),
        }
    }
}

fn cas_argument(found: &Value) -> String {
    format!("a cas has [expected, new] as its argument, whole numbers or null for expected, not {found}")
}

fn optional(value: Option<u64>) -> Value {
    value.map_or(Value::Null, Value::Int)
}

impl Ret {
    /// It as the field `value` of a completion's record.
    pub fn to_value(self) -> Value {
        match self {
            Ret::Value(value) => optional(value),
            Ret::Written => Value::Null,
            Ret::Swapped(swapped) => Value::Bool(swapped),
        }
    }

    /// What `op` returned.
    ///
    /// # Errors
    /// What is wrong with the value, and what was expected.
    pub fn from_value(op: &Op, value: &Value) -> Result<Ret, String> {
        match (op, value) {
            (Op::Read { .. }, Value::Null) => Ok(Ret::Value(None)),
            (Op::Read { .. }, Value::Int(value)) => Ok(Ret::Value(Some(*value))),
            (Op::Read { .. }, other) => Err(format!("a read returns a whole number or null, not {other}")),
            // Some recorders repeat what was written.
            (Op::Write { .. }, Value::Null | Value::Int(_)) => Ok(Ret::Written),
            (Op::Write { .. }, other) => Err(format!("a write returns null, not {other}")),
            (Op::Cas { .. }, Value::Bool(swapped)) => Ok(Ret::Swapped(*swapped)),
            (Op::Cas { .. }, other) => Err(format!("a cas returns true or false, not {other}")),
        }
    }
}
