//! Housework: what nobody waits for, in steps that are no longer than one write and its sync. Snapshots of this node's own state are taken,
//! the log is compacted behind them, and what they replace is removed.

use super::Replica;
use crate::disk::{Disk, DiskError};
use crate::mutant::mutated;
use crate::snapshot::{self, Stored, Taking};
use crate::transfer::Incoming;
use bytes::Bytes;
use raft::{Entry, Index, Logger, SnapshotMeta, Storage as _};

impl<D: Disk, L: Logger> Replica<D, L> {
    /// Whether there is something to do that nobody waits for.
    pub(super) fn has_housework(&self) -> bool {
        let wal = self.node.raft().storage().wal();
        let needless = |stored: &Stored| !self.carrier.carries(stored.file);
        self.taking.is_some()
            || wal.has_housework(self.log_room())
            || self.replaced.iter().any(needless)
            || self.is_incoming_needless()
            || self.must_snapshot()
    }

    /// Does one step of it: what waits for its turn meanwhile, waits no longer than for one write and its sync. Where that would not be enough,
    /// since much is written to the log, it does more.
    pub(super) fn do_housework(&mut self) -> Result<(), DiskError> {
        self.do_a_step()?;
        while self.node.raft().storage().wal().is_late() {
            self.node.storage_mut().wal_mut().prepare()?;
        }
        while self.is_snapshot_late() {
            self.go_on_taking()?;
        }
        Ok(())
    }

    fn do_a_step(&mut self) -> Result<(), DiskError> {
        let room = self.log_room();
        let needless = |stored: &Stored| !self.carrier.carries(stored.file);
        let needless = self.replaced.iter().position(needless);
        if self.node.raft().storage().wal().has_housework(room) {
            self.node.storage_mut().wal_mut().do_housework(room)
        } else if let Some(place) = needless {
            self.remove_replaced(place)
        } else if self.is_incoming_needless() {
            self.give_incoming_up()
        } else if self.taking.is_some() {
            self.go_on_taking()
        } else if self.must_snapshot() {
            self.begin_taking()
        } else {
            Ok(())
        }
    }

    /// Before a segment of so many bytes is begun: where there is no room for it, a snapshot is finished at once, or taken, if that makes
    /// a segment needless. What is not applied can't be covered by any: that has room as it needs it.
    pub(super) fn make_room(&mut self, segment_bytes: u64) -> Result<(), DiskError> {
        while self
            .node
            .raft()
            .storage()
            .wal()
            .lacks_room(segment_bytes, self.log_room())
        {
            if self.node.storage_mut().wal_mut().make_way(segment_bytes)? {
                continue;
            }
            if self.taking.is_none() && self.newly_covered_bytes() > 0 {
                self.give_incoming_up()?;
                self.begin_taking()?;
            }
            if self.taking.is_none() {
                break;
            }
            self.go_on_taking()?;
        }
        Ok(())
    }

    fn is_snapshot_late(&self) -> bool {
        let left = || self.node.raft().storage().wal().left(self.log_room());
        self.taking.as_ref().is_some_and(|taking| taking.is_late(left()))
    }

    /// Begins a snapshot of what is applied. There are two at a time at most, the latest one and that which is taken: what is sent of
    /// an earlier one is given up, for the log does not go on behind that any more, or is about not to.
    fn begin_taking(&mut self) -> Result<(), DiskError> {
        let Some(meta) = self.node.raft().snapshot_meta() else {
            return Ok(());
        };
        let latest = self.node.raft().storage().stored_snapshot();
        self.carrier.give_up_earlier(latest.map(|stored| stored.file));
        while !self.replaced.is_empty() {
            self.remove_replaced(0)?;
        }
        let left = self.node.raft().storage().wal().left(self.log_room());
        let disk = self.node.storage_mut().disk_mut();
        self.taking = Some(Taking::begin(disk, meta, self.machine.clone(), left)?);
        Ok(())
    }

    /// Writes one more part of the snapshot that is being taken; when it is whole, what it covers is needed no more.
    fn go_on_taking(&mut self) -> Result<(), DiskError> {
        let kept = self.kept_log_bytes();
        let store = self.node.storage_mut();
        let latest = store.stored_snapshot().map(|stored| stored.meta.last);
        if let Some(taking) = &mut self.taking
            && let Some(stored) = taking.go_on(store.disk_mut(), latest)?
        {
            self.taking = None;
            let a_segment_more = mutated!(self.mutant, CompactionGap);
            let last = stored.meta.last;
            let before = store.compact(stored, kept, a_segment_more);
            // One of the same state has given way already.
            self.replaced
                .extend(before.filter(|before| before.meta.last != last));
        }
        Ok(())
    }

    /// Removes one of the snapshots that a later one has replaced.
    fn remove_replaced(&mut self, place: usize) -> Result<(), DiskError> {
        let stored = self.replaced.remove(place);
        let disk = self.node.storage_mut().disk_mut();
        disk.remove(&snapshot::file_name(stored.meta.last))
    }

    /// Whether this node has by now what a snapshot would bring that arrives.
    fn is_incoming_needless(&self) -> bool {
        let raft = self.node.raft();
        let meta = self.incoming.as_ref().and_then(Incoming::meta);
        meta.is_some_and(|meta| !raft.lacks(raft.term(), meta))
    }

    fn give_incoming_up(&mut self) -> Result<(), DiskError> {
        match self.incoming.take() {
            Some(incoming) => incoming.discard(self.node.storage_mut().disk_mut()),
            None => Ok(()),
        }
    }

    /// Whether the log has grown enough for a snapshot, and there is something new to be put into it. One that arrives from the leader has
    /// all that there is to be put into one of this node's own.
    pub(super) fn must_snapshot(&self) -> bool {
        let raft = self.node.raft();
        let (applied, covered) = (
            raft.applied_index(),
            raft.storage().snapshot().map_or(Index(0), |meta| meta.last.index),
        );
        self.taking.is_none()
            && self.incoming.is_none()
            && applied > covered
            && (self.newly_covered_bytes() >= self.compacts_after()
                || self.is_asked_for_snapshot()
                || raft.storage().is_snapshot_damaged())
    }

    /// How many bytes of segments a snapshot that is taken now would make needless.
    fn newly_covered_bytes(&self) -> u64 {
        let raft = self.node.raft();
        raft.storage().newly_covered_bytes(raft.applied_index())
    }

    /// After how many bytes of needless segments a snapshot is taken: what is written for it is then no more than what was written since.
    fn compacts_after(&self) -> u64 {
        self.snapshot_log_bytes.max(self.machine.bytes())
    }

    /// How many bytes of segments that a snapshot covers stay for followers that are a little behind, beside what is in memory.
    fn kept_log_bytes(&self) -> u64 {
        self.machine.bytes() / 4
    }

    /// How many bytes the files of the log may have together, a segment to come among them: a node is to stay under four times the state's
    /// size and two segments, of which two snapshots take two, the latest one and the one that is being taken or arrives.
    ///
    /// That is enough. Where the state is small, there are two segments: one that is filled and one to come, and the first becomes the next when
    /// a snapshot covers it, which has the time in which the other is filled. Where it is large, a snapshot is due when `compacts_after` bytes
    /// are needless; beside them there are what stays, what rounds up to whole segments and the one that is being filled, and three quarters
    /// of the state's size is left for what is written until the snapshot is whole. Only where an operator wants fewer snapshots, there
    /// is more.
    pub(super) fn log_room(&self) -> u64 {
        let segment = self.node.raft().storage().wal().segment_bytes;
        let state = self.state_bytes();
        let room = 2 * segment + 2 * state;
        if self.snapshot_log_bytes <= segment.max(state) {
            return room;
        }
        let kept = self.kept_log_bytes() / segment * segment;
        room.max(self.snapshot_log_bytes.saturating_add(kept + 3 * segment))
    }

    /// How many bytes the files of the log have, and up to how many they may grow: a check for those who drive nodes to look for bugs. What is
    /// not applied has as much room as it needs, for no snapshot can cover it, and so have batches that don't fit into a usual segment.
    /// When that is applied, or the state becomes smaller, there may be less room than is taken, until the next snapshot is whole.
    pub fn log_space(&self) -> (u64, u64) {
        let raft = self.node.raft();
        let (wal, needed) = (
            raft.storage().wal(),
            raft.storage().needed_beside(raft.applied_index()),
        );
        let most = self.log_room().saturating_add(wal.unforeseen_bytes(needed));
        (wal.file_bytes(), most)
    }

    /// How many bytes the state has, as it is or as it was last written down, whichever is more.
    fn state_bytes(&self) -> u64 {
        let stored = self.node.raft().storage().stored_snapshot();
        self.machine.bytes().max(stored.map_or(0, |stored| stored.bytes))
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
            self.taking = Some(Taking::begin(disk, meta, machine, u64::MAX)?);
        }
        Ok(())
    }
}
