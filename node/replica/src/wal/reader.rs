//! Reading a log back while it is in use.
//!
//! A log is read in pieces of many batches, and the last one is kept, for whoever reads the log reads on: a leader that brings up a follower
//! asks for some hundred KiB at a time, and small reads of what the operating system does not have in its cache are what its turns
//! would take longest for.
//!
//! # Invariants
//!
//! - A piece holds nothing but what is durable and never changes again: batches are not rewritten, and no two segments of a log have
//!   one number, whatever file they are in. So no piece is ever stale, though the log be cut, compacted, or its segments used again.
//! - At most [`PIECE_BYTES`] are kept, or one batch, if that is larger.

use super::{Location, Segment, Wal, file_name};
use crate::batch::{self, Batch, HEADER_BYTES};
use crate::disk::{Disk, DiskError};
use alloc::{format, string::ToString, vec::Vec};
use raft::Index;
use wire::record::Record;

/// How many bytes are read at once.
const PIECE_BYTES: u64 = 128 << 10;

/// How far ahead the disk is told what will be read: about what one follower is sent until it answers. So that is there when it does.
const AHEAD_BYTES: u64 = 1 << 20;

/// What was read last.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    /// The number of the segment in which the piece lies; they count from 1.
    segment: u64,
    /// Where it begins.
    offset: u64,
    bytes: Vec<u8>,
    /// An entry that nobody has asked for yet, and a place before which it is not.
    next: Option<(Index, Location)>,
    /// Up to where in that segment the disk was told that it will be read.
    told: u64,
}

impl Reader {
    /// Where to begin to look for the entry at `index`, of which it is known that it does not lie before `known`.
    pub(crate) fn begin_at(&self, index: Index, known: Location) -> Location {
        match self.next {
            Some((next, location)) if next == index => location.max(known),
            Some(_) | None => known,
        }
    }

    /// All entries before the one at `index` were read, and the batch at `location` was the last that had one of them.
    pub(crate) fn stopped_before(&mut self, index: Index, location: Location) {
        self.next = Some((index, location));
    }

    /// The record at `location`, and where the next one is; `None` behind the last. What lies at or behind `end` is no part of the log yet.
    pub(crate) fn read<D: Disk>(
        &mut self,
        wal: &Wal<D>,
        mut location: Location,
        end: Location,
    ) -> Result<Option<(Record, Location)>, DiskError> {
        let (segment, ends) = loop {
            if location >= end {
                return Ok(None);
            }
            let segment = wal.segment(location.segment);
            let ends = if segment.number == end.segment {
                end.offset
            } else {
                segment.end
            };
            if location.offset < ends {
                break (segment, ends);
            }
            location = Location {
                segment: location.segment + 1,
                offset: 0,
            };
        };
        let damaged = |reason: &str| DiskError {
            operation: "read",
            file: file_name(segment.number),
            reason: format!("the batch at offset {} is damaged: {reason}", location.offset),
        };
        let room = ends - location.offset;
        let header = self.piece(wal, segment, location.offset, HEADER_BYTES as u64, ends)?;
        let length = batch::payload_bytes(header)
            .map(|length| (HEADER_BYTES + length) as u64)
            .filter(|length| *length <= room);
        let length = length.ok_or_else(|| damaged("it has no header"))?;
        let bytes = self.piece(wal, segment, location.offset, length, ends)?;
        let batch = Batch::parse(bytes).ok_or_else(|| damaged("its checksum does not match"))?;
        let record = wire::decode(batch.payload).map_err(|error| damaged(&error.to_string()))?;
        let next = Location {
            offset: location.offset + batch.padded_bytes() as u64,
            ..location
        };
        Ok(Some((record, next)))
    }

    /// `length` bytes of `segment` from `offset` on: of the piece that is there, or of one that is read, which goes no further than `end`.
    fn piece<D: Disk>(
        &mut self,
        wal: &Wal<D>,
        segment: &Segment,
        offset: u64,
        length: u64,
        end: u64,
    ) -> Result<&[u8], DiskError> {
        let there = self.offset + self.bytes.len() as u64;
        if self.segment != segment.number || offset < self.offset || offset + length > there {
            let reads_on = self.segment == segment.number && (self.offset..=there).contains(&offset);
            let told = if reads_on { self.told } else { offset };
            let bytes = length.max(PIECE_BYTES.min(end - offset));
            // What was kept counts no more, should the read fail.
            self.bytes.clear();
            self.bytes.shrink_to(in_memory(PIECE_BYTES));
            (self.segment, self.offset) = (segment.number, offset);
            self.told = tell_ahead(wal, segment, told, end.min(offset + bytes + AHEAD_BYTES));
            let mut piece = core::mem::take(&mut self.bytes);
            piece.resize(in_memory(bytes), 0);
            wal.disk.read(segment.file, offset, &mut piece)?;
            self.bytes = piece;
        }
        let from = in_memory(offset - self.offset);
        Ok(&self.bytes[from..from + in_memory(length)])
    }
}

/// Tells the disk that `segment` will be read up to `goal`, where it was told so up to `told`; up to where it was told then.
fn tell_ahead<D: Disk>(wal: &Wal<D>, segment: &Segment, told: u64, goal: u64) -> u64 {
    if goal > told {
        wal.disk.will_read(segment.file, told, goal - told);
    }
    goal.max(told)
}

fn in_memory(bytes: u64) -> usize {
    usize::try_from(bytes).expect("a piece of a segment fits in memory")
}
