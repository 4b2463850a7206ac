//! What the harness calls a node: everybody who speaks of nodes speaks of their numbers.

/// A node's number: `1..=n`.
pub type NodeNumber = u64;
