//! The paper's nouns as types.

use crate::configuration::Configuration;
use crate::symmetry::Permute;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt::{self, Debug, Display};
use core::hash::Hash;

/// A server's identity. Displayed as in traces: `n1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u64);

impl Permute for NodeId {
    fn permute(&self, permutation: &[(NodeId, NodeId)]) -> Self {
        let place = permutation
            .binary_search_by_key(self, |(from, _)| *from)
            .unwrap_or_else(|_| panic!("{self} has no image in {permutation:?}"));
        permutation[place].1
    }
}

impl Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "n{}", self.0)
    }
}

/// A term: the logical clock of elections, starting at 0 before the first (Raft §5.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Term(pub u64);

impl Term {
    /// The term after this one.
    ///
    /// # Panics
    /// There is none after the last; elections at any real pace take longer than the world has stood to get there.
    pub fn next(self) -> Term {
        Term(self.0.checked_add(1).expect("terms do not run out"))
    }
}

impl Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Display::fmt(&self.0, f)
    }
}

/// An index in the log. The first entry has index 1; 0 stands before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Index(pub u64);

impl Index {
    /// The index after this one.
    pub fn next(self) -> Index {
        Index(self.0 + 1)
    }

    /// The index before this one.
    ///
    /// # Panics
    /// There is none before 0.
    pub fn previous(self) -> Index {
        Index(self.0.checked_sub(1).expect("no index comes before 0"))
    }

    /// The index `count` places later.
    pub fn plus(self, count: usize) -> Index {
        Index(self.0 + count as u64)
    }

    /// How many places this index lies behind `earlier`.
    ///
    /// # Panics
    /// It lies before it.
    pub fn since(self, earlier: Index) -> usize {
        let distance = self.0.checked_sub(earlier.0);
        let distance = distance.unwrap_or_else(|| panic!("index {self} lies before {earlier}"));
        usize::try_from(distance).expect("the places between two indexes fit in memory")
    }
}

impl Display for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Display::fmt(&self.0, f)
    }
}

/// An entry's place: its index and the term it was created in. Two logs that have an entry at the same position are equal up
/// to it (Raft §5.3, log matching).
///
/// The order is that of "at least as up to date" (Raft §5.4.1): by term first, then by index. Displayed as `index@term`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogPosition {
    /// The term. Stands first because it is compared first.
    pub term: Term,
    /// The index.
    pub index: Index,
}

impl Display for LogPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.index, self.term)
    }
}

/// What a log carries: opaque to the protocol, cheap to clone.
pub trait Command: Clone + Eq + Ord + Hash + Debug {
    /// Its size in bytes, for the limits on messages and on what is uncommitted.
    fn size(&self) -> usize;
}

impl Command for Bytes {
    fn size(&self) -> usize {
        self.len()
    }
}

/// One byte is enough to tell a model checker's commands apart.
impl Command for u8 {
    fn size(&self) -> usize {
        1
    }
}

/// One entry of the log.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Entry<C> {
    /// The term in which a leader created it.
    pub term: Term,
    /// Its place in the log.
    pub index: Index,
    /// What it carries.
    pub data: EntryData<C>,
}

impl<C: Command> Entry<C> {
    /// What an entry costs beside its command, in bytes: a round figure for headers on the wire and on disk.
    pub const OVERHEAD: usize = 24;

    /// Its size in bytes, as the limits count it.
    pub fn size(&self) -> usize {
        Self::OVERHEAD
            + match &self.data {
                EntryData::Noop => 0,
                EntryData::Command(command) => command.size(),
                EntryData::Configuration(configuration) => {
                    let contexts: usize = configuration.contexts().map(|(_, context)| context.len()).sum();
                    core::mem::size_of_val(configuration.members()) + contexts
                }
            }
    }

    /// Its position.
    pub fn position(&self) -> LogPosition {
        LogPosition {
            term: self.term,
            index: self.index,
        }
    }
}

/// What an entry carries.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EntryData<C> {
    /// Nothing: the entry with which a leader opens its term, so that it learns what is committed (Raft §8).
    Noop,
    /// A command for the state machine.
    Command(C),
    /// Who takes part from here on (Raft §6).
    Configuration(Arc<Configuration>),
}

/// What a server must remember across a crash, beside its log (Raft figure 2, "persistent state").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HardState {
    /// The latest term it has seen.
    pub term: Term,
    /// Whom it voted for in that term.
    pub vote: Option<NodeId>,
    /// An index that was known to be committed. Not needed for safety; it lets a server that restarts apply at once.
    pub commit: Index,
}

/// Adds of `more` to `entries` as many as all of them stay within `bytes_max` with; one in any case if there was none.
pub(crate) fn extend_within<'a, C: Command + 'a>(
    entries: &mut Vec<Entry<C>>,
    more: impl Iterator<Item = &'a Entry<C>> + Clone,
    bytes_max: usize,
) {
    let mut bytes: usize = entries.iter().map(Entry::size).sum();
    let fitting = more.clone().take_while(|entry| {
        bytes += entry.size();
        bytes <= bytes_max
    });
    let count = fitting.count().max(usize::from(entries.is_empty()));
    // Of a known length, so that memory is found once, and for no more than what fits.
    entries.reserve(count);
    entries.extend(more.take(count).cloned());
}

impl<C: Clone> Permute for Entry<C> {
    fn permute(&self, permutation: &[(NodeId, NodeId)]) -> Self {
        let Entry { term, index, data } = self;
        Entry {
            term: *term,
            index: *index,
            data: data.permute(permutation),
        }
    }
}

impl<C: Clone> Permute for EntryData<C> {
    fn permute(&self, permutation: &[(NodeId, NodeId)]) -> Self {
        match self {
            EntryData::Noop => EntryData::Noop,
            EntryData::Command(command) => EntryData::Command(command.clone()),
            EntryData::Configuration(configuration) => {
                EntryData::Configuration(configuration.permute(permutation))
            }
        }
    }
}

impl Permute for HardState {
    fn permute(&self, permutation: &[(NodeId, NodeId)]) -> Self {
        let HardState { term, vote, commit } = self;
        HardState {
            term: *term,
            vote: vote.permute(permutation),
            commit: *commit,
        }
    }
}
