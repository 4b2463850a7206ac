//! What is in memory of the log: where each entry lies, its term, who takes part, and a bounded tail.

use crate::wal::Location;
use alloc::collections::VecDeque;
use alloc::{format, string::String, sync::Arc, vec::Vec};
use bytes::Bytes;
use raft::{
    Configuration, Entry, EntryData, HardState, Index, LogPosition, SnapshotMeta, StorageError, Term,
};
use wire::record::{Entries, Record};

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
pub(crate) struct Directory {
    pub(crate) hard_state: HardState,
    /// What the log begins behind.
    pub(crate) base: Arc<SnapshotMeta>,
    /// The configurations in the log, by index.
    pub(crate) configurations: Vec<(Index, Arc<Configuration>)>,
    pub(crate) last_index: Index,
    /// The position at which each term begins, by index.
    terms: Vec<LogPosition>,
    /// By index.
    marks: Vec<Mark>,
    /// The number of each segment, and the last index before it.
    starts: VecDeque<(u64, Index)>,
    /// The last entries, by index, within `tail_bytes_max`. Some of the first may be nowhere else any more: see [`Directory::compact`].
    pub(crate) tail: VecDeque<Entry<Bytes>>,
    tail_bytes: usize,
    tail_bytes_max: usize,
}

impl Directory {
    pub(crate) fn new(hard_state: HardState, base: SnapshotMeta, tail_bytes_max: usize) -> Directory {
        Directory {
            hard_state,
            last_index: base.last.index,
            base: Arc::new(base),
            configurations: Vec::new(),
            terms: Vec::new(),
            marks: Vec::new(),
            starts: VecDeque::new(),
            tail: VecDeque::new(),
            tail_bytes: 0,
            tail_bytes_max,
        }
    }

    /// Takes in that the segment `number` begins behind `index`.
    ///
    /// # Errors
    /// The log ends elsewhere, in words.
    pub(crate) fn segment_begins(&mut self, number: u64, index: Index) -> Result<(), String> {
        // Before what is compacted away, the log may have ended and been cut again.
        if index.max(self.base.last.index) != self.last_index {
            return Err(format!(
                "a segment opens behind entry {index}, and the log ends at {}",
                self.last_index
            ));
        }
        self.starts.push_back((number, index));
        Ok(())
    }

    /// Takes in what a write at `location` made of the log. What it says of entries that a snapshot covers is over.
    ///
    /// # Errors
    /// The entries leave a gap, in words.
    pub(crate) fn wrote(
        &mut self,
        hard_state: HardState,
        mut entries: Vec<Entry<Bytes>>,
        location: Location,
    ) -> Result<(), String> {
        self.hard_state = hard_state;
        let Some(first) = entries.first().map(|entry| entry.index) else {
            return Ok(());
        };
        if first == Index(0) || first > self.last_index.next() {
            return Err(format!("entry {first} follows entry {}", self.last_index));
        }
        let first = first.max(self.first_index());
        self.truncate(first);
        entries.retain(|entry| entry.index >= first);
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
        self.shorten_tail();
        Ok(())
    }

    /// A snapshot takes the place of the whole log.
    pub(crate) fn reset(&mut self, hard_state: HardState, base: Arc<SnapshotMeta>) {
        self.hard_state = hard_state;
        self.last_index = base.last.index;
        self.base = base;
        self.configurations.clear();
        self.terms.clear();
        self.marks.clear();
        self.tail.clear();
        self.tail_bytes = 0;
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
    }

    /// Lets the oldest entries go that are too much to be kept in memory.
    fn shorten_tail(&mut self) {
        let begins_behind = self.starts.front().map(|(_, start)| *start);
        let mut forgotten = None;
        while self.tail_bytes > self.tail_bytes_max
            && let Some(oldest) = self.tail.pop_front()
        {
            self.tail_bytes -= oldest.size();
            // It may have been there in memory alone.
            if begins_behind.is_some_and(|start| oldest.index <= start) {
                forgotten = Some(oldest.index);
            }
        }
        if let Some(index) = forgotten {
            self.forget(index);
        }
    }

    pub(crate) fn first_index(&self) -> Index {
        self.base.last.index.next()
    }

    pub(crate) fn term(&self, index: Index) -> Result<Term, StorageError> {
        if index < self.base.last.index {
            Err(StorageError::Compacted)
        } else if index == self.base.last.index {
            Ok(self.base.last.term)
        } else if index > self.last_index {
            Err(StorageError::Unavailable)
        } else {
            let run = self.terms.partition_point(|start| start.index <= index);
            Ok(self.terms[run - 1].term)
        }
    }

    /// Where to begin to look for the entry at `index`, which is in the log.
    pub(crate) fn location(&self, index: Index) -> Location {
        let nearest = self.marks.partition_point(|mark| mark.index <= index);
        self.marks[nearest - 1].location
    }

    /// The place among the segments of the first one that is needed beside a snapshot of everything up to `index`.
    fn first_needed(&self, index: Index) -> usize {
        // The entries behind a segment's start lie in it and in those after it, since entries are only replaced by later ones.
        // One that begins behind the snapshot's last entry itself is not enough: what it says of that entry may have been replaced.
        let covers = |(_, start): &&(u64, Index)| *start < index;
        let covered = self.starts.iter().take_while(covers).count();
        covered.saturating_sub(1)
    }

    /// The number of the first segment that is needed beside a snapshot of everything up to `index`.
    pub(crate) fn needed_beside(&self, index: Index) -> u64 {
        self.starts[self.first_needed(index)].0
    }

    /// The snapshot `meta` covers everything up to its last entry. Of the segments that it covers, `kept` stay, and of the entries those that
    /// are in memory, for followers that are only a little behind. Returns the first segment that stays.
    ///
    /// With `a_segment_more` something is missing behind the snapshot: only a seeded bug asks for that.
    pub(crate) fn compact(&mut self, meta: &Arc<SnapshotMeta>, kept: usize, a_segment_more: bool) -> u64 {
        let needed = self.first_needed(meta.last.index);
        let keep_from = if a_segment_more {
            (needed + 1).min(self.starts.len() - 1)
        } else {
            needed.saturating_sub(kept)
        };
        let (segment, start) = self.starts[keep_from];
        self.starts.drain(..keep_from);
        let oldest = self.tail.front().map_or(start, |oldest| oldest.index.previous());
        let forgotten = if a_segment_more { start } else { start.min(oldest) };
        self.forget(forgotten);
        segment
    }

    /// Forgets everything up to `index`, which a snapshot covers.
    fn forget(&mut self, index: Index) {
        if index <= self.base.last.index {
            return;
        }
        if let Ok(term) = self.term(index) {
            let in_force = self.configurations.iter().rev().find(|(at, _)| *at <= index);
            let configuration = in_force.map_or(&self.base.configuration, |(_, configuration)| configuration);
            self.begin_behind(Arc::new(SnapshotMeta {
                last: LogPosition { term, index },
                configuration: configuration.clone(),
            }));
        }
    }

    /// Forgets everything up to the last entry of `base`, which is committed.
    pub(crate) fn begin_behind(&mut self, base: Arc<SnapshotMeta>) {
        let index = base.last.index;
        self.base = base;
        self.configurations.retain(|(at, _)| *at > index);
        let first = index.next();
        let run = self.terms.partition_point(|start| start.index <= first);
        self.terms.drain(..run.saturating_sub(1));
        let mark = self.marks.partition_point(|mark| mark.index <= first);
        self.marks.drain(..mark.saturating_sub(1));
        while let Some(entry) = self.tail.pop_front_if(|entry| entry.index <= index) {
            self.tail_bytes -= entry.size();
        }
    }

    /// What a new segment has to begin with.
    pub(crate) fn open_record(&self) -> Record<Entries<'static>> {
        let term = self.term(self.last_index);
        let configuration = self.configurations.last().map(|(_, configuration)| configuration);
        let behind = SnapshotMeta {
            last: LogPosition {
                term: term.expect("a log knows the term of its last entry"),
                index: self.last_index,
            },
            configuration: configuration.unwrap_or(&self.base.configuration).clone(),
        };
        Record::Open {
            hard_state: self.hard_state.into(),
            behind: (&behind).into(),
        }
    }
}
