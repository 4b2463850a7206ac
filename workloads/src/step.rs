//! Steps of transactions.

use crate::op::{int, list, optional};
use checker::history::Value;

/// A step of a transaction. Reads found nothing yet where it is asked for, and something where it is answered.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// Reads the register in `cell`.
    Read {
        /// The register.
        cell: u64,
        /// What it held; `None` if nothing was ever written there.
        found: Option<u64>,
    },
    /// Writes `value` to the register in `cell`.
    Write {
        /// The register.
        cell: u64,
        /// What it holds afterwards.
        value: u64,
    },
    /// Reads the list in `cell`.
    ReadList {
        /// The list.
        cell: u64,
        /// What had been appended to it; `None` while nobody has said.
        found: Option<Vec<u64>>,
    },
    /// Appends `value` to the list in `cell`.
    Append {
        /// The list.
        cell: u64,
        /// What is appended.
        value: u64,
    },
}

impl Step {
    /// What it is about.
    pub fn cell(&self) -> u64 {
        match self {
            Step::Read { cell, .. }
            | Step::Write { cell, .. }
            | Step::ReadList { cell, .. }
            | Step::Append { cell, .. } => *cell,
        }
    }

    /// Whether it changes nothing.
    pub fn is_read(&self) -> bool {
        match self {
            Step::Read { .. } | Step::ReadList { .. } => true,
            Step::Write { .. } | Step::Append { .. } => false,
        }
    }

    /// It as an item of a transaction's list, in the argument and in the result.
    pub(crate) fn to_value(&self) -> Value {
        let (f, argument) = match self {
            Step::Read { found, .. } => ("r", optional(*found)),
            Step::Write { value, .. } => ("w", int(*value)),
            Step::ReadList { found, .. } => ("r", found.as_deref().map_or(Value::Null, list)),
            Step::Append { value, .. } => ("append", int(*value)),
        };
        Value::list([Value::text(f), int(self.cell()), argument])
    }
}
