//! The interface of what is durable, and an implementation in memory.

use crate::configuration::Configuration;
use crate::snapshot::SnapshotMeta;
use crate::symmetry::Permute;
use crate::types::{Command, Entry, EntryData, HardState, Index, LogPosition, NodeId, Term, extend_within};
use alloc::sync::Arc;
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
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InitialState {
    /// Term, vote and commit as last written.
    pub hard_state: HardState,
    /// The configuration of the snapshot (or the one that the cluster began with), at the index before the first that is kept; then
    /// those in the log behind it, each with its entry's index. Joint ones and uncommitted ones are in force like any other.
    pub configurations: Vec<(Index, Arc<Configuration>)>,
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

    /// The first index that is kept; one more than the last if none is. It increases when the driver makes a snapshot and drops what
    /// that covers, which must have been applied.
    fn first_index(&self) -> Index;

    /// The last index.
    fn last_index(&self) -> Index;

    /// The term of the entry at `index`, which may also be the one just before the first (and is term 0 at index 0).
    ///
    /// # Errors
    /// [`StorageError::Compacted`] and [`StorageError::Unavailable`] outside of that; terms are always at hand.
    fn term(&self, index: Index) -> Result<Term, StorageError>;

    /// The latest snapshot, at or behind the index before the first that is kept; `None` where there is none, or not for the moment.
    fn snapshot(&self) -> Option<Arc<SnapshotMeta>>;

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
    hard_state: HardState,
    /// What the log begins behind; of index 0 unless something was compacted.
    base: Arc<SnapshotMeta>,
    entries: Vec<Entry<C>>,
}

impl<C: Command> MemoryStorage<C> {
    /// An empty log among `voters`.
    pub fn new(voters: impl IntoIterator<Item = NodeId>) -> Self {
        MemoryStorage::with_configuration(Configuration::of_voters(voters))
    }

    /// An empty log with this configuration.
    pub fn with_configuration(configuration: Configuration) -> Self {
        MemoryStorage {
            hard_state: HardState::default(),
            base: Arc::new(SnapshotMeta {
                last: LogPosition::default(),
                configuration: Arc::new(configuration),
            }),
            entries: Vec::new(),
        }
    }

    /// Carries out a write.
    ///
    /// # Panics
    /// The entries leave a gap.
    pub fn apply(&mut self, write: &crate::Write<C>) {
        self.hard_state = write.hard_state;
        if let Some(snapshot) = &write.snapshot {
            self.base = snapshot.clone();
            self.entries.clear();
        }
        if let Some(first) = write.entries.first() {
            let keep = first.index.since(self.first_index());
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

    /// Makes a snapshot of everything up to `snapshot.last` and drops that from the log.
    ///
    /// # Panics
    /// The log does not have that entry.
    pub fn compact(&mut self, snapshot: Arc<SnapshotMeta>) {
        let index = snapshot.last.index;
        assert_eq!(
            self.term(index),
            Ok(snapshot.last.term),
            "{index} is to be compacted"
        );
        self.entries.drain(..index.since(self.base.last.index));
        self.base = snapshot;
    }

    /// Term, vote and commit as last written.
    pub fn hard_state(&self) -> HardState {
        self.hard_state
    }

    /// The log, as far as it is kept.
    pub fn log(&self) -> &[Entry<C>] {
        &self.entries
    }
}

impl<C: Command> Storage for MemoryStorage<C> {
    type Command = C;

    fn initial_state(&self) -> InitialState {
        let base = (self.base.last.index, self.base.configuration.clone());
        let in_log = self.entries.iter().filter_map(|entry| match &entry.data {
            EntryData::Configuration(configuration) => Some((entry.index, configuration.clone())),
            EntryData::Noop | EntryData::Command(_) => None,
        });
        InitialState {
            hard_state: self.hard_state,
            configurations: core::iter::once(base).chain(in_log).collect(),
        }
    }

    fn first_index(&self) -> Index {
        self.base.last.index.next()
    }

    fn last_index(&self) -> Index {
        self.base.last.index.plus(self.entries.len())
    }

    fn term(&self, index: Index) -> Result<Term, StorageError> {
        if index < self.base.last.index {
            Err(StorageError::Compacted)
        } else if index == self.base.last.index {
            Ok(self.base.last.term)
        } else {
            let entry = self.entries.get(index.since(self.first_index()));
            entry.map(|entry| entry.term).ok_or(StorageError::Unavailable)
        }
    }

    fn snapshot(&self) -> Option<Arc<SnapshotMeta>> {
        (self.base.last.index > Index(0)).then(|| self.base.clone())
    }

    fn entries(&self, range: Range<Index>, bytes_max: usize) -> Result<Vec<Entry<C>>, StorageError> {
        let first = self.first_index();
        if range.start < first {
            return Err(StorageError::Compacted);
        }
        let (start, end) = (range.start.since(first), range.end.since(first));
        let wanted = self.entries.get(start..end).ok_or(StorageError::Unavailable)?;
        let mut entries = Vec::new();
        extend_within(&mut entries, wanted.iter(), bytes_max);
        Ok(entries)
    }
}

impl<C: Clone> Permute for MemoryStorage<C> {
    fn permute(&self, permutation: &[(NodeId, NodeId)]) -> Self {
        let MemoryStorage {
            hard_state,
            base,
            entries,
        } = self;
        MemoryStorage {
            hard_state: hard_state.permute(permutation),
            base: base.permute(permutation),
            entries: entries.permute(permutation),
        }
    }
}
