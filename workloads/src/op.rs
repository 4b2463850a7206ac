//! Operations as every workload and every system under test understands them.

use checker::history::Value;

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

    /// The register that it is about.
    pub fn key(&self) -> u64 {
        match self {
            Op::Read { key } | Op::Write { key, .. } | Op::Cas { key, .. } => *key,
        }
    }

    /// The register as the field `key` of a record.
    pub fn key_value(&self) -> Value {
        int(self.key())
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
            Op::Write { value, .. } => int(*value),
            Op::Cas { expected, new, .. } => Value::list([optional(*expected), int(*new)]),
        }
    }
}

fn optional(value: Option<u64>) -> Value {
    value.map_or(Value::Null, int)
}

fn int(value: u64) -> Value {
    Value::Int(i64::try_from(value).expect("the values of workloads are small"))
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
}
