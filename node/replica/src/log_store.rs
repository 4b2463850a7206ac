//! The core's [`Storage`] over the write-ahead log: where each entry lies, its term, and a bounded tail in memory.

use crate::disk::{Disk, DiskError};
use crate::recover::{self, OpenError};
use crate::wal::{Location, Wal};
use alloc::collections::VecDeque;
use alloc::{format, string::String, string::ToString, sync::Arc, vec::Vec};
use bytes::Bytes;
use core::cell::RefCell;
use core::ops::Range;
use raft::{
    Configuration, Entry, EntryData, HardState, Index, InitialState, LogPosition, NodeId, SnapshotMeta,
    Storage, StorageError, Term,
};
use wire::DecodeError;
use wire::record::{self, Record};

/// How many bytes of the log lie between two marks, at least: what a look-up may have to read too much.
const MARK_BYTES: u64 = 64 << 10;

/// Where an entry can be found: at or behind this place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark {
    index: Index,
    location: Location,
}

/// What is in memory of the log. Terms are kept as runs: elections are rare, so that is little.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Directory {
    hard_state: HardState,
    /// What the log begins behind.
    base: Arc<SnapshotMeta>,
    /// The configurations in the log, by index.
    configurations: Vec<(Index, Arc<Configuration>)>,
    last_index: Index,
    /// The position at which each term begins, by index.
    terms: Vec<LogPosition>,
    /// By index.
    marks: Vec<Mark>,
    /// The last entries, by index, within `tail_bytes_max`.
    tail: VecDeque<Entry<Bytes>>,
    tail_bytes: usize,
    tail_bytes_max: usize,
}

impl Directory {
    fn new(hard_state: HardState, base: SnapshotMeta, tail_bytes_max: usize) -> Directory {
        Directory {
            hard_state,
            last_index: base.last.index,
            base: Arc::new(base),
            configurations: Vec::new(),
            terms: Vec::new(),
            marks: Vec::new(),
            tail: VecDeque::new(),
            tail_bytes: 0,
            tail_bytes_max,
        }
    }

    /// Takes in what a write at `location` made of the log.
    ///
    /// # Errors
    /// The entries leave a gap, in words.
    fn wrote(
        &mut self,
        hard_state: HardState,
        entries: Vec<Entry<Bytes>>,
        location: Location,
    ) -> Result<(), String> {
        self.hard_state = hard_state;
        let Some(first) = entries.first().map(|entry| entry.index) else {
            return Ok(());
        };
        if first == Index(0) || first > self.last_index.next() {
            return Err(format!("entry {first} follows entry {}", self.last_index));
        }
        self.truncate(first);
        let far_enough = self.marks.last().is_none_or(|mark| {
            mark.location.segment != location.segment || location.offset - mark.location.offset >= MARK_BYTES
        });
        if far_enough {
            self.marks.push(Mark {
                index: first,
                location,
            });
        }
        for entry in entries {
            self.push(entry);
        }
        Ok(())
    }

    fn truncate(&mut self, from: Index) {
        if from > self.last_index {
            return;
        }
        self.last_index = from.previous();
        self.configurations
            .truncate(self.configurations.partition_point(|(index, _)| *index < from));
        self.terms
            .truncate(self.terms.partition_point(|start| start.index < from));
        self.marks
            .truncate(self.marks.partition_point(|mark| mark.index < from));
        while let Some(entry) = self.tail.pop_back_if(|entry| entry.index >= from) {
            self.tail_bytes -= entry.size();
        }
    }

    fn push(&mut self, entry: Entry<Bytes>) {
        self.last_index = entry.index;
        if self.terms.last().is_none_or(|start| start.term != entry.term) {
            self.terms.push(entry.position());
        }
        if let EntryData::Configuration(configuration) = &entry.data {
            self.configurations.push((entry.index, configuration.clone()));
        }
        self.tail_bytes += entry.size();
        self.tail.push_back(entry);
        while self.tail_bytes > self.tail_bytes_max {
            let Some(oldest) = self.tail.pop_front() else {
                break;
            };
            self.tail_bytes -= oldest.size();
        }
    }

    fn term(&self, index: Index) -> Result<Term, StorageError> {
        if index == Index(0) {
            Ok(Term(0))
        } else if index > self.last_index {
            Err(StorageError::Unavailable)
        } else {
            let run = self.terms.partition_point(|start| start.index <= index);
            Ok(self.terms[run - 1].term)
        }
    }

    /// What a new segment has to begin with.
    fn open_record(&self) -> Record {
        Record::Open {
            hard_state: self.hard_state.into(),
            base: (&*self.base).into(),
            next_index: self.last_index.next().0,
        }
    }
}

/// The log of a node: durable through a [`Disk`], and read by the core.
#[derive(Debug)]
pub struct LogStore<D> {
    wal: Wal<D>,
    directory: Directory,
    /// A read that failed: the core is told that the entries are not at hand, and whoever drives it stops the node.
    failure: RefCell<Option<DiskError>>,
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
        let directory = Directory::new(HardState::default(), base, tail_bytes_max);
        let wal = Wal::create(disk, segment_bytes, secret, &directory.open_record())?;
        Ok(LogStore {
            wal,
            directory,
            failure: RefCell::new(None),
        })
    }

    /// Opens the log that is there, or gives the disk back if there is none, which is allowed only where
    /// its secret is not known.
    pub(crate) fn open(
        disk: D,
        segment_bytes: u64,
        tail_bytes_max: usize,
        secret: Option<u64>,
    ) -> Result<Result<Self, D>, OpenError> {
        let mut directory: Option<Directory> = None;
        let visit = |record, location| match (record, &mut directory) {
            (
                Record::Open {
                    hard_state,
                    base,
                    next_index: 1,
                },
                directory @ None,
            ) => {
                let base = base.try_into().map_err(|error: DecodeError| error.to_string())?;
                *directory = Some(Directory::new(hard_state.into(), base, tail_bytes_max));
                Ok(())
            }
            (Record::Open { next_index, .. }, Some(directory))
                if next_index == directory.last_index.next().0 =>
            {
                Ok(())
            }
            (Record::Open { next_index, .. }, _) => Err(format!(
                "a segment opens at entry {next_index}, and the entries before it are missing"
            )),
            (
                Record::Write {
                    hard_state,
                    first_index,
                    entries,
                    ..
                },
                Some(directory),
            ) => {
                let entries = core_entries(first_index, entries).map_err(|error| error.to_string())?;
                directory.wrote(hard_state.into(), entries, location)
            }
            (Record::Write { .. }, None) => Err(String::from("a segment opens without its state")),
        };
        let (disk, wal) = recover::open(disk, segment_bytes, secret, visit)?;
        Ok(match (wal, directory) {
            (Some(wal), Some(directory)) => {
                let Wal {
                    segments,
                    link,
                    segment_bytes,
                    secret,
                    ..
                } = wal;
                let wal = Wal {
                    disk,
                    segments,
                    link,
                    segment_bytes,
                    secret,
                };
                Ok(LogStore {
                    wal,
                    directory,
                    failure: RefCell::new(None),
                })
            }
            _ => Err(disk),
        })
    }

    /// The voters that the cluster began with.
    pub(crate) fn first_voters(&self) -> &[NodeId] {
        self.directory.base.configuration.voters()
    }

    /// Whether nothing was ever written but the beginning.
    pub(crate) fn is_blank(&self) -> bool {
        self.directory.last_index == Index(0) && self.directory.hard_state == HardState::default()
    }

    /// Writes what the core asked for. It is durable after [`LogStore::sync`].
    pub(crate) fn write(&mut self, write: &raft::Write<Bytes>) -> Result<(), DiskError> {
        let first_index = write
            .entries
            .first()
            .map_or(self.directory.last_index.next(), |entry| entry.index);
        let to_record = |entry: &Entry<Bytes>| record::Entry {
            term: entry.term.0,
            data: entry.data.clone().into(),
        };
        let record = Record::Write {
            hard_state: write.hard_state.into(),
            snapshot: None,
            first_index: first_index.0,
            entries: write.entries.iter().map(to_record).collect(),
        };
        let directory = &self.directory;
        let location = self.wal.append(&record, || directory.open_record())?;
        let taken_in = self
            .directory
            .wrote(write.hard_state, write.entries.clone(), location);
        taken_in.unwrap_or_else(|gap| panic!("the core wrote entries out of order: {gap}"));
        Ok(())
    }

    /// Makes what was written durable.
    pub(crate) fn sync(&mut self) -> Result<(), DiskError> {
        self.wal.sync()
    }

    /// A read that failed since the last time.
    pub(crate) fn take_failure(&mut self) -> Option<DiskError> {
        self.failure.get_mut().take()
    }

    /// The disk, for the files beside the log.
    pub(crate) fn disk_mut(&mut self) -> &mut D {
        &mut self.wal.disk
    }

    /// The disk, when the node is gone.
    pub(crate) fn into_disk(self) -> D {
        self.wal.disk
    }

    /// The entries of `range` from the disk. Batches are read forwards from the nearest mark; of several entries that were
    /// written at one index, the one with the right term is the right one (Raft §5.3, log matching).
    fn read(&self, range: &Range<Index>, bytes_max: usize) -> Result<Vec<Entry<Bytes>>, DiskError> {
        let marks = &self.directory.marks;
        let nearest = marks.partition_point(|mark| mark.index <= range.start);
        let mut location = marks[nearest - 1].location;
        let mut found: Vec<Entry<Bytes>> = Vec::new();
        let mut bytes = 0;
        while let Some((record, next)) = self.wal.read(location)? {
            location = next;
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
                    return Ok(found);
                }
                found.push(entry);
                if range.start.plus(found.len()) == range.end {
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

fn core_entries(first_index: u64, entries: Vec<record::Entry>) -> Result<Vec<Entry<Bytes>>, DecodeError> {
    let first = Index(first_index);
    let core_entry = |(place, entry): (usize, record::Entry)| {
        Ok(Entry {
            term: Term(entry.term),
            index: first.plus(place),
            data: entry.data.try_into()?,
        })
    };
    entries.into_iter().enumerate().map(core_entry).collect()
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
        Index(1)
    }

    fn last_index(&self) -> Index {
        self.directory.last_index
    }

    fn term(&self, index: Index) -> Result<Term, StorageError> {
        self.directory.term(index)
    }

    fn snapshot(&self) -> Option<Arc<SnapshotMeta>> {
        None
    }

    fn entries(&self, range: Range<Index>, bytes_max: usize) -> Result<Vec<Entry<Bytes>>, StorageError> {
        if range.start == Index(0) {
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
