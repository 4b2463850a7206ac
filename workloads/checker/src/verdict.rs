//! What a check comes to.

use crate::explain::Explanation;
use std::fmt;

/// Whether a history is linearizable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is.
    Valid,
    /// It is not, and this is why.
    Violation(Box<Explanation>),
    /// It could not be told, for this reason.
    Unknown(String),
}

/// A verdict, and on what it rests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The verdict.
    pub verdict: Verdict,
    /// Violations of other objects, in the order of their times; empty unless all were asked for.
    pub further: Vec<Explanation>,
    /// How many more there are that were not explained, since a limit came first.
    pub unexplained: usize,
    /// The model that judged.
    pub model: &'static str,
    /// The engine that did.
    pub engine: &'static str,
    /// How many operations were judged: those that failed are not, nor reads that nobody saw the result of.
    pub operations: usize,
    /// On how many objects.
    pub partitions: usize,
}

impl Report {
    /// The violations: none, the first one, or all of them, as asked for.
    pub fn violations(&self) -> impl Iterator<Item = &Explanation> {
        let first = match &self.verdict {
            Verdict::Violation(first) => Some(&**first),
            Verdict::Valid | Verdict::Unknown(_) => None,
        };
        first.into_iter().chain(&self.further)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Valid => f.write_str("valid"),
            Verdict::Violation(_) => f.write_str("violation"),
            Verdict::Unknown(_) => f.write_str("unknown"),
        }
    }
}
