//! Operations as every workload and every system under test understands them.

use serde::{Deserialize, Serialize};

/// One call of a client, on the key-value store that every system under test offers.
///
/// Keys and values are small integers; an adapter renders them as its system needs them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
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
