//! The log as the protocol sees it: what is durable, from the storage, and behind it what is not yet.
//!
//! ```text
//!        first_index                    stable     written       last
//!            │                            │           │            │
//!   compacted│ ········ storage ········· │ handed out│ new ······ │
//!                                         └──────── unstable ──────┘
//!                       applied ≤ handed_out ≤ min(committed, stable)
//! ```
//!
//! A snapshot from the leader takes the place of all of it at once. While that is being written, the log begins behind the snapshot, and
//! what the storage still shows is ignored.
//!
//! *Stable* entries are durable and will stay as they are unless a later write replaces them. Entries behind them are in memory:
//! first those that were handed out to be written, then those that weren't. When a leader's log replaces stable entries, they
//! are unstable again from that moment, whatever the disk still shows: an older write that completes later does not make the
//! replacement durable (bug zoo, *stale-progress*, on the follower's own side).

use crate::storage::{Storage, StorageError};
use crate::symmetry::Permute;
use crate::types::{Entry, Index, LogPosition, NodeId, Term, extend_within};
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::ops::Range;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct RaftLog<S: Storage> {
    storage: S,
    /// The last index that is durable as it stands here.
    stable: Index,
    /// What follows `stable`.
    unstable: VecDeque<Entry<S::Command>>,
    /// The last index that was handed out to be written; at least `stable`.
    written: Index,
    committed: Index,
    /// The last index that was handed out to be applied.
    handed_out: Index,
    applied: Index,
    /// The end of a snapshot that replaces the storage's log and is not durable yet: until it is, the storage shows a log that is gone.
    installing: Option<LogPosition>,
}

impl<S: Storage> RaftLog<S> {
    /// The log that `storage` holds, of which `committed` is known to be committed.
    pub(crate) fn new(storage: S, committed: Index) -> RaftLog<S> {
        let stable = storage.last_index();
        let applied = storage.first_index().previous();
        let committed = committed.max(applied);
        assert!(
            committed <= stable,
            "the storage's commit index {committed} lies beyond its log, which ends at {stable}"
        );
        RaftLog {
            storage,
            stable,
            unstable: VecDeque::new(),
            written: stable,
            committed,
            handed_out: applied,
            applied,
            installing: None,
        }
    }

    pub(crate) fn storage(&self) -> &S {
        &self.storage
    }

    pub(crate) fn storage_mut(&mut self) -> &mut S {
        &mut self.storage
    }

    pub(crate) fn into_storage(self) -> S {
        self.storage
    }

    pub(crate) fn stable(&self) -> Index {
        self.stable
    }

    pub(crate) fn committed(&self) -> Index {
        self.committed
    }

    pub(crate) fn applied(&self) -> Index {
        self.applied
    }

    pub(crate) fn last_index(&self) -> Index {
        self.stable.plus(self.unstable.len())
    }

    pub(crate) fn last(&self) -> LogPosition {
        let index = self.last_index();
        LogPosition {
            term: self.term(index).expect("the last entry's term is at hand"),
            index,
        }
    }

    /// The term of the entry at `index`; `None` where there is none or it was compacted away.
    pub(crate) fn term(&self, index: Index) -> Option<Term> {
        if index > self.last_index() {
            None
        } else if index > self.stable {
            Some(self.unstable[index.since(self.stable.next())].term)
        } else if let Some(snapshot) = self.installing {
            (index == snapshot.index).then_some(snapshot.term)
        } else {
            match self.storage.term(index) {
                Ok(term) => Some(term),
                Err(StorageError::Compacted) => None,
                Err(error @ (StorageError::Unavailable | StorageError::TemporarilyUnavailable)) => {
                    panic!(
                        "the storage has no term for {index}, up to {} it should: {error}",
                        self.stable
                    )
                }
            }
        }
    }

    /// Whether the log has an entry at `position` (or begins behind it).
    pub(crate) fn matches(&self, position: LogPosition) -> bool {
        self.term(position.index) == Some(position.term)
    }

    /// The last position, at or before `from.index`, whose term is not above `from.term`: where a log that has `from` could
    /// still agree with this one.
    pub(crate) fn last_not_above(&self, from: LogPosition) -> LogPosition {
        // Compacted means committed, so equal in every log.
        let is_not_above = |index| self.term(index).is_none_or(|term| term <= from.term);
        let mut index = from.index.min(self.last_index());
        if !is_not_above(index) {
            // Terms do not fall along a log: all that are above follow all that are not.
            let (mut not_above, mut above) = (0, index.0);
            while above - not_above > 1 {
                let middle = not_above + (above - not_above) / 2;
                if is_not_above(Index(middle)) {
                    not_above = middle;
                } else {
                    above = middle;
                }
            }
            index = Index(not_above);
        }
        let term = self.term(index).unwrap_or(Term(0));
        LogPosition { term, index }
    }

    /// The entries of `range`, within the limits but at least one if it has any; `None` while the storage has them not at hand.
    pub(crate) fn entries(
        &self,
        range: Range<Index>,
        entries_max: usize,
        bytes_max: usize,
    ) -> Option<Vec<Entry<S::Command>>> {
        assert!(
            range.end <= self.last_index().next(),
            "{range:?} reaches beyond {}",
            self.last_index()
        );
        let entries_max = entries_max.clamp(1, range.end.since(range.start).max(1));
        let end = range.end.min(range.start.plus(entries_max));
        let mut entries = Vec::new();
        assert!(
            self.installing.is_none() || range.start > self.stable,
            "{range:?} is asked of a log that a snapshot replaces"
        );
        if range.start <= self.stable {
            let stable_end = end.min(self.stable.next());
            match self.storage.entries(range.start..stable_end, bytes_max) {
                Ok(stored) => entries = stored,
                Err(StorageError::TemporarilyUnavailable) => return None,
                Err(error @ (StorageError::Compacted | StorageError::Unavailable)) => {
                    panic!("the storage should hold {}..{stable_end}: {error}", range.start)
                }
            }
            if range.start.plus(entries.len()) < stable_end {
                return Some(entries);
            }
        }
        let from = range.start.plus(entries.len());
        if from < end {
            let (from, end) = (from.since(self.stable.next()), end.since(self.stable.next()));
            let unstable = self.unstable.range(from..end);
            extend_within(&mut entries, unstable, bytes_max);
        }
        Some(entries)
    }

    /// The first index that the log has.
    pub(crate) fn first_index(&self) -> Index {
        match self.installing {
            Some(snapshot) => snapshot.index.next(),
            None => self.storage.first_index(),
        }
    }

    /// A snapshot takes the place of the whole log. It is durable after [`RaftLog::installed`].
    pub(crate) fn restore(&mut self, snapshot: LogPosition) {
        assert!(
            snapshot.index > self.committed,
            "a snapshot up to {snapshot} was to replace a log that is committed up to {} (bug zoo, *snapshot-behind-applied*)",
            self.committed
        );
        // Nothing of the old log stays: an entry that conflicts with the snapshot would come back in a crash (*snapshot-keeps-tail*).
        self.unstable.clear();
        self.installing = Some(snapshot);
        self.stable = snapshot.index;
        self.written = snapshot.index;
        self.committed = snapshot.index;
        self.handed_out = snapshot.index;
    }

    /// The end of a snapshot that is taken in and not durable yet.
    pub(crate) fn installing(&self) -> Option<LogPosition> {
        self.installing
    }

    /// The snapshot is durable, unless a newer one came after it.
    pub(crate) fn installed(&mut self, snapshot: LogPosition) {
        if self.installing == Some(snapshot) {
            self.installing = None;
        }
    }

    /// Puts one entry behind the last.
    pub(crate) fn push(&mut self, entry: Entry<S::Command>) {
        assert_eq!(
            entry.index,
            self.last_index().next(),
            "an entry was appended out of place"
        );
        self.unstable.push_back(entry);
    }

    /// Drops the entry at `from` and everything behind it.
    pub(crate) fn truncate(&mut self, from: Index) {
        assert!(
            from > self.committed,
            "the log was to be cut at {from}, and {} is committed",
            self.committed
        );
        if from > self.stable {
            self.unstable.truncate(from.since(self.stable.next()));
        } else {
            self.unstable.clear();
            self.stable = from.previous();
        }
        self.written = self.written.min(from.previous());
    }

    /// Whether there are entries that were not handed out to be written.
    pub(crate) fn has_unwritten(&self) -> bool {
        self.written < self.last_index()
    }

    /// Hands out the entries that were not yet.
    pub(crate) fn take_unwritten(&mut self) -> Vec<Entry<S::Command>> {
        let from = self.written.since(self.stable);
        self.written = self.last_index();
        self.unstable.range(from..).cloned().collect()
    }

    /// Everything up to `index` is durable as it stands here.
    pub(crate) fn stable_to(&mut self, index: Index) {
        if index > self.stable {
            assert!(
                index <= self.written,
                "{index} was reported durable, and {} was handed out",
                self.written
            );
            self.unstable.drain(..index.since(self.stable));
            self.stable = index;
        }
    }

    /// Everything up to `index` is committed. Returns whether that is news.
    pub(crate) fn commit_to(&mut self, index: Index) -> bool {
        assert!(
            index <= self.last_index(),
            "{index} was committed, and the log ends at {}: an acknowledged entry was lost",
            self.last_index()
        );
        let news = index > self.committed;
        self.committed = self.committed.max(index);
        news
    }

    /// Whether there are committed entries to hand out.
    pub(crate) fn has_unapplied(&self) -> bool {
        self.handed_out < self.committed.min(self.stable)
    }

    /// Hands out committed entries that are durable here; none while the storage has them not at hand.
    pub(crate) fn take_unapplied(&mut self, bytes_max: usize) -> Vec<Entry<S::Command>> {
        if !self.has_unapplied() {
            return Vec::new();
        }
        let range = self.handed_out.next()..self.committed.min(self.stable).next();
        let entries = self.entries(range, usize::MAX, bytes_max).unwrap_or_default();
        self.handed_out = self.handed_out.plus(entries.len());
        entries
    }

    /// What was handed out to be applied, and was not, is handed out again; but for what a snapshot brings, or has brought.
    pub(crate) fn hand_back(&mut self) {
        self.handed_out = self.applied.max(self.first_index().previous());
    }

    /// Everything up to `index` was applied.
    pub(crate) fn applied_to(&mut self, index: Index) {
        assert!(
            self.applied <= index && index <= self.handed_out,
            "{index} was reported applied; {} was before, and {} was handed out",
            self.applied,
            self.handed_out
        );
        self.applied = index;
    }
}

impl<S: Storage + Permute> Permute for RaftLog<S> {
    fn permute(&self, permutation: &[(NodeId, NodeId)]) -> Self {
        let RaftLog {
            storage,
            stable,
            unstable,
            written,
            committed,
            handed_out,
            applied,
            installing,
        } = self;
        RaftLog {
            storage: storage.permute(permutation),
            stable: *stable,
            unstable: unstable.permute(permutation),
            written: *written,
            committed: *committed,
            handed_out: *handed_out,
            applied: *applied,
            installing: *installing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::MemoryStorage;
    use crate::types::EntryData;
    use crate::{Configuration, HardState, SnapshotMeta, Write, WriteId};
    use alloc::sync::Arc;
    use bytes::Bytes;

    /// A log whose entries behind `base` have these terms; the last `unstable` of them are not durable.
    fn log(base: LogPosition, terms: &[u64], unstable: usize) -> RaftLog<MemoryStorage<Bytes>> {
        let entries: Vec<Entry<Bytes>> = (1..)
            .zip(terms)
            .map(|(place, term)| Entry {
                term: Term(*term),
                index: base.index.plus(place),
                data: EntryData::Noop,
            })
            .collect();
        let (stable, unstable) = entries.split_at(entries.len() - unstable);
        let voters = Configuration::of_voters([NodeId(1)]);
        let mut storage = MemoryStorage::with_configuration(voters.clone());
        storage.apply(&Write {
            id: WriteId(1),
            hard_state: HardState::default(),
            snapshot: (base.index > Index(0)).then(|| {
                Arc::new(SnapshotMeta {
                    last: base,
                    configuration: Arc::new(voters),
                })
            }),
            entries: stable.to_vec(),
        });
        let mut log = RaftLog::new(storage, base.index);
        unstable.iter().for_each(|entry| log.push(entry.clone()));
        log
    }

    /// Going back entry by entry, from everywhere in every log of up to six entries of four terms.
    #[test]
    fn last_not_above_is_where_going_back_would_stop() {
        for (base, unstable) in [(0, 0), (0, 3), (9, 0), (9, 3)] {
            let base = LogPosition {
                term: Term(u64::from(base > 0)),
                index: Index(base),
            };
            for code in 0..4_u64.pow(6) {
                let terms: Vec<u64> = (0..6).map(|place| 1 + code / 4_u64.pow(place) % 4).collect();
                if !terms.is_sorted() {
                    continue;
                }
                let log = log(base, &terms, unstable);
                for (index, term) in (0..=17).flat_map(|index| (0..=5).map(move |term| (index, term))) {
                    let from = LogPosition {
                        term: Term(term),
                        index: Index(index),
                    };
                    let mut expected = from.index.min(log.last_index());
                    while log.term(expected).is_some_and(|term| term > from.term) {
                        expected = expected.previous();
                    }
                    let expected = LogPosition {
                        term: log.term(expected).unwrap_or(Term(0)),
                        index: expected,
                    };
                    assert_eq!(
                        log.last_not_above(from),
                        expected,
                        "{from} in {terms:?} behind {base}"
                    );
                }
            }
        }
    }
}
