//! The interface of what is durable, and an implementation in memory.

use crate::types::{Command, Entry, HardState, Index, LogPosition, NodeId, Term, limit_bytes};
use alloc::vec::Vec;
use core::ops::Range;

/// What a storage answers instead of entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StorageError {
    /// The entries lie before the first one that is kept.
    #[error("the entry was compacted away")]
    Compacted,
    /// The entries lie behind the last one.
    #[error("the entry does not exist")]
    Unavailable,
    /// The entries exist but are not at hand; ask again later.
    #[error("the entry is not at hand for the moment")]
    TemporarilyUnavailable,
}

/// What a server finds when it starts.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InitialState {
    /// Term, vote and commit as last written.
    pub hard_state: HardState,
    /// The voting members, sorted and without duplicates.
    pub voters: Vec<NodeId>,
}

/// What is durable, as the core reads it. The core never writes: a driver carries out [`crate::Write`]s.
///
/// After the driver carried out a write and before it reports it with `persisted`, the storage must show its entries: the
/// write's first entry replaces what stood at its index and everything behind.
pub trait Storage {
    /// What the log carries.
    type Command: Command;

    /// What was durable at the start.
    fn initial_state(&self) -> InitialState;

    /// The first index that is kept; one more than the last if none is.
    fn first_index(&self) -> Index;

    /// The last index.
    fn last_index(&self) -> Index;

    /// The term of the entry at `index`, which may also be the one just before the first (and is term 0 at index 0).
    ///
    /// # Errors
    /// [`StorageError::Compacted`] and [`StorageError::Unavailable`] outside of that; terms are always at hand.
    fn term(&self, index: Index) -> Result<Term, StorageError>;

    /// The entries of `range`, cut so that they stay within `bytes_max` (but never to none).
    ///
    /// # Errors
    /// Any [`StorageError`].
    fn entries(
        &self,
        range: Range<Index>,
        bytes_max: usize,
    ) -> Result<Vec<Entry<Self::Command>>, StorageError>;
}

/// A storage in memory, whose content is what *would* be durable: for models and tests.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemoryStorage<C> {
    initial: InitialState,
    entries: Vec<Entry<C>>,
}

impl<C: Command> MemoryStorage<C> {
    /// An empty log among `voters`.
    pub fn new(voters: impl IntoIterator<Item = NodeId>) -> Self {
        let mut voters: Vec<NodeId> = voters.into_iter().collect();
        voters.sort_unstable();
        voters.dedup();
        MemoryStorage {
            initial: InitialState {
                hard_state: HardState::default(),
                voters,
            },
            entries: Vec::new(),
        }
    }

    /// Carries out a write.
    ///
    /// # Panics
    /// The entries leave a gap.
    pub fn apply(&mut self, write: &crate::Write<C>) {
        self.initial.hard_state = write.hard_state;
        if let Some(first) = write.entries.first() {
            let keep = first.index.previous().since(Index(0));
            assert!(
                keep <= self.entries.len(),
                "{} entries, and one at {} was written",
                self.entries.len(),
                first.index
            );
            self.entries.truncate(keep);
            self.entries.extend_from_slice(&write.entries);
        }
    }

    /// Term, vote and commit as last written.
    pub fn hard_state(&self) -> HardState {
        self.initial.hard_state
    }

    /// The whole log.
    pub fn log(&self) -> &[Entry<C>] {
        &self.entries
    }
}

impl<C: Command> Storage for MemoryStorage<C> {
    type Command = C;

    fn initial_state(&self) -> InitialState {
        self.initial.clone()
    }

    fn first_index(&self) -> Index {
        Index(1)
    }

    fn last_index(&self) -> Index {
        self.entries.last().map_or(Index(0), |entry| entry.index)
    }

    fn term(&self, index: Index) -> Result<Term, StorageError> {
        if index == Index(0) {
            return Ok(LogPosition::default().term);
        }
        self.entries
            .get(index.previous().since(Index(0)))
            .map(|entry| entry.term)
            .ok_or(StorageError::Unavailable)
    }

    fn entries(&self, range: Range<Index>, bytes_max: usize) -> Result<Vec<Entry<C>>, StorageError> {
        if range.start == Index(0) {
            return Err(StorageError::Compacted);
        }
        let (start, end) = (range.start.since(Index(1)), range.end.since(Index(1)));
        let mut entries = self
            .entries
            .get(start..end)
            .ok_or(StorageError::Unavailable)?
            .to_vec();
        limit_bytes(&mut entries, bytes_max);
        Ok(entries)
    }
}
