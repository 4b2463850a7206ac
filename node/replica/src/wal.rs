//! The write-ahead log: batches in numbered, zero-filled segments.
//!
//! ```text
//!  wal-0000000000000001.log          wal-0000000000000002.log
//! ┌──────┬───────┬─────┬─ ─ ─ ─┐    ┌──────┬───────┬─ ─ ─ ─ ─ ─ ─ ─┐
//! │ Open │ Write │  …  │ zeros │    │ Open │ Write │ zeros         │
//! └──────┴───────┴─────┴─ ─ ─ ─┘    └──────┴───────┴─ ─ ─ ─ ─ ─ ─ ─┘
//! ```
//!
//! Filling a segment with zeros beforehand makes a durable write cheap: neither the file's length nor its blocks change any more. The
//! next segment is made ready ahead of need, if there is room, in small steps, under another name until it is filled; or an older one that
//! nobody needs any more is given the next number, and keeps what is in it: batches of another generation, which are none here. Either is kept
//! when a node starts again. A batch that doesn't fit into what is left begins the next segment; one that fits into no segment of the usual
//! size gets one of its own.
//!
//! Every batch is durable before the next one is written. So an intact batch proves that all before it were durable, and damage to one of
//! those is corruption, while damage to the last may be the tear of an interrupted write: see [`crate::recover`].

mod files;
mod reader;

pub(crate) use reader::Reader;

use crate::batch::{self, HEADER_BYTES, Link};
use crate::disk::{Disk, DiskError, FileId, Meanwhile};
use alloc::collections::VecDeque;
use alloc::{format, string::String, vec, vec::Vec};
use wire::record::{Entries, Record};

/// A segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    /// Its number. With the log's secret it is the generation of its batches.
    pub(crate) number: u64,
    pub(crate) file: FileId,
    pub(crate) bytes: u64,
    /// Where its next batch would begin.
    pub(crate) end: u64,
}

/// Where a batch lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Location {
    /// The segment's number.
    pub(crate) segment: u64,
    pub(crate) offset: u64,
}

/// Whether a batch is made durable as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Durability {
    /// It is.
    Synced,
    /// That is begun, and over when the disk says so. Until then nothing else is written to the log.
    Begun(Meanwhile),
    /// It is left to the next one: only a seeded bug has that.
    Unsynced,
}

/// A batch that is to be written: a record, and room for what comes before it.
#[derive(Debug)]
pub(crate) struct Unsealed(Vec<u8>);

impl Unsealed {
    pub(crate) fn new(record: &Record<Entries<'_>>) -> Unsealed {
        Unsealed(wire::encode_into(record, vec![0; HEADER_BYTES]))
    }

    /// How many bytes it takes.
    fn padded_bytes(&self) -> u64 {
        batch::padded_bytes(self.0.len() - HEADER_BYTES) as u64
    }
}

/// The file in which a segment is made ready.
pub(crate) const PREPARING: &str = "wal.part";

/// A segment that is being made ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Preparing {
    pub(crate) file: FileId,
    /// How much of it is filled.
    pub(crate) filled: u64,
}

#[derive(Debug)]
pub(crate) struct Wal<D> {
    pub(crate) disk: D,
    /// By number, without a gap.
    pub(crate) segments: Vec<Segment>,
    /// Where the next batch belongs.
    pub(crate) link: Link,
    pub(crate) segment_bytes: u64,
    pub(crate) secret: u64,
    /// Segments that nobody needs any more, and that are still on the disk; the oldest first.
    pub(crate) released: VecDeque<Segment>,
    /// The file of the segment behind the last, when it is there and not begun.
    pub(crate) next: Option<FileId>,
    pub(crate) preparing: Option<Preparing>,
}

/// The generation of the batches in the segment `number` of the log with this secret.
pub(crate) fn generation(number: u64, secret: u64) -> u64 {
    number ^ secret
}

pub(crate) fn file_name(number: u64) -> String {
    format!("wal-{number:016}.log")
}

/// The number in a segment's name; `None` for other files.
pub(crate) fn segment_number(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("wal-")?.strip_suffix(".log")?;
    let number = digits.parse().ok()?;
    (file_name(number) == name).then_some(number)
}

impl Wal<()> {
    /// The same log over its disk.
    pub(crate) fn with<D>(self, disk: D) -> Wal<D> {
        let Wal {
            disk: (),
            segments,
            link,
            segment_bytes,
            secret,
            released,
            next,
            preparing,
        } = self;
        Wal {
            disk,
            segments,
            link,
            segment_bytes,
            secret,
            released,
            next,
            preparing,
        }
    }
}

impl<D: Disk> Wal<D> {
    /// A new log that begins with `open`, durably.
    pub(crate) fn create(
        disk: D,
        segment_bytes: u64,
        secret: u64,
        open: &Record<Entries<'_>>,
    ) -> Result<Wal<D>, DiskError> {
        let mut wal = Wal {
            disk,
            segments: Vec::new(),
            link: Link::FIRST,
            segment_bytes,
            secret,
            released: VecDeque::new(),
            next: None,
            preparing: None,
        };
        wal.open_segment(open, 0)?;
        Ok(wal)
    }

    /// Writes a batch behind the last one, durably. If it needs a new segment, that begins with what `open` says.
    pub(crate) fn append(
        &mut self,
        mut batch: Unsealed,
        durability: Durability,
        open: impl FnOnce() -> Record<Entries<'static>>,
    ) -> Result<Location, DiskError> {
        if self.begins_segment(&batch) {
            self.open_segment(&open(), batch.padded_bytes())?;
        }
        self.write(&mut batch.0, durability)
    }

    /// Whether the batch doesn't fit into what is left of the last segment.
    fn begins_segment(&self, batch: &Unsealed) -> bool {
        let last = self.last_segment();
        last.bytes - last.end < batch.padded_bytes()
    }

    /// The size of the segment that the batch begins; `None` where it fits into the last one. `open` is what segments begin with now.
    pub(crate) fn segment_begun_by(
        &self,
        batch: &Unsealed,
        open: impl FnOnce() -> Record<Entries<'static>>,
    ) -> Option<u64> {
        self.begins_segment(batch)
            .then(|| self.size_of_segment(&Unsealed::new(&open()), batch.padded_bytes()))
    }

    /// The size of a segment with room for a batch of `needed` bytes behind the one that it begins with.
    fn size_of_segment(&self, open: &Unsealed, needed: u64) -> u64 {
        self.segment_bytes.max(open.padded_bytes() + needed)
    }

    /// The number of the last segment.
    pub(crate) fn last_number(&self) -> u64 {
        self.last_segment().number
    }

    /// How many bytes the segments before `number` have.
    pub(crate) fn bytes_before(&self, number: u64) -> u64 {
        let before = self.segments.iter().take_while(|segment| segment.number < number);
        before.map(|segment| segment.bytes).sum()
    }

    /// How many of the last segments before `number` have at most `bytes` together.
    pub(crate) fn last_within(&self, number: u64, bytes: u64) -> usize {
        let before = self
            .segments
            .iter()
            .rev()
            .filter(|segment| segment.number < number);
        let sums = before.scan(0_u64, |sum, segment| {
            *sum += segment.bytes;
            Some(*sum)
        });
        sums.take_while(|sum| *sum <= bytes).count()
    }

    /// The segments before `number` are needed no more.
    pub(crate) fn release_before(&mut self, number: u64) {
        let keep_from = self.segments.partition_point(|segment| segment.number < number);
        self.released.extend(self.segments.drain(..keep_from));
    }

    fn last_segment(&self) -> &Segment {
        self.segments.last().expect("a log has at least one segment")
    }

    /// The segment of this number, which is one of the log's.
    fn segment(&self, number: u64) -> &Segment {
        let place = number - self.segments[0].number;
        &self.segments[usize::try_from(place).expect("segments are few")]
    }

    /// Where the next batch would begin if it fits.
    pub(crate) fn end(&self) -> Location {
        let last = self.last_segment();
        Location {
            segment: last.number,
            offset: last.end,
        }
    }

    /// Begins a segment with room for a batch of `needed` bytes behind the record `open`, durably.
    fn open_segment(&mut self, open: &Record<Entries<'_>>, needed: u64) -> Result<(), DiskError> {
        let mut open = Unsealed::new(open);
        let number = self.segments.last().map_or(1, |segment| segment.number + 1);
        let segment_bytes = self.size_of_segment(&open, needed);
        let file = self.take_next(number, segment_bytes)?;
        self.segments.push(Segment {
            number,
            file,
            bytes: segment_bytes,
            end: 0,
        });
        self.write(&mut open.0, Durability::Synced)?;
        Ok(())
    }

    fn write(&mut self, bytes: &mut Vec<u8>, durability: Durability) -> Result<Location, DiskError> {
        let segment = self.segments.last_mut().expect("a log has at least one segment");
        let next = batch::seal(bytes, generation(segment.number, self.secret), self.link);
        let location = Location {
            segment: segment.number,
            offset: segment.end,
        };
        let (file, begin) = (segment.file, segment.end);
        segment.end += bytes.len() as u64;
        match durability {
            Durability::Synced => self.disk.write_durably(file, begin, bytes)?,
            Durability::Begun(meanwhile) => {
                let bytes = core::mem::take(bytes);
                self.disk.begin_durable_write(file, begin, bytes, meanwhile)?;
            }
            Durability::Unsynced => self.disk.write(file, begin, bytes)?,
        }
        self.link = next;
        Ok(location)
    }
}
