//! Housework: what nobody waits for, in steps that are no longer than one write and its sync. Snapshots of this node's own state are taken,
//! the log is compacted behind them, and what they replace is removed.

use super::Replica;
use crate::disk::{Disk, DiskError};
use crate::mutant::mutated;
use crate::snapshot::{self, Stored, Taking};
use bytes::Bytes;
use raft::{Entry, Index, Logger, SnapshotMeta, Storage as _};

impl<D: Disk, L: Logger> Replica<D, L> {
    /// Whether there is something to do that nobody waits for.
    pub(super) fn has_housework(&self) -> bool {
        let store = self.node.raft().storage();
        let needless = |stored: &Stored| !self.carrier.carries(stored.file);
        self.taking.is_some()
            || store.has_housework(self.log_room())
            || self.replaced.iter().any(needless)
            || self.must_snapshot()
    }

    /// Does one step of it: what waits for its turn meanwhile, waits no longer than for one write and its sync.
    pub(super) fn do_housework(&mut self) -> Result<(), DiskError> {
        let needless = self
            .replaced
            .iter()
            .position(|stored| !self.carrier.carries(stored.file));
        let must_snapshot = self.must_snapshot();
        let meta = self.node.raft().snapshot_meta();
        let (room, kept) = (self.log_room(), self.kept_log_bytes());
        let store = self.node.storage_mut();
        if store.has_housework(room) {
            store.do_housework(room)
        } else if let Some(place) = needless {
            let stored = self.replaced.remove(place);
            store.disk_mut().remove(&snapshot::file_name(stored.meta.last))
        } else if let Some(taking) = &mut self.taking {
            if let Some(stored) = taking.go_on(store.disk_mut())? {
                self.taking = None;
                let a_segment_more = mutated!(self.mutant, CompactionGap);
                self.replaced.extend(store.compact(stored, kept, a_segment_more));
            }
            Ok(())
        } else if must_snapshot && let Some(meta) = meta {
            self.taking = Some(Taking::begin(store.disk_mut(), meta, self.machine.clone())?);
            Ok(())
        } else {
            Ok(())
        }
    }

    /// Whether the log has grown enough for a snapshot, and there is something new to be put into it.
    pub(super) fn must_snapshot(&self) -> bool {
        let raft = self.node.raft();
        let store = raft.storage();
        let (applied, covered) = (
            raft.applied_index(),
            store.snapshot().map_or(Index(0), |meta| meta.last.index),
        );
        self.taking.is_none()
            && applied > covered
            && (store.newly_covered_bytes(applied) >= self.compacts_after() || self.is_asked_for_snapshot())
    }

    /// After how many bytes of needless segments a snapshot is taken: what is written for it is then no more than what was written since.
    fn compacts_after(&self) -> u64 {
        self.snapshot_log_bytes.max(self.machine.bytes())
    }

    /// How many bytes of segments that a snapshot covers stay for followers that are a little behind, beside what is in memory.
    fn kept_log_bytes(&self) -> u64 {
        self.machine.bytes() / 4
    }

    /// How many bytes the files of the log may have together: a node is to stay under four times the state's size and two segments, of which
    /// two snapshots take two (the latest one, and the one that is being taken or arrives). A snapshot is due when `compacts_after` bytes are
    /// needless; beside them there are what stays, a segment that is not filled, one to come, and what rounds up to the next. Where the
    /// state is small there are but two: one that is filled and one to come, and the first becomes the next when a snapshot covers it.
    fn log_room(&self) -> u64 {
        let segment = self.node.raft().storage().segment_bytes();
        let due = self.compacts_after();
        if due <= segment {
            return 2 * segment;
        }
        let kept = self.kept_log_bytes() / segment * segment;
        due.saturating_add(kept + 3 * segment)
    }

    /// A snapshot of what is no more this node's state is not wanted.
    pub(super) fn give_own_snapshot_up(&mut self) -> Result<(), DiskError> {
        match self.taking.take() {
            Some(taking) => taking.give_up(self.node.storage_mut().disk_mut()),
            None => Ok(()),
        }
    }

    /// Begins a snapshot that names the last of `committed` and has the state before them: only a seeded bug does that.
    pub(super) fn snapshot_before_effect(&mut self, committed: &[Entry<Bytes>]) -> Result<(), DiskError> {
        let last = committed.last().map(Entry::position);
        if let (Some(last), Some(meta)) = (last, self.node.raft().snapshot_meta()) {
            let meta = SnapshotMeta { last, ..meta };
            let machine = self.machine.clone();
            let disk = self.node.storage_mut().disk_mut();
            self.taking = Some(Taking::begin(disk, meta, machine)?);
        }
        Ok(())
    }
}
