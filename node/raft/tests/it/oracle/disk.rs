//! A disk for TiKV's raft, in memory: what it shows, and what of that would survive a crash.

use tikv_raft::eraftpb::{ConfState, Entry, HardState, Snapshot, SnapshotMetadata};
use tikv_raft::{Error, GetEntriesContext, RaftState, Result, Storage, StorageError};

/// A disk's content, and that of the state machine on it.
#[derive(Clone, Default)]
pub(super) struct Content {
    pub(super) hard_state: HardState,
    /// What the log begins behind; of index 0 unless something was compacted.
    pub(super) base: SnapshotMetadata,
    pub(super) entries: Vec<Entry>,
    /// The last index that was applied, and the configuration then.
    pub(super) applied: u64,
    pub(super) members: ConfState,
}

/// What one `Ready` has to become durable.
#[derive(Clone, Default)]
pub(super) struct Write {
    pub(super) hard_state: Option<HardState>,
    pub(super) snapshot: Option<SnapshotMetadata>,
    pub(super) entries: Vec<Entry>,
}

impl Write {
    pub(super) fn is_empty(&self) -> bool {
        self.hard_state.is_none() && self.snapshot.is_none() && self.entries.is_empty()
    }
}

impl Content {
    pub(super) fn carry_out(&mut self, write: &Write) {
        if let Some(hard_state) = &write.hard_state {
            self.hard_state = hard_state.clone();
        }
        if let Some(snapshot) = &write.snapshot {
            self.base = snapshot.clone();
            self.entries.clear();
            self.applied = snapshot.index;
            self.members = snapshot.get_conf_state().clone();
        }
        if let Some(first) = write.entries.first() {
            let keep = first.index - self.base.index - 1;
            self.entries
                .truncate(usize::try_from(keep).expect("a log fits in memory"));
            self.entries.extend_from_slice(&write.entries);
        }
    }

    fn last_index(&self) -> u64 {
        self.base.index + self.entries.len() as u64
    }

    fn entry(&self, index: u64) -> Option<&Entry> {
        let place = index.checked_sub(self.base.index + 1)?;
        self.entries.get(usize::try_from(place).ok()?)
    }

    fn term(&self, index: u64) -> Option<u64> {
        if index == self.base.index {
            return Some(self.base.term);
        }
        self.entry(index).map(|entry| entry.term)
    }

    /// What a snapshot of the state machine stands for.
    fn snapshot(&self) -> SnapshotMetadata {
        let term = self.term(self.applied);
        let mut snapshot = SnapshotMetadata {
            index: self.applied,
            term: term.expect("what is applied is in the log"),
            ..SnapshotMetadata::default()
        };
        snapshot.set_conf_state(self.members.clone());
        snapshot
    }

    /// Drops what was applied from the log.
    pub(super) fn compact(&mut self) {
        self.base = self.snapshot();
        self.entries.retain(|entry| entry.index > self.applied);
    }
}

pub(super) struct Disk {
    /// What the core is shown.
    pub(super) now: Content,
    /// What a crash leaves.
    pub(super) durable: Content,
}

impl Storage for Disk {
    fn initial_state(&self) -> Result<RaftState> {
        let mut hard_state = self.now.hard_state.clone();
        // What was applied is committed, whatever was written of that.
        hard_state.commit = hard_state.commit.max(self.now.applied);
        Ok(RaftState::new(hard_state, self.now.members.clone()))
    }

    fn entries(
        &self,
        low: u64,
        high: u64,
        _: impl Into<Option<u64>>,
        _: GetEntriesContext,
    ) -> Result<Vec<Entry>> {
        if low <= self.now.base.index {
            return Err(Error::Store(StorageError::Compacted));
        }
        let entries = (low..high).map(|index| self.now.entry(index).cloned());
        entries
            .collect::<Option<Vec<Entry>>>()
            .ok_or(Error::Store(StorageError::Unavailable))
    }

    fn term(&self, index: u64) -> Result<u64> {
        if index < self.now.base.index {
            return Err(Error::Store(StorageError::Compacted));
        }
        self.now
            .term(index)
            .ok_or(Error::Store(StorageError::Unavailable))
    }

    fn first_index(&self) -> Result<u64> {
        Ok(self.now.base.index + 1)
    }

    fn last_index(&self) -> Result<u64> {
        Ok(self.now.last_index())
    }

    fn snapshot(&self, _: u64, to: u64) -> Result<Snapshot> {
        let members = self.now.base.get_conf_state();
        let mut everybody = members
            .voters
            .iter()
            .chain(&members.learners)
            .chain(&members.voters_outgoing);
        let mut snapshot = Snapshot::default();
        // A server refuses a snapshot that does not name it.
        snapshot.set_metadata(if everybody.any(|member| *member == to) {
            self.now.base.clone()
        } else {
            self.now.snapshot()
        });
        Ok(snapshot)
    }
}
