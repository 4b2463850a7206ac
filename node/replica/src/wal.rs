//! The write-ahead log: batches in numbered, zero-filled segments.
//!
//! ```text
//!  wal-0000000000000001.log          wal-0000000000000002.log
//! ┌──────┬───────┬─────┬─ ─ ─ ─┐    ┌──────┬───────┬─ ─ ─ ─ ─ ─ ─ ─┐
//! │ Open │ Write │  …  │ zeros │    │ Open │ Write │ zeros         │
//! └──────┴───────┴─────┴─ ─ ─ ─┘    └──────┴───────┴─ ─ ─ ─ ─ ─ ─ ─┘
//! ```
//!
//! Filling a segment with zeros beforehand makes a sync cheap: neither the file's length nor its blocks change any more. A batch
//! that doesn't fit into what is left opens the next segment; one that fits into no segment of the usual size gets one of its
//! own.
//!
//! At most one batch is unsynced at any time. So an intact batch proves that all before it were durable, and damage to one of
//! those is corruption, while damage to the last may be the tear of an interrupted write: see [`crate::recover`].

use crate::batch::{self, Batch, HEADER_BYTES, Link};
use crate::disk::{Disk, DiskError, FileId};
use alloc::collections::VecDeque;
use alloc::{format, string::String, string::ToString, vec, vec::Vec};
use wire::record::Record;

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
    pub(crate) released: VecDeque<u64>,
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
        } = self;
        Wal {
            disk,
            segments,
            link,
            segment_bytes,
            secret,
            released,
        }
    }
}

impl<D: Disk> Wal<D> {
    /// A new log that begins with `open`, durably.
    pub(crate) fn create(
        disk: D,
        segment_bytes: u64,
        secret: u64,
        open: &Record,
    ) -> Result<Wal<D>, DiskError> {
        let mut wal = Wal {
            disk,
            segments: Vec::new(),
            link: Link::FIRST,
            segment_bytes,
            secret,
            released: VecDeque::new(),
        };
        wal.open_segment(open, 0)?;
        Ok(wal)
    }

    /// Writes a record behind the last one; it is durable after [`Wal::sync`]. If it needs a new segment, that begins with what
    /// `open` says.
    pub(crate) fn append(
        &mut self,
        record: &Record,
        open: impl FnOnce() -> Record,
    ) -> Result<Location, DiskError> {
        let mut bytes = wire::encode_into(record, vec![0; HEADER_BYTES]);
        let needed = batch::padded_bytes(bytes.len() - HEADER_BYTES) as u64;
        let last = self.last_segment();
        if last.bytes - last.end < needed {
            self.open_segment(&open(), needed)?;
        }
        self.write(&mut bytes)
    }

    /// The number of the last segment.
    pub(crate) fn last_number(&self) -> u64 {
        self.last_segment().number
    }

    /// How many bytes of batches the segments hold.
    pub(crate) fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.end).sum()
    }

    /// The segments before `number` are needed no more.
    pub(crate) fn release_before(&mut self, number: u64) {
        let keep_from = self.segments.partition_point(|segment| segment.number < number);
        let released = self.segments.drain(..keep_from);
        self.released.extend(released.map(|segment| segment.number));
    }

    pub(crate) fn has_released(&self) -> bool {
        !self.released.is_empty()
    }

    /// Removes the oldest segment that was released: in the order of their numbers, so that a crash leaves no gap.
    pub(crate) fn remove_released(&mut self) -> Result<(), DiskError> {
        match self.released.pop_front() {
            Some(number) => self.disk.remove(&file_name(number)),
            None => Ok(()),
        }
    }

    /// Makes what was appended durable.
    pub(crate) fn sync(&mut self) -> Result<(), DiskError> {
        let file = self.last_segment().file;
        self.disk.sync(file)
    }

    fn last_segment(&self) -> &Segment {
        self.segments.last().expect("a log has at least one segment")
    }

    /// Begins a segment with room for a batch of `needed` bytes behind the record `open`, durably.
    fn open_segment(&mut self, open: &Record, needed: u64) -> Result<(), DiskError> {
        let mut bytes = wire::encode_into(open, vec![0; HEADER_BYTES]);
        let open_bytes = batch::padded_bytes(bytes.len() - HEADER_BYTES) as u64;
        let number = self.segments.last().map_or(1, |segment| segment.number + 1);
        let segment_bytes = self.segment_bytes.max(open_bytes + needed);
        let file = self.disk.create(&file_name(number), segment_bytes)?;
        self.segments.push(Segment {
            number,
            file,
            bytes: segment_bytes,
            end: 0,
        });
        self.write(&mut bytes)?;
        self.sync()
    }

    fn write(&mut self, bytes: &mut Vec<u8>) -> Result<Location, DiskError> {
        let segment = self.segments.last_mut().expect("a log has at least one segment");
        let next = batch::seal(bytes, generation(segment.number, self.secret), self.link);
        let location = Location {
            segment: segment.number,
            offset: segment.end,
        };
        self.disk.write(segment.file, segment.end, bytes)?;
        segment.end += bytes.len() as u64;
        self.link = next;
        Ok(location)
    }

    /// The record at `location`, and where the next one is; `None` behind the last.
    pub(crate) fn read(&self, location: Location) -> Result<Option<(Record, Location)>, DiskError> {
        let first = self.segments[0].number;
        let place = usize::try_from(location.segment - first).expect("segments fit in memory");
        let Some(segment) = self.segments.get(place) else {
            return Ok(None);
        };
        if location.offset >= segment.end {
            return self.read(Location {
                segment: location.segment + 1,
                offset: 0,
            });
        }
        let damaged = |reason: &str| DiskError {
            operation: "read",
            file: file_name(segment.number),
            reason: format!("the batch at offset {} is damaged: {reason}", location.offset),
        };
        let mut bytes = vec![0; HEADER_BYTES];
        self.disk.read(segment.file, location.offset, &mut bytes)?;
        let room =
            usize::try_from(segment.end - location.offset).expect("a segment fits in memory") - HEADER_BYTES;
        let length = batch::payload_bytes(&bytes).filter(|length| *length <= room);
        let length = length.ok_or_else(|| damaged("it has no header"))?;
        bytes.resize(HEADER_BYTES + length, 0);
        self.disk.read(
            segment.file,
            location.offset + HEADER_BYTES as u64,
            &mut bytes[HEADER_BYTES..],
        )?;
        let batch = Batch::parse(&bytes).ok_or_else(|| damaged("its checksum does not match"))?;
        let record = wire::decode(batch.payload).map_err(|error| damaged(&error.to_string()))?;
        let next = Location {
            offset: location.offset + batch.padded_bytes() as u64,
            ..location
        };
        Ok(Some((record, next)))
    }
}
