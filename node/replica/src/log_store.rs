//! The core's [`Storage`] over the write-ahead log and the latest snapshot.

use crate::directory::Directory;
use crate::disk::{Disk, DiskError};
use crate::recover::{self, Conflict, OpenError, Tear};
use crate::replay::{Replay, core_entries};
use crate::snapshot::Stored;
use crate::wal::{Durability, Location, Reader, Unsealed, Wal};
use alloc::{format, string::String, string::ToString, sync::Arc, vec::Vec};
use bytes::Bytes;
use core::cell::RefCell;
use core::ops::Range;
use raft::{Entry, HardState, Index, InitialState, NodeId, SnapshotMeta, Storage, StorageError, Term};
use wire::record::{Entries, Record};

/// The log of a node: durable through a [`Disk`], and read by the core.
#[derive(Debug)]
pub struct LogStore<D> {
    wal: Wal<D>,
    directory: Directory,
    snapshot: Option<Stored>,
    /// Whether that was found to be damaged: it is no good to anybody then.
    is_snapshot_damaged: bool,
    /// What was begun to be written and is no part of the log yet.
    begun: Option<Begun>,
    reader: RefCell<Reader>,
    /// A read that failed: the core is told that the entries are not at hand, and whoever drives it stops the node.
    failure: RefCell<Option<DiskError>>,
}

/// A write that is on its way to the disk.
#[derive(Debug)]
struct Begun {
    hard_state: HardState,
    entries: Vec<Entry<Bytes>>,
    location: Location,
}

impl<D: Disk> LogStore<D> {
    /// Begins a log behind `base`.
    pub(crate) fn create(
        disk: D,
        base: SnapshotMeta,
        segment_bytes: u64,
        tail_bytes_max: usize,
        secret: u64,
    ) -> Result<Self, DiskError> {
        let begins_behind = base.last.index;
        let mut directory = Directory::new(HardState::default(), base, tail_bytes_max);
        let wal = Wal::create(disk, segment_bytes, secret, &directory.open_record())?;
        let begun = directory.segment_begins(wal.last_number(), begins_behind);
        begun.expect("the log ends where it begins");
        Ok(LogStore {
            wal,
            directory,
            snapshot: None,
            is_snapshot_damaged: false,
            begun: None,
            reader: RefCell::default(),
            failure: RefCell::new(None),
        })
    }

    /// Opens the log that is there behind the latest snapshot, or gives the disk back if there is none, which is allowed only where
    /// its secret is not known.
    pub(crate) fn open(
        disk: D,
        segment_bytes: u64,
        tail_bytes_max: usize,
        secret: Option<u64>,
        snapshot: Option<Stored>,
        (tear, conflict): (Tear, Conflict),
    ) -> Result<Result<Self, D>, OpenError> {
        let covered = snapshot
            .as_ref()
            .map_or(Index(0), |snapshot| snapshot.meta.last.index);
        let mut replay = Replay::beside(covered, tail_bytes_max);
        let (disk, wal) = recover::open(disk, segment_bytes, secret, tear, &mut replay)?;
        let (Some(wal), Some(directory)) = (wal, replay.into_directory()) else {
            return Ok(Err(disk));
        };
        let mut store = LogStore {
            wal: wal.with(disk),
            directory,
            snapshot: None,
            is_snapshot_damaged: false,
            begun: None,
            reader: RefCell::default(),
            failure: RefCell::new(None),
        };
        if let Some(snapshot) = snapshot {
            store.begin_behind(snapshot, conflict)?;
        }
        Ok(Ok(store))
    }

    /// Lets the log begin behind the snapshot that was found. One that came from the leader may not be in the log: the crash came before
    /// that was written. It counts all the same, and nothing of the log does (bug zoo, *snapshot-keeps-tail*).
    fn begin_behind(&mut self, snapshot: Stored, conflict: Conflict) -> Result<(), DiskError> {
        let last = snapshot.meta.last;
        let found = self.directory.term(last.index);
        if found == Ok(last.term) || (conflict == Conflict::Keep && found.is_ok()) {
            self.directory.begin_behind(snapshot.meta.clone());
            self.release_beside(&snapshot, 0, false);
            self.snapshot = Some(snapshot);
            return Ok(());
        }
        // The snapshot takes the place of entries, not of the vote (bug zoo, *install-forgets-vote*).
        let (term, vote) = match conflict {
            Conflict::Keep | Conflict::Replace => {
                (self.directory.hard_state.term, self.directory.hard_state.vote)
            }
            Conflict::Forget => (Term(0), None),
        };
        let hard_state = HardState {
            term: term.max(last.term),
            // A vote of an older term is no vote.
            vote: vote.filter(|_| term >= last.term),
            commit: last.index,
        };
        let batch = installation(&snapshot, hard_state, &[]);
        self.install(snapshot, hard_state, &[], batch, Durability::Synced)
    }

    /// Writes `batch`: that a snapshot, which is whole, takes the place of the log, and what the core asked for with it, durably.
    fn install(
        &mut self,
        snapshot: Stored,
        hard_state: HardState,
        entries: &[Entry<Bytes>],
        batch: Unsealed,
        durability: Durability,
    ) -> Result<(), DiskError> {
        // What it covers is needed no more, whether that is in the log yet or not, and may become the segment in which that is written.
        self.release_beside(&snapshot, 0, false);
        let location = self.append(batch, durability)?;
        self.directory.reset(hard_state, snapshot.meta.clone());
        let taken_in = self.directory.wrote(hard_state, entries.to_vec(), location);
        taken_in.unwrap_or_else(|gap| panic!("the core wrote entries out of order: {gap}"));
        self.release_beside(&snapshot, 0, false);
        self.snapshot = Some(snapshot);
        self.is_snapshot_damaged = false;
        Ok(())
    }

    /// Beside `snapshot`, which is whole, only as many of the segments that it covers are needed as have `kept_bytes` together.
    fn release_beside(&mut self, snapshot: &Stored, kept_bytes: u64, a_segment_more: bool) {
        let needed = self.directory.needed_beside(snapshot.meta.last.index);
        let kept = self.wal.last_within(needed, kept_bytes);
        let needed = self.directory.compact(&snapshot.meta, kept, a_segment_more);
        self.wal.release_before(needed);
    }

    fn append(&mut self, batch: Unsealed, durability: Durability) -> Result<Location, DiskError> {
        assert!(
            self.begun.is_none(),
            "a batch was to be written while the one before it was on its way"
        );
        let (before, end) = (self.wal.last_number(), self.directory.last_index);
        let directory = &self.directory;
        let location = self.wal.append(batch, durability, || directory.open_record())?;
        if location.segment != before {
            let begun = self.directory.segment_begins(location.segment, end);
            begun.expect("a segment begins where the log ends");
        }
        Ok(location)
    }

    /// The latest snapshot, if it is `damaged`, is to be used no more.
    pub(crate) fn snapshot_is_damaged(&mut self, damaged: &Stored) {
        self.is_snapshot_damaged |= self
            .snapshot
            .as_ref()
            .is_some_and(|latest| latest.file == damaged.file);
    }

    /// Whether the latest snapshot was found to be damaged.
    pub(crate) fn is_snapshot_damaged(&self) -> bool {
        self.is_snapshot_damaged
    }

    /// The latest snapshot, damaged or not.
    pub(crate) fn stored_snapshot(&self) -> Option<&Stored> {
        self.snapshot.as_ref()
    }

    /// A snapshot of this node's own state is whole: what it covers is needed no more, but for as many segments as have `kept_bytes`
    /// together. Gives back the snapshot before it.
    ///
    /// With `a_segment_more` something is missing behind it: only a seeded bug asks for that.
    pub(crate) fn compact(
        &mut self,
        snapshot: Stored,
        kept_bytes: u64,
        a_segment_more: bool,
    ) -> Option<Stored> {
        self.release_beside(&snapshot, kept_bytes, a_segment_more);
        self.is_snapshot_damaged = false;
        self.snapshot.replace(snapshot)
    }

    /// How many bytes of segments a snapshot of everything up to `index` would make needless that the latest one does not.
    pub(crate) fn newly_covered_bytes(&self, index: Index) -> u64 {
        let covered = |index| self.wal.bytes_before(self.directory.needed_beside(index));
        let already = self
            .snapshot
            .as_ref()
            .map_or(0, |stored| covered(stored.meta.last.index));
        covered(index).saturating_sub(already)
    }

    /// The number of the first segment that is needed beside a snapshot of everything up to `index`.
    pub(crate) fn needed_beside(&self, index: Index) -> u64 {
        self.directory.needed_beside(index)
    }

    /// The log's files, to keep house.
    pub(crate) fn wal(&self) -> &Wal<D> {
        &self.wal
    }

    /// The log's files, to keep house.
    pub(crate) fn wal_mut(&mut self) -> &mut Wal<D> {
        &mut self.wal
    }

    /// The voters that the cluster began with.
    pub(crate) fn first_voters(&self) -> &[NodeId] {
        self.directory.base.configuration.voters()
    }

    /// Whether the log goes back to the cluster's beginning.
    pub(crate) fn is_whole(&self) -> bool {
        self.directory.base.last.index == Index(0)
    }

    /// Whether nothing was ever written but the beginning.
    pub(crate) fn is_blank(&self) -> bool {
        self.directory.last_index == Index(0) && self.directory.hard_state == HardState::default()
    }

    /// Writes the vote that the core asked for with the term that was written before, durably: only a seeded bug does that.
    pub(crate) fn write_vote_alone(&mut self, write: &raft::Write<Bytes>) -> Result<(), DiskError> {
        let before = self.directory.hard_state;
        if write.hard_state.vote == before.vote {
            return Ok(());
        }
        let torn = raft::Write {
            hard_state: HardState {
                vote: write.hard_state.vote,
                ..before
            },
            snapshot: None,
            entries: Vec::new(),
            ..*write
        };
        let batch = self.batch(&torn, None);
        self.write(torn, batch, None, Durability::Synced)
    }

    /// What [`LogStore::write`] is to write; `arrived` is the snapshot in it, whole.
    pub(crate) fn batch(&self, write: &raft::Write<Bytes>, arrived: Option<&Stored>) -> Unsealed {
        if let Some(snapshot) = arrived {
            return installation(snapshot, write.hard_state, &write.entries);
        }
        let first_index = write
            .entries
            .first()
            .map_or(self.directory.last_index.next(), |entry| entry.index);
        Unsealed::new(&Record::Write {
            hard_state: write.hard_state.into(),
            snapshot: None,
            first_index: first_index.0,
            entries: Entries(&write.entries),
        })
    }

    /// The size of the segment that has to be begun for the batch; `None` where it fits into the last one.
    pub(crate) fn segment_begun_by(&self, batch: &Unsealed) -> Option<u64> {
        self.wal.segment_begun_by(batch, || self.directory.open_record())
    }

    /// Writes what the core asked for, as its batch has it, durably; `arrived` is the snapshot in it, whole.
    pub(crate) fn write(
        &mut self,
        write: raft::Write<Bytes>,
        batch: Unsealed,
        arrived: Option<Stored>,
        durability: Durability,
    ) -> Result<(), DiskError> {
        if let Some(snapshot) = arrived {
            return self.install(snapshot, write.hard_state, &write.entries, batch, durability);
        }
        let location = self.append(batch, durability)?;
        self.begun = Some(Begun {
            hard_state: write.hard_state,
            entries: write.entries,
            location,
        });
        match durability {
            Durability::Synced | Durability::Unsynced => self.take_begun(),
            Durability::Begun(_) => {}
        }
        Ok(())
    }

    /// Whether nothing is on its way to the disk any more: what was begun is part of the log then.
    ///
    /// # Errors
    /// It could not be written.
    pub(crate) fn finish_write(&mut self) -> Result<bool, DiskError> {
        let is_over = self.wal.disk.is_written()?;
        if is_over {
            self.take_begun();
        }
        Ok(is_over)
    }

    /// What was begun is durable: the core may see it.
    pub(crate) fn take_begun(&mut self) {
        if let Some(Begun {
            hard_state,
            entries,
            location,
        }) = self.begun.take()
        {
            let taken_in = self.directory.wrote(hard_state, entries, location);
            taken_in.unwrap_or_else(|gap| panic!("the core wrote entries out of order: {gap}"));
        }
    }

    /// A read that failed since the last time.
    pub(crate) fn take_failure(&mut self) -> Option<DiskError> {
        self.failure.get_mut().take()
    }

    /// The disk, for the files beside the log.
    pub(crate) fn disk_mut(&mut self) -> &mut D {
        &mut self.wal.disk
    }

    /// The disk, to read from.
    pub(crate) fn disk(&self) -> &D {
        &self.wal.disk
    }

    /// The disk, when the node is gone.
    pub(crate) fn into_disk(self) -> D {
        self.wal.disk
    }

    /// The entries of `range` from the disk. Batches are read forwards from the nearest mark; of several entries that were
    /// written at one index, the one with the right term is the right one (Raft §5.3, log matching).
    fn read(&self, range: &Range<Index>, bytes_max: usize) -> Result<Vec<Entry<Bytes>>, DiskError> {
        let mut reader = self.reader.borrow_mut();
        // What is on its way to the disk may lie there in part.
        let end = self.begun.as_ref().map_or(self.wal.end(), |begun| begun.location);
        let mut next = reader.begin_at(range.start, self.directory.location(range.start));
        let mut found: Vec<Entry<Bytes>> = Vec::new();
        let mut bytes = 0;
        while let Some((record, behind)) = reader.read(&self.wal, next, end)? {
            let location = core::mem::replace(&mut next, behind);
            let Record::Write {
                first_index, entries, ..
            } = record
            else {
                continue;
            };
            let entries = core_entries(first_index, entries).map_err(|error| DiskError {
                operation: "read",
                file: String::from("the log"),
                reason: error.to_string(),
            })?;
            for entry in entries {
                let wanted = range.start.plus(found.len());
                if entry.index != wanted || self.directory.term(wanted) != Ok(entry.term) {
                    continue;
                }
                bytes += entry.size();
                if bytes > bytes_max && !found.is_empty() {
                    reader.stopped_before(wanted, location);
                    return Ok(found);
                }
                found.push(entry);
                if wanted.next() == range.end {
                    reader.stopped_before(range.end, location);
                    return Ok(found);
                }
            }
        }
        Err(DiskError {
            operation: "read",
            file: String::from("the log"),
            reason: format!(
                "it should hold entries up to {}, and {} is missing",
                range.end,
                range.start.plus(found.len())
            ),
        })
    }
}

/// That a snapshot takes the place of the log.
fn installation(snapshot: &Stored, hard_state: HardState, entries: &[Entry<Bytes>]) -> Unsealed {
    Unsealed::new(&Record::Write {
        hard_state: hard_state.into(),
        snapshot: Some((&*snapshot.meta).into()),
        first_index: snapshot.meta.last.index.next().0,
        entries: Entries(entries),
    })
}

impl<D: Disk> Storage for LogStore<D> {
    type Command = Bytes;

    fn initial_state(&self) -> InitialState {
        let Directory {
            hard_state,
            base,
            configurations,
            ..
        } = &self.directory;
        let begins_with = (base.last.index, base.configuration.clone());
        InitialState {
            hard_state: *hard_state,
            configurations: core::iter::once(begins_with)
                .chain(configurations.iter().cloned())
                .collect(),
        }
    }

    fn first_index(&self) -> Index {
        self.directory.first_index()
    }

    fn last_index(&self) -> Index {
        self.directory.last_index
    }

    fn term(&self, index: Index) -> Result<Term, StorageError> {
        self.directory.term(index)
    }

    fn snapshot(&self) -> Option<Arc<SnapshotMeta>> {
        let usable = self.snapshot.as_ref().filter(|_| !self.is_snapshot_damaged);
        usable.map(|snapshot| snapshot.meta.clone())
    }

    fn entries(&self, range: Range<Index>, bytes_max: usize) -> Result<Vec<Entry<Bytes>>, StorageError> {
        if range.start < self.directory.first_index() {
            return Err(StorageError::Compacted);
        }
        if range.end > self.directory.last_index.next() {
            return Err(StorageError::Unavailable);
        }
        if range.is_empty() {
            return Ok(Vec::new());
        }
        match self.directory.tail.front() {
            Some(oldest) if oldest.index <= range.start => {
                let from = range.start.since(oldest.index);
                let mut bytes = 0;
                let fits = |entry: &&Entry<Bytes>| {
                    let first = bytes == 0;
                    bytes += entry.size();
                    first || bytes <= bytes_max
                };
                let wanted = self.directory.tail.range(from..range.end.since(oldest.index));
                Ok(wanted.take_while(fits).cloned().collect())
            }
            _ => self.read(&range, bytes_max).map_err(|error| {
                self.failure.replace(Some(error));
                StorageError::TemporarilyUnavailable
            }),
        }
    }
}
