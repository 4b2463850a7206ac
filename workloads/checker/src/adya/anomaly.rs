//! What can be wrong with transactions.

use crate::history::Value;

/// Which kind of anomaly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AnomalyKind {
    /// `unwritten-read`: an element was read that nobody appended.
    UnwrittenRead,
    /// `duplicate-elements`: an element was read twice in one list, though it was appended once.
    DuplicateElements,
    /// `incompatible-order`: two reads of a list, neither of which begins the other.
    IncompatibleOrder,
    /// `internal`: a transaction's read does not fit what it did and read before.
    Internal,
    /// `torn-append`: of what one transaction appended to a list, something is missing or in another order.
    TornAppend,
    /// `G1a`, an aborted read: an element was read whose transaction failed.
    AbortedRead,
    /// `G1b`, an intermediate read: a list was read between two appends of one transaction.
    IntermediateRead,
    /// A cycle of dependencies.
    Cycle(Phenomenon, Beyond),
}

/// What kind of cycle, by its dependencies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phenomenon {
    /// `G0`, a write cycle: *ww* only.
    G0,
    /// `G1c`, a circular flow of information: *ww* and *wr*.
    G1c,
    /// `G-single`, a read skew: exactly one *rw*.
    GSingle,
    /// `G2-item`, a write skew or longer: two or more *rw*.
    G2Item,
}

/// Which order of transactions a cycle needs, beyond what lists tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Beyond {
    /// None: the history is not even serializable.
    Nothing,
    /// `-process`: the order in each process; the history is not strongly session serializable.
    Process,
    /// `-realtime`: real time; the history is not strictly serializable.
    Realtime,
}

impl AnomalyKind {
    /// The name: `G-single-realtime`.
    pub const fn name(self) -> &'static str {
        match self {
            AnomalyKind::UnwrittenRead => "unwritten-read",
            AnomalyKind::DuplicateElements => "duplicate-elements",
            AnomalyKind::IncompatibleOrder => "incompatible-order",
            AnomalyKind::Internal => "internal",
            AnomalyKind::TornAppend => "torn-append",
            AnomalyKind::AbortedRead => "G1a",
            AnomalyKind::IntermediateRead => "G1b",
            AnomalyKind::Cycle(phenomenon, beyond) => match (phenomenon, beyond) {
                (Phenomenon::G0, Beyond::Nothing) => "G0",
                (Phenomenon::G0, Beyond::Process) => "G0-process",
                (Phenomenon::G0, Beyond::Realtime) => "G0-realtime",
                (Phenomenon::G1c, Beyond::Nothing) => "G1c",
                (Phenomenon::G1c, Beyond::Process) => "G1c-process",
                (Phenomenon::G1c, Beyond::Realtime) => "G1c-realtime",
                (Phenomenon::GSingle, Beyond::Nothing) => "G-single",
                (Phenomenon::GSingle, Beyond::Process) => "G-single-process",
                (Phenomenon::GSingle, Beyond::Realtime) => "G-single-realtime",
                (Phenomenon::G2Item, Beyond::Nothing) => "G2-item",
                (Phenomenon::G2Item, Beyond::Process) => "G2-item-process",
                (Phenomenon::G2Item, Beyond::Realtime) => "G2-item-realtime",
            },
        }
    }

    /// What it is, in words: `an aborted read`.
    pub const fn about(self) -> &'static str {
        match self {
            AnomalyKind::UnwrittenRead => "an element that nobody appended was read",
            AnomalyKind::DuplicateElements => "an element was read twice in one list",
            AnomalyKind::IncompatibleOrder => "two reads of a list tell different stories of it",
            AnomalyKind::Internal => "a transaction's read does not fit what it did before",
            AnomalyKind::TornAppend => "a transaction's appends to a list are not there as it made them",
            AnomalyKind::AbortedRead => "an aborted read",
            AnomalyKind::IntermediateRead => "an intermediate read",
            AnomalyKind::Cycle(phenomenon, _) => match phenomenon {
                Phenomenon::G0 => "a write cycle",
                Phenomenon::G1c => "a circular flow of information",
                Phenomenon::GSingle => "a cycle with one anti-dependency",
                Phenomenon::G2Item => "a cycle with several anti-dependencies",
            },
        }
    }
}

/// Why a transaction must come before another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dependency {
    /// *ww*: it appended an element, the other one a later one.
    WriteWrite {
        /// The list.
        key: Value,
        /// What it appended.
        before: Value,
        /// What the other one appended.
        after: Value,
    },
    /// *wr*: it appended the last element that the other one read.
    WriteRead {
        /// The list.
        key: Value,
        /// The element.
        element: Value,
    },
    /// *rw*: it did not see what the other one appended.
    ReadWrite {
        /// The list.
        key: Value,
        /// How many elements it saw.
        seen: usize,
        /// What the other one appended.
        missed: Value,
    },
    /// *process*: the other one is a later one of the same process.
    Process,
    /// *realtime*: it had returned when the other one was invoked.
    Realtime,
}

impl Dependency {
    /// The name: `ww`.
    pub const fn name(&self) -> &'static str {
        match self {
            Dependency::WriteWrite { .. } => "ww",
            Dependency::WriteRead { .. } => "wr",
            Dependency::ReadWrite { .. } => "rw",
            Dependency::Process => "process",
            Dependency::Realtime => "realtime",
        }
    }
}

/// Something that no order of transactions explains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anomaly {
    /// Which kind.
    pub kind: AnomalyKind,
    /// The transactions, by their places, in the order of the cycle where it is one; in sentences they are T1, T2, and so on.
    pub transactions: Vec<usize>,
    /// Of a cycle, why each of them must come before the next, and the last before the first; otherwise empty.
    pub dependencies: Vec<Dependency>,
    /// What is wrong, in sentences; of a cycle, one for each dependency.
    pub reasons: Vec<String>,
    /// How many of the kind were met; of a cycle only this one was looked for.
    pub count: usize,
    /// Whether no smaller one shows the same; not known of a cycle where there were too many to look at.
    pub is_smallest: bool,
}
